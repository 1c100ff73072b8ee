//! The rules of matching on one store and day, and the judgement.

use std::collections::{BTreeMap, BTreeSet};

/// The longest gap within a visit, and between two sightings of one stay, seconds.
const GAP: i64 = 30 * 60;

/// The weakest signal of a device inside, dBm.
const MIN_RSSI: i64 = -75;

/// The shortest dwell of a visit, seconds.
const MIN_DWELL: i64 = 60;

/// The longest presence of a visitor in a day, seconds.
const MAX_PRESENCE: i64 = 8 * 3600;

/// How far clocks may differ, seconds.
pub const SLACK: i64 = 5 * 60;

/// The number of devices that share a value of the cookie, at least.
const SHARE: u64 = 3;

/// One millionth of a visit is the unit of weights.
const MILLION: u64 = 1_000_000;

/// A ping: when, and how strong, dBm.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// Unix seconds.
    pub second: i64,
    /// The strength, dBm.
    pub rssi: i64,
}

/// A device in a store on a day, under its token.
#[derive(Clone, Debug, Default)]
pub struct Device {
    /// Its pings, in any order.
    pub pings: Vec<Heard>,
    /// The smallest number that a box gave it.
    pub number: Option<u32>,
}

/// A sighting: of whom, when, and by which cookie.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Who, as the partner knows the device.
    pub who: String,
    /// The token of that device in the store: the truth, which matching does not read.
    pub token: String,
    /// The beginning, Unix seconds.
    pub from: i64,
    /// The end, Unix seconds.
    pub until: i64,
    /// The cookie; `None` by time alone.
    pub cookie: Option<u32>,
}

/// A store and day: its devices by token, without random addresses, and its sightings.
#[derive(Clone, Debug, Default)]
pub struct StoreDay {
    /// The devices.
    pub devices: BTreeMap<String, Device>,
    /// The sightings.
    pub sightings: Vec<Seen>,
}

/// What a day was judged as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Devices with a visit.
    pub devices: u64,
    /// Stays whose device had a visit at that time.
    pub real: u64,
    /// Those with that visit among their candidates.
    pub found: u64,
    /// The weight given to visits, millionths.
    pub weight: u64,
    /// What of it went to visits of other devices.
    pub wrong: u64,
}

impl Judged {
    /// The sum of two.
    #[must_use]
    pub fn plus(self, other: Judged) -> Judged {
        Judged {
            devices: self.devices + other.devices,
            real: self.real + other.real,
            found: self.found + other.found,
            weight: self.weight + other.weight,
            wrong: self.wrong + other.wrong,
        }
    }
}

/// A visit.
pub(super) struct Visit<'a> {
    /// Whose.
    pub(super) token: &'a str,
    /// The offline cookie.
    pub(super) cookie: u32,
    /// The first second.
    pub(super) first: i64,
    /// The last second.
    pub(super) last: i64,
}

/// A stay: sightings of one device with short gaps.
struct Stay<'a> {
    token: &'a str,
    first: i64,
    last: i64,
    cookies: BTreeSet<u32>,
}

impl StoreDay {
    /// Matches the day with cookies of at most `bits` bits, and judges the result.
    pub fn judge(&self, bits: u32) -> Judged {
        let visits = self.visits();
        let tokens: BTreeSet<&str> = visits.iter().map(|visit| visit.token).collect();
        let devices = tokens.len() as u64;
        let bits = (0..=bits).rev().find(|bits| devices >= SHARE << bits);
        let mask = bits.map_or(0, |bits| (1_u32 << bits) - 1);
        let stays = self.stays();
        let meets = |stay: &Stay<'_>, visit: &Visit<'_>| {
            visit.first <= stay.last + SLACK && visit.last >= stay.first - SLACK
        };
        let candidates: Vec<Vec<usize>> = (stays.iter())
            .map(|stay| {
                let all = visits.iter().enumerate();
                let of = all.filter(|(_, visit)| {
                    let mut cookies = stay.cookies.iter();
                    let fits = stay.cookies.is_empty()
                        || cookies.any(|cookie| cookie & mask == visit.cookie & mask);
                    fits && meets(stay, visit)
                });
                of.map(|(place, _)| place).collect()
            })
            .collect();
        let mut wanted = vec![0_u64; visits.len()];
        for place in candidates.iter().flatten() {
            if let Some(times) = wanted.get_mut(*place) {
                *times += 1;
            }
        }
        let mut judged = Judged {
            devices,
            ..Judged::default()
        };
        for (stay, candidates) in stays.iter().zip(&candidates) {
            let own = |visit: &&Visit<'_>| visit.token == stay.token && meets(stay, visit);
            let among = candidates.iter().filter_map(|place| visits.get(*place));
            let right = among.filter(own).count() as u64;
            judged.real += u64::from(visits.iter().any(|visit| own(&visit)));
            judged.found += u64::from(right > 0);
            let n = candidates.len() as u64;
            if n == 0 {
                continue;
            }
            let most = candidates
                .iter()
                .filter_map(|place| wanted.get(*place))
                .max();
            let weight = MILLION * n / n.max(most.copied().unwrap_or(1));
            judged.weight += weight;
            judged.wrong += weight - weight * right.min(n) / n;
        }
        judged
    }

    /// The visits of the day.
    pub(super) fn visits(&self) -> Vec<Visit<'_>> {
        let mut visits = Vec::new();
        for (token, device) in &self.devices {
            let runs = device.runs();
            let presence: i64 = runs.iter().map(|run| run.last - run.first).sum();
            let stays = runs.into_iter().filter(|run| {
                presence <= MAX_PRESENCE && run.strong >= 2 && run.last - run.first >= MIN_DWELL
            });
            visits.extend(stays.map(|run| Visit {
                token,
                cookie: device.number.unwrap_or_else(|| number_of(token)),
                first: run.first,
                last: run.last,
            }));
        }
        visits
    }

    /// The stays of the day.
    fn stays(&self) -> Vec<Stay<'_>> {
        let mut sightings: Vec<&Seen> = self.sightings.iter().collect();
        sightings.sort_by_key(|seen| (&seen.who, seen.from, seen.until));
        let mut stays: Vec<(&str, Stay<'_>)> = Vec::new();
        for seen in sightings {
            match stays.last_mut() {
                Some((who, stay)) if *who == seen.who && seen.from <= stay.last + GAP => {
                    stay.last = stay.last.max(seen.until);
                    stay.cookies.extend(seen.cookie);
                }
                _ => stays.push((
                    &seen.who,
                    Stay {
                        token: &seen.token,
                        first: seen.from,
                        last: seen.until,
                        cookies: seen.cookie.into_iter().collect(),
                    },
                )),
            }
        }
        stays.into_iter().map(|(_, stay)| stay).collect()
    }
}

/// Pings of one device with short gaps.
struct Run {
    first: i64,
    last: i64,
    /// Seconds with a strong ping.
    strong: u64,
}

impl Device {
    /// The runs of the device; of several pings in a second the strongest counts.
    fn runs(&self) -> Vec<Run> {
        let mut seconds: BTreeMap<i64, i64> = BTreeMap::new();
        for ping in &self.pings {
            let rssi = seconds.entry(ping.second).or_insert(ping.rssi);
            *rssi = ping.rssi.max(*rssi);
        }
        let mut runs: Vec<Run> = Vec::new();
        for (second, rssi) in seconds {
            let strong = u64::from(rssi >= MIN_RSSI);
            match runs.last_mut() {
                Some(run) if second - run.last <= GAP => {
                    run.last = second;
                    run.strong += strong;
                }
                _ => runs.push(Run {
                    first: second,
                    last: second,
                    strong,
                }),
            }
        }
        runs
    }
}

/// The cookie of a device that no box numbers: 32 bits of its token (FNV-1a).
pub fn number_of(token: &str) -> u32 {
    token.bytes().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

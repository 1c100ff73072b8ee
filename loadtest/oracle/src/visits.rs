//! The `visits` family: sessions of pings, and what they say about a store's hours.
//!
//! A token is one device in one store and salt day; on another day it has another token, and
//! nothing connects the two. Its pings, at most one per second and the strongest of each, are
//! divided into sessions by gaps of more than half an hour. Tokens that are present for more than
//! `max_presence` in total are staff or fixtures and are ignored, random ones included. At most a
//! fixed number of tokens counts per store and day ([`crate::device_limit`]). Sessions of random
//! MAC addresses are counted as random devices only.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::{Dim, Family};
use tributary_operators::label::Label;
use tributary_operators::record::{Day, Ping, Pseudonym};
use tributary_operators::settings::BrandSettings;

use crate::brand::Brand;
use crate::calendar;
use crate::device_limit;
use crate::family_sums::{CountedCell, existing_cell};

/// The longest gap within a session, in seconds.
const MAX_GAP: i64 = 30 * 60;

/// A token: store, device, salt day.
type Token = (Label, Pseudonym, Day);

/// The pings of one token in one second.
#[derive(Clone, Copy)]
struct TokenizedPing {
    /// Unix seconds.
    second: i64,
    /// The strongest signal of the second, in dBm.
    rssi: i8,
    /// Whether the MAC address is random.
    random: bool,
    /// The offset from UTC of the store, in seconds.
    utc_offset: i32,
}

/// A session: pings of one token without a gap, in the order of time, never empty.
struct Run(Vec<TokenizedPing>);

impl Run {
    /// The seconds from the first to the last ping.
    fn dwell(&self) -> i64 {
        match (self.0.first(), self.0.last()) {
            (Some(first), Some(last)) => last.second - first.second,
            _ => 0,
        }
    }

    /// Whether the session is a visit: at least two strong seconds, and `min_dwell`.
    fn is_visit(&self, settings: &BrandSettings) -> bool {
        let strong = self.0.iter().filter(|ping| ping.rssi >= settings.min_rssi);
        strong.count() >= 2 && self.dwell() >= settings.min_dwell
    }
}

/// A store, the start of an hour in Unix seconds, and the offset from UTC in seconds.
type StoreHour = (Label, i64, i32);

/// The sums of one store and hour.
#[derive(Default)]
struct Hour {
    /// Sessions that are visits.
    visits: i128,
    /// Other sessions.
    passers_by: i128,
    /// The total dwell time of the visits.
    dwell_seconds: i128,
    /// The tokens without a random MAC address.
    devices: BTreeSet<Token>,
    /// The tokens with one.
    random_devices: BTreeSet<Token>,
}

/// The cells of the family for one brand.
///
/// - Dimensions: brand, store, hour.
/// - Values: visits, passers-by, dwell time in seconds, devices, random devices.
/// - Contributors: the devices; where one is enough, the random devices as well.
pub(crate) fn cells(brand: &Brand, pings: &[&Ping]) -> Vec<CountedCell> {
    let mut hours: BTreeMap<StoreHour, Hour> = BTreeMap::new();
    let pings = &device_limit::counted_pings(pings, brand.settings.max_devices);
    for (token, pings) in seconds(pings) {
        let runs = runs(pings);
        let presence: i64 = runs.iter().map(Run::dwell).sum();
        if presence > brand.settings.max_presence {
            continue;
        }
        for run in runs {
            add(&mut hours, brand.settings, token, &run);
        }
    }
    hours
        .into_iter()
        .filter_map(|((store, start, utc_offset), hour)| {
            let dims = vec![
                brand.name(),
                brand.word(store),
                Dim::Hour(start, utc_offset),
            ];
            let devices = hour.devices.len();
            let random_devices = hour.random_devices.len();
            let values = vec![
                hour.visits,
                hour.passers_by,
                hour.dwell_seconds,
                devices as i128,
                random_devices as i128,
            ];
            let contributors = match brand.settings.k_traffic {
                0 | 1 => devices + random_devices,
                _ => devices,
            };
            let contributors = contributors as u64;
            existing_cell(Family::Visits, dims, values, contributors)
        })
        .collect()
}

/// A visit that may be matched with sightings.
pub(crate) struct StoreVisit {
    /// The device, which is known by its token alone.
    pub(crate) device: Pseudonym,
    /// The first second.
    pub(crate) first: i64,
    /// The last second.
    pub(crate) last: i64,
    /// The offline cookie of the device: the smallest of its pings, or the first 4 bytes of its token, least significant first.
    pub(crate) cookie: u32,
}

/// The visits of each store and salt day.
pub(crate) fn store_visits(
    settings: &BrandSettings,
    pings: &[&Ping],
) -> BTreeMap<(Label, Day), Vec<StoreVisit>> {
    let pings = &device_limit::counted_pings(pings, settings.max_devices);
    let mut cookies: BTreeMap<Token, u32> = BTreeMap::new();
    let mut tokens: BTreeMap<Token, u32> = BTreeMap::new();
    for ping in pings {
        let token = (ping.store, ping.device, ping.salt_day);
        tokens.insert(token, device_limit::token(ping) as u32);
        if let Some(cookie) = ping.offline_cookie {
            let smallest = cookies.entry(token).or_insert(cookie);
            *smallest = cookie.min(*smallest);
        }
    }
    let mut visits: BTreeMap<(Label, Day), Vec<StoreVisit>> = BTreeMap::new();
    for (token, pings) in seconds(pings) {
        let runs = runs(pings);
        let presence: i64 = runs.iter().map(Run::dwell).sum();
        if presence > settings.max_presence {
            continue;
        }
        for run in runs.iter().filter(|run| run.is_visit(settings)) {
            let (Some(first), Some(last)) = (run.0.first(), run.0.last()) else {
                continue;
            };
            if first.random {
                continue;
            }
            let cookie = cookies.get(&token).or(tokens.get(&token));
            visits
                .entry((token.0, token.2))
                .or_default()
                .push(StoreVisit {
                    device: token.1,
                    first: first.second,
                    last: last.second,
                    cookie: cookie.copied().unwrap_or_default(),
                });
        }
    }
    visits
}

/// The pings of every token, one per second: the strongest signal of the second, and the other
/// fields from the smallest of its pings.
fn seconds(pings: &[&Ping]) -> BTreeMap<Token, Vec<TokenizedPing>> {
    let mut tokens: BTreeMap<Token, BTreeMap<i64, BTreeSet<&Ping>>> = BTreeMap::new();
    for ping in pings {
        let token = (ping.store, ping.device, ping.salt_day);
        let seconds = tokens.entry(token).or_default();
        seconds.entry(ping.second).or_default().insert(ping);
    }
    let strongest = |(second, pings): (i64, BTreeSet<&Ping>)| {
        let smallest = pings.first()?;
        Some(TokenizedPing {
            second,
            rssi: pings.iter().map(|ping| ping.rssi).max()?,
            random: smallest.random,
            utc_offset: smallest.utc_offset,
        })
    };
    tokens
        .into_iter()
        .map(|(token, seconds)| (token, seconds.into_iter().filter_map(strongest).collect()))
        .collect()
}

/// The sessions of one token.
fn runs(pings: Vec<TokenizedPing>) -> Vec<Run> {
    pings
        .chunk_by(|before, after| after.second - before.second <= MAX_GAP)
        .map(|run| Run(run.to_vec()))
        .collect()
}

/// Counts a session in the hour of its start. A device counts once per hour, however many sessions
/// it has; a session of a random MAC address only counts the device.
fn add(hours: &mut BTreeMap<StoreHour, Hour>, settings: &BrandSettings, token: Token, run: &Run) {
    let Some(first) = run.0.first() else {
        return;
    };
    let start = calendar::hour(first.second, first.utc_offset);
    let hour = hours.entry((token.0, start, first.utc_offset)).or_default();
    if first.random {
        hour.random_devices.insert(token);
        return;
    }
    hour.devices.insert(token);
    match run.is_visit(settings) {
        true => {
            hour.visits += 1;
            hour.dwell_seconds += i128::from(run.dwell());
        }
        false => hour.passers_by += 1,
    }
}

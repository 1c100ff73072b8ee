//! Visits and stays of one store and salt day: which visits are candidates of which stay, and what a stay weighs.
//!
//! A visit is a candidate of a stay if they overlap, give or take the slack of clocks, and one of the stay's cookies has the low
//! bits of the visit's cookie (or the stay has no cookie). With `n` candidates, and `m` the largest number of stays that any
//! of them is a candidate of, the stay weighs `n / max(n, m)` of a conversion: no stay weighs more than one visit, and no visit
//! is given away more than once.
//!
//! For each visit the number of its stays is kept, its *degree*. A change of a stay changes the degrees of its candidates, and so
//! the weights of the stays that share them; a change of a visit changes the weights of its own stays. Visits and stays are found
//! by their *value*, the bits of the cookie that count, and by time: about as many visits share a value in a large store as in a
//! small one, so that a change costs as much in either. Only a stay without a cookie meets the visits of all values. The number of
//! bits that count follows the number of devices, so that it changes at powers of two: then all weights of the day are computed
//! again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::record::{DeviceVisits, Sighting};
use super::stays::{DeviceSightings, Stay};
use crate::engine::{Diff, State, tree_bytes};
use crate::record::{ClosedVisit, ClosedVisits, Pseudonym};
use crate::settings::BrandSettings;

/// One visit in millionths.
const WHOLE: i64 = 1_000_000;

/// What follows for a stay from its candidates.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The number of candidates.
    pub(super) candidates: i64,
    /// The weight in millionths.
    pub(super) weight: u32,
}

/// Visits with the same times and cookie.
#[derive(Clone, Copy, Default)]
struct VisitState {
    /// Their number.
    count: i64,
    /// The number of stays that each is a candidate of.
    degree: i64,
}

/// A stay, and what was emitted for it.
struct StayState {
    stay: Stay,
    outcome: Option<Outcome>,
}

/// The place of a stay: its first second and its device.
type StayKey = (i64, Pseudonym);

/// The place of a visit: its value and itself.
type VisitKey = (u16, ClosedVisit);

/// The changes of one store and salt day in an epoch.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) devices: Vec<(DeviceVisits, Diff)>,
    pub(super) closed: Vec<(ClosedVisits, Diff)>,
    pub(super) sightings: BTreeMap<Pseudonym, Vec<(Sighting, Diff)>>,
}

/// The visits and stays of one store and salt day.
#[derive(Default)]
pub(super) struct DayState {
    /// The number of tokens with a visit, as long as the day is open.
    devices: i64,
    /// The number of bits of a closed day.
    closed: Option<u32>,
    /// The number of bits by which degrees and outcomes were computed.
    bits: u32,
    visits: BTreeMap<VisitKey, VisitState>,
    /// No visit is longer than this, seconds.
    longest_visit: i64,
    sightings: BTreeMap<Pseudonym, DeviceSightings>,
    stays: BTreeMap<StayKey, StayState>,
    /// The stays by each of their values; none for a stay without a cookie.
    by_value: BTreeSet<(Option<u16>, StayKey)>,
    /// No stay is longer than this, seconds.
    longest_stay: i64,
}

impl State for DayState {
    fn is_empty(&self) -> bool {
        self.devices == 0 && self.visits.is_empty() && self.sightings.is_empty()
    }
}

/// The largest number of bits, up to that of the settings, whose values are shared by enough of `devices`.
fn bits_of(devices: i64, settings: &BrandSettings) -> u32 {
    let devices = devices.max(0).unsigned_abs();
    let is_shared = |bits: &u32| settings.cookie_share.saturating_mul(1 << *bits) <= devices;
    (1..=settings.cookie_bits.min(16))
        .rev()
        .find(is_shared)
        .unwrap_or(0)
}

/// The value of a cookie.
fn value(cookie: u16, bits: u32) -> u16 {
    cookie & ((1_u32 << bits) - 1) as u16
}

/// The values by which a stay is matched, each once: `None` alone for a stay without a cookie.
fn values(stay: &Stay, bits: u32) -> Vec<Option<u16>> {
    if stay.cookies.is_empty() {
        return vec![None];
    }
    let cookies = stay.cookies.iter();
    let mut values: Vec<_> = cookies.map(|cookie| Some(value(*cookie, bits))).collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// The seconds around a stay in which its candidates lie.
fn reach(stay: &Stay, slack: i64) -> (i64, i64) {
    (
        stay.first.saturating_sub(slack),
        stay.last.saturating_add(slack),
    )
}

/// The keys of all visits of a value that begin within some seconds.
fn beginning(value: u16, from: i64, until: i64) -> RangeInclusive<VisitKey> {
    let visit = |first, last, cookie| ClosedVisit {
        first,
        last,
        cookie,
    };
    let first = visit(from, i64::MIN, 0);
    (value, first)..=(value, visit(until.max(from), i64::MAX, u16::MAX))
}

impl DayState {
    /// The number of visits and stays.
    pub(super) fn entries(&self) -> usize {
        1 + self.visits.len() + self.stays.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let sightings = self.sightings.values().map(DeviceSightings::heap_bytes);
        tree_bytes::<VisitKey, VisitState>(self.visits.len())
            + tree_bytes::<(Option<u16>, StayKey), ()>(self.by_value.len())
            + tree_bytes::<StayKey, StayState>(self.stays.len())
            + tree_bytes::<Pseudonym, DeviceSightings>(self.sightings.len())
            + sightings.sum::<usize>()
    }

    /// Applies the changes of an epoch, and passes the stays whose outcome ends or begins to be to `emit`. Returns the number of
    /// sightings, visits and stays that were visited.
    pub(super) fn amend(
        &mut self,
        changes: Changes,
        settings: &BrandSettings,
        mut emit: impl FnMut(Pseudonym, &Stay, Outcome, Diff),
    ) -> u64 {
        let slack = settings.slack.div_euclid(1000);
        let mut steps = 0;
        let mut visits: BTreeMap<ClosedVisit, Diff> = BTreeMap::new();
        for (of, diff) in changes.devices {
            self.devices += diff;
            for (first, last) in of.visits.iter() {
                let visit = ClosedVisit {
                    first: *first,
                    last: *last,
                    cookie: of.cookie,
                };
                *visits.entry(visit).or_default() += diff;
            }
        }
        for (of, diff) in changes.closed {
            self.closed = Some(of.bits.into());
            for visit in of.visits {
                *visits.entry(visit).or_default() += diff;
            }
        }
        let mut stays = Vec::new();
        for (device, sightings) in changes.sightings {
            let of_device = self.sightings.entry(device).or_default();
            let mut changed = Vec::new();
            steps += of_device.amend(&sightings, &mut changed);
            if of_device.is_empty() {
                self.sightings.remove(&device);
            }
            changed.sort_unstable_by_key(|(_, diff)| *diff);
            stays.extend(changed.into_iter().map(|(stay, diff)| (device, stay, diff)));
        }
        stays.sort_by_key(|(_, _, diff)| *diff);

        let bits = self
            .closed
            .unwrap_or_else(|| bits_of(self.devices, settings));
        let all = bits != self.bits;
        if all {
            self.rekey(bits);
        }
        // The stays whose outcomes may change, and the seconds in which all may.
        let mut affected: BTreeSet<StayKey> = BTreeSet::new();
        let mut spans: Vec<(i64, i64)> = Vec::new();
        let mut come = stays.partition_point(|(_, _, diff)| *diff < 0);
        for (device, stay, _) in stays.drain(..come) {
            let key = (stay.first, device);
            let Some(gone) = self.stays.remove(&key) else {
                continue;
            };
            for value in values(&stay, self.bits) {
                self.by_value.remove(&(value, key));
            }
            if let Some(outcome) = gone.outcome {
                emit(device, &stay, outcome, -1);
            }
            if !all {
                steps += self.share(&stay, slack, -1, &mut affected, &mut spans);
            }
        }
        for (visit, diff) in visits {
            steps += 1;
            let key = (value(visit.cookie, self.bits), visit);
            let count = self.visits.get(&key).map_or(0, |of| of.count) + diff;
            if !all {
                affected.extend(self.stays_of(&key, slack, &mut steps));
            }
            if count == 0 {
                self.visits.remove(&key);
            } else if let Some(of) = self.visits.get_mut(&key) {
                of.count = count;
            } else {
                self.longest_visit = self.longest_visit.max(visit.last - visit.first);
                let degree = match all {
                    true => 0,
                    false => self.stays_of(&key, slack, &mut steps).count() as i64,
                };
                self.visits.insert(key, VisitState { count, degree });
            }
        }
        come = stays.len();
        for (device, stay, _) in stays.drain(..come) {
            self.longest_stay = self.longest_stay.max(stay.last - stay.first);
            let key = (stay.first, device);
            let values = values(&stay, self.bits).into_iter();
            self.by_value.extend(values.map(|value| (value, key)));
            let state = StayState {
                stay: stay.clone(),
                outcome: None,
            };
            self.stays.insert(key, state);
            if !all {
                affected.insert(key);
                steps += self.share(&stay, slack, 1, &mut affected, &mut spans);
            }
        }
        if all {
            let stays: Vec<Stay> = self.stays.values().map(|of| of.stay.clone()).collect();
            for stay in stays {
                for range in self.candidates(&stay, slack) {
                    steps += self.change_degrees(&stay, slack, 1, range, |_| {});
                }
            }
            affected = self.stays.keys().copied().collect();
        }
        affected.extend(self.stays_within(spans));
        steps += self.settle_outcomes(affected, slack, &mut emit);
        if self.visits.is_empty() {
            (self.closed, self.longest_visit) = (None, 0);
        }
        if self.stays.is_empty() {
            self.longest_stay = 0;
        }
        steps
    }

    /// Gives all visits and stays the places that they have by another number of bits. Degrees are none then.
    fn rekey(&mut self, bits: u32) {
        self.bits = bits;
        let visits = std::mem::take(&mut self.visits).into_iter();
        let visits = visits.map(|((_, visit), of)| {
            let state = VisitState {
                count: of.count,
                degree: 0,
            };
            ((value(visit.cookie, bits), visit), state)
        });
        self.visits = visits.collect();
        let stays = self.stays.iter().flat_map(|(key, of)| {
            let values = values(&of.stay, bits).into_iter();
            values.map(move |value| (value, *key))
        });
        self.by_value = stays.collect();
    }

    /// The places in which the candidates of a stay are. Those that end before it are no candidates.
    fn candidates(&self, stay: &Stay, slack: i64) -> Vec<RangeInclusive<VisitKey>> {
        let (from, until) = reach(stay, slack);
        let begin = from.saturating_sub(self.longest_visit);
        let range = |value| beginning(value, begin, until);
        let mut ranges = Vec::new();
        for value in values(stay, self.bits) {
            let Some(value) = value else {
                ranges.extend(self.all_values().map(range));
                continue;
            };
            ranges.push(range(value));
        }
        ranges
    }

    /// The values that visits have.
    fn all_values(&self) -> impl Iterator<Item = u16> {
        let mut next = Some(0);
        std::iter::from_fn(move || {
            let (first, _) = beginning(next?, i64::MIN, i64::MIN).into_inner();
            let ((value, _), _) = self.visits.range(first..).next()?;
            next = value.checked_add(1);
            Some(*value)
        })
    }

    /// The stays that a visit is a candidate of.
    fn stays_of<'a>(
        &'a self,
        (value, visit): &VisitKey,
        slack: i64,
        steps: &'a mut u64,
    ) -> impl Iterator<Item = StayKey> + 'a {
        let from = visit.first.saturating_sub(slack);
        let until = visit.last.saturating_add(slack);
        let begin = from.saturating_sub(self.longest_stay);
        let of_value = [None, Some(*value)].into_iter().flat_map(move |value| {
            let first = (value, (begin, Pseudonym::MIN));
            let stays = self
                .by_value
                .range(first..=(value, (until, Pseudonym::MAX)));
            stays.map(|(_, key)| *key)
        });
        of_value.filter(move |key| {
            *steps += 1;
            self.stays.get(key).is_some_and(|of| of.stay.last >= from)
        })
    }

    /// The stays that overlap some seconds.
    fn stays_within(&self, mut spans: Vec<(i64, i64)>) -> Vec<StayKey> {
        spans.sort_unstable();
        spans.dedup_by(|next, span| {
            let joins = next.0 <= span.1;
            if joins {
                span.1 = span.1.max(next.1);
            }
            joins
        });
        let within = spans.into_iter().flat_map(|(from, until)| {
            let begin = from.saturating_sub(self.longest_stay);
            let until = (until.max(begin), Pseudonym::MAX);
            let stays = self.stays.range((begin, Pseudonym::MIN)..=until);
            stays.filter(move |(_, of)| of.stay.last >= from)
        });
        within.map(|(key, _)| *key).collect()
    }

    /// Changes the degree of those candidates of a stay by `diff` that are in a range, and passes each to `each`. Returns the
    /// number of visits that were visited.
    fn change_degrees(
        &mut self,
        stay: &Stay,
        slack: i64,
        diff: i64,
        range: RangeInclusive<VisitKey>,
        mut each: impl FnMut(VisitKey),
    ) -> u64 {
        let (from, _) = reach(stay, slack);
        let mut steps = 0;
        for (key, of) in self.visits.range_mut(range) {
            steps += 1;
            if key.1.last >= from {
                of.degree += diff;
                each(*key);
            }
        }
        steps
    }

    /// Changes the degree of the candidates of a stay by `diff`, and notes the stays that share one of them. Of a stay without a
    /// cookie these are most of the stays at its time, and their seconds are noted instead. Returns the number of visits
    /// and stays that were visited.
    fn share(
        &mut self,
        stay: &Stay,
        slack: i64,
        diff: i64,
        affected: &mut BTreeSet<StayKey>,
        spans: &mut Vec<(i64, i64)>,
    ) -> u64 {
        let mut steps = 0;
        let mut shared: Vec<VisitKey> = Vec::new();
        for range in self.candidates(stay, slack) {
            steps += self.change_degrees(stay, slack, diff, range, |key| shared.push(key));
        }
        if stay.cookies.is_empty() {
            let first = shared.iter().map(|(_, visit)| visit.first).min();
            let last = shared.iter().map(|(_, visit)| visit.last).max();
            let span = first.zip(last);
            spans.extend(span.map(|(first, last)| (first - slack, last + slack)));
        } else {
            for key in shared {
                affected.extend(self.stays_of(&key, slack, &mut steps));
            }
        }
        steps
    }

    /// Computes the outcomes of some stays, and emits what changed. Returns the number of visits that were visited.
    fn settle_outcomes(
        &mut self,
        affected: BTreeSet<StayKey>,
        slack: i64,
        emit: &mut impl FnMut(Pseudonym, &Stay, Outcome, Diff),
    ) -> u64 {
        let mut steps = 0;
        for key in affected {
            let Some(of) = self.stays.get(&key) else {
                continue;
            };
            let outcome = self.outcome(&of.stay, slack, &mut steps);
            let Some(of) = self.stays.get_mut(&key) else {
                continue;
            };
            if of.outcome == Some(outcome) {
                continue;
            }
            if let Some(before) = of.outcome.replace(outcome) {
                emit(key.1, &of.stay, before, -1);
            }
            emit(key.1, &of.stay, outcome, 1);
        }
        steps
    }

    /// The outcome of a stay.
    fn outcome(&self, stay: &Stay, slack: i64, steps: &mut u64) -> Outcome {
        let (from, _) = reach(stay, slack);
        let (mut candidates, mut most) = (0, 0);
        for range in self.candidates(stay, slack) {
            *steps += 1;
            for ((_, visit), of) in self.visits.range(range) {
                *steps += 1;
                if visit.last >= from {
                    candidates += of.count;
                    most = of.degree.max(most);
                }
            }
        }
        let weight = match candidates {
            ..=0 => 0,
            n => i128::from(WHOLE) * i128::from(n) / i128::from(n.max(most)),
        };
        Outcome {
            candidates,
            weight: weight as u32,
        }
    }

    /// The stays, each with its device and what follows for it.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = (Pseudonym, &Stay, Outcome)> {
        let stays = self.stays.iter();
        stays.map(|((_, device), of)| (*device, &of.stay, of.outcome.unwrap_or_default()))
    }

    /// The sightings, each with its device.
    pub(super) fn sightings(&self) -> impl Iterator<Item = (Pseudonym, &Sighting)> {
        let devices = self.sightings.iter();
        devices.flat_map(|(device, of)| of.iter().map(|sighting| (*device, sighting)))
    }

    /// Drops the visits of a settled day, once the day is closed and has no stay.
    pub(super) fn drop_visits(&mut self) {
        if self.devices == 0 && self.stays.is_empty() {
            self.visits.clear();
            (self.closed, self.longest_visit) = (None, 0);
        }
    }

    /// Fixes the number of bits: no visit changes any more. Returns it, and the visits.
    pub(super) fn close(&mut self) -> (u32, Vec<ClosedVisit>) {
        self.devices = 0;
        let visits = self.visits.iter();
        let visits = visits.flat_map(|((_, visit), of)| (0..of.count).map(|_| *visit));
        let mut visits: Vec<ClosedVisit> = visits.collect();
        visits.sort_unstable();
        self.closed = (!visits.is_empty()).then_some(self.bits);
        (self.bits, visits)
    }
}

//! Visits and stays of one store and salt day: which visits are candidates of which stay, and what a stay weighs.
//!
//! A visit is a candidate of a stay if they overlap, give or take the slack of clocks, and one of the stay's cookies has the low
//! bits of the visit's cookie (or the stay has no cookie). With `n` candidates, and `m` the largest number of stays that any
//! of them is a candidate of, the stay weighs `n / max(n, m)` of a conversion: no stay weighs more than one visit, and no visit
//! is given away more than once.
//!
//! For each visit the number of its stays is kept, its *degree*. A change of a stay changes the degrees of its candidates, and so
//! the weights of the stays that share them; a change of a visit changes the weights of its own stays. All of these are near in
//! time. The number of bits that count follows the number of devices, so that it changes at powers of two: then all weights of
//! the day are computed again.

use std::collections::BTreeMap;

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
    visits: BTreeMap<ClosedVisit, VisitState>,
    /// No visit is longer than this, seconds.
    longest_visit: i64,
    sightings: BTreeMap<Pseudonym, DeviceSightings>,
    stays: BTreeMap<StayKey, StayState>,
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

/// The values by which a stay is matched: none for a stay without a cookie.
struct Values {
    mask: u16,
    of: Option<Vec<u16>>,
}

impl Values {
    fn of(stay: &Stay, bits: u32) -> Values {
        let mask = ((1_u32 << bits) - 1) as u16;
        let of = (!stay.cookies.is_empty()).then(|| {
            let mut of: Vec<u16> = stay.cookies.iter().map(|cookie| cookie & mask).collect();
            of.sort_unstable();
            of.dedup();
            of
        });
        Values { mask, of }
    }

    fn admit(&self, visit: &ClosedVisit) -> bool {
        let value = visit.cookie & self.mask;
        self.of
            .as_ref()
            .is_none_or(|of| of.binary_search(&value).is_ok())
    }
}

/// The seconds around a stay in which its candidates lie.
fn reach(stay: &Stay, slack: i64) -> (i64, i64) {
    (
        stay.first.saturating_sub(slack),
        stay.last.saturating_add(slack),
    )
}

/// The keys of all visits that begin within some seconds.
fn beginning(from: i64, until: i64) -> std::ops::RangeInclusive<ClosedVisit> {
    let visit = |first, last, cookie| ClosedVisit {
        first,
        last,
        cookie,
    };
    visit(from, i64::MIN, 0)..=visit(until, i64::MAX, u16::MAX)
}

impl DayState {
    /// The number of visits and stays.
    pub(super) fn entries(&self) -> usize {
        1 + self.visits.len() + self.stays.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let sightings = self.sightings.values().map(DeviceSightings::heap_bytes);
        tree_bytes::<ClosedVisit, VisitState>(self.visits.len())
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
        // The seconds in which the outcomes of stays may change.
        let mut spans: Vec<(i64, i64)> = Vec::new();
        let mut come = stays.partition_point(|(_, _, diff)| *diff < 0);
        for (device, stay, _) in stays.drain(..come) {
            let Some(gone) = self.stays.remove(&(stay.first, device)) else {
                continue;
            };
            if let Some(outcome) = gone.outcome {
                emit(device, &stay, outcome, -1);
            }
            if !all {
                steps += self.share(&stay, slack, -1, &mut spans);
            }
        }
        for (visit, diff) in visits {
            steps += 1;
            let count = self.visits.get(&visit).map_or(0, |of| of.count) + diff;
            if count == 0 {
                self.visits.remove(&visit);
            } else if let Some(of) = self.visits.get_mut(&visit) {
                of.count = count;
            } else {
                self.longest_visit = self.longest_visit.max(visit.last - visit.first);
                let degree = match all {
                    true => 0,
                    false => self.degree(&visit, slack, &mut steps),
                };
                self.visits.insert(visit, VisitState { count, degree });
            }
            spans.push((
                visit.first.saturating_sub(slack),
                visit.last.saturating_add(slack),
            ));
        }
        come = stays.len();
        for (device, stay, _) in stays.drain(..come) {
            self.longest_stay = self.longest_stay.max(stay.last - stay.first);
            if !all {
                steps += self.share(&stay, slack, 1, &mut spans);
                spans.push((stay.first, stay.last));
            }
            let key = (stay.first, device);
            self.stays.insert(
                key,
                StayState {
                    stay,
                    outcome: None,
                },
            );
        }
        if all {
            self.bits = bits;
            for of in self.visits.values_mut() {
                of.degree = 0;
            }
            let stays: Vec<Stay> = self.stays.values().map(|of| of.stay.clone()).collect();
            for stay in stays {
                steps += self.share(&stay, slack, 1, &mut Vec::new());
            }
            spans = vec![(i64::MIN, i64::MAX)];
        }
        steps += self.settle_outcomes(spans, slack, &mut emit);
        if self.visits.is_empty() {
            (self.closed, self.longest_visit) = (None, 0);
        }
        if self.stays.is_empty() {
            self.longest_stay = 0;
        }
        steps
    }

    /// The visits that overlap some seconds.
    fn visits_within(
        &self,
        from: i64,
        until: i64,
    ) -> impl Iterator<Item = (&ClosedVisit, &VisitState)> {
        let begin = from.saturating_sub(self.longest_visit);
        let visits = self.visits.range(beginning(begin, until.max(begin)));
        visits.filter(move |(visit, _)| visit.last >= from)
    }

    /// The stays that overlap some seconds.
    fn stays_within(&self, from: i64, until: i64) -> impl Iterator<Item = (&StayKey, &StayState)> {
        let begin = from.saturating_sub(self.longest_stay);
        let stays = self
            .stays
            .range((begin, 0)..=(until.max(begin), Pseudonym::MAX));
        stays.filter(move |(_, of)| of.stay.last >= from)
    }

    /// The number of stays that a visit is a candidate of.
    fn degree(&self, visit: &ClosedVisit, slack: i64, steps: &mut u64) -> i64 {
        let (from, until) = (
            visit.first.saturating_sub(slack),
            visit.last.saturating_add(slack),
        );
        let stays = self.stays_within(from, until).inspect(|_| *steps += 1);
        let stays = stays.filter(|(_, of)| Values::of(&of.stay, self.bits).admit(visit));
        stays.count() as i64
    }

    /// Changes the degree of the candidates of a stay by `diff`, and notes the seconds of those stays that share one of them.
    /// Returns the number of visits that were visited.
    fn share(&mut self, stay: &Stay, slack: i64, diff: i64, spans: &mut Vec<(i64, i64)>) -> u64 {
        let values = Values::of(stay, self.bits);
        let (from, until) = reach(stay, slack);
        let begin = from.saturating_sub(self.longest_visit);
        let mut steps = 0;
        let mut span: Option<(i64, i64)> = None;
        for (visit, of) in self.visits.range_mut(beginning(begin, until)) {
            steps += 1;
            if visit.last >= from && values.admit(visit) {
                of.degree += diff;
                let (first, last) = span.unwrap_or((visit.first, visit.last));
                span = Some((first.min(visit.first), last.max(visit.last)));
            }
        }
        let widen = |(first, last): (i64, i64)| (first - slack, last + slack);
        spans.extend(span.map(widen));
        steps
    }

    /// Computes the outcomes of all stays that overlap some seconds, and emits what changed. Returns the number of visits and
    /// stays that were visited.
    fn settle_outcomes(
        &mut self,
        mut spans: Vec<(i64, i64)>,
        slack: i64,
        emit: &mut impl FnMut(Pseudonym, &Stay, Outcome, Diff),
    ) -> u64 {
        let mut steps = 0;
        spans.sort_unstable();
        spans.dedup_by(|next, span| {
            let joins = next.0 <= span.1;
            if joins {
                span.1 = span.1.max(next.1);
            }
            joins
        });
        let mut changed: Vec<(StayKey, Outcome)> = Vec::new();
        for (from, until) in spans {
            for (key, of) in self.stays_within(from, until) {
                let outcome = self.outcome(&of.stay, slack, &mut steps);
                if of.outcome != Some(outcome) {
                    changed.push((*key, outcome));
                }
            }
        }
        // A stay may overlap two spans.
        changed.dedup_by_key(|(key, _)| *key);
        for (key, outcome) in changed {
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
        let values = Values::of(stay, self.bits);
        let (from, until) = reach(stay, slack);
        let (mut candidates, mut most) = (0, 0);
        for (visit, of) in self.visits_within(from, until) {
            *steps += 1;
            if values.admit(visit) {
                candidates += of.count;
                most = of.degree.max(most);
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
        let visits = visits.flat_map(|(visit, of)| (0..of.count).map(|_| *visit));
        let visits: Vec<ClosedVisit> = visits.collect();
        self.closed = (!visits.is_empty()).then_some(self.bits);
        (self.bits, visits)
    }
}

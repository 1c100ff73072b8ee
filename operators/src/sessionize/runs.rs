//! Runs: the state that the pings of one device in one store and salt day leave.
//!
//! A run is a sequence of pings without a gap of more than half an hour; weak pings count too. Only its first and last second
//! matter, and whether at least two of its seconds have a strong ping. To decide that, one strong second must be stored; once
//! there are two, no ping can change it. So a run takes a few bytes however many pings it has. Pings may arrive in any order
//! and more than once, and a ping that joins the runs on both sides of it does so in logarithmic time.
//!
//! Pings are only added, so the presence of a device only grows. A device that is present for longer than `max_presence` is
//! staff or a fixture for the rest of the day, and its runs are dropped.

use smallvec::SmallVec;

/// The longest gap within a run, seconds.
pub const MAX_GAP: i64 = 30 * 60;

/// One ping of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// Unix seconds.
    pub second: i64,
    /// The offset from UTC, in seconds east.
    pub utc_offset: i32,
    /// Whether the signal strength reaches `min_rssi`.
    pub is_strong: bool,
    /// The offline cookie that the box gave the device.
    pub offline_cookie: Option<u32>,
}

/// The strong seconds of a run: as much of them as decides whether there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strong {
    None,
    One(i64),
    Several,
}

impl Strong {
    /// The strong seconds of two runs together.
    fn with(self, other: Strong) -> Strong {
        match (self, other) {
            (Strong::None, any) | (any, Strong::None) => any,
            (Strong::One(a), Strong::One(b)) if a == b => self,
            _ => Strong::Several,
        }
    }
}

/// A run of pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The first second, Unix seconds.
    pub first: i64,
    /// The last second, Unix seconds.
    pub last: i64,
    /// The offset from UTC at the first second, in seconds east.
    pub utc_offset: i32,
    /// The strong seconds.
    strong: Strong,
}

impl Run {
    /// The run of a single ping.
    fn of(one: &Sighting) -> Run {
        Run {
            first: one.second,
            last: one.second,
            utc_offset: one.utc_offset,
            strong: match one.is_strong {
                true => Strong::One(one.second),
                false => Strong::None,
            },
        }
    }

    /// Whether two or more of its seconds are strong enough.
    pub fn has_two_strong(&self) -> bool {
        self.strong == Strong::Several
    }

    /// Extends the run by another one that is no more than a gap away.
    fn join(&mut self, other: &Run) {
        // Two pings of one second may disagree about the clock: the smallest offset counts.
        self.utc_offset = match self.first.cmp(&other.first) {
            std::cmp::Ordering::Less => self.utc_offset,
            std::cmp::Ordering::Equal => self.utc_offset.min(other.utc_offset),
            std::cmp::Ordering::Greater => other.utc_offset,
        };
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.strong = self.strong.with(other.strong);
    }
}

/// The runs of one device in one store and salt day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// In order of time, more than [`MAX_GAP`] apart. So there are at most two for every hour of the day.
    runs: SmallVec<[Run; 1]>,
    /// Whether the device was present for too long. Then there are no runs, and further pings are ignored.
    is_fixture: bool,
    /// The smallest offline cookie of the pings.
    cookie: Option<u32>,
}

impl Runs {
    /// The bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self.runs.spilled() {
            true => self.runs.capacity() * size_of::<Run>(),
            false => 0,
        }
    }

    /// The smallest offline cookie of the device's pings, if any has one.
    pub(crate) fn cookie(&self) -> Option<u32> {
        self.cookie
    }

    /// Whether an offline cookie is not the smallest.
    fn has_cookie(&self, cookie: Option<u32>) -> bool {
        cookie.is_none_or(|cookie| self.cookie.is_some_and(|smallest| smallest <= cookie))
    }

    /// The runs, in order of time; none for a fixture.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter()
    }

    /// The index of the first run that does not end more than a gap before a second.
    fn place(&self, second: i64) -> usize {
        let earlier = |run: &Run| second.saturating_sub(run.last) > MAX_GAP;
        self.runs.partition_point(earlier)
    }

    /// Whether a ping would not change the runs.
    pub(crate) fn holds(&self, one: &Sighting) -> bool {
        if self.is_fixture {
            return true;
        }
        let Some(run) = self.runs.get(self.place(one.second)) else {
            return false;
        };
        let mut joined = *run;
        joined.join(&Run::of(one));
        run.first <= one.second && joined == *run && self.has_cookie(one.offline_cookie)
    }

    /// Adds a ping.
    pub(crate) fn add(&mut self, one: &Sighting) {
        if self.is_fixture {
            return;
        }
        if !self.has_cookie(one.offline_cookie) {
            self.cookie = one.offline_cookie;
        }
        let place = self.place(one.second);
        let touches = |run: &Run, second: i64| run.first.saturating_sub(second) <= MAX_GAP;
        let Some(run) = self
            .runs
            .get_mut(place)
            .filter(|run| touches(run, one.second))
        else {
            self.runs.insert(place, Run::of(one));
            return;
        };
        run.join(&Run::of(one));
        let last = run.last;
        let next = self.runs.get(place + 1).copied();
        if let Some(next) = next.filter(|next| touches(next, last)) {
            self.runs.remove(place + 1);
            if let Some(run) = self.runs.get_mut(place) {
                run.join(&next);
            }
        }
    }

    /// Marks a device that is present for longer than `max_presence` seconds in total as a fixture, and drops its runs.
    pub(crate) fn leave_out_fixture(&mut self, max_presence: i64) {
        let presence: i64 = self.runs.iter().map(|run| run.last - run.first).sum();
        if presence > max_presence {
            self.runs = SmallVec::new();
            self.is_fixture = true;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    /// What runs come to, and what pings come to when they are laid out anew: the first and last second, the offset
    /// and whether two are strong.
    type Shape = Vec<(i64, i64, i32, bool)>;

    fn shape(runs: &Runs) -> Shape {
        let runs = runs.iter();
        runs.map(|run| (run.first, run.last, run.utc_offset, run.has_two_strong()))
            .collect()
    }

    fn laid_out(pings: &[Sighting]) -> Shape {
        let mut seconds: Vec<(i64, i32, bool)> = Vec::new();
        let mut sorted = pings.to_vec();
        sorted.sort_by_key(|one| (one.second, one.utc_offset));
        for one in sorted {
            match seconds.last_mut() {
                Some(last) if last.0 == one.second => last.2 |= one.is_strong,
                _ => seconds.push((one.second, one.utc_offset, one.is_strong)),
            }
        }
        seconds
            .chunk_by(|a, b| b.0 - a.0 <= MAX_GAP)
            .map(|run| {
                let (first, last) = (run.first().unwrap(), run.last().unwrap());
                let strong = run.iter().filter(|second| second.2).count();
                (first.0, last.0, first.1, strong >= 2)
            })
            .collect()
    }

    #[test]
    fn in_any_order_the_runs_are_those_of_all_pings() {
        use rand::seq::{IndexedRandom, SliceRandom};
        use rand::{Rng, SeedableRng};
        let mut rng = rand::rngs::StdRng::seed_from_u64(7);
        for _ in 0..20_000 {
            let mut second = 0;
            let mut pings = Vec::new();
            for _ in 0..rng.random_range(1..12) {
                second += *[0, 1, 2, 1799, 1800, 1801, 3599, 3600, 3601]
                    .choose(&mut rng)
                    .unwrap();
                pings.push(Sighting {
                    second,
                    utc_offset: *[3600, 7200].choose(&mut rng).unwrap(),
                    is_strong: rng.random_bool(0.4),
                    offline_cookie: None,
                });
            }
            pings.extend(pings.clone().into_iter().take(rng.random_range(0..4)));
            pings.shuffle(&mut rng);
            let mut runs = Runs::default();
            for (at, one) in pings.iter().enumerate() {
                let before = shape(&runs);
                let held = runs.holds(one);
                runs.add(one);
                assert!(
                    !held || before == shape(&runs),
                    "what is held changes nothing"
                );
                let so_far = pings.get(..=at).unwrap();
                assert_eq!(shape(&runs), laid_out(so_far), "{so_far:?}");
            }
        }
    }

    #[test]
    fn a_day_of_pings_is_one_run_and_a_fixture_is_nothing() {
        let mut runs = Runs::default();
        let mut changed = 0;
        for second in 0..86_400 {
            let one = Sighting {
                second,
                utc_offset: 0,
                is_strong: true,
                offline_cookie: None,
            };
            changed += usize::from(!runs.holds(&one));
            runs.add(&one);
            assert!(runs.runs.len() <= 1);
            runs.leave_out_fixture(8 * 3600);
        }
        // It is laid out no more once it is a fixture.
        assert_eq!(changed, 8 * 3600 + 2);
        assert_eq!(shape(&runs), []);
    }
}

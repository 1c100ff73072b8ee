//! Null paths: the contribution of a person without a conversion to the Markov chains, one path per month.
//!
//! A month that is released by the ladder counts finished days only. So each transition counts from the day of its touch on,
//! and what a conversion takes back from the day of that conversion on.
//!
//! The transitions of a null path end without a conversion. They are emitted one by one, so that a new touch changes only the
//! transitions to its neighbors. The first conversion of a person retracts all of its null paths, and the retraction of its
//! last conversion restores them. For a person with many touches the sums of the transitions are kept from the first such
//! change on, so that the next one does not visit all touches again.

use rustc_hash::FxHashMap;

use super::cell_membership::Contributions;
use super::touches::Touches;
use crate::aggregate::{Aggregate, CellKey, Lacks, Month};
use crate::calendar::month;
use crate::engine::Diff;
use crate::facts::Contact;
use crate::label::Channel;
use crate::label_numbers::LabelNumbers;
use crate::record::{BrandId, Day};

/// The number of touches from which on the sums are kept.
const MANY: u64 = 256;

/// A part of null paths: a transition between two channels in a month, or with `None` the occurrence of a channel in a month;
/// and the day from which on it counts.
type Part = (Month, Channel, Option<Channel>, Day);

/// How long the touches of a person are null paths of one kind of conversions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NullUntil {
    /// The person has no such conversion.
    Always,
    /// Up to the day before the first conversion; the numbers of later days do not count them.
    Day(Day),
    /// Never: the person counts for no path.
    Never,
}

/// How long the touches of a person are null paths: beside sales, and beside visits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct NullSpans {
    pub(super) sales: NullUntil,
    pub(super) visits: NullUntil,
}

impl NullUntil {
    /// The first day that does not count; `None` if all days count.
    fn end(self) -> Option<Day> {
        match self {
            NullUntil::Always => None,
            NullUntil::Day(day) => Some(day),
            NullUntil::Never => Some(Day::MIN),
        }
    }
}

impl NullSpans {
    /// The person counts for no path.
    pub(super) const NEVER: NullSpans = NullSpans {
        sales: NullUntil::Never,
        visits: NullUntil::Never,
    };

    /// The days on which the touches are null paths of persons who lack some conversions: the first, and the first after them;
    /// `None` without an end, or without such days.
    fn days(self, lacks: Lacks) -> Option<(Day, Option<Day>)> {
        let (sales, visits) = (self.sales.end(), self.visits.end());
        // No end is later than any.
        let before = |one: Option<Day>, other: Option<Day>| match (one, other) {
            (Some(one), Some(other)) => one < other,
            (one, None) => one.is_some(),
            (None, _) => false,
        };
        match lacks {
            Lacks::Both if before(sales, visits) => Some((Day::MIN, sales)),
            Lacks::Both => Some((Day::MIN, visits)),
            Lacks::Sales if before(visits, sales) => Some((visits?, sales)),
            Lacks::Visits if before(sales, visits) => Some((sales?, visits)),
            Lacks::Sales | Lacks::Visits => None,
        }
    }

    /// Whether the person lacks just these conversions for good.
    fn is_always(self, lacks: Lacks) -> bool {
        let of = |until: NullUntil| until == NullUntil::Always;
        match (of(self.sales), of(self.visits)) {
            (true, true) => lacks == Lacks::Both,
            (true, false) => lacks == Lacks::Sales,
            (false, true) => lacks == Lacks::Visits,
            (false, false) => false,
        }
    }
}

/// The parts of the null paths that a person has, or would have without its conversions, each with its number.
#[derive(Default)]
pub(super) struct NullPaths {
    /// The parts with a number other than zero.
    parts: FxHashMap<Part, Diff>,
}

/// Adds `diff` times a part to the cells, as long as it is one of a null path.
fn emit_part(
    brand: BrandId,
    spans: NullSpans,
    (month, channel, to, day): Part,
    diff: Diff,
    cells: &mut Contributions<'_>,
) {
    for lacks in Lacks::ALL {
        let Some(to) = to else {
            if spans.is_always(lacks) {
                let key = CellKey::NullReach {
                    brand,
                    month,
                    lacks,
                    channel,
                };
                let is_open = cells.null_is_open;
                cells.add(key, Aggregate::default(), is_open, diff);
            }
            continue;
        };
        let Some((from, until)) = spans.days(lacks) else {
            continue;
        };
        let mut add = |day: Day, diff: Diff| {
            let key = CellKey::NullEdge {
                brand,
                month,
                lacks,
                from: channel,
                to,
                day,
            };
            let one = Aggregate::of(&[1]);
            let one = match cells.null_is_open {
                true => one,
                false => one.changed_by(cells.act),
            };
            cells.deltas.add(key, one, diff);
        };
        let from = day.max(from);
        if until.is_none_or(|until| from < until) {
            add(from, diff);
            if let Some(until) = until {
                add(until, -diff);
            }
        }
    }
}

/// Passes the parts that a touch changes when it is inserted (`diff` 1) or removed (-1) to `add`. `touches` are the others, with
/// the numbers of their channels.
pub(super) fn of_touch(
    (touches, numbers): (&Touches, &LabelNumbers),
    touch: &Contact,
    diff: Diff,
    mut add: impl FnMut(Part, Diff),
) {
    let of = month(touch.day);
    let [before, next] = touches.beside(touch, numbers);
    let before = before.filter(|other| month(other.day) == of);
    let before = before.map(|other| other.channel).unwrap_or_default();
    let next = next.filter(|other| month(other.day) == of);
    let (channel, day) = (touch.channel, touch.day);
    each_part(of, before, (channel, day), |part, by| add(part, by * diff));
    if let Some(next) = next {
        // It follows this touch instead of the one before.
        let next = (next.channel, next.day);
        each_transition(of, before, next, |part, by| add(part, -by * diff));
        each_transition(of, channel, next, |part, by| add(part, by * diff));
    }
}

/// The parts of a touch, its channel and day, after a channel of its month, or at the start: from its day on the path goes on to
/// it, and ends there.
fn each_part(of: Month, before: Channel, touch: (Channel, Day), mut add: impl FnMut(Part, Diff)) {
    each_transition(of, before, touch, &mut add);
    let (channel, day) = touch;
    let end = Channel::default();
    if channel != end {
        add((of, channel, Some(end), day), 1);
    }
    add((of, channel, None, day), 1);
}

/// The transition from a channel to a touch, from the day of the touch on, instead of that to the end.
fn each_transition(
    of: Month,
    before: Channel,
    (channel, day): (Channel, Day),
    mut add: impl FnMut(Part, Diff),
) {
    let end = Channel::default();
    // A transition from a channel to itself changes no removal effect.
    for (to, diff) in [(channel, 1), (end, -1)] {
        if before != to {
            add((of, before, Some(to), day), diff);
        }
    }
}

impl NullPaths {
    /// The parts of all null paths of a person, one path per month. The start and the end of a path are the default channel.
    fn of((touches, numbers): (&Touches, &LabelNumbers)) -> NullPaths {
        let mut sums = NullPaths::default();
        let mut last: Option<(Month, Channel)> = None;
        for touch in touches.iter(numbers) {
            let of = month(touch.day);
            let before = last.filter(|(month, _)| *month == of);
            let before = before.map(|(_, channel)| channel).unwrap_or_default();
            each_part(of, before, (touch.channel, touch.day), |part, by| {
                sums.add(part, by);
            });
            last = Some((of, touch.channel));
        }
        sums
    }

    /// Changes the number of a part.
    pub(super) fn add(&mut self, part: Part, diff: Diff) {
        let count = self.parts.entry(part).or_default();
        *count += diff;
        if *count == 0 {
            self.parts.remove(&part);
        }
    }

    /// Replaces the null paths that a person had by those that it has now, and keeps their sums if there are many touches.
    /// Returns the number of touches and parts that were visited.
    pub(super) fn flip(
        kept: &mut Option<Box<NullPaths>>,
        touches: (&Touches, &LabelNumbers),
        brand: BrandId,
        [was, is]: [NullSpans; 2],
        cells: &mut Contributions<'_>,
    ) -> u64 {
        let mut steps = 0;
        let sums = kept.take().unwrap_or_else(|| {
            steps += touches.0.len();
            Box::new(NullPaths::of(touches))
        });
        for (part, count) in &sums.parts {
            emit_part(brand, was, *part, -count, cells);
            emit_part(brand, is, *part, *count, cells);
        }
        steps += sums.parts.len() as u64;
        *kept = (touches.0.len() >= MANY).then_some(sums);
        steps
    }

    /// Adds a part to the sums, if they are kept, and to the cells, as far as it is one of a null path now.
    pub(super) fn change(
        kept: &mut Option<Box<NullPaths>>,
        brand: BrandId,
        spans: NullSpans,
        (part, diff): (Part, Diff),
        cells: &mut Contributions<'_>,
    ) {
        if let Some(kept) = kept {
            kept.add(part, diff);
        }
        emit_part(brand, spans, part, diff, cells);
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::label::Label;
    use crate::record::TouchKind;

    #[test]
    fn kept_sums_equal_those_of_all_touches() {
        let mut rng = StdRng::seed_from_u64(7);
        let (mut touches, mut held) = (Touches::default(), Vec::new());
        let mut numbers = LabelNumbers::default();
        let mut kept = NullPaths::default();
        for at in 0..3_000 {
            let comes = held.is_empty() || rng.random_bool(if at < 2_000 { 0.7 } else { 0.2 });
            let touch = if comes {
                let day = rng.random_range(0..90);
                Contact {
                    ts: i64::from(day) * 86_400_000 + rng.random_range(0..5),
                    id: at.to_string().into(),
                    source: Label::of("s"),
                    channel: Channel::of(["a", "b", "c"][rng.random_range(0..3)], "", ""),
                    day,
                    kind: [TouchKind::Click, TouchKind::View][rng.random_range(0..2)],
                    touch: true,
                    joins: rng.random_bool(0.5),
                }
            } else {
                held.swap_remove(rng.random_range(0..held.len()))
            };
            if !comes {
                touches.amend(&touch, -1, &mut numbers);
            }
            let diff = if comes { 1 } else { -1 };
            of_touch((&touches, &numbers), &touch, diff, |part, diff| {
                kept.add(part, diff);
            });
            if comes {
                touches.amend(&touch, 1, &mut numbers);
                held.push(touch);
            }
            if at % 50 == 0 {
                assert_eq!(kept.parts, NullPaths::of((&touches, &numbers)).parts);
            }
        }
    }
}

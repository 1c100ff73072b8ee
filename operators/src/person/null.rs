//! Null paths: the contribution of a person without a conversion to the Markov chains, one path per month.
//!
//! The transitions of a null path end without a conversion. They are emitted one by one, so that a new touch changes only the
//! transitions to its neighbors. The first conversion of a person retracts all of its null paths, and the retraction of its
//! last conversion restores them. For a person with many touches the sums of the transitions are kept from the first such
//! change on, so that the next one does not visit all touches again.

use rustc_hash::FxHashMap;

use super::cell_membership::CellMembership;
use super::touches::Touches;
use crate::aggregate::{Aggregate, CellKey, Month};
use crate::calendar::month;
use crate::delta_buffer::DeltaBuffer;
use crate::engine::Diff;
use crate::facts::Contact;
use crate::label::Channel;
use crate::record::BrandId;

/// The number of touches from which on the sums are kept.
const MANY: u64 = 256;

/// A part of null paths: a transition between two channels in a month, or with `None` the occurrence of a channel in a month.
type Part = (Month, Channel, Option<Channel>);

/// The parts of the null paths that a person has, or would have without its conversions, each with its number.
#[derive(Default)]
pub(super) struct NullPaths {
    /// The parts with a number other than zero.
    parts: FxHashMap<Part, Diff>,
}

/// Adds `diff` times a part to the cells.
fn emit_part(
    brand: BrandId,
    (month, channel, to): Part,
    diff: Diff,
    membership: &mut CellMembership<'_>,
    deltas: &mut DeltaBuffer,
) {
    match to {
        Some(to) => {
            let key = CellKey::NullEdge {
                brand,
                month,
                from: channel,
                to,
            };
            let one = Aggregate::of(&[1]);
            let one = match membership.null_is_open {
                true => one,
                false => one.changed_by(membership.act),
            };
            deltas.add(key, one, diff);
        }
        None => {
            let key = CellKey::NullReach {
                brand,
                month,
                channel,
            };
            membership.add(key, membership.null_is_open, diff);
        }
    }
}

/// Passes the parts that a touch changes when it is inserted (`diff` 1) or removed (-1) to `add`. `touches` are the others.
pub(super) fn of_touch(
    touches: &Touches,
    touch: &Contact,
    diff: Diff,
    mut add: impl FnMut(Part, Diff),
) {
    let of = month(touch.day);
    let channel = |other: Option<&Contact>| {
        let other = other.filter(|other| month(other.day) == of);
        other.map(|other| other.channel).unwrap_or_default()
    };
    let [before, next] = touches.beside(touch).map(channel);
    let edges = [
        (before, next, -diff),
        (before, touch.channel, diff),
        (touch.channel, next, diff),
    ];
    // A transition from a channel to itself changes no removal effect.
    for (from, to, diff) in edges.into_iter().filter(|(from, to, _)| from != to) {
        add((of, from, Some(to)), diff);
    }
    add((of, touch.channel, None), diff);
}

impl NullPaths {
    /// The parts of all null paths of a person, one path per month. The start and the end of a path are the default channel.
    fn of(touches: &Touches) -> NullPaths {
        let mut sums = NullPaths::default();
        let end = Channel::default();
        let mut last: Option<(Month, Channel)> = None;
        for touch in touches.iter() {
            let of = month(touch.day);
            let mut from = end;
            match last {
                Some((month, channel)) if month == of => from = channel,
                Some((month, channel)) if channel != end => {
                    sums.add((month, channel, Some(end)), 1);
                }
                _ => {}
            }
            if from != touch.channel {
                sums.add((of, from, Some(touch.channel)), 1);
            }
            sums.add((of, touch.channel, None), 1);
            last = Some((of, touch.channel));
        }
        if let Some((month, channel)) = last.filter(|(_, channel)| *channel != end) {
            sums.add((month, channel, Some(end)), 1);
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

    /// Adds `diff` times all null paths of a person to the cells, and keeps their sums if there are many touches. Returns the
    /// number of touches and parts that were visited.
    pub(super) fn flip(
        kept: &mut Option<Box<NullPaths>>,
        touches: &Touches,
        brand: BrandId,
        diff: Diff,
        membership: &mut CellMembership<'_>,
        deltas: &mut DeltaBuffer,
    ) -> u64 {
        let mut steps = 0;
        let sums = kept.take().unwrap_or_else(|| {
            steps += touches.len();
            Box::new(NullPaths::of(touches))
        });
        for (part, count) in &sums.parts {
            emit_part(brand, *part, count * diff, membership, deltas);
        }
        steps += sums.parts.len() as u64;
        *kept = (touches.len() >= MANY).then_some(sums);
        steps
    }

    /// Adds a part to the sums, if they are kept, and to the cells, if the person has null paths now.
    pub(super) fn change(
        kept: &mut Option<Box<NullPaths>>,
        brand: BrandId,
        is_null: bool,
        (part, diff): (Part, Diff),
        membership: &mut CellMembership<'_>,
        deltas: &mut DeltaBuffer,
    ) {
        if let Some(kept) = kept {
            kept.add(part, diff);
        }
        if is_null {
            emit_part(brand, part, diff, membership, deltas);
        }
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
                touches.amend(&touch, -1);
            }
            let diff = if comes { 1 } else { -1 };
            of_touch(&touches, &touch, diff, |part, diff| kept.add(part, diff));
            if comes {
                touches.amend(&touch, 1);
                held.push(touch);
            }
            if at % 50 == 0 {
                assert_eq!(kept.parts, NullPaths::of(&touches).parts);
            }
        }
    }
}

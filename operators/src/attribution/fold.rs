//! Folding: how a month of any number of channels becomes a chain of at most so many.
//!
//! Channels come from outside, and a chain costs the cube of their number. Where a month has more than its bound the
//! smallest go up: into their source and medium, these into their source, these into the rest of the month. A dimension
//! that is given up is `*`. A folded channel *is* the larger one in every path, so that its transitions are added up, and
//! what went from one to another inside is none any more. The chain is exact, of other channels.
//!
//! The larger of two channels is the one that converting paths reach more often, then the one that other paths reach
//! more often (nobody pushes a channel out by visits alone), then the one that comes first by its words. On each step as
//! many of the largest stay as have room beside what the others become. Where that were fewer than half of the room, half
//! stay, and what the others become goes on to the next step for the room that is left.
//!
//! It is a function of the month's sums alone, so that whoever joins or leaves later folds or unfolds channels exactly.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::label::{Channel, Label, LabelNames};

/// The words of a channel as they are compared: source, medium, campaign, absent ones first.
pub(super) type Name<'a> = [Option<&'a str>; 3];

/// How often converting paths, and others, come to a channel from another.
pub(super) type Visits = (i64, i64);

/// The words of a channel.
pub(super) fn name(channel: Channel, words: &LabelNames) -> Name<'_> {
    let Channel {
        source,
        medium,
        campaign,
    } = channel;
    [source, medium, campaign].map(|label| words.word(label).map(|word| &**word))
}

/// What a channel becomes with its last so many words given up.
fn folded(channel: Channel, given_up: usize) -> Channel {
    let star = Label::of("*");
    Channel {
        source: if given_up >= 3 { star } else { channel.source },
        medium: if given_up >= 2 { star } else { channel.medium },
        campaign: star,
    }
}

/// What each channel of a month that does not stay becomes, with room for so many in all.
pub(super) fn fold(
    visits: &FxHashMap<Channel, Visits>,
    room: usize,
    words: &LabelNames,
) -> FxHashMap<Channel, Channel> {
    let mut becomes = FxHashMap::default();
    let mut room = room.max(1);
    if visits.len() <= room {
        return becomes;
    }
    // Each channel of this step with the ones of the month that it stands for.
    let mut step: Vec<(Channel, Visits, Vec<Channel>)> = visits
        .iter()
        .map(|(channel, visits)| (*channel, *visits, vec![*channel]))
        .collect();
    for given_up in 1..=3 {
        step.sort_by_cached_key(|(channel, visits, _)| (Reverse(*visits), name(*channel, words)));
        let (stay, fits) = staying(&step, room, given_up);
        let mut parents: BTreeMap<Channel, (Visits, Vec<Channel>)> = BTreeMap::new();
        for (channel, visits, members) in step.drain(stay..) {
            let parent = folded(channel, given_up);
            members.iter().for_each(|member| {
                becomes.insert(*member, parent);
            });
            let (sum, all) = parents.entry(parent).or_default();
            *sum = (sum.0 + visits.0, sum.1 + visits.1);
            all.extend(members);
        }
        if fits {
            break;
        }
        room -= stay;
        let parents = parents.into_iter();
        step = parents
            .map(|(channel, (visits, members))| (channel, visits, members))
            .collect();
    }
    becomes
}

/// How many of the largest stay, and whether what the others become has room beside them.
fn staying(
    step: &[(Channel, Visits, Vec<Channel>)],
    room: usize,
    given_up: usize,
) -> (usize, bool) {
    if step.len() <= room {
        return (step.len(), true);
    }
    let mut parents = rustc_hash::FxHashSet::default();
    for stay in (room.div_ceil(2)..step.len()).rev() {
        parents.insert(folded(step[stay].0, given_up));
        if stay + parents.len() <= room {
            return (stay, true);
        }
    }
    // What is left is one: it fits the last place.
    match given_up {
        3 => (room - 1, true),
        _ => (room / 2, false),
    }
}

//! Folding: merges the channels of a month until at most a given number is left.
//!
//! The channels come from the input, and solving a chain may take the cube of their number. A month
//! with more channels than allowed merges the smallest, in up to three steps: channels into their
//! source and medium, these into their source, and these into one rest of the month. A dimension
//! that is merged is `*`. A merged channel replaces its members in every path, so their transitions
//! are added up, and transitions between two members disappear. The chain is exact for the merged
//! channels.
//!
//! Channels are ranked by the transitions into them on converting paths, then by those on null
//! paths (so that traffic without conversions cannot displace a channel), then by name. At each
//! step the largest channels stay, as many as fit together with the parents of the others. If fewer
//! than half of the available places were to stay, half stay, and the parents compete at the next
//! step for the remaining places.
//!
//! The result is a function of the sums of the month alone. A record that arrives or is retracted
//! later folds or unfolds channels exactly.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::label::{Channel, Label, LabelNames};

/// The names of the source, medium and campaign of a channel; absent names are first in the order.
pub(super) type Name<'a> = [Option<&'a str>; 3];

/// The transitions into a channel from another one, on converting and on null paths.
pub(super) type Visits = (i64, i64);

/// The names of a channel, for comparison.
pub(super) fn name(channel: Channel, words: &LabelNames) -> Name<'_> {
    let Channel {
        source,
        medium,
        campaign,
    } = channel;
    [source, medium, campaign].map(|label| words.word(label).map(|word| &**word))
}

/// The parent of a channel that gives up its last `given_up` dimensions, 1 to 3.
fn folded(channel: Channel, given_up: usize) -> Channel {
    let star = Label::of("*");
    Channel {
        source: if given_up >= 3 { star } else { channel.source },
        medium: if given_up >= 2 { star } else { channel.medium },
        campaign: star,
    }
}

/// Returns the replacement of each channel that does not stay, for a chain of at most `room`
/// channels.
///
/// A channel that is not in the result stays. `room` counts as at least 1. Takes O(n log n) steps.
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

/// Returns how many of the ranked channels of a step stay, and whether the parents of the others
/// fit into the remaining places.
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

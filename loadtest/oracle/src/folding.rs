//! Folding: the channels of a chain, if a month has more than the limit allows.
//!
//! Places are assigned in four steps: to channels, to sources with their medium, to sources, and to
//! the month. At each step the candidates are ranked. If all fit into the remaining places, all
//! stay. Otherwise the weakest give way, one after the other, until the others and the parents of
//! the weakest fit, but not so many that fewer than half of the places (rounded down) are taken. If
//! that is not enough, the parents are the candidates of the next step for the remaining places. At
//! the last step all parents are one.
//!
//! A candidate is stronger if more transitions lead to it on converting paths, then on null paths,
//! then by name, bytewise, absent names first. A repetition of the same channel is no transition. A
//! dimension that is given up is `*`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::label::{Channel, Label};

use crate::brand::Brand;
use crate::markov::PathCounts;

/// The numbers of transitions to a channel on converting and on null paths.
type VisitCounts = (u64, u64);

/// The replacement of every channel in a chain of at most `room` channels; a channel that stays is
/// its own replacement.
///
/// The result is a function of the paths alone. `room` counts as at least 1. If the paths have at
/// most `room` channels, all of them stay.
pub(crate) fn fold_channels(
    brand: &Brand,
    converting: &PathCounts<Channel>,
    null: &PathCounts<Channel>,
    room: usize,
) -> BTreeMap<Channel, Channel> {
    let met = visit_counts(converting, null);
    let mut names: BTreeMap<Channel, Channel> = met.keys().map(|of| (*of, *of)).collect();
    let mut competing = met;
    let mut room = room.max(1);
    for step in 0..=3 {
        if competing.len() <= room {
            return names;
        }
        let mut ranked: Vec<(Channel, VisitCounts)> = competing.into_iter().collect();
        ranked.sort_by_key(|(channel, met)| (Reverse(*met), brand.channel_words(*channel)));
        let half = room / 2;
        let (mut stay, mut above) = (ranked.len(), BTreeSet::new());
        while stay > half && stay + above.len() > room {
            stay -= 1;
            above.insert(parent(ranked[stay].0, step));
        }
        competing = BTreeMap::new();
        let mut folded = BTreeMap::new();
        for (channel, met) in ranked.split_off(stay) {
            let above = parent(channel, step);
            let sum = competing.entry(above).or_default();
            *sum = (sum.0 + met.0, sum.1 + met.1);
            folded.insert(channel, above);
        }
        for name in names.values_mut() {
            *name = folded.get(name).copied().unwrap_or(*name);
        }
        room -= stay;
    }
    names
}

/// The parent of a candidate that gives way at a step: at step 0 the campaign is given up, at step
/// 1 the medium as well, and from step 2 on the source too.
fn parent(channel: Channel, step: usize) -> Channel {
    let star = Label::of("*");
    let Channel { source, medium, .. } = channel;
    let [source, medium] = match step {
        0 => [source, medium],
        1 => [source, star],
        _ => [star, star],
    };
    Channel {
        source,
        medium,
        campaign: star,
    }
}

/// The numbers of transitions to each channel.
fn visit_counts(
    converting: &PathCounts<Channel>,
    null: &PathCounts<Channel>,
) -> BTreeMap<Channel, VisitCounts> {
    let mut met: BTreeMap<Channel, VisitCounts> = BTreeMap::new();
    for (path, times) in converting {
        for_each_visit(path, |channel| met.entry(channel).or_default().0 += times);
    }
    for (path, times) in null {
        for_each_visit(path, |channel| met.entry(channel).or_default().1 += times);
    }
    met
}

/// Calls `visit` with each channel of a path that differs from the one before.
fn for_each_visit(path: &[Channel], mut visit: impl FnMut(Channel)) {
    let mut path = path.to_vec();
    path.dedup();
    path.into_iter().for_each(&mut visit);
}

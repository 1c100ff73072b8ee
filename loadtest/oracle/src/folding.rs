//! Folding: the channels of a chain, where a month has more than the limit allows.
//!
//! The room for channels is given out on four steps: to channels, to sources with their medium, to sources, to the month.
//! On each, what there is competes. If all of it fits, it stays. Otherwise the weakest go up, one after the other, until
//! the others and what these become fit; but no more go than leaves half of the room taken (rounded down). If that is not
//! enough, what has been merged competes on the next step for the room that is left. On the last step all that goes up is one.
//!
//! Stronger is who is met more often on converting paths, then on null paths, then who comes first by words, bytewise,
//! null first. To be met again right away does not count. A word that was given up is `*`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::label::{Channel, Label};

use crate::brand::Brand;
use crate::markov::PathCounts;

/// How often something is met on converting and on null paths.
type VisitCounts = (u64, u64);

/// The channel that each channel is, in a chain that tells at most so many apart.
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

/// What goes up on a step becomes.
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

/// The channels of a path, where the one before is another.
fn for_each_visit(path: &[Channel], mut visit: impl FnMut(Channel)) {
    let mut path = path.to_vec();
    path.dedup();
    path.into_iter().for_each(&mut visit);
}

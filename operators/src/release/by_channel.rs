//! Families by channel of a month with a known total: which channels may be published, and how that changes.
//!
//! Assists and the Markov model count the conversions with a touchpoint, whose number and value a reader knows. A conversion
//! stands behind every channel that it counts for, each time with its whole value, so that the sets overlap. The rule is
//! that of [`crate::release::grain`] with a known total; a cell needs `k` contributors without a dominant one, spread over days.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::Day;
use crate::release::grain::{Contributions, Finding, Hierarchy, Rest};
use crate::release::pattern::CellName;
use crate::release::table::ChannelName;
use crate::release::weight::{Rule, Weight};

/// The names of the published cells of a family. The rest of the month is always one, and is not among them.
pub type Names = BTreeSet<CellName>;

/// A conversion behind a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// The contributor.
    pub who: u64,
    /// Whether a source that not everybody can write to vouches for the conversion.
    pub is_vouched: bool,
    /// The day of the conversion.
    pub day: Day,
    /// Its value, minor units.
    pub value: i128,
}

/// The conversions behind each channel.
pub type ByChannel = BTreeMap<ChannelName, Vec<Credit>>;

/// The conversions behind the channels of two states, by part.
struct State<'a> {
    rule: &'a Rule,
    parts: Vec<&'a [Credit]>,
}

impl<'a> State<'a> {
    fn new(rule: &'a Rule, channels: &[&ChannelName], credits: &'a ByChannel) -> State<'a> {
        let parts = channels.iter().map(|channel| {
            let credits = credits.get(*channel);
            credits.map_or(&[][..], |credits| credits)
        });
        State {
            rule,
            parts: parts.collect(),
        }
    }

    fn weight(&self, parts: &[u32]) -> Weight {
        let mut weight = Weight::default();
        let credits = parts
            .iter()
            .filter_map(|part| self.parts.get(*part as usize));
        for of in credits.copied().flatten() {
            weight.add(None, of.who, of.is_vouched, of.day, of.value);
        }
        weight
    }
}

impl Contributions for State<'_> {
    fn judge(&self, parts: &[u32]) -> Finding {
        let weight = self.weight(parts);
        let is_safe = weight.is_safe(self.rule);
        Finding {
            is_empty: weight.is_empty(),
            is_safe,
            is_publishable: is_safe && weight.is_spread(),
        }
    }

    fn contributors(&self, parts: &[u32]) -> u64 {
        self.weight(parts).contributors()
    }
}

fn hierarchy(channels: &[&ChannelName]) -> Hierarchy<CellName> {
    let chains = channels
        .iter()
        .map(|channel| CellName::covering(channel).collect());
    Hierarchy::new(&chains.collect::<Vec<_>>(), Rest::Published)
}

/// The cells of a state on its own; `None` if nothing may be published or there is nothing.
pub fn decide(rule: &Rule, now: &ByChannel) -> Option<Names> {
    let channels: Vec<&ChannelName> = now.keys().collect();
    let names = hierarchy(&channels).decide(&State::new(rule, &channels, now))?;
    (!now.is_empty()).then_some(names)
}

/// The cells in use, moved towards decided ones; `None` if the result may not be published now.
pub fn take_over(
    rule: &Rule,
    used: &Names,
    decided: &Names,
    [then, now]: [&ByChannel; 2],
) -> Option<Names> {
    let channels: BTreeSet<&ChannelName> = then.keys().chain(now.keys()).collect();
    let channels: Vec<&ChannelName> = channels.into_iter().collect();
    let hierarchy = hierarchy(&channels);
    let states = [then, now].map(|credits| State::new(rule, &channels, credits));
    let [then, now] = &states;
    let names = hierarchy.take_over(used, decided, [then, now], &BTreeSet::new())?;
    let counted = hierarchy.cells(&names, now).into_iter();
    let counted = counted.map(|(name, _)| name.clone());
    Some(counted.filter(|name| *name != CellName::Month).collect())
}

/// The cell that a channel belongs to.
pub fn cell_among(names: &Names, channel: &ChannelName) -> CellName {
    let cell = CellName::covering(channel).find(|name| names.contains(name));
    cell.unwrap_or(CellName::Month)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credits(channels: &[(&str, &[(u64, Day)])]) -> ByChannel {
        let channels = channels.iter();
        let by_channel = channels.map(|(name, credits)| {
            let credit = |(who, day): &(u64, Day)| Credit {
                who: *who,
                is_vouched: true,
                day: *day,
                value: 10,
            };
            let credits = credits.iter().map(credit).collect();
            (ChannelName::of(name, "cpc", ""), credits)
        });
        by_channel.collect()
    }

    fn channel(name: &str) -> CellName {
        CellName::Channel(ChannelName::of(name, "cpc", ""))
    }

    #[test]
    fn a_small_channel_is_joined_and_taken_over_when_it_was_safe_before() {
        let rule = Rule::new(2, 80);
        let small = credits(&[
            ("a", &[(1, 1), (2, 2), (3, 1), (8, 2)]),
            ("b", &[(4, 1)]),
            ("c", &[(5, 2), (9, 2), (10, 1)]),
        ]);
        let used = decide(&rule, &small).unwrap_or_default();
        assert_eq!(used, [channel("a")].into());
        let grown = credits(&[
            ("a", &[(1, 1), (2, 2), (3, 1), (8, 2)]),
            ("b", &[(4, 1), (6, 2), (11, 1), (12, 2)]),
            ("c", &[(5, 2), (9, 2), (10, 1), (7, 1)]),
        ]);
        let decided = decide(&rule, &grown).unwrap_or_default();
        assert_eq!(decided.len(), 3);
        // Alone, b would show what the rest held of it.
        let next = take_over(&rule, &used, &decided, [&small, &grown]);
        assert_eq!(next, Some(used.clone()));
        let next = take_over(&rule, &used, &decided, [&grown, &grown]);
        assert_eq!(next, Some(decided));
    }

    #[test]
    fn a_channel_that_becomes_too_small_joins_others_that_the_decided_cells_keep_apart() {
        let rule = Rule::new(2, 80);
        let both = credits(&[
            ("a", &[(1, 1), (2, 2), (3, 1), (7, 2)]),
            ("b", &[(4, 1), (5, 2), (6, 1), (8, 2)]),
        ]);
        let used = decide(&rule, &both).unwrap_or_default();
        assert_eq!(used, [channel("a"), channel("b")].into());
        let fewer = credits(&[("a", &[(1, 1), (2, 2), (3, 1), (7, 2)]), ("b", &[(4, 1)])]);
        let next = take_over(&rule, &used, &used, [&both, &fewer]);
        assert_eq!(next, Some(Names::new()));
        // Nothing of it may be published.
        let few = credits(&[("b", &[(4, 1)])]);
        assert_eq!(take_over(&rule, &used, &used, [&both, &few]), None);
    }

    #[test]
    fn what_may_not_be_published_is_absent() {
        let rule = Rule::new(2, 80);
        assert_eq!(decide(&rule, &credits(&[("a", &[(1, 1)])])), None);
        assert_eq!(decide(&rule, &ByChannel::new()), None);
    }
}

//! Which credits of a channel are published whole.
//!
//! A month of each kind of conversion and currency is published by itself, so
//! that the in-store sales of a channel may have a cell under its name while its
//! orders are in a rest, or hidden with all orders of the month. A ratio of what
//! is left would look exact. The credits of a channel are whole if every kind
//! that the brand sells by is published, and no rest, of which a part may be the
//! channel's, is published where the channel has no cell of its own.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::{Dim, Family};
use tributary_operators::record::Day;

use crate::report::published_cells::{PublishedCells, Window, is_rest};
use crate::report::released_share::{is_gate_sum, names_a_channel};

/// Source, medium and campaign.
type Channel<'a> = [&'a Dim; 3];

/// Model, kind and currency.
type Group<'a> = [&'a Dim; 3];

/// Stores and periods.
type Places<'a> = BTreeSet<[&'a Dim; 2]>;

/// The credits of a brand in a window, by where they are published.
#[derive(Default)]
pub(super) struct WholeCredits<'a> {
    /// Whether the release gate hides anything.
    hides: bool,
    /// The kinds of conversions in each currency, of all windows.
    kinds: BTreeSet<(&'a Dim, &'a Dim)>,
    /// What is published.
    groups: BTreeSet<Group<'a>>,
    /// The places of the rests of a group.
    rests: BTreeMap<Group<'a>, BTreeMap<Channel<'a>, Places<'a>>>,
    /// The places of the channels of a group.
    own: BTreeMap<(Group<'a>, Channel<'a>), Places<'a>>,
}

impl<'a> WholeCredits<'a> {
    /// Reads the credits of a brand; none if nothing is ever hidden.
    pub(super) fn read(
        board: &'a PublishedCells,
        brand: &str,
        window: Window,
        today: Day,
        hides: bool,
    ) -> WholeCredits<'a> {
        let mut whole = WholeCredits {
            hides,
            ..WholeCredits::default()
        };
        if !hides {
            return whole;
        }
        for of in Window::MONTHS {
            for (dims, _) in board.cells(Family::Attribution, brand, of.periods(today)) {
                let [
                    _,
                    model,
                    source,
                    medium,
                    campaign,
                    kind,
                    store,
                    day,
                    currency,
                ] = dims
                else {
                    continue;
                };
                whole.kinds.insert((currency, kind));
                if of != window {
                    continue;
                }
                let group = [model, kind, currency];
                let channel = [source, medium, campaign];
                whole.groups.insert(group);
                let places = match names_a_channel(source, medium, campaign) {
                    true => whole.own.entry((group, channel)).or_default(),
                    false => {
                        let rests = whole.rests.entry(group).or_default();
                        rests.entry(channel).or_default()
                    }
                };
                places.insert([store, day]);
            }
        }
        whole
    }

    /// Whether nothing of a channel's credits in a currency is hidden.
    pub(super) fn is_whole(&self, model: &Dim, currency: &Dim, channel: Channel<'_>) -> bool {
        let mut kinds = self.kinds.iter().filter(|(of, _)| *of == currency);
        !self.hides || kinds.all(|(_, kind)| self.is_kind_whole([model, kind, currency], channel))
    }

    fn is_kind_whole(&self, group: Group<'_>, channel: Channel<'_>) -> bool {
        let own = self.own.get(&(group, channel));
        let is_own = |place| own.is_some_and(|own| own.contains(place));
        let mut rests = self.rests.get(&group).into_iter().flatten();
        self.groups.contains(&group)
            && rests.all(|(rest, places)| !may_hold(*rest, channel) || places.iter().all(is_own))
    }
}

/// Whether a part of a rest may be a channel's.
fn may_hold(rest: Channel<'_>, channel: Channel<'_>) -> bool {
    let [source, medium, campaign] = rest;
    let mut names = rest.into_iter().zip(channel);
    is_gate_sum(source, medium, campaign) || names.all(|(rest, own)| is_rest(rest) || rest == own)
}

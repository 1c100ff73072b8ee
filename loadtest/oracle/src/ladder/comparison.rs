//! The comparison of exposed and unexposed persons (`visit_lift`) of a month beside everything else that is published of it.
//!
//! A channel tells the stays of a month apart: those of its exposed persons since the first contact, those of the unexposed,
//! and the rest. Each published cell of the month that holds stays of more than one of these is mixed. What one of the three
//! has in mixed cells, and what the two others have there, must be safe, or there is nothing: then no difference of published
//! numbers that a reader could know to be a sum shows few. A channel that is or was compared tells the stays of others apart
//! as published cells do.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::{Cell, Dim, Family};

use super::contribution::{Contribution, is_shared};
use super::name::{Name, is_star};
use super::panel::{Panel, Stay, Words};
use super::sales::{Context, Counted, Pattern};
use super::threshold::Threshold;
use crate::brand::Brand;
use crate::person::Person;
use crate::rules::Model;

/// The most channels that are compared in a month.
const MOST: usize = 32;

/// Which of the three a stay belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Since,
    Rest,
    Unexposed,
}

/// What a division says of a part of a stay: the side, the cell, the stay, and how much of it.
type Parts<'a, C> = Vec<(Side, C, &'a Stay, i128)>;

impl Panel {
    fn side(&self, channel: &Words, stay: &Stay) -> Side {
        let Some(person) = stay.person.filter(|person| self.members.contains(person)) else {
            return Side::Rest;
        };
        match self.firsts.get(channel).and_then(|of| of.get(&person)) {
            None => Side::Unexposed,
            Some(first) if stay.ts >= *first => Side::Since,
            Some(_) => Side::Rest,
        }
    }

    fn exposed(&self, channel: &Words) -> BTreeSet<Person> {
        let firsts = self.firsts.get(channel).into_iter().flatten();
        firsts.map(|(person, _)| *person).collect()
    }

    /// The cells of the channels that may be compared. `known` are those that were compared before; those of now join them.
    pub(super) fn cells(
        &self,
        context: &Context,
        month: i32,
        pattern: &Pattern,
        counted: &Counted,
        known: &mut BTreeSet<Words>,
    ) -> Vec<Cell> {
        let of_stays = counted.revenue.iter().filter(|of| of.place.0);
        if of_stays.count() < self.stays.len() {
            return Vec::new();
        }
        let k = context.brand.settings.k as usize;
        let names = self.firsts.keys().filter(|name| {
            let is_large = known.contains(*name) || self.exposed(name).len() >= k;
            is_large && !name.iter().any(is_star)
        });
        let mut names: Vec<&Words> = names.collect();
        names.sort_by_key(|name| {
            let is_new = !known.contains(*name);
            let exposed = is_new.then(|| Reverse(self.exposed(name).len()));
            (is_new, exposed, (*name).clone())
        });
        names.truncate(2 * MOST);
        let mut beside: Vec<&Words> = Vec::new();
        let mut cells = Vec::new();
        for name in names {
            if cells.len() == MOST {
                break;
            }
            let is_compared = self.stands_alone(context, pattern, name)
                && beside
                    .iter()
                    .all(|other| self.stand_together(context, name, other));
            if is_compared || known.contains(name) {
                beside.push(name);
            }
            if is_compared {
                cells.push(self.cell(context.brand, month, name));
            }
        }
        let compared = cells.iter().map(|cell| {
            let word = |at: usize| match &cell.dims[at] {
                Dim::Text(word) => Some(word.clone()),
                _ => None,
            };
            [word(2), word(3), word(4)]
        });
        known.extend(compared);
        cells
    }

    fn cell(&self, brand: &Brand, month: i32, channel: &Words) -> Cell {
        let weight = |side: Side| -> i128 {
            let stays = self.stays.iter();
            let stays = stays.filter(|stay| self.side(channel, stay) == side);
            stays.map(|stay| stay.weight).sum()
        };
        let exposed = self.exposed(channel).len();
        let mut dims = vec![brand.name(), Dim::Month(month)];
        let words = channel.iter().cloned();
        dims.extend(words.map(|word| word.map_or(Dim::Null, Dim::Text)));
        Cell {
            family: Family::VisitLift,
            dims,
            values: vec![
                exposed as i128,
                weight(Side::Since),
                (self.members.len() - exposed) as i128,
                weight(Side::Unexposed),
            ],
        }
    }

    fn stands_alone(&self, context: &Context, pattern: &Pattern, channel: &Words) -> bool {
        let k = context.brand.settings.k as usize;
        let exposed = self.exposed(channel).len();
        let reached = self.reached.get(channel).map_or(0, BTreeSet::len);
        let outside = reached.saturating_sub(exposed);
        if exposed < k || self.members.len() - exposed < k || (1..k).contains(&outside) {
            return false;
        }
        let (cell, piece) = thresholds(context);
        let of = |side: Side| -> Vec<(&Stay, i128)> {
            let stays = self.stays.iter();
            let stays = stays.filter(|stay| self.side(channel, stay) == side);
            stays.map(|stay| (stay, stay.weight)).collect()
        };
        let rest = of(Side::Rest);
        let is_published = is_met(cell, &of(Side::Since)) && is_met(cell, &of(Side::Unexposed));
        if !is_published || !rest.is_empty() && !is_met(piece, &rest) {
            return false;
        }
        let stays = || {
            let stays = self.stays.iter();
            stays.map(|stay| (self.side(channel, stay), stay))
        };
        let ladder = context.channels();
        let revenue: Parts<Option<&Name>> = stays()
            .map(|(side, stay)| {
                let cell = context
                    .revenue()
                    .place(&pattern.base, &stay.revenue)
                    .cloned();
                let cell = stay
                    .revenue
                    .iter()
                    .find(|name| Some(*name) == cell.as_ref());
                (side, cell, stay, stay.weight)
            })
            .collect();
        let touched: Parts<bool> = stays()
            .map(|(side, stay)| (side, stay.has_touch, stay, stay.weight))
            .collect();
        let is_hidden_by_model = |model: Model| {
            let names = match is_shared(model) {
                true => &pattern.base,
                false => &pattern.single,
            };
            let parts = stays().flat_map(|(side, stay)| {
                let credits = stay.credits.iter().filter(|(of, ..)| *of == model);
                credits.map(move |(_, chain, amount)| (side, chain, stay, *amount))
            });
            let parts: Parts<Option<&Name>> = parts
                .map(|(side, chain, stay, amount)| (side, ladder.place(names, chain), stay, amount))
                .collect();
            is_hidden_in_mixed(piece, &parts)
        };
        is_hidden_in_mixed(piece, &revenue)
            && is_hidden_in_mixed(piece, &touched)
            && Model::ALL.into_iter().all(is_hidden_by_model)
    }

    fn stand_together(&self, context: &Context, one: &Words, other: &Words) -> bool {
        let (_, piece) = thresholds(context);
        let parts = |of: &Words, by: &Words| -> Parts<Side> {
            let stays = self.stays.iter();
            let parts = stays.map(|stay| {
                let (side, cell) = (self.side(of, stay), self.side(by, stay));
                (side, cell, stay, stay.weight)
            });
            parts.collect()
        };
        is_hidden_in_mixed(piece, &parts(one, other))
            && is_hidden_in_mixed(piece, &parts(other, one))
            && self.persons_are_hidden(context, [one, other])
            && self.persons_are_hidden(context, [other, one])
    }

    /// Whether the persons whom one channel exposed show nothing small beside those whom another did and did not expose.
    fn persons_are_hidden(&self, context: &Context, [one, other]: [&Words; 2]) -> bool {
        let (one, other) = (self.exposed(one), self.exposed(other));
        let (mut inside, mut outside) = (0, 0);
        for is_exposed in [true, false] {
            let cell = self
                .members
                .iter()
                .filter(|person| other.contains(person) == is_exposed);
            let own = cell.clone().filter(|person| one.contains(person)).count();
            let others = cell.count() - own;
            if own > 0 && others > 0 {
                (inside, outside) = (inside + own, outside + others);
            }
        }
        let k = context.brand.settings.k as usize;
        inside == 0 || inside >= k && outside >= k
    }
}

/// What a cell must have, and what a piece of one must have.
fn thresholds(context: &Context) -> (Threshold, Threshold) {
    let cell = context.channels().threshold;
    (cell, cell.of_any_days())
}

fn is_hidden_in_mixed<C: Ord + Copy>(piece: Threshold, parts: &Parts<C>) -> bool {
    let mut sides: BTreeMap<C, BTreeSet<Side>> = BTreeMap::new();
    for (side, cell, ..) in parts {
        sides.entry(*cell).or_default().insert(*side);
    }
    [Side::Since, Side::Rest, Side::Unexposed]
        .into_iter()
        .all(|side| {
            let mixed = parts.iter().filter(|(_, cell, ..)| {
                let sides = &sides[cell];
                sides.contains(&side) && sides.len() > 1
            });
            let (own, others): (Vec<_>, Vec<_>) = mixed.partition(|part| part.0 == side);
            let set = |parts: Vec<&(Side, C, &Stay, i128)>| -> bool {
                let set: Vec<(&Stay, i128)> = parts.iter().map(|part| (part.2, part.3)).collect();
                set.is_empty() || is_met(piece, &set)
            };
            set(own) && set(others)
        })
}

fn is_met(threshold: Threshold, set: &[(&Stay, i128)]) -> bool {
    let contributions = set.iter().map(|(stay, weight)| Contribution {
        model: None,
        who: stay.who,
        vouched: stay.vouched,
        day: stay.day,
        place: (true, None),
        chain: Vec::new(),
        values: Vec::new(),
        weight: *weight,
    });
    let contributions: Vec<Contribution> = contributions.collect();
    threshold.is_met(&contributions.iter().collect::<Vec<_>>())
}

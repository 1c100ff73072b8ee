//! The comparison of exposed and unexposed persons: which channels of a month may be compared beside its other numbers.
//!
//! A comparison publishes four numbers of a channel: how many members of the panel were exposed, what their stays since weigh,
//! how many were not, and what theirs weigh. A reader has other numbers of the same stays: their total, their revenue by
//! store and day, and their credits under every model. He may know of two sets that one holds the other, because a campaign
//! began on a day or reached a single town; then he takes one number off the other. So a channel is compared only if that
//! shows nobody:
//!
//! - Each channel divides the stays of the month into three: those of the exposed since, those of the unexposed, and all
//!   others, which a reader has as the rest of the total. Each of them is safe; the last one may be empty.
//! - Whatever else is published of the stays divides them into cells. The cells that lie within one of the three, and those
//!   that lie outside, are taken off and leave the *mixed* cells, which hold some of both. What one of the three has in
//!   mixed cells, and what the others have there, is safe or nothing. Any union of published cells that holds it, or that it
//!   holds, then differs from it by something safe.
//! - The same holds of any two channels, each dividing the stays of the other, and of the persons whom they exposed, whose
//!   number is what counts. Persons whom a channel reached and who are not in the panel are none or at least `k`: the contacts of
//!   a month name the persons of both.
//!
//! A channel that was once compared divides the others for good, whether or not it may still be compared: its last numbers are
//! known. At most [`MOST_COMPARED`] channels are compared, those that exposed the most persons, of twice as many
//! that are looked at.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::record::Day;
use crate::release::pattern::CellName;
use crate::release::table::ChannelName;
use crate::release::weight::{Rule, Weight};

/// The largest number of channels that are compared in a month.
pub const MOST_COMPARED: usize = 32;

/// What a published cell counts of a stay. The cells of one division hold each stay once, if in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The index of the division.
    pub division: u32,
    /// The index of the cell in its division.
    pub cell: u32,
    /// Millionths of a conversion.
    pub amount: i128,
}

/// A stay that the published numbers of a month count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    /// The contributor.
    pub who: u64,
    /// Whether a verified source vouches for it.
    pub is_vouched: bool,
    /// The day.
    pub day: Day,
    /// Millionths of a conversion.
    pub weight: i128,
    /// Its parts in the published cells.
    pub parts: Vec<Part>,
}

/// A person of the panel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its stays, as indexes, in the order of time.
    pub stays: Vec<usize>,
    /// The channels that it was exposed to, as indexes, each with the number of its stays before.
    pub exposed: Vec<(usize, usize)>,
}

/// A month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Panel {
    /// The names of the channels.
    pub channels: Vec<ChannelName>,
    /// The persons that each channel reached, whether or not they are in the panel.
    pub reached: Vec<u64>,
    /// The members.
    pub members: Vec<Member>,
    /// All stays, whether or not a member's.
    pub stays: Vec<Stay>,
}

/// The compared channels: exposed persons, the weight of their stays since, unexposed persons, and the weight of theirs.
pub type Compared = BTreeMap<ChannelName, [i128; 4]>;

/// A stay of an exposed member since the first contact.
const SINCE: usize = 0;
/// A stay of an exposed member before it, or of a person who is not in the panel.
const OTHER: usize = 1;
/// A stay of a member who was not exposed.
const UNEXPOSED: usize = 2;

/// How a channel divides the stays and the members of a month.
struct Sides {
    /// For each stay one of the three.
    stays: Vec<usize>,
    /// For each member whether it was exposed.
    members: Vec<bool>,
}

impl Panel {
    /// The members that each channel exposed.
    fn exposed(&self) -> Vec<u64> {
        let mut exposed = vec![0; self.channels.len()];
        for (channel, _) in self.members.iter().flat_map(|of| &of.exposed) {
            if let Some(count) = exposed.get_mut(*channel) {
                *count += 1;
            }
        }
        exposed
    }

    fn sides(&self, channel: usize) -> Sides {
        let mut sides = Sides {
            stays: vec![OTHER; self.stays.len()],
            members: Vec::with_capacity(self.members.len()),
        };
        for member in &self.members {
            let first = member.exposed.iter().find(|(of, _)| *of == channel);
            sides.members.push(first.is_some());
            for (at, stay) in member.stays.iter().enumerate() {
                if let Some(side) = sides.stays.get_mut(*stay) {
                    *side = match first {
                        None => UNEXPOSED,
                        Some((_, before)) if at < *before => OTHER,
                        Some(_) => SINCE,
                    };
                }
            }
        }
        sides
    }

    /// The number of divisions.
    fn divisions(&self) -> u32 {
        let parts = self.stays.iter().flat_map(|stay| &stay.parts);
        parts.map(|part| part.division + 1).max().unwrap_or(0)
    }
}

impl Sides {
    fn exposed(&self) -> u64 {
        self.members
            .iter()
            .filter(|is_exposed| **is_exposed)
            .count() as u64
    }

    fn values(&self, panel: &Panel) -> [i128; 4] {
        let weight = |side| -> i128 {
            let stays = panel.stays.iter().zip(&self.stays);
            let stays = stays.filter(|(_, of)| **of == side);
            stays.map(|(stay, _)| stay.weight).sum()
        };
        let exposed = i128::from(self.exposed());
        let all = self.members.len() as i128;
        [exposed, weight(SINCE), all - exposed, weight(UNEXPOSED)]
    }
}

/// Whether a channel has a cell that could not be taken for the rest of another.
fn has_own_cell(name: &ChannelName) -> bool {
    let finest = CellName::covering(name).next();
    finest.is_some_and(|of| matches!(of, CellName::Channel(_)))
}

/// A part of a stay with the side and the cell that it belongs to.
type SidePart<'a> = (&'a Stay, usize, usize, i128);

impl Rule {
    /// The channels that are compared. `used` are those that were compared before.
    pub fn compare(&self, panel: &Panel, used: &BTreeSet<ChannelName>) -> Compared {
        let exposed = panel.exposed();
        let mut candidates: Vec<(usize, &ChannelName, u64)> = (0..)
            .zip(&panel.channels)
            .zip(exposed)
            .map(|((at, name), exposed)| (at, name, exposed))
            .filter(|(_, name, exposed)| used.contains(*name) || *exposed >= self.k)
            .filter(|(_, name, _)| has_own_cell(name))
            .collect();
        candidates.sort_by_key(|(_, name, exposed)| {
            let is_new = !used.contains(*name);
            (is_new, Reverse(is_new.then_some(*exposed)), (*name).clone())
        });
        candidates.truncate(2 * MOST_COMPARED);
        let mut kept: Vec<Sides> = Vec::new();
        let mut compared = Compared::new();
        for (at, name, _) in candidates {
            if compared.len() == MOST_COMPARED {
                break;
            }
            let sides = panel.sides(at);
            let may_be = self.stands_alone(panel, at, &sides)
                && kept.iter().all(|of| self.stands_beside(panel, &sides, of));
            if may_be {
                compared.insert(name.clone(), sides.values(panel));
            }
            if may_be || used.contains(name) {
                kept.push(sides);
            }
        }
        compared
    }

    /// Whether a channel may be compared beside the published cells of the month.
    fn stands_alone(&self, panel: &Panel, channel: usize, sides: &Sides) -> bool {
        let (exposed, all) = (sides.exposed(), sides.members.len() as u64);
        let reached = panel.reached.get(channel).copied().unwrap_or(0);
        let outside = reached.saturating_sub(exposed);
        if exposed < self.k || all - exposed < self.k || (1..self.k).contains(&outside) {
            return false;
        }
        let mut weights = [(); 3].map(|()| Weight::default());
        for (stay, side) in panel.stays.iter().zip(&sides.stays) {
            if let Some(weight) = weights.get_mut(*side) {
                weight.add(None, stay.who, stay.is_vouched, stay.day, stay.weight);
            }
        }
        let [since, other, unexposed] = &weights;
        let is_published = |of: &Weight| of.is_safe(self) && of.is_spread();
        is_published(since)
            && is_published(unexposed)
            && (other.is_empty() || other.is_safe(self))
            && (0..panel.divisions()).all(|division| {
                let stays = panel.stays.iter().zip(&sides.stays);
                let parts = stays.flat_map(|(stay, side)| {
                    let parts = stay.parts.iter().filter(move |of| of.division == division);
                    parts.map(move |of| (stay, *side, of.cell as usize, of.amount))
                });
                self.is_hidden_in_mixed(parts)
            })
    }

    /// Whether two channels may be compared beside each other.
    fn stands_beside(&self, panel: &Panel, one: &Sides, other: &Sides) -> bool {
        let parts = |of: &Sides, by: &Sides| -> bool {
            let sides = of.stays.iter().zip(&by.stays);
            let parts = panel.stays.iter().zip(sides);
            self.is_hidden_in_mixed(
                parts.map(|(stay, (side, cell))| (stay, *side, *cell, stay.weight)),
            )
        };
        parts(one, other) && parts(other, one) && self.persons_are_hidden(one, other)
    }

    /// Whether the persons whom one of two channels exposed differ from those of the other, or from those whom the other did not
    /// expose, by none or enough, if one of the two sets holds the other.
    fn persons_are_hidden(&self, one: &Sides, other: &Sides) -> bool {
        let count = |sides: [bool; 2]| {
            let members = one.members.iter().zip(&other.members);
            members
                .filter(|(one, other)| [**one, **other] == sides)
                .count() as u64
        };
        let [both, first, second, none] =
            [[true, true], [true, false], [false, true], [false, false]].map(count);
        let is_hidden = |inside: [u64; 2], outside: [u64; 2]| {
            let mixed = inside
                .iter()
                .zip(&outside)
                .filter(|(a, b)| **a > 0 && **b > 0);
            let (inside, outside) = mixed.fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
            inside == 0 || inside >= self.k && outside >= self.k
        };
        is_hidden([both, first], [second, none]) && is_hidden([both, second], [first, none])
    }

    /// Whether what each side has in mixed cells, and what the others have there, is safe or nothing. Each side by itself is.
    fn is_hidden_in_mixed<'a>(&self, parts: impl Iterator<Item = SidePart<'a>> + Clone) -> bool {
        let mut cells: Vec<[bool; 3]> = Vec::new();
        for (_, side, cell, _) in parts.clone() {
            if cells.len() <= cell {
                cells.resize(cell + 1, [false; 3]);
            }
            if let Some(has) = cells.get_mut(cell).and_then(|cell| cell.get_mut(side)) {
                *has = true;
            }
        }
        [SINCE, OTHER, UNEXPOSED].into_iter().all(|side| {
            let is_mixed = |cell: &[bool; 3]| {
                let is_inside = cell.get(side).copied().unwrap_or(false);
                is_inside && cell.iter().filter(|has| **has).count() > 1
            };
            let mut used = cells.iter().filter(|cell| cell.contains(&true));
            if used.clone().all(is_mixed) || !used.any(is_mixed) {
                return true;
            }
            let (mut inside, mut outside) = (Weight::default(), Weight::default());
            let mixed = parts.clone();
            for (stay, of, _, amount) in
                mixed.filter(|part| cells.get(part.2).is_some_and(is_mixed))
            {
                let weight = if of == side {
                    &mut inside
                } else {
                    &mut outside
                };
                weight.add(None, stay.who, stay.is_vouched, stay.day, amount);
            }
            inside.is_safe(self) && outside.is_safe(self)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A panel of one channel: members with the days of their stays, and the number of them before the first contact.
    fn panel(members: &[(&[Day], Option<usize>)]) -> Panel {
        let mut panel = Panel {
            channels: vec![ChannelName::of("a", "cpc", "")],
            reached: vec![members.iter().filter(|(_, first)| first.is_some()).count() as u64],
            ..Panel::default()
        };
        for (who, (days, first)) in (0..).zip(members) {
            let mut member = Member::default();
            for day in *days {
                member.stays.push(panel.stays.len());
                panel.stays.push(Stay {
                    who,
                    is_vouched: true,
                    day: *day,
                    weight: 1_000_000,
                    parts: Vec::new(),
                });
            }
            member.exposed.extend(first.map(|before| (0, before)));
            panel.members.push(member);
        }
        panel
    }

    fn compared(panel: &Panel) -> Option<[i128; 4]> {
        let all = Rule::new(2, 80).compare(panel, &BTreeSet::new());
        all.into_values().next()
    }

    #[test]
    fn a_channel_is_compared_if_enough_were_exposed_and_enough_were_not() {
        let [exposed, not]: [(&[Day], _); 2] = [(&[1, 2], Some(0)), (&[1, 2], None)];
        let enough = panel(&[exposed, exposed, not, not]);
        assert_eq!(compared(&enough), Some([2, 4_000_000, 2, 4_000_000]));
        assert_eq!(compared(&panel(&[exposed, exposed, not])), None);
        assert_eq!(compared(&panel(&[exposed, not, not])), None);
    }

    #[test]
    fn the_rest_of_the_total_shows_nobody() {
        let [exposed, late, not]: [(&[Day], _); 3] =
            [(&[1, 2], Some(0)), (&[1, 2], Some(1)), (&[1, 2], None)];
        assert_eq!(compared(&panel(&[exposed, exposed, late, not, not])), None);
        let several = panel(&[exposed, exposed, late, late, not, not]);
        assert_eq!(compared(&several), Some([4, 6_000_000, 2, 4_000_000]));
    }

    #[test]
    fn a_cell_that_holds_one_stay_more_hides_the_channel() {
        let [exposed, not]: [(&[Day], _); 2] = [(&[1, 2], Some(0)), (&[1, 2], None)];
        let mut panel = panel(&[exposed, exposed, not, not]);
        let divide = |panel: &mut Panel, first: std::ops::Range<usize>| {
            for (at, stay) in panel.stays.iter_mut().enumerate() {
                let cell = u32::from(!first.contains(&at));
                let amount = stay.weight;
                stay.parts = vec![Part {
                    division: 0,
                    cell,
                    amount,
                }];
            }
        };
        divide(&mut panel, 0..4);
        assert!(compared(&panel).is_some());
        divide(&mut panel, 0..5);
        assert_eq!(compared(&panel), None);
    }

    #[test]
    fn persons_who_are_not_in_the_panel_are_none_or_enough() {
        let [exposed, not]: [(&[Day], _); 2] = [(&[1, 2], Some(0)), (&[1, 2], None)];
        let mut panel = panel(&[exposed, exposed, not, not]);
        panel.reached = vec![3];
        assert_eq!(compared(&panel), None);
        panel.reached = vec![4];
        assert!(compared(&panel).is_some());
    }
}

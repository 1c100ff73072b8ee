//! The names of the published cells of revenue of a month, and which of them counts a place on a day.
//!
//! A contribution belongs to the finest named cell that covers it, so that a coarser cell is the rest of what its name says.
//! Sales that no cell covers *stay out*: they are in no published number.
//!
//! A published cell that becomes too small joins others under a coarser name. Where that name covers sales that stay out as
//! well, a reader who knows what has joined would see them in the difference. Such a cell counts its *members* alone: the places
//! and days that had a cell before. The members are a part of what is published ([`crate::cells::Standing`]), because a
//! restart knows the published cells alone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::record::Day;
use crate::release::table::{Place, RevenueKind};

/// The name of a cell of revenue. The order is that in which cells are taken over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RevenueName {
    /// A store on a day.
    StoreDay(Day, Place),
    /// The rest of a day.
    Day(Day, RevenueKind),
    /// The rest of the month.
    Month(RevenueKind),
}

impl RevenueName {
    /// The day of the cell, if it is of a single one.
    pub fn day(&self) -> Option<Day> {
        match self {
            RevenueName::StoreDay(day, _) | RevenueName::Day(day, _) => Some(*day),
            RevenueName::Month(_) => None,
        }
    }

    /// What the cell counts.
    pub fn kind(&self) -> RevenueKind {
        match self {
            RevenueName::StoreDay(_, place) => place.kind,
            RevenueName::Day(_, kind) | RevenueName::Month(kind) => *kind,
        }
    }

    /// The names that cover a place on a day, the finest first.
    pub fn covering(day: Day, place: &Place) -> [RevenueName; 3] {
        [
            RevenueName::StoreDay(day, place.clone()),
            RevenueName::Day(day, place.kind),
            RevenueName::Month(place.kind),
        ]
    }

    /// Whether the name covers a place on a day.
    pub fn covers(&self, day: Day, place: &Place) -> bool {
        RevenueName::covering(day, place).contains(self)
    }
}

/// A place on a day as a member of a cell: a hash, because a restart may not know the place any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member(pub u64);

impl Member {
    /// A place on a day.
    pub fn of(day: Day, place: &Place) -> Member {
        let mut bytes = day.to_le_bytes().to_vec();
        bytes.push(match place.kind {
            RevenueKind::Sale => 0,
            RevenueKind::Stay => 1,
        });
        if let Some(store) = &place.store {
            bytes.push(b'=');
            bytes.extend(store.as_bytes());
        }
        Member(xxh3_64(&bytes))
    }
}

/// The members of a cell.
pub type Members = BTreeSet<Member>;

/// The names of the published cells of revenue of a month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevenueNames {
    names: BTreeSet<RevenueName>,
    /// The cells that count their members alone.
    members: BTreeMap<RevenueName, Members>,
}

impl RevenueNames {
    /// The cell that a place and day belong to, if any.
    pub fn cell_of(&self, day: Day, place: &Place) -> Option<RevenueName> {
        let covering = RevenueName::covering(day, place).into_iter();
        let mut cells = covering.filter(|name| self.names.contains(name));
        cells.find(|name| {
            let members = self.members.get(name);
            members.is_none_or(|members| members.contains(&Member::of(day, place)))
        })
    }

    /// Whether there is a cell of a name.
    pub fn contains(&self, name: &RevenueName) -> bool {
        self.names.contains(name)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names in order.
    pub fn iter(&self) -> impl Iterator<Item = &RevenueName> {
        self.names.iter()
    }

    /// The members of a cell; `None` if it counts all that its name covers.
    pub fn members(&self, name: &RevenueName) -> Option<&Members> {
        self.members.get(name)
    }

    /// Adds a cell that counts all that its name covers.
    pub fn insert(&mut self, name: RevenueName) {
        self.members.remove(&name);
        self.names.insert(name);
    }

    /// Adds a cell that counts these members alone.
    pub fn insert_members(&mut self, name: RevenueName, members: Members) {
        self.names.insert(name.clone());
        self.members.insert(name, members);
    }

    /// Takes a cell out. Returns whether there was one.
    pub fn remove(&mut self, name: &RevenueName) -> bool {
        self.members.remove(name);
        self.names.remove(name)
    }

    /// Takes out the cells that do not fulfil a condition.
    pub fn retain(&mut self, is_kept: impl Fn(&RevenueName) -> bool) {
        self.names.retain(&is_kept);
        self.members.retain(|name, _| is_kept(name));
    }

    /// The names in which two patterns differ, or that count all in one of them and members in the other, in order.
    pub(super) fn differences(&self, other: &RevenueNames) -> Vec<RevenueName> {
        let names = self.names.union(&other.names);
        let differs = |name: &&RevenueName| {
            self.contains(name) != other.contains(name) || self.members(name) != other.members(name)
        };
        names.filter(differs).cloned().collect()
    }
}

impl Extend<RevenueName> for RevenueNames {
    fn extend<T: IntoIterator<Item = RevenueName>>(&mut self, names: T) {
        names.into_iter().for_each(|name| self.insert(name));
    }
}

impl FromIterator<RevenueName> for RevenueNames {
    fn from_iter<T: IntoIterator<Item = RevenueName>>(names: T) -> RevenueNames {
        let mut all = RevenueNames::default();
        all.extend(names);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_with_members_counts_no_other_place() {
        let place = |store: &str| Place::of_sales(Some(store.into()));
        let (south, east) = (place("south"), place("east"));
        let of_day = RevenueName::Day(3, RevenueKind::Sale);
        let mut names: RevenueNames = [RevenueName::StoreDay(3, place("north"))]
            .into_iter()
            .collect();
        names.insert_members(of_day.clone(), [Member::of(3, &south)].into());
        assert_eq!(names.cell_of(3, &south), Some(of_day.clone()));
        assert_eq!(names.cell_of(3, &east), None);
        // What a finer cell does not count belongs to the next coarser one.
        let month = RevenueName::Month(RevenueKind::Sale);
        names.insert(month.clone());
        assert_eq!(names.cell_of(3, &east), Some(month));
        names.insert(of_day.clone());
        assert_eq!(names.cell_of(3, &east), Some(of_day));
    }

    #[test]
    fn members_are_told_apart_by_day_kind_and_store() {
        let of = |day, kind, store: Option<&str>| {
            let store = store.map(Into::into);
            Member::of(day, &Place { kind, store })
        };
        let (sale, stay) = (RevenueKind::Sale, RevenueKind::Stay);
        let all = [
            of(1, sale, None),
            of(1, sale, Some("")),
            of(1, stay, Some("")),
            of(2, sale, Some("")),
            of(1, sale, Some("a")),
        ];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}

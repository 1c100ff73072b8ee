//! The share that a row covers of what may belong to it.
//!
//! What the release gate cannot publish under a name of its own is published
//! together with others: as the rest of a source and medium (`google/cpc/*`), of
//! a source, of a month, or of all stores. A part of such a cell may belong to a
//! row that names a channel or a store, so the row covers its own amount out of
//! its own and all of those. The share is a lower bound, in tenths, rounded down
//! like [`released_share`](crate::report::released_share), and 10 if nothing else
//! can belong to the row. It measures absolute amounts of money, or of the first
//! value of a family without money; credits of visits by their number.
//!
//! A contribution is counted in the finest published cell that covers it
//! ([`tributary_operators::release`]). If a month publishes a channel by itself,
//! or the rest of its source, the rest of the month holds nothing of the channel
//! ([`Rests::others`]): the rests of the months in which it has no name make its share
//! smaller, and those of the others do not. If a month publishes a store, or the
//! rest of the day, on each of its days that the row is about, the rest of the
//! month holds nothing of the store. A day without either may be empty or hidden,
//! which a reader must not learn, so that it leaves the whole rest in doubt.
//!
//! It is unknown for families whose cells have no published total, because what
//! the gate holds back of them is in no cell, and for rows that are a rest
//! themselves.

use rustc_hash::FxHashMap;
use tributary_operators::calendar::{first_day, month};
use tributary_operators::cell::{Dim, Dimension, Family, Threshold, Unit};
use tributary_operators::record::Day;
use tributary_operators::release::REST;

use super::atoms::{self, Atom, Atoms, NULL};
use super::query::{CellQuery, Wanted};
use crate::report::metrics::label::OTHER;
use crate::report::published_cells::Month;

/// What is known of a family's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Every cell is published.
    All,
    /// Cells add up to a published total, so that what has no name of its own is in
    /// a rest.
    Total,
    /// Neither: what is hidden is in no cell.
    Nothing,
}

/// What is known of a family's share; `hides` is whether `release.k` is above 1.
pub(super) fn known(family: Family, hides: bool) -> Known {
    match family {
        _ if !hides || family.row().threshold == Threshold::Nobody => Known::All,
        Family::Attribution
        | Family::StoreDay
        | Family::OrdersDay
        | Family::ScanDay
        | Family::VisitMatch
        | Family::MarkovMonth => Known::Total,
        _ => Known::Nothing,
    }
}

/// Position of the value that shares measure, for a cell with these dimensions.
pub(super) fn measure(family: Family, dims: &[Dim]) -> usize {
    let row = family.row();
    let units = row.units;
    let place = |of| units.iter().position(|unit| *unit == of);
    // Credits of visits have no value, and no currency: they are measured by their number.
    let mut named = row.dimensions.iter().zip(dims);
    let is_visit = named.any(|(of, dim)| *of == Dimension::Currency && *dim == Dim::Null);
    // Of stays the weight: how many they were is not always known.
    let money = place(Unit::Minor).filter(|_| !is_visit);
    let money = money.or_else(|| place(Unit::Millionths));
    money.unwrap_or(0)
}

/// Whether a dimension is given up, so that it may be any of its names.
pub(super) fn is_open(family: Family, of: Dimension, dim: &Dim) -> bool {
    match (of, dim) {
        // Credits by month are those of all stores.
        (Dimension::Store, Dim::Text(_)) if family == Family::Attribution => false,
        (_, Dim::Text(text)) => **text == *REST,
        // The rest of a month among the days of a total.
        (Dimension::Day, Dim::Month(_)) => family.row().is_total,
        _ => false,
    }
}

/// Whether a cell is a rest, of which a part may belong to rows with other names.
pub(super) fn is_rest(family: Family, dims: &[Dim]) -> bool {
    let own = family.row().dimensions;
    let mut named = own.iter().zip(dims);
    named.any(|(of, dim)| {
        is_open(family, *of, dim)
            || *of == Dimension::Source && matches!(dim, Dim::Text(text) if **text == *OTHER)
    })
}

/// Most dimensions of a cell of a family with a total, without its brand.
const MOST: usize = 8;

/// The dimensions of a cell without its brand, as atoms.
type Place = [Atom; MOST];

/// A cell of which a part may belong to a row.
pub(super) struct Rest {
    /// Its dimensions.
    place: Place,
    /// The absolute amount by which shares are measured.
    size: i128,
    /// Whether the row that it would belong to counts none of it.
    is_in_part: bool,
}

impl Rest {
    /// A cell of this size.
    pub(super) fn new(atoms: &mut Atoms<'_>, dims: &[Dim], size: i128, is_in_part: bool) -> Rest {
        Rest {
            place: place(atoms, dims),
            size,
            is_in_part,
        }
    }
}

/// The dimensions of a cell without its brand.
fn place(atoms: &mut Atoms<'_>, dims: &[Dim]) -> Place {
    let mut place = [NULL; MOST];
    for (atom, dim) in place.iter_mut().zip(dims.iter().skip(1)) {
        *atom = atoms.of(dim);
    }
    place
}

/// The position of a dimension in a [`Place`].
fn position(family: Family, of: Dimension) -> Option<usize> {
    let own = family.row().dimensions.iter();
    own.skip(1).position(|own| *own == of)
}

/// The names that all of a row has: those of its columns, and those that filters
/// leave no choice of.
pub(super) struct Names {
    /// Source, medium and campaign, as far as they are known.
    channel: Vec<Atom>,
    store: Option<Atom>,
    day: Option<Day>,
}

impl Names {
    /// The names among those of a row; `star` is the name of what gave up its own.
    pub(super) fn new(names: impl Iterator<Item = (Dimension, Atom)>, star: Atom) -> Names {
        let names: Vec<_> = names.collect();
        let name = |of| {
            let mut named = names.iter().filter(|(own, _)| *own == of);
            named.next().map(|(_, name)| *name)
        };
        let is_name = |name: &Atom| *name != star;
        Names {
            channel: CHANNEL
                .iter()
                .map_while(|of| name(*of).filter(is_name))
                .collect(),
            store: name(Dimension::Store).filter(is_name),
            day: name(Dimension::Day).and_then(atoms::day),
        }
    }
}

/// The dimensions of a channel, in the order in which the gate keeps them.
const CHANNEL: [Dimension; 3] = [Dimension::Source, Dimension::Medium, Dimension::Campaign];

/// The rests of a period, and the cells that say which of them hold nothing of a
/// row.
pub(super) struct Rests {
    family: Family,
    /// The names of what gave up its own, and of what the finest gate hides in a day.
    star: Atom,
    other: Atom,
    /// The positions of source, medium and campaign, of the store, and of the day.
    channel: Option<[usize; 3]>,
    store: Option<usize>,
    day: Option<usize>,
    /// First and last day of the period, and today.
    days: (Day, Day),
    today: Day,
    /// The days that a filter leaves.
    wanted: Option<Vec<Day>>,
    /// The rests by the key of the row that they are in, or would be in.
    by_key: FxHashMap<Box<[Atom]>, Vec<Rest>>,
    /// The cells of the period: the days and months of each place without its day.
    published: FxHashMap<Place, Days>,
}

impl Rests {
    /// No rests of a period.
    pub(super) fn new(
        query: &CellQuery,
        from: Option<Day>,
        to: Option<Day>,
        today: Day,
        atoms: &Atoms<'_>,
    ) -> Rests {
        let family = query.family;
        let at = |of| position(family, of);
        let filter = query.filters.iter().find(|(of, _)| *of == Dimension::Day);
        let wanted = filter.map(|(_, wanted)| {
            let days = wanted.iter().filter_map(|wanted| match wanted {
                Wanted::Is(Dim::Day(day)) => Some(*day),
                _ => None,
            });
            days.collect()
        });
        let channel = at(Dimension::Source)
            .zip(at(Dimension::Medium))
            .zip(at(Dimension::Campaign));
        Rests {
            family,
            star: atoms.word(REST),
            other: atoms.word(OTHER),
            channel: channel.map(|((source, medium), campaign)| [source, medium, campaign]),
            store: at(Dimension::Store),
            day: at(Dimension::Day),
            days: (from.unwrap_or(Day::MIN), to.unwrap_or(Day::MAX)),
            today,
            wanted,
            by_key: FxHashMap::default(),
            published: FxHashMap::default(),
        }
    }

    /// Adds a rest under the key of its row.
    pub(super) fn add(&mut self, key: &[Atom], rest: Rest) {
        match self.by_key.get_mut(key) {
            Some(rests) => rests.push(rest),
            None => {
                self.by_key.insert(key.into(), vec![rest]);
            }
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Adds a cell of the period.
    pub(super) fn publish(&mut self, atoms: &mut Atoms<'_>, dims: &[Dim]) {
        let (place, day) = self.without_day(place(atoms, dims));
        self.published.entry(place).or_default().insert(day);
    }

    /// A place without its day or month, and that.
    fn without_day(&self, mut place: Place) -> (Place, Atom) {
        let day = self.day.map(|at| std::mem::replace(&mut place[at], NULL));
        (place, day.unwrap_or(NULL))
    }

    /// Whether a cell is published.
    fn is_published(&self, place: Place) -> bool {
        let (place, day) = self.without_day(place);
        let days = self.published.get(&place);
        days.is_some_and(|days| days.contains(day))
    }

    /// The name of what gave up its own.
    pub(super) fn star(&self) -> Atom {
        self.star
    }

    /// The size of what may belong to a row beside what it counts.
    pub(super) fn others(&self, columns: &[Dimension], key: &[Atom], names: &Names) -> i128 {
        if self.is_empty() {
            return 0;
        }
        let own = self.by_key.get(key).into_iter().flatten();
        let own = own.filter(|rest| rest.is_in_part);
        let above = self.above(columns, key);
        let above = above.iter().filter_map(|key| self.by_key.get(&key[..]));
        let mut others = 0;
        for rest in own.chain(above.flatten()) {
            if !self.holds_nothing(names, &rest.place) {
                add_size(&mut others, rest.size);
            }
        }
        others
    }

    /// The keys of the rests that may hold a part of a row: those with one or more of
    /// its names given up. The gate gives names up in an order, a campaign before its
    /// medium and a medium before its source.
    fn above(&self, columns: &[Dimension], row: &[Atom]) -> Vec<Vec<Atom>> {
        let mut keys = vec![row.to_vec()];
        let mut widen = |of: Dimension, change: &dyn Fn(Atom) -> Option<Atom>| {
            let Some(at) = columns.iter().position(|column| *column == of) else {
                return;
            };
            for place in 0..keys.len() {
                let mut key = keys[place].clone();
                if let Some(wider) = change(key[at]) {
                    key[at] = wider;
                    keys.push(key);
                }
            }
        };
        let give_up = |name: Atom| (name != self.star).then_some(self.star);
        for of in CHANNEL.into_iter().rev() {
            widen(of, &give_up);
        }
        if self.family != Family::Attribution {
            widen(Dimension::Store, &give_up);
        }
        if self.family.row().is_total {
            let to_month = |name| atoms::day(name).map(|day| atoms::of_month(month(day)));
            widen(Dimension::Day, &to_month);
        }
        keys.remove(0);
        // With the finest ladder, what a day hides is one channel `other`.
        if self.family == Family::Attribution && columns.contains(&Dimension::Source) {
            let other = columns.iter().zip(row).map(|(of, name)| match of {
                Dimension::Source => self.other,
                Dimension::Medium | Dimension::Campaign => NULL,
                _ => *name,
            });
            let other: Vec<Atom> = other.collect();
            if other != row {
                keys.push(other);
            }
        }
        keys
    }

    /// Whether a rest holds nothing of a row, because finer cells are published that
    /// would count all of it.
    fn holds_nothing(&self, names: &Names, rest: &Place) -> bool {
        match self.channel {
            Some(channel) => self.has_channel(names, rest, channel),
            None => self.has_days(names, rest),
        }
    }

    /// Whether the channel of a row, or a rest that is finer than this one and that
    /// it would be in, is published beside a rest.
    fn has_channel(&self, names: &Names, rest: &Place, channel: [usize; 3]) -> bool {
        let of_rest = channel.map(|at| rest[at]);
        let coarsest = match of_rest[0] == self.other {
            // What a day hides is in `other`, whatever its source and medium.
            true => CHANNEL.len(),
            false => {
                of_rest
                    .iter()
                    .take_while(|name| **name != self.star)
                    .count()
                    + 1
            }
        };
        let mut grains = (coarsest..=names.channel.len()).rev();
        grains.any(|grain| {
            let mut finer = *rest;
            for (at, place) in channel.into_iter().enumerate() {
                let name = names.channel.get(at).filter(|_| at < grain);
                finer[place] = name.copied().unwrap_or(self.star);
            }
            self.is_published(finer)
        })
    }

    /// Whether finer cells than a rest of takings count all of a row on each of its
    /// days in the rest: that of its store, or the rest of the day if this one is the
    /// rest of the month.
    fn has_days(&self, names: &Names, rest: &Place) -> bool {
        let Some(at) = self.day else {
            return false;
        };
        let of = |store: Option<Atom>| {
            let mut finer = *rest;
            finer[at] = NULL;
            if let Some((at, store)) = self.store.zip(store) {
                finer[at] = store;
            }
            self.published.get(&finer)
        };
        let of_store = names.store.and_then(|store| of(Some(store)));
        let has = |days: Option<&Days>, day| days.is_some_and(|days| days.contains(day));
        if atoms::day(rest[at]).is_some() {
            return has(of_store, rest[at]);
        }
        let of_rests = of(Some(self.star));
        let has_day = |day| has(of_store, atoms::of_day(day)) || has(of_rests, atoms::of_day(day));
        if let Some(day) = names.day {
            return has_day(day);
        }
        let Some(month) = atoms::month(rest[at]) else {
            return false;
        };
        let mut days = self.days_of(month).peekable();
        days.peek().is_some() && days.all(has_day)
    }

    /// The days of a row that the rest of a month counts: finished days of the period
    /// that a filter leaves.
    fn days_of(&self, of: Month) -> impl Iterator<Item = Day> {
        let end = first_day(of + 1).saturating_sub(1);
        let end = match of == month(self.today) {
            true => end.min(self.today.saturating_sub(1)),
            false => end,
        };
        let days = self.days.0.max(first_day(of))..=self.days.1.min(end);
        days.filter(|day| self.wanted.as_ref().is_none_or(|days| days.contains(day)))
    }
}

/// A set of days and months, one bit each.
#[derive(Default)]
struct Days {
    /// Each 64 atoms with one among them: their quotient, ascending, and which.
    words: Vec<(Atom, u64)>,
}

impl Days {
    /// Adds an atom.
    fn insert(&mut self, day: Atom) {
        let (word, bit) = (day / 64, 1 << (day % 64));
        match self.words.last_mut() {
            // They come in their order, but for the months at the end.
            Some((last, bits)) if *last == word => *bits |= bit,
            Some((last, _)) if *last > word => {
                match self.words.binary_search_by_key(&word, |(word, _)| *word) {
                    Ok(at) => self.words[at].1 |= bit,
                    Err(at) => self.words.insert(at, (word, bit)),
                }
            }
            _ => self.words.push((word, bit)),
        }
    }

    /// Whether an atom was added.
    fn contains(&self, day: Atom) -> bool {
        let found = self
            .words
            .binary_search_by_key(&(day / 64), |(word, _)| *word);
        found.is_ok_and(|at| self.words[at].1 & (1 << (day % 64)) != 0)
    }
}

/// Adds an absolute amount.
pub(super) fn add_size(sum: &mut i128, size: i128) {
    *sum = sum.saturating_add(size);
}

/// Tenths of `own` in `own` and `others`, rounded down; `None` for nothing at all.
pub(super) fn tenths(own: i128, others: i128) -> Option<u8> {
    let all = own.saturating_add(others);
    let tenths = own.saturating_mul(10).checked_div(all)?;
    u8::try_from(tenths).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_days_holds_what_was_added() {
        let added = [20_000, 20_001, 20_063, 20_064, 20_700, 19_000, 20_002].map(atoms::of_day);
        let mut days = Days::default();
        for day in added.into_iter().chain([atoms::of_month(650), NULL]) {
            days.insert(day);
        }
        for day in 18_900..20_800 {
            let day = atoms::of_day(day);
            assert_eq!(days.contains(day), added.contains(&day));
        }
        assert!(days.contains(NULL) && days.contains(atoms::of_month(650)));
        assert!(!days.contains(atoms::of_month(651)));
    }

    #[test]
    fn the_place_of_a_cell_holds_its_dimensions_and_not_its_brand() {
        for family in Family::ALL {
            let own = family.row().dimensions;
            if known(family, true) == Known::Total {
                assert!(own.len() <= MOST + 1, "{family:?}");
                assert_eq!(own.first(), Some(&Dimension::Brand));
            }
        }
    }
}

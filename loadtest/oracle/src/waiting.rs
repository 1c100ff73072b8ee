//! Which changes wait: what a reader may know after every release, from the contributors that changed since the last one.
//!
//! Cells that add up leave together: takings with all they are credited to, and all families of a month's conversions.
//! New cells are published at once; those of a month, with a batch. Published values stay until `k_delta` contributors have
//! changed each of the cells that are others by now, or until a batch: a release since whose predecessor a multiple of
//! `max_hold` has passed, or of `freeze_batch` for whatever is older than `freeze_after`. In a batch leaves what at least
//! `k_delta` contributors have changed together, among what is of one class and goes the same way; and a month only
//! beside all takings. After a restart nobody knows who has changed the restored cells, so that they stay as they are at first.
//!
//! Who has changed is known here by name. The product counts contributors in 128 bits by hash, in which two can be one: so
//! fewer than `k_delta` must wait, twice as many must not, and in between both is right. Whoever goes and comes back is
//! somebody new to the product, and counts twice.

mod contributors;
mod gauge;

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::{Dim, Family};
use tributary_operators::record::BrandId;
use tributary_operators::settings::{BrandSettings, Settings};

use crate::hold::Held;
use crate::{calendar, cells};
pub use contributors::Name;
use contributors::{Contribution, Contributor, Contributors, month_of_takings};
pub use gauge::Gauge;

/// The cells that a reader knows.
pub type Outside = BTreeMap<Name, Vec<i128>>;

const DAY: i64 = 86_400_000;

/// What hides each other in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Takings,
    Contacts,
    Visits,
    Identity,
    Month,
}

/// What leaves together.
type GroupName = (Class, Vec<Dim>);

fn group_of((family, dims): &Name) -> Option<GroupName> {
    let word = |word: &str| Dim::Text(word.into());
    Some(match family {
        Family::StoreDay => {
            let transaction = [word("transaction")];
            (
                Class::Takings,
                [&dims[..1], &transaction, &dims[1..]].concat(),
            )
        }
        Family::OrdersDay => {
            let order = [word("order"), Dim::Null];
            (Class::Takings, [&dims[..1], &order, &dims[1..]].concat())
        }
        Family::Attribution => (Class::Takings, [&dims[..1], &dims[5..]].concat()),
        Family::CampaignDay => (Class::Contacts, dims.clone()),
        Family::Visits => (Class::Visits, dims.clone()),
        Family::Identity => (Class::Identity, dims.clone()),
        Family::SpendDay => return None,
        Family::MarkovMonth
        | Family::Paths
        | Family::PathLength
        | Family::PathDays
        | Family::Assists => (Class::Month, dims[..4].to_vec()),
    })
}

/// Contributors who have changed something: those who have for certain, and those who may have.
#[derive(Clone, Default)]
struct Changed {
    surely: BTreeSet<Contributor>,
    /// Each with how often they had gone before.
    perhaps: BTreeSet<(Contributor, u32)>,
}

impl Changed {
    fn add(&mut self, who: Contributor, went: u32) {
        self.surely.insert(who);
        self.perhaps.insert((who, went));
    }

    fn extend(&mut self, other: &Changed) {
        self.surely.extend(&other.surely);
        self.perhaps.extend(&other.perhaps);
    }

    /// Whether they are enough to hide each of them.
    fn are_enough(&self, k_delta: u64) -> Verdict {
        match (self.surely.len() as u64, self.perhaps.len() as u64) {
            (_, perhaps) if perhaps < k_delta => Verdict::Waits,
            (surely, _) if surely >= 2 * k_delta => Verdict::Leaves,
            _ => Verdict::Either,
        }
    }
}

/// Whether something must leave; the worst of several comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Waits,
    Either,
    Leaves,
}

/// Which way the values of takings and cells that stand alone go.
type Signs = Vec<i128>;

/// What of one class and direction is due in a batch and was published before.
#[derive(Default)]
struct Lot {
    changed: Changed,
    /// Whether anything of it was certainly published before.
    surely: bool,
}

#[derive(Default)]
struct Group {
    published_cells: Outside,
    /// Whether anything of it was published since it was last empty.
    published: bool,
    /// Whether it was restored after a restart, and not evaluated since.
    is_restored: bool,
    /// The contributors that changed each cell since the group was published. What they did to a month without buying has no cell.
    changed: BTreeMap<Option<Name>, Changed>,
    /// Whether a month waits for a batch.
    waits: Option<Verdict>,
}

impl Group {
    /// Who has changed a cell. One that adds up what is hidden is changed by whoever has changed that, or what was in it.
    fn changed_in(&self, name: &Name, now: &Outside) -> Changed {
        let mut all = self
            .changed
            .get(&Some(name.clone()))
            .cloned()
            .unwrap_or_default();
        if let (Family::Attribution, dims) = name
            && dims[2..5] == [Dim::Text("other".into()), Dim::Null, Dim::Null]
        {
            let adds_up = |of: &&Name| {
                let is_of_model = of.1[..2] == dims[..2] && of.1[5..] == dims[5..];
                let is_hidden = !now.contains_key(*of) || !self.published_cells.contains_key(*of);
                of.0 == Family::Attribution && is_of_model && is_hidden
            };
            let parts = self
                .changed
                .iter()
                .filter_map(|(name, by)| Some((name.as_ref()?, by)));
            for (_, changed) in parts.filter(|(name, _)| adds_up(name)) {
                all.extend(changed);
            }
        }
        all
    }

    /// Who has changed anything of it.
    fn all_changed(&self) -> Changed {
        let mut all = Changed::default();
        self.changed
            .values()
            .for_each(|changed| all.extend(changed));
        all
    }

    fn signs(&self, class: Class, now: &Outside) -> Signs {
        let is_main = |name: &&Name| match class {
            Class::Takings => matches!(name.0, Family::StoreDay | Family::OrdersDay),
            Class::Month => false,
            _ => true,
        };
        let Some(main) = self.published_cells.keys().chain(now.keys()).find(is_main) else {
            return vec![0; 5];
        };
        let value = |cells: &Outside, at: usize| {
            let values = cells.get(main);
            values
                .and_then(|values| values.get(at))
                .copied()
                .unwrap_or(0)
        };
        let signs = (0..5).map(|at| (value(now, at) - value(&self.published_cells, at)).signum());
        signs.collect()
    }
}

/// What a reader of one brand may know.
pub struct Waiting<'a> {
    settings: &'a Settings,
    id: BrandId,
    brand: &'a BrandSettings,
    contributors: Contributors,
    groups: BTreeMap<GroupName, Group>,
    /// How often each person has gone: all that the identity graph knew of them was taken back.
    went: BTreeMap<Contributor, u32>,
    /// The time of the last release.
    before: Option<i64>,
    /// The published cells from before a restart.
    has_stood: bool,
}

impl<'a> Waiting<'a> {
    /// Nothing is published yet. `None` if the settings do not have the brand.
    pub fn new(settings: &'a Settings, brand: BrandId) -> Option<Waiting<'a>> {
        Some(Waiting {
            settings,
            id: brand,
            brand: settings.brands.get(&brand)?,
            contributors: Contributors::default(),
            groups: BTreeMap::new(),
            went: BTreeMap::new(),
            before: None,
            has_stood: false,
        })
    }

    /// Restores published cells from before a restart.
    pub fn restore(&mut self, outside: &Outside) {
        for (name, values) in outside {
            if let Some(of) = group_of(name) {
                let group = self.groups.entry(of).or_default();
                (group.is_restored, group.published) = (true, true);
                group.published_cells.insert(name.clone(), values.clone());
            }
            self.has_stood = true;
        }
    }

    /// A release at a time (Unix milliseconds), ascending. Says whether a reader knows behind it what may be known; and how
    /// many groups wait that were published before and have changed since.
    ///
    /// # Errors
    ///
    /// The group that should have been published, should have waited, or is published in part.
    pub fn release(&mut self, now: i64, held: &Held, outside: &Outside) -> Result<usize, String> {
        let before = match self.has_stood {
            true => Some(self.before.unwrap_or(now)),
            false => self.before,
        };
        self.before = Some(now);
        self.note_changes(held);
        let cells = cells(self.settings, held).into_iter();
        let right: Outside = cells
            .map(|cell| ((cell.family, cell.dims), cell.values))
            .collect();
        let (mut right, mut seen) = (by_group(&right), by_group(outside));
        for of in right.keys().chain(seen.keys()) {
            self.groups.entry(of.clone()).or_default();
        }
        let crossed = |period: i64| {
            before.is_none_or(|before| before.div_euclid(period) < now.div_euclid(period))
        };
        let k_delta = self.brand.k_delta();

        // At once, or not.
        let mut verdicts: BTreeMap<GroupName, Verdict> = BTreeMap::new();
        let mut due: BTreeMap<GroupName, (Class, Signs)> = BTreeMap::new();
        let mut lots: BTreeMap<(Class, Signs), Lot> = BTreeMap::new();
        for (of, group) in &mut self.groups {
            let cells = right.entry(of.clone()).or_default();
            let is_frozen = is_frozen(of, now, self.brand);
            if std::mem::take(&mut group.is_restored) {
                group.changed.clear();
                group.waits = (group.published_cells != *cells).then_some(Verdict::Leaves);
                verdicts.insert(of.clone(), Verdict::Waits);
            } else if of.0 != Class::Month {
                let names: BTreeSet<&Name> =
                    group.published_cells.keys().chain(cells.keys()).collect();
                let differ = names
                    .iter()
                    .filter(|name| group.published_cells.get(**name) != cells.get(**name));
                let enough = differ.map(|name| group.changed_in(name, cells).are_enough(k_delta));
                let verdict = match group.published {
                    false => Verdict::Leaves,
                    true if is_frozen => Verdict::Waits,
                    true => enough.min().unwrap_or(Verdict::Waits),
                };
                group.waits = (group.published_cells != *cells).then_some(match verdict {
                    Verdict::Waits => Verdict::Leaves,
                    other => other,
                });
                verdicts.insert(of.clone(), verdict);
                if verdict == Verdict::Leaves {
                    continue;
                }
            }
            let Some(waits) = group.waits else { continue };
            if crossed(self.brand.freeze_batch) || crossed(self.brand.max_hold) && !is_frozen {
                let lot = (of.0, group.signs(of.0, cells));
                due.insert(of.clone(), lot.clone());
                if group.published {
                    let is_certain = waits == Verdict::Leaves;
                    let mut changed = group.all_changed();
                    if !is_certain {
                        changed.surely.clear();
                    }
                    let lot = lots.entry(lot).or_default();
                    lot.changed.extend(&changed);
                    lot.surely |= is_certain;
                }
            }
        }

        // With a batch, or not.
        let verdict_of = |lot: &Lot| match lot.changed.are_enough(k_delta) {
            Verdict::Waits if !lot.surely => Verdict::Either,
            verdict => verdict,
        };
        for (of, lot) in &due {
            let needed = lots.iter().filter(|(other, _)| {
                *other == lot || of.0 == Class::Month && other.0 == Class::Takings
            });
            let batch = needed.map(|(_, lot)| verdict_of(lot)).min();
            let batch = batch.unwrap_or(Verdict::Leaves);
            let verdict = verdicts.entry(of.clone()).or_insert(Verdict::Waits);
            *verdict = batch.max(*verdict);
        }

        // What a reader knows by now.
        let inside: BTreeSet<GroupName> = self.contributors.cells().flat_map(groups_of).collect();
        let mut waiting = 0;
        for (of, group) in &mut self.groups {
            let cells = right.remove(of).unwrap_or_default();
            let seen = seen.remove(of).unwrap_or_default();
            let verdict = verdicts.get(of).copied().unwrap_or(Verdict::Waits);
            let is_right = match verdict {
                Verdict::Leaves => seen == cells,
                Verdict::Waits => seen == group.published_cells,
                Verdict::Either => seen == cells || seen == group.published_cells,
            };
            if !is_right {
                let (published, by) = (&group.published_cells, group.all_changed().surely.len());
                return Err(format!(
                    "{of:?}, changed by {by}, {verdict:?}: {published:?} became {seen:?} and is {cells:?}"
                ));
            }
            waiting += usize::from(group.published && seen != cells);
            let is_the_same = group.published_cells == cells;
            if verdict == Verdict::Leaves
                || verdict == Verdict::Either && !is_the_same && seen == cells
            {
                group.published |= !seen.is_empty();
                group.changed.clear();
                group.waits = None;
            } else if verdict == Verdict::Either && is_the_same {
                let changed = group.changed.values_mut();
                changed.for_each(|changed| changed.surely.clear());
                group.waits = group.waits.map(|_| Verdict::Either);
            }
            group.published_cells = seen;
        }
        self.groups.retain(|of, group| {
            let is_month_due = of.0 == Class::Month && group.waits.is_some();
            inside.contains(of) || !group.published_cells.is_empty() || is_month_due
        });
        Ok(waiting)
    }

    /// Notes who has changed what.
    fn note_changes(&mut self, held: &Held) {
        let changes = self.contributors.change(self.settings, self.id, held);
        let persons_come_to_nothing = comes_to_nothing(&changes);
        for (who, was, is) in changes {
            let went = self.went.get(&who).copied().unwrap_or_default();
            let names: BTreeSet<&Name> = was.cells.keys().chain(is.cells.keys()).collect();
            for name in names {
                let (was, is) = (was.cells.get(name), is.cells.get(name));
                if was == is {
                    continue;
                }
                if let Some(of) = group_of(name) {
                    let group = self.groups.entry(of).or_default();
                    let changed = group.changed.entry(Some(name.clone())).or_default();
                    match name.0 == Family::Identity && persons_come_to_nothing {
                        true => drop(changed.perhaps.insert((who, went))),
                        false => changed.add(who, went),
                    }
                    group.waits = Some(Verdict::Leaves);
                }
                // How many take part in its days decides what may be seen of a month.
                let number = |values: Option<&Vec<i128>>| values.map(|values| values[0]);
                if let Some(month) = month_of_takings(name).filter(|_| number(was) != number(is)) {
                    let group = self.groups.entry((Class::Month, month)).or_default();
                    group.waits = Some(Verdict::Leaves);
                }
            }
            for (of, group) in &mut self.groups {
                if let (Class::Month, [_, _, Dim::Month(month), _]) = (of.0, &of.1[..])
                    && was.unconverted.get(month) != is.unconverted.get(month)
                {
                    group.changed.entry(None).or_default().add(who, went);
                    group.waits = Some(Verdict::Leaves);
                }
            }
            let is_known =
                |of: &Contribution| of.cells.keys().any(|(of, _)| *of == Family::Identity);
            if is_known(&was) && !is_known(is) {
                self.went.insert(who, went + 1);
            }
        }
    }
}

/// Whether as many persons have come as have gone. Such an epoch changes nothing in the number of persons, and the product
/// does not note who they were, so that more waits than must.
fn comes_to_nothing(changes: &[(Contributor, Contribution, &Contribution)]) -> bool {
    let mut sum = [0; 5];
    for (_, was, is) in changes {
        for (of, sign) in [(was, -1), (*is, 1)] {
            let cells = of.cells.iter();
            for (_, values) in cells.filter(|(name, _)| name.0 == Family::Identity) {
                for (sum, value) in sum.iter_mut().zip(values) {
                    *sum += sign * value;
                }
            }
        }
    }
    sum == [0; 5]
}

/// The groups that a cell holds something for.
fn groups_of(name: &Name) -> impl Iterator<Item = GroupName> {
    let month = month_of_takings(name).map(|month| (Class::Month, month));
    group_of(name).into_iter().chain(month)
}

fn by_group(cells: &Outside) -> BTreeMap<GroupName, Outside> {
    let mut groups: BTreeMap<GroupName, Outside> = BTreeMap::new();
    for (name, values) in cells {
        if let Some(of) = group_of(name) {
            let group = groups.entry(of).or_default();
            group.insert(name.clone(), values.clone());
        }
    }
    groups
}

/// Whether a group is of a day older than `freeze_after`, or of a month that began before such a day has ended.
fn is_frozen((_, dims): &GroupName, now: i64, brand: &BrandSettings) -> bool {
    let is_old = |day: i64| day * DAY + brand.freeze_after < now;
    dims.iter().any(|dim| match dim {
        Dim::Day(day) => is_old((*day).into()),
        Dim::Hour(second, _) => is_old(second.div_euclid(DAY / 1000)),
        Dim::Month(month) => {
            let newest = (now - brand.freeze_after - 1).div_euclid(DAY);
            *month <= calendar::month(newest as i32)
        }
        _ => false,
    })
}

//! Deciding: the pattern that the rule gives a table.
//!
//! Revenue first: each store and day that is safe has a cell, what is left of a day is joined across stores, what is left
//! of the month across days. What is then left is too small to be published, and counts nowhere.
//!
//! Then the credits: each channel that is safe and spread over days has a cell, then what is left of each source and medium,
//! of each source, and of the month. While something too small is left, published cells join it, the coarsest and smallest
//! first, until it is safe: otherwise it would be the difference between the known total and the published cells.
//!
//! The shared models credit every touchpoint, so that they have the same contributors and decide first. A cell of the
//! single-touch models has to be a union of cells of the shared ones: if no path has more than two touchpoints, `linear` is
//! the mean of `first` and `last`, so that two of them give the third, in every cell that the three have in common. Conversions
//! without touchpoints are the same under every model: where the shared models publish them by themselves, a cell of the
//! others has to be safe without them.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::Day;
use crate::release::pattern::{CellName, Class, Pattern, cell_of};
use crate::release::revenue_names::{RevenueName, RevenueNames};
use crate::release::table::{Place, RevenueKind, Table};
use crate::release::view::{ChannelSet, RevenueView, View};
use crate::release::weight::Rule;

/// Channels that no cell may separate.
struct Unit {
    name: CellName,
    channels: ChannelSet,
}

impl Rule {
    /// The pattern of a table on its own. It is empty if nothing of the month may be published.
    pub fn decide(&self, table: &Table) -> Pattern {
        let revenue = self.decide_revenue(table);
        let view = View::new(self, table, &revenue);
        let channels = view.present().map(|(at, name)| Unit {
            name: CellName::Channel(name.clone()),
            channels: vec![at],
        });
        let Some(shared) =
            self.choose_cells(&view, Class::Shared, channels.collect(), BTreeSet::new())
        else {
            return Pattern::default();
        };
        let Some(single) = self.decide_single(&view, &shared) else {
            return Pattern::default();
        };
        Pattern {
            revenue,
            shared,
            single,
        }
    }

    /// The cells of revenue of a table.
    fn decide_revenue(&self, table: &Table) -> RevenueNames {
        let view = RevenueView::new(self, table);
        let days: BTreeSet<Day> = view.place_days().map(|(day, _)| *day).collect();
        let mut names = RevenueNames::default();
        for kind in RevenueKind::ALL {
            let mut rest = Vec::new();
            for day in &days {
                rest.extend(self.decide_day(&view, (*day, kind), &mut names));
            }
            if view.judge(&rest).is_safe {
                names.insert(RevenueName::Month(kind));
            }
        }
        names
    }

    /// The cells of one kind of revenue of one day. Returns the places of the day that have none.
    pub(super) fn decide_day(
        &self,
        view: &RevenueView<'_>,
        (day, kind): (Day, RevenueKind),
        names: &mut RevenueNames,
    ) -> Vec<(Day, Place)> {
        let of_day = view.place_days();
        let of_day = of_day.filter(|(of, place)| (*of, place.kind) == (day, kind));
        let (safe, rest): (Vec<_>, Vec<_>) =
            of_day.cloned().partition(|key| view.judge([key]).is_safe);
        let safe = safe.into_iter();
        names.extend(safe.map(|(day, place)| RevenueName::StoreDay(day, place)));
        if view.judge(&rest).is_safe {
            names.insert(RevenueName::Day(day, kind));
            return Vec::new();
        }
        rest
    }

    /// The cells of the single-touch models, as unions of those of the shared models.
    fn decide_single(
        &self,
        view: &View<'_>,
        shared: &BTreeSet<CellName>,
    ) -> Option<BTreeSet<CellName>> {
        let (mut cells, _) = view.cells(shared);
        // Every model credits conversions without touchpoints alike: where the shared models publish them by themselves,
        // a reader can take them off any other cell.
        let fixed: BTreeSet<CellName> = view.cells_of_nobody(shared).collect();
        cells.retain(|name, _| !fixed.contains(name));
        let units = cells.into_iter();
        let units = units.map(|(name, channels)| Unit { name, channels });
        // What goes up to the month must be safe beside them, so that their cell is not there yet when it is chosen.
        let mut finer = fixed.clone();
        finer.remove(&CellName::Month);
        let mut names = self.choose_cells(view, Class::Single, units.collect(), finer)?;
        names.extend(fixed);
        Some(names)
    }

    /// Chooses the cells of a class, from its units up to the month. `fixed` names cells that are published in any case and are no part of
    /// it. Returns `None` if something is left that may not be published.
    fn choose_cells(
        &self,
        view: &View<'_>,
        class: Class,
        units: Vec<Unit>,
        fixed: BTreeSet<CellName>,
    ) -> Option<BTreeSet<CellName>> {
        let mut names = fixed.clone();
        let mut published: BTreeMap<CellName, ChannelSet> = BTreeMap::new();
        let mut rest = units;
        for grain in [3, 2, 1] {
            let mut covered = covered(view, &names, grain);
            for (name, units) in by_name(view, &rest, grain) {
                let channels = union(&units);
                let is_whole = covered.remove(&name).unwrap_or_default() == channels;
                if is_whole && view.judge(class, &channels).is_month_safe {
                    names.insert(name.clone());
                    published.insert(name, channels);
                }
            }
            rest.retain(|unit| {
                let channel = unit.channels.first();
                let channel = channel.and_then(|at| view.channels.get(*at as usize));
                channel.is_none_or(|channel| cell_of(&names, channel).is_none())
            });
        }
        let mut left = union(&rest.iter().collect::<Vec<_>>());
        loop {
            let judgment = view.judge(class, &left);
            if judgment.is_empty {
                return Some(names);
            }
            if judgment.is_month_safe {
                names.insert(CellName::Month);
                return Some(names);
            }
            let joining = published.iter().min_by_key(|(name, channels)| {
                (
                    name.grain(),
                    view.judge(class, channels).contributors,
                    *name,
                )
            });
            let joining = joining.map(|(name, _)| name.clone()).filter(|_| self.joins);
            let Some(name) = joining else {
                return match self.joins {
                    true => None,
                    false => Some(names),
                };
            };
            names.remove(&name);
            left.extend(published.remove(&name).into_iter().flatten());
            left.sort_unstable();
        }
    }
}

/// The units that a cell of some grain could hold, by its name.
fn by_name<'a>(view: &View<'_>, units: &'a [Unit], grain: u8) -> BTreeMap<CellName, Vec<&'a Unit>> {
    let mut by_name: BTreeMap<CellName, Vec<&Unit>> = BTreeMap::new();
    for unit in units.iter().filter(|unit| unit.name.grain() >= grain) {
        let channel = unit.channels.first();
        let Some(channel) = channel.and_then(|at| view.channels.get(*at as usize)) else {
            continue;
        };
        let name = CellName::covering(channel).find(|name| name.grain() == grain);
        if let Some(name) = name {
            by_name.entry(name).or_default().push(unit);
        }
    }
    by_name
}

/// The channels of some units, sorted.
fn union(units: &[&Unit]) -> ChannelSet {
    let mut channels: ChannelSet = units
        .iter()
        .flat_map(|unit| unit.channels.iter().copied())
        .collect();
    channels.sort_unstable();
    channels
}

/// The channels that each cell of a grain would hold beside the named ones, sorted.
fn covered(
    view: &View<'_>,
    names: &BTreeSet<CellName>,
    grain: u8,
) -> BTreeMap<CellName, ChannelSet> {
    let mut covered: BTreeMap<CellName, ChannelSet> = BTreeMap::new();
    for (at, channel) in view.present() {
        let name = CellName::covering(channel).find(|name| name.grain() == grain);
        if let Some(name) = name.filter(|_| cell_of(names, channel).is_none()) {
            covered.entry(name).or_default().push(at);
        }
    }
    covered
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::attribution::Model;
    use crate::release::table::{ChannelName, Credit, Sale, Word};

    /// A table of sales of 10 each: contributor, store, day and the channels of its touchpoints, which the shared models
    /// credit alike, and the single-touch models the first of.
    pub(crate) fn table(sales: &[(u64, &str, Day, &[&str])]) -> Table {
        let mut table = Table::default();
        for (who, store, day, path) in sales {
            let of_store = Place::of_sales(Some((*store).into()));
            let place = table.places.iter().position(|of| *of == of_store);
            let place = place.unwrap_or_else(|| {
                table.places.push(of_store);
                table.places.len() - 1
            }) as u32;
            let mut credits = Vec::new();
            for model in Model::ALL {
                let is_shared = Rule::new(1, 100).shared.contains(&model);
                let path = if is_shared { *path } else { &path[..1] };
                for name in path {
                    let mut words = name.split('/').chain(std::iter::repeat(""));
                    let mut word = || words.next().unwrap_or_default();
                    let channel = table.channel(&ChannelName::of(word(), word(), word()));
                    let value = 10 / path.len() as i128;
                    credits.push(Credit {
                        model,
                        channel,
                        millionths: value * 100_000,
                        value,
                    });
                }
            }
            table.sales.push(Sale {
                who: *who,
                is_vouched: true,
                place,
                day: *day,
                conversions: 1,
                value: 10,
                credits,
            });
        }
        table
    }

    fn names(cells: &BTreeSet<CellName>) -> Vec<String> {
        let word = |word: &Word| word.as_deref().unwrap_or("-").to_owned();
        let name = |name: &CellName| match name {
            CellName::Month => "month".to_owned(),
            CellName::Source(source) => word(source),
            CellName::SourceMedium(source, medium) => format!("{}/{}", word(source), word(medium)),
            CellName::Channel(of) => {
                format!(
                    "{}/{}/{}",
                    word(&of.source),
                    word(&of.medium),
                    word(&of.campaign)
                )
            }
        };
        cells.iter().map(name).collect()
    }

    #[test]
    fn what_is_too_small_goes_up_to_where_it_is_safe() {
        let rule = Rule::new(2, 100);
        let table = table(&[
            (1, "north", 1, &["g/cpc/a"]),
            (2, "north", 2, &["g/cpc/a"]),
            (3, "north", 1, &["g/cpc/b"]),
            (4, "north", 2, &["g/cpc/c"]),
            (5, "north", 1, &["f/social/x"]),
            (6, "north", 2, &["f/mail/y"]),
            (7, "north", 1, &["g/cpc/a"]),
            (8, "north", 2, &["g/cpc/a"]),
            (9, "north", 1, &["g/cpc/c"]),
            (10, "north", 2, &["g/cpc/b"]),
            (11, "north", 2, &["f/social/x"]),
            (12, "north", 1, &["f/mail/y"]),
        ]);
        let pattern = rule.decide(&table);
        assert_eq!(names(&pattern.shared), ["f", "g/cpc", "g/cpc/a"]);
        assert_eq!(pattern.shared, pattern.single);
        assert!(rule.stands(&pattern, &table));
    }

    #[test]
    fn published_cells_join_what_is_left_until_it_is_safe() {
        let rule = Rule::new(2, 100);
        let table = table(&[
            (1, "north", 1, &["g/cpc/a"]),
            (2, "north", 2, &["g/cpc/a"]),
            (3, "north", 1, &["f/cpc/b"]),
            (4, "north", 2, &["h/cpc/c"]),
            (5, "north", 2, &["h/cpc/c"]),
            (6, "north", 1, &["h/cpc/c"]),
            (7, "north", 1, &["h/cpc/c"]),
            (8, "north", 1, &["g/cpc/a"]),
            (9, "north", 2, &["g/cpc/a"]),
        ]);
        // One person is left with f/cpc/b: the difference from the total.
        let pattern = rule.decide(&table);
        assert_eq!(names(&pattern.shared), ["month", "h/cpc/c"]);
        let alone = Rule {
            joins: false,
            ..rule
        };
        assert_eq!(names(&alone.decide(&table).shared), ["g/cpc/a", "h/cpc/c"]);
    }

    #[test]
    fn a_cell_of_one_day_is_a_field_of_the_table() {
        let rule = Rule::new(2, 100);
        let one_day = table(&[(1, "north", 1, &["g/cpc/a"]), (2, "north", 1, &["g/cpc/a"])]);
        assert_eq!(rule.decide(&one_day), Pattern::default());
    }

    #[test]
    fn sales_too_small_for_a_cell_of_revenue_count_nowhere() {
        let rule = Rule::new(2, 100);
        let table = table(&[
            (1, "north", 1, &["g/cpc/a"]),
            (2, "north", 1, &["g/cpc/a"]),
            (1, "north", 2, &["g/cpc/a"]),
            (2, "north", 2, &["g/cpc/a"]),
            (3, "south", 2, &["f/cpc/b"]),
        ]);
        let pattern = rule.decide(&table);
        assert_eq!(names(&pattern.shared), ["g/cpc/a"]);
        let published = rule.values(&pattern, &table);
        let revenue: i128 = published.revenue.values().map(|[_, value]| value).sum();
        let linear = published
            .credits
            .iter()
            .filter(|((model, _), _)| *model == Model::Linear);
        let linear: i128 = linear.map(|(_, [_, value])| value).sum();
        assert_eq!((revenue, linear), (40, 40));
    }

    #[test]
    fn single_touch_cells_are_unions_of_shared_ones() {
        let rule = Rule::new(2, 100);
        let table = table(&[
            (1, "north", 1, &["g/cpc/a", "f/cpc/b"]),
            (2, "north", 2, &["g/cpc/a", "f/cpc/b"]),
            (3, "north", 1, &["f/cpc/b", "g/cpc/a"]),
            (4, "north", 2, &["g/cpc/a", "f/cpc/b"]),
        ]);
        let pattern = rule.decide(&table);
        assert_eq!(names(&pattern.shared), ["f/cpc/b", "g/cpc/a"]);
        // Only one conversion began with f, so that both are one cell.
        assert_eq!(names(&pattern.single), ["month"]);
        assert!(rule.stands(&pattern, &table));
    }

    #[test]
    fn conversions_without_touchpoints_hide_nobody() {
        let rule = Rule::new(2, 100);
        let table = table(&[
            (1, "north", 1, &["unattributed"]),
            (2, "north", 2, &["unattributed/oversized"]),
            (3, "north", 1, &["g/cpc/a", "f/cpc/b"]),
            (4, "north", 2, &["g/cpc/a", "f/cpc/b"]),
            (5, "north", 2, &["f/cpc/b", "g/cpc/a"]),
            (6, "north", 1, &["unattributed/oversized"]),
            (7, "north", 2, &["unattributed"]),
            (8, "north", 1, &["g/cpc/a", "f/cpc/b"]),
        ]);
        let pattern = rule.decide(&table);
        assert_eq!(names(&pattern.shared), ["month", "f/cpc/b", "g/cpc/a"]);
        // The month without touchpoints is the same in every model: the only conversion that began with f would be the
        // difference.
        assert_eq!(names(&pattern.single), ["month"]);
        assert!(rule.stands(&pattern, &table));
        let mut finer = pattern.clone();
        finer.single = [CellName::Month, pattern.shared.last().cloned().unwrap()].into();
        assert!(!rule.stands(&finer, &table));
    }
}

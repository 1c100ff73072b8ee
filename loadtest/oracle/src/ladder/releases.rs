//! What of a brand's ladders is published, batch by batch.
//!
//! A group first leaves by the pattern that is decided for it in that batch. Each batch decides a pattern, and the next one
//! takes it over, as far as it can by steps that stand. If the result does not stand, the cells have to join others, and the group
//! is [no longer followed](Releases::must_join). If the group has no lot to leave with, everything of it stays as it was published. Days that were not over at the last publication that changed a cell fall in by the rule. After a
//! restart the published cells are the pattern in use, what is there at the first batch of the days that were over passes for
//! what was published, and that batch only decides.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::record::{BrandId, Currency, Day, Ping, Record, SaleKind};
use tributary_operators::settings::Settings;

use super::cells::{of_contacts, of_revenue, of_sales, of_visits};
use super::contribution::{Contribution, Contributions, Sales, SalesKey, is_shared};
use super::name::{Name, Word};
use super::panel::Words;
use super::pattern::{Ladder, Names};
use super::rule::Rule;
use super::sales::{Context, Counted, Days, Pattern};
use super::traffic;
use crate::brand::Brand;
use crate::calendar;
use crate::rules::Model;
use crate::stored::StoredState;

/// What leaves together of a brand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The conversions of a kind, currency and month.
    Sales(SaleKind, Currency, i32),
    /// The contacts of a month.
    Contacts(i32),
    /// The visits of a month.
    Visits(i32),
}

/// What leaves together.
pub type Group = (BrandId, Topic);

/// A published group: `P` is its pattern, `S` the state that was published, `D` what a day of it is known by.
#[derive(Clone)]
struct Published<P, S, D> {
    /// The pattern in use and what it counted; none before the first release.
    used: Option<(P, S)>,
    /// All releases, where they are asked for.
    earlier: Vec<(P, S)>,
    /// The pattern that the last batch decided.
    decided: Option<P>,
    /// The days of the month that were over at the last publication that changed a cell.
    days: BTreeSet<D>,
    cells: Vec<Cell>,
    /// The pattern of cells from before a restart, until the first batch.
    restored: Option<P>,
    /// The last finished day at the last publication before a restart.
    published_through: Option<Day>,
}

impl<P, S, D> Default for Published<P, S, D> {
    fn default() -> Self {
        Published {
            used: None,
            earlier: Vec::new(),
            decided: None,
            days: BTreeSet::new(),
            cells: Vec::new(),
            restored: None,
            published_through: None,
        }
    }
}

/// A published group of conversions.
#[derive(Clone, Default)]
struct PublishedSales {
    group: Published<Pattern, Counted, (Day, bool)>,
    /// Revenue of days that were in progress when it was published, and are not in the group's cells yet.
    in_progress: Vec<Cell>,
    /// The channels that are or were compared.
    compared: BTreeSet<Words>,
    /// Whether no step that stands by itself led to a pattern that stands, when it last left.
    must_join: bool,
}

type PublishedTraffic = Published<Names, Vec<Contribution>, Day>;

/// What is published of all brands with a ladder.
#[derive(Clone)]
pub struct Releases<'a> {
    settings: &'a Settings,
    rule: &'a Rule,
    sales: BTreeMap<(BrandId, SalesKey), PublishedSales>,
    contacts: BTreeMap<(BrandId, i32), PublishedTraffic>,
    visits: BTreeMap<(BrandId, i32), PublishedTraffic>,
}

impl<'a> Releases<'a> {
    /// Nothing is published yet.
    pub fn new(settings: &'a Settings, rule: &'a Rule) -> Releases<'a> {
        Releases {
            settings,
            rule,
            sales: BTreeMap::new(),
            contacts: BTreeMap::new(),
            visits: BTreeMap::new(),
        }
    }

    /// One batch: what is published after it, sorted. `leaves` says which groups may leave, because enough contributors of
    /// their lot have changed; whatever has not changed may as well.
    pub fn batch(
        &mut self,
        held: &StoredState,
        is_finished: impl Fn(BrandId, Day) -> bool,
        leaves: impl Fn(&Group) -> bool,
    ) -> Vec<Cell> {
        let settings = self.settings;
        for (id, brand) in settings.brands.iter().filter(|(_, brand)| brand.k > 1) {
            let records: Vec<&Record> = held.records.iter().filter(|of| of.brand == *id).collect();
            let pings: Vec<&Ping> = held.pings.iter().filter(|of| of.brand == *id).collect();
            let brand = Brand {
                unmatched: Vec::new(),
                settings: brand,
                words: &held.words,
                link_time: held.link_times.get(id).copied(),
            };
            let is_finished = |day| is_finished(*id, day);
            let all = Contributions::of(&brand, &records, &pings, is_finished);
            self.batch_of_brand(*id, &brand, all, is_finished, &leaves);
        }
        self.published()
    }

    fn batch_of_brand(
        &mut self,
        id: BrandId,
        brand: &Brand,
        mut all: Contributions,
        is_finished: impl Fn(Day) -> bool,
        leaves: impl Fn(&Group) -> bool,
    ) {
        for key in all.sales.keys() {
            self.sales.entry((id, *key)).or_default();
        }
        for (of, published) in self.sales.iter_mut().filter(|((of, _), _)| *of == id) {
            let key = of.1;
            let sales = all.sales.remove(&key).unwrap_or_default();
            let of_visits = key.0 == SaleKind::Visit;
            let null_paths = all.null_paths.entry((key.2, of_visits)).or_default();
            let settled = calendar::last_day(key.2) + brand.settings.settles_in();
            let panel = all.panels.get(&key.2);
            let context = Context {
                brand,
                kind: key.0,
                dominance: self.rule.dominance,
                null_paths,
                panel: panel.filter(|_| of_visits && is_finished(settled)),
            };
            let leaves = leaves(&(id, Topic::Sales(key.0, key.1, key.2)));
            published.batch(&context, key, &sales, &is_finished, leaves, self.rule);
        }
        let k_delta = brand.settings.k_delta();
        let contacts = traffic::contacts(brand.settings, self.rule.dominance);
        for month in all.contacts.keys() {
            self.contacts.entry((id, *month)).or_default();
        }
        for ((_, month), published) in self.contacts.iter_mut().filter(|((of, _), _)| *of == id) {
            let now = all.contacts.remove(month).unwrap_or_default();
            let leaves = leaves(&(id, Topic::Contacts(*month)));
            let finished = finished_days(*month, &is_finished);
            published.batch(
                &contacts,
                now,
                finished,
                leaves,
                (self.rule, k_delta),
                |of| of_contacts(&contacts, brand, *month, &of.0, &of.1),
            );
        }
        let visits = traffic::visits(brand.settings);
        for month in all.visits.keys() {
            self.visits.entry((id, *month)).or_default();
        }
        for ((_, month), published) in self.visits.iter_mut().filter(|((of, _), _)| *of == id) {
            let now = all.visits.remove(month).unwrap_or_default();
            let leaves = leaves(&(id, Topic::Visits(*month)));
            let finished = finished_days(*month, &is_finished);
            published.batch(&visits, now, finished, leaves, (self.rule, k_delta), |of| {
                of_visits(&visits, brand, *month, &of.0, &of.1)
            });
        }
    }

    /// The groups of conversions that left with the last batch and became too small for every step that stands by itself. Their
    /// cells have to join others, which is not followed here.
    pub fn must_join(&self) -> impl Iterator<Item = Group> + '_ {
        let groups = self.sales.iter().filter(|(_, of)| of.must_join);
        groups.map(|((id, key), _)| (*id, Topic::Sales(key.0, key.1, key.2)))
    }

    /// Everything that is published, sorted.
    pub fn published(&self) -> Vec<Cell> {
        let sales = self.sales.values();
        let sales = sales.flat_map(|of| of.group.cells.iter().chain(&of.in_progress));
        let traffic = self.contacts.values().chain(self.visits.values());
        let mut cells: Vec<Cell> = sales
            .chain(traffic.flat_map(|of| &of.cells))
            .cloned()
            .collect();
        cells.sort();
        cells
    }

    /// Restores the published cells of a brand from before a restart, each with the time of its publication, Unix milliseconds.
    /// A cell without values was closed then.
    pub fn restore(&mut self, id: BrandId, cells: &[(Cell, i64)]) {
        let Some(settings) = self.settings.brands.get(&id) else {
            return;
        };
        let is_shared = |model: &str| {
            let mut models = Model::ALL.into_iter();
            let model = models.find(|of| of.name() == model);
            model.is_some_and(is_shared)
        };
        for (cell, at) in cells {
            let finished = settings.utc_offsets.day(*at) - 1;
            let is_closed = cell.values.is_empty();
            let word = |name: &str| word(cell.dim(name));
            let channel = || channel_of(cell);
            let time = cell.dim("day").or(cell.dim("month")).or(cell.dim("hour"));
            let month = time.and_then(month_of);
            let is_stay = cell.family == Family::VisitMatch;
            let is_lift = cell.family == Family::VisitLift;
            let is_visit = is_stay
                || is_lift
                || cell.family == Family::ScanDay
                || cell.text("kind") == "visit";
            let currency = match cell.dim("currency") {
                _ if is_visit => Some(Currency::NONE),
                Some(Dim::Text(text)) => text.as_bytes().try_into().ok().map(Currency),
                _ => None,
            };
            let kind = match cell.family {
                Family::StoreDay => SaleKind::Transaction,
                Family::OrdersDay => SaleKind::Order,
                _ if is_visit => SaleKind::Visit,
                _ if cell.text("kind") == SaleKind::Order.name() => SaleKind::Order,
                _ => SaleKind::Transaction,
            };
            let Some(month) = month else { continue };
            match (cell.family, currency) {
                (Family::CampaignDay, _) => {
                    let group = self.contacts.entry((id, month)).or_default();
                    group.published_through = group.published_through.max(Some(finished));
                    if is_closed {
                        continue;
                    }
                    let name = match cell.day() {
                        Some(day) => {
                            Name::ChannelDay(word("source"), word("medium"), word("campaign"), day)
                        }
                        None => channel(),
                    };
                    group.restored.get_or_insert_default().insert(name);
                    group.cells.push(cell.clone());
                }
                (Family::Visits, _) => {
                    let group = self.visits.entry((id, month)).or_default();
                    group.published_through = group.published_through.max(Some(finished));
                    if is_closed {
                        continue;
                    }
                    let name = match time {
                        Some(Dim::Hour(start, offset)) => {
                            let day = day_of_hour(*start, *offset);
                            Name::StoreHour(day, *start, *offset, word("store"))
                        }
                        time => store_name(time, false, word("store")).unwrap_or(Name::Month),
                    };
                    group.restored.get_or_insert_default().insert(name);
                    group.cells.push(cell.clone());
                }
                (Family::VisitLift, _) => {
                    let key = (id, (SaleKind::Visit, Currency::NONE, month));
                    let sales = self.sales.entry(key).or_default();
                    let words = ["source", "medium", "campaign"].map(word);
                    sales.compared.insert(words);
                    sales.group.published_through =
                        sales.group.published_through.max(Some(finished));
                    if is_closed {
                        continue;
                    }
                    sales.group.restored.get_or_insert_default();
                    sales.group.cells.push(cell.clone());
                }
                (
                    Family::StoreDay
                    | Family::OrdersDay
                    | Family::ScanDay
                    | Family::VisitMatch
                    | Family::Attribution
                    | Family::MarkovMonth
                    | Family::Assists
                    | Family::Paths
                    | Family::PathLength
                    | Family::PathDays,
                    Some(currency),
                ) => {
                    let key = (id, (kind, currency, month));
                    let group = &mut self.sales.entry(key).or_default().group;
                    // The revenue of a day in progress tells nothing of other days.
                    if cell.day().is_none_or(|day| day <= finished) {
                        group.published_through = group.published_through.max(Some(finished));
                    }
                    if is_closed {
                        continue;
                    }
                    let pattern = group.restored.get_or_insert_default();
                    group.cells.push(cell.clone());
                    let (names, name) = match cell.family {
                        // Paths are not decided by name.
                        Family::Paths | Family::PathLength | Family::PathDays => continue,
                        Family::StoreDay
                        | Family::OrdersDay
                        | Family::ScanDay
                        | Family::VisitMatch => {
                            (&mut pattern.base, store_name(time, is_stay, word("store")))
                        }
                        Family::Attribution if is_shared(cell.text("model")) => {
                            (&mut pattern.base, Some(channel()))
                        }
                        Family::Attribution => (&mut pattern.single, Some(channel())),
                        Family::MarkovMonth => {
                            (pattern.markov.get_or_insert_default(), Some(channel()))
                        }
                        _ => (pattern.assists.get_or_insert_default(), Some(channel())),
                    };
                    // The rest of a month with a known total has no name in a pattern.
                    names.extend(name.filter(|name| *name != Name::Month));
                }
                _ => {}
            }
        }
    }
}

impl PublishedSales {
    fn batch(
        &mut self,
        context: &Context,
        key: SalesKey,
        sales: &Sales,
        is_finished: impl Fn(Day) -> bool,
        leaves: bool,
        rule: &Rule,
    ) {
        let is_over = |cell: &Cell| cell.day().is_none_or(&is_finished);
        let group = &mut self.group;
        let decided = context.decide(sales);
        let settles_in = context.brand.settings.counts_stays_in();
        let over = |is_over: &dyn Fn(Day) -> bool| -> Days {
            let days = calendar::days_of(key.2).flat_map(|day| [(day, false), (day, true)]);
            days.filter(|(day, is_stay)| is_over(day + if *is_stay { settles_in } else { 0 }))
                .collect()
        };
        let mut published = None;
        self.must_join = false;
        if let Some(mut pattern) = group.restored.take() {
            // What is there of later days was in progress.
            let through = group.published_through;
            group.days = over(&|day| through.is_some_and(|through| day <= through));
            let days = &group.days;
            let is_published = |day: Option<Day>, is_stay: bool| {
                day.is_none_or(|day| days.contains(&(day, is_stay)))
            };
            let base = &mut pattern.base;
            base.retain(|name| is_published(name.day(), name.is_of_stays()));
            let cells = std::mem::take(&mut group.cells);
            (group.cells, self.in_progress) = cells
                .into_iter()
                .partition(|cell| is_published(cell.day(), cell.family == Family::VisitMatch));
            if !group.cells.is_empty() {
                let rests = group.cells.iter().filter_map(|cell| {
                    let name = match cell.family {
                        Family::StoreDay | Family::OrdersDay | Family::ScanDay => Name::Month,
                        Family::VisitMatch => Name::StayMonth,
                        _ => return None,
                    };
                    matches!(cell.dim("day"), Some(Dim::Month(_))).then_some(name)
                });
                let mut sales = sales.clone();
                sales.retain(|day, is_stay| is_published(Some(day), is_stay));
                let counted = context.counted(&sales, &pattern, &rests.collect());
                group.used = Some((pattern, counted));
            }
        } else if let Some((used, then)) = group.used.as_ref().filter(|_| leaves) {
            let days: Days = sales
                .revenue
                .iter()
                .map(|of| (of.day, of.place.0))
                .collect();
            let new: Days = days.difference(&group.days).copied().collect();
            let of_new = context.days_of(sales, &new);
            let with_new = |pattern: &Pattern| {
                let mut pattern = pattern.clone();
                let is_new = |name: &Name| {
                    let day = name.day();
                    day.is_some_and(|day| new.contains(&(day, name.is_of_stays())))
                };
                pattern.base.retain(|name| !is_new(name));
                pattern.base.extend(of_new.iter().cloned());
                pattern
            };
            let wanted = with_new(group.decided.as_ref().unwrap_or(used));
            published =
                context.advance(used, &with_new(used), &wanted, then, sales, &group.earlier);
            self.must_join = published.is_none();
        } else if leaves {
            published = decided.clone();
        }
        if let Some((pattern, counted)) = published {
            let before = sorted(group.cells.iter().chain(&self.in_progress));
            group.cells = of_sales(context, key, &pattern, &counted);
            if let Some(panel) = context.panel {
                let cells = panel.cells(context, key.2, &pattern, &counted, &mut self.compared);
                group.cells.extend(cells);
            }
            let mut pattern = context.prune(pattern, &counted);
            // A name of the chain whose values are all 0 is nowhere.
            if let Some(names) = &mut pattern.markov {
                let cells = group.cells.iter();
                let of_chain = cells.filter(|cell| cell.family == Family::MarkovMonth);
                let published: Names = of_chain.map(channel_of).collect();
                names.retain(|name| published.contains(name));
            }
            // A group of which nothing is left has never been published.
            let is_empty = group.cells.is_empty();
            if rule.all_releases {
                let release = (pattern.clone(), counted.clone());
                group.earlier.push(release);
            }
            group.used = (!is_empty).then_some((pattern, counted));
            self.in_progress.retain(|cell| !is_over(cell));
            if sorted(group.cells.iter().chain(&self.in_progress)) != before {
                group.days = over(&is_finished);
            }
        }
        group.decided = decided.map(|(pattern, _)| pattern);

        let revenue = context.revenue();
        let names: Names = sales
            .in_progress
            .iter()
            .flat_map(|of| of.chain.first())
            .cloned()
            .collect();
        let mut safe = sales.in_progress.clone();
        let cells = revenue.cells(&names, &sales.in_progress);
        let is_safe = |of: &Contribution| {
            let cell = of.chain.first().and_then(|name| cells.get(name));
            cell.is_some_and(|set| revenue.threshold.is_met(set))
        };
        safe.retain(is_safe);
        self.in_progress.retain(is_over);
        let running = of_revenue(&revenue, context.brand, key, &names, &safe);
        self.in_progress.extend(running);
    }
}

impl PublishedTraffic {
    /// One batch. `finished` are the days of the month that are over.
    fn batch(
        &mut self,
        ladder: &Ladder,
        mut now: Vec<Contribution>,
        finished: BTreeSet<Day>,
        leaves: bool,
        (rule, k_delta): (&Rule, u64),
        cells: impl Fn(&(Names, Vec<Contribution>)) -> Vec<Cell>,
    ) {
        let decided = traffic::decide_traffic(ladder, &now);
        let days: BTreeSet<Day> = now.iter().map(|of| of.day).collect();
        if let Some(pattern) = self.restored.take() {
            let through = self.published_through;
            self.days = finished;
            self.days
                .retain(|day| through.is_some_and(|through| *day <= through));
            now.retain(|of| self.days.contains(&of.day));
            self.used = Some((pattern, now));
        } else if leaves {
            let published = match &self.used {
                None => Some(decided.clone()),
                Some((used, then)) => {
                    let new = days.difference(&self.days).copied().collect();
                    let of_new = traffic::days_of(ladder, used, &now, &new);
                    let with_new = |names: &Names| {
                        let mut names = names.clone();
                        names.retain(|name| name.day().is_none_or(|day| !new.contains(&day)));
                        names.extend(of_new.iter().cloned());
                        names
                    };
                    let wanted = with_new(self.decided.as_ref().unwrap_or(used));
                    let current = with_new(used);
                    traffic::advance(
                        ladder,
                        used,
                        current,
                        &wanted,
                        [then, &now],
                        &self.earlier,
                        k_delta,
                    )
                }
            };
            if let Some(names) = &published {
                let names = ladder.used(names, &now);
                if rule.all_releases {
                    self.earlier.push((names.clone(), now.clone()));
                }
                self.used = (!names.is_empty()).then_some((names, now));
                let before = sorted(&self.cells);
                self.cells = self.used.as_ref().map(cells).unwrap_or_default();
                if sorted(&self.cells) != before {
                    self.days = finished;
                }
            }
        }
        self.decided = Some(decided);
    }
}

/// The days of a month that are over.
fn finished_days(month: i32, is_finished: impl Fn(Day) -> bool) -> BTreeSet<Day> {
    let days = calendar::days_of(month);
    days.filter(|day| is_finished(*day)).collect()
}

fn sorted<'a>(cells: impl IntoIterator<Item = &'a Cell>) -> BTreeSet<Cell> {
    cells.into_iter().cloned().collect()
}

/// The channel of a cell, as a name.
fn channel_of(cell: &Cell) -> Name {
    let word = |name: &str| word(cell.dim(name));
    Name::of_channel([word("source"), word("medium"), word("campaign")])
}

fn word(dim: Option<&Dim>) -> Word {
    match dim {
        Some(Dim::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

/// The name of a store and day, of the rest of a day, or none of the rest of a month.
fn store_name(day: Option<&Dim>, is_stay: bool, store: Word) -> Option<Name> {
    match (day, store) {
        (Some(Dim::Day(day)), Some(store)) if &*store == "*" => Some(Name::Day(*day, is_stay)),
        (Some(Dim::Day(day)), store) => Some(Name::StoreDay(*day, is_stay, store)),
        _ => None,
    }
}

fn month_of(time: &Dim) -> Option<i32> {
    match time {
        Dim::Day(day) => Some(calendar::month(*day)),
        Dim::Month(month) => Some(*month),
        Dim::Hour(start, offset) => Some(calendar::month(day_of_hour(*start, *offset))),
        _ => None,
    }
}

fn day_of_hour(start: i64, offset: i32) -> Day {
    (start + i64::from(offset)).div_euclid(86_400) as Day
}

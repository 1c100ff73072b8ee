//! Looking at a month: whether it leaves with a batch, in which pattern, and what changes outside.
//!
//! A batch first decides where a month stands: it moves the pattern in use towards the one that the batch before decided,
//! and decides anew for the next. If the month may leave, its cells are computed, and its chain is solved. All of it is a pure
//! function of the month as it is at the batch, so that another thread does it, while the epoch stays open for the cells.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::aggregate::MonthGroup;
use crate::cell::Family;
use crate::cells::ladder::comparison::{compare, compared_channel, is_settled};
use crate::cells::ladder::group::LadderGroup;
use crate::cells::ladder::held_back::count_hidden;
use crate::cells::ladder::naming::{Naming, pattern_of, rule_of};
use crate::cells::ladder::panel_rows::PanelRows;
use crate::cells::ladder::path_cells::{Folded, PathNames, Paths};
use crate::cells::ladder::plan::{Permit, Plan};
use crate::cells::ladder::progress::day_of;
use crate::cells::ladder::published::{CellId, Changes, Published};
use crate::cells::ladder::rows::{Rows, table};
use crate::cells::ladder::was_published::WasPublished;
use crate::cells::months::NullParts;
use crate::cells::standing::Standing;
use crate::label::{Label, LabelNames};
use crate::record::Day;
use crate::release::{ChannelName, Pattern, PublishedDays, SaleRow};
use crate::settings::{BrandSettings, Settings};

/// What a look at a month needs. It is handed to another thread: a large month takes longer than an epoch may.
pub(in crate::cells) struct Look {
    group: MonthGroup,
    settings: Arc<Settings>,
    words: Arc<LabelNames>,
    /// The null paths of the month.
    null: NullParts,
    permit: Permit,
    /// The published cells of the Markov model and of the comparison, if they may have to stay.
    kept: Published,
    rows: Arc<Rows>,
    panel: Arc<PanelRows>,
    compared: BTreeSet<ChannelName>,
    published_through: Option<Day>,
    is_withdrawn: bool,
    has_unknown_changes: bool,
    was_published: Option<Arc<WasPublished>>,
    pattern: Option<Pattern>,
    paths: PathNames,
    folded: Folded,
    decided: Option<(Pattern, PathNames)>,
}

/// What a look at a month has found.
#[derive(Default)]
pub(in crate::cells) struct LookResult {
    through: Day,
    decided: (Pattern, PathNames),
    is_dirty: bool,
    hidden: u64,
    plan: Option<Box<Plan>>,
    /// The channels that the chain of a restored month merges.
    restarts: Option<Folded>,
    /// By how much the month differs from what was published before a restart, or that it does not, if that was looked at.
    was_changed: Option<Option<[i128; 2]>>,
    /// Whether there is no pattern in which it may be published, although it was.
    is_blocked: bool,
}

impl Look {
    /// Looks at the month, and solves its chain if it may leave.
    pub(in crate::cells) fn run(self) -> LookResult {
        let through = self.permit.through;
        let Some(settings) = self.settings.brands.get(&self.group.brand) else {
            return LookResult::default();
        };
        let rule = &rule_of(settings);
        let naming = &Naming {
            group: self.group,
            settings,
            words: &self.words,
        };
        let settles_in = settings.counts_stays_in();
        let is_first = self.pattern.is_none() && !self.is_withdrawn;
        // Who visited and did not buy counts in the Markov model alone, and by no act: a change of theirs is published only together with
        // those of buyers of the month. So are, after a restart, changes of a panel.
        let may_change = is_first || self.permit.is_lot || self.is_withdrawn;
        // Days that were never published are new.
        let published_days = PublishedDays {
            through: self.published_through.unwrap_or(Day::MIN),
            settles_in,
        };
        let rows = self.rows.finished(self.group, through, settles_in);
        let now = table(&rows, &self.words);
        let decided = rule.decide(&now);
        let paths_in = |pattern: &Pattern, rows: &[(SaleRow, i64)]| {
            let chain = naming.chain(pattern, rows, &self.null);
            Paths::of(naming, pattern, rows, chain.folded())
        };
        let paths_of = |pattern: &Pattern| paths_in(pattern, &rows);
        let decided_paths = paths_of(&decided);
        let decided_names = PathNames::decide(rule, &decided_paths);
        let mut restarts = None;
        let mut was_changed = None;
        let next = match (&self.pattern, &self.decided) {
            // What was withdrawn before the first look after a restart returns with a later batch.
            (None, _) if self.was_published.is_some() => {
                let earlier = self
                    .rows
                    .finished(self.group, published_days.through, settles_in);
                was_changed = self.was_changed(&earlier);
                restarts = Some(Folded::default());
                None
            }
            // Nor does anybody know what has changed since it was withdrawn before a restart.
            (None, None) if self.has_unknown_changes => {
                restarts = Some(Folded::default());
                None
            }
            (None, _) => {
                let first = (decided.clone(), decided_names.clone(), decided_paths);
                Some(first).filter(|_| !decided.shared.is_empty())
            }
            (Some(used), Some((before, before_names))) => {
                let earlier = self.rows.before(self.group, settles_in);
                let then = table(&earlier, &self.words);
                let next = rule.take_over(used, before, [&then, &now], published_days);
                next.and_then(|next| {
                    let paths = match next.revenue == decided.revenue {
                        true => decided_paths,
                        false => paths_of(&next),
                    };
                    let then = Paths::of(naming, used, &earlier, self.folded.clone());
                    let names = self.paths.take_over(rule, before_names, &then, &paths);
                    names.map(|names| (next, names, paths))
                })
            }
            // After a restart only the cells say what was last published: what there is now of the days that were over
            // then is taken for it, and the first batch only decides.
            (Some(used), None) => {
                let earlier = self
                    .rows
                    .finished(self.group, published_days.through, settles_in);
                was_changed = self.was_changed(&earlier);
                restarts = Some(paths_in(used, &earlier).folded);
                None
            }
        };
        let is_blocked = next.is_none() && restarts.is_none() && self.pattern.is_some();
        let is_decided =
            |next: &(Pattern, PathNames, Paths)| next.0 == decided && next.1 == decided_names;
        let is_dirty = !next.as_ref().is_some_and(is_decided);
        let next = next.filter(|_| is_first || self.permit.may_leave);
        let used = next.as_ref().map(|(pattern, ..)| pattern);
        let hidden = count_hidden(rule, used.or(self.pattern.as_ref()), &now);
        let plan = next.map(|(pattern, mut names, mut paths)| {
            let mut cells = naming.cells(rule, &pattern, &rows);
            cells.extend(paths.assist_cells(naming, names.assists.as_ref()));
            let mut compared = self.compared;
            let is_compared = |(family, _): &CellId| *family == Family::VisitLift;
            let keeps_comparison = !may_change && self.kept.keys().any(is_compared);
            if keeps_comparison {
                let of_comparison = self.kept.iter().filter(|(id, _)| is_compared(id));
                cells.extend(of_comparison.map(|(id, values)| (id.clone(), values.clone())));
            } else if is_settled(settings, self.group.month, through) {
                let of = compare(naming, rule, &pattern, &rows, &self.panel, &compared);
                compared.extend(of.keys().cloned());
                cells.extend(naming.comparison(of));
            }
            let chain = may_change.then(|| naming.chain(&pattern, &rows, &self.null));
            let chain = chain.filter(|chain| chain.millionths > 0);
            if !may_change {
                (names.markov, paths.folded) = (self.paths.markov, self.folded);
                let of_chain = self.kept.into_iter();
                cells.extend(of_chain.filter(|((family, _), _)| *family == Family::MarkovMonth));
            }
            let plan = Plan {
                solved: chain.map(|chain| chain.solve()),
                paths: names,
                folded: paths.folded,
                compared,
                pattern,
                through,
                cells,
            };
            Box::new(plan)
        });
        LookResult {
            through,
            decided: (decided, decided_names),
            is_dirty: is_dirty || self.is_withdrawn && plan.is_none(),
            hidden,
            plan,
            restarts,
            was_changed,
            is_blocked,
        }
    }
}

impl Look {
    /// By how much conversions differ from what was published before a restart, or that they give the same cells, if that is to be
    /// found out.
    fn was_changed(&self, earlier: &[(SaleRow, i64)]) -> Option<Option<[i128; 2]>> {
        let was = self.was_published.as_ref()?;
        Some(was.difference(self.group, &self.words, earlier))
    }
}

impl LadderGroup {
    /// A look at the month at a batch.
    pub(super) fn look(
        &self,
        group: MonthGroup,
        (settings, words): (Arc<Settings>, Arc<LabelNames>),
        null: NullParts,
        permit: Permit,
    ) -> Look {
        let mut kept = Published::new();
        if !permit.is_lot {
            let is_kept = |of: Family| matches!(of, Family::MarkovMonth | Family::VisitLift);
            let published = self.published.iter();
            let published = published.filter(|((family, _), _)| is_kept(*family));
            kept.extend(published.map(|(id, values)| (id.clone(), values.clone())));
        }
        Look {
            group,
            settings,
            words,
            null,
            permit,
            kept,
            rows: self.rows.clone(),
            panel: self.panel.clone(),
            compared: self.compared.clone(),
            published_through: self.published_through,
            is_withdrawn: self.is_withdrawn,
            has_unknown_changes: self.has_unknown_changes,
            was_published: self.was_published.clone(),
            pattern: self.pattern.clone(),
            paths: self.paths.clone(),
            folded: self.folded.clone(),
            decided: self.decided.clone(),
        }
    }

    /// Takes what a look at the month has found.
    pub(super) fn take_look(&mut self, looked: LookResult) {
        (self.is_dirty, self.hidden) = (looked.is_dirty, looked.hidden);
        self.is_blocked = looked.is_blocked;
        self.plan = looked.plan;
        if let Some(folded) = looked.restarts {
            self.folded = folded;
            Arc::make_mut(&mut self.rows).publish(self.published_through.unwrap_or(looked.through));
            Arc::make_mut(&mut self.panel).publish();
        }
        if let Some(was_changed) = looked.was_changed {
            (self.was_published, self.has_unknown_changes) = (None, was_changed.is_some());
            self.unknown_changes = was_changed.unwrap_or_default();
        }
        self.decided = Some(looked.decided);
        self.looked_through = Some(looked.through);
    }

    /// Publishes what was planned. `finished` is the last finished day at the time of the publication. Returns the cells that
    /// differ, with their values or none.
    pub(super) fn publish(&mut self, naming: &Naming<'_>, finished: Day) -> Changes {
        let Some(plan) = self.plan.take() else {
            return Vec::new();
        };
        let Plan {
            pattern,
            mut paths,
            folded,
            compared,
            through,
            mut cells,
            solved,
        } = *plan;
        if let (Some(solved), Some(names)) = (&solved, &paths.markov) {
            cells.extend(naming.markov_cells(names, solved));
        }
        paths.forget_unpublished(&cells);
        Arc::make_mut(&mut self.rows).publish(through);
        Arc::make_mut(&mut self.panel).publish();
        self.compared = compared;
        (self.paths, self.folded) = (paths, folded);
        self.pattern = (!cells.is_empty()).then_some(pattern);
        (self.is_withdrawn, self.has_unknown_changes) = (false, false);
        self.unknown_changes = [0; 2];
        let changes = self.replace(cells);
        if !changes.is_empty() {
            self.published_through = Some(finished);
        }
        changes
    }

    /// Takes a cell that was published, or closed if it has no values, when `finished` was the last finished day. The revenue
    /// of a day that was in progress then says nothing about the others.
    pub(super) fn restore(
        &mut self,
        id: CellId,
        values: Vec<i128>,
        finished: Day,
        standing: Option<Standing>,
    ) {
        let is_by_day = id.0 == Family::Attribution && day_of(&id).is_some();
        if is_by_day && values.is_empty() {
            return;
        }
        self.restored.add(&id, standing);
        if day_of(&id).is_none_or(|day| day <= finished) {
            self.published_through = self.published_through.max(Some(finished));
        }
        // The numbers of a channel that is compared no longer are known.
        self.compared.extend(compared_channel(&id));
        if is_by_day {
            self.restored_by_day.insert(id, values);
        } else if !values.is_empty() {
            self.published.insert(id, values);
        }
        self.has_restored = true;
    }

    /// Withdraws what a gate that was made stricter might not publish: the finished days as a whole, and of the days in
    /// progress what it would not publish now. Returns the cells that close, and those that stay, with their values.
    pub(in crate::cells) fn withdraw(
        &mut self,
        of: MonthGroup,
        settings: &BrandSettings,
        words: &Arc<LabelNames>,
    ) -> Changes {
        let naming = Naming {
            group: of,
            settings,
            words,
        };
        let rule = rule_of(settings);
        let mut changes = self
            .progress
            .withdraw(&rule, |day, store| naming.store_day(day, store));
        self.is_dirty = true;
        if self.published.is_empty() {
            return changes;
        }
        (self.pattern, self.decided, self.plan) = (None, None, None);
        self.paths = PathNames::default();
        (self.is_withdrawn, self.has_restored) = (true, false);
        changes.extend(self.replace(Published::new()));
        changes
    }

    /// Withdraws what was published before a restart under lower thresholds than those of now, and returns it as
    /// [`Self::withdraw`] does. Whatever was published is remembered until the next look, which finds out whether the month was
    /// changed before the restart. The restored cells must have been [reconciled](Self::reconcile), and `by_day` taken from them.
    pub(super) fn withdraw_restored(
        &mut self,
        of: MonthGroup,
        settings: &BrandSettings,
        words: &Arc<LabelNames>,
        by_day: Published,
    ) -> Changes {
        let (before, is_lower) = self.restored.take_thresholds(settings);
        // Without a lot of contributors nothing waits, and nothing has to be found out.
        if !self.published.is_empty() && (is_lower || settings.k_delta() > 1) {
            let settings = before.in_settings(settings);
            // Of days that were in progress then, the takings alone were published.
            let last = self.published_through;
            let is_over = |id: &CellId| day_of(id).is_none_or(|day| Some(day) <= last);
            let cells = self.published.clone().into_iter().chain(by_day);
            let cells: Published = cells.filter(|(id, _)| is_over(id)).collect();
            let members = self.restored.members();
            let is_any = !cells.is_empty();
            let was = || Arc::new(WasPublished::new(settings, cells, members));
            self.was_published = is_any.then(was);
        }
        match is_lower {
            true => self.withdraw(of, settings, words),
            false => Changes::new(),
        }
    }

    /// Replaces what is published. Returns the difference.
    fn replace(&mut self, cells: Published) -> Changes {
        let before = std::mem::replace(&mut self.published, cells);
        let closed = before.keys().filter(|id| !self.published.contains_key(*id));
        let mut updates: Vec<_> = closed.map(|id| (id.clone(), None)).collect();
        let changed = self
            .published
            .iter()
            .filter(|(id, values)| before.get(*id) != Some(*values));
        updates.extend(changed.map(|(id, values)| (id.clone(), Some(values.clone()))));
        updates
    }

    /// Takes the restored cells as what was last published. Cells of days in progress are set apart; `id` names them.
    pub(super) fn reconcile(
        &mut self,
        settings: &BrandSettings,
        through: Day,
        id: impl Fn(Day, Label) -> CellId,
    ) {
        let is_after = |id: &CellId, last: Day| day_of(id).is_some_and(|day| day > last);
        let progress = self.published.extract_if(.., |id, _| is_after(id, through));
        let withdrawn = self.restored.take_withdrawn();
        // A month of which nothing is published, because it was withdrawn, is a published one.
        self.is_withdrawn = withdrawn.iter().any(|id| !is_after(id, through));
        let restored = (progress.collect(), &withdrawn);
        self.progress.restore(restored, settings, id);
        self.is_withdrawn &= self.published.is_empty();
        self.has_unknown_changes = self.is_withdrawn;
        // A day that is over by now may have been in progress at the last publication.
        let last = self.published_through.unwrap_or(through);
        let of_group = self.published.keys().filter(|id| !is_after(id, last));
        let members = self.restored.members();
        let pattern = pattern_of(&rule_of(settings), of_group, members);
        self.pattern = (!pattern.shared.is_empty()).then_some(pattern);
        self.paths = PathNames::of(&self.published);
        (self.decided, self.has_restored, self.is_dirty) = (None, false, true);
    }
}

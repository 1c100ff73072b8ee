//! Looking at a month: whether it leaves with a batch, in which pattern, and what changes outside.
//!
//! A batch first decides where a month stands: it moves the pattern in use towards the one that the batch before decided,
//! and decides anew for the next. If the month may leave, its cells are computed, and its chain is handed to the solver.

use crate::cell::Dim;
use crate::cells::ladder::group::LadderGroup;
use crate::cells::ladder::held_back::count_hidden;
use crate::cells::ladder::naming::{Naming, pattern_of};
use crate::cells::ladder::plan::Plan;
use crate::cells::ladder::published::{CellId, Changes, Published};
use crate::cells::months::NullPaths;
use crate::record::Day;
use crate::release::SaleRow;
use crate::release::weight::Rule;

impl LadderGroup {
    /// Looks at the month at a batch. `may_leave` says whether enough contributors have changed what the batch publishes.
    pub(super) fn look(
        &mut self,
        rule: &Rule,
        naming: &Naming<'_>,
        through: Day,
        may_leave: bool,
        null: Option<&NullPaths>,
    ) {
        let now = self.rows.table(through, naming.words);
        let decided = rule.decide(&now);
        let is_first = self.pattern.is_none();
        let next = match (&self.pattern, &self.decided) {
            (None, _) => Some(decided.clone()).filter(|of| !of.shared.is_empty()),
            (Some(used), Some(before)) => {
                let then = self.rows.table_before(naming.words);
                let next = rule.take_over(used, before, &then, &now);
                let stands = now.sales.is_empty() || rule.stands(&next, &now);
                Some(next).filter(|_| stands)
            }
            // After a restart nobody knows what was last published but by its cells, so that the first batch only decides.
            (Some(_), None) => {
                self.rows.publish(through);
                None
            }
        };
        self.is_dirty = next.as_ref().is_none_or(|next| *next != decided);
        self.decided = Some(decided);
        self.looked_through = Some(through);
        let leaves = next.filter(|_| is_first || may_leave);
        self.hidden = count_hidden(rule, leaves.as_ref().or(self.pattern.as_ref()), &now);
        let Some(pattern) = leaves else {
            return;
        };
        let rows: Vec<(&SaleRow, i64)> = self
            .rows
            .finished(through)
            .map(|(row, count)| (&**row, count))
            .collect();
        let chain = naming.chain(&pattern, &rows, null);
        self.plan = Some(Box::new(Plan {
            cells: naming.cells(rule, &pattern, &rows),
            chain: Some(chain),
            solved: None,
            pattern,
            through,
        }));
    }

    /// Publishes what was planned. Returns the cells that differ, with their values or none.
    pub(super) fn publish(&mut self, naming: &Naming<'_>) -> Changes {
        let Some(plan) = self.plan.take() else {
            return Vec::new();
        };
        let Plan {
            pattern,
            through,
            mut cells,
            solved,
            ..
        } = *plan;
        if let Some(solved) = &solved {
            cells.extend(naming.markov_cells(&pattern, solved));
        }
        self.rows.publish(through);
        self.pattern = (!cells.is_empty()).then_some(pattern);
        self.replace(cells)
    }

    /// Replaces what stands outside. Returns the difference.
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

    /// Takes the restored cells as what was last published. Cells of days in progress are set apart.
    pub(super) fn reconcile(&mut self, rule: &Rule, through: Day) {
        let is_in_progress = |(_, dims): &CellId| {
            let mut days = dims.iter().filter_map(|dim| match dim {
                Dim::Day(day) => Some(*day),
                _ => None,
            });
            days.any(|day| day > through)
        };
        let progress = self.published.extract_if(.., |id, _| is_in_progress(id));
        self.progress.published.extend(progress);
        let pattern = pattern_of(rule, &self.published);
        self.pattern = (!pattern.shared.is_empty()).then_some(pattern);
        (self.decided, self.has_restored, self.is_dirty) = (None, false, true);
    }
}

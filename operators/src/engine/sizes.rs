//! State sizes: how many entries and bytes the operators of a worker keep.
//!
//! A size is computed only on request, so that it costs nothing per event. The sizes serve two purposes: they are exported
//! as metrics, and tests assert that the entries return to zero once everything has been retracted.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::operator::KeyedOperator;

/// What one operator of a worker did since the start, and what it keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperatorProfile {
    /// Updates that it received.
    pub updates: u64,
    /// Entries of its state.
    pub entries: u64,
    /// Estimated bytes of its state.
    pub bytes: u64,
    /// The time in which it worked.
    pub busy: Duration,
    /// The longest time without a break.
    pub longest: Duration,
    /// The longest time without a break in the last minute or two.
    pub recent: Duration,
}

impl OperatorProfile {
    /// Adds what another worker did under the same name. The longest steps are those of either.
    pub fn add(&mut self, other: &OperatorProfile) {
        self.updates += other.updates;
        self.entries += other.entries;
        self.bytes += other.bytes;
        self.busy += other.busy;
        self.longest = self.longest.max(other.longest);
        self.recent = self.recent.max(other.recent);
    }
}

/// The profiles of the operators of a worker, by name.
pub type Profile = BTreeMap<&'static str, OperatorProfile>;

/// The state sizes of all operators of one worker, computed on request.
#[derive(Clone, Default)]
pub struct StateSizes(Rc<RefCell<Vec<Size>>>);

/// The name of an operator, and the functions that compute the number of its entries and its sizes.
type Size = (
    &'static str,
    Box<dyn Fn() -> usize>,
    Box<dyn Fn() -> OperatorProfile>,
);

/// Counts the updates that an operator receives.
pub(super) type UpdateCount = Rc<Cell<u64>>;

impl StateSizes {
    /// The number of entries of every operator, by [`KeyedOperator::NAME`].
    pub fn all(&self) -> BTreeMap<&'static str, usize> {
        let sizes = self.0.borrow();
        let sizes = sizes.iter();
        sizes.map(|(name, entries, _)| (*name, entries())).collect()
    }

    /// The updates, entries and bytes of every operator. Its times are zero: [`Profiler`](super::Profiler) adds them.
    pub fn profile(&self) -> Profile {
        let sizes = self.0.borrow();
        sizes
            .iter()
            .map(|(name, _, size)| (*name, size()))
            .collect()
    }

    /// Adds an operator, and returns it shared with these sizes, and the count of its updates.
    pub(super) fn register<S: KeyedOperator>(&self, operator: S) -> (Rc<RefCell<S>>, UpdateCount) {
        let operator = Rc::new(RefCell::new(operator));
        let updates = UpdateCount::default();
        let sized = operator.clone();
        let entries = Box::new(move || sized.borrow().entries());
        let (sized, received) = (operator.clone(), updates.clone());
        let size = Box::new(move || {
            let operator = sized.borrow();
            OperatorProfile {
                updates: received.get(),
                entries: operator.entries() as u64,
                bytes: operator.bytes() as u64,
                ..OperatorProfile::default()
            }
        });
        self.0.borrow_mut().push((S::NAME, entries, size));
        (operator, updates)
    }
}

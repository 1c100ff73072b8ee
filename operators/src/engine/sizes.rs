//! State sizes: how many entries the operators of a worker keep.
//!
//! A size is computed only on request, so that it costs nothing per event. The sizes serve two purposes: they are exported
//! as metrics, and tests assert that they return to zero once everything has been retracted.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::operator::KeyedOperator;

/// The state sizes of all operators of one worker, computed on request.
#[derive(Clone, Default)]
pub struct StateSizes(Rc<RefCell<Vec<Size>>>);

/// The name of an operator, and the function that computes its size.
type Size = (&'static str, Box<dyn Fn() -> usize>);

impl StateSizes {
    /// The number of entries of every operator, by [`KeyedOperator::NAME`].
    pub fn all(&self) -> BTreeMap<&'static str, usize> {
        let sizes = self.0.borrow();
        sizes.iter().map(|(name, size)| (*name, size())).collect()
    }

    /// Adds an operator, and returns it shared with these sizes.
    pub(super) fn register<S: KeyedOperator>(&self, operator: S) -> Rc<RefCell<S>> {
        let operator = Rc::new(RefCell::new(operator));
        let sized = operator.clone();
        let size = Box::new(move || sized.borrow().entries());
        self.0.borrow_mut().push((S::NAME, size));
        operator
    }
}

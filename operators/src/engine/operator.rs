//! Keyed operators: the trait that every stateful operator of the dataflow implements.
//!
//! An operator is a plain struct with one method, so that it can be read and tested without a dataflow. It owns its state;
//! each worker has an instance of its own, for the keys that [`KeyedOperator::route`] sends there.
//!
//! An operator may hand a long computation to a thread of its own. The epoch then stays open and later epochs queue in front
//! of this operator, while the worker continues with everything else. The output does not depend on how long the
//! computation takes.

use std::sync::Arc;

use super::collection::{Diff, Epoch};

/// Schedules an operator again on its worker. Callable from any thread; does nothing once the worker has shut down.
pub type WakeFn = Arc<dyn Fn() + Send + Sync>;

/// A keyed, stateful operator.
///
/// # Examples
///
/// The number of occurrences of each word, as a collection of `(word, count)`:
///
/// ```
/// use tributary_operators::engine::{
///     Diff, Epoch, KeyedOperator, KeyedState, State, emit_change,
/// };
///
/// #[derive(Default)]
/// struct Count(Diff);
///
/// impl State for Count {
///     fn is_empty(&self) -> bool {
///         self.0 == 0
///     }
/// }
///
/// #[derive(Default)]
/// struct WordCount(KeyedState<String, Count>);
///
/// impl KeyedOperator for WordCount {
///     type In = String;
///     type Out = (String, Diff);
///     const NAME: &'static str = "WordCount";
///
///     fn route(word: &String) -> u64 {
///         word.len() as u64
///     }
///
///     fn entries(&self) -> usize {
///         self.0.len()
///     }
///
///     fn apply_epoch(
///         &mut self,
///         _: Epoch,
///         updates: Vec<(String, Diff)>,
///         out: &mut Vec<((String, Diff), Diff)>,
///     ) {
///         for (word, diff) in updates {
///             self.0.amend(word.clone(), |count| {
///                 let before = count.0;
///                 count.0 += diff;
///                 let present = |count: Diff| (count != 0).then_some(count);
///                 let row = |count| (word.clone(), count);
///                 emit_change(present(before), present(count.0), row, out);
///             });
///         }
///     }
/// }
///
/// let mut words = WordCount::default();
/// let mut out = Vec::new();
/// words.apply_epoch(0, vec![("to".into(), 1), ("be".into(), 1)], &mut out);
/// out.clear();
/// words.apply_epoch(1, vec![("to".into(), 1), ("be".into(), -1)], &mut out);
/// assert_eq!(
///     out,
///     [
///         (("to".to_owned(), 1), -1),
///         (("to".to_owned(), 2), 1),
///         (("be".to_owned(), 1), -1),
///     ]
/// );
/// assert_eq!(words.entries(), 1);
/// ```
pub trait KeyedOperator: 'static {
    /// The data of the input collection.
    type In: differential_dataflow::ExchangeData;
    /// The data of the output collection.
    type Out: differential_dataflow::Data;

    /// The name that logs, profiles and metrics show.
    const NAME: &'static str;

    /// The hash of the key that an update belongs to. Updates of equal keys are processed by the same worker: the hash
    /// modulo the number of workers. A message to worker `n` has the hash `n`.
    fn route(update: &Self::In) -> u64;

    /// The number of entries in the state. Zero once all input and all published output has been retracted.
    fn entries(&self) -> usize;

    /// The estimated bytes of the state on the heap, in a bounded number of steps; 0 for a state too small to matter. See
    /// `heap.rs` for its parts.
    fn bytes(&self) -> usize {
        0
    }

    /// Applies all updates of one epoch, in any order, and appends the changes of the output to `out`. Called once for
    /// each epoch with updates or questions, in the order of epochs, after the previous epoch is complete.
    fn apply_epoch(
        &mut self,
        epoch: Epoch,
        updates: Vec<(Self::In, Diff)>,
        out: &mut Vec<(Self::Out, Diff)>,
    );

    /// Continues the epoch that [`apply_epoch`](KeyedOperator::apply_epoch) began last and returns whether it is
    /// complete. An operator that returns `false` must call `wake` once it can make progress.
    fn resume(&mut self, wake: &WakeFn, out: &mut Vec<(Self::Out, Diff)>) -> bool {
        let _ = (wake, out);
        true
    }
}

//! The trait that every stateful operator implements: [`KeyedOperator`].
//!
//! A keyed operator is differential dataflow with explicit state. Its input and output are collections: streams of
//! `(data, time, diff)`. The engine routes each update to the worker that owns its key, waits until the epoch is complete,
//! and passes all updates of that epoch to the operator at once. The operator updates its own compact state and emits the
//! changes of its output collection.
//!
//! Two rules make the result independent of the number of workers and of batching (invariant I1). An operator must not
//! depend on the order of updates within an epoch: they arrive from all workers, interleaved arbitrarily, and a retraction
//! may precede the insertion that it retracts. And the accumulated output must be a function of the accumulated input.
//!
//! An operator may hand long computations to a thread of its own. The epoch then stays open and later epochs queue in front
//! of this operator, while the worker continues with everything else. The output does not depend on how long the
//! computation takes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::{AsCollection, VecCollection};
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator;

/// Logical time: the number of an epoch.
pub type Epoch = u64;

/// The change of a multiplicity: positive for insertions, negative for retractions.
pub type Diff = i64;

/// The largest capacity, in changes, that the output buffer keeps from one epoch to the next.
const ROOM: usize = 1 << 14;

/// A differential collection of `D`.
pub type Collection<'scope, D> = VecCollection<'scope, Epoch, D, Diff>;

/// Schedules an operator again on its worker. Callable from any thread.
pub type WakeFn = Arc<dyn Fn() + Send + Sync>;

/// The state sizes of all operators of one worker, computed on request.
#[derive(Clone, Default)]
pub struct StateSizes(Rc<RefCell<Vec<Size>>>);

type Size = (&'static str, Box<dyn Fn() -> usize>);

impl StateSizes {
    /// The number of entries of every operator, by operator name.
    pub fn all(&self) -> BTreeMap<&'static str, usize> {
        let stages = self.0.borrow();
        stages.iter().map(|(name, size)| (*name, size())).collect()
    }
}

/// A keyed, stateful operator.
pub trait KeyedOperator: 'static {
    /// The data of the input collection.
    type In: differential_dataflow::ExchangeData;
    /// The data of the output collection.
    type Out: differential_dataflow::Data;

    /// The name that logs and profiles show.
    const NAME: &'static str;

    /// The hash of the key that an update belongs to. Updates of equal keys are processed by the same worker.
    fn route(update: &Self::In) -> u64;

    /// The number of entries in the state. Zero once all input and all published output has been retracted.
    fn entries(&self) -> usize;

    /// Applies all updates of one epoch, in any order, and appends the changes of the output to `out`.
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

/// Runs an operator over a collection and registers its state size in `sizes`.
pub fn keyed<'scope, S: KeyedOperator>(
    input: Collection<'scope, S::In>,
    stage: S,
    sizes: &StateSizes,
) -> Collection<'scope, S::Out> {
    let scope = input.inner.scope();
    let stage = Rc::new(RefCell::new(stage));
    let sized = stage.clone();
    let size = Box::new(move || sized.borrow().entries());
    sizes.0.borrow_mut().push((S::NAME, size));
    let exchange = Exchange::new(|update: &(S::In, Epoch, Diff)| S::route(&update.0));
    input
        .inner
        .unary_frontier(exchange, S::NAME, |_capability, info| {
            let activator = scope.worker().sync_activator_for(info.address.to_vec());
            // A worker that has shut down needs no wake-up.
            let wake: WakeFn = Arc::new(move || {
                let _ = activator.activate();
            });
            let mut waiting = BTreeMap::new();
            let mut under_way = None;
            let mut changes = Vec::new();
            move |(input, frontier), output| {
                let mut stage = stage.borrow_mut();
                input.for_each_stamp(|capability, batches| {
                    let Some(capability) = capability.retain_least(output.output_index()) else {
                        return;
                    };
                    for (data, epoch, diff) in batches.flat_map(|batch| batch.drain(..)) {
                        waiting
                            .entry(epoch)
                            .or_insert_with(|| (capability.delayed(&epoch), Vec::new()))
                            .1
                            .push((data, diff));
                    }
                });
                loop {
                    if under_way.is_none()
                        && let Some(entry) = waiting.first_entry()
                        && !frontier.less_equal(entry.key())
                    {
                        let epoch = *entry.key();
                        let (capability, updates) = entry.remove();
                        stage.apply_epoch(epoch, updates, &mut changes);
                        under_way = Some((capability, epoch));
                    }
                    let Some((capability, epoch)) = &under_way else {
                        break;
                    };
                    if !stage.resume(&wake, &mut changes) {
                        break;
                    }
                    let given = changes.drain(..);
                    output
                        .session(capability)
                        .give_iterator(given.map(|(data, diff)| (data, *epoch, diff)));
                    // Release the buffer of a large epoch: the operators downstream need as much memory now.
                    if changes.capacity() > ROOM {
                        changes = Vec::new();
                    }
                    under_way = None;
                }
            }
        })
        .container::<Vec<_>>()
        .as_collection()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use differential_dataflow::input::Input;
    use timely::dataflow::operators::Inspect;

    use super::*;

    /// Completes each epoch on a signal from another thread.
    struct Elsewhere {
        finished: Receiver<()>,
        wake: Arc<Mutex<Option<WakeFn>>>,
        updates: Vec<(u64, Diff)>,
    }

    impl KeyedOperator for Elsewhere {
        type In = u64;
        type Out = u64;
        const NAME: &'static str = "Elsewhere";

        fn route(update: &u64) -> u64 {
            *update
        }

        fn entries(&self) -> usize {
            self.updates.len()
        }

        fn apply_epoch(&mut self, _: Epoch, updates: Vec<(u64, Diff)>, _: &mut Vec<(u64, Diff)>) {
            assert!(self.updates.is_empty(), "the epoch before is finished");
            self.updates = updates;
        }

        fn resume(&mut self, wake: &WakeFn, out: &mut Vec<(u64, Diff)>) -> bool {
            *self.wake.lock().unwrap() = Some(wake.clone());
            let is_finished = self.finished.try_recv().is_ok();
            if is_finished {
                out.append(&mut self.updates);
            }
            is_finished
        }
    }

    #[test]
    fn a_worker_goes_on_while_an_epoch_is_worked_at_elsewhere() {
        timely::execute_directly(|worker| {
            let (finish, finished) = channel();
            let wake = Arc::default();
            let (sent, received) = channel();
            let slow = Elsewhere {
                finished,
                wake: Arc::clone(&wake),
                updates: Vec::new(),
            };
            let (mut input, probe, beside) = worker.dataflow(|scope| {
                let (input, rows) = scope.new_collection();
                let out = keyed(rows.clone(), slow, &StateSizes::default());
                out.inner.clone().inspect(move |(data, epoch, _)| {
                    sent.send((*data, *epoch)).unwrap();
                });
                (input, out.probe().0, rows.probe().0)
            });
            for epoch in 0..3u64 {
                input.update(epoch + 7, 1);
                input.advance_to(epoch + 1);
                input.flush();
            }
            while beside.less_than(&3) || wake.lock().unwrap().is_none() {
                worker.step();
            }
            // Everything beside the operator has completed, and the operator has emitted nothing.
            assert!(probe.less_than(&1));
            assert!(received.try_recv().is_err());
            for epoch in 0..3u64 {
                finish.send(()).unwrap();
                let wake = wake.lock().unwrap().clone().unwrap();
                std::thread::spawn(move || wake()).join().unwrap();
                while probe.less_than(&(epoch + 1)) {
                    worker.step_or_park(Some(Duration::from_secs(60)));
                }
                assert_eq!(
                    received.try_iter().collect::<Vec<_>>(),
                    [(epoch + 7, epoch)]
                );
            }
        });
    }
}

//! The one shape that every stateful operator here has: a [`Stage`].
//!
//! A stage is differential dataflow with its state made explicit. Its input and output are
//! collections, streams of `(data, time, diff)`; the engine routes each update to the worker that owns
//! its key, waits until an epoch is complete, and hands the stage all updates of that epoch at once.
//! The stage then changes its own compact state and says how its output collection changed.
//!
//! Two rules make the result independent of workers and batches (invariant I1). A stage must not
//! depend on the order of the updates within an epoch: they come from every worker, interleaved as
//! they please, and a retraction may stand before what it retracts. And the accumulated output must be
//! a function of the accumulated input.
//!
//! What takes long a stage may have done by a thread of its own. The epoch then stays open and later ones wait in front of
//! this stage, while the worker goes on with everything else and nothing that comes out depends on how long it took.

use std::collections::BTreeMap;
use std::sync::Arc;

use differential_dataflow::{AsCollection, VecCollection};
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator;

/// Logical time: the number of an epoch.
pub type Epoch = u64;

/// How often something is there.
pub type Diff = i64;

/// A collection of plain rows.
pub type Rows<'scope, D> = VecCollection<'scope, Epoch, D, Diff>;

/// Lets a worker look at a stage again. From any thread.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// A keyed, stateful operator.
pub trait Stage: 'static {
    /// What changes in its input.
    type In: differential_dataflow::ExchangeData;
    /// What changes in its output.
    type Out: differential_dataflow::Data;

    /// The name that logs and profiles show.
    const NAME: &'static str;

    /// The hash of the key that an update belongs to: equal keys meet on one worker.
    fn route(update: &Self::In) -> u64;

    /// Takes all updates of one epoch, in any order, and appends the changes of the output.
    fn step(
        &mut self,
        epoch: Epoch,
        updates: Vec<(Self::In, Diff)>,
        out: &mut Vec<(Self::Out, Diff)>,
    );

    /// Goes on with the epoch that was stepped last. Whether it is finished: whoever says no calls `wake` when it is
    /// worth to ask again.
    fn go_on(&mut self, wake: &Wake, out: &mut Vec<(Self::Out, Diff)>) -> bool {
        let _ = (wake, out);
        true
    }
}

/// Runs a stage over a collection.
pub fn stage<'scope, S: Stage>(input: Rows<'scope, S::In>, mut stage: S) -> Rows<'scope, S::Out> {
    let scope = input.inner.scope();
    let exchange = Exchange::new(|update: &(S::In, Epoch, Diff)| S::route(&update.0));
    input
        .inner
        .unary_frontier(exchange, S::NAME, |_capability, info| {
            let activator = scope.worker().sync_activator_for(info.address.to_vec());
            // A worker that is gone needs no waking.
            let wake: Wake = Arc::new(move || {
                let _ = activator.activate();
            });
            let mut waiting = BTreeMap::new();
            let mut under_way = None;
            let mut changes = Vec::new();
            move |(input, frontier), output| {
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
                        stage.step(epoch, updates, &mut changes);
                        under_way = Some((capability, epoch));
                    }
                    let Some((capability, epoch)) = &under_way else {
                        break;
                    };
                    if !stage.go_on(&wake, &mut changes) {
                        break;
                    }
                    let changes = changes.drain(..);
                    output
                        .session(capability)
                        .give_iterator(changes.map(|(data, diff)| (data, *epoch, diff)));
                    under_way = None;
                }
            }
        })
        .container::<Vec<_>>()
        .as_collection()
}

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

use std::collections::BTreeMap;

use differential_dataflow::{AsCollection, VecCollection};
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator;

/// Logical time: the number of an epoch.
pub type Epoch = u64;

/// How often something is there.
pub type Diff = i64;

/// A collection of plain rows.
pub type Rows<'scope, D> = VecCollection<'scope, Epoch, D, Diff>;

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
}

/// Runs a stage over a collection.
pub fn stage<'scope, S: Stage>(input: Rows<'scope, S::In>, mut stage: S) -> Rows<'scope, S::Out> {
    let exchange = Exchange::new(|update: &(S::In, Epoch, Diff)| S::route(&update.0));
    input
        .inner
        .unary_frontier(exchange, S::NAME, |_capability, _info| {
            let mut waiting = BTreeMap::new();
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
                while let Some(entry) = waiting.first_entry() {
                    let epoch = *entry.key();
                    if frontier.less_equal(&epoch) {
                        break;
                    }
                    let (capability, updates) = entry.remove();
                    stage.step(epoch, updates, &mut changes);
                    output
                        .session(&capability)
                        .give_iterator(changes.drain(..).map(|(data, diff)| (data, epoch, diff)));
                }
            }
        })
        .container::<Vec<_>>()
        .as_collection()
}

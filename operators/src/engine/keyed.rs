//! Runs operators on all workers, one complete epoch at a time.
//!
//! Updates and questions wait until no worker can send more of their epoch. Then the operator receives the epoch as a whole.
//! Its changes leave when the epoch is complete, and not before, so that operators downstream see complete epochs too. An
//! operator whose epoch stays open does not hold up the worker: it is scheduled again when its own thread wakes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use differential_dataflow::{AsCollection, Data, ExchangeData};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::generic::operator::empty;
use timely::dataflow::operators::generic::{OutputBuilder, OutputBuilderSession};
use timely::dataflow::operators::{Capability, InputCapability};

use super::collection::{Collection, Diff, Epoch};
use super::operator::{KeyedOperator, WakeFn};
use super::query::{Answer, Query, QueryOperator};
use super::sizes::StateSizes;

/// The largest capacity, in rows, that an output buffer keeps from one epoch to the next.
const MAX_IDLE_CAPACITY: usize = 1 << 14;

/// Runs an operator over a collection and registers its state size in `sizes`.
///
/// # Examples
///
/// ```
/// use differential_dataflow::input::Input;
/// use timely::dataflow::operators::Inspect;
/// use tributary_operators::engine::{Diff, Epoch, KeyedOperator, StateSizes, keyed};
///
/// /// The sum of all numbers.
/// struct Sum(i64);
///
/// impl KeyedOperator for Sum {
///     type In = i64;
///     type Out = i64;
///     const NAME: &'static str = "Sum";
///
///     fn route(_: &i64) -> u64 {
///         0
///     }
///
///     fn entries(&self) -> usize {
///         usize::from(self.0 != 0)
///     }
///
///     fn apply_epoch(&mut self, _: Epoch, updates: Vec<(i64, Diff)>, out: &mut Vec<(i64, Diff)>) {
///         out.push((self.0, -1));
///         self.0 += updates.iter().map(|(number, diff)| number * diff).sum::<i64>();
///         out.push((self.0, 1));
///     }
/// }
///
/// timely::execute_directly(|worker| {
///     let sizes = StateSizes::default();
///     let mut input = worker.dataflow(|scope| {
///         let (input, numbers) = scope.new_collection();
///         keyed(numbers, Sum(0), &sizes)
///             .inner
///             .inspect(|change| assert!([(0, 0, -1), (7, 0, 1)].contains(change)));
///         input
///     });
///     input.update(3, 1);
///     input.update(4, 1);
///     drop(input);
///     while worker.step() {}
///     assert_eq!(sizes.all()["Sum"], 1);
/// });
/// ```
pub fn keyed<'scope, S: KeyedOperator>(
    input: Collection<'scope, S::In>,
    operator: S,
    sizes: &StateSizes,
) -> Collection<'scope, S::Out> {
    let queries = empty(input.inner.scope()).as_collection();
    let ignore = |_: &mut S, _: Query<()>, _: &mut Vec<()>| ();
    run(input, queries, operator, ignore, sizes).0
}

/// Runs an operator that answers questions, as [`keyed`] does. Returns its output and its answers, both complete at the end
/// of each epoch. The answers are still on the worker that gave them; [`deliver`](super::workers::deliver) takes them to
/// the one that asked.
pub fn keyed_with_queries<'scope, S: QueryOperator>(
    input: Collection<'scope, S::In>,
    queries: Collection<'scope, Query<S::Question>>,
    operator: S,
    sizes: &StateSizes,
) -> (
    Collection<'scope, S::Out>,
    Collection<'scope, Answer<S::Reply>>,
) {
    run(input, queries, operator, S::answer, sizes)
}

/// Runs an operator with a function that answers queries. Input 0 are updates and input 1 queries; output 0 are changes
/// and output 1 answers.
fn run<'scope, S: KeyedOperator, Q: ExchangeData, R: Data>(
    input: Collection<'scope, S::In>,
    queries: Collection<'scope, Query<Q>>,
    operator: S,
    answer: impl Fn(&mut S, Query<Q>, &mut Vec<R>) + 'static,
    sizes: &StateSizes,
) -> (Collection<'scope, S::Out>, Collection<'scope, Answer<R>>) {
    let scope = input.inner.scope();
    let (operator, received) = sizes.register(operator);
    let mut builder = OperatorBuilder::new(S::NAME.to_owned(), scope);
    let address = builder.operator_info().address.to_vec();
    let activator = scope.worker().sync_activator_for(address);
    let wake: WakeFn = Arc::new(move || {
        // A worker that has shut down needs no wake-up.
        let _ = activator.activate();
    });
    let route = Exchange::new(|update: &(S::In, Epoch, Diff)| S::route(&update.0));
    let mut input = builder.new_input(input.inner, route);
    let route = Exchange::new(|query: &(Query<Q>, Epoch, Diff)| query.0.key as u64);
    let mut queries = builder.new_input(queries.inner, route);
    let (output, changed) = builder.new_output();
    let mut output = OutputBuilder::<_, Rows<_>>::from(output);
    let (answers, answered) = builder.new_output();
    let mut answers = OutputBuilder::<_, Rows<_>>::from(answers);
    builder.build(move |_capabilities| {
        let mut epochs: Epochs<S, Q> = Epochs::default();
        let (mut changes, mut replies) = (Vec::new(), Vec::new());
        move |frontiers| {
            input.for_each_stamp(|capability, batches| {
                for (data, epoch, diff) in batches.flat_map(|batch| batch.drain(..)) {
                    received.set(received.get() + 1);
                    epochs.at(epoch, &capability).updates.push((data, diff));
                }
            });
            queries.for_each_stamp(|capability, batches| {
                for (query, epoch, _) in batches.flat_map(|batch| batch.drain(..)) {
                    epochs.at(epoch, &capability).queries.push(query);
                }
            });
            let (mut output, mut answers) = (output.activate(), answers.activate());
            let is_open = |epoch: &Epoch| frontiers.iter().any(|open| open.less_equal(epoch));
            let mut operator = operator.borrow_mut();
            while let Some(done) = epochs.advance(&mut *operator, is_open, &wake, &mut changes) {
                let [of_changes, of_answers] = &done.capabilities;
                give(&mut output, of_changes, done.epoch, &mut changes);
                for query in done.queries {
                    let (asker, number) = (query.asker, query.number);
                    answer(&mut operator, query, &mut replies);
                    let of_query = replies.drain(..).map(|reply| Answer {
                        asker,
                        number,
                        reply,
                    });
                    let mut rows = of_query.map(|answer| (answer, 1)).collect();
                    give(&mut answers, of_answers, done.epoch, &mut rows);
                }
            }
        }
    });
    (changed.as_collection(), answered.as_collection())
}

/// The epochs that an operator has received and not completed, in order.
struct Epochs<S: KeyedOperator, Q> {
    /// The epochs that were not applied.
    waiting: BTreeMap<Epoch, Pending<S::In, Q>>,
    /// The epoch that was applied and is not complete: a pending one without updates.
    current: Option<Pending<S::In, Q>>,
}

/// The input of an epoch, and the capabilities to send its changes and answers.
struct Pending<D, Q> {
    epoch: Epoch,
    capabilities: [Capability<Epoch>; 2],
    updates: Vec<(D, Diff)>,
    queries: Vec<Query<Q>>,
}

impl<S: KeyedOperator, Q> Default for Epochs<S, Q> {
    fn default() -> Self {
        Epochs {
            waiting: BTreeMap::new(),
            current: None,
        }
    }
}

impl<S: KeyedOperator, Q> Epochs<S, Q> {
    /// The epoch of an update or query that arrived with a capability.
    fn at(&mut self, epoch: Epoch, capability: &InputCapability<Epoch>) -> &mut Pending<S::In, Q> {
        self.waiting.entry(epoch).or_insert_with(|| Pending {
            epoch,
            capabilities: [0, 1].map(|output| capability.delayed(&epoch, output)),
            updates: Vec::new(),
            queries: Vec::new(),
        })
    }

    /// Completes the next epoch and appends its changes, or returns `None` if that is not possible now: because more input
    /// of the epoch may arrive (`is_open`), or because the operator waits for its own thread.
    fn advance(
        &mut self,
        operator: &mut S,
        is_open: impl Fn(&Epoch) -> bool,
        wake: &WakeFn,
        changes: &mut Vec<(S::Out, Diff)>,
    ) -> Option<Pending<S::In, Q>> {
        if self.current.is_none() {
            let next = self.waiting.first_entry();
            let mut next = next.filter(|next| !is_open(next.key()))?.remove();
            operator.apply_epoch(next.epoch, std::mem::take(&mut next.updates), changes);
            self.current = Some(next);
        }
        match operator.resume(wake, changes) {
            true => self.current.take(),
            false => None,
        }
    }
}

/// Builds the messages of a collection.
type Rows<D> = CapacityContainerBuilder<Vec<(D, Epoch, Diff)>>;

/// Sends the rows of an epoch. Releases the buffer of a large epoch: the operators downstream need as much memory now.
fn give<D: Data>(
    output: &mut OutputBuilderSession<'_, Epoch, Rows<D>>,
    capability: &Capability<Epoch>,
    epoch: Epoch,
    rows: &mut Vec<(D, Diff)>,
) {
    let given = rows.drain(..).map(|(data, diff)| (data, epoch, diff));
    output.session(capability).give_iterator(given);
    if rows.capacity() > MAX_IDLE_CAPACITY {
        *rows = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use differential_dataflow::input::Input;
    use timely::dataflow::operators::Inspect;

    use super::super::workers::deliver;
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

    /// The sums of numbers by their last digit.
    #[derive(Default)]
    struct Sums(BTreeMap<u64, u64>);

    impl KeyedOperator for Sums {
        type In = u64;
        type Out = u64;
        const NAME: &'static str = "Sums";

        fn route(number: &u64) -> u64 {
            number % 10
        }

        fn entries(&self) -> usize {
            self.0.len()
        }

        fn apply_epoch(&mut self, _: Epoch, updates: Vec<(u64, Diff)>, _: &mut Vec<(u64, Diff)>) {
            for (number, _) in updates {
                *self.0.entry(number % 10).or_default() += number;
            }
        }
    }

    impl QueryOperator for Sums {
        type Question = u64;
        type Reply = u64;

        fn answer(&mut self, query: Query<u64>, replies: &mut Vec<u64>) {
            replies.extend(self.0.get(&query.question));
        }
    }

    #[test]
    fn an_answer_is_as_of_its_epoch_and_returns_to_the_worker_that_asked() {
        let (sent, received) = channel();
        let sent = Mutex::new(sent);
        let workers = timely::execute(timely::Config::process(3), move |worker| {
            let sent = sent.lock().unwrap().clone();
            let index = worker.index() as u64;
            worker.dataflow::<Epoch, _, _>(|scope| {
                let (mut input, numbers) = scope.new_collection();
                let (mut questions, queries) = scope.new_collection();
                let sums = Sums::default();
                let (_, answers) =
                    keyed_with_queries(numbers, queries, sums, &StateSizes::default());
                deliver(answers, |answer| answer.asker)
                    .inner
                    .inspect(move |(answer, epoch, _)| {
                        sent.send((*epoch, index, answer.clone())).unwrap();
                    });
                // Each worker adds 12 in each epoch, and worker 1 asks in the second.
                for epoch in 0..3 {
                    input.advance_to(epoch);
                    questions.advance_to(epoch);
                    if (epoch, index) == (1, 1) {
                        let query = Query {
                            asker: index,
                            number: 4,
                            key: 2,
                            question: 2,
                        };
                        questions.update(query, 1);
                    }
                    input.update(12, 1);
                    input.flush();
                    questions.flush();
                }
            });
        });
        drop(workers);
        let answer = Answer {
            asker: 1,
            number: 4,
            reply: 6 * 12,
        };
        assert_eq!(received.try_iter().collect::<Vec<_>>(), [(1, 1, answer)]);
    }
}

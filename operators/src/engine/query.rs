//! Queries: questions to the state of the operators, answered by the running dataflow.
//!
//! A query enters like any other input and belongs to an epoch. An operator that implements [`QueryOperator`] answers it once
//! all updates of that epoch are applied, so an answer is exact as of one epoch, on any number of workers and processes,
//! without a lock. Queries and answers travel on channels of their own: an operator's input and output types do not mention
//! them, and without a query nothing is sent.
//!
//! A query is routed by its [`key`](Query::key), like the state that it asks for. To ask all workers, send one query for each
//! ([`broadcast`](super::workers::broadcast)) with the worker as its key. A reply may also be a query for the next operator,
//! if what one operator knows is only where to ask.

use serde::{Deserialize, Serialize};

use super::operator::KeyedOperator;

/// A question on its way to the state that answers it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Query<Q> {
    /// The worker that asked.
    pub asker: u64,
    /// The number that the asking worker gave the question.
    pub number: u64,
    /// The key whose state answers. Its low 64 bits are the routing hash; the receiving worker, if the query concerns all
    /// state of a worker.
    pub key: u128,
    /// The question.
    pub question: Q,
}

impl<Q> Query<Q> {
    /// The same query with another key and question, for another operator.
    pub fn redirect<P>(&self, key: u128, question: P) -> Query<P> {
        Query {
            asker: self.asker,
            number: self.number,
            key,
            question,
        }
    }
}

/// A part of an answer, addressed to the worker that asked. An answer is complete at the end of the epoch of its question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Answer<R> {
    /// The worker that asked.
    pub asker: u64,
    /// The number that this worker gave the question.
    pub number: u64,
    /// The part.
    pub reply: R,
}

/// An operator that answers questions about its state.
///
/// # Examples
///
/// How often a word has occurred, asked by worker 0 and answered by the worker that owns the word. The answer is as of the end
/// of its epoch, so it includes the update that follows the question:
///
/// ```
/// use std::collections::BTreeMap;
///
/// use differential_dataflow::input::Input;
/// use timely::dataflow::operators::Inspect;
/// use tributary_operators::engine::{
///     Diff, Epoch, KeyedOperator, Query, QueryOperator, StateSizes, keyed_with_queries,
/// };
///
/// #[derive(Default)]
/// struct Words(BTreeMap<u64, Diff>);
///
/// impl KeyedOperator for Words {
///     type In = u64;
///     type Out = u64;
///     const NAME: &'static str = "Words";
///
///     fn route(word: &u64) -> u64 {
///         *word
///     }
///
///     fn entries(&self) -> usize {
///         self.0.len()
///     }
///
///     fn apply_epoch(&mut self, _: Epoch, updates: Vec<(u64, Diff)>, _: &mut Vec<(u64, Diff)>) {
///         for (word, diff) in updates {
///             *self.0.entry(word).or_default() += diff;
///         }
///     }
/// }
///
/// impl QueryOperator for Words {
///     type Question = ();
///     type Reply = Diff;
///
///     fn answer(&mut self, query: Query<()>, replies: &mut Vec<Diff>) {
///         replies.extend(self.0.get(&(query.key as u64)));
///     }
/// }
///
/// timely::execute_directly(|worker| {
///     worker.dataflow::<Epoch, _, _>(|scope| {
///         let (mut words, updates) = scope.new_collection();
///         let (mut questions, queries) = scope.new_collection();
///         let sizes = StateSizes::default();
///         let (_, answers) = keyed_with_queries(updates, queries, Words::default(), &sizes);
///         answers.inner.inspect(|(answer, _, _)| {
///             assert_eq!((answer.asker, answer.number, answer.reply), (0, 7, 3));
///         });
///         words.update(5, 2);
///         let query = Query {
///             asker: 0,
///             number: 7,
///             key: 5,
///             question: (),
///         };
///         questions.update(query, 1);
///         words.update(5, 1);
///     });
/// });
/// ```
pub trait QueryOperator: KeyedOperator {
    /// The question.
    type Question: differential_dataflow::ExchangeData;
    /// A part of an answer.
    type Reply: differential_dataflow::Data;

    /// Answers a question from the state at the end of its epoch. Appends the parts of the answer that this worker knows
    /// to `replies`; none if it knows nothing.
    fn answer(&mut self, query: Query<Self::Question>, replies: &mut Vec<Self::Reply>);
}

//! The engine: the few general building blocks that all operators of the dataflow are made of.
//!
//! Tributary's dataflow is differential dataflow with explicit state. A [`Collection`] is a stream of `(data, epoch, diff)`:
//! the changes of a multiset. A [`KeyedOperator`] maps a collection to a collection. The engine routes each update to the
//! worker that owns its key, waits until the epoch is complete, and passes all updates of that epoch to the operator at once.
//! The operator changes its own compact state and emits the changes of its output collection.
//!
//! Two rules make the result independent of the number of workers and of batching (invariant I1). An operator must not
//! depend on the order of updates within an epoch: they arrive from all workers, interleaved arbitrarily, and a retraction
//! may precede the insertion that it retracts. And the accumulated output must be a function of the accumulated input.
//!
//! | block | purpose |
//! |---|---|
//! | [`keyed`], [`keyed_with_queries`] | run an operator on all workers, one complete epoch at a time |
//! | [`KeyedState`] | the state of an operator by key; a state that is empty again is dropped |
//! | [`GroupedState`] | the same for keys in groups, a table for each |
//! | [`Table`] | the hash table of all large states: entries are dense, and it grows a little at a time |
//! | [`Interner`] | a small number for each value in use |
//! | [`emit_change`], [`emit_consolidated`] | emit exactly the difference between two states, and nothing if they are equal |
//! | [`Query`], [`QueryOperator`] | questions that the running dataflow answers as of one epoch |
//! | [`broadcast`], [`broadcast_rows`], [`deliver`] | messages to all workers, or to a certain one |
//! | [`split2`] to [`split4`] | divide the output of an operator by what it is |
//! | [`StateSizes`], [`Profiler`] | how many entries and bytes each operator keeps, and how long it works |
//!
//! A question to the running dataflow belongs to an epoch like an update, and is answered as of the end of that epoch.
//!
//! Nothing here knows records, persons or cells: the blocks are tested on their own, with numbers as data.

mod chunks;
mod collection;
mod differences;
mod grouped_state;
mod heap;
mod interner;
mod keyed;
mod keyed_state;
mod numbered;
mod operator;
mod profile;
mod query;
mod segments;
mod sizes;
mod slab;
mod split;
mod table;
mod workers;

pub(crate) use chunks::Chunks;
pub use collection::{Collection, Diff, Epoch};
pub use differences::{emit_change, emit_consolidated};
pub use grouped_state::GroupedState;
pub use heap::{extrapolate, shared_bytes, table_bytes, text_bytes, tree_bytes, vec_bytes};
pub use interner::Interner;
pub use keyed::{keyed, keyed_with_queries};
pub use keyed_state::{KeyedState, State};
pub(crate) use numbered::{Keyed, Numbered};
pub use operator::{KeyedOperator, WakeFn};
pub use profile::{OTHER, Profiler};
pub use query::{Answer, Query, QueryOperator};
pub use sizes::{OperatorProfile, Profile, StateSizes};
pub(crate) use slab::Slab;
pub use split::{OneOf2, OneOf3, OneOf4, split2, split3, split4};
pub use table::{Entry, OccupiedEntry, Table, VacantEntry};
pub use workers::{broadcast, broadcast_rows, deliver};

//! Collections: multisets that change over time, as in differential dataflow (McSherry et al., CIDR 2013).
//!
//! A collection is never sent as a whole. Its changes are sent: `(data, epoch, diff)` changes the multiplicity of `data` by
//! `diff` in `epoch`. The collection as of an epoch is the sum of all changes up to and including it.

use differential_dataflow::VecCollection;

/// Logical time: the number of an epoch. All changes of an epoch take effect together.
pub type Epoch = u64;

/// The change of a multiplicity: positive for insertions, negative for retractions.
pub type Diff = i64;

/// A differential collection of `D`.
pub type Collection<'scope, D> = VecCollection<'scope, Epoch, D, Diff>;

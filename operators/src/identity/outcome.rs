//! What the identity graph says: the person of each set of identifiers, and the numbers of each brand.
//!
//! Every message is the state of one thing. What held before is retracted, so that the collection of all messages is at
//! the end of each epoch what the graph says as a whole.

use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, CellKey};
use crate::ask::Answer;
use crate::identity::components::Person;
use crate::record::BrandId;

/// What the graph says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GraphOut {
    /// The facts of a set belong to a person; no statement where it has none, or where all its identifiers are hubs.
    Assigned {
        /// The brand.
        brand: BrandId,
        /// The set's key.
        set: u128,
        /// The person.
        person: Person,
    },
    /// A person has more identifiers than the size guard allows.
    Oversized {
        /// The brand.
        brand: BrandId,
        /// The person.
        person: Person,
    },
    /// The brand's numbers.
    Sum(CellKey, Aggregate),
    /// An answer.
    Answer(Answer),
}

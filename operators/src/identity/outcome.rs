//! The output of the identity graph: the person of each identifier set, and the totals of each brand.
//!
//! Each message is the state of one thing. A new state retracts the previous one, so that the collection of all messages at
//! the end of an epoch is the state of the graph.

use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, CellKey};
use crate::consent_counts::ConsentChange;
use crate::identity::components::Person;
use crate::record::BrandId;

/// The output of [`super::graph::Graph`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GraphOut {
    /// The facts of a set belong to a person. Absent if the set has no facts, or if all its identifiers are hubs.
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
    /// What this epoch changes of a person is part of an act that is known by another number. Nothing is retracted: it says
    /// nothing of other epochs.
    Act {
        /// The brand.
        brand: BrandId,
        /// The person.
        person: Person,
        /// The number of the act.
        act: u64,
    },
    /// A change of what an identifier allows, with its act. Nothing is retracted.
    Consent(BrandId, ConsentChange),
    /// The change of the brand's totals: persons, identifiers, links, hubs and oversized persons.
    Sum(CellKey, Aggregate),
}

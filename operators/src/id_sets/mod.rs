//! Identifier sets: the records, the use, and the person of each set of identifiers, in one table.
//!
//! The identifiers of one record belong to one person by definition, so that everything about a record is kept with its
//! identifier set. Three operators change a set, in this order: [`policy_filter`](crate::policy_filter) its records and policies,
//! [`counts`] how many admitted records use it, and, behind the identity graph, [`person_join`] its person. All three route by the
//! set, so that they are on the same worker and can share its entry. A set is stored once, and the content of a record as well:
//! the facts of a person are read from the records whenever the set goes to another person.
//!
//! The table is the [`store`]. What the policy filter [`changes`] of it leaves for the other two.

pub(crate) mod changes;
pub mod counts;
pub(crate) mod links;
mod packed_facts;
pub(crate) mod packed_records;
pub mod person_join;
pub(crate) mod set_policy;
pub mod store;
mod support;

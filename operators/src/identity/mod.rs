//! Identity: which identifiers belong to one person.
//!
//! Identifiers of one record are linked as long as any current record supports the link; a person is a connected component.
//! Most records repeat a known identifier set, so [`id_set_counts`] passes only new and vanished *sets* to the [`graph`], which
//! maintains the components of a brand with both guards, and [`person_join`] assigns every fact to its person.
//!
//! The graph of a brand lives on one worker. It sees only changes of the identity structure, a small part of the events. In
//! exchange, adding or removing a link moves only the facts of the smaller side, and finds the resulting components in a number
//! of steps that does not grow with the person ([`forest`]).

mod acts;
mod brand_graph;
pub mod components;
mod forest;
pub mod graph;
pub mod id_set_counts;
mod link_path;
mod nodes;
mod number_set;
pub mod outcome;
mod packed_facts;
pub mod person_join;
mod tours;

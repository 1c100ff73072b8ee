//! Identity: which identifiers belong to one person.
//!
//! Identifiers of one record are linked as long as any current record supports the link; a person is a connected component.
//! The [`graph`] receives the identifier sets in use, and maintains the components of a brand with both guards. Which sets are in
//! use, and the facts of each set, is what [`crate::id_sets`] keeps.
//!
//! The graph of a brand lives on one worker. It sees only changes of the identity structure, a small part of the events. In
//! exchange, adding or removing a link moves only the facts of the smaller side, and finds the resulting components in a number
//! of steps that does not grow with the person ([`forest`]).

mod acts;
mod brand_graph;
pub mod components;
mod forest;
pub mod graph;
mod link_path;
mod nodes;
mod number_set;
pub mod outcome;
mod tours;

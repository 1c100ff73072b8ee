//! Identity: who is one person.
//!
//! Identifiers that stand in one record are linked while any held record supports the link; a person is
//! a connected component. Most records repeat a set of identifiers that is known already, so [`id_set_counts`]
//! lets only new and vanished *sets* through to the [`graph`], which keeps the components of one brand
//! with both guards, and [`person_join`] gives every fact its person.
//!
//! The graph of a brand lives on one worker. It sees only changes of the identity structure, a
//! small part of the events; in exchange a link or its end moves the facts of the smaller side only, and finds out who
//! still hangs together in steps that do not grow with the person ([`forest`]).

mod brand_graph;
pub mod components;
mod forest;
pub mod graph;
pub mod id_set_counts;
mod link_path;
pub mod outcome;
pub mod person_join;
mod tours;

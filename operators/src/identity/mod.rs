//! Identity: who is one person.
//!
//! Identifiers that stand in one record are linked while any held record supports the link; a person is
//! a connected component. Most records repeat a set of identifiers that is known already, so [`mentions`]
//! lets only new and vanished *sets* through to the [`graph`], which keeps the components of one brand
//! with both guards, and [`assign`] gives every fact its person.
//!
//! The graph of a brand lives on one worker. It sees only changes of the identity structure, a
//! small part of the events; in exchange a merge moves the smaller side only, and a retraction looks
//! at one person only.

pub mod assign;
mod brand_graph;
pub mod components;
pub mod graph;
pub mod mentions;

//! The dataflow: how the operators are connected.
//!
//! ```text
//!            ┌► Upsert ┬► ConsentState ┐   ┌─ identifier sets ─► IdSetCounts ─► Graph ┬─ assigned ─┐
//!            │         └───────────────┴► PolicyFilter                               └ oversized ─┼───────┐
//! events ────┤                             ├─ contacts ───────────────────────► PersonJoin ┴─ facts ─► Persons ─┐
//!            │                             ├─ sales, refunds ─► NetSales ─► net sales ─► PersonJoin             │
//!            │                             └─ counts, spend, adjustments ────────────── aggregates ───────────►├► Cells ─► outputs
//!            ├► Sessionize ──────────────────────────────────────────────────────────── aggregates ───────────►│
//!            ├► label names, releases, questions ─── to every worker ─────────────────────────────────────────►┘
//!            └► salts ► SaltAllocator ► SaltCache
//! ```
//!
//! Each arrow is a differential collection. A change of a record passes through once, and an epoch is complete when the
//! probe has passed it. There is one feedback loop: each worker sends its batch votes to all workers, which receive them in
//! the next epoch. Not shown: ConsentState sends the counts of identifiers by allowed use to ConsentCounts. PolicyFilter, IdSetCounts
//! and PersonJoin route by the identifier set and share one table ([`crate::id_sets`]), in which the contacts of a set stay when it goes
//! to another person; what leaves PolicyFilter for the other two are the changes of that table.

mod graph;
mod handle;

pub use graph::build;
pub use handle::{Dataflow, Output, ResolvedSighting, Tokenized};

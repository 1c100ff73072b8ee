//! The dataflow: how the stages hang together.
//!
//! ```text
//!            ┌► Hold ─┬► Statements ┐   ┌─ mentions ─► Mentions ─► Graph ─┬─ assigned ─┐
//!            │        └─────────────┴► Admit                              └ oversized ─┼──────────┐
//! events ────┤                          ├─ contacts ────────────────────────► Assign ┴─ facts ─► Person ─┐
//!            │                          ├─ sales, refunds ─► Settle ─► settled ─► Assign                 │
//!            │                          └─ counts, spend, adjustments ─────────────────── sums ────────►├► Cells ─► told
//!            ├► Presence ──────────────────────────────────────────────────────────────── sums ────────►│
//!            ├► words, releases, questions ─── to every worker ─────────────────────────────────────────►┘
//!            └► salts ► SaltDesk ► SaltBook
//! ```
//!
//! Each arrow is a differential collection. A record's change runs through once, and an epoch is closed when the probe
//! has passed it. One thing goes round: what waits for a batch on each worker, which all hear in the next epoch. Not in the
//! picture: how many identifiers allow what, which Statements tells Consents, where it is counted.

mod build;
mod handle;

pub use build::build;
pub use handle::{Dataflow, Output, Tokenized};

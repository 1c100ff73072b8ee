//! Standby: a second process that takes the place of a worker within seconds.
//!
//! Processes with `workers.standby` and the same configuration, each with a
//! ledger directory of its own, are candidates for one lease. Who has it
//! *leads*: it reads, computes and publishes, as any worker does. The others
//! follow: each keeps a copy of the leader's ledger and rights files, answers
//! the page and queries from the output stream, and publishes nothing.
//!
//! A follower does not compute from the input stream by itself. What only the
//! leader has could not be derived there: the salts of sensor days, the totals
//! of closed days whose pings are deleted, the records of messages that an
//! erasure has deleted, the objection list and the audit logs. It copies the
//! files instead ([`files`]), sealed as they are, and a takeover is the restart
//! of the same ledger: same ID, salts, noise, heads and position. What the
//! leader read after the copy is read again from the input stream. The longest part
//! of such a restart is done beforehand ([`prepared`]).
//!
//! 1. *One publisher.* A follower takes the lease when it was given back, or
//!    when it was not renewed for [`TERM`](tributary_connectors::nats::TERM); the
//!    broker refuses what the former leader still sends.
//! 2. *No gap.* Only who has led last, or has a complete copy of a ledger that
//!    has led last, may lead ([`mark`] records which), and no older copy than the
//!    barrier in the lease ([`Standbys`](crate::durability::standbys::Standbys)).
//!    A follower compares its files with the broker as every start does, before it
//!    takes the lease. Otherwise it goes on following, and names the reason.
//! 3. *Back in line.* A former leader that returns finds the lease taken, and
//!    follows: its ledger becomes a copy of the new leader's.
//!
//! Each process of a shard or of a cluster has a lease of its own, and those with the
//! same shard and number are candidates for it. A standby of process n of a cluster
//! copies the ledger of process n and becomes process n:
//!
//! - The lease names the address where its process listens, and the others look there
//!   (`start/cluster.rs`). They end when they lose a process, are started again,
//!   and connect with whoever has its place.
//! - The ledgers of a cluster need no common position. Each process reads its part of
//!   the input again from the position of its own ledger; records have the same place
//!   in the order of arrival as before, and a salt is in each ledger with pings under it.
//!   So a copy may be older than the ledgers beside it.
//! - What a process tells the others to be done is the exception: that its part of an
//!   erasure is done, and that days are settled, whose pings and sightings all of them
//!   drop. The barrier is raised before, so that no copy without it takes over.

mod files;
mod follower;
mod leader;
pub mod mark;
mod may_lead;
mod prepared;
mod wire;

pub use follower::{Leading, Standby};
pub use leader::serve;
pub use mark::{hold_off, refuse_incomplete};
pub use prepared::{Begun, Prepared};

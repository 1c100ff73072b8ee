//! The worker: threads that run the dataflow, the feed of their input, and the
//! routing of their output.
//!
//! ```text
//!  input stream ─► feed ─► threads ─► thread (one each) ─► router ─┬─► ledger (durability)
//!                             ▲                                   ├─► publisher ─► output stream
//!                  restore ───┘                                   └─► queries, metrics, page
//! ```

pub mod agreement;
pub mod feed;
pub mod in_process;
pub mod members;
pub mod output_watch;
mod peer_connection;
mod peer_proof;
mod peer_tls;
pub mod peers;
pub mod publisher;
pub mod replay;
pub mod replay_retention;
pub mod restore;
pub mod router;
pub mod thread;
pub mod threads;

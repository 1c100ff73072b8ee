//! Rights requests of data subjects, from the request to the receipt.
//!
//! A request is a message on `tributary.rights.<brand>.request`. The stream
//! stores it in clear text until it is answered, and nothing else does: after a
//! kill the message is still there and is answered after the restart (invariant
//! I4). When a request is complete on every process, its message is deleted and
//! overwritten. What remains are its status, its receipt and entries in the
//! audit log, none of which identifies the data subject.
//!
//! ```text
//!  request ─► checked ─► audit: received ─► pending ─► in_progress ─┬─► erase, object        [`forget`]
//!                                                                   ├─► access, portability  [`answer`]
//!                                                                   ├─► rectify              [`rectify`]
//!                                                                   └─► restrict … directive [`restrictions`]
//!            deleted ◄─ status, receipt ◄─ audit: completed ◄───────┘
//! ```
//!
//! Process 0 is the *registrar*: it checks requests, keeps the audit logs, and
//! publishes statuses and receipts. It tells the other processes whose records to
//! erase ([`starts`]); they do so in their own ledgers, and confirm it on a subject of
//! their own. All requests that wait at the same time are answered together, so that
//! ten thousand of them read the ledger and the streams once.
//!
//! While requests from before a restart wait, no cell is released, so that no
//! record under erasure counts again.
//!
//! The rights are those of the GDPR, Articles 15 to 18, 20 and 21, and of the
//! CCPA (do not sell); instructions for after death follow the French *Loi
//! Informatique et Libertés*, Article 85.

mod answer;
mod audit_log;
pub mod audit_watch;
pub mod callbacks;
pub mod cancel;
pub mod files;
mod forget;
mod heads;
mod job;
pub mod losses;
mod parts;
mod publish;
pub mod published_heads;
mod receive;
mod rectify;
pub mod register;
mod restrictions;
pub mod signature;
mod starts;
mod stream;
mod stream_scrub;
mod subject;
pub mod submit;
mod task;
mod time;
pub mod waiting;
mod work;

pub use task::{Rights, RightsContext};

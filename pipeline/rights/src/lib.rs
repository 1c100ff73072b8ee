//! The rights of a data subject, as far as they can be said without a network, a clock or a dataflow.
//!
//! A request enters as bytes and leaves as a proof. In between a person must be able to trust four things, and each
//! has its room here:
//!
//! ```text
//!  bytes ──► request ──► status: pending ─► in_progress ─► completed | rejected(reason)
//!            (checked)       │                                 │
//!                            ▼ every step, before its effect   ▼
//!                          audit: a chain that only the    receipt: counts, place in the
//!                          brand's key can continue        chain, signature
//!
//!  object ──► suppression: keyed entries that keep a person out
//!  access ──► sealed: the answer, for the requester's one-time key alone
//!  HTTP   ──► opendsr: OpenDSR 2.0 bodies, mapped to the same request
//! ```
//!
//! **What was asked is what is done.** [`request`] reads strictly: an unknown field, a field that stands twice or a
//! field of another type of request is refused, because a misspelt `whole_person` would otherwise erase too little
//! and say that it was done. Every refusal has a [`Reason`] from a closed list and a sentence that names the field and
//! the remedy; it never repeats a value, since it is logged and published.
//!
//! **Asked twice is done once.** A request is known by its id, and its content by a [`Fingerprint`]. The audit log
//! keeps both, keyed, so that a restart knows what it has seen: the same again is no new request, and other content
//! under the same id is refused ([`Reason::IdTaken`]).
//!
//! **What was done can be proved** and what was proved cannot be made up: [`audit`] chains every step under a key that is
//! derived from the brand's secret. Who has the file alone can neither change an entry nor chain it again. Cutting
//! entries off the end leaves a valid chain, so every [`audit::AuditLog::append`] returns the head: published elsewhere,
//! it is what [`audit::verify`] is held to.
//!
//! **What proves an erasure is no reason to keep the person** (I3). Nothing of this crate that lasts holds an
//! identifier, a pseudonym or a request's id in clear: the audit log has keyed hashes and counts, the objection list
//! ([`suppression`]) has keyed hashes of pseudonyms. Without the brand's secret neither tells anything, and with another
//! brand's secret neither does (I7). Clear values live in [`ClearText`], which is overwritten when it goes and whose
//! debug output is empty of it (I6).
//!
//! | key | context | for |
//! |---|---|---|
//! | audit | `tributary 2025-11 rights audit of one brand` | the chain, ids, fingerprints, receipts, separated by a prefix |
//! | suppression | `tributary 2025-11 suppression of one brand` | entries of the objection list, one key for each secret |
//!
//! Both are derived from the brand's name and a secret, as the keys of its pseudonyms and of its ledger are, and have
//! nothing in common with those. When the secret is exchanged the audit key stays, and the objection list gets one more.
//!
//! There is no clock in here: times are arguments, Unix milliseconds. Nothing that comes from outside makes it
//! panic.

#![forbid(unsafe_code)]

pub mod audit;
mod clear_text;
mod counts;
mod disk;
mod error;
mod head;
mod hex;
mod json;
mod keys;
pub mod opendsr;
pub mod receipt;
mod refusal;
pub mod request;
pub mod sealed;
pub mod status;
pub mod suppression;
mod time;

pub use clear_text::ClearText;
pub use counts::Counts;
pub use error::{FileError, Kind, Position};
pub use head::{HashChain, Head, LedgerWatermark};
pub use hex::Hash;
pub use keys::{BrandKeys, Fingerprint, KeyLevel, RequestKey};
pub use refusal::{Reason, Refusal};
pub use request::{Request, RequestId, Right};

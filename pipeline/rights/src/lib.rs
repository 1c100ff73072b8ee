//! Requests of data subjects and their proof, without a network, a clock or a
//! dataflow.
//!
//! A request arrives as bytes and ends with a receipt. A person must be able to
//! rely on four properties in between:
//!
//! ```text
//!  bytes ──► request ──► status: pending ─► in_progress ─► completed | rejected(reason)
//!            (checked)       │                                 │
//!                            ▼ every step, before its effect   ▼
//!                          audit: a chain that only the    receipt: counts, place in the
//!                          brand's key can continue        chain, public signature
//!
//!  object ──► suppression: keyed entries that refuse later records of a person
//!  access ──► sealed: the answer, for the requester's one-time key alone
//!  HTTP   ──► opendsr: OpenDSR 2.0 bodies, mapped to the same request
//! ```
//!
//! **A request does what it says.** [`request`] reads strictly: an unknown
//! field, a duplicate field, or a field of another type of request is refused,
//! because a misspelled `whole_person` would otherwise erase too little and
//! report success. Every refusal has a [`Reason`] from a closed list and a
//! sentence that names the field and the remedy. It never repeats a value,
//! since it is logged and published.
//!
//! **A repeated request is executed once.** A request is identified by its ID,
//! and its content by a [`Fingerprint`]. The audit log stores both, keyed, so
//! that a restart recognizes them: the same content again is not a new request,
//! and other content under the same ID is refused ([`Reason::IdTaken`]).
//!
//! **An execution can be proved, and a proof cannot be forged.** [`audit`]
//! chains every step under a key that is derived from the brand's secret
//! (Schneier and Kelsey, *ACM TISSEC* 2, 1999). The file alone is not enough to
//! change an entry or to chain it again. Removing entries from the end leaves a
//! valid chain; every [`audit::AuditLog::append`] therefore returns the head,
//! and [`audit::verify`] compares the log with a head that was published
//! elsewhere.
//!
//! **The proof of an erasure does not retain the person** (I3). Nothing durable
//! in this crate contains an identifier, a pseudonym or a request ID in clear
//! text: the audit log contains keyed hashes and counts, the objection list
//! ([`suppression`]) keyed hashes of pseudonyms. Without the brand's secret
//! neither reveals anything, and another brand's secret does not help (I7).
//! Clear-text values live in [`ClearText`], which is overwritten when it is
//! dropped and has no debug output (I6).
//!
//! | key | context | use |
//! |---|---|---|
//! | requests | `tributary 2025-11 rights audit of one brand` | IDs and fingerprints, separated by a prefix; of the oldest secret |
//! | chain | `tributary 2026-11 audit chain of one brand` | entries of the audit log, one key for each secret |
//! | receipts | `tributary 2026-11 receipts of one brand` | seed of the Ed25519 key that signs receipts, one for each secret |
//! | seal | `tributary 2026-11 seal of the lists of one brand` | seals of the objection list and of tombstones, one key for each secret |
//! | suppression | `tributary 2025-11 suppression of one brand` | entries of the objection list, their links, and tombstones, one key for each secret |
//!
//! All are derived from the brand's name and a secret, like the keys of its
//! pseudonyms and of its ledger, and are independent of those. What proves
//! something is made under the newest secret: after a rotation, whoever has only
//! an older one cannot make it.
//!
//! There is no clock in this crate: times are arguments, in Unix milliseconds.
//! No input from outside makes it panic.
//!
//! # Example
//!
//! A request is parsed, logged step by step, and ends with a receipt that the
//! log confirms.
//!
//! ```
//! use secrecy::SecretString;
//! use tributary_rights::audit::{self, AuditLog, Event};
//! use tributary_rights::receipt::{Receipt, verify_receipt};
//! use tributary_rights::{BrandKeys, Counts, Request};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = BrandKeys::new("acme", &SecretString::from("s".repeat(40)));
//! let message = br#"{"id": "r-1", "ts": "2025-11-20T09:00:00Z", "type": "erase",
//!     "identifiers": [{"kind": "email", "value": "jane@example.org"}], "proof": "ticket 117"}"#;
//! let request = Request::parse(message, Some("acme"), &|brand| brand == "acme")?;
//!
//! let directory = tempfile::tempdir()?;
//! let mut log = AuditLog::open(directory.path(), &keys)?.log;
//! let (key, right) = (keys.request(&request.id), request.asked.right());
//! let content = request.fingerprint(&keys);
//! log.append(1_000, key, right, Event::Received { content })?;
//! log.append(2_000, key, right, Event::Started)?;
//! let counts = Counts { records: 3, ..Counts::default() };
//! let head = log.append(3_000, key, right, Event::Completed { counts, answer: None })?;
//!
//! let receipt = Receipt {
//!     request: request.id,
//!     brand: "acme".to_owned(),
//!     right,
//!     received: 1_000,
//!     completed: 3_000,
//!     counts,
//!     audit: head,
//!     answer: None,
//! };
//! let signed = receipt.to_jws(&keys);
//! // Whoever verifies it has the public key and no secret.
//! let public = keys.signing_key();
//! assert_eq!(verify_receipt(signed.as_bytes(), [&public])?, receipt);
//! let verified = audit::verify(log.path(), &keys, Some(receipt.audit))?;
//! assert_eq!(verified.entries, 3);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
// Requests and files come from outside: reading must not panic.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod audit;
mod clear_text;
mod counts;
pub mod disk;
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
mod signing;
pub mod start;
pub mod status;
pub mod suppression;
mod time;
pub mod tombstones;

pub use clear_text::ClearText;
pub use counts::Counts;
pub use error::{FileError, Kind, Position};
pub use head::{HashChain, Head, LedgerWatermark};
pub use hex::Hash;
pub use keys::{BrandKeys, Fingerprint, KeyLevel, RequestKey};
pub use refusal::{Reason, Refusal};
pub use request::{Request, RequestId, Right};
pub use signing::{KeyError, PublicKey};

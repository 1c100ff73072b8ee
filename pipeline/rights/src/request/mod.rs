//! A request of a data subject, checked.
//!
//! ```json
//! {"id": "r-2025-117", "ts": "2025-11-20T09:00:00Z", "type": "erase", "brand": "acme",
//!  "identifiers": [{"kind": "email", "value": "…"},
//!                  {"kind": "name_postcode", "first_name": "…", "last_name": "…", "postcode": "…"}],
//!  "whole_person": true, "proof": "ticket 117"}
//! ```
//!
//! | field | |
//! |---|---|
//! | `id` | 1 to 256 bytes, unique in the brand. It appears in statuses, so it must not contain an identifier |
//! | `ts` | integer Unix milliseconds or RFC 3339 with a zone |
//! | `type` | a [`Right`] |
//! | `brand` | required where the subject names none; otherwise it must be the same |
//! | `identifiers` | 1 to 64, each value of 1 to 1,024 bytes, in clear or (`email`, `phone`, `customer`) as the hex digits of its SHA-256 |
//! | `whole_person` | the linked person (`true`) or what the identifiers alone name (`false`, the default) |
//! | `proof` | where the requester's proof of identity is kept, at most 1,024 bytes: required, never looked into |
//! | `reply_key` | X25519 recipient of age (`age1…`), required for `access` and `portability`, else not read |
//! | `record` | for `rectify`: `{"kind": "web", "transaction", "wallet" or "partner", "source": …, "data": {"id": …, …}}`, the whole record as it should be |
//! | `directive` | for `directive`: `{"action": "erase" or "keep", "notice": …}`; `notice` says that the person has died and that it applies now |
//!
//! As in every input, `null` and `""` mean absent and a text field takes an
//! integer as its digits. Unlike there, an unknown field refuses the request, a
//! field that stands twice does, and so does the `record` or the `directive` of
//! another type: a right must not be narrowed by a slip.

mod fingerprint;
mod identifiers;
mod model;
mod read;

pub(crate) use identifiers::{identifiers, is_digest, malformed};
pub use model::{
    AfterDeath, Correction, Identifier, MAX_ID, MAX_IDENTIFIERS, MAX_REQUEST, MAX_VALUE,
    RecordKind, Replay, Request, RequestBody, RequestId, Right, replay,
};
pub(crate) use read::{reply_key, text};

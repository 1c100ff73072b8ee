//! The bodies of OpenDSR 2.0, the HTTP interface by which a controller passes
//! on its data subjects' requests.
//!
//! «OpenDSR, an open specification for data subject request management,
//! formerly called OpenGDPR», version 2.0 (github.com/opengdpr/OpenDSR,
//! `specification.md`). Sections are named where something follows from them.
//! These are the types alone; the process answers
//!
//! | | | body |
//! |---|---|---|
//! | `GET /discovery` | 200 | [`Discovery`] (6.3) |
//! | `POST /requests` | 201 | [`Created`] (7.3) for a [`Submission`] (7.1.1) |
//! | `GET /requests/<id>` | 200 | [`StatusBody`] (8.3) |
//! | `DELETE /requests/<id>` | 202 | [`Cancellation`] (9.2), before work on it starts |
//! | `POST` to each of `status_callback_urls` | | [`StatusBody::callback`] (8.6) |
//! | any refusal | 400 | [`ErrorBody`] (7.6), without anything about a person |
//!
//! URLs begin with the major version (3.4): `/v2/discovery`. `/requests` is the
//! path of processors that speak 2.0; the specification's own text calls it by
//! the name that the project had at the time, and 10.1 asks that older names
//! are honored, so a process answers under `/opendsr_requests` and
//! `/opengdpr_requests` too, and to submissions of OpenGDPR 0.1 and 1.0, which
//! had one regulation and do not name it.
//!
//! **What 2.0 has.** Types `access`, `portability`, `erasure` (6.2):
//! rectification is not in its scope. Statuses `pending`, `in_progress`,
//! `completed`, `cancelled` (8): a request that Tributary rejects is
//! `cancelled`, and `extensions` says why. `regulation` is `gdpr` or `ccpa` and
//! required, which is what 2.0 added to 1.0.
//!
//! **What it lacks** stands in the `extensions` of a submission, under the
//! domain of the processor (7.1.2), with the names and the meaning that they
//! have in [`crate::request`]:
//!
//! ```json
//! "extensions": {"rights.example.com": {"proof": "ticket 117", "whole_person": true, "reply_key": "…",
//!                                       "identifiers": [{"kind": "phone", "value": "…"}]}}
//! ```
//!
//! A controller "receives Data Subject requests from the Data Subjects and
//! validates them" (3.1), so a submission without a `proof` refers to that:
//! `opendsr:` and its `subject_request_id`. Results are never put behind a
//! `results_url`: an answer is sealed, and so `access` and `portability` need a
//! `reply_key`.
//!
//! **Signatures.** Responses and callbacks bear `X-OpenDSR-Processor-Domain`
//! and `X-OpenDSR-Signature` (8.3, 8.6), by a certificate of a trusted
//! authority that is issued to the operator (4.1). The process signs with it if
//! the configuration names it; otherwise whatever terminates TLS does.
//! `processor_certificate` in [`Discovery`] is where it can be fetched, on the
//! same domain.
//!
//! A `status_callback_url` is an address that somebody else chose: only `https`
//! is taken here, and it is for the process to call none that leads inside.

mod answer;
mod submission;
mod vocabulary;

pub use answer::{
    COMPLETION_MS, Cancellation, Created, Discovery, ErrorBody, StatusBody, request_status,
};
pub use submission::{Regulation, Submission};
pub use vocabulary::{API_VERSION, IDENTITIES, TYPES};

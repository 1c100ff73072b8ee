//! The export of traces and log lines to an OpenTelemetry collector, by OTLP over
//! HTTP with Protobuf.
//!
//! ```text
//!  feed, threads, ledger, publisher …  ─ spans ─► queue ─┐
//!  tracing (as on standard error)      ─ lines ─► queue ─┴► thread of the export ─► collector
//! ```
//!
//! - [`spans`]: what is traced. A span has a name of a closed set, times and
//!   counts. Nothing else fits in, so that no identifier, pseudonym, label or
//!   secret can leave with one.
//! - [`lines`]: the lines of the log, behind the filter of standard error.
//! - [`queue`]: between them and the export. It is bounded, and whoever adds to it
//!   never waits: what does not fit is dropped and counted.
//! - [`export`]: the thread that empties the queues. It outlives the runtime of the
//!   command, so that the last lines leave as well. [`delivery`] repeats what fails,
//!   [`encode`] writes the messages, and [`client`] sends them.
//!
//! Without `telemetry.otlp_endpoint` there is no thread, no queue and no
//! connection.

mod client;
mod delivery;
mod encode;
pub mod export;
pub mod lines;
pub mod queue;
pub mod record;
pub mod spans;

//! The outside world turned into records and back.
//!
//! Bytes come in as messages on subjects, lines of traces or rows of CSV files; [`decode::Decoder`]
//! makes every line of them exactly one event, one dead letter or one deliberate omission. Cells go
//! out as JSON ([`out`]). Nothing here keeps records, decides what a record means for a number, or
//! reads a clock: the arrival time comes with the message. Clear identifiers live only between the
//! message and their keyed hash, and are overwritten after it.

pub mod brand;
pub mod calendar;
pub mod clock;
pub mod csv;
pub mod dead_letter;
pub mod decode;
pub mod files;
pub mod inputs;
pub mod keys;
pub mod native;
pub mod nats;
pub mod out;
pub mod output_files;
pub mod settings;
pub mod signals;
pub mod subject_identifiers;
pub mod terminal;
pub mod trace;

#[cfg(test)]
#[allow(dead_code, reason = "the integration tests use all of it")]
#[path = "../tests/it/common/mod.rs"]
mod fixture;

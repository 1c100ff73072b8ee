//! Connectors: what enters Tributary becomes events, and what it computes
//! leaves as JSON.
//!
//! Input arrives as messages on NATS subjects, lines of a trace, or rows of a
//! CSV file. [`decode::Decoder`] turns every line of it into exactly one event,
//! one dead letter or one counted omission. Cells leave as JSON ([`out`]).
//!
//! The crate stores no records, does not decide what a record contributes to a
//! number, and reads no clock: the arrival time is part of the message. A clear
//! identifier exists only between the message and its keyed hash ([`keys`]), in
//! buffers that are overwritten afterwards. Bytes from outside never cause a
//! panic: the crate denies indexing and slicing.
//!
//! | module | reads or writes |
//! |---|---|
//! | [`nats`] | streams, consumers, acknowledged publishing |
//! | [`trace`], [`csv`], [`item_file`], [`inputs`] | recorded messages, CSV files and vendors' files, one after the other |
//! | [`decode`], [`native`] | one message, one line, one field |
//! | [`formats`] | what vendors send, turned into native records |
//! | [`keys`], [`subject_identifiers`] | identifiers, from clear text to pseudonym |
//! | [`signals`] | consent strings and checkboxes |
//! | [`out`], [`output_files`], [`terminal`] | cells, files, standard output |

#![deny(clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::indexing_slicing, reason = "a test may fail"))]

pub mod address_mask;
pub mod brand;
pub mod calendar;
pub mod clock;
pub mod csv;
pub mod dead_letter;
pub mod decode;
pub mod files;
pub mod formats;
pub mod inputs;
pub mod item_file;
pub mod keys;
mod lines;
pub mod native;
pub mod nats;
pub mod out;
pub mod output_files;
mod raw_json;
pub mod rights_request;
pub mod settings;
pub mod signals;
pub mod subject_identifiers;
pub mod terminal;
pub mod trace;

#[cfg(test)]
#[allow(dead_code, reason = "the integration tests use all of it")]
#[path = "../tests/it/common/mod.rs"]
mod fixture;

//! The native format: one JSON object, one record.
//!
//! Decoding has two steps. [`fields`] finds the known keys and keeps the raw
//! text of their values without looking into them; then each kind ([`web`],
//! [`transaction`], [`spend`], [`ping`], [`consent`], [`wallet`],
//! [`partner`]) reads the fields that it uses, by the rule of each field ([`reader`]), from that text. So an amount
//! is read by its written digits, and a field that the kind does not use may
//! contain anything.

pub mod amount;
pub mod channel;
pub mod consent;
pub mod fields;
pub mod identifiers;
pub mod labels;
pub mod line;
pub mod mac;
mod notice;
pub mod partner;
pub mod ping;
pub mod reader;
pub mod record;
pub mod referrers;
pub mod robots;
pub mod site;
pub mod spend;
pub mod time;
pub mod transaction;
pub mod wallet;
pub mod web;

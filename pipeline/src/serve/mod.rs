//! Interfaces of a worker: HTTP, the live page, OpenDSR, records over HTTP, and
//! the NATS services.
//!
//! None of them changes a number: records over HTTP are published to the input
//! stream like any others. Requests of data subjects are passed to the
//! rights stream; key rotation is passed to the ledger.

// Requests come from outside: answering must not panic.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod access;
mod connections;
pub mod follow;
pub mod gauges;
pub mod http;
pub mod ingest;
pub mod opendsr;
pub mod page;
mod response;
pub mod services;
pub mod state;
pub mod v1;

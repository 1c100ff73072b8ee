//! Rights requests, receipts and audit logs, a module per promise.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod asked_twice;
mod audit_log;
mod common;
#[allow(dead_code, reason = "the tests of the ledger use all of it")]
#[path = "../../../ledger/tests/it/common/disk.rs"]
mod disk;
mod full_disk;
mod never_panics;
mod objections;
mod opendsr;
mod receipts;
mod sealed_answers;
mod statuses;
mod tombstones;
mod what_is_asked;

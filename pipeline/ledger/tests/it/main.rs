//! The ledger on real disks: what it keeps, forgets and refuses, a module per promise.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

#[path = "common/any_event.rs"]
mod any_event;
mod changed_commits;
mod changed_manifest;
mod common;
mod copies;
#[path = "common/disk.rs"]
mod disk;
mod fixture;
mod flipped_byte;
mod followed;
mod forget;
mod full_disk;
mod fuzz_ledger;
mod looking;
mod moved_blocks;
mod newer_version;
mod random_events_come_back;
mod read_only_directory;
mod rewrite;
mod rotation;
mod torn_commit;
mod unknown_segments;
mod whose_ledger;

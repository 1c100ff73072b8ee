//! The load tester, the simulator and the NATS connection, one module per command or guarantee.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod bench_record;
mod bench_replay;
mod bench_report;
mod bench_support;
mod command_line;
mod generated_consent;
mod generated_trace_is_accepted;
mod generated_vendors;
mod generated_wallet;
mod generated_world;
mod matching;
mod modules_have_no_circles;
mod nats_cells;
mod nats_dead_letters;
mod nats_input;
mod nats_input_faults;
mod nats_input_lost;
mod nats_input_takeover;
mod nats_leases;
mod nats_login;
mod nats_old_server;
mod nats_partitions;
mod nats_reader;
mod nats_replay;
mod nats_replicas;
mod nats_streams;
mod nats_support;
mod nats_tls;

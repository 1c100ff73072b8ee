//! Helpers for tests of measured runs: the binary, a generated brand, and what a stream holds.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tributary_connectors::nats::{AT_HEADER, InMessage, Reader, connect};
use tributary_testkit::NatsServer;

/// The binary, in a folder.
pub fn loadtest(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(arguments).current_dir(folder);
    command
}

/// Runs the binary to its end.
pub fn done(folder: &Path, arguments: &[&str]) -> Output {
    loadtest(folder, arguments).output().unwrap()
}

/// What it printed, which must be JSON.
pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A trace `t.ndjson` of so many events with its configuration `t.toml` for a broker.
pub fn world(folder: &Path, events: u64, url: &str) -> PathBuf {
    let events = events.to_string();
    let made = done(
        folder,
        &[
            "generate",
            "--events",
            &events,
            "--out",
            "t.ndjson",
            "--config-out",
            "t.toml",
        ],
    );
    assert!(made.status.success(), "{made:?}");
    let text = std::fs::read_to_string(folder.join("t.toml")).unwrap();
    let text = format!(
        "[nats]\nurl = \"{url}\"\npings_stream = \"\"\n{}",
        text.replace("k = 1", "k = 1\ncadence = \"0s\"")
    );
    std::fs::write(folder.join("t.toml"), text).unwrap();
    folder.join("t.ndjson")
}

/// All messages of the input stream from a sequence on.
pub async fn held(server: &NatsServer, from: u64) -> Vec<InMessage> {
    let client = connect(&server.nats(), "test").await.unwrap();
    let mut reader = Reader::open(&client, "TRIBUTARY_IN", from).await.unwrap();
    let mut held = Vec::new();
    while !reader.caught_up() {
        held.extend(
            reader
                .next_batch(1_000, Duration::from_secs(20))
                .await
                .unwrap(),
        );
    }
    held
}

/// The arrival that a message states.
pub fn arrival(message: &InMessage) -> i64 {
    let mut headers = message.headers.iter();
    let stated = headers.find(|(name, _)| name == AT_HEADER);
    stated.map_or(message.at_ms, |(_, at)| at.parse().unwrap())
}

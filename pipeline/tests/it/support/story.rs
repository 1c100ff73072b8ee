//! What the stories of faults have in common: a trace that comes in, and what stands afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use async_nats::jetstream;
use tributary_config::model::Nats;
use tributary_connectors::nats::{self, Client};
use tributary_connectors::trace::TraceLine;
use tributary_loadtest::replay::{Pace, RateCurve, ReplayOptions, replay};
use tributary_testkit::free_port;

use super::{PATIENCE, Worker, World, pause, published, refused_by_broker, succeed, tributary};

/// A connection to a broker that has the input stream.
pub async fn ready(broker: &Nats) -> Client {
    let client = nats::connect(broker, "test").await.expect("a connection");
    nats::ensure_input_stream(&client, broker, &["orchard"])
        .await
        .expect("the input stream");
    client
}

/// Plays lines in, a message each; so many a second, or all at once.
pub async fn play(client: &Client, lines: &[TraceLine], rate: Option<f64>) {
    let options = ReplayOptions {
        pace: rate.map_or(Pace::Free, |rate| Pace::Rate(RateCurve::constant(rate))),
        ..ReplayOptions::default()
    };
    let lines: Vec<_> = lines.iter().cloned().map(Ok).collect();
    replay(
        std::slice::from_ref(client),
        lines.into_iter(),
        options,
        |_| {},
    )
    .await
    .expect("the trace comes in");
}

/// `[workers]` of two processes on this host.
pub fn two_processes() -> String {
    let hosts = [0, 1].map(|_| format!("127.0.0.1:{}", free_port()));
    format!("[workers]\nhosts = {hosts:?}\n")
}

/// Starts both of them.
pub fn start_both(config: &Path) -> [Worker; 2] {
    ["0", "1"].map(|process| Worker::start(config, &["--process", process]))
}

/// Stops both: neither ends before the other has noticed.
pub fn stop_both(mut both: [Worker; 2]) {
    both.iter().for_each(Worker::signal);
    both.iter_mut().for_each(Worker::end);
}

/// The last sequence of a stream.
pub async fn last(client: &Client, stream: &str) -> u64 {
    let state = nats::stream_state(client, stream).await;
    state.expect("the stream").last_sequence
}

/// Up to where process 0 has acknowledged its input.
pub async fn ack_floor(client: &Client, broker: &Nats) -> u64 {
    let jetstream = jetstream::new(client.clone());
    let stream = jetstream.get_stream(&broker.input_stream).await;
    let stream = stream.expect("the stream");
    let info = stream.consumer_info("tributary_0").await;
    info.expect("the consumer").ack_floor.stream_sequence
}

/// What `tributary ledger inspect` says.
pub fn inspect(ledger: &Path) -> serde_json::Value {
    let mut inspect = tributary();
    inspect.args(["ledger", "inspect", "--json"]).arg(ledger);
    serde_json::from_slice(&succeed(&mut inspect).stdout).expect("JSON")
}

/// What a ledger reveals under the secrets of the configuration of its world: entries by kind, too.
pub fn inspect_open(world: &World, process: usize) -> serde_json::Value {
    let mut inspect = tributary();
    inspect.args(["ledger", "inspect", "--json", "--config"]);
    inspect
        .arg(world.path("tributary.toml"))
        .arg(world.ledger(process));
    serde_json::from_slice(&succeed(&mut inspect).stdout).expect("JSON")
}

/// The position of a ledger: the last sequence whose effect is durable. None is, where a worker has not come so far
/// as to make its ledger.
pub fn position(ledger: &Path) -> u64 {
    if !ledger.join("MANIFEST").exists() {
        return 0;
    }
    let position = &inspect(ledger)["position"]["sequence"];
    position.as_u64().unwrap_or(0)
}

/// The same in the stream of pings.
pub fn pings_position(ledger: &Path) -> u64 {
    if !ledger.join("MANIFEST").exists() {
        return 0;
    }
    let position = &inspect(ledger)["position"]["pings"]["sequence"];
    position.as_u64().unwrap_or(0)
}

/// The published cells are these, and the stream of dead letters holds these lines.
pub async fn assert_stands(broker: &Nats, expected: &[String], refused: &[TraceLine]) {
    let actual = published(broker).await;
    let differs = |from: &[String], other: &[String]| -> Vec<String> {
        let other: BTreeSet<&String> = other.iter().collect();
        let missing = from.iter().filter(|line| !other.contains(line));
        missing.take(3).cloned().collect()
    };
    assert!(
        actual == expected,
        "the cells differ: first of {} expected {:#?}, of {} published {:#?}",
        expected.len(),
        differs(expected, &actual),
        actual.len(),
        differs(&actual, expected),
    );
    let dead: BTreeSet<String> = refused_by_broker(broker).await.into_iter().collect();
    for line in refused {
        let line = String::from_utf8_lossy(&line.data).into_owned();
        assert!(dead.contains(&line), "no dead letter holds {line}");
    }
}

/// Waits until something is so.
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    loop {
        let asked = Instant::now();
        if is() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        pause(asked);
    }
}

/// What a worker says that must not start; it must end by itself, and not well.
pub fn refusal(world: &World, arguments: &[&str]) -> String {
    let mut command = tributary();
    command
        .args(["run", "--config"])
        .arg(world.path("tributary.toml"))
        .args(arguments);
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the worker starts");
    let pid = child.id().to_string();
    let (ended, waiting) = std::sync::mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait_with_output()));
    let Ok(output) = waiting.recv_timeout(PATIENCE) else {
        succeed(std::process::Command::new("kill").args(["-KILL", &pid]));
        panic!("a worker runs that must not start");
    };
    let output = output.expect("its output");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    eprintln!("refused: {stderr}");
    assert!(
        output.status.code().is_some_and(|code| code != 0),
        "ended with {}: {stderr}",
        output.status
    );
    stderr
}

/// All files below a directory, byte for byte.
pub fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(directory).expect("the directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => all.extend(contents(&path)),
            false => drop(all.insert(path.clone(), std::fs::read(&path).expect("the file"))),
        }
    }
    all
}

/// Changes the configuration's text.
pub fn configure(world: &World, from: &str, to: &str) {
    let file = world.path("tributary.toml");
    let text = std::fs::read_to_string(&file).expect("the configuration");
    assert!(text.contains(from), "{text} has no {from}");
    std::fs::write(&file, text.replace(from, to)).expect("the configuration");
}

//! What a shop lives through, as `loadtest/scenarios/*.toml` says it: each is played against a real broker and a real
//! worker with markers beside it. Its report is written, the stream is recorded afterwards, and what the worker has
//! published is what the batch oracle computes from the recording. `TRIBUTARY_SCENARIOS` lengthens them and plays all.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::support::story::{last, ready, until};
use crate::support::{Worker, World, chosen, published};
use toml_edit::DocumentMut;
use tributary_connectors::inputs;
use tributary_connectors::nats::{self, OutgoingMessage, Publisher, Reader, subject};
use tributary_connectors::trace::TraceLine;
use tributary_loadtest::markers::Route;
use tributary_loadtest::measure::process;
use tributary_loadtest::measure::system::SystemOptions;
use tributary_loadtest::record::{Range, RecordOptions, RotationOptions, record};
use tributary_loadtest::replay::{Pace, Progress, RateCurve, ReplayOptions};
use tributary_loadtest::report::{html, text};
use tributary_loadtest::run::{RunOptions, run};
use tributary_loadtest::verify;
use tributary_simulate::Options;
use tributary_testkit::NatsServer;

/// A scenario as its file says it.
struct Scenario {
    name: String,
    file: DocumentMut,
}

impl Scenario {
    /// All of them, by name.
    fn all() -> Vec<Scenario> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/scenarios");
        let files = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut all: Vec<Scenario> = files
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "toml")
            })
            .map(|path| Scenario {
                name: path.file_stem().unwrap().to_string_lossy().into_owned(),
                file: std::fs::read_to_string(&path).unwrap().parse().unwrap(),
            })
            .collect();
        all.sort_by(|left, right| left.name.cmp(&right.name));
        all
    }

    fn number(&self, member: &str) -> Option<u64> {
        self.file
            .get(member)
            .map(|value| value.as_integer().unwrap() as u64)
    }

    fn words(&self, member: &str) -> Option<&str> {
        self.file.get(member).map(|value| value.as_str().unwrap())
    }

    /// Whether one of `of` is among so many percent, always the same ones.
    fn is_among(of: &str, percent: Option<u64>) -> bool {
        let hash = of.bytes().fold(7_u64, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(byte.into())
        });
        percent.is_some_and(|percent| (hash >> 3) % 100 < percent)
    }
}

/// The members of a JSON record; none of what is no object.
fn members(line: &TraceLine) -> serde_json::Map<String, serde_json::Value> {
    serde_json::from_slice(&line.data).unwrap_or_default()
}

/// The messages of a scenario in their order, and the cookies to erase in the middle.
fn messages(scenario: &Scenario, world: &World) -> (Vec<TraceLine>, Vec<String>) {
    let mut lines: Vec<TraceLine> = world.trace().collect();
    let mut cookies = BTreeSet::new();
    for line in &mut lines {
        let mut record = members(line);
        if let Some(cookie) = record.get("cookie").and_then(|cookie| cookie.as_str()) {
            cookies.insert(cookie.to_owned());
        }
        let is_sale = record.contains_key("amount");
        let id = record
            .get("id")
            .map(ToString::to_string)
            .unwrap_or_default();
        if is_sale && Scenario::is_among(&id, scenario.number("hub_percent")) {
            record.insert("customer".to_owned(), "HUB-1".into());
            line.data = serde_json::to_vec(&record).unwrap();
        }
    }
    let middle = lines.len() / 2;
    let at = lines[middle].at;
    let withdraw = cookies
        .iter()
        .filter(|cookie| Scenario::is_among(cookie, scenario.number("withdraw_percent")));
    let refusals = (1..=11)
        .map(|purpose| format!("\"{purpose}\":false"))
        .collect::<Vec<_>>()
        .join(",");
    let withdrawn: Vec<TraceLine> = withdraw
        .map(|cookie| TraceLine {
            subject: "tributary.in.orchard.consent".to_owned(),
            at,
            headers: Vec::new(),
            data: format!(r#"{{"id":"withdraw-{cookie}","ts":{at},"cookie":"{cookie}","purposes":{{{refusals}}}}}"#).into(),
        })
        .collect();
    lines.splice(middle..middle, withdrawn);
    if let Some(kind) = scenario.words("hold_back") {
        let (held, mut others): (Vec<_>, Vec<_>) = lines
            .into_iter()
            .partition(|line| line.subject.ends_with(kind));
        let end = others.last().unwrap().at;
        others.extend(held.into_iter().map(|line| TraceLine { at: end, ..line }));
        lines = others;
    }
    let erase = cookies
        .into_iter()
        .filter(|cookie| Scenario::is_among(cookie, scenario.number("erase_percent")));
    (lines, erase.collect())
}

/// Plays a scenario so many times as long.
async fn play(scenario: &Scenario, times: u64) {
    let Some(mut server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let curve: RateCurve = scenario.words("load").unwrap().parse().unwrap();
    let seconds = scenario.number("seconds").unwrap();
    let events = (1..)
        .step_by(50)
        .find(|events| curve.time_of(*events) >= Duration::from_secs(seconds));
    let options = Options {
        events: Some(events.unwrap() * times),
        days: Some(scenario.number("days").unwrap_or(1) as u32),
        refunds: scenario
            .number("refund_percent")
            .map_or(0.04, |percent| percent as f64 / 100.0),
        ..Options::default()
    };
    let world = World::of(
        options,
        Some(&broker),
        "[workers]\nthreads = 1\ntick = \"5ms\"",
    );
    let config = world.path("tributary.toml");
    let settings = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        settings.replace("cadence = \"1s\"", "cadence = \"0s\""),
    )
    .unwrap();
    let (lines, erase) = messages(scenario, &world);
    let client = ready(&broker).await;
    let worker = Worker::start(&config, &[]);
    tokio::task::block_in_place(|| worker.wait_until_read(0));

    let progress = Progress::new();
    let run_options = RunOptions {
        title: scenario.words("title").unwrap().to_owned(),
        config: Some(config.clone()),
        markers: Some((Route::of(&world.config(), None).unwrap(), 10.0)),
        system: SystemOptions {
            metrics: Some(worker.address.clone()),
            token: None,
            broker: process::listening_on(server.address().port()),
        },
    };
    let replay_options = ReplayOptions {
        pace: Pace::Rate(curve),
        window: Some(100_000),
        progress: progress.clone(),
        ..ReplayOptions::default()
    };
    let beside = nats::connect(&broker, "test").await.unwrap();
    let half = lines.len() as u64 / 2;
    let trace: Vec<_> = lines.into_iter().map(Ok).collect();
    let clients = [client.clone()];
    let running = run(
        &clients,
        Some(beside),
        trace.into_iter(),
        replay_options,
        run_options,
        |_| {},
    );
    let count = erase.len() as u64;
    let wave = async {
        if let Some(down) = scenario.number("broker_down_at") {
            tokio::time::sleep(Duration::from_secs(down)).await;
            server.kill();
            tokio::time::sleep(Duration::from_secs(2)).await;
            server.restart();
        }
        while progress.messages() < half {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut publisher = Publisher::new(&client, 256);
        for (number, cookie) in erase.iter().enumerate() {
            let request = serde_json::json!({
                "id": format!("storm-{number}"), "ts": jiff::Timestamp::now().to_string(), "type": "erase",
                "identifiers": [{"kind": "cookie", "value": cookie}], "proof": "ticket 117",
            });
            let message = OutgoingMessage {
                subject: subject::rights_requests("orchard"),
                headers: Vec::new(),
                payload: request.to_string().into(),
                id: None,
            };
            publisher.send(message).await.unwrap();
        }
        publisher.flush().await.unwrap();
    };
    let ((report, failed), ()) = tokio::join!(running, wave);
    assert!(failed.is_none(), "{}: {failed:?}", scenario.name);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/scenarios");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join(format!("{}.json", scenario.name)),
        serde_json::to_vec(&report).unwrap(),
    )
    .unwrap();
    std::fs::write(
        folder.join(format!("{}.html", scenario.name)),
        html(&report, None),
    )
    .unwrap();
    eprintln!("{}", text(&report));
    let markers = report.markers.as_ref().unwrap();
    assert!(markers.sent > 50, "{}: {}", scenario.name, markers.sent);
    assert_eq!(markers.unseen, 0, "{}", scenario.name);

    let end = last(&client, &broker.input_stream).await;
    let receipts = subject::rights_receipt("orchard");
    tokio::task::block_in_place(|| worker.wait_until_read(end));
    if count > 0 {
        let mut answered = Reader::filtered(&client, &broker.rights_stream, &receipts, 1)
            .await
            .unwrap();
        let mut seen = 0;
        let begun = std::time::Instant::now();
        while seen < count {
            assert!(
                begun.elapsed() < Duration::from_secs(300),
                "{seen} of {count} receipts"
            );
            seen += answered
                .next_batch(1_000, Duration::from_secs(1))
                .await
                .unwrap()
                .len() as u64;
        }
        tokio::task::block_in_place(|| worker.stop());
        return;
    }
    tokio::task::block_in_place(|| {
        until("everything is read", || {
            worker.metric("tributary_input_pending_messages") == Some(0.0)
        });
        worker.stop();
    });
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let options = RecordOptions {
        stream: broker.input_stream.clone(),
        subjects: subject::INPUT.to_owned(),
        range: Range {
            from: Some(1),
            to: Some(end),
        },
        files: RotationOptions {
            path: world.path("recorded.ndjson.zst"),
            file_bytes: u64::MAX,
            all_bytes: None,
            pseudonymised: false,
        },
        pseudonyms: None,
        stop: stopped,
    };
    let recording = record(&client, &world.config(), options, |_| {})
        .await
        .unwrap();
    assert_eq!(recording.sequence, end);
    let files: Vec<String> = recording
        .files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let mut recorded = inputs::open(Some(&world.config()), &files).unwrap();
    let expected = verify::expected(&world.config(), &mut recorded).unwrap();
    let actual = published(&broker).await;
    assert!(actual.len() > 100);
    assert!(
        actual == expected.lines,
        "{}: the cells differ from those of the recording",
        scenario.name
    );
}

#[test]
fn every_scenario_is_read() {
    let all = Scenario::all();
    assert_eq!(all.len(), 7);
    for scenario in all {
        let curve: RateCurve = scenario.words("load").unwrap().parse().unwrap();
        assert!(
            curve.time_of(1_000) < Duration::from_secs(60),
            "{}",
            scenario.name
        );
        assert!(
            scenario.words("title").is_some()
                && scenario
                    .number("seconds")
                    .is_some_and(|seconds| seconds >= 10)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scenarios_are_lived_through() {
    let times = chosen("TRIBUTARY_SCENARIOS", 1);
    let all = std::env::var_os("TRIBUTARY_SCENARIOS").is_some();
    for scenario in Scenario::all()
        .iter()
        .take(if all { usize::MAX } else { 1 })
    {
        play(scenario, times).await;
    }
}

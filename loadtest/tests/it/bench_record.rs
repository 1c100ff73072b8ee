//! Recordings: what was recorded and replayed gives the same cells, byte for byte; a killed recording
//! resumes with no message twice and none missing; a pseudonymised one has the same cells and no
//! identifier.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tributary_testkit::NatsServer;

use crate::bench_support::{done, held, json, loadtest, world};

/// The files of a recording, oldest first.
fn files(folder: &Path, stem: &str) -> Vec<String> {
    let names = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .filter(|name| name.starts_with(stem) && name.ends_with(".zst"))
        .collect();
    names.sort();
    names
}

/// The cells that the oracle computes of traces.
fn cells(folder: &Path, out: &str, traces: &[String]) -> String {
    let mut arguments = vec!["verify", "--config", "t.toml", "--write", out];
    arguments.extend(traces.iter().map(String::as_str));
    let output = done(folder, &arguments);
    assert!(output.status.success(), "{output:?}");
    std::fs::read_to_string(folder.join(out)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_is_what_was_sent() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    world(folder, 4_000, &server.url());
    let original = cells(folder, "original", &["t.ndjson".to_owned()]);
    assert!(original.lines().count() > 100);
    let sent = done(folder, &["replay", "--config", "t.toml", "t.ndjson"]);
    assert!(sent.status.success(), "{sent:?}");

    let recorded = |name: &str, from: &str, to: &str, more: &[&str]| {
        let all = [
            "record",
            "--config",
            "t.toml",
            "--max-file",
            "20kB",
            "--json",
            "--out",
            name,
            "--from",
            from,
            "--to",
            to,
        ];
        let output = done(folder, &[&all[..], more].concat());
        assert!(output.status.success(), "{output:?}");
        json(&output)
    };
    let result = recorded("r.ndjson.zst", "all", "end", &[]);
    assert_eq!(
        (&result["messages"], &result["withheld"]),
        (&4_000.into(), &0.into())
    );
    let traces = files(folder, "r.");
    assert_eq!(cells(folder, "recorded", &traces), original);

    // Replayed and recorded again, it is the same.
    let mut replay = vec!["replay", "--config", "t.toml"];
    replay.extend(traces.iter().map(String::as_str));
    let sent = done(folder, &replay);
    assert!(sent.status.success(), "{sent:?}");
    recorded("again.ndjson.zst", "4001", "end", &[]);
    let text = |names: &[String]| -> Vec<u8> {
        let whole = names
            .iter()
            .map(|name| zstd::decode_all(std::fs::File::open(folder.join(name)).unwrap()).unwrap());
        whole.collect::<Vec<_>>().concat()
    };
    assert!(
        text(&files(folder, "again.")) == text(&traces),
        "a second generation differs"
    );

    // Pseudonymised: the same numbers of nobody.
    let result = recorded("p.ndjson.zst", "all", "4000", &["--pseudonymise"]);
    assert_eq!(result["messages"], 4_000);
    let pseudonymised = files(folder, "p.");
    assert_eq!(cells(folder, "pseudonymised", &pseudonymised), original);
    let (clear, hidden) = (text(&traces), text(&pseudonymised));
    let (clear, hidden) = (
        String::from_utf8(clear).unwrap(),
        String::from_utf8(hidden).unwrap(),
    );
    let values = |text: &str, name: &str| -> Vec<String> {
        let before = format!("\"{name}\":\"");
        let parts = text.split(&before).skip(1);
        parts
            .filter_map(|part| Some(part.split_once('"')?.0.to_owned()))
            .filter(|value| value.len() > 5)
            .collect()
    };
    for name in [
        "email", "phone", "customer", "cookie", "wallet", "mac", "id", "order_id",
    ] {
        let all = values(&clear, name);
        assert!(!all.is_empty(), "{name}");
        for value in all {
            assert!(!hidden.contains(&format!("\"{value}\"")), "{name} {value}");
        }
    }
    assert!(!hidden.contains('@') && !hidden.contains("\"ip\"") && !hidden.contains("/shoes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_recording_resumes() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    world(folder, 6_000, &server.url());
    let arguments = [
        "record",
        "--config",
        "t.toml",
        "--from",
        "all",
        "--max-file",
        "8kB",
        "--out",
        "r.ndjson.zst",
    ];
    let mut sending = loadtest(
        folder,
        &["replay", "--config", "t.toml", "--rate", "500", "t.ndjson"],
    )
    .stdout(Stdio::null())
    .spawn()
    .unwrap();
    // The stream is there before anything is recorded of it.
    while server_is_empty(&server).await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let position = || std::fs::read_to_string(folder.join("r.position.json")).unwrap_or_default();
    for _ in 0..4 {
        let mut recording = loadtest(folder, &arguments)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Some of it is recorded, and more is on its way.
        let (begun, before) = (Instant::now(), position());
        while position() == before && !before.contains("\"sequence\":6000,") {
            assert!(begun.elapsed() < Duration::from_secs(300), "{before}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        recording.kill().unwrap();
        recording.wait().unwrap();
    }
    // A busy machine may miss the rate.
    assert!(matches!(sending.wait().unwrap().code(), Some(0 | 3)));
    let mut recording = loadtest(folder, &arguments)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !position().contains("\"sequence\":6000,") {
        assert!(begun.elapsed() < Duration::from_secs(300), "{}", position());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // A signal ends it well.
    let pid = recording.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert!(recording.wait().unwrap().success());

    let traces = files(folder, "r.");
    assert!(traces.len() > 2, "{traces:?}");
    let lines = traces
        .iter()
        .flat_map(|name| tributary_connectors::trace::open(&folder.join(name)).unwrap());
    let recorded: Vec<Vec<u8>> = lines.map(|line| line.unwrap().data).collect();
    let sent: Vec<Vec<u8>> = held(&server, 1)
        .await
        .into_iter()
        .map(|message| message.payload.to_vec())
        .collect();
    assert_eq!(recorded.len(), 6_000);
    assert!(recorded == sent, "the recording differs from the stream");
}

/// Whether the broker has no message yet.
async fn server_is_empty(server: &NatsServer) -> bool {
    let client = tributary_connectors::nats::connect(&server.nats(), "test")
        .await
        .unwrap();
    let state = tributary_connectors::nats::stream_state(&client, "TRIBUTARY_IN").await;
    state.map_or(true, |state| state.last_sequence == 0)
}

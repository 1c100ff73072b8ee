//! Open replays: a stalled broker is in the latency of everything that was due meanwhile, a rate that
//! was missed ends with 3, and a loop sends new records of the same people.

use std::collections::BTreeSet;
use std::time::Duration;

use tributary_testkit::{NatsServer, Proxy};

use crate::bench_support::{arrival, done, held, json, loadtest, world};

/// Latency, as a summary states it, milliseconds.
fn ms(summary: &serde_json::Value, figure: &str) -> f64 {
    summary["latency"][figure].as_f64().unwrap() / 1_000.0
}

#[test]
fn a_stall_is_in_the_latency_of_what_was_due_meanwhile() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let proxy = Proxy::start(server.address());
    let folder = tempfile::tempdir().unwrap();
    world(folder.path(), 3_000, &proxy.url());
    let arguments = [
        "replay",
        "--url",
        &proxy.url(),
        "--rate",
        "200",
        "--json",
        "t.ndjson",
    ];
    let running = loadtest(folder.path(), &arguments)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Fifteen seconds, of which two are silent.
    std::thread::sleep(Duration::from_secs(5));
    proxy.stall(true);
    std::thread::sleep(Duration::from_secs(2));
    proxy.stall(false);
    let output = running.wait_with_output().unwrap();
    let summary = json(&output);
    assert_eq!(summary["latency"]["count"], 3_000);
    // 400 of 3000 messages were due in the stall and waited a second on average: far more than one in a
    // hundred, although a client that waits for each answer would have sent a single one meanwhile.
    assert!(ms(&summary, "p99_us") > 1_500.0, "{summary}");
    assert!(ms(&summary, "p999_us") > 1_800.0, "{summary}");
    assert!(ms(&summary, "p90_us") > 300.0, "{summary}");
    assert!(
        ms(&summary, "p50_us") < ms(&summary, "p99_us") / 3.0,
        "{summary}"
    );
}

#[test]
fn a_missed_rate_ends_with_3_and_says_by_how_much() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    world(folder.path(), 30_000, &server.url());
    let replay = |more: &[&str]| {
        let mut arguments = vec!["replay", "--config", "t.toml", "--json", "t.ndjson"];
        arguments.extend(more);
        done(folder.path(), &arguments)
    };
    // A million a second is due within 30 ms, which no sender of single messages reaches.
    let output = replay(&["--rate", "1000000"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the rate was missed: asked for"), "{said}");
    let summary = json(&output);
    assert_eq!(
        (&summary["events"], &summary["lateness"]["count"]),
        (&30_000.into(), &30_000.into())
    );
    assert!(
        summary["missed"]
            .as_str()
            .unwrap()
            .contains("% of the messages were more than 100 ms late")
    );
    // As fast as possible, nothing is late, over several clients neither.
    let output = replay(&["--clients", "4"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(json(&output)["lateness"]["count"], 0);
    assert_eq!(json(&output)["missed"], serde_json::Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_sends_new_records_that_end_now() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    world(folder.path(), 300, &server.url());
    let arguments = [
        "replay",
        "--config",
        "t.toml",
        "--rate",
        "400",
        "--duration",
        "3s",
        "--shift-to",
        "now",
        "--clients",
        "2",
        "--json",
        "t.ndjson",
    ];
    let output = done(folder.path(), &arguments);
    // A busy machine may miss the rate.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    let sent = json(&output)["messages"].as_u64().unwrap();
    assert_eq!(sent, 1_200);
    let messages = held(&server, 1).await;
    assert_eq!(messages.len() as u64, sent);
    // Each pass ends now, and no identifier of a record comes twice in four passes unless the trace
    // itself repeats it.
    let last = messages.iter().map(arrival).max().unwrap();
    let now = jiff::Timestamp::now().as_millisecond();
    assert!((0..120_000).contains(&(now - last)), "{last} {now}");
    let ids = |part: &[usize]| -> BTreeSet<String> {
        let records = part.iter().filter_map(|number| {
            let record: serde_json::Value =
                serde_json::from_slice(&messages[*number].payload).ok()?;
            Some(format!(
                "{} {}",
                messages[*number].subject,
                record.get("id")?.as_str()?
            ))
        });
        records.collect()
    };
    let of_pass = |marked: &str| -> Vec<usize> {
        let all = 0..messages.len();
        let has =
            |number: &usize| String::from_utf8_lossy(&messages[*number].payload).contains(marked);
        all.filter(has).collect()
    };
    let (second, third) = (ids(&of_pass("~1\"")), ids(&of_pass("~2\"")));
    assert!(
        second.len() > 50 && third.len() > 50,
        "{} {}",
        second.len(),
        third.len()
    );
    assert!(second.is_disjoint(&third));
}

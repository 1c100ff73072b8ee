//! Replay of a generated trace: the stream then contains the trace, every message with its own time
//! of arrival, packed or not.

use std::time::Duration;

use tributary_connectors::nats::{AT_HEADER, Reader, connect, ensure_input_stream, stream_state};
use tributary_connectors::trace::TraceLine;
use tributary_loadtest::replay::{Clock, ReplayOptions, replay};
use tributary_simulate::{Options, lines};
use tributary_testkit::NatsServer;

/// A generated trace.
fn trace(events: u64) -> Vec<TraceLine> {
    let world = lines(Options {
        events: Some(events),
        ..Options::default()
    });
    let line = |line: tributary_simulate::Line| TraceLine {
        subject: line.subject,
        at: line.at,
        headers: vec![],
        data: line.data.into_bytes(),
    };
    world.unwrap().map(line).collect()
}

/// Subject, arrival and text of every event in the stream, starting at a sequence.
async fn held(
    client: &tributary_connectors::nats::Client,
    from: u64,
) -> Vec<(String, i64, String)> {
    let mut input = Reader::open(client, "TRIBUTARY_IN", from).await.unwrap();
    let mut events = Vec::new();
    while !input.caught_up() {
        let batch = input
            .next_batch(1_000, Duration::from_secs(20))
            .await
            .unwrap();
        assert!(!batch.is_empty());
        for message in batch {
            let named = message.headers.iter().find(|(name, _)| name == AT_HEADER);
            let at = named.map_or(message.at_ms, |(_, at)| at.parse().unwrap());
            for line in std::str::from_utf8(&message.payload).unwrap().split('\n') {
                events.push((message.subject.to_string(), at, line.to_owned()));
            }
        }
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_played_arrives() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let nats = server.nats();
    let client = connect(&nats, "test").await.unwrap();
    ensure_input_stream(&client, &nats, &["orchard"])
        .await
        .unwrap();
    let trace = trace(3_000);
    let text = |line: &TraceLine| String::from_utf8(line.data.clone()).unwrap();
    let played: Vec<(String, i64, String)> = trace
        .iter()
        .map(|line| (line.subject.clone(), line.at, text(line)))
        .collect();
    let bytes: usize = trace.iter().map(|line| line.data.len()).sum();

    let mut calls = 0;
    let again = || trace.iter().cloned().map(Ok);
    let summary = replay(
        std::slice::from_ref(&client),
        again(),
        ReplayOptions::default(),
        |_| calls += 1,
    )
    .await
    .unwrap();
    assert_eq!((summary.events, summary.messages), (3_000, 3_000));
    assert_eq!(summary.bytes, bytes as u64);
    assert!(calls >= 3_000);
    assert_eq!(held(&client, 1).await, played);

    // Without acknowledgements, and packed by what shares an arrival: the events and their times
    // are the same.
    let options = ReplayOptions {
        pack: 100,
        window: None,
        ..ReplayOptions::default()
    };
    let summary = replay(std::slice::from_ref(&client), again(), options, |_| {})
        .await
        .unwrap();
    assert_eq!(summary.events, 3_000);
    let mut packed = held(&client, 3_001).await;
    let mut sorted = played.clone();
    packed.sort();
    sorted.sort();
    assert_eq!(packed, sorted);

    // Packed by number: each subject keeps its order, and few messages are needed.
    let before = stream_state(&client, "TRIBUTARY_IN")
        .await
        .unwrap()
        .last_sequence;
    let options = ReplayOptions {
        pack: 100,
        clock: Clock::Last,
        ..ReplayOptions::default()
    };
    let summary = replay(std::slice::from_ref(&client), again(), options, |_| {})
        .await
        .unwrap();
    assert!(summary.messages < 50, "{summary:?}");
    let packed = held(&client, before + 1).await;
    for subject in
        ["ping", "web", "transaction", "spend"].map(|kind| format!("tributary.in.orchard.{kind}"))
    {
        let of = |events: &[(String, i64, String)]| -> Vec<String> {
            let of = events.iter().filter(|(s, _, _)| *s == subject);
            of.map(|(_, _, text)| text.clone()).collect()
        };
        assert!(of(&packed) == of(&played), "{subject}");
    }
}

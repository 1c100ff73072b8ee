//! The input is read in order from any sequence, through gaps and through the broker's death, and a
//! stream that was made anew is noticed.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tributary_connectors::nats::{
    Client, InMessage, Input, NatsErrorKind, Outgoing, Publisher, connect, ensure_input_stream,
};
use tributary_loadtest::testing::NatsServer;

const WAIT: Duration = Duration::from_secs(20);

fn message(number: u32) -> Outgoing {
    Outgoing {
        subject: "tributary.in.acme.web".to_owned(),
        headers: vec![],
        payload: number.to_string().into(),
        id: None,
    }
}

async fn publish(client: &Client, numbers: std::ops::Range<u32>) {
    let mut publisher = Publisher::new(client, 64);
    for number in numbers {
        publisher.send(message(number)).await.unwrap();
    }
    publisher.flush().await.unwrap();
    assert_eq!(publisher.in_flight(), 0);
}

/// Reads until `count` messages are there.
async fn read(input: &mut Input, count: usize) -> Vec<InMessage> {
    let mut read = Vec::new();
    while read.len() < count {
        match input.next_batch(count - read.len(), WAIT).await {
            Ok(batch) => {
                assert!(!batch.is_empty(), "nothing came, {} of {count}", read.len());
                read.extend(batch);
            }
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
    read
}

fn sequences(messages: &[InMessage]) -> Vec<u64> {
    messages.iter().map(|message| message.sequence).collect()
}

#[tokio::test]
async fn from_a_sequence_through_gaps_to_the_end() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let nats = server.nats();
    let client = connect(&nats, "test").await.unwrap();
    ensure_input_stream(&client, &nats, &["acme"])
        .await
        .unwrap();

    let input = Input::open(&client, "TRIBUTARY_IN", 0).await.unwrap();
    assert!(input.caught_up());

    publish(&client, 0..1_000).await;
    let mut input = Input::open(&client, "TRIBUTARY_IN", 401).await.unwrap();
    assert_eq!(input.pending(), 600);
    assert!(!input.caught_up());
    let messages = read(&mut input, 600).await;
    assert_eq!(sequences(&messages), (401..=1_000).collect::<Vec<u64>>());
    assert_eq!(&messages[0].payload[..], b"400");
    assert_eq!(messages[0].subject.as_str(), "tributary.in.acme.web");
    assert!(messages[0].at_ms > 1_700_000_000_000);
    assert!(input.caught_up());
    assert_eq!(input.next_sequence(), 1_001);
    assert_eq!(input.last_sequence().await.unwrap(), 1_000);

    // What is erased is a gap, at the beginning, within and at the end.
    let jetstream = async_nats::jetstream::new(client.clone());
    let stream = jetstream.get_stream("TRIBUTARY_IN").await.unwrap();
    for sequence in [1, 2, 500, 1_000] {
        stream.delete_message(sequence).await.unwrap();
    }
    let mut input = Input::open(&client, "TRIBUTARY_IN", 1).await.unwrap();
    assert_eq!(input.skipped(), 2);
    let messages = read(&mut input, 996).await;
    let expected: Vec<u64> = (3..=999).filter(|s| *s != 500).collect();
    assert_eq!(sequences(&messages), expected);
    assert!(input.caught_up());
    let nothing = input.next_batch(10, Duration::ZERO).await.unwrap();
    assert!(nothing.is_empty());

    // Behind the last one is where a worker that has read everything starts again.
    let mut input = Input::open(&client, "TRIBUTARY_IN", 1_001).await.unwrap();
    publish(&client, 1_000..1_001).await;
    assert_eq!(sequences(&read(&mut input, 1).await), [1_001]);
}

#[tokio::test]
async fn a_header_replaces_the_time_of_arrival() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let nats = server.nats();
    let client = connect(&nats, "test").await.unwrap();
    ensure_input_stream(&client, &nats, &["acme"])
        .await
        .unwrap();
    let mut publisher = Publisher::new(&client, 8);
    let with = |headers| Outgoing {
        headers,
        ..message(0)
    };
    let at = |text: &str| ("Tributary-At".into(), text.to_owned());
    let ce = ("ce-id".into(), "7".to_owned());
    publisher
        .send(with(vec![at("1700000000000"), ce]))
        .await
        .unwrap();
    publisher.send(with(vec![at("yesterday")])).await.unwrap();
    publisher.flush().await.unwrap();

    let mut input = Input::open(&client, "TRIBUTARY_IN", 1).await.unwrap();
    let messages = read(&mut input, 2).await;
    assert_eq!(messages[0].at_ms, 1_700_000_000_000);
    assert!(
        messages[0]
            .headers
            .contains(&("ce-id".to_owned(), "7".to_owned()))
    );
    assert!(messages[1].at_ms > 1_700_000_000_000);
}

#[tokio::test]
async fn the_broker_dies_and_comes_back() {
    let Some(mut server) = NatsServer::start_or_skip("") else {
        return;
    };
    let nats = server.nats();
    let client = connect(&nats, "test").await.unwrap();
    ensure_input_stream(&client, &nats, &["acme"])
        .await
        .unwrap();
    publish(&client, 0..300).await;
    let mut input = Input::open(&client, "TRIBUTARY_IN", 1).await.unwrap();
    let mut messages = read(&mut input, 200).await;

    server.restart();
    publish(&client, 300..500).await;
    messages.extend(read(&mut input, 300).await);
    let payloads: Vec<u32> = messages
        .iter()
        .map(|m| std::str::from_utf8(&m.payload).unwrap().parse().unwrap())
        .collect();
    assert_eq!(payloads, (0..500).collect::<Vec<u32>>());
}

#[tokio::test]
async fn a_stream_made_anew_is_noticed() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let nats = server.nats();
    let client = connect(&nats, "test").await.unwrap();
    let error = Input::open(&client, "TRIBUTARY_IN", 1).await.err().unwrap();
    assert_eq!(error.kind(), NatsErrorKind::Stream);

    ensure_input_stream(&client, &nats, &["acme"])
        .await
        .unwrap();
    publish(&client, 0..5).await;
    let error = Input::open(&client, "TRIBUTARY_IN", 8).await.err().unwrap();
    assert_eq!(error.kind(), NatsErrorKind::StreamReset);
    assert!(!error.is_transient());
}

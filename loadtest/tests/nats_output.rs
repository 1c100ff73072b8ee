//! What leaves: the output stream keeps the last value of every cell, a closed cell is a tombstone,
//! and a dead letter says why.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::{Value, json};
use tributary_connectors::dead::{DeadLetter, Reason};
use tributary_connectors::nats::{
    Input, NatsErrorKind, Outgoing, Publisher, connect, ensure_dead_letter_stream,
    ensure_output_stream, stream_state,
};
use tributary_loadtest::testing::NatsServer;
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::record::Arrival;

const WAIT: Duration = Duration::from_secs(20);

/// The orders of a day, or that there are none any more.
fn orders(day: i32, count: Option<u64>) -> Cell {
    Cell {
        family: Family::OrdersDay,
        dims: vec![
            Dim::Text("acme".into()),
            Dim::Day(day),
            Dim::Text("EUR".into()),
        ],
        values: count.map_or(vec![], |count| vec![count.into(), 100, 1]),
    }
}

#[tokio::test]
async fn the_last_value_of_a_cell_stays() {
    let Some(mut server) = NatsServer::start_or_skip("") else {
        return;
    };
    let nats = server.nats();
    let client = connect(&nats, "test").await.unwrap();
    ensure_output_stream(&client, &nats, &["acme"])
        .await
        .unwrap();
    let mut publisher = Publisher::new(&client, 16);
    for epoch in 0..50 {
        for day in [20_387, 20_388] {
            let closed = epoch == 49 && day == 20_388;
            let message = Outgoing::cell(
                &orders(day, (!closed).then_some(epoch)),
                epoch,
                1_700_000_000_000,
            );
            publisher.send(message).await.unwrap();
        }
        // The values keep their order when the broker loses what is in flight.
        if epoch == 25 {
            server.restart();
        }
    }
    publisher.flush().await.unwrap();

    assert_eq!(
        stream_state(&client, "TRIBUTARY_OUT")
            .await
            .unwrap()
            .messages,
        2
    );
    let mut input = Input::open(&client, "TRIBUTARY_OUT", 1).await.unwrap();
    let mut held: Vec<Value> = Vec::new();
    while held.len() < 2 {
        let batch = input.next_batch(2, WAIT).await.unwrap();
        assert!(!batch.is_empty());
        held.extend(
            batch
                .iter()
                .map(|m| serde_json::from_slice::<Value>(&m.payload).unwrap()),
        );
    }
    held.sort_by_key(|value| value["cell"]["day"].to_string());
    let value = json!({"orders": 49, "revenue_minor": 100, "persons": 1});
    assert_eq!(
        held[0]["cell"],
        json!({"brand": "acme", "day": "2025-10-26", "currency": "EUR"})
    );
    assert_eq!(held[0]["value"], value);
    assert_eq!(held[1]["value"], Value::Null);
    assert_eq!(held[0]["epoch"], 49);
    assert_eq!(held[0]["as_of"], "2023-11-14T22:13:20Z");
}

#[tokio::test]
async fn a_dead_letter_says_why() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let nats = server.nats();
    let client = connect(&nats, "test").await.unwrap();
    ensure_dead_letter_stream(&client, &nats).await.unwrap();
    let mut publisher = Publisher::new(&client, 16);
    let letter = |line: u32, payload: Vec<u8>| DeadLetter {
        brand: Some("acme".to_owned()),
        kind: None,
        reason: Reason::MalformedJson,
        detail: "two\r\nlines".to_owned(),
        subject: "tributary.in.acme.jo@example.org".to_owned(),
        at: 1_700_000_000_000,
        arrival: Arrival { message: 7, line },
        payload,
    };
    let room = publisher.max_payload();
    for (line, size) in [(0, 3), (0, 3), (1, 2 * room)] {
        let message = Outgoing::dead_letter(letter(line, vec![b'x'; size]), room);
        publisher.send(message).await.unwrap();
    }
    publisher.flush().await.unwrap();
    // The same letter twice is one.
    assert_eq!(
        stream_state(&client, "TRIBUTARY_DEAD")
            .await
            .unwrap()
            .messages,
        2
    );

    let mut input = Input::open(&client, "TRIBUTARY_DEAD", 1).await.unwrap();
    let mut held = Vec::new();
    while held.len() < 2 {
        let batch = input.next_batch(2, WAIT).await.unwrap();
        assert!(!batch.is_empty());
        held.extend(batch);
    }
    assert_eq!(
        held[0].subject.as_str(),
        "tributary.deadletter.acme.unknown"
    );
    let header = |index: usize, name: &str| {
        let found = held[index].headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.clone())
    };
    assert_eq!(
        header(0, "Tributary-Reason").as_deref(),
        Some("malformed_json")
    );
    assert_eq!(header(0, "Tributary-Detail").as_deref(), Some("two  lines"));
    assert_eq!(header(0, "Tributary-Bytes"), None);
    assert_eq!(header(1, "Tributary-Bytes"), Some((2 * room).to_string()));
}

#[tokio::test]
async fn without_a_stream_nothing_is_taken_for_published() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let client = connect(&server.nats(), "test").await.unwrap();
    let mut publisher = Publisher::new(&client, 4);
    publisher
        .send(Outgoing::cell(&orders(20_387, Some(1)), 1, 0))
        .await
        .unwrap();
    let error = publisher.flush().await.unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Publish);
    assert!(error.to_string().contains("no stream"), "{error}");
    assert_eq!(publisher.in_flight(), 1);
}

//! Dead letters are published one by one with their reason, and none counts as published unless a
//! stream stores it.

use std::time::Duration;

use tributary_connectors::dead_letter::{DeadLetter, Reason};
use tributary_connectors::nats::{
    NatsErrorKind, OutgoingMessage, Publisher, Reader, connect, ensure_dead_letter_stream,
    stream_state,
};
use tributary_operators::record::Arrival;
use tributary_testkit::NatsServer;

/// The maximum duration of anything.
const WAIT: Duration = Duration::from_secs(20);

/// A dead letter.
fn letter(line: u32, payload: Vec<u8>) -> DeadLetter {
    DeadLetter {
        brand: Some("acme".to_owned()),
        kind: None,
        reason: Reason::MalformedJson,
        detail: "two\r\nlines".to_owned(),
        subject: "tributary.in.acme.jo@example.org".to_owned(),
        source_subject: None,
        is_resent: false,
        at: 1_700_000_000_000,
        arrival: Arrival { message: 7, line },
        payload,
    }
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
    let room = publisher.max_payload();
    for (line, size) in [(0, 3), (0, 3), (1, 2 * room)] {
        let message = OutgoingMessage::dead_letter(letter(line, vec![b'x'; size]), room);
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

    let mut reader = Reader::open(&client, "TRIBUTARY_DEAD", 1).await.unwrap();
    let mut held = Vec::new();
    while held.len() < 2 {
        let batch = reader.next_batch(2, WAIT).await.unwrap();
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
        .send(OutgoingMessage::dead_letter(letter(0, vec![]), 1_000))
        .await
        .unwrap();
    let error = publisher.flush().await.unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Publish);
    assert!(error.to_string().contains("no stream"), "{error}");
    assert_eq!(publisher.in_flight(), 1);
}

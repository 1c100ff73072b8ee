//! A stream is read in order from any sequence, through gaps and restarts of the broker.

use std::time::Duration;

use crate::nats_support::{STREAM, WAIT, broker, publish, sequences};
use tributary_connectors::nats::{InMessage, NatsErrorKind, OutgoingMessage, Publisher, Reader};

/// Reads a number of messages.
async fn read(reader: &mut Reader, count: usize) -> Vec<InMessage> {
    let mut read = Vec::new();
    while read.len() < count {
        match reader.next_batch(count - read.len(), WAIT).await {
            Ok(batch) => {
                assert!(!batch.is_empty(), "nothing came, {} of {count}", read.len());
                read.extend(batch);
            }
            Err(error) => assert!(error.kind() != NatsErrorKind::Stream, "{error}"),
        }
    }
    read
}

#[tokio::test]
async fn from_a_sequence_through_gaps_and_a_death() {
    let Some((mut server, client)) = broker().await else {
        return;
    };
    assert!(Reader::open(&client, STREAM, 0).await.unwrap().caught_up());
    publish(&client, 0..600).await;
    let jetstream = async_nats::jetstream::new(client.clone());
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    for sequence in [1, 2, 500, 600] {
        stream.delete_message(sequence).await.unwrap();
    }
    let mut reader = Reader::open(&client, STREAM, 1).await.unwrap();
    let messages = read(&mut reader, 596).await;
    let expected: Vec<u64> = (3..=599).filter(|s| *s != 500).collect();
    assert_eq!(sequences(&messages), expected);
    assert_eq!(&messages[0].payload[..], b"2");
    assert_eq!(messages[0].subject.as_str(), "tributary.in.acme.web");
    assert!(messages[0].at_ms > 1_700_000_000_000);
    assert!(reader.caught_up());
    assert_eq!(reader.next_sequence(), 600);
    let nothing = reader.next_batch(10, Duration::ZERO).await.unwrap();
    assert!(nothing.is_empty());

    let mut reader = Reader::open(&client, STREAM, 401).await.unwrap();
    assert_eq!(sequences(&read(&mut reader, 1).await), [401]);
    server.restart();
    publish(&client, 600..700).await;
    let messages = read(&mut reader, 297).await;
    assert_eq!(messages.last().unwrap().sequence, 700);

    let error = Reader::open(&client, "NONE", 1).await.err().unwrap();
    assert_eq!(error.kind(), NatsErrorKind::Stream);
}

#[tokio::test]
async fn no_header_replaces_the_time_of_the_stream() {
    let Some((_server, client)) = broker().await else {
        return;
    };
    let mut publisher = Publisher::new(&client, 8);
    let with = |headers| OutgoingMessage {
        subject: "tributary.in.acme.web".to_owned(),
        headers,
        payload: "{}".into(),
        id: None,
    };
    let at = |text: &str| ("Tributary-At".into(), text.to_owned());
    let ce = ("ce-id".into(), "7".to_owned());
    publisher
        .send(with(vec![at("1700000000000"), ce]))
        .await
        .unwrap();
    publisher.send(with(vec![at("yesterday")])).await.unwrap();
    publisher.flush().await.unwrap();

    let mut reader = Reader::open(&client, STREAM, 1).await.unwrap();
    let messages = read(&mut reader, 2).await;
    assert!(messages[0].at_ms > 1_700_000_000_000);
    let header = ("ce-id".to_owned(), "7".to_owned());
    assert!(messages[0].headers.contains(&header));
    assert!(messages[1].at_ms > 1_700_000_000_000);
}

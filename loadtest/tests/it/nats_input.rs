//! A process reads its input, commits, acknowledges, and resumes where it left off. Gaps,
//! redeliveries and a deleted consumer change nothing.

use std::time::Duration;

use crate::nats_support::{STREAM, broker, publish, read, sequences, wanted};
use async_nats::Client;
use async_nats::jetstream::consumer::{Info, PullConsumer};
use tributary_connectors::nats::{Input, InputCounts, InputRequest};

/// The consumer of process 0, as the server reports it.
async fn consumer(client: &Client) -> Info {
    let jetstream = async_nats::jetstream::new(client.clone());
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    stream.consumer_info("tributary_0").await.unwrap()
}

#[tokio::test]
async fn read_acknowledged_and_read_on() {
    let Some((_server, client)) = broker().await else {
        return;
    };
    let mut input = Input::open(&client, wanted()).await.unwrap();
    assert!(input.caught_up());
    assert_eq!((input.next_sequence(), input.pending()), (1, 0));
    publish(&client, 0..1_000).await;
    let messages = read(&mut input, 400).await;
    assert_eq!(sequences(&messages), (1..=400).collect::<Vec<u64>>());
    assert_eq!(&messages[0].payload[..], b"0");
    assert_eq!((input.next_sequence(), input.pending()), (401, 600));
    assert!(!input.caught_up());

    // Only durable messages are acknowledged; the server receives no other acknowledgement.
    assert_eq!(consumer(&client).await.ack_floor.stream_sequence, 0);
    input.acknowledge(400).await;
    client.flush().await.unwrap();
    while consumer(&client).await.ack_floor.stream_sequence < 400 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    read(&mut input, 100).await;
    input.acknowledge(450).await;
    client.flush().await.unwrap();
    assert_eq!(consumer(&client).await.ack_floor.stream_sequence, 400);

    // The ledger has 420 as its next: the consumer's own memory does not count.
    let again = InputRequest {
        next: 420,
        created: Some(input.created()),
        ..wanted()
    };
    drop(input);
    let mut input = Input::open(&client, again).await.unwrap();
    assert_eq!(input.pending(), 581);
    let messages = read(&mut input, 581).await;
    assert_eq!(sequences(&messages), (420..=1_000).collect::<Vec<u64>>());
    assert!(input.caught_up());
    let nothing = input.next_batch(10, Duration::ZERO).await.unwrap();
    assert!(nothing.is_empty());
    let slow_consumer = input.counts().slow_consumer;
    let expected = InputCounts {
        slow_consumer,
        ..InputCounts::default()
    };
    assert_eq!(input.counts(), expected);
}

#[tokio::test]
async fn deleted_messages_are_gaps() {
    let Some((_server, client)) = broker().await else {
        return;
    };
    publish(&client, 0..1_000).await;
    let jetstream = async_nats::jetstream::new(client.clone());
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    for sequence in [200, 500, 501, 1_000] {
        stream.delete_message(sequence).await.unwrap();
    }
    let mut input = Input::open(&client, wanted()).await.unwrap();
    let messages = read(&mut input, 996).await;
    let expected = (1..=999).filter(|s| ![200, 500, 501].contains(s));
    assert_eq!(sequences(&messages), expected.collect::<Vec<u64>>());
    // The last message is deleted too: none arrives, and the position still advances past it.
    while input.next_sequence() < 1_001 {
        let nothing = input.next_batch(10, Duration::from_secs(1)).await.unwrap();
        assert!(nothing.is_empty());
    }
    let gaps = InputCounts {
        gaps: 4,
        // It counts for the whole process, in which other tests read, too.
        slow_consumer: input.counts().slow_consumer,
        ..InputCounts::default()
    };
    assert_eq!(input.counts(), gaps);

    // What goes after it was read is no loss, neither now nor for a restart.
    stream.purge().await.unwrap();
    publish(&client, 0..1).await;
    assert_eq!(sequences(&read(&mut input, 1).await), [1_001]);
    let again = InputRequest {
        next: 1_002,
        created: Some(input.created()),
        ..wanted()
    };
    stream.purge().await.unwrap();
    drop(input);
    assert!(Input::open(&client, again).await.unwrap().caught_up());
}

#[tokio::test]
async fn what_comes_again_is_passed_over() {
    let Some((_server, client)) = broker().await else {
        return;
    };
    publish(&client, 0..50).await;
    let mut input = Input::open(&client, wanted()).await.unwrap();
    let mut messages = read(&mut input, 50).await;
    input.acknowledge(50).await;
    publish(&client, 50..60).await;
    messages.extend(read(&mut input, 10).await);
    // What is not acknowledged now comes again at once.
    let jetstream = async_nats::jetstream::new(client.clone());
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    let consumer: PullConsumer = stream.get_consumer("tributary_0").await.unwrap();
    let mut config = consumer.cached_info().config.clone();
    config.ack_wait = Duration::from_millis(100);
    stream.update_consumer(config).await.unwrap();
    while input.counts().redelivered < 10 {
        let nothing = input
            .next_batch(10, Duration::from_millis(100))
            .await
            .unwrap();
        assert!(nothing.is_empty());
    }
    publish(&client, 60..70).await;
    messages.extend(read(&mut input, 10).await);
    assert_eq!(sequences(&messages), (1..=70).collect::<Vec<u64>>());
    assert_eq!(input.counts().reopened, 0);
}

#[tokio::test]
async fn a_deleted_consumer_is_made_again() {
    let Some((_server, client)) = broker().await else {
        return;
    };
    publish(&client, 0..50).await;
    let mut input = Input::open(&client, wanted()).await.unwrap();
    let mut messages = read(&mut input, 20).await;
    let jetstream = async_nats::jetstream::new(client.clone());
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    stream.delete_consumer("tributary_0").await.unwrap();
    publish(&client, 50..100).await;
    messages.extend(read(&mut input, 80).await);
    assert_eq!(sequences(&messages), (1..=100).collect::<Vec<u64>>());
    assert!(input.counts().reopened >= 1);
}

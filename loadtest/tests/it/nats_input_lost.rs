//! Lost input: the stream no longer stores what was to be read. Reading stops with an error until
//! an operator accepts the loss.

use crate::nats_support::{STREAM, broker, publish, read, sequences, stopped, wanted};
use tributary_connectors::nats::{Input, InputRequest, LossKind, NatsErrorKind, stream_state};

#[tokio::test]
async fn purged_before_it_was_read() {
    let Some((_server, client)) = broker().await else {
        return;
    };
    publish(&client, 0..1_000).await;
    let jetstream = async_nats::jetstream::new(client.clone());
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    let mut input = Input::open(&client, wanted()).await.unwrap();
    read(&mut input, 100).await;
    let position = input.next_sequence();
    let created = input.created();

    // While it lags behind: more is under way to it than was read, but not all that is purged.
    stream.purge().sequence(901).await.unwrap();
    let error = stopped(&mut input).await;
    assert_eq!(error.kind(), NatsErrorKind::Lost, "{error}");
    assert!(error.to_string().contains("tributary run --accept-loss"));
    assert!(error.to_string().contains("to 900"), "{error}");
    // The position does not pass the loss.
    let stuck = input.next_sequence();
    assert!((position..=900).contains(&stuck), "{stuck}");
    drop(input);

    // At a restart it is the same, until it is accepted.
    let again = InputRequest {
        next: position,
        created: Some(created),
        ..wanted()
    };
    let error = Input::open(&client, again.clone()).await.err().unwrap();
    assert_eq!(error.kind(), NatsErrorKind::Lost);
    assert!(
        error
            .to_string()
            .contains("the 800 sequences from 101 to 900"),
        "{error}"
    );
    let accepting = InputRequest {
        accept_loss: true,
        ..again
    };
    let mut input = Input::open(&client, accepting).await.unwrap();
    let loss = input.accepted_loss().unwrap();
    assert_eq!(
        (loss.kind, loss.from, loss.to),
        (LossKind::Dropped, 101, 900)
    );
    let rest = read(&mut input, 100).await;
    assert_eq!(sequences(&rest), (901..=1_000).collect::<Vec<u64>>());
    assert_eq!(input.created(), created);
}

#[tokio::test]
async fn everything_is_purged_while_nothing_comes() {
    let Some((_server, client)) = broker().await else {
        return;
    };
    let mut input = Input::open(&client, wanted()).await.unwrap();
    publish(&client, 0..10).await;
    read(&mut input, 10).await;
    let jetstream = async_nats::jetstream::new(client.clone());
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    // The process is away for a moment, and its messages come and go.
    stream.delete_consumer("tributary_0").await.unwrap();
    publish(&client, 10..20).await;
    stream.purge().await.unwrap();
    let error = stopped(&mut input).await;
    assert_eq!(error.kind(), NatsErrorKind::Lost, "{error}");
    assert!(error.to_string().contains("from 11 to 20"), "{error}");
}

#[tokio::test]
async fn a_stream_that_always_loses_its_oldest_can_be_begun() {
    let Some((_server, client)) = broker().await else {
        return;
    };
    let jetstream = async_nats::jetstream::new(client.clone());
    let mut config = jetstream
        .get_stream(STREAM)
        .await
        .unwrap()
        .cached_info()
        .config
        .clone();
    config.max_messages = 50;
    jetstream.update_stream(config).await.unwrap();
    publish(&client, 0..200).await;
    let mut input = Input::open(&client, wanted()).await.unwrap();
    assert_eq!(input.next_sequence(), 151);
    publish(&client, 200..220).await;
    let messages = read(&mut input, 50).await;
    assert_eq!(sequences(&messages), (171..=220).collect::<Vec<u64>>());
    // But from then on nothing may be lost.
    publish(&client, 220..900).await;
    let error = stopped(&mut input).await;
    assert_eq!(error.kind(), NatsErrorKind::Lost, "{error}");
}

#[tokio::test]
async fn another_stream_of_the_same_name() {
    let Some((_server, client)) = broker().await else {
        return;
    };
    publish(&client, 0..10).await;
    let mut input = Input::open(&client, wanted()).await.unwrap();
    read(&mut input, 10).await;
    let created = input.created();
    let jetstream = async_nats::jetstream::new(client.clone());
    let config = jetstream
        .get_stream(STREAM)
        .await
        .unwrap()
        .cached_info()
        .config
        .clone();
    jetstream.delete_stream(STREAM).await.unwrap();
    jetstream.create_stream(config).await.unwrap();
    // It has grown as long as the old one was: only its creation tells.
    publish(&client, 0..20).await;
    let error = stopped(&mut input).await;
    assert_eq!(error.kind(), NatsErrorKind::StreamReset, "{error}");
    assert_eq!(input.next_sequence(), 11);
    drop(input);

    let again = InputRequest {
        next: 11,
        created: Some(created),
        ..wanted()
    };
    let error = Input::open(&client, again.clone()).await.err().unwrap();
    assert_eq!(error.kind(), NatsErrorKind::StreamReset);
    assert!(error.to_string().contains("tributary run --accept-loss"));
    let accepting = InputRequest {
        accept_loss: true,
        ..again
    };
    let mut input = Input::open(&client, accepting).await.unwrap();
    assert_eq!(input.accepted_loss().unwrap().kind, LossKind::Recreated);
    assert_ne!(input.created(), created);
    let all = read(&mut input, 20).await;
    assert_eq!(sequences(&all), (1..=20).collect::<Vec<u64>>());
}

#[tokio::test]
async fn the_stream_has_lost_its_end() {
    let Some((_server, client)) = broker().await else {
        return;
    };
    publish(&client, 0..5).await;
    let created = stream_state(&client, STREAM).await.unwrap().created_ns;
    let again = InputRequest {
        next: 8,
        created: Some(created),
        ..wanted()
    };
    let error = Input::open(&client, again.clone()).await.err().unwrap();
    assert_eq!(error.kind(), NatsErrorKind::StreamReset);
    assert!(!error.is_transient());
    let accepting = InputRequest {
        accept_loss: true,
        ..again
    };
    let mut input = Input::open(&client, accepting).await.unwrap();
    let loss = input.accepted_loss().unwrap();
    assert_eq!((loss.kind, loss.from, loss.to), (LossKind::Truncated, 6, 7));
    publish(&client, 5..6).await;
    assert_eq!(sequences(&read(&mut input, 1).await), [6]);
}

#[tokio::test]
async fn there_is_no_stream() {
    let Some((_server, client)) = broker().await else {
        return;
    };
    let stream = "NONE".to_owned();
    let wanted = InputRequest { stream, ..wanted() };
    let error = Input::open(&client, wanted).await.err().unwrap();
    assert_eq!(error.kind(), NatsErrorKind::Stream);
}

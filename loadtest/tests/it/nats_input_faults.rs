//! Faults of the connection: it is cut, silent or slow, the broker is killed, the client drops what
//! it cannot buffer. Every message is read once, in order.

use std::time::Duration;

use crate::nats_support::{broker, publish, read, sequences, wanted};
use tributary_config::nats_at;
use tributary_connectors::nats::{Client, Input, connect, connect_with};
use tributary_testkit::Proxy;

/// A client that connects through a proxy.
async fn through(proxy: &Proxy) -> Client {
    connect(&nats_at(&proxy.url()), "test").await.unwrap()
}

#[tokio::test]
async fn the_line_is_cut() {
    let Some((server, direct)) = broker().await else {
        return;
    };
    let proxy = Proxy::start(server.address());
    let client = through(&proxy).await;
    publish(&direct, 0..3_000).await;
    let mut input = Input::open(&client, wanted()).await.unwrap();
    let mut messages = Vec::new();
    for round in 0..5 {
        // More than can have come before the line was cut.
        messages.extend(read(&mut input, 500).await);
        proxy.refuse(true);
        proxy.cut();
        input.acknowledge(100).await;
        let wait = Duration::from_millis(20 * round);
        if let Ok(batch) = input.next_batch(1, wait).await {
            messages.extend(batch);
        }
        proxy.refuse(false);
    }
    let left = 3_000 - messages.len();
    messages.extend(read(&mut input, left).await);
    assert_eq!(sequences(&messages), (1..=3_000).collect::<Vec<u64>>());
    assert!(input.caught_up());
    assert!(input.counts().reopened >= 5, "{:?}", input.counts());
}

#[tokio::test]
async fn the_line_falls_silent() {
    let Some((server, direct)) = broker().await else {
        return;
    };
    let proxy = Proxy::start(server.address());
    let client = through(&proxy).await;
    publish(&direct, 0..100).await;
    let mut input = Input::open(&client, wanted()).await.unwrap();
    let mut messages = read(&mut input, 100).await;
    proxy.stall(true);
    publish(&direct, 100..200).await;
    // No call exceeds its timeout while the server is silent.
    while input.counts().heartbeats_missed == 0 {
        match input.next_batch(1_000, Duration::from_millis(100)).await {
            Ok(batch) => assert!(batch.is_empty()),
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
    proxy.stall(false);
    messages.extend(read(&mut input, 100).await);
    assert_eq!(sequences(&messages), (1..=200).collect::<Vec<u64>>());

    proxy.delay(Duration::from_millis(20));
    publish(&direct, 200..300).await;
    messages.extend(read(&mut input, 100).await);
    assert_eq!(sequences(&messages), (1..=300).collect::<Vec<u64>>());
}

#[tokio::test]
async fn the_broker_dies_and_comes_back() {
    let Some((mut server, client)) = broker().await else {
        return;
    };
    publish(&client, 0..300).await;
    let mut input = Input::open(&client, wanted()).await.unwrap();
    let mut messages = read(&mut input, 200).await;
    input.acknowledge(150).await;
    server.kill();
    let _ = input
        .next_batch(1_000, Duration::ZERO)
        .await
        .map(|batch| messages.extend(batch));
    server.restart();
    publish(&client, 300..500).await;
    let left = 500 - messages.len();
    messages.extend(read(&mut input, left).await);
    assert_eq!(sequences(&messages), (1..=500).collect::<Vec<u64>>());
    assert!(input.counts().reopened >= 1);
}

#[tokio::test]
async fn the_client_is_too_slow() {
    let Some((server, direct)) = broker().await else {
        return;
    };
    let small = |options: async_nats::ConnectOptions| options.subscription_capacity(64);
    let client = connect_with(&server.nats(), "test", small).await.unwrap();
    let mut input = Input::open(&client, wanted()).await.unwrap();
    // The first pull is under way, and nobody reads what it brings: 64 of 200 find room.
    assert!(
        input
            .next_batch(1, Duration::ZERO)
            .await
            .unwrap()
            .is_empty()
    );
    publish(&direct, 0..200).await;
    tokio::time::timeout(crate::nats_support::WAIT, async {
        while input.counts().slow_consumer == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    let messages = read(&mut input, 200).await;
    assert_eq!(sequences(&messages), (1..=200).collect::<Vec<u64>>());
    assert!(input.counts().lost_deliveries >= 1, "{:?}", input.counts());
}

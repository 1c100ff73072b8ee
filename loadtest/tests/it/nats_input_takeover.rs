//! Two processes with the same number: the second does not start, and a process that was replaced
//! while it was disconnected stops.

use std::time::Duration;

use crate::nats_support::{broker, publish, read, stopped, wanted};
use tributary_config::nats_at;
use tributary_connectors::nats::{Input, NatsErrorKind, connect};
use tributary_testkit::Proxy;

#[tokio::test]
async fn the_second_does_not_start() {
    let Some((server, client)) = broker().await else {
        return;
    };
    publish(&client, 0..10).await;
    let mut first = Input::open(&client, wanted()).await.unwrap();
    read(&mut first, 10).await;
    let reading = tokio::spawn(async move {
        loop {
            first
                .next_batch(10, Duration::from_millis(100))
                .await
                .unwrap();
        }
    });
    let other = connect(&server.nats(), "other").await.unwrap();
    let error = Input::open(&other, wanted()).await.err().unwrap();
    assert_eq!(error.kind(), NatsErrorKind::Taken, "{error}");
    assert!(error.to_string().contains("workers.process"), "{error}");
    // The first has not noticed anything.
    assert!(!reading.is_finished());
    reading.abort();
    let _ = reading.await;

    // The consumer is deleted, and its pending pulls end after a while.
    let mut second = Input::open(&other, wanted()).await.unwrap();
    assert_eq!(read(&mut second, 10).await.len(), 10);
}

#[tokio::test]
async fn who_was_displaced_stops() {
    let Some((server, client)) = broker().await else {
        return;
    };
    publish(&client, 0..10).await;
    let proxy = Proxy::start(server.address());
    let away = connect(&nats_at(&proxy.url()), "away").await.unwrap();
    let mut first = Input::open(&away, wanted()).await.unwrap();
    read(&mut first, 10).await;
    proxy.refuse(true);
    proxy.cut();
    let mut second = Input::open(&client, wanted()).await.unwrap();
    read(&mut second, 10).await;
    let reading = tokio::spawn(async move {
        loop {
            second
                .next_batch(10, Duration::from_millis(100))
                .await
                .unwrap();
        }
    });
    proxy.refuse(false);
    let error = stopped(&mut first).await;
    assert_eq!(error.kind(), NatsErrorKind::Taken, "{error}");
    assert!(!reading.is_finished());
    reading.abort();
}

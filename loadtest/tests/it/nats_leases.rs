//! Leases: of two processes that publish the same cells only the entitled one does, whenever the other wakes.

use std::time::{Duration, Instant};

use tributary_connectors::nats::{
    Client, Holder, LatestPublisher, Lease, NatsErrorKind, OutgoingMessage, TERM, connect, current,
    ensure_leases, ensure_output_stream, last_values, leases_bucket, stream_state,
};
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::cells::Standing;
use tributary_testkit::NatsServer;

/// The output stream.
const OUT: &str = "TRIBUTARY_OUT";

/// Long enough for what is not refused to arrive.
const WHILE: Duration = Duration::from_millis(300);

async fn broker() -> Option<(NatsServer, Client)> {
    let server = NatsServer::start_or_skip("")?;
    let nats = server.nats();
    let client = connect(&nats, "test").await.unwrap();
    ensure_output_stream(&client, &nats, &["acme"])
        .await
        .unwrap();
    ensure_leases(&client, &nats).await.unwrap();
    Some((server, client))
}

/// A process with a ledger of its own.
fn holder(ledger: char, process: usize, processes: usize) -> Holder {
    Holder {
        process,
        processes,
        shard: None,
        brands: Vec::new(),
        ledger: ledger.to_string().repeat(32),
        copy: String::new(),
        barrier: 0,
        address: String::new(),
        manifest: 0,
        commits: 0,
        host: format!("host-{ledger}"),
        version: "1.0.0".to_owned(),
        build: String::new(),
        settings: String::new(),
        since: "2025-11-20T09:00:00Z".to_owned(),
        released: false,
    }
}

async fn take((server, client): (&NatsServer, &Client), holder: Holder) -> Lease {
    Lease::take(client, &server.nats(), holder).await.unwrap()
}

/// The orders of a day.
fn orders(day: i32, count: u64) -> OutgoingMessage {
    let cell = Cell {
        family: Family::OrdersDay,
        dims: vec![
            Dim::Text("acme".into()),
            Dim::Day(day),
            Dim::Text("EUR".into()),
        ],
        values: vec![count.into(), 100, 1],
    };
    OutgoingMessage::cell(&cell, count, 1_700_000_000_000, Standing::Closed)
}

/// The numbers of orders that the stream holds, in the order of their arrival.
async fn held(client: &Client) -> Vec<u64> {
    let mut values = last_values(client, OUT, "tributary.out.>").await.unwrap();
    let messages = values.next_batch(100).await.unwrap();
    let values = messages.iter().map(|message| {
        let value: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        value["value"]["orders"].as_u64().unwrap()
    });
    values.collect()
}

#[tokio::test]
async fn who_wakes_late_publishes_nothing_and_ends() {
    let Some((server, client)) = broker().await else {
        return;
    };
    let first = take((&server, &client), holder('a', 0, 1)).await;
    let mut sleeper = LatestPublisher::new(&client, OUT, 4).fenced(first.fence());
    sleeper.put(orders(20_000, 1));
    sleeper.put(orders(20_001, 1));
    sleeper.flush().await.unwrap();
    // It is suspended from here on: it renews nothing.
    let begun = Instant::now();
    let second = take((&server, &client), holder('b', 0, 1)).await;
    assert!(begun.elapsed() >= TERM, "the lease may still be held");
    let mut latest = LatestPublisher::new(&client, OUT, 4).fenced(second.fence());
    let kept = tokio::spawn(second.keep_until(std::future::pending()));
    latest.put(orders(20_000, 2));
    latest.flush().await.unwrap();
    // It wakes, with a value that nobody has replaced, and with one that somebody has.
    sleeper.put(orders(20_000, 7));
    sleeper.put(orders(20_001, 7));
    sleeper.flush_for(WHILE).await.unwrap();
    assert_eq!(sleeper.pending(), 2);
    assert_eq!(held(&client).await, [1, 2]);
    let error = first.keep_until(std::future::pending()).await.unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Taken);
    assert!(error.to_string().contains("host-b"), "{error}");
    sleeper.flush_for(WHILE).await.unwrap();
    assert_eq!(held(&client).await, [1, 2]);
    assert!(!kept.is_finished());
    kept.abort();
}

#[tokio::test]
async fn a_message_on_its_way_does_not_replace_a_newer_one() {
    let Some((server, client)) = broker().await else {
        return;
    };
    let first = take((&server, &client), holder('a', 0, 1)).await;
    let mut sleeper = LatestPublisher::new(&client, OUT, 4).fenced(first.fence());
    sleeper.put(orders(20_000, 1));
    sleeper.flush().await.unwrap();
    // The same ledger: whoever had it has ended, as far as this one knows. So no time passes.
    let begun = Instant::now();
    let second = take((&server, &client), holder('a', 0, 1)).await;
    assert!(begun.elapsed() < TERM);
    let mut latest = LatestPublisher::new(&client, OUT, 4).fenced(second.fence());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let kept = tokio::spawn(second.keep_until(async {
        let _ = stopped.await;
    }));
    latest.put(orders(20_000, 2));
    latest.flush().await.unwrap();
    // The first one still believes that it holds the lease.
    sleeper.put(orders(20_000, 7));
    sleeper.flush_for(WHILE).await.unwrap();
    assert_eq!(sleeper.pending(), 1);
    assert_eq!(held(&client).await, [2]);

    // The entitled one renews its lease, and replaces what the other wrote.
    let mut stranger = LatestPublisher::new(&client, OUT, 4);
    stranger.put(orders(20_000, 9));
    stranger.flush().await.unwrap();
    assert_eq!(held(&client).await, [9]);
    latest.put(orders(20_000, 10));
    latest.flush().await.unwrap();
    assert_eq!(held(&client).await, [10]);
    drop(stop);
    kept.await.unwrap().unwrap();

    // It was given back, so that another one takes it at once.
    let begun = Instant::now();
    take((&server, &client), holder('c', 0, 1)).await;
    assert!(begun.elapsed() < TERM);
}

#[tokio::test]
async fn a_lease_that_is_renewed_is_not_taken() {
    let Some((mut server, client)) = broker().await else {
        return;
    };
    let held = take((&server, &client), holder('a', 2, 3)).await;
    let kept = tokio::spawn(held.keep_until(std::future::pending()));
    for (wanted, named) in [
        (holder('b', 2, 3), "process 2"),
        (holder('c', 0, 2), "process 2"),
    ] {
        let error = Lease::take(&client, &server.nats(), wanted)
            .await
            .err()
            .unwrap();
        assert_eq!(error.kind(), NatsErrorKind::Taken, "{error}");
        let text = error.to_string();
        assert!(text.contains(named) && text.contains("host-a"), "{text}");
    }
    // Nobody can take it while the broker is away, so that it is held on afterwards.
    server.kill();
    tokio::time::sleep(TERM + Duration::from_secs(1)).await;
    server.restart();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!kept.is_finished());
    let error = Lease::take(&client, &server.nats(), holder('b', 2, 3))
        .await
        .err();
    assert_eq!(error.unwrap().kind(), NatsErrorKind::Taken);
    kept.abort();
}

#[tokio::test]
async fn an_emptied_stream_is_filled_again() {
    let Some((server, client)) = broker().await else {
        return;
    };
    let lease = take((&server, &client), holder('a', 0, 1)).await;
    let mut latest = LatestPublisher::new(&client, OUT, 4).fenced(lease.fence());
    let kept = tokio::spawn(lease.keep_until(std::future::pending()));
    latest.put(orders(20_000, 1));
    latest.flush().await.unwrap();
    let jetstream = async_nats::jetstream::new(client.clone());
    jetstream.delete_stream(OUT).await.unwrap();
    jetstream
        .delete_stream("KV_TRIBUTARY_OUT_LEASES")
        .await
        .unwrap();
    let nats = server.nats();
    ensure_output_stream(&client, &nats, &["acme"])
        .await
        .unwrap();
    ensure_leases(&client, &nats).await.unwrap();
    latest.put(orders(20_000, 2));
    latest.flush().await.unwrap();
    assert_eq!(held(&client).await, [2]);
    assert_eq!(stream_state(&client, OUT).await.unwrap().last_sequence, 1);
    assert!(!kept.is_finished());
    kept.abort();
}

/// Deletes the bucket of the leases.
async fn delete_bucket(client: &Client) {
    let jetstream = async_nats::jetstream::new(client.clone());
    let bucket = format!("KV_{}", leases_bucket(OUT));
    jetstream.delete_stream(bucket).await.unwrap();
}

#[tokio::test]
async fn a_bucket_that_was_deleted_is_created_again_by_the_holder() {
    let Some((server, client)) = broker().await else {
        return;
    };
    let lease = take((&server, &client), holder('a', 0, 1)).await;
    let (fence, mut again) = (lease.fence(), lease.fence());
    let kept = tokio::spawn(lease.keep_until(std::future::pending()));
    assert!(fence.raise_barrier(7).await);
    delete_bucket(&client).await;
    let deleted = tokio::time::Instant::now();
    let entered = tokio::time::timeout(TERM, again.entered_again()).await;
    assert_eq!(entered, Ok(true), "it does not enter itself again in time");
    assert!(fence.holds(Some(deleted)) && !kept.is_finished());
    let (last, _) = current(&client, OUT, "0").await.unwrap();
    let last = last.unwrap();
    assert_eq!((&*last.host, last.barrier), ("host-a", 7));
    let error = Lease::take(&client, &server.nats(), holder('b', 0, 1))
        .await
        .err();
    assert_eq!(error.unwrap().kind(), NatsErrorKind::Taken);
    kept.abort();
}

/// The sequences of a new bucket are not those of the one before.
#[tokio::test]
async fn a_holder_of_the_bucket_before_does_not_take_the_lease_back() {
    let Some((server, client)) = broker().await else {
        return;
    };
    let first = take((&server, &client), holder('a', 0, 1)).await;
    // It is suspended from here on, and does not see that the bucket is another one.
    delete_bucket(&client).await;
    ensure_leases(&client, &server.nats()).await.unwrap();
    let second = take((&server, &client), holder('b', 0, 1)).await;
    let error = first.keep_until(std::future::pending()).await.unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Taken);
    assert!(error.to_string().contains("host-b"), "{error}");
    assert!(second.fence().holds(None));
}

//! Input goes on while a pass over the retention is made: what it judged is taken back, and what came meanwhile counts,
//! whichever of the two is first, after `kill -9`, and in the ledger.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use serde_json::json;
use support::story::{configure, inspect, last, ready, until};
use support::{Worker, World, published};
use tributary_connectors::nats::{Client, Outgoing, Publisher};
use tributary_loadtest::testing::NatsServer;

const DAY: i64 = 86_400_000;

/// How many sales there are.
const SALES: usize = 2_000;

/// Publishes every sale once, a few in each message.
async fn publish(client: &Client, ts: i64, amount: u32) {
    let mut publisher = Publisher::new(client, 64);
    let sale = |id: usize| json!({"id": id, "ts": ts, "store": "lyon", "amount": amount});
    for first in (0..SALES).step_by(10) {
        let lines: Vec<String> = (first..first + 10).map(|id| sale(id).to_string()).collect();
        let message = Outgoing {
            subject: "tributary.in.orchard.transaction".to_owned(),
            headers: Vec::new(),
            payload: lines.join("\n").into(),
            id: None,
        };
        publisher.send(message).await.unwrap();
    }
    publisher.flush().await.unwrap();
}

/// Waits until the takings that stand outside are these alone, in minor units of one day.
async fn wait_for_takings(server: &NatsServer, minor: usize) {
    let told = format!("\"revenue_minor\":{minor}");
    let begun = std::time::Instant::now();
    loop {
        let cells = published(&server.nats()).await;
        let takings: Vec<&String> = cells
            .iter()
            .filter(|cell| cell.contains("\"family\":\"store_day\""))
            .collect();
        if takings.len() == 1 && takings[0].contains(&told) {
            return;
        }
        assert!(begun.elapsed() < support::PATIENCE, "{told}: {takings:#?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_between_judgement_and_retraction_counts() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(1, Some(&broker), "[workers]\nthreads = 2");
    let client = ready(&broker).await;
    let config = world.path("tributary.toml");
    let now = jiff::Timestamp::now().as_millisecond();
    let ledger = world.ledger(0);
    let entries = || inspect(&ledger)["brands"][0]["entries"].clone();

    publish(&client, now - 70 * DAY, 1).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        worker.stop();
    });
    wait_for_takings(&server, SALES * 100).await;
    assert_eq!(entries()["put"], SALES);

    // The corrections are read while the pass at the start is made.
    publish(&client, now, 2).await;
    let end = last(&client, &broker.input_stream).await;
    configure(
        &world,
        "transactions_months = 1200",
        "transactions_months = 1",
    );
    let worker = Worker::start(&config, &[]);
    wait_for_takings(&server, SALES * 200).await;
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        until("all sales are held", || {
            worker.metric("tributary_records_held") == Some(SALES as f64)
        });
        worker.kill();
        // Nor do they go when a worker starts again, whatever the one before had made durable.
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        until("all sales are held", || {
            worker.metric("tributary_records_held") == Some(SALES as f64)
        });
        until("what was dropped has left the ledger", || {
            entries()["drop"] == 0
        });
        worker.stop();
    });
    wait_for_takings(&server, SALES * 200).await;

    // What is past its time when it comes changes nothing.
    publish(&client, now - 70 * DAY, 3).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        until("they are left out", || {
            worker.metric("tributary_records_past_retention_total") == Some(SALES as f64)
        });
        assert_eq!(worker.metric("tributary_records_held"), Some(SALES as f64));
        worker.stop();
    });
    wait_for_takings(&server, SALES * 200).await;
}

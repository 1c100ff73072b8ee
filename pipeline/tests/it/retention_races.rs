//! Input goes on while a pass over the retention is made: what it judged is taken back, and what came meanwhile counts,
//! whichever of the two is first, after `kill -9`, and in the ledger.

use std::ops::Range;

use crate::support::story::{
    configure, inspect, last, ready, start_both, stop_both, two_processes, until,
};
use crate::support::{Worker, World, published};
use serde_json::json;
use tributary_connectors::nats::{Client, Outgoing, Publisher};
use tributary_loadtest::testing::NatsServer;

const DAY: i64 = 86_400_000;

/// How many sales there are.
const SALES: usize = 2_000;

/// Publishes some of the sales once, a few in each message.
async fn publish(client: &Client, sales: Range<usize>, ts: i64, amount: u32) {
    let mut publisher = Publisher::new(client, 64);
    let sale = |id: usize| json!({"id": id, "ts": ts, "store": "lyon", "amount": amount});
    for first in sales.step_by(10) {
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
        assert!(
            begun.elapsed() < crate::support::PATIENCE,
            "{told}: {takings:#?}"
        );
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

    publish(&client, 0..SALES, now - 70 * DAY, 3).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        worker.stop();
    });
    wait_for_takings(&server, SALES * 300).await;
    assert_eq!(entries()["put"], SALES);

    // Half of them are corrected, which is read while the pass at the start is made.
    publish(&client, 0..SALES / 2, now, 2).await;
    let end = last(&client, &broker.input_stream).await;
    configure(
        &world,
        "transactions_months = 1200",
        "transactions_months = 1",
    );
    let worker = Worker::start(&config, &[]);
    wait_for_takings(&server, SALES * 100).await;
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        until("the corrected sales are held", || {
            worker.metric("tributary_records_held") == Some((SALES / 2) as f64)
        });
        worker.kill();
        // Nor do they go when a worker starts again, whatever the one before had made durable.
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        until("the corrected sales are held", || {
            worker.metric("tributary_records_held") == Some((SALES / 2) as f64)
        });
        until("what was dropped has left the ledger", || {
            entries()["drop"] == 0
        });
        worker.stop();
    });
    wait_for_takings(&server, SALES * 100).await;

    // What is past its time when it comes changes nothing.
    publish(&client, 0..SALES, now - 70 * DAY, 3).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        until("they are left out", || {
            worker.metric("tributary_records_past_retention_total") == Some(SALES as f64)
        });
        assert_eq!(
            worker.metric("tributary_records_held"),
            Some((SALES / 2) as f64)
        );
        worker.stop();
    });
    wait_for_takings(&server, SALES * 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_of_a_cluster_drops_what_one_judged() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(1, Some(&broker), &two_processes());
    let client = ready(&broker).await;
    let config = world.path("tributary.toml");
    let now = jiff::Timestamp::now().as_millisecond();
    let entries = |name: &str| -> u64 {
        let of = |process| inspect(&world.ledger(process))["brands"][0]["entries"][name].as_u64();
        of(0).unwrap_or(0) + of(1).unwrap_or(0)
    };
    let run = |what: &str, is: &dyn Fn() -> bool, end: u64| {
        tokio::task::block_in_place(|| {
            let both = start_both(&config);
            both.iter().for_each(|worker| worker.wait_until_read(end));
            until(what, is);
            stop_both(both);
        });
    };

    publish(&client, 0..SALES, now - 70 * DAY, 3).await;
    let end = last(&client, &broker.input_stream).await;
    run(
        "all sales are durable",
        &|| entries("put") == SALES as u64,
        end,
    );
    wait_for_takings(&server, SALES * 300).await;

    publish(&client, 0..SALES / 2, now, 2).await;
    let end = last(&client, &broker.input_stream).await;
    configure(
        &world,
        "transactions_months = 1200",
        "transactions_months = 1",
    );
    // What was judged has left both ledgers: at most what a correction in the other one has superseded is left.
    let left = 2 * SALES as u64 / 2;
    let is_gone = || entries("drop") == 0 && entries("put") <= left;
    run("what was judged is gone", &is_gone, end);
    wait_for_takings(&server, SALES * 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_end_at_a_start_and_stay_ended() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(1, Some(&broker), "");
    let client = ready(&broker).await;
    let config = world.path("tributary.toml");
    let now = jiff::Timestamp::now().as_millisecond();
    let mut publisher = Publisher::new(&client, 1);
    for (cookie, days) in [("ann", 20), ("bob", 2)] {
        let record = json!({
            "id": cookie, "ts": now - days * DAY, "type": "identify", "cookie": cookie,
            "phone": "+33612345678",
        });
        let message = Outgoing {
            subject: "tributary.in.orchard.web".to_owned(),
            headers: Vec::new(),
            payload: record.to_string().into(),
            id: None,
        };
        publisher.send(message).await.unwrap();
    }
    publisher.flush().await.unwrap();
    let end = last(&client, &broker.input_stream).await;
    let wait_for_persons = async |persons: u64| {
        let told = format!("\"persons\":{persons}}}");
        let begun = std::time::Instant::now();
        loop {
            let cells = published(&server.nats()).await;
            let of_identity = |cell: &&String| cell.contains("\"family\":\"identity\"");
            if cells
                .iter()
                .find(of_identity)
                .is_some_and(|cell| cell.contains(&told))
            {
                return;
            }
            assert!(
                begun.elapsed() < crate::support::PATIENCE,
                "{told}: {cells:#?}"
            );
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let run = || {
        tokio::task::block_in_place(|| {
            let worker = Worker::start(&config, &[]);
            worker.wait_until_read(end);
            worker
        })
    };
    let worker = run();
    wait_for_persons(1).await;
    tokio::task::block_in_place(|| worker.stop());

    let brand = "[brand.identity]\n";
    let text = std::fs::read_to_string(&config).unwrap();
    let lifetime = "link_ttl = { phone = \"10d\" }\n";
    match text.contains(brand) {
        true => configure(&world, brand, &format!("{brand}{lifetime}")),
        false => configure(
            &world,
            "[brand.retention]\n",
            &format!("{brand}{lifetime}[brand.retention]\n"),
        ),
    }
    let worker = run();
    wait_for_persons(2).await;
    tokio::task::block_in_place(|| worker.kill());
    // The ledger knows by which time links are judged.
    let entries = inspect(&world.ledger(0))["brands"][0]["entries"].clone();
    assert_eq!(entries["settled"], 1, "{entries}");
    let worker = run();
    wait_for_persons(2).await;
    tokio::task::block_in_place(|| worker.stop());

    // Without the setting they are as they were.
    configure(&world, lifetime, "");
    let worker = run();
    wait_for_persons(1).await;
    tokio::task::block_in_place(|| worker.stop());
}

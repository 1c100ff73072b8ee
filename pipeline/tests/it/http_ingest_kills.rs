//! The broker is killed while records arrive over HTTP: every record whose request was answered with 202 is in the input
//! stream once, and in the ledger of the worker. `TRIBUTARY_INGEST_REQUESTS` says how many requests.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tributary_connectors::nats::{self, Reader};
use tributary_simulate::Options;
use tributary_testkit::{NatsServer, free_port};

use crate::support::http::send;
use crate::support::story::{inspect, last, until};
use crate::support::{Worker, World, chosen};

/// How often the broker is killed.
const KILLS: u64 = 5;

/// How many clients send at the same time.
const CLIENTS: u64 = 8;

/// Sends one record until it is accepted.
async fn deliver(address: SocketAddr, brand: &str, n: u64) {
    let body = format!(
        "{{\"id\":\"r{n}\",\"ts\":{},\"type\":\"view\",\"cookie\":\"c{n}\"}}",
        now()
    );
    let key = format!("Idempotency-Key: request-{n}");
    let headers = ["Content-Type: application/json", &key];
    let line = format!("POST /v1/in/{brand}/web");
    loop {
        let response = send(address, &line, &headers, body.as_bytes()).await;
        match response.map(|response| response.status) {
            Some(202) => return,
            Some(429 | 503) | None => tokio::time::sleep(Duration::from_millis(50)).await,
            Some(status) => panic!("request {n} was answered with {status}"),
        }
    }
}

/// The time in Unix milliseconds.
fn now() -> u128 {
    let since = std::time::UNIX_EPOCH.elapsed();
    since.unwrap().as_millis()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_survives_kills_of_the_broker() {
    let Some(mut server) = NatsServer::start_or_skip("") else {
        return;
    };
    let requests = chosen("TRIBUTARY_INGEST_REQUESTS", 400);
    let broker = server.nats();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let options = Options {
        events: Some(1),
        k: 1,
        ..Options::default()
    };
    let world = World::of(
        options,
        Some(&broker),
        &format!("[http_ingest]\nlisten = \"{address}\""),
    );
    let brand = world.config().brands[0].name.clone();
    let path = world.path("tributary.toml");
    let worker = tokio::task::block_in_place(|| {
        let worker = Worker::start(&path, &[]);
        worker.wait_until_read(0);
        worker
    });
    let accepted = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (accepted, brand) = (accepted.clone(), brand.clone());
            tokio::spawn(async move {
                for n in (0..requests).filter(|n| n % CLIENTS == client) {
                    deliver(address, &brand, n).await;
                    accepted.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    for kill in 1..=KILLS {
        let after = requests * kill / (KILLS + 1);
        while accepted.load(Relaxed) < after {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::task::block_in_place(|| server.restart());
    }
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(accepted.load(Relaxed), requests);
    // Each once, although most clients have sent some of theirs again.
    let client = nats::connect(&broker, "test").await.unwrap();
    let mut reader = Reader::open(&client, &broker.input_stream, 1)
        .await
        .unwrap();
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    while !reader.caught_up() {
        for message in reader
            .next_batch(1000, Duration::from_secs(10))
            .await
            .unwrap()
        {
            let payload = String::from_utf8(message.payload.to_vec()).unwrap();
            let record: serde_json::Value = serde_json::from_str(&payload).unwrap();
            let id = record["id"].as_str().unwrap().to_owned();
            *found.entry(id).or_default() += 1;
        }
    }
    let missing = (0..requests).filter(|n| !found.contains_key(&format!("r{n}")));
    assert_eq!(missing.collect::<Vec<u64>>(), [0; 0]);
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    assert_eq!(twice, []);
    let end = last(&client, &broker.input_stream).await;
    let held = tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        until("the worker has stored every record", || {
            worker.metric("tributary_records_held") == Some(requests as f64)
        });
        let held = worker.metric("tributary_records_held");
        worker.stop();
        held
    });
    assert_eq!(held, Some(requests as f64));
    let ledger = inspect(&world.ledger(0));
    assert_eq!(ledger["position"]["sequence"], end);
    eprintln!(
        "{requests} requests accepted, {KILLS} kills, {} records in the ledger",
        requests
    );
}

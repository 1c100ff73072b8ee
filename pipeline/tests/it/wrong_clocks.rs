//! Clocks that are wrong: this machine's at a start, and the one that whoever may publish would like to choose.
//!
//! A wall clock 800 days ahead erases nothing and freezes nothing, `/readyz` says by how much it is off, and with the right
//! clock everything goes on as before. No message's header moves the time of a brand that does not ask for it, and a time
//! that was kept from one is mended at a start.

use std::path::PathBuf;
use std::sync::Arc;

use crate::support::story::{inspect, last, position, ready, until};
use crate::support::wall_clock::shim;
use crate::support::{Worker, published};
use serde_json::json;
use tributary_connectors::nats::{Client, OutgoingMessage, Publisher};
use tributary_ledger::{Keyring, Ledger, Options, Position};
use tributary_testkit::NatsServer;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A brand with the default retention, and what is published to it.
struct Shop {
    directory: tempfile::TempDir,
    server: NatsServer,
    client: Client,
}

impl Shop {
    async fn open() -> Option<Shop> {
        let server = NatsServer::start_or_skip("")?;
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        tributary_testkit::write_secret(path("secret"), tributary_testkit::SECRET);
        let config = format!(
            "[nats]\nurl = \"{}\"\npings_stream = \"\"\n[http]\nlisten = \"127.0.0.1:0\"\n[release]\nk = 1\ncadence = \"1s\"\n\
             [[brand]]\nname = \"orchard\"\ntimezone = \"UTC\"\nsecret_file = {:?}\n\
             [brand.sensors]\nday_start = \"{:02}:00:00\"\n",
            server.nats().url,
            path("secret"),
            // No salt day ends while the test runs.
            (jiff::Zoned::now()
                .with_time_zone(jiff::tz::TimeZone::UTC)
                .hour()
                + 12)
                % 24,
        );
        std::fs::write(path("tributary.toml"), config).unwrap();
        let client = ready(&server.nats()).await;
        Some(Shop {
            directory,
            server,
            client,
        })
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("tributary.toml")
    }

    fn ledger(&self) -> PathBuf {
        self.directory.path().join("tributary-data/process-0")
    }

    async fn publish(&self, subject: &str, headers: &[(&str, &str)], data: serde_json::Value) {
        let mut publisher = Publisher::new(&self.client, 1);
        let header =
            |(name, value): &(&str, &str)| ((*name).to_owned().into(), (*value).to_owned());
        let message = OutgoingMessage {
            subject: subject.to_owned(),
            headers: headers.iter().map(header).collect(),
            payload: data.to_string().into(),
            id: None,
        };
        publisher.send(message).await.unwrap();
        publisher.flush().await.unwrap();
    }

    async fn sale(&self, id: &str, amount: u32) {
        let sale = json!({"id": id, "ts": now(), "store": "lyon", "amount": amount});
        let subject = "tributary.in.orchard.transaction";
        self.publish(subject, &[], sale).await;
    }

    /// Waits until the takings of the shop stand outside.
    async fn wait_for_takings(&self, minor: u32) {
        let value = format!("\"revenue_minor\":{minor}");
        let begun = std::time::Instant::now();
        loop {
            let cells = published(&self.server.nats()).await;
            if cells.iter().any(|cell| cell.contains(&value)) {
                return;
            }
            assert!(
                begun.elapsed() < crate::support::PATIENCE,
                "{value}: {cells:#?}"
            );
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }

    async fn read(&self, worker: &Worker) {
        let end = last(&self.client, &self.server.nats().input_stream).await;
        tokio::task::block_in_place(|| {
            until("it is durable", || position(&self.ledger()) == end);
            until("it is read", || {
                let read = worker.metric("tributary_input_stream_sequence");
                read.is_some_and(|read| read >= end as f64)
            });
        });
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A worker whose wall clock is off by so many seconds.
fn off_by(shop: &Shop, seconds: i64) -> Worker {
    let shim = shim(shop.directory.path());
    let shim = shim.to_str().unwrap();
    let seconds = seconds.to_string();
    let variables = [("LD_PRELOAD", shim), ("TEST_CLOCK_OFFSET", &seconds)];
    Worker::start_with(&shop.config(), &[], &variables)
}

fn readiness(worker: &Worker) -> String {
    worker
        .get("/readyz")
        .map_or(String::new(), |(_, body)| body)
}

/// Waits until a worker says that it holds the three sales, which it does once a second.
fn wait_for_held(worker: &Worker) {
    tokio::task::block_in_place(|| {
        until("three records are held", || {
            worker.metric("tributary_records_held") == Some(3.0)
        });
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_wrong_clock_erases_and_freezes_nothing() {
    let Some(shop) = Shop::open().await else {
        return;
    };
    for (id, amount) in [("a", 10), ("b", 20), ("c", 30)] {
        shop.sale(id, amount).await;
    }
    let worker = Worker::start(&shop.config(), &[]);
    shop.read(&worker).await;
    shop.wait_for_takings(6_000).await;
    let right = inspect(&shop.ledger())["position"]["epoch"].as_u64();
    tokio::task::block_in_place(|| worker.stop());

    for (days, side, amount) in [(800, "ahead of", 11), (-800, "behind", 12)] {
        let worker = off_by(&shop, days * DAY);
        tokio::task::block_in_place(|| {
            until("it says which clock disagrees", || {
                let reasons = readiness(&worker);
                reasons.contains(&format!("{side} the broker's")) && reasons.contains("800d")
            });
        });
        // A correction leaves as it always does: no day is frozen.
        shop.sale("a", amount).await;
        shop.wait_for_takings(5_000 + amount * 100).await;
        shop.read(&worker).await;
        wait_for_held(&worker);
        assert_eq!(
            worker.metric("tributary_retention_records_total"),
            Some(0.0)
        );
        assert_eq!(worker.metric("tributary_clock_trusted"), Some(0.0));
        let offset = worker.metric("tributary_clock_offset_seconds").unwrap();
        assert!((offset - (days * DAY) as f64).abs() < 600.0, "{offset}");
        tokio::task::block_in_place(|| worker.stop());
    }

    let worker = Worker::start(&shop.config(), &[]);
    tokio::task::block_in_place(|| {
        until("it is ready", || {
            worker
                .get("/readyz")
                .is_some_and(|(status, _)| status == 200)
        });
    });
    shop.sale("a", 13).await;
    shop.wait_for_takings(6_300).await;
    wait_for_held(&worker);
    assert_eq!(worker.metric("tributary_clock_trusted"), Some(1.0));
    shop.read(&worker).await;
    // No clock has driven the epochs away, either.
    let epoch = inspect(&shop.ledger())["position"]["epoch"].as_u64();
    let days = epoch.unwrap().abs_diff(right.unwrap()) / 86_400_000;
    assert_eq!(days, 0);
    tokio::task::block_in_place(|| worker.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_chooses_the_time() {
    let Some(shop) = Shop::open().await else {
        return;
    };
    // Half an hour of one device, well within one salt day by the broker's clock.
    let from = now() - 30 * 60_000;
    let ping = |minute: i64| {
        json!({
            "ts": from + minute * 60_000, "store": "lyon", "sensor": "a", "rssi": -50,
            "mac": "3c:5a:b4:00:00:01",
        })
    };
    // The year 2100, from whoever may publish: of no brand, and of this one.
    let future: &[(&str, &str)] = &[("Tributary-At", "4102444800000")];
    let pings = "tributary.in.orchard.ping";
    let worker = Worker::start(&shop.config(), &[]);
    for minute in 0..10 {
        shop.publish(pings, &[], ping(minute)).await;
    }
    shop.publish("tributary.in.nobody.web", future, json!({}))
        .await;
    shop.publish("tributary.in.orchard.web", future, json!({"id": "1"}))
        .await;
    for minute in 10..15 {
        shop.publish(pings, future, ping(minute)).await;
    }
    shop.read(&worker).await;
    tokio::task::block_in_place(|| worker.kill());

    // Such a time may have been kept by an earlier version: a start mends it.
    let config = tributary_config::load(&shop.config()).unwrap().config;
    let keyring = Arc::new(Keyring::new(&config));
    let (mut ledger, mut recovered) = Ledger::open(Options::new(shop.ledger()), keyring).unwrap();
    while recovered.next_block().unwrap().is_some() {}
    let kept = recovered.position.unwrap();
    assert!(kept.newest_at < now() + 60_000, "{kept:?}");
    let newest_at = 4_102_444_800_000;
    ledger.commit(Position { newest_at, ..kept }).unwrap();
    ledger.close().unwrap();

    let worker = Worker::start(&shop.config(), &[]);
    for minute in 15..25 {
        shop.publish(pings, &[], ping(minute)).await;
    }
    shop.read(&worker).await;
    tokio::task::block_in_place(|| {
        until("it is ready", || {
            worker
                .get("/readyz")
                .is_some_and(|(status, _)| status == 200)
        });
        worker.stop();
    });
    let inspected = inspect(&shop.ledger());
    let newest = inspected["position"]["newest_at"].as_i64().unwrap();
    assert!(newest < now() + 60_000, "mended: {inspected}");
    let visits: Vec<String> = published(&shop.server.nats())
        .await
        .into_iter()
        .filter(|cell| cell.contains("\"family\":\"visits\""))
        .collect();
    let count = |cell: &String| {
        let cell: serde_json::Value = serde_json::from_str(cell).unwrap();
        cell["value"]["visits"].as_u64().unwrap()
    };
    assert_eq!(visits.iter().map(count).sum::<u64>(), 1, "{visits:#?}");
}

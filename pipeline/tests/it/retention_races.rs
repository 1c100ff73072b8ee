//! Input goes on while a pass over the retention is made: what it judged is taken back, and what came meanwhile counts,
//! whichever of the two is first, after `kill -9`, and in the ledger.

use std::ops::Range;
use std::path::PathBuf;

use crate::support::story::{
    configure, inspect_open, last, ready, start_both, stop_both, two_processes, until,
};
use crate::support::{Worker, World, published};
use serde_json::json;
use tributary_connectors::nats::{Client, OutgoingMessage, Publisher};
use tributary_testkit::NatsServer;

const DAY: i64 = 86_400_000;

/// How many sales there are.
const SALES: usize = 2_000;

/// A broker and an empty brand.
struct Scene {
    server: NatsServer,
    world: World,
    client: Client,
    /// The time, Unix milliseconds.
    now: i64,
}

impl Scene {
    /// With more of a configuration; none where there is no broker.
    async fn begin(more: &str) -> Option<Scene> {
        let server = NatsServer::start_or_skip("")?;
        let broker = server.nats();
        Some(Scene {
            world: World::new(1, Some(&broker), more),
            client: ready(&broker).await,
            now: jiff::Timestamp::now().as_millisecond(),
            server,
        })
    }

    fn config(&self) -> PathBuf {
        self.world.path("tributary.toml")
    }

    /// Publishes messages of a source, and gives the last sequence of the input.
    async fn publish(&self, source: &str, messages: impl Iterator<Item = String>) -> u64 {
        let mut publisher = Publisher::new(&self.client, 64);
        for payload in messages {
            let message = OutgoingMessage {
                subject: format!("tributary.in.orchard.{source}"),
                headers: Vec::new(),
                payload: payload.into(),
                id: None,
            };
            publisher.send(message).await.unwrap();
        }
        publisher.flush().await.unwrap();
        last(&self.client, &self.server.nats().input_stream).await
    }

    /// Publishes some of the sales once, a few in each message.
    async fn publish_sales(&self, sales: Range<usize>, ts: i64, amount: u32) -> u64 {
        let sale = |id: usize| json!({"id": id, "ts": ts, "store": "lyon", "amount": amount});
        let messages = sales.step_by(10).map(|first| {
            let lines: Vec<String> = (first..first + 10).map(|id| sale(id).to_string()).collect();
            lines.join("\n")
        });
        self.publish("transaction", messages).await
    }

    /// Waits until the only cell of a family that stands outside says this.
    async fn wait_for(&self, family: &str, value: &str) {
        let family = format!("\"family\":\"{family}\"");
        let begun = std::time::Instant::now();
        loop {
            let cells = published(&self.server.nats()).await;
            let cells: Vec<&String> = cells.iter().filter(|cell| cell.contains(&family)).collect();
            if cells.len() == 1 && cells[0].contains(value) {
                return;
            }
            assert!(
                begun.elapsed() < crate::support::PATIENCE,
                "{value}: {cells:#?}"
            );
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }

    /// Waits until the takings that stand outside are these alone, in minor units of one day.
    async fn wait_for_takings(&self, minor: usize) {
        self.wait_for("store_day", &format!("\"revenue_minor\":{minor}"))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_between_judgement_and_retraction_counts() {
    let Some(scene) = Scene::begin("[workers]\nthreads = 2").await else {
        return;
    };
    let (world, config, now) = (&scene.world, scene.config(), scene.now);
    let entries = || inspect_open(world, 0)["brands"][0]["entries"].clone();

    let end = scene.publish_sales(0..SALES, now - 70 * DAY, 3).await;
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        worker.stop();
    });
    scene.wait_for_takings(SALES * 300).await;
    assert_eq!(entries()["put"], SALES);

    // Half of them are corrected, which is read while the pass at the start is made.
    let end = scene.publish_sales(0..SALES / 2, now, 2).await;
    configure(
        world,
        "transactions_months = 1200",
        "transactions_months = 1",
    );
    let worker = Worker::start(&config, &[]);
    scene.wait_for_takings(SALES * 100).await;
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
    scene.wait_for_takings(SALES * 100).await;

    // What is past its time when it comes changes nothing.
    let end = scene.publish_sales(0..SALES, now - 70 * DAY, 3).await;
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
    scene.wait_for_takings(SALES * 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_of_a_cluster_drops_what_one_judged() {
    let Some(scene) = Scene::begin(&two_processes()).await else {
        return;
    };
    let (world, config, now) = (&scene.world, scene.config(), scene.now);
    let entries = |name: &str| -> u64 {
        let of = |process| inspect_open(world, process)["brands"][0]["entries"][name].as_u64();
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

    let end = scene.publish_sales(0..SALES, now - 70 * DAY, 3).await;
    run(
        "all sales are durable",
        &|| entries("put") == SALES as u64,
        end,
    );
    scene.wait_for_takings(SALES * 300).await;

    let end = scene.publish_sales(0..SALES / 2, now, 2).await;
    configure(
        world,
        "transactions_months = 1200",
        "transactions_months = 1",
    );
    // What was judged has left both ledgers: at most what a correction in the other one has superseded is left.
    let left = 2 * SALES as u64 / 2;
    let is_gone = || entries("drop") == 0 && entries("put") <= left;
    run("what was evaluated is deleted", &is_gone, end);
    scene.wait_for_takings(SALES * 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_end_at_a_start_and_stay_ended() {
    let Some(scene) = Scene::begin("").await else {
        return;
    };
    let (world, config, now) = (&scene.world, scene.config(), scene.now);
    let records = [("ann", 20), ("bob", 2)].map(|(cookie, days)| {
        let record = json!({
            "id": cookie, "ts": now - days * DAY, "type": "identify", "cookie": cookie,
            "phone": "+33612345678",
        });
        record.to_string()
    });
    let end = scene.publish("web", records.into_iter()).await;
    let wait_for_persons = async |persons: u64| {
        scene
            .wait_for("identity", &format!("\"persons\":{persons}}}"))
            .await;
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
        true => configure(world, brand, &format!("{brand}{lifetime}")),
        false => configure(
            world,
            "[brand.retention]\n",
            &format!("{brand}{lifetime}[brand.retention]\n"),
        ),
    }
    let worker = run();
    wait_for_persons(2).await;
    tokio::task::block_in_place(|| worker.kill());
    // The ledger knows by which time links are judged.
    let entries = inspect_open(world, 0)["brands"][0]["entries"].clone();
    assert_eq!(entries["settled"], 1, "{entries}");
    let worker = run();
    wait_for_persons(2).await;
    tokio::task::block_in_place(|| worker.stop());

    // Without the setting they are as they were.
    configure(world, lifetime, "");
    let worker = run();
    wait_for_persons(1).await;
    tokio::task::block_in_place(|| worker.stop());
}

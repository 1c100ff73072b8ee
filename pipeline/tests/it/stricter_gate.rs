//! A release gate that is made stricter, by a reload and by a restart: whatever it would not publish is withdrawn, and another
//! start changes nothing.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tributary_config::model::Nats;
use tributary_connectors::nats::{self, Client};
use tributary_connectors::out::parse_cell;
use tributary_connectors::trace::TraceLine;
use tributary_operators::cell::Family;
use tributary_simulate::Options;
use tributary_testkit::NatsServer;

use crate::reload::{DONE, REFUSED, reload};
use crate::support::story::{last, play};
use crate::support::{PATIENCE, Worker, World};

/// The sales in each published revenue of a store and day: no fewer than its contributors.
async fn sales(broker: &Nats) -> Vec<i128> {
    let client = nats::connect(broker, "test").await.unwrap();
    let days = "tributary.out.orchard.store_day.>";
    let values = nats::last_values(&client, &broker.output_stream, days).await;
    let messages = values.unwrap().next_batch(100_000).await.unwrap();
    let cells = messages
        .iter()
        .filter_map(|message| parse_cell(Family::StoreDay, &message.payload));
    cells
        .filter_map(|(cell, _)| cell.values.first().copied())
        .collect()
}

/// Where a worker has published small numbers under `k = 2`.
struct Open {
    _world: World,
    broker: Nats,
    client: Client,
    config: PathBuf,
    text: String,
    _server: NatsServer,
}

impl Open {
    async fn start() -> Option<(Open, Worker)> {
        let server = NatsServer::start_or_skip("")?;
        let broker = server.nats();
        let options = Options {
            events: Some(6_000),
            k: 2,
            ..Options::default()
        };
        let world = World::of(options, Some(&broker), "");
        let config = world.path("tributary.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, gate(&text, 2)).unwrap();
        let client = nats::connect(&broker, "test").await.unwrap();
        nats::ensure_input_stream(&client, &broker, &["orchard"])
            .await
            .unwrap();
        let worker = tokio::task::block_in_place(|| Worker::start(&config, &[]));
        let lines: Vec<TraceLine> = world.trace().collect();
        play(&client, &lines, None).await;
        let records = last(&client, &broker.input_stream).await;
        tokio::task::block_in_place(|| worker.wait_until_read(records));
        let begun = Instant::now();
        while !sales(&broker).await.iter().any(|of| *of < 20) {
            assert!(begun.elapsed() < PATIENCE, "nothing small is published");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let open = Open {
            _world: world,
            broker,
            client,
            config,
            text,
            _server: server,
        };
        Some((open, worker))
    }

    /// Stops the worker and starts it under `k = 20`.
    async fn restart(&self, worker: Worker) -> Worker {
        std::fs::write(&self.config, gate(&self.text, 20)).unwrap();
        let again = tokio::task::block_in_place(|| {
            worker.stop();
            Worker::start(&self.config, &[])
        });
        let records = last(&self.client, &self.broker.input_stream).await;
        tokio::task::block_in_place(|| again.wait_until_read(records));
        again
    }
}

/// The configuration with another gate.
fn gate(text: &str, k: u64) -> String {
    let gate =
        format!("k = {k}\nk_traffic = {k}\nk_delta = 2\ncadence = \"1s\"\nmax_hold = \"2s\"\n");
    text.replace("k = 2\n", &gate)
}

/// Waits until nothing small is published and nothing changes any more.
async fn at_rest(client: &Client, broker: &Nats) {
    let begun = Instant::now();
    loop {
        let all = sales(broker).await;
        if all.iter().all(|of| *of >= 20) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{all:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mut at_rest = (0, Instant::now());
    while at_rest.1.elapsed() < Duration::from_secs(8) {
        let now = last(client, &broker.output_stream).await;
        if now != at_rest.0 {
            at_rest = (now, Instant::now());
        }
        let all = sales(broker).await;
        assert!(all.iter().all(|of| *of >= 20), "{all:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Restarts a worker, which publishes nothing.
async fn restart_at_rest(open: &Open, worker: Worker) {
    let published = last(&open.client, &open.broker.output_stream).await;
    let again = open.restart(worker).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    tokio::task::block_in_place(|| again.stop());
    let now = last(&open.client, &open.broker.output_stream).await;
    assert_eq!(now, published);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stricter_gate_leaves_nothing_that_it_would_not_publish() {
    let Some((open, worker)) = Open::start().await else {
        return;
    };
    // A weaker gate is refused by name, and changes nothing.
    tokio::task::block_in_place(|| {
        reload(&worker, &open.config, &gate(&open.text, 20), DONE);
        reload(&worker, &open.config, &gate(&open.text, 19), REFUSED);
        let named = "release.k changed from 20 to 19: needs a restart, because only a gate that hides more is taken without one";
        assert!(worker.said(named), "{}", worker.log());
    });
    // Months return in the pattern of the new gate, and come to rest.
    at_rest(&open.client, &open.broker).await;
    restart_at_rest(&open, worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_a_stricter_gate_leaves_nothing_that_it_would_not_publish() {
    let Some((open, worker)) = Open::start().await else {
        return;
    };
    let worker = open.restart(worker).await;
    at_rest(&open.client, &open.broker).await;
    restart_at_rest(&open, worker).await;
}

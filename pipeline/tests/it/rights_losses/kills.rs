//! A worker that is killed while it answers requests loses nothing and needs no repair.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tributary_connectors::nats;
use tributary_connectors::trace::TraceLine;
use tributary_testkit::NatsServer;

use super::deployment::{STREAM, lines_of, messages, small};
use crate::support::person::receipt_of;
use crate::support::story::{last, play, ready, until};
use crate::support::{Worker, World, chosen};

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_requests_are_answered_it_starts_by_itself() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let kills = chosen("TRIBUTARY_FAULT_KILLS", 12);
    let seed = chosen("TRIBUTARY_SEED", 11);
    let broker = server.nats();
    let world = World::of(small(), Some(&broker), "");
    let client = ready(&broker).await;
    let mut lines: Vec<TraceLine> = world.trace().collect();
    let at = lines.last().unwrap().at;
    for kill in 0..kills {
        lines.extend(lines_of(&format!("person{kill}"), 1, at));
    }
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    nats::ensure_rights_stream(&client, &broker).await.unwrap();
    let stream = jetstream::new(client.clone());
    let mut dice = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    for kill in 0..kills {
        for (right, n) in [("object", 0), ("restrict", 1)] {
            let request = json!({
                "id": format!("r-{kill}-{n}"), "ts": "2025-11-20T09:00:00Z", "type": right, "brand": "orchard",
                "identifiers": [{"kind": "email", "value": format!("person{kill}@shop.example")}], "proof": "t",
            });
            let subject = "tributary.rights.orchard.request";
            let sent = stream
                .publish(subject, request.to_string().into())
                .await
                .unwrap();
            sent.await.unwrap();
        }
        tokio::task::block_in_place(|| {
            let mut worker = Worker::start(&world.path("tributary.toml"), &[]);
            std::thread::sleep(Duration::from_millis(dice.random_range(0..900)));
            assert!(worker.lives(), "kill {kill}: it did not start");
            assert!(!worker.said("do not fit together"));
            worker.kill();
        });
    }
    let receipts = "tributary.rights.orchard.receipt";
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&world.path("tributary.toml"), &[]);
        worker.wait_until_read(end);
        let requests = "tributary.rights.orchard.request";
        let runtime = tokio::runtime::Handle::current();
        until("all are answered", || {
            let waiting = nats::has_messages(&client, STREAM, requests);
            !runtime.block_on(waiting).unwrap()
        });
        worker.stop();
    });
    // Every request has its receipt, whatever was killed between the log and the broker.
    let mut completed = BTreeMap::new();
    for (subject, bytes) in messages(&client).await {
        if subject == receipts {
            let receipt = receipt_of(std::str::from_utf8(&bytes).unwrap());
            *completed.entry(receipt["request"].to_string()).or_insert(0) += 1;
        }
        assert_ne!(
            subject, "tributary.rights.orchard.request",
            "a request waits"
        );
    }
    assert_eq!(completed.len() as u64, 2 * kills, "{completed:?}");
}

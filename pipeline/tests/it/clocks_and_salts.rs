//! What must outlast a kill although no message carries it: the salts of sensor days, without which a device would be
//! another one after a restart, and the order of epochs, which a clock that was set back must not turn.

use std::fmt::Write;
use std::sync::Arc;

use crate::support::story::{
    assert_stands, inspect, inspect_open, last, play, position, ready, until,
};
use crate::support::{Worker, World};
use tributary_connectors::trace::TraceLine;
use tributary_ledger::{Keyring, Ledger, Options, Position};
use tributary_testkit::NatsServer;

/// 2025-10-07 10:00 in Paris, Unix milliseconds.
const MORNING: i64 = 1_759_824_000_000;

/// Devices that stay in a store for half an hour and are detected every minute.
fn pings() -> Vec<TraceLine> {
    let pings = (0..30).flat_map(|minute| {
        (0..40).map(move |device| {
            let ts = MORNING + minute * 60_000 + device;
            let data = serde_json::json!({
                "ts": ts, "store": "store-01", "sensor": "a", "rssi": -50,
                "mac": format!("3c:5a:b4:00:00:{device:02x}"),
            });
            TraceLine {
                subject: "tributary.in.orchard.ping".to_owned(),
                at: ts + 100,
                headers: Vec::new(),
                data: data.to_string().into_bytes(),
            }
        })
    });
    pings.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_the_same_after_a_kill() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(10, Some(&broker), "[workers]\nthreads = 2");
    let lines = pings();
    let mut text = String::new();
    for line in &lines {
        let data: serde_json::Value = serde_json::from_slice(&line.data).unwrap();
        let line = serde_json::json!({ "subject": line.subject, "at": line.at, "data": data });
        writeln!(text, "{line}").unwrap();
    }
    std::fs::write(world.path("trace.ndjson"), text).unwrap();
    let expected = world.replayed();
    assert!(
        expected.iter().any(|cell| cell.contains("visit")),
        "{expected:#?}"
    );

    let client = ready(&broker).await;
    let config = world.path("tributary.toml");
    let ledger = world.ledger(0);
    // Killed twice: the salt comes from the ledger, and goes on to be there.
    for part in lines.chunks(lines.len() / 3) {
        let worker = Worker::start(&config, &[]);
        play(&client, part, None).await;
        let end = last(&client, &broker.input_stream).await;
        tokio::task::block_in_place(|| {
            until("it is durable", || position(&ledger) == end);
            worker.wait_until_read(end);
            worker.kill();
        });
        let days = inspect_open(&world, 0)["salts"][0]["days"].clone();
        assert_eq!(days.as_array().map(Vec::len), Some(1), "{days}");
    }
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        worker.stop();
    });
    assert_stands(&broker, &expected, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_holds_nothing_up() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(6_000, Some(&broker), "");
    let expected = world.replayed();
    let refused = world.refused();
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    let (before, after) = lines.split_at(lines.len() / 2);
    let config = world.path("tributary.toml");
    play(&client, before, None).await;
    let read = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(read);
        worker.stop();
    });

    let options = Options::new(world.ledger(0));
    let keyring = Arc::new(Keyring::new(&world.config()));
    let (mut ledger, mut recovered) = Ledger::open(options, keyring).unwrap();
    while recovered.next_block().unwrap().is_some() {}
    let position = recovered.position.unwrap();
    let hour = 3_600_000;
    let epoch = position.epoch + hour;
    ledger.commit(Position { epoch, ..position }).unwrap();
    ledger.close().unwrap();

    let worker = Worker::start(&config, &[]);
    play(&client, after, None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        worker.stop();
    });
    assert_stands(&broker, &expected, &refused).await;
    let now = inspect(&world.ledger(0))["position"]["epoch"].as_u64();
    assert!(
        now.unwrap() > epoch,
        "epochs go on behind the one of before"
    );
}

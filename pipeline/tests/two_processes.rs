//! Two worker processes on one host share a brand: each reads its part of the stream, and together they
//! publish the cells of a replay.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::net::TcpListener;

use support::{Worker, World, published};
use tributary_connectors::nats;
use tributary_loadtest::replay::{Clock, Pace, ReplayOptions, replay};
use tributary_loadtest::testing::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_are_one() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    // The ports are free now; the workers take them in a moment.
    let ports: Vec<_> = (0..2)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let hosts: Vec<String> = ports
        .iter()
        .map(|p| p.local_addr().unwrap().to_string())
        .collect();
    drop(ports);
    let workers = format!(
        "[workers]\nthreads = 2\nhosts = [\"{}\", \"{}\"]",
        hosts[0], hosts[1]
    );
    let world = World::new(6_000, Some(&broker), &workers);
    let expected = world.replayed();

    let client = nats::connect(&broker, "test").await.unwrap();
    nats::ensure_input_stream(&client, &broker, &["orchard"])
        .await
        .unwrap();
    let options = ReplayOptions {
        pace: Pace::Free,
        pack: 1,
        clock: Clock::Exact,
        window: Some(256),
    };
    replay(&client, world.trace().map(Ok), options, |_| {})
        .await
        .unwrap();
    let state = nats::stream_state(&client, &broker.input_stream)
        .await
        .unwrap();

    let config = world.path("tributary.toml");
    tokio::task::block_in_place(|| {
        let first = Worker::start(&config, &["--process", "0"]);
        let second = Worker::start(&config, &["--process", "1"]);
        let mut both = [first, second];
        for worker in &both {
            worker.wait_until_read(state.last_sequence);
        }
        for worker in &both {
            worker.signal();
        }
        for worker in &mut both {
            worker.end();
        }
    });
    let actual = published(&broker).await;
    assert_eq!(actual.len(), expected.len());
    assert!(actual == expected, "two processes differ from one");
}

//! Two worker processes share a brand whose subjects the broker sorts by a key; both are killed in the middle, and again
//! while they restore. Each goes on from its own ledger, and together they publish the cells of a replay.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::net::TcpListener;
use std::time::Duration;

use support::{Worker, World, published};
use tributary_connectors::nats;
use tributary_loadtest::replay::{Clock, Pace, ReplayOptions, replay};
use tributary_loadtest::testing::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_killed() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let mut broker = server.nats();
    broker.partitions = 4;
    // The ports are free now; the workers take them in a moment.
    let ports: Vec<_> = (0..2)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let hosts: Vec<String> = ports
        .iter()
        .map(|p| p.local_addr().unwrap().to_string())
        .collect();
    drop(ports);
    let workers = format!("[workers]\nhosts = [\"{}\", \"{}\"]", hosts[0], hosts[1]);
    let world = World::new(12_000, Some(&broker), &workers);
    let expected = world.replayed();
    let config = world.path("tributary.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace("[nats]\n", "[nats]\npartitions = 4\n"),
    )
    .unwrap();

    let client = nats::connect(&broker, "test").await.unwrap();
    nats::ensure_input_stream(&client, &broker, &["orchard"])
        .await
        .unwrap();
    let keyed: Vec<_> = world
        .trace()
        .enumerate()
        .map(|(number, mut line)| {
            // Some publishers append their source and a key, others do not.
            let kind = line.subject.rsplit('.').next().unwrap().to_owned();
            if number % 5 != 0 {
                line.subject = format!("{}.{kind}.key-{}", line.subject, number % 11);
            }
            Ok(line)
        })
        .collect();
    let options = ReplayOptions {
        pace: Pace::Rate(6_000.0),
        pack: 1,
        clock: Clock::Exact,
        window: Some(256),
    };
    let playing = tokio::spawn(async move {
        replay(&client, keyed.into_iter(), options, |_| {})
            .await
            .unwrap();
    });
    let start =
        || [0, 1].map(|process| Worker::start(&config, &["--process", ["0", "1"][process]]));
    tokio::task::block_in_place(|| {
        for wait in [1_200, 300, 700] {
            let both = start();
            std::thread::sleep(Duration::from_millis(wait));
            both.into_iter().for_each(Worker::kill);
        }
    });
    playing.await.unwrap();

    let client = nats::connect(&broker, "test").await.unwrap();
    let state = nats::stream_state(&client, &broker.input_stream)
        .await
        .unwrap();
    tokio::task::block_in_place(|| {
        let mut both = start();
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
    assert!(
        actual == expected,
        "a killed cluster differs from one process"
    );
}

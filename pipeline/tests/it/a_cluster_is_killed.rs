//! Two worker processes share a brand whose subjects the broker sorts by a key; both are killed in the middle, and again
//! while they restore. Each goes on from its own ledger, and together they publish the cells of a replay.

use std::time::Duration;

use crate::support::certificates::{certificates, tls};
use crate::support::story::{last, play, ready, start_both, stop_both, two_processes};
use crate::support::{Worker, World, published};
use tributary_testkit::{NatsServer, skipped};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_killed() {
    killed("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_with_tls_is_killed() {
    killed(&tls("ca", "worker")).await;
}

/// The story, with settings of the processes' connections.
async fn killed(settings: &str) {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let mut broker = server.nats();
    broker.partitions = 4;
    let workers = format!("{}{settings}", two_processes());
    let world = World::new(12_000, Some(&broker), &workers);
    if !settings.is_empty() && !certificates(world.directory.path()) {
        skipped("no openssl to make certificates with");
        return;
    }
    let expected = world.replayed();
    let config = world.path("tributary.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace("[nats]\n", "[nats]\npartitions = 4\n"),
    )
    .unwrap();

    let client = ready(&broker).await;
    let mut lines: Vec<_> = world.trace().collect();
    for (number, line) in lines.iter_mut().enumerate() {
        // Some publishers append their source and a key, others do not.
        let kind = line.subject.rsplit('.').next().unwrap().to_owned();
        if number % 5 != 0 {
            line.subject = format!("{}.{kind}.key-{}", line.subject, number % 11);
        }
    }
    let playing = {
        let client = client.clone();
        tokio::spawn(async move { play(&client, &lines, Some(6_000.0)).await })
    };
    tokio::task::block_in_place(|| {
        for wait in [1_200, 300, 700] {
            let both = start_both(&config);
            std::thread::sleep(Duration::from_millis(wait));
            both.into_iter().for_each(Worker::kill);
        }
    });
    playing.await.unwrap();

    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        let both = start_both(&config);
        both.iter().for_each(|worker| worker.wait_until_read(end));
        stop_both(both);
    });
    let actual = published(&broker).await;
    assert_eq!(actual.len(), expected.len());
    assert!(
        actual == expected,
        "a killed cluster differs from one process"
    );
}

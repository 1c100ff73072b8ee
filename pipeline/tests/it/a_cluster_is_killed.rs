//! Two worker processes share a brand whose subjects the broker sorts by a key; both are killed in the middle, and again
//! while they restore. Each goes on from its own ledger, and together they publish the cells of a replay. What has MAC
//! addresses in clear is in the input stream or in a stream of its own, which the broker sorts in the same way.

use std::time::Duration;

use crate::support::certificates::{certificates, tls};
use crate::support::story::{
    assert_stands, last, play, ready, start_both, stop_both, two_processes,
};
use crate::support::{Worker, World};
use tributary_config::model::Kind;
use tributary_simulate::Options;
use tributary_testkit::{NatsServer, skipped};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_killed() {
    killed("", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_with_tls_is_killed() {
    killed(&tls("ca", "worker"), None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_killed_with_pings_apart() {
    killed("", Some("TRIBUTARY_PINGS")).await;
}

/// The story, with settings of the processes' connections, and the stream of pings if they have one.
async fn killed(settings: &str, pings: Option<&str>) {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let mut broker = server.nats();
    broker.partitions = 4;
    broker.pings_stream = pings.map(str::to_owned);
    let options = Options {
        events: Some(12_000),
        partners: true,
        k: 1,
        ..Options::default()
    };
    let workers = format!("{}{settings}", two_processes());
    let world = World::of(options, Some(&broker), &workers).without_cookies();
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
        let word = line.subject.rsplit('.').next().unwrap();
        let source = Kind::of_subject(word).unwrap().name();
        if number % 5 != 0 {
            line.subject = format!("{}.{source}.key-{}", line.subject, number % 11);
        }
    }
    let with_mac = lines
        .iter()
        .filter(|line| line.subject.contains(Kind::PARTNER_MAC));
    assert!(with_mac.count() > 10, "partners see addresses");
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
    let of_pings = match pings {
        Some(stream) => last(&client, stream).await,
        None => 0,
    };
    assert_eq!(of_pings > 1_000, pings.is_some(), "{of_pings} pings apart");
    tokio::task::block_in_place(|| {
        let both = start_both(&config);
        both.iter()
            .for_each(|worker| worker.wait_until_read_both(end, of_pings));
        stop_both(both);
    });
    assert_stands(&broker, &expected, &[]).await;
}

//! Two processes share a brand, and a person is erased from both: each forgets in its own ledger, and the request is
//! completed when both have.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::net::TcpListener;

use support::person::{ask, found, names, rewrite, somebody};
use support::story::{assert_stands, last, play, ready};
use support::{Worker, World};
use tributary_connectors::trace::TraceLine;
use tributary_loadtest::testing::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn every_process_forgets() {
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
        .map(|port| format!("\"{}\"", port.local_addr().unwrap()))
        .collect();
    drop(ports);
    let workers = format!("[workers]\nhosts = [{}]", hosts.join(", "));
    let world = World::new(6_000, Some(&broker), &workers);
    let lines: Vec<TraceLine> = world.trace().collect();
    let email = somebody(&world, &lines);
    let others = lines.iter().filter(|line| !names(line, &email));
    rewrite(&world, &others.cloned().collect::<Vec<_>>());
    let expected = world.replayed();
    let refused = world.refused();
    let client = ready(&broker).await;
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");
    tokio::task::block_in_place(|| {
        let mut both = ["0", "1"].map(|process| Worker::start(&config, &["--process", process]));
        both.iter().for_each(|worker| worker.wait_until_read(end));
        let needle = [email.clone().into_bytes()];
        assert!(
            !found(server.directory(), &needle).is_empty(),
            "she was there"
        );
        ask(&world, "erase", &[&format!("email={email}")]);
        both.iter().for_each(Worker::signal);
        both.iter_mut().for_each(Worker::end);
    });
    assert_stands(&broker, &expected, &refused).await;
}

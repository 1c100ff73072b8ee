//! Two worker processes on one host share a brand: each reads its part of the stream, and together they
//! publish the cells of a replay.

use crate::support::story::{last, play, ready, start_both, stop_both, two_processes};
use crate::support::{World, published};
use tributary_testkit::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_are_one() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(
        6_000,
        Some(&broker),
        &format!("{}threads = 2", two_processes()),
    );
    let expected = world.replayed();

    let client = ready(&broker).await;
    play(&client, &world.trace().collect::<Vec<_>>(), None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");
    tokio::task::block_in_place(|| {
        let both = start_both(&config);
        both.iter().for_each(|worker| worker.wait_until_read(end));
        stop_both(both);
    });
    let actual = published(&broker).await;
    assert_eq!(actual.len(), expected.len());
    assert!(actual == expected, "two processes differ from one");
}

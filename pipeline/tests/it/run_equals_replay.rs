//! The same trace through a real broker and a running worker gives the cells of a replay; so does the worker
//! after a stop and a restart from the stream's beginning.

use crate::support::{Worker, World, published};
use tributary_connectors::nats;
use tributary_loadtest::replay::{ReplayOptions, replay};
use tributary_testkit::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn run_equals_replay() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(12_000, Some(&broker), "[workers]\nthreads = 2");
    let expected = world.replayed();
    assert!(expected.len() > 500, "the world is worth measuring");

    let client = nats::connect(&broker, "test").await.unwrap();
    nats::ensure_input_stream(&client, &broker, &["orchard"])
        .await
        .unwrap();
    // Half of the trace is there when the worker starts, half comes while it runs.
    let lines: Vec<_> = world.trace().collect();
    let (before, after) = lines.split_at(lines.len() / 2);
    let play = |part: &[tributary_connectors::trace::TraceLine]| {
        let part: Vec<_> = part.iter().cloned().map(Ok).collect();
        let client = client.clone();
        async move {
            let options = ReplayOptions {
                pack: 50,
                ..ReplayOptions::default()
            };
            replay(&[client], part.into_iter(), options, |_| {})
                .await
                .unwrap()
        }
    };
    play(before).await;
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    play(after).await;
    let state = nats::stream_state(&client, &broker.input_stream)
        .await
        .unwrap();
    tokio::task::block_in_place(|| {
        worker.wait_until_read(state.last_sequence);
        worker.stop();
    });
    let actual = published(&broker).await;
    assert_eq!(actual.len(), expected.len());
    assert!(actual == expected, "run and replay differ");

    let again = Worker::start(&world.path("tributary.toml"), &["--workers", "1"]);
    tokio::task::block_in_place(|| {
        again.wait_until_read(state.last_sequence);
        again.stop();
    });
    assert!(published(&broker).await == expected, "a restart differs");
    let dead = nats::stream_state(&client, &broker.dead_letter_stream)
        .await
        .unwrap();
    assert!(dead.messages > 0, "the trace has bad lines");
}

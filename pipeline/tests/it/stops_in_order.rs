//! An operator's signals. SIGTERM in the middle of a large backlog, or of restoring, ends the worker well: what was
//! read is durable, the broker knows it, and the next start goes on from there. A second signal ends one whose broker
//! has fallen silent at once, and nothing is lost by that either.

use std::time::{Duration, Instant};

use crate::support::story::{ack_floor, assert_stands, last, play, position, ready, until};
use crate::support::{Worker, World};
use tributary_testkit::{NatsServer, Proxy};

/// Far less than a supervisor waits before it kills.
const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_has_acknowledged_what_it_keeps() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(20_000, Some(&broker), "[workers]\nthreads = 2");
    let expected = world.replayed();
    let refused = world.refused();
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;

    let config = world.path("tributary.toml");
    let mut worker = Worker::start(&config, &[]);
    tokio::task::block_in_place(|| {
        until("the worker reads", || {
            worker
                .metric("tributary_input_stream_sequence")
                .is_some_and(|read| read > 0.0)
        });
        let asked = Instant::now();
        worker.signal();
        worker.end();
        assert!(asked.elapsed() < SOON, "it took {:?}", asked.elapsed());
    });
    let kept = position(&world.ledger(0));
    assert!(kept > 0, "what was read is kept");
    eprintln!("stopped at {kept} of {end}");
    let begun = Instant::now();
    while ack_floor(&client, &broker).await != kept {
        assert!(begun.elapsed() < SOON, "the broker knows another position");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // The next one is stopped while it restores, and changes nothing.
    tokio::task::block_in_place(|| {
        let mut worker = Worker::start(&config, &[]);
        let asked = Instant::now();
        worker.signal();
        worker.end();
        assert!(asked.elapsed() < SOON, "it took {:?}", asked.elapsed());
        assert!(position(&world.ledger(0)) >= kept);

        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        worker.stop();
    });
    assert_eq!(position(&world.ledger(0)), end);
    assert_stands(&broker, &expected, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_what_cannot_end() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let proxy = Proxy::start(server.address());
    let broker = server.nats();
    let mut behind = broker.clone();
    behind.url = proxy.url();
    let world = World::new(5_000, Some(&behind), "");
    let expected = world.replayed();
    let refused = world.refused();
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    let (before, after) = lines.split_at(lines.len() / 2);
    let config = world.path("tributary.toml");

    for (part, signal) in [(before, "-INT"), (after, "-TERM")] {
        let mut worker = Worker::start(&config, &[]);
        let seen = last(&client, &broker.input_stream).await;
        tokio::task::block_in_place(|| worker.wait_until_read(seen));
        play(&client, part, None).await;
        tokio::task::block_in_place(|| {
            // What has come is on its way when the broker falls silent.
            until("the worker reads on", || {
                let read = worker.metric("tributary_input_stream_sequence");
                read.is_some_and(|read| read > seen as f64)
            });
            proxy.stall(true);
            worker.signal();
            until("the worker has received the signal", || {
                worker.said("stopping")
            });
            assert!(worker.lives(), "it cannot end: the broker is silent");
            let asked = Instant::now();
            worker.signal_with(signal);
            let status = worker.ended();
            assert_eq!(status.code(), Some(130));
            assert!(asked.elapsed() < SOON);
            proxy.cut();
            proxy.stall(false);
        });
    }

    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        worker.stop();
    });
    assert_stands(&broker, &expected, &refused).await;
}

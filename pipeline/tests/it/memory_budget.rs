//! A worker whose memory budget is used up: it reads no more, says so, answers all the same, and is not taken for stuck. With a
//! larger budget it goes on where it stopped, and the cells are those of a replay.

use std::time::Duration;

use crate::support::story::{assert_stands, last, play, position, ready, until};
use crate::support::{Worker, World};
use tributary_testkit::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn input_waits_for_memory() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(60_000, Some(&broker), "[workers]\nmemory = 64\n");
    let expected = world.replayed();
    let refused = world.refused();
    let client = ready(&broker).await;
    play(&client, &world.trace().collect::<Vec<_>>(), None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        until("input waits for memory", || {
            let ready = worker.get("/readyz");
            ready.is_some_and(|(status, why)| status == 503 && why.contains("workers.memory"))
        });
        assert_eq!(worker.metric("tributary_memory_level"), Some(2.0));
        // It is alive, and answers.
        for path in ["/livez", "/v1/cells/visits"] {
            assert_eq!(
                worker.get(path).map(|(status, _)| status),
                Some(200),
                "{path}"
            );
        }
        std::thread::sleep(Duration::from_secs(1));
        worker.stop();
    });
    assert!(
        position(&world.ledger(0)) < end,
        "it had room for everything"
    );

    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("memory = 64", "memory = 4096")).unwrap();
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        assert_eq!(worker.metric("tributary_memory_level"), Some(0.0));
        worker.stop();
    });
    assert_stands(&broker, &expected, &refused).await;
}

//! A bad network between the worker and its broker: connections cut again and again while the trace plays, slow,
//! silent, refused. And a broker that does not take dead letters for a while. Once it is healed, the cells are those
//! of a replay and every refused line is a dead letter (invariants I4 and I5).

use std::time::Duration;

use crate::support::story::{ack_floor, assert_stands, last, play, position, ready, until};
use crate::support::{Worker, World};
use async_nats::jetstream::{self, stream::DiscardPolicy};
use tributary_connectors::nats;
use tributary_connectors::trace::TraceLine;
use tributary_simulate::Options;
use tributary_testkit::{NatsServer, Proxy};

fn pass(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_network_changes_nothing() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let proxy = Proxy::start(server.address());
    let broker = server.nats();
    let mut behind = broker.clone();
    behind.url = proxy.url();
    let options = Options {
        events: Some(20_000),
        bad: 0.01,
        ..Options::default()
    };
    let world = World::of(options, Some(&behind), "[workers]\nthreads = 2");
    let expected = world.replayed();
    let refused = world.refused();
    assert!(!refused.is_empty(), "the trace holds bad lines");
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    tokio::task::block_in_place(|| worker.wait_until_read(0));
    let playing = {
        let (client, lines) = (client.clone(), lines.clone());
        // It comes in while all of this happens.
        tokio::spawn(async move { play(&client, &lines, Some(2_500.0)).await })
    };
    let away = "not connected to NATS";
    tokio::task::block_in_place(|| {
        for pause in [300, 50, 700, 10, 400, 150] {
            pass(pause);
            proxy.cut();
        }
        proxy.delay(Duration::from_millis(60));
        pass(1_000);
        proxy.cut();
        pass(300);
        proxy.delay(Duration::ZERO);
        for silence in [200, 1_200] {
            proxy.stall(true);
            pass(silence);
            proxy.stall(false);
            pass(200);
        }
        proxy.refuse(true);
        proxy.cut();
        until("the worker says that the broker is away", || {
            let ready = worker.get("/readyz");
            ready.is_some_and(|(status, why)| status == 503 && why.contains(away))
        });
        let (status, why) = worker.get("/livez").unwrap();
        assert_eq!(status, 200, "{why}");
        proxy.refuse(false);
    });
    playing.await.unwrap();
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        worker.stop();
    });
    assert_eq!(position(&world.ledger(0)), end);
    assert_stands(&broker, &expected, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_wait_until_they_are_taken() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let options = Options {
        events: Some(4_000),
        bad: 0.3,
        ..Options::default()
    };
    let world = World::of(options, Some(&broker), "");
    let expected = world.replayed();
    let refused = world.refused();
    assert!(refused.len() > 600, "more than are in flight at once");
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;

    // The stream of dead letters takes one and no more.
    nats::ensure_dead_letter_stream(&client, &broker)
        .await
        .unwrap();
    let jetstream = jetstream::new(client.clone());
    let stream = jetstream
        .get_stream(&broker.dead_letter_stream)
        .await
        .unwrap();
    let roomy = stream.cached_info().config.clone();
    let full = jetstream::stream::Config {
        max_messages: 1,
        discard: DiscardPolicy::New,
        ..roomy.clone()
    };
    jetstream.update_stream(&full).await.unwrap();

    let mut worker = Worker::start(&world.path("tributary.toml"), &[]);
    tokio::task::block_in_place(|| {
        until("the broker refuses", || {
            let failures = worker.metric("tributary_publish_failures_total");
            failures.is_some_and(|failures| failures > 2.0)
        });
    });
    assert!(worker.lives(), "it waits");
    let (status, why) = worker.get("/readyz").unwrap();
    assert!(status == 503 && why.contains("dead letters"), "{why}");
    let (status, why) = worker.get("/livez").unwrap();
    assert_eq!(status, 200, "{why}");
    // The broker has taken the first of them and nothing behind the second is durable.
    let is_bad = |line: &TraceLine| refused.iter().any(|bad| bad.data == line.data);
    let mut bad = (1..).zip(&lines).filter(|(_, line)| is_bad(line));
    let (second, _) = bad.nth(1).unwrap();
    assert!(ack_floor(&client, &broker).await < second);
    assert!(position(&world.ledger(0)) < second);

    jetstream.update_stream(&roomy).await.unwrap();
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        worker.stop();
    });
    assert_eq!(position(&world.ledger(0)), end);
    assert_stands(&broker, &expected, &refused).await;
}

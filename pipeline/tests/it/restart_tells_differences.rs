//! Published cells are compared, not published again: a restart with nothing new publishes nothing, one with a stricter
//! gate closes the cells that may no longer be shown, shows `other` in their place and moves no other, and one in the middle of the first publication
//! brings the rest. The metrics show all of them as before.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::story::{assert_stands, configure, last, play, ready, until};
use crate::support::{Worker, World};
use tributary_config::model::Nats;
use tributary_connectors::nats::{Client, Reader};
use tributary_simulate::Options;
use tributary_testkit::NatsServer;

/// The last message of every cell: its sequence and its value.
async fn outside(client: &Client, broker: &Nats) -> BTreeMap<String, (u64, serde_json::Value)> {
    let stream = &broker.output_stream;
    let mut reader = Reader::open(client, stream, 1).await.unwrap();
    let mut all = BTreeMap::new();
    while !reader.caught_up() {
        let messages = reader.next_batch(1000, Duration::from_secs(10)).await;
        for message in messages.unwrap() {
            let mut text: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
            let value = text["value"].take();
            all.insert(message.subject.to_string(), (message.sequence, value));
        }
    }
    all
}

fn shown(worker: &Worker) -> Vec<(&'static str, Option<f64>)> {
    [
        "tributary_orders",
        "tributary_visits",
        "tributary_store_takings",
    ]
    .map(|name| (name, worker.metric(name)))
    .to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_tells_only_what_differs() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    // The metrics are of the last weeks.
    let today = jiff::Zoned::now().date();
    let options = Options {
        events: Some(8_000),
        start: today.checked_sub(jiff::Span::new().days(27)).unwrap(),
        ..Options::default()
    };
    let world = World::of(options, Some(&broker), "");
    let expected = world.replayed();
    let refused = world.refused();
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");

    let worker = Worker::start(&config, &[]);
    let before = tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        until("the metrics show orders", || {
            worker.metric("tributary_orders").is_some_and(|n| n > 0.0)
        });
        let before = shown(&worker);
        worker.stop();
        before
    });
    let cells = outside(&client, &broker).await;
    assert_stands(&broker, &expected, &refused).await;
    let published = last(&client, &broker.output_stream).await;

    // Nothing is new.
    let worker = Worker::start(&config, &[]);
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        until("the metrics are as before", || shown(&worker) == before);
        worker.stop();
    });
    assert_eq!(last(&client, &broker.output_stream).await, published);

    // The gate is stricter, and does not wait until a change is mixed with others.
    configure(&world, "k = 1", "k = 6\nk_delta = 1\nladder = \"finest\"");
    let fewer = world.replayed();
    assert!(!fewer.is_empty() && fewer.len() < expected.len());
    let worker = Worker::start(&config, &[]);
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        worker.stop();
    });
    assert_stands(&broker, &fewer, &refused).await;
    let (mut closed, mut others, mut coarser) = (0, 0, 0);
    let of_paths = ["paths", "path_length", "path_days", "assists"];
    for (subject, (sequence, value)) in outside(&client, &broker).await {
        match cells.get(&subject) {
            // What is hidden may be shown together.
            None => others += 1,
            Some((stood_at, _)) if sequence == *stood_at => {}
            // Paths are published in multiples of what the gate asks for.
            Some(_) if !value.is_null() && of_paths.iter().any(|of| subject.contains(of)) => {
                assert_eq!(value["conversions"].as_i64().unwrap() % 6, 0, "{subject}");
                coarser += 1;
            }
            Some((_, old)) => {
                assert!(value.is_null(), "{subject} was {old} and is {value}");
                closed += 1;
            }
        }
    }
    // A replay writes some of the families, the worker all.
    assert!(closed - others >= expected.len() - fewer.len());
    let now = last(&client, &broker.output_stream).await;
    let all = closed + others + coarser;
    assert_eq!(now, published + all as u64, "each is published once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_was_broken_off_is_finished() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(8_000, Some(&broker), "");
    let expected = world.replayed();
    let refused = world.refused();
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");

    let worker = Worker::start(&config, &[]);
    let output = || async {
        let state = tributary_connectors::nats::stream_state(&client, &broker.output_stream).await;
        state.map_or(0, |state| state.last_sequence)
    };
    while output().await == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    worker.kill();
    let first = output().await;
    eprintln!("killed behind {first} of {} cells", expected.len());

    let worker = Worker::start(&config, &[]);
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        worker.stop();
    });
    assert_stands(&broker, &expected, &refused).await;
    let cells = outside(&client, &broker).await;
    assert_eq!(
        output().await,
        cells.len() as u64,
        "no cell was before twice"
    );
}

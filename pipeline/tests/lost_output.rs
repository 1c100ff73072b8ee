//! The output stream is deleted, purged, or loses a single message while the worker runs: the process is not ready, says
//! so in a line and not in thousands, and tells every cell again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream;
use support::story::{last, play, ready, until};
use support::{Worker, World, published};
use tributary_loadtest::testing::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_outside_is_told_again() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(4_000, Some(&broker), "");
    let expected: BTreeSet<String> = world.replayed().into_iter().collect();
    assert!(expected.len() > 500, "{}", expected.len());
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    tokio::task::block_in_place(|| worker.wait_until_read(end));
    let times = |why: &str| worker.log().matches(why).count();
    let all_stand = async |case: &str| {
        for _ in 0..600 {
            let is_ready = worker
                .get("/readyz")
                .is_some_and(|(status, _)| status == 200);
            let stands: BTreeSet<String> = match is_ready {
                true => published(&broker).await.into_iter().collect(),
                false => BTreeSet::new(),
            };
            if stands == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{case}: not all cells stand outside");
    };
    all_stand("at first").await;

    let streams = jetstream::new(client.clone());
    for (why, case) in [
        ("is another one than before", "deleted"),
        ("has lost", "purged"),
        ("has lost 1 of", "one message deleted"),
    ] {
        let before = times(why);
        let mut stream = streams.get_stream(&broker.output_stream).await.unwrap();
        match case {
            "deleted" => {
                streams.delete_stream(&broker.output_stream).await.unwrap();
            }
            "purged" => {
                stream.purge().await.unwrap();
            }
            _ => {
                let newest = stream.info().await.unwrap().state.last_sequence;
                stream.delete_message(newest).await.unwrap();
            }
        }
        tokio::task::block_in_place(|| until(why, || times(why) > before));
        all_stand(case).await;
    }

    // It cannot be made anew while another stream takes its subjects.
    streams
        .delete_stream(&broker.dead_letter_stream)
        .await
        .unwrap();
    streams.delete_stream(&broker.output_stream).await.unwrap();
    let other = jetstream::stream::Config {
        name: "OTHER".to_owned(),
        subjects: vec!["tributary.out.>".to_owned()],
        ..Default::default()
    };
    let taken = streams.create_stream(other).await.is_ok();
    if taken {
        let is_said = || {
            let (status, why) = worker.get("/readyz").unwrap_or_default();
            status == 503 && why.contains(&broker.output_stream)
        };
        tokio::task::block_in_place(|| {
            until("it says why", is_said);
            // No line a try.
            std::thread::sleep(Duration::from_secs(5));
            assert!(is_said());
        });
        streams.delete_stream("OTHER").await.unwrap();
    }
    all_stand("deleted again").await;
    streams
        .get_stream(&broker.dead_letter_stream)
        .await
        .unwrap();

    let log = worker.log();
    let is_loud = |line: &&str| {
        let is_loud = line.contains(r#""WARN""#) || line.contains(r#""ERROR""#);
        is_loud && !line.contains("tributary.toml")
    };
    let loud: Vec<&str> = log.lines().filter(is_loud).collect();
    assert!(loud.len() < 40, "{loud:#?}");
    tokio::task::block_in_place(|| worker.stop());
}

//! The output stream is deleted, purged, or loses a single message while the worker runs, also while others appear: the
//! process is not ready, says so in a line and not in thousands, and tells every cell again. One that somebody makes anew
//! with settings that do not do is named with what it needs. Of a rights stream that is lost no loss is hidden: the
//! process is not ready, and neither is the next one, until the loss is accepted.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::story::{last, play, ready, refusal, until};
use crate::support::{Worker, World, published};
use async_nats::jetstream;
use tributary_testkit::NatsServer;

/// What somebody else has put there.
const NOTE: &str = r#"{"cell":{},"value":null,"epoch":0}"#;

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
        (
            "has lost 1 of",
            "one message deleted and another one put there",
        ),
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
                if case.ends_with("put there") {
                    // The number of subjects stays what it was.
                    let text = client.publish("tributary.out.orchard.note", NOTE.into());
                    text.await.unwrap();
                    client.flush().await.unwrap();
                }
                stream.delete_message(newest).await.unwrap();
            }
        }
        tokio::task::block_in_place(|| until(why, || times(why) > before));
        all_stand(case).await;
    }

    // Somebody makes it anew, and not as it has to be.
    let mut other = streams.get_stream(&broker.output_stream).await.unwrap();
    let mut other = other.info().await.unwrap().config.clone();
    other.max_age = Duration::from_secs(3_600);
    for _ in 0..100 {
        // The worker may be the quicker one.
        streams.delete_stream(&broker.output_stream).await.unwrap();
        if streams.create_stream(other.clone()).await.is_ok() {
            break;
        }
    }
    let needs = || {
        let (status, why) = worker.get("/readyz").unwrap_or_default();
        status == 503 && why.contains(&broker.output_stream) && why.contains("it needs no max_age")
    };
    tokio::task::block_in_place(|| until("it says what the stream needs", needs));
    other.max_age = Duration::ZERO;
    streams.update_stream(other).await.unwrap();
    all_stand("made anew by somebody else").await;

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
    let is_said = || {
        worker
            .log()
            .contains("the stream of dead letters was replaced")
    };
    tokio::task::block_in_place(|| until("the dead letters are made anew", is_said));
    let dead = streams.get_stream(&broker.dead_letter_stream).await;
    dead.unwrap();

    let log = worker.log();
    let is_loud = |line: &&str| {
        let is_loud = line.contains(r#""WARN""#) || line.contains(r#""ERROR""#);
        is_loud && !line.contains("tributary.toml")
    };
    let loud: Vec<&str> = log.lines().filter(is_loud).collect();
    assert!(loud.len() < 40, "{loud:#?}");
    tokio::task::block_in_place(|| worker.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rights_stream_that_is_lost_is_no_silent_loss() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(200, Some(&broker), "");
    let config = world.path("tributary.toml");
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let streams = jetstream::new(client.clone());
    let name = &broker.rights_stream;
    let says = |worker: &Worker, words: &[&str]| {
        let (status, why) = worker.get("/readyz").unwrap_or_default();
        status == 503 && words.iter().all(|words| why.contains(words))
    };
    for (case, words) in [
        ("deleted", "is missing"),
        ("made anew", "is another one than before"),
        ("purged", "was emptied"),
    ] {
        let worker = Worker::start(&config, &["--accept-loss"]);
        tokio::task::block_in_place(|| worker.wait_until_read(end));
        let mut stream = streams.get_stream(name).await.unwrap();
        let mut settings = stream.info().await.unwrap().config.clone();

        // Settings that do not do are named until they are set right.
        settings.max_age = Duration::from_secs(3_600);
        streams.update_stream(settings.clone()).await.unwrap();
        tokio::task::block_in_place(|| {
            until("it says what the stream needs", || {
                says(&worker, &[name, "it needs no max_age"])
            });
        });
        settings.max_age = Duration::ZERO;
        streams.update_stream(settings.clone()).await.unwrap();
        let is_ready = || matches!(worker.get("/readyz"), Some((200, _)));
        tokio::task::block_in_place(|| until("it is set right", is_ready));

        match case {
            "purged" => {
                stream.purge().await.unwrap();
            }
            _ => {
                streams.delete_stream(name).await.unwrap();
            }
        }
        if case == "made anew" {
            streams.create_stream(settings).await.unwrap();
        }
        tokio::task::block_in_place(|| {
            until("it says what is lost", || {
                says(&worker, &[name, words, "--accept-loss"])
            });
        });
        // Nothing is answered that would hide it, and what was measured stays.
        if case != "deleted" {
            let request = r#"{"id": "r1", "ts": "2026-11-20T09:00:00Z", "type": "erase", "proof": "t",
                "identifiers": [{"kind": "email", "value": "bob@shop.example"}]}"#;
            let sent = streams.publish("tributary.rights.orchard.request", request.into());
            sent.await.unwrap().await.unwrap();
        }
        let log = tokio::task::block_in_place(|| {
            std::thread::sleep(Duration::from_secs(5));
            assert!(says(&worker, &[name, words]));
            assert!(matches!(worker.get("/livez"), Some((200, _))));
            let log = worker.log();
            worker.stop();
            log
        });
        assert_eq!(log.matches(words).count(), 1, "{case}");
        let refusal_text = tokio::task::block_in_place(|| refusal(&world, &[]));
        assert!(
            refusal_text.contains(name) && refusal_text.contains("--accept-loss"),
            "{refusal_text}"
        );
    }
    let worker = Worker::start(&config, &["--accept-loss"]);
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        worker.stop();
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        worker.stop();
    });
}

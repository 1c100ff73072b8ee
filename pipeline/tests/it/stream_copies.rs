//! Records in clear are in no copy that an erasure does not reach: an input stream that mirrors or sources another one, is
//! republished, or is copied by another stream is refused, at a start and while the worker runs.

use std::os::unix::fs::PermissionsExt;

use crate::support::story::{last, play, position, ready, refusal, until};
use crate::support::{Worker, World};
use async_nats::jetstream::{
    self,
    stream::{Config, Republish, Source},
};
use tributary_connectors::nats;
use tributary_simulate::Options;
use tributary_testkit::NatsServer;

fn small() -> Options {
    Options {
        events: Some(300),
        bad: 0.0,
        ..Options::default()
    }
}

fn source(name: &str) -> Source {
    Source {
        name: name.to_owned(),
        ..Source::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_refused_by_name() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::of(small(), Some(&broker), "");
    let client = nats::connect(&broker, "test").await.unwrap();
    let jetstream = jetstream::new(client.clone());
    let edge = Config {
        name: "EDGE".to_owned(),
        subjects: vec!["edge.>".to_owned()],
        ..Config::default()
    };
    jetstream.create_stream(edge).await.unwrap();
    let input = Config {
        name: "TRIBUTARY_IN".to_owned(),
        subjects: vec!["tributary.in.>".to_owned()],
        ..Config::default()
    };
    let republish = Republish {
        source: ">".to_owned(),
        destination: "copy.>".to_owned(),
        headers_only: false,
    };
    let copies = [
        (
            Config {
                subjects: Vec::new(),
                mirror: Some(source("EDGE")),
                ..input.clone()
            },
            "mirrors EDGE",
        ),
        (
            Config {
                sources: Some(vec![source("EDGE")]),
                ..input.clone()
            },
            "is filled from EDGE",
        ),
        (
            Config {
                republish: Some(republish.clone()),
                ..input.clone()
            },
            "is republished to copy.>",
        ),
    ];
    for (config, words) in copies {
        jetstream.create_stream(config).await.unwrap();
        let refusal_text = tokio::task::block_in_place(|| refusal(&world, &[]));
        assert!(
            refusal_text.contains("TRIBUTARY_IN") && refusal_text.contains(words),
            "{words}: {refusal_text}"
        );
        jetstream.delete_stream("TRIBUTARY_IN").await.unwrap();
    }

    // Another stream lives on what is erased here.
    jetstream.create_stream(input.clone()).await.unwrap();
    let copy = |name: &str| Config {
        name: "COPY".to_owned(),
        sources: Some(vec![source(name)]),
        ..Config::default()
    };
    for name in ["TRIBUTARY_IN", "TRIBUTARY_DEAD"] {
        nats::ensure_dead_letter_stream(&client, &broker)
            .await
            .unwrap();
        jetstream.create_stream(copy(name)).await.unwrap();
        let refusal_text = tokio::task::block_in_place(|| refusal(&world, &[]));
        assert!(
            refusal_text.contains(&format!("stream COPY copies the stream {name}")),
            "{refusal_text}"
        );
        jetstream.delete_stream("COPY").await.unwrap();
    }

    // One that becomes a copy while the worker runs ends it.
    let lines: Vec<_> = world.trace().collect();
    play(&client, &lines, None).await;
    let end = last(&client, "TRIBUTARY_IN").await;
    let mut worker = Worker::start(&world.path("tributary.toml"), &[]);
    tokio::task::block_in_place(|| worker.wait_until_read(end));
    let republished = Config {
        republish: Some(republish),
        ..input
    };
    jetstream.update_stream(republished).await.unwrap();
    let status = tokio::task::block_in_place(|| worker.ended());
    assert!(!status.success());
    assert!(worker.said("is republished to copy.>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lasts_is_its_owners_alone() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::of(small(), Some(&broker), "");
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    play(&client, &lines, None).await;
    let end = last(&client, "TRIBUTARY_IN").await;
    let data = world.path("tributary-data");
    let run = || {
        // The process inherits a mask that takes nothing away.
        let mut worker = std::process::Command::new("sh")
            .args(["-c", "umask 000; exec \"$0\" run --config \"$1\""])
            .arg(env!("CARGO_BIN_EXE_tributary"))
            .arg(world.path("tributary.toml"))
            .spawn()
            .unwrap();
        until("it has opened everything", || {
            position(&world.ledger(0)) == end && data.join("rights-0/audit/orchard.jsonl").exists()
        });
        worker.kill().unwrap();
        worker.wait().unwrap();
    };
    let check = || {
        let mut open = vec![data.clone()];
        while let Some(path) = open.pop() {
            let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            let is_directory = path.is_dir();
            let wanted = if is_directory { 0o700 } else { 0o600 };
            assert_eq!(mode, wanted, "{} has mode {mode:o}", path.display());
            if is_directory {
                let entries = std::fs::read_dir(path).unwrap();
                open.extend(entries.map(|entry| entry.unwrap().path()));
            }
        }
    };
    tokio::task::block_in_place(run);
    check();
    // What an earlier version made too wide is closed.
    for place in ["rights-0", "rights-0/audit", "process-0"] {
        let wide = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(data.join(place), wide).unwrap();
    }
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&world.path("tributary.toml"), &[]);
        worker.wait_until_read(end);
        worker.stop();
    });
    check();
}

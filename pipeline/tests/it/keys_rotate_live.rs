//! The brand's secret is exchanged while a worker reads and counts. It says no to whatever is not the secrets that it
//! has with a newer one behind them, and nothing has changed. Then it takes the new one, and no number, no link and no
//! entry is lost, neither then nor after the next start.

use crate::support::person::somebody;
use crate::support::secrets::{configure_secrets, draw, not_rotated, rotated, with_secrets};
use crate::support::story::{
    assert_stands, inspect_open, last, play, ready, refusal, stop_both, two_processes,
};
use crate::support::{Worker, World, succeed, tributary};
use tributary_connectors::trace::TraceLine;
use tributary_testkit::NatsServer;

/// What `tributary ledger verify` says of a process's ledger under a configuration.
fn verified(world: &World, process: usize) -> bool {
    let mut verify = tributary();
    verify
        .args(["ledger", "verify"])
        .arg(world.ledger(process))
        .arg("--config")
        .arg(world.path("tributary.toml"));
    verify.output().unwrap().status.success()
}

/// Under which keys the ledger is; days that end change the rest of the manifest.
fn keys(world: &World) -> serde_json::Value {
    let manifest = std::fs::read_to_string(world.ledger(0).join("MANIFEST")).unwrap();
    let (_, json) = manifest.split_once('\n').unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(json).unwrap();
    manifest["brands"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_worker_takes_a_new_secret() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(9_000, Some(&broker), "[workers]\nthreads = 2");
    let expected = world.replayed();
    let refused = world.refused();
    let lines: Vec<TraceLine> = world.trace().collect();
    let named = format!("email={}", somebody(&world, &lines));
    let (first, rest) = lines.split_at(lines.len() / 3);
    let (second, third) = rest.split_at(rest.len() / 2);
    let client = ready(&broker).await;
    let config = world.path("tributary.toml");
    let worker = Worker::start(&config, &[]);
    play(&client, first, None).await;
    let end = last(&client, &broker.input_stream).await;

    // Whatever does not go on from what it has is refused, and leaves everything as it was.
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        draw(&world, "second");
        draw(&world, "stranger");
        assert_eq!(rotated(&world), [0], "there is nothing newer");
        let before = keys(&world);
        let right = with_secrets(&world, &["secret", "second"]);
        std::fs::write(world.path("right.toml"), &right).unwrap();
        // The worker's own file is still the old one, ...
        let output = not_rotated(&world, "right.toml");
        assert!(output.contains("process 0 continues"), "{output}");
        assert!(output.contains("other secrets than the configuration that this was asked with"));
        // ... has a secret that is not there, ...
        std::fs::write(&config, right.replace("second", "nowhere")).unwrap();
        let output = not_rotated(&world, "right.toml");
        assert!(
            output.contains("409") && output.contains("nowhere"),
            "{output}"
        );
        // ... or drops the one that everything is sealed under.
        for strangers in [&["stranger"][..], &["stranger", "second"]] {
            configure_secrets(&world, strangers);
            let output = not_rotated(&world, "tributary.toml");
            assert!(
                output.contains("do not go on from those that it had"),
                "{output}"
            );
        }
        assert_eq!(keys(&world), before);
        configure_secrets(&world, &["secret"]);
    });

    // It goes on reading while it takes the new one.
    configure_secrets(&world, &["secret", "second"]);
    let moved = tokio::task::spawn_blocking(move || (rotated(&world), world));
    play(&client, second, None).await;
    let (moved, world) = moved.await.unwrap();
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        assert!(moved[0] > 0);
        worker.wait_until_read(end);
        assert_eq!(rotated(&world), [0], "everything is moved");
        // Who asks with the new secret is understood by a worker that began with the old one.
        let mut explain = tributary();
        explain.args(["explain", "person", "--json", "--config"]);
        let explain = explain.arg(&config).args([&named, &named]);
        let output = succeed(explain).stdout;
        assert!(String::from_utf8_lossy(&output).contains("\"known\":[true,true]"));
        // The log has nothing of it, and neither has the disk what the old secret opens.
        let secret = std::fs::read_to_string(world.path("second")).unwrap();
        assert!(!worker.said(secret.trim()));
        worker.stop();
        let brands = inspect_open(&world, 0)["brands"].clone();
        assert!(brands.as_array().unwrap().iter().all(|b| b["behind"] == 0));
        assert!(verified(&world, 0));
        configure_secrets(&world, &["secret"]);
        assert!(!verified(&world, 0));
        let output = refusal(&world, &[]);
        assert!(output.contains("sealed under another secret"), "{output}");
        configure_secrets(&world, &["secret", "second"]);
    });

    // What comes after the restart, keyed through both, meets what came before.
    let worker = Worker::start(&config, &[]);
    play(&client, third, None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        worker.stop();
        assert!(verified(&world, 0));
    });
    assert_stands(&broker, &expected, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_of_a_cluster_takes_it_or_none() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(6_000, Some(&broker), &two_processes());
    let expected = world.replayed();
    let refused = world.refused();
    let lines: Vec<TraceLine> = world.trace().collect();
    let (first, second) = lines.split_at(lines.len() / 2);
    let client = ready(&broker).await;
    play(&client, first, None).await;
    let end = last(&client, &broker.input_stream).await;
    let configs = ["tributary.toml", "other.toml"].map(|name| world.path(name));
    let copy = || std::fs::copy(&configs[0], &configs[1]).unwrap();
    copy();
    let start = || {
        [0, 1].map(|process| Worker::start(&configs[process], &["--process", &process.to_string()]))
    };
    tokio::task::block_in_place(|| {
        let both = start();
        both.iter().for_each(|worker| worker.wait_until_read(end));
        draw(&world, "second");
        configure_secrets(&world, &["secret", "second"]);
        // The second process was forgotten, so that the first does not begin either.
        let output = not_rotated(&world, "tributary.toml");
        assert!(output.contains("process 1 continues"), "{output}");
        let keys = format!("{:?}", keys(&world));
        assert!(!keys.contains("\"links\": Number(1)"), "{keys}");
        copy();
        let moved = rotated(&world);
        assert!(moved.len() == 2 && moved.iter().all(|moved| *moved > 0));
        stop_both(both);
        assert!(verified(&world, 0) && verified(&world, 1));
    });
    play(&client, second, None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        let both = start();
        both.iter().for_each(|worker| worker.wait_until_read(end));
        stop_both(both);
    });
    assert_stands(&broker, &expected, &refused).await;
}

#[test]
fn with_no_worker_it_says_so() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let world = World::new(10, Some(&server.nats()), "");
    let output = not_rotated(&world, "tributary.toml");
    assert!(output.contains("no worker answers on tributary.keys.orchard.0"));
    // The help says what to do with a stopped one.
    let help = succeed(tributary().args(["keys", "rotate", "--help"]));
    assert!(String::from_utf8_lossy(&help.stdout).contains("With a directory"));
}

//! What a process cannot overwrite of its ledger stands in the receipt of an erasure, whichever process of the cluster it is.
//! The commands that replace files, a standby, and a start that accepts a loss say it as well.

use std::path::Path;
use std::process::Command;

use tributary_connectors::trace::TraceLine;
use tributary_testkit::NatsServer;

use crate::support::brands::{give, of_brands, shard, stop_all};
use crate::support::candidates::{candidate, start, until_it_follows};
use crate::support::person::{ask, receipt_of, somebody};
use crate::support::secrets::{configure_secrets, draw};
use crate::support::shim::shim;
use crate::support::story::{contents, last, play, ready, stop_both, two_processes, until};
use crate::support::{Worker, World, tributary};

/// The metric.
const NAME: &str = "tributary_ledger_files_not_overwritten_total";

/// What a command says that can overwrite no segment: the number in its JSON, which its
/// note repeats.
fn said(shim: &Path, command: &mut Command) -> u64 {
    let output = command.env("LD_PRELOAD", shim).output().expect("it runs");
    let note = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{note}");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    // `keys rotate` lists its processes.
    let one = said.get(0).unwrap_or(&said);
    let files = one["not_overwritten"].as_u64().expect("the number");
    let words = format!("{files} of the replaced files could not be overwritten");
    assert_eq!(note.contains(&words), files > 0, "{note}");
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn stands_in_the_receipt_for_every_process() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(2_000, Some(&broker), &two_processes());
    let lines: Vec<TraceLine> = world.trace().collect();
    let client = ready(&broker).await;
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");
    let shim = shim(world.directory.path(), "read_only_segments");
    let shim = shim.to_str().unwrap();
    let receipt = |email: &str| {
        let text = ask(
            &world,
            "erase",
            &[&format!("email={email}"), "--whole-person"],
        );
        receipt_of(text.trim())["counts"]["not_overwritten"].as_u64()
    };
    let email = somebody(&world, &lines);
    tokio::task::block_in_place(|| {
        let both = [
            Worker::start(&config, &["--process", "0"]),
            Worker::start_with(&config, &["--process", "1"], &[("LD_PRELOAD", shim)]),
        ];
        both.iter().for_each(|worker| worker.wait_until_read(end));
        let stated = receipt(&email);
        let counted = both
            .each_ref()
            .map(|worker| worker.metric(NAME).unwrap_or_default() as u64);
        assert_eq!(counted[0], 0);
        assert!(counted[1] > 0, "process 1 overwrites nothing");
        // Files that other rewrites replace are counted beside those of the erasure.
        let stated = stated.expect("the receipt has the number");
        assert!(
            (1..=counted[1]).contains(&stated),
            "{stated} of {counted:?}"
        );
        // And none where all were overwritten.
        stop_both(both);
        let both = ["0", "1"].map(|process| Worker::start(&config, &["--process", process]));
        both.iter().for_each(|worker| worker.wait_until_read(end));
        assert_eq!(receipt("nobody@shop.example").unwrap_or_default(), 0);
        stop_both(both);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_say_it() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let mut broker = server.nats();
    broker.pings_stream = Some("TRIBUTARY_PINGS".to_owned());
    let (world, lines) = of_brands(1_000, &broker, ["north", "north", "south"]);
    let client = crate::shards::ready(&broker).await;
    let workers = vec![shard(&world, "north"), shard(&world, "south")];
    play(&client, &lines, None).await;
    stop_all(&client, &broker, workers).await;
    let shim = shim(world.directory.path(), "read_only_segments");
    let config = world.path("tributary.toml");
    tokio::task::block_in_place(|| {
        give(&world, "acme", "south");
        let mut command = tributary();
        command.args(["ledger", "move", "--brand", "acme", "--json", "--config"]);
        assert!(said(&shim, command.arg(&config)) > 0, "move");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_on_all_brands_and_a_start_say_it() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(2_000, Some(&broker), "");
    let lines: Vec<TraceLine> = world.trace().collect();
    let client = ready(&broker).await;
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");
    let shim = shim(world.directory.path(), "read_only_segments");
    let email = somebody(&world, &lines);
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        worker.stop();
        let before = contents(&world.ledger(0));
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        ask(&world, "object", &[&format!("email={email}")]);
        worker.stop();
        // A start that leaves people out of the ledger of before.
        std::fs::remove_dir_all(world.ledger(0)).unwrap();
        for (path, bytes) in before {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let preload = [("LD_PRELOAD", shim.to_str().unwrap())];
        let worker = Worker::start_with(&config, &["--accept-loss"], &preload);
        worker.wait_until_read(end);
        assert!(
            worker.metric(NAME).unwrap_or_default() > 0.0,
            "{}",
            worker.log()
        );
        assert!(
            worker.said("could not overwrite replaced files"),
            "{}",
            worker.log()
        );
        worker.stop();

        draw(&world, "second");
        configure_secrets(&world, &["secret", "second"]);
        let mut command = tributary();
        command
            .args(["keys", "rotate", "--json"])
            .arg(world.ledger(0));
        assert!(
            said(&shim, command.arg("--config").arg(&config)) > 0,
            "rotate"
        );

        let mut command = tributary();
        command.args(["ledger", "reshard", "--to", "2", "--json", "--config"]);
        assert!(said(&shim, command.arg(&config)) > 0, "reshard");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_counts_what_its_copy_replaces() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(2_000, Some(&broker), "");
    let lines: Vec<TraceLine> = world.trace().collect();
    let client = ready(&broker).await;
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let [first, second] = [0, 1].map(|number| candidate(&world, number, None));
    let shim = shim(world.directory.path(), "read_only_segments");
    let email = somebody(&world, &lines);
    tokio::task::block_in_place(|| {
        let one = start(&first);
        one.wait_until_read(end);
        let preload = [("LD_PRELOAD", shim.to_str().unwrap())];
        let two = Worker::start_with(&second, &[], &preload);
        until_it_follows(&two);
        // The rewrite replaces every segment of the copy.
        ask(
            &world,
            "erase",
            &[&format!("email={email}"), "--whole-person"],
        );
        until("it is counted", || {
            two.metric(NAME).is_some_and(|files| files > 0.0)
        });
        assert!(
            two.said("could not overwrite replaced files"),
            "{}",
            two.log()
        );
        assert_eq!(one.metric(NAME).unwrap_or_default(), 0.0);
        two.stop();
        one.stop();
    });
}

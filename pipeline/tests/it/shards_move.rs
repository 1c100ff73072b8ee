//! A brand moves from one shard to another and back, while the command that moves it is killed at random points: OUT
//! equals a replay, nobody who objected comes back, and neither shard starts with what it does not have.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::shards::ready;
use crate::support::brands::{give, of_brands, refusal_of, shard, stop_all, wait_for_all};
use crate::support::interrupted::ledger_with_kills;
use crate::support::person::{apart, ask, rewrite, somebody_with_an_address_alone};
use crate::support::story::{assert_stands, inspect, play};
use crate::support::{World, chosen, succeed, tributary};
use tributary_testkit::NatsServer;

/// The brands of the ledger of a shard.
fn brands(world: &World, shard: &str) -> Vec<String> {
    let ledger = world.path(&format!("tributary-data/process-{shard}-0"));
    let brands = inspect(&ledger)["brands"]
        .as_array()
        .expect("brands")
        .clone();
    let names = brands
        .iter()
        .map(|one| one["brand"].as_str().expect("a name").to_owned());
    names.collect()
}

/// Leaves what a kill leaves between the overwriting and the removal of the log in the shard that the brand goes from,
/// once the other one has the records.
fn overwrite_log(world: &World, [from, to]: [&str; 2]) {
    let log = world.path(&format!("tributary-data/rights-{from}-0/audit/acme.jsonl"));
    let Ok(length) = std::fs::metadata(&log).map(|found| found.len()) else {
        return;
    };
    if brands(world, to).contains(&"acme".to_owned()) {
        std::fs::write(&log, vec![0; length as usize]).expect("the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brand_moves_between_two_shards() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let mut broker = server.nats();
    broker.pings_stream = Some("TRIBUTARY_PINGS".to_owned());
    let events = chosen("TRIBUTARY_SHARDS_EVENTS", 12_000) / 3;
    let (world, lines) = of_brands(events, &broker, ["north", "north", "south"]);
    let email = somebody_with_an_address_alone(&world, &lines);
    let (_, kept) = apart(&world, &lines, &email);
    rewrite(&world, &kept);
    let expected = world.replayed();
    let client = ready(&broker).await;
    let parts: Vec<_> = lines.chunks(lines.len() / 3 + 1).collect();

    play(&client, parts[0], None).await;
    let workers = vec![shard(&world, "north"), shard(&world, "south")];
    tokio::task::block_in_place(|| {
        let object = ["--brand", "acme", &format!("email={email}")];
        ask(&world, "object", &object);
    });
    stop_all(&client, &broker, workers).await;
    let stopped = Instant::now();
    assert_eq!(brands(&world, "north"), ["acme", "beta"]);

    let to_south = ["move", "--brand", "acme", "--json"];
    tokio::task::block_in_place(|| {
        // The configuration already says where the brand goes.
        give(&world, "acme", "south");
        let said = ledger_with_kills(&world, &to_south, "was moved from", || {
            let moves = world.path("tributary-data/moves-north-0.json");
            if std::fs::read_to_string(moves)
                .is_ok_and(|text| text.contains("\"is_complete\": false"))
            {
                let text = refusal_of(&world, "north");
                assert!(text.contains("the move of the brand acme"), "{text}");
                overwrite_log(&world, ["north", "south"]);
            }
        });
        eprintln!("{said}");
        assert_eq!(brands(&world, "north"), ["beta"]);
        assert!(brands(&world, "south").contains(&"acme".to_owned()));
        // The old shard does not serve it, whatever the configuration says.
        give(&world, "acme", "north");
        let text = refusal_of(&world, "north");
        assert!(
            text.contains("the brand acme was moved from this ledger to"),
            "{text}"
        );
        give(&world, "acme", "south");
        let again = tributary()
            .args(["ledger", "move", "--brand", "acme", "--from"])
            .arg(world.path("tributary-data/process-north-0"))
            .arg("--config")
            .arg(world.path("tributary.toml"))
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&again.stderr).into_owned();
        assert!(
            !again.status.success() && text.contains("acme was moved from"),
            "{text}"
        );
    });
    let workers = vec![shard(&world, "north"), shard(&world, "south")];
    wait_for_all(&client, &broker, &workers).await;
    eprintln!(
        "both shards are ready {:?} after the stop",
        stopped.elapsed()
    );
    play(&client, parts[1], None).await;
    stop_all(&client, &broker, workers).await;

    // And back, from a shard that has gone on meanwhile.
    tokio::task::block_in_place(|| {
        give(&world, "acme", "north");
        ledger_with_kills(&world, &to_south, "was moved from", || {
            overwrite_log(&world, ["south", "north"]);
        });
        assert_eq!(brands(&world, "north"), ["acme", "beta"]);
        assert_eq!(brands(&world, "south"), ["gamma"]);
    });
    let workers = vec![shard(&world, "north"), shard(&world, "south")];
    play(&client, parts[2], None).await;
    stop_all(&client, &broker, workers).await;
    assert_stands(&broker, &expected, &[]).await;
    tokio::task::block_in_place(|| {
        let mut verify = tributary();
        verify.env("TRIBUTARY_WORKERS_SHARD", "north");
        verify.args(["audit", "show", "--brand", "acme", "--config"]);
        let shown = succeed(verify.arg(world.path("tributary.toml")));
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert_eq!(
            text.matches("continues beside another ledger").count(),
            2,
            "{text}"
        );
    });
}

/// Makes a directory the copy of another one.
fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let mut command = Command::new("cp");
    let copied = command.arg("-a").args([from, to]).status().expect("cp");
    assert!(copied.success());
}

/// The command judges at each repetition what it reads, not only when it begins.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_ledger_that_was_put_back_meanwhile_is_refused() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let mut broker = server.nats();
    broker.pings_stream = Some("TRIBUTARY_PINGS".to_owned());
    let (world, lines) = of_brands(2_000, &broker, ["north", "north", "south"]);
    let client = ready(&broker).await;
    let data = world.path("tributary-data");
    let [older, before] = ["older", "before"].map(|name| world.path(name));
    for (part, kept) in lines.chunks(lines.len() / 2 + 1).zip([&older, &before]) {
        let workers = vec![shard(&world, "north"), shard(&world, "south")];
        play(&client, part, None).await;
        stop_all(&client, &broker, workers).await;
        tokio::task::block_in_place(|| copy(&data, kept));
    }
    let moving = || {
        let mut command = tributary();
        let command = command.args(["ledger", "move", "--brand", "acme", "--config"]);
        let command = command.arg(world.path("tributary.toml"));
        command.stderr(Stdio::piped()).spawn().expect("it starts")
    };
    tokio::task::block_in_place(|| {
        give(&world, "acme", "south");
        let moves = data.join("moves-north-0.json");
        let is_begun = || std::fs::read_to_string(&moves).is_ok_and(|text| text.contains("\"to\""));
        let is_interrupted = (0..100).any(|_| {
            copy(&before, &data);
            let mut child = moving();
            while !is_begun() && child.try_wait().expect("its status").is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            child.kill().expect("it is killed");
            let _ = child.wait();
            is_begun() && !brands(&world, "south").contains(&"acme".to_owned())
        });
        assert!(is_interrupted);
        let north = world.path("tributary-data/process-north-0");
        copy(&older.join("process-north-0"), &north);
        let output = moving().wait_with_output().expect("its output");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && text.contains("process-north-0"),
            "{text}"
        );
        assert_eq!(brands(&world, "south"), ["gamma"]);
        // With what it began with, it ends.
        copy(&before.join("process-north-0"), &north);
        let output = moving().wait_with_output().expect("its output");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        assert!(brands(&world, "south").contains(&"acme".to_owned()));
    });
}

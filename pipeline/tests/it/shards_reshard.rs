//! A process becomes a cluster of three, and that one of two, while the command that does it is killed at random points:
//! OUT equals a replay, and who objected stays out in every process.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::interrupted::ledger_with_kills;
use crate::support::person::{apart, ask, rewrite, somebody};
use crate::support::story::{inspect_open, last, play, ready, refusal};
use crate::support::{Worker, World, chosen, published, tributary};
use tributary_testkit::{NatsServer, free_port};

/// Starts so many processes.
fn start(world: &World, processes: usize) -> Vec<Worker> {
    let config = world.path("tributary.toml");
    if processes == 1 {
        return vec![Worker::start(&config, &[])];
    }
    let hosts: Vec<String> = (0..processes)
        .map(|_| format!("127.0.0.1:{}\n", free_port()))
        .collect();
    let file = world.path(&format!("hosts-{processes}"));
    std::fs::write(&file, hosts.concat()).expect("the hosts");
    let file = file.to_str().expect("a path");
    let process = |process: usize| {
        let process = process.to_string();
        Worker::start(&config, &["--process", &process, "--hostfile", file])
    };
    (0..processes).map(process).collect()
}

/// Leaves what a full disk leaves of a ledger that is begun: the header of its first segment, and no manifest.
fn begin(world: &World, process: usize) {
    let segments = world.ledger(process).join("segments");
    std::fs::create_dir_all(&segments).expect("the directory");
    for directory in [&world.ledger(process), &segments] {
        let owner = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(directory, owner).expect("its permissions");
    }
    let first = std::fs::read_dir(world.ledger(0).join("segments")).expect("segments");
    let first = first.flatten().next().expect("a segment");
    let bytes = std::fs::read(first.path()).expect("its bytes");
    std::fs::write(segments.join("0000000001.seg"), &bytes[..48]).expect("it is written");
}

/// Stops them together.
fn stop(mut workers: Vec<Worker>) {
    workers.iter().for_each(Worker::signal);
    workers.iter_mut().for_each(Worker::end);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_three_two() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let mut broker = server.nats();
    broker.pings_stream = Some("TRIBUTARY_PINGS".to_owned());
    let events = chosen("TRIBUTARY_SHARDS_EVENTS", 9_000);
    let world = World::new(events, Some(&broker), "");
    let lines: Vec<_> = world.trace().collect();
    let email = somebody(&world, &lines);
    let (_, kept) = apart(&world, &lines, &email);
    rewrite(&world, &kept);
    let expected = world.replayed();
    let client = ready(&broker).await;
    let parts: Vec<_> = lines.chunks(lines.len() / 3 + 1).collect();
    let end = async || {
        let records = last(&client, &broker.input_stream).await;
        (
            records,
            last(&client, broker.pings_stream.as_deref().unwrap()).await,
        )
    };

    let mut stopped = Instant::now();
    for (part, processes) in parts.iter().zip([1, 3, 2]) {
        if processes > 1 {
            tokio::task::block_in_place(|| {
                if processes == 3 {
                    begin(&world, 1);
                }
                let to = processes.to_string();
                let arguments = ["reshard", "--to", &to, "--json"];
                let said = ledger_with_kills(&world, &arguments, "processes already", || {
                    let moves = world.path("tributary-data/moves-0.json");
                    if std::fs::read_to_string(&moves).is_ok_and(|text| text.contains("\"to\"")) {
                        let text = refusal(&world, &[]);
                        assert!(
                            text.contains("finish it with `tributary ledger reshard"),
                            "{text}"
                        );
                    }
                });
                eprintln!("{said}");
                // Each has its share of the records.
                let puts: Vec<u64> = (0..processes)
                    .map(|process| {
                        inspect_open(&world, process)["brands"][0]["entries"]["put"]
                            .as_u64()
                            .unwrap()
                    })
                    .collect();
                let all: u64 = puts.iter().sum();
                assert!(
                    puts.iter().all(|puts| puts * 2 * processes as u64 > all),
                    "{puts:?}"
                );
                assert!(!world.ledger(processes).exists());
            });
        }
        let (records, pings) = end().await;
        let workers = tokio::task::block_in_place(|| {
            let workers = start(&world, processes);
            workers
                .iter()
                .for_each(|worker| worker.wait_until_read_both(records, pings));
            eprintln!(
                "{processes} processes are ready {:?} after the stop",
                stopped.elapsed()
            );
            workers
        });
        play(&client, part, None).await;
        let (records, pings) = end().await;
        tokio::task::block_in_place(|| {
            workers
                .iter()
                .for_each(|worker| worker.wait_until_read_both(records, pings));
            if processes == 1 {
                ask(&world, "object", &[&format!("email={email}")]);
            }
            stopped = Instant::now();
            stop(workers);
        });
    }
    let actual = published(&broker).await;
    assert_eq!(actual.len(), expected.len());
    assert!(actual == expected, "run and replay differ");
    // What is left of the third process is nothing.
    assert!(!world.ledger(2).exists() && !world.path("tributary-data/rights-2").exists());
}

/// What the command is repeated with is judged as what it began with.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_ledger_that_was_put_back_meanwhile_is_refused() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(3_000, Some(&broker), "");
    let lines: Vec<_> = world.trace().collect();
    let client = ready(&broker).await;
    let data = world.path("tributary-data");
    let [older, before] = ["older", "before"].map(|name| world.path(name));
    for (part, kept) in lines.chunks(lines.len() / 2 + 1).zip([&older, &before]) {
        let workers = tokio::task::block_in_place(|| start(&world, 2));
        play(&client, part, None).await;
        let end = last(&client, &broker.input_stream).await;
        tokio::task::block_in_place(|| {
            workers
                .iter()
                .for_each(|worker| worker.wait_until_read(end));
            stop(workers);
            copy(&data, kept);
        });
    }
    let reshard = || {
        let mut command = tributary();
        let command = command.args(["ledger", "reshard", "--to", "3", "--config"]);
        let command = command.arg(world.path("tributary.toml"));
        command.stderr(Stdio::piped()).spawn().expect("it starts")
    };
    tokio::task::block_in_place(|| {
        let moves = data.join("moves-0.json");
        let is_begun = || std::fs::read_to_string(&moves).is_ok_and(|text| text.contains("\"to\""));
        let is_interrupted = (0..100).any(|_| {
            copy(&before, &data);
            let mut child = reshard();
            while !is_begun() && child.try_wait().expect("its status").is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            child.kill().expect("it is killed");
            let _ = child.wait();
            let share = tributary_ledger::inspect(&world.ledger(0), None).unwrap();
            is_begun() && share.processes == 2
        });
        assert!(is_interrupted);
        copy(&older.join("process-1"), &world.ledger(1));
        let output = reshard().wait_with_output().expect("its output");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && text.contains("process-1"),
            "{text}"
        );
        // With what it began with, it ends.
        copy(&before.join("process-1"), &world.ledger(1));
        let output = reshard().wait_with_output().expect("its output");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
    });
}

/// Makes a directory the copy of another one.
fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let mut command = Command::new("cp");
    let copied = command.arg("-a").args([from, to]).status().expect("cp");
    assert!(copied.success());
}

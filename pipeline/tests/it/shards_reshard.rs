//! A process becomes a cluster of three, and that one of two, while the command that does it is killed at random points:
//! OUT equals a replay, and who objected stays out in every process.

use std::time::Instant;

use crate::support::interrupted::ledger_with_kills;
use crate::support::person::{apart, ask, rewrite, somebody};
use crate::support::story::{inspect_open, last, play, ready, refusal};
use crate::support::{Worker, World, chosen, published};
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

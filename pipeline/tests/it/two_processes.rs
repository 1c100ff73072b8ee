//! Two worker processes on one host share a brand: each reads its part of the stream, and together they
//! publish the cells of a replay.

use crate::support::story::{last, play, ready, start_both, stop_both, two_processes, until};
use crate::support::{Worker, World, published};
use tributary_connectors::nats;
use tributary_testkit::NatsServer;

/// Names and values of lines of cells, sorted.
fn cells(lines: &[&str]) -> Vec<String> {
    let cell = |line: &&str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        format!("{} {}", line["cell"], line["value"])
    };
    let mut cells: Vec<String> = lines.iter().map(cell).collect();
    cells.sort_unstable();
    cells
}

/// The lines of a family.
fn of_family(lines: &[String], family: &str) -> Vec<String> {
    let named = format!("\"family\":\"{family}\"");
    let lines = lines.iter().map(String::as_str);
    cells(
        &lines
            .filter(|line| line.contains(&named))
            .collect::<Vec<_>>(),
    )
}

/// A replica that starts before the workers says what it lacks, and reads the stream when it is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_without_a_stream_is_not_ready() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(1, Some(&broker), "");
    let client = ready(&broker).await;
    let config = world.path("tributary.toml");
    let (mut replica, sentence) = tokio::task::block_in_place(|| {
        let replica = Worker::serve(&config);
        let mut sentence = String::new();
        until("the replica says what it lacks", || {
            sentence = replica
                .get("/readyz")
                .map_or(String::new(), |(_, body)| body);
            sentence.contains("do not follow the output stream")
        });
        (replica, sentence)
    });
    assert!(sentence.contains(&broker.output_stream), "{sentence}");
    nats::ensure_output_stream(&client, &broker, &["orchard"])
        .await
        .unwrap();
    tokio::task::block_in_place(|| {
        until("the replica is ready", || {
            replica
                .get("/readyz")
                .is_some_and(|(status, _)| status == 200)
        });
        replica.signal();
        assert!(replica.ended().success());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_are_one() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(
        6_000,
        Some(&broker),
        &format!("{}threads = 2", two_processes()),
    );
    let expected = world.replayed();

    let client = ready(&broker).await;
    let trace = world.trace().collect::<Vec<_>>();
    let (before, after) = trace.split_at(trace.len() / 2);
    play(&client, before, None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");
    let both = tokio::task::block_in_place(|| {
        let both = start_both(&config);
        both.iter().for_each(|worker| worker.wait_until_read(end));
        both
    });
    // Once both have released what was there before, every release is one of both, at a multiple of the cadence.
    let mut released = 0;
    let now = |client| last(client, &broker.output_stream);
    loop {
        let before = std::mem::replace(&mut released, now(&client).await);
        if released > 0 && released == before {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    }
    play(&client, after, None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| both.iter().for_each(|worker| worker.wait_until_read(end)));
    let begun = std::time::Instant::now();
    while published(&broker).await != expected {
        assert!(
            begun.elapsed().as_secs() < 120,
            "two processes differ from one"
        );
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let mut stored = nats::last_values(&client, &broker.output_stream, "tributary.out.>")
        .await
        .unwrap();
    let (mut live, mut releases) = (0, std::collections::BTreeSet::new());
    loop {
        let batch = stored.next_batch(1_000).await.unwrap();
        if batch.is_empty() {
            break;
        }
        for cell in batch.iter().filter(|cell| cell.sequence > released) {
            let value: serde_json::Value = serde_json::from_slice(&cell.payload).unwrap();
            let epoch = value["epoch"].as_u64().unwrap();
            assert_eq!(epoch % 1_000, 0, "{value}");
            releases.insert(epoch);
            live += 1;
        }
    }
    assert!(live > 100 && !releases.is_empty(), "{live} in {releases:?}");
    tokio::task::block_in_place(|| {
        // Each process and a replica without a dataflow show the cells of both.
        let mut replica = Worker::serve(&config);
        for family in ["store_day", "orders_day"] {
            let all = of_family(&expected, family);
            assert!(all.len() > 5);
            for process in both.iter().chain([&replica]) {
                let path = format!("/v1/cells/{family}?format=ndjson&limit=10000");
                until(family, || {
                    let answer = process.get(&path);
                    answer.is_some_and(|(status, rows)| {
                        let rows: Vec<&str> = rows.lines().collect();
                        status == 200 && cells(&rows) == all
                    })
                });
            }
        }
        until("the replica is ready", || {
            replica
                .get("/readyz")
                .is_some_and(|(status, _)| status == 200)
        });
        let (_, metrics) = replica.get("/metrics").unwrap();
        assert!(
            !metrics.contains("tributary_records_held") && metrics.contains("tributary_ready 1")
        );
        replica.signal();
        assert!(replica.ended().success());
        stop_both(both);
    });
    let actual = published(&broker).await;
    assert_eq!(actual.len(), expected.len());
    assert!(actual == expected, "two processes differ from one");
}

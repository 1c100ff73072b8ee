//! What is past its retention is deleted at the start of a worker: from the numbers, which are those of a world that never
//! had it, and from the ledger. How much that will be a dry run has said before, and changed nothing.

use crate::support::story::{assert_stands, configure, inspect_open, last, play, ready, until};
use crate::support::{Worker, World, succeed, tributary};
use jiff::ToSpan;
use tributary_connectors::trace::TraceLine;
use tributary_testkit::NatsServer;

/// Whether a line is of the category that ends with its cookie.
fn is_visit(line: &TraceLine) -> bool {
    let data: serde_json::Value = serde_json::from_slice(&line.data).unwrap_or_default();
    let kinds = ["impression", "click", "view", "identify"];
    data["type"]
        .as_str()
        .is_some_and(|kind| kinds.contains(&kind))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_past_its_time_is_gone() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(4_000, Some(&broker), "[workers]\nthreads = 2");
    let lines: Vec<TraceLine> = world.trace().collect();
    let client = ready(&broker).await;
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");
    let everything = world.replayed();
    let puts = || {
        inspect_open(&world, 0)["brands"][0]["entries"]["put"]
            .as_u64()
            .unwrap()
    };
    // The day on which 1200 months reach back as far as one month does today.
    let planned = jiff::Zoned::now()
        .date()
        .checked_add(1199.months())
        .unwrap();
    let foretold = tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        assert_eq!(would_go(&world, &[])["records"], 0);
        let foretold = would_go(&world, &["--at", &planned.to_string()]);
        let table = ask(&world, &["--at", &planned.to_string()]);
        assert!(table.contains("Nothing was changed"), "{table}");
        worker.stop();
        foretold
    });
    assert_stands(&broker, &everything, &[]).await;
    let before = puts();
    // All of the world is older, and every sale would go, too.
    let [cookies, transactions, ..] = &foretold["categories"].as_array().unwrap()[..] else {
        panic!("{foretold}");
    };
    assert_eq!(cookies["category"], "cookies");
    assert!(cookies["cookies"].as_u64() > Some(0), "{foretold}");
    assert!(transactions["records"].as_u64() > Some(0), "{foretold}");

    // The days of the world are past, so that a month is too short for all of it.
    configure(&world, "cookies_months = 1200", "cookies_months = 1");
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        until("the pass is made", || {
            worker.said("retracted expired records")
        });
        let taken_back = worker.metric("tributary_retention_records_total");
        assert_eq!(taken_back, cookies["records"].as_f64(), "as foretold");
        worker.wait_until_read(end);
        assert_eq!(would_go(&world, &[])["records"], 0, "nothing is left");
        worker.stop();
    });
    let mut text = String::new();
    for line in lines.iter().filter(|line| !is_visit(line)) {
        let data = String::from_utf8(line.data.clone()).unwrap();
        let line = serde_json::json!({"subject": line.subject, "at": line.at, "data": data});
        text.push_str(&format!("{line}\n"));
    }
    std::fs::write(world.path("trace.ndjson"), text).unwrap();
    let expected = world.replayed();
    assert!(expected.len() < everything.len());
    assert_stands(&broker, &expected, &[]).await;
    assert!(puts() < before, "{} entries of {before}", puts());

    // There is nothing left to be done, and a longer time brings nothing back.
    configure(&world, "cookies_months = 1\n", "cookies_months = 1200\n");
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        worker.stop();
        assert!(!worker_said_pass(&world));
    });
    assert_stands(&broker, &expected, &[]).await;
}

/// Queries the running worker what would go.
fn ask(world: &World, more: &[&str]) -> String {
    let mut command = tributary();
    command
        .args(["retention", "--config"])
        .arg(world.path("tributary.toml"))
        .args(more);
    String::from_utf8(succeed(&mut command).stdout).unwrap()
}

fn would_go(world: &World, more: &[&str]) -> serde_json::Value {
    serde_json::from_str(&ask(world, &[more, &["--json"]].concat())).unwrap()
}

/// Whether a worker that starts now finds anything past its time.
fn worker_said_pass(world: &World) -> bool {
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    until("it is ready", || {
        worker
            .get("/readyz")
            .is_some_and(|(status, _)| status == 200)
    });
    let said = worker.said("retracted expired records");
    worker.stop();
    said
}

//! Words come from outside: a campaign that no record names any more leaves the memory of the workers, and with the next
//! rewrite their ledger, and comes back under its name when a record names it again. A worker is killed in between, and
//! the cells are those of a replay.

use std::collections::BTreeSet;

use crate::support::person::{ask, rewrite};
use crate::support::story::{assert_stands, inspect_open, last, play, position, ready, until};
use crate::support::{Worker, World};
use serde_json::json;
use tributary_connectors::trace::TraceLine;
use tributary_testkit::NatsServer;

const BEGIN: i64 = 1_760_000_000_000;

/// Clicks under some campaigns, each with the number of its record.
fn clicks(campaigns: impl Iterator<Item = (usize, String)>, at: i64) -> Vec<TraceLine> {
    let line = |(number, campaign): (usize, String)| {
        let data = json!({
            "id": format!("click {number}"), "ts": BEGIN, "type": "click",
            "cookie": format!("cookie {number}"),
            "url": format!("https://orchard.example/?utm_source=mail&utm_medium=email&utm_campaign={campaign}"),
        });
        TraceLine {
            subject: "tributary.in.orchard.web".to_owned(),
            at,
            headers: Vec::new(),
            data: data.to_string().into_bytes(),
        }
    };
    campaigns.map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_nothing_names_are_forgotten_and_come_back() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(1, Some(&broker), "[workers]\nthreads = 2");
    let client = ready(&broker).await;
    let config = world.path("tributary.toml");
    let worker = Worker::start(&config, &[]);
    let mut lines = Vec::new();

    // Six hundred campaigns, each of one record.
    let spring = clicks((0..600).map(|n| (n, format!("spring-{n}"))), BEGIN);
    play(&client, &spring, None).await;
    lines.extend(spring);
    let end = last(&client, &broker.input_stream).await;
    let held = |worker: &Worker| worker.metric("tributary_labels_held").unwrap_or(0.0);
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        until("all are held", || held(&worker) >= 600.0);
    });
    let words = || {
        let inspection = inspect_open(&world, 0);
        let segments = inspection["segments"].as_array().unwrap().iter();
        let of = |segment: &serde_json::Value| segment["entries"]["word"].as_u64().unwrap();
        segments.map(of).sum::<u64>()
    };
    assert!(words() >= 600, "{}", words());

    // All of them are corrected to one.
    let corrected = clicks((0..600).map(|n| (n, "summer".to_owned())), BEGIN + 1);
    play(&client, &corrected, None).await;
    lines.extend(corrected);
    // They are withdrawn while other records come.
    for n in 600.. {
        let more = clicks(std::iter::once((n, "summer".to_owned())), BEGIN + 2);
        play(&client, &more, None).await;
        lines.extend(more);
        let end = last(&client, &broker.input_stream).await;
        tokio::task::block_in_place(|| worker.wait_until_read(end));
        if held(&worker) < 20.0 {
            break;
        }
        assert!(n < 700, "{} labels are held", held(&worker));
    }

    // An erasure writes the ledger anew.
    let hers = json!({
        "id": "hers", "ts": BEGIN, "store": "lyon", "amount": 10, "email": "her@example.com",
    });
    let hers = TraceLine {
        subject: "tributary.in.orchard.transaction".to_owned(),
        at: BEGIN + 3,
        headers: Vec::new(),
        data: hers.to_string().into_bytes(),
    };
    play(&client, &[hers], None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        ask(&world, "erase", &["email=her@example.com"]);
        worker.kill();
    });
    assert!(words() < 20, "{}", words());

    // Half of the names come again, and new ones, under other records, from a worker that was killed.
    let worker = Worker::start(&config, &[]);
    let again = (1_000..1_300).map(|n| (n, format!("spring-{}", n - 1_000)));
    let autumn = (1_300..1_500).map(|n| (n, format!("autumn-{n}")));
    let more = clicks(again.chain(autumn), BEGIN + 4);
    play(&client, &more, None).await;
    lines.extend(more);
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        // Reading a message is not yet storing it.
        worker.wait_until_read(end);
        until("all is stored", || position(&world.ledger(0)) >= end);
        worker.kill();
    });
    assert!(words() >= 500, "{}", words());
    rewrite(&world, &lines);
    let expected = world.replayed();
    let names: BTreeSet<&str> = expected
        .iter()
        .flat_map(|cell| cell.split('"'))
        .filter(|name| name.starts_with("spring-") || name.starts_with("autumn-"))
        .collect();
    assert_eq!(names.len(), 500);
    let worker = Worker::start(&config, &[]);
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        worker.stop();
    });
    assert_stands(&broker, &expected, &[]).await;
}

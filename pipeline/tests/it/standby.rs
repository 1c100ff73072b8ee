//! A standby takes the place of the worker that leads: after a kill, after an orderly end, and while the former leader is
//! suspended. Whoever returns follows. What was erased is erased in every copy, and a copy that lacks it does not lead.
//! `TRIBUTARY_STANDBY_EVENTS` says how many events the first takeover has.

use std::time::{Duration, Instant};

use crate::support::candidates::{
    candidate, follows, leads, start, until_it_follows, until_it_leads,
};
use crate::support::person::{apart, ask, found, receipt_of, rewrite, somebody};
use crate::support::story::{assert_stands, inspect, last, play, position, ready, until};
use crate::support::{Worker, World, chosen, published, succeed, tributary};
use serde_json::Value;
use tributary_connectors::nats::TERM;
use tributary_simulate::Options;
use tributary_testkit::NatsServer;

fn world(broker: &tributary_config::model::Nats, events: u64) -> World {
    let options = Options {
        events: Some(events),
        k: 1,
        ..Options::default()
    };
    World::of(options, Some(broker), "")
}

/// Waits until a standby has restored its whole copy, so many times since its start.
fn until_it_has_restored(standby: &Worker, times: usize) {
    until("it has restored its copy", || {
        let log = standby.log();
        log.matches("this standby has restored its copy").count() >= times
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_and_the_former_leader_follows() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = world(&broker, chosen("TRIBUTARY_STANDBY_EVENTS", 6_000));
    let expected = world.replayed();
    let refused = world.refused();
    let [first, second] = [0, 1].map(|number| candidate(&world, number, None));
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    let third = lines.len() / 3;

    play(&client, &lines[..third], None).await;
    let end = last(&client, &broker.input_stream).await;
    let (one, two) = tokio::task::block_in_place(|| {
        let one = start(&first);
        one.wait_until_read(end);
        let two = start(&second);
        until_it_follows(&two);
        let (_, text) = two.get("/readyz").unwrap();
        assert!(text.contains("publishes nothing"), "{text}");
        assert_eq!(two.metric("tributary_standby"), Some(1.0));
        until("the leader counts its standby", || {
            one.metric("tributary_standbys") == Some(1.0)
        });
        // A standby answers with the released cells.
        until("it shows the cells", || {
            let cells = two.get("/v1/cells/store_day?format=ndjson");
            cells.is_some_and(|(status, body)| status == 200 && body.contains("revenue"))
        });
        until_it_has_restored(&two, 1);
        (one, two)
    });
    play(&client, &lines[third..2 * third], None).await;
    tokio::task::block_in_place(|| {
        one.kill();
        let killed = Instant::now();
        until_it_leads(&two);
        let took = killed.elapsed();
        eprintln!("took over {took:?} after the kill");
        assert!(two.said("taking over from"));
    });
    play(&client, &lines[2 * third..], None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        two.wait_until_read(end);
        // The former leader has a ledger, and follows.
        let one = start(&first);
        until_it_follows(&one);
        until_it_has_restored(&one, 1);
        until("nothing is left to restore", || {
            one.metric("tributary_standby_unrestored_bytes") == Some(0.0)
        });
        two.stop();
        let stopped = Instant::now();
        until("it takes the lease", || one.said("took the lease"));
        assert!(
            stopped.elapsed() < TERM,
            "a lease that was given back is free at once"
        );
        one.wait_until_read(end);
        // What it had restored before is not restored again.
        until_it_leads(&one);
        let entries = || one.metric("tributary_ledger_entries").unwrap_or(0.0);
        until("it counts its ledger", || entries() > 0.0);
        let restored = one.metric("tributary_restored_entries").unwrap();
        assert!(restored < entries() / 10.0, "{restored} of {}", entries());
        one.stop();
    });
    assert_stands(&broker, &expected, &refused).await;
    let ids = [0, 1]
        .map(|number| inspect(&world.path(&format!("data-{number}/process-0")))["ledger"].clone());
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_wakes_ends_and_follows_when_it_returns() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = world(&broker, 4_000);
    let expected = world.replayed();
    let [first, second] = [0, 1].map(|number| candidate(&world, number, None));
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    let (before, after) = lines.split_at(lines.len() / 2);
    let (mut one, two) = tokio::task::block_in_place(|| {
        let one = start(&first);
        until_it_leads(&one);
        let two = start(&second);
        until_it_follows(&two);
        (one, two)
    });
    play(&client, before, None).await;
    one.signal_with("-STOP");
    play(&client, after, None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        until_it_leads(&two);
        two.wait_until_read(end);
        one.signal_with("-CONT");
        assert!(!one.ended().success());
        assert!(one.said("may no longer publish"), "{}", one.log());
        let one = start(&first);
        until_it_follows(&one);
        // Its ledger is that of the new leader, whatever it has read beside it.
        let at = |number| position(&world.path(&format!("data-{number}/process-0")));
        until("the copy is at the end", || at(0) == end);
        two.stop();
        until_it_leads(&one);
        one.wait_until_read(end);
        one.stop();
    });
    assert!(published(&broker).await == expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_is_erased_in_the_copy_and_an_older_copy_does_not_lead() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = world(&broker, 4_000);
    let [first, second] = [0, 1].map(|number| candidate(&world, number, None));
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    let one_person = somebody(&world, &lines);
    let (_, without) = apart(&world, &lines, &one_person);
    let another = somebody(&world, &without);
    let (_, without) = apart(&world, &without, &another);
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        let one = start(&first);
        one.wait_until_read(end);
        let two = start(&second);
        until_it_follows(&two);
        until_it_has_restored(&two, 1);
        let erase = |email: &str, id: &str| {
            let out = world.path(id);
            let identifier = format!("email={email}");
            let out_text = out.display().to_string();
            ask(
                &world,
                "erase",
                &[&identifier, "--id", id, "--out", &out_text],
            );
            receipt_of(&std::fs::read_to_string(out).unwrap())
        };
        // The copy has the entry of the log when the receipt is there, and nothing of her.
        let receipt = erase(&one_person, "first");
        assert!(
            receipt["counts"]["ledger_entries"].as_u64().unwrap() > 0,
            "{receipt}"
        );
        let log = |number: usize| {
            let log = format!("data-{number}/rights-0/audit/orchard.jsonl");
            std::fs::read_to_string(world.path(&log)).unwrap_or_default()
        };
        // A later state may be on its way, for which files are replaced.
        until("the copy has the log", || {
            log(0).contains("\"completed\"") && log(0) == log(1)
        });
        assert_eq!(entries(&world, 0), entries(&world, 1));
        let needle = one_person.as_bytes().to_vec();
        assert!(found(&world.path("data-1"), &[needle]).is_empty());
        // What it had restored with her is ended, and it begins without.
        until_it_has_restored(&two, 2);

        // A standby that is suspended meanwhile is not waited for, and must not lead with what it has.
        two.signal_with("-STOP");
        erase(&another, "second");
        one.kill();
        two.signal_with("-CONT");
        until("it says why it cannot take over", || {
            let ready = two.get("/readyz");
            ready.is_some_and(|(status, text)| {
                status == 503 && text.contains("its copy is older than")
            })
        });
        std::thread::sleep(TERM + Duration::from_secs(2));
        assert!(!leads(&two));
        // The leader returns, and the standby catches up.
        let one = start(&first);
        until_it_leads(&one);
        until_it_follows(&two);
        one.kill();
        until_it_leads(&two);
        two.wait_until_read(end);
        two.stop();
    });
    rewrite(&world, &without);
    let expected = world.replayed();
    assert_stands(&broker, &expected, &[]).await;
    let mut verify = tributary();
    verify.args(["audit", "verify", "--config"]).arg(&second);
    succeed(&mut verify);
}

/// The number of entries of a candidate's ledger.
fn entries(world: &World, number: usize) -> Value {
    let mut inspect = tributary();
    inspect
        .args(["ledger", "inspect", "--json", "--config"])
        .arg(world.path("tributary.toml"))
        .arg(world.path(&format!("data-{number}/process-0")));
    let inspected: Value = serde_json::from_slice(&succeed(&mut inspect).stdout).unwrap();
    inspected["brands"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_of_another_ledger_or_without_a_leader_waits_and_says_why() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = world(&broker, 2_000);
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let second = candidate(&world, 1, None);
    tokio::task::block_in_place(|| {
        let one = Worker::start(&world.path("tributary.toml"), &[]);
        one.wait_until_read(end);
        let two = start(&second);
        let says = |text: &str| {
            until(text, || {
                let ready = two.get("/readyz");
                ready.is_some_and(|(status, why)| status == 503 && why.contains(text))
            });
        };
        says("set workers.standby = true there");
        one.kill();
        std::thread::sleep(TERM + Duration::from_secs(2));
        assert!(!leads(&two) && !follows(&two));
        says("it has no copy of the ledger");
        two.stop();
    });
}

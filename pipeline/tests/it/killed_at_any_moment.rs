//! A worker and its broker are killed at random moments while a trace comes in: restoring, reading, committing,
//! publishing. In the end the cells are those of a replay, the ledger holds what was accepted once each, and every
//! refused line is a dead letter (invariants I4 and I5).
//!
//! `TRIBUTARY_FAULT_EVENTS`, `TRIBUTARY_FAULT_KILLS`, `TRIBUTARY_FAULT_BROKER_KILLS` and `TRIBUTARY_SEED` make it longer
//! or another one; `make soak` does.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::story::inspect_open;
use crate::support::{Worker, World, chosen, published, refused_by_broker};
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tributary_config::model::Kind;
use tributary_connectors::address_mask::mask_line;
use tributary_connectors::nats;
use tributary_loadtest::replay::{Pace, RateCurve, ReplayOptions, replay};
use tributary_simulate::Options;
use tributary_testkit::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment() {
    killed(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_with_pings_apart() {
    killed(Some("TRIBUTARY_PINGS")).await;
}

/// Kills worker and broker while a trace comes in, whose pings have a stream of their own or not.
async fn killed(pings: Option<&str>) {
    let Some(mut server) = NatsServer::start_or_skip("") else {
        return;
    };
    let events = chosen("TRIBUTARY_FAULT_EVENTS", 30_000);
    let kills = chosen("TRIBUTARY_FAULT_KILLS", 12);
    let broker_kills = chosen("TRIBUTARY_FAULT_BROKER_KILLS", 3).min(kills);
    let seed = chosen("TRIBUTARY_SEED", 7);
    eprintln!("{events} events, {kills} kills, {broker_kills} of the broker, seed {seed}");
    let mut broker = server.nats();
    broker.pings_stream = pings.map(str::to_owned);
    let options = Options {
        events: Some(events),
        pack: if events > 100_000 { 50 } else { 4 },
        bad: 0.002,
        seed,
        partners: pings.is_some(),
        ..Options::default()
    };
    let world = World::of(options, Some(&broker), "[workers]\nthreads = 2").without_cookies();
    let expected = world.replayed();
    let refused = world.refused();
    assert!(!refused.is_empty(), "the trace holds bad lines");

    let client = nats::connect(&broker, "test").await.unwrap();
    nats::ensure_input_stream(&client, &broker, &["orchard"])
        .await
        .unwrap();
    // The trace comes in while the first half of the kills happen.
    let mean_ms = 300 + events / 400;
    let seconds = (kills * mean_ms) as f64 / 2_000.0;
    let options = ReplayOptions {
        pace: Pace::Rate(RateCurve::constant(events as f64 / seconds)),
        ..ReplayOptions::default()
    };
    let trace: Vec<_> = world.trace().map(Ok).collect();
    let playing = tokio::spawn(async move {
        replay(&[client], trace.into_iter(), options, |_| {})
            .await
            .unwrap();
    });

    let config = world.path("tributary.toml");
    let mut dice = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let after = |dice: &mut rand_chacha::ChaCha8Rng, most: u64| {
        std::thread::sleep(Duration::from_millis(dice.random_range(0..most)));
    };
    tokio::task::block_in_place(|| {
        for kill in 0..kills {
            let worker = Worker::start(&config, &[]);
            if kill * broker_kills / kills != (kill + 1) * broker_kills / kills {
                after(&mut dice, mean_ms);
                server.kill();
                after(&mut dice, 500);
                server.restart();
            }
            after(&mut dice, 2 * mean_ms);
            worker.kill();
        }
    });
    playing.await.unwrap();

    let client = nats::connect(&broker, "test").await.unwrap();
    let state = nats::stream_state(&client, &broker.input_stream)
        .await
        .unwrap();
    let of_pings = match &broker.pings_stream {
        Some(stream) => {
            nats::stream_state(&client, stream)
                .await
                .unwrap()
                .last_sequence
        }
        None => 0,
    };
    assert_eq!(of_pings > 100, pings.is_some(), "{of_pings} pings apart");
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read_both(state.last_sequence, of_pings);
        worker.stop();
    });

    let actual = published(&broker).await;
    let differs = |from: &[String], other: &[String]| -> Vec<String> {
        let other: BTreeSet<&String> = other.iter().collect();
        from.iter()
            .filter(|line| !other.contains(line))
            .take(3)
            .cloned()
            .collect()
    };
    assert!(
        actual == expected,
        "the cells differ, first from a replay's {:#?} and from those published {:#?}",
        differs(&expected, &actual),
        differs(&actual, &expected),
    );

    let inspection = inspect_open(&world, 0);
    let brands = inspection["brands"].as_array().unwrap();
    let of = |kind: &str| -> u64 {
        let counts = brands.iter().map(|brand| &brand["entries"][kind]);
        counts.map(|count| count.as_u64().unwrap()).sum()
    };
    let summary = world.summary();
    let accepted = summary["accepted"].as_object().unwrap();
    let pings = accepted["ping"].as_u64().unwrap();
    let records = accepted.values().filter_map(Value::as_u64).sum::<u64>() - pings;
    // A sighting that is settled leaves a visit and a member of the panel at most.
    let left = accepted.get("partner").and_then(Value::as_u64).unwrap_or(0);
    let records = records + 2 * left;
    // Rewrites leave out what was corrected or superseded, and the pings of days that settled.
    let (put, held) = (of("put"), summary["held"].as_u64().unwrap());
    assert!(
        (held..=records).contains(&put),
        "the ledger holds {put} records of {held}"
    );
    assert!(of("heard") <= pings && of("settled") > 0);

    let pings_apart = broker.pings_stream.is_some();
    let dead: BTreeSet<String> = refused_by_broker(&broker).await.into_iter().collect();
    for line in refused {
        let mut data = line.data.clone();
        let kind = line.subject.split('.').nth(3).and_then(Kind::of_subject);
        if pings_apart {
            mask_line(kind.map(Kind::name), &mut data);
        }
        let line = String::from_utf8_lossy(&data).into_owned();
        assert!(dead.contains(&line), "no dead letter holds {line}");
    }
}

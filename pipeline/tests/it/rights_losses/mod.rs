//! The ledger, the objection list, the audit log and the receipts at the broker are one thing. Whichever of them is
//! missing, empty, cut to its beginning, an older copy or damaged, in every combination, a start is refused and names
//! it; with the loss accepted, the worker continues, and refuses everyone it still knows to have objected. What a kill leaves at any
//! moment is no loss.

mod deployment;
mod kills;
mod restored;

use serde_json::json;
use tributary::privacy::rights::files;
use tributary_rights::suppression::{Record, SuppressionFile};

use crate::support::person::{ask, receipt_of};
use crate::support::story::{contents, inspect_open, last, play, refusal, until};
use crate::support::{Worker, World, succeed, tributary};
use deployment::*;

/// Whether nothing can tell these from what is now, or from a beginning. All as it was at one time is found by the lease.
fn is_whole(local: [State; 3], broker: State) -> bool {
    let nothing = [State::Missing, State::Empty, State::Beginning];
    (local == [State::Good; 3] && broker == State::Good)
        || (local == [State::Missing; 3] && nothing.contains(&broker))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_combination_is_refused_by_name() {
    let Some(story) = Story::new().await else {
        return;
    };
    let config = story.world.config();
    let mut refused = 0;
    for broker in STATES {
        story.publish(broker).await;
        for ledger in STATES {
            for list in STATES {
                for log in STATES {
                    let local = [ledger, list, log];
                    story.place(local);
                    let losses = story.losses(&config).await;
                    let states = format!("{local:?} {broker:?}");
                    assert_eq!(
                        losses.is_empty(),
                        is_whole(local, broker),
                        "{states}: {losses:#?}"
                    );
                    // One that is not as it was is named at least.
                    let places = PARTS.into_iter().zip(local);
                    let mut wrong: Vec<&str> = places
                        .filter(|(_, state)| *state != State::Good)
                        .map(|(part, _)| part.place())
                        .collect();
                    wrong.extend((broker != State::Good).then_some(STREAM));
                    let named = |loss: &String| wrong.iter().any(|place| loss.contains(place));
                    assert!(
                        losses.is_empty() || losses.iter().any(named),
                        "{states}: {losses:#?}"
                    );
                    refused += usize::from(!losses.is_empty());
                }
            }
        }
    }
    eprintln!("{refused} combinations are refused");
    assert_eq!(refused, 6 * 6 * 6 * 6 - 4);

    // What a kill may leave behind the last thing that was durable is no loss.
    story.publish(State::Good).await;
    for bytes in 1..48 {
        story.place([State::Good; 3]);
        let append = |place: &str, tail: &[u8]| {
            let file = std::fs::OpenOptions::new()
                .append(true)
                .open(story.data().join(place));
            std::io::Write::write_all(&mut file.unwrap(), tail).unwrap();
        };
        append("rights-0/objections", &[7; 48][..bytes]);
        append(
            "rights-0/audit/orchard.jsonl",
            &b"{\"at\":1700000000000,\"brand\":\"orchard\",\"event\":\"re"[..bytes],
        );
        assert_eq!(story.losses(&config).await, Vec::<String>::new(), "{bytes}");
    }
    // An objection is on the list, and nothing else knows it yet.
    story.place([State::Good; 3]);
    let list = story.data().join("rights-0/objections");
    let keys = files::keys(&config.brands[0]);
    let brands = std::slice::from_ref(&keys);
    let mut file = SuppressionFile::open(&list, brands, [0; 16]).unwrap().file;
    let record = Record::objected(&keys, keys.newest(), 7, 1_700_000_000_000).unwrap();
    file.append(&keys, &[record]).unwrap();
    drop(file);
    assert_eq!(story.losses(&config).await, Vec::<String>::new());

    // A request is completed by the log and has no receipt: it still waits, or its receipt was lost.
    let mut killed = story.good.messages.clone();
    let is_receipt = |(subject, _): &(String, Vec<u8>)| subject.ends_with(".receipt");
    let last_receipt = killed.iter().rposition(is_receipt).unwrap();
    let (subject, receipt) = killed.remove(last_receipt);
    let before = killed.iter().filter(|message| is_receipt(message)).count();
    story.publish_all(killed.clone()).await;
    assert_eq!(story.losses(&config).await.len(), 1);
    let id = receipt_of(std::str::from_utf8(&receipt).unwrap())["request"].clone();
    let request = json!({
        "id": id, "ts": "2025-11-20T09:00:00Z", "type": "object", "brand": "orchard",
        "identifiers": [{"kind": "email", "value": "carol@shop.example"}], "proof": "t",
    });
    let requests = subject.replace(".receipt", ".request");
    killed.push((requests, request.to_string().into_bytes()));
    story.publish_all(killed).await;
    assert_eq!(story.losses(&config).await, Vec::<String>::new());
    assert_eq!(before, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_refuses_changes_nothing_and_goes_on_when_told() {
    let Some(story) = Story::new().await else {
        return;
    };
    let good = [State::Good; 3];
    let with = |place: usize, state: State| {
        let mut local = good;
        local[place] = state;
        local
    };
    let puts = |world: &World| {
        let brands = &inspect_open(world, 0)["brands"];
        brands[0]["entries"]["put"].as_u64().unwrap()
    };
    story.place(good);
    let good_puts = puts(&story.world);
    story.place(with(0, State::Older));
    assert!(puts(&story.world) > good_puts);
    let all = [State::Missing; 3];
    let cases = [
        (all, State::Good, "objections is missing"),
        (
            [State::Good, State::Missing, State::Missing],
            State::Good,
            "objections is missing",
        ),
        (
            with(1, State::Missing),
            State::Good,
            "objections is missing",
        ),
        (with(1, State::Empty), State::Good, "objections"),
        (
            with(1, State::Beginning),
            State::Good,
            "objections has 0 entries",
        ),
        (with(1, State::Older), State::Good, "objections has"),
        (
            with(1, State::Damaged),
            State::Good,
            "objections: broken at byte",
        ),
        (
            with(2, State::Missing),
            State::Good,
            "orchard.jsonl is missing",
        ),
        (
            with(2, State::Damaged),
            State::Good,
            "orchard.jsonl: broken at line",
        ),
        (with(0, State::Older), State::Good, "MANIFEST is older"),
        ([State::Older; 3], State::Good, "orchard.jsonl has"),
        (good, State::Missing, "TRIBUTARY_RIGHTS"),
    ];
    let at = story.world.trace().last().unwrap().at;
    for (round, (local, broker, words)) in (2..).zip(cases) {
        eprintln!("{local:?} {broker:?}");
        story.publish(broker).await;
        story.place(local);
        let before = tokio::task::block_in_place(|| {
            let before = std::fs::exists(story.data())
                .unwrap()
                .then(|| contents(&story.data()));
            let refusal_text = refusal(&story.world, &[]);
            assert!(
                refusal_text.contains(words) && refusal_text.contains("--accept-loss"),
                "{words}: {refusal_text}"
            );
            before
        });
        let after = std::fs::exists(story.data())
            .unwrap()
            .then(|| contents(&story.data()));
        // A ledger is opened and closed again, which may cut what no commit holds and nothing else.
        assert!(after == before, "a refusal has changed something");

        // Accepted once, it is accepted; and whoever still stands on the list stays out.
        let lists = local[1] == State::Good || local[1] == State::Damaged;
        tokio::task::block_in_place(|| {
            let worker = Worker::start(&story.world.path("tributary.toml"), &["--accept-loss"]);
            worker.wait_until_read(0);
            worker.stop();
            // Of an older ledger nobody on the list comes back.
            if local == with(0, State::Older) {
                assert_eq!(puts(&story.world), good_puts);
            }
        });
        let more = lines_of("ada", round, at);
        play(&story.client, &more, None).await;
        let end = last(&story.client, &story.broker.input_stream).await;
        tokio::task::block_in_place(|| {
            let worker = Worker::start(&story.world.path("tributary.toml"), &[]);
            worker.wait_until_read(end);
            let refused = || {
                worker
                    .metric("tributary_records_suppressed_total")
                    .unwrap_or(0.0)
            };
            if lists {
                until("she is kept out", || refused() >= more.len() as f64);
            }
            // What is asked and answered from now on belongs together again.
            ask(&story.world, "restrict", &["email=bob@shop.example"]);
            worker.stop();
            let worker = Worker::start(&story.world.path("tributary.toml"), &[]);
            worker.wait_until_read(end);
            worker.stop();
            let mut audit = tributary();
            let audit = audit.args(["audit", "verify", "--config"]);
            succeed(audit.arg(story.world.path("tributary.toml")));
        });
    }
}

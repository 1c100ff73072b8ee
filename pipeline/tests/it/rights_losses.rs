//! The ledger, the objection list, the audit log and the receipts at the broker are one thing. Whichever of them is
//! missing, empty, cut to its beginning, an older copy or damaged, in every combination, a start is refused and names
//! it; told to go on, the worker does, and keeps out whom it still knows to have objected. What a kill leaves at any
//! moment is no loss.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::support::person::ask;
use crate::support::story::{contents, inspect, last, play, ready, refusal, until};
use crate::support::{Worker, World, chosen, succeed, tributary};
use async_nats::jetstream;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tributary::privacy::rights::losses;
use tributary_config::model::{Config, Nats};
use tributary_connectors::nats::{self, Client, Reader};
use tributary_connectors::trace::TraceLine;
use tributary_ledger::{Keyring, Ledger, Options};
use tributary_simulate as simulate;
use tributary_testkit::NatsServer;

const STREAM: &str = "TRIBUTARY_RIGHTS";

/// How one of the four is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    Missing,
    Empty,
    Beginning,
    Older,
    Damaged,
}

const STATES: [State; 6] = [
    State::Good,
    State::Missing,
    State::Empty,
    State::Beginning,
    State::Older,
    State::Damaged,
];

/// The files below a directory, by their paths in it.
type Files = BTreeMap<PathBuf, Vec<u8>>;
/// Messages of the rights stream.
type Messages = Vec<(String, Vec<u8>)>;

/// What a deployment has kept at one time.
#[derive(Clone)]
struct Kept {
    files: Files,
    messages: Messages,
}

/// A deployment that has answered requests, and what it was some requests before.
struct Story {
    world: World,
    client: Client,
    broker: Nats,
    older: Kept,
    good: Kept,
    _server: NatsServer,
}

fn small() -> simulate::Options {
    simulate::Options {
        events: Some(300),
        bad: 0.0,
        ..simulate::Options::default()
    }
}

/// Two visits of a person, of which the second names the address alone.
fn lines_of(name: &str, round: u32, at: i64) -> Vec<TraceLine> {
    let email = format!("{name}@shop.example");
    let order = json!({"id": format!("{name}-order-{round}"), "ts": at, "type": "order", "cookie": format!("cookie-{name}"), "email": email, "amount": "12.00"});
    let sale = json!({"id": format!("{name}-sale-{round}"), "ts": at, "store": "lyon", "amount": "30.00", "email": email});
    [("web", order), ("transaction", sale)]
        .map(|(kind, data)| TraceLine {
            subject: format!("tributary.in.orchard.{kind}"),
            at,
            headers: Vec::new(),
            data: data.to_string().into_bytes(),
        })
        .to_vec()
}

async fn messages(client: &Client) -> Messages {
    let mut reader = Reader::open(client, STREAM, 1).await.unwrap();
    let mut all = Vec::new();
    loop {
        let batch = reader.next_batch(1_000, Duration::from_millis(300)).await;
        let batch = batch.unwrap();
        if batch.is_empty() {
            return all;
        }
        let pairs = batch.into_iter();
        all.extend(pairs.map(|message| (message.subject.to_string(), message.payload.to_vec())));
    }
}

impl Story {
    async fn new() -> Option<Story> {
        let server = NatsServer::start_or_skip("")?;
        let broker = server.nats();
        let world = World::of(small(), Some(&broker), "");
        let client = ready(&broker).await;
        let mut lines: Vec<TraceLine> = world.trace().collect();
        let at = lines.last().unwrap().at;
        for name in ["ada", "bob", "carol"] {
            lines.extend(lines_of(name, 1, at));
        }
        play(&client, &lines, None).await;
        let mut story = Story {
            world,
            client,
            broker,
            older: Kept {
                files: Files::new(),
                messages: Vec::new(),
            },
            good: Kept {
                files: Files::new(),
                messages: Vec::new(),
            },
            _server: server,
        };
        story.object("ada").await;
        story.older = story.kept().await;
        story.object("bob").await;
        story.object("carol").await;
        story.good = story.kept().await;
        Some(story)
    }

    async fn object(&self, name: &str) {
        let end = last(&self.client, &self.broker.input_stream).await;
        tokio::task::block_in_place(|| {
            let worker = Worker::start(&self.world.path("tributary.toml"), &[]);
            worker.wait_until_read(end);
            ask(
                &self.world,
                "object",
                &[&format!("email={name}@shop.example"), "--whole-person"],
            );
            worker.stop();
        });
    }

    fn data(&self) -> PathBuf {
        self.world.path("tributary-data")
    }

    async fn kept(&self) -> Kept {
        let data = self.data();
        let files = contents(&data).into_iter();
        let files =
            files.map(|(path, bytes)| (path.strip_prefix(&data).unwrap().to_owned(), bytes));
        Kept {
            files: files.collect(),
            messages: messages(&self.client).await,
        }
    }

    /// The files of one of the local three, as they are found in a state.
    fn files(&self, part: Part, state: State) -> Files {
        let of = |kept: &Kept| -> Files {
            let files = kept.files.iter();
            let files = files.filter(|(path, _)| path.starts_with(part.place()));
            files
                .map(|(path, bytes)| (path.clone(), bytes.clone()))
                .collect()
        };
        let good = of(&self.good);
        let each = |change: &dyn Fn(&Path, &mut Vec<u8>)| {
            let mut files = good.clone();
            files
                .iter_mut()
                .for_each(|(path, bytes)| change(path, bytes));
            files
        };
        match (state, part) {
            (State::Good, _) => good,
            (State::Older, _) => of(&self.older),
            (State::Missing, _) => Files::new(),
            (State::Empty, _) => each(&|_, bytes| bytes.clear()),
            // Header of each segment, of the list; first line of the log.
            (State::Beginning, Part::Ledger) => each(&|path, bytes| {
                if path.extension().is_some_and(|end| end == "seg") {
                    bytes.truncate(48);
                }
            }),
            (State::Beginning, Part::List) => each(&|_, bytes| bytes.truncate(48)),
            (State::Beginning, Part::Log) => each(&|_, bytes| {
                let line = bytes.iter().position(|byte| *byte == b'\n').unwrap();
                bytes.truncate(line + 1);
            }),
            (State::Damaged, _) => each(&|_, bytes| {
                let (middle, length) = (bytes.len() / 2, bytes.len());
                bytes.drain(middle..(middle + 5).min(length));
            }),
        }
    }

    fn put(&self, files: &Files) {
        for (path, bytes) in files {
            let path = self.data().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }

    /// The local three in these states, and nothing else.
    fn place(&self, states: [State; 3]) {
        let _ = std::fs::remove_dir_all(self.data());
        for (part, state) in PARTS.into_iter().zip(states) {
            self.put(&self.files(part, state));
        }
    }

    /// The rights stream in a state.
    async fn publish(&self, state: State) {
        if state == State::Missing {
            let jetstream = jetstream::new(self.client.clone());
            let _ = jetstream.delete_stream(STREAM).await;
            return;
        }
        let mut all = match state {
            State::Older => self.older.messages.clone(),
            _ => self.good.messages.clone(),
        };
        let receipt = |subject: &String| subject.ends_with(".receipt");
        match state {
            State::Empty => all.clear(),
            // Statuses are there, and nothing that proves anything.
            State::Beginning => all.retain(|(subject, _)| subject.ends_with(".status")),
            State::Damaged => {
                let newest = all.iter_mut().rfind(|(subject, _)| receipt(subject));
                let bytes = &mut newest.unwrap().1;
                bytes.truncate(bytes.len() / 2);
            }
            _ => {}
        }
        self.publish_all(all).await;
    }

    /// The rights stream with these messages alone.
    async fn publish_all(&self, all: Messages) {
        let jetstream = jetstream::new(self.client.clone());
        let _ = jetstream.delete_stream(STREAM).await;
        let made = nats::ensure_rights_stream(&self.client, &self.broker).await;
        made.unwrap();
        for (subject, bytes) in all {
            let sent = jetstream.publish(subject, bytes.into()).await.unwrap();
            sent.await.unwrap();
        }
    }

    /// What a start would say: each loss, or that the ledger cannot be read.
    async fn losses(&self, config: &Config) -> Vec<String> {
        let directory = self.world.ledger(0);
        let ledger = match Ledger::exists_in(&directory) {
            false => None,
            true => {
                let opened = Ledger::open(Options::new(&directory), Arc::new(Keyring::new(config)));
                match opened {
                    Ok((ledger, _)) => Some(ledger),
                    Err(error) => return vec![error.to_string()],
                }
            }
        };
        let found = losses::find(&self.client, config, ledger.as_ref()).await;
        found.unwrap().losses
    }
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Ledger,
    List,
    Log,
}

const PARTS: [Part; 3] = [Part::Ledger, Part::List, Part::Log];

impl Part {
    fn place(self) -> &'static str {
        match self {
            Part::Ledger => "process-0",
            Part::List => "rights-0/objections",
            Part::Log => "rights-0/audit",
        }
    }
}

/// Whether nothing can tell these from what was at one time, or from a beginning.
fn is_whole(local: [State; 3], broker: State) -> bool {
    let nothing = [State::Missing, State::Empty, State::Beginning];
    (local == [State::Good; 3] && broker == State::Good)
        || (local == [State::Older; 3] && broker == State::Older)
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
    assert_eq!(refused, 6 * 6 * 6 * 6 - 5);

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
    let mut bytes = std::fs::read(&list).unwrap();
    bytes.extend_from_within(bytes.len() - 48..);
    std::fs::write(&list, bytes).unwrap();
    assert_eq!(story.losses(&config).await, Vec::<String>::new());

    // A request is completed by the log and has no receipt: it still waits, or its receipt was lost.
    let mut killed = story.good.messages.clone();
    let is_receipt = |(subject, _): &(String, Vec<u8>)| subject.ends_with(".receipt");
    let last_receipt = killed.iter().rposition(is_receipt).unwrap();
    let (subject, receipt) = killed.remove(last_receipt);
    let before = killed.iter().filter(|message| is_receipt(message)).count();
    story.publish_all(killed.clone()).await;
    assert_eq!(story.losses(&config).await.len(), 1);
    let id = serde_json::from_slice::<serde_json::Value>(&receipt).unwrap()["request"].clone();
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
        let brands = &inspect(&world.ledger(0))["brands"];
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
            let told = refusal(&story.world, &[]);
            assert!(
                told.contains(words) && told.contains("--accept-loss"),
                "{words}: {told}"
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
            // Of an older ledger nobody comes back whom the list keeps out.
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

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_requests_are_answered_it_starts_by_itself() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let kills = chosen("TRIBUTARY_FAULT_KILLS", 12);
    let seed = chosen("TRIBUTARY_SEED", 11);
    let broker = server.nats();
    let world = World::of(small(), Some(&broker), "");
    let client = ready(&broker).await;
    let mut lines: Vec<TraceLine> = world.trace().collect();
    let at = lines.last().unwrap().at;
    for kill in 0..kills {
        lines.extend(lines_of(&format!("person{kill}"), 1, at));
    }
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    nats::ensure_rights_stream(&client, &broker).await.unwrap();
    let stream = jetstream::new(client.clone());
    let mut dice = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    for kill in 0..kills {
        for (right, n) in [("object", 0), ("restrict", 1)] {
            let request = json!({
                "id": format!("r-{kill}-{n}"), "ts": "2025-11-20T09:00:00Z", "type": right, "brand": "orchard",
                "identifiers": [{"kind": "email", "value": format!("person{kill}@shop.example")}], "proof": "t",
            });
            let subject = "tributary.rights.orchard.request";
            let sent = stream
                .publish(subject, request.to_string().into())
                .await
                .unwrap();
            sent.await.unwrap();
        }
        tokio::task::block_in_place(|| {
            let mut worker = Worker::start(&world.path("tributary.toml"), &[]);
            std::thread::sleep(Duration::from_millis(dice.random_range(0..900)));
            assert!(worker.lives(), "kill {kill}: it did not start");
            assert!(!worker.said("do not fit together"));
            worker.kill();
        });
    }
    let receipts = "tributary.rights.orchard.receipt";
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&world.path("tributary.toml"), &[]);
        worker.wait_until_read(end);
        let requests = "tributary.rights.orchard.request";
        let runtime = tokio::runtime::Handle::current();
        until("all are answered", || {
            let waiting = nats::has_messages(&client, STREAM, requests);
            !runtime.block_on(waiting).unwrap()
        });
        worker.stop();
    });
    // Every request has its receipt, whatever was killed between the log and the broker.
    let mut completed = BTreeMap::new();
    for (subject, bytes) in messages(&client).await {
        if subject == receipts {
            let receipt: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            *completed.entry(receipt["request"].to_string()).or_insert(0) += 1;
        }
        assert_ne!(
            subject, "tributary.rights.orchard.request",
            "a request waits"
        );
    }
    assert_eq!(completed.len() as u64, 2 * kills, "{completed:?}");
}

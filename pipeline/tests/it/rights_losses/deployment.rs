//! A deployment that has answered requests, and its files and messages in every state in which a start may find them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use serde_json::json;
use tributary::privacy::rights::losses;
use tributary_config::model::{Config, Nats};
use tributary_connectors::nats::{self, Client, Reader};
use tributary_connectors::trace::TraceLine;
use tributary_ledger::{Keyring, Ledger, Options};
use tributary_simulate as simulate;
use tributary_testkit::NatsServer;

use crate::support::person::ask;
use crate::support::story::{contents, last, play, ready};
use crate::support::{Worker, World};

pub const STREAM: &str = "TRIBUTARY_RIGHTS";

/// How one of the four is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Good,
    Missing,
    Empty,
    Beginning,
    Older,
    Damaged,
}

pub const STATES: [State; 6] = [
    State::Good,
    State::Missing,
    State::Empty,
    State::Beginning,
    State::Older,
    State::Damaged,
];

/// The files below a directory, by their paths in it.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;
/// Messages of the rights stream.
pub type Messages = Vec<(String, Vec<u8>)>;

/// What a deployment has kept at one time.
#[derive(Clone)]
pub struct Kept {
    pub files: Files,
    pub messages: Messages,
}

/// A deployment that has answered requests, and what it was some requests before.
pub struct Story {
    pub world: World,
    pub client: Client,
    pub broker: Nats,
    pub older: Kept,
    pub good: Kept,
    _server: NatsServer,
}

pub fn small() -> simulate::Options {
    simulate::Options {
        events: Some(300),
        bad: 0.0,
        ..simulate::Options::default()
    }
}

/// Two visits of a person, of which the second names the address alone.
pub fn lines_of(name: &str, round: u32, at: i64) -> Vec<TraceLine> {
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

pub async fn messages(client: &Client) -> Messages {
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
    pub async fn new() -> Option<Story> {
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

    pub async fn object(&self, name: &str) {
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

    pub fn data(&self) -> PathBuf {
        self.world.path("tributary-data")
    }

    pub async fn kept(&self) -> Kept {
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
    pub fn files(&self, part: Part, state: State) -> Files {
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

    pub fn put(&self, files: &Files) {
        for (path, bytes) in files {
            let path = self.data().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }

    /// The local three in these states, the newest tombstones, which have a test of their own, and nothing else.
    pub fn place(&self, states: [State; 3]) {
        let _ = std::fs::remove_dir_all(self.data());
        let tombstones = self.good.files.iter();
        let tombstones = tombstones.filter(|(path, _)| path.ends_with("rights-0/erased"));
        let tombstones = tombstones.map(|(path, bytes)| (path.clone(), bytes.clone()));
        self.put(&tombstones.collect());
        for (part, state) in PARTS.into_iter().zip(states) {
            self.put(&self.files(part, state));
        }
    }

    /// The rights stream in a state.
    pub async fn publish(&self, state: State) {
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
    pub async fn publish_all(&self, all: Messages) {
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
    pub async fn losses(&self, config: &Config) -> Vec<String> {
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
        let found = losses::find(&self.client, config, ledger.as_ref(), "").await;
        found.unwrap().losses
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Part {
    Ledger,
    List,
    Log,
}

pub const PARTS: [Part; 3] = [Part::Ledger, Part::List, Part::Log];

impl Part {
    pub fn place(self) -> &'static str {
        match self {
            Part::Ledger => "process-0",
            Part::List => "rights-0/objections",
            Part::Log => "rights-0/audit",
        }
    }
}

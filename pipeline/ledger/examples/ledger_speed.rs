//! How fast a ledger takes and gives: `cargo run --release -p tributary-ledger --example ledger_speed -- DIRECTORY
//! [EVENTS [EVENTS_A_COMMIT]]`. The directory is created, and must not exist.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failure is the result"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tributary_ledger::{Keyring, Ledger, Options, Position, WriteBatch};
use tributary_operators::event::Event;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{
    Arrival, Body, BrandId, IdKind, IdSet, Identifier, Record, RecordKey, TouchKind,
};

/// The brand `acme`.
const BRAND: BrandId = BrandId(0x44ad_9865_5d88_58e1);
const TEXT: &str = "[nats]\nurl = \"nats://127.0.0.1:4222\"\n[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"SECRET\"\n";

/// A click with one cookie: the most frequent record.
fn click(n: u64) -> Event {
    let hash = |seed| xxhash_rust::xxh3::xxh3_128_with_seed(&n.to_le_bytes(), seed);
    let pseudonym = hash(1);
    let cookie = Identifier {
        pseudonym,
        value: pseudonym,
        kind: IdKind::Cookie,
    };
    Event::Put {
        key: RecordKey(hash(0)),
        version: 0,
        arrival: Arrival {
            message: n / 100,
            line: (n % 100) as u32,
        },
        record: Record {
            brand: BRAND,
            source: Label::of("web"),
            id: format!("{:016x}", hash(2) as u64).into(),
            ts: 1_700_000_000_000 + n as i64,
            day: 19_675,
            ids: IdSet::new(vec![cookie]),
            body: Body::Contact {
                kind: TouchKind::Click,
                channel: Channel::of("google", "cpc", ["spring", "summer"][n as usize % 2]),
                touch: true,
            },
        },
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().expect("a directory");
    let mut number = |default: u64| {
        arguments
            .next()
            .map_or(default, |text| text.parse().unwrap())
    };
    let (events, commit) = (number(1_000_000), number(50_000));
    assert!(!Path::new(&directory).exists(), "{directory} exists");
    let secret = |name: &str| (name == "SECRET").then(|| tributary_testkit::SECRET.to_owned());
    let config = tributary_config::parse_in(TEXT, Path::new("tributary.toml"), &secret);
    let keyring = Arc::new(Keyring::new(&config.unwrap().config));
    let (mut ledger, _) = Ledger::open(Options::new(&directory), keyring.clone()).unwrap();

    let made: Vec<Event> = (0..events).map(click).collect();
    let (mut pushing, mut committing) = (0.0, 0.0);
    for (part, sequence) in made.chunks(commit as usize).zip(1..) {
        let start = Instant::now();
        let mut page = WriteBatch::default();
        part.iter().for_each(|event| page.push(BRAND, event));
        pushing += start.elapsed().as_secs_f64();
        let start = Instant::now();
        ledger.append(page);
        let position = Position {
            sequence,
            ..Position::default()
        };
        ledger.commit(position).unwrap();
        committing += start.elapsed().as_secs_f64();
    }
    let bytes = ledger.stats().bytes;
    ledger.close().unwrap();

    let start = Instant::now();
    let (ledger, mut recovered) = Ledger::open(Options::new(&directory), keyring.clone()).unwrap();
    let mut found = 0_u64;
    while let Some(block) = recovered.next_block().unwrap() {
        block
            .open(&keyring, 0, &mut |_, _| 19_675, &mut |_| found += 1)
            .unwrap();
    }
    let scanning = start.elapsed().as_secs_f64();
    ledger.close().unwrap();
    assert_eq!(found, events);
    let rate = |seconds: f64| events as f64 / seconds / 1e6;
    println!("push    {:6.2} M events/s", rate(pushing));
    println!(
        "commit  {:6.2} M events/s, {commit} events each",
        rate(committing)
    );
    println!("scan    {:6.2} M events/s on one thread", rate(scanning));
    println!(
        "size    {:6.1} bytes an event",
        bytes as f64 / events as f64
    );
}

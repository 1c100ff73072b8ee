//! What the scenarios share: a configuration, a directory, events, and reading a ledger back.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tributary_config::model::Config;
use tributary_ledger::{Keyring, Ledger, LedgerError, Options, Position, Recovery, WriteBatch};
use tributary_operators::event::Event;
use tributary_operators::label::{Channel, Label};
use tributary_operators::reach::Reach;
use tributary_operators::record::{
    Arrival, Body, BrandId, Day, IdKind, IdSet, Identifier, Record, RecordKey, Token,
    TokenizedPing, TouchKind,
};

/// The brand `acme`.
pub const A: BrandId = BrandId(0x44ad_9865_5d88_58e1);
/// The brand `bolt`.
pub const B: BrandId = BrandId(0xb66d_4a7a_ec33_8489);

/// The reach of an erasure of all that there is.
pub const EVERYTHING: Reach = Reach {
    at: i64::MAX,
    until: u64::MAX,
    until_ping: u64::MAX,
};

/// The secret of a letter. The ledgers of older formats were written under such secrets,
/// which a configuration refuses by now: they are put into it when it has been read.
fn secret(letter: &str) -> String {
    letter.repeat(24) + "0123456789abcdef"
}

/// A configuration with these brands; the secret of a brand is made of the letter that comes with it.
pub fn config(brands: &[(&str, char)]) -> Config {
    let mut text = String::from("[nats]\nurl = \"nats://127.0.0.1:4222\"\n");
    for (name, letter) in brands {
        text.push_str(&format!(
            "[[brand]]\nname = \"{name}\"\ntimezone = \"UTC\"\nsecret_env = \"SECRET_{letter}\"\n"
        ));
    }
    let environment = |name: &str| {
        let letter = name.strip_prefix("SECRET_")?;
        Some(format!("{letter} {}", tributary_testkit::SECRET))
    };
    let origin = Path::new("tributary.toml");
    let loaded = tributary_config::parse_in(&text, origin, &environment);
    let mut config = loaded
        .unwrap_or_else(|problems| panic!("{problems}"))
        .config;
    for (brand, (_, letter)) in config.brands.iter_mut().zip(brands) {
        brand.secret = secret(&letter.to_string()).into();
    }
    config
}

/// A configuration whose brands had several secrets: a letter for each, the oldest first.
pub fn rotated(brands: &[(&str, &str)]) -> Config {
    let newest: Vec<(&str, char)> = (brands.iter())
        .map(|(name, letters)| (*name, letters.chars().next_back().unwrap()))
        .collect();
    let mut config = config(&newest);
    for brand in &mut config.brands {
        let (_, letters) = brands.iter().find(|(name, _)| *name == brand.name).unwrap();
        let secrets = letters.chars().map(|c| secret(&c.to_string()).into());
        brand.previous_secrets = secrets.collect();
        brand.secret = brand.previous_secrets.pop().unwrap();
    }
    config
}

/// The keys of `acme` ([`A`]), whose secrets have these letters, and of `bolt` ([`B`]).
pub fn rotated_keys(letters: &str) -> Arc<Keyring> {
    let config = rotated(&[("acme", letters), ("bolt", "b")]);
    Arc::new(Keyring::new(&config))
}

pub fn keyring(brands: &[(&str, char)]) -> Arc<Keyring> {
    Arc::new(Keyring::new(&config(brands)))
}

/// The keys of the brands `acme` ([`A`]) and `bolt` ([`B`]).
pub fn keys() -> Arc<Keyring> {
    keyring(&[("acme", 'a'), ("bolt", 'b')])
}

pub fn options(directory: &Path) -> Options {
    Options::new(directory)
}

pub fn open(directory: &Path) -> (Ledger, Recovery) {
    try_open(directory).unwrap()
}

pub fn try_open(directory: &Path) -> Result<(Ledger, Recovery), LedgerError> {
    Ledger::open(options(directory), keys())
}

pub fn at(sequence: u64) -> Position {
    Position {
        stream: None,
        sequence,
        epoch: sequence,
        newest_at: 0,
        pings: None,
    }
}

/// The day of a brand in these tests: another one for every brand.
pub fn day(brand: BrandId, ts: i64) -> Day {
    (ts.div_euclid(86_400_000) as i32).wrapping_add(i32::from(brand == B))
}

/// Everything that a ledger gives back.
pub fn read(recovered: &mut Recovery, keys: &Keyring) -> Result<Vec<Event>, LedgerError> {
    let mut events = Vec::new();
    while let Some(block) = recovered.next_block()? {
        let before = events.len();
        block.open(keys, 0, &mut day, &mut |event| events.push(event))?;
        assert_eq!((events.len() - before) as u64, block.entries());
    }
    assert_eq!(recovered.read_bytes(), recovered.total_bytes());
    Ok(events)
}

/// Opens, reads all and closes.
pub fn held(directory: &Path) -> Vec<Event> {
    let (ledger, mut recovered) = open(directory);
    let events = read(&mut recovered, &keys()).unwrap();
    ledger.close().unwrap();
    events
}

pub fn sorted(mut events: Vec<Event>) -> Vec<Event> {
    events.sort();
    events
}

/// A page with the events of a brand.
pub fn page(brand: BrandId, events: &[Event]) -> WriteBatch {
    let mut page = WriteBatch::default();
    events.iter().for_each(|event| page.push(brand, event));
    page
}

/// Whether everything here was written, and nothing more often than it was.
pub fn is_part_of(some: &[Event], all: &[Event]) -> bool {
    let mut counts: BTreeMap<&Event, i64> = BTreeMap::new();
    all.iter()
        .for_each(|event| *counts.entry(event).or_default() += 1);
    some.iter()
        .for_each(|event| *counts.entry(event).or_default() -= 1);
    counts.values().all(|count| *count >= 0)
}

/// The n-th click of a brand: a record of its own under the key `n`.
pub fn click(brand: BrandId, n: u64) -> Event {
    put(brand, n, 0, n)
}

/// A click under a key, with a version and an arrival.
pub fn put(brand: BrandId, key: u64, version: i64, arrival: u64) -> Event {
    let pseudonym = u128::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let ts = 1_700_000_000_000 + arrival as i64 * 1_000;
    Event::Put {
        key: RecordKey(u128::from(key) | u128::from(brand == B) << 100),
        version,
        arrival: Arrival {
            message: arrival,
            line: 0,
        },
        record: Record {
            brand,
            source: Label::of("web"),
            id: format!("click-{key}").into(),
            ts,
            day: day(brand, ts),
            ids: IdSet::new(vec![Identifier {
                pseudonym,
                value: pseudonym,
                kind: IdKind::Cookie,
            }]),
            body: Body::Contact {
                kind: TouchKind::Click,
                channel: Channel::of("google", "cpc", ""),
                touch: true,
            },
        },
    }
}

pub fn drop_of(brand: BrandId, key: u64, arrival: u64) -> Event {
    Event::Drop {
        key: RecordKey(u128::from(key) | u128::from(brand == B) << 100),
        arrival: Arrival {
            message: arrival,
            line: 0,
        },
    }
}

pub fn ping(brand: BrandId, n: i64) -> Event {
    Event::TokenizedPing {
        ping: TokenizedPing {
            brand,
            store: Label::of("shop"),
            token: Token(n as u128 * 0x1234_5678_9abc_def1),
            random: n % 2 == 0,
            salt_day: 19_675,
            second: 1_700_000_000 + n,
            utc_offset: 3600,
            rssi: -60,
            offline_cookie: None,
        },
    }
}

pub fn word(brand: BrandId, text: &str) -> Event {
    Event::LabelName {
        brand,
        label: Label::of(text),
        word: text.into(),
    }
}

/// All files below a directory, with their bytes; by relative path.
pub fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Writes files into a directory that has none.
pub fn restore(directory: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) {
    if directory.exists() {
        std::fs::remove_dir_all(directory).unwrap();
    }
    for (name, bytes) in files {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

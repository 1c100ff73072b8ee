//! What a tombstone covers, for each kind of entry of a ledger: what was there when the person was erased, and nothing that came
//! later.

use std::path::Path;
use std::sync::Arc;

use tributary_connectors::nats;
use tributary_operators::label::Label;
use tributary_operators::record::{
    Arrival, Body, ClosedVisits, DeviceDay, IdKind, Identifier, Ping, Record, RecordKey,
    SettledDevices, SettledHour, Token, TokenizedPing, UnmatchedStays,
};

use super::*;

/// Her pseudonym, that of the clear value behind it, and the token of her device.
const HERS: u128 = 0x1111;
const VALUE: u128 = 0x2222;
const TOKEN: u128 = 0x3333;
/// When she was erased, Unix milliseconds.
const AT: i64 = 1_760_000_000_000;
/// The last messages of both streams that had arrived.
const UNTIL: u64 = 100;
const UNTIL_PING: u64 = 40;

/// A brand with one secret, or with a newer one.
fn config(secrets: usize) -> Config {
    let own = ["A", "B"][secrets - 1];
    let text = format!("[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = {own:?}\n");
    // Settings are looked for in the environment as well.
    let environment =
        |name: &str| (name.len() == 1).then(|| format!("{name} {}", tributary_testkit::SECRET));
    let loaded = tributary_config::parse_in(&text, Path::new("tributary.toml"), &environment);
    let mut config = loaded
        .unwrap_or_else(|problems| panic!("{problems}"))
        .config;
    if secrets > 1 {
        let older = self::config(secrets - 1).brands.into_iter();
        config.brands[0].previous_secrets = older.map(|brand| brand.secret).collect();
    }
    config
}

/// The tombstones of a brand with one secret, from which she was erased.
struct Fixture {
    directory: tempfile::TempDir,
    erased: Erased,
}

impl Fixture {
    fn new() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let erased = Erased::open(&config(1), &directory.path().join(TOMBSTONES)).unwrap();
        let reach = Reach {
            at: AT,
            until: UNTIL,
            until_ping: nats::ping_number_of(0, UNTIL_PING),
        };
        let (ids, tokens) = ([HERS, VALUE], [TOKEN]);
        erased
            .add([(acme(), ids.as_slice(), tokens.as_slice())], reach)
            .unwrap();
        Fixture { directory, erased }
    }

    fn covers(&self, event: &Event) -> bool {
        self.erased.covers(event, &[])
    }
}

fn acme() -> BrandId {
    BrandId::of("acme")
}

fn ids(pseudonym: u128, value: u128) -> IdSet {
    let kind = IdKind::Email;
    let id = Identifier {
        pseudonym,
        value,
        kind,
    };
    let other = Identifier {
        pseudonym: 0x9999,
        value: 0x9999,
        kind,
    };
    IdSet::new(vec![id, other])
}

fn record(brand: BrandId, ids: IdSet, ts: i64, body: Body) -> Record {
    Record {
        brand,
        source: Label::ABSENT,
        id: "r".into(),
        ts,
        day: 0,
        ids,
        body,
    }
}

fn put(record: Record, message: u64, version: i64) -> Event {
    Event::Put {
        key: RecordKey(1),
        version,
        arrival: Arrival { message, line: 0 },
        record,
    }
}

/// A record of hers that arrived in a message.
fn hers(message: u64) -> Event {
    put(
        record(acme(), ids(HERS, HERS), AT, Body::Identify),
        message,
        0,
    )
}

#[test]
fn a_record_by_the_message_that_it_arrived_with() {
    let fixture = Fixture::new();
    assert!(fixture.covers(&hers(UNTIL)));
    assert!(!fixture.covers(&hers(UNTIL + 1)), "she has returned");
    let of = |brand, ids| put(record(brand, ids, AT, Body::Identify), 1, 0);
    assert!(
        fixture.covers(&of(acme(), ids(7, VALUE))),
        "the clear value"
    );
    assert!(!fixture.covers(&of(acme(), ids(7, 8))), "somebody else");
    assert!(!fixture.covers(&of(acme(), IdSet::empty())));
    let bolt = BrandId::of("bolt");
    assert!(!fixture.covers(&of(bolt, ids(HERS, HERS))), "another brand");
}

#[test]
fn a_record_of_the_pings_stream_by_its_own_numbers() {
    let fixture = Fixture::new();
    let of = |sequence| hers(nats::ping_number_of(0, sequence));
    assert!(fixture.covers(&of(UNTIL_PING)));
    assert!(!fixture.covers(&of(UNTIL_PING + 1)));
    // A stream that replaced another is read after it.
    assert!(!fixture.covers(&hers(nats::number_of(1, 1))));
}

#[test]
fn what_settling_makes_by_its_time() {
    let fixture = Fixture::new();
    let visit = Body::SettledVisit {
        store: Label::ABSENT,
        until: AT + 9,
        candidates: 1,
        weight: 1,
        by_position: false,
    };
    for body in [visit, Body::PanelMember { by_position: true }] {
        // It takes the number of no message, so that none may decide.
        let of = |ids, ts| put(record(acme(), ids, ts, body.clone()), u64::MAX, 0);
        assert!(fixture.covers(&of(ids(HERS, HERS), AT)));
        assert!(!fixture.covers(&of(ids(HERS, HERS), AT + 1)));
        assert!(!fixture.covers(&of(ids(7, 8), AT)));
    }
}

#[test]
fn a_rectification_by_when_it_was_made() {
    let fixture = Fixture::new();
    let of = |ids, at: i64| {
        let made = u64::try_from(at).unwrap();
        put(record(acme(), ids, 0, Body::Identify), made, i64::MAX)
    };
    assert!(fixture.covers(&of(ids(HERS, HERS), AT)));
    assert!(!fixture.covers(&of(ids(HERS, HERS), AT + 1)));
    assert!(!fixture.covers(&of(ids(7, 8), AT)));
    let never = put(
        record(acme(), ids(HERS, HERS), 0, Body::Identify),
        u64::MAX,
        i64::MAX,
    );
    assert!(!fixture.covers(&never));
}

#[test]
fn evidence_by_its_time() {
    let fixture = Fixture::new();
    let of = |ids, ts| Event::Evidence {
        key: RecordKey(1),
        brand: acme(),
        ids,
        ts,
        text: Arc::from("{}"),
    };
    assert!(fixture.covers(&of(ids(HERS, HERS), AT)));
    assert!(!fixture.covers(&of(ids(HERS, HERS), AT + 1)));
    assert!(!fixture.covers(&of(ids(7, 8), AT)));
}

fn ping(token: u128, second: i64) -> TokenizedPing {
    TokenizedPing {
        brand: acme(),
        store: Label::ABSENT,
        token: Token(token),
        random: false,
        salt_day: 0,
        second,
        utc_offset: 0,
        rssi: -60,
        offline_cookie: None,
    }
}

#[test]
fn a_ping_by_its_second() {
    let fixture = Fixture::new();
    let of = |token, second| Event::TokenizedPing {
        ping: ping(token, second),
    };
    assert!(fixture.covers(&of(TOKEN, AT / 1_000)));
    assert!(!fixture.covers(&of(TOKEN, AT / 1_000 + 1)));
    assert!(!fixture.covers(&of(0x4444, AT / 1_000)), "another device");
    // A time that does not fit into milliseconds is later than any erasure.
    assert!(!fixture.covers(&of(TOKEN, i64::MAX)));
}

/// What names nobody by a pseudonym or token of hers stays: a drop, so that a record that it drops stays dropped.
#[test]
fn nothing_that_names_nobody() {
    let fixture = Fixture::new();
    let (brand, store) = (acme(), Label::ABSENT);
    let events = [
        Event::Drop {
            key: RecordKey(HERS),
            arrival: Arrival {
                message: 1,
                line: 0,
            },
        },
        Event::Ping {
            ping: Ping {
                brand,
                store,
                device: HERS,
                random: false,
                salt_day: 0,
                second: 0,
                utc_offset: 0,
                rssi: -60,
                offline_cookie: None,
            },
        },
        Event::DropDevice {
            device: DeviceDay {
                brand,
                store,
                salt_day: 0,
                token: Token(TOKEN),
            },
        },
        Event::SettledHour {
            settled: SettledHour {
                brand,
                store,
                hour: 0,
                utc_offset: 0,
                values: [1; 5],
            },
        },
        Event::SettledDevices {
            settled: SettledDevices {
                brand,
                store,
                salt_day: 0,
                hours: vec![(0, 0)],
                devices: 1,
                random: 0,
            },
        },
        Event::ClosedVisits {
            visits: ClosedVisits {
                brand,
                store,
                salt_day: 0,
                bits: 8,
                visits: Vec::new(),
            },
        },
        Event::UnmatchedStays {
            unmatched: UnmatchedStays {
                brand,
                store,
                day: 0,
                stays: 1,
            },
        },
        Event::SightingsSettled { brand, before: 0 },
        Event::SaltDaysClosed { brand, before: 0 },
        Event::LinkTime { brand, at: 0 },
        Event::LabelName {
            brand,
            label: Label::ABSENT,
            word: Arc::from("hers"),
        },
    ];
    for event in events {
        assert!(!fixture.covers(&event), "{event:?}");
    }
}

/// After an exchange of the secret, a record of a ledger from before it is found by the pseudonym of then, and one that was erased
/// after it by that of now.
#[test]
fn pseudonyms_of_the_time_of_the_erasure() {
    let fixture = Fixture::new();
    let path = fixture.directory.path().join(TOMBSTONES);
    let erased = Erased::open(&config(2), &path).unwrap();
    let (rekeyed, other) = (0x4444_u128, 0x5555_u128);
    let now = put(
        record(acme(), ids(rekeyed, rekeyed), AT, Body::Identify),
        1,
        0,
    );
    assert!(!erased.covers(&now, &[]));
    assert!(erased.covers(&now, &[(0, ids(HERS, HERS))]));
    assert!(!erased.covers(&now, &[(0, ids(other, other))]));
    // The same number under another secret is somebody else.
    assert!(!erased.covers(&hers(1), &[]));
    assert!(!erased.covers(&now, &[(1, ids(HERS, HERS))]));
    let reach = Reach {
        at: AT,
        until: UNTIL,
        until_ping: 0,
    };
    let (ids_of_now, tokens) = ([rekeyed], [TOKEN + 1]);
    erased
        .add([(acme(), ids_of_now.as_slice(), tokens.as_slice())], reach)
        .unwrap();
    assert!(erased.covers(&now, &[]));
    // Devices stay under the oldest secret.
    for token in [TOKEN, TOKEN + 1] {
        let event = Event::TokenizedPing {
            ping: ping(token, 0),
        };
        assert!(erased.covers(&event, &[]), "{token:x}");
    }
}

//! Properties of a generated trace: the same for the same seed, in order of arrival, with the
//! requested mix, and with everything that real traffic contains.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tributary_simulate::{Line, Mix, Options, lines};

/// The options of a small world.
fn options(events: u64) -> Options {
    Options {
        events: Some(events),
        ..Options::default()
    }
}

/// The lines of a world.
fn made(options: Options) -> Vec<Line> {
    lines(options).unwrap().collect()
}

/// The kind of source of a line.
fn kind(line: &Line) -> &str {
    line.subject.rsplit('.').next().unwrap()
}

#[test]
fn one_seed_one_trace() {
    let first = made(options(20_000));
    assert_eq!(first.len(), 20_000);
    assert!(first == made(options(20_000)));
    let other = Options {
        seed: 2,
        ..options(20_000)
    };
    assert!(first != made(other));
    // A shorter trace is the beginning of a longer one in the same world.
    let world = |events| Options {
        persons: Some(300),
        ..options(events)
    };
    assert!(made(world(10_000))[..5_000] == made(world(5_000)));
}

#[test]
fn lines_come_in_order_of_arrival_and_are_mixed_as_asked() {
    for (mix, within) in [
        ((45, 45, 10), 0.06),
        ((10, 80, 10), 0.10),
        ((0, 100, 0), 0.03),
    ] {
        let (pings, web, transactions) = mix;
        let lines = made(Options {
            mix: Mix {
                pings,
                web,
                transactions,
            },
            ..options(40_000)
        });
        assert!(lines.is_sorted_by_key(|line| line.at));
        let share = |of: &str| {
            let count = lines.iter().filter(|line| kind(line) == of).count();
            count as f64 / lines.len() as f64
        };
        for (name, part) in [("ping", pings), ("web", web), ("transaction", transactions)] {
            let wanted = f64::from(part) / 100.0;
            assert!(
                (share(name) - wanted).abs() <= within,
                "{name} {} of {mix:?}",
                share(name)
            );
        }
    }
}

#[test]
fn everything_that_happens_happens() {
    let lines = made(Options {
        late: 0.05,
        bad: 0.01,
        ..options(60_000)
    });
    let mut types: BTreeMap<String, u64> = BTreeMap::new();
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let (mut late, mut repeated, mut malformed) = (0, 0, 0);
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for line in &lines {
        repeated += u64::from(!seen.insert(&line.data));
        let parsed: Option<Value> = serde_json::from_str(&line.data).ok();
        let Some(record) = parsed.filter(|_| line.object) else {
            malformed += 1;
            continue;
        };
        let text = |key: &str| record.get(key).and_then(Value::as_str);
        let what = text("type").unwrap_or(kind(line));
        *types.entry(what.to_owned()).or_default() += 1;
        for key in [
            "refund_of",
            "order_id",
            "wallet",
            "email",
            "landing",
            "version",
            "device",
        ] {
            if record.get(key).is_some() {
                *types.entry(format!("{} {key}", kind(line))).or_default() += 1;
            }
        }
        if let Some(ts) = record.get("ts").and_then(Value::as_i64) {
            late += u64::from(line.at - ts >= 600_000);
        }
        if let (Some(id), "transaction") = (text("id"), kind(line)) {
            ids.entry(id.to_owned())
                .or_default()
                .insert(line.data.clone());
        }
    }
    for what in [
        "impression",
        "click",
        "view",
        "identify",
        "order",
        "refund",
        "ping",
        "spend",
        "transaction",
        "transaction refund_of",
        "transaction order_id",
        "transaction wallet",
        "transaction email",
        "transaction version",
        "web landing",
        "web email",
    ] {
        assert!(
            types.get(what).is_some_and(|count| *count > 0),
            "{what} in {types:?}"
        );
    }
    let share = |count: u64| count as f64 / lines.len() as f64;
    assert!((0.03..0.08).contains(&share(late)), "late {}", share(late));
    assert!(
        (0.001..0.01).contains(&share(malformed)),
        "malformed {}",
        share(malformed)
    );
    assert!(share(repeated) > 0.001, "repeated {}", share(repeated));
    assert!(
        ids.values().any(|contents| contents.len() > 1),
        "no correction"
    );
}

#[test]
fn packed_lines_hold_the_same_events() {
    let single = made(options(10_000));
    let packed = made(Options {
        pack: 50,
        ..options(10_000)
    });
    assert!(packed.len() < 300);
    let events = |lines: &[Line], of: &str| -> Vec<String> {
        let of = lines.iter().filter(|line| kind(line) == of);
        of.flat_map(|line| line.data.split('\n').map(str::to_owned))
            .collect()
    };
    for of in ["ping", "web", "transaction", "spend"] {
        assert!(events(&single, of) == events(&packed, of), "{of}");
    }
}

#[test]
fn a_number_of_days_ends_the_trace_too() {
    let lines = made(Options {
        days: Some(3),
        persons: Some(200),
        ..Options::default()
    });
    let days = (lines.last().unwrap().at - lines[0].at) / 86_400_000;
    // Refunds and late arrivals trickle in after the last day.
    assert!((3..=20).contains(&days), "{days}");
}

#[test]
fn options_that_make_no_world_are_refused() {
    let refused = |options: Options| assert!(lines(options).is_err());
    refused(Options {
        brand: "Not a token".into(),
        ..Options::default()
    });
    refused(Options {
        timezone: "Mars/Olympus".into(),
        ..Options::default()
    });
    refused(Options {
        stores: 0,
        ..Options::default()
    });
    refused(Options {
        late: 1.5,
        ..Options::default()
    });
    refused(Options {
        pack: 0,
        ..Options::default()
    });
    refused(Options {
        mix: Mix {
            pings: 0,
            web: 0,
            transactions: 0,
        },
        ..Options::default()
    });
    assert!("45/45".parse::<Mix>().is_err());
}

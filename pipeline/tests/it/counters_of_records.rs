//! What a replay says of the records that it read is what anybody can count in the trace: lines taken in, refused, sent
//! again, corrected, and held in the end. The consent that rides on web records is none of these.

use std::collections::BTreeMap;

use crate::support::World;
use serde_json::{Value, json};
use tributary_simulate::Options;

/// What came of the records of a trace, counted line by line.
#[derive(Default)]
struct Counted {
    accepted: BTreeMap<String, u64>,
    duplicates: u64,
    corrections: u64,
    superseded: u64,
    held: BTreeMap<(String, Vec<String>), Value>,
}

impl Counted {
    fn line(&mut self, kind: &str, mut record: Value) {
        *self.accepted.entry(kind.to_owned()).or_default() += 1;
        // A string is no part of the record that it rides on.
        record.as_object_mut().unwrap().remove("tc_string");
        let names: &[&str] = match kind {
            "ping" => return,
            "spend" => &["date", "platform", "source", "medium", "campaign"],
            _ => &["id"],
        };
        let names = names.iter().map(|name| record[name].to_string()).collect();
        let version = |record: &Value| record["version"].as_i64().unwrap_or(0);
        let held = self.held.entry((kind.to_owned(), names)).or_default();
        if held.is_null() {
            *held = record;
        } else if version(&record) < version(held) {
            self.superseded += 1;
        } else if record == *held {
            self.duplicates += 1;
        } else {
            self.corrections += 1;
            *held = record;
        }
    }
}

#[test]
fn a_replay_counts_what_stands_in_the_trace() {
    let world = World::of(
        Options {
            days: Some(20),
            persons: Some(400),
            consent: true,
            bad: 0.0,
            ..Options::default()
        },
        None,
        "",
    );
    let mut counted = Counted::default();
    for line in world.trace() {
        let kind = line.subject.rsplit('.').next().unwrap();
        counted.line(kind, serde_json::from_slice(&line.data).unwrap());
    }
    // A few lines that are no records, and strings that cannot be read.
    let bad = [
        json!({"id": "x1", "type": "view"}),
        json!({"id": "x2", "ts": 1_760_000_000_000_i64, "type": "stare"}),
        json!({"id": "x3", "ts": 1_760_000_000_000_i64, "type": "view", "cookie": "c", "tc_string": "C!"}),
        json!({"id": "x4", "ts": 1_760_000_000_000_i64, "type": "order", "cookie": "c", "amount": "1,5"}),
    ];
    let mut trace = std::fs::read_to_string(world.path("trace.ndjson")).unwrap();
    for data in &bad {
        let line = json!({"subject": "tributary.in.orchard.web", "at": 1_770_000_000_000_i64, "data": data});
        trace.push_str(&format!("{line}\n"));
    }
    std::fs::write(world.path("trace.ndjson"), trace).unwrap();
    let summary = world.summary();
    let mut dead = summary["dead_letters"].as_object().unwrap().clone();
    // Some pings of the trace come when their day is closed.
    let late = dead.remove("late_ping").and_then(|count| count.as_u64());
    *counted.accepted.get_mut("ping").unwrap() -= late.unwrap_or(0);
    let dead: u64 = dead.values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(dead, bad.len() as u64, "{summary}");
    let counts = [
        "accepted",
        "duplicates",
        "corrections",
        "superseded",
        "held",
    ];
    let said: BTreeMap<&str, &Value> = counts.iter().map(|name| (*name, &summary[name])).collect();
    let expected = [
        ("accepted", json!(counted.accepted)),
        ("duplicates", json!(counted.duplicates)),
        ("corrections", json!(counted.corrections)),
        ("superseded", json!(counted.superseded)),
        ("held", json!(counted.held.len())),
    ];
    for (name, count) in expected {
        assert_eq!(said[name], &count, "{name}: {summary}");
    }
    // The trace does what it is there for.
    assert!(
        counted.corrections > 0 && counted.duplicates > 0,
        "{summary}"
    );
    let web = counted.accepted["web"];
    assert!(
        counted.corrections + counted.duplicates < web / 10,
        "{summary}"
    );
}

#[test]
fn a_refund_that_comes_again_with_another_store_is_a_correction() {
    let world = World::new(1, None, "");
    let line = |id: &str, more: Value| {
        let mut data = json!({"id": id, "ts": 1_760_000_000_000_i64, "store": "lyon"});
        data.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let line = json!({
            "subject": "tributary.in.orchard.transaction", "at": 1_760_000_000_000_i64, "data": data,
        });
        format!("{line}\n")
    };
    let trace = [
        line("sale", json!({"amount": 20})),
        line("back", json!({"amount": -5, "refund_of": "sale"})),
        line("back", json!({"amount": -5, "refund_of": "sale"})),
        line(
            "back",
            json!({"amount": -5, "refund_of": "sale", "store": "nice"}),
        ),
        line(
            "back",
            json!({"amount": -5, "order_id": "o", "store": "nice"}),
        ),
        line(
            "back",
            json!({"amount": -5, "order_id": "o", "store": "lyon"}),
        ),
        line(
            "back",
            json!({"amount": -5, "refund_of": "sale", "store": "paris"}),
        ),
    ];
    std::fs::write(world.path("trace.ndjson"), trace.concat()).unwrap();
    let summary = world.summary();
    assert_eq!(summary["corrections"], 4, "{summary}");
    assert_eq!(summary["duplicates"], 1, "{summary}");
    assert_eq!(summary["held"], 2, "{summary}");
    // It lowers the takings of the store of the sale, wherever the money was given back.
    let cells = world.replayed().into_iter();
    let takings: Vec<String> = cells
        .filter(|cell| cell.contains("\"family\":\"store_day\""))
        .collect();
    let [takings] = &takings[..] else {
        panic!("{takings:?}");
    };
    assert!(takings.contains("\"store\":\"lyon\"") && takings.contains("\"revenue_minor\":1500"));
}

//! What a browser's consent string allows is in the numbers, and what it no longer allows is in none: an old string that is
//! sent again grants nothing, and a string of TCF 2.3 has to list the vendors that were shown.

use std::collections::BTreeSet;

use crate::support::{succeed, tributary};
use serde_json::{Value, json};

/// 2025-07-01, 2025-07-02 and 2025-07-03 in milliseconds: when the strings were last updated.
const DAY: i64 = 86_400_000;
const FIRST: i64 = 1_751_328_000_000;

/// All purposes for vendor 755, updated on the first day.
const GRANTED: &str = "CQT33IAQT33IAEsABBFRBkEgAP_gAAAAAAqIF5wAQF5gAAAA";
/// None, updated on the same day.
const REFUSED_THAT_DAY: &str = "CQT33IAQT33IAEsABBFRBkEgAAAAAAAAAAqIAAAAAAAA";
/// None, updated on the next day.
const REFUSED_NEXT_DAY: &str = "CQT33IAQT7KEAEsABBFRBkEgAAAAAAAAAAqIAAAAAAAA";
/// All purposes again, updated on the third day.
const GRANTED_AGAIN: &str = "CQT33IAQT-dAAEsABBFRBkEgAP_gAAAAAAqIF5wAQF5gAAAA";

/// Policy 5, created on 2026-04-01, without and with the vendors that were shown.
const NOT_DISCLOSED: &str = "CQh-8AAQh-8AAEsABBFRBkFgAP_gAAAAAAqIF5wAQF5gAAAA";
const DISCLOSED: &str = "CQh-8AAQh-8AAEsABBFRBkFgAP_gAAAAAAqIF5wAQF5gAAAA.IF5wAQF5g";

/// A view of a browser, with its string, at a moment.
fn view(id: &str, ts: i64, string: &str) -> Value {
    json!({"id": id, "ts": ts, "type": "view", "cookie": "ck", "tc_string": string})
}

/// A click and an order of the browser on the first day, with its string.
fn bought(ts: i64, string: &str) -> Vec<Value> {
    vec![
        json!({"id": "c", "ts": ts, "type": "click", "cookie": "ck", "source": "g", "medium": "cpc", "tc_string": string}),
        json!({"id": "o", "ts": ts + 1, "type": "order", "cookie": "ck", "amount": "10", "tc_string": string}),
    ]
}

/// Replays web records, each at its own time, and returns the families of the cells and the summary.
fn replay(records: &[Value]) -> (BTreeSet<String>, Value) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    tributary_testkit::write_secret(path("secret"), tributary_testkit::SECRET);
    let secret = path("secret").display().to_string();
    let config = "[release]\nk = 1\nk_delta = 1\ncadence = \"0s\"\nmax_hold = \"0s\"\n[[brand]]\nname = \"acme\"\n\
        timezone = \"UTC\"\ncurrency = \"EUR\"\nphone_region = \"FR\"\nsecret_file = \"{secret}\"\n\
        [brand.consent]\nvendor = 755\nfeature_2 = true\n";
    std::fs::write(path("tributary.toml"), config.replace("{secret}", &secret)).unwrap();
    let line = |record: &Value| {
        let line = json!({"subject": "tributary.in.acme.web", "at": record["ts"], "data": record});
        format!("{line}\n")
    };
    let trace: String = records.iter().map(line).collect();
    std::fs::write(path("trace.ndjson"), trace).unwrap();
    let mut command = tributary();
    command
        .args(["replay", "--json", "--config"])
        .arg(path("tributary.toml"));
    command
        .arg("--cells")
        .arg(path("cells.ndjson"))
        .arg(path("trace.ndjson"));
    let output = succeed(&mut command);
    let cells = std::fs::read_to_string(path("cells.ndjson")).unwrap();
    let cells = cells
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let families = cells.map(|cell| cell["family"].as_str().unwrap().to_owned());
    (
        families.collect(),
        serde_json::from_slice(&output.stdout).unwrap(),
    )
}

fn counts(records: &[Value]) -> bool {
    let (families, summary) = replay(records);
    assert_eq!(summary["dead_letters"], json!({}), "{summary}");
    assert_eq!(summary["corrections"], json!(0), "{summary}");
    assert_eq!(
        families.contains("orders_day"),
        families.contains("campaign_day")
    );
    families.contains("orders_day")
}

#[test]
fn an_old_string_from_an_old_tab_grants_nothing() {
    let at = |day: i64, hour: i64| FIRST + day * DAY + hour * 3_600_000;
    let mut records = bought(at(0, 1), GRANTED);
    assert!(counts(&records));
    for (refused, when) in [(REFUSED_THAT_DAY, at(0, 5)), (REFUSED_NEXT_DAY, at(1, 5))] {
        let mut records = records.clone();
        records.push(view("w1", when, refused));
        assert!(!counts(&records));
        records.push(view("w2", when + 1_000, GRANTED));
        records.push(view("w3", when + 30 * DAY, GRANTED));
        assert!(!counts(&records), "an old tab");
        records.push(view("w4", when + 30 * DAY + 1, GRANTED_AGAIN));
        assert!(counts(&records), "given again");
        // The order of arrival does not show.
        records.reverse();
        assert!(counts(&records));
    }
    // The withdrawal arrives before what it withdraws.
    records.insert(0, view("w1", at(1, 5), REFUSED_NEXT_DAY));
    assert!(!counts(&records));
}

#[test]
fn a_new_string_lists_the_vendors_that_were_shown() {
    let ts = 1_775_001_600_000 + 3_600_000;
    assert!(!counts(&bought(ts, NOT_DISCLOSED)));
    assert!(counts(&bought(ts, DISCLOSED)));
}

#[test]
fn sections_that_are_not_read_are_counted() {
    let mut view = view("w", FIRST, "");
    // Sections 9 and 24.
    view["gpp"] = json!("DBACRkY~BFYggaE~BAAA");
    let (_, summary) = replay(&[view]);
    assert_eq!(summary["unread_consent_sections"], json!(1), "{summary}");
}

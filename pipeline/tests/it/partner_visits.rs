//! Sightings of partners from the trace to the cells: matched with visits, attributed, withdrawn and erased.

use std::path::Path;

use crate::support::{shared_data, succeed, tributary};
use tributary_config::model::Config;
use tributary_ledger::{Keyring, Ledger, Options};
use tributary_operators::event::Event;

const CONFIG: &str = r#"
[release]
k = 1
cadence = "0s"
max_hold = "0s"
[[brand]]
name = "acme"
timezone = "UTC"
secret_env = "SECRET_OF_PARTNERS"
[[brand.source]]
name = "partner"
kind = "partner"
"#;

/// The lines of the cells of visits by stays that a replay writes, with `more` behind the configuration.
fn replay(trace: &Path, more: &str, arguments: &[&str]) -> Vec<String> {
    replay_with(trace, &format!("{CONFIG}{more}"), arguments)
}

/// The same with a whole configuration.
fn replay_with(trace: &Path, config: &str, arguments: &[&str]) -> Vec<String> {
    let mut cells = cells_with(trace, config, arguments);
    cells.retain(|line| {
        line.contains("\"family\":\"visit_match\"")
            || line.contains("\"family\":\"attribution\"") && line.contains("\"kind\":\"visit\"")
    });
    cells
}

/// The lines of all cells that a replay writes.
fn cells_with(trace: &Path, config: &str, arguments: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.toml"), config).unwrap();
    let mut command = tributary();
    command
        .current_dir(folder.path())
        .env("SECRET_OF_PARTNERS", tributary_testkit::SECRET)
        .args(["replay", "--config", "t.toml", "--cells", "cells"])
        .args(arguments)
        .arg(trace);
    succeed(&mut command);
    let cells = std::fs::read_to_string(folder.path().join("cells")).unwrap();
    cells.lines().map(str::to_owned).collect()
}

/// The worked example of the specification, byte for byte, on any number of workers and in epochs of any size.
#[test]
fn the_worked_example_of_matching_gives_its_cells() {
    let Some(data) = shared_data() else {
        return;
    };
    let folder = data.join("examples/partner_match");
    let expected = folder.join("expected.visit_match+attribution_visit.ndjson");
    let Ok(expected) = std::fs::read_to_string(expected) else {
        tributary_testkit::skipped("the worked example of matching is not here");
        return;
    };
    let expected: Vec<&str> = expected.lines().collect();
    for arguments in [
        &["--workers", "1"][..],
        &["--workers", "3", "--batch", "1"],
        &["--workers", "2", "--batch", "7"],
    ] {
        assert_eq!(
            replay(&folder.join("trace.ndjson"), "", arguments),
            expected
        );
    }
}

/// A line of a trace: a record of a kind at a time, in minutes after 2025-10-01T00:00Z, that arrives `later` minutes later.
fn line(kind: &str, minute: i64, later: i64, fields: &str) -> String {
    let ts = 1_759_276_800_000 + minute * 60_000;
    format!(
        "{{\"at\":{},\"data\":{{\"ts\":{ts},{fields}}},\"subject\":\"tributary.in.acme.{kind}\"}}\n",
        ts + later * 60_000
    )
}

/// The boxes that a person ticks who allows everything.
const ALL: &str =
    r#""purposes":{"1":true,"7":true,"9":true,"feature_2":true,"special_feature_1":true}"#;

const DAY: i64 = 24 * 60;

/// Two devices stay in a store while one visitor is there.
fn story() -> String {
    let ping = |minute: i64| {
        let fields = r#""store":"S","sensor":"b","mac":"28:fe:34:00:00:01","rssi":-50"#;
        line("ping", minute, 1, fields)
    };
    let sighting = |id: &str| {
        let fields = format!(r#""id":"{id}","type":"sighting","store":"S","device":"{id}",{ALL}"#);
        line("partner", 605, 2 * DAY, &fields)
    };
    [
        ping(600),
        ping(610),
        ping(620),
        sighting("d1"),
        sighting("d2"),
    ]
    .concat()
}

fn visit_match(stays: u32, matched: u32, candidates: u32, weight: u32) -> String {
    format!(
        "{{\"cell\":{{\"brand\":\"acme\",\"day\":\"2025-10-01\",\"store\":\"S\"}},\"family\":\"visit_match\",\"value\":\
         {{\"candidates\":{candidates},\"matched\":{matched},\"stays\":{stays},\"weight_millionths\":{weight}}}}}"
    )
}

fn matches_of(story: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.ndjson");
    std::fs::write(&trace, story).unwrap();
    let mut cells = replay(&trace, "", &[]);
    cells.retain(|cell| cell.contains("visit_match"));
    cells
}

/// The sightings arrive when the day of the pings is closed: its visits are there without their tokens.
#[test]
fn sightings_after_the_day_is_closed_meet_its_visits() {
    assert_eq!(matches_of(&story()), [visit_match(2, 2, 2, 1_000_000)]);
}

/// Who withdraws leaves the visit to the other, and a sighting that nobody allows counts nowhere.
#[test]
fn a_withdrawal_takes_a_stay_out_and_the_others_follow() {
    let withdraw = r#""id":"c","device":"d2","purposes":{"1":false}"#;
    let story = story() + &line("consent", 3 * DAY, 0, withdraw);
    assert_eq!(matches_of(&story), [visit_match(1, 1, 1, 1_000_000)]);
}

/// The story, and what comes when its day is settled.
fn settled_story(later: &[String]) -> String {
    story()
        + &line(
            "consent",
            9 * DAY + 60,
            0,
            r#""id":"x","device":"other","purposes":{"1":true}"#,
        )
        + &later.concat()
}

/// A statement of the second device on a day after the day of its stay is settled.
fn states(day: i64, allows: &str) -> String {
    let fields = format!(r#""id":"s{day}","device":"d2",{allows}"#);
    line("consent", day * DAY, 0, &fields)
}

/// The cells with some settings, in epochs and on workers of different numbers.
fn matches_with(story: &str, settings: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.ndjson");
    std::fs::write(&trace, story).unwrap();
    let mut all = [&["--workers", "1"][..], &["--workers", "3", "--batch", "1"]].map(|arguments| {
        let mut cells = replay(&trace, settings, arguments);
        cells.retain(|cell| cell.contains("visit_match"));
        cells
    });
    assert_eq!(all[0], all[1]);
    std::mem::take(&mut all[0])
}

/// When its day is settled no number changes; then a withdrawal takes out a settled visit and no other follows; and renewed consent
/// brings it back.
#[test]
fn a_settled_visit_is_a_record_of_its_device() {
    let all = visit_match(2, 2, 2, 1_000_000);
    assert_eq!(
        matches_with(&settled_story(&[]), ""),
        std::slice::from_ref(&all)
    );
    let withdraws = states(10, r#""purposes":{"1":false}"#);
    let story = settled_story(std::slice::from_ref(&withdraws));
    assert_eq!(matches_with(&story, ""), [visit_match(1, 1, 1, 500_000)]);
    let later = "[brand.partners]\nsettle_after = \"31d\"\n";
    let open = matches_with(&story, later);
    assert_eq!(open, [visit_match(1, 1, 1, 1_000_000)]);
    let story = settled_story(&[withdraws, states(11, ALL)]);
    assert_eq!(matches_with(&story, ""), [all]);
}

/// An exposure of a device that only partners know is a contact of the device as long as the device allows it, and leaves by its
/// own time.
#[test]
fn an_exposure_that_only_a_partner_knows_is_a_record_of_its_device() {
    let exposure = |id: &str, day: i64| {
        let fields = format!(
            r#""id":"{id}","type":"exposure","touch":"click","source":"maps","device":"d1",{ALL}"#
        );
        line("partner", day * DAY + 600, 1, &fields)
    };
    let other = r#""id":"x","device":"other","purposes":{"1":true}"#;
    let withdraws = r#""id":"c","device":"d1","purposes":{"1":false}"#;
    let days = |later: &str, settings: &str| -> Vec<String> {
        let story = exposure("e", 0) + &exposure("f", 40) + later;
        let folder = tempfile::tempdir().unwrap();
        let trace = folder.path().join("trace.ndjson");
        std::fs::write(&trace, story + &line("consent", 50 * DAY, 0, other)).unwrap();
        let mut cells = cells_with(&trace, &format!("{CONFIG}{settings}"), &[]);
        cells.retain(|line| line.contains("\"family\":\"campaign_day\""));
        cells
    };
    let of_day = |day: &str| {
        format!(
            "{{\"cell\":{{\"brand\":\"acme\",\"campaign\":null,\"day\":\"{day}\",\"medium\":null,\"source\":\"maps\"}},\
             \"family\":\"campaign_day\",\"value\":{{\"clicks\":1,\"impressions\":0,\"persons\":1,\"views\":0}}}}"
        )
    };
    assert_eq!(days("", ""), ["2025-10-01", "2025-11-10"].map(of_day));
    let shortest = "[brand.retention]\nexposures_months = 1\n";
    assert_eq!(days("", shortest), [of_day("2025-11-10")]);
    let withdrawal = line("consent", 45 * DAY, 0, withdraws);
    assert_eq!(days(&withdrawal, ""), Vec::<String>::new());
}

/// On each of two days six visitors come one after the other, each of whom a partner saw there after a click on one of two channels.
fn crowd() -> String {
    let mut lines = String::new();
    for (day, number) in (0..2).flat_map(|day| (0..6).map(move |number| (day, number))) {
        let (begins, name) = (
            day * DAY + 600 + number * 40,
            format!("visitor-{day}-{number}"),
        );
        let source = if number % 2 == 0 { "maps" } else { "radio" };
        let click = format!(
            r#""id":"e{name}","type":"exposure","touch":"click","source":"{source}","device":"{name}",{ALL}"#
        );
        lines += &line("partner", begins - 60, 1, &click);
        for minute in [0, 10, 20] {
            let fields = format!(
                r#""store":"S","sensor":"b","mac":"28:fe:34:00:1{day}:1{number}","rssi":-50"#
            );
            lines += &line("ping", begins + minute, 1, &fields);
        }
        let sighting =
            format!(r#""id":"s{name}","type":"sighting","store":"S","device":"{name}",{ALL}"#);
        lines += &line("partner", begins + 5, 30, &sighting);
    }
    lines
}

/// Behind a gate that hides cells, visits by stays are published by channel and month once their days are settled, with the matched
/// stays of each day; before, nothing of them is.
#[test]
fn stays_are_published_behind_a_gate_once_they_are_settled() {
    let config = CONFIG.replace("k = 1\n", "k = 5\n");
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.ndjson");
    let other = |day: i64| {
        let fields = r#""id":"x","device":"other","purposes":{"1":true}"#;
        line("consent", day * DAY, 0, fields)
    };
    std::fs::write(&trace, crowd() + &other(5)).unwrap();
    assert_eq!(
        replay_with(&trace, &config, &[]),
        Vec::<String>::new(),
        "no day is settled"
    );
    std::fs::write(&trace, crowd() + &other(12)).unwrap();
    let cells = replay_with(&trace, &config, &["--workers", "1"]);
    let again = replay_with(&trace, &config, &["--workers", "3", "--batch", "1"]);
    assert_eq!(cells, again);
    let (attribution, matches): (Vec<String>, Vec<String>) = cells
        .into_iter()
        .partition(|line| line.contains("\"attribution\""));
    let of_day = |day: &str| {
        format!(
            "{{\"cell\":{{\"brand\":\"acme\",\"day\":\"{day}\",\"store\":\"S\"}},\"family\":\"visit_match\",\"value\":\
             {{\"candidates\":null,\"matched\":6,\"stays\":null,\"weight_millionths\":6000000}}}}"
        )
    };
    assert_eq!(matches, ["2025-10-01", "2025-10-02"].map(of_day));
    for source in ["maps", "radio"] {
        let (name, month) = (format!("\"source\":\"{source}\""), "\"day\":\"2025-10\"");
        let value = "\"conversions_millionths\":6000000,\"value_minor\":0";
        let own = attribution.iter().filter(|line| {
            [&*name, month, value]
                .iter()
                .all(|part| line.contains(part))
        });
        assert_eq!(own.count(), 7, "{attribution:#?}");
    }
    assert_eq!(attribution.len(), 14, "{attribution:#?}");
}

/// Everything that a ledger holds.
pub fn entries(ledger: &Path, config: &Config) -> Vec<Event> {
    let keyring = std::sync::Arc::new(Keyring::new(config));
    let (_ledger, mut recovery) = Ledger::open(Options::new(ledger), keyring.clone()).unwrap();
    let mut events = Vec::new();
    let mut utc = |_, ts: i64| ts.div_euclid(86_400_000) as i32;
    while let Some(block) = recovery.next_block().unwrap() {
        let mut each = |event| events.push(event);
        block.open(&keyring, 0, &mut utc, &mut each).unwrap();
    }
    events
}

//! Wallet passes from the trace to the cells: presences as conversions, active passes, redemptions; and what is left of a
//! person who is erased or whose retention has ended.

use std::path::Path;

use crate::support::{shared_data, succeed, tributary};

const CONFIG: &str = r#"
[release]
k = 1
k_delta = 1
cadence = "0s"
max_hold = "0s"
[[brand]]
name = "acme"
timezone = "UTC"
secret_env = "SECRET_OF_PASSES"
"#;

/// The lines of the cells of some families that a replay writes, with `more` behind the configuration.
pub fn replay(trace: &Path, more: &str, families: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.toml"), format!("{CONFIG}{more}")).unwrap();
    let mut command = tributary();
    command
        .current_dir(folder.path())
        .env("SECRET_OF_PASSES", tributary_testkit::SECRET)
        .args(["replay", "--config", "t.toml", "--cells", "cells"])
        .arg(trace);
    succeed(&mut command);
    let cells = std::fs::read_to_string(folder.path().join("cells")).unwrap();
    let is_one = |line: &&str| {
        let of = |family: &&str| line.contains(&format!("\"family\":\"{family}\""));
        families.iter().any(of)
    };
    cells.lines().filter(is_one).map(str::to_owned).collect()
}

/// A line of a trace: a record of a kind at a time, in minutes after 2025-10-01T00:00Z.
pub fn line(kind: &str, minute: i64, fields: &str) -> String {
    let ts = 1_759_276_800_000 + minute * 60_000;
    format!(
        "{{\"at\":{},\"data\":{{\"ts\":{ts},{fields}}},\"subject\":\"tributary.in.acme.{kind}\"}}\n",
        ts + 1_000
    )
}

pub const DAY: i64 = 24 * 60;

/// A pass in two phones, of which both give it back; a message, and scans of two visits, one with a purchase.
fn story() -> String {
    let pass = |id: u32, minute: i64, of: &str| {
        let fields = format!(r#""id":"{id}","wallet":"P","platform":"google",{of}"#);
        line("wallet", minute, &fields)
    };
    [
        pass(1, 60, r#""type":"issue""#),
        pass(2, 61, r#""type":"install","holder":"x""#),
        pass(3, 62, r#""type":"install","holder":"y""#),
        pass(4, DAY + 60, r#""type":"remove","holder":"x""#),
        pass(5, DAY + 600, r#""type":"push","campaign":"autumn""#),
        pass(6, DAY + 700, r#""type":"scan","store":"Nice 1""#),
        pass(
            7,
            DAY + 730,
            r#""type":"redeem","store":"Nice 1","source":"wallet","campaign":"-10""#,
        ),
        line(
            "transaction",
            DAY + 735,
            r#""id":"t","store":"Nice 1","amount":"12.00","wallet":"P""#,
        ),
        pass(8, DAY + 791, r#""type":"scan","store":"Nice 1""#),
        pass(9, 2 * DAY + 5, r#""type":"remove","holder":"y""#),
    ]
    .concat()
}

#[test]
fn scans_are_visits_that_messages_bring_about() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.ndjson");
    std::fs::write(&trace, story()).unwrap();
    let families = ["wallet_day", "scan_day", "redemption_day", "markov_month"];
    let cells = replay(&trace, "", &families);
    assert_eq!(
        cells,
        [
            r#"{"cell":{"brand":"acme","campaign":"-10","day":"2025-10-02","medium":null,"source":"wallet","store":"Nice 1"},"family":"redemption_day","value":{"persons":1,"redemptions":1}}"#,
            r#"{"cell":{"brand":"acme","campaign":"autumn","currency":"EUR","kind":"transaction","medium":"push","month":"2025-10","source":"wallet"},"family":"markov_month","value":{"conversions_millionths":1000000,"removal_effect_ppm":1000000,"value_minor":1200}}"#,
            r#"{"cell":{"brand":"acme","campaign":"autumn","currency":null,"kind":"visit","medium":"push","month":"2025-10","source":"wallet"},"family":"markov_month","value":{"conversions_millionths":2000000,"removal_effect_ppm":1000000,"value_minor":0}}"#,
            r#"{"cell":{"brand":"acme","day":"2025-10-01","platform":"google"},"family":"wallet_day","value":{"active":1,"installed":1,"issued":1,"opens":0,"pushes":0,"removed":0,"voided":0}}"#,
            r#"{"cell":{"brand":"acme","day":"2025-10-02","platform":"google"},"family":"wallet_day","value":{"active":1,"installed":0,"issued":0,"opens":0,"pushes":1,"removed":0,"voided":0}}"#,
            r#"{"cell":{"brand":"acme","day":"2025-10-02","store":"Nice 1"},"family":"scan_day","value":{"persons":1,"presences":2,"redemptions":1,"scans":3,"with_transaction":1}}"#,
            r#"{"cell":{"brand":"acme","day":"2025-10-03","platform":"google"},"family":"wallet_day","value":{"active":0,"installed":0,"issued":0,"opens":0,"pushes":0,"removed":1,"voided":0}}"#,
        ]
    );
    // With a longer gap both visits are one.
    let cells = replay(&trace, "[brand.wallet]\ngap = \"2h\"\n", &["scan_day"]);
    let [cell] = &cells[..] else {
        panic!("{cells:?}");
    };
    assert!(cell.contains(r#""presences":1,"redemptions":1,"scans":3,"with_transaction":1"#));
}

/// A gate that hides anything publishes visits by the months of the ladder, and holds passes back.
#[test]
fn visits_leave_with_the_months_of_the_ladder() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.ndjson");
    let mut lines = String::new();
    for person in 0..40 {
        let pass = |id: &str, minute: i64, of: &str| {
            let fields = format!(r#""id":"{person}-{id}","wallet":"P{person}",{of}"#);
            line("wallet", minute, &fields)
        };
        lines += &pass("push", 600 + person, r#""type":"push""#);
        lines += &pass(
            "scan",
            DAY + 600 + person,
            r#""type":"scan","store":"Nice 1""#,
        );
        lines += &pass(
            "again",
            4 * DAY + 600 + person,
            r#""type":"scan","store":"Nice 1""#,
        );
    }
    // A day later all of it is finished.
    lines += &line(
        "wallet",
        9 * DAY,
        r#""id":"end","wallet":"Q","type":"issue""#,
    );
    std::fs::write(&trace, lines).unwrap();
    let families = ["wallet_day", "scan_day", "redemption_day", "attribution"];
    let cells = replay(&trace, "[brand.release]\nk = 5\n", &families);
    let (days, credits): (Vec<&String>, Vec<&String>) =
        cells.iter().partition(|line| line.contains("\"scan_day\""));
    let day = |day: &str| {
        let cell = format!(r#"{{"brand":"acme","day":"{day}","store":"Nice 1"}}"#);
        let value = r#"{"persons":40,"presences":40,"redemptions":null,"scans":40,"with_transaction":null}"#;
        format!(r#"{{"cell":{cell},"family":"scan_day","value":{value}}}"#)
    };
    assert_eq!(days, [&day("2025-10-02"), &day("2025-10-05")]);
    assert_eq!(credits.len(), 7, "{credits:?}");
    let of_month = r#""currency":null,"day":"2025-10","kind":"visit","medium":"push""#;
    let all = r#"{"conversions_millionths":80000000,"value_minor":0}"#;
    let is_one = |line: &&String| line.contains(of_month) && line.contains(all);
    assert!(credits.iter().all(is_one), "{credits:?}");
}

/// The worked example, where it is.
#[test]
fn the_worked_example_comes_out_byte_for_byte() {
    let Some(data) = shared_data() else {
        return;
    };
    let example = data.join("examples/wallet");
    let trace = example.join("trace.ndjson");
    let Ok(expected) = std::fs::read_to_string(example.join("expected.ndjson")) else {
        tributary_testkit::skipped("the worked example of wallet passes is not here");
        return;
    };
    let mut expected: Vec<&str> = expected.lines().collect();
    expected.sort_unstable();
    let cells = replay(&trace, "", &["wallet_day", "scan_day", "attribution"]);
    let of_visits =
        |line: &&String| !line.contains("\"attribution\"") || line.contains("\"kind\":\"visit\"");
    let cells: Vec<&String> = cells.iter().filter(of_visits).collect();
    assert_eq!(cells, expected);
}

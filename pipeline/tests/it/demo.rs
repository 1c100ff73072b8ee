//! The demo shows what it promises: money by channel and model, stores, and the same numbers as a replay of the
//! same world would give; and it serves them until it is stopped.

use std::process::Stdio;

use crate::support::{succeed, tributary};

#[test]
fn the_summary_adds_up() {
    let run = |workers: &str| {
        let mut command = tributary();
        command.args([
            "demo",
            "--once",
            "--json",
            "--show-all",
            "--events",
            "20000",
            "--workers",
            workers,
        ]);
        command.args(["--listen", "127.0.0.1:0"]);
        let output = succeed(&mut command);
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")
    };
    let both = run("1");
    assert_eq!(both, run("3"), "workers never show");
    let facts = |at: usize| {
        let brand = &both["brands"][at];
        ["brand", "currency"].map(|of| brand[of].as_str().expect("text").to_owned())
    };
    assert_eq!(facts(0), ["orchard", "EUR"]);
    assert_eq!(facts(1), ["willow", "GBP"]);
    for summary in both["brands"].as_array().expect("brands") {
        adds_up(summary);
    }
}

/// The numbers of a brand agree with each other.
fn adds_up(summary: &serde_json::Value) {
    let sum = |rows: &serde_json::Value, of: &dyn Fn(&serde_json::Value) -> i64| -> i64 {
        rows.as_array().expect("rows").iter().map(of).sum()
    };
    let tills = sum(&summary["stores"], &|store| {
        store["revenue_minor"].as_i64().expect("money")
    });
    let online = summary["online"]["revenue_minor"].as_i64().expect("money");
    assert!(tills > 0 && online > 0);
    // The table shows the largest channels; with those the credits never exceed what came in.
    let linear: i64 = summary["months"]
        .as_array()
        .expect("months")
        .iter()
        .map(|month| {
            sum(&month["channels"], &|c| {
                c["value_minor"]["linear"].as_i64().unwrap_or(0)
            })
        })
        .sum();
    assert!(
        linear > 0 && linear <= tills + online,
        "{linear} of {}",
        tills + online
    );
    let visits = sum(&summary["stores"], &|store| {
        store["visits"].as_i64().expect("a count")
    });
    assert!(visits > 0);
    assert!(summary["identity"]["persons"].as_i64() > Some(50));
}

#[test]
fn the_text_is_for_people() {
    let mut command = tributary();
    command.args(["demo", "--once", "--events", "20000", "--days", "14"]);
    let text = String::from_utf8(succeed(&mut command).stdout).expect("text");
    for line in [
        "Revenue by channel",
        "under each attribution model",
        "Store visits and in-store revenue",
        "persons through",
        "of what channels brought: the rest is hidden for privacy.",
        "20 people contribute (release.k)",
        "tributary demo --show-all shows every number",
        "orchard: EUR, Europe/Paris, at least 20 people behind each number",
        "willow: GBP, Europe/London, at least 10 people behind each number",
        "tributary demo --brand willow prints its tables",
        "From the click to the till",
        "all 6 numbers are back where they were",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    assert!(
        text.lines().all(|line| line.chars().count() <= 104),
        "lines fit a terminal"
    );
}

#[test]
fn the_gate_can_be_opened() {
    let mut command = tributary();
    command.args([
        "demo",
        "--once",
        "--show-all",
        "--events",
        "5000",
        "--days",
        "7",
    ]);
    let text = String::from_utf8(succeed(&mut command).stdout).expect("text");
    for line in [", all of it.", "Every number is shown (release.k = 1)"] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("hidden for privacy"), "{text}");
}

/// The summary that the command prints before it serves the page, of which it has only the first two releases, has the
/// revenue of channels of both brands, as that of a trace that has ended.
#[test]
fn the_summary_of_the_live_demo_has_its_months() {
    let mut command = tributary();
    command.args(["demo", "--listen", "127.0.0.1:0", "--json"]);
    command.args(["--events", "60000", "--days", "14"]);
    command.stdout(Stdio::piped());
    let mut child = command.spawn().expect("the demo starts");
    let mut texts = serde_json::Deserializer::from_reader(child.stdout.take().expect("a pipe"))
        .into_iter::<serde_json::Value>();
    let summary = texts.next();
    // It serves the page until it is stopped.
    child.kill().expect("the demo runs");
    child.wait().expect("the demo ends");
    let summary = summary.expect("a summary").expect("JSON");
    for brand in summary["brands"].as_array().expect("brands") {
        let months = brand["months"].as_array().expect("months");
        let released = |month: &serde_json::Value| month["revenue_of_channels_minor"].as_i64();
        assert!(
            months.iter().filter_map(released).sum::<i64>() > 0,
            "{brand}"
        );
    }
}

use super::*;
use crate::report::worker_profile::WorkerProfile;
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::engine::OperatorProfile;
use tributary_operators::record::BrandId;

fn metrics(more: &str) -> Metrics {
    let text = format!(
        "{more}[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"ACME\"\n\
         [[brand]]\nname = \"brew\"\ntimezone = \"UTC\"\nsecret_env = \"BREW\"\n"
    );
    let secret = |name: &str| {
        matches!(name, "ACME" | "BREW").then(|| format!("{name}-{}", tributary_testkit::SECRET))
    };
    let loaded = tributary_config::parse_in(&text, std::path::Path::new("test.toml"), &secret);
    Metrics::new(&loaded.expect("the configuration holds").config)
}

/// The value of a series as written, or none.
fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = metrics.encode();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(line.parse().expect("a number"))
}

fn takings(day: i32, minor: i128) -> Cell {
    Cell {
        family: Family::OrdersDay,
        dims: vec![
            Dim::Text("acme".into()),
            Dim::Day(day),
            Dim::Text("EUR".into()),
        ],
        values: vec![1, minor, 1],
    }
}

#[test]
fn counts_since_the_start_raise_counters_and_never_lower_them() {
    let metrics = metrics("");
    let series = "tributary_records_accepted_total{brand=\"brew\",kind=\"web\",source=\"web\"}";
    assert_eq!(value(&metrics, series), Some(0.0));
    let mut counts = Counts::default();
    let web = (BrandId::of("brew"), "web", "web".into());
    counts.accepted.insert(web.clone(), 7);
    counts.stages.duplicates = 2;
    counts.stages.held = 5;
    metrics.sync(&counts, &BTreeMap::new());
    metrics.sync(&counts, &BTreeMap::new());
    assert_eq!(value(&metrics, series), Some(7.0));
    counts.accepted.insert(web, 9);
    counts.stages.duplicates = 1;
    counts.stages.held = 3;
    metrics.sync(&counts, &BTreeMap::new());
    assert_eq!(value(&metrics, series), Some(9.0));
    assert_eq!(
        value(&metrics, "tributary_records_duplicate_total"),
        Some(2.0)
    );
    assert_eq!(value(&metrics, "tributary_records_held"), Some(3.0));
    let other = "tributary_records_accepted_total{brand=\"acme\",kind=\"web\",source=\"web\"}";
    assert_eq!(value(&metrics, other), Some(0.0));
}

#[test]
fn dead_letters_have_labels_of_closed_sets_whatever_a_subject_says() {
    let metrics = metrics("");
    let key = |brand: &str, kind: &str| {
        (
            Some(brand.to_owned()),
            Some(kind.to_owned()),
            Reason::UnknownBrand,
        )
    };
    let dead = BTreeMap::from([
        (key("acme", "web"), 1),
        (key("alice@example.org", "x1"), 2),
        (key("bob@example.org", "x2"), 3),
        ((None, None, Reason::UnknownBrand), 4),
    ]);
    metrics.sync(&Counts::default(), &dead);
    metrics.sync(&Counts::default(), &dead);
    let of = |brand: &str, kind: &str| {
        let labels = format!("brand=\"{brand}\",kind=\"{kind}\",reason=\"unknown_brand\"");
        value(
            &metrics,
            &format!("tributary_dead_letters_total{{{labels}}}"),
        )
    };
    assert_eq!(of("acme", "web"), Some(1.0));
    assert_eq!(of("unknown", "unknown"), Some(9.0));
    assert!(!metrics.encode().contains("example.org"));
}

#[test]
fn operators_are_shown_by_thread() {
    let metrics = metrics("");
    let mut profile = WorkerProfile {
        recent_epoch: Duration::from_millis(250),
        ..WorkerProfile::default()
    };
    let of = OperatorProfile {
        updates: 7,
        entries: 3,
        bytes: 4_096,
        busy: Duration::from_millis(1_500),
        longest: Duration::from_millis(40),
        recent: Duration::from_millis(20),
    };
    profile.operators.insert("Persons", of);
    metrics.profiles(&[(1, profile)].into());
    let text = metrics.encode();
    for line in [
        "tributary_operator_busy_seconds_total{operator=\"Persons\",thread=\"1\"} 1.5",
        "tributary_operator_updates_total{operator=\"Persons\",thread=\"1\"} 7",
        "tributary_operator_entries{operator=\"Persons\",thread=\"1\"} 3",
        "tributary_operator_state_bytes{operator=\"Persons\",thread=\"1\"} 4096",
        "tributary_operator_longest_step_seconds{operator=\"Persons\",thread=\"1\"} 0.02",
        "tributary_epoch_longest_seconds{thread=\"1\"} 0.25",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn an_epoch_is_observed_once() {
    let metrics = metrics("");
    let since = Duration::from_millis(250);
    metrics.epoch(0, since, 0.0, 0.05);
    assert_eq!(
        value(&metrics, "tributary_epoch_duration_seconds_count"),
        Some(0.0)
    );
    metrics.epoch(1_700_000_000_500, since, 1.5, 0.05);
    metrics.epoch(1_700_000_000_500, since, 0.5, 0.05);
    assert_eq!(
        value(&metrics, "tributary_epoch_duration_seconds_count"),
        Some(1.0)
    );
    assert_eq!(
        value(&metrics, "tributary_epoch_duration_seconds_sum"),
        Some(0.25)
    );
    assert_eq!(value(&metrics, "tributary_lag_seconds"), Some(0.5));
}

#[test]
fn input_and_output_are_told_in_steps() {
    let metrics = metrics("");
    metrics.input((100, None), 7, (10, 1_000));
    metrics.input((120, Some(33)), 0, (20, 500));
    metrics.published(3, 1, 0);
    metrics.published(2, 0, 1);
    for (series, expected) in [
        ("tributary_input_stream_sequence", 120.0),
        ("tributary_pings_stream_sequence", 33.0),
        ("tributary_input_pending_messages", 0.0),
        ("tributary_input_messages_total", 30.0),
        ("tributary_input_bytes_total", 1_500.0),
        ("tributary_cells_published_total", 5.0),
        ("tributary_cell_tombstones_published_total", 1.0),
        ("tributary_publish_failures_total", 1.0),
    ] {
        assert_eq!(value(&metrics, series), Some(expected), "{series}");
    }
}

#[test]
fn the_gauges_follow_the_board_and_the_day() {
    let metrics = metrics("");
    let series = "tributary_order_takings{brand=\"acme\",window=\"today\",currency=\"EUR\"}";
    let mut board = PublishedCells::default();
    board.apply(&takings(100, 1_050));
    metrics.board(&board, |_| 100);
    assert_eq!(value(&metrics, series), Some(10.5));
    // A refund takes it down, and the next day it is none of today's: without a cell there is no series.
    board.apply(&takings(100, 50));
    assert_eq!(value(&metrics, series), Some(10.5));
    metrics.board(&board, |_| 100);
    assert_eq!(value(&metrics, series), Some(0.5));
    metrics.board(&board, |brand| if brand == "acme" { 101 } else { 100 });
    assert_eq!(value(&metrics, series), None);
    let week = series.replace("today", "7d");
    assert_eq!(value(&metrics, &week), Some(0.5));
    metrics.board(&board, |_| 130);
    assert!(!metrics.encode().contains("order_takings"));
}

#[test]
fn a_brand_that_is_not_configured_is_not_shown() {
    let metrics = metrics("");
    let mut cell = takings(100, 1_050);
    cell.dims[0] = Dim::Text("stranger".into());
    let mut board = PublishedCells::default();
    board.apply(&cell);
    metrics.board(&board, |_| 100);
    assert!(!metrics.encode().contains("stranger"));
}

#[test]
fn words_from_records_cannot_break_the_format() {
    let metrics = metrics("[http]\nmax_series = 5\n");
    let mut board = PublishedCells::default();
    board.apply(&Cell {
        family: Family::Visits,
        dims: vec![
            Dim::Text("acme".into()),
            Dim::Text("a\"} 1\ntributary_ready 1\\".into()),
            Dim::Hour(0, 0),
        ],
        values: vec![1, 2, 3, 4, 5],
    });
    metrics.board(&board, |_| 0);
    let text = metrics.encode();
    assert_eq!(
        text.lines()
            .filter(|line| line.starts_with("tributary_ready "))
            .count(),
        1
    );
    assert!(text.contains(r#"store="a\"} 1\ntributary_ready 1\\"} 1"#));
}

//! With a gate, metrics show what is published and nothing else: every gauge adds up to cells, what is hidden has no
//! series, and a ratio is of one channel.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tributary::report::metrics::business::{self, BrandDay};
use tributary::report::published_cells::PublishedCells;
use tributary_connectors::out::parse_cell;
use tributary_operators::calendar;
use tributary_operators::cell::Family;
use tributary_simulate::Options;

use crate::support::World;

/// November 2025.
const MONTH: i32 = 2025 * 12 + 10;

/// Series by name: labels and value.
type Series = BTreeMap<String, Vec<(BTreeMap<String, String>, f64)>>;

fn series(cells: &PublishedCells, today: i32) -> Series {
    let mut all = Series::new();
    let brand = BrandDay {
        name: "orchard",
        today,
        hides: true,
        settled: None,
    };
    for family in business::families(cells, &[brand], 1_000) {
        let of = all.entry(family.name().to_owned()).or_default();
        for metric in family.get_metric() {
            let labels = metric.get_label().iter();
            let labels = labels.map(|pair| (pair.name().to_owned(), pair.value().to_owned()));
            of.push((labels.collect(), metric.get_gauge().get_value()));
        }
    }
    all
}

/// The sum of the series with these labels.
fn sum(series: &Series, name: &str, labels: &[(&str, &str)]) -> f64 {
    let found = series.get(name).into_iter().flatten().filter(|(of, _)| {
        labels
            .iter()
            .all(|(label, word)| of.get(*label).map(String::as_str) == Some(word))
    });
    found.map(|(_, value)| value).sum()
}

#[test]
fn every_gauge_is_of_published_cells() {
    let options = Options {
        events: Some(100_000),
        start: jiff::civil::date(2025, 11, 1),
        k: 50,
        ..Options::default()
    };
    let world = World::of(options, None, "");
    let mut cells = PublishedCells::default();
    let mut json: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in world.replayed() {
        let mut line: Value = serde_json::from_str(&line).expect("JSON");
        line["as_of"] = "2025-12-01T00:00:00Z".into();
        let name = line["family"].as_str().expect("a family").to_owned();
        let family = Family::of(&name).expect("a known family");
        let (cell, _) = parse_cell(family, line.to_string().as_bytes()).expect("a cell");
        cells.apply(&cell);
        json.entry(name).or_default().push(line);
    }
    let (first, next) = (calendar::first_day(MONTH), calendar::first_day(MONTH + 1));
    let current = series(&cells, next - 1);
    let past = series(&cells, next);

    // The last days of the month are over, so that both windows of the month have the same cells.
    for name in [
        "tributary_attributed_value",
        "tributary_attributed_conversions",
        "tributary_markov_value",
        "tributary_return_on_ad_spend_ratio",
        "tributary_cost_per_conversion",
    ] {
        let values = |of: &Series, window: &str| -> Vec<f64> {
            let all = of.get(name).into_iter().flatten();
            let own = all.filter(|(labels, _)| labels["window"] == window);
            own.map(|(_, value)| *value).collect()
        };
        assert!(!values(&past, "last_month").is_empty(), "{name}");
        assert_eq!(
            values(&current, "month"),
            values(&past, "last_month"),
            "{name}"
        );
        assert_eq!(values(&past, "month"), [0.0; 0], "{name}");
    }

    // A published amount is never 0 here, so that a 0 would be a hidden one.
    for (name, all) in &past {
        let money = ["takings", "value", "conversions", "spend_ratio", "effect"];
        for (labels, value) in all {
            assert!(value.is_finite() && *value > -1e20, "{name} {labels:?}");
            let hidden = *value == 0.0 && money.iter().any(|part| name.contains(part));
            assert!(!hidden, "{name} is 0 for {labels:?}");
            let channel = labels.get("channel").map_or("", String::as_str);
            assert_ne!(channel, "other", "{name}");
            if name.contains("spend_ratio") || name.contains("cost_per") {
                assert!(!channel.ends_with('*'), "{name} {channel}");
            }
        }
    }

    let minor = |family: &str, value: &str, is_counted: &dyn Fn(&Value) -> bool| -> i64 {
        let of_family = json[family].iter().filter(|line| is_counted(&line["cell"]));
        of_family
            .map(|line| line["value"][value].as_i64().expect("an amount"))
            .sum()
    };
    let cents = |euros: f64| (euros * 100.0).round() as i64;
    let models: BTreeSet<&str> = json["attribution"]
        .iter()
        .map(|line| line["cell"]["model"].as_str().expect("a model"))
        .collect();
    for model in models {
        let exported = sum(&past, "tributary_attributed_value", &[("model", model)]);
        let published = minor("attribution", "value_minor", &|cell| cell["model"] == model);
        assert_eq!(cents(exported), published, "{model}");
    }
    assert_eq!(
        cents(sum(&past, "tributary_markov_value", &[])),
        minor("markov_month", "value_minor", &|_| true)
    );
    // On the 30th, thirty days are the month: what is left of days and of the month is in them.
    assert_eq!(next - first, 30);
    for (gauge, family) in [
        ("tributary_store_takings", "store_day"),
        ("tributary_order_takings", "orders_day"),
    ] {
        assert_eq!(
            cents(sum(&current, gauge, &[("window", "30d")])),
            minor(family, "revenue_minor", &|_| true),
            "{family}"
        );
    }

    let is_touched = |cell: &Value| cell["model"] == "linear" && cell["source"] != "unattributed";
    let all = minor("attribution", "value_minor", &is_touched);
    let own = minor("attribution", "value_minor", &|cell| {
        is_touched(cell) && cell["campaign"] != "*"
    });
    let labels = [("family", "attribution"), ("window", "last_month")];
    let share = sum(&past, "tributary_released_share_ratio", &labels);
    assert_eq!((share * 10.0).round() as i64, own * 10 / all);
    assert!((0.5..1.0).contains(&share), "{share}");
}

//! What the release gate hides is nowhere drawn as 0: every expression of every panel and every rule is evaluated over
//! one world twice, behind a gate and without one. A number that is 0 behind the gate must be 0 in truth.

use std::collections::BTreeMap;

use tributary::report::metrics::table::{Part, Row, TABLE};

use crate::dashboards_parts::prometheus::{Prometheus, still_demo};
use crate::dashboards_parts::{Dashboard, all_rules, filled};
use crate::support::story::until;

/// Whether an expression reads numbers of brands, of which the gate hides some. The share released says itself how much
/// is hidden. Of a day that has just begun a few cells are published, whose sum may be 0 where that of all is not.
fn is_of_brands(expr: &str) -> bool {
    if expr.contains("window=\"today\"") {
        return false;
    }
    let mut business = TABLE.iter().filter(|row| row.part == Part::Business);
    let is_share = expr.contains("tributary_released_share_ratio");
    let names = |row: &Row| expr.contains(&format!("{}{{", row.full_name()));
    !is_share && business.any(names)
}

/// The series that are 0 behind the gate, and are not 0 without it.
fn wrong_zeros(gated: &Prometheus, open: &Prometheus, expr: &str) -> Vec<String> {
    let truth = open.numbers(expr);
    let shown = gated.numbers(expr);
    let is_wrong = |(labels, number): &(&String, &f64)| {
        // What is in the world without a gate as well cannot be hidden by it: a rest, for example, has no cell there.
        **number == 0.0 && truth.get(*labels).is_some_and(|truth| *truth != 0.0)
    };
    let wrong = shown.iter().filter(is_wrong);
    wrong
        .map(|(labels, _)| format!("{expr} {labels}"))
        .collect()
}

#[test]
fn no_hidden_number_is_drawn_as_zero() {
    let (Some(behind), Some(before)) = (Prometheus::start_or_skip(), Prometheus::start_or_skip())
    else {
        return;
    };
    let (_gated_demo, gated) = still_demo(&[]);
    let (_open_demo, open) = still_demo(&["--show-all"]);
    let (gated, open) = (behind(&gated), before(&open));
    for prometheus in [&gated, &open] {
        until("Prometheus has scraped the demo", || {
            !prometheus.series("tributary_spend").is_empty()
                && !prometheus
                    .series("rate(tributary_records_accepted_total[30s])")
                    .is_empty()
        });
    }

    // The gate hides a part of each of these families, and not all of them.
    for metric in [
        "tributary_store_takings",
        "tributary_store_transactions",
        "tributary_order_takings",
        "tributary_attributed_value",
        "tributary_attributed_conversions",
        "tributary_markov_value",
        "tributary_contacts",
    ] {
        let (shown, all) = (gated.numbers(metric), open.numbers(metric));
        let hidden = all
            .keys()
            .filter(|labels| !shown.contains_key(*labels))
            .count();
        eprintln!("{metric}: {} of {} series are hidden", hidden, all.len());
        assert!(hidden > 0 && !shown.is_empty(), "{metric}");
    }

    let (mut evaluated, mut complaints) = (0, Vec::new());
    for dashboard in Dashboard::all() {
        let (first, _) = open.choose(&dashboard);
        for choice in dashboard.choices() {
            let mut words: BTreeMap<String, String> = first.clone();
            words.extend(choice);
            for query in dashboard.queries() {
                let expr = filled(&query.expr, &words);
                if is_of_brands(&expr) {
                    evaluated += 1;
                    complaints.extend(wrong_zeros(&gated, &open, &expr));
                }
            }
        }
    }
    for rule in all_rules() {
        if is_of_brands(&rule.expr) {
            evaluated += 1;
            complaints.extend(wrong_zeros(&gated, &open, &rule.expr));
        }
    }
    eprintln!("{evaluated} expressions behind the gate and without it");
    assert!(evaluated > 50, "{evaluated}");
    assert_eq!(complaints, Vec::<String>::new());

    // The check finds a panel that draws what is hidden as 0.
    let selector = "job=\"tributary\", brand=\"orchard\", window=\"30d\", store=\"s01\"";
    let takings = format!("sum(tributary_store_takings{{{selector}}})");
    assert!(gated.numbers(&takings).is_empty(), "the gate hides a store");
    for planted in [
        format!("{takings} or vector(0)"),
        format!(
            "({takings} or vector(0)) / sum(tributary_spend{{job=\"tributary\", brand=\"orchard\", window=\"30d\"}})"
        ),
    ] {
        assert!(is_of_brands(&planted));
        assert_eq!(wrong_zeros(&gated, &open, &planted).len(), 1, "{planted}");
    }
}

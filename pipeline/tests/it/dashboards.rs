//! Dashboards, rules and runbook say nothing that the program does not: every expression names metrics, labels and words
//! of the reference, every alert has its section, and a real Prometheus that scrapes real processes has an answer for
//! every panel.
//!
//! `bash .ci/tools.sh promtool` brings Prometheus and promtool.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::dashboards_parts::prometheus::{Ending, Prometheus, program, wait_for_line};
use crate::dashboards_parts::reference::Reference;
use crate::dashboards_parts::{Dashboard, Rule, all_rules, filled, grafana, read, rules, text};
use crate::support::http::send;
use crate::support::story::{play, ready, until};
use crate::support::{Worker, World, tributary};
use tributary::cli::rules::{RUNBOOK, rules as printed};
use tributary::report::metrics::label::Label;
use tributary::report::metrics::table::{Row, TABLE};
use tributary_simulate::Options;
use tributary_testkit::otlp::Collector;
use tributary_testkit::{NatsServer, free_port, skipped};

/// Panels to which the demo has nothing to say: it has no broker, no ledger and no HTTP ingest server, so that no epoch is
/// opened and nothing is committed or received, and a quantile of nothing is not a number. Nor has it partners.
const WORKER_ONLY: [(&str, &str); 16] = [
    (
        "marketing",
        "Lift of exposed against unexposed people by channel (last month)",
    ),
    ("stores", "Sightings of partners by outcome"),
    ("stores", "Visits matched with sightings by store ($window)"),
    ("stores", "Matched sightings (7 days)"),
    ("stores", "Sightings settled up to"),
    (
        "stores",
        "Coverage of visits by sightings and store ($window)",
    ),
    ("privacy", "Audit chain"),
    ("privacy", "Audit entries"),
    ("privacy", "Audit head"),
    ("operations", "Epoch duration"),
    ("operations", "Ledger commit duration"),
    ("operations", "Requests by source"),
    ("operations", "Requests by response"),
    ("operations", "Accepted bytes by source"),
    ("operations", "Acknowledgment"),
    ("operations", "Telemetry sent and dropped"),
];

/// The files of promtool's tests of the rules.
const TESTS: [&str; 2] = ["tests.yml", "tests-of-days.yml"];

/// Metrics that no dashboard and no rule reads: with several processes ratios are made from sums.
const MADE_FROM_SUMS: [&str; 3] = [
    "tributary_return_on_ad_spend_ratio",
    "tributary_cost_per_conversion",
    "tributary_cost_per_visit",
];

#[test]
fn nothing_is_named_that_is_not_exported() {
    let mut reference = Reference::new();
    for wrong in [
        "tributary_visit",
        "tributary_epoch_duration_seconds",
        "tributary_visits{model=\"last\"}",
        "tributary_visits{window=~\"7d|8d\"}",
        "tributary_records_accepted_total{kind=\"order\"}",
        "sum by (channel) (tributary_visits)",
        "sum(tributary_visits) / on (model) tributary_orders",
        "rate(tributary_spend{platforms!=\"x\"}[5m])",
        "{job=\"tributary\"}",
    ] {
        assert_eq!(reference.check(wrong).len(), 1, "{wrong}");
    }
    reference.used.clear();

    let (mut panels, mut queries, mut complaints) = (0, 0, Vec::new());
    let dashboards = Dashboard::all();
    for dashboard in &dashboards {
        let words = dashboard.words();
        let annotations = dashboard.list("/annotations/list");
        let annotations = annotations.filter_map(|of| of["expr"].as_str());
        let variables = dashboard.asked_variables().map(|(_, expr, _)| expr);
        let other: Vec<String> = annotations.chain(variables).map(str::to_owned).collect();
        let own = dashboard.queries();
        panels += dashboard.panels().count();
        queries += own.len();
        for expr in own.into_iter().map(|query| query.expr).chain(other) {
            let found = reference.check(&filled(&expr, &words));
            complaints.extend(
                found
                    .iter()
                    .map(|what| format!("{}: {what} in {expr}", dashboard.name)),
            );
        }
        for (of, expr, label) in dashboard.asked_variables() {
            let asked = format!("count by ({label}) ({})", filled(expr, &words));
            complaints.extend(
                reference
                    .check(&asked)
                    .iter()
                    .map(|what| format!("${}: {what}", of["name"])),
            );
        }
        for of in dashboard
            .list("/templating/list")
            .filter(|of| of["type"] == "custom")
        {
            let label = Label::ALL
                .iter()
                .find(|label| of["name"] == label.name())
                // A dashboard has both kinds of windows.
                .or((of["name"] == "month").then_some(&Label::MonthWindow))
                .unwrap();
            let offered = text(&of["query"]);
            assert_eq!(
                offered.split(',').collect::<Vec<_>>(),
                label.words().unwrap()
            );
            let options: Vec<_> = of["options"]
                .as_array()
                .unwrap()
                .iter()
                .map(|of| text(&of["value"]))
                .collect();
            assert_eq!(options.join(","), offered);
        }
    }
    let rules = all_rules();
    for rule in &rules {
        let found = reference.check(&rule.expr);
        complaints.extend(found.iter().map(|what| format!("{}: {what}", rule.name)));
    }
    assert_eq!(complaints, Vec::<String>::new());
    let used = |name: &str| {
        let parts = ["", "_bucket", "_sum", "_count"];
        parts
            .iter()
            .any(|part| reference.used.contains(&format!("{name}{part}")))
    };
    let names: Vec<String> = TABLE.iter().map(Row::full_name).collect();
    let unused: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| !used(name))
        .collect();
    assert_eq!(unused, MADE_FROM_SUMS, "metrics that nobody looks at");
    eprintln!(
        "{} dashboards with {panels} panels and {queries} expressions; {} rules, {} of them alerts",
        dashboards.len(),
        rules.len(),
        rules.iter().filter(|rule| rule.alert).count()
    );
}

#[test]
fn every_panel_says_what_it_shows_and_lies_on_the_grid() {
    for dashboard in Dashboard::all() {
        let name = &dashboard.name;
        assert_eq!(text(&dashboard.json["uid"]), format!("tributary-{name}"));
        let mut ids = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for panel in dashboard.list("/panels") {
            let title = text(&panel["title"]);
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}: {title}");
            let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(
                place("x") + place("w") <= 24,
                "{name}: {title} is beyond the grid"
            );
            for x in place("x")..place("x") + place("w") {
                for y in place("y")..place("y") + place("h") {
                    assert!(taken.insert((x, y)), "{name}: {title} covers another panel");
                }
            }
        }
        let mut titles = BTreeSet::new();
        for panel in dashboard.panels() {
            let title = text(&panel["title"]);
            assert!(
                !title.is_empty() && titles.insert(title.clone()),
                "{name}: {title}"
            );
            assert!(
                text(&panel["description"]).ends_with('.'),
                "{name}: {title}"
            );
            let own = match panel["targets"][0]["url"].is_string() {
                true => "${cells}",
                false => "${datasource}",
            };
            assert_eq!(panel["datasource"]["uid"], own, "{name}: {title}");
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(!text(&defaults["unit"]).is_empty(), "{name}: {title}");
            assert!(
                defaults["thresholds"]["steps"][0]["color"].is_string(),
                "{name}: {title}"
            );
            let decimals = panel["type"] == "table" || defaults["decimals"].is_u64();
            assert!(decimals, "{name}: {title} has any number of decimals");
        }
        let several = dashboard
            .queries()
            .into_iter()
            .filter(|query| query.legend.is_empty());
        assert_eq!(several.count(), 0, "{name}: every query has a legend");
    }
}

#[test]
fn every_alert_has_its_section() {
    let runbook = read("RUNBOOK.md");
    let sections: BTreeSet<&str> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let alerts: Vec<Rule> = all_rules().into_iter().filter(|rule| rule.alert).collect();
    for alert in &alerts {
        let anchor = format!("{RUNBOOK}#{}", alert.name.to_lowercase());
        assert_eq!(alert.runbook.as_ref(), Some(&anchor), "{}", alert.name);
    }
    assert_eq!(
        sections,
        alerts.iter().map(|alert| alert.name.as_str()).collect()
    );
    for section in runbook.split("\n## ").skip(1) {
        for part in ["**Means.** ", "**Look.** ", "**Do.** "] {
            assert!(section.contains(part), "{part} is missing in {section}");
        }
    }
    let tests = TESTS.map(|file| read(&format!("rules/{file}"))).concat();
    for alert in &alerts {
        let tested = format!("{RUNBOOK}#{}\n", alert.name.to_lowercase());
        assert!(tests.contains(&tested), "no test lets {} fire", alert.name);
    }
}

#[test]
fn promtool_finds_nothing_to_mend() {
    let Some(promtool) = program("promtool") else {
        skipped("no promtool: run `bash .ci/tools.sh promtool`");
        return;
    };
    let run = |folder: &str, arguments: &[&str]| {
        let mut command = Command::new(&promtool);
        let output = command
            .current_dir(grafana().join(folder))
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    };
    run("", &["check", "config", "prometheus.yml"]);
    run("rules", &[&["test", "rules"], TESTS.as_slice()].concat());
    for file in ["recording.yml", "alerts.yml"] {
        let said = run("rules", &["check", "rules", file]);
        let count = rules(&format!("rules/{file}")).len();
        assert!(
            said.contains(&format!("{count} rules found")),
            "{count} were read here: {said}"
        );
    }
}

#[test]
fn the_rules_are_printed_with_the_address_of_the_runbook() {
    let own = "https://wiki.example.org/on-call/tributary.md";
    let text = printed(own).unwrap();
    assert!(!text.contains(RUNBOOK));
    let alerts = all_rules().into_iter().filter(|rule| rule.alert);
    for alert in alerts {
        let line = format!("runbook_url: {own}#{}\n", alert.name.to_lowercase());
        assert_eq!(text.matches(&line).count(), 1, "{}", alert.name);
    }
    for wrong in [
        "",
        "RUNBOOK.md",
        "ftp://a/b",
        "https://",
        "https://a b",
        "https://a/{{b}}",
        "https://a#b",
        "https://a/\"b",
    ] {
        assert!(printed(wrong).is_err(), "{wrong:?}");
    }
    let Some(promtool) = program("promtool") else {
        skipped("no promtool: run `bash .ci/tools.sh promtool`");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rules.yml");
    std::fs::write(&file, &text).unwrap();
    let checked = Command::new(&promtool)
        .args(["check", "rules"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap();
    let count = all_rules().len();
    assert!(
        checked.status.success() && said.contains(&format!("{count} rules found")),
        "{said}"
    );
}

/// The panels of a dashboard that need a worker.
fn for_a_worker(dashboard: &Dashboard) -> BTreeSet<String> {
    let own = WORKER_ONLY
        .iter()
        .filter(|(name, _)| *name == dashboard.name);
    own.map(|(_, panel)| (*panel).to_owned()).collect()
}

#[test]
fn the_demo_fills_the_panels() {
    let Some(prometheus) = Prometheus::start_or_skip() else {
        return;
    };
    let mut command = tributary();
    command.args(["demo", "--listen", "127.0.0.1:0", "--events", "20000"]);
    // A small world would leave panels empty behind its gate.
    command.arg("--show-all");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut demo = Ending(child.expect("the demo starts"));
    let address = wait_for_line(demo.0.stdout.take().unwrap(), |line| {
        let address = line.split("http://").nth(1)?.split('/').next()?;
        Some(address.to_owned())
    });
    let prometheus = prometheus(&address);
    for dashboard in Dashboard::all() {
        let left = for_a_worker(&dashboard);
        let answers = prometheus.fills(&dashboard, &left);
        eprintln!(
            "the demo fills {}: {answers}; without: {left:?}",
            dashboard.name
        );
    }
    prometheus.rules_work("tributary-business");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_fills_the_rest() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let Some(prometheus) = Prometheus::start_or_skip() else {
        return;
    };
    let broker = server.nats();
    let options = Options {
        events: Some(40_000),
        ..Options::default()
    };
    let ingest = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let collector = Collector::start();
    let more = format!(
        "[http_ingest]\nlisten = \"{ingest}\"\n[telemetry]\notlp_endpoint = \"{}\"",
        collector.url()
    );
    let world = World::of(options, Some(&broker), &more);
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    let config = world.path("tributary.toml");
    let address = format!("127.0.0.1:{}", free_port());
    let listen = ["--listen", &address];
    let worker = tokio::task::block_in_place(|| Worker::start(&config, &listen));
    // The input goes on while Prometheus looks, so that there is something to see.
    let input = tokio::spawn(async move { play(&client, &lines, Some(500.0)).await });
    let brand = world.options.brand.clone();
    let requests = tokio::spawn(async move {
        let line = format!("POST /v1/in/{brand}/web");
        let headers = ["Content-Type: application/json"];
        loop {
            send(ingest, &line, &headers, b"{\"id\":\"h\"}").await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });

    tokio::task::block_in_place(|| {
        let prometheus = prometheus(&address);
        for dashboard in Dashboard::all() {
            // What the demo cannot fill of privacy is asked for below: this world has no consent, and no partners.
            let is_other = ["marketing", "privacy", "stores"].contains(&&*dashboard.name);
            if for_a_worker(&dashboard).is_empty() || is_other {
                continue;
            }
            let answers = prometheus.fills(&dashboard, &BTreeSet::new());
            eprintln!("a worker fills {}: {answers}", dashboard.name);
        }
        for (panel, expression) in [
            ("Audit chain", "tributary_audit_chain_verified == 1"),
            ("Audit entries", "tributary_audit_chain_entries >= 0"),
        ] {
            assert!(WORKER_ONLY.contains(&("privacy", panel)));
            until(panel, || !prometheus.series(expression).is_empty());
        }
        prometheus.rules_work("tributary-operation");
        until("records come in", || {
            let rates = "job_brand_kind:tributary_records_accepted:rate5m > 0";
            !prometheus.series(rates).is_empty()
        });
    });
    input.abort();
    requests.abort();
    tokio::task::block_in_place(|| worker.stop());
}

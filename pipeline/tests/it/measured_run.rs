//! A measured run beside a real worker: each marker becomes a cell, the worker is looked at meanwhile, and the
//! page of the report opens in a browser, light and dark, without a complaint and without a request.

use crate::guides_parts::commands::loadtest;
use crate::page_browser::Browser;
use crate::support::{Worker, World};
use tributary_connectors::nats;
use tributary_loadtest::markers::Route;
use tributary_loadtest::measure::process;
use tributary_loadtest::measure::system::SystemOptions;
use tributary_loadtest::replay::{Pace, Progress, RateCurve, ReplayOptions};
use tributary_loadtest::report::{Report, html};
use tributary_loadtest::run::{RunOptions, run};
use tributary_testkit::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn markers_become_cells_and_a_page() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(
        4_000,
        Some(&broker),
        "[workers]\nthreads = 1\ntick = \"5ms\"",
    );
    let config = world.path("tributary.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace("cadence = \"1s\"", "cadence = \"0s\""),
    )
    .unwrap();
    let connect = || nats::connect(&broker, "test");
    let client = connect().await.unwrap();
    nats::ensure_input_stream(&client, &broker, &["orchard"])
        .await
        .unwrap();
    let worker = Worker::start(&config, &[]);
    tokio::task::block_in_place(|| worker.wait_until_read(0));

    let beside = connect().await.unwrap();
    let options = RunOptions {
        title: "a <small> run".to_owned(),
        config: Some(config.clone()),
        markers: Some((Route::of(&world.config(), None).unwrap(), 20.0)),
        system: SystemOptions {
            metrics: Some(worker.address.clone()),
            token: None,
            broker: process::listening_on(server.address().port()),
        },
    };
    let replay_options = ReplayOptions {
        pace: Pace::Rate(RateCurve::constant(500.0)),
        progress: Progress::new(),
        ..ReplayOptions::default()
    };
    let trace: Vec<_> = world.trace().map(Ok).collect();
    let (report, failed) = run(
        &[client],
        Some(beside),
        trace.into_iter(),
        replay_options,
        options,
        |_| {},
    )
    .await;
    assert!(failed.is_none(), "{failed:?}");

    // Eight seconds with twenty markers each. None is lost, and none comes before it was sent.
    let markers = report.markers.as_ref().unwrap();
    assert!(markers.sent >= 140, "{}", markers.sent);
    assert_eq!(
        (markers.unseen, markers.to_cell.percentiles.count),
        (0, markers.sent)
    );
    assert_eq!(markers.to_acknowledgment.percentiles.count, markers.sent);
    assert!(markers.to_cell.percentiles.min_us > markers.to_acknowledgment.percentiles.min_us / 2);
    assert_eq!(report.load.events, 4_000);
    assert_eq!(report.times.latency.percentiles.count, report.load.messages);
    assert!(report.times.latency.intervals.len() >= 8);
    let seen: Vec<_> = report
        .system
        .iter()
        .filter_map(|sample| sample.worker.as_ref())
        .collect();
    assert!(seen.len() >= 6, "{}", seen.len());
    let last = seen.last().unwrap();
    assert!(
        last.messages > 3_000.0 && last.epochs.0 > 10.0 && last.cells_published > 100.0,
        "{last:?}"
    );
    assert!(
        last.process.memory_bytes > 1 << 20 && last.operators.contains_key("Person"),
        "{last:?}"
    );
    assert!(report.system.iter().all(|sample| sample.broker.is_some()));
    // Written and read, it is the same.
    let path = world.path("report.json");
    std::fs::write(&path, serde_json::to_vec(&report).unwrap()).unwrap();
    let read = Report::read(&path).unwrap();
    assert!(
        (&read.times, &read.markers, &read.machine)
            == (&report.times, &report.markers, &report.machine)
    );
    assert_eq!(
        (read.system.len(), &read.load.latency),
        (report.system.len(), &report.load.latency)
    );
    worker.stop();

    tokio::task::block_in_place(|| {
        let Some(mut browser) = Browser::start_or_skip() else {
            return;
        };
        for (name, page) in [
            ("one", html(&report, None)),
            ("two", html(&report, Some(&report))),
        ] {
            let file = world.path(&format!("{name}.html"));
            std::fs::write(&file, page).unwrap();
            let url = format!("file://{}", file.display());
            for (scheme, width) in [("light", 900), ("dark", 400)] {
                browser.look(width, 900, scheme);
                browser.open(&url);
                let title = browser.eval("document.querySelector('h1').innerText");
                assert_eq!(title, "Load test: a <small> run");
                let charts = browser
                    .eval("document.querySelectorAll('svg').length")
                    .as_u64()
                    .unwrap();
                assert!(charts >= 7, "{charts}");
                let drawn = browser.eval(
                    "[...document.querySelectorAll('svg')].every((of) => of.querySelector('path, rect') && \
                     of.getBoundingClientRect().width > 200)",
                );
                assert_eq!(drawn, true);
                let wide = browser.eval("document.documentElement.scrollWidth <= innerWidth");
                assert_eq!(wide, true, "{scheme} {width}");
                let paper = browser.eval("getComputedStyle(document.body).backgroundColor");
                assert_eq!(paper == "rgb(255, 255, 255)", scheme == "light", "{paper}");
            }
            browser.look(900, 900, "light");
            browser.open(&url);
            browser.picture(&format!("loadtest-report-{name}.png"));
        }
        assert_eq!(browser.complaints(), [] as [String; 0]);
        let asked = browser.asked_for();
        assert!(
            asked
                .iter()
                .all(|url| url.starts_with("file://") || url.starts_with("data:")),
            "{asked:?}"
        );
        assert_eq!(browser.axe(), serde_json::json!([]));
    });
}

/// A level that a rate breaks by itself makes the highest rate known, whatever the machine can do.
#[tokio::test(flavor = "multi_thread")]
async fn the_highest_rate_is_found_beside_a_worker() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(
        3_000,
        Some(&broker),
        "[workers]\nthreads = 1\ntick = \"5ms\"",
    );
    let config = world.path("tributary.toml");
    let client = nats::connect(&broker, "test").await.unwrap();
    nats::ensure_input_stream(&client, &broker, &["orchard"])
        .await
        .unwrap();
    let worker = Worker::start(&config, &[]);
    tokio::task::block_in_place(|| worker.wait_until_read(0));
    let output = tokio::task::block_in_place(|| {
        let mut command = std::process::Command::new(loadtest());
        command
            .args(["find-max", "--metrics", &worker.address, "--config"])
            .arg(&config)
            .args(["--slo", "throughput<300", "--first", "100", "--probe", "3s"])
            .args(["--warm-up", "1s", "--precision", "50", "--json"])
            .arg(world.path("trace.ndjson"));
        command.output().unwrap()
    });
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (found, probes) = lines.split_last().unwrap();
    let highest = found["highest_rate"].as_f64().unwrap();
    assert!(highest > 1.0 && highest <= 300.0, "{text}");
    // What failed did so twice, and what was found held.
    let failed = |probe: &&serde_json::Value| !probe["failures"].as_array().unwrap().is_empty();
    assert!(probes.iter().filter(failed).count() >= 2, "{text}");
    let held = |probe: &serde_json::Value| probe["rate"] == highest && !failed(&probe);
    assert!(probes.iter().any(held), "{text}");
    worker.stop();
}

//! `tributary demo`: the main job with nothing installed.
//!
//! A simulated brand, four weeks of it, through the very dataflow that a worker runs; then the summary, and
//! the same numbers on the live page and on `/metrics` until it is stopped.

use std::sync::Arc;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use tributary_connectors::trace::TraceLine;
use tributary_loadtest::generate::{self, Mix, Options, SecretFrom};

use crate::cli;
use crate::http::{self, State};
use crate::replay::{self, Outcome};
use crate::signals;
use crate::summary::Summary;

/// The key of a brand whose customers do not exist.
const SECRET: &str = "nobody in this world exists, so that its key need not be one";

/// The command.
pub fn command(args: &cli::Demo) -> anyhow::Result<()> {
    let options = Options {
        seed: args.seed,
        events: args.events,
        days: Some(args.days),
        // Sensors hear far more than tills ring up, and nobody real can be shown.
        mix: Mix {
            pings: 64,
            web: 35,
            transactions: 1,
        },
        k: 1,
        consent: true,
        ..Options::demo()
    };
    let text = generate::config_toml(&options, SecretFrom::Env("TRIBUTARY_DEMO_SECRET"));
    let environment = |name: &str| (name == "TRIBUTARY_DEMO_SECRET").then(|| SECRET.to_owned());
    let origin = std::path::Path::new("demo.toml");
    let mut config = tributary_config::parse_in(&text, origin, &environment)
        .context("the demo's own configuration does not hold")?
        .config;
    config.workers.threads = args.workers.max(1);
    config.http.listen = args.listen;

    if !args.json {
        eprintln!(
            "Four weeks of a brand that does not exist: {} shops with sensors and tills, a web shop, {} campaigns.\n",
            options.stores, options.campaigns
        );
    }
    let bar = ProgressBar::new_spinner().with_style(
        ProgressStyle::with_template("{spinner} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    let zone = config.brands.first().map(|brand| brand.timezone.clone());
    let mut newest = 0;
    let lines = generate::lines(options)?.inspect(|line| {
        if line.at > newest + 6 * 3_600_000 {
            newest = line.at;
            if let (Ok(at), Some(zone)) = (jiff::Timestamp::from_millisecond(newest), &zone) {
                bar.set_message(format!(
                    "{}",
                    at.to_zoned(zone.clone()).strftime("%A, %-d %B %Y, %H:00")
                ));
                bar.tick();
            }
        }
    });
    let lines = lines.map(|line| {
        Ok::<_, anyhow::Error>(TraceLine {
            subject: line.subject,
            at: line.at,
            headers: Vec::new(),
            data: line.data.into_bytes(),
        })
    });
    let outcome = replay::run(&config, lines, 2_000, None, |_| {})?;
    bar.finish_and_clear();

    let summary = Summary::of(&outcome.cells);
    if args.json {
        println!("{:#}", summary.json());
    } else {
        print!("{}{}", summary.text(), account(&outcome));
    }
    if args.once {
        return Ok(());
    }
    serve(config, outcome, args.json)
}

/// What happened on the way.
fn account(outcome: &Outcome) -> String {
    let counts = outcome.tally.counts();
    let events: u64 = counts.accepted.values().sum();
    let refused: u64 = outcome.tally.dead_by_reason().values().sum();
    let thousands = |n: u64| crate::table::thousands(n.into());
    format!(
        "{} events in {:.1} s: {} came twice, {} were corrected, {} were refused with a reason.\n\
         Nobody in this world exists, so that every number is shown; for a real brand a number leaves only\n\
         when 50 persons stand behind it (release.k).\n",
        thousands(events),
        outcome.took.as_secs_f64(),
        thousands(counts.stages.duplicates),
        thousands(counts.stages.corrections),
        thousands(refused),
    )
}

/// Serves the numbers until a signal.
fn serve(
    config: tributary_config::model::Config,
    outcome: Outcome,
    quiet: bool,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut stop = signals::stop()?;
        let listener = tokio::net::TcpListener::bind(config.http.listen)
            .await
            .with_context(|| {
                format!(
                    "cannot listen on {}: name another address with --listen",
                    config.http.listen
                )
            })?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(&config));
        let today = outcome
            .cells
            .iter()
            .filter_map(|cell| cell.day())
            .max()
            .unwrap_or(0);
        {
            let mut board = state.board();
            outcome.cells.iter().for_each(|cell| board.apply(cell));
            state
                .metrics
                .sync(&outcome.tally.counts(), &outcome.tally.dead_letters());
            state.metrics.board(&board, |_| today);
            state.page.stand_at(today);
        }
        state.health.set_connected(true);
        state.health.set_caught_up(true);
        if !quiet {
            println!(
                "\nThe same numbers to look at:     http://{address}/ (Ctrl-C ends)\n\
                 The same numbers for Prometheus: http://{address}/metrics\n\
                 \n\
                 Next:\n  \
                 tributary demo --seed 7                 another world\n  \
                 make build                              the load tester too: target/release/loadtest --help\n  \
                 tributary replay --help                 data of your own, as NDJSON or CSV\n  \
                 tributary config example > my.toml      a configuration to start from\n  \
                 tributary run --config my.toml          live, on a NATS broker"
            );
        }
        http::serve(listener, state, async move {
            let _ = stop.wait_for(|set| *set).await;
        })
        .await
    })
}

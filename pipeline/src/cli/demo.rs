//! `tributary demo`: the whole product without prerequisites.
//!
//! Two simulated brands, four weeks of them, pass through the same dataflow that a
//! worker runs. The command prints a summary and serves the numbers on the live
//! page and at `/metrics`. There the simulation continues, one hour per second,
//! for as many days again. [`story`] follows a single person instead.

mod configuration;
pub mod figures;
pub mod story;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use tributary_config::model::{Brand, Config};
use tributary_connectors::terminal;
use tributary_connectors::trace::TraceLine;
use tributary_operators::cell::{Cell, Dim};
use tributary_operators::record::Day;
use tributary_simulate::{Mix, Options, merged};

use crate::cli::args as cli;
use crate::cli::signals;
use crate::report::published_cells::SharedCells;
use crate::report::summary::Summary;
use crate::report::tally::Tally;
use crate::report::telemetry::Telemetry;
use crate::serve::http;
use crate::serve::state::HttpState;
use crate::worker::replay::{self, Observer};
use configuration::configuration;

/// Length of an hour in milliseconds.
const HOUR: i64 = 3_600_000;
/// Length of a day in milliseconds.
const DAY: i64 = 24 * HOUR;

/// Duration of a simulated hour on the live page.
const PACE: Duration = Duration::from_secs(1);

/// Number of people behind each number of the first brand: a gate as a brand of this
/// size has it. The second brand is smaller and has the gate of
/// [`Options::second`].
const K: u64 = 20;

/// Executes the command.
///
/// # Errors
///
/// An address that cannot be served, or an output that cannot be written.
pub fn command(args: &cli::Demo) -> anyhow::Result<()> {
    if args.story {
        return story::command(args);
    }
    let goes_on = !args.once && !args.still;
    let times = if goes_on { 2 } else { 1 };
    // The second brand has half as many events as the first.
    let of_first = |events: u64| (events - events / 3).max(1).saturating_mul(times);
    let first = Options {
        seed: args.seed,
        events: args.events.map(of_first),
        days: Some(args.days.saturating_mul(times as u32)),
        // Sensors count far more devices than tills count sales.
        mix: Mix {
            pings: 64,
            web: 35,
            transactions: 1,
        },
        k: if args.show_all { 1 } else { K },
        consent: true,
        ..Options::demo()
    };
    let brands = [first.clone(), Options::second(&first)];
    let config = configuration(&brands.each_ref(), args)?;

    if !args.json {
        terminal::note(format_args!(
            "Simulating two fictional brands with {} stores, sensors and tills, two online shops, {} campaigns.\n",
            brands.iter().map(|brand| brand.stores).sum::<u32>(),
            brands.iter().map(|brand| brand.campaigns).sum::<u32>(),
        ));
    }
    let bar = ProgressBar::new_spinner().with_style(
        ProgressStyle::with_template("{spinner} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    let zone = config.brands.first().map(|brand| brand.timezone.clone());
    let mut newest = 0;
    let lines = merged(brands)?.inspect(|line| {
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
    let mut show = Show {
        args,
        config: &config,
        bar: bar.clone(),
        next: None,
        goes_on,
        started: Instant::now(),
        stage: None,
        failed: None,
    };
    let outcome = replay::run(&config, lines, 2_000, None, true, &mut show)?;
    match &mut show.stage {
        Some(stage) => stage.shown.show(&outcome.cells, &outcome.tally),
        None if show.failed.is_none() => show.open(&outcome.cells, &outcome.tally),
        None => {}
    }
    if let Some(error) = show.failed {
        return Err(error.into());
    }
    let Some(stage) = show.stage else {
        return Ok(());
    };
    let ended = stage.server.join();
    ended.map_err(|_| anyhow!("the thread that serves the page failed"))?
}

/// The demo while it runs: the summary first, then the live page.
struct Show<'a> {
    /// Arguments of the command.
    args: &'a cli::Demo,
    /// Configuration of the simulated brand.
    config: &'a Config,
    /// Progress of the simulation.
    bar: ProgressBar,
    /// When the next release is due, Unix milliseconds; `None` before the first
    /// message.
    next: Option<i64>,
    /// Whether the simulation continues after the summary.
    goes_on: bool,
    /// When the command started.
    started: Instant,
    /// The live page, once it is served.
    stage: Option<Stage>,
    /// Why the summary could not be printed.
    failed: Option<std::io::Error>,
}

/// The live page while it is served.
struct Stage {
    /// What it shows.
    shown: Shown,
    /// Whether the server has ended.
    ended: Arc<AtomicBool>,
    /// The thread of the server.
    server: JoinHandle<anyhow::Result<()>>,
}

/// What the live page shows.
struct Shown {
    /// State of the HTTP server.
    state: HttpState,
    /// The current day of the simulation.
    today: Day,
}

impl Observer for &mut Show<'_> {
    fn progress(&mut self, _: u64) {}

    fn wants(&mut self, at: i64) -> bool {
        let next = *self
            .next
            .get_or_insert(at + i64::from(self.args.days) * DAY);
        let is_due = self.goes_on && at >= next;
        if is_due {
            self.next = Some(at + HOUR);
        }
        is_due
    }

    fn released(&mut self, cells: Vec<Cell>, tally: &Tally) -> bool {
        match &mut self.stage {
            Some(stage) => {
                std::thread::sleep(PACE);
                stage.shown.show(&cells, tally);
            }
            None => self.open(&cells, tally),
        }
        let stage = self.stage.as_ref();
        stage.is_some_and(|stage| !stage.ended.load(Relaxed))
    }
}

impl Show<'_> {
    /// Number of people behind each number of a brand.
    fn gate(&self, brand: &Brand) -> u64 {
        self.config.release.of_brand(&brand.release).k
    }

    /// The summary of a brand.
    fn summary(&self, cells: &[Cell], brand: &Brand) -> Summary {
        let is_own = |cell: &&Cell| matches!(cell.dims.first(), Some(Dim::Text(name)) if **name == *brand.name);
        let own: Vec<Cell> = cells.iter().filter(is_own).cloned().collect();
        Summary::of(&own, self.gate(brand) > 1)
    }

    /// The tables of the chosen brand, a paragraph about each other one, the account,
    /// and the story of one person.
    fn text(&self, cells: &[Cell], tally: &Tally) -> String {
        let mut text = String::new();
        let brands = &self.config.brands;
        for brand in brands.iter().filter(|brand| brand.name == self.args.brand) {
            text.push_str(&title(brand, self.gate(brand)));
            text.push_str(&self.summary(cells, brand).text());
        }
        for brand in brands.iter().filter(|brand| brand.name != self.args.brand) {
            text.push('\n');
            text.push_str(&title(brand, self.gate(brand)));
            text.push_str(&self.summary(cells, brand).brief());
            text.push_str(&format!(
                "tributary demo --brand {} prints its tables, and the page shows both brands.\n",
                brand.name
            ));
        }
        text.push('\n');
        text.push_str(&account(tally, self.started.elapsed(), self.config));
        // It is a part of the text: without it, the numbers are still there.
        if let Ok(story) = story::brief(self.args) {
            text.push_str(&story);
        }
        text
    }

    /// Prints the summary, and serves the live page.
    fn open(&mut self, cells: &[Cell], tally: &Tally) {
        self.bar.finish_and_clear();
        let printed = match self.args.json {
            true => {
                let brands = self.config.brands.iter().map(|brand| {
                    let mut summary = self.summary(cells, brand).json();
                    summary["brand"] = brand.name.as_str().into();
                    summary["k"] = self.gate(brand).into();
                    summary
                });
                let brands: Vec<_> = brands.collect();
                terminal::print_line(format_args!(
                    "{:#}",
                    serde_json::json!({ "brands": brands })
                ))
            }
            false => terminal::print(self.text(cells, tally)),
        };
        if let Err(error) = printed {
            self.failed = Some(error);
            return;
        }
        if self.args.once {
            return;
        }
        let telemetry = Telemetry::new(self.config);
        telemetry.health.set_connected(true);
        telemetry.health.set_caught_up(true);
        let state = HttpState::new(self.config, &telemetry, &SharedCells::default());
        let mut shown = Shown { state, today: 0 };
        // The numbers are there before the address is printed.
        shown.show(cells, tally);
        let ended = Arc::new(AtomicBool::new(false));
        let (of_server, of_state) = (ended.clone(), shown.state.clone());
        let config = self.config.clone();
        let says = (!self.args.json).then_some(self.goes_on);
        let server = std::thread::spawn(move || {
            let served = serve(&config, of_state, says);
            of_server.store(true, Relaxed);
            served
        });
        self.stage = Some(Stage {
            shown,
            ended,
            server,
        });
    }
}

impl Shown {
    /// Shows released cells on the live page.
    fn show(&mut self, cells: &[Cell], tally: &Tally) {
        let days = cells.iter().filter_map(|cell| cell.day());
        self.today = days.fold(self.today, Day::max);
        let board = {
            let mut board = self.state.cells.lock();
            cells.iter().for_each(|cell| board.apply(cell));
            board.clone()
        };
        let metrics = &self.state.telemetry.metrics;
        metrics.sync(&tally.counts(), &tally.dead_letters());
        metrics.profiles(&tally.profiles());
        metrics.board(&board, |_| self.today);
        self.state.page.stand_at(self.today);
    }
}

/// The line above the numbers of a brand.
fn title(brand: &Brand, k: u64) -> String {
    let zone = brand.timezone.iana_name().unwrap_or("UTC");
    let gate = match k {
        1 => "every number is shown".to_owned(),
        k => format!("at least {k} people behind each number"),
    };
    format!("{}: {}, {zone}, {gate}\n", brand.name, brand.currency)
}

/// Counts of the simulation, as text.
fn account(tally: &Tally, took: Duration, config: &Config) -> String {
    let counts = tally.counts();
    let events: u64 = counts.accepted.values().sum();
    let refused: u64 = tally.dead_by_reason().values().sum();
    let thousands = |n: u64| crate::report::table::thousands(n.into());
    let gate = match config.release.k {
        1 => "Every number is shown (release.k = 1), because nobody here is real. Without --show-all the demo has the\n\
              gates of real brands.\n"
            .to_owned(),
        k => format!(
            "A number is released only if enough people contribute to it, as for real brands: here at least\n\
             {k} people contribute (release.k), or those of the brand's own gate (brand.release.k); a blank is\n\
             hidden for privacy. All people here are simulated: tributary demo --show-all shows every number.\n"
        ),
    };
    format!(
        "{} events in {:.1} s: {} duplicates, {} corrections, {} rejected with a reason.\n{gate}",
        thousands(events),
        took.as_secs_f64(),
        thousands(counts.stages.duplicates),
        thousands(counts.stages.corrections),
        thousands(refused),
    )
}

/// Serves the live page until a signal. Prints its address and whether the
/// simulation continues, unless `says` is `None`.
///
/// # Errors
///
/// An address that cannot be used.
fn serve(config: &Config, state: HttpState, says: Option<bool>) -> anyhow::Result<()> {
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
                    "cannot listen on {}: choose another address with --listen",
                    config.http.listen
                )
            })?;
        let address = listener.local_addr()?;
        if let Some(goes_on) = says {
            let numbers = match goes_on {
                true => "Live, one hour per second: ",
                false => "Live page:                 ",
            };
            terminal::print_line(format_args!(
                "\n{numbers}http://{address}/ (press Ctrl-C to stop)\n\
                 Prometheus metrics:        http://{address}/metrics\n\
                 \n\
                 Next:\n  \
                 tributary demo --story                  follow one person from the click to the till, step by step\n  \
                 tributary demo --seed 7                 a different simulation\n  \
                 tributary demo --show-all               every number, without the release gate\n  \
                 make build                              build the load tester too: target/release/loadtest --help\n  \
                 tributary replay --help                 replay your own data (NDJSON or CSV)\n  \
                 tributary keys new acme.secret          generate a secret for your brand\n  \
                 tributary config example > my.toml      create a configuration\n  \
                 tributary run --config my.toml          run live on a NATS broker"
            ))?;
        }
        http::serve(listener, state, async move {
            tokio::select! {
                _ = stop.wait_for(|set| *set) => {}
                // A reader such as `head` has seen enough.
                () = terminal::wait_until_closed() => {}
            }
        })
        .await;
        Ok(())
    })
}

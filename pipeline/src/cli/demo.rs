//! `tributary demo`: the whole product without prerequisites.
//!
//! Two simulated brands, four weeks of them, pass through the same dataflow that a
//! worker runs. The command prints a summary and serves the numbers on the live
//! page and at `/metrics`. There the simulation continues, one hour per second,
//! for as many days again. Its clock is that of the newest message, so that a day
//! is the current one before anything of it is released. [`story`] follows a single person instead.

mod configuration;
pub mod figures;
pub mod story;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tributary_config::model::{Brand, Config};
use tributary_connectors::terminal;
use tributary_connectors::trace::TraceLine;
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_simulate::{Mix, Options, merged};

use crate::cli::args as cli;
use crate::cli::signals;
use crate::epochs::clock;
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
        now: 0,
        cells: BTreeMap::new(),
        has_released: false,
        goes_on,
        started: Instant::now(),
        stage: None,
        failed: None,
    };
    let outcome = replay::run(&config, lines, 2_000, None, true, &mut show)?;
    let now = show.now;
    match &mut show.stage {
        Some(stage) => stage.shown.show(&outcome.cells, &outcome.tally, now),
        None if show.failed.is_none() => {
            show.keep(outcome.cells);
            show.open(&outcome.tally);
        }
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
    /// The newest arrival so far, Unix milliseconds: the clock of the simulation.
    now: i64,
    /// The cells released before the page is served, by family and dimensions.
    cells: BTreeMap<(Family, Vec<Dim>), Cell>,
    /// Whether anything was released before the summary.
    has_released: bool,
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
    /// Time zone of each brand.
    zones: BTreeMap<String, TimeZone>,
}

impl Observer for &mut Show<'_> {
    fn progress(&mut self, _: u64) {}

    fn wants(&mut self, at: i64) -> bool {
        // Months are published from the second release on, which the summary waits for.
        let next = *self
            .next
            .get_or_insert(at + i64::from(self.args.days) * DAY - HOUR);
        let is_due = self.goes_on && at >= next;
        match is_due {
            true => self.next = Some(at + HOUR),
            // A release is made before the message at whose arrival it is due.
            false => self.now = self.now.max(at),
        }
        is_due
    }

    fn released(&mut self, cells: Vec<Cell>, tally: &Tally) -> bool {
        let is_first = !std::mem::replace(&mut self.has_released, true);
        match &mut self.stage {
            Some(stage) => {
                std::thread::sleep(PACE);
                stage.shown.show(&cells, tally, self.now);
            }
            None => {
                self.keep(cells);
                if is_first {
                    return true;
                }
                self.open(tally);
            }
        }
        let stage = self.stage.as_ref();
        stage.is_some_and(|stage| !stage.ended.load(Relaxed))
    }
}

impl Show<'_> {
    /// Keeps released cells for the summary. A cell without values is withdrawn.
    fn keep(&mut self, cells: Vec<Cell>) {
        for cell in cells {
            let id = (cell.family, cell.dims.clone());
            match cell.values.is_empty() {
                true => self.cells.remove(&id),
                false => self.cells.insert(id, cell),
            };
        }
    }

    /// Number of people behind each number of a brand.
    fn gate(&self, brand: &Brand) -> u64 {
        self.config.release.of_brand(&brand.release).k
    }

    /// The summary of a brand.
    fn summary(&self, brand: &Brand) -> Summary {
        let is_own = |cell: &&Cell| matches!(cell.dims.first(), Some(Dim::Text(name)) if **name == *brand.name);
        let own: Vec<Cell> = self.cells.values().filter(is_own).cloned().collect();
        let today = clock::day(time(self.now), &brand.timezone);
        Summary::of(&own, today, self.gate(brand) > 1)
    }

    /// The tables of the chosen brand, a paragraph about each other one, the account,
    /// and the story of one person.
    fn text(&self, tally: &Tally) -> String {
        let mut text = String::new();
        let brands = &self.config.brands;
        for brand in brands.iter().filter(|brand| brand.name == self.args.brand) {
            text.push_str(&title(brand, self.gate(brand)));
            text.push_str(&self.summary(brand).text());
        }
        for brand in brands.iter().filter(|brand| brand.name != self.args.brand) {
            text.push('\n');
            text.push_str(&title(brand, self.gate(brand)));
            text.push_str(&self.summary(brand).brief());
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
    fn open(&mut self, tally: &Tally) {
        self.bar.finish_and_clear();
        let printed = match self.args.json {
            true => {
                let brands = self.config.brands.iter().map(|brand| {
                    let mut summary = self.summary(brand).json();
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
            false => terminal::print(self.text(tally)),
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
        let zones = self.config.brands.iter();
        let zones = zones.map(|brand| (brand.name.clone(), brand.timezone.clone()));
        let shown = Shown {
            state,
            zones: zones.collect(),
        };
        // The numbers are there before the address is printed.
        let cells: Vec<Cell> = std::mem::take(&mut self.cells).into_values().collect();
        shown.show(&cells, tally, self.now);
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
    /// Shows cells on the live page that were released at `now`, Unix milliseconds.
    /// The days of brands are those of the simulation, also where nothing of a day is
    /// released yet.
    fn show(&self, cells: &[Cell], tally: &Tally, now: i64) {
        let board = {
            let mut board = self.state.cells.lock();
            cells.iter().for_each(|cell| board.apply(cell));
            board.clone()
        };
        let metrics = &self.state.telemetry.metrics;
        metrics.sync(&tally.counts(), &tally.dead_letters());
        metrics.profiles(&tally.profiles());
        metrics.board(&board, |brand| {
            let zone = self.zones.get(brand).cloned();
            clock::day(time(now), &zone.unwrap_or(TimeZone::UTC))
        });
        self.state.page.stand_at(time(now));
    }
}

/// A time of the simulation from Unix milliseconds.
fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
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

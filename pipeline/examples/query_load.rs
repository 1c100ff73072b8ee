//! How many queries a server answers over a year of released cells, and how fast.
//!
//! It serves the cells of one brand for a year (50 stores, 60 channels, 8 models)
//! as a worker does, and asks it over HTTP with 16 connections that are kept
//! alive, in three ways:
//!
//! - *repeated*: 240 different questions, while the cells change once a second,
//!   as those of a dashboard that people watch;
//! - *single*: every question is new, so that no answer is kept;
//! - *paced*: the same at 1,000 questions a second, each timed from the moment
//!   at which it should have been asked;
//! - *page* and *scrape*: the page's document, and `/metrics`.
//!
//! ```console
//! $ cargo run --profile release -p tributary --example query_load -- 20
//! ```
//!
//! The argument is the seconds of each part.

#![allow(clippy::unwrap_used, reason = "a measurement ends at the first error")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tributary::report::published_cells::SharedCells;
use tributary::report::telemetry::Telemetry;
use tributary::serve::http::serve;
use tributary::serve::state::HttpState;
use tributary_operators::attribution::Model;
use tributary_operators::calendar::month;
use tributary_operators::cell::{Cell, Dim, Family};

/// The last day of the year, 2025-10-26.
const TODAY: i32 = 20_387;
const DAYS: i32 = 365;
const STORES: i32 = 50;
const CHANNELS: i32 = 60;
const CONNECTIONS: u64 = 16;

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn text(word: &str) -> Dim {
    Dim::Text(word.into())
}

fn store(at: i32) -> Dim {
    text(&format!("store-{at:02}"))
}

/// The words of a channel.
fn channel(at: i32) -> [Dim; 3] {
    let source = ["google", "bing", "meta", "newsletter", "tiktok"];
    let source = source[usize::try_from(at % 5).unwrap()];
    [
        text(source),
        text("cpc"),
        text(&format!("campaign-{at:02}")),
    ]
}

/// The cells of a day or month.
fn put(cells: &SharedCells, family: Family, dims: Vec<Dim>, value: i128) {
    let values = family.values().iter().map(|_| value).collect();
    cells.lock().apply(&Cell {
        family,
        dims,
        values,
    });
}

/// A year of cells.
fn fill(cells: &SharedCells) {
    let eur = || text("EUR");
    for day in TODAY - DAYS + 1..=TODAY {
        put(
            cells,
            Family::OrdersDay,
            vec![text("acme"), Dim::Day(day), eur()],
            100,
        );
        for at in 0..STORES {
            // Each store has days that are published in a rest, of the day or of the month.
            if (day + at) % 10 > 0 {
                let dims = vec![text("acme"), store(at), Dim::Day(day), eur()];
                put(cells, Family::StoreDay, dims, i128::from(day % 97 + at));
            }
        }
        if day % 7 > 0 {
            let dims = vec![text("acme"), text("*"), Dim::Day(day), eur()];
            put(cells, Family::StoreDay, dims, 7);
        }
        for at in 0..CHANNELS {
            let [source, medium, campaign] = channel(at);
            let dims = vec![text("acme"), source, medium, campaign, Dim::Day(day)];
            put(cells, Family::CampaignDay, dims, i128::from(day % 89 + at));
        }
    }
    for of in month(TODAY - DAYS + 1)..=month(TODAY) {
        let dims = vec![text("acme"), text("*"), Dim::Month(of), eur()];
        put(cells, Family::StoreDay, dims, 11);
        for model in Model::ALL {
            for kind in ["order", "transaction"] {
                for at in 0..=CHANNELS {
                    let [source, medium, campaign] = match at {
                        CHANNELS => [text("*"), text("*"), text("*")],
                        at => channel(at),
                    };
                    let dims = vec![
                        text("acme"),
                        text(model.name()),
                        source,
                        medium,
                        campaign,
                        text(kind),
                        text("*"),
                        Dim::Month(of),
                        eur(),
                    ];
                    put(cells, Family::Attribution, dims, i128::from(at + 1));
                }
            }
        }
    }
}

/// A question; those with different numbers differ, and repeat after `different`.
fn question(number: u64, different: u64) -> String {
    let number = number % different;
    let at = number / 6;
    match number % 6 {
        0 => format!(
            "store_day?group_by=store&sort=-revenue_minor&limit={}",
            at + 1
        ),
        1 => format!(
            "store_day?group_by=month&store=store-{:02}&limit={}",
            at % 50,
            at / 50 + 1_000
        ),
        2 => format!(
            "attribution?group_by=source,medium,campaign&model=linear&limit={}",
            at + 1_000
        ),
        3 => format!(
            "attribution?from=2025-09&to=2025-09&compare=previous&group_by=source,medium&model=last&limit={}",
            at + 1_000
        ),
        4 => format!(
            "store_day?from=2025-10-01&to=2025-10-26&group_by=store,day&limit={}",
            at + 1
        ),
        _ => format!(
            "campaign_day?from=2025-09&to=2025-10&group_by=source,month&limit={}",
            at + 1
        ),
    }
}

/// A request over a kept connection: the status line and the length of the body.
fn ask(stream: &mut BufReader<TcpStream>, path: &str) -> usize {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes()).unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{path}: {line}");
    let (mut length, mut is_chunked) = (0, false);
    loop {
        line.clear();
        stream.read_line(&mut line).unwrap();
        let header = line.to_lowercase();
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        is_chunked |= header.starts_with("transfer-encoding: chunked");
        if line == "\r\n" {
            break;
        }
    }
    assert!(!is_chunked, "{path} has no length");
    std::io::copy(&mut stream.take(length), &mut std::io::sink()).unwrap();
    usize::try_from(length).unwrap()
}

/// Asks with all connections for some time; prints how many answers came and how
/// long they took.
///
/// With `every`, questions are due one such time after the other, and timed from
/// then on, however late they are asked; without, as soon as a connection is free.
fn measure(
    name: &str,
    address: SocketAddr,
    time: Duration,
    every: Option<Duration>,
    path: impl Fn(u64) -> String + Sync,
) {
    let next = AtomicU64::new(0);
    let begun = Instant::now();
    let mut took: Vec<Duration> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| {
                    let stream = TcpStream::connect(address).unwrap();
                    stream.set_nodelay(true).unwrap();
                    let mut stream = BufReader::new(stream);
                    let mut took = Vec::new();
                    while begun.elapsed() < time {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let path = path(number);
                        let due = every.map(|every| begun + every * u32::try_from(number).unwrap());
                        let asked = due.unwrap_or_else(Instant::now);
                        std::thread::sleep(asked.saturating_duration_since(Instant::now()));
                        ask(&mut stream, &path);
                        took.push(asked.elapsed());
                    }
                    took
                })
            })
            .collect();
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    });
    let seconds = begun.elapsed().as_secs_f64();
    took.sort_unstable();
    let at = |share: f64| {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a position"
        )]
        let place = ((took.len() - 1) as f64 * share) as usize;
        took[place].as_secs_f64() * 1000.0
    };
    println!(
        "{name}: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms, longest {:.1} ms",
        took.len() as f64 / seconds,
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn main() {
    let seconds = std::env::args()
        .nth(1)
        .map_or(10, |text| text.parse().unwrap());
    let time = Duration::from_secs(seconds);
    let text = "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"SECRET\"\n";
    let secret = |name: &str| (name == "SECRET").then(|| tributary_testkit::SECRET.to_owned());
    let loaded = tributary_config::parse_in(text, std::path::Path::new("load.toml"), &secret);
    let config = loaded.unwrap().config;
    let cells = SharedCells::default();
    fill(&cells);
    println!("{} cells", cells.lock().len());
    let state = HttpState::new(&config, &Telemetry::new(&config), &cells);
    let noon = jiff::Timestamp::from_second(i64::from(TODAY) * 86_400 + 43_200);
    state.page.stand_at(noon.unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(serve(listener, state, std::future::pending()));
    let changing = cells.clone();
    std::thread::spawn(move || {
        for value in 0.. {
            std::thread::sleep(Duration::from_secs(1));
            let dims = vec![
                Dim::Text("acme".into()),
                store(0),
                Dim::Day(TODAY),
                Dim::Text("EUR".into()),
            ];
            put(&changing, Family::StoreDay, dims, value);
        }
    });
    let of_cells = |number, different| format!("/v1/cells/{}", question(number, different));
    measure("repeated", address, time, None, |number| {
        of_cells(number, 240)
    });
    measure("single", address, time, None, |number| {
        of_cells(number, 50_000)
    });
    let every = Some(Duration::from_millis(1));
    measure("paced", address, time, every, |number| {
        of_cells(30_000 + number, 50_000)
    });
    measure("scrape", address, time, None, |_| "/metrics".to_owned());
    let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
    println!("page: {} bytes", ask(&mut stream, "/"));
    println!("metrics: {} bytes", ask(&mut stream, "/metrics"));
}

//! A worker over thirty days of pings and sightings: what holds them does not grow once the first days are settled, and no file of
//! its ledger keeps anything of a settled day.
//!
//! The days are in the past, and all messages state their arrival, by which salt days are closed and settled. The worker is killed
//! twice on the way; each time its ledger is read as it stands on the disk, and what it holds of the open days is kept as what a
//! later ledger must not hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;
use tributary_connectors::nats;
use tributary_connectors::trace::TraceLine;
use tributary_operators::event::Event;
use tributary_operators::record::{Body, Day};
use tributary_testkit::NatsServer;

use crate::partner_settles::{DAY, all, configure, line};
use crate::partner_visits::entries;
use crate::support::person::found;
use crate::support::story::{play, until};
use crate::support::{Worker, published};

const DAYS: i64 = 30;
/// The first day by whose end as many days settle as begin.
const STEADY: i64 = 12;
const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;
/// The devices that sensors detect in each store on each day, and those of them that a partner sees.
const DEVICES: i64 = 40;
const SEEN: i64 = 25;

/// What the ids of the first sightings of stays begin with, which stay as those of the settled visits.
const LEAD: &str = "lead";

/// What happens on a day that begins at `start`, by its number: visits to two stores, sightings of the same devices, some of which
/// come every day, an exposure and a statement.
fn day(start: i64, number: i64) -> Vec<TraceLine> {
    let mut lines = Vec::new();
    for device in 0..DEVICES {
        let store = if device % 2 == 0 { "S" } else { "T" };
        let begins = start + 10 * HOUR + device * 7 * MINUTE;
        for ping in 0..4 {
            let ts = begins + ping * 4 * MINUTE;
            let mac = format!("28:fe:34:00:00:{device:02x}");
            let data =
                json!({"ts": ts, "store": store, "sensor": "b", "mac": mac, "rssi": -50 - ping});
            lines.push(line("ping", ts + 1000, data));
        }
        if device >= SEEN {
            continue;
        }
        // Four of five devices come every day.
        let name = match device % 5 {
            0 => format!("once-{number}-{device}"),
            _ => format!("often-{device}"),
        };
        for (minute, first) in [(5, LEAD), (8, "next")] {
            let ts = begins + minute * MINUTE;
            let data = json!({
                "ts": ts, "id": format!("{first}-{number}-{device}"), "type": "sighting", "store": store,
                "device": name, "purposes": all(),
            });
            // Partners deliver two days later.
            lines.push(line("partner", ts + 2 * DAY, data));
        }
    }
    let ts = start + 9 * HOUR;
    let exposure = json!({
        "ts": ts, "id": format!("e-{number}"), "type": "exposure", "touch": "click", "source": "radio",
        "device": format!("often-{}", 1 + number % 4), "purposes": all(),
    });
    lines.push(line("partner", ts + 1000, exposure));
    let ts = start + 23 * HOUR;
    let statement = json!({"ts": ts, "id": format!("c-{number}"), "device": "other", "purposes": {"1": number % 2 == 0}});
    lines.push(line("consent", ts, statement));
    lines
}

/// A metric of the state, by operator.
fn by_operator(worker: &Worker, name: &str) -> BTreeMap<String, u64> {
    let (_, body) = worker.get("/metrics").expect("metrics");
    let mut all: BTreeMap<String, u64> = BTreeMap::new();
    for series in body.lines().filter_map(|line| line.strip_prefix(name)) {
        let Some((labels, value)) = series.split_once("} ") else {
            continue;
        };
        let operator = labels.split("operator=\"").nth(1);
        let operator = operator.and_then(|rest| rest.split('"').next());
        let operator = operator.expect("an operator").to_owned();
        *all.entry(operator).or_default() += value.parse::<f64>().expect("a number") as u64;
    }
    all
}

/// Entries and bytes of the state, by operator.
type Sizes = [BTreeMap<String, u64>; 2];

/// The sizes of the state at rest: the same at two looks, between which each thread may have reported.
fn sizes(worker: &Worker) -> Sizes {
    let look = || {
        ["entries", "state_bytes"]
            .map(|of| by_operator(worker, &format!("tributary_operator_{of}")))
    };
    let mut last = look();
    until("the state is at rest", || {
        std::thread::sleep(std::time::Duration::from_millis(2500));
        let now = look();
        std::mem::replace(&mut last, now.clone()) == now
    });
    last
}

/// Whether the operators that hold pings and sightings hold no more than in a steady state. How many days are open at a look
/// differs by one or two.
fn holds_no_more(steady: &Sizes, now: &Sizes) -> bool {
    let operators = ["Sessionize", "Matching"];
    steady.iter().zip(now).all(|(steady, now)| {
        let mut all = operators.iter();
        all.all(|of| now[*of] <= 2 * steady[*of])
    })
}

/// What a ledger holds of days that are not settled, and what must have left it with them.
#[derive(Default)]
struct Held {
    /// By salt day, bytes that occur nowhere else: tokens, and the keys and ids of sightings.
    secrets: BTreeMap<Day, BTreeSet<Vec<u8>>>,
    /// Settled visits.
    visits: usize,
    /// Records, their sets of identifiers, and the sightings among them.
    records: usize,
    sets: usize,
    sightings: usize,
    /// All events as the ledger encodes them.
    bytes: Vec<u8>,
}

fn held(ledger: &Path, config: &tributary_config::model::Config) -> Held {
    let events = entries(ledger, config);
    let mut held = Held::default();
    let (mut records, mut sets) = (BTreeSet::new(), BTreeSet::new());
    for event in &events {
        match event {
            Event::TokenizedPing { ping } => {
                let of_day = held.secrets.entry(ping.salt_day).or_default();
                of_day.insert(ping.token.0.to_le_bytes().to_vec());
            }
            Event::ClosedVisits { visits } => {
                held.secrets.entry(visits.salt_day).or_default();
            }
            Event::Put { key, record, .. } => {
                records.insert(*key);
                sets.insert(record.ids.clone());
                match record.body {
                    Body::Sighting { salt_day, .. } => {
                        held.sightings += 1;
                        let of_day = held.secrets.entry(salt_day).or_default();
                        of_day.insert(key.0.to_le_bytes().to_vec());
                        if !record.id.starts_with(LEAD) {
                            of_day.insert(record.id.as_bytes().to_vec());
                        }
                    }
                    Body::SettledVisit { .. } => held.visits += 1,
                    _ => {}
                }
            }
            _ => {}
        }
    }
    (held.records, held.sets) = (records.len(), sets.len());
    held.bytes = tributary_ledger::encode(&events);
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_days_leave_no_trace_and_take_no_more_memory() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let file = configure(&server);
    let config = tributary_config::load(&file).unwrap().config;
    let ledger = server.directory().join("data/process-0");
    let now = jiff::Timestamp::now().as_millisecond();
    let first = now.div_euclid(DAY) - DAYS - 3;
    let mut lines: Vec<TraceLine> = (0..DAYS)
        .flat_map(|number| day((first + number) * DAY, number))
        .collect();
    lines.sort_by_key(|line| line.at);

    let start = |read: u64| {
        let worker = Worker::start(&file, &[]);
        tokio::task::block_in_place(|| worker.wait_until_read(read));
        worker
    };
    let mut worker = start(0);
    let client = nats::connect(&server.nats(), "partner").await.unwrap();
    let mut read = 0;
    let mut of_days: BTreeMap<i64, (Sizes, Held)> = BTreeMap::new();
    let mut secrets: BTreeMap<Day, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for number in 0..DAYS {
        let end = (first + number + 1) * DAY;
        let of_day = lines.partition_point(|line| line.at < end);
        play(&client, &lines[read..of_day], None).await;
        read = of_day;
        tokio::task::block_in_place(|| worker.wait_until_read(read as u64));
        let days = number + 1;
        if days % 6 != 0 {
            continue;
        }
        let of_day = tokio::task::block_in_place(|| {
            // The day that ended a week before the last arrival, and all days before it.
            let settled = first + number - 7;
            until("the days are settled", || {
                let through = worker.metric("tributary_partner_settled_through_timestamp_seconds");
                through.is_some_and(|through| through * 1000.0 >= (settled * DAY) as f64)
            });
            // What leaves the operators follows the ledger, sooner or later.
            let mut now = sizes(&worker);
            if let Some((steady, _)) = of_days.get(&STEADY) {
                until("no more is held than before", || {
                    let holds = holds_no_more(steady, &now);
                    if !holds {
                        now = sizes(&worker);
                    }
                    holds
                });
            }
            let sizes = now;
            worker.kill();
            let held = held(&ledger, &config);
            // Days up to the settled one have left.
            for (of, day) in &held.secrets {
                assert!(
                    i64::from(*of) >= settled,
                    "after {days} days, day {of} before {settled} is there: {day:?}"
                );
            }
            let mut needles: Vec<Vec<u8>> = Vec::new();
            for (of, day) in &secrets {
                if i64::from(*of) < settled {
                    needles.extend(day.iter().cloned());
                }
            }
            eprintln!(
                "day {days}: {} needles, {} visits settled, entries {:?}, bytes {:?}",
                needles.len(),
                held.visits,
                sizes[0],
                sizes[1]
            );
            for needle in &needles {
                let place = memchr::memmem::find(&held.bytes, needle);
                assert_eq!(place, None, "the ledger holds {needle:?}");
            }
            assert_eq!(
                found(&server.directory().join("data"), &needles),
                <Vec<String>>::new()
            );
            assert_eq!(needles.is_empty(), days < STEADY);
            (sizes, held)
        });
        for (of, day) in &of_day.1.secrets {
            secrets.entry(*of).or_default().extend(day.iter().cloned());
        }
        of_days.insert(days, of_day);
        worker = start(read as u64);
    }
    tokio::task::block_in_place(|| worker.stop());

    let (_, kept) = &of_days[&STEADY];
    for (days, (_, held)) in of_days.range(STEADY + 1..) {
        // What is settled stays as records of its devices, and nothing else does.
        assert_eq!(held.sightings, kept.sightings, "on day {days}");
    }
    let visits = published(&server.nats()).await;
    let visits = visits
        .iter()
        .filter(|line| line.contains("\"visit_match\""));
    assert_eq!(visits.count() as i64, 2 * (DAYS - 2));
}

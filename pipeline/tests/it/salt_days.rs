//! The days of sensors: a salt that is drawn in the middle of an epoch holds nobody up, whoever objects meanwhile; a day
//! that is closed leaves sums and no ping, in memory or in a ledger, and no cell moves by it, however often the
//! worker is killed.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use crate::support::story::{
    assert_stands, inspect_open, last, pings_position, play, position, ready, start_both,
    stop_both, two_processes, until,
};
use crate::support::{Worker, World, succeed, tributary};
use tributary::epochs::batch::{Batch, Incoming, Report};
use tributary::privacy::objections::Objections;
use tributary::worker::peers::Connections;
use tributary::worker::threads::Workers;
use tributary_connectors::decode::Decoder;
use tributary_connectors::trace::TraceLine;
use tributary_ledger::Keyring;
use tributary_operators::record::BrandId;
use tributary_testkit::NatsServer;

/// 2025-10-07 10:00 in Paris, Unix milliseconds.
const MORNING: i64 = 1_759_824_000_000;
const DAY: i64 = 86_400_000;

/// A ping that arrives at once.
fn ping(ts: i64, store: &str, device: usize, rssi: i64) -> TraceLine {
    let data = serde_json::json!({
        "ts": ts, "store": store, "sensor": "a", "rssi": rssi,
        // Every seventh device has a random MAC.
        "mac": format!("{}:5a:b4:00:{:02x}:{:02x}", if device.is_multiple_of(7) { "3e" } else { "3c" }, device >> 8, device & 255),
    });
    TraceLine {
        subject: "tributary.in.orchard.ping".to_owned(),
        at: ts + 100,
        headers: Vec::new(),
        data: data.to_string().into_bytes(),
    }
}

/// A day of two stores: passers-by, visitors who come twice, and one device that never leaves.
fn day(number: i64) -> Vec<TraceLine> {
    let start = MORNING + number * DAY;
    let mut lines = Vec::new();
    for (at, store) in ["store-01", "store-02"].into_iter().enumerate() {
        for device in 0..60 {
            for minute in 0..(device as i64 % 12) {
                let again = if device % 5 == 0 { 2 } else { 1 };
                for part in 0..again {
                    let ts = start + part * 3 * 3_600_000 + minute * 60_000 + device as i64;
                    lines.push(ping(ts, store, device + at * 30, -50 - device as i64 % 40));
                }
            }
        }
        for minute in 0..540 {
            lines.push(ping(start + minute * 60_000, store, 999, -40));
        }
    }
    lines.sort_by_key(|line| line.at);
    lines
}

fn write_trace(world: &World, name: &str, lines: &[TraceLine]) {
    let mut text = String::new();
    for line in lines {
        let data: serde_json::Value = serde_json::from_slice(&line.data).unwrap();
        let line = serde_json::json!({ "subject": line.subject, "at": line.at, "data": data });
        writeln!(text, "{line}").unwrap();
    }
    std::fs::write(world.path(name), text).unwrap();
}

/// Two threads, a salt for every epoch, and objections without end.
#[test]
fn an_objection_and_a_salt_do_not_wait_for_each_other() {
    const EPOCHS: u64 = 400;
    let world = World::new(10, None, "[workers]\nthreads = 2");
    let config = world.config();
    let suppressed = Arc::new(Objections::open(&config, &world.path("rights"), [7; 16]).unwrap());
    let finished = Arc::new(Mutex::new([0; 2]));
    let reported = finished.clone();
    let settings = Arc::new(tributary_connectors::settings::settings(
        &config,
        tributary_connectors::settings::NoiseDraw::default(),
    ));
    let keyring = Arc::new(Keyring::new(&config));
    let workers = Workers::start(
        &config,
        settings,
        Decoder::new(&config),
        keyring,
        suppressed.clone(),
        Arc::new(move |report| {
            if let Report::Finished { thread, before, .. } = report {
                reported.lock().unwrap()[thread] = before;
            }
        }),
        Connections::default(),
    )
    .unwrap();
    let ends = Arc::new(AtomicBool::new(false));
    let objecting = {
        let (suppressed, ends) = (suppressed.clone(), ends.clone());
        std::thread::spawn(move || {
            let mut objected = 0;
            while !ends.load(SeqCst) {
                let fresh =
                    suppressed.add(BrandId::of("orchard"), &[objected.into()], &[], MORNING);
                objected += fresh.unwrap();
            }
            objected
        })
    };
    let feeding = std::thread::spawn(move || {
        for epoch in 1..=EPOCHS {
            let days = [0, 1].map(|half| MORNING + (2 * epoch as i64 + half) * DAY);
            let messages = days.iter().map(|ts| ping(*ts, "store-01", 1, -50));
            let messages = (epoch * 2..).zip(messages);
            let batch = Batch {
                epoch,
                messages: messages
                    .map(|(number, line)| Incoming { number, line })
                    .collect(),
                ..Batch::default()
            };
            assert!(workers.send(batch), "the workers run");
        }
        workers
    });
    until("every epoch is finished on both threads", || {
        finished
            .lock()
            .unwrap()
            .iter()
            .all(|before| *before > EPOCHS)
    });
    ends.store(true, SeqCst);
    assert!(objecting.join().unwrap() > 0, "objections were entered");
    feeding.join().unwrap().finish().unwrap();
}

/// Closed days leave sums. `closed` are the processes of the worker; the first keeps the sums.
fn assert_settled(world: &World, processes: usize, open_pings: u64) {
    let entries = |process: usize, kind: &str| {
        let brands = inspect_open(world, process)["brands"].clone();
        let brands = brands.as_array().cloned().unwrap_or_default();
        let of = |brand: &serde_json::Value| brand["entries"][kind].as_u64().unwrap_or(0);
        brands.iter().map(of).sum::<u64>()
    };
    until("the pings of closed days have left every ledger", || {
        let pings: u64 = (0..processes)
            .map(|process| entries(process, "heard"))
            .sum();
        pings == open_pings
    });
    assert!(entries(0, "settled") > 0, "process 0 keeps the sums");
}

async fn settles(processes: usize, pings: Option<&str>) {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let mut broker = server.nats();
    broker.pings_stream = pings.map(str::to_owned);
    let more = match processes {
        1 => "[workers]\nthreads = 2".to_owned(),
        _ => two_processes(),
    };
    let world = World::new(10, Some(&broker), &more);
    let days: Vec<Vec<TraceLine>> = (0..5).map(day).collect();
    write_trace(&world, "trace.ndjson", &days.concat());
    let expected = world.replayed();
    assert!(expected.len() >= 20, "{expected:#?}");

    let client = ready(&broker).await;
    let stream = pings.unwrap_or(&broker.input_stream);
    let config = world.path("tributary.toml");
    let read = |process: usize| match pings {
        None => position(&world.ledger(process)),
        Some(_) => pings_position(&world.ledger(process)),
    };
    let start = || match processes {
        1 => vec![Worker::start(&config, &[])],
        _ => start_both(&config).into(),
    };
    // Killed behind every day, and once in the middle of what closes one.
    for (number, lines) in days.iter().enumerate() {
        let workers = tokio::task::block_in_place(start);
        play(&client, lines, None).await;
        let end = last(&client, stream).await;
        tokio::task::block_in_place(|| {
            if number != 3 {
                until("it is durable", || {
                    (0..processes).all(|process| read(process) >= end)
                });
            }
            if number == 2 {
                let open = days[1].len() + days[2].len();
                assert_settled(&world, processes, open as u64);
            }
            workers.into_iter().for_each(Worker::kill);
        });
    }
    let mut workers = tokio::task::block_in_place(start);
    // Where days go by headers, a process knows the day again with its first message. These are pings that came before.
    let again = &days[4][..50];
    play(&client, again, None).await;
    let end = last(&client, stream).await;
    tokio::task::block_in_place(|| {
        workers.iter().for_each(|worker| match pings {
            None => worker.wait_until_read(end),
            Some(_) => worker.wait_until_read_both(0, end),
        });
        let open = days[3].len() + days[4].len() + again.len();
        assert_settled(&world, processes, open as u64);
        let settled = workers[0].metric("tributary_pings_settled_total");
        assert!(settled.is_some(), "pings that settled are counted");
        match processes {
            1 => workers.remove(0).stop(),
            _ => stop_both(workers.try_into().ok().unwrap()),
        }
    });
    assert_stands(&broker, &expected, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_days_leave_sums_and_no_ping() {
    settles(1, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_days_of_two_processes_leave_sums_and_no_ping() {
    settles(2, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_days_of_a_stream_of_pings_leave_sums_and_no_ping() {
    settles(1, Some("P")).await;
    settles(2, Some("P")).await;
}

/// A record is judged by its own arrival: where the clock of a trace goes back over days that were closed, the cells are
/// those of the same messages in order.
#[test]
fn a_clock_that_goes_back_opens_what_was_closed() {
    let world = World::new(10, None, "");
    let lines: Vec<TraceLine> = (0..5).flat_map(day).collect();
    // Two traces, one behind the other: each has half of every device's pings.
    let part = |rest: usize| -> Vec<TraceLine> {
        let half = lines.iter().enumerate().filter(|(at, _)| at % 2 == rest);
        half.map(|(_, line)| line.clone()).collect()
    };
    write_trace(&world, "trace.ndjson", &lines);
    write_trace(&world, "even.ndjson", &part(0));
    write_trace(&world, "odd.ndjson", &part(1));
    let expected = world.replayed();
    for batch in ["1", "2000"] {
        let mut command = tributary();
        command
            .args(["replay", "--quiet", "--batch", batch, "--config"])
            .arg(world.path("tributary.toml"))
            .arg("--cells")
            .arg(world.path("cells.ndjson"))
            .args([world.path("even.ndjson"), world.path("odd.ndjson")]);
        succeed(&mut command);
        let cells = std::fs::read_to_string(world.path("cells.ndjson")).unwrap();
        let cells: Vec<&str> = cells.lines().collect();
        assert!(cells == expected, "batches of {batch}");
    }
}

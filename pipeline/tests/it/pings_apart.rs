//! Pings in a stream of their own: the MAC addresses in it leave the broker's disk with its age, and a worker that was away
//! for longer names what it has lost.

use std::path::Path;
use std::time::Duration;

use async_nats::jetstream::{self, stream::Config};
use tributary_config::model::Nats;
use tributary_connectors::nats::{self, Client, subject};
use tributary_connectors::trace::TraceLine;
use tributary_simulate::Options;
use tributary_testkit::NatsServer;

use crate::support::story::{last, pings_position, play, ready, until};
use crate::support::{Worker, World, published, refused_by_broker, tributary};

/// 2025-10-07 10:00 in Paris, Unix milliseconds.
const MORNING: i64 = 1_759_824_000_000;
/// The age of the stream, much shorter than a user would choose.
const AGE: Duration = Duration::from_secs(4);
const STREAM: &str = "TRIBUTARY_PINGS";

/// What each address begins with.
const MAC: &str = "3c:5a:b4:77";

fn pings(from: i64) -> Vec<TraceLine> {
    let ping = |number: i64| {
        let ts = MORNING + (from + number) * 1_000;
        let data = serde_json::json!({
            "ts": ts, "store": "store-01", "sensor": "a", "rssi": -50,
            "mac": format!("{MAC}:00:{:02x}", number % 16),
        });
        TraceLine {
            subject: "tributary.in.orchard.ping".to_owned(),
            at: ts + 100,
            headers: Vec::new(),
            data: data.to_string().into_bytes(),
        }
    };
    (0..200).map(ping).collect()
}

/// A ping that is refused: it has no signal strength.
fn refused() -> TraceLine {
    let data = serde_json::json!({
        "ts": MORNING, "store": "store-01", "sensor": "a", "mac": format!("{MAC}:00:ff"),
    });
    TraceLine {
        subject: "tributary.in.orchard.ping".to_owned(),
        at: MORNING,
        headers: Vec::new(),
        data: data.to_string().into_bytes(),
    }
}

/// A broker with a stream of pings that are deleted soon.
async fn forgetful(server: &NatsServer) -> (Nats, Client) {
    let mut broker = server.nats();
    broker.pings_stream = Some(STREAM.to_owned());
    let client = nats::connect(&broker, "test").await.unwrap();
    let config = Config {
        name: STREAM.to_owned(),
        subjects: subject::pings(),
        max_age: AGE,
        duplicate_window: AGE,
        ..Config::default()
    };
    let context = jetstream::new(client.clone());
    context.create_stream(config).await.unwrap();
    (broker.clone(), ready(&broker).await)
}

async fn stored(client: &Client) -> u64 {
    let state = nats::stream_state(client, STREAM).await;
    state.unwrap().messages
}

async fn until_forgotten(client: &Client) {
    let begun = std::time::Instant::now();
    while stored(client).await > 0 {
        assert!(begun.elapsed() < 10 * AGE, "the stream keeps its messages");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The files below a directory that hold an address.
fn with_mac(directory: &Path) -> Vec<String> {
    holding(directory, MAC)
}

/// The files below a directory, to which a broker may be writing, that hold a text.
fn holding(directory: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if let Ok(bytes) = std::fs::read(&path)
                && memchr::memmem::find(&bytes, text.as_bytes()).is_some()
            {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_outlives_the_age() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let (broker, client) = forgetful(&server).await;
    let world = World::new(10, Some(&broker), "");
    let config = world.path("tributary.toml");
    let worker = tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(0);
        worker
    });
    play(&client, &[pings(0), vec![refused()]].concat(), None).await;
    let end = last(&client, STREAM).await;
    assert_eq!((end, last(&client, &broker.input_stream).await), (201, 0));
    let store = server.directory().join("store");
    until("the broker writes pings to its disk", || {
        !with_mac(&store).is_empty()
    });
    tokio::task::block_in_place(|| {
        worker.wait_until_read_both(0, end);
        until("they are durable", || {
            pings_position(&world.ledger(0)) == end
        });
    });
    until_forgotten(&client).await;
    until("no file of the broker holds an address", || {
        with_mac(&store).is_empty()
    });
    // The dead letter names the manufacturer, and no device.
    let dead = refused_by_broker(&broker).await;
    assert_eq!(dead.len(), 1);
    assert!(dead[0].contains("3c:5a:b4:xx:xx:xx"), "{dead:?}");
    let of_worker = with_mac(&world.path("."));
    let of_worker: Vec<&String> = of_worker
        .iter()
        .filter(|file| !file.ends_with("trace.ndjson"))
        .collect();
    assert!(of_worker.is_empty(), "{of_worker:?}");
    tokio::task::block_in_place(|| {
        let pings = "tributary_records_accepted_total{brand=\"orchard\",kind=\"ping\"";
        let metrics = worker.get("/metrics").map(|(_, body)| body).unwrap();
        assert!(
            metrics
                .lines()
                .any(|line| line.starts_with(pings) && line.ends_with(" 200")),
            "{metrics}"
        );
        worker.stop();
        // A start after the age has lost nothing that was read.
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read_both(0, end);
        worker.stop();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_without_a_pause_leave_the_disk_too() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let (broker, client) = forgetful(&server).await;
    let world = World::new(10, Some(&broker), "");
    let worker = tokio::task::block_in_place(|| {
        let worker = Worker::start(&world.path("tributary.toml"), &[]);
        worker.wait_until_read(0);
        worker
    });
    let store = server.directory().join("store");
    let first = format!("{MAC}:00:0f");
    let holds_first = || !holding(&store, &first).is_empty();
    play(&client, &pings(0), None).await;
    until("the broker writes pings to its disk", holds_first);
    // Others follow at least every second, so that the stream is never empty by its age alone.
    let begun = std::time::Instant::now();
    for number in 1.. {
        // The first one is of another device.
        play(&client, &pings(number * 300)[..1], None).await;
        if !holds_first() {
            break;
        }
        assert!(begun.elapsed() < 20 * AGE, "an address stays on the disk");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let end = last(&client, STREAM).await;
    tokio::task::block_in_place(|| {
        worker.wait_until_read_both(0, end);
        worker.stop();
        assert_eq!(pings_position(&world.ledger(0)), end);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_away_for_longer_names_the_loss() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let (broker, client) = forgetful(&server).await;
    let world = World::new(10, Some(&broker), "");
    let config = world.path("tributary.toml");
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(0);
        worker.stop();
    });
    play(&client, &pings(0), None).await;
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read_both(0, 200);
        until("they are durable", || {
            pings_position(&world.ledger(0)) == 200
        });
        worker.kill();
    });
    play(&client, &pings(300), None).await;
    until_forgotten(&client).await;
    tokio::task::block_in_place(|| {
        let refused = tributary()
            .args(["run", "--config"])
            .arg(&config)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success(), "{error}");
        for part in [STREAM, "the 200 sequences from 201 to 400", "--accept-loss"] {
            assert!(error.contains(part), "{part} in {error}");
        }
        let worker = Worker::start(&config, &["--accept-loss"]);
        worker.wait_until_read_both(0, 400);
        worker.stop();
        assert_eq!(pings_position(&world.ledger(0)), 400);
    });
}

/// What a captive portal sees of the devices of [`pings`].
fn sighting(kind: &str, number: i64) -> TraceLine {
    let ts = MORNING + number * 1_000;
    let data = serde_json::json!({
        "ts": ts, "id": format!("s{number}"), "type": "sighting", "store": "store-01",
        "device": format!("d{number}"), "mac": format!("{MAC}:00:{:02x}", number % 16),
        "purposes": {"1": true, "7": true, "9": true, "feature_2": true, "special_feature_1": true},
    });
    TraceLine {
        subject: format!("tributary.in.orchard.{kind}"),
        at: ts + 100,
        headers: Vec::new(),
        data: data.to_string().into_bytes(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_of_a_sighting_outlives_the_age() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let (broker, client) = forgetful(&server).await;
    let options = Options {
        events: Some(10),
        partners: true,
        k: 1,
        ..Options::default()
    };
    let world = World::of(options, Some(&broker), "");
    let worker = tokio::task::block_in_place(|| {
        let worker = Worker::start(&world.path("tributary.toml"), &[]);
        worker.wait_until_read(0);
        worker
    });
    // Two come where they belong, a third with the other records of the partner, in one message with a link.
    let mut misplaced = sighting("partner", 3);
    let link = format!(
        "\n{{\"ts\":{MORNING},\"id\":\"l\",\"type\":\"link\",\"device\":\"d3\",\"email\":\"a@b.example\"}}"
    );
    misplaced.data.extend(link.bytes());
    let sightings = [
        sighting("partner_mac", 1),
        sighting("partner_mac.partner", 2),
        misplaced,
    ];
    play(&client, &[pings(0), sightings.to_vec()].concat(), None).await;
    let end = last(&client, STREAM).await;
    assert_eq!((end, last(&client, &broker.input_stream).await), (202, 1));
    tokio::task::block_in_place(|| {
        worker.wait_until_read_both(1, end);
        until("they are durable", || {
            pings_position(&world.ledger(0)) == end
        });
    });
    // The misplaced one is refused by name, and its message goes, though the input stream keeps others for days.
    let dead = refused_by_broker(&broker).await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert!(dead[0].contains("3c:5a:b4:xx:xx:xx"), "{dead:?}");
    tokio::task::block_in_place(|| {
        let refused = || {
            let metrics = worker.get("/metrics").map(|(_, body)| body).unwrap();
            let mut lines = metrics.lines();
            lines.any(|line| line.contains("reason=\"mac_in_clear\"") && line.ends_with(" 1"))
        };
        until("a line is refused by name", refused);
        let matched = || {
            let metrics = worker.get("/metrics").map(|(_, body)| body).unwrap();
            let of_partners = "tributary_records_accepted_total{brand=\"orchard\",kind=\"partner\"";
            let mut lines = metrics.lines();
            lines.any(|line| line.starts_with(of_partners) && line.ends_with(" 3"))
        };
        until("two sightings and a link are accepted", matched);
    });
    until_forgotten(&client).await;
    let store = server.directory().join("store");
    until("no file of the broker holds an address", || {
        with_mac(&store).is_empty()
    });
    let state = nats::stream_state(&client, &broker.input_stream).await;
    assert_eq!(state.unwrap().messages, 0);
    let of_worker = with_mac(&world.path("."));
    let of_worker: Vec<&String> = of_worker
        .iter()
        .filter(|file| !file.ends_with("trace.ndjson"))
        .collect();
    assert!(of_worker.is_empty(), "{of_worker:?}");
    tokio::task::block_in_place(|| worker.stop());
    // Both sightings by address met the visits of their devices.
    let cells = published(&broker).await;
    let stays = cells.iter().filter(|cell| cell.contains("visit_match"));
    let stays: Vec<&String> = stays.collect();
    assert!(
        stays.iter().any(|cell| cell.contains("\"stays\":2")),
        "{stays:?}"
    );
}

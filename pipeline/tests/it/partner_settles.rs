//! A worker settles sightings, is killed, and starts again: no number changes, its ledger keeps nothing of the sightings, and a
//! withdrawal and its renewal concern the settled visit alone.

use serde_json::{Value, json};
use tributary_connectors::nats;
use tributary_connectors::trace::TraceLine;
use tributary_operators::event::Event;
use tributary_operators::record::Body;
use tributary_testkit::NatsServer;

use crate::partner_visits::entries;
use crate::support::story::{play, until};
use crate::support::{Worker, published};

/// A day, milliseconds.
pub const DAY: i64 = 86_400_000;

/// A brand whose sources take the arrival of a header.
pub fn configure(server: &NatsServer) -> std::path::PathBuf {
    let directory = server.directory();
    tributary_testkit::write_secret(
        directory.join("acme.secret"),
        "a secret of acme with at least thirty-two bytes",
    );
    let mut text = format!(
        "[nats]\nurl = \"{}\"\npings_stream = \"\"\n[http]\nlisten = \"127.0.0.1:0\"\n[ledger]\ndirectory = \"data\"\n\
         [release]\nk = 1\nk_delta = 1\ncadence = \"0s\"\n[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\n\
         secret_file = \"acme.secret\"\n",
        server.url()
    );
    for kind in ["partner", "ping", "consent"] {
        text += &format!(
            "[[brand.source]]\nname = \"{kind}\"\nkind = \"{kind}\"\narrival_header = true\n"
        );
    }
    let file = directory.join("tributary.toml");
    std::fs::write(&file, text).unwrap();
    file
}

/// A message of a kind that arrives at a time, Unix milliseconds.
pub fn line(kind: &str, at: i64, data: Value) -> TraceLine {
    TraceLine {
        subject: format!("tributary.in.acme.{kind}"),
        at,
        headers: Vec::new(),
        data: data.to_string().into_bytes(),
    }
}

/// What a person allows who allows everything.
pub fn all() -> Value {
    json!({"1": true, "7": true, "9": true, "feature_2": true, "special_feature_1": true})
}

/// A visitor, and two devices that partners saw meanwhile, on a day twelve days ago; and what somebody else says now.
fn story(now: i64) -> Vec<TraceLine> {
    let morning = (now.div_euclid(DAY) - 12) * DAY + 10 * 3_600_000;
    let pings = [0, 10, 20].map(|minute| {
        let ts = morning + minute * 60_000;
        let data =
            json!({"ts": ts, "store": "S", "sensor": "b", "mac": "28:fe:34:00:00:01", "rssi": -50});
        line("ping", ts + 1000, data)
    });
    let sightings = ["d1", "d2"].map(|device| {
        let ts = morning + 5 * 60_000;
        let data = json!({
            "ts": ts, "id": device, "type": "sighting", "store": "S", "device": device, "purposes": all(),
        });
        line("partner", ts + 2 * DAY, data)
    });
    let other = json!({"ts": now - 1000, "id": "x", "device": "other", "purposes": {"1": true}});
    let other = line("consent", now - 1000, other);
    pings.into_iter().chain(sightings).chain([other]).collect()
}

fn states(now: i64, id: &str, purposes: Value) -> TraceLine {
    line(
        "consent",
        now,
        json!({"ts": now, "id": id, "device": "d2", "purposes": purposes}),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_settled_survives_a_kill_and_follows_its_device() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let file = configure(&server);
    let now = jiff::Timestamp::now().as_millisecond();
    let shown = async |stays: u32, weight: u32| {
        let values = format!(
            "\"value\":{{\"candidates\":{stays},\"matched\":{stays},\"stays\":{stays},\"weight_millionths\":{weight}}}"
        );
        for _ in 0..300 {
            let lines = published(&server.nats()).await;
            let mut of_stays = lines.iter().filter(|line| line.contains("visit_match"));
            if of_stays.any(|line| line.contains(&values)) {
                return lines;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{values} in vain: {:?}", published(&server.nats()).await);
    };
    let start = |read: u64| {
        let worker = Worker::start(&file, &[]);
        tokio::task::block_in_place(|| worker.wait_until_read(read));
        worker
    };

    let worker = start(0);
    let client = nats::connect(&server.nats(), "partner").await.unwrap();
    play(&client, &story(now), None).await;
    tokio::task::block_in_place(|| worker.wait_until_read(6));
    let before = shown(2, 1_000_000).await;
    tokio::task::block_in_place(|| worker.kill());

    // A start settles the days that are old enough by what arrives.
    let worker = start(6);
    let other = json!({"ts": now, "id": "y", "device": "other", "purposes": {"1": true}});
    play(&client, &[line("consent", now, other)], None).await;
    tokio::task::block_in_place(|| {
        worker.wait_until_read(7);
        until("the day settles", || {
            let settled = worker.metric("tributary_partner_settled_through_timestamp_seconds");
            settled.is_some_and(|through| through * 1000.0 > (now - 12 * DAY) as f64)
        });
        assert!(worker.said("settled sightings"), "{}", worker.log());
        worker.kill();
    });
    let config = tributary_config::load(&file).unwrap().config;
    let ledger = server.directory().join("data/process-0");
    let mut visits = 0;
    for event in entries(&ledger, &config) {
        match event {
            Event::Put { record, .. } => match record.body {
                Body::Sighting { .. } => panic!("a sighting is kept: {record:?}"),
                Body::SettledVisit { .. } => visits += 1,
                _ => {}
            },
            Event::ClosedVisits { .. } | Event::TokenizedPing { .. } => {
                panic!("kept: {event:?}")
            }
            _ => {}
        }
    }
    assert_eq!(visits, 2);

    let worker = start(7);
    assert_eq!(shown(2, 1_000_000).await, before);
    let now = jiff::Timestamp::now().as_millisecond();
    play(&client, &[states(now, "no", json!({"1": false}))], None).await;
    // The other device keeps its weight.
    shown(1, 500_000).await;
    play(&client, &[states(now + 1, "yes", all())], None).await;
    assert_eq!(shown(2, 1_000_000).await, before);
    tokio::task::block_in_place(|| worker.stop());
}

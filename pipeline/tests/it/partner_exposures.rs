//! A worker makes counts of the exposures of devices that only exposures name, is killed, and starts again: `campaign_day` keeps
//! its counts and loses these persons, no other number moves, the ledger knows nothing of the devices any more, and an exposure
//! that is sent again does not count again.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tributary_connectors::nats;
use tributary_connectors::trace::TraceLine;
use tributary_operators::event::Event;
use tributary_operators::record::Body;
use tributary_testkit::NatsServer;

use crate::partner_settles::{DAY, all, configure, line};
use crate::partner_visits::entries;
use crate::support::story::{play, until};
use crate::support::{Worker, published};

/// An exposure that arrives a second later.
fn exposure(
    ts: i64,
    id: &str,
    device: &str,
    touch: &str,
    campaign: &str,
    purposes: Value,
) -> TraceLine {
    let data = json!({
        "ts": ts, "id": id, "type": "exposure", "touch": touch, "source": "radio", "campaign": campaign,
        "device": device, "purposes": purposes,
    });
    line("partner", ts + 1000, data)
}

/// On a day two months ago: two devices that nothing else names, of which one was shown two campaigns; one that visited a store;
/// and one that has withdrawn.
fn story(now: i64) -> Vec<TraceLine> {
    let morning = (now.div_euclid(DAY) - 60) * DAY + 10 * 3_600_000;
    let pings = [0, 10, 20].map(|minute| {
        let ts = morning + minute * 60_000;
        let data =
            json!({"ts": ts, "store": "S", "sensor": "b", "mac": "28:fe:34:00:00:01", "rssi": -50});
        line("ping", ts + 1000, data)
    });
    let ts = morning + 5 * 60_000;
    let sighting = json!({
        "ts": ts, "id": "sighting", "type": "sighting", "store": "S", "device": "visitor", "purposes": all(),
    });
    let minute = |minute: i64| morning - 3_600_000 + minute * 60_000;
    let exposures = [
        exposure(minute(0), "e1", "lonely-1", "impression", "a", all()),
        exposure(minute(1), "e2", "lonely-1", "impression", "a", all()),
        exposure(minute(2), "e3", "lonely-1", "click", "b", all()),
        exposure(minute(3), "e4", "lonely-2", "impression", "a", all()),
        exposure(minute(4), "e5", "visitor", "click", "a", all()),
        exposure(minute(5), "e6", "withdrawn", "click", "a", all()),
    ];
    let withdrawal =
        json!({"ts": morning, "id": "w", "device": "withdrawn", "purposes": {"1": false}});
    let mut lines: Vec<TraceLine> = exposures.into_iter().collect();
    lines.push(line("consent", morning + 1000, withdrawal));
    lines.extend(pings);
    lines.push(line("partner", ts + 2 * DAY, sighting));
    // The days go by.
    for day in [30, 59] {
        let at = morning + day * DAY;
        let other =
            json!({"ts": at, "id": format!("x{day}"), "device": "other", "purposes": {"1": true}});
        lines.push(line("consent", at, other));
    }
    lines.sort_by_key(|line| line.at);
    lines
}

/// The published cells by family and cell.
type Cells = BTreeMap<String, Value>;

async fn cells(server: &NatsServer) -> Cells {
    let lines = published(&server.nats()).await;
    let cells = lines.iter().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let key = format!("{} {}", line["family"].as_str().unwrap(), line["cell"]);
        (key, line["value"].clone())
    });
    cells.collect()
}

/// Impressions, clicks and persons of a campaign.
fn of_campaign(cells: &Cells, campaign: &str) -> Option<[i64; 3]> {
    let name = format!("\"campaign\":\"{campaign}\"");
    let mut cells = cells.iter();
    let (_, value) =
        cells.find(|(key, _)| key.starts_with("campaign_day ") && key.contains(&name))?;
    Some(["impressions", "clicks", "persons"].map(|of| value[of].as_i64().unwrap()))
}

/// What settling does not move.
fn unmoved(cells: &Cells) -> Cells {
    let mut cells = cells.clone();
    cells.retain(|key, _| !key.starts_with("identity ") && !key.starts_with("campaign_day "));
    cells
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_partners_know_becomes_a_count() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let file = configure(&server);
    let config = tributary_config::load(&file).unwrap().config;
    let now = jiff::Timestamp::now().as_millisecond();
    let start = |read: u64| {
        let worker = Worker::start(&file, &[]);
        tokio::task::block_in_place(|| worker.wait_until_read(read));
        worker
    };
    let shows = async |counts: [Option<[i64; 3]>; 2]| {
        for _ in 0..300 {
            let cells = cells(&server).await;
            if ["a", "b"].map(|of| of_campaign(&cells, of)) == counts {
                return cells;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{counts:?} in vain: {:?}", cells(&server).await);
    };

    let lines = story(now);
    let young = lines.partition_point(|line| line.at < now - 59 * DAY);
    let client = nats::connect(&server.nats(), "partner").await.unwrap();
    let worker = start(0);
    play(&client, &lines[..young], None).await;
    tokio::task::block_in_place(|| worker.wait_until_read(young as u64));
    let before = shows([Some([3, 1, 3]), Some([0, 1, 1])]).await;
    assert!(
        before.keys().any(|key| key.starts_with("visit_lift ")),
        "{before:?}"
    );
    play(&client, &lines[young..], None).await;
    let read = lines.len() as u64;
    // The counts stay, and the persons of two devices go.
    let after = shows([Some([3, 1, 1]), Some([0, 1, 0])]).await;
    let attribution = |cells: &Cells| {
        let of = |key: &String| key.starts_with("attribution ") || key.starts_with("visit_lift ");
        let mut cells = cells.clone();
        cells.retain(|key, _| of(key));
        cells
    };
    assert!(
        attribution(&after)
            .keys()
            .any(|key| key.contains("\"source\":\"radio\""))
    );
    assert_eq!(
        attribution(&after)
            .iter()
            .filter(|(key, _)| key.starts_with("visit_lift "))
            .map(|(_, value)| [value["exposed"].as_i64(), value["unexposed"].as_i64()])
            .collect::<Vec<_>>(),
        [[Some(3), Some(0)], [Some(1), Some(2)]]
    );
    tokio::task::block_in_place(|| {
        worker.wait_until_read(read);
        until("the ledger is rewritten", || {
            let settled = worker.metric("tributary_partner_settled_through_timestamp_seconds");
            settled.is_some_and(|through| through * 1000.0 > (now - 12 * DAY) as f64)
        });
        worker.kill();
    });

    let ledger = server.directory().join("data/process-0");
    let events = entries(&ledger, &config);
    let mut exposures: Vec<String> = Vec::new();
    let mut settled = 0;
    for event in &events {
        match event {
            Event::Put { record, .. } if matches!(record.body, Body::Exposure { .. }) => {
                exposures.push(record.id.to_string());
            }
            Event::SettledExposures { .. } => settled += 1,
            _ => {}
        }
    }
    exposures.sort();
    assert_eq!(
        exposures,
        ["e5", "e6"],
        "those of the visitor and of whoever withdrew"
    );
    assert!(settled >= 4, "{settled} entries");
    let bytes = tributary_ledger::encode(&events);
    for id in ["e1", "e2", "e3", "e4"] {
        assert_eq!(memchr::memmem::find(&bytes, id.as_bytes()), None, "{id}");
    }

    // After a restart everything stands, and what is sent again changes nothing.
    let worker = start(read);
    let lonely = lines.iter().filter(|line| {
        let text = String::from_utf8_lossy(&line.data);
        text.contains("lonely-1")
    });
    let again: Vec<TraceLine> = lonely
        .map(|line| TraceLine {
            at: now,
            ..line.clone()
        })
        .collect();
    play(&client, &again, None).await;
    tokio::task::block_in_place(|| worker.wait_until_read(read + again.len() as u64));
    let restarted = shows([Some([3, 1, 1]), Some([0, 1, 0])]).await;
    assert_eq!(unmoved(&restarted), unmoved(&after));
    // Renewed consent brings back what was never counted.
    let renewed = json!({"ts": now, "id": "w2", "device": "withdrawn", "purposes": all()});
    play(&client, &[line("consent", now, renewed)], None).await;
    shows([Some([3, 2, 2]), Some([0, 1, 0])]).await;
    tokio::task::block_in_place(|| worker.stop());
}

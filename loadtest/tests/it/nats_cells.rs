//! Publication of cells: the output stream keeps the latest value of each cell, whatever the broker
//! and the connection do. A closed cell is a tombstone, and all cells can be read back.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::nats_support::WAIT;
use serde_json::{Value, json};
use tributary_config::nats_at;
use tributary_connectors::nats::{
    Client, LatestPublisher, NatsErrorKind, OutgoingMessage, connect, ensure_output_stream,
    last_values, stream_state,
};
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::cells::Standing;
use tributary_testkit::{NatsServer, Proxy};

/// The output stream.
const OUT: &str = "TRIBUTARY_OUT";

/// A server with an output stream, and a client.
async fn broker() -> Option<(NatsServer, Client)> {
    let server = NatsServer::start_or_skip("")?;
    let nats = server.nats();
    let client = connect(&nats, "test").await.unwrap();
    ensure_output_stream(&client, &nats, &["acme", "zeta"])
        .await
        .unwrap();
    Some((server, client))
}

/// The orders of a day, or the tombstone of the cell.
fn orders(brand: &str, day: i32, count: Option<u64>, epoch: u64) -> OutgoingMessage {
    let cell = Cell {
        family: Family::OrdersDay,
        dims: vec![
            Dim::Text(brand.into()),
            Dim::Day(day),
            Dim::Text("EUR".into()),
        ],
        values: count.map_or(vec![], |count| vec![count.into(), 100, 1]),
    };
    OutgoingMessage::cell(&cell, epoch, 1_700_000_000_000, Standing::Closed)
}

/// The last value of every subject, by day.
async fn held(client: &Client, filter: &str) -> BTreeMap<String, Value> {
    let mut values = last_values(client, OUT, filter).await.unwrap();
    let mut held = BTreeMap::new();
    loop {
        let batch = values.next_batch(100).await.unwrap();
        if batch.is_empty() {
            return held;
        }
        for message in batch {
            let value: Value = serde_json::from_slice(&message.payload).unwrap();
            held.insert(value["cell"]["day"].as_str().unwrap().to_owned(), value);
        }
    }
}

#[tokio::test]
async fn the_last_value_of_a_cell_stays() {
    let Some((mut server, client)) = broker().await else {
        return;
    };
    let mut latest = LatestPublisher::new(&client, OUT, 16);
    for epoch in 1..=50 {
        for day in [20_387, 20_388] {
            let closed = epoch == 50 && day == 20_388;
            latest.put(orders("acme", day, (!closed).then_some(epoch), epoch));
        }
        // Whatever the broker does, no more waits than there are cells, in flight and behind.
        assert!(latest.pending() <= 4);
        match epoch {
            10 => latest.flush().await.unwrap(),
            20 => server.kill(),
            40 => server.restart(),
            _ => latest.flush_for(Duration::from_millis(5)).await.unwrap(),
        }
    }
    latest.flush().await.unwrap();
    assert_eq!(latest.pending(), 0);

    let state = stream_state(&client, OUT).await.unwrap();
    assert_eq!(state.messages, 2);
    // What a newer value had replaced before it could leave has never left.
    assert!(state.last_sequence < 100, "{state:?}");
    let held = held(&client, "tributary.out.acme.>").await;
    let open = &held["2025-10-26"];
    assert_eq!(
        open["cell"],
        json!({"brand": "acme", "day": "2025-10-26", "currency": "EUR"})
    );
    assert_eq!(
        open["value"],
        json!({"orders": 50, "revenue_minor": 100, "persons": 1})
    );
    assert_eq!(open["epoch"], 50);
    assert_eq!(open["as_of"], "2023-11-14T22:13:20Z");
    assert_eq!(held["2025-10-27"]["value"], Value::Null);
    assert_eq!(held["2025-10-27"]["epoch"], 50);
}

/// A message is delayed on a connection that the client abandons, and arrives after the next value
/// of the cell.
#[tokio::test]
async fn a_late_copy_does_not_come_last() {
    let Some((server, direct)) = broker().await else {
        return;
    };
    let proxy = Proxy::start(server.address());
    let client = connect(&nats_at(&proxy.url()), "test").await.unwrap();
    let mut latest = LatestPublisher::new(&client, OUT, 16);
    proxy.strand();
    latest.put(orders("acme", 20_387, Some(1), 1));
    latest.flush_for(Duration::from_millis(300)).await.unwrap();
    // This has no id, and shows when what is stuck has arrived.
    client
        .publish("tributary.out.acme.stuck", "".into())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(stream_state(&direct, OUT).await.unwrap().last_sequence, 0);

    client.force_reconnect().await.unwrap();
    latest.flush().await.unwrap();
    latest.put(orders("acme", 20_387, Some(2), 2));
    latest.flush().await.unwrap();
    assert_eq!(stream_state(&direct, OUT).await.unwrap().last_sequence, 2);

    proxy.stall(false);
    tokio::time::timeout(WAIT, async {
        while stream_state(&direct, OUT).await.unwrap().last_sequence < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("what was stuck arrives");
    let held = held(&direct, "tributary.out.acme.orders_day.>").await;
    assert_eq!(held["2025-10-26"]["epoch"], 2);
}

#[tokio::test]
async fn the_line_is_cut_again_and_again() {
    let Some((server, direct)) = broker().await else {
        return;
    };
    let proxy = Proxy::start(server.address());
    let client = connect(&nats_at(&proxy.url()), "test").await.unwrap();
    let mut latest = LatestPublisher::new(&client, OUT, 8);
    for epoch in 1..=200 {
        for day in 0..20 {
            if (epoch + day) % 3 == 0 {
                latest.put(orders(
                    "acme",
                    20_387 + day,
                    Some(epoch as u64),
                    epoch as u64,
                ));
            }
        }
        latest.flush_for(Duration::from_millis(3)).await.unwrap();
        if epoch % 40 == 0 {
            proxy.cut();
        }
    }
    latest.flush().await.unwrap();
    let held = held(&direct, "tributary.out.>").await;
    assert_eq!(held.len(), 20);
    for (index, value) in held.values().enumerate() {
        let last = (1..=200).rev().find(|epoch| (epoch + index) % 3 == 0);
        assert_eq!(value["epoch"], last.unwrap(), "{value}");
    }
}

#[tokio::test]
async fn all_last_values_are_read_back() {
    let Some((mut server, client)) = broker().await else {
        return;
    };
    let mut latest = LatestPublisher::new(&client, OUT, 64);
    for epoch in 1..=2 {
        for day in 0..700 {
            latest.put(orders("acme", 10_000 + day, Some(epoch), epoch));
        }
        for day in 0..3 {
            latest.put(orders("zeta", 10_000 + day, Some(epoch), epoch));
        }
        latest.flush().await.unwrap();
    }
    assert_eq!(held(&client, "tributary.out.zeta.>").await.len(), 3);
    assert!(held(&client, "tributary.out.none.>").await.is_empty());

    // The broker dies half-way, and a cell changes meanwhile.
    let mut values = last_values(&client, OUT, "tributary.out.acme.>")
        .await
        .unwrap();
    let mut days = BTreeMap::new();
    let (mut sequence, mut died) = (0, false);
    loop {
        let batch = values.next_batch(100).await.unwrap();
        if batch.is_empty() {
            break;
        }
        for message in batch {
            assert!(message.sequence > sequence);
            sequence = message.sequence;
            let value: Value = serde_json::from_slice(&message.payload).unwrap();
            days.insert(
                value["cell"]["day"].as_str().unwrap().to_owned(),
                value["epoch"].clone(),
            );
        }
        if !died && days.len() >= 100 {
            died = true;
            server.restart();
            latest.put(orders("acme", 10_000, Some(3), 3));
            latest.flush().await.unwrap();
        }
    }
    assert_eq!(days.len(), 700);
    let epochs: Vec<&Value> = days.values().collect();
    assert_eq!(*epochs[0], 3);
    assert!(epochs[1..].iter().all(|epoch| **epoch == 2));
}

#[tokio::test]
async fn last_values_that_are_deleted_meanwhile_are_not_waited_for() {
    let Some((_server, client)) = broker().await else {
        return;
    };
    let mut latest = LatestPublisher::new(&client, OUT, 64);
    for day in 0..700 {
        latest.put(orders("acme", 10_000 + day, Some(1), 1));
    }
    latest.flush().await.unwrap();
    let mut values = last_values(&client, OUT, "tributary.out.acme.>")
        .await
        .unwrap();
    let mut read = values.next_batch(1).await.unwrap().len();
    let stream = async_nats::jetstream::new(client.clone());
    let stream = stream.get_stream(OUT).await.unwrap();
    let held = stream_state(&client, OUT).await.unwrap();
    // Fewer than the client has asked for stay.
    for sequence in held.first_sequence + 20..=held.last_sequence {
        stream.delete_message(sequence).await.unwrap();
    }
    // The stream goes on with what is not asked for.
    latest.put(orders("zeta", 10_000, Some(1), 1));
    latest.flush().await.unwrap();
    loop {
        let batch = values.next_batch(100).await.unwrap();
        if batch.is_empty() {
            break;
        }
        read += batch.len();
    }
    assert!((20..=700).contains(&read), "{read}");
}

#[tokio::test]
async fn without_a_stream_nothing_is_taken_for_published() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let nats = server.nats();
    let client = connect(&nats, "test").await.unwrap();
    let mut latest = LatestPublisher::new(&client, OUT, 4);
    latest.put(orders("acme", 20_387, Some(1), 1));
    let error = latest.flush().await.unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Publish);
    assert!(error.to_string().contains("no stream"), "{error}");
    assert_eq!(latest.pending(), 1);
    ensure_output_stream(&client, &nats, &["acme"])
        .await
        .unwrap();
    latest.flush().await.unwrap();
    assert_eq!(latest.pending(), 0);
}

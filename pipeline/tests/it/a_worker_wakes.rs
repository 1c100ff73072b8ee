//! A worker is suspended while another takes its place with a ledger of its own, and wakes later: it ends, says why, and has
//! changed nothing. A second worker is refused as long as the first one renews its lease.

use std::time::{Duration, Instant};

use crate::support::story::until;
use crate::support::{Worker, World, published};
use serde_json::{Value, json};
use tributary_config::model::Nats;
use tributary_connectors::nats::{self, TERM};
use tributary_simulate::Options;
use tributary_testkit::NatsServer;

/// How long a release may take on a busy machine.
const WHILE: Duration = Duration::from_secs(60);

/// Publishes lines of a trace.
async fn publish(client: &nats::Client, lines: &[tributary_connectors::trace::TraceLine]) {
    for line in lines {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(nats::AT_HEADER, line.at.to_string().as_str());
        let jetstream = async_nats::jetstream::new(client.clone());
        let payload = line.data.clone().into();
        let sent = jetstream.publish_with_headers(line.subject.clone(), headers, payload);
        sent.await.unwrap().await.unwrap();
    }
}

/// The sequence of the newest message of the output stream.
async fn newest_of(client: &nats::Client, broker: &Nats) -> u64 {
    let jetstream = async_nats::jetstream::new(client.clone());
    let stream = jetstream.get_stream(&broker.output_stream).await.unwrap();
    stream.cached_info().state.last_sequence
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_been_replaced_ends_when_it_wakes() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let options = Options {
        events: Some(4_000),
        k: 1,
        ..Options::default()
    };
    let world = World::of(options, Some(&broker), "");
    let expected = world.replayed();
    let config = world.path("tributary.toml");
    // The other worker has the same configuration and another directory.
    let other = world.path("other.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("[http]\n", "[ledger]\ndirectory = \"other-data\"\n[http]\n");
    std::fs::write(&other, text).unwrap();

    let client = nats::connect(&broker, "test").await.unwrap();
    nats::ensure_input_stream(&client, &broker, &["orchard"])
        .await
        .unwrap();
    let trace: Vec<_> = world.trace().collect();
    let (before, after) = trace.split_at(trace.len() / 2);
    publish(&client, before).await;
    let read = before.len() as u64;
    let mut first = tokio::task::block_in_place(|| {
        let first = Worker::start(&config, &[]);
        first.wait_until_read(read);
        // A second one is refused by name, and the first one goes on.
        let mut second = Worker::start(&other, &["--accept-loss"]);
        until("it says what it waits for", || {
            let waits = "waiting for the lease of process 0";
            let answer = second.get("/readyz");
            answer.is_some_and(|(status, text)| status == 503 && text.contains(waits))
        });
        assert!(!second.ended().success());
        assert!(
            second.said("another worker is process 0"),
            "{}",
            second.log()
        );
        first
    });
    assert!(first.lives());
    publish(&client, after).await;
    // It is suspended while it has read, computed and published some of it.
    tokio::time::sleep(Duration::from_millis(100)).await;
    first.signal_with("-STOP");
    let suspended = Instant::now();
    let newest = newest_of(&client, &broker).await;
    let second = tokio::task::block_in_place(|| {
        let second = Worker::start(&other, &["--accept-loss"]);
        second.wait_until_read(trace.len() as u64);
        second
    });
    assert!(suspended.elapsed() >= TERM);
    // What it has computed leaves with the next release.
    let begun = Instant::now();
    while published(&broker).await != expected {
        assert!(
            begun.elapsed() < WHILE,
            "the cells differ after the takeover"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    // Nothing stands as the first one has published it, so that the broker refuses whatever it has sent and is still on its way.
    let mut values = nats::last_values(&client, &broker.output_stream, "tributary.out.>")
        .await
        .unwrap();
    let (mut seen, mut older) = (0, 0);
    loop {
        let messages = values.next_batch(1_000).await.unwrap();
        if messages.is_empty() {
            break;
        }
        seen += messages.len();
        older += messages.iter().filter(|of| of.sequence <= newest).count();
    }
    assert!(seen > 0 && older == 0, "{older} of {seen}");

    first.signal_with("-CONT");
    let status = tokio::task::block_in_place(|| first.ended());
    assert!(!status.success());
    assert!(first.said("may no longer publish"), "{}", first.log());
    let later = published(&broker).await;
    assert!(later == expected, "the worker that woke has published");
    second.stop();

    // What stands at the broker says who publishes, and that it has ended.
    let stream = async_nats::jetstream::new(client)
        .get_stream_no_info("KV_TRIBUTARY_OUT_LEASES")
        .await
        .unwrap();
    let last = stream
        .get_last_raw_message_by_subject("$KV.TRIBUTARY_OUT_LEASES.process-0")
        .await
        .unwrap();
    let holder: Value = serde_json::from_slice(&last.payload).unwrap();
    assert_eq!(holder["released"], json!(true));
    assert_eq!(holder["processes"], json!(1));
}

//! The bucket of the leases is deleted while a worker runs: the worker creates it again and enters itself and its brand, goes
//! on publishing, and says it in a line and not in hundreds. Where it has ended, its standby does so and takes its place.

use async_nats::jetstream;
use tributary_connectors::nats;
use tributary_testkit::NatsServer;

use crate::support::candidates::{candidate, leads, start, until_it_follows, until_it_leads};
use crate::support::story::{assert_stands, last, play, ready, until};
use crate::support::{Worker, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_deleted_is_created_again() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(2_000, Some(&broker), "");
    let expected = world.replayed();
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    let (before, after) = lines.split_at(lines.len() / 2);
    play(&client, before, None).await;
    let read = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");
    let mut worker = tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(read);
        until("it holds its lease", || leads(&worker));
        worker
    });
    let bucket = nats::leases_bucket(&broker.output_stream);
    let streams = jetstream::new(client.clone());
    streams.delete_stream(format!("KV_{bucket}")).await.unwrap();
    play(&client, after, None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        until("it says so", || worker.said("has entered itself again"));
        worker.wait_until_read(end);
        until("it holds its lease again", || leads(&worker));
    });
    let leases = streams.get_stream(format!("KV_{bucket}")).await.unwrap();
    let value = async |key: &str| {
        let subject = format!("$KV.{bucket}.{key}");
        let message = leases.get_last_raw_message_by_subject(&subject).await;
        message.ok().map(|message| message.payload)
    };
    for _ in 0..100 {
        if value("brand-orchard").await.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let claim = value("brand-orchard").await;
    assert!(claim.is_some(), "the brand is not claimed again");
    let holder = value("process-0").await.unwrap();
    let holder: serde_json::Value = serde_json::from_slice(&holder).unwrap();
    assert_eq!(holder["build"], tributary::version::COMMIT);
    assert_eq!(holder["settings"].as_str().unwrap().len(), 16);
    assert_eq!(worker.log().matches("has entered itself again").count(), 1);
    tokio::task::block_in_place(|| {
        assert!(worker.lives());
        worker.stop();
    });
    assert_stands(&broker, &expected, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_cannot_be_renewed_is_said_now_and_then() {
    let Some(mut server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(1, Some(&broker), "");
    let worker = tokio::task::block_in_place(|| {
        let worker = Worker::start(&world.path("tributary.toml"), &[]);
        until("it holds its lease", || leads(&worker));
        worker
    });
    server.kill();
    let begun = std::time::Instant::now();
    tokio::task::block_in_place(|| {
        until("it no longer holds its lease", || {
            worker.metric("tributary_lease_held") == Some(0.0)
        });
    });
    tokio::time::sleep(std::time::Duration::from_secs(15)).await;
    let lines = worker.log().matches("retrying to renew").count();
    let most = 3 + begun.elapsed().as_secs() as usize / 10;
    assert!((1..=most).contains(&lines), "{lines} lines, at most {most}");
    server.restart();
    tokio::task::block_in_place(|| {
        until("it holds its lease again", || leads(&worker));
        assert!(worker.said("renewed the lease of this process again"));
        worker.stop();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_although_the_bucket_is_lost() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(1_000, Some(&broker), "");
    let expected = world.replayed();
    let client = ready(&broker).await;
    play(&client, &world.trace().collect::<Vec<_>>(), None).await;
    let end = last(&client, &broker.input_stream).await;
    let configs = [0, 1].map(|number| candidate(&world, number, None));
    let standby = tokio::task::block_in_place(|| {
        let leader = start(&configs[0]);
        until_it_leads(&leader);
        leader.wait_until_read(end);
        let standby = start(&configs[1]);
        until_it_follows(&standby);
        leader.kill();
        standby
    });
    let bucket = nats::leases_bucket(&broker.output_stream);
    let streams = jetstream::new(client.clone());
    streams.delete_stream(format!("KV_{bucket}")).await.unwrap();
    tokio::task::block_in_place(|| {
        until_it_leads(&standby);
        standby.wait_until_read(end);
        standby.stop();
    });
    assert_stands(&broker, &expected, &[]).await;
}

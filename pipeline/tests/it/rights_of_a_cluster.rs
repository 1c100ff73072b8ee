//! Two processes share a brand, and a person is erased from both: each forgets in its own ledger, and the request is
//! completed when both have. Of a request that is canceled neither does anything.

use crate::support::person::{apart, ask, found, rewrite, somebody};
use crate::support::story::{
    assert_stands, last, play, ready, refusal, start_both, stop_both, two_processes,
};
use crate::support::{Worker, World};
use tributary::privacy::rights::cancel::cancel;
use tributary_config::model::Nats;
use tributary_connectors::nats::{Client, subject};
use tributary_connectors::trace::TraceLine;
use tributary_rights::RequestId;
use tributary_testkit::NatsServer;

/// The ID of the request that is canceled.
const CANCELLED: &str = "5f3c2d8e-8a51-4b8d-9a0e-6f3d1c2b4a59";

/// The ID of the request that erases.
const ERASED: &str = "0b9b7f0e-3d6a-4c57-9a51-2d9c1c5a7e10";

/// Publishes a request.
async fn submit(client: &Client, request: &serde_json::Value) {
    let jetstream = async_nats::jetstream::new(client.clone());
    let requests = subject::rights_requests("orchard");
    let sent = jetstream.publish(requests, request.to_string().into());
    sent.await.unwrap().await.unwrap();
}

/// Waits until the newest status is one of a request and contains a word.
async fn until_status(client: &Client, broker: &Nats, id: &str, word: &str) {
    let jetstream = async_nats::jetstream::new(client.clone());
    let stream = jetstream.get_stream(&broker.rights_stream).await.unwrap();
    let begun = std::time::Instant::now();
    loop {
        let statuses = subject::rights_status("orchard");
        let last = stream.get_last_raw_message_by_subject(&statuses).await;
        let last = last.map_or_else(
            |_| String::new(),
            |message| String::from_utf8_lossy(&message.payload).into_owned(),
        );
        if last.contains(id) && last.contains(word) {
            return;
        }
        assert!(begun.elapsed().as_secs() < 60, "{last}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_forgets() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(6_000, Some(&broker), &two_processes());
    let lines: Vec<TraceLine> = world.trace().collect();
    let email = somebody(&world, &lines);
    let (_, others) = apart(&world, &lines, &email);
    let staying = somebody(&world, &others);
    let whole = (world.replayed(), world.refused());
    rewrite(&world, &others);
    for output in ["replayed.ndjson", "replayed.ndjson.dead-letters.ndjson"] {
        std::fs::remove_file(world.path(output)).unwrap();
    }
    let expected = world.replayed();
    let refused = world.refused();
    let client = ready(&broker).await;
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");

    // Her erasure is canceled, which is known before the request comes.
    let both = tokio::task::block_in_place(|| {
        let both = start_both(&config);
        both.iter().for_each(|worker| worker.wait_until_read(end));
        both
    });
    cancel(&client, "orchard", &RequestId::read(CANCELLED).unwrap())
        .await
        .unwrap();
    let request = serde_json::json!({
        "id": CANCELLED, "ts": "2025-11-20T09:00:00Z", "type": "erase", "proof": "ticket 118",
        "identifiers": [{"kind": "email", "value": email}],
    });
    submit(&client, &request).await;
    until_status(&client, &broker, CANCELLED, "cancelled").await;
    tokio::task::block_in_place(|| stop_both(both));
    assert_stands(&broker, &whole.0, &whole.1).await;

    tokio::task::block_in_place(|| {
        let both = start_both(&config);
        both.iter().for_each(|worker| worker.wait_until_read(end));
        let needle = [email.clone().into_bytes()];
        assert!(
            !found(server.directory(), &needle).is_empty(),
            "she was there"
        );
        ask(
            &world,
            "erase",
            &[&format!("email={email}"), "--id", ERASED],
        );
        // Another person's request under its id does nothing in any process.
        let other = serde_json::json!({
            "id": ERASED, "ts": "2025-11-21T09:00:00Z", "type": "erase", "proof": "ticket 119",
            "identifiers": [{"kind": "email", "value": staying}],
        });
        tokio::runtime::Handle::current().block_on(async {
            submit(&client, &other).await;
            until_status(&client, &broker, ERASED, "id_taken").await;
        });
        stop_both(both);
    });
    assert_stands(&broker, &expected, &refused).await;

    // Each process has its own list, its own ledger, and what the broker knows of both.
    tokio::task::block_in_place(|| {
        let both = start_both(&config);
        both.iter().for_each(|worker| worker.wait_until_read(end));
        ask(&world, "object", &["email=somebody@else.example"]);
        stop_both(both);
        let refuses = |words: &str| {
            let refusal_text = refusal(&world, &["--process", "1"]);
            assert!(
                refusal_text.contains(words) && refusal_text.contains("--accept-loss"),
                "{refusal_text}"
            );
        };
        let data = world.path("tributary-data");
        std::fs::rename(data.join("rights-1"), data.join("away")).unwrap();
        refuses("rights-1/objections is missing");
        std::fs::rename(data.join("process-1"), data.join("far-away")).unwrap();
        refuses("process-1/MANIFEST is missing");
        // As if it were new in the cluster: nobody would be kept out by it.
        let stream = async_nats::jetstream::new(client.clone());
        tokio::runtime::Handle::current().block_on(async {
            let stream = stream.get_stream_no_info("TRIBUTARY_RIGHTS").await.unwrap();
            let heads = "tributary.rights.cluster.heads.1";
            stream.purge().filter(heads).await.unwrap();
        });
        refuses("rights-1/objections keeps out nobody, but that of process 0 does");
        std::fs::create_dir(data.join("rights-1")).unwrap();
        std::fs::copy(
            data.join("rights-0/objections"),
            data.join("rights-1/objections"),
        )
        .unwrap();
        refuses("process-1/MANIFEST is missing");
        std::fs::remove_dir_all(data.join("rights-1")).unwrap();
        std::fs::rename(data.join("away"), data.join("rights-1")).unwrap();
        refuses("process-1/MANIFEST is missing");
        std::fs::rename(data.join("far-away"), data.join("process-1")).unwrap();
        refuses("no longer holds what this process has published there");
        // Told to go on, it has everything again that was put back.
        let hosted = ["0", "1"]
            .map(|process| Worker::start(&config, &["--process", process, "--accept-loss"]));
        hosted.iter().for_each(|worker| worker.wait_until_read(end));
        stop_both(hosted);
        let both = start_both(&config);
        both.iter().for_each(|worker| worker.wait_until_read(end));
        stop_both(both);
    });
}

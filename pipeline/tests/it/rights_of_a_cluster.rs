//! Two processes share a brand, and a person is erased from both: each forgets in its own ledger, and the request is
//! completed when both have.

use crate::support::person::{apart, ask, found, rewrite, somebody};
use crate::support::story::{
    assert_stands, last, play, ready, refusal, start_both, stop_both, two_processes,
};
use crate::support::{Worker, World};
use tributary_connectors::trace::TraceLine;
use tributary_testkit::NatsServer;

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
    rewrite(&world, &others);
    let expected = world.replayed();
    let refused = world.refused();
    let client = ready(&broker).await;
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");
    tokio::task::block_in_place(|| {
        let both = start_both(&config);
        both.iter().for_each(|worker| worker.wait_until_read(end));
        let needle = [email.clone().into_bytes()];
        assert!(
            !found(server.directory(), &needle).is_empty(),
            "she was there"
        );
        ask(&world, "erase", &[&format!("email={email}")]);
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

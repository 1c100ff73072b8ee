//! What a process cannot overwrite of its ledger stands in the receipt of an erasure, whichever process of the cluster it is.

use tributary_connectors::trace::TraceLine;
use tributary_testkit::NatsServer;

use crate::support::person::{ask, receipt_of, somebody};
use crate::support::shim::shim;
use crate::support::story::{last, play, ready, stop_both, two_processes};
use crate::support::{Worker, World};

#[tokio::test(flavor = "multi_thread")]
async fn stands_in_the_receipt_for_every_process() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(2_000, Some(&broker), &two_processes());
    let lines: Vec<TraceLine> = world.trace().collect();
    let client = ready(&broker).await;
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");
    let shim = shim(world.directory.path(), "read_only_segments");
    let shim = shim.to_str().unwrap();
    let receipt = |email: &str| {
        let text = ask(
            &world,
            "erase",
            &[&format!("email={email}"), "--whole-person"],
        );
        receipt_of(text.trim())["counts"]["not_overwritten"].as_u64()
    };
    let email = somebody(&world, &lines);
    tokio::task::block_in_place(|| {
        let both = [
            Worker::start(&config, &["--process", "0"]),
            Worker::start_with(&config, &["--process", "1"], &[("LD_PRELOAD", shim)]),
        ];
        both.iter().for_each(|worker| worker.wait_until_read(end));
        let stated = receipt(&email);
        let counted = both.each_ref().map(|worker| {
            let name = "tributary_ledger_files_not_overwritten_total";
            worker.metric(name).unwrap_or_default() as u64
        });
        assert_eq!(counted[0], 0);
        assert!(counted[1] > 0, "process 1 overwrites nothing");
        // Files that other rewrites replace are counted beside those of the erasure.
        let stated = stated.expect("the receipt has the number");
        assert!(
            (1..=counted[1]).contains(&stated),
            "{stated} of {counted:?}"
        );
        // And none where all were overwritten.
        stop_both(both);
        let both = ["0", "1"].map(|process| Worker::start(&config, &["--process", process]));
        both.iter().for_each(|worker| worker.wait_until_read(end));
        assert_eq!(receipt("nobody@shop.example").unwrap_or_default(), 0);
        stop_both(both);
    });
}

//! A worker that is the first to lead with `workers.standby` states its ledger in its lease, although it had none when it took it:
//! an older copy of the ledger does not lead after it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::candidates::{candidate, leads, start, until_it_leads};
use crate::support::story::{last, play, ready, until};
use crate::support::{PATIENCE, World};
use tributary_connectors::nats;
use tributary_testkit::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_first_leader_with_an_older_ledger_is_refused() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(2_000, Some(&broker), "");
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    let (first, second) = lines.split_at(lines.len() / 2);
    let config = candidate(&world, 0, None);
    let [ledger, older, newest] =
        ["data-0/process-0", "older", "newest"].map(|name| world.path(name));
    let worker = tokio::task::block_in_place(|| start(&config));
    for (part, kept) in [(first, Some(&older)), (second, None)] {
        play(&client, part, None).await;
        let end = last(&client, &broker.input_stream).await;
        tokio::task::block_in_place(|| {
            worker.wait_until_read(end);
            // Of a running worker; what is torn is cut off when it is opened.
            kept.iter().for_each(|kept| copy(&ledger, kept));
        });
    }
    // The lease states every few seconds how far the ledger is.
    let before = tributary_ledger::inspect(&older, None).unwrap().commits;
    let begun = Instant::now();
    loop {
        let current = nats::current(&client, &broker.output_stream, "0").await;
        let (holder, _) = current.unwrap();
        if holder.is_some_and(|holder| holder.commits > before) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "the lease states {before}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tokio::task::block_in_place(|| {
        until_it_leads(&worker);
        worker.stop();
        copy(&ledger, &newest);
        copy(&older, &ledger);
        let again = start(&config);
        until("it is refused", || {
            again.said("this standby cannot take over") && again.said("is older")
        });
        assert!(!leads(&again));
        again.stop();
        copy(&newest, &ledger);
        let again = start(&config);
        until_it_leads(&again);
        again.stop();
    });
}

/// Makes a directory the copy of another one.
fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let mut command = Command::new("cp");
    let copied = command.arg("-a").args([from, to]).status().expect("cp");
    assert!(copied.success());
}

//! A cluster whose processes have standbys: each is killed in turn, and its standby takes its place, at another address. The
//! others end with it, are started again by whoever supervises them, and find it by its lease. What was erased is erased in
//! every copy, and a copy that lacks it does not become a process of the cluster.

use crate::support::candidates::{Candidate, Candidates, cluster, follows, leads, of_workers};
use crate::support::certificates::{certificates, tls};
use crate::support::person::{apart, ask, receipt_of, rewrite, somebody};
use crate::support::story::{assert_stands, last, play, ready, until};
use crate::support::{PATIENCE, Worker, World, published};
use tributary_connectors::nats::TERM;
use tributary_simulate::Options;
use tributary_testkit::{NatsServer, skipped};

/// A cluster of two processes, each with a standby, with more settings of the processes.
fn two_with_standbys(world: &World, more: &str) -> Candidates {
    let of = cluster(2, &[0, 1]);
    let all = of.into_iter().enumerate().map(|(number, (process, of))| {
        let of = of.replace("standby = false", "standby = true") + more;
        Candidate {
            config: of_workers(world, number, None, &of),
            process,
            proxy: None,
            clock: None,
            worker: None,
            stays_down: false,
        }
    });
    let mut candidates = Candidates { all: all.collect() };
    // Whoever is to lead starts first.
    candidates.all[2].stays_down = true;
    candidates.all[3].stays_down = true;
    candidates.leader(0);
    candidates.leader(1);
    candidates
        .all
        .iter_mut()
        .for_each(|one| one.stays_down = false);
    candidates.mend();
    candidates
}

#[tokio::test(flavor = "multi_thread")]
async fn each_process_of_a_cluster_is_replaced() {
    replaced("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_process_of_a_cluster_with_tls_is_replaced() {
    replaced(&tls("ca", "worker")).await;
}

async fn replaced(settings: &str) {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let options = Options {
        events: Some(6_000),
        k: 1,
        ..Options::default()
    };
    let world = World::of(options, Some(&broker), "");
    if !settings.is_empty() && !certificates(world.directory.path()) {
        skipped("no openssl to make certificates with");
        return;
    }
    let expected = world.replayed();
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    let parts: Vec<_> = lines.chunks(lines.len() / 4 + 1).collect();
    play(&client, parts[0], None).await;
    let mut candidates = tokio::task::block_in_place(|| two_with_standbys(&world, settings));
    for (process, part) in [(0, parts[1]), (1, parts[2])] {
        play(&client, part, None).await;
        tokio::task::block_in_place(|| {
            let former = candidates.leader(process);
            candidates.all[former].kill();
            let killed = std::time::Instant::now();
            candidates.until_another_leads(former);
            eprintln!(
                "process {process} was replaced after {:?}",
                killed.elapsed()
            );
            let second = candidates.leader(process);
            assert_ne!(second, former);
            let second = candidates.all[second].worker();
            assert!(second.said("taking over from"));
            // Whoever returns follows.
            candidates.mend();
            assert!(follows(candidates.all[former].worker()));
        });
    }
    play(&client, parts[3], None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        let leaders = candidates.leaders();
        assert_eq!(leaders.len(), 2);
        leaders
            .iter()
            .for_each(|worker| worker.wait_until_read(end));
        let mut leaders: Vec<Worker> = candidates
            .all
            .iter_mut()
            .filter(|one| one.leads())
            .map(|one| one.worker.take().unwrap())
            .collect();
        leaders.iter().for_each(Worker::signal);
        leaders.iter_mut().for_each(Worker::end);
    });
    assert_stands(&broker, &expected, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_lacks_an_erasure_is_no_process_of_the_cluster() {
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
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    let email = somebody(&world, &lines);
    let (_, without) = apart(&world, &lines, &email);
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        let mut candidates = two_with_standbys(&world, "");
        for worker in candidates.leaders() {
            worker.wait_until_read(end);
        }
        // The standby of process 1, which does not decide about requests, sleeps meanwhile and is not waited for.
        candidates.all[3].worker().signal_with("-STOP");
        let out = world.path("receipt");
        let out_text = out.display().to_string();
        ask(
            &world,
            "erase",
            &[&format!("email={email}"), "--out", &out_text],
        );
        let receipt = receipt_of(&std::fs::read_to_string(out).unwrap());
        assert!(
            receipt["counts"]["ledger_entries"].as_u64().unwrap() > 0,
            "{receipt}"
        );
        candidates.all[1].kill();
        candidates.all[1].stays_down = true;
        candidates.all[3].worker().signal_with("-CONT");
        candidates.until("it says why it cannot take over", |candidates| {
            let ready = candidates.all[3].worker().get("/readyz");
            ready.is_some_and(|(status, text)| {
                status == 503 && text.contains("its copy is older than")
            })
        });
        let later = std::time::Instant::now() + TERM;
        candidates.until("the lease is free", |_| std::time::Instant::now() > later);
        assert!(!leads(candidates.all[3].worker()));
        // The process returns, and its standby catches up and takes over.
        candidates.all[1].stays_down = false;
        candidates.mend();
        candidates.all[1].kill();
        candidates.until_another_leads(1);
        candidates.mend();
        until("both have read everything", || {
            let leaders = candidates.leaders();
            leaders
                .iter()
                .for_each(|worker| worker.wait_until_read(end));
            leaders.len() == 2
        });
    });
    rewrite(&world, &without);
    let expected = world.replayed();
    let since = std::time::Instant::now();
    while published(&broker).await != expected && since.elapsed() < PATIENCE {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert_stands(&broker, &expected, &[]).await;
}

//! The disk of the ledger fills while the trace plays. The worker says so, stays alive, and acknowledges nothing that
//! is not durable; when there is room again it goes on by itself, and the cells are those of a replay (invariant I5).

use crate::support::disk::Disk;
use crate::support::story::{ack_floor, assert_stands, last, play, position, ready, until};
use crate::support::{Worker, World, succeed, tributary};
use tributary_testkit::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_for() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let Some(disk) = Disk::mount_or_skip("a_full_disk_is_waited_for", "200k") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(12_000, Some(&broker), &disk.section());
    let expected = world.replayed();
    let refused = world.refused();
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    let playing = {
        let (client, lines) = (client.clone(), lines.clone());
        tokio::spawn(async move { play(&client, &lines, Some(4_000.0)).await })
    };
    let mut worker = Worker::start(&world.path("tributary.toml"), &[]);
    let waits = || {
        let ready = worker.get("/readyz");
        ready.is_some_and(|(status, why)| {
            status == 503 && why.contains("no room") && why.contains("process-0")
        })
    };
    tokio::task::block_in_place(|| until("the worker waits for room", waits));
    playing.await.unwrap();
    let end = last(&client, &broker.input_stream).await;
    let kept = position(&disk.ledger(0));
    assert!(kept > 0, "the first commits had room");
    assert!(kept < end, "the disk is full before the trace has ended");
    // What is behind the last commit is not acknowledged, now and after some tries more.
    for _ in 0..3 {
        assert!(ack_floor(&client, &broker).await <= kept);
        assert_eq!(position(&disk.ledger(0)), kept);
        assert!(waits(), "it waits on");
        let (status, why) = worker.get("/livez").unwrap();
        assert_eq!(status, 200, "{why}");
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    }
    assert!(worker.lives());

    disk.remount("size=64m");
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        // A stop leaves what the ledger had no room for yet to the next start.
        until("everything is durable", || position(&disk.ledger(0)) == end);
        worker.stop();
    });
    assert_eq!(position(&disk.ledger(0)), end);
    assert_stands(&broker, &expected, &refused).await;
    let mut verify = tributary();
    verify.args(["ledger", "verify", "--config"]);
    verify.arg(world.path("tributary.toml")).arg(disk.ledger(0));
    let output = String::from_utf8(succeed(&mut verify).stdout).unwrap();
    assert!(output.contains("sound"), "{output}");
}

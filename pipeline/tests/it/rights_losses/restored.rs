//! A backup of the ledger from before an erasure is refused by name; with the loss accepted, it brings nobody back, and
//! whoever has returned since stays.

use tributary_connectors::trace::TraceLine;
use tributary_testkit::NatsServer;

use super::deployment::{lines_of, small};
use crate::support::person::ask;
use crate::support::story::{contents, inspect_open, last, play, ready, refusal};
use crate::support::{Worker, World};

/// Records in the ledger.
fn puts(world: &World) -> u64 {
    let brands = &inspect_open(world, 0)["brands"];
    brands[0]["entries"]["put"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_ledger_brings_nobody_back() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::of(small(), Some(&broker), "");
    let client = ready(&broker).await;
    let mut lines: Vec<TraceLine> = world.trace().collect();
    let at = lines.last().unwrap().at;
    for name in ["ada", "bob"] {
        lines.extend(lines_of(name, 1, at));
    }
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let run = |arguments: &[&str], end: u64, work: &dyn Fn()| {
        let worker = Worker::start(&world.path("tributary.toml"), arguments);
        worker.wait_until_read(end);
        work();
        worker.stop();
    };
    let (backup, erased) = tokio::task::block_in_place(|| {
        run(&[], end, &|| {});
        let backup = contents(&world.ledger(0));
        let before = puts(&world);
        run(&[], end, &|| {
            ask(
                &world,
                "erase",
                &["email=ada@shop.example", "--whole-person"],
            );
        });
        let erased = puts(&world);
        assert!(erased < before, "{erased} of {before}");
        (backup, erased)
    });
    let restore = || {
        std::fs::remove_dir_all(world.ledger(0)).unwrap();
        for (path, bytes) in &backup {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    };
    tokio::task::block_in_place(|| {
        restore();
        assert!(puts(&world) > erased);
        let refused = refusal(&world, &[]);
        assert!(refused.contains("MANIFEST is older"), "{refused}");
        run(&["--accept-loss"], end, &|| {});
        assert_eq!(puts(&world), erased, "the erased person is back");
    });

    // She returns, which is her right, and stays through whatever is restored after that.
    play(&client, &lines_of("ada", 2, at), None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        run(&[], end, &|| {});
        assert_eq!(puts(&world), erased + 2);
        std::fs::remove_file(world.path("tributary-data/rights-0/audit/orchard.jsonl")).unwrap();
        run(&["--accept-loss"], end, &|| {});
        assert_eq!(puts(&world), erased + 2, "who has returned is erased again");

        // Tombstones that were changed are a loss as well.
        let tombstones = world.path("tributary-data/rights-0/erased");
        let text = std::fs::read_to_string(&tombstones).unwrap();
        std::fs::write(&tombstones, text.replace("\"until\":", "\"until\":1")).unwrap();
        let refused = refusal(&world, &[]);
        assert!(refused.contains("rights-0/erased: broken"), "{refused}");
    });
}

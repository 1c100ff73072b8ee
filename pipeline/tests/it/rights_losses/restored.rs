//! A backup of the ledger from before an erasure is refused by name; with the loss accepted, it brings nobody back, after an
//! exchange of the secret either, and whoever has returned since stays. Tombstones that are older, missing, or made with a
//! secret that was replaced are refused by name, too. So is a backup that is younger than the last start and request.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tributary_connectors::nats;
use tributary_connectors::trace::TraceLine;
use tributary_rights::BrandKeys;
use tributary_rights::tombstones::Tombstones;
use tributary_testkit::NatsServer;

use super::deployment::{STREAM, lines_of, small};
use crate::support::person::ask;
use crate::support::secrets::{configure_secrets, draw};
use crate::support::story::{contents, inspect_open, last, play, ready, refusal};
use crate::support::{Worker, World};

/// Puts a directory back as it was.
fn put_back(directory: &Path, backup: &BTreeMap<PathBuf, Vec<u8>>) {
    std::fs::remove_dir_all(directory).unwrap();
    for (path, bytes) in backup {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

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
    tokio::task::block_in_place(|| {
        put_back(&world.ledger(0), &backup);
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

#[tokio::test(flavor = "multi_thread")]
async fn tombstones_outlive_an_exchange_and_are_missed() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::of(small(), Some(&broker), "");
    let client = ready(&broker).await;
    let mut lines: Vec<TraceLine> = world.trace().collect();
    let at = lines.last().unwrap().at;
    lines.extend(lines_of("ada", 1, at));
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        let run = |arguments: &[&str], work: &dyn Fn()| {
            let worker = Worker::start(&world.path("tributary.toml"), arguments);
            worker.wait_until_read(end);
            work();
            worker.stop();
        };
        let erase = || {
            ask(
                &world,
                "erase",
                &["email=ada@shop.example", "--whole-person"],
            );
        };
        run(&[], &|| {});
        let rights = world.path("tributary-data/rights-0");
        let (ledger_before, rights_before) = (contents(&world.ledger(0)), contents(&rights));
        let before = puts(&world);
        run(&[], &erase);
        let erased = puts(&world);
        assert!(erased < before, "{erased} of {before}");
        let tombstones = rights.join("erased");
        let under_first = std::fs::read(&tombstones).unwrap();

        // The whole backup: nothing beside the ledger knows of her, but the broker does.
        let now = [contents(&world.ledger(0)), contents(&rights)];
        put_back(&world.ledger(0), &ledger_before);
        put_back(&rights, &rights_before);
        let refused = refusal(&world, &[]);
        assert!(refused.contains("rights-0/erased is missing"), "{refused}");
        put_back(&world.ledger(0), &now[0]);
        put_back(&rights, &now[1]);

        // After an exchange the records of the backup are still hers.
        draw(&world, "second");
        configure_secrets(&world, &["secret", "second"]);
        run(&[], &|| {});
        put_back(&world.ledger(0), &ledger_before);
        run(&["--accept-loss"], &|| {});
        assert_eq!(puts(&world), erased, "the erased person is back");

        // The file of before the exchange is missed, and so is one that the secret of then writes anew.
        let kept = std::fs::read(&tombstones).unwrap();
        std::fs::write(&tombstones, &under_first).unwrap();
        let refused = refusal(&world, &[]);
        assert!(refused.contains("rights-0/erased is older"), "{refused}");
        std::fs::remove_file(&tombstones).unwrap();
        let first = std::fs::read_to_string(world.path("secret")).unwrap();
        let first = BrandKeys::new("orchard", &SecretString::from(first.trim()));
        let mut forged = Tombstones::open(&tombstones, &[first]).unwrap();
        for _ in 0..20 {
            forged.save().unwrap();
        }
        let refused = refusal(&world, &[]);
        assert!(refused.contains("older secret of orchard"), "{refused}");
        std::fs::write(&tombstones, &kept).unwrap();
        run(&[], &|| {});
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_younger_than_the_last_request_is_refused() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::of(small(), Some(&broker), "");
    let client = ready(&broker).await;
    let lines: Vec<TraceLine> = world.trace().collect();
    let at = lines.last().unwrap().at;
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let stated = async || {
        let holders = nats::holders(&client, &broker.output_stream).await.unwrap();
        holders[0].0.commits
    };
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    tokio::task::block_in_place(|| worker.wait_until_read(end));
    // Nothing is written while nothing arrives.
    let backup = contents(&world.ledger(0));
    let before = stated().await;
    play(&client, &lines_of("ada", 1, at), None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| worker.wait_until_read(end));
    let begun = Instant::now();
    // Several renewals: the first may state the commits before.
    while stated().await <= before || begun.elapsed() < 3 * nats::RENEWAL {
        assert!(begun.elapsed() < 20 * nats::RENEWAL, "{before} stays");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tokio::task::block_in_place(|| {
        worker.kill();
        let newest = contents(&world.ledger(0));
        put_back(&world.ledger(0), &backup);
        let refused = refusal(&world, &[]);
        assert!(
            refused.contains("MANIFEST is older than the lease of process 0")
                && refused.contains("--accept-loss"),
            "{refused}"
        );
        // The newest is no loss, and an accepted one is in the past.
        let run = |arguments: &[&str]| {
            let worker = Worker::start(&world.path("tributary.toml"), arguments);
            worker.wait_until_read(end);
            worker.kill();
        };
        put_back(&world.ledger(0), &newest);
        run(&[]);
        put_back(&world.ledger(0), &backup);
        run(&["--accept-loss"]);
        run(&[]);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_tombstones_come_back_from_the_broker() {
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
    let erase = |name: &str| {
        let identifier = format!("email={name}@shop.example");
        ask(&world, "erase", &[&identifier, "--whole-person"]);
    };
    let run = |arguments: &[&str], work: &dyn Fn()| {
        let worker = Worker::start(&world.path("tributary.toml"), arguments);
        worker.wait_until_read(end);
        work();
        worker.stop();
    };
    let (backup, erased) = tokio::task::block_in_place(|| {
        run(&[], &|| {});
        let backup = contents(&world.ledger(0));
        run(&[], &|| erase("ada"));
        run(&[], &|| erase("bob"));
        (backup, puts(&world))
    });
    let jetstream = async_nats::jetstream::new(client.clone());
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    let copies = "tributary.rights.cluster.erased.0";
    let copy = stream
        .get_last_raw_message_by_subject(copies)
        .await
        .unwrap();
    // As long as backups are kept, in seconds.
    let kept = u64::from(world.config().ledger.backup_days) * 86_400;
    let left: u64 = copy
        .headers
        .get("Nats-TTL")
        .unwrap()
        .as_str()
        .parse()
        .unwrap();
    assert!((kept - 600..=kept).contains(&left), "{left} of {kept}");
    let tombstones = world.path("tributary-data/rights-0/erased");
    let restored = |is_damaged: bool| {
        put_back(&world.ledger(0), &backup);
        assert!(puts(&world) > erased);
        match is_damaged {
            true => std::fs::write(&tombstones, "{").unwrap(),
            false => std::fs::remove_file(&tombstones).unwrap(),
        }
        let refused = refusal(&world, &[]);
        assert!(refused.contains("rights-0/erased"), "{refused}");
        run(&["--accept-loss"], &|| {});
        puts(&world)
    };
    tokio::task::block_in_place(|| {
        assert_eq!(restored(false), erased, "erased people are back");
        assert_eq!(restored(true), erased, "erased people are back");
        run(&[], &|| {});
    });
    // A stream that was lost gets them again from the file.
    jetstream.delete_stream(STREAM).await.unwrap();
    tokio::task::block_in_place(|| {
        let refused = refusal(&world, &[]);
        assert!(refused.contains(STREAM), "{refused}");
        run(&["--accept-loss"], &|| {});
        assert_eq!(restored(false), erased, "erased people are back");
    });
    // Only where nothing names them any more they are back.
    stream.purge().filter(copies).await.unwrap();
    tokio::task::block_in_place(|| assert!(restored(false) > erased));
}

//! Ledgers that a worker must refuse: in use, another key's, a newer version's, damaged, another process's. The
//! worker refuses to start, says which file it is and what to do, and leaves the directory as it was to the byte. Only
//! the torn end of a commit is no reason: it is cut, and read again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::support::disk::Disk;
use crate::support::story::{assert_stands, configure, contents, last, play, ready, refusal};
use crate::support::{Worker, World};
use tributary_config::model::Nats;
use tributary_connectors::nats::Client;
use tributary_ledger::{Keyring, Ledger, Options};
use tributary_testkit::NatsServer;

/// A world of which half is in a ledger, and the worker has ended.
async fn half_way(world: &World, broker: &Nats) -> Client {
    let client = ready(broker).await;
    let lines: Vec<_> = world.trace().collect();
    play(&client, &lines[..lines.len() / 2], None).await;
    let read = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&world.path("tributary.toml"), &[]);
        worker.wait_until_read(read);
        worker.stop();
    });
    client
}

/// Plays the other half, which the worker takes as if nothing had been.
async fn the_rest_comes(world: &World, broker: &Nats, client: &Client, worker: Worker) {
    let expected = world.replayed();
    let refused = world.refused();
    let lines: Vec<_> = world.trace().collect();
    play(client, &lines[lines.len() / 2..], None).await;
    let end = last(client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        worker.stop();
    });
    assert_stands(broker, &expected, &refused).await;
}

/// The worker refuses, names all of `words`, and changes nothing in a directory.
fn refuses(world: &World, directory: &Path, arguments: &[&str], words: &[&str]) {
    let before = contents(directory);
    let refusal_text = tokio::task::block_in_place(|| refusal(world, arguments));
    for word in words {
        assert!(
            refusal_text.contains(word),
            "it does not say {word:?}: {refusal_text}"
        );
    }
    assert!(contents(directory) == before, "the directory has changed");
}

/// Changes a file while `then` happens.
fn damaged(file: &Path, change: impl FnOnce(&mut Vec<u8>), then: impl FnOnce()) {
    let sound = std::fs::read(file).unwrap();
    let mut bytes = sound.clone();
    change(&mut bytes);
    assert!(bytes != sound);
    std::fs::write(file, bytes).unwrap();
    then();
    std::fs::write(file, sound).unwrap();
}

fn segment(world: &World, number: u64) -> PathBuf {
    world.ledger(0).join(format!("segments/{number:010}.seg"))
}

/// The number of the segment that is written to: days that settle have earlier ones sealed and rewritten.
fn active(world: &World) -> u64 {
    let manifest = std::fs::read_to_string(world.ledger(0).join("MANIFEST")).unwrap();
    let (_, manifest) = manifest.split_once('\n').unwrap();
    let manifest: serde_json::Value = serde_json::from_str(manifest).unwrap();
    manifest["active"].as_u64().unwrap()
}

/// The largest segment.
fn largest(world: &World) -> PathBuf {
    let segments = std::fs::read_dir(world.ledger(0).join("segments")).unwrap();
    let segments = segments.map(|file| file.unwrap().path());
    segments
        .max_by_key(|file| file.metadata().unwrap().len())
        .unwrap()
}

/// The file name of a segment.
fn name(segment: &Path) -> &str {
    segment.file_name().unwrap().to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_has_a_ledger() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(4_000, Some(&broker), "");
    let client = half_way(&world, &broker).await;
    let ledger = world.ledger(0);
    let first = Worker::start(&world.path("tributary.toml"), &[]);
    let read = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| first.wait_until_read(read));
    let words = ["process-0", "LOCK", "another process", "stop it first"];
    refuses(&world, &ledger, &[], &words);
    the_rest_comes(&world, &broker, &client, first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_its_own_or_not_whole_is_refused() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(4_000, Some(&broker), "");
    let client = half_way(&world, &broker).await;
    let ledger = world.ledger(0);
    let manifest = ledger.join("MANIFEST");

    let secret = world.path("secret");
    damaged(
        &secret,
        |text| *text = b"another secret, which is long enough".to_vec(),
        || {
            let words = [
                "MANIFEST",
                "brand `orchard`",
                "another secret",
                "the secret under which it was sealed",
            ];
            refuses(&world, &ledger, &[], &words);
        },
    );

    configure(&world, "name = \"orchard\"", "name = \"meadow\"");
    let words = ["MANIFEST", "brand `orchard`", "restore the brand"];
    refuses(&world, &ledger, &[], &words);
    configure(&world, "name = \"meadow\"", "name = \"orchard\"");

    let hosts = world.path("hosts");
    std::fs::write(&hosts, "127.0.0.1:1\n127.0.0.1:2\n").unwrap();
    let words = ["MANIFEST", "process 0 of 1", "process 0 of 2", "`workers`"];
    let arguments = ["--hostfile", hosts.to_str().unwrap()];
    refuses(&world, &ledger, &arguments, &words);
    // The directory of another process in this one's place, too.
    let other = world.path("tributary-data/process-1");
    std::fs::rename(&ledger, &other).unwrap();
    let arguments = ["--hostfile", hosts.to_str().unwrap(), "--process", "1"];
    let words = ["MANIFEST", "process 0 of 1", "process 1 of 2"];
    refuses(&world, &other, &arguments, &words);
    std::fs::rename(&other, &ledger).unwrap();

    // "tributary-ledger 1 …"
    damaged(
        &manifest,
        |bytes| bytes[17] = b'9',
        || {
            let words = ["MANIFEST", "format 9", "run the newer version"];
            refuses(&world, &ledger, &[], &words);
        },
    );
    let sealed = largest(&world);
    damaged(
        &sealed,
        |bytes| bytes[8] = 9,
        || {
            let words = [name(&sealed), "format 9", "run the newer version"];
            refuses(&world, &ledger, &[], &words);
        },
    );

    // A segment that is sealed, and in it a byte that has turned.
    let config = world.config();
    let options = Options {
        segment_bytes: 1,
        ..Options::new(&ledger)
    };
    let (mut open, mut recovered) = Ledger::open(options, Arc::new(Keyring::new(&config))).unwrap();
    while recovered.next_block().unwrap().is_some() {}
    open.commit(recovered.position.unwrap()).unwrap();
    open.close().unwrap();
    assert!(segment(&world, active(&world)) != sealed, "it is sealed");
    for place in [100, 20_000] {
        damaged(
            &sealed,
            |bytes| bytes[place] ^= 1,
            || {
                let words = [name(&sealed), "corrupt", "from a backup"];
                refuses(&world, &ledger, &[], &words);
            },
        );
    }
    damaged(
        &sealed,
        |bytes| bytes.truncate(30_000),
        || refuses(&world, &ledger, &[], &[name(&sealed), "from a backup"]),
    );
    damaged(
        &manifest,
        |bytes| {
            let place = bytes.len() / 2;
            bytes[place] ^= 1;
        },
        || refuses(&world, &ledger, &[], &["MANIFEST", "from a backup"]),
    );

    // A file in the place of the directory.
    let aside = world.path("aside");
    std::fs::rename(&ledger, &aside).unwrap();
    std::fs::write(&ledger, "not a directory").unwrap();
    let data = world.path("tributary-data");
    refuses(&world, &data, &[], &["process-0", "directory"]);
    std::fs::remove_file(&ledger).unwrap();
    std::fs::rename(&aside, &ledger).unwrap();

    // All of it undone, it goes on.
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    the_rest_comes(&world, &broker, &client, worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_read_only_is_refused() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let Some(disk) = Disk::mount_or_skip("a_disk_that_is_read_only_is_refused", "64m") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(4_000, Some(&broker), &disk.section());
    let client = half_way(&world, &broker).await;
    disk.remount("ro");
    let words = ["process-0", "cannot be written", "writable"];
    refuses(&world, disk.path(), &[], &words);
    disk.remount("rw");
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    the_rest_comes(&world, &broker, &client, worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_end_is_cut() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(4_000, Some(&broker), "");
    let client = half_way(&world, &broker).await;
    let active = segment(&world, active(&world));
    // What a kill leaves: the beginning of a commit behind the last one that was synced. A synced one must not be torn
    // here, because salts may have been forgotten since.
    let mut bytes = std::fs::read(&active).unwrap();
    bytes.extend(&std::fs::read(largest(&world)).unwrap()[48..148]);
    std::fs::write(&active, bytes).unwrap();
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    let read = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| worker.wait_until_read(read));
    assert!(worker.said("cut the end of the ledger"));
    the_rest_comes(&world, &broker, &client, worker).await;
}

//! The backup of a worker: it restores what there was when it was written, with the key at the broker; whoever keeps an
//! older copy of it reads nobody in it who was erased since, with the secrets and every key that is left; a worker that is
//! killed at any moment leaves one that restores; and a disk that is away holds up no erasure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tributary::backup::index::{self, Part, file_place, ledger_of};
use tributary::privacy::rights::files;
use tributary_connectors::keys::BrandKey;
use tributary_connectors::nats::{Client, Reader};
use tributary_connectors::trace::TraceLine;
use tributary_ledger::{FileKey, Keyring, Ledger, Options};
use tributary_operators::event::Event;
use tributary_operators::record::IdKind;
use tributary_rights::suppression::SuppressionFile;
use tributary_testkit::NatsServer;

use crate::support::disk::Disk;
use crate::support::person::{ask, found, receipt_of, somebody};
use crate::support::story::{assert_stands, contents, last, play, ready, until};
use crate::support::{Worker, World, succeed, tributary};

/// The subject of the key.
const SUBJECT: &str = "tributary.rights.cluster.backup.0";

/// A world whose worker writes a backup so often.
fn world(events: u64, server: &NatsServer, every: &str) -> World {
    let more = format!("[ledger]\nbackup = \"backup\"\nbackup_every = \"{every}\"\n");
    let world = World::new(events, Some(&server.nats()), &more);
    std::fs::create_dir(world.path("backup")).unwrap();
    world
}

/// A copy of the backup as it is now.
fn copy(world: &World, name: &str) -> PathBuf {
    let to = world.path(name);
    std::fs::create_dir_all(to.join("process-0")).unwrap();
    for (path, bytes) in contents(&world.path("backup")) {
        let path = to.join(path.strip_prefix(world.path("backup")).unwrap());
        std::fs::write(path, bytes).unwrap();
    }
    to
}

/// Restores a backup into a data directory.
fn restore(world: &World, from: &Path, to: &Path) -> Output {
    let mut command = tributary();
    command.args(["ledger", "restore", "--json", "--config"]);
    command.arg(world.path("tributary.toml")).arg("--from");
    command.arg(from).env("TRIBUTARY_LEDGER_DIRECTORY", to);
    command.output().unwrap()
}

/// The same, which must end well; the ledger is verified.
fn restored(world: &World, from: &Path, to: &str) -> PathBuf {
    let to = world.path(to);
    let output = restore(world, from, &to);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let mut verify = tributary();
    verify.args(["ledger", "verify", "--config"]);
    verify
        .arg(world.path("tributary.toml"))
        .arg(to.join("process-0"));
    succeed(&mut verify);
    to
}

/// What a refused restore says.
fn refused(world: &World, from: &Path, to: &Path) -> String {
    let output = restore(world, from, to);
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The number of records in a data directory that name an address, under the secrets.
fn records_of(world: &World, data: &Path, email: &str) -> usize {
    let config = world.config();
    let ids = BrandKey::new(&config.brands[0]).identify(IdKind::Email, email);
    let keyring = Arc::new(Keyring::new(&config));
    let directory = data.join("process-0");
    let opened = Ledger::open(Options::new(&directory), keyring.clone());
    let (_ledger, mut recovery) = opened.unwrap();
    let mut records = 0;
    while let Some(block) = recovery.next_block().unwrap() {
        let mut count = |event: Event| {
            if let Event::Put { record, .. } = event {
                let mut named = record.ids.ids().iter();
                let is_hers = named.any(|id| ids.iter().any(|own| own.pseudonym == id.pseudonym));
                records += usize::from(is_hers);
            }
        };
        let day = &mut |_, ms: i64| ms.div_euclid(86_400_000) as i32;
        block.open(&keyring, 0, day, &mut count).unwrap();
    }
    records
}

/// The keys that the broker has.
async fn keys(client: &Client) -> Vec<String> {
    let reader = Reader::filtered(client, "TRIBUTARY_RIGHTS", SUBJECT, 1).await;
    let mut reader = reader.unwrap();
    let mut keys = Vec::new();
    loop {
        let batch = reader.next_batch(100, Duration::from_millis(300)).await;
        let batch = batch.unwrap();
        if batch.is_empty() {
            return keys;
        }
        let texts = batch.iter();
        keys.extend(texts.map(|message| String::from_utf8(message.payload.to_vec()).unwrap()));
    }
}

/// What an index in a backup lists, opened with one of some keys.
fn listed(backup: &Path, keys: &[String]) -> Option<Vec<Part>> {
    let files = contents(&backup.join("process-0"));
    let indexes = files.iter().filter_map(|(path, bytes)| {
        let name = path.file_name()?.to_str()?;
        Some((name.strip_prefix("INDEX.")?.parse::<u64>().ok()?, bytes))
    });
    let mut opened = indexes.filter_map(|(number, bytes)| {
        let mut keys = keys.iter().filter_map(|key| FileKey::from_hex(key));
        keys.find_map(|key| index::open(bytes, number, &key).unwrap())
    });
    opened.next()
}

/// The contents of all files of a backup that any of some keys opens, by their names.
fn opened(backup: &Path, keys: &BTreeSet<String>) -> BTreeMap<String, Vec<u8>> {
    let files = contents(&backup.join("process-0"));
    let ledger = files.iter().find_map(|(path, bytes)| {
        let name = path.file_name()?.to_str()?;
        name.starts_with("INDEX.").then(|| ledger_of(bytes))?
    });
    let place = file_place(&ledger.unwrap());
    let open = |bytes: &Vec<u8>| {
        let mut keys = keys.iter().filter_map(|key| FileKey::from_hex(key));
        keys.find_map(|key| {
            let mut content = Vec::new();
            let opened = key.open(&place, &mut bytes.as_slice(), &mut content);
            opened.ok().map(|_| content)
        })
    };
    let names = files.iter().filter_map(|(path, bytes)| {
        let name = path.file_name()?.to_str()?.to_owned();
        Some((name, open(bytes)?))
    });
    names.collect()
}

/// Two sales of a person.
fn sales(name: &str, at: i64) -> Vec<TraceLine> {
    let sale = |n: u32| {
        let data = json!({"id": format!("{name}-{n}"), "ts": at, "store": "lyon", "amount": "30.00",
                          "email": format!("{name}@shop.example")});
        TraceLine {
            subject: "tributary.in.orchard.transaction".to_owned(),
            at,
            headers: Vec::new(),
            data: data.to_string().into_bytes(),
        }
    };
    [1, 2].map(sale).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn restores_what_there_was_at_a_stop() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = world(6_000, &server, "1h");
    let expected = world.replayed();
    let refused_lines = world.refused();
    let client = ready(&broker).await;
    let lines: Vec<TraceLine> = world.trace().collect();
    let config = world.path("tributary.toml");
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        worker.stop();
        // Nothing takes the place of a ledger that is there.
        let data = world.path("tributary-data");
        let said = refused(&world, &world.path("backup"), &data);
        assert!(said.contains("holds a ledger"), "{said}");
        let before = contents(&data);
        std::fs::remove_dir_all(&data).unwrap();
        // Nor that of the objections of another ledger.
        let rights = data.join("rights-0");
        let keys: Vec<_> = world.config().brands.iter().map(files::keys).collect();
        let list = rights.join("objections");
        drop(SuppressionFile::open(&list, &keys, [9; 16]).unwrap());
        let said = refused(&world, &world.path("backup"), &data);
        let named =
            [&rights, &world.path("backup/process-0")].map(|path| path.display().to_string());
        assert!(named.iter().all(|path| said.contains(path)), "{said}");
        assert!(said.contains("belongs to the ledger 0909"), "{said}");
        std::fs::remove_dir_all(&rights).unwrap();
        // It is no longer of the ledger that is there.
        std::fs::write(data.join("standby-0.json"), "{}").unwrap();
        restored(&world, &world.path("backup"), "tributary-data");
        let mut after = contents(&data);
        // It names nothing, and is made anew.
        after.insert(data.join("process-0/LOCK"), Vec::new());
        let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&after), names(&before));
        assert!(after == before, "the data directory is another one");
        // No loss is found, and it goes on. What another restore has left is gone then.
        let left = data.join("restoring-0/ledger/segments");
        std::fs::create_dir_all(&left).unwrap();
        std::fs::write(left.join("1.seg"), "left").unwrap();
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        assert!(!data.join("restoring-0").exists());
        assert!(worker.said("interrupted `tributary ledger restore`"));
        until("cells are released", || {
            worker.metric("tributary_cells_released").unwrap_or(0.0) > 0.0
        });
        worker.stop();
    });
    assert_stands(&broker, &expected, &refused_lines).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_is_useless_for_whoever_was_erased_since() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = world(1_000, &server, "1h");
    let client = ready(&broker).await;
    let mut lines: Vec<TraceLine> = world.trace().collect();
    let at = lines.last().unwrap().at;
    lines.extend(sales("bob", at));
    let config = world.path("tributary.toml");
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    // The erasure of another person leaves a sealed segment, too.
    let worker = Worker::start(&config, &[]);
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        ask(
            &world,
            "erase",
            &["email=bob@shop.example", "--whole-person"],
        );
    });
    play(&client, &sales("ada", at), None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        worker.stop();
    });
    // Whoever copies the backup now reads her, with the key and the secrets.
    let ada = "ada@shop.example";
    let stolen = copy(&world, "stolen");
    let before = keys(&client).await;
    assert_eq!(before.len(), 1, "one key is there");
    let stolen_parts = listed(&stolen, &before).unwrap();
    let data = restored(&world, &stolen, "before");
    assert_eq!(records_of(&world, &data, ada), 2);
    let of_then: BTreeSet<String> = stolen_parts.iter().map(|part| part.key.clone()).collect();
    assert_eq!(opened(&stolen, &of_then).len(), stolen_parts.len());
    let old_keys: Vec<Vec<u8>> = [before[0].clone()].map(String::into_bytes).to_vec();
    assert!(!found(server.directory(), &old_keys).is_empty());

    let worker = Worker::start(&config, &[]);
    let receipt = tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        ask(
            &world,
            "erase",
            &[&format!("email={ada}"), "--whole-person"],
        )
    });
    // The receipt is there: these are all keys that anybody finds anywhere.
    let counts = receipt_of(&receipt)["counts"].clone();
    assert!(counts["ledger_entries"].as_u64() > Some(0), "{counts}");
    assert_eq!(counts["not_overwritten"].as_u64().unwrap_or(0), 0);
    let now = keys(&client).await;
    assert_eq!(now.len(), 1);
    assert_eq!(found(server.directory(), &old_keys), [""; 0]);
    assert_eq!(found(&world.path("tributary-data"), &old_keys), [""; 0]);
    assert_eq!(listed(&stolen, &now), None, "the index of then");
    let current = listed(&world.path("backup"), &now).unwrap();
    let all: BTreeSet<String> = current
        .iter()
        .map(|part| part.key.clone())
        .chain(now)
        .collect();
    let still = opened(&stolen, &all);

    // What opens is what the backup has still, which restores and has nothing of her.
    let data = restored(&world, &world.path("backup"), "after");
    assert_eq!(records_of(&world, &data, ada), 0);
    for (name, content) in &still {
        let part = current.iter().find(|part| part.file == *name).unwrap();
        let path = match part.path.strip_prefix("ledger/") {
            Some(name) => data.join("process-0").join(name),
            None => data.join(part.path.replace("rights/", "rights-0/")),
        };
        let restored = std::fs::read(path).unwrap();
        let from = part.from as usize;
        assert_eq!(
            restored[from..from + content.len()],
            content[..],
            "{}",
            part.path
        );
    }
    let gone = stolen_parts
        .iter()
        .filter(|part| !still.contains_key(&part.file));
    let gone: BTreeSet<&str> = gone.map(|part| part.path.as_str()).collect();
    assert!(gone.contains("ledger/MANIFEST"), "{gone:?}");
    assert!(gone.iter().any(|path| path.ends_with(".seg")), "{gone:?}");
    let said = refused(&world, &stolen, &world.path("nothing"));
    assert!(said.contains("whose key was destroyed"), "{said}");
    assert!(!world.path("nothing/process-0").exists());
    tokio::task::block_in_place(|| worker.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_leaves_one_that_restores() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = world(4_000, &server, "1s");
    let expected = world.replayed();
    let refused_lines = world.refused();
    let client = ready(&broker).await;
    let lines: Vec<TraceLine> = world.trace().collect();
    let config = world.path("tributary.toml");
    let data = world.path("tributary-data");
    // The renewal before the one that writes the second index is complete.
    let index = || {
        let entries = std::fs::read_dir(world.path("backup/process-0"));
        let entries = entries.into_iter().flatten();
        let numbers = entries.filter_map(|entry| {
            let name = entry.unwrap().file_name();
            name.to_str()?.strip_prefix("INDEX.")?.parse::<u64>().ok()
        });
        numbers.collect::<Vec<_>>()
    };
    let parts = lines.chunks(lines.len().div_ceil(6));
    for (round, part) in parts.enumerate() {
        play(&client, part, None).await;
        let end = last(&client, &broker.input_stream).await;
        tokio::task::block_in_place(|| {
            // An older ledger is a loss, which the stream makes good.
            let worker = Worker::start(&config, &["--accept-loss"]);
            worker.wait_until_read(end);
            until("a renewal", || index().iter().any(|number| *number > 1));
            std::thread::sleep(Duration::from_millis(rand::random_range(0..1_500)));
            worker.kill();
            if round % 2 == 1 {
                std::fs::remove_dir_all(&data).unwrap();
                restored(&world, &world.path("backup"), "tributary-data");
            }
        });
    }
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        std::fs::remove_dir_all(&data).unwrap();
        restored(&world, &world.path("backup"), "tributary-data");
        let worker = Worker::start(&config, &["--accept-loss"]);
        worker.wait_until_read(end);
        until("cells are released", || {
            worker.metric("tributary_cells_released").unwrap_or(0.0) > 0.0
        });
        worker.stop();
        assert_eq!(index().len(), 1, "replaced indexes are removed");
    });
    assert_stands(&broker, &expected, &refused_lines).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_away_holds_up_no_erasure() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = world(1_000, &server, "1s");
    let client = ready(&broker).await;
    let mut lines: Vec<TraceLine> = world.trace().collect();
    let at = lines.last().unwrap().at;
    lines.extend(sales("ada", at));
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    let (backup, away) = (world.path("backup"), world.path("away"));
    tokio::task::block_in_place(|| worker.wait_until_read(end));
    while keys(&client).await.is_empty() {}
    std::fs::rename(&backup, &away).unwrap();
    tokio::task::block_in_place(|| {
        until("a failure", || {
            worker.metric("tributary_backup_failures_total") > Some(0.0)
        });
    });
    // It may come back: what it holds is not given up.
    assert!(!keys(&client).await.is_empty());
    let receipt = tokio::task::block_in_place(|| {
        ask(
            &world,
            "erase",
            &["email=ada@shop.example", "--whole-person"],
        )
    });
    let counts = receipt_of(&receipt)["counts"].clone();
    assert_eq!(counts["not_overwritten"].as_u64().unwrap_or(0), 0);
    assert_eq!(keys(&client).await, [""; 0]);
    assert!(worker.said("destroyed the key of the backup"));
    let said = refused(&world, &away, &world.path("nothing"));
    assert!(said.contains("the broker has no key"), "{said}");
    // With it, it is written anew.
    std::fs::rename(&away, &backup).unwrap();
    tokio::task::block_in_place(|| {
        until("the backup is renewed", || {
            worker.metric("tributary_backup_age_seconds") < Some(1.5)
        });
        worker.stop();
    });
    let data = restored(&world, &backup, "after");
    assert_eq!(records_of(&world, &data, "ada@shop.example"), 0);
    assert!(keys(&client).await.len() == 1);

    // The backup of another ledger is not touched.
    let other = world.path("tributary-data");
    std::fs::rename(&other, world.path("put-aside")).unwrap();
    let before = contents(&backup);
    let worker = Worker::start(&world.path("tributary.toml"), &["--accept-loss"]);
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        until("it is refused", || worker.said("backup of another ledger"));
        worker.stop();
    });
    assert!(contents(&backup) == before, "the backup was overwritten");
}

/// The highest number of an index in a backup.
fn newest_index(backup: &Path) -> u64 {
    let entries = std::fs::read_dir(backup.join("process-0")).into_iter();
    let numbers = entries.flatten().filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.strip_prefix("INDEX.")?.parse().ok()
    });
    numbers.max().unwrap_or(0)
}

/// Waits until a renewal has ended that begins after now.
fn until_renewed(backup: &Path) {
    // The numbers begin anew where no key opens an index.
    let mut seen = BTreeSet::new();
    until("the backup is renewed", || {
        seen.insert(newest_index(backup));
        seen.len() > 3
    });
}

/// The lengths of the files of a backup by their names.
fn lengths(backup: &Path) -> BTreeMap<PathBuf, usize> {
    let files = contents(&backup.join("process-0")).into_iter();
    files.map(|(path, bytes)| (path, bytes.len())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_not_mounted_is_not_taken_for_the_backup() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = world(1_000, &server, "1s");
    let client = ready(&broker).await;
    let lines: Vec<TraceLine> = world.trace().collect();
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");
    let (backup, away) = (world.path("backup"), world.path("away"));
    let worker = Worker::start(&config, &[]);
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        until_renewed(&backup);
        assert!(worker.said("the backup is on the disk of the ledger"));
        // What is left is the directory to which its disk was mounted.
        std::fs::rename(&backup, &away).unwrap();
        std::fs::create_dir(&backup).unwrap();
        let refuses = |worker: &Worker| {
            until("it is refused", || {
                worker.said("holds no backup, and the broker has the key of one")
            });
            assert!(!backup.join("process-0").exists());
        };
        refuses(&worker);
        worker.stop();
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        refuses(&worker);
        // It is none either with files that nobody lists.
        let strange = backup.join("process-0").join("0".repeat(32));
        std::fs::create_dir(backup.join("process-0")).unwrap();
        std::fs::write(&strange, "strange").unwrap();
        let failures = worker.metric("tributary_backup_failures_total");
        until("it is refused again", || {
            worker.metric("tributary_backup_failures_total") > failures.map(|n| n + 1.0)
        });
        assert_eq!(std::fs::read(&strange).unwrap(), b"strange");
        std::fs::remove_dir_all(backup.join("process-0")).unwrap();
        worker.stop();
    });
    assert_eq!(keys(&client).await.len(), 1, "the key is kept");
    restored(&world, &away, "restored");

    // An empty directory that somebody has made is a decision.
    std::fs::create_dir(backup.join("process-0")).unwrap();
    let worker = Worker::start(&config, &[]);
    tokio::task::block_in_place(|| {
        until("it begins anew", || worker.said("begins the backup anew"));
        worker.wait_until_read(end);
        until_renewed(&backup);
        worker.stop();
    });
    restored(&world, &backup, "anew");
    let said = refused(&world, &away, &world.path("nothing"));
    assert!(said.contains("whose key was destroyed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_of_another_is_left_alone() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = world(1_000, &server, "1s");
    let client = ready(&broker).await;
    let mut lines: Vec<TraceLine> = world.trace().collect();
    let at = lines.last().unwrap().at;
    lines.extend(sales("ada", at));
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let (backup, away) = (world.path("backup"), world.path("away"));
    let foreign = index::seal(&[], &[9; 16], 5_000, &FileKey::draw()).unwrap();
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        until_renewed(&backup);
        // The index of another that was left in the own directory is none of its business, and removed.
        std::fs::write(backup.join("process-0/INDEX.5000"), &foreign).unwrap();
        until("it is removed", || {
            !backup.join("process-0/INDEX.5000").exists()
        });
        until_renewed(&backup);
        let aside = world.path("aside");
        std::fs::create_dir_all(aside.join("process-0")).unwrap();
        std::fs::write(aside.join("process-0/INDEX.5000"), &foreign).unwrap();
        std::fs::write(aside.join("process-0").join("a".repeat(32)), "another's").unwrap();
        std::fs::rename(&backup, &away).unwrap();
        std::fs::rename(&aside, &backup).unwrap();
        until("it is refused", || worker.said("backup of another ledger"));
    });
    let before = contents(&backup);
    assert_eq!(before.len(), 2, "nothing was written there");
    assert_eq!(keys(&client).await.len(), 1);
    restored(&world, &away, "before");
    let receipt = tokio::task::block_in_place(|| {
        ask(
            &world,
            "erase",
            &["email=ada@shop.example", "--whole-person"],
        )
    });
    // It is reported as completed, so nobody reads her where the own backup is.
    let counts = receipt_of(&receipt)["counts"].clone();
    assert_eq!(counts["not_overwritten"].as_u64().unwrap_or(0), 0);
    assert_eq!(keys(&client).await, [""; 0]);
    assert!(contents(&backup) == before, "the other backup is as it was");
    let said = refused(&world, &away, &world.path("nothing"));
    assert!(said.contains("the broker has no key"), "{said}");
    std::fs::rename(&backup, world.path("other")).unwrap();
    std::fs::rename(&away, &backup).unwrap();
    tokio::task::block_in_place(|| {
        until_renewed(&backup);
        worker.stop();
    });
    let data = restored(&world, &backup, "after");
    assert_eq!(records_of(&world, &data, "ada@shop.example"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_are_copied_again() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = world(1_000, &server, "1s");
    let client = ready(&broker).await;
    let lines: Vec<TraceLine> = world.trace().collect();
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let backup = world.path("backup");
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        until_renewed(&backup);
        ask(
            &world,
            "erase",
            &["email=nobody@shop.example", "--whole-person"],
        );
        let largest = || {
            let files = lengths(&backup).into_iter();
            files.max_by_key(|(_, length)| *length).unwrap().0
        };
        let cut = largest();
        std::fs::write(&cut, "").unwrap();
        until("what was cut is replaced", || !cut.exists());
        let changed = largest();
        let mut bytes = std::fs::read(&changed).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&changed, bytes).unwrap();
        until("what was changed is replaced", || !changed.exists());
        assert!(worker.said("missing or damaged"));
        worker.stop();
    });
    restored(&world, &backup, "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_recovers() {
    let test = "backup::a_full_disk_recovers";
    let Some(disk) = Disk::mount_or_skip(test, "16m") else {
        return;
    };
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let more = format!(
        "[ledger]\nbackup = \"{}\"\nbackup_every = \"1s\"\n",
        disk.path().display()
    );
    let world = World::new(4_000, Some(&broker), &more);
    let client = ready(&broker).await;
    let lines: Vec<TraceLine> = world.trace().collect();
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let filler = disk.path().join("filler");
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        until_renewed(disk.path());
        let whole: usize = lengths(disk.path()).values().sum();
        // An erasure writes the ledger anew, for which there is no room beside the files that are there.
        let _ = std::fs::write(&filler, vec![1; 16 << 20]);
        let file = std::fs::OpenOptions::new().write(true).open(&filler);
        let file = file.unwrap();
        let full = file.metadata().unwrap().len();
        file.set_len(full - whole as u64 / 4).unwrap();
        let bob = somebody(&world, &lines);
        ask(
            &world,
            "erase",
            &[&format!("email={bob}"), "--whole-person"],
        );
        assert!(worker.said("destroyed the key of the backup, which could not be renewed"));
        // There is room for one copy, and what nobody can read any more makes it.
        until_renewed(disk.path());
        worker.stop();
    });
    restored(&world, disk.path(), "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restriction_is_in_the_backup_when_it_is_answered() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = world(1_000, &server, "1h");
    let client = ready(&broker).await;
    let mut lines: Vec<TraceLine> = world.trace().collect();
    let at = lines.last().unwrap().at;
    lines.extend(sales("ada", at));
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        ask(&world, "restrict", &["email=ada@shop.example"]);
        worker.kill();
    });
    let data = restored(&world, &world.path("backup"), "after");
    // Two sales, and that they are restricted.
    assert_eq!(records_of(&world, &data, "ada@shop.example"), 3);
}

/// Whoever may write to the directory has no key of an index: what they put there neither keeps the key of an older copy at
/// the broker nor ends the backup.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_nobody_sealed_keeps_no_key() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = world(1_000, &server, "1s");
    let client = ready(&broker).await;
    let mut lines: Vec<TraceLine> = world.trace().collect();
    let at = lines.last().unwrap().at;
    lines.extend(sales("ada", at));
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    let backup = world.path("backup");
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        until_renewed(&backup);
        let stolen = copy(&world, "stolen");
        let planted = backup.join("process-0/INDEX.999999");
        std::fs::write(planted, [0xff; 100]).unwrap();
        let named = ["email=ada@shop.example", "--whole-person"];
        let receipt = ask(&world, "erase", &named);
        let counts = receipt_of(&receipt)["counts"].clone();
        assert_eq!(counts["not_overwritten"].as_u64().unwrap_or(0), 0);
        let said = refused(&world, &stolen, &world.path("nothing"));
        assert!(said.contains("destroyed"), "{said}");
        // The highest number there is, under the name of this very ledger.
        let files = contents(&backup.join("process-0"));
        let mut indexes = files.iter();
        let (_, index) = indexes
            .find(|(path, _)| path.to_string_lossy().contains("INDEX."))
            .unwrap();
        let highest = backup.join(format!("process-0/INDEX.{}", u64::MAX));
        std::fs::write(&highest, &index[..40]).unwrap();
        until("it is removed", || !highest.exists());
        until_renewed(&backup);
        worker.stop();
    });
    restored(&world, &backup, "restored");
}

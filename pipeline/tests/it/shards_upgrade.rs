//! Shards are upgraded one after the other, while records come in: each goes on with its brands during the restart of the
//! other, in whichever versions they are, and OUT equals a replay.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tributary_config::model::Nats;
use tributary_connectors::nats::{self, Client};
use tributary_testkit::NatsServer;

use crate::shards::ready;
use crate::support::brands::{of_brands, shard, stop_all, wait_for_all};
use crate::support::story::{play, until};
use crate::support::version::other_version;
use crate::support::{PATIENCE, Worker, World, published};

/// The brands of the world by their shards.
const OF_SHARD: [(&str, &[&str]); 2] = [("north", &["acme", "beta"]), ("south", &["gamma"])];

/// Records a second that come in meanwhile.
const RATE: f64 = 200.0;

/// Whether a worker is ready and answers for all of its brands.
fn serves(worker: &Worker, brands: &[&str]) -> bool {
    let is_good = |path: &str| worker.get(path).is_some_and(|(status, _)| status == 200);
    let of_brand = |brand: &&str| is_good(&format!("/v1/cells/store_day?brand={brand}"));
    is_good("/readyz") && brands.iter().all(of_brand)
}

/// What the program would do with the ledger of a shard; it must be possible, and be undone.
fn check(program: &Path, world: &World, shard: &str) -> String {
    let mut command = Command::new(program);
    command.args(["upgrade", "check", "--config"]);
    command.arg(world.path("tributary.toml"));
    let output = command.env("TRIBUTARY_WORKERS_SHARD", shard).output();
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

/// The version that serves a shard, as the broker knows it.
async fn version(client: &Client, broker: &Nats, shard: &str) -> String {
    let holders = nats::holders(client, &broker.output_stream).await;
    let mut holders = holders.expect("the leases").into_iter();
    let of_shard = holders.find(|(holder, _)| holder.shard.as_deref() == Some(shard));
    of_shard.expect("its lease").0.version
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_are_upgraded_one_after_the_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(other) = other_version(directory.path()) else {
        return;
    };
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let mut broker = server.nats();
    broker.pings_stream = Some("TRIBUTARY_PINGS".to_owned());
    let (world, lines) = of_brands(4_000, &broker, ["north", "north", "south"]);
    let expected = world.replayed();
    let client = ready(&broker).await;
    let (before, during) = lines.split_at(lines.len() / 3);
    play(&client, before, None).await;
    let mut workers: Vec<Worker> = OF_SHARD.map(|(name, _)| shard(&world, name)).into();
    wait_for_all(&client, &broker, &workers).await;

    let own = Path::new(env!("CARGO_BIN_EXE_tributary"));
    let own_version = env!("CARGO_PKG_VERSION");
    // Both go to the other version. One of them goes back, as after a bad release, and stays beside the other.
    let steps = [(0, other.as_path()), (1, other.as_path()), (0, own)];
    for ((place, program), part) in steps.into_iter().zip(during.chunks(during.len() / 3 + 1)) {
        let (name, brands) = OF_SHARD[place];
        let (beside, brands_beside) = OF_SHARD[1 - place];
        let runs = version(&client, &broker, name).await;
        let runs_beside = version(&client, &broker, beside).await;
        assert_eq!(runs == own_version, program != own);
        tokio::task::block_in_place(|| {
            let said = check(program, &world, name);
            let note = format!("process {name}-0 runs version {runs}");
            assert!(said.contains(&note), "{said}");
            assert!(!said.contains(beside), "{said}");
        });
        let (to, part) = (client.clone(), part.to_vec());
        let coming_in = tokio::spawn(async move { play(&to, &part, Some(RATE)).await });
        let restarted = tokio::task::block_in_place(|| {
            let ended = workers.remove(place);
            let neighbour = &workers[0];
            let is_over = Arc::new(AtomicBool::new(false));
            std::thread::scope(|threads| {
                let (end, published) = (is_over.clone(), "tributary_cells_published_total");
                let watched = threads.spawn(move || {
                    let (begun, mut looks) = (Instant::now(), 0);
                    while !end.load(Relaxed) && begun.elapsed() < PATIENCE {
                        assert!(serves(neighbour, brands_beside), "{beside} is not served");
                        looks += 1;
                        std::thread::sleep(Duration::from_millis(50));
                    }
                    looks
                });
                ended.stop();
                assert!(serves(neighbour, brands_beside));
                // What comes in is published meanwhile, too.
                let so_far = neighbour.metric(published);
                let goes_on = || neighbour.metric(published) > so_far;
                until("the other shard publishes", goes_on);
                let variables = [("TRIBUTARY_WORKERS_SHARD", name)];
                let config = world.path("tributary.toml");
                let started = Worker::start_program(program, &config, &[], &variables);
                until("the shard is served again", || serves(&started, brands));
                is_over.store(true, Relaxed);
                assert!(watched.join().expect("it was served") > 0);
                started
            })
        });
        workers.insert(place, restarted);
        coming_in.await.expect("everything comes in");
        let runs_now = version(&client, &broker, name).await;
        assert_eq!(runs_now == own_version, program == own);
        assert_eq!(version(&client, &broker, beside).await, runs_beside);
    }
    stop_all(&client, &broker, workers).await;
    assert!(
        published(&broker).await == expected,
        "run and replay differ"
    );
}

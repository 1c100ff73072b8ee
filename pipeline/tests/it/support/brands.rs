//! A world of several brands, which shards share out.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tributary_config::model::Nats;
use tributary_connectors::nats::Client;
use tributary_connectors::trace::TraceLine;
use tributary_simulate::{self as simulate, Options, SecretFrom};

use super::person::rewrite;
use super::story::last;
use super::{PATIENCE, Worker, World, tributary};

/// The brands of the world.
pub const BRANDS: [&str; 3] = ["acme", "beta", "gamma"];

/// A world of three brands, each of so many events, as one trace in the order of arrival. `shards` are those of the
/// brands.
pub fn of_brands(events: u64, nats: &Nats, shards: [&str; 3]) -> (World, Vec<TraceLine>) {
    let directory = tempfile::tempdir().expect("a directory");
    let world = World {
        directory,
        options: Options::default(),
    };
    let brands = BRANDS.iter().zip(1..).map(|(brand, seed)| Options {
        brand: (*brand).to_owned(),
        seed,
        events: Some(events),
        k: 1,
        ..Options::default()
    });
    let brands: Vec<Options> = brands.collect();
    let secrets: Vec<_> = brands
        .iter()
        .map(|options| world.path(&options.brand))
        .collect();
    for (secret, options) in secrets.iter().zip(&brands) {
        let text = format!("{}-224ff3c627f30dd0f8e3fdb63bf28aa6", options.brand);
        tributary_testkit::write_secret(secret, &text);
    }
    let of: Vec<_> = brands
        .iter()
        .zip(secrets.iter().map(|path| SecretFrom::File(path)))
        .collect();
    let mut text = simulate::configs_toml(&of).replace("k = 1", "k = 1\ncadence = \"1s\"");
    for (brand, shard) in BRANDS.iter().zip(shards) {
        let name = format!("name = \"{brand}\"\n");
        text = text.replace(&name, &format!("{name}shard = \"{shard}\" # {brand}\n"));
    }
    let pings = nats.pings_stream.as_deref().unwrap_or_default();
    let head = format!(
        "[nats]\nurl = \"{}\"\npings_stream = \"{pings}\"\n[http]\nlisten = \"127.0.0.1:0\"\n",
        nats.url
    );
    std::fs::write(world.path("tributary.toml"), head + &text).expect("the configuration");
    let mut lines: Vec<TraceLine> = Vec::new();
    for options in brands {
        let of_brand = simulate::lines(options).expect("a world");
        lines.extend(of_brand.map(|line| TraceLine {
            subject: line.subject,
            at: line.at,
            headers: Vec::new(),
            data: line.data.into_bytes(),
        }));
    }
    lines.sort_by_key(|line| line.at);
    rewrite(&world, &lines);
    (world, lines)
}

/// Gives a brand another shard in the configuration.
pub fn give(world: &World, brand: &str, shard: &str) {
    let file = world.path("tributary.toml");
    let text = std::fs::read_to_string(&file).expect("the configuration");
    let end = format!("# {brand}");
    let lines = text.lines().map(|line| match line.ends_with(&end) {
        true => format!("shard = \"{shard}\" {end}\n"),
        false => format!("{line}\n"),
    });
    let text: String = lines.collect();
    std::fs::write(&file, text).expect("the configuration");
}

/// Starts the worker of a shard.
pub fn shard(world: &World, name: &str) -> Worker {
    let variables = [("TRIBUTARY_WORKERS_SHARD", name)];
    Worker::start_with(&world.path("tributary.toml"), &[], &variables)
}

/// Starts a candidate for the lease of a shard, whose ledger is in this directory of the world.
pub fn candidate_of(world: &World, name: &str, directory: &str) -> Worker {
    let directory = world.path(directory);
    let variables = [
        ("TRIBUTARY_WORKERS_SHARD", name),
        ("TRIBUTARY_WORKERS_STANDBY", "true"),
        (
            "TRIBUTARY_LEDGER_DIRECTORY",
            directory.to_str().expect("a path"),
        ),
    ];
    Worker::start_with(&world.path("tributary.toml"), &[], &variables)
}

/// Waits until workers have read everything.
pub async fn wait_for_all(client: &Client, broker: &Nats, workers: &[Worker]) {
    let records = last(client, &broker.input_stream).await;
    let pings = last(client, broker.pings_stream.as_deref().expect("pings")).await;
    tokio::task::block_in_place(|| {
        for worker in workers {
            worker.wait_until_read_both(records, pings);
        }
    });
}

/// Waits until workers have read everything, and stops them.
pub async fn stop_all(client: &Client, broker: &Nats, workers: Vec<Worker>) {
    wait_for_all(client, broker, &workers).await;
    tokio::task::block_in_place(|| workers.into_iter().for_each(Worker::stop));
}

/// What a worker of a shard says that must not start.
pub fn refusal_of(world: &World, shard: &str) -> String {
    let mut command = tributary();
    command
        .args(["run", "--config"])
        .arg(world.path("tributary.toml"));
    command.env("TRIBUTARY_WORKERS_SHARD", shard);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let begun = Instant::now();
    while child.try_wait().expect("its status").is_none() {
        if begun.elapsed() > PATIENCE / 4 {
            let _ = child.kill();
            panic!("a worker runs that must not start");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().expect("its output");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    eprintln!("refused: {text}");
    text
}

//! Starts of clusters whose processes do not fit together: another setting, brand, secret, version, number of processes or
//! number of a process, drawn at random. Each is refused by name, and nothing is published, of whichever brand.
//!
//! `TRIBUTARY_MIXED_STARTS=1000` starts more of them, `TRIBUTARY_MIXED_SEED` others.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use tributary_connectors::nats;
use tributary_testkit::NatsServer;

use crate::support::story::{last, play, ready, stop_both, two_processes};
use crate::support::version::other_version;
use crate::support::{PATIENCE, Worker, World, chosen, published};

/// How a process differs from the other.
#[derive(Clone, Copy, Debug)]
enum Differs {
    /// By a part of its configuration. Both name the setting.
    Setting(&'static str, &'static str, &'static str),
    /// By the secret of its brand. Both name it.
    Secret,
    /// By its version. Both name it.
    Version,
    /// By the number of processes. Both name it.
    Processes,
    /// It is the same process of the cluster as the other: one of them is refused.
    Twice,
    /// It has a number that the cluster does not have: it is refused.
    Beyond,
}

const WAYS: [Differs; 14] = [
    Differs::Setting("k = 1\n", "k = 7\n", "release.k"),
    Differs::Setting("k = 1\n", "k = 1\ndominance = 90\n", "release.dominance"),
    Differs::Setting(
        "[brand.retention]",
        "[brand.attribution]\nclick_window = \"1d\"\n[brand.retention]",
        "brand.orchard.attribution.click_window",
    ),
    Differs::Setting("Europe/Paris", "Asia/Tokyo", "brand.orchard.timezone"),
    Differs::Setting("[workers]\n", "[workers]\ntick = \"9ms\"\n", "workers.tick"),
    Differs::Setting(
        "[workers]\n",
        "[ingest]\nstrict = true\n[workers]\n",
        "ingest.strict",
    ),
    Differs::Setting(
        "[[brand]]\n",
        "[[brand]]\nname = \"aaa\"\nsecret_file = \"other\"\n\n[[brand]]\n",
        "brand.aaa.",
    ),
    Differs::Setting("name = \"orchard\"", "name = \"meadow\"", "brand.meadow."),
    Differs::Setting(
        "[brand.retention]",
        "[[brand.partner]]\nname = \"waze\"\nsources = [\"waze\"]\n[brand.retention]",
        "brand.orchard.partner.waze",
    ),
    Differs::Secret,
    Differs::Version,
    Differs::Processes,
    Differs::Twice,
    Differs::Beyond,
];

fn spawn(program: &Path, config: &Path, process: &str) -> Child {
    let mut command = Command::new(program);
    command
        .args(["run", "--process", process, "--config"])
        .arg(config)
        .env("TRIBUTARY_LOG", "error")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// What a process that ends by itself says; fails if it does not, or if it ends well.
fn refusal(mut process: Child, how: Differs) -> String {
    let begun = std::time::Instant::now();
    while process.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            process.kill().unwrap();
            panic!("{how:?}: it goes on");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{how:?}: {said}");
    said
}

/// One start. Returns whether it was made.
async fn start(how: Differs, is_second: bool, other_version: Option<&Path>) -> Option<bool> {
    let server = NatsServer::start_or_skip("")?;
    let broker = server.nats();
    let world = World::new(20, Some(&broker), &two_processes());
    let client = ready(&broker).await;
    nats::ensure_output_stream(&client, &broker, &["orchard"])
        .await
        .unwrap();
    play(&client, &world.trace().collect::<Vec<_>>(), None).await;
    let config = world.path("tributary.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let other = world.path("other.toml");
    tributary_testkit::write_secret(
        world.path("other"),
        "another secret of forty-one letters or so",
    );
    let own = Path::new(env!("CARGO_BIN_EXE_tributary"));
    let (mut program, mut changed, mut number) = (own, text.clone(), None);
    let named = match how {
        Differs::Setting(from, to, named) => {
            changed = text.replacen(from, to, 1);
            named
        }
        Differs::Secret => {
            let secret = world.path("secret").display().to_string();
            changed = text.replacen(&secret, &world.path("other").display().to_string(), 1);
            "brand.orchard.secret"
        }
        Differs::Version => {
            let Some(patched) = other_version else {
                return Some(false);
            };
            program = patched;
            "version of tributary"
        }
        Differs::Processes => {
            changed = text.replacen("\"]\n", "\", \"127.0.0.1:1\"]\n", 1);
            "number of workers.hosts"
        }
        Differs::Twice => {
            number = Some(if is_second { "0" } else { "1" });
            "ledger"
        }
        Differs::Beyond => {
            number = Some("5");
            "this is process 5 of 2"
        }
    };
    assert!(
        changed != text || program != own || number.is_some(),
        "{how:?}"
    );
    std::fs::write(&other, changed).unwrap();
    tokio::task::block_in_place(|| {
        let own_number = |second: bool| if second { "1" } else { "0" };
        let usual = spawn(own, &config, own_number(!is_second));
        if number == Some(own_number(!is_second)) {
            // The first of the two has its ledger open when the second one comes.
            let lock = world.ledger(usize::from(!is_second)).join("MANIFEST");
            crate::support::story::until("it has a ledger", || lock.exists());
        }
        let differing = spawn(program, &other, number.unwrap_or(own_number(is_second)));
        let said = refusal(differing, how);
        assert!(said.contains(named), "{how:?}: {said}");
        let mut usual = usual;
        match number {
            // Only the one that does not belong there is refused; the other waits for the right one.
            Some(_) => {
                assert!(usual.try_wait().unwrap().is_none(), "{how:?}");
                usual.kill().unwrap();
                usual.wait().unwrap();
            }
            None => {
                let said = refusal(usual, how);
                assert!(said.contains(named), "{how:?}: {said}");
            }
        }
    });
    let published = last(&client, &broker.output_stream).await;
    assert_eq!(published, 0, "{how:?}: something was published");
    Some(true)
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_do_not_fit_publish_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let other_version = other_version(directory.path());
    let mut random = ChaCha8Rng::seed_from_u64(chosen("TRIBUTARY_MIXED_SEED", 7));
    let starts = chosen("TRIBUTARY_MIXED_STARTS", WAYS.len() as u64);
    let mut made = 0;
    for n in 0..starts {
        // Each way once, and then at random.
        let how = match usize::try_from(n).ok().and_then(|n| WAYS.get(n)) {
            Some(how) => *how,
            None => WAYS[random.next_u32() as usize % WAYS.len()],
        };
        let is_second = random.next_u32() % 2 == 0;
        if n > 0 && n % 100 == 0 {
            eprintln!("{n} of {starts} mixed starts");
        }
        match start(how, is_second, other_version.as_deref()).await {
            Some(was_made) => made += u64::from(was_made),
            None => return,
        }
    }
    eprintln!("{made} mixed starts, no cell");

    // The same with processes that fit: what must not be published before is, and of the brand alone.
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(20, Some(&broker), &two_processes());
    let expected = world.replayed();
    let client = ready(&broker).await;
    play(&client, &world.trace().collect::<Vec<_>>(), None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");
    tokio::task::block_in_place(|| {
        let both = crate::support::story::start_both(&config);
        both.iter()
            .for_each(|worker: &Worker| worker.wait_until_read(end));
        stop_both(both);
    });
    assert!(!expected.is_empty());
    assert!(published(&broker).await == expected);
}

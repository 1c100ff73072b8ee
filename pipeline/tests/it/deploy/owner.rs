//! Commands beside a worker leave it a ledger that it can open: whoever is not the owner changes nothing, a volume that was given
//! to a group is the owner's, and a restore says when it has put the ledger where a service does not look for it.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Output};

use tributary_testkit::{NatsServer, skipped};

use crate::support::story::{last, play, ready};
use crate::support::{Worker, World, tributary};

/// The user of the image, who is nobody else on the machine of a test.
const USER: u32 = 65_532;

/// Gives everything in a directory to a user.
fn give(directory: &Path, user: u32) {
    chown(directory, Some(user), Some(user)).unwrap();
    if directory.is_dir() {
        for entry in std::fs::read_dir(directory).unwrap() {
            give(&entry.unwrap().path(), user);
        }
    }
}

/// Runs a command of `tributary ledger` with a directory for the ledgers, as root, or as the user.
fn ledger(world: &World, words: &[&str], directory: Option<&Path>, user: bool) -> Output {
    let program = tributary();
    let mut command = match user {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65532", "--regid=65532", "--clear-groups"]);
            command.arg(program.get_program());
            command
        }
        false => program,
    };
    command.arg("ledger").args(words);
    command.arg("--config").arg(world.path("tributary.toml"));
    if let Some(directory) = directory {
        command.env("TRIBUTARY_LEDGER_DIRECTORY", directory);
    }
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// A world whose worker has written a backup and stopped.
async fn stopped(server: &NatsServer) -> World {
    let world = World::new(500, Some(&server.nats()), "[ledger]\nbackup = \"backup\"\n");
    std::fs::create_dir(world.path("backup")).unwrap();
    let client = ready(&server.nats()).await;
    let lines: Vec<_> = world.trace().collect();
    play(&client, &lines, None).await;
    let end = last(&client, &server.nats().input_stream).await;
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&world.path("tributary.toml"), &[]);
        worker.wait_until_read(end);
        worker.stop();
    });
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_says_when_it_is_beside_the_configuration() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let world = stopped(&server).await;
    std::fs::remove_dir_all(world.path("tributary-data")).unwrap();
    let note = "this is the default of ledger.directory";
    let state = world.path("state");
    let output = ledger(&world, &["restore"], Some(&state), false);
    assert!(
        output.status.success() && !said(&output).contains(note),
        "{}",
        said(&output)
    );
    let output = ledger(&world, &["restore"], None, false);
    assert!(
        output.status.success() && said(&output).contains(note),
        "{}",
        said(&output)
    );
    assert!(world.path("tributary-data/process-0").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_changes_a_ledger() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let is_root = rustix::process::geteuid().is_root();
    let can_run = is_root && {
        let mut other = Command::new("setpriv");
        other.args(["--reuid=65532", "--regid=65532", "--clear-groups"]);
        let output = other
            .arg(tributary().get_program())
            .arg("--version")
            .output();
        output.is_ok_and(|output| output.status.success())
    };
    if !can_run {
        skipped("not root, or the program is in a directory of its own");
        return;
    }
    let world = stopped(&server).await;
    let data = world.path("tributary-data");
    give(world.directory.path(), USER);

    // Nothing is changed by root, whatever it asks for.
    let commands: [&[&str]; 3] = [
        &["restore"],
        &["reshard", "--to", "2"],
        &[
            "move",
            "--brand",
            "orchard",
            "--to",
            "elsewhere/process-north-0",
        ],
    ];
    for words in commands {
        let output = ledger(&world, words, None, false);
        let said = said(&output);
        assert!(!output.status.success(), "{words:?}: {said}");
        for part in [
            "belongs to the user 65532",
            "the user 0 (root)",
            "tributary-ledger",
            "setpriv --reuid 65532",
        ] {
            assert!(said.contains(part), "{words:?}: {part}: {said}");
        }
    }
    // A ledger of another user is refused in a directory of the own as well, and so is one that `--from` names.
    let own = world.path("own");
    std::fs::create_dir(&own).unwrap();
    std::os::unix::fs::symlink(data.join("process-0"), own.join("process-0")).unwrap();
    let output = ledger(&world, &["reshard", "--to", "2"], Some(&own), false);
    assert!(
        said(&output).contains("belongs to the user 65532"),
        "{}",
        said(&output)
    );
    std::fs::remove_dir_all(&own).unwrap();
    let from = data.join("process-0");
    let words = [
        "move",
        "--brand",
        "orchard",
        "--from",
        from.to_str().unwrap(),
        "--to",
        "elsewhere/process-north-0",
    ];
    let output = ledger(&world, &words, Some(&own), false);
    assert!(
        said(&output).contains("belongs to the user 65532"),
        "{}",
        said(&output)
    );

    // The owner may, and so may who was given the directory, as Kubernetes gives a volume to the group of a pod.
    let volume = world.path("volume");
    std::fs::create_dir(&volume).unwrap();
    chown(&volume, Some(0), Some(USER)).unwrap();
    std::fs::set_permissions(&volume, std::fs::Permissions::from_mode(0o2770)).unwrap();
    for (words, directory) in [
        (&["restore"][..], Some(volume.as_path())),
        (&["reshard", "--to", "2"], None),
    ] {
        let output = ledger(&world, words, directory, true);
        assert!(output.status.success(), "{words:?}: {}", said(&output));
    }
}

//! Two processes of one cluster with different settings: neither starts, and both name the setting.

use std::path::Path;

use crate::support::story::two_processes;
use crate::support::version::other_build;
use crate::support::{World, tributary};
use tributary::version::COMMIT;
use tributary_testkit::NatsServer;

/// What one of the processes has otherwise, and the setting that both must name: brands at other places, a gate, a window
/// and a calendar.
const CHANGES: [(&str, &str, &str); 4] = [
    (
        "[[brand]]\n",
        "[[brand]]\nname = \"aaa\"\nsecret_file = \"aaa\"\n\n[[brand]]\n",
        "brand.aaa.",
    ),
    ("k = 1\n", "k = 7\n", "release.k"),
    (
        "[brand.retention]",
        "[brand.attribution]\nclick_window = \"1d\"\n[brand.retention]",
        "brand.orchard.attribution.click_window is ",
    ),
    (
        "timezone = \"Europe/Paris\"",
        "timezone = \"Asia/Tokyo\"",
        "brand.orchard.timezone is ",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_differ_refuse_to_start() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(1, Some(&broker), &two_processes());
    let config = world.path("tributary.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let secret = "another secret of forty-one letters or so";
    tributary_testkit::write_secret(world.path("aaa"), secret);
    for (from, to, named) in CHANGES {
        let other = world.path("other.toml");
        let changed = text.replacen(from, to, 1);
        assert_ne!(text, changed, "{from}");
        std::fs::write(&other, changed).unwrap();
        tokio::task::block_in_place(|| {
            let both = [(&config, "0"), (&other, "1")].map(|(config, process)| {
                let mut command = tributary();
                command.args(["run", "--process", process, "--config"]);
                command.arg(config).stderr(std::process::Stdio::piped());
                command.spawn().unwrap()
            });
            for process in both {
                let output = process.wait_with_output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(!output.status.success(), "{named}: {said}");
                assert!(said.contains(named), "{named}: {said}");
            }
        });
    }
}

/// Two builds of one version may compute other numbers.
#[tokio::test(flavor = "multi_thread")]
async fn two_builds_of_one_version_are_no_cluster() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(1, Some(&broker), &two_processes());
    let Some((program, other)) = other_build(world.directory.path()) else {
        return;
    };
    let config = world.path("tributary.toml");
    tokio::task::block_in_place(|| {
        let own = Path::new(env!("CARGO_BIN_EXE_tributary"));
        let both = [(own, "0"), (&*program, "1")].map(|(program, process)| {
            let mut command = std::process::Command::new(program);
            command.args(["run", "--process", process, "--config"]);
            command.arg(&config).stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        });
        for process in both {
            let output = process.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{said}");
            for named in ["version of tributary is ", COMMIT, &*other] {
                assert!(said.contains(named), "{named}: {said}");
            }
        }
    });
}

/// Hosts of a file are checked as those of the configuration are.
#[test]
fn hosts_beyond_this_machine_are_refused_wherever_they_are_named() {
    let world = World::new(100, None, "");
    let hosts = world.path("hosts");
    std::fs::write(&hosts, "# peers\n127.0.0.1:1\n10.0.0.7:2101\n").unwrap();
    let mut command = tributary();
    command.args(["run", "--config"]);
    command.arg(world.path("tributary.toml"));
    let output = command.arg("--hostfile").arg(&hosts).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    for word in ["hosts: ", "10.0.0.7:2101", "workers.private_network = true"] {
        assert!(error.contains(word), "{error}");
    }
}

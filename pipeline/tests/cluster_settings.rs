//! Two processes of one cluster with different settings: neither starts, and both name the setting.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use support::story::two_processes;
use support::{World, tributary};
use tributary_loadtest::testing::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_differ_refuse_to_start() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(1, Some(&broker), &two_processes());
    let config = world.path("tributary.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let other = world.path("other.toml");
    let changed = text.replace("cadence = \"1s\"", "cadence = \"2s\"");
    assert_ne!(text, changed);
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
            assert!(!output.status.success(), "{said}");
            assert!(said.contains("release.cadence is "), "{said}");
        }
    });
}

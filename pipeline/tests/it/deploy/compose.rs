//! What the compose file starts is what it promises: the commands of its services, with a real broker, give the page and
//! Prometheus the numbers of the simulated brand.

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use tributary_testkit::{NatsServer, free_port, skipped};

use super::{get, programs};
use crate::guides_parts::document::root;
use crate::support::{PATIENCE, succeed};

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_services_give_numbers() {
    let compose = root().join("target/tools/deploy/bin/docker-compose");
    if !compose.exists() {
        skipped("no docker-compose: run `bash .ci/tools.sh deploy`");
        return;
    }
    let Some(broker) = NatsServer::start_or_skip("") else {
        return;
    };
    let mut config = Command::new(compose);
    config
        .arg("-f")
        .arg(root().join("config/deploy/compose/compose.yaml"));
    let config = succeed(config.args(["config", "--format=json"])).stdout;
    let config: Value = serde_json::from_slice(&config).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    // The command of a service, on this machine instead of in its containers.
    let here = |text: &str| {
        text.replace("/var/lib/tributary", directory.path().to_str().unwrap())
            .replace("nats://nats:4222", &broker.url())
            .replace("0.0.0.0:9464", &format!("127.0.0.1:{port}"))
            .replace("--events=200000", "--events=4000")
    };
    let command = |name: &str| {
        let service = &config["services"][name];
        let program = service["entrypoint"][0]
            .as_str()
            .unwrap_or("/usr/bin/tributary");
        let mut command = Command::new(programs().join(program.strip_prefix("/usr/bin/").unwrap()));
        let arguments = service["command"].as_array().unwrap();
        command.args(
            arguments
                .iter()
                .map(|argument| here(argument.as_str().unwrap())),
        );
        for (name, value) in service["environment"].as_object().into_iter().flatten() {
            command.env(name, here(value.as_str().unwrap()));
        }
        command.current_dir(directory.path());
        command
    };
    succeed(&mut command("brand"));
    // A second `up` changes nothing that it must not.
    let secret = || {
        let files = std::fs::read_dir(directory.path()).unwrap();
        let secret = files
            .map(|file| file.unwrap().path())
            .find(|path| path.extension().is_some_and(|of| of == "secret"));
        std::fs::read(secret.unwrap()).unwrap()
    };
    let drawn = secret();
    succeed(&mut command("brand"));
    assert_eq!(secret(), drawn);

    let _worker = Running(command("worker").stderr(Stdio::null()).spawn().unwrap());
    succeed(&mut command("records"));
    let begun = Instant::now();
    loop {
        let metrics = get(port, "/metrics")
            .map(|(_, text)| text)
            .unwrap_or_default();
        if metrics.contains("tributary_order_takings{") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{metrics}");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

//! The compose file is one that Docker Compose accepts, gives nothing away to other machines, and mounts what is there.

use std::path::Path;

use serde_json::Value;

use super::chart::promtool_or_skip;
use super::{deploy, run, tool_or_skip};

/// The file as Docker Compose reads it, or none with a printed reason.
fn compose_or_skip() -> Option<Value> {
    let compose = tool_or_skip("deploy/bin/docker-compose")?;
    let file = deploy("compose/compose.yaml");
    let arguments = [
        "-f".as_ref(),
        file.as_os_str(),
        "config".as_ref(),
        "--format=json".as_ref(),
    ];
    let (output, said) = run(compose, &arguments);
    assert!(output.status.success(), "{said}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn docker_compose_accepts_the_file() {
    let Some(file) = compose_or_skip() else {
        return;
    };
    let services = file["services"].as_object().unwrap();
    let names: Vec<&str> = services.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "brand",
            "grafana",
            "nats",
            "prometheus",
            "records",
            "worker"
        ]
    );
    for (name, service) in services {
        for port in service["ports"].as_array().into_iter().flatten() {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name}");
        }
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        // Grafana installs its plugin.
        assert_eq!(
            service["read_only"].as_bool(),
            (name != "grafana").then_some(true),
            "{name}"
        );
        for volume in service["volumes"].as_array().into_iter().flatten() {
            if volume["type"] == "bind" {
                let source = volume["source"].as_str().unwrap();
                assert!(Path::new(source).exists(), "{name}: {source}");
                assert_eq!(volume["read_only"], true, "{name}: {source}");
            }
        }
        let image = service["image"].as_str().unwrap();
        assert!(
            image.contains(':') && !image.ends_with(":latest"),
            "{image}"
        );
    }
}

#[test]
fn a_wrong_compose_file_is_refused() {
    let Some(compose) = tool_or_skip("deploy/bin/docker-compose") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("compose.yaml");
    let text = std::fs::read_to_string(deploy("compose/compose.yaml")).unwrap();
    std::fs::write(&file, text.replace("read_only:", "readonly:")).unwrap();
    let (output, said) = run(
        compose,
        &["-f".as_ref(), file.as_os_str(), "config".as_ref()],
    );
    assert!(
        !output.status.success() && said.contains("readonly"),
        "{said}"
    );
}

#[test]
fn prometheus_accepts_its_configuration() {
    let Some(promtool) = promtool_or_skip() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("prometheus.yml");
    std::fs::copy(deploy("compose/prometheus.yml"), &file).unwrap();
    std::os::unix::fs::symlink(
        super::root().canonicalize().unwrap().join("grafana/rules"),
        directory.path().join("rules"),
    )
    .unwrap();
    let (output, said) = run(
        promtool,
        &["check".as_ref(), "config".as_ref(), file.as_os_str()],
    );
    assert!(output.status.success(), "{said}");
    assert!(said.contains("2 rule files found"), "{said}");
    // What differs from the configuration for one machine is where the worker is.
    let own = std::fs::read_to_string(&file).unwrap();
    assert!(own.contains("targets: [\"worker:9464\"]") && own.contains("job_name: tributary"));
}

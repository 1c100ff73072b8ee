//! `config check` says everything that is wrong at once, each with its line and what would be right.

use crate::support::{succeed, tributary};

const BROKEN: &str = r#"[nats]
url = "http://127.0.0.1:4222"

[workers]
threds = 2

[release]
k = 0

[[brand]]
name = "Acme Inc"
timezone = "Europe/Pariss"
secret_file = "missing.secret"

[brand.attribution]
click_window = "thirty days"

[[brand.source]]
name = "till"
kind = "transactoin"
"#;

#[test]
fn every_problem_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("broken.toml");
    std::fs::write(&file, BROKEN).unwrap();
    let output = tributary()
        .args(["config", "check"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    for (line, word) in [
        (2, "nats.url"),
        (5, "threads"),
        (8, "release.k"),
        (11, "name"),
        (12, "Europe/Paris"),
        (13, "missing.secret"),
        (16, "click_window"),
        (20, "transaction"),
    ] {
        let place = format!("broken.toml:{line}:");
        assert!(
            text.lines().any(|l| l.contains(&place) && l.contains(word)),
            "line {line} with {word} is missing in\n{text}"
        );
    }
}

#[test]
fn the_example_holds_and_prints_without_its_secret() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tributary.toml");
    let example = succeed(tributary().args(["config", "example"])).stdout;
    std::fs::write(&file, &example).unwrap();
    let secret = "a secret that nobody may see, forty bytes";
    tributary_testkit::write_secret(directory.path().join("acme.secret"), secret);
    succeed(tributary().args(["config", "check"]).arg(&file));
    let printed = succeed(tributary().args(["config", "print"]).arg(&file)).stdout;
    let printed = String::from_utf8(printed).unwrap();
    assert!(printed.contains("Europe/Paris") && !printed.contains(secret));
    let schema = succeed(tributary().args(["config", "schema"])).stdout;
    let schema: serde_json::Value = serde_json::from_slice(&schema).unwrap();
    assert!(schema["properties"]["brand"].is_object());
}

#[test]
fn the_reference_is_true() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/REFERENCE.md");
    let printed = succeed(tributary().args(["config", "schema", "--markdown"])).stdout;
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == String::from_utf8(printed).unwrap(),
        "config/REFERENCE.md is old: make reference writes it anew"
    );
}

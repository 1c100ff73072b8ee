//! Before an upgrade, the new program says what it would do with the configuration, the ledgers and the cluster of the old one,
//! and changes nothing.

use std::path::Path;

use serde_json::Value;
use tributary::version::TEXT;
use tributary_connectors::nats::Holder;
use tributary_testkit::NatsServer;

use crate::support::story::{contents, two_processes, until};
use crate::support::{Worker, World, tributary};

/// Exit code and report of the command.
fn check(config: &Path, more: &[&str]) -> (i32, Value) {
    let mut command = tributary();
    command.args(["upgrade", "check", "--json", "--config"]);
    let output = command.arg(config).args(more).output().unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let errors = String::from_utf8_lossy(&output.stderr);
        panic!("{error}: {errors}")
    });
    (output.status.code().unwrap(), report)
}

/// The findings with an outcome: what was looked at, and what was found.
fn found(report: &Value, outcome: &str) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    let findings = findings.filter(|finding| finding["outcome"] == outcome);
    let text = |finding: &Value| {
        let text = |key: &str| finding[key].as_str().unwrap().to_owned();
        format!("{} {}; {}", text("subject"), text("text"), text("fix"))
    };
    findings.map(text).collect()
}

/// The configuration of the brands whose ledgers of older formats are kept in the repository.
fn configure(directory: &Path, more: &str) -> std::path::PathBuf {
    let mut text = more.to_owned();
    for (brand, letter) in [("acme", "a"), ("bolt", "b")] {
        let secret = directory.join(format!("{brand}.secret"));
        tributary_testkit::write_secret(&secret, &format!("{brand} {}", tributary_testkit::SECRET));
        // Nobody would be let draw this one today, but what was written under it stays readable.
        let previous = directory.join(format!("{brand}.previous"));
        tributary_testkit::write_secret(&previous, &(letter.repeat(24) + "0123456789abcdef"));
        text += &format!(
            "[[brand]]\nname = \"{brand}\"\ntimezone = \"UTC\"\nsecret_file = {secret:?}\n\
             previous_secret_files = [{previous:?}]\n"
        );
    }
    let config = directory.join("tributary.toml");
    std::fs::write(&config, text).unwrap();
    config
}

/// Copies a ledger of a format to where a worker looks for it.
fn ledger(directory: &Path, format: impl std::fmt::Display) -> std::path::PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("ledger/tests/format-{format}"));
    let to = directory.join("tributary-data/process-0");
    std::fs::create_dir_all(to.join("segments")).unwrap();
    for (name, bytes) in contents(&from) {
        let name = name.strip_prefix(&from).unwrap_or(&name);
        std::fs::write(to.join(name), bytes).unwrap();
    }
    to
}

#[test]
fn ledgers_of_older_formats_are_recognized_and_left_alone() {
    for format in 4..=7 {
        let directory = tempfile::tempdir().unwrap();
        let config = configure(directory.path(), "");
        let ledger = ledger(directory.path(), format);
        let before = contents(&ledger);
        let (status, report) = check(&config, &["--offline"]);
        // The objections that these ledgers name are not beside them.
        assert_eq!(status, 1, "{report:#}");
        let refused = found(&report, "refused");
        assert!(
            refused.iter().all(|text| text.contains("objection")),
            "{refused:?}"
        );
        let irreversible = found(&report, "irreversible");
        assert_eq!(irreversible.len(), usize::from(format < 7), "{report:#}");
        for text in irreversible {
            for part in [&format!("has format {format}"), "format 7", "copy the data"] {
                assert!(text.contains(part), "{text}");
            }
        }
        assert_eq!(contents(&ledger), before);
    }
    let directory = tempfile::tempdir().unwrap();
    let config = configure(directory.path(), "");
    ledger(directory.path(), "6-named");
    let (status, report) = check(&config, &["--offline"]);
    assert_eq!(status, 3, "{report:#}");
    assert!(found(&report, "refused").is_empty(), "{report:#}");
}

#[test]
fn what_a_start_would_refuse_is_refused_before() {
    let directory = tempfile::tempdir().unwrap();
    let config = configure(directory.path(), "");
    let ledger = ledger(directory.path(), 7);
    let manifest = std::fs::read(ledger.join("MANIFEST")).unwrap();
    let refused = |of: &str| {
        let (status, report) = check(&config, &["--offline"]);
        assert_eq!((status, &report["outcome"]), (1, &Value::from("refused")));
        let refused = found(&report, "refused");
        assert!(refused.iter().any(|text| text.contains(of)), "{refused:?}");
    };
    // A ledger that a newer version has continued, one of other secrets, and one of a larger cluster.
    std::fs::write(ledger.join("MANIFEST"), b"tributary-ledger 8 newer\n").unwrap();
    refused("written in format 8 by a newer version");
    std::fs::write(ledger.join("MANIFEST"), manifest).unwrap();
    tributary_testkit::write_secret(
        directory.path().join("acme.previous"),
        tributary_testkit::SECRET,
    );
    refused("acme");
    configure(
        directory.path(),
        "[workers]\nhosts = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n",
    );
    refused("is the ledger of process 0 of 1, and would be opened by process 0 of 2");

    // All problems of a configuration that this version does not accept, with their lines.
    configure(directory.path(), "[release]\nk = 0\nkk = 1\n");
    let (status, report) = check(&config, &["--offline"]);
    assert_eq!(status, 1);
    let refused = found(&report, "refused").join("\n");
    assert!(
        refused.contains("tributary.toml:2") && refused.contains("tributary.toml:3"),
        "{refused}"
    );
}

#[test]
fn settings_of_another_version_are_compared() {
    let directory = tempfile::tempdir().unwrap();
    let config = configure(directory.path(), "");
    ledger(directory.path(), "7-named");
    let schema = tributary().args(["config", "schema"]).output().unwrap();
    let before = directory.path().join("before.json");
    let of = before.display().to_string();
    std::fs::write(&before, &schema.stdout).unwrap();
    let (status, report) = check(&config, &["--offline", "--before", &of]);
    assert_eq!(status, 0);
    assert!(
        found(&report, "ok")
            .iter()
            .any(|text| text.contains("same defaults"))
    );

    let mut schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    let release = &mut schema["properties"]["release"]["properties"];
    release["k"]["default"] = Value::from(40);
    release["j"] = serde_json::json!({"type": "integer"});
    release.as_object_mut().unwrap().remove("ladder");
    std::fs::write(&before, schema.to_string()).unwrap();
    let (status, report) = check(&config, &["--offline", "--before", &of]);
    assert_eq!(status, 0, "{report:#}");
    let warnings = found(&report, "warning").join("\n");
    for text in [
        "release.j is no setting",
        "release.k has another default: 50 instead of 40",
    ] {
        assert!(warnings.contains(text), "{warnings}");
    }
    let notes = found(&report, "note").join("\n");
    assert!(notes.contains("release.ladder is a new setting"), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_runs_now_is_named() {
    let Some(mut server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(1, Some(&broker), "");
    let config = world.path("tributary.toml");
    let ok = |report: &Value, text: &str| {
        let ok = found(report, "ok");
        assert!(ok.iter().any(|found| found.contains(text)), "{report:#}");
    };
    tokio::task::block_in_place(|| {
        // Before there is a ledger, nothing is known.
        let (status, report) = check(&config, &[]);
        assert_eq!(status, 1, "{report:#}");
        let refused = found(&report, "refused").join("\n");
        assert!(refused.contains("has no ledger"), "{refused}");
        ok(&report, "no process has published");
        let worker = Worker::start(&config, &[]);
        until("it is ready", || {
            worker
                .get("/readyz")
                .is_some_and(|(status, _)| status == 200)
        });
        let (status, report) = check(&config, &[]);
        assert_eq!(status, 0, "{report:#}");
        let note = found(&report, "note").join("\n");
        let runs = format!("process 0 runs version {TEXT} on");
        assert!(note.contains(&runs), "{report:#}");
        // Another number of processes would be refused.
        let two = world.path("two.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&two, format!("{}\n{text}", two_processes())).unwrap();
        let (status, report) = check(&two, &[]);
        assert_eq!(status, 1);
        let refused = found(&report, "refused").join("\n");
        assert!(refused.contains("in a cluster of 1"), "{refused}");
        let hosts = world.path("hosts");
        std::fs::write(&hosts, "# all of them\n127.0.0.1:1\n\n127.0.0.1:2\n").unwrap();
        let (_, by_file) = check(&config, &["--hostfile", hosts.to_str().unwrap()]);
        assert_eq!(found(&by_file, "refused").join("\n"), refused);
        worker.stop();
        let (_, report) = check(&config, &[]);
        ok(&report, "runs now");
    });

    // A process that was killed does not run, whatever it has left at the broker.
    let client = tributary_connectors::nats::connect(&broker, "test")
        .await
        .unwrap();
    let holders = tributary_connectors::nats::holders(&client, &broker.output_stream)
        .await
        .unwrap();
    let [
        (
            Holder {
                process: 0,
                released: true,
                ..
            },
            _,
        ),
    ] = holders[..]
    else {
        panic!("{holders:?}");
    };
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        until("it is ready", || {
            worker
                .get("/readyz")
                .is_some_and(|(status, _)| status == 200)
        });
        worker.kill();
        let (_, report) = check(&config, &[]);
        ok(&report, "runs now");
        // And without a broker the finding names the way out.
        server.kill();
        let (status, report) = check(&config, &[]);
        assert_eq!((status, &report["outcome"]), (1, &Value::from("refused")));
        let refused = found(&report, "refused");
        assert!(
            refused.iter().any(|text| text.contains("--offline")),
            "{refused:?}"
        );
    });
}

#[test]
fn what_is_missing_of_a_ledger_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let config = configure(directory.path(), "");
    let ledger = ledger(directory.path(), 7);
    let segment = ledger.join("segments/0000000001.seg");
    let bytes = std::fs::read(&segment).unwrap();
    let refused = |of: &str| {
        let (status, report) = check(&config, &["--offline"]);
        assert_eq!((status, &report["outcome"]), (1, &Value::from("refused")));
        let refused = found(&report, "refused");
        assert!(refused.iter().any(|text| text.contains(of)), "{refused:?}");
    };
    // The objections that the manifest names are not here.
    refused("objection");
    let mark = directory.path().join("tributary-data/standby-0.json");
    std::fs::write(&mark, "{").unwrap();
    refused("is damaged");
    std::fs::remove_file(&mark).unwrap();
    let moves = directory.path().join("tributary-data/moves-0.json");
    std::fs::write(&moves, "{").unwrap();
    refused("no list of moves");
    std::fs::remove_file(&moves).unwrap();
    std::fs::remove_file(&segment).unwrap();
    assert_eq!(check(&config, &["--offline"]).0, 1);
    std::fs::write(&segment, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(check(&config, &["--offline"]).0, 1);
}

//! An operator finds out what was rejected and why, corrects the cause, and sends it again: once each, and nothing goes
//! round.

use std::path::Path;

use serde_json::{Value, json};
use tributary_connectors::nats::{OutgoingMessage, Publisher};
use tributary_testkit::NatsServer;

use crate::support::story::{last, ready, until};
use crate::support::{Worker, succeed, tributary};

/// A time without a zone, and a line that is no JSON. Both name a person.
const LINES: [&str; 2] = [
    r#"{"id":"t1","ts":"2026-11-20 10:00:00","store":"s1","amount":"12.50","email":"ada@example.org"}"#,
    r#"{"id":"t2","email":"ada@example.org""#,
];

/// Writes the configuration of a brand, with `more` lines for its source.
fn configure(directory: &Path, broker: &str, more: &str) {
    let text = format!(
        "[nats]\nurl = \"{broker}\"\npings_stream = \"\"\n[http]\nlisten = \"127.0.0.1:0\"\n[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\n\
         secret_file = \"secret\"\n[[brand.source]]\nname = \"tills\"\nkind = \"transaction\"\n{more}\n"
    );
    tributary_testkit::write_secret(directory.join("secret"), tributary_testkit::SECRET);
    std::fs::write(directory.join("tributary.toml"), text).unwrap();
}

/// What a command of `dead-letters` prints.
fn run(config: &Path, arguments: &[&str]) -> String {
    let mut command = tributary();
    command.arg("dead-letters").args(arguments);
    command.arg("--config").arg(config);
    String::from_utf8(succeed(&mut command).stdout).unwrap()
}

/// The counts by reason.
fn reasons(config: &Path) -> Vec<(String, u64)> {
    let list = run(config, &["list", "--json"]);
    let sums = list.lines().map(|line| {
        let sum: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&sum["brand"], &sum["kind"]),
            (&json!("acme"), &json!("transaction"))
        );
        let reason = sum["reason"].as_str().unwrap().to_owned();
        (reason, sum["count"].as_u64().unwrap())
    });
    sums.collect()
}

/// The counts of a resend.
fn resend(config: &Path, arguments: &[&str]) -> [u64; 2] {
    let arguments: Vec<&str> = ["resend", "--json"]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    let counts: Value = serde_json::from_str(&run(config, &arguments)).unwrap();
    ["resent", "resent_before"].map(|name| counts[name].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_rejected_is_explained_and_sent_again_once() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), &server.url(), "");
    let config = directory.path().join("tributary.toml");
    let client = ready(&broker).await;
    // Lets a worker read everything, until there are so many dead letters and records.
    let work = async |letters: u64, records: f64| {
        let end = last(&client, "TRIBUTARY_IN").await;
        tokio::task::block_in_place(|| {
            let worker = Worker::start(&config, &[]);
            worker.wait_until_read(end);
            until("the dead letters are published", || {
                reasons(&config).iter().map(|(_, count)| count).sum::<u64>() == letters
            });
            until("the records are stored", || {
                worker.metric("tributary_records_held") == Some(records)
            });
            worker.stop();
        })
    };
    let mut publisher = Publisher::new(&client, 8);
    for line in LINES {
        let message = OutgoingMessage {
            subject: "tributary.in.acme.transaction.tills".to_owned(),
            headers: Vec::new(),
            payload: line.into(),
            id: None,
        };
        publisher.send(message).await.unwrap();
    }
    publisher.flush().await.unwrap();
    work(2, 0.0).await;
    let of = |reason: &str, count: u64| (reason.to_owned(), count);
    let both = [of("malformed_json", 1), of("time_without_zone", 1)];
    assert_eq!(reasons(&config), both);

    // Whoever looks on sees no address.
    for arguments in [&["list"][..], &["show"], &["show", "--json"]] {
        let shown = run(&config, arguments);
        assert!(!shown.contains("ada"), "{shown}");
        assert!(shown.contains("time_without_zone"), "{shown}");
    }
    let shown = run(&config, &["show", "--reason", "time_without_zone"]);
    assert!(
        shown.contains(r#""amount":"12.50""#) && shown.contains("1 of 1"),
        "{shown}"
    );
    assert!(run(&config, &["show", "--clear"]).contains("ada@example.org"));
    let list = run(&config, &["list", "--csv"]);
    let mut rows = list.split("\r\n");
    assert_eq!(rows.next(), Some("brand,kind,reason,count,newest,detail"));
    assert!(
        rows.next()
            .is_some_and(|row| row.starts_with("acme,transaction,malformed_json,1,"))
    );
    let shown = run(&config, &["show", "--csv", "--reason", "time_without_zone"]);
    let (header, row) = shown.split_once("\r\n").unwrap();
    assert_eq!(
        header,
        "number,time,brand,kind,reason,detail,resent,payload"
    );
    assert!(
        row.contains(",acme,transaction,time_without_zone,"),
        "{row}"
    );
    assert!(
        row.contains(r#""{""amount"":""12.50"""#) && !row.contains("ada"),
        "{row}"
    );

    // Nothing is sent without a choice, nor by a trial.
    let mut without = tributary();
    without
        .args(["dead-letters", "resend", "--config"])
        .arg(&config);
    assert!(!without.output().unwrap().status.success());
    assert_eq!(resend(&config, &["--all", "--dry-run"]), [2, 0]);
    assert_eq!(reasons(&config), both);

    // What is rejected again does not go round.
    let malformed = ["--reason", "malformed_json"];
    assert_eq!(resend(&config, &malformed), [1, 0]);
    assert_eq!(reasons(&config), [of("time_without_zone", 1)]);
    work(2, 0.0).await;
    assert_eq!(resend(&config, &malformed), [0, 1]);
    assert_eq!(
        resend(
            &config,
            &["--reason", "malformed_json", "--again", "--dry-run"]
        ),
        [1, 0]
    );

    // With the cause corrected, the record counts.
    configure(directory.path(), &server.url(), "zone = \"Europe/Paris\"");
    assert_eq!(resend(&config, &["--kind", "transaction"]), [1, 1]);
    work(1, 1.0).await;
    assert_eq!(reasons(&config), [of("malformed_json", 1)]);
}

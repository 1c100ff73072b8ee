//! The examples do what they say: each sends a visit through the HTTP ingest server into the input stream.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tributary::live_config::LiveConfig;
use tributary::report::metrics::Metrics;
use tributary::serve::ingest::{self, IngestServer};
use tributary_connectors::nats;
use tributary_testkit::{NatsServer, skipped};

use crate::support::story::last;

/// The programs, each with the command that runs it.
const EXAMPLES: [(&str, &str); 3] = [
    ("bash", "send.sh"),
    ("python3", "send.py"),
    ("node", "send.mjs"),
];

/// `nats pub --server URL SUBJECT BODY`, and nothing else.
const NATS_PUB: &str = r#"#!/usr/bin/env bash
set -euo pipefail
[ "$1 $2" = "pub --server" ]
address="${3#nats://}"
exec 3<>"/dev/tcp/${address%:*}/${address#*:}"
printf 'CONNECT {"verbose":false}\r\nPUB %s %s\r\n%s\r\nPING\r\n' "$4" "${#5}" "$5" >&3
while read -r line <&3; do
    case "$line" in
    PONG*) break ;;
    -ERR*) echo "$line" >&2 && exit 1 ;;
    esac
done
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_send_records() {
    let Some(broker) = NatsServer::start_or_skip("") else {
        return;
    };
    let text = format!(
        "[nats]\nurl = \"{}\"\n[http_ingest]\nlisten = \"127.0.0.1:0\"\n[[brand]]\nname = \"acme\"\nsecret_env = \"SECRET\"\n",
        broker.url()
    );
    let secret = |name: &str| (name == "SECRET").then(|| tributary_testkit::SECRET.to_owned());
    let config = tributary_config::parse_in(&text, Path::new("t.toml"), &secret);
    let config = config.unwrap().config;
    let client = nats::connect(&config.nats, "test").await.unwrap();
    nats::ensure_input_stream(&client, &config.nats, &["acme"])
        .await
        .unwrap();
    let server = IngestServer::new(&LiveConfig::fixed(&config), Arc::new(Metrics::new(&config)));
    server.open(&client);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(ingest::serve(server, listener, std::future::pending()));
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../connectors/examples");
    let mut sent = 0;
    for (program, file) in EXAMPLES {
        let mut command = Command::new(program);
        command.arg(examples.join(file));
        command.env("TRIBUTARY_INGEST", &address);
        let output = tokio::task::block_in_place(|| command.output());
        let Ok(output) = output else {
            skipped(&format!("the example {file} needs {program}"));
            continue;
        };
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{file}: {errors}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["lines"], 1, "{file}: {answer}");
        sent += 1;
        assert_eq!(
            last(&client, &config.nats.input_stream).await,
            sent,
            "{file}"
        );
    }
    serving.abort();

    // The broker's own protocol serves where its command line is not installed.
    let path = tempfile::tempdir().unwrap();
    let own = path.path().join("nats");
    std::fs::write(&own, NATS_PUB).unwrap();
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o755)).unwrap();
    let system = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    command.arg(examples.join("publish.sh"));
    command.env("PATH", format!("{system}:{}", path.path().display()));
    command.env("TRIBUTARY_NATS", broker.url());
    let output = tokio::task::block_in_place(|| command.output()).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "publish.sh: {errors}");
    // Nobody acknowledges a plain publication.
    let stored = async {
        while last(&client, &config.nats.input_stream).await < sent + 1 {
            tokio::task::yield_now().await;
        }
    };
    let stored = tokio::time::timeout(Duration::from_secs(60), stored).await;
    stored.expect("the stream stores what publish.sh publishes");
}

//! The export to a collector of OpenTelemetry, received by OTLP and decoded without the code that encodes it: every line of
//! standard error arrives, up to the last, and every epoch with its stages. A collector that hangs, is full or was killed
//! delays nothing, and what it misses is counted. Without an endpoint no connection is opened.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tributary_connectors::nats::subject;
use tributary_testkit::NatsServer;
use tributary_testkit::otlp::{Attribute, Behavior, Collector, Line, Span};

use crate::support::certificates::certificates;
use crate::support::statuses::Statuses;
use crate::support::story::{assert_stands, configure, last, play, ready, until};
use crate::support::{Worker, World, tributary};

const SENT: &str = "tributary_telemetry_sent_total";
const DROPPED: &str = "tributary_telemetry_dropped_total";

/// What `[telemetry]` says of a collector, with every epoch traced.
fn telemetry(endpoint: &str, more: &str) -> String {
    format!("[telemetry]\notlp_endpoint = \"{endpoint}\"\nepoch_share = \"1\"\n{more}")
}

/// A line from standard error or from the collector: its level, its target, and its fields.
type Logged = (String, String, String);

/// The fields of a line as text, in the order of their names.
fn fields(fields: BTreeMap<String, Value>) -> String {
    format!("{fields:?}")
}

/// The lines of standard error.
fn shown(log: &str) -> Vec<Logged> {
    let mut logged: Vec<Logged> = log
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
            let text = |key: &str| line[key].as_str().unwrap().to_owned();
            let logged = serde_json::from_value(line["fields"].clone());
            (text("level"), text("target"), fields(logged.unwrap()))
        })
        .collect();
    logged.sort();
    logged
}

/// The same of what a collector has received.
fn received(lines: &[Line]) -> Vec<Logged> {
    let value = |attribute: &Attribute| match attribute {
        Attribute::Text(text) => json!(text),
        Attribute::Bool(yes) => json!(yes),
        Attribute::Int(number) => json!(number),
        Attribute::Double(number) => json!(number),
    };
    let mut logged: Vec<Logged> = lines
        .iter()
        .map(|line| {
            let attributes = line.attributes.iter();
            let mut logged: BTreeMap<String, Value> = attributes
                .map(|(key, attribute)| (key.clone(), value(attribute)))
                .collect();
            logged.insert("message".to_owned(), value(&line.message));
            (line.level.clone(), line.target.clone(), fields(logged))
        })
        .collect();
    logged.sort();
    logged
}

/// The names of spans below each epoch that was traced, and the epochs themselves.
fn epochs(spans: &[Span]) -> Vec<(&Span, BTreeSet<&str>)> {
    let roots = spans.iter().filter(|span| span.name == "epoch");
    roots
        .map(|root| {
            let children = spans
                .iter()
                .filter(|span| span.parent == root.id && span.trace == root.trace);
            (root, children.map(|span| span.name.as_str()).collect())
        })
        .collect()
}

/// What a span counts.
fn count(span: &Span, name: &str) -> i64 {
    span.attributes[name].int().expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_and_every_stage_arrive() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let collector = Collector::start();
    let endpoint = format!("{}/otel/", collector.url());
    let more = "otlp_headers_file = \"otlp.headers\"\nservice_name = \"shop\"\n";
    let settings = format!("{}[workers]\nthreads = 2\n", telemetry(&endpoint, more));
    let world = World::new(300, Some(&broker), &settings);
    let headers = world.path("otlp.headers");
    tributary_testkit::write_secret(
        &headers,
        "Authorization: Bearer 5ecret-of-otel\nX-Tenant: n\n",
    );
    let config = world.path("tributary.toml");
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    let (first, rest) = lines.split_at(200);
    play(&client, first, None).await;
    let end = last(&client, &broker.input_stream).await;

    // A first run leaves a ledger to restore, and what it exports is not looked at.
    let worker = Worker::start(&config, &[]);
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        worker.stop();
    });
    let before = (collector.spans().len(), collector.lines().len());

    // A key is replaced while the process runs: each export reads it.
    let mut worker = Worker::start(&config, &[]);
    tokio::task::block_in_place(|| worker.wait_until_read(end));
    let newer = world.path("newer.headers");
    tributary_testkit::write_secret(&newer, "Authorization: Bearer n3w-5ecret\n");
    std::fs::rename(&newer, &headers).unwrap();
    play(&client, rest, None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| worker.wait_until_read(end));
    let mut statuses = Statuses::open(&client, &broker).await;
    let email = lines.iter().find_map(|line| {
        let record: Value = serde_json::from_slice(&line.data).ok()?;
        Some(record["email"].as_str()?.to_owned())
    });
    let email = email.expect("somebody has an address");
    let request = json!({
        "id": "r-1", "ts": "2026-11-20T09:00:00Z", "type": "erase", "proof": "ticket",
        "identifiers": [{"kind": "email", "value": email}],
    });
    let jetstream = async_nats::jetstream::new(client.clone());
    let subject = subject::rights_requests("orchard");
    let sent = jetstream.publish(subject, request.to_string().into());
    sent.await.unwrap().await.unwrap();
    statuses.end("r-1", 1).await;
    let (_, shown_config) = worker.get("/config").unwrap();
    assert!(
        shown_config.contains("otlp_headers = \"***\""),
        "{shown_config}"
    );
    assert!(!shown_config.contains("5ecret"));
    tokio::task::block_in_place(|| {
        until("the cells of an epoch are published", || {
            let spans = collector.spans();
            spans[before.0..].iter().any(|span| span.name == "publish")
        });
        until("the retention pass has ended", || {
            let passed = worker.metric("tributary_retention_last_pass_timestamp_seconds");
            passed.is_some_and(|passed| passed > 0.0)
        });
        worker.signal();
        worker.end();
        until("standard error has the last line", || {
            worker.said("\"message\":\"stopped\"")
        });
    });

    // The lines are those of standard error, and the last one is among them.
    let log = worker.log();
    let lines = collector.lines().split_off(before.1);
    assert_eq!(received(&lines), shown(&log));
    let newest = lines.iter().max_by_key(|line| line.at).unwrap();
    assert_eq!(newest.message, Attribute::Text("stopped".to_owned()));
    assert_eq!((newest.severity, newest.level.as_str()), (9, "INFO"));

    // Spans have counts only, and each epoch its stages.
    let spans = collector.spans().split_off(before.0);
    let known = BTreeMap::from([
        ("service.name", "shop"),
        ("service.instance.id", "0"),
        ("service.version", env!("CARGO_PKG_VERSION")),
    ]);
    let mut ids = BTreeSet::new();
    for span in &spans {
        assert!(ids.insert((&span.trace, &span.id)), "{span:?}");
        assert_eq!((span.trace.len(), span.id.len(), span.kind), (16, 8, 1));
        assert!(0 < span.begun && span.begun <= span.ended, "{span:?}");
        assert_eq!(span.status, 0, "{span:?}");
        let counts = span.attributes.values();
        assert!(
            counts.into_iter().all(|count| count.int().is_some()),
            "{span:?}"
        );
        let resource = span.resource.iter();
        let resource: BTreeMap<&str, &str> = resource
            .map(|(key, value)| (key.as_str(), value.text().unwrap()))
            .collect();
        assert_eq!(resource, known);
    }
    assert!(lines.iter().all(|line| line.resource == spans[0].resource));
    let names: BTreeSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    let expected = [
        "commit",
        "compaction",
        "dataflow",
        "decode",
        "epoch",
        "publish",
        "receive",
        "release",
        "restore",
        "retention",
        "rights",
    ];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), expected);
    let epochs = epochs(&spans);
    let stages = spans.iter().filter(|span| !span.parent.is_empty());
    let of_epochs: BTreeSet<_> = epochs.iter().map(|(root, _)| &root.trace).collect();
    assert!(
        stages
            .into_iter()
            .all(|stage| of_epochs.contains(&stage.trace))
    );
    let read: i64 = epochs.iter().map(|(root, _)| count(root, "messages")).sum();
    assert_eq!(read, rest.len() as i64);
    for (root, stages) in &epochs {
        assert!(root.parent.is_empty());
        assert!(
            stages.is_superset(&BTreeSet::from(["decode", "dataflow"])),
            "{stages:?}"
        );
        let has_messages = count(root, "messages") > 0;
        assert_eq!(stages.contains("receive"), has_messages, "{stages:?}");
        assert!(!has_messages || stages.contains("commit"), "{stages:?}");
    }
    let decoded = spans.iter().filter(|span| span.name == "decode");
    let decoded: i64 = decoded.map(|span| count(span, "messages")).sum();
    assert_eq!(decoded, rest.len() as i64);
    let threads: BTreeSet<i64> = spans
        .iter()
        .filter(|span| span.name == "dataflow")
        .map(|span| count(span, "thread"))
        .collect();
    assert_eq!(threads, BTreeSet::from([0, 1]));
    let of = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert!(count(of("restore"), "entries") > 0);
    assert_eq!(count(of("rights"), "requests"), 1);
    let cells = |name: &str| {
        let spans = spans.iter().filter(|span| span.name == name);
        spans.map(|span| count(span, "cells")).sum::<i64>()
    };
    assert!(cells("publish") > 0 && cells("release") >= cells("publish"));

    // Every request has the headers of its time, and no line has them.
    let requests = collector.requests();
    let mut keys = BTreeSet::new();
    for request in &requests {
        let head = request.head.to_lowercase();
        assert!(request.path.starts_with("/otel/v1/"), "{}", request.path);
        assert!(
            head.contains("content-type: application/x-protobuf"),
            "{head}"
        );
        let key = head
            .lines()
            .find_map(|line| line.strip_prefix("authorization: bearer "));
        keys.insert(key.unwrap().to_owned());
        let body = String::from_utf8_lossy(&request.body);
        assert!(!body.contains("5ecret"), "{body}");
    }
    assert_eq!(
        keys.into_iter().collect::<Vec<_>>(),
        ["5ecret-of-otel", "n3w-5ecret"]
    );
    assert!(!log.contains("5ecret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_takes_nothing_delays_nothing() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let collector = Collector::start();
    collector.behave(Behavior::Hang);
    let world = World::new(5_000, Some(&broker), &telemetry(&collector.url(), ""));
    let expected = world.replayed();
    let refused = world.refused();
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    let (before, after) = lines.split_at(lines.len() / 2);
    let config = world.path("tributary.toml");
    let mut worker = Worker::start(&config, &[]);
    play(&client, before, None).await;
    let end = last(&client, &broker.input_stream).await;
    let signals = ["traces", "logs"];
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        until("both signals hang", || {
            let requests = collector.requests();
            signals.iter().all(|signal| {
                let path = format!("/v1/{signal}");
                requests.iter().any(|request| request.path == path)
            })
        });
        assert_eq!(worker.metric(SENT), Some(0.0));
        // It is given up after some attempts.
        for signal in signals {
            let series = format!("{DROPPED}{{signal=\"{signal}\"}}");
            until(signal, || {
                worker.get("/metrics").is_some_and(|(_, text)| {
                    let line = text.lines().find_map(|line| line.strip_prefix(&series));
                    line.is_some_and(|count| count.trim() != "0")
                })
            });
        }
        assert!(collector.spans().is_empty() && collector.lines().is_empty());

        // Full, and then refusing one of each batch.
        let before = collector.requests().len();
        collector.behave(Behavior::Answer(503));
        until("it is tried again", || {
            collector.requests().len() > before + 1
        });
        collector.behave(Behavior::RejectOne);
        until("what is not rejected is sent", || {
            worker.metric(SENT).is_some_and(|sent| sent > 0.0)
        });
        let taken = worker
            .log()
            .matches("the collector takes telemetry again")
            .count();
        assert!((1..=2).contains(&taken), "{}", worker.log());
        let refusals = worker
            .log()
            .matches("the collector does not take telemetry")
            .count();
        assert_eq!(refusals, 2, "once for each signal: {}", worker.log());
    });

    // It is killed, and everything goes on; one that takes its place receives what follows.
    let port = collector.address().port();
    drop(collector);
    play(&client, after, None).await;
    let end = last(&client, &broker.input_stream).await;
    let collector = tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        let collector = Collector::start_at(port);
        until("the next collector has spans and lines", || {
            !collector.spans().is_empty() && !collector.lines().is_empty()
        });
        collector
    });

    // At the end a collector that hangs holds up nothing either.
    collector.behave(Behavior::Hang);
    tokio::task::block_in_place(|| {
        worker.signal();
        worker.end();
        until("it is said that something was left", || {
            worker.said("the collector did not take the last telemetry")
        });
    });
    assert_stands(&broker, &expected, &refused).await;
}

/// The ends of the TCP connections of a process that lead elsewhere than to a port.
fn connections(process: u32, except: &[u16]) -> Vec<String> {
    let sockets: BTreeSet<String> = std::fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| {
            let target = target.to_str()?.strip_prefix("socket:[")?;
            Some(target.strip_suffix(']')?.to_owned())
        })
        .collect();
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        let table = std::fs::read_to_string(format!("/proc/{process}/net/{table}"));
        for line in table.unwrap_or_default().lines().skip(1) {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let port = |end: &str| {
                let port = end.rsplit_once(':').expect("an address").1;
                u16::from_str_radix(port, 16).expect("a port")
            };
            let ends = [port(columns[1]), port(columns[2])];
            if sockets.contains(columns[9]) && !ends.iter().any(|port| except.contains(port)) {
                found.push(line.to_owned());
            }
        }
    }
    found
}

/// The names of the threads of a process.
fn threads(process: u32) -> Vec<String> {
    std::fs::read_dir(format!("/proc/{process}/task"))
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_endpoint_nothing_is_opened() {
    let collector = Collector::start();
    let url = collector.url();
    for is_on in [false, true] {
        let Some(server) = NatsServer::start_or_skip("") else {
            return;
        };
        let broker = server.nats();
        let settings = match is_on {
            true => telemetry(&url, ""),
            false => String::new(),
        };
        let world = World::new(50, Some(&broker), &settings);
        let client = ready(&broker).await;
        let lines: Vec<_> = world.trace().collect();
        play(&client, &lines, None).await;
        let end = last(&client, &broker.input_stream).await;
        // The variables of other programs have no effect.
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ];
        let worker = Worker::start_with(&world.path("tributary.toml"), &[], &variables);
        tokio::task::block_in_place(|| {
            worker.wait_until_read(end);
            let http = worker.address.rsplit_once(':').unwrap().1.parse().unwrap();
            let thread = threads(worker.id()).contains(&"telemetry".to_owned());
            assert_eq!(thread, is_on);
            let (_, metrics) = worker.get("/metrics").unwrap();
            assert_eq!(metrics.contains(&format!("\n{SENT}{{")), is_on);
            if !is_on {
                let others = connections(worker.id(), &[server.address().port(), http]);
                assert_eq!(others, Vec::<String>::new());
            }
            worker.stop();
        });
        assert_eq!(collector.connections() > 0, is_on);
    }
}

/// A process that cannot start says why in its last line.
#[test]
fn the_reason_of_a_failure_is_the_last_line() {
    let collector = Collector::start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let world = World::new(10, None, &telemetry(&collector.url(), ""));
    let listen = format!("listen = \"{}\"", taken.local_addr().unwrap());
    configure(&world, "listen = \"127.0.0.1:0\"", &listen);
    for command in ["run", "serve"] {
        let before = collector.lines().len();
        let mut process = tributary();
        process
            .args([command, "--config"])
            .arg(world.path("tributary.toml"));
        let output = process.output().unwrap();
        assert!(!output.status.success());
        let shown = String::from_utf8(output.stderr).unwrap();
        let lines = collector.lines().split_off(before);
        let last = lines.last().unwrap();
        let reason = last.message.text().unwrap();
        assert!(reason.contains("(http.listen)"), "{reason}");
        assert!(
            shown.contains(reason.split(": ").next().unwrap()),
            "{shown}"
        );
        assert_eq!((last.level.as_str(), last.severity), ("ERROR", 17));
    }
}

/// Headers that are none are refused before anything runs, and not repeated.
#[test]
fn headers_that_are_none_are_refused() {
    let more = "otlp_headers_file = \"otlp.headers\"\n";
    let world = World::new(10, None, &telemetry("http://127.0.0.1:9", more));
    tributary_testkit::write_secret(world.path("otlp.headers"), "5ecret without a name");
    let mut process = tributary();
    process
        .args(["run", "--config"])
        .arg(world.path("tributary.toml"));
    let output = process.output().unwrap();
    let shown = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        shown.contains("line 1 of telemetry.otlp_headers"),
        "{shown}"
    );
    assert!(!shown.contains("5ecret"), "{shown}");
}

/// Accepts TLS with a certificate, and passes on to a collector what comes.
fn tls_in_front(directory: &Path, collector: &Collector) -> u16 {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let read = |name: &str| directory.join(name);
    let chain = CertificateDer::pem_file_iter(read("worker.pem")).unwrap();
    let chain: Vec<_> = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(read("worker.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (listener, behind) = (
        tokio::net::TcpListener::from_std(listener).unwrap(),
        collector.address(),
    );
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Who does not trust the certificate goes away.
                let mut outside = acceptor.accept(stream).await.ok()?;
                let mut inside = tokio::net::TcpStream::connect(behind).await.ok()?;
                tokio::io::copy_bidirectional(&mut outside, &mut inside)
                    .await
                    .ok()
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_shows_a_certificate_of_a_trusted_authority() {
    let directory = tempfile::tempdir().unwrap();
    if !certificates(directory.path()) {
        tributary_testkit::skipped("no openssl");
        return;
    }
    let collector = Collector::start();
    let port = tls_in_front(directory.path(), &collector);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    // A stranger, the system's authorities, and the right one.
    for (authority, is_trusted) in [(Some("other"), false), (None, false), (Some("ca"), true)] {
        let more = authority.map_or(String::new(), |name| {
            let file = directory.path().join(format!("{name}.pem"));
            format!("otlp_ca_file = {file:?}\n")
        });
        let endpoint = format!("https://127.0.0.1:{port}");
        let world = World::new(10, None, &telemetry(&endpoint, &more));
        // It cannot start, and says so to whoever it trusts.
        configure(
            &world,
            "listen = \"127.0.0.1:0\"",
            &format!("listen = \"{address}\""),
        );
        let mut process = tributary();
        process
            .env("TRIBUTARY_LOG", "info")
            .args(["run", "--config"])
            .arg(world.path("tributary.toml"));
        let output = tokio::task::block_in_place(|| process.output()).unwrap();
        let shown = String::from_utf8(output.stderr).unwrap();
        assert_eq!(collector.lines().is_empty(), !is_trusted, "{shown}");
        assert_eq!(
            shown.contains("the collector does not take telemetry"),
            !is_trusted,
            "{shown}"
        );
    }
}

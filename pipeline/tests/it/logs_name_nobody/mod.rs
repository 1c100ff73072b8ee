//! The log names nobody, at any level: every kind of record and of rights request goes through a real worker whose log
//! asks for everything, and nothing that names a person stands in it afterwards, in clear, encoded or hashed as it came.
//! The commands that send requests are held to the same, and so is everything that a collector of telemetry receives, which
//! has no pseudonym and no secret either.

mod input;
mod person;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::statuses::Statuses;
use crate::support::story::{last, play, ready, until};
use crate::support::{Worker, World, tributary};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::json;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{EnvFilter, Registry};
use tributary::serve::services::Topic;
use tributary::serve::services::client::ask;
use tributary_connectors::keys::BrandKey;
use tributary_connectors::nats::{self, Reader, subject};
use tributary_operators::record::IdKind;
use tributary_simulate::Options;
use tributary_testkit::NatsServer;
use tributary_testkit::otlp::Collector;

use input::{records, requests};
use person::*;

const DOMAIN: &str = "opendsr_domain = \"rights.orchard.example\"\n";
const ALL_LEVELS: (&str, &str) = ("TRIBUTARY_LOG", "trace");

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_names_a_person_is_logged_at_any_level() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let options = Options {
        events: Some(50),
        k: 1,
        consent: true,
        ..Options::default()
    };
    let collector = Collector::start();
    let telemetry = format!(
        "[telemetry]\notlp_endpoint = \"{}\"\nepoch_share = \"1\"\n",
        collector.url()
    );
    let world = World::of(options, Some(&broker), &format!("{DOMAIN}{telemetry}"));
    let config = world.path("tributary.toml");
    let client = ready(&broker).await;
    let people: Vec<Somebody> = (7101..7108).map(Somebody::new).collect();
    let values: Vec<String> = people.iter().flat_map(Somebody::values).collect();
    let worker = Worker::start_with(&config, &[], &[ALL_LEVELS]);
    let now = jiff::Timestamp::now().as_millisecond();
    play(&client, &records(&people, now), None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| worker.wait_until_read(end));
    for kind in ["web", "transaction", "ping", "consent", "spend"] {
        let name = format!(
            "tributary_records_accepted_total{{brand=\"orchard\",kind=\"{kind}\",source=\""
        );
        tokio::task::block_in_place(|| {
            until(&format!("{kind} is accepted"), || {
                let (_, metrics) = worker.get("/metrics").unwrap();
                let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
                let count = line.and_then(|line| line.split_once("\"}"));
                count.is_some_and(|(_, count)| count.trim() != "0")
            });
        });
    }
    assert!(
        tokio::task::block_in_place(|| worker.metric("tributary_dead_letters_total")) > Some(20.0)
    );

    // Through the stream, which takes anything.
    let key = tributary_rights::sealed::KeyPair::generate()
        .public()
        .to_string();
    let jetstream = async_nats::jetstream::new(client.clone());
    let mut statuses = Statuses::open(&client, &broker).await;
    let all = requests(&people[..3], &key);
    for request in &all {
        let sent = jetstream.publish(
            subject::rights_requests("orchard"),
            request.to_string().into(),
        );
        sent.await.unwrap().await.unwrap();
    }
    let mut ended = BTreeSet::new();
    for request in &all {
        let id = request["id"].as_str().unwrap();
        let word = statuses.end(id, 1).await;
        ended.insert((id.split('-').nth(1).unwrap().to_owned(), word));
    }
    for right in [
        "access",
        "rectify",
        "restrict",
        "object",
        "directive",
        "do_not_sell",
    ] {
        assert!(
            ended.contains(&(right.to_owned(), "completed".to_owned())),
            "{right}: {ended:?}"
        );
    }
    // Through the service, and over HTTP.
    for request in requests(&people[3..5], &key) {
        let mut request = request;
        let id = format!("s-{}", request["id"].as_str().unwrap());
        request["id"] = json!(id);
        let taken = ask(&client, Topic::Rights, "orchard", request.to_string()).await;
        if taken.is_ok() {
            statuses.end(&id, 1).await;
        }
    }
    for (n, (right, email)) in [
        ("access", &people[5].email),
        ("erasure", &people[5].email),
        (people[5].email.as_str(), &people[5].phone),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({
            "regulation": "gdpr", "subject_request_id": format!("a7551968-d5d6-44b2-9831-815ac901779{n}"),
            "subject_request_type": right, "submitted_time": "2026-11-20T09:00:00Z",
            "subject_identities": [{"identity_type": "email", "identity_value": email, "identity_format": "raw"}],
        });
        for path in [
            "/v2/requests",
            &format!("/v2/requests?email={email}"),
            &format!("/{email}"),
        ] {
            let answer =
                tokio::task::block_in_place(|| worker.send("POST", path, "", &body.to_string()));
            assert!(answer.is_some(), "{path}");
        }
    }
    // Questions, and the commands that ask: what they log themselves is held to the same.
    let of = &people[6];
    let (email, cookie) = (
        format!("email={}", of.email),
        format!("cookie={}", of.cookie),
    );
    let mut said = String::new();
    for arguments in [
        vec!["explain", "person", &email, &cookie],
        vec![
            "rights",
            "access",
            &email,
            &cookie,
            "--whole-person",
            "--proof",
            "t",
        ],
        vec!["rights", "erase", &email, &cookie, "--proof", "t"],
        vec!["query", "store_day"],
        vec!["retention"],
        vec!["keys", "rotate"],
    ] {
        let mut command = tributary();
        command
            .env(ALL_LEVELS.0, ALL_LEVELS.1)
            .args(&arguments)
            .arg("--config")
            .arg(&config);
        let output = tokio::task::block_in_place(|| command.output()).unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        said.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(
        lines_that_name(&said, &values),
        Vec::<String>::new(),
        "of commands"
    );

    let log = worker.log();
    tokio::task::block_in_place(|| worker.stop());
    assert!(
        log.contains("starting") && log.contains("answered rights requests"),
        "it has logged"
    );
    let found = lines_that_name(&log, &values);
    assert_eq!(found, Vec::<String>::new(), "{} lines", log.lines().count());
    assert_exports_name_nobody(&collector, &world, &people, &values);
    // The messages are there, so that a log of the client's bytes would have shown them.
    let state = nats::stream_state(&client, &broker.input_stream)
        .await
        .unwrap();
    assert!(state.last_sequence > 0);
}

/// Nothing that a collector has received names a person, by a value or by a pseudonym, or has a secret.
fn assert_exports_name_nobody(
    collector: &Collector,
    world: &World,
    people: &[Somebody],
    values: &[String],
) {
    let (spans, lines) = (collector.spans(), collector.lines());
    let said = |text: &str| lines.iter().any(|line| line.message.text() == Some(text));
    assert!(said("starting") && said("answered rights requests") && said("stopped"));
    for name in ["epoch", "decode", "publish", "rights"] {
        assert!(spans.iter().any(|span| span.name == name), "{name}");
    }
    let bodies: Vec<Vec<u8>> = collector
        .requests()
        .into_iter()
        .map(|request| request.body)
        .collect();
    let text: String = bodies
        .iter()
        .map(|body| String::from_utf8_lossy(body).replace(char::is_control, "\n") + "\n")
        .collect();
    assert_eq!(lines_that_name(&text, values), Vec::<String>::new());
    let secret = std::fs::read_to_string(world.path("secret")).unwrap();
    assert!(!text.contains(secret.trim()));

    let key = BrandKey::new(&world.config().brands[0]);
    let mut pseudonyms = BTreeSet::new();
    for of in people {
        for (kind, value) in [
            (IdKind::Email, &of.email),
            (IdKind::Phone, &of.phone),
            (IdKind::Cookie, &of.cookie),
            (IdKind::Customer, &of.customer),
            (IdKind::Wallet, &of.wallet),
            (IdKind::Device, &of.device),
            (IdKind::Device, &of.mac),
        ] {
            let ids = key.identify(kind, value);
            assert!(!ids.is_empty(), "{value}");
            pseudonyms.extend(ids.iter().flat_map(|id| [id.pseudonym, id.value]));
        }
    }
    let lower = text.to_lowercase();
    for pseudonym in pseudonyms {
        for bytes in [pseudonym.to_be_bytes(), pseudonym.to_le_bytes()] {
            let is_there = |body: &Vec<u8>| body.windows(16).any(|window| window == bytes);
            assert!(!bodies.iter().any(is_there), "a pseudonym");
            assert!(!lower.contains(&hex(&bytes)), "a pseudonym in hexadecimal");
        }
        assert!(
            !lower.contains(&pseudonym.to_string()),
            "a pseudonym in digits"
        );
    }
}

/// A log that is kept.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(line)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Without the cap the client library writes the same records into the log, and they are found there: it is the cap that
/// keeps them out, and a leak would be noticed.
///
/// What a log takes is remembered by the whole process, so that the test has one of its own.
#[tokio::test]
async fn without_the_cap_the_client_would_name_everybody() {
    const ALONE: &str = "TRIBUTARY_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let alone = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "logs_name_nobody::without_the_cap_the_client_would_name_everybody",
                "--nocapture",
            ])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&alone.stdout);
        let failed = String::from_utf8_lossy(&alone.stderr);
        eprintln!("{failed}");
        assert!(
            alone.status.success() && said.contains("1 passed"),
            "{said}"
        );
        return;
    }
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let people: Vec<Somebody> = (7201..7203).map(Somebody::new).collect();
    let values: Vec<String> = people.iter().flat_map(Somebody::values).collect();
    let lines = records(&people, jiff::Timestamp::now().as_millisecond());
    for is_capped in [false, true] {
        let kept = Kept::default();
        let writer = kept.clone();
        let all = tracing_subscriber::fmt::layer::<Registry>()
            .json()
            .with_writer(move || writer.clone());
        let everything = EnvFilter::new(ALL_LEVELS.1);
        let all = match is_capped {
            true => all
                .with_filter(tributary::cli::log::capped(everything))
                .boxed(),
            false => all.with_filter(everything).boxed(),
        };
        // The client lives on this thread alone, as the log does.
        let _log = tracing::subscriber::set_default(tracing_subscriber::registry().with(all));
        let client = ready(&broker).await;
        play(&client, &lines, None).await;
        let mut reader = Reader::open(&client, &broker.input_stream, 1)
            .await
            .unwrap();
        let mut read = 0;
        while read < lines.len() {
            let batch = reader
                .next_batch(100, Duration::from_secs(5))
                .await
                .unwrap();
            assert!(!batch.is_empty());
            read += batch.len();
        }
        let log = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert!(!log.is_empty());
        let found = lines_that_name(&log, &values);
        let is_named = |value: &String| found.iter().any(|line| line.starts_with(value));
        // The last two are other spellings.
        let unnamed: Vec<String> = people
            .iter()
            .flat_map(|of| of.values().into_iter().take(10))
            .filter(|value| !is_named(value))
            .collect();
        match is_capped {
            true => assert_eq!(found, Vec::<String>::new()),
            false => assert_eq!(unnamed, Vec::<String>::new(), "of {} lines", found.len()),
        }
    }
}

/// What is searched for is found where it stands.
#[test]
fn a_line_that_names_somebody_is_found_however_it_is_written() {
    let of = Somebody::new(7100);
    let values = of.values();
    let email = of.email.as_str();
    for line in [
        format!("published {{\"email\":\"{email}\"}}"),
        email.to_uppercase(),
        email.replace('@', "%40"),
        format!("sha256 {}", sha256(&email.to_lowercase()).to_uppercase()),
        STANDARD.encode(format!("a{email} and more")),
        URL_SAFE.encode(format!("bc{}!", email.to_lowercase())),
        hex(format!("raw {email}").as_bytes()),
    ] {
        let found = lines_that_name(&line, &values);
        assert!(!found.is_empty(), "{line}");
    }
    assert!(lines_that_name("nothing of anybody: 7100, visible, example", &values).is_empty());
}

//! What a running worker has in its memory. Of an erased person nothing is left in clear: memory is overwritten when it is
//! freed, the stack below what reads identifiers, and the buffers of the connection to the broker, through which an erasure
//! reads the streams once more. Nor is anything left that is made of a value without the secret: spellings, digests, addresses of
//! devices as bytes. A brand's secret stands there once, however many parts of the process use it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use futures::{FutureExt, StreamExt};
use serde_json::json;
use sha2::{Digest, Sha256};
use tributary_connectors::keys::BrandKey;
use tributary_connectors::subject_identifiers::devices;
use tributary_connectors::trace::TraceLine;
use tributary_operators::record::IdKind;
use tributary_testkit::{NatsServer, free_port, skipped};

use crate::support::memory::{hits, hits_of_bytes};
use crate::support::person::{apart, ask, somebody};
use crate::support::secrets::{configure_secrets, draw};
use crate::support::story::{last, play, ready, until};
use crate::support::{Worker, World};

/// What a test prints that may not look into the worker's memory.
const UNREADABLE: &str = "the memory of another process can be read by the superuser alone";

/// What names her in her messages and stands in nobody else's, in lower case.
fn names(hers: &[TraceLine], others: &[TraceLine]) -> Vec<String> {
    let all: Vec<String> = others
        .iter()
        .map(|line| String::from_utf8_lossy(&line.data).to_lowercase())
        .collect();
    let mut names = BTreeSet::new();
    for line in hers {
        let Ok(data) = serde_json::from_slice::<serde_json::Value>(&line.data) else {
            continue;
        };
        for field in ["email", "phone", "customer", "cookie", "wallet"] {
            if let Some(value) = data[field].as_str() {
                names.insert(value.trim().to_lowercase());
            }
        }
    }
    let alone = |name: &String| name.len() >= 6 && !all.iter().any(|other| other.contains(name));
    names.into_iter().filter(alone).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_clear_is_left_of_an_erased_person() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(6_000, Some(&broker), "[workers]\nthreads = 2");
    let lines: Vec<TraceLine> = world.trace().collect();
    let email = somebody(&world, &lines);
    let (hers, others) = apart(&world, &lines, &email);
    let names = names(&hers, &others);
    assert!(names.contains(&email), "{names:?}");
    let client = ready(&broker).await;
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    let read = async |lines: &[TraceLine]| {
        play(&client, lines, None).await;
        let end = last(&client, &broker.input_stream).await;
        tokio::task::block_in_place(|| worker.wait_until_read(end));
    };
    let left = || {
        let hits = hits(worker.id(), &names)?;
        let places = hits
            .iter()
            .map(|hit| format!("{}: {}", names[hit.needle], hit.place));
        Some(places.collect::<Vec<String>>())
    };
    // Her messages come first, so that tables and caches are made while hers are read.
    read(&hers).await;
    read(&others).await;
    let Some(before) = left() else {
        return skipped(UNREADABLE);
    };
    eprintln!("{} times in memory before it", before.len());
    let known = world.path("tributary-data").display().to_string();
    let known = hits(worker.id(), &[known.to_lowercase()]).unwrap_or_default();
    assert!(!known.is_empty(), "what stands in memory is found");
    let mut inboxes = client.subscribe("_INBOX.>").await.unwrap();
    tokio::task::block_in_place(|| {
        let identifier = format!("email={email}");
        ask(&world, "erase", &[&identifier, "--whole-person"]);
        // When the next request is answered, the one before it has been let go of.
        ask(&world, "restrict", &["email=nobody@shop.example"]);
    });
    assert_eq!(left(), Some(Vec::new()));
    // Other messages have taken the place of hers by chance, or those that the worker has sent to itself for that.
    client.flush().await.unwrap();
    let seen = async {
        let mut overwritten = 0;
        while let Some(Some(message)) = inboxes.next().now_or_never() {
            let is_empty = message.payload.iter().all(|byte| *byte == 0);
            overwritten += message.payload.len() * usize::from(is_empty);
        }
        overwritten
    };
    // The scheduler's own budget would end this after some dozen messages.
    let overwritten = tokio::task::unconstrained(seen).await;
    assert!(
        overwritten >= 4 * client.server_info().max_payload,
        "{overwritten}"
    );
    drop(inboxes);
    // Work with other records brings nothing back.
    read(&others).await;
    assert_eq!(left(), Some(Vec::new()));
    tokio::task::block_in_place(|| worker.stop());
}

/// Her address, number, customer number, cookie and the address of her device, as her messages spell them.
const EMAIL: &str = "Jane.Quill+News@Search.Example";
const PHONE: &str = "06 98 41 57 32";
const CUSTOMER: &str = "customer-qz-90417";
const COOKIE: &str = "cookie-qz-7715302";
const MAC: &str = "A4:C6:D8:EB:F1:97";

/// What names her, in every spelling, in lower case.
fn spellings() -> Vec<String> {
    let mac = MAC.to_lowercase();
    let digests = [
        "jane.quill+news@search.example",
        "janequill@search.example",
        "+33698415732",
        "33698415732",
    ]
    .map(|value| data_encoding::HEXLOWER.encode(&Sha256::digest(value)));
    let spellings = [
        "jane.quill+news@search.example",
        "janequill",
        "06 98 41 57 32",
        "0698415732",
        "698415732",
        "33698415732",
        CUSTOMER,
        COOKIE,
        &*mac,
        &*mac.replace(':', "-"),
        &*mac.replace(':', ""),
    ];
    let spellings = spellings.into_iter().map(str::to_owned);
    spellings.chain(digests).collect()
}

/// What anybody can compute of her without the secret, as bytes: digests, her number as a number, the address of her device.
fn bytes() -> Vec<Vec<u8>> {
    let digests = [
        "jane.quill+news@search.example",
        "janequill@search.example",
        "+33698415732",
        "33698415732",
        CUSTOMER,
        COOKIE,
    ]
    .map(|value| Sha256::digest(value).to_vec());
    let mac: Vec<u8> = MAC
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let reversed = mac.iter().rev().copied().collect();
    let number = 698_415_732_u64.to_le_bytes().to_vec();
    digests.into_iter().chain([mac, reversed, number]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_that_is_made_of_her_values() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(3_000, Some(&broker), "[workers]\nthreads = 2");
    let others: Vec<TraceLine> = world.trace().collect();
    let at = others.last().unwrap().at;
    let ping = others
        .iter()
        .rfind(|line| line.subject.ends_with(".ping"))
        .unwrap();
    let mut hers: Vec<TraceLine> = Vec::new();
    for number in 0..40 {
        let order = json!({"id": format!("q-{number}"), "ts": at, "type": "order", "cookie": COOKIE, "email": EMAIL, "amount": "12.00"});
        let sale = json!({"id": format!("q-{number}"), "ts": at, "store": "lyon", "amount": "30.00", "email": EMAIL, "phone": PHONE, "customer": CUSTOMER});
        let mut seen: serde_json::Value = serde_json::from_slice(&ping.data).unwrap();
        seen["mac"] = MAC.into();
        seen["ts"] = json!(seen["ts"].as_i64().unwrap() + number * 1_000);
        for (kind, data) in [("web", order), ("transaction", sale), ("ping", seen)] {
            hers.push(TraceLine {
                subject: format!("tributary.in.orchard.{kind}"),
                at: ping.at,
                headers: Vec::new(),
                data: data.to_string().into_bytes(),
            });
        }
    }
    let config = world.config();
    let key = BrandKey::new(&config.brands[0]);
    let values = [
        (IdKind::Email, EMAIL),
        (IdKind::Phone, PHONE),
        (IdKind::Customer, CUSTOMER),
        (IdKind::Cookie, COOKIE),
    ];
    let ids = values
        .iter()
        .flat_map(|(kind, value)| key.identify(*kind, value));
    let pseudonyms = ids.map(|id| id.pseudonym).chain(devices(&key, MAC));
    let pseudonyms: Vec<Vec<u8>> = pseudonyms.map(|id| id.to_le_bytes().to_vec()).collect();
    let (spellings, bytes) = (spellings(), bytes());

    let client = ready(&broker).await;
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    let read = async |lines: &[TraceLine]| {
        play(&client, lines, None).await;
        let end = last(&client, &broker.input_stream).await;
        tokio::task::block_in_place(|| worker.wait_until_read(end));
    };
    let counts = |when: &str| {
        let [clear, made, keyed] = [
            hits(worker.id(), &spellings),
            hits_of_bytes(worker.id(), &bytes),
            hits_of_bytes(worker.id(), &pseudonyms),
        ];
        let (clear, made, keyed) = (clear?, made?, keyed?);
        eprintln!(
            "{when}: {} spellings, {} digests and addresses, {} pseudonyms",
            clear.len(),
            made.len(),
            keyed.len()
        );
        for hit in &clear {
            eprintln!("  {}: {}", spellings[hit.needle], hit.place);
        }
        for hit in &made {
            eprintln!("  bytes {}: {}", hit.needle, hit.place);
        }
        Some([clear.len(), made.len(), keyed.len()])
    };
    read(&hers).await;
    let Some([clear, _, keyed]) = counts("before") else {
        return skipped(UNREADABLE);
    };
    assert!(clear > 0 && keyed > 0, "they are looked for where they are");
    read(&others).await;
    tokio::task::block_in_place(|| {
        let identifiers = [
            format!("email={EMAIL}"),
            format!("phone={PHONE}"),
            format!("device={MAC}"),
        ];
        let mut asked: Vec<&str> = identifiers.iter().map(String::as_str).collect();
        asked.push("--whole-person");
        ask(&world, "erase", &asked);
        ask(&world, "restrict", &["email=nobody@shop.example"]);
    });
    read(&others).await;
    let [clear, made, _] = counts("after").unwrap();
    // Pseudonyms take the secret: the cache of telephone numbers keeps some until others take their place.
    assert_eq!([clear, made], [0; 2]);
    tokio::task::block_in_place(|| worker.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_stands_once() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(2_000, Some(&broker), "[workers]\nthreads = 2");
    draw(&world, "drawn");
    configure_secrets(&world, &["drawn"]);
    let secret = std::fs::read_to_string(world.path("drawn")).unwrap();
    let secret = [secret.trim().to_ascii_lowercase()];
    let lines: Vec<TraceLine> = world.trace().collect();
    let client = ready(&broker).await;
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    for part in lines.chunks(lines.len().div_ceil(3)) {
        play(&client, part, None).await;
        let end = last(&client, &broker.input_stream).await;
        tokio::task::block_in_place(|| worker.wait_until_read(end));
        let Some(found) = hits(worker.id(), &secret) else {
            return skipped(UNREADABLE);
        };
        // Not printed: a hit shows the secret.
        assert_eq!(found.len(), 1);
    }
    // Nor does a reload keep another.
    let config = world.path("tributary.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("[log]\nlevel = \"debug\"\n{text}")).unwrap();
    worker.signal_with("-HUP");
    tokio::task::block_in_place(|| {
        until("the reload", || {
            worker.log().contains("the configuration was reloaded")
        });
    });
    let found = hits(worker.id(), &secret).unwrap();
    assert_eq!(found.len(), 1);
    tokio::task::block_in_place(|| worker.stop());
}

/// Sends a request and leaves the connection open, with the body in its buffer.
fn post(address: &str, path: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_what_came_over_http() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let ingest = format!("127.0.0.1:{}", free_port());
    let more = format!("opendsr_domain = \"privacy.example\"\n[http_ingest]\nlisten = {ingest:?}");
    let world = World::new(500, Some(&broker), &more);
    let client = ready(&broker).await;
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    let email = "jane.of.the.http@shop.example";
    let record = json!({
        "id": "h-1", "ts": 1_760_000_000_000_i64, "store": "s01", "amount": "9.99", "email": email,
    });
    let submission = json!({
        "regulation": "gdpr",
        "subject_request_id": "a7551968-d5d6-44b2-9831-815ac9017798",
        "subject_request_type": "erasure",
        "submitted_time": "2025-11-20T09:00:00Z",
        "subject_identities": [
            {"identity_type": "email", "identity_value": email, "identity_format": "raw"},
        ],
    });
    tokio::task::block_in_place(|| {
        until("the worker reads", || {
            worker
                .get("/readyz")
                .is_some_and(|(status, _)| status == 200)
        });
        let _idle = post(&ingest, "/v1/in/orchard/transaction", &record.to_string());
    });
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        let _idle = [
            post(&ingest, "/v1/in/orchard/transaction", &record.to_string()),
            post(&worker.address, "/v2/requests", &submission.to_string()),
        ];
        let needles = [email.to_owned()];
        let Some(before) = hits(worker.id(), &needles) else {
            return skipped(UNREADABLE);
        };
        assert!(!before.is_empty(), "it is looked for where it is");
        until("the request is answered", || {
            let answered = worker.metric("tributary_rights_requests_total");
            answered.is_some_and(|answered| answered > 0.0)
        });
        // Connections without a request are closed after ten seconds.
        until("nothing is left", || {
            let left = hits(worker.id(), &needles).unwrap_or_default();
            let places: Vec<&String> = left.iter().map(|hit| &hit.place).collect();
            eprintln!("{} times after it {places:#?}", places.len());
            left.is_empty()
        });
    });
    tokio::task::block_in_place(|| worker.stop());
}

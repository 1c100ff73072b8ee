//! A partner at a real server, with the accounts of `config/NATS_ACCOUNTS.md`: it reads released cells of its own sources, and
//! whatever else it asks, of whom it asks and in which words, is refused.

use std::time::Duration;

use async_nats::Client;
use serde_json::{Value, json};
use tributary::serve::services::parts;
use tributary_config::model::Nats;
use tributary_connectors::nats;
use tributary_testkit::NatsServer;

use crate::support::Worker;

const LAYOUT: &str = include_str!("../../../config/NATS_ACCOUNTS.md");

const SUBJECT: &str = "tributary.partner.acme.waze";

/// The server's configuration of the layout.
fn layout() -> &'static str {
    let (_, behind) = LAYOUT.split_once("```conf\n").unwrap();
    behind.split_once("```").unwrap().0
}

async fn login(server: &NatsServer, user: &str) -> Client {
    let credentials = Nats {
        user: Some(user.to_owned()),
        password: Some(format!("change me: {user}").into()),
        ..server.nats()
    };
    nats::connect(&credentials, user).await.unwrap()
}

/// Two brands with a partner each; that of `bolt` has no account.
fn configure(server: &NatsServer) -> std::path::PathBuf {
    let directory = server.directory();
    tributary_testkit::write_secret(directory.join("password"), "change me: worker");
    let mut text = format!(
        "[nats]\nurl = \"{}\"\nuser = \"worker\"\npassword_file = \"password\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [release]\nk = 1\nk_delta = 1\ncadence = \"0s\"\n",
        server.url()
    );
    for (brand, partner) in [("acme", "waze"), ("bolt", "here")] {
        let secret = format!("a secret of {brand} with at least thirty-two bytes");
        tributary_testkit::write_secret(directory.join(format!("{brand}.secret")), &secret);
        text += &format!(
            "[[brand]]\nname = \"{brand}\"\ntimezone = \"UTC\"\ncurrency = \"EUR\"\nsecret_file = \"{brand}.secret\"\n\
             [[brand.partner]]\nname = \"{partner}\"\nsources = [\"waze\", \"Waze Ads\"]\n"
        );
    }
    let file = directory.join("tributary.toml");
    std::fs::write(&file, text).unwrap();
    file
}

/// Clicks of three sources, and an order that each of them helped to bring.
async fn deliver(worker: &Client) {
    let now = jiff::Timestamp::now().as_millisecond();
    for brand in ["acme", "bolt"] {
        for (id, source) in ["waze", "Waze Ads", "google"].into_iter().enumerate() {
            let click = json!({
                "id": format!("c{id}"), "ts": now - 60_000, "type": "click", "cookie": "k",
                "source": source, "medium": "pin", "campaign": "lyon",
            });
            let order = json!({"id": "o", "ts": now - 1_000, "type": "order", "cookie": "k", "amount": "9.00"});
            for record in [click, order] {
                let subject = format!("tributary.in.{brand}.web");
                let taken = worker
                    .request(subject, record.to_string().into())
                    .await
                    .unwrap();
                assert!(!taken.payload.is_empty());
            }
        }
    }
}

/// What a request is answered with: the lines, or the code of the error.
async fn ask(client: &Client, subject: &str, request: &str) -> Result<Vec<Value>, String> {
    let request = async_nats::Request::new()
        .payload(request.to_owned().into())
        .timeout(Some(Duration::from_secs(3)));
    let message = client
        .send_request(subject.to_owned(), request)
        .await
        .map_err(|error| error.to_string())?;
    let header = |name: &str| {
        let headers = message.headers.as_ref()?;
        Some(headers.get(name)?.to_string())
    };
    if let Some(code) = header("Nats-Service-Error-Code") {
        return Err(code);
    }
    // The broker itself answers without parts.
    let is_whole = header(parts::PART).is_none() || header(parts::LAST).is_some();
    assert!(is_whole, "the answer fits into one message");
    let text = String::from_utf8(message.payload.to_vec()).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    Ok(lines.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_reads_its_own_sources_and_nothing_else() {
    let Some(server) = NatsServer::start_or_skip(layout()) else {
        return;
    };
    let worker = Worker::start(&configure(&server), &[]);
    tokio::task::block_in_place(|| worker.wait_until_read(0));
    deliver(&login(&server, "worker").await).await;
    tokio::task::block_in_place(|| worker.wait_until_read(12));
    let waze = login(&server, "waze").await;

    // Its own: each family, in whatever words.
    let mut cells = Vec::new();
    for _ in 0..100 {
        cells = ask(&waze, SUBJECT, r#"{"family":"campaign_day"}"#)
            .await
            .unwrap();
        if cells.len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let sources: Vec<&Value> = cells.iter().map(|line| &line["cell"]["source"]).collect();
    assert_eq!(sources, ["Waze Ads", "waze"], "{cells:?}");
    let rows = ask(
        &waze,
        SUBJECT,
        r#"{"family":"attribution","model":"linear","group_by":["source"],"sort":"source"}"#,
    )
    .await
    .unwrap();
    assert_eq!(rows.len(), 3, "{rows:?}");
    let total: i64 = rows
        .iter()
        .filter_map(|row| row["value"]["value_minor"].as_i64())
        .sum();
    assert_eq!(total, 600, "two thirds of the order: {rows:?}");
    // A sum over everything is one over its own.
    let all = r#"{"family":"campaign_day","group_by":[]}"#;
    let sum = ask(&waze, SUBJECT, all).await.unwrap();
    assert_eq!(sum[0]["value"]["clicks"], 2, "{sum:?}");

    // What is not its own.
    let forbidden = [
        r#"{"family":"store_day"}"#,
        r#"{"family":"orders_day"}"#,
        r#"{"family":"identity"}"#,
        r#"{"family":"spend_day"}"#,
        r#"{"family":"visits"}"#,
        r#"{"family":"markov_month"}"#,
        r#"{"family":"paths"}"#,
        r#"{"family":"assists"}"#,
        r#"{"family":"path_length"}"#,
        r#"{"family":"path_days"}"#,
        r#"{"family":"scan_day"}"#,
        r#"{"family":"wallet_day"}"#,
        r#"{"family":"redemption_day"}"#,
        r#"{"family":"notice_day"}"#,
        r#"{"family":"visit_match"}"#,
        r#"{"family":"campaign_day","source":"google"}"#,
        r#"{"family":"campaign_day","source":["waze","google"]}"#,
        r#"{"family":"campaign_day","source":"*"}"#,
        r#"{"family":"campaign_day","source":null}"#,
        r#"{"family":"attribution","source":"direct","model":"last"}"#,
        r#"{"family":"attribution","source":"unattributed"}"#,
    ];
    for question in forbidden {
        let answer = ask(&waze, SUBJECT, question).await;
        assert_eq!(answer, Err("403".to_owned()), "{question}");
    }
    for question in [
        "",
        "{}",
        r#"{"family":null}"#,
        // Stores have no sources.
        r#"{"family":"store_day","source":"waze"}"#,
        r#"{"family":"attribution","brand":"bolt"}"#,
        r#"{"person":{"from":["00000000000000000000000000000001"],"to":["00000000000000000000000000000002"]}}"#,
        r#"{"cell":{"source":"waze","kind":"order","day":"2025-10-26"}}"#,
    ] {
        let answer = ask(&waze, SUBJECT, question).await;
        assert_eq!(answer, Err("400".to_owned()), "{question}");
    }
    // Whom it may not ask at all, in its own account: the other brand's partner, the brand's own subjects, and the streams.
    for subject in [
        "tributary.partner.bolt.here",
        "tributary.partner.bolt.waze",
        "tributary.partner.acme",
        "tributary.partner.acme.here",
        "tributary.query.acme",
        "tributary.explain.acme",
        "tributary.contributions.acme",
        "tributary.retention.acme",
        "tributary.rights-request.acme",
        "tributary.in.acme.partner",
        "tributary.keys.acme.0",
        "$JS.API.STREAM.NAMES",
        "$SRV.INFO.tributary",
    ] {
        let answer = ask(&waze, subject, r#"{"family":"campaign_day"}"#).await;
        let is_nothing = match &answer {
            // Its account has no streams, and the broker says so.
            Ok(lines) => {
                subject.starts_with('$') && lines.iter().all(|line| line["error"].is_object())
            }
            Err(_) => true,
        };
        assert!(is_nothing, "{subject}: {answer:?}");
    }
    // Nor does a brand read what its partner's service says.
    let bolt = login(&server, "bolt").await;
    assert!(ask(&bolt, SUBJECT, all).await.is_err());
    tokio::task::block_in_place(|| worker.stop());
}

//! The accounts of `config/NATS_ACCOUNTS.md`, at a real server with a real worker: a brand delivers, submits requests and receives their status, and
//! reaches nothing of another brand, whatever its login may do in its own account (invariant I7).

use crate::support::person::receipt_of;
use crate::support::{Worker, tributary};
use async_nats::Client;
use futures::StreamExt;
use serde_json::{Value, json};
use tributary::cli::args;
use tributary::serve::services::Topic;
use tributary::serve::services::client::ask;
use tributary_config::model::Nats;
use tributary_connectors::nats;
use tributary_testkit::NatsServer;

const LAYOUT: &str = include_str!("../../../config/NATS_ACCOUNTS.md");

/// The server's configuration of the layout.
fn layout() -> &'static str {
    let (_, behind) = LAYOUT.split_once("```conf\n").unwrap();
    behind.split_once("```").unwrap().0
}

async fn login(server: &NatsServer, user: &str) -> Client {
    nats::connect(&credentials(server, user), user)
        .await
        .unwrap()
}

fn credentials(server: &NatsServer, user: &str) -> Nats {
    Nats {
        user: Some(user.to_owned()),
        password: Some(format!("change me: {user}").into()),
        ..server.nats()
    }
}

fn configure(server: &NatsServer) -> std::path::PathBuf {
    let directory = server.directory();
    tributary_testkit::write_secret(directory.join("password"), "change me: worker");
    let mut text = format!(
        "[nats]\nurl = \"{}\"\nuser = \"worker\"\npassword_file = \"password\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [release]\nk = 1\ncadence = \"1s\"\n",
        server.url()
    );
    for brand in ["acme", "bolt"] {
        let secret = format!("a secret of {brand} with at least thirty-two bytes");
        tributary_testkit::write_secret(directory.join(format!("{brand}.secret")), &secret);
        text += &format!(
            "[[brand]]\nname = \"{brand}\"\ntimezone = \"Europe/Paris\"\ncurrency = \"EUR\"\nsecret_file = \"{brand}.secret\"\n"
        );
    }
    let file = directory.join("tributary.toml");
    std::fs::write(&file, text).unwrap();
    file
}

/// A sale of a store, from anybody.
fn sale(store: &str) -> String {
    let now = jiff::Timestamp::now().as_millisecond();
    json!({"id": store, "ts": now, "store": store, "amount": "49.90", "customer": "7"}).to_string()
}

/// Delivers a record as a brand's program does: with the word of the broker that the stream has it.
async fn deliver(client: &Client, brand: &str, store: &str) -> Option<Value> {
    let subject = format!("tributary.in.{brand}.transaction");
    let request = async_nats::Request::new()
        .payload(sale(store).into())
        .timeout(Some(std::time::Duration::from_secs(2)));
    let response = client.send_request(subject, request).await.ok()?;
    serde_json::from_slice(&response.payload).ok()
}

fn erase(id: &str) -> String {
    json!({
        "id": id, "ts": "2025-11-20T09:00:00Z", "type": "erase", "proof": "ticket 117",
        "identifiers": [{"kind": "customer", "value": "1234567"}],
    })
    .to_string()
}

/// The commands of a brand need its credentials and no secret: they query, explain and submit a request.
async fn by_client_configuration(server: &NatsServer) {
    let directory = server.directory();
    tributary_testkit::write_secret(directory.join("acme.password"), "change me: acme");
    let client = directory.join("client.toml");
    let text = format!(
        "[nats]\nurl = \"{}\"\nuser = \"acme\"\npassword_file = \"acme.password\"\n[client]\nbrand = \"acme\"\n",
        server.url()
    );
    std::fs::write(&client, text).unwrap();
    let words = args::QueryWords {
        group_by: Some("store".to_owned()),
        format: Some("csv".to_owned()),
        ..args::QueryWords::default()
    };
    let query = args::Query {
        config: client.clone(),
        brand: None,
        family: Some("store_day".to_owned()),
        filters: vec![],
        words,
        json: false,
    };
    let rows = tributary::cli::query::answer(&query).await.unwrap();
    let rows = String::from_utf8(rows).unwrap();
    assert!(rows.contains("\r\nlyon,EUR,1,4990,1,"), "{rows}");
    let explain = |exact| {
        args::Explain::Cell(args::ExplainCell {
            config: client.clone(),
            brand: None,
            source: Some("unattributed".to_owned()),
            medium: None,
            campaign: None,
            kind: "transaction".to_owned(),
            store: Some("lyon".to_owned()),
            day: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            currency: None,
            exact,
            json: true,
        })
    };
    tributary::cli::explain::answer(&explain(false))
        .await
        .unwrap();
    let exact = tributary::cli::explain::answer(&explain(true)).await;
    assert!(
        exact
            .unwrap_err()
            .to_string()
            .contains("client configuration")
    );

    let [key, others] = ["acme", "bolt"].map(|brand| {
        let key = directory.join(format!("{brand}.pem"));
        let config = directory.join("tributary.toml");
        let mut public = tributary();
        public.args(["keys", "public", "--brand", brand, "--config"]);
        let public = public.arg(config).output().unwrap();
        std::fs::write(&key, public.stdout).unwrap();
        key
    });
    let receipt = directory.join("receipt.json");
    let erase = args::Rights {
        right: "erase".to_owned(),
        identifiers: vec!["customer=7".to_owned()],
        config: client,
        brand: None,
        proof: Some("ticket 118".to_owned()),
        whole_person: false,
        id: Some("by-client".to_owned()),
        request: None,
        record: None,
        kind: "transaction".to_owned(),
        source: None,
        directive: None,
        notice: false,
        out: Some(receipt.clone()),
        receipt: None,
        reply_key: None,
        key: Some(key),
        force: false,
        no_wait: false,
        json: false,
    };
    tributary::cli::rights::submit(&erase).await.unwrap();
    let receipt = receipt_of(&std::fs::read_to_string(&receipt).unwrap());
    assert_eq!(receipt["request"], "by-client");
    // A receipt that somebody else has signed is none.
    let again = args::Rights {
        id: Some("by-client-2".to_owned()),
        out: Some(directory.join("other.json")),
        key: Some(others),
        ..erase
    };
    let refused = tributary::cli::rights::submit(&again).await.unwrap_err();
    let refused = format!("{refused:#}");
    assert!(
        refused.contains("not signed with the brand's key"),
        "{refused}"
    );
    assert!(!directory.join("other.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brands_login_reaches_its_own_brand_alone() {
    let Some(server) = NatsServer::start_or_skip(layout()) else {
        return;
    };
    let config = configure(&server);
    let worker = Worker::start(&config, &[]);
    tokio::task::block_in_place(|| worker.wait_until_read(0));
    let (acme, bolt) = (login(&server, "acme").await, login(&server, "bolt").await);
    let shop = login(&server, "acme_shop").await;
    // Bolt listens to all that its account lets it hear, and to what acme's would.
    let mut overheard = bolt.subscribe("tributary.>").await.unwrap();
    let mut statuses = acme
        .subscribe("tributary.rights.acme.status")
        .await
        .unwrap();
    let mut cells = acme.subscribe("tributary.out.acme.>").await.unwrap();
    // An answer of the broker: it knows the subscriptions.
    bolt.request("tributary.query.bolt", "".into())
        .await
        .unwrap();
    acme.request("tributary.query.acme", "".into())
        .await
        .unwrap();

    // Bolt tries acme's subjects, and the streams.
    assert_eq!(deliver(&bolt, "acme", "from-bolt").await, None);
    let tried = Topic::ALL.map(|topic| (&bolt, topic));
    // To exchange secrets is the operator's, whoever else may ask what.
    for (login, topic) in tried
        .into_iter()
        .chain([&bolt, &acme].map(|login| (login, Topic::Keys(0))))
    {
        let subject = topic.subject("acme");
        let none = async_nats::Request::new()
            .payload(erase("from-bolt").into())
            .timeout(Some(std::time::Duration::from_secs(2)));
        assert!(
            login.send_request(subject, none).await.is_err(),
            "{topic:?}"
        );
    }
    for brand in ["acme", "bolt"] {
        let requests = format!("tributary.rights.{brand}.request");
        bolt.publish(requests, erase("from-bolt").into())
            .await
            .unwrap();
    }
    for api in [
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.MSG.GET.TRIBUTARY_RIGHTS",
        "$SRV.INFO.tributary",
    ] {
        let request = async_nats::Request::new()
            .payload("{\"seq\":1}".into())
            .timeout(Some(std::time::Duration::from_secs(2)));
        let answer = bolt.send_request(api, request).await;
        let nothing = answer.map_or(true, |answer| {
            let answer: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
            answer.get("error").is_some()
        });
        assert!(nothing, "{api}");
    }

    // Acme's own programs deliver, submit requests and receive their status.
    let taken = deliver(&shop, "acme", "lyon").await.unwrap();
    assert!(taken["seq"].is_u64(), "{taken}");
    let cell = cells.next().await.unwrap();
    assert!(
        cell.subject.starts_with("tributary.out.acme."),
        "{}",
        cell.subject
    );
    let answer = ask(&acme, Topic::Rights, "acme", erase("from-acme"))
        .await
        .unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(
        (&answer["status"], &answer["brand"]),
        (&json!("pending"), &json!("acme"))
    );
    let mut words = Vec::new();
    while words.last().is_none_or(|word| word != "completed") {
        let status = statuses.next().await.unwrap();
        let status: Value = serde_json::from_slice(&status.payload).unwrap();
        assert_eq!(status["id"], "from-acme", "{status}");
        words.push(status["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(words, ["pending", "in_progress", "completed"]);
    let cells = ask(&acme, Topic::Query, "acme", String::new())
        .await
        .unwrap();
    let cells = String::from_utf8(cells).unwrap();
    assert!(
        cells.contains("lyon") && !cells.contains("from-bolt"),
        "{cells}"
    );
    by_client_configuration(&server).await;
    // The shop may deliver, and no more.
    shop.publish("tributary.rights-request.acme", erase("from-shop").into())
        .await
        .unwrap();

    // Bolt receives its own statuses, and has received none before.
    ask(&bolt, Topic::Rights, "bolt", erase("of-bolt"))
        .await
        .unwrap();
    loop {
        let message = overheard.next().await.unwrap();
        let text = String::from_utf8_lossy(&message.payload).into_owned();
        // Its own words come back to it, from its own account.
        if text.contains("from-bolt") {
            continue;
        }
        assert!(
            !message.subject.contains("acme") && !text.contains("acme"),
            "{}: {text}",
            message.subject
        );
        if text.contains("completed") {
            break;
        }
    }
    // What anybody tried has reached no stream.
    let operator = login(&server, "worker").await;
    let rights = &server.nats().rights_stream;
    let mut reader = nats::Reader::open(&operator, rights, 1).await.unwrap();
    while !reader.caught_up() {
        let wait = std::time::Duration::from_secs(10);
        for message in reader.next_batch(1_000, wait).await.unwrap() {
            let text = String::from_utf8_lossy(&message.payload).into_owned();
            assert!(
                !text.contains("from-bolt") && !text.contains("from-shop"),
                "{text}"
            );
        }
    }
    let input = nats::stream_state(&operator, &server.nats().input_stream)
        .await
        .unwrap();
    assert_eq!(input.last_sequence, 1);
    tokio::task::block_in_place(|| worker.stop());
}

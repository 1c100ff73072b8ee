//! Rights requests come in through the stream, the NATS service, OpenDSR over HTTP and the command: whichever it was,
//! the same is done, once, and published on the status subject. What is none gets a clear word at the door or there, and no
//! word anywhere identifies the data subject. Two thousand at once are all answered; `TRIBUTARY_RIGHTS_AT_ONCE` makes them more.

use crate::support::person::receipt_of;
use crate::support::statuses::Statuses;
use crate::support::story::{last, play, ready};
use crate::support::{Worker, World, chosen, succeed, tributary};
use futures::future::join_all;
use serde_json::{Value, json};
use tributary::serve::services::Topic;
use tributary::serve::services::client::{AskError, ask};
use tributary_config::model::Nats;
use tributary_connectors::nats::{Client, Reader, stream_state, subject};
use tributary_testkit::NatsServer;

const DOMAIN: &str = "opendsr_domain = \"rights.orchard.example\"\n";
const UUID: &str = "a7551968-d5d6-44b2-9831-815ac901779";

fn request(id: &str, right: &str, email: &str) -> Value {
    json!({
        "id": id, "ts": "2025-11-20T09:00:00Z", "type": right, "proof": "ticket 117",
        "identifiers": [{"kind": "email", "value": email}],
    })
}

fn submission(last_digit: char, email: &str) -> Value {
    json!({
        "regulation": "gdpr",
        "subject_request_id": format!("{UUID}{last_digit}"),
        "subject_request_type": "erasure",
        "submitted_time": "2025-11-20T09:00:00Z",
        "subject_identities": [
            {"identity_type": "email", "identity_value": email, "identity_format": "raw"},
        ],
    })
}

/// A worker of `orchard` that has read its records.
async fn worker(broker: &Nats) -> (World, Worker, Client) {
    let world = World::new(500, Some(broker), DOMAIN);
    let client = ready(broker).await;
    let lines: Vec<_> = world.trace().collect();
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    tokio::task::block_in_place(|| worker.wait_until_read(end));
    (world, worker, client)
}

/// Hands a request in on its stream, as anybody may who is let in there.
async fn publish(client: &Client, brand: &str, request: impl ToString) {
    let text = request.to_string();
    let jetstream = async_nats::jetstream::new(client.clone());
    let sent = jetstream.publish(subject::rights_requests(brand), text.into());
    sent.await.unwrap().await.unwrap();
}

/// The refusal of the NATS service.
async fn refused(client: &Client, request: impl ToString) -> String {
    match ask(client, Topic::Rights, "orchard", request.to_string()).await {
        Err(AskError::Refused {
            code: 400,
            sentence,
        }) => sentence,
        other => panic!("{other:?}"),
    }
}

fn http(worker: &Worker, method: &str, path: &str, body: impl ToString) -> (u16, Value) {
    let body = body.to_string();
    let answer = tokio::task::block_in_place(|| worker.send(method, path, "", &body));
    let (status, body) = answer.expect("an answer");
    assert!(!body.contains("jane"), "{body}");
    (status, serde_json::from_str(&body).expect(&body))
}

/// How many messages a subject has.
async fn count(client: &Client, broker: &Nats, subject: &str) -> usize {
    let reader = Reader::filtered(client, &broker.rights_stream, subject, 1);
    let mut reader = reader.await.unwrap();
    let mut count = 0;
    while !reader.caught_up() {
        let wait = std::time::Duration::from_secs(10);
        count += reader.next_batch(1_000, wait).await.unwrap().len();
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_leads_to_the_same_end() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let (world, worker, client) = worker(&broker).await;
    let mut statuses = Statuses::open(&client, &broker).await;

    // The stream.
    publish(
        &client,
        "orchard",
        request("stream-1", "erase", "jane1@example.org"),
    )
    .await;
    assert_eq!(statuses.end("stream-1", 1).await, "completed");
    assert_eq!(
        statuses.words("stream-1"),
        ["pending", "in_progress", "completed"]
    );

    // The service.
    let service = request("service-1", "restrict", "jane2@example.org");
    let handed_in = async || {
        let answer = ask(&client, Topic::Rights, "orchard", service.to_string()).await;
        serde_json::from_slice::<Value>(&answer.unwrap()).unwrap()
    };
    let answer = handed_in().await;
    let expected = json!({
        "at": answer["at"], "brand": "orchard", "id": "service-1", "status": "pending", "type": "restrict",
    });
    assert_eq!(answer, expected);
    assert_eq!(statuses.end("service-1", 1).await, "completed");

    // OpenDSR.
    let (status, discovery) = http(&worker, "GET", "/v2/discovery", "");
    assert_eq!((status, &discovery["api_version"]), (200, &json!("2.0")));
    let id = format!("{UUID}0");
    let (status, created) = http(
        &worker,
        "POST",
        "/v2/requests",
        submission('0', "jane3@example.org"),
    );
    assert_eq!((status, &created["subject_request_id"]), (201, &json!(id)));
    // Handed in is found at once, and ends where all do.
    let path = format!("/v2/requests/{id}?brand=orchard");
    let (status, stands) = http(&worker, "GET", &path, "");
    assert_eq!((status, &stands["controller_id"]), (200, &json!("orchard")));
    assert_eq!(statuses.end(&id, 1).await, "completed");
    assert_eq!(
        http(&worker, "GET", &path, "").1["request_status"],
        "completed"
    );

    // The command.
    let config = world.path("tributary.toml");
    let output = tokio::task::block_in_place(|| {
        let mut command = tributary();
        command.args([
            "rights",
            "do_not_sell",
            "email=jane4@example.org",
            "--config",
        ]);
        succeed(
            command
                .arg(config)
                .args(["--id", "command-1", "--proof", "ticket 117"]),
        )
    });
    let receipt = receipt_of(std::str::from_utf8(&output.stdout).unwrap());
    assert_eq!(receipt["request"], "command-1");
    assert_eq!(statuses.end("command-1", 1).await, "completed");

    // The same again, through another interface: answered again, executed once.
    publish(&client, "orchard", &service).await;
    assert_eq!(statuses.end("service-1", 2).await, "completed");
    assert_eq!(handed_in().await["status"], "pending");
    assert_eq!(statuses.end("service-1", 3).await, "completed");
    assert_eq!(
        http(
            &worker,
            "POST",
            "/requests",
            submission('0', "jane3@example.org")
        )
        .0,
        201
    );
    assert_eq!(statuses.end(&id, 2).await, "completed");
    let receipts = subject::rights_receipt("orchard");
    assert_eq!(count(&client, &broker, &receipts).await, 4);
    // Others under its id.
    publish(
        &client,
        "orchard",
        request("service-1", "erase", "jane2@example.org"),
    )
    .await;
    assert_eq!(statuses.end("service-1", 4).await, "id_taken");
    assert_eq!(
        http(
            &worker,
            "POST",
            "/requests",
            submission('0', "jane5@example.org")
        )
        .0,
        201
    );
    assert_eq!(statuses.end(&id, 3).await, "id_taken");
    let stands = http(&worker, "GET", &path, "").1;
    assert_eq!(stands["request_status"], "cancelled");
    assert_eq!(
        stands["extensions"]["rights.orchard.example"]["reason"],
        "id_taken"
    );

    // What is none, at the service and on the stream.
    let mut unproved = request("unproved", "erase", "jane6@example.org");
    unproved.as_object_mut().unwrap().remove("proof");
    let mut misspelt = request("misspelt", "erase", "jane6@example.org");
    misspelt["whole_persn"] = json!(true);
    let mut other = request("other", "erase", "jane6@example.org");
    other["brand"] = json!("jane6");
    for (request, id, reason) in [
        (unproved, "unproved", "no_proof"),
        (misspelt, "misspelt", "malformed"),
        (other, "other", "unknown_brand"),
    ] {
        let sentence = refused(&client, &request).await;
        assert!(
            sentence.ends_with(&format!("({reason})")) && !sentence.contains("jane"),
            "{sentence}"
        );
        publish(&client, "orchard", &request).await;
        assert_eq!(statuses.end(id, 1).await, reason);
    }
    assert!(refused(&client, "jane").await.contains("not JSON"));
    publish(&client, "orchard", "jane").await;
    assert_eq!(statuses.end("unreadable", 1).await, "malformed");
    publish(
        &client,
        "nobody",
        request("nowhere", "erase", "jane6@example.org"),
    )
    .await;
    assert_eq!(statuses.end("nowhere", 1).await, "unknown_brand");
    let nobody = ask(&client, Topic::Rights, "nobody", "{}".to_owned()).await;
    assert!(matches!(nobody, Err(AskError::NoWorker(_))), "{nobody:?}");
    // The same at OpenDSR; its controllers prove who asked, so that no proof is named.
    let mut called = submission('1', "jane6@example.org");
    called["status_callback_urls"] = json!(["https://orchard.example/jane"]);
    for (method, path, body, code, reason) in [
        ("POST", "/v2/requests", "jane".to_owned(), 400, "malformed"),
        (
            "POST",
            "/v2/requests",
            called.to_string(),
            400,
            "unsupported",
        ),
        ("POST", "/v2/requests", " ".repeat(65_537), 413, "too_large"),
        (
            "POST",
            "/v2/requests?brand=nobody",
            submission('1', "jane6").to_string(),
            400,
            "unknown_brand",
        ),
        ("GET", "/v2/requests/none", String::new(), 404, "not_found"),
        (
            "DELETE",
            "/v2/requests/none",
            String::new(),
            404,
            "not_found",
        ),
    ] {
        let (status, answer) = http(&worker, method, path, body);
        let found = &answer["error"]["errors"][0]["reason"];
        assert_eq!((status, found), (code, &json!(reason)), "{method} {path}");
    }
    let browser = tokio::task::block_in_place(|| {
        let body = submission('1', "jane6@example.org").to_string();
        worker.send(
            "POST",
            "/v2/requests",
            "Origin: https://evil.example\r\n",
            &body,
        )
    });
    assert_eq!(browser.unwrap().0, 403);

    // Nothing waits, nothing was done but what was to be done, and nothing identifies the data subject.
    assert_eq!(
        count(&client, &broker, &subject::rights_requests("*")).await,
        0
    );
    assert_eq!(count(&client, &broker, &receipts).await, 4);
    let stats = client
        .request("$SRV.STATS.tributary", "".into())
        .await
        .unwrap();
    let stats = String::from_utf8(stats.payload.to_vec()).unwrap();
    assert!(
        stats.contains("tributary.rights-request.orchard") && !stats.contains("jane"),
        "{stats}"
    );
    assert!(!worker.said("jane"));
    tokio::task::block_in_place(|| worker.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_all_answered() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let (_world, worker, client) = worker(&broker).await;
    let mut statuses = Statuses::open(&client, &broker).await;
    let many = chosen("TRIBUTARY_RIGHTS_AT_ONCE", 2_000);
    let asked = join_all((0..many).map(|number| {
        let right = ["restrict", "erase"][number as usize % 2];
        let email = format!("nobody{number}@example.org");
        let request = request(&format!("many-{number:04}"), right, &email).to_string();
        ask(&client, Topic::Rights, "orchard", request)
    }));
    for answer in asked.await {
        let answer: Value = serde_json::from_slice(&answer.unwrap()).unwrap();
        assert_eq!(answer["status"], "pending");
    }
    for number in 0..many {
        let id = format!("many-{number:04}");
        assert_eq!(statuses.end(&id, 1).await, "completed");
        assert_eq!(statuses.words(&id), ["pending", "in_progress", "completed"]);
    }
    let receipts = subject::rights_receipt("orchard");
    assert_eq!(count(&client, &broker, &receipts).await as u64, many);
    assert_eq!(
        count(&client, &broker, &subject::rights_requests("*")).await,
        0
    );
    let end = stream_state(&client, &broker.input_stream).await.unwrap();
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end.last_sequence);
        worker.stop();
    });
}

//! A controller speaks OpenDSR with a worker: the examples of the specification, signatures that its certificate
//! confirms, callbacks that are repeated until they arrive, and a cancellation.
//!
//! `ca.pem` has signed the certificates of the processor and of the controller, which is a server of this machine.

use crate::support::statuses::Statuses;
use crate::support::story::ready;
use crate::support::{PATIENCE, Worker, World};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tributary::privacy::rights::callbacks::{CallbackError, Poster};
use tributary::privacy::rights::cancel::cancel;
use tributary::privacy::rights::signature::{SignatureError, Signer};
use tributary_connectors::nats::subject;
use tributary_rights::RequestId;
use tributary_testkit::NatsServer;

const DOMAIN: &str = "rights.orchard.example";
const ID: &str = "a7551968-d5d6-44b2-9831-815ac9017798";

/// A file of this directory.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/rights_opendsr")
        .join(name)
}

/// The first certificate of a file.
fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file(name)).unwrap()
}

/// `[http]` with the certificate of the processor, whose key is copied into a directory where nobody else reads it.
fn signed(directory: &Path) -> String {
    let (pem, key) = (file("processor.pem"), directory.join("processor.key"));
    let text = std::fs::read_to_string(file("processor.key")).unwrap();
    tributary_testkit::write_secret(&key, &text);
    format!(
        "opendsr_domain = \"{DOMAIN}\"\nopendsr_certificate_file = {pem:?}\nopendsr_key_file = {key:?}\n"
    )
}

/// Whether a signature is one of the processor's, by its certificate alone.
fn verify(head: &str, body: &str) {
    for name in ["opendsr", "opengdpr"] {
        let value = |what: &str| {
            let name = format!("x-{name}-{what}: ");
            let line = head
                .lines()
                .find(|line| line.to_lowercase().starts_with(&name));
            line.unwrap_or_else(|| panic!("no {name} in {head}"))[name.len()..].to_owned()
        };
        assert_eq!(value("processor-domain"), DOMAIN);
        let signature = STANDARD.decode(value("signature")).unwrap();
        let certificate = certificate("processor.pem");
        let certificate = webpki::EndEntityCert::try_from(&certificate).unwrap();
        certificate
            .verify_signature(
                webpki::ring::RSA_PKCS1_2048_8192_SHA256,
                body.as_bytes(),
                &signature,
            )
            .expect("the signature of the body");
    }
}

/// The example of OpenGDPR 1.0, 7.2, with callbacks to an origin.
fn example(id: &str, origin: &str) -> String {
    json!({
        "subject_request_id": id,
        "subject_request_type": "erasure",
        "submitted_time": "2018-10-02T15:00:00Z",
        "subject_identities": [
            {"identity_type": "email", "identity_value": "johndoe@example.com", "identity_format": "raw"},
        ],
        "api_version": "1.0",
        "status_callback_urls": [format!("{origin}/opengdpr_callbacks")],
        "extensions": {
            "example-processor.com": {"foo-processor-custom-id": 123_456, "property_id": "123456"},
            "example-other-processor.com": {"foo-other-processor-custom-id": 654_321},
        },
    })
    .to_string()
}

/// A request to the worker, whose answer has a signature.
fn exchange(worker: &Worker, method: &str, path: &str, body: &str) -> (u16, Value) {
    let answer = tokio::task::block_in_place(|| worker.exchange(method, path, "", body));
    let answer = answer.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    verify(head, body);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

/// The controller's server: it refuses the first callbacks, and passes on head and body of each one.
async fn controller(refuses: usize) -> (String, mpsc::UnboundedReceiver<(String, String)>) {
    let key = PrivateKeyDer::from_pem_file(file("controller.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate("controller.pem")], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    let (callbacks, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for attempt in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.unwrap() > 0 {}
            let length = head.lines().find_map(|line| {
                line.to_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            });
            let mut body = vec![0; length.expect("a length")];
            stream.read_exact(&mut body).await.unwrap();
            let status = if attempt < refuses {
                "500 No"
            } else {
                "202 Accepted"
            };
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            let _ = callbacks.send((head, String::from_utf8(body).unwrap()));
        }
    });
    (origin, received)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_is_called_back_with_signatures() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let (origin, mut callbacks) = controller(1).await;
    let keys = tempfile::tempdir().unwrap();
    let http = format!(
        "{}opendsr_callbacks = [{origin:?}]\nopendsr_private_callbacks = true\n",
        signed(keys.path())
    );
    let world = World::new(50, Some(&broker), &http);
    let client = ready(&broker).await;
    let config = world.path("tributary.toml");
    let ca = file("ca.pem");
    let start = || Worker::start_with(&config, &[], &[("SSL_CERT_FILE", ca.to_str().unwrap())]);
    let worker = start();
    tokio::task::block_in_place(|| worker.wait_until_read(0));

    // Discovery, and the certificate that it names.
    let (status, discovery) = exchange(&worker, "GET", "/v2/discovery", "");
    let url = format!("https://{DOMAIN}/opendsr.pem");
    assert_eq!(
        (status, &discovery["processor_certificate"]),
        (200, &json!(url))
    );
    let published = tokio::task::block_in_place(|| worker.get("/opendsr.pem")).unwrap();
    let published = CertificateDer::from_pem_slice(published.1.as_bytes()).unwrap();
    assert_eq!(published, certificate("processor.pem"));

    // The example under its old name; each status arrives in order, although the first attempt fails.
    let (status, created) = exchange(
        &worker,
        "POST",
        "/v1/opengdpr_requests",
        &example(ID, &origin),
    );
    assert_eq!((status, &created["subject_request_id"]), (201, &json!(ID)));
    let mut statuses = Vec::new();
    while statuses.last() != Some(&"cancelled".to_owned())
        && statuses.last() != Some(&"completed".to_owned())
    {
        let (head, body) = tokio::time::timeout(PATIENCE, callbacks.recv())
            .await
            .unwrap()
            .unwrap();
        assert!(
            head.starts_with("POST /opengdpr_callbacks HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(!body.contains("johndoe"), "{body}");
        verify(&head, &body);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["subject_request_id"], ID);
        assert_eq!(body["controller_id"], "orchard");
        assert_eq!(
            body["status_callback_url"],
            format!("{origin}/opengdpr_callbacks")
        );
        assert!(body["expected_completion_time"].is_string());
        statuses.push(body["request_status"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        statuses[..3],
        ["pending", "pending", "in_progress"],
        "{statuses:?}"
    );
    // What has arrived leaves the stream.
    let left = async || {
        let jetstream = async_nats::jetstream::new(client.clone());
        let stream = jetstream
            .get_stream_no_info(&broker.rights_stream)
            .await
            .unwrap();
        let subject = subject::rights_callbacks("orchard");
        stream
            .get_last_raw_message_by_subject(&subject)
            .await
            .is_ok()
    };
    let begun = Instant::now();
    while left().await {
        assert!(begun.elapsed() < PATIENCE, "a callback is left");
    }

    // What is refused is signed as well, and names nobody.
    let other = "b7551968-d5d6-44b2-9831-815ac9017798";
    for (method, path, body, code, reason) in [
        (
            "POST",
            "/v2/requests",
            example(other, "https://other.example"),
            400,
            "unsupported",
        ),
        (
            "POST",
            "/v2/requests",
            example(other, "http://localhost"),
            400,
            "malformed",
        ),
        (
            "DELETE",
            "/v2/requests/none",
            String::new(),
            404,
            "not_found",
        ),
        (
            "DELETE",
            &*format!("/v2/requests/{ID}"),
            String::new(),
            400,
            "unsupported",
        ),
    ] {
        let (status, answer) = exchange(&worker, method, path, &body);
        let found = &answer["error"]["errors"][0]["reason"];
        assert_eq!((status, found), (code, &json!(reason)), "{method} {path}");
        assert_eq!(answer["error"]["code"], code);
    }

    // A request that waits is canceled, and never starts.
    worker.stop();
    let request = json!({
        "id": other, "ts": "2025-11-20T09:00:00Z", "type": "erase", "proof": "ticket 117",
        "identifiers": [{"kind": "email", "value": "jane@example.org"}],
    });
    let jetstream = async_nats::jetstream::new(client.clone());
    let subject = subject::rights_requests("orchard");
    let sent = jetstream
        .publish(subject, request.to_string().into())
        .await
        .unwrap();
    sent.await.unwrap();
    cancel(&client, "orchard", &RequestId::read(other).unwrap())
        .await
        .unwrap();
    let worker = start();
    let mut statuses = Statuses::open(&client, &broker).await;
    assert_eq!(statuses.end(other, 1).await, "cancelled");
    assert_eq!(statuses.words(other), ["pending", "rejected"]);
    tokio::task::block_in_place(|| worker.wait_until_read(0));
    let path = format!("/opendsr_requests/{other}");
    assert_eq!(
        exchange(&worker, "GET", &path, "").1["request_status"],
        "cancelled"
    );
    let (status, cancelled) = exchange(&worker, "DELETE", &path, "");
    assert_eq!(
        (status, &cancelled["subject_request_id"]),
        (202, &json!(other))
    );
    assert!(!worker.said("johndoe"));
}

/// A controller that takes connections and never answers, and how many it has taken.
async fn silent_controller() -> (String, mpsc::UnboundedReceiver<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (taken, connections) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(listener.accept().await.unwrap());
            let _ = taken.send(());
        }
    });
    (format!("https://localhost:{port}"), connections)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_controller_delays_no_other() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let (silent, mut connections) = silent_controller().await;
    let (origin, mut callbacks) = controller(0).await;
    let keys = tempfile::tempdir().unwrap();
    let http = format!(
        "{}opendsr_callbacks = [{silent:?}, {origin:?}]\nopendsr_private_callbacks = true\n",
        signed(keys.path())
    );
    let world = World::new(50, Some(&broker), &http);
    let _client = ready(&broker).await;
    let ca = file("ca.pem");
    let env = [("SSL_CERT_FILE", ca.to_str().unwrap())];
    let worker = Worker::start_with(&world.path("tributary.toml"), &[], &env);
    tokio::task::block_in_place(|| worker.wait_until_read(0));
    let submit = |id: &str, origin: &str| {
        let (status, _) = exchange(&worker, "POST", "/v2/requests", &example(id, origin));
        assert_eq!(status, 201);
    };
    submit(ID, &silent);
    let taken = tokio::time::timeout(PATIENCE, connections.recv()).await;
    taken.unwrap().expect("a callback to the silent controller");

    let other = "b7551968-d5d6-44b2-9831-815ac9017798";
    submit(other, &origin);
    let mut last = Value::Null;
    while last != "completed" {
        let callback = tokio::time::timeout(PATIENCE, callbacks.recv()).await;
        let body: Value = serde_json::from_str(&callback.unwrap().unwrap().1).unwrap();
        assert_eq!(body["subject_request_id"], other);
        last = body["request_status"].clone();
    }
}

#[tokio::test]
async fn a_callback_does_not_lead_inside() {
    let (origin, _received) = controller(0).await;
    let keys = tempfile::tempdir().unwrap();
    let http = format!("{}opendsr_callbacks = [{origin:?}]\n", signed(keys.path()));
    let http = World::new(1, None, &http).config().http;
    let signer = Arc::new(Signer::open(&http).unwrap().unwrap());
    let poster = Poster::new(&http, signer).unwrap();
    let post = async |url: &str| poster.post(url, "{}".into()).await;
    let inside = post(&format!("{origin}/callbacks")).await;
    assert!(matches!(inside, Err(CallbackError::Private)), "{inside:?}");
    for url in [
        "https://other.example/callbacks".to_owned(),
        origin.replace("https", "http"),
        origin.replace("https://", "https://user@"),
        format!("{origin}1/"),
    ] {
        let other = post(&url).await;
        assert!(
            matches!(other, Err(CallbackError::Origin)),
            "{url}: {other:?}"
        );
    }
}

#[test]
fn a_certificate_fits_its_domain_and_its_key() {
    let keys = tempfile::tempdir().unwrap();
    let http = World::new(1, None, &signed(keys.path())).config().http;
    assert!(Signer::open(&http).unwrap().is_some());
    let mut other = http.clone();
    other.opendsr_domain = Some("rights.other.example".to_owned());
    assert!(matches!(
        Signer::open(&other),
        Err(SignatureError::Domain { .. })
    ));
    let mut other = http.clone();
    other.opendsr_key = Some(file("controller.key"));
    assert!(matches!(Signer::open(&other), Err(SignatureError::Pair(_))));
    let mut other = http;
    other.opendsr_key = Some(file("processor.pem"));
    assert!(matches!(
        Signer::open(&other),
        Err(SignatureError::Pem { .. })
    ));
}

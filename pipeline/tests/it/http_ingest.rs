//! Records over HTTP: what is accepted is in the input stream as it was sent, and what is refused has a clear status and
//! leaves nothing there.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tributary::live_config::LiveConfig;
use tributary::report::metrics::Metrics;
use tributary::serve::ingest::{self, IngestServer};
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Client, Reader};
use tributary_testkit::{NatsServer, Proxy};

use crate::support::http::{Response, send};
use crate::support::shared_data;
use crate::support::story::last;

/// A brand with sources of several formats, and another one.
const BRANDS: &str = r#"
[[brand]]
name = "acme"
timezone = "UTC"
secret_env = "SECRET"
[[brand.source]]
name = "shop"
kind = "web"
[[brand.source]]
name = "tag"
kind = "web"
format = "segment"
[[brand.source]]
name = "wifi"
kind = "ping"
format = "meraki"
secret_env = "MERAKI"
validator = "0123abcd"
[[brand.source]]
name = "tills"
kind = "transaction"
format = "csv"
zone = "UTC"
[brand.source.csv]
columns = { id = "basket", ts = "time", store = "shop", amount = "total" }
[[brand]]
name = "zeta"
timezone = "UTC"
secret_env = "OTHER"
"#;

/// The sources with a token; the token is the name with `-token`.
const TOKENS: [(&str, &str); 5] = [
    ("acme", "shop"),
    ("acme", "tag"),
    ("acme", "tills"),
    ("acme", "wifi"),
    ("zeta", "web"),
];

/// The configuration, with `more` lines under `[http_ingest]`.
fn config(url: &str, more: &str, with_tokens: bool) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let mut text = format!(
        "[nats]\nurl = \"{url}\"\npings_stream = \"\"\n[http_ingest]\nlisten = \"127.0.0.1:0\"\n{more}\n"
    );
    for (brand, source) in TOKENS.iter().filter(|_| with_tokens) {
        let file = folder.path().join(format!("{brand}-{source}"));
        let digest = Sha256::digest(format!("{source}-token"));
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(&file, hex).unwrap();
        text += &format!(
            "[[http_ingest.token]]\nbrand = \"{brand}\"\nsource = \"{source}\"\nsha256_file = {file:?}\n"
        );
    }
    text += BRANDS;
    parse(&text)
}

/// The configuration of the requests among the shared data.
fn config_of_shared_requests(url: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let mut text = format!(
        "[nats]\nurl = \"{url}\"\npings_stream = \"\"\n[http_ingest]\nlisten = \"127.0.0.1:0\"\n"
    );
    for (source, token) in [("shop", "t"), ("tag", "writekey")] {
        let file = folder.path().join(source);
        let digest = Sha256::digest(token);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(&file, hex).unwrap();
        text += &format!(
            "[[http_ingest.token]]\nbrand = \"acme\"\nsource = \"{source}\"\nsha256_file = {file:?}\n"
        );
    }
    text += &BRANDS
        .replace("name = \"wifi\"", "name = \"meraki\"")
        .replace("0123abcd", "validator text");
    parse(&text)
}

/// A configuration with invented secrets.
fn parse(text: &str) -> Config {
    let secret = |name: &str| match name {
        "MERAKI" => Some("s3cret".to_owned()),
        "SECRET" | "OTHER" => Some(format!("{}{name}", tributary_testkit::SECRET)),
        _ => None,
    };
    tributary_config::parse_in(text, std::path::Path::new("test.toml"), &secret)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .config
}

/// A broker with an input stream, and the server in front of it.
struct Deployment {
    address: SocketAddr,
    config: Config,
    metrics: Arc<Metrics>,
    client: Client,
    broker: NatsServer,
    _stop: oneshot::Sender<()>,
}

impl Deployment {
    /// None without a broker's program.
    async fn start(more: &str, with_tokens: bool) -> Option<Deployment> {
        let broker = NatsServer::start_or_skip("")?;
        let url = broker.url();
        Some(Deployment::of(broker, config(&url, more, with_tokens)).await)
    }

    /// With a server of a configuration, which may reach the broker by another address.
    async fn of(broker: NatsServer, config: Config) -> Deployment {
        let client = nats::connect(&broker.nats(), "test").await.unwrap();
        nats::ensure_input_stream(&client, &config.nats, &["acme", "zeta"])
            .await
            .unwrap();
        let metrics = Arc::new(Metrics::new(&config));
        let server = IngestServer::new(&LiveConfig::fixed(&config), metrics.clone());
        let own = nats::connect(&config.nats, "ingest").await.unwrap();
        server.open(&own);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(ingest::serve(server, listener, async {
            let _ = stopped.await;
        }));
        Deployment {
            address,
            config,
            metrics,
            client,
            broker,
            _stop: stop,
        }
    }

    async fn post(&self, path: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Response {
        let line = format!("POST {path}");
        let response = send(self.address, &line, headers, body.as_ref()).await;
        response.unwrap_or_else(|| panic!("no response to {line}"))
    }

    /// The messages of the stream: subject, headers and payload.
    async fn stored(&self) -> Vec<(String, Vec<(String, String)>, String)> {
        let stream = &self.config.nats.input_stream;
        let mut reader = Reader::open(&self.client, stream, 1).await.unwrap();
        let mut out = Vec::new();
        while !reader.caught_up() {
            let wait = Duration::from_secs(10);
            for message in reader.next_batch(1000, wait).await.unwrap() {
                let payload = String::from_utf8(message.payload.to_vec()).unwrap();
                out.push((message.subject.to_string(), message.headers, payload));
            }
        }
        out
    }

    async fn count(&self) -> u64 {
        last(&self.client, &self.config.nats.input_stream).await
    }
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

const JSON: &str = "Content-Type: application/json";
const NDJSON: &str = "Content-Type: application/x-ndjson";
const SHOP: &str = "Authorization: Bearer shop-token";

#[tokio::test]
async fn what_is_accepted_is_in_the_stream() {
    let Some(of) = Deployment::start("", true).await else {
        return;
    };
    let record = r#"{"id":"1","type":"view"}"#;
    let list = format!("[{record},\n{record}]");
    let lines = format!("{record}\n{record}\n");
    let zstd = zstd::encode_all(lines.as_bytes(), 3).unwrap();
    let shop = "/v1/in/acme/web/shop";
    let event = r#"{"specversion":"1.0","id":"a","source":"/s","type":"t","data":{}}"#;
    let rows = "basket,time,shop,total\nb1,2023-11-14 22:13:20,s1,12.50\n";
    let csv = r#"{"amount":"12.50","id":"b1","store":"s1","ts":"2023-11-14 22:13:20"}"#;
    let two = format!("{record}\n{record}");
    let batch = format!("[{event},{event}]");
    type Case<'a> = (&'a str, Vec<&'a str>, Vec<u8>, &'a str, &'a str);
    let cases: Vec<Case<'_>> = vec![
        (
            shop,
            vec![JSON, SHOP],
            record.into(),
            record,
            "acme.web.shop",
        ),
        (
            shop,
            vec!["Content-Type: Application/JSON; charset=UTF-8", SHOP],
            list.into(),
            &two,
            "acme.web.shop",
        ),
        // The token says which of two sources the path leaves open.
        (
            "/v1/in/acme/web",
            vec![NDJSON, SHOP],
            lines.clone().into(),
            &two,
            "acme.web",
        ),
        (
            "/v1/in/acme/web",
            vec![NDJSON, "Authorization: Bearer tag-token"],
            lines.clone().into(),
            &two,
            "acme.web.tag",
        ),
        (
            "/v1/in/zeta/web",
            vec![NDJSON, "Authorization: Bearer web-token"],
            lines.clone().into(),
            &two,
            "zeta.web",
        ),
        (
            shop,
            vec![NDJSON, SHOP, "Content-Encoding: gzip"],
            gzip(lines.as_bytes()),
            &two,
            "acme.web.shop",
        ),
        (
            shop,
            vec![NDJSON, SHOP, "Content-Encoding: GZIP"],
            gzip(lines.as_bytes()),
            &two,
            "acme.web.shop",
        ),
        (
            shop,
            vec![NDJSON, SHOP, "Content-Encoding: zstd"],
            zstd,
            &two,
            "acme.web.shop",
        ),
        (
            "/v1/in/acme/transaction/tills",
            vec![
                "Content-Type: text/csv",
                "Authorization: bearer tills-token",
            ],
            rows.into(),
            csv,
            "acme.transaction.tills",
        ),
        (
            shop,
            vec!["Content-Type: application/cloudevents+json", SHOP],
            event.into(),
            event,
            "acme.web.shop",
        ),
        (
            shop,
            vec!["Content-Type: application/cloudevents-batch+json", SHOP],
            batch.clone().into(),
            &batch,
            "acme.web.shop",
        ),
        (
            shop,
            vec![
                JSON,
                SHOP,
                "ce-specversion: 1.0",
                "ce-id: 9",
                "ce-type: t",
                "ce-source: %2Fs",
                "Tributary-At: 5",
                "Cookie: x=y",
            ],
            record.into(),
            record,
            "acme.web.shop",
        ),
    ];
    for (n, (path, headers, body, _, _)) in cases.iter().enumerate() {
        let response = of.post(path, headers, body).await;
        assert_eq!(response.status, 202, "{n}: {response:?}");
        assert_eq!(response.header("set-cookie"), None);
        let accepted: Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!(accepted["messages"], 1, "{n}: {accepted}");
        // A response comes after the acknowledgment.
        assert_eq!(of.count().await, n as u64 + 1);
    }
    let stored = of.stored().await;
    for ((_, headers, _, payload, subject), (of, own, data)) in cases.iter().zip(&stored) {
        assert_eq!(
            (data.as_str(), of.as_str()),
            (*payload, format!("tributary.in.{subject}").as_str())
        );
        let is_attribute = |name: &str| name.starts_with("ce-") || name == "Content-Type";
        let kept: Vec<String> = (own.iter().filter(|(name, _)| name != "Nats-Msg-Id"))
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let mut sent: Vec<String> = (headers.iter().copied())
            .filter(|line| line.contains("cloudevents") || line.starts_with("ce-"))
            .map(str::to_owned)
            .collect();
        sent.sort();
        assert_eq!(kept, sent);
        assert!(
            own.iter()
                .all(|(name, _)| is_attribute(name) || name == "Nats-Msg-Id")
        );
    }
    let metrics = of.metrics.encode();
    let expected =
        r#"tributary_http_ingest_requests_total{brand="acme",code="202",source="shop"} 9"#;
    assert!(metrics.contains(expected), "{metrics}");
    assert!(
        metrics.contains("tributary_http_ingest_ack_seconds_count 12"),
        "{metrics}"
    );
    assert!(
        metrics.contains(r#"tributary_http_ingest_bytes_total{brand="zeta",source="web"} 50"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn what_is_refused_leaves_nothing_in_the_stream() {
    let Some(of) = Deployment::start("max_body = 100_000", true).await else {
        return;
    };
    let shop = "/v1/in/acme/web/shop";
    let bomb = gzip(&vec![b' '; 10 << 20]);
    let large = vec![b'1'; 100_001];
    let damaged = {
        let mut damaged = gzip(&[b'{'; 1000]);
        damaged[15] ^= 0xff;
        damaged
    };
    let cut = gzip(b"{\"id\":1}")[..10].to_vec();
    let long_key = format!("Idempotency-Key: {}", "k".repeat(256));
    let many = format!("ce-id: {}", "x".repeat(9000));
    type Case<'a> = (u16, &'a str, Vec<&'a str>, Vec<u8>);
    let cases: Vec<Case<'_>> = vec![
        // Without a right token, and where there is no such brand, kind or source.
        (401, shop, vec![JSON], b"{}".to_vec()),
        (
            401,
            shop,
            vec![JSON, "Authorization: Bearer shop-toke"],
            b"{}".to_vec(),
        ),
        (
            401,
            shop,
            vec![JSON, "Authorization: Bearer tag-token"],
            b"{}".to_vec(),
        ),
        (
            401,
            shop,
            vec![JSON, "Authorization: Basic c2hvcC10b2tlbjo="],
            b"{}".to_vec(),
        ),
        (401, shop, vec![JSON, SHOP, SHOP], b"{}".to_vec()),
        (401, "/v1/in/none/web", vec![JSON, SHOP], b"{}".to_vec()),
        (401, "/v1/in/zeta/web", vec![JSON, SHOP], b"{}".to_vec()),
        (401, "/v1/in/acme/none", vec![JSON, SHOP], b"{}".to_vec()),
        (
            401,
            "/v1/in/acme/web/none",
            vec![JSON, SHOP],
            b"{}".to_vec(),
        ),
        (401, "/v1/in/acme/spend", vec![JSON, SHOP], b"{}".to_vec()),
        // A body that is no JSON.
        (
            400,
            shop,
            vec![JSON, SHOP],
            b"[{\"id\":1},{\"id\":2}".to_vec(),
        ),
        (400, shop, vec![JSON, SHOP], b"".to_vec()),
        (400, shop, vec![JSON, SHOP], b"7".to_vec()),
        (400, shop, vec![JSON, SHOP], b"{\"id\":\"\xff\"}".to_vec()),
        (400, shop, vec![NDJSON, SHOP], b"\n \n".to_vec()),
        // Encodings.
        (
            400,
            shop,
            vec![JSON, SHOP, "Content-Encoding: gzip"],
            damaged,
        ),
        (400, shop, vec![JSON, SHOP, "Content-Encoding: gzip"], cut),
        (
            400,
            shop,
            vec![JSON, SHOP, "Content-Encoding: zstd"],
            b"{}".to_vec(),
        ),
        (
            415,
            shop,
            vec![JSON, SHOP, "Content-Encoding: br"],
            b"{}".to_vec(),
        ),
        (
            415,
            shop,
            vec![JSON, SHOP, "Content-Encoding: gzip, gzip"],
            gzip(&gzip(b"{}")),
        ),
        (415, shop, vec![SHOP], b"{}".to_vec()),
        (
            415,
            shop,
            vec!["Content-Type: text/plain", SHOP],
            b"{}".to_vec(),
        ),
        (
            415,
            shop,
            vec!["Content-Type: application/x-www-form-urlencoded", SHOP],
            b"a=b".to_vec(),
        ),
        (
            415,
            shop,
            vec!["Content-Type: text/csv", SHOP],
            b"a,b\n1,2\n".to_vec(),
        ),
        // Sizes: as stated, as sent, and decompressed.
        (413, shop, vec![JSON, SHOP], large.clone()),
        (
            413,
            shop,
            vec![JSON, SHOP, "Content-Length: 99999999999"],
            b"{}".to_vec(),
        ),
        (
            413,
            shop,
            vec![NDJSON, SHOP, "Transfer-Encoding: chunked"],
            {
                let mut chunked = format!("{:x}\r\n", large.len()).into_bytes();
                chunked.extend_from_slice(&large);
                chunked.extend_from_slice(b"\r\n0\r\n\r\n");
                chunked
            },
        ),
        (
            413,
            shop,
            vec![NDJSON, SHOP, "Content-Encoding: gzip"],
            bomb,
        ),
        // Headers.
        (
            400,
            shop,
            vec![JSON, SHOP, "Idempotency-Key: "],
            b"{}".to_vec(),
        ),
        (400, shop, vec![JSON, SHOP, &long_key], b"{}".to_vec()),
        (400, shop, vec![JSON, SHOP, &many], b"{}".to_vec()),
        // A page of somewhere else.
        (
            403,
            shop,
            vec![JSON, SHOP, "Origin: https://elsewhere.example"],
            b"{}".to_vec(),
        ),
        // Segment.
        (401, "/v1/track", vec![JSON], b"{}".to_vec()),
        (
            401,
            "/v1/track",
            vec![JSON],
            b"{\"writeKey\":\"shop-token\"}".to_vec(),
        ),
        (
            401,
            "/v1/batch",
            vec![JSON, "Authorization: Basic bm9uZTo="],
            b"{\"batch\":[]}".to_vec(),
        ),
        (
            400,
            "/v1/batch",
            vec![JSON],
            b"{\"writeKey\":\"tag-token\",\"batch\":7}".to_vec(),
        ),
        (
            400,
            "/v1/batch",
            vec![JSON, "Authorization: Basic dGFnLXRva2VuOg=="],
            b"{}".to_vec(),
        ),
        (
            400,
            "/v1/page",
            vec![JSON, "Authorization: Basic dGFnLXRva2VuOg=="],
            b"[]".to_vec(),
        ),
        (404, "/v1/none", vec![JSON, SHOP], b"{}".to_vec()),
        (404, "/", vec![JSON, SHOP], b"{}".to_vec()),
        // Meraki.
        (
            401,
            "/v1/in/acme/ping/wifi",
            vec![JSON],
            br#"{"secret":"wrong","type":"WiFi"}"#.to_vec(),
        ),
        (401, "/v1/in/acme/ping/wifi", vec![JSON], b"[".to_vec()),
    ];
    let mut sentences = Vec::new();
    for (n, (status, path, headers, body)) in cases.iter().enumerate() {
        // Guesses are limited; these are not one guesser.
        let response = of.post(path, headers, body).await;
        assert_eq!(
            response.status, *status,
            "{n} {path} {headers:?}: {response:?}"
        );
        let error: Value = serde_json::from_str(&response.body).unwrap();
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.len() > 20, "{message}");
        assert!(!response.body.contains("token-") && !response.body.contains("shop-"));
        if *status == 401 {
            sentences.push(response.body.clone());
        }
    }
    sentences.dedup();
    assert_eq!(sentences.len(), 1, "the refusals differ: {sentences:?}");
    let got = send(of.address, "GET /v1/in/acme/web/shop", &[SHOP], b"")
        .await
        .unwrap();
    assert_eq!(got.status, 404);
    let got = send(of.address, "DELETE /v1/in/acme/web/shop", &[SHOP], b"")
        .await
        .unwrap();
    assert_eq!(got.status, 405);
    assert_eq!(of.count().await, 0);
    let metrics = of.metrics.encode();
    assert!(
        metrics.contains(r#"{brand="acme",code="413",source="shop"}"#),
        "{metrics}"
    );
    assert!(
        metrics.contains(r#"{brand="unknown",code="401",source="unknown"}"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_large_body_becomes_several_messages() {
    let Some(of) = Deployment::start("", true).await else {
        return;
    };
    let items: Vec<String> = (0..100_000)
        .map(|n| format!("{{\"id\":\"r{n}\"}}"))
        .collect();
    let body = format!("[{}]", items.join(","));
    let headers = [JSON, SHOP, "Idempotency-Key: k1"];
    let response = of.post("/v1/in/acme/web/shop", &headers, &body).await;
    let accepted: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(
        (response.status, &accepted["lines"]),
        (202, &100_000.into())
    );
    let stored = of.stored().await;
    assert_eq!(accepted["messages"], stored.len());
    assert!(stored.len() > 2);
    let mut found = Vec::new();
    for (n, (_, headers, payload)) in stored.iter().enumerate() {
        assert!(payload.len() <= 512 << 10);
        assert_eq!(headers, &[("Nats-Msg-Id".to_owned(), format!("k1/{n}"))]);
        found.extend(payload.lines());
    }
    assert_eq!(found, items);
    // 10 MiB of one record fit into no message.
    let long = format!("[{{\"id\":\"a\"}},{{\"id\":\"{}\"}}]", "x".repeat(10 << 20));
    let response = of.post("/v1/in/acme/web/shop", &[JSON, SHOP], long).await;
    assert_eq!(response.status, 413, "{}", response.body);
    assert!(response.body.contains("line 2"), "{}", response.body);
    assert_eq!(of.count().await, stored.len() as u64);
}

#[tokio::test]
async fn a_repeated_key_counts_once_and_not_for_another_body() {
    let Some(of) = Deployment::start("", true).await else {
        return;
    };
    let key = "Idempotency-Key: order-1";
    for _ in 0..3 {
        let response = of
            .post("/v1/in/acme/web/shop", &[JSON, SHOP, key], "{\"a\":1}")
            .await;
        assert_eq!(response.status, 202, "{response:?}");
    }
    let other = of
        .post("/v1/in/acme/web/shop", &[JSON, SHOP, key], "{\"a\":2}")
        .await;
    assert_eq!(other.status, 409, "{other:?}");
    let token = "Authorization: Bearer web-token";
    let other = of
        .post("/v1/in/zeta/web", &[JSON, token, key], "{\"a\":1}")
        .await;
    assert_eq!(other.status, 409, "{other:?}");
    assert_eq!(of.count().await, 1);
}

#[tokio::test]
async fn the_sdks_of_segment_and_rudderstack_find_their_paths() {
    let Some(of) = Deployment::start("origins = [\"https://shop.example\"]", true).await else {
        return;
    };
    let basic = format!("Authorization: Basic {}", STANDARD.encode("tag-token:"));
    let event = r#"{"messageId":"1","event":"Order Completed"}"#;
    let typed = |of_type: &str| {
        format!(r#"{{"messageId":"1","event":"Order Completed","type":"{of_type}"}}"#)
    };
    let in_body = r#"{"writeKey":"tag-token","batch":[{"messageId":"1","writeKey":"tag-token"}, {"messageId":"2"}],"sentAt":"T"}"#;
    let without = r#"{"batch":[{"messageId":"1"},{"messageId":"2"}],"sentAt":"T"}"#;
    let without = without.replace(
        r#""batch":[{"messageId":"1"},{"messageId":"2"}],"sentAt":"T""#,
        r#""sentAt":"T","batch":[{"messageId":"1"},{"messageId":"2"}]"#,
    );
    let plain = "Content-Type: text/plain";
    let shop = "Origin: https://shop.example";
    let cases: Vec<(&str, Vec<&str>, &str, String)> = vec![
        ("/v1/track", vec![JSON, &basic], event, typed("track")),
        (
            "/v1/page",
            vec![JSON, &basic, "AnonymousId: eA=="],
            event,
            typed("page"),
        ),
        ("/v1/screen", vec![JSON, &basic], event, typed("screen")),
        ("/v1/identify", vec![JSON, &basic], event, typed("identify")),
        ("/v1/alias", vec![JSON, &basic], event, typed("alias")),
        ("/v1/group", vec![JSON, &basic], event, typed("group")),
        (
            "/v1/t",
            vec![plain, shop, "Authorization: Bearer tag-token"],
            event,
            typed("track"),
        ),
        ("/v1/batch", vec![JSON], in_body, without.clone()),
        ("/v1/import", vec![JSON], in_body, without.clone()),
        ("/v1/b", vec![plain, shop], in_body, without.clone()),
        (
            "/beacon/v1/batch?writeKey=tag-token",
            vec![plain, shop],
            in_body,
            without.clone(),
        ),
    ];
    for (path, headers, body, _) in &cases {
        let response = of.post(path, headers, body).await;
        assert_eq!(response.status, 200, "{path}: {response:?}");
        assert_eq!(response.body, "{\"success\":true}\n");
        let is_page = headers.contains(&shop);
        let allowed = response.header("access-control-allow-origin");
        assert_eq!(allowed, is_page.then_some("https://shop.example"), "{path}");
    }
    let stored = of.stored().await;
    assert_eq!(stored.len(), cases.len());
    for ((path, _, _, expected), (subject, _, payload)) in cases.iter().zip(&stored) {
        assert_eq!(
            (subject.as_str(), payload),
            ("tributary.in.acme.web.tag", expected),
            "{path}"
        );
    }
    // A browser asks first, for what the SDK of RudderStack sends.
    let asks = [
        shop,
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: anonymousid,authorization,content-type",
    ];
    let response = send(of.address, "OPTIONS /v1/track", &asks, b"")
        .await
        .unwrap();
    assert_eq!(response.status, 200);
    let allowed = response.header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("anonymousid") && allowed.contains("authorization"));
    assert_eq!(response.header("access-control-allow-credentials"), None);
    let asks = ["Origin: https://elsewhere.example", asks[1], asks[2]];
    let response = send(of.address, "OPTIONS /v1/track", &asks, b"")
        .await
        .unwrap();
    assert_eq!(response.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn access_points_validate_and_prove_themselves_by_their_secret() {
    let Some(of) = Deployment::start("", true).await else {
        return;
    };
    let wifi = "/v1/in/acme/ping/wifi";
    for path in [wifi, "/v1/in/acme/ping"] {
        let response = send(of.address, &format!("GET {path}"), &[], b"")
            .await
            .unwrap();
        assert_eq!((response.status, response.body.as_str()), (200, "0123abcd"));
    }
    let post = r#"{"version":"3.0","secret":"s3cret","type":"WiFi","data":{}}"#;
    let response = of.post(wifi, &[JSON], post).await;
    assert_eq!(response.status, 202, "{response:?}");
    // Whoever has the token proves nothing more: the decoder compares the secret.
    let token = "Authorization: Bearer wifi-token";
    let response = of.post(wifi, &[JSON, token], r#"{"secret":"wrong"}"#).await;
    assert_eq!(response.status, 202, "{response:?}");
    assert_eq!(of.count().await, 2);
}

#[tokio::test]
async fn without_tokens_the_server_is_open_to_this_machine_alone() {
    let Some(of) = Deployment::start("", false).await else {
        return;
    };
    assert_eq!(
        of.post("/v1/in/acme/web/shop", &[JSON], "{}").await.status,
        202
    );
    assert_eq!(of.post("/v1/in/zeta/web", &[JSON], "{}").await.status, 202);
    let key = "Authorization: Basic YW55Og==";
    assert_eq!(of.post("/v1/page", &[JSON, key], "{}").await.status, 200);
    for proxied in [
        "X-Forwarded-For: 192.0.2.1",
        "Forwarded: for=192.0.2.1",
        "Via: 1.1 proxy",
    ] {
        assert_eq!(
            of.post("/v1/in/zeta/web", &[JSON, proxied], "{}")
                .await
                .status,
            401
        );
        assert_eq!(
            of.post("/v1/page", &[JSON, proxied], "{}").await.status,
            401
        );
    }
    assert_eq!(of.post("/v1/in/none/web", &[JSON], "{}").await.status, 401);
    let page = "Origin: http://localhost:3000";
    assert_eq!(
        of.post("/v1/in/zeta/web", &[JSON, page], "{}").await.status,
        403
    );
    assert_eq!(of.count().await, 3);
}

#[tokio::test]
async fn beyond_the_window_clients_are_asked_to_wait() {
    let Some(broker) = NatsServer::start_or_skip("") else {
        return;
    };
    let proxy = Proxy::start(broker.address());
    let of = Deployment::of(broker, config(&proxy.url(), "window = 1", true)).await;
    proxy.stall(true);
    // One of two has the only place, whichever it is; the other is refused at once.
    let headers = [JSON, SHOP];
    let (one, two) = (
        of.post("/v1/in/acme/web/shop", &headers, "{\"n\":1}"),
        of.post("/v1/in/acme/web/shop", &headers, "{\"n\":2}"),
    );
    let (mut one, mut two) = (Box::pin(one), Box::pin(two));
    let (refused, waiting) = tokio::select! {
        refused = &mut one => (refused, two),
        refused = &mut two => (refused, one),
    };
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (429, Some("1")),
        "{refused:?}"
    );
    proxy.stall(false);
    let accepted = waiting.await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    assert_eq!(of.count().await, 1);
}

#[tokio::test]
async fn without_a_broker_nothing_is_promised() {
    let Some(mut of) = Deployment::start("", true).await else {
        return;
    };
    let headers = [JSON, SHOP, "Idempotency-Key: once"];
    of.broker.kill();
    let response = of.post("/v1/in/acme/web/shop", &headers, "{}").await;
    assert_eq!(
        (response.status, response.header("retry-after")),
        (503, Some("1")),
        "{response:?}"
    );
    of.broker.restart();
    // The client connects again by itself.
    let response = loop {
        let response = of.post("/v1/in/acme/web/shop", &headers, "{}").await;
        match response.status {
            503 => tokio::time::sleep(Duration::from_millis(100)).await,
            _ => break response,
        }
    };
    assert_eq!(response.status, 202, "{response:?}");
    assert_eq!(of.stored().await.len(), 1);
}

/// The requests of the shared data are answered as it says.
#[tokio::test]
async fn shared_requests_have_their_answers() {
    let Some(data) = shared_data() else {
        return;
    };
    let Some(broker) = NatsServer::start_or_skip("") else {
        return;
    };
    let config = config_of_shared_requests(&broker.url());
    let of = Deployment::of(broker, config).await;
    let read = |name: &str| -> Vec<Value> {
        let file = data.join("formats/http_ingest").join(name);
        let text = std::fs::read_to_string(file).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let expected = read("expected.ndjson");
    for (request, expected) in read("requests.ndjson").iter().zip(&expected) {
        let n = &request["n"];
        assert_eq!(n, &expected["n"]);
        let headers = request["headers"].as_object().unwrap();
        let headers: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.as_str().unwrap()))
            .collect();
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let before = of.count().await;
        let body = request["body"].as_str().unwrap().as_bytes();
        let response = send(
            of.address,
            request["request"].as_str().unwrap(),
            &headers,
            body,
        )
        .await;
        let response = response.unwrap();
        assert_eq!(expected["status"], response.status, "{n}: {response:?}");
        match &expected["body"] {
            Value::Null => {}
            Value::String(text) => assert_eq!(&response.body, text, "{n}"),
            body => assert_eq!(
                &serde_json::from_str::<Value>(&response.body).unwrap(),
                body,
                "{n}"
            ),
        }
        let published = of.count().await - before;
        let messages = expected["body"]["messages"].as_u64();
        if let Some(count) = expected["published"].as_u64().or(messages) {
            assert_eq!(published, count, "{n}");
        }
    }
    let (_, headers, _) = of.stored().await.swap_remove(0);
    assert_eq!(headers, [("Nats-Msg-Id".to_owned(), "k1/0".to_owned())]);
}

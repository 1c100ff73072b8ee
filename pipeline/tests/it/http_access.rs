//! Who may see what over HTTP: forbidden accesses are refused one by one, permitted ones are answered, and operational
//! numbers are exact for operators alone.

use std::net::SocketAddr;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tributary::report::counts::Counts;
use tributary::report::published_cells::SharedCells;
use tributary::report::telemetry::Telemetry;
use tributary::serve::http::serve;
use tributary::serve::state::HttpState;
use tributary_config::model::Config;
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::record::BrandId;

/// 2025-10-26.
const TODAY: i32 = 20_387;

/// Tokens by name, each with brand and role.
const TOKENS: [(&str, Option<&str>, &str); 6] = [
    ("acme-read", Some("acme"), "read"),
    ("zeta-read", Some("zeta"), "read"),
    ("acme-privacy", Some("acme"), "privacy"),
    ("acme-operate", Some("acme"), "operate"),
    ("operate", None, "operate"),
    ("zeta-privacy", Some("zeta"), "privacy"),
];

/// The configuration of two brands, with `more` lines under `[http]`.
pub fn config(more: &str, tokens: bool) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let mut text =
        format!("[release]\nk = 20\n[http]\nopendsr_domain = \"rights.example\"\n{more}\n");
    for (name, brand, role) in TOKENS.iter().filter(|_| tokens) {
        let file = folder.path().join(name);
        let digest = Sha256::digest(name);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(&file, hex + "  -\n").unwrap();
        let brand = brand.map_or(String::new(), |brand| format!("brand = {brand:?}\n"));
        text += &format!("[[http.token]]\n{brand}role = {role:?}\nsha256_file = {file:?}\n");
    }
    for brand in ["acme", "zeta"] {
        text += &format!(
            "[[brand]]\nname = \"{brand}\"\ntimezone = \"UTC\"\nsecret_env = \"SECRET_{brand}\"\n"
        );
    }
    let secret = |name: &str| {
        name.strip_prefix("SECRET_")
            .map(|brand| format!("{brand}{}", tributary_testkit::SECRET))
    };
    tributary_config::parse_in(&text, std::path::Path::new("test.toml"), &secret)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .config
}

/// A server over a configuration.
pub struct Server {
    address: SocketAddr,
    state: HttpState,
    _stop: oneshot::Sender<()>,
}

impl Server {
    pub async fn start(config: &Config) -> Server {
        let telemetry = Telemetry::new(config);
        let state = HttpState::new(config, &telemetry, &SharedCells::default());
        state.page.stand_at(crate::support::noon_of(TODAY));
        for (brand, minor) in [("acme", 12_345), ("zeta", 67_890)] {
            let text = |word: &str| Dim::Text(word.into());
            state.cells.lock().apply(&Cell {
                family: Family::StoreDay,
                dims: vec![text(brand), text("lyon"), Dim::Day(TODAY), text("EUR")],
                values: vec![3, minor, 3],
            });
        }
        let cells = state.cells.lock().clone();
        telemetry.metrics.board(&cells, |_| TODAY);
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = door.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(serve(door, state.clone(), async {
            let _ = stopped.await;
        }));
        Server {
            address,
            state,
            _stop: stop,
        }
    }

    /// One request: the status, the head and what has come of the body. `/events` never ends.
    pub async fn send(&self, line: &str, head: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let host = if head.contains("Host:") {
            ""
        } else {
            "Host: localhost\r\n"
        };
        let request = format!("{line} HTTP/1.1\r\n{host}Connection: close\r\n{head}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let mut part = [0; 4096];
        loop {
            let read = stream.read(&mut part).await.unwrap();
            answer.extend_from_slice(&part[..read]);
            let text = String::from_utf8_lossy(&answer);
            // A viewer with the role privacy gets no model.
            let is_last = text.contains("event: model") || text.contains("\"may\":[\"privacy\"]");
            let is_first_event = line.contains("/events") && is_last;
            if read == 0 || is_first_event {
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                return (status, head.to_lowercase(), body.to_owned());
            }
        }
    }

    /// A request with a token.
    async fn get(&self, path: &str, token: Option<&str>) -> (u16, String, String) {
        let head = token.map_or(String::new(), |token| {
            format!("Authorization: Bearer {token}\r\n")
        });
        self.send(&format!("GET {path}"), &head).await
    }
}

#[tokio::test]
async fn forbidden_accesses_are_refused() {
    let server = Server::start(&config("", true)).await;
    let cells = "/v1/cells/store_day";
    let forbidden: Vec<(String, Option<&str>, u16)> = [
        // Nobody.
        ("/events", None, 401),
        ("/events?brand=acme", None, 401),
        ("/config", None, 401),
        ("/v1/cells/store_day?brand=acme", None, 401),
        ("/v1/cells/nothing", None, 401),
        ("/v2/requests/1?brand=acme", None, 401),
        ("/requests/1?brand=acme", None, 401),
        // A wrong token, also where nothing is secret.
        ("/", Some("guess"), 401),
        ("/metrics", Some("guess"), 401),
        ("/events?brand=acme", Some("acme-rea"), 401),
        ("/config", Some("operate2"), 401),
        ("/v1/cells/store_day?brand=acme", Some("ACME-READ"), 401),
        ("/v2/requests/1?brand=acme", Some(""), 401),
        // Another brand.
        ("/events?brand=zeta", Some("acme-read"), 403),
        ("/v1/cells/store_day?brand=zeta", Some("acme-read"), 403),
        ("/v1/cells/store_day?brand=acme", Some("zeta-read"), 403),
        ("/v1/cells/store_day?brand=zeta", Some("acme-operate"), 403),
        ("/events?brand=zeta", Some("acme-operate"), 403),
        ("/v2/requests/1?brand=zeta", Some("acme-privacy"), 403),
        ("/v2/requests/1?brand=acme", Some("zeta-privacy"), 403),
        // A brand that does not exist is as forbidden as one that does.
        ("/events?brand=nobody", Some("acme-read"), 403),
        ("/v1/cells/store_day?brand=nobody", Some("acme-read"), 403),
        ("/v2/requests/1?brand=nobody", Some("acme-privacy"), 403),
        ("/v2/requests/1", Some("acme-privacy"), 403),
        // Another role.
        ("/config", Some("acme-read"), 403),
        ("/config", Some("acme-operate"), 403),
        ("/config", Some("acme-privacy"), 403),
        ("/events?brand=zeta", Some("acme-privacy"), 403),
        ("/v1/rights?brand=acme", Some("acme-read"), 403),
        ("/v1/rights?brand=acme", Some("acme-operate"), 403),
        ("/v1/rights?brand=acme", Some("operate"), 403),
        ("/v1/rights?brand=zeta", Some("acme-privacy"), 403),
        ("/v1/audit?brand=acme", Some("acme-read"), 403),
        ("/v1/audit?brand=zeta", Some("acme-privacy"), 403),
        ("/v1/rights?brand=acme", None, 401),
        ("/v1/audit?brand=acme", None, 401),
        ("/v1/cells/store_day?brand=acme", Some("acme-privacy"), 403),
        ("/v2/requests/1?brand=acme", Some("acme-read"), 403),
        ("/v2/requests/1?brand=acme", Some("acme-operate"), 403),
        ("/v2/requests/1?brand=acme", Some("operate"), 403),
    ]
    .map(|(path, token, status)| (path.to_owned(), token, status))
    .into();
    assert!(forbidden.len() >= 30);
    for (path, token, expected) in &forbidden {
        let (status, head, body) = server.get(path, *token).await;
        assert_eq!(status, *expected, "{path} {token:?}: {body}");
        assert_eq!(
            status == 401,
            head.contains("www-authenticate: bearer"),
            "{head}"
        );
        for secret in ["12345", "67890", "123.45", "678.9", "lyon", "timezone"] {
            assert!(!body.contains(secret), "{path} {token:?}: {body}");
        }
        let token = token.unwrap_or("x").to_owned() + "\"";
        assert!(!body.contains(&token));
    }
    for line in [
        "POST /v2/requests?brand=acme",
        "DELETE /v2/requests/1?brand=acme",
    ] {
        for (token, expected) in [("", 401), ("Authorization: Bearer acme-read\r\n", 403)] {
            let head = format!("Content-Length: 0\r\n{token}");
            assert_eq!(server.send(line, &head).await.0, expected, "{line} {token}");
        }
    }
    // What needs no token.
    for path in [
        "/",
        "/livez",
        "/v1/openapi.json",
        "/metrics",
        "/v2/discovery",
    ] {
        assert_eq!(server.get(path, None).await.0, 200, "{path}");
    }
    // What each token is for. The rights requests find no broker.
    for (path, token, expected) in [
        ("/events?brand=acme", "acme-read", 200),
        ("/events", "zeta-read", 200),
        ("/events?brand=zeta", "operate", 200),
        (cells, "acme-read", 200),
        ("/v1/cells/store_day?brand=acme", "acme-operate", 200),
        ("/v1/cells/store_day?brand=zeta", "operate", 200),
        ("/config", "operate", 200),
        ("/events?brand=acme", "acme-privacy", 200),
        ("/v1/rights?brand=acme", "acme-privacy", 503),
        ("/v1/audit", "acme-privacy", 200),
        ("/v2/requests/1?brand=acme", "acme-privacy", 503),
    ] {
        assert_eq!(
            server.get(path, Some(token)).await.0,
            expected,
            "{path} {token}"
        );
    }
}

#[tokio::test]
async fn a_page_of_another_origin_or_name_is_not_answered() {
    let server = Server::start(&config("hosts = [\"metrics.shop.example\"]", true)).await;
    let token = "Authorization: Bearer operate\r\n";
    for (head, expected) in [
        ("Host: metrics.shop.example\r\n", 200),
        (
            "Host: metrics.shop.example\r\nOrigin: https://metrics.shop.example\r\n",
            200,
        ),
        ("Host: evil.example\r\n", 421),
        ("Host: localhost\r\nHost: localhost\r\n", 421),
        ("Host: localhost\r\nOrigin: https://evil.example\r\n", 403),
        ("Host: localhost\r\nOrigin: null\r\n", 403),
        ("Host: localhost\r\nOrigin: http://localhost:81\r\n", 403),
    ] {
        let head = format!("{head}{token}");
        assert_eq!(
            server.send("GET /config", &head).await.0,
            expected,
            "{head}"
        );
    }
}

#[tokio::test]
async fn a_token_shows_its_brand_and_no_other() {
    let server = Server::start(&config("", true)).await;
    let (_, _, body) = server.get("/events", Some("zeta-read")).await;
    assert!(
        body.contains("\"brand\":\"zeta\"") && !body.contains("acme"),
        "{body}"
    );
    // The role privacy sees no number of its brand: neither its sources nor that cells have changed.
    let (_, _, body) = server.get("/events", Some("acme-privacy")).await;
    assert!(
        body.contains("\"may\":[\"privacy\"]")
            && body.contains("\"sources\":[]")
            && !body.contains("event: model"),
        "{body}"
    );
    let (_, _, body) = server.get("/v1/cells/store_day", Some("acme-read")).await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["rows"].as_array().unwrap().len(), 1);
    assert_eq!(answer["rows"][0]["value"]["revenue_minor"], 12_345);
    assert_eq!(answer["next"], Value::Null);

    let takings = "tributary_store_takings{";
    let (_, _, body) = server.get("/metrics", Some("acme-read")).await;
    assert!(body.contains(takings) && !body.contains("zeta"), "{body}");
    // Without a token, no series of a brand.
    let (_, _, body) = server.get("/metrics", None).await;
    assert!(
        !body.contains("brand=") && body.contains("tributary_ready "),
        "{body}"
    );
    let (_, _, body) = server.get("/metrics", Some("operate")).await;
    assert!(body.contains("brand=\"zeta\"") && body.contains("brand=\"acme\""));
}

/// The value of a series of a scrape.
fn value(scrape: &str, series: &str) -> Option<f64> {
    let line = scrape.lines().find(|line| line.starts_with(series))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[tokio::test]
async fn operational_numbers_are_exact_for_operators_alone() {
    let config = config("", true);
    let config = Config {
        release: tributary_config::model::Release {
            cadence_ms: 0,
            ..config.release.clone()
        },
        ..config
    };
    let server = Server::start(&config).await;
    let metrics = &server.state.telemetry.metrics;
    let count = |of_acme: u64, held: i64| {
        let mut counts = Counts::default();
        counts.accepted.insert(
            (BrandId::of("acme"), "transaction", "transaction".into()),
            of_acme,
        );
        counts.stages.held = held;
        metrics.sync(&counts, &Default::default());
    };
    let accepted = "tributary_records_accepted_total{brand=\"acme\",kind=\"transaction\",source=\"transaction\"}";
    let held = "tributary_records_held ";
    // One act after the other moves what others see by whole steps of k_delta (10) only.
    let mut before = 0.0;
    for acts in 1..=40 {
        count(acts, 100 + acts as i64);
        let (_, _, exact) = server.get("/metrics", Some("operate")).await;
        assert_eq!(value(&exact, accepted), Some(acts as f64));
        assert_eq!(value(&exact, held), Some((100 + acts) as f64));
        let (_, _, own) = server.get("/metrics", Some("acme-operate")).await;
        assert_eq!(value(&own, accepted), Some(acts as f64));
        for token in [Some("acme-read"), None] {
            let (_, _, seen) = server.get("/metrics", token).await;
            let shown = value(&seen, held).unwrap();
            assert_eq!(shown, ((100 + acts) / 10 * 10) as f64, "{token:?}");
            match token {
                Some(_) => {
                    let shown = value(&seen, accepted).unwrap();
                    assert_eq!(shown, (acts / 10 * 10) as f64);
                    assert!(shown >= before);
                    before = shown;
                }
                None => assert_eq!(value(&seen, accepted), None),
            }
            assert!(!seen.contains("ledger_commit_duration") && !seen.contains("rights_oldest"));
        }
        let (_, _, zeta) = server.get("/metrics", Some("zeta-read")).await;
        assert_eq!(value(&zeta, accepted), None);
    }
    // The page shows what the metrics show.
    let (_, _, body) = server.get("/events", Some("acme-read")).await;
    assert!(
        body.contains("\"held\":140.0") && body.contains("\"accepted\":40.0"),
        "{body}"
    );
    count(47, 147);
    let (_, _, body) = server.get("/events", Some("acme-read")).await;
    assert!(
        body.contains("\"held\":140.0") && body.contains("\"accepted\":40.0"),
        "{body}"
    );
    let (_, _, body) = server.get("/events", Some("operate")).await;
    assert!(
        body.contains("\"held\":147.0") && body.contains("\"accepted\":47.0"),
        "{body}"
    );
}

#[tokio::test]
async fn without_tokens_the_machine_is_trusted_and_others_see_steps() {
    let server = Server::start(&config("", false)).await;
    let mut counts = Counts::default();
    counts.stages.held = 17;
    server
        .state
        .telemetry
        .metrics
        .sync(&counts, &Default::default());
    let (status, _, body) = server.get("/metrics", None).await;
    assert_eq!(
        (status, value(&body, "tributary_records_held ")),
        (200, Some(17.0))
    );
    assert_eq!(server.get("/config", None).await.0, 200);
    // Through a proxy, the same machine is no longer alone.
    let proxied = "X-Forwarded-For: 192.0.2.1\r\n";
    let (_, _, body) = server.send("GET /metrics", proxied).await;
    assert_eq!(value(&body, "tributary_records_held "), Some(0.0));
    assert_eq!(server.send("GET /config", proxied).await.0, 403);
    let cells = "GET /v1/cells/store_day?brand=acme";
    assert_eq!(server.send(cells, proxied).await.0, 200);
    // Several brands, none chosen.
    let (status, _, body) = server.get("/v1/cells/store_day", None).await;
    assert_eq!(status, 400);
    let wrong: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(wrong["error"]["parameter"], "brand");
    assert_eq!(wrong["error"]["fix"], "give one of acme, zeta");
    for (query, parameter) in [
        ("brand=acme&limit=x", "limit"),
        ("brand=acme&stroe=lyon", "stroe"),
        ("brand=acme&brand=zeta", "brand"),
        ("brand=nobody", "brand"),
    ] {
        let (status, _, body) = server
            .get(&format!("/v1/cells/store_day?{query}"), None)
            .await;
        let wrong: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (status, &wrong["error"]["parameter"]),
            (400, &parameter.into()),
            "{body}"
        );
    }
    let (status, _, body) = server.get("/v1/cells/store_days?brand=acme", None).await;
    assert!(status == 404 && body.contains("store_day"), "{body}");
}

#[tokio::test]
async fn pages_and_formats_follow_each_other() {
    let server = Server::start(&config("", false)).await;
    for (at, store) in ["a", "b c", "d&e"].into_iter().enumerate() {
        let text = |word: &str| Dim::Text(word.into());
        server.state.cells.lock().apply(&Cell {
            family: Family::StoreDay,
            dims: vec![text("acme"), text(store), Dim::Day(TODAY - 1), text("EUR")],
            values: vec![1, at as i128, 1],
        });
    }
    let mut path =
        "/v1/cells/store_day?brand=acme&day=2025-10-25&sort=-revenue_minor&limit=1".to_owned();
    let mut seen = Vec::new();
    loop {
        let (status, head, body) = server.get(&path, None).await;
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        seen.push(
            answer["rows"][0]["cell"]["store"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
        let link = head.lines().find_map(|line| line.strip_prefix("link: <"));
        assert_eq!(link.is_some(), answer["next"].is_string(), "{head}");
        let Some(next) = answer["next"].as_str() else {
            break;
        };
        let bare = path.split("&after=").next().unwrap().to_owned();
        path = format!("{bare}&after={next}");
    }
    assert_eq!(seen, ["d&e", "b c", "a"]);
    let filtered = "/v1/cells/store_day?brand=acme&store=b+c&store=d%26e&format=csv";
    let (_, head, body) = server.get(filtered, None).await;
    assert!(head.contains("content-type: text/csv"), "{head}");
    assert_eq!(body.lines().count(), 3, "{body}");
    // An answer changes with its cells, although it was kept.
    let sum = "/v1/cells/store_day?brand=acme&group_by=&format=ndjson";
    let (_, _, before) = server.get(sum, None).await;
    assert_eq!(server.get(sum, None).await.2, before);
    let text = |word: &str| Dim::Text(word.into());
    server.state.cells.lock().apply(&Cell {
        family: Family::StoreDay,
        dims: vec![text("acme"), text("f"), Dim::Day(TODAY), text("EUR")],
        values: vec![1, 1_000, 1],
    });
    let (_, _, after) = server.get(sum, None).await;
    assert!(
        before != after && after.contains("\"revenue_minor\":13348"),
        "{before} {after}"
    );
}

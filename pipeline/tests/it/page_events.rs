//! The events of the page, read from the wire: a listener hears of changes and of nothing else, listeners share what
//! is computed, there are only so many of them, and none outlives the server.

use std::time::Duration;

use crate::support::PATIENCE;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tributary::report::published_cells::SharedCells;
use tributary::report::telemetry::Telemetry;
use tributary::serve::http::serve;
use tributary::serve::page::MAX_LISTENERS;
use tributary::serve::state::HttpState;
use tributary_operators::cell::{Cell, Dim, Family};

const TODAY: i32 = 20_387;

struct Listener(BufReader<TcpStream>);

impl Listener {
    /// Asks for the events; the status of the answer.
    async fn open(address: std::net::SocketAddr, query: &str) -> (u16, Listener) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET /events{query} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut listener = Listener(BufReader::new(stream));
        let status = listener
            .line()
            .await
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        while !listener.line().await.trim().is_empty() {}
        (status, listener)
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.0.read_line(&mut line);
        tokio::time::timeout(PATIENCE, read)
            .await
            .expect("in time")
            .unwrap();
        line
    }

    /// The data of the next event of a name.
    async fn next(&mut self, name: &str) -> Value {
        loop {
            if self.line().await.trim_end() == format!("event: {name}") {
                let line = self.line().await;
                return serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
            }
        }
    }
}

fn takings(brand: &str, value: i128) -> Cell {
    let text = |word: &str| Dim::Text(word.into());
    Cell {
        family: Family::StoreDay,
        dims: vec![text(brand), text("s1"), Dim::Day(TODAY), text("EUR")],
        values: vec![1, value, 1],
    }
}

/// The revenue that the page reads when it gets a model: the model says when to read.
async fn taken(address: std::net::SocketAddr, brand: &str) -> i64 {
    let path = format!("/v1/cells/store_day?brand={brand}&group_by=");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
    body["rows"][0]["value"]["revenue_minor"].as_i64().unwrap()
}

#[tokio::test]
async fn listeners_hear_of_changes_and_are_bounded() {
    let brand = |name: &str| {
        format!(
            "[[brand]]\nname = \"{name}\"\ntimezone = \"UTC\"\nsecret_env = \"SECRET_{name}\"\n"
        )
    };
    let secret = |name: &str| {
        name.strip_prefix("SECRET_")
            .map(|brand| format!("{brand}{}", tributary_testkit::SECRET))
    };
    let text = brand("acme") + &brand("zeta");
    let loaded = tributary_config::parse_in(&text, std::path::Path::new("test.toml"), &secret);
    let config = loaded.unwrap().config;
    let telemetry = Telemetry::new(&config);
    let state = HttpState::new(&config, &telemetry, &SharedCells::default());
    state.page.stand_at(crate::support::noon_of(TODAY));
    state.cells.lock().apply(&takings("acme", 100));
    state.cells.lock().apply(&takings("zeta", 7));
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = door.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(door, state.clone(), async {
        let _ = stopped.await;
    }));

    let (status, mut acme) = Listener::open(address, "").await;
    assert_eq!(status, 200);
    let status = acme.next("status").await;
    assert_eq!(status["brands"], json!(["acme", "zeta"]));
    assert_eq!(status["ready"], json!(false));
    assert!(status["reasons"][0]["code"] == "disconnected", "{status}");
    let first = acme.next("model").await;
    assert_eq!(first["currencies"][0]["code"], "EUR");
    assert_eq!(taken(address, "acme").await, 100);
    // A brand's events hold nothing of another's, and no number.
    let (_, mut zeta) = Listener::open(address, "?brand=zeta").await;
    let model = zeta.next("model").await;
    assert_eq!(model["brand"], "zeta");
    assert_eq!(taken(address, "zeta").await, 7);
    assert!(!model.to_string().contains("acme"));
    let (_, mut unknown) = Listener::open(address, "?brand=nobody").await;
    assert_eq!(unknown.next("model").await["brand"], "acme");
    drop(unknown);

    // Changes of health are sent, and so are cells; a heartbeat comes where nothing happens.
    state.telemetry.health.set_connected(true);
    state.telemetry.health.set_caught_up(true);
    while acme.next("status").await["ready"] == json!(false) {}
    for value in 1..50 {
        state.cells.lock().apply(&takings("acme", value));
    }
    let stamp = |state: &HttpState| json!(state.cells.lock().stamp());
    while acme.next("model").await["stamp"] != stamp(&state) {}
    assert_eq!(taken(address, "acme").await, 49);
    let quiet = acme.next("status").await;
    assert_eq!(acme.next("status").await, quiet);

    let mut others = Vec::new();
    while others.len() < MAX_LISTENERS - 2 {
        match Listener::open(address, "").await {
            (200, listener) => others.push(listener),
            // The place of the listener that has left is not free yet.
            (503, _) => tokio::time::sleep(Duration::from_millis(20)).await,
            (status, _) => panic!("{status}"),
        }
    }
    assert_eq!(Listener::open(address, "").await.0, 503, "one too many");
    state.cells.lock().apply(&takings("acme", 50));
    for listener in &mut others {
        while listener.next("model").await["stamp"] != stamp(&state) {}
    }
    drop(others.pop());
    let begun = tokio::time::Instant::now();
    while Listener::open(address, "").await.0 != 200 {
        assert!(begun.elapsed() < PATIENCE, "a place becomes free");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    stop.send(()).unwrap();
    let mut rest = String::new();
    acme.0.read_to_string(&mut rest).await.unwrap();
    assert!(
        rest.ends_with("0\r\n\r\n"),
        "the stream is ended and not cut: {rest:?}"
    );
    server.await.unwrap();
}

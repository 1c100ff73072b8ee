use super::*;
use crate::report::published_cells::SharedCells;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

const SECRET: &str = "47c687f74dcfc711171913796d8f1ecde5e4b3b8855e1d79";

fn state() -> HttpState {
    let text = "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"SECRET\"\n";
    let secret = |name: &str| (name == "SECRET").then(|| SECRET.to_owned());
    let loaded = tributary_config::parse_in(text, std::path::Path::new("test.toml"), &secret);
    let config = loaded.expect("the configuration holds").config;
    let telemetry = Telemetry::new(&config);
    HttpState::new(&config, &telemetry, &SharedCells::default())
}

/// One request over a connection of its own: the status, the head in lower
/// case, and the body.
async fn request(address: std::net::SocketAddr, line: &str, more: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn the_door_answers_over_a_socket() {
    let state = state();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, state.clone(), async {
        let _ = stopped.await;
    }));
    let get = async |path: &str| request(address, &format!("GET {path}"), "").await;

    let (status, head, body) = get("/metrics").await;
    assert_eq!(status, 200);
    assert!(
        head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{head}"
    );
    assert!(body.contains("\ntributary_ready 0\n"));

    let (status, head, body) = get("/livez").await;
    assert_eq!((status, body.as_str()), (200, "live\n"));
    assert!(
        head.contains("content-type: text/plain; charset=utf-8"),
        "{head}"
    );
    let (status, _, body) = get("/readyz").await;
    assert_eq!((status, body.lines().count()), (503, 2), "{body}");
    let (status, head, body) =
        request(address, "GET /readyz", "Accept: application/json\r\n").await;
    assert_eq!(status, 503);
    assert!(head.contains("content-type: application/json"), "{head}");
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["ready"], false);
    assert_eq!(answer["reasons"].as_array().unwrap().len(), 2);

    state.telemetry.health.set_connected(true);
    state.telemetry.health.set_caught_up(true);
    assert_eq!(get("/readyz").await.2, "ready\n");
    assert!(get("/metrics").await.2.contains("\ntributary_ready 1\n"));
    state.telemetry.health.set_lag(45.0);
    let (status, _, body) = get("/readyz").await;
    assert_eq!(status, 503);
    assert!(body.contains("behind"), "{body}");

    let (status, _, body) = get("/config").await;
    assert_eq!(status, 200);
    assert!(body.contains("name = \"acme\"") && body.contains("***") && !body.contains(SECRET));

    let (status, _, body) = get("/").await;
    assert_eq!(status, 200);
    for path in ["/metrics", "/livez", "/readyz", "/config"] {
        assert!(body.contains(path), "{path}");
        let (_, _, hint) = get("/no/such/path").await;
        assert!(hint.contains(path), "{path}");
    }
    assert_eq!(get("/no/such/path").await.0, 404);
    // OpenDSR is not open.
    assert_eq!(get("/v2/discovery").await.0, 404);
    let (status, _, body) = request(address, "POST /metrics", "Content-Length: 0\r\n").await;
    assert_eq!(status, 405);
    assert!(body.contains("GET"));
    let (status, _, body) = request(address, "HEAD /livez", "").await;
    assert_eq!((status, body.as_str()), (200, ""));

    stop.send(()).unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_scrape_waits_for_nobody_who_holds_the_board() {
    let state = state();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, state.clone(), async {
        let _ = stopped.await;
    }));
    let (held, release) = (oneshot::channel::<()>(), std::sync::mpsc::channel::<()>());
    let (holds, of) = (held.0, state.clone());
    let holder = std::thread::spawn(move || {
        let _board = of.cells.lock();
        let _ = holds.send(());
        let _ = release.1.recv();
    });
    held.1.await.unwrap();
    assert_eq!(request(address, "GET /metrics", "").await.0, 200);
    assert_eq!(request(address, "GET /livez", "").await.0, 200);
    release.0.send(()).unwrap();
    holder.join().unwrap();
    stop.send(()).unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn half_sent_requests_keep_nobody_out() {
    let state = state();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, state, async {
        let _ = stopped.await;
    }));
    let mut half = Vec::new();
    for _ in 0..700 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /metrics HT").await.unwrap();
        half.push(stream);
    }
    // The oldest have made room.
    let mut byte = [0; 1];
    assert_eq!(half[0].read(&mut byte).await.unwrap_or(0), 0);
    let (status, _, body) = request(address, "GET /livez", "").await;
    assert_eq!((status, body.as_str()), (200, "live\n"));
    // The server ends although the others are still half sent.
    let _ = stop.send(());
    server.await.unwrap();
}

#[tokio::test]
async fn a_foreign_name_is_not_answered() {
    let state = state();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, state, async {
        let _ = stopped.await;
    }));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "GET /metrics HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    assert!(answer.contains("http.hosts") && !answer.contains("tributary_"));
    let _ = stop.send(());
    server.await.unwrap();
}

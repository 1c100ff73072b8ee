//! Processes of a cluster that connect with TLS: what they exchange is not readable on the way, and whoever cannot show the
//! right certificate is refused in a sentence that says why, on both ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::certificates::{certificates, tls};
use crate::support::story::{last, play, ready, stop_both, until};
use crate::support::{Worker, World, published};
use tributary_testkit::{NatsServer, free_port, skipped};

/// Connects to the port as soon as somebody listens there, sends bytes, and returns what comes back.
fn answer(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// Passes one connection after another on to a port, and keeps what goes through, in both directions.
fn listen_in(to: u16) -> (u16, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let captured = Arc::new(Mutex::new(Vec::new()));
    let keep = captured.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else {
                continue;
            };
            let ways = [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server, client),
            ];
            for (mut from, mut to) in ways {
                let keep = keep.clone();
                std::thread::spawn(move || {
                    let mut part = [0; 16_384];
                    while let Ok(read @ 1..) = from.read(&mut part) {
                        keep.lock().unwrap().extend_from_slice(&part[..read]);
                        if to.write_all(&part[..read]).is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    (port, captured)
}

/// Whether bytes contain others.
fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// A cluster of two with or without TLS, whose connection somebody listens to: what was captured.
async fn computed(settings: &str) -> Option<Vec<u8>> {
    let server = NatsServer::start_or_skip("")?;
    let broker = server.nats();
    let port = free_port();
    let (through, captured) = listen_in(port);
    let hosts = |first: u16| {
        let hosts = [first, free_port()].map(|port| format!("127.0.0.1:{port}"));
        format!("[workers]\nhosts = {hosts:?}\n{settings}")
    };
    let (one, other) = (hosts(port), hosts(through));
    let world = World::new(3_000, Some(&broker), "[workers]\n");
    if !certificates(world.directory.path()) {
        skipped("no openssl to make certificates with");
        return None;
    }
    let expected = world.replayed();
    let text = std::fs::read_to_string(world.path("tributary.toml")).unwrap();
    let configs = [("one.toml", one), ("other.toml", other)].map(|(name, workers)| {
        let path = world.path(name);
        std::fs::write(&path, text.replace("[workers]\n", &workers)).unwrap();
        path
    });
    let client = ready(&broker).await;
    play(&client, &world.trace().collect::<Vec<_>>(), None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        let first = Worker::start(&configs[0], &["--process", "0"]);
        for stray in [
            &b"GET / HTTP/1.1\r\nHost: worker\r\n\r\n"[..],
            b"tributary peer 2 and what a process without TLS would send, which is this long",
            // The beginning of a TLS handshake, and nothing after it.
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            &[0xff; 4_096],
        ] {
            let answer = answer(port, stray);
            assert!(!contains(&answer, b"tributary"), "{answer:?}");
        }
        let second = Worker::start(&configs[1], &["--process", "1"]);
        let both = [first, second];
        both.iter().for_each(|worker| worker.wait_until_read(end));
        stop_both(both);
    });
    assert!(published(&broker).await == expected);
    let captured = captured.lock().unwrap();
    Some(captured.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_processes_exchange_is_not_readable() {
    let Some(plain) = computed("").await else {
        return;
    };
    // Without TLS the beginning is, so that the listener would have captured it.
    assert!(contains(&plain, b"tributary peer 2"));
    let Some(captured) = computed(&tls("ca", "worker")).await else {
        return;
    };
    assert!(captured.len() > 10_000, "{}", captured.len());
    assert!(!contains(&captured, b"tributary peer 2"));
    // Both show their certificates under TLS 1.3, which hides them.
    assert!(!contains(&captured, b"worker"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_certificate_is_refused_in_a_sentence() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(1, Some(&broker), "[workers]\n");
    if !certificates(world.directory.path()) {
        skipped("no openssl to make certificates with");
        return;
    }
    let text = std::fs::read_to_string(world.path("tributary.toml")).unwrap();
    let hosts = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let config = |name: &str, tls: &str| {
        let path = world.path(name);
        let workers = format!("[workers]\nhosts = {hosts:?}\n{tls}");
        std::fs::write(&path, text.replace("[workers]\n", &workers)).unwrap();
        path
    };
    let refuses = "it refuses the certificate of this process";
    let own = "of no authority in workers.tls_ca_file";
    // What process 0 and process 1 have, what process 1 is expected about process 0, and what process 0 says of the other.
    let (worker, elsewhere) = (tls("ca", "worker"), tls("ca", "elsewhere"));
    let (expired, stranger) = (tls("ca", "expired"), tls("ca", "stranger"));
    let foreign = tls("other", "worker");
    let cases = [
        (&worker, &stranger, refuses, own),
        (&worker, &expired, refuses, "its certificate has expired"),
        (&worker, &elsewhere, refuses, "none of the names"),
        (&worker, &foreign, own, refuses),
        (&stranger, &worker, own, ""),
        (&expired, &worker, "its certificate has expired", ""),
        (&elsewhere, &worker, "does not have the name", ""),
        (&worker, &String::new(), "speaks TLS", "does not speak TLS"),
        (&String::new(), &worker, "ended the TLS handshake", ""),
    ];
    tokio::task::block_in_place(|| {
        for (first, second, expected, said) in cases {
            let first = config("first.toml", first);
            let second = config("second.toml", second);
            let first = Worker::start(&first, &["--process", "0"]);
            let second = Worker::start(&second, &["--process", "1"]);
            until(expected, || second.said(expected));
            until(said, || first.said(said));
            first.kill();
            second.kill();
        }
    });

    // A key is a secret, whatever the file holds.
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(world.path("worker.pem"), private).unwrap();
    // Files that cannot be used end the start, and the setting is named.
    for (tls, named) in [
        (
            tls("worker", "worker").replace("worker.pem\"\ntls_cert", "worker.key\"\ntls_cert"),
            "workers.tls_ca_file",
        ),
        (
            worker.replace("worker.pem", "worker.csr"),
            "workers.tls_cert_file",
        ),
        (
            worker.replace("worker.key", "worker.pem"),
            "workers.tls_key_file",
        ),
        (
            worker.replace("worker.key", "elsewhere.key"),
            "workers.tls_cert_file and workers.tls_key_file",
        ),
    ] {
        let config = config("wrong.toml", &tls);
        let mut worker =
            tokio::task::block_in_place(|| Worker::start(&config, &["--process", "0"]));
        let status = tokio::task::block_in_place(|| worker.ended());
        assert!(!status.success());
        assert!(worker.said(named), "{named}");
    }
}

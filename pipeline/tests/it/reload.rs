//! A worker reads its configuration again at SIGHUP and when the file changes: what may change does, at once and for connections that are open, and
//! anything else is refused by name, with all of the file.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tributary_testkit::{NatsServer, free_port};

use crate::support::story::{start_both, stop_both, two_processes, until};
use crate::support::{Worker, World};

const APPLIED: &str = "tributary_config_last_reload_successful";
const SINCE: &str = "tributary_config_last_reload_success_timestamp_seconds";
/// What a worker says of a reload that applied.
pub const DONE: &str = "the configuration was reloaded";
/// The same of one that was refused.
pub const REFUSED: &str = "the configuration was not reloaded";

/// Writes the digest of a token.
fn token(world: &World, name: &str) {
    let digest = Sha256::digest(name);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(world.path(&format!("{name}.sha256")), digest).unwrap();
}

/// A token of operators for the HTTP server.
fn operator(name: &str) -> String {
    format!("[[http.token]]\nrole = \"operate\"\nsha256_file = \"{name}.sha256\"\n")
}

/// The status of a page with a token.
fn status(worker: &Worker, path: &str, token: &str) -> u16 {
    let header = format!("Authorization: Bearer {token}\r\n");
    worker.send("GET", path, &header, "").unwrap().0
}

/// A metric, with a token.
fn metric(worker: &Worker, name: &str, token: &str) -> f64 {
    let header = format!("Authorization: Bearer {token}\r\n");
    let (_, body) = worker.send("GET", "/metrics", &header, "").unwrap();
    let line = body.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().parse().unwrap()
}

/// How often the log has a text.
fn times(worker: &Worker, text: &str) -> usize {
    worker.log().matches(text).count()
}

/// Has the worker read its configuration again, and waits until it has said how that went.
pub fn reload(worker: &Worker, config: &Path, text: &str, outcome: &str) {
    let before = times(worker, outcome);
    std::fs::write(config, text).unwrap();
    worker.signal_with("-HUP");
    until(outcome, || times(worker, outcome) > before);
}

/// Asks for a page on a connection that is kept, again and again until it is told to stop, and on another one only after a
/// response that says that it closes its own. Returns the number of connections.
pub fn ask_on_kept_connections(worker: &Worker, stop: &Arc<AtomicBool>) -> JoinHandle<usize> {
    let (address, stop) = (worker.address.clone(), stop.clone());
    std::thread::spawn(move || {
        let mut connections = 0;
        while !stop.load(Ordering::Relaxed) {
            connections += 1;
            let mut stream = BufReader::new(TcpStream::connect(&address).unwrap());
            let mut is_kept = true;
            while is_kept && !stop.load(Ordering::Relaxed) {
                write!(stream.get_mut(), "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
                let mut length = 0;
                for line in stream.by_ref().lines().map(Result::unwrap) {
                    if line.is_empty() {
                        break;
                    }
                    let line = line.to_ascii_lowercase();
                    if let Some(bytes) = line.strip_prefix("content-length: ") {
                        length = bytes.parse().unwrap();
                    }
                    is_kept &= line != "connection: close";
                }
                let mut body = vec![0; length];
                stream
                    .read_exact(&mut body)
                    .expect("every request is answered");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        connections
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_takes_what_may_change_and_refuses_the_rest_by_name() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(50, Some(&broker), "");
    for name in ["first", "second", "third", "shop"] {
        token(&world, name);
    }
    let config = world.path("tributary.toml");
    let bare = std::fs::read_to_string(&config).unwrap();
    let port = free_port();
    let ingest = format!("[http_ingest]\nlisten = \"127.0.0.1:{port}\"\n");
    let with = |more: &str| format!("{bare}\n{ingest}{more}");
    std::fs::write(&config, with(&operator("first"))).unwrap();
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        until("it is ready", || status(&worker, "/readyz", "first") == 200);
        assert_eq!(status(&worker, "/config", "first"), 200);
        assert_eq!(status(&worker, "/config", "second"), 401);
        assert_eq!(metric(&worker, APPLIED, "first"), 1.0);
        let begun = metric(&worker, SINCE, "first");

        // An open page, whose token is about to go.
        let mut events = TcpStream::connect(&worker.address).unwrap();
        events
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        write!(
            events,
            "GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer first\r\n\r\n"
        )
        .unwrap();
        let mut seen = [0; 64];
        events.read_exact(&mut seen).unwrap();
        assert!(seen.starts_with(b"HTTP/1.1 200"));

        let shop = "[[http_ingest.token]]\nbrand = \"orchard\"\nsource = \"web\"\nsha256_file = \"shop.sha256\"\n";
        let second = format!("{}{shop}[log]\nlevel = \"error\"\n", operator("second"));
        std::fs::write(&config, with(&second)).unwrap();
        worker.signal_with("-HUP");
        until("the new token is right", || {
            status(&worker, "/config", "second") == 200
        });
        assert_eq!(status(&worker, "/config", "first"), 401);
        // The stream has ended, although the connection may stay.
        let mut rest = Vec::new();
        let mut part = [0; 4096];
        while !rest.ends_with(b"0\r\n\r\n") {
            match events.read(&mut part).unwrap() {
                0 => break,
                read => rest.extend_from_slice(&part[..read]),
            }
        }
        let header = |token: &str| format!("Authorization: Bearer {token}\r\n");
        let (_, shown) = worker
            .send("GET", "/config", &header("second"), "")
            .unwrap();
        assert!(shown.contains("second.sha256") && !shown.contains("first.sha256"));
        assert!(metric(&worker, SINCE, "second") >= begun);
        // Records are taken with the token of their source alone.
        let post = |token: &str| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let body = "{\"id\":\"1\"}";
            write!(
                stream,
                "POST /v1/in/orchard/web HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n{}Content-Length: {}\r\n\r\n{body}",
                header(token),
                body.len()
            )
            .unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            answer.split(' ').nth(1).unwrap().to_owned()
        };
        assert_eq!(post("shop"), "202");
        assert_eq!(post("second"), "401");
        // The level of the log was changed before the reload was reported.
        assert!(!worker.said(DONE));
        let louder = second.replace("\"error\"", "\"info\"");
        reload(&worker, &config, &with(&louder), DONE);

        // A page that is opened now stays open.
        let mut events = TcpStream::connect(&worker.address).unwrap();
        events
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        write!(
            events,
            "GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer second\r\n\r\n"
        )
        .unwrap();
        let mut shown = Vec::new();
        while String::from_utf8_lossy(&shown)
            .matches("event: status")
            .count()
            < 3
        {
            let read = events.read(&mut part).unwrap();
            assert!(read > 0 && !shown.ends_with(b"0\r\n\r\n"), "it was closed");
            shown.extend_from_slice(&part[..read]);
        }

        // Nothing is applied if anything is refused, and every reason is reported.
        let text = with(&format!("{louder}{}", operator("third")));
        let text = text.replace("k = 1\n", "k = 7\n");
        let text = format!("[workers]\nthreads = 2\nmemory = 4096\n{text}");
        reload(&worker, &config, &text, REFUSED);
        for named in [
            "release.k changed from 1 to 7: needs a restart, because a gate with k = 1 publishes other cells",
            "workers.threads changed from 1 to 2: needs a restart",
        ] {
            assert!(worker.said(named), "{named}");
        }
        assert_eq!(status(&worker, "/config", "third"), 401);
        assert_eq!(metric(&worker, APPLIED, "second"), 0.0);

        // The same of a file that is not valid, with all of its problems.
        let text = with(&louder).replace("k = 1\n", "k = 0\nkk = 1\n");
        reload(&worker, &config, &text, REFUSED);
        for named in ["release.k:", "release.kk:"] {
            assert!(worker.said(named), "{named}");
        }
        std::fs::remove_file(&config).unwrap();
        worker.signal_with("-HUP");
        until("the missing file is named", || {
            worker.said("cannot be read")
        });
        assert_eq!(status(&worker, "/config", "second"), 200);

        reload(&worker, &config, &with(&louder), DONE);
        assert_eq!(metric(&worker, APPLIED, "second"), 1.0);
        worker.stop();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_serves_released_cells_reloads_its_tokens() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let world = World::new(50, Some(&server.nats()), "");
    token(&world, "first");
    token(&world, "second");
    let config = world.path("tributary.toml");
    let bare = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{bare}\n{}", operator("first"))).unwrap();
    tokio::task::block_in_place(|| {
        let worker = Worker::serve(&config);
        assert_eq!(status(&worker, "/config", "first"), 200);
        let text = format!("{bare}\n{}", operator("second"));
        reload(&worker, &config, &text, DONE);
        assert_eq!(status(&worker, "/config", "first"), 401);
        assert_eq!(metric(&worker, APPLIED, "second"), 1.0);
        worker.stop();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_a_cluster_reloads_what_is_its_own() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let world = World::new(50, Some(&server.nats()), &two_processes());
    token(&world, "first");
    token(&world, "second");
    let config = world.path("tributary.toml");
    let bare = std::fs::read_to_string(&config).unwrap();
    let with = |name: &str| format!("{bare}\n{}", operator(name));
    std::fs::write(&config, with("first")).unwrap();
    tokio::task::block_in_place(|| {
        let both = start_both(&config);
        for worker in &both {
            until("it is ready", || status(worker, "/readyz", "first") == 200);
        }
        // Tokens belong to a process.
        reload(&both[1], &config, &with("second"), DONE);
        assert_eq!(status(&both[1], "/config", "second"), 200);
        assert_eq!(status(&both[0], "/config", "first"), 200);
        // What all must share changes in none of them.
        let text = with("second").replace("[workers]\n", "[workers]\ntick = \"9ms\"\n");
        for worker in &both {
            reload(worker, &config, &text, REFUSED);
            let named = "workers.tick changed from \\\"5ms\\\" to \\\"9ms\\\": needs a restart of all processes of the cluster";
            assert!(worker.said(named), "{}", worker.log());
        }
        assert_eq!(status(&both[0], "/config", "first"), 200);
        stop_both(both);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_is_read_again_without_a_signal() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(50, Some(&broker), "");
    for name in ["first", "second"] {
        token(&world, name);
    }
    let config = world.path("tributary.toml");
    let bare = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{bare}\n{}", operator("first"))).unwrap();
    let link = world.path("linked.toml");
    std::os::unix::fs::symlink(&config, &link).unwrap();
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&link, &[]);
        until("it is ready", || status(&worker, "/readyz", "first") == 200);

        // The file behind a link is replaced by a rename, as editors and Kubernetes do.
        let next = world.path("next.toml");
        std::fs::write(&next, format!("{bare}\n{}", operator("second"))).unwrap();
        std::fs::rename(&next, &config).unwrap();
        until("the new token is taken", || times(&worker, DONE) == 1);
        assert_eq!(status(&worker, "/config", "second"), 200);
        assert_eq!(status(&worker, "/config", "first"), 401);

        // The file of a token has another one.
        std::fs::copy(world.path("first.sha256"), world.path("second.sha256")).unwrap();
        until("the token of its file is taken", || {
            times(&worker, DONE) == 2
        });
        assert_eq!(status(&worker, "/config", "first"), 200);

        // What needs a restart is refused by name, once, and everything stays as it was.
        let text = format!("{bare}\n{}", operator("second"));
        std::fs::write(&config, text.replace("k = 1\n", "k = 7\n")).unwrap();
        until("it is refused", || worker.said(REFUSED));
        assert_eq!(metric(&worker, APPLIED, "first"), 0.0);
        std::thread::sleep(Duration::from_secs(5));
        assert_eq!(times(&worker, REFUSED), 1);

        // With the file of before nothing is different, and all is well again.
        std::fs::write(&config, text).unwrap();
        until("all is well", || {
            metric(&worker, APPLIED, "first").to_bits() == 1.0_f64.to_bits()
        });
        worker.stop();
    });
}

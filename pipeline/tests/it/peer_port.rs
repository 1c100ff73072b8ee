//! Strangers at the port at which processes of a cluster meet: whatever they send, the cluster starts and computes, and nobody
//! who cannot prove the brands' secrets takes part.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::story::{last, play, ready, stop_both, until};
use crate::support::{Worker, World, published};
use tributary_testkit::{NatsServer, free_port};

/// What begins a connection between processes.
const MAGIC: &[u8] = b"tributary peer 2";

/// Connects to the port as soon as somebody listens there.
fn connect(port: u16) -> TcpStream {
    for _ in 0..600 {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            let wait = Some(Duration::from_secs(20));
            stream.set_read_timeout(wait).unwrap();
            return stream;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("nobody listens on {port}");
}

/// Sends bytes and returns what comes back until the other end closes.
fn answer(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(port);
    let mut answer = Vec::new();
    // Whoever is refused may find the connection closed while it writes.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// The first message of process `from` to process `to`.
fn hello(from: u32, to: u32) -> Vec<u8> {
    let (nonce, tenure) = ([7; 32], [8; 32]);
    let (from, to) = (from.to_le_bytes(), to.to_le_bytes());
    [MAGIC, &from, &to, &nonce, &tenure].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_change_nothing() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let ports = [free_port(), free_port()];
    let hosts = ports.map(|port| format!("127.0.0.1:{port}"));
    let workers = format!("[workers]\nhosts = {hosts:?}\n");
    let world = World::new(2_000, Some(&broker), &workers);
    let expected = world.replayed();
    let client = ready(&broker).await;
    play(&client, &world.trace().collect::<Vec<_>>(), None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");

    let both = tokio::task::block_in_place(|| {
        let first = Worker::start(&config, &["--process", "0"]);
        let port = ports[0];
        for stray in [
            &b"GET / HTTP/1.1\r\nHost: worker\r\n\r\n"[..],
            // The beginning of a TLS handshake.
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and more bytes that no process of a cluster begins with",
            &[0; 1],
            &[0xff; 4_096],
            // The index that Timely itself would send.
            &1u64.to_be_bytes(),
        ] {
            assert!(answer(port, stray).is_empty());
        }
        // Processes that this cluster does not have: itself, one beyond the hosts, and one that looks for another.
        for (from, to) in [(0, 0), (2, 0), (u32::MAX, 0), (1, 1)] {
            assert!(answer(port, &hello(from, to)).is_empty());
        }
        // Whoever claims to be process 1 gets a question, and no place without the answer, even with its own echoed.
        let asked = answer(port, &hello(1, 0));
        assert_eq!(asked.len(), 144);
        let mut echo = connect(port);
        echo.write_all(&hello(1, 0)).unwrap();
        let mut question = [0; 144];
        echo.read_exact(&mut question).unwrap();
        echo.write_all(&question[16..48]).unwrap();
        echo.write_all(&question[112..144]).unwrap();
        let mut verdict = [9];
        echo.read_exact(&mut verdict).unwrap();
        assert_eq!(verdict, [0]);
        // Whoever says nothing is refused for that.
        let mut silent = connect(port);
        assert_eq!(silent.read(&mut [0]).unwrap(), 0);
        until("why it was refused is said", || {
            first.said("it did not answer in time")
        });
        // More silent connections than there are places, which end by themselves.
        let silent: Vec<TcpStream> = (0..80).map(|_| connect(port)).collect();
        let second = Worker::start(&config, &["--process", "1"]);
        let both = [first, second];
        both.iter().for_each(|worker| worker.wait_until_read(end));
        // Once all are connected, nobody listens any more.
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
        drop(silent);
        both
    });
    tokio::task::block_in_place(|| stop_both(both));
    assert!(published(&broker).await == expected);
}

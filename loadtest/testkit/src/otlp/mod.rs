//! A collector of OpenTelemetry: it receives OTLP over HTTP with Protobuf, keeps all of it, and behaves as badly as a test wants.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may fail")]

mod messages;
mod wire;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

pub use messages::{Attribute, Line, Span};

/// What a collector does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// It takes them.
    Take,
    /// It takes them, but for one entry of each.
    RejectOne,
    /// It reads them and never answers.
    Hang,
    /// It answers with a status.
    Answer(u16),
}

/// A request that was received.
#[derive(Clone, Debug)]
pub struct Request {
    /// The path of its address.
    pub path: String,
    /// The head, as it came.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
    /// Whether it was answered as taken.
    pub is_taken: bool,
}

/// What the threads of a collector share.
struct Shared {
    behavior: Behavior,
    requests: Vec<Request>,
    /// Open connections, and how many there were.
    connections: Vec<TcpStream>,
    accepted: usize,
    is_over: bool,
}

/// A running collector. Dropping it closes its port and its connections, as a kill does.
pub struct Collector {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    accepting: Option<JoinHandle<()>>,
}

impl Collector {
    /// Starts a collector that takes everything.
    pub fn start() -> Collector {
        Collector::start_at(0)
    }

    /// The same at a port.
    pub fn start_at(port: u16) -> Collector {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Mutex::new(Shared {
            behavior: Behavior::Take,
            requests: Vec::new(),
            connections: Vec::new(),
            accepted: 0,
            is_over: false,
        }));
        let of_thread = shared.clone();
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                let mut shared = of_thread.lock().unwrap();
                if shared.is_over {
                    return;
                }
                shared.accepted += 1;
                shared
                    .connections
                    .push(stream.try_clone().expect("a socket"));
                let shared = of_thread.clone();
                std::thread::spawn(move || serve(&stream, &shared));
            }
        });
        Collector {
            address,
            shared,
            accepting: Some(accepting),
        }
    }

    /// The endpoint.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what it does with requests from now on.
    pub fn behave(&self, behavior: Behavior) {
        self.shared.lock().unwrap().behavior = behavior;
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.shared.lock().unwrap().accepted
    }

    /// The requests so far, whether or not they were taken.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().unwrap().requests.clone()
    }

    /// The spans that were taken.
    pub fn spans(&self) -> Vec<Span> {
        let taken = self.taken("/v1/traces");
        taken
            .iter()
            .flat_map(|body| messages::spans(body))
            .collect()
    }

    /// The lines that were taken.
    pub fn lines(&self) -> Vec<Line> {
        let taken = self.taken("/v1/logs");
        taken
            .iter()
            .flat_map(|body| messages::lines(body))
            .collect()
    }

    /// The bodies that were taken at a path.
    fn taken(&self, path: &str) -> Vec<Vec<u8>> {
        let requests = self.requests().into_iter();
        let taken = requests.filter(|request| request.is_taken && request.path.ends_with(path));
        taken.map(|request| request.body).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        {
            let mut shared = self.shared.lock().unwrap();
            shared.is_over = true;
            for connection in &shared.connections {
                let _ = connection.shutdown(Shutdown::Both);
            }
        }
        // The thread that accepts notices it by a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// Receives the requests of a connection until it closes.
fn serve(stream: &TcpStream, shared: &Mutex<Shared>) {
    let mut reader = BufReader::new(stream);
    while let Some(mut request) = receive(&mut reader) {
        let behavior = shared.lock().unwrap().behavior;
        request.is_taken = matches!(behavior, Behavior::Take | Behavior::RejectOne);
        // partial_success { rejected: 1, error_message: "full" }
        let partial: &[u8] = &[0x0a, 8, 0x08, 1, 0x12, 4, b'f', b'u', b'l', b'l'];
        let (status, body) = match behavior {
            Behavior::Take => (200, [].as_slice()),
            Behavior::RejectOne => (200, partial),
            Behavior::Answer(status) => (status, [].as_slice()),
            Behavior::Hang => (0, [].as_slice()),
        };
        shared.lock().unwrap().requests.push(request);
        if behavior == Behavior::Hang {
            // The connection stays open until whoever waits gives up.
            let _ = reader.read(&mut [0]);
            return;
        }
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = [head.as_bytes(), body].concat();
        let mut writer = stream;
        if writer.write_all(&answer).is_err() {
            return;
        }
    }
}

/// The next request of a connection; none if it closes first.
fn receive(reader: &mut impl BufRead) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let path = head.split(' ').nth(1)?.to_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse().expect("a length"))
    });
    let mut body = vec![0; length?];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        path,
        head,
        body,
        is_taken: false,
    })
}

//! A TCP proxy that simulates network faults: cut, refused, slow and silent connections.
//!
//! Bytes are delivered in order, and none is lost while a connection exists: a silent connection
//! keeps what it has read and delivers it when it resumes, as networks do.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A function that replaces a piece of data from the server.
type Rewrite = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// A proxy in front of a server. Dropping it ends all of its connections.
pub struct Proxy {
    /// The address that the proxy listens on.
    address: SocketAddr,
    /// The state that all threads share.
    line: Arc<Line>,
}

/// The state of a proxy, shared by its threads.
struct Line {
    /// The address of the server.
    target: SocketAddr,
    /// The replacement of the server's data, if any.
    rewrite: Option<Rewrite>,
    /// The faults to simulate, and the open connections.
    state: Mutex<State>,
    /// Notified when a silent connection may resume.
    changed: Condvar,
}

/// The faults to simulate.
#[derive(Default)]
struct State {
    /// The two ends of every connection, by number. Numbers are never reused.
    open: Vec<(u64, [TcpStream; 2])>,
    /// The number of connections so far.
    count: u64,
    /// Connections with a lower number are silent.
    silent_below: u64,
    /// Whether new connections are closed at once.
    refuse: bool,
    /// The additional latency of every piece of data.
    delay: Duration,
    /// Whether the proxy was dropped.
    ended: bool,
}

impl Proxy {
    /// Starts a proxy in front of a server's address, on a free port.
    ///
    /// # Panics
    ///
    /// If there is no port to listen on.
    pub fn start(target: SocketAddr) -> Proxy {
        Proxy::open(target, None)
    }

    /// Starts a proxy that rewrites the data of the server, piece by piece as it arrives.
    ///
    /// # Panics
    ///
    /// If there is no port to listen on.
    pub fn rewriting(
        target: SocketAddr,
        rewrite: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
    ) -> Proxy {
        Proxy::open(target, Some(Arc::new(rewrite)))
    }

    /// Starts the thread that accepts connections.
    fn open(target: SocketAddr, rewrite: Option<Rewrite>) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .unwrap_or_else(|error| panic!("no port for a proxy: {error}"));
        let address = listener
            .local_addr()
            .unwrap_or_else(|error| panic!("no port for a proxy: {error}"));
        let line = Arc::new(Line {
            target,
            rewrite,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let accepting = line.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.state().ended {
                    return;
                }
                if let Ok(client) = client {
                    accepting.accept(client);
                }
            }
        });
        Proxy { address, line }
    }

    /// The address of the proxy for a client: `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Closes every connection.
    pub fn cut(&self) {
        self.line.cut();
    }

    /// Closes every new connection at once, or accepts new connections again.
    pub fn refuse(&self, refuse: bool) {
        self.line.state().refuse = refuse;
    }

    /// Delays every piece of data from now on, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.line.state().delay = delay;
    }

    /// Silences all present and future connections in both directions; or delivers what was kept
    /// and everything that follows.
    pub fn stall(&self, silent: bool) {
        self.line.state().silent_below = if silent { u64::MAX } else { 0 };
        self.line.changed.notify_all();
    }

    /// Silences the present connections; new connections work. [`Proxy::stall`] with `false`
    /// resumes them.
    pub fn strand(&self) {
        let mut state = self.line.state();
        state.silent_below = state.count;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.line.state().ended = true;
        self.line.cut();
        self.line.changed.notify_all();
        // The accepting thread looks up.
        let _ = TcpStream::connect(self.address);
    }
}

impl Line {
    /// The locked state. A panic of another thread does not matter.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes every connection.
    fn cut(&self) {
        for (_, ends) in self.state().open.drain(..) {
            for end in ends {
                let _ = end.shutdown(Shutdown::Both);
            }
        }
    }

    /// Connects a client to the server, with a thread for each direction.
    fn accept(self: &Arc<Line>, client: TcpStream) {
        if self.state().refuse {
            return;
        }
        let Ok(server) = TcpStream::connect(self.target) else {
            return;
        };
        let _ = client.set_nodelay(true).and(server.set_nodelay(true));
        let pairs = [
            (client.try_clone(), server.try_clone(), None),
            (server.try_clone(), client.try_clone(), self.rewrite.clone()),
        ];
        let number = {
            let mut state = self.state();
            let number = state.count;
            state.count += 1;
            state.open.push((number, [client, server]));
            number
        };
        for (from, to, rewrite) in pairs {
            if let (Ok(from), Ok(to)) = (from, to) {
                let line = self.clone();
                std::thread::spawn(move || {
                    line.pump(number, from, to, rewrite);
                    line.state().open.retain(|(other, _)| *other != number);
                });
            }
        }
    }

    /// Copies data in one direction until either end closes.
    fn pump(&self, number: u64, mut from: TcpStream, mut to: TcpStream, rewrite: Option<Rewrite>) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let size = match from.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(size) => size,
            };
            let piece = buffer.get(..size).unwrap_or_default();
            let silent = |state: &mut State| number < state.silent_below && !state.ended;
            let delay = self
                .changed
                .wait_while(self.state(), silent)
                .unwrap_or_else(PoisonError::into_inner)
                .delay;
            if !delay.is_zero() {
                std::thread::sleep(delay);
            }
            let written = match &rewrite {
                Some(rewrite) => to.write_all(&rewrite(piece)),
                None => to.write_all(piece),
            };
            if written.is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }
}

//! A bad line between a client and a server: it can be cut, refuse, be slow, and fall silent.
//!
//! Bytes are passed on in order and none is dropped while a connection lasts: a line that has
//! fallen silent holds back what it has taken and delivers it when it speaks again, as networks do.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

type Rewrite = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// A proxy in front of a server. Dropping it ends all its connections.
pub struct Proxy {
    address: SocketAddr,
    line: Arc<Line>,
}

struct Line {
    target: SocketAddr,
    rewrite: Option<Rewrite>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The ends of every connection, by its number. Numbers are never given twice.
    open: Vec<(u64, [TcpStream; 2])>,
    count: u64,
    /// Connections of a lower number are silent.
    silent_below: u64,
    refuse: bool,
    delay: Duration,
    ended: bool,
}

impl Proxy {
    /// A proxy in front of a server's address, on a free port.
    ///
    /// # Panics
    /// When there is no port to listen on.
    pub fn start(target: SocketAddr) -> Proxy {
        Proxy::open(target, None)
    }

    /// A proxy that changes what the server says, piece by piece as it comes from the wire.
    ///
    /// # Panics
    /// When there is no port to listen on.
    pub fn rewriting(
        target: SocketAddr,
        rewrite: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
    ) -> Proxy {
        Proxy::open(target, Some(Arc::new(rewrite)))
    }

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

    /// The proxy's address as a client takes it: `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Ends every connection.
    pub fn cut(&self) {
        self.line.cut();
    }

    /// Ends every new connection at once, or does not any more.
    pub fn refuse(&self, refuse: bool) {
        self.line.state().refuse = refuse;
    }

    /// Every piece takes so much longer from now on, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.line.state().delay = delay;
    }

    /// Falls silent in both directions, on connections to come too; or passes on what was held
    /// back, and all that follows.
    pub fn stall(&self, silent: bool) {
        self.line.state().silent_below = if silent { u64::MAX } else { 0 };
        self.line.changed.notify_all();
    }

    /// Falls silent on the connections there are; connections to come work. Ends with
    /// [`Proxy::stall`].
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
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut(&self) {
        for (_, ends) in self.state().open.drain(..) {
            for end in ends {
                let _ = end.shutdown(Shutdown::Both);
            }
        }
    }

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

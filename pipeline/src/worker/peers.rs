//! Peers: the connections between the processes of a cluster.
//!
//! A process connects to those with smaller numbers and accepts those with
//! larger ones. Both ends prove that they are processes of this cluster
//! ([`super::peer_proof`]). A connection that fails in this is closed, counted, and
//! waited for again, and so is one that ends while others are waited for
//! ([`super::peer_connection`]): the dataflow begins when this process is connected
//! with all others at one time, whichever of them were started again meanwhile.
//!
//! An address that answers nothing, as that of a host without power, takes no
//! longer than [`STEP`]; then the lease of the process is looked at again, which may
//! name another one ([`super::members`]).
//!
//! A peer with other settings is reported to the caller, who finds out from the
//! broker which ones they are.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use tributary_config::model::Config;

use crate::report::health::Health;
use crate::worker::members::Members;
use crate::worker::peer_connection::{Found, prepare};
use crate::worker::peer_proof::{Proof, Refusal, STEP};
use crate::worker::peer_tls::{PeerTls, Relay};

/// The pause between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(500);
/// The interval at which new connections, and those that have ended, are looked for.
const LOOK: Duration = Duration::from_millis(20);
/// The interval of messages about what is waited for, or was refused.
const SAY: Duration = Duration::from_secs(10);
/// The shortest interval of such messages, where there is something new to say.
const SOON: Duration = Duration::from_secs(2);
/// How many connections may be in the proof at a time.
const MOST: usize = 64;

/// The connections of a process.
#[derive(Default)]
pub struct Connections {
    /// Those to the other processes, in their order, and none for this one. Empty
    /// for a process that is alone.
    pub streams: Vec<Option<TcpStream>>,
    /// The tenures of these processes.
    pub tenures: Vec<Option<[u8; 32]>>,
    /// What encrypts them, if anything does.
    pub relay: Option<Arc<Relay>>,
}

/// The connections of this process, and what is to be done about peers that
/// differ.
pub struct Peers<'a> {
    config: &'a Config,
    members: Members,
    /// The tenure of this process.
    tenure: [u8; 32],
    /// Says which processes are waited for.
    health: &'a Health,
    /// Receives the number of a peer that has other settings or secrets.
    differing: &'a (dyn Fn(usize) + Sync),
    /// Ends the attempt.
    stop: &'a AtomicBool,
}

/// How connections are proved and encrypted.
#[derive(Clone, Copy)]
struct Means<'a> {
    proof: &'a Proof<'a>,
    tls: Option<&'a PeerTls<'a>>,
    found: &'a Found,
}

/// The connections that were refused since the last message about them.
#[derive(Default)]
struct Refused {
    open: AtomicUsize,
    count: AtomicUsize,
    /// Why the last one was, and where it came from.
    last: Mutex<Option<(String, SocketAddr)>>,
}

impl<'a> Peers<'a> {
    /// The peers of a process with this tenure, which are found by `members`. `differing` is called with the number of a peer
    /// that has other settings or secrets, or claims to be it.
    pub fn new(
        config: &'a Config,
        (members, tenure): (Members, [u8; 32]),
        health: &'a Health,
        differing: &'a (dyn Fn(usize) + Sync),
        stop: &'a AtomicBool,
    ) -> Peers<'a> {
        Peers {
            config,
            members,
            tenure,
            health,
            differing,
            stop,
        }
    }

    /// Waits until this process is connected with all others.
    ///
    /// # Errors
    ///
    /// An address or certificate of this process that cannot be used, or the end of
    /// the attempt.
    pub fn connect(&self) -> anyhow::Result<Connections> {
        let workers = &self.config.workers;
        let relay = match workers.has_tls() {
            true => Some(Arc::new(Relay::new()?)),
            false => None,
        };
        let tls = match &relay {
            Some(relay) => PeerTls::new(workers, &self.members, relay, STEP)?,
            None => None,
        };
        let proof = Proof::of(self.config, self.tenure, &self.members);
        let found = Found::new(workers.hosts.len());
        let means = Means {
            proof: &proof,
            tls: tls.as_ref(),
            found: &found,
        };
        let listeners = self.listen()?;
        loop {
            self.find_all(&listeners, means)?;
            // Strangers may have held the last threads up for seconds.
            found.drop_lost(&self.members);
            if found.missing(workers.process).is_empty() {
                break;
            }
        }
        let peers = found.into_inner().into_iter();
        let peers = peers.map(|peer| peer.map(|peer| (peer.stream, peer.tenure)));
        let (streams, tenures) = peers.map(Option::unzip).unzip();
        Ok(Connections {
            streams,
            tenures,
            relay,
        })
    }

    /// The sockets at which this process accepts others.
    fn listen(&self) -> anyhow::Result<Vec<TcpListener>> {
        let mut listeners = Vec::new();
        for address in self.config.workers.address().split_whitespace() {
            let listener = TcpListener::bind(address).with_context(|| {
                format!("cannot listen on {address} (workers.address or workers.hosts)")
            })?;
            listener.set_nonblocking(true)?;
            listeners.push(listener);
        }
        Ok(listeners)
    }

    /// Connects and accepts until there is a connection to each process, and then
    /// waits for the threads that did it.
    fn find_all(&self, listeners: &[TcpListener], means: Means<'_>) -> anyhow::Result<()> {
        let (me, hosts) = (self.config.workers.process, &self.config.workers.hosts);
        let refused = Refused::default();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for (peer, host) in hosts.iter().enumerate().take(me) {
                let done = &done;
                scope.spawn(move || self.dial(peer, host, means, done));
            }
            let (mut said, mut reported, mut waited_for) = (Instant::now(), None, Vec::new());
            let outcome = loop {
                for process in means.found.drop_lost(&self.members) {
                    tracing::info!(
                        process,
                        "lost the connection to another process of the cluster, and waiting for it again"
                    );
                }
                let missing = means.found.missing(me);
                if missing.is_empty() {
                    break Ok(());
                }
                if self.stop.load(Ordering::Relaxed) {
                    break Err(anyhow::anyhow!(
                        "stopped while waiting for {} of the cluster",
                        named(&missing)
                    ));
                }
                if missing != waited_for {
                    self.health.set_restoring(Some(format!(
                        "the worker is waiting for {} of the cluster",
                        named(&missing)
                    )));
                    waited_for.clone_from(&missing);
                }
                let last = lock(&refused.last).clone();
                // A reason that is new is reported soon, and everything again and again.
                let is_new = last.as_ref().map(|(why, _)| why) != reported.as_ref();
                if said.elapsed() > SAY || is_new && said.elapsed() > SOON {
                    said = Instant::now();
                    let count = refused.count.swap(0, Ordering::Relaxed);
                    let shown = last.as_ref().map(|(why, from)| format!("{from}: {why}"));
                    tracing::info!(processes = ?missing, refused = count, last = shown, "waiting for other processes of the cluster");
                    reported = last.map(|(why, _)| why);
                }
                let mut is_idle = true;
                for listener in listeners {
                    // A connection that ends before it is accepted concerns nobody.
                    let Ok((stream, from)) = listener.accept() else {
                        continue;
                    };
                    is_idle = false;
                    if refused.open.fetch_add(1, Ordering::Relaxed) >= MOST {
                        refused.open.fetch_sub(1, Ordering::Relaxed);
                        continue;
                    }
                    let refused = &refused;
                    scope.spawn(move || {
                        if let Err(refusal) = self.admit(stream, means) {
                            tracing::debug!(%from, %refusal, "refused a connection");
                            refused.count.fetch_add(1, Ordering::Relaxed);
                            *lock(&refused.last) = Some((refusal.to_string(), from));
                        }
                        refused.open.fetch_sub(1, Ordering::Relaxed);
                    });
                }
                if is_idle {
                    std::thread::sleep(LOOK);
                }
            };
            done.store(true, Ordering::Relaxed);
            outcome
        })
    }

    /// Connects to a peer whenever there is no connection to it, until all is done.
    fn dial(&self, peer: usize, host: &str, means: Means<'_>, done: &AtomicBool) {
        let mut said: Option<String> = None;
        while !done.load(Ordering::Relaxed) && !self.stop.load(Ordering::Relaxed) {
            if means.found.has(peer) {
                said = None;
                std::thread::sleep(LOOK);
                continue;
            }
            let address = self.address(peer, host);
            match self.dial_once(peer, host, &address, means) {
                Ok(()) => continue,
                Err(refusal) => {
                    if matches!(refusal, Refusal::Differs) {
                        (self.differing)(peer);
                    }
                    let why = refusal.to_string();
                    if said.as_ref() != Some(&why) {
                        tracing::info!(process = peer, address, %why, "waiting for another process of the cluster");
                        said = Some(why);
                    }
                }
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Where a peer listens: at `host` unless its lease names another address.
    fn address(&self, peer: usize, host: &str) -> String {
        let named = self.members.address(peer);
        named.unwrap_or_else(|| host.to_owned())
    }

    /// Connects to a peer at this address.
    ///
    /// # Errors
    ///
    /// See [`Refusal`].
    fn dial_once(
        &self,
        peer: usize,
        host: &str,
        address: &str,
        means: Means<'_>,
    ) -> Result<(), Refusal> {
        let mut reached = Err(io::Error::other("its name has no address"));
        for socket in address.to_socket_addrs()? {
            reached = TcpStream::connect_timeout(&socket, STEP);
            // The process may be elsewhere by now.
            if reached.is_ok() || self.address(peer, host) != address {
                break;
            }
        }
        let stream = reached?;
        prepare(&stream)?;
        let stream = match means.tls {
            Some(tls) => tls.connect(stream, address)?,
            None => stream,
        };
        let me = self.config.workers.process;
        means
            .found
            .put(peer, means.proof.connects(stream, me, peer)?);
        Ok(())
    }

    /// Accepts a peer.
    ///
    /// # Errors
    ///
    /// Whoever is none, or differs.
    fn admit(&self, stream: TcpStream, means: Means<'_>) -> Result<(), Refusal> {
        let (me, processes) = (self.config.workers.process, self.config.workers.hosts.len());
        prepare(&stream)?;
        let expected: Vec<usize> = (me + 1..processes).collect();
        let (stream, expected) = match means.tls {
            Some(tls) => tls.accept(stream, &expected)?,
            None => (stream, expected),
        };
        match means.proof.accepts(stream, me, &expected) {
            Ok((process, peer)) => {
                means.found.put(process, peer);
                Ok(())
            }
            Err((peer, refusal)) => {
                if let Some(peer) = peer.filter(|_| matches!(refusal, Refusal::Differs)) {
                    (self.differing)(peer);
                }
                Err(refusal)
            }
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Processes in words: `process 1`, `processes 1 and 2`, `processes 1, 2 and 3`.
fn named(processes: &[usize]) -> String {
    let numbers: Vec<String> = processes.iter().map(ToString::to_string).collect();
    match numbers.split_last() {
        Some((last, [])) => format!("process {last}"),
        Some((last, others)) => format!("processes {} and {last}", others.join(", ")),
        None => "no process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn processes_are_named_in_words() {
        assert_eq!(named(&[1]), "process 1");
        assert_eq!(named(&[0, 2]), "processes 0 and 2");
        assert_eq!(named(&[0, 2, 5]), "processes 0, 2 and 5");
    }
}

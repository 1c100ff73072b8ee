//! Peers: the connections between the processes of a cluster.
//!
//! A process connects to those with smaller numbers and accepts those with
//! larger ones. Whoever connects may be anybody: a port scanner, a browser, a
//! process of yesterday's configuration. So before the dataflow gets a
//! connection, both ends prove that they know the brands' secrets and have the
//! same settings. Nothing that fails in this changes anything: the connection is
//! closed, counted, and waited for again.
//!
//! ```text
//! connects  MAGIC  from  to  nonce  tenure
//! accepts   MAGIC  settings  nonce  tenure  code over "accepts", the first message, and all of this one but MAGIC
//! connects  settings  code over "connects", both messages and settings
//! accepts   1 if all is well, 2 if another process has the place of the one that connects
//! ```
//!
//! Codes are keyed BLAKE3 under a key that is derived from the secrets of all
//! brands, and settings are the BLAKE3 of what processes must share
//! ([`super::agreement`]). A tenure tells a process from the one that takes its place
//! ([`super::members`]). Two nonces of 32 random bytes keep codes from being
//! used twice. All of it happens within TLS where the processes have certificates
//! ([`super::peer_tls`]); without, the connection itself is neither encrypted nor
//! authenticated afterwards, and needs a network that nobody else is in.
//!
//! A peer with other settings is reported to the caller, who finds out from the
//! broker which ones they are. Connections that are lost without a word, because
//! a host lost its power, end after [`DEAD`].

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::Context;
use socket2::{SockRef, TcpKeepalive};
use tributary_config::key_chain::derive_key;
use tributary_config::model::Config;
use zeroize::Zeroizing;

use crate::shared_settings::shared;
use crate::worker::members::Members;
use crate::worker::peer_tls::{PeerTls, Relay, TlsRefusal};

/// The first bytes of both ends.
const MAGIC: [u8; 16] = *b"tributary peer 2";
/// Context of the key of each brand's part.
const PART: &str = "tributary 2026-11 key of the processes of a cluster, part of a brand";
/// Context of the key of all brands.
const KEY: &str = "tributary 2026-11 key of the processes of a cluster";
/// How long each step of the proof may take.
const STEP: Duration = Duration::from_secs(5);
/// The pause between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(500);
/// The interval at which new connections are looked for.
const LOOK: Duration = Duration::from_millis(20);
/// The interval of messages about what is waited for, or was refused.
const SAY: Duration = Duration::from_secs(10);
/// The shortest interval of such messages, where there is something new to say.
const SOON: Duration = Duration::from_secs(2);
/// How many connections may be in the proof at a time.
const MOST: usize = 64;
/// After what time without an acknowledgment a connection is lost.
const DEAD: Duration = Duration::from_secs(30);

/// The answer to a process whose place another one has taken.
const REPLACED: u8 = 2;

/// The first byte of an alert of TLS (RFC 8446, section 5.1), with which a process
/// that has TLS answers one that has none.
const ALERT: u8 = 21;

/// What a process must prove.
struct Proof<'a> {
    key: Zeroizing<[u8; 32]>,
    settings: [u8; 32],
    /// The tenure of this process.
    tenure: [u8; 32],
    members: &'a Members,
}

/// The socket of a peer, and the tenure of that process.
type Peer = (TcpStream, [u8; 32]);

/// Why a peer was not accepted.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    /// It could not be reached, or it broke off.
    #[error(transparent)]
    Broken(#[from] io::Error),
    /// It does not speak this protocol, or names a process that is not expected.
    #[error("it is no process of this cluster")]
    Stranger,
    /// It has another secret or other settings.
    #[error("it has other settings or secrets")]
    Differs,
    /// Another process has the lease of its number.
    #[error("another process has taken its place")]
    Replaced,
    /// It speaks TLS, and this process does not.
    #[error("it speaks TLS and this process does not: give both workers.tls_cert_file, or none")]
    SpeaksTls,
    /// There is no TLS connection to it.
    #[error(transparent)]
    Tls(#[from] TlsRefusal),
}

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
    /// Receives the number of a peer that has other settings or secrets.
    differing: &'a (dyn Fn(usize) + Sync),
    /// Ends the attempt.
    stop: &'a AtomicBool,
}

impl<'a> Peers<'a> {
    /// The peers of a process with this tenure, which are found by `members`. `differing` is called with the number of a peer
    /// that has other settings or secrets, or claims to be it.
    pub fn new(
        config: &'a Config,
        (members, tenure): (Members, [u8; 32]),
        differing: &'a (dyn Fn(usize) + Sync),
        stop: &'a AtomicBool,
    ) -> Peers<'a> {
        Peers {
            config,
            members,
            tenure,
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
        let hosts = &self.config.workers.hosts;
        let relay = match self.config.workers.has_tls() {
            true => Some(Arc::new(Relay::new()?)),
            false => None,
        };
        let tls = match &relay {
            Some(relay) => PeerTls::new(&self.config.workers, &self.members, relay, STEP)?,
            None => None,
        };
        let tls = tls.as_ref();
        let (streams, tenures) = self
            .connect_all(hosts, tls)?
            .into_iter()
            .map(Option::unzip)
            .unzip();
        Ok(Connections {
            streams,
            tenures,
            relay,
        })
    }

    /// The connections of [`Peers::connect`], with TLS or without.
    fn connect_all(
        &self,
        hosts: &[String],
        tls: Option<&PeerTls<'_>>,
    ) -> anyhow::Result<Vec<Option<Peer>>> {
        let me = self.config.workers.process;
        let own = self.config.workers.address();
        let mut listeners = Vec::new();
        for address in own.split_whitespace() {
            let listener = TcpListener::bind(address).with_context(|| {
                format!("cannot listen on {address} (workers.address or workers.hosts)")
            })?;
            listener.set_nonblocking(true)?;
            listeners.push(listener);
        }
        let proof = Proof::of(self.config, self.tenure, &self.members);
        let mut found: Vec<Option<Peer>> = hosts.iter().map(|_| None).collect();
        let (met, meet) = mpsc::channel();
        let (open, strangers) = (AtomicUsize::new(0), AtomicUsize::new(0));
        // Why the last connection was refused, and where it came from.
        let last = Mutex::new(None::<(String, SocketAddr)>);
        let mut reported = None;
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for (peer, address) in hosts.iter().enumerate().take(me) {
                let (met, proof, done) = (met.clone(), &proof, &done);
                scope.spawn(move || self.dial(peer, address, (proof, tls), done, &met));
            }
            let mut said = Instant::now();
            let outcome = loop {
                found_by(&meet, &mut found);
                let missing: Vec<usize> = (0..hosts.len())
                    .filter(|peer| *peer != me && found.get(*peer).is_none_or(Option::is_none))
                    .collect();
                if missing.is_empty() {
                    break Ok(());
                }
                if self.stop.load(Ordering::Relaxed) {
                    break Err(anyhow::anyhow!("stopped while waiting for {missing:?}"));
                }
                let refusal = last.lock().unwrap_or_else(PoisonError::into_inner).clone();
                // A reason that is new is reported soon, and everything again and again.
                let is_new = refusal.as_ref().map(|(why, _)| why) != reported.as_ref();
                if said.elapsed() > SAY || is_new && said.elapsed() > SOON {
                    said = Instant::now();
                    let refused = strangers.swap(0, Ordering::Relaxed);
                    let last = refusal.as_ref().map(|(why, from)| format!("{from}: {why}"));
                    tracing::info!(processes = ?missing, refused, last, "waiting for other processes of the cluster");
                    reported = refusal.map(|(why, _)| why);
                }
                let mut is_idle = true;
                for listener in &listeners {
                    // A connection that ends before it is accepted concerns nobody.
                    let Ok((stream, from)) = listener.accept() else {
                        continue;
                    };
                    is_idle = false;
                    if open.fetch_add(1, Ordering::Relaxed) >= MOST {
                        open.fetch_sub(1, Ordering::Relaxed);
                        continue;
                    }
                    let (met, proof, open, strangers) = (met.clone(), &proof, &open, &strangers);
                    let last = &last;
                    scope.spawn(move || {
                        if let Err(refusal) = self.admit(stream, (proof, tls), &met) {
                            tracing::debug!(%from, %refusal, "refused a connection");
                            strangers.fetch_add(1, Ordering::Relaxed);
                            *last.lock().unwrap_or_else(PoisonError::into_inner) =
                                Some((refusal.to_string(), from));
                        }
                        open.fetch_sub(1, Ordering::Relaxed);
                    });
                }
                if is_idle {
                    std::thread::sleep(LOOK);
                }
            };
            done.store(true, Ordering::Relaxed);
            outcome
        })?;
        // Whoever came again while the others were waited for replaces its earlier connection.
        found_by(&meet, &mut found);
        Ok(found)
    }

    /// Connects to a peer until it accepts, at `host` unless its lease names another
    /// address.
    fn dial(
        &self,
        peer: usize,
        host: &str,
        (proof, tls): (&Proof<'_>, Option<&PeerTls<'_>>),
        done: &AtomicBool,
        met: &mpsc::Sender<(usize, Peer)>,
    ) {
        let mut said: Option<String> = None;
        while !done.load(Ordering::Relaxed) && !self.stop.load(Ordering::Relaxed) {
            let me = self.config.workers.process;
            let address = self
                .members
                .address(peer)
                .unwrap_or_else(|| host.to_owned());
            let dialed = TcpStream::connect(&address).map_err(Refusal::from);
            let dialed = dialed.and_then(|stream| {
                prepare(&stream)?;
                let stream = match tls {
                    Some(tls) => tls.connect(stream, &address)?,
                    None => stream,
                };
                proof.connects(stream, me, peer)
            });
            match dialed {
                Ok(found) => {
                    // Where nobody waits any more, nobody needs it.
                    let _ = met.send((peer, found));
                    return;
                }
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

    /// Accepts a peer.
    ///
    /// # Errors
    ///
    /// Whoever is none, or differs.
    fn admit(
        &self,
        stream: TcpStream,
        (proof, tls): (&Proof<'_>, Option<&PeerTls<'_>>),
        met: &mpsc::Sender<(usize, Peer)>,
    ) -> Result<(), Refusal> {
        let (me, processes) = (self.config.workers.process, self.config.workers.hosts.len());
        prepare(&stream)?;
        let expected: Vec<usize> = (me + 1..processes).collect();
        let (stream, expected) = match tls {
            Some(tls) => tls.accept(stream, &expected)?,
            None => (stream, expected),
        };
        match proof.accepts(stream, me, &expected) {
            Ok((peer, found)) => {
                let _ = met.send((peer, found));
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

/// Takes the connections that were made since the last look.
fn found_by(meet: &mpsc::Receiver<(usize, Peer)>, found: &mut [Option<Peer>]) {
    for (peer, one) in meet.try_iter() {
        if let Some(place) = found.get_mut(peer) {
            *place = Some(one);
        }
    }
}

impl<'a> Proof<'a> {
    /// What the processes of a configuration prove, by the one with this tenure.
    fn of(config: &Config, tenure: [u8; 32], members: &'a Members) -> Proof<'a> {
        let mut parts: Vec<_> = config
            .brands
            .iter()
            .map(|brand| (&brand.name, derive_key(PART, &brand.name, &brand.secret)))
            .collect();
        parts.sort_unstable_by_key(|(name, _)| *name);
        let mut all = Zeroizing::new(Vec::new());
        parts
            .iter()
            .for_each(|(_, part)| all.extend_from_slice(part.as_slice()));
        let mut settings = blake3::Hasher::new();
        for (path, value) in shared(config) {
            for text in [path, value] {
                settings.update(&(text.len() as u64).to_le_bytes());
                settings.update(text.as_bytes());
            }
        }
        Proof {
            key: Zeroizing::new(blake3::derive_key(KEY, &all)),
            settings: settings.finalize().into(),
            tenure,
            members,
        }
    }

    /// The code over some parts, which have fixed lengths.
    fn code(&self, role: &[u8], parts: &[&[u8]]) -> blake3::Hash {
        let mut hasher = Zeroizing::new(blake3::Hasher::new_keyed(&self.key));
        hasher.update(role);
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize()
    }

    /// The end that connects, as process `me`, to `peer`.
    fn connects(&self, mut stream: TcpStream, me: usize, peer: usize) -> Result<Peer, Refusal> {
        stream.set_write_timeout(Some(STEP))?;
        let nonce: [u8; 32] = rand::random();
        let hello = [
            &MAGIC[..],
            &(me as u32).to_le_bytes(),
            &(peer as u32).to_le_bytes(),
            &nonce,
            &self.tenure,
        ]
        .concat();
        stream.write_all(&hello)?;
        let first = read::<1>(&mut stream)?;
        if first == [ALERT] {
            return Err(Refusal::SpeaksTls);
        }
        let magic = [&first[..], &read::<15>(&mut stream)?].concat();
        let head = read::<96>(&mut stream)?;
        let theirs = blake3::Hash::from(read::<32>(&mut stream)?);
        if magic != MAGIC {
            return Err(Refusal::Stranger);
        }
        let is_known = self.code(b"accepts ", &[&hello, &head[..]]) == theirs;
        let mut tenure = [0; 32];
        tenure.copy_from_slice(head.get(64..).unwrap_or_default());
        // It may have been suspended since, and not know it. Without a proof it does not take this
        // process for connected.
        if is_known && self.members.is_replaced(peer, &tenure) {
            return Err(Refusal::Replaced);
        }
        // The other end learns from this proof as well whether anything differs.
        let ours = self.code(b"connects", &[&hello, &head[..], &self.settings]);
        stream.write_all(&[&self.settings[..], ours.as_bytes()].concat())?;
        if !is_known || head.get(..32) != Some(&self.settings[..]) {
            return Err(Refusal::Differs);
        }
        match read::<1>(&mut stream)? {
            [1] => Ok((ready(stream)?, tenure)),
            [REPLACED] => Err(Refusal::Replaced),
            _ => Err(Refusal::Differs),
        }
    }

    /// The end that accepts, as process `me`, one of the processes that are
    /// expected. An error comes with the number that the other end claims.
    fn accepts(
        &self,
        mut stream: TcpStream,
        me: usize,
        expected: &[usize],
    ) -> Result<(usize, Peer), (Option<usize>, Refusal)> {
        let broken = |error: io::Error| (None, Refusal::Broken(error));
        stream.set_write_timeout(Some(STEP)).map_err(broken)?;
        let hello = read::<88>(&mut stream).map_err(broken)?;
        let number = |at: usize| {
            let bytes = hello
                .get(at..at + 4)
                .and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(usize::MAX, |bytes| u32::from_le_bytes(bytes) as usize)
        };
        let (peer, to) = (number(16), number(20));
        if !hello.starts_with(&MAGIC) || to != me || !expected.contains(&peer) {
            return Err((None, Refusal::Stranger));
        }
        let nonce: [u8; 32] = rand::random();
        let mut tenure = [0; 32];
        tenure.copy_from_slice(hello.get(56..).unwrap_or_default());
        let head = [self.settings, nonce, self.tenure].concat();
        let code = self.code(b"accepts ", &[&hello, &head]);
        let answer = [&MAGIC[..], &head, code.as_bytes()].concat();
        stream.write_all(&answer).map_err(broken)?;
        let settings = read::<32>(&mut stream).map_err(broken)?;
        let theirs = blake3::Hash::from(read::<32>(&mut stream).map_err(broken)?);
        let is_known = self.code(b"connects", &[&hello, &head, &settings]) == theirs;
        let is_well = is_known && settings == self.settings;
        let is_replaced = is_well && self.members.is_replaced(peer, &tenure);
        let answer = match is_replaced {
            true => REPLACED,
            false => u8::from(is_well),
        };
        stream.write_all(&[answer]).map_err(broken)?;
        match is_well {
            true if is_replaced => Err((Some(peer), Refusal::Replaced)),
            true => Ok((peer, (ready(stream).map_err(broken)?, tenure))),
            false => Err((Some(peer), Refusal::Differs)),
        }
    }
}

/// Reads exactly so many bytes within a step, however slowly they come.
fn read<const N: usize>(stream: &mut TcpStream) -> io::Result<[u8; N]> {
    let until = Instant::now() + STEP;
    let mut bytes = [0; N];
    let mut rest = &mut bytes[..];
    while !rest.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(rest)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => rest = rest.get_mut(count..).unwrap_or_default(),
        }
    }
    Ok(bytes)
}

/// A connection that sends at once, and that ends when the other host has ended.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(DEAD / 3)
        .with_interval(DEAD / 6)
        .with_retries(4);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(DEAD))?;
    Ok(())
}

/// A connection for the dataflow, without the time limits of the proof.
fn ready(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    Ok(stream)
}

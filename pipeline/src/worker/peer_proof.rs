//! The proof of a connection between processes of a cluster.
//!
//! Whoever connects may be anybody: a port scanner, a browser, a process of
//! yesterday's configuration. So before the dataflow gets a connection, both ends
//! prove that they know the brands' secrets and have the same settings. Nothing that
//! fails in this changes anything: the connection is closed.
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

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tributary_config::key_chain::derive_key;
use tributary_config::model::Config;
use zeroize::Zeroizing;

use crate::shared_settings::shared;
use crate::worker::members::Members;
use crate::worker::peer_connection::Peer;
use crate::worker::peer_tls::TlsRefusal;

/// The first bytes of both ends.
const MAGIC: [u8; 16] = *b"tributary peer 2";
/// Context of the key of each brand's part.
const PART: &str = "tributary 2026-11 key of the processes of a cluster, part of a brand";
/// Context of the key of all brands.
const KEY: &str = "tributary 2026-11 key of the processes of a cluster";
/// How long each step of the proof may take.
pub(super) const STEP: Duration = Duration::from_secs(5);

/// The answer to a process whose place another one has taken.
const REPLACED: u8 = 2;

/// The first byte of an alert of TLS (RFC 8446, section 5.1), with which a process
/// that has TLS answers one that has none.
const ALERT: u8 = 21;

/// What a process must prove.
pub(super) struct Proof<'a> {
    key: Zeroizing<[u8; 32]>,
    settings: [u8; 32],
    /// The tenure of this process.
    tenure: [u8; 32],
    members: &'a Members,
}

/// Why a peer was not accepted.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// It could not be reached.
    #[error(transparent)]
    Broken(io::Error),
    /// It takes longer than a step may.
    #[error("it did not answer in time")]
    Late,
    /// It broke off.
    #[error("it ended the connection")]
    Ended,
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

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        match error.kind() {
            // A socket whose time limit is over would block.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Refusal::Late,
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => Refusal::Ended,
            _ => Refusal::Broken(error),
        }
    }
}

impl<'a> Proof<'a> {
    /// What the processes of a configuration prove, by the one with this tenure.
    pub(super) fn of(config: &Config, tenure: [u8; 32], members: &'a Members) -> Proof<'a> {
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
    ///
    /// # Errors
    ///
    /// See [`Refusal`].
    pub(super) fn connects(
        &self,
        mut stream: TcpStream,
        me: usize,
        peer: usize,
    ) -> Result<Peer, Refusal> {
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
            [1] => Ok(Peer::new(stream, tenure)?),
            [REPLACED] => Err(Refusal::Replaced),
            _ => Err(Refusal::Differs),
        }
    }

    /// The end that accepts, as process `me`, one of the processes that are
    /// expected.
    ///
    /// # Errors
    ///
    /// See [`Refusal`]; it comes with the number that the other end claims.
    pub(super) fn accepts(
        &self,
        mut stream: TcpStream,
        me: usize,
        expected: &[usize],
    ) -> Result<(usize, Peer), (Option<usize>, Refusal)> {
        let broken = |error: io::Error| (None, Refusal::from(error));
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
            true => Ok((peer, Peer::new(stream, tenure).map_err(broken)?)),
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

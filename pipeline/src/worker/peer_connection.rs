//! A connection with another process of the cluster, and the connections that a
//! process has while it waits for the rest.
//!
//! A process may wait for hours until the last one of its cluster is there, and those
//! with which it is connected already may end meanwhile. The dataflow must not begin
//! with such a connection: it would end at once, and take the others with it. So what
//! was found is looked at again and again, and is lost if the other end has closed it,
//! or if another process has the lease of that one by now ([`super::members`]), which
//! is how a host without power shows. Connections that are lost without a word
//! otherwise end after [`DEAD`].

use std::io;
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{SockRef, TcpKeepalive};

use crate::worker::members::Members;

/// After what time without an acknowledgment a connection is lost.
const DEAD: Duration = Duration::from_secs(30);

/// The socket of a peer.
pub(super) struct Peer {
    /// The socket.
    pub stream: TcpStream,
    /// The tenure of that process.
    pub tenure: [u8; 32],
}

impl Peer {
    /// A connection for the dataflow, without the time limits of the proof.
    ///
    /// # Errors
    ///
    /// A socket that has ended.
    pub(super) fn new(stream: TcpStream, tenure: [u8; 32]) -> io::Result<Peer> {
        stream.set_read_timeout(None)?;
        stream.set_write_timeout(None)?;
        Ok(Peer { stream, tenure })
    }

    /// Whether the other end has closed the connection, whatever it has sent before:
    /// its dataflow may have begun already.
    fn is_closed(&self) -> bool {
        // Errors and the end of both directions are reported in any case.
        #[cfg(target_os = "linux")]
        let wanted = PollFlags::RDHUP;
        #[cfg(not(target_os = "linux"))]
        let wanted = PollFlags::empty();
        let mut sockets = [PollFd::new(&self.stream, wanted)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // What cannot be asked is found out by the dataflow.
        poll(&mut sockets, Some(&at_once)).is_ok_and(|ready| ready > 0)
    }
}

/// The connections of a process that waits for the rest, shared by the threads that
/// make them.
pub(super) struct Found(Mutex<Vec<Option<Peer>>>);

impl Found {
    /// No connection to any of so many processes.
    pub(super) fn new(processes: usize) -> Found {
        Found(Mutex::new((0..processes).map(|_| None).collect()))
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Option<Peer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection. A peer that comes again replaces its earlier one.
    pub(super) fn put(&self, process: usize, peer: Peer) {
        if let Some(place) = self.all().get_mut(process) {
            *place = Some(peer);
        }
    }

    /// Whether there is a connection to a process.
    pub(super) fn has(&self, process: usize) -> bool {
        self.all().get(process).is_some_and(Option::is_some)
    }

    /// The processes other than `me` to which there is no connection.
    pub(super) fn missing(&self, me: usize) -> Vec<usize> {
        let all = self.all();
        let missing = all.iter().enumerate().filter(|(_, peer)| peer.is_none());
        let missing = missing.map(|(process, _)| process);
        missing.filter(|process| *process != me).collect()
    }

    /// Drops the connections that have ended, and those to processes whose place
    /// another one has taken. Returns to which processes they were.
    pub(super) fn drop_lost(&self, members: &Members) -> Vec<usize> {
        let mut lost = Vec::new();
        for (process, place) in self.all().iter_mut().enumerate() {
            let is_lost =
                |peer: &Peer| peer.is_closed() || members.is_replaced(process, &peer.tenure);
            if place.as_ref().is_some_and(is_lost) {
                *place = None;
                lost.push(process);
            }
        }
        lost
    }

    /// All of them, in the order of the processes.
    pub(super) fn into_inner(self) -> Vec<Option<Peer>> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has a connection send at once, and end when the other host has ended.
///
/// # Errors
///
/// A socket that has ended.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_closed_connection_is_lost_whatever_it_has_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let found = Found::new(4);
        let mut others = Vec::new();
        for process in 1..4 {
            others.push(TcpStream::connect(address).unwrap());
            let (stream, _) = listener.accept().unwrap();
            found.put(process, Peer::new(stream, [0; 32]).unwrap());
        }
        let members = Members::default();
        assert!(found.missing(0).is_empty());
        others[0].write_all(b"something").unwrap();
        others[1].write_all(b"something").unwrap();
        assert!(found.drop_lost(&members).is_empty());
        drop(others.remove(1));
        let begun = std::time::Instant::now();
        while !found.missing(0).contains(&2) {
            assert!(begun.elapsed() < DEAD, "it is not noticed");
            found.drop_lost(&members);
        }
        assert_eq!(found.missing(0), [2]);
        assert!(found.has(1) && found.has(3));
    }
}

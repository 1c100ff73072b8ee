//! Ports for processes of a test that listen later, or repeatedly.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// The offset of the next port that this process tries.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A free port of this host.
///
/// It is outside the range from which the system assigns ports to outgoing connections, so that
/// none of them takes it before the test does. Processes start at different offsets.
pub fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    // Tests that run at the same time look in different places.
    let of_process = (std::process::id() % 600) as u16 * 20;
    let ports = std::iter::repeat_with(|| {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        FIRST + of_process.wrapping_add(next) % COUNT
    });
    let mut free = ports
        .take(usize::from(COUNT))
        .filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().unwrap_or_else(|| panic!("no port is free"))
}

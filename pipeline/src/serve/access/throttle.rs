//! Limits guesses of access tokens.
//!
//! Each address may send [`BURST`] wrong tokens, and one more per [`REFILL`].
//! After that its tokens are refused unchecked, except those that were right
//! from there before: whoever guesses behind the same proxy as a reader cannot
//! lock the reader out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Number of wrong tokens at once.
const BURST: u32 = 20;

/// Time after which an address may send another wrong token.
pub(in crate::serve) const REFILL: Duration = Duration::from_secs(6);

/// Maximum number of addresses. The one that failed longest ago is forgotten
/// for a new one.
const ADDRESSES: usize = 1024;

/// Failures by address.
#[derive(Default)]
pub(in crate::serve) struct Throttle(Mutex<BTreeMap<IpAddr, Failures>>);

/// Failures of an address, and the tokens that were right from there.
struct Failures {
    /// Number of wrong tokens that count now.
    count: u32,
    /// Time from which the next one stops counting.
    since: Instant,
    /// Positions of the tokens that were right.
    proven: BTreeSet<usize>,
}

impl Throttle {
    /// Counts a token from an address, right if `found`; returns whether the answer
    /// may depend on it. `None` is an unknown address, one for all.
    pub(in crate::serve) fn admit(
        &self,
        peer: Option<IpAddr>,
        found: Option<usize>,
        now: Instant,
    ) -> bool {
        let peer = network(peer.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() >= ADDRESSES && !peers.contains_key(&peer) {
            let oldest = peers.iter().min_by_key(|(_, failures)| failures.since);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                peers.remove(&oldest);
            }
        }
        let failures = peers.entry(peer).or_insert(Failures {
            count: 0,
            since: now,
            proven: BTreeSet::new(),
        });
        while failures.count > 0 && now.saturating_duration_since(failures.since) >= REFILL {
            failures.count -= 1;
            failures.since += REFILL;
        }
        if let Some(found) = found
            && (failures.count < BURST || failures.proven.contains(&found))
        {
            failures.proven.insert(found);
            return true;
        }
        if failures.count >= BURST {
            return false;
        }
        if failures.count == 0 {
            failures.since = now;
        }
        failures.count += 1;
        true
    }
}

/// The network that one client controls: an IPv4 address, or the 64 bits before
/// the interface of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
        },
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_are_limited_and_readers_are_not_locked_out() {
        let throttle = Throttle::default();
        let (begin, peer) = (Instant::now(), Some(IpAddr::from([10, 0, 0, 1])));
        assert!(throttle.admit(peer, Some(3), begin));
        for _ in 0..BURST {
            assert!(throttle.admit(peer, None, begin));
        }
        assert!(!throttle.admit(peer, None, begin));
        // A right guess shows nothing now, but the reader continues.
        assert!(!throttle.admit(peer, Some(4), begin));
        assert!(throttle.admit(peer, Some(3), begin));
        // Others are not affected.
        let other = Some(IpAddr::from([10, 0, 0, 2]));
        assert!(throttle.admit(other, Some(4), begin));
        let later = begin + REFILL;
        assert!(throttle.admit(peer, None, later));
        assert!(!throttle.admit(peer, None, later));
        let much_later = begin + REFILL * (BURST + 1);
        assert!(throttle.admit(peer, Some(4), much_later));
    }

    #[test]
    fn one_network_is_one_client_and_their_number_is_bounded() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for interface in 0..u16::try_from(BURST).unwrap() {
            let peer = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, interface);
            assert!(throttle.admit(Some(peer.into()), None, now));
        }
        let peer = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 9, 9, 9, 9);
        assert!(!throttle.admit(Some(peer.into()), None, now));
        for at in 0..4096_u32 {
            throttle.admit(Some(IpAddr::from(at.to_be_bytes())), None, now);
        }
        assert_eq!(throttle.0.lock().unwrap().len(), ADDRESSES);
    }
}

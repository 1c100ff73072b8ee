//! The device limit: which devices of a store and day count, if there are more than allowed.
//!
//! At most `max_devices` devices of a store and salt day count, and as many random MAC addresses.
//! The token of a device is the first 128 bits, least significant byte first, of BLAKE3 keyed with
//! the salt of the day, over the store and the device. The tokens are divided into 64 ranges of
//! equal width, and in each range the smallest tokens count: a 64th of the limit, rounded up.
//!
//! A worker draws its salts at random and forgets them. In random histories the salts are those of
//! [`salt`], so that the oracle knows which devices count.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::label::Label;
use tributary_operators::record::{BrandId, Day, Ping, Pseudonym};
use tributary_operators::settings::{BrandSettings, Settings};

/// The number of ranges of tokens.
const RANGES: usize = 64;

/// The salt of a brand and day in a random history.
///
/// A test passes it to the dataflow, so that both sides compute the same tokens.
pub fn salt(brand: BrandId, day: Day) -> [u8; 32] {
    let mut salt = [7; 32];
    let of = brand.0.to_le_bytes().into_iter().chain(day.to_le_bytes());
    salt.iter_mut().zip(of).for_each(|(to, from)| *to = from);
    salt
}

/// The token of the device of a ping.
pub(crate) fn token(ping: &Ping) -> u128 {
    let store = ping.store.0.to_le_bytes();
    let text = [&store[..], &ping.device.to_le_bytes()].concat();
    let hash = blake3::keyed_hash(&salt(ping.brand, ping.salt_day), &text);
    let bytes = hash.as_bytes().iter().take(16);
    bytes
        .rev()
        .fold(0, |token, byte| token << 8 | u128::from(*byte))
}

/// The number of `pings` whose devices do not count, given all stored pings.
///
/// `pings` may contain repetitions, each of which counts, and pings of several brands. A ping that
/// is not stored counts as excess.
pub fn count_excess_pings(settings: &Settings, held: &[Ping], pings: &[&Ping]) -> u64 {
    let of_brand = |(id, brand): (&BrandId, &BrandSettings)| {
        let held: Vec<&Ping> = held.iter().filter(|ping| ping.brand == *id).collect();
        let counted: BTreeSet<&Ping> = counted_pings(&held, brand.max_devices)
            .into_iter()
            .collect();
        let pings = pings.iter().filter(|ping| ping.brand == *id);
        pings.filter(|ping| !counted.contains(*ping)).count() as u64
    };
    settings.brands.iter().map(of_brand).sum()
}

/// The pings of the devices that count, in the order of the input.
///
/// Devices with and without a random MAC address have separate limits. Whether a device counts
/// depends on the other devices of its store, day and range alone.
pub(crate) fn counted_pings<'a>(pings: &[&'a Ping], max_devices: usize) -> Vec<&'a Ping> {
    type StoreDay = (Label, Day, bool);
    let mut ranges: BTreeMap<(StoreDay, u128), BTreeSet<(u128, Pseudonym)>> = BTreeMap::new();
    let place = |ping: &Ping| {
        let token = token(ping);
        let store_day = (ping.store, ping.salt_day, ping.random);
        let width = u128::MAX / RANGES as u128 + 1;
        ((store_day, token / width), (token, ping.device))
    };
    for ping in pings {
        let (range, token) = place(ping);
        ranges.entry(range).or_default().insert(token);
    }
    let most = max_devices.div_ceil(RANGES);
    let counts = |ping: &&&Ping| {
        let (range, token) = place(ping);
        let mut smallest = ranges.get(&range).into_iter().flatten().take(most);
        smallest.any(|of| *of == token)
    };
    pings.iter().filter(counts).copied().collect()
}

//! Which devices of a store's day count, where there are more than may.
//!
//! Of a store and salt day `max_devices` devices count, and as many random MACs. A device's token is the first 128 bits,
//! the least significant byte first, of BLAKE3 keyed with the day's salt over the store and the device. The tokens are
//! divided into 64 equal ranges, and the smallest of each range count, in every range the same number: a 64th, rounded up.
//!
//! A process draws its salts at random and forgets them. Those of a random history are [`salt`], so that here, too, is
//! known who counts.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::label::Label;
use tributary_operators::record::{BrandId, Day, Ping, Pseudonym};
use tributary_operators::settings::{BrandSettings, Settings};

/// How many ranges of tokens there are.
const RANGES: usize = 64;

/// The salt of a brand's day in a random history.
pub fn salt(brand: BrandId, day: Day) -> [u8; 32] {
    let mut salt = [7; 32];
    let of = brand.0.to_le_bytes().into_iter().chain(day.to_le_bytes());
    salt.iter_mut().zip(of).for_each(|(to, from)| *to = from);
    salt
}

fn token(ping: &Ping) -> u128 {
    let store = ping.store.0.to_le_bytes();
    let text = [&store[..], &ping.device.to_le_bytes()].concat();
    let hash = blake3::keyed_hash(&salt(ping.brand, ping.salt_day), &text);
    let bytes = hash.as_bytes().iter().take(16);
    bytes
        .rev()
        .fold(0, |token, byte| token << 8 | u128::from(*byte))
}

/// How many pings are of devices that do not count, where these and all others are held of their brands.
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

/// The pings of devices that count.
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

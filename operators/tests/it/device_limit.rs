//! The limit of devices per store and day: which devices count, what is counted of the others, and
//! that a device can be erased in any case.

use std::collections::BTreeSet;

use crate::support::runner::{Steps, play};
use crate::support::{ask, run};
use tributary_operators::ask::{Question, Reply};
use tributary_operators::cell::Family;
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{BrandId, Ping};
use tributary_operators::settings::{BrandSettings, Settings};
use tributary_oracle::device_limit::count_excess_pings;
use tributary_oracle::history::random;

/// The number of pings beyond the limit is that of the oracle.
#[test]
fn excess_pings_equal_those_of_the_oracle() {
    let mut all = 0;
    for seed in 0..120 {
        let history = random(seed, 20 + (seed % 90) as usize);
        let mut expected = 0;
        for (at, batch) in history.batches.iter().enumerate() {
            let held = tributary_oracle::fold_events(history.batches[..=at].iter().flatten());
            let pings = batch.iter().filter_map(|event| match event {
                Event::Ping { ping } => Some(ping),
                _ => None,
            });
            let pings: Vec<&Ping> = pings.collect();
            expected += count_excess_pings(&history.settings, &held.pings, &pings);
        }
        let workers = [1, 2, 3, 8][(seed % 4) as usize];
        let steps: Steps = history
            .batches
            .into_iter()
            .map(|batch| (batch, 0))
            .collect();
        let played = play(&history.settings, workers, &[], &steps);
        let counted = played.counts.pings_not_sampled;
        assert_eq!(counted, expected, "seed {seed}, {workers} workers");
        all += expected;
    }
    assert!(all > 100, "the histories have hardly any: {all}");
}

/// State is bounded when a flood of addresses passes a store, and every device that a ledger may
/// contain is found.
#[test]
fn a_flood_of_addresses_is_bounded_and_every_stored_device_is_found() {
    const DEVICES: u128 = 20_000;
    let brand = BrandId::of("acme");
    let settings = Settings::new([BrandSettings {
        name: "acme".into(),
        k: 1,
        k_traffic: 1,
        k_delta: Some(1),
        max_devices: 64,
        ..BrandSettings::default()
    }]);
    let store = Label::of("lyon");
    let ping = |device| Event::Ping {
        ping: Ping {
            brand,
            store,
            device,
            random: true,
            salt_day: 0,
            second: (device % 3_600) as i64,
            utc_offset: 0,
            rssi: -60,
            offline_cookie: None,
        },
    };
    let word = Event::LabelName {
        brand,
        label: store,
        word: "lyon".into(),
    };
    let flood: Vec<Event> = (0..DEVICES).map(ping).collect();
    let mut reference = None;
    for (workers, batch) in [(1, 20_000), (2, 3_000), (3, 700)] {
        let mut batches = vec![vec![word.clone()]];
        batches.extend(flood.chunks(batch).map(<[Event]>::to_vec));
        let last = run(&settings, &batches, workers).pop().unwrap();
        let visits = last
            .iter()
            .filter(|((family, _), _)| *family == Family::Visits);
        let random: Vec<i128> = visits.map(|(_, values)| values[4]).collect();
        // One of each part.
        assert_eq!(random, [64], "{workers} workers");
        let published = ask(&settings, &batches, workers, move |seen| {
            seen.answers.is_empty().then(|| Question::DeviceDays {
                brand,
                devices: (0..DEVICES).collect(),
            })
        });
        let replies = published.answers[0].iter();
        let (mut stored, mut refused) = (BTreeSet::new(), BTreeSet::new());
        for reply in replies {
            match reply {
                Reply::DeviceSeen(device) => stored.insert(device.token),
                Reply::DeviceNotSampled(device) => refused.insert(device.token),
                other => panic!("{other:?}"),
            };
        }
        // One that counts and a reserve of 64 of each part; the others are nowhere but in the ledger.
        assert_eq!(stored.len(), 65 * 64, "{workers} workers");
        assert!(stored.is_disjoint(&refused));
        assert_eq!((stored.len() + refused.len()) as u128, DEVICES);
        assert_eq!(*reference.get_or_insert(stored.clone()), stored);
    }
}

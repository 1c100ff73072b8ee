//! Whatever is written comes back, whatever the size of pages, commits and segments, over any number of restarts.

use crate::any_event::any_event;
use crate::common::*;
use proptest::prelude::*;
use tributary_ledger::{Ledger, Options, WriteBatch, decode};
use tributary_operators::event::Event;
use tributary_operators::record::BrandId;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn at_any_size(
        events in prop::collection::vec(any_event(), 0..200),
        page_size in 1_usize..60,
        commit_size in 1_usize..5,
        session in 1_usize..5,
        segment_bytes in prop::sample::select(vec![1_u64, 300, 2_000, 100_000]),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { segment_bytes, ..options(directory.path()) };
        let pages: Vec<&[(BrandId, Event)]> = events.chunks(page_size).collect();
        let commits: Vec<_> = pages.chunks(commit_size).collect();
        let mut sequence = 0;
        let mut words = 0;
        for commits in commits.chunks(session) {
            let (mut ledger, mut recovered) = Ledger::open(options.clone(), keys()).unwrap();
            prop_assert_eq!(recovered.position, (sequence > 0).then(|| at(sequence)));
            read(&mut recovered, &keys()).unwrap();
            for pages in commits {
                for events in *pages {
                    let mut page = WriteBatch::default();
                    for (brand, event) in *events {
                        page.push(*brand, event);
                    }
                    ledger.append(page);
                }
                sequence += 1;
                let commit = ledger.commit(at(sequence)).unwrap();
                words += commit.entries;
            }
            prop_assert_eq!(ledger.position(), Some(at(sequence)));
            prop_assert_eq!(ledger.stats().entries.total(), words);
            ledger.close().unwrap();
        }
        let mut expected: Vec<Event> = Vec::new();
        for (_, event) in events {
            let again = matches!(event, Event::LabelName { .. }) && expected.contains(&event);
            if !again && !matches!(event, Event::Ping { .. }) {
                expected.push(event);
            }
        }
        prop_assert_eq!(sorted(held(directory.path())), sorted(expected));
    }

    #[test]
    fn bytes_are_events_or_malformed(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut day = day;
        let _ = decode(&bytes, A, &mut day, &mut |_| ());
    }
}

/// The histories of the oracle: what real brands do, and everything that collides.
#[test]
fn histories_come_back() {
    for seed in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let options = Options {
            segment_bytes: 3_000,
            ..options(directory.path())
        };
        let history = tributary_oracle::history::random(seed, 300);
        let (mut ledger, _) = Ledger::open(options, keys()).unwrap();
        let mut expected = Vec::new();
        for (batch, sequence) in history.batches.iter().zip(1..) {
            let mut page = WriteBatch::default();
            for event in batch {
                let brand = match event {
                    Event::Put { record, .. } => record.brand,
                    Event::TokenizedPing { ping, .. } => ping.brand,
                    Event::SettledHour { settled } => settled.brand,
                    Event::SettledDevices { settled } => settled.brand,
                    Event::ClosedVisits { visits } => visits.brand,
                    Event::UnmatchedStays { unmatched } => unmatched.brand,
                    Event::LabelName { brand, .. }
                    | Event::Evidence { brand, .. }
                    | Event::SaltDaysClosed { brand, .. }
                    | Event::SightingsSettled { brand, .. }
                    | Event::LinkTime { brand, .. } => *brand,
                    // A key belongs to one brand, which the event does not say; any will do here.
                    Event::Drop { .. } | Event::Ping { .. } | Event::DropDevice { .. } => A,
                };
                page.push(brand, event);
                if !matches!(event, Event::Ping { .. } | Event::DropDevice { .. }) {
                    expected.push(with_own_day(event.clone()));
                }
            }
            ledger.append(page);
            ledger.commit(at(sequence)).unwrap();
        }
        ledger.close().unwrap();
        let mut expected = sorted(expected);
        expected.dedup_by(|a, b| a == b && matches!(a, Event::LabelName { .. }));
        assert_eq!(sorted(held(directory.path())), expected, "seed {seed}");
    }
}

/// A record's day follows from its time, unless it is spend.
fn with_own_day(mut event: Event) -> Event {
    if let Event::Put { record, .. } = &mut event
        && !matches!(record.body, tributary_operators::record::Body::Spend { .. })
    {
        record.day = day(record.brand, record.ts);
    }
    event
}

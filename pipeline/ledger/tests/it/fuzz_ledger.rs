//! Whatever stands in a file, nothing panics and no event comes out that was not written. Real bytes are mutated
//! from a fixed seed, so that a failure repeats; `TRIBUTARY_FUZZ` sets the number of inputs (default 20,000).

use crate::any_event::any_event;
use crate::common::*;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use tributary_ledger::{Ledger, Options, WriteBatch, decode, encode};
use tributary_operators::event::Event;
use tributary_operators::record::BrandId;
use tributary_operators::salt::Salt;

fn inputs() -> usize {
    let set = std::env::var("TRIBUTARY_FUZZ")
        .ok()
        .and_then(|text| text.parse().ok());
    set.unwrap_or(20_000)
}

/// A small generator of its own, so that the sequence is the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..1 + self.roll(3) {
            let place = self.roll(bytes.len());
            let length = self.roll(bytes.len() - place).min(self.roll(60) + 1);
            match self.roll(8) {
                0 => bytes.truncate(place),
                1 => drop(bytes.drain(place..place + length)),
                2 => bytes.splice(place..place, vec![0; length]).for_each(drop),
                3 => {
                    let copy = bytes[place..place + length].to_vec();
                    let to = self.roll(bytes.len());
                    bytes.splice(to..to, copy).for_each(drop);
                }
                4 => bytes[place..place + length].fill(0xff),
                5 => {
                    let extreme = [0, 1, 0x7f, 0x80, 0xff][self.roll(5)];
                    bytes[place..]
                        .iter_mut()
                        .take(1)
                        .for_each(|byte| *byte = extreme);
                }
                6 => (0..length).for_each(|n| bytes[place + n] = self.roll(256) as u8),
                _ => bytes[place..]
                    .iter_mut()
                    .take(1)
                    .for_each(|byte| *byte ^= 1 << self.roll(8)),
            }
            if bytes.is_empty() {
                bytes.push(self.roll(256) as u8);
            }
        }
    }
}

/// The same random events in every run.
fn events(count: usize) -> Vec<(BrandId, Event)> {
    let mut runner = TestRunner::deterministic();
    let some = proptest::collection::vec(any_event(), count);
    some.new_tree(&mut runner).unwrap().current()
}

#[test]
fn bytes_of_events() {
    let mut dice = Dice(0x5eed);
    let events: Vec<Event> = events(400).into_iter().map(|(_, event)| event).collect();
    let samples: Vec<Vec<u8>> = events.chunks(4).map(encode).collect();
    let (mut decoded, mut refused) = (0, 0);
    for _ in 0..inputs() {
        let mut bytes = samples[dice.roll(samples.len())].clone();
        if bytes.is_empty() {
            continue;
        }
        dice.mutate(&mut bytes);
        let mut found = Vec::new();
        match decode(&bytes, A, &mut day, &mut |event| found.push(event)) {
            Ok(_) => decoded += 1,
            Err(_) => refused += 1,
        }
        // What was made of the bytes is not larger than they are, and can be written and read again.
        let ids = found.iter().map(|event| match event {
            Event::Put { record, .. } => record.ids.ids().len(),
            _ => 0,
        });
        assert!(ids.sum::<usize>() * 17 + found.len() <= bytes.len());
        let mut again = Vec::new();
        decode(&encode(&found), A, &mut day, &mut |event| again.push(event)).unwrap();
        assert_eq!(again, found);
    }
    assert!(decoded > 0 && refused > 0);
}

#[test]
fn files_of_a_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    let options = Options {
        segment_bytes: 1_500,
        ..options(&original)
    };
    let (mut ledger, _) = Ledger::open(options, keys()).unwrap();
    let mut written = Vec::new();
    for (events, n) in events(60).chunks(4).zip(1..) {
        let mut page = WriteBatch::default();
        for (brand, event) in events {
            page.push(*brand, event);
            written.push(event.clone());
        }
        page.salt(A, n as i32 / 5, Salt::from_bytes([3; 32]));
        ledger.append(page);
        ledger.commit(at(n)).unwrap();
    }
    drop(ledger);
    let files = files(&original);
    let names: Vec<_> = files
        .keys()
        .filter(|name| !files[*name].is_empty())
        .collect();
    let segments: Vec<_> = names
        .iter()
        .filter(|name| name.starts_with("segments"))
        .collect();
    assert!(segments.len() > 2);
    let copy = directory.path().join("copy");
    let mut dice = Dice(0xf11e);
    let (mut opened, mut refused) = (0, 0);
    for _ in 0..inputs() / 50 {
        let mut files = files.clone();
        let name = names[dice.roll(names.len())].clone();
        match dice.roll(10) {
            // A file in the place of another.
            0 => {
                let other = files[*segments[dice.roll(segments.len())]].clone();
                files.insert(name, other);
            }
            1 => drop(files.remove(&name)),
            _ => dice.mutate(files.get_mut(&name).unwrap()),
        }
        restore(&copy, &files);
        let found = try_open(&copy).and_then(|(_ledger, mut recovered)| {
            let mut found = Vec::new();
            let mut result = Ok(());
            // What comes before a refusal is right, too.
            while let Some(block) = recovered.next_block().transpose() {
                result = block.and_then(|block| {
                    block.open(&keys(), 0, &mut day, &mut |event| found.push(event))
                });
                if result.is_err() {
                    break;
                }
            }
            assert!(is_part_of(&found, &written));
            result
        });
        match found {
            Ok(()) => opened += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(
        opened > 0 && refused > 0,
        "{opened} opened, {refused} refused"
    );
}

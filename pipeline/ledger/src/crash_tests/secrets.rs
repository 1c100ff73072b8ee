//! A crash at every step of a key rotation, and of an erasure.

use std::path::Path;
use std::sync::Arc;

use tributary_operators::event::Event;
use tributary_operators::record::{Day, RecordKey};

use super::Story;
use super::common::*;
use crate::disk::hook;
use crate::frames::{DataFrame, Frame, Frames};
use crate::keyring::BrandKey;
use crate::manifest::Paths;
use crate::{EntryCounts, ErasureFilter, Keyring, Ledger};

/// Number of blocks, salts and key checks in all files that match a rotated
/// secret, whatever number they carry.
pub(super) fn opens_under_older(directory: &Path, keys: &Keyring) -> usize {
    let paths = Paths(directory.to_owned());
    let manifest = paths.read_existing().unwrap();
    let brand = keys.of(A).unwrap();
    let older: Vec<_> = (0..brand.links())
        .map(|links| brand.key_after(links, &manifest.id()).unwrap().0)
        .collect();
    let mut count = 0;
    for number in paths.segment_files().unwrap() {
        let id = manifest.segment(number);
        let mut frames = Frames::open(&paths.segment(number), id, None).unwrap();
        while let Ok(Some(frame)) = frames.next() {
            let Frame::Data(data) = frame else { continue };
            let opens = |key: &&&BrandKey| {
                let DataFrame {
                    offset,
                    header,
                    nonce,
                    body,
                } = &data;
                id.unseal(*offset, header, *nonce, body, key).is_some()
            };
            count += older.iter().filter(opens).count();
        }
    }
    let checks = (0..brand.links()).map(|links| brand.key_after(links, &manifest.id()).unwrap().1);
    for check in checks {
        count += manifest
            .brands
            .iter()
            .filter(|line| line.check.0 == check)
            .count();
    }
    let newest = brand.links();
    let older = manifest.brands.iter().filter(|line| line.links < newest);
    count + older.filter(|line| manifest.has_salts(line.number)).count()
}

/// A file that cannot be overwritten is tried again after the others, removed all
/// the same, and counted.
#[test]
fn what_is_not_overwritten_is_tried_again_and_counted() {
    for failures in [0, 1, 4_usize] {
        let mut story = Story::begin();
        for n in 1..8 {
            story.commit(&[put(A, n, 0, n), put(A, 1, 0, n)], &[], n);
        }
        let ledger = story.ledger.as_mut().unwrap();
        let work = ledger.rewrite(Arc::new(|_, _| true)).unwrap();
        let done = work.run(&mut |_, _| ()).unwrap();
        let removal = ledger.install(done).unwrap();
        let mut left = failures;
        hook::set(Box::new(move |step, _| match step {
            "wipe" if left > 0 => {
                left -= 1;
                Err(std::io::Error::other("the disk fails"))
            }
            _ => Ok(()),
        }));
        let removed = removal.run();
        hook::clear();
        let removed = removed.unwrap();
        let failed_twice = failures.saturating_sub(removed.files).min(removed.files);
        assert_eq!(removed.not_overwritten, failed_twice, "{removed:?}");
    }
}

/// Whatever is left opens with the new secret and the one before it, with every
/// entry and every salt.
#[test]
fn a_secret_is_exchanged_and_nothing_is_lost() {
    let mut story = Story::begin();
    for n in 1..6 {
        let events = [put(A, n, 0, n), put(A, 1, 0, n), ping(A, n as i64)];
        story.commit(&events, &[n as Day], n);
    }
    for (letters, n) in [("ax", 10), ("axy", 20)] {
        // From here on only the new configuration opens it: it always does.
        story.exchange(letters);
        let then = story.now.clone();
        story.step(then, |ledger, _| {
            let ledger = ledger.as_mut().unwrap();
            ledger.rotate(rotated_keys(letters)).unwrap();
            assert!(ledger.entries_under_old_keys() > 0);
        });
        let keys = rotated_keys(letters);
        assert!(opens_under_older(story.directory.path(), &keys) > 0);
        // The process goes on with the pseudonyms that it began with.
        story.commit(&[put(A, n, 0, n)], &[n as Day], n);
        story.commit(&[put(A, n + 1, 0, n + 1)], &[], n + 1);
        let first = |event: &Event| matches!(event, Event::Put { key, arrival, .. } if key.0 == 1 && arrival.message < 5);
        let mut then = story.now.clone();
        then.0.retain(|event| !first(event));
        story.step(then, |ledger, _| {
            let ledger = ledger.as_mut().unwrap();
            let done = ledger.rewrite(Arc::new(|_, _| true)).unwrap();
            let done = done.run(&mut |_, _| ()).unwrap();
            assert!(done.rekeyed > 0);
            ledger.install(done).unwrap().run().unwrap();
            assert_eq!(ledger.entries_under_old_keys(), 0);
        });
        assert_eq!(opens_under_older(story.directory.path(), &keys), 0);
    }
    // At rest: a start finds that the secret is another one, and seals the salts anew.
    story.exchange("axyz");
    let then = story.now.clone();
    story.step(then, |slot, directory| {
        slot.take().unwrap().close().unwrap();
        let keys = rotated_keys("axyz");
        *slot = Some(Ledger::open(options(directory), keys).unwrap().0);
    });
    assert!(story.crashes > 100, "{} crashes", story.crashes);
}

/// A person is forgotten wholly or, until it is asked again, not at all.
#[test]
fn what_is_forgotten_is_never_half_forgotten() {
    let mut story = Story::begin();
    for n in 1..8 {
        // Key 1 is corrected again and again, and dropped; all clicks of key 2 name one pseudonym.
        let events = [put(A, 1, 0, n), put(A, 2, 0, n), ping(A, n as i64)];
        story.commit(&events, &[], n);
        story.commit(&[drop_of(A, 1, n), click(A, 10 + n)], &[], 10 + n);
    }
    let pseudonym = |event: &Event| match event {
        Event::Put { record, .. } => (record.brand, record.ids.ids()[0].pseudonym),
        _ => unreachable!(),
    };
    let token = |event: &Event| match event {
        Event::TokenizedPing { ping, .. } => (ping.brand, ping.token),
        _ => unreachable!(),
    };
    let mut forget = ErasureFilter::default();
    forget.records.insert(RecordKey(1));
    forget.erase_person(pseudonym(&put(A, 2, 0, 1)), EVERYTHING);
    forget.tokens.insert(token(&ping(A, 3)));
    let named = forget.clone();
    let stays = |event: &Event| !named.covers(event);
    let (mut events, days) = story.now.clone();
    events.retain(stays);
    assert_eq!(events.len(), 13);
    story.step((events, days), |ledger, _| {
        let ledger = ledger.as_mut().unwrap();
        let work = ledger.erase(forget).unwrap();
        let done = work.run(&mut |_, _| ()).unwrap();
        let EntryCounts {
            put,
            drop,
            tokenized_pings: pings,
            ..
        } = done.erased;
        assert_eq!((put, drop, pings), (14, 7, 1));
        ledger.install(done).unwrap().run().unwrap();
    });
    // Again, it is harmless.
    let then = story.now.clone();
    story.step(then, |ledger, _| {
        let ledger = ledger.as_mut().unwrap();
        let work = ledger.erase(named).unwrap();
        let done = work.run(&mut |_, _| ()).unwrap();
        assert_eq!(done.erased.total(), 0);
        ledger.install(done).unwrap().run().unwrap();
    });
}

//! A crash at every step of an import: all of it is there, or nothing.

use std::sync::Arc;

use tributary_operators::salt::Salt;

use super::Story;
use super::common::*;
use crate::{Import, Ledger, Options};

/// Another ledger, with entries of two brands in several segments.
fn other(directory: &std::path::Path) -> Ledger {
    let keys = keyring(&[("acme", 'a'), ("bolt", 'b')]);
    let options = Options {
        segment_bytes: 600,
        ..options(directory)
    };
    let mut ledger = Ledger::open(options, keys).unwrap().0;
    for n in 100..109 {
        let mut batch = page(A, &[put(A, n, 0, n), word(A, "bing")]);
        batch.salt(A, 7, Salt::from_bytes([7; 32]));
        ledger.append(batch);
        ledger.append(page(B, &[put(B, n, 0, n)]));
        ledger.commit(at(n)).unwrap();
    }
    ledger
}

#[test]
fn an_import_is_there_or_it_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let source = other(directory.path());
    assert!(source.stats().segments > 2 && source.has_brand("bolt"));
    let mut story = Story::begin();
    story.commit(&[put(A, 1, 0, 1), word(A, "google")], &[101], 50);
    let (mut events, mut days) = story.now.clone();
    events.extend((100..109).map(|n| put(A, n, 0, n)));
    events.push(word(A, "bing"));
    days.insert(0, 7);
    story.step((events, days), |ledger, _| {
        let ledger = ledger.as_mut().unwrap();
        let import = Import {
            sources: &[&source],
            brand: Some(A),
            take: Arc::new(|_, _| true),
            salts: true,
            position: at(20),
            share: (0, 1),
        };
        let taken = ledger.import(&import, &mut |_, _| ()).unwrap();
        assert_eq!((taken.put, taken.label_names), (9, 1));
    });
    assert!(!story.ledger.as_ref().unwrap().has_brand("bolt"));
    // The position is that of the import, also after a restart, until the next commit.
    let (events, days) = story.now.clone();
    story.step((events, days), |slot, directory| {
        slot.take().unwrap().close().unwrap();
        *slot = Some(open(directory).0);
    });
    assert_eq!(story.ledger.as_ref().unwrap().position(), Some(at(20)));
    story.commit(&[put(A, 2, 0, 21)], &[], 21);
    assert!(story.crashes > 30, "{} crashes", story.crashes);
}

#[test]
fn what_another_ledger_has_is_left_out_and_a_ledger_is_destroyed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("process-0");
    let mut source = other(&path);
    let rewrite = source.rewrite(Arc::new(|_, _| true)).unwrap();
    let done = rewrite.without("acme").run(&mut |_, _| ()).unwrap();
    source.install(done).unwrap().run().unwrap();
    source.forget_brand(A).unwrap();
    assert!(!source.has_brand("acme"));
    source.close().unwrap();
    // The configuration need not have the brand any more.
    let keys = keyring(&[("bolt", 'b')]);
    let (ledger, mut recovered) = Ledger::open(options(&path), keys.clone()).unwrap();
    let left = read(&mut recovered, &keys).unwrap();
    assert_eq!(
        left,
        (100..109).map(|n| put(B, n, 0, n)).collect::<Vec<_>>()
    );
    assert!(recovered.salts.is_empty());
    assert!(Ledger::destroy(&path).is_err(), "it is open");
    ledger.close().unwrap();
    assert!(Ledger::destroy(&path).unwrap().files > 1);
    assert!(!path.exists());
    assert_eq!(Ledger::destroy(&path).unwrap().files, 0);
}

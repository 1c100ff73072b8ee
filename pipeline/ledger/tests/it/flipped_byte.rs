//! One byte is not what was written, anywhere: it is refused, or at the very end cut, and no wrong event comes out.

use std::path::Path;

use crate::common::*;
use tributary_ledger::{Ledger, LedgerError, Options, WriteBatch, verify};
use tributary_operators::event::Event;
use tributary_operators::salt::Salt;

fn opened(path: &Path) -> Result<(u64, Vec<Event>), LedgerError> {
    let (_ledger, mut recovered) = try_open(path)?;
    let events = read(&mut recovered, &keys())?;
    Ok((recovered.cut_bytes, events))
}

#[test]
fn anywhere() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    let options = Options {
        segment_bytes: 700,
        ..options(&original)
    };
    let (mut ledger, _) = Ledger::open(options, keys()).unwrap();
    let mut before_last = 0;
    let mut events = Vec::new();
    for n in 1..=6 {
        let event = click(A, n);
        let mut page = WriteBatch::default();
        page.push(A, &event);
        page.salt(A, 7, Salt::from_bytes([9; 32]));
        events.push(event);
        ledger.append(page);
        before_last = std::fs::read_dir(original.join("segments"))
            .unwrap()
            .count();
        ledger.commit(at(n)).unwrap();
    }
    drop(ledger);
    assert_eq!(
        before_last, 2,
        "the active segment has more than one commit"
    );
    let files = files(&original);
    let copy = directory.path().join("copy");
    let mut cut = 0;
    for (name, bytes) in &files {
        let active = name.ends_with("0000000002.seg");
        for place in 0..bytes.len() {
            let mut files = files.clone();
            files.get_mut(name).unwrap()[place] ^= 1 << (place % 8);
            restore(&copy, &files);
            let what = format!("{} at {place}", name.display());
            let verified = verify(&copy, &keys(), &mut |_, _| ());
            match opened(&copy) {
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains(name.to_str().unwrap()), "{what}: {text}");
                    assert!(verified.is_err(), "{what}");
                }
                Ok((cut_bytes, found)) => {
                    assert!(active && cut_bytes > 0, "{what}");
                    assert_eq!(found, events[..5], "{what}");
                    assert_eq!(verified.unwrap().torn_bytes, cut_bytes, "{what}");
                    cut += 1;
                }
            }
        }
    }
    // The last commit, and nothing else.
    assert!((150..400).contains(&cut), "{cut}");
}

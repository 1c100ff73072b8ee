//! Commits that somebody without the secrets has changed are refused, however well the checksums were forged: no block can be
//! left out, and no position changed.

use crate::common::*;
use tributary_ledger::{Kind, verify};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const HEADER: usize = 48;
const COMMIT: usize = 146;

/// The groups of a segment: where the blocks and the commit of each begin, and where it ends.
fn groups(segment: &[u8]) -> Vec<[usize; 3]> {
    let (mut begin, mut groups) = (HEADER, Vec::new());
    while begin < segment.len() {
        let mut place = begin;
        while segment[place] == 1 {
            let body = segment[place + 4..place + 8].try_into().unwrap();
            place += 60 + u32::from_le_bytes(body) as usize + 8;
        }
        groups.push([begin, place, place + COMMIT]);
        begin = place + COMMIT;
    }
    groups
}

/// Makes the checksums of a commit right again, as anybody could.
fn forge(segment: &mut [u8], [begin, commit, end]: [usize; 3]) {
    let seed = u64::from_le_bytes(segment[40..48].try_into().unwrap());
    let running = xxh3_64_with_seed(&segment[begin..commit], seed);
    segment[commit + 96..commit + 104].copy_from_slice(&running.to_le_bytes());
    let checksum = xxh3_64_with_seed(&segment[commit..end - 8], seed);
    segment[end - 8..end].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(directory.path());
    for n in 1..=3 {
        ledger.append(page(A, &[click(A, n)]));
        ledger.commit(at(n)).unwrap();
    }
    // Nothing but a position.
    ledger.commit(at(4)).unwrap();
    drop(ledger);
    let path = directory.path().join("segments/0000000001.seg");
    let original = std::fs::read(&path).unwrap();
    let attempt = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut segment = original.clone();
        change(&mut segment);
        std::fs::write(&path, &segment).unwrap();
        let verified = verify(directory.path(), &keys(), &mut |_, _| ());
        let opened = try_open(directory.path()).and_then(|(_ledger, mut recovered)| {
            assert_eq!(recovered.cut_bytes, 0, "the forgery is good");
            read(&mut recovered, &keys())
        });
        assert_eq!(verified.is_ok(), opened.is_ok());
        opened
    };
    let unchanged = attempt(&|segment| {
        for group in groups(segment) {
            forge(segment, group);
        }
    });
    assert_eq!(unchanged.unwrap().len(), 3);
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Vec<u8>));
    let changes: [Change; 6] = [
        ("without the block of the last but one", &|segment| {
            let [begin, commit, _] = groups(segment)[2];
            segment.truncate(groups(segment)[2][2]);
            segment.drain(begin..commit);
            // Its own offset, no blocks, no entries.
            segment[begin + 16..begin + 24].copy_from_slice(&(begin as u64).to_le_bytes());
            segment[begin + 24..begin + 40].fill(0);
            forge(segment, [begin, begin, begin + COMMIT]);
        }),
        ("another sequence", &|segment| {
            let group = groups(segment)[3];
            segment[group[1] + 52] += 1;
            forge(segment, group);
        }),
        ("an older arrival", &|segment| {
            let group = groups(segment)[0];
            segment[group[1] + 68] ^= 1;
            forge(segment, group);
        }),
        ("the code of another commit", &|segment| {
            let (from, to) = (groups(segment)[0], groups(segment)[1]);
            segment.copy_within(from[1] + 106..from[1] + 138, to[1] + 106);
            forge(segment, to);
        }),
        ("a brand that there is not", &|segment| {
            let group = groups(segment)[3];
            segment[group[1] + 104] = 9;
            forge(segment, group);
        }),
        ("an older format, without codes", &|segment| {
            let mut older = segment[..HEADER].to_vec();
            older[8] = 4;
            let checksum = xxh3_64(&older[..40]);
            older[40..48].copy_from_slice(&checksum.to_le_bytes());
            *segment = older;
        }),
    ];
    for (what, change) in changes {
        let error = attempt(change).unwrap_err();
        assert!(
            matches!(error.kind(), Kind::Corrupt { .. }),
            "{what}: {error}"
        );
    }
}

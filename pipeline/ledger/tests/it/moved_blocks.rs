//! A block opens in its own place and nowhere else, however well the checksums were forged.

use crate::common::*;
use tributary_ledger::Kind;
use xxhash_rust::xxh3::xxh3_64_with_seed;

const HEADER: usize = 48;
const COMMIT: usize = 146;
/// A block around its content, without its checksum.
const FRAME: usize = 60;

/// Two commits of a block each, of the same length; the blocks without their checksum.
fn blocks(segment: &[u8]) -> [std::ops::Range<usize>; 2] {
    let body = |at: usize| u32::from_le_bytes(segment[at + 4..at + 8].try_into().unwrap()) as usize;
    let first = HEADER..HEADER + FRAME + body(HEADER);
    let start = first.end + 8 + COMMIT;
    [first, start..start + FRAME + body(start)]
}

/// Makes all checksums right again, as anybody could.
fn forge(segment: &mut [u8]) {
    let seed = u64::from_le_bytes(segment[40..48].try_into().unwrap());
    for block in blocks(segment) {
        let checksum = xxh3_64_with_seed(&segment[block.clone()], seed);
        let commit = block.end + 8;
        segment[block.end..commit].copy_from_slice(&checksum.to_le_bytes());
        let running = xxh3_64_with_seed(&segment[block.start..commit], seed);
        segment[commit + 96..commit + 104].copy_from_slice(&running.to_le_bytes());
        let checksum = xxh3_64_with_seed(&segment[commit..commit + 138], seed);
        segment[commit + 138..commit + 146].copy_from_slice(&checksum.to_le_bytes());
    }
}

#[test]
fn do_not_open() {
    let directory = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(directory.path());
    for n in 1..=2 {
        ledger.append(page(A, &[click(A, n)]));
        ledger.commit(at(n)).unwrap();
    }
    drop(ledger);
    let path = directory.path().join("segments/0000000001.seg");
    let original = std::fs::read(&path).unwrap();
    type Change<'a> = &'a dyn Fn(&mut [u8], [std::ops::Range<usize>; 2]);
    let attempt = |change: Change| {
        let mut segment = original.clone();
        change(&mut segment, blocks(&original));
        forge(&mut segment);
        std::fs::write(&path, &segment).unwrap();
        let (_ledger, mut recovered) = try_open(directory.path())?;
        read(&mut recovered, &keys())
    };
    assert_eq!(attempt(&|_, _| ()).unwrap().len(), 2);
    let changes: [Change; 4] = [
        // Swapped, repeated, with another number of entries, and simply changed.
        &|segment, [one, two]| {
            let (first, second) = (segment[one.clone()].to_vec(), segment[two.clone()].to_vec());
            segment[one].copy_from_slice(&second);
            segment[two].copy_from_slice(&first);
        },
        &|segment, [one, two]| segment.copy_within(one, two.start),
        &|segment, [one, two]| {
            // One put becomes one drop, so that the sum that the commit carries stays right.
            for block in [one, two] {
                segment.copy_within(block.start + 12..block.start + 16, block.start + 16);
                segment[block.start + 12] = 0;
            }
        },
        &|segment, [one, _]| segment[one.end - 1] ^= 1,
    ];
    for (change, n) in changes.iter().zip(0..) {
        let error = attempt(change).unwrap_err();
        assert!(matches!(error.kind(), Kind::Corrupt { .. }), "{n}: {error}");
    }
}

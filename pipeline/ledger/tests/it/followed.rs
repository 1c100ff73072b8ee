//! Who reads a ledger while it grows has at any time read what a restore reads first, and goes on with the rest.

use std::path::Path;
use std::sync::Arc;

use crate::common::*;
use proptest::prelude::*;
use tributary_ledger::{CopiedManifest, FollowedBlocks, Ledger, LedgerError, Options, WriteBatch};
use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, Day};
use tributary_operators::salt::Salt;

/// What happens to a ledger.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A commit of so many records of a brand.
    Commit(BrandId, u64),
    /// A commit with the salt of a day.
    Salt(Day),
    /// The salts before a day are destroyed.
    Destroy(Day),
    /// Segments are written anew without the records whose remainder by seven this is.
    Rewrite(u64),
    /// The reader goes on with the newest state, and reads so many blocks.
    Read(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (prop::sample::select(vec![A, B]), 1..40_u64).prop_map(|(brand, of)| Step::Commit(brand, of)),
        2 => (0..9_i32).prop_map(Step::Salt),
        1 => (0..9_i32).prop_map(Step::Destroy),
        1 => (0..7_u64).prop_map(Step::Rewrite),
        6 => (0..6_usize).prop_map(Step::Read),
    ]
}

/// A reader, and what it has read.
#[derive(Default)]
struct Reader {
    blocks: FollowedBlocks,
    events: Vec<Event>,
    salts: Vec<(BrandId, Day, Salt)>,
}

impl Reader {
    /// Goes on with the state of the ledger, and reads some blocks. Returns false if it cannot.
    fn go_on(&mut self, directory: &Path, active: u64, blocks: usize) -> Result<bool, LedgerError> {
        let manifest = CopiedManifest::read(directory)?.unwrap();
        let went_on = self.blocks.go_on(directory, &manifest, active, &keys())?;
        let Some(salts) = went_on else {
            return Ok(false);
        };
        self.salts.extend(salts);
        for _ in 0..blocks {
            let Some(block) = self.blocks.next_block()? else {
                assert_eq!(self.blocks.left(), 0);
                break;
            };
            block.open(&keys(), 0, &mut day, &mut |event| self.events.push(event))?;
        }
        Ok(true)
    }
}

/// Whether an event is of a record that this rewrite leaves out.
fn leaves_out(event: &Event, of: u64) -> bool {
    matches!(event, Event::Put { key, .. } if key.0 as u64 % 7 == of)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn what_was_read_and_the_rest_are_the_whole(
        steps in prop::collection::vec(step(), 1..60),
        segment_bytes in prop::sample::select(vec![1_u64, 500, 3_000, 100_000]),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let options = Options { segment_bytes, ..options(path) };
        let (mut ledger, _) = Ledger::open(options.clone(), keys()).unwrap();
        let mut reader = Reader::default();
        let (mut sequence, mut key) = (0, 0);
        // Whether something was replaced since the reader began.
        let mut is_replaced = false;
        for step in steps {
            let mut page = WriteBatch::default();
            match step {
                Step::Commit(brand, count) => {
                    for _ in 0..count {
                        key += 1;
                        page.push(brand, &word(brand, &format!("word {}", key % 50)));
                        page.push(brand, &click(brand, key));
                    }
                }
                Step::Salt(day) => page.salt(A, day, Salt::from_bytes([day as u8; 32])),
                Step::Destroy(before) => {
                    ledger.destroy_salts(A, before).unwrap();
                    is_replaced = true;
                }
                Step::Rewrite(of) => {
                    let work = ledger.rewrite(Arc::new(move |event, _| !leaves_out(event, of)));
                    let done = work.unwrap().run(&mut |_, _| ()).unwrap();
                    ledger.install(done).unwrap().run().unwrap();
                    is_replaced = true;
                }
                Step::Read(blocks) => {
                    let active = ledger.extent().bytes;
                    if !reader.go_on(path, active, blocks).unwrap() {
                        prop_assert!(is_replaced, "a ledger that only grows begins with what was read");
                        reader = Reader::default();
                        prop_assert!(reader.go_on(path, active, blocks).unwrap());
                        is_replaced = false;
                    }
                }
            }
            if matches!(step, Step::Commit(..) | Step::Salt(_)) {
                ledger.append(page);
                sequence += 1;
                ledger.commit(at(sequence)).unwrap();
            }
        }
        ledger.close().unwrap();
        let expected = sorted(held(path));
        let (mut ledger, mut recovered) = Ledger::open(options.clone(), keys()).unwrap();
        let mut salts = recovered.salts.clone();
        let Reader { blocks, mut events, salts: mut restored } = reader;
        if recovered.go_on_after(blocks).unwrap() {
            restored.extend(recovered.salts.clone());
        } else {
            (events, restored) = (Vec::new(), salts.clone());
        }
        while let Some(block) = recovered.next_block().unwrap() {
            block.open(&keys(), 0, &mut day, &mut |event| events.push(event)).unwrap();
        }
        prop_assert_eq!(&sorted(events), &expected);
        salts.sort();
        restored.sort();
        prop_assert_eq!(restored, salts);
        // The names that were read before the ledger was opened are known to it, and not written again.
        let names: Vec<Event> = (0..50).map(|n| word(B, &format!("word {n}"))).collect();
        let new = names.iter().filter(|name| !expected.contains(name)).count() as u64;
        ledger.append(page(B, &names));
        prop_assert_eq!(ledger.commit(at(sequence + 1)).unwrap().entries, new);
    }
}

#[test]
fn a_segment_that_is_damaged_after_it_was_read_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let options = Options {
        segment_bytes: 1,
        ..options(path)
    };
    let (mut ledger, _) = Ledger::open(options, keys()).unwrap();
    for n in 1..5 {
        ledger.append(page(A, &[click(A, n)]));
        ledger.commit(at(n)).unwrap();
    }
    let mut reader = Reader::default();
    assert!(reader.go_on(path, ledger.extent().bytes, 10).unwrap());
    assert_eq!(reader.events.len(), 4);
    reader.blocks.verify().unwrap();
    ledger.close().unwrap();
    let segment = path.join("segments/0000000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let error = reader.blocks.verify().unwrap_err();
    assert!(
        matches!(error.kind(), tributary_ledger::Kind::Corrupt { file, .. } if file == segment)
    );
}

#[test]
fn a_reader_without_a_state_has_nothing_to_go_on_after() {
    let directory = tempfile::tempdir().unwrap();
    let (_ledger, mut recovered) = open(directory.path());
    assert!(!recovered.go_on_after(FollowedBlocks::default()).unwrap());
}

//! A rewrite leaves out what is superseded and what is to be forgotten, while commits go on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::*;
use memchr::memmem;
use tributary_ledger::{
    ErasureFilter, KeepFilter, Kind, Ledger, Options, RewriteResult, WriteBatch, verify,
};
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{Arrival, RecordKey};

fn ledger(directory: &Path, segment_bytes: u64) -> Ledger {
    let options = Options {
        segment_bytes,
        ..options(directory)
    };
    let (ledger, mut recovered) = Ledger::open(options, keys()).unwrap();
    read(&mut recovered, &keys()).unwrap();
    ledger
}

/// The segments of a ledger, open.
fn segments(directory: &Path) -> BTreeMap<PathBuf, File> {
    let entries = std::fs::read_dir(directory.join("segments")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.clone(), File::open(path).unwrap()))
        .collect()
}

fn everything() -> KeepFilter {
    Arc::new(|_, _| true)
}

fn run(ledger: &mut Ledger, keep: KeepFilter) -> RewriteResult {
    let work = ledger.rewrite(keep).unwrap();
    std::thread::spawn(move || work.run(&mut |_, _| ()).unwrap())
        .join()
        .unwrap()
}

/// What counts, said as simply as it can be: of each key the best put after the last drop, and everything else.
fn counts(events: &[Event]) -> Vec<Event> {
    let mut dropped: BTreeMap<RecordKey, Arrival> = BTreeMap::new();
    for event in events {
        if let Event::Drop { key, arrival } = event {
            let last = dropped.entry(*key).or_insert(*arrival);
            *last = (*last).max(*arrival);
        }
    }
    let mut best: BTreeMap<RecordKey, &Event> = BTreeMap::new();
    let rank = |event: &Event| match event {
        Event::Put {
            version, arrival, ..
        } => (*version, *arrival),
        _ => unreachable!(),
    };
    let mut out = Vec::new();
    for event in events {
        match event {
            Event::Put { key, arrival, .. } => {
                if dropped.get(key).is_none_or(|drop| arrival >= drop) {
                    let held = best.entry(*key).or_insert(event);
                    if rank(event) > rank(held) {
                        *held = event;
                    }
                }
            }
            _ => out.push(event.clone()),
        }
    }
    out.extend(best.into_values().cloned());
    sorted(out)
}

/// Puts, drops and pings of few keys, in an order of arrival that the ledger does not keep to.
fn collisions(seed: u64, count: u64) -> Vec<Event> {
    let mut state = seed | 1;
    let mut roll = |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    let mut events: Vec<Event> = (0..count)
        .map(|arrival| match roll(10) {
            0 => ping(A, arrival as i64),
            1 => drop_of(A, roll(12), arrival),
            _ => put(A, roll(12), roll(3) as i64, arrival),
        })
        .collect();
    for place in (1..events.len()).rev() {
        events.swap(place, roll(place as u64 + 1) as usize);
    }
    events
}

#[test]
fn leaves_out_what_is_superseded() {
    for seed in 1..30 {
        let directory = tempfile::tempdir().unwrap();
        let mut ledger = ledger(directory.path(), 1_000 * (seed % 3) + 1);
        let events = collisions(seed * 0x9e37_79b9, 150);
        for (events, n) in events.chunks(10).zip(1..) {
            ledger.append(page(A, events));
            ledger.commit(at(n)).unwrap();
        }
        let before = ledger.stats();
        let work = ledger.rewrite(everything()).unwrap();
        // With little memory everything is read several times, and the judgement is the same.
        let budget = if seed % 2 == 0 { 300 } else { 1 << 20 };
        let done = work.budget(budget).run(&mut |_, _| ()).unwrap();
        let expected = counts(&events);
        assert_eq!(
            done.superseded,
            (events.len() - expected.len()) as u64,
            "seed {seed}"
        );
        assert_eq!(done.erased.total(), 0);
        let verified = verify(directory.path(), &keys(), &mut |_, _| ()).unwrap();
        assert_eq!(verified.superseded, done.superseded, "seed {seed}");
        ledger.install(done).unwrap().run().unwrap();
        let after = ledger.stats();
        assert_eq!(after.entries.total(), expected.len() as u64);
        assert!(after.bytes < before.bytes && after.segments <= before.segments);
        assert_eq!(ledger.position(), Some(at(15)));
        // Nothing more is to be done, and only the small ones are put together.
        let again = run(&mut ledger, everything());
        assert_eq!(again.superseded, 0);
        ledger.install(again).unwrap().run().unwrap();
        drop(ledger);
        let (_ledger, mut recovered) = open(directory.path());
        assert_eq!(recovered.position, Some(at(15)));
        assert_eq!(
            sorted(read(&mut recovered, &keys()).unwrap()),
            expected,
            "seed {seed}"
        );
    }
}

#[test]
fn what_was_dropped_leaves_with_its_drop_and_what_came_later_stays() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = ledger(directory.path(), 3_000);
    let drop = |key, message| Event::Drop {
        key: RecordKey(key),
        arrival: Arrival { message, line: 0 },
    };
    let link_time = |at| Event::LinkTime { brand: A, at };
    // A correction may be committed before the drop of what it corrects.
    let stays = put(A, 7, 0, 9);
    let events = [
        put(A, 7, 0, 1),
        stays.clone(),
        put(A, 8, 0, 2),
        drop(7, 5),
        link_time(9),
        drop(8, 3),
        link_time(4),
    ];
    for (n, event) in (0..).zip(&events) {
        ledger.append(page(A, std::slice::from_ref(event)));
        ledger.commit(at(n)).unwrap();
    }
    let forget = ErasureFilter {
        dropped: true,
        ..ErasureFilter::default()
    };
    let work = ledger.erase(forget).unwrap();
    let done = work.run(&mut |_, _| ()).unwrap();
    assert_eq!((done.erased.drop, done.superseded), (2, 3));
    ledger.install(done).unwrap().run().unwrap();
    ledger.close().unwrap();
    // Of the times by which links are judged the last one stays, be it the earlier one.
    let expected = sorted(vec![stays, link_time(4)]);
    assert_eq!(sorted(held(directory.path())), expected);
}

#[test]
fn forgets_without_a_trace() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = ledger(directory.path(), 3_000);
    let mut events = Vec::new();
    for n in 0..30 {
        let new = [click(A, n), click(B, n), put(A, 7, 0, n), ping(A, n as i64)];
        ledger.append(page(A, &[new[0].clone(), new[2].clone(), new[3].clone()]));
        ledger.append(page(B, &new[1..2]));
        ledger.commit(at(n)).unwrap();
        events.extend(new);
    }
    let before: Vec<Vec<u8>> = files(directory.path()).into_values().collect();
    // The person of key 7 asks to be forgotten: the record that counts, and all that it superseded.
    let seven = |event: &Event| {
        matches!(
            event,
            Event::Put {
                key: RecordKey(7),
                ..
            }
        )
    };
    let done = run(&mut ledger, Arc::new(move |event, _| !seven(event)));
    assert_eq!((done.erased.put, done.erased.total()), (31, 31));
    // Who has a replaced file open reads what its blocks on the disk hold.
    let replaced = segments(directory.path());
    ledger.install(done).unwrap().run().unwrap();
    let left = segments(directory.path());
    let mut overwritten = 0;
    for (path, mut file) in replaced {
        if !left.contains_key(&path) {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            assert!(
                !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0),
                "{path:?}"
            );
            overwritten += 1;
        }
    }
    assert!(overwritten > 1, "{overwritten}");

    // No sealed piece of the old segments is anywhere: each of 16 bytes would be found.
    let after: Vec<Vec<u8>> = files(directory.path()).into_values().collect();
    let after = after.concat();
    let segments = before
        .iter()
        .filter(|bytes| bytes.starts_with(b"TRIBSEG\n"));
    let mut pieces = 0;
    for piece in segments.flat_map(|bytes| bytes[48..].chunks_exact(16)) {
        // A commit is in clear, and small numbers have many zeros.
        if piece.iter().filter(|byte| **byte == 0).count() < 4 {
            assert!(memmem::find(&after, piece).is_none());
            pieces += 1;
        }
    }
    assert!(pieces > 200, "{pieces}");
    drop(ledger);
    let expected: Vec<Event> = events.into_iter().filter(|event| !seven(event)).collect();
    assert_eq!(sorted(held(directory.path())), counts(&expected));
}

#[test]
fn commits_go_on_in_the_meantime() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = ledger(directory.path(), 800);
    let mut events = Vec::new();
    let mut commit = |ledger: &mut Ledger, n: u64| {
        let new = [
            click(A, n),
            put(A, 3, 0, n),
            word(A, &format!("w{}", n % 5)),
        ];
        ledger.append(page(A, &new));
        let entries = ledger.commit(at(n)).unwrap().entries;
        events.extend_from_slice(&new[..entries as usize - usize::from(entries == 3)]);
        if entries == 3 {
            events.push(new[2].clone());
        }
    };
    for n in 10..30 {
        commit(&mut ledger, n);
    }
    let work = ledger.rewrite(everything()).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let done = work.run(&mut |_, _| ()).unwrap();
        receiver.recv().unwrap();
        done
    });
    for n in 30..50 {
        commit(&mut ledger, n);
    }
    sender.send(()).unwrap();
    let done = thread.join().unwrap();
    let removal = ledger.install(done).unwrap();
    for n in 50..60 {
        commit(&mut ledger, n);
    }
    removal.run().unwrap();
    drop(ledger);
    let mut found = held(directory.path());
    // What superseded a sealed entry only later is still there.
    let superseded = |event: &Event| matches!(event, Event::Put { key: RecordKey(3), arrival, .. } if arrival.message < 29);
    events.retain(|event| !superseded(event));
    found.sort();
    assert_eq!(found, sorted(events));
}

#[test]
fn only_the_first_of_two_is_installed() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = ledger(directory.path(), 100);
    for n in 1..5 {
        ledger.append(page(A, &[put(A, 1, 0, n)]));
        ledger.commit(at(n)).unwrap();
    }
    let one = run(&mut ledger, everything());
    let two = run(&mut ledger, everything());
    ledger.install(one).unwrap().run().unwrap();
    let error = ledger.install(two).unwrap_err();
    assert_eq!(error.kind(), Kind::Stale);
    drop(ledger);
    assert_eq!(held(directory.path()), [put(A, 1, 0, 4)]);
    // The rewritten segment and the active one; nothing else was left behind.
    assert_eq!(files(&directory.path().join("segments")).len(), 2);
}

#[test]
fn one_that_is_not_installed_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = ledger(directory.path(), 1 << 20);
    ledger.append(page(
        A,
        &[put(A, 1, 0, 1), put(A, 1, 0, 2), word(A, "idle")],
    ));
    ledger.commit(at(1)).unwrap();
    let done = run(&mut ledger, everything());
    assert_eq!(files(&directory.path().join("segments")).len(), 3);
    drop(done);
    assert_eq!(files(&directory.path().join("segments")).len(), 2);
    // A word that was forgotten is written again when it is announced again.
    let done = run(
        &mut ledger,
        Arc::new(|event, _| !matches!(event, Event::LabelName { .. })),
    );
    ledger.install(done).unwrap().run().unwrap();
    ledger.append(page(A, &[word(A, "idle")]));
    assert_eq!(ledger.commit(at(2)).unwrap().entries, 1);
    drop(ledger);
    assert_eq!(held(directory.path()), [put(A, 1, 0, 2), word(A, "idle")]);
}

/// A page of a thread that has withdrawn some words before it says anything.
fn page_of(thread: usize, withdrawn: &[&str], events: &[Event]) -> WriteBatch {
    let mut page = WriteBatch::of_thread(thread);
    for word in withdrawn {
        page.withdraw(A, Label::of(word));
    }
    events.iter().for_each(|event| page.push(A, event));
    page
}

#[test]
fn words_that_no_thread_needs_leave_with_the_next_rewrite() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = ledger(directory.path(), 1 << 20);
    let commit = |ledger: &mut Ledger, page: WriteBatch, number| {
        ledger.append(page);
        ledger.commit(at(number)).unwrap().entries
    };
    let compact = |ledger: &mut Ledger| {
        let done = run(ledger, everything());
        ledger.install(done).unwrap().run().unwrap();
        ledger.stats().entries.label_names
    };
    let both = [word(A, "spring"), word(A, "autumn")];
    assert_eq!(commit(&mut ledger, page_of(0, &[], &both), 1), 2);
    // What another thread has written is not written again.
    assert_eq!(commit(&mut ledger, page_of(1, &[], &both[..1]), 2), 0);
    let neither = page_of(0, &["spring", "autumn"], &[]);
    assert_eq!(commit(&mut ledger, neither, 3), 0);
    // The other thread needs one of them still.
    assert_eq!(compact(&mut ledger), 1);
    // What is announced again is written again, what is there is not.
    assert_eq!(commit(&mut ledger, page_of(0, &[], &both), 4), 1);
    assert_eq!(commit(&mut ledger, page_of(1, &["spring"], &[]), 5), 0);
    assert_eq!(compact(&mut ledger), 2);

    // Announced while a rewrite leaves it out, and while it is withdrawn by a page that is not durable yet.
    let neither = page_of(0, &["spring", "autumn"], &[]);
    assert_eq!(commit(&mut ledger, neither, 6), 0);
    let work = ledger.rewrite(everything()).unwrap();
    assert_eq!(commit(&mut ledger, page_of(1, &[], &both[..1]), 7), 1);
    let done = work.run(&mut |_, _| ()).unwrap();
    ledger.append(page_of(1, &["spring"], &[]));
    ledger.install(done).unwrap().run().unwrap();
    assert_eq!(compact(&mut ledger), 1);
    ledger.commit(at(8)).unwrap();
    drop(ledger);
    assert_eq!(held(directory.path()), [word(A, "spring")]);

    // Whoever opens a block after a restart needs its words, until they are withdrawn.
    let (mut ledger, mut recovered) = open(directory.path());
    read(&mut recovered, &keys()).unwrap();
    assert_eq!(compact(&mut ledger), 1);
    assert_eq!(commit(&mut ledger, page_of(0, &["spring"], &[]), 9), 0);
    assert_eq!(compact(&mut ledger), 0);
}

#[test]
fn of_everything_leaves_an_empty_ledger_that_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = ledger(directory.path(), 100);
    for n in 1..5 {
        ledger.append(page(B, &[click(B, n)]));
        ledger.commit(at(n)).unwrap();
    }
    let done = run(&mut ledger, Arc::new(|_, _| false));
    ledger.install(done).unwrap().run().unwrap();
    assert_eq!(ledger.stats().entries.total(), 0);
    drop(ledger);
    let (mut ledger, recovered) = open(directory.path());
    assert_eq!(recovered.position, Some(at(4)));
    assert_eq!(recovered.stats.commits, 4);
    ledger.append(page(A, &[click(A, 1)]));
    ledger.commit(at(5)).unwrap();
    drop(ledger);
    assert_eq!(held(directory.path()), [click(A, 1)]);
}

#[test]
fn many_brands_and_segments_share_what_is_gathered() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = ledger(directory.path(), 50_000);
    let mut expected = Vec::new();
    // More than one block of one brand, and next to nothing of the other, which comes first.
    for n in 0..15 {
        let clicks: Vec<Event> = (0..2_000).map(|m| click(A, n * 2_000 + m)).collect();
        ledger.append(page(A, &clicks));
        expected.extend(clicks);
        if n == 0 {
            ledger.append(page(B, &[click(B, 1), put(B, 2, 0, 3), put(B, 2, 0, 4)]));
        }
        ledger.append(page(A, &[put(A, 1 << 40, 0, n)]));
        ledger.commit(at(n)).unwrap();
    }
    expected.extend([click(B, 1), put(B, 2, 0, 4), put(A, 1 << 40, 0, 14)]);
    assert!(ledger.stats().segments > 3);
    let done = run(&mut ledger, everything());
    assert_eq!(done.superseded, 15);
    ledger.install(done).unwrap().run().unwrap();
    assert!(ledger.stats().segments > 2);
    drop(ledger);
    assert!(sorted(held(directory.path())) == sorted(expected));
}

/// Everything but the ledger itself may be sent about while it is used.
#[test]
fn work_may_be_sent_to_other_threads() {
    fn send<T: Send>() {}
    send::<Ledger>();
    send::<tributary_ledger::WriteBatch>();
    send::<tributary_ledger::Recovery>();
    send::<tributary_ledger::SealedBlock>();
    send::<tributary_ledger::Rewrite>();
    send::<RewriteResult>();
    send::<tributary_ledger::Removal>();
}

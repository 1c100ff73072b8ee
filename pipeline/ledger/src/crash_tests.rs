//! A crash, or a failure, at every step of every operation that changes the
//! disk.
//!
//! At each step the directory is copied as a crash would leave it. After `kill
//! -9`, everything that was written is there. After a power cut, there may be
//! only what was synced, or the names without the content, or the content
//! without the names. Every copy must open, and must contain either what was
//! committed before the operation, or what it commits.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod backups;
#[path = "../tests/it/common/mod.rs"]
mod common;
mod copies;
mod imports;
mod secrets;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use common::*;
use secrets::opens_under_older;
use tributary_operators::event::Event;
use tributary_operators::record::Day;
use tributary_operators::salt::Salt;

use crate::disk::hook;
use crate::rotate::rekey;
use crate::{Kind, Ledger, LedgerError, Options, WriteBatch};

/// Files below a directory, by relative path.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Simulates power cuts: what the disk is guaranteed to have, and every state
/// in which it could be found.
#[derive(Default)]
struct PowerCut {
    /// The directory of the ledger.
    directory: PathBuf,
    /// The content of an inode when it was last synced.
    content: BTreeMap<u64, Vec<u8>>,
    /// The names in a directory when it was last synced.
    names: BTreeMap<PathBuf, BTreeMap<PathBuf, u64>>,
    /// The step that was announced, and is done when the next one is.
    announced: Option<(&'static str, PathBuf)>,
    /// The states collected so far.
    found: BTreeSet<Files>,
}

/// Names in a directory, with their inodes.
fn names(directory: &Path) -> BTreeMap<PathBuf, u64> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    // Above the ledger's directory, which is synced too, other files come and go.
    entries
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| Some((path.clone(), path.metadata().ok()?.ino())))
        .collect()
}

impl PowerCut {
    /// Applies the step that was announced before, remembers the next one, and
    /// collects the possible states.
    fn pass(&mut self, next: Option<(&'static str, &Path)>) {
        if let Some((step, path)) = self.announced.take() {
            match step {
                "create" => {
                    self.content.remove(&path.metadata().unwrap().ino());
                }
                "sync" => {
                    let inode = path.metadata().unwrap().ino();
                    self.content.insert(inode, std::fs::read(&path).unwrap());
                }
                "sync directory" => {
                    self.names.insert(path.clone(), names(&path));
                }
                _ => {}
            }
        }
        self.announced = next.map(|(step, path)| (step, path.to_owned()));
        self.find();
    }

    /// Collects the states: current or synced names, each with current or synced
    /// content.
    fn find(&mut self) {
        let now: BTreeMap<PathBuf, BTreeMap<PathBuf, u64>> = [".", "segments"]
            .map(|name| self.directory.join(name))
            .map(|path| (path.clone(), names(&path)))
            .into();
        let synced: BTreeMap<PathBuf, BTreeMap<PathBuf, u64>> = self.names.clone();
        let mut whole = BTreeMap::new();
        for path in files(&self.directory).into_keys() {
            let path = self.directory.join(path);
            whole.insert(
                path.metadata().unwrap().ino(),
                std::fs::read(&path).unwrap(),
            );
        }
        for names in [now, synced] {
            for content in [&whole, &self.content] {
                let mut found = Files::new();
                for (name, inode) in names.values().flatten().filter(|(name, _)| !name.is_dir()) {
                    let Ok(name) = name.strip_prefix(&self.directory) else {
                        continue;
                    };
                    // An inode that was removed is still found by its synced name.
                    let bytes = content.get(inode).or(self.content.get(inode));
                    found.insert(name.to_owned(), bytes.cloned().unwrap_or_default());
                }
                self.found.insert(found);
            }
        }
    }
}

/// Runs an operation, and returns every state that a crash in it could leave.
fn crashes<T>(
    directory: &Path,
    cut: &Rc<RefCell<PowerCut>>,
    act: impl FnOnce() -> T,
) -> (T, BTreeSet<Files>) {
    cut.borrow_mut().directory = directory.to_owned();
    cut.borrow_mut().found.clear();
    let hooked = cut.clone();
    hook::set(Box::new(move |step, path| {
        hooked.borrow_mut().pass(Some((step, path)));
        Ok(())
    }));
    let result = act();
    hook::clear();
    cut.borrow_mut().pass(None);
    let found = std::mem::take(&mut cut.borrow_mut().found);
    (result, found)
}

/// What an opening returns: the events, and the days of the salts.
type Found = (Vec<Event>, Vec<Day>);

/// Opens a directory and returns what it contains. `letters` are the secrets of
/// the brand, oldest first.
fn found(directory: &Path, letters: &str) -> Found {
    let keys = rotated_keys(letters);
    let (ledger, mut recovered) = Ledger::open(options(directory), keys.clone()).unwrap();
    let events = sorted(read(&mut recovered, &keys).unwrap());
    let mut days: Vec<Day> = recovered.salts.iter().map(|(_, day, _)| *day).collect();
    days.sort_unstable();
    for (_, day, salt) in &recovered.salts {
        assert_eq!(salt.bytes(), &[*day as u8; 32]);
    }
    if ledger.entries_under_old_keys() == 0 {
        assert_eq!(opens_under_older(directory, &keys), 0);
    }
    // Every state can be continued, and closes without another crash.
    ledger.close().unwrap();
    (events, days)
}

/// The events of the brand under the newest of these secrets.
fn under(letters: &str, mut events: Vec<Event>) -> Vec<Event> {
    let keys = rotated_keys(letters);
    let chain = keys.of(A).unwrap().chain();
    events.iter_mut().for_each(|event| rekey(event, chain, 0));
    events
}

/// A ledger, and what it is expected to contain.
struct Story {
    /// The secrets of the brand, the oldest first, with which the process began.
    letters: &'static str,
    directory: tempfile::TempDir,
    /// Directory in which the state of a crash is opened.
    copy: tempfile::TempDir,
    /// Simulator of power cuts, called at every step.
    cut: Rc<RefCell<PowerCut>>,
    ledger: Option<Ledger>,
    /// Content before the next operation.
    now: Found,
    /// Number of crash states that were opened.
    crashes: usize,
}

impl Story {
    /// Creates a ledger with small segments, and a crash at every step of that.
    fn begin() -> Story {
        let mut story = Story {
            letters: "a",
            directory: tempfile::tempdir().unwrap(),
            copy: tempfile::tempdir().unwrap(),
            cut: Rc::default(),
            ledger: None,
            now: Found::default(),
            crashes: 0,
        };
        let nothing = Found::default();
        story.step(nothing, |slot, directory| {
            let options = Options {
                segment_bytes: 600,
                ..options(directory)
            };
            *slot = Some(Ledger::open(options, keys()).unwrap().0);
        });
        story
    }

    /// Runs an operation that leads from the current content to `then`, and opens
    /// the ledger after a crash at each of its steps.
    fn step(&mut self, then: Found, act: impl FnOnce(&mut Option<Ledger>, &Path)) {
        let then = (sorted(then.0), then.1);
        let ledger = &mut self.ledger;
        let directory = self.directory.path();
        let ((), copies) = crashes(directory, &self.cut, || act(ledger, directory));
        self.crashes += copies.len();
        for copy in copies {
            let path = self.copy.path().join("ledger");
            restore(&path, &copy);
            let found = found(&path, self.letters);
            let names: Vec<_> = copy.iter().map(|(n, b)| (n, b.len())).collect();
            let (events, days) = &found;
            assert!(
                [&self.now.0, &then.0].contains(&events),
                "{found:?} in {names:?}"
            );
            assert!(
                [&self.now.1, &then.1].contains(&days),
                "{found:?} in {names:?}"
            );
            // The salt is there before any ping under it.
            let salted =
                self.now.1.len() <= days.len() && *events == then.0 && then.0 != self.now.0;
            assert!(!salted || *days == then.1, "{found:?} in {names:?}");
            // And a second opening finds the same.
            assert_eq!(self::found(&path, self.letters), found);
        }
        // The step is done: a power cut takes nothing back.
        let cut = &self.cut;
        let ((), copies) = crashes(directory, cut, || ());
        for copy in copies {
            let path = self.copy.path().join("ledger");
            restore(&path, &copy);
            assert_eq!(found(&path, self.letters), then);
        }
        self.now = then;
    }

    /// Replaces the secrets with which crash states are opened.
    fn exchange(&mut self, letters: &'static str) {
        let keys = rotated_keys(letters);
        let chain = keys.of(A).unwrap().chain();
        let links = self.letters.len() - 1;
        let events = &mut self.now.0;
        events
            .iter_mut()
            .for_each(|event| rekey(event, chain, links));
        events.sort();
        self.letters = letters;
    }

    /// Commits events and salts.
    fn commit(&mut self, events: &[Event], salts: &[Day], sequence: u64) {
        let (mut then, mut days) = self.now.clone();
        then.extend(under(self.letters, events.to_vec()));
        days.extend_from_slice(salts);
        self.step((then, days), |ledger, _| {
            let mut page = page(A, events);
            for day in salts {
                page.salt(A, *day, Salt::from_bytes([*day as u8; 32]));
            }
            let ledger = ledger.as_mut().unwrap();
            ledger.append(page);
            ledger.commit(at(sequence)).unwrap();
        });
    }
}

#[test]
fn nothing_committed_is_lost_and_nothing_is_half_there() {
    let mut story = Story::begin();
    story.commit(&[put(A, 1, 0, 1), word(A, "google")], &[], 1);
    story.commit(&[ping(A, 1)], &[100, 101], 2);
    for n in 2..9 {
        // Every third commit or so finds the segment full and rolls.
        story.commit(&[put(A, n, 0, n), put(A, 1, 0, n)], &[], n + 1);
    }
    assert!(story.ledger.as_ref().unwrap().stats().segments > 2);

    let events = story.now.0.clone();
    story.step((events, vec![101]), |ledger, _| {
        ledger.as_mut().unwrap().destroy_salts(A, 101).unwrap();
    });

    // The rewrite goes from all entries to those that count, but for what is not to be kept.
    let keep = |event: &Event| !matches!(event, Event::TokenizedPing { .. });
    let first = |event: &Event| matches!(event, Event::Put { key, arrival, .. } if key.0 == 1 && arrival.message < 8);
    let stays = |event: &&Event| keep(event) && !first(event);
    let then = story.now.0.iter().filter(stays).cloned().collect();
    story.step((then, vec![101]), |ledger, _| {
        let ledger = ledger.as_mut().unwrap();
        let work = ledger
            .rewrite(Arc::new(move |event, _| keep(event)))
            .unwrap();
        let done = work.run(&mut |_, _| ()).unwrap();
        ledger.install(done).unwrap().run().unwrap();
    });
    story.commit(&[put(A, 20, 0, 20)], &[], 20);

    // A restart, too, is a step.
    let (events, days) = story.now.clone();
    story.step((events, days), |slot, directory| {
        slot.take().unwrap().close().unwrap();
        *slot = Some(open(directory).0);
    });
    assert!(story.crashes > 100, "{} crashes", story.crashes);
}

/// At every step once: the disk is full. The same operation is then tried
/// again.
#[test]
fn a_full_disk_at_any_step_is_transient() {
    fails_at_every_step(28, |error| assert_eq!(error.kind(), Kind::Full));
}

/// At every step once: an error of the device.
#[test]
fn an_error_at_any_step_is_transient_unless_a_sync_or_a_rename_failed() {
    fails_at_every_step(5, |error| assert_eq!(error.kind(), Kind::Io));
}

/// Fails every step of a sequence of operations once with `errno`, and repeats
/// the operation that failed.
fn fails_at_every_step(errno: i32, expected: impl Fn(&LedgerError)) {
    for failing in 0.. {
        let directory = tempfile::tempdir().unwrap();
        let options = Options {
            segment_bytes: 500,
            ..options(directory.path())
        };
        let (mut ledger, _) = Ledger::open(options, keys()).unwrap();
        let steps = Rc::new(RefCell::new((0, "")));
        let counted = steps.clone();
        hook::set(Box::new(move |step, _| {
            let (count, name) = &mut *counted.borrow_mut();
            *count += 1;
            if *count - 1 == failing {
                *name = step;
                return Err(io::Error::from_raw_os_error(errno));
            }
            Ok(())
        }));
        let mut written = Vec::new();
        let mut stopped = false;
        for n in 1..9 {
            let events = [put(A, n, 0, n), put(A, 1, 0, n), word(A, "google")];
            let mut page = page(A, &events);
            page.salt(A, n as Day, Salt::from_bytes([n as u8; 32]));
            ledger.append(page);
            if let Err(error) = ledger.commit(at(n)) {
                stopped = fatal(&error, steps.borrow().1);
                if stopped {
                    assert_eq!(ledger.commit(at(n)).unwrap_err().kind(), Kind::Sync);
                    break;
                }
                expected(&error);
                assert_eq!(ledger.position(), (n > 1).then(|| at(n - 1)));
                ledger.commit(at(n)).unwrap();
            }
            let known = usize::from(n > 1);
            written.extend_from_slice(&events[..3 - known]);
        }
        if !stopped {
            stopped = rewritten(&mut ledger, &mut written, &expected, &steps);
        }
        hook::clear();
        drop(ledger);
        let (events, days) = found(directory.path(), "ax");
        let written = under("ax", written);
        if stopped {
            // The step that failed may have come to be all the same.
            let all = under("ax", all_events());
            assert!(is_part_of(&events, &all), "step {failing}");
            assert!(written.is_empty() || !events.is_empty());
        } else {
            assert_eq!(events, sorted(written), "step {failing}");
            assert_eq!(days, (3..9).collect::<Vec<Day>>(), "step {failing}");
        }
        if steps.borrow().1.is_empty() {
            assert!(failing > 60, "{failing} steps");
            return;
        }
    }
}

/// Every event that the sequence writes.
fn all_events() -> Vec<Event> {
    let puts = (1..9).flat_map(|n| [put(A, n, 0, n), put(A, 1, 0, n)]);
    puts.chain([word(A, "google")]).collect()
}

/// Whether an error must stop the process: only a failed sync, or a rename with
/// unknown effect.
fn fatal(error: &LedgerError, step: &str) -> bool {
    let sync = error.kind() == Kind::Sync;
    assert!(
        !sync || step.starts_with("sync") || step == "rename",
        "{step}"
    );
    sync
}

/// Rotates the secret, destroys salts, rewrites and installs, with a retry
/// after each failure. Returns whether the process must stop.
fn rewritten(
    ledger: &mut Ledger,
    written: &mut Vec<Event>,
    expected: &impl Fn(&LedgerError),
    steps: &Rc<RefCell<(i32, &'static str)>>,
) -> bool {
    let trying = |result: Result<(), LedgerError>| match result {
        Ok(()) => Some(true),
        Err(error) if fatal(&error, steps.borrow().1) => None,
        Err(error) => {
            expected(&error);
            Some(false)
        }
    };
    loop {
        match trying(ledger.rotate(rotated_keys("ax"))) {
            None => return true,
            Some(done) if done => break,
            Some(_) => {}
        }
    }
    loop {
        match trying(ledger.destroy_salts(A, 3).map(|_| ())) {
            None => return true,
            Some(done) if done => break,
            Some(_) => {}
        }
    }
    loop {
        let keep: crate::KeepFilter = Arc::new(|_, _| true);
        let result = ledger
            .rewrite(keep)
            .and_then(|work| work.run(&mut |_, _| ()))
            .and_then(|done| ledger.install(done))
            .and_then(|removal| removal.run().map(|_| ()));
        match trying(result) {
            None => return true,
            Some(done) if done => break,
            Some(_) => {}
        }
    }
    written.retain(|event| !matches!(event, Event::Put { key, arrival, .. } if key.0 == 1 && arrival.message < 8));
    false
}

/// Pages survive a failed commit, and more may be appended before it is tried
/// again.
#[test]
fn a_failed_commit_keeps_its_pages() {
    let directory = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(directory.path());
    let mut one = WriteBatch::default();
    one.push(A, &click(A, 1));
    ledger.append(one);
    hook::set(Box::new(|step, _| match step {
        "half written" => Err(io::Error::from(io::ErrorKind::StorageFull)),
        // Nor can the rest be cut off at once.
        "truncate" => Err(io::Error::from(io::ErrorKind::StorageFull)),
        _ => Ok(()),
    }));
    for _ in 0..3 {
        assert_eq!(ledger.commit(at(1)).unwrap_err().kind(), Kind::Full);
    }
    hook::clear();
    ledger.append(page(A, &[click(A, 2)]));
    assert_eq!(ledger.commit(at(2)).unwrap().entries, 2);
    ledger.close().unwrap();
    assert_eq!(held(directory.path()), [click(A, 1), click(A, 2)]);
}

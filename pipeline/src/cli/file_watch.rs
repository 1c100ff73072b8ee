//! Notices that the configuration was changed on disk, without a signal.
//!
//! The configuration file and the files of tokens that it names are looked at every other second, by what the file system says
//! of them. That covers a file that is written in place, one that is replaced by a rename, and a symbolic link that is
//! pointed elsewhere, as Kubernetes does with a `ConfigMap`, and it works on every file system, for which notifications of the
//! kernel do not. A change counts once two looks in a row have found the same, and every file exists, so that a file that
//! is being written is not read half-way.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};
use tributary_config::model::Config;

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(2);

/// What tells one state of a file from another: device, inode, size in bytes, and the times of the last change of the
/// content and of the entry, seconds and nanoseconds.
type Stamp = (u64, u64, u64, [i64; 4]);

/// The files by path; `None` for one that is not there.
type Stamps = BTreeMap<PathBuf, Option<Stamp>>;

/// Watches the files of a configuration.
pub struct FileWatch {
    /// The configuration file.
    file: PathBuf,
    /// The files as they were when they were last read.
    read: Stamps,
    /// What the last look has found, if it was something else.
    found: Option<Stamps>,
    looks: Option<Interval>,
}

impl FileWatch {
    /// Watches a file as it is now, before it is read for the first time.
    pub fn new(file: &Path) -> FileWatch {
        FileWatch {
            file: file.to_owned(),
            read: Stamps::from([(file.to_owned(), stamp(file))]),
            found: None,
            looks: None,
        }
    }

    /// The files are about to be read again.
    pub fn before_reading(&mut self) {
        self.read = look(&self.read);
        self.found = None;
    }

    /// Watches the files that a configuration names, and those alone.
    pub fn follow(&mut self, config: &Config) {
        let tokens = config.http.tokens.iter().map(|token| &token.digest.file);
        let of_ingest = config.http_ingest.tokens.iter();
        let tokens = tokens.chain(of_ingest.map(|token| &token.digest.file));
        let mut files: Stamps = tokens.map(|file| (file.clone(), None)).collect();
        files.insert(self.file.clone(), None);
        for (file, read) in &mut files {
            *read = match self.read.get(file) {
                Some(known) => *known,
                None => stamp(file),
            };
        }
        (self.read, self.found) = (files, None);
    }

    /// Returns once a file has changed since it was read. To be called again after it was dropped.
    pub async fn changed(&mut self) {
        loop {
            let looks = self.looks.get_or_insert_with(|| {
                let mut looks = interval(LOOK);
                looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                looks
            });
            looks.tick().await;
            if tokio::task::block_in_place(|| self.has_changed()) {
                return;
            }
        }
    }

    /// Looks once. Returns whether the files have changed since they were read, and not since the last look.
    fn has_changed(&mut self) -> bool {
        let now = look(&self.read);
        let is_new = now != self.read && now.values().all(Option::is_some);
        let before = std::mem::replace(&mut self.found, is_new.then_some(now));
        before.is_some() && before == self.found
    }
}

/// The files as they are now.
fn look(files: &Stamps) -> Stamps {
    let files = files.keys();
    files.map(|file| (file.clone(), stamp(file))).collect()
}

/// The state of a file, through symbolic links.
fn stamp(file: &Path) -> Option<Stamp> {
    let of = std::fs::metadata(file).ok()?;
    let times = [of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec()];
    Some((of.dev(), of.ino(), of.size(), times))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    const NOTHING: [bool; 3] = [false; 3];
    /// The first look only finds it, and it is told until the file is read.
    const CHANGED: [bool; 3] = [false, true, true];

    /// What three looks in a row find.
    fn looks(watch: &mut FileWatch) -> [bool; 3] {
        [(); 3].map(|()| watch.has_changed())
    }

    #[test]
    fn a_change_is_noticed_in_place_by_rename_and_behind_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("one"), "1").unwrap();
        std::fs::write(at("two"), "22").unwrap();
        std::os::unix::fs::symlink(at("one"), at("file")).unwrap();
        let mut watch = FileWatch::new(&at("file"));
        assert_eq!(looks(&mut watch), NOTHING);
        std::fs::write(at("one"), "111").unwrap();
        assert_eq!(looks(&mut watch), CHANGED);
        watch.before_reading();
        assert_eq!(looks(&mut watch), NOTHING);
        std::os::unix::fs::symlink(at("two"), at("next")).unwrap();
        std::fs::rename(at("next"), at("file")).unwrap();
        assert_eq!(looks(&mut watch), CHANGED);
        watch.before_reading();
        // A file that is gone is waited for.
        std::fs::remove_file(at("two")).unwrap();
        assert_eq!(looks(&mut watch), NOTHING);
        std::fs::write(at("two"), "22").unwrap();
        assert_eq!(looks(&mut watch), CHANGED);
    }
}

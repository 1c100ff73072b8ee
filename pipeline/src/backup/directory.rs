//! The directory of a backup: sealed files under random names, and one or two
//! indexes.
//!
//! A file gets its name when it is created and never changes; it counts once an index
//! lists it. The directory may be on another machine and away at any time: its steps
//! run on threads that may wait, each for [`STALLED`] at most.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tributary_ledger::FileKey;

use super::index;

/// The longest time for one step. A segment has 64 MiB.
const STALLED: Duration = Duration::from_secs(120);

/// The largest index, bytes: that of some hundred thousand files. Whoever may write to
/// the directory would fill the memory of the worker with a larger one.
const LARGEST: u64 = 64 << 20;

/// What begins the name of an index.
const INDEX: &str = "INDEX.";

/// The directory of the backup of one process.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
    /// Whether a step is being executed.
    is_busy: Arc<AtomicBool>,
}

impl Directory {
    /// That of the process with this name, which may not exist.
    pub fn of(backup: &Path, process: &str) -> Directory {
        Directory {
            path: backup.join(format!("process-{process}")),
            is_busy: Arc::default(),
        }
    }

    /// Executes a step on a thread that may wait. A disk that does not answer holds one
    /// thread, and no more.
    ///
    /// # Errors
    ///
    /// That of the step, or a disk that does not answer. What the step does later no index
    /// lists.
    pub async fn step<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Directory) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        if self.is_busy.swap(true, SeqCst) {
            bail!("the disk of the backup does not answer");
        }
        let directory = self.clone();
        let step = move || {
            let _ended = Ended(directory.is_busy.clone());
            step(&directory)
        };
        match timeout(STALLED, spawn_blocking(step)).await {
            Ok(done) => done?,
            Err(_) => bail!("the disk of the backup did not answer within {STALLED:?}"),
        }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the disk that the directory is on, or is to be on.
    ///
    /// # Errors
    ///
    /// A disk that is not mounted.
    pub fn device(&self) -> io::Result<u64> {
        let parent = self.path.parent().unwrap_or(Path::new("."));
        let metadata = std::fs::metadata(&self.path).or_else(|_| std::fs::metadata(parent));
        Ok(metadata?.dev())
    }

    /// Creates the directory, unless it exists. What it is in must exist: a disk that is
    /// not mounted is an error.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn create(&self) -> anyhow::Result<()> {
        if !self.path.is_dir() {
            let created = DirBuilder::new().mode(0o700).create(&self.path);
            created.with_context(|| self.path.display().to_string())?;
        }
        Ok(())
    }

    /// Whether others than the user of the process may enter it.
    pub fn is_open_to_others(&self) -> bool {
        let metadata = std::fs::metadata(&self.path);
        metadata.is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
    }

    /// The names of the files that a backup consists of, sorted; others are left alone.
    ///
    /// # Errors
    ///
    /// A directory that cannot be read.
    pub fn names(&self) -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        let entries = std::fs::read_dir(&self.path);
        for entry in entries.with_context(|| self.path.display().to_string())? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            let is_random = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_random || number_of(&name).is_some() {
                names.push(name.into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// The numbers of the indexes, each with the ID of its ledger; `None` for a file that is
    /// none.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn ledgers(&self) -> anyhow::Result<Vec<(u64, Option<[u8; 16]>)>> {
        let names = self.names()?.into_iter();
        let numbers = names.filter_map(|name| number_of(&name));
        let read = numbers.map(|number| {
            let path = self.path.join(index_name(number));
            let head = read_index(&path, 16);
            let head = head.with_context(|| path.display().to_string())?;
            Ok((number, index::ledger_of(&head)))
        });
        read.collect()
    }

    /// The numbers of the indexes, the newest first, each with the file.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn indexes(&self) -> anyhow::Result<Vec<(u64, Vec<u8>)>> {
        let names = self.names()?.into_iter();
        let mut numbers: Vec<u64> = names.filter_map(|name| number_of(&name)).collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        let read = numbers.into_iter().map(|number| {
            let path = self.path.join(index_name(number));
            let file = read_index(&path, LARGEST);
            Ok((number, file.with_context(|| path.display().to_string())?))
        });
        read.collect()
    }

    /// Writes an index, durable with all files that were written before. Nothing is left of
    /// one that cannot be written.
    ///
    /// # Errors
    ///
    /// Any error of the disk, or an index of that number that is there.
    pub fn write_index(&self, number: u64, content: &[u8]) -> anyhow::Result<()> {
        let write = || {
            let name = index_name(number);
            let mut file = self.begin(&name)?;
            let mut end = || {
                file.write_all(content)?;
                file.sync_all()?;
                File::open(&self.path)?.sync_all()
            };
            end().inspect_err(|_| self.give_up(&name))
        };
        write().with_context(|| self.path.join(index_name(number)).display().to_string())
    }

    /// Seals a content under a new key, into a file with a random name, whose bytes are
    /// durable when this returns. Returns name, key and length of the content, bytes. Nothing
    /// is left of a file that cannot be written: a full disk would stay full.
    ///
    /// # Errors
    ///
    /// Any error of the content or the disk.
    pub fn write(
        &self,
        ledger: &[u8; 16],
        content: &mut dyn Read,
    ) -> anyhow::Result<(String, FileKey, u64)> {
        let name = data_encoding::HEXLOWER.encode(&rand::random::<[u8; 16]>());
        let key = FileKey::draw();
        let mut write = || {
            let mut file = self.begin(&name)?;
            let mut end = || {
                let bytes = key.seal(&index::file_place(ledger), content, &mut file)?;
                file.sync_all()?;
                io::Result::Ok(bytes)
            };
            end().inspect_err(|_| self.give_up(&name))
        };
        let bytes = write().with_context(|| self.path.join(&name).display().to_string())?;
        Ok((name, key, bytes))
    }

    /// Removes a file that was begun. One that stays no index lists.
    pub fn give_up(&self, name: &str) {
        let _ = std::fs::remove_file(self.path.join(name));
    }

    fn begin(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(0o600);
        options.open(self.path.join(name))
    }

    /// Removes files. Those that are missing are no error.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn remove(&self, names: &[String]) -> io::Result<()> {
        for name in names {
            match std::fs::remove_file(self.path.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The content of an index, or so many bytes of it.
fn read_index(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let about = std::fs::symlink_metadata(path)?;
    if !about.is_file() || about.len() > LARGEST {
        return Err(io::Error::other("it is no index of a backup"));
    }
    let mut content = Vec::new();
    File::open(path)?.take(bytes).read_to_end(&mut content)?;
    Ok(content)
}

/// The name of an index.
pub fn index_name(number: u64) -> String {
    format!("{INDEX}{number}")
}

/// The number of an index; `None` for another name.
fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_prefix(INDEX)?.parse().ok()?;
    (index_name(number) == name).then_some(number)
}

/// Says that a step is over, however it ends.
struct Ended(Arc<AtomicBool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.store(false, SeqCst);
    }
}

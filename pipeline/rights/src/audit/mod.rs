//! The audit log: requests and their processing, in a hash chain that nobody can alter without the brand's key.
//!
//! One file per brand, `<brand>.jsonl`, one entry a line, keys sorted:
//!
//! ```json
//! {"at":1700000000000,"brand":"acme","content":"…","event":"received","previous":"…","request":"…","seq":1,"type":"erase","hash":"…"}
//! ```
//!
//! | field | |
//! |---|---|
//! | `at` | Unix milliseconds, as the process said |
//! | `request` | a keyed hash of the request's id, 16 bytes |
//! | `event` | `received` (with `content`, the keyed hash of what was asked), `started`, `completed` (with `counts`), `rejected` (with `reason`), or `checkpoint` |
//! | `seq` | from 1, without gaps |
//! | `previous` | the `hash` of the line before, zeros in the first |
//! | `hash` | BLAKE3 under the brand's audit key, over the line without it, as it stands |
//!
//! A checkpoint is of no request. It says how far the ledger and the objection list beside the log were (`ledger`,
//! `objections`), so that it is noticed when one of them is missing or older; where the operator went on although
//! something was lost, it has the newest head that was published (`accepted`).
//!
//! There is no personal data in it: an id is hashed under the brand's key, since a person may have chosen it. What could
//! not be read as a request is refused to its sender and is not in it: it has no content to be known by.
//!
//! **Once** (I4). An entry is one write and one sync, and it is durable before [`AuditLog::append`] returns. A crash in between
//! leaves a partial line, which [`AuditLog::open`] truncates: its append was never confirmed. Any other difference from
//! what was written is an error, and nothing is changed.
//!
//! **Proof.** Whoever lacks the key can neither change a line nor chain the lines anew. What a chain cannot show is that
//! its end is missing. So every append returns the [`Head`], to be published where the owner of the file has no say
//! (a status message, a receipt, a notary), and [`verify`] takes one that must be in the chain.
//!
//! **Memory.** The log knows how each request stands, so it is what makes a request idempotent across restarts, and it
//! refuses entries that no request can have ([`Status::next`]).

mod entry;
mod verify;

use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;

pub use crate::head::Head;
pub use entry::{Checkpoint, Event};
use entry::{Content, Entry};
pub use verify::{VerifiedLog, verify};

use crate::disk::{self, AppendFile};
use crate::error::FileError;
use crate::head::HashChain;
use crate::hex::Hash;
use crate::keys::{BrandKeys, Fingerprint, RequestKey};
use crate::request::Right;
use crate::status::{InvalidTransition, Status};
use verify::Chain;

/// The state of a request according to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestState {
    /// What it asked, as a keyed hash.
    pub content: Fingerprint,
    /// What it asked for.
    pub right: Right,
    /// When it was received, Unix milliseconds.
    pub received_at: i64,
    /// How it stands.
    pub status: Status,
    /// The entry that says so.
    pub seq: u64,
    /// When that was, Unix milliseconds.
    pub at: i64,
}

/// The audit log of one brand, open for appending and locked.
#[derive(Debug)]
pub struct AuditLog {
    file: AppendFile,
    keys: BrandKeys,
    entries: HashChain,
    states: FxHashMap<RequestKey, RequestState>,
}

/// An opened audit log.
#[derive(Debug)]
pub struct OpenedLog {
    /// The log.
    pub log: AuditLog,
    /// The number of bytes of an unfinished line that were truncated.
    pub cut_bytes: u64,
}

/// Why an entry was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// No request goes this way; the log is as it was.
    #[error(transparent)]
    Impossible(#[from] InvalidTransition),
    /// The file did not take it.
    #[error(transparent)]
    File(#[from] FileError),
}

impl AuditLog {
    /// Opens the log of a brand in a directory, or begins one. Every line is verified.
    ///
    /// # Errors
    ///
    /// Any [`FileError`]; the file is then as it was.
    pub fn open(directory: &Path, keys: &BrandKeys) -> Result<OpenedLog, FileError> {
        let path = directory.join(format!("{}.jsonl", keys.name()));
        let (mut file, bytes) = AppendFile::open(&path)?;
        let log = AuditLogContents::read(&path, keys, &bytes);
        log.broken.map_or(Ok(()), Err)?;
        let cut_bytes = bytes.len() as u64 - log.valid_bytes;
        if cut_bytes > 0 {
            file.truncate(log.valid_bytes)?;
        }
        let keys = keys.clone();
        Ok(OpenedLog {
            log: AuditLog {
                file,
                keys,
                entries: log.entries,
                states: log.states,
            },
            cut_bytes,
        })
    }

    /// Appends what happened to a request; durable when this returns. `at` is Unix milliseconds.
    ///
    /// # Errors
    ///
    /// [`AppendError::Impossible`] where the request cannot have come to this, [`AppendError::File`] where the
    /// file did not take it. Either way the entry is not there; after a [`FileError::Sync`] nobody knows, and
    /// the log takes nothing more until it is opened again.
    pub fn append(
        &mut self,
        at: i64,
        request: RequestKey,
        right: Right,
        event: Event,
    ) -> Result<Head, AppendError> {
        let entry = Entry {
            seq: self.head().seq + 1,
            at,
            content: Content::Step(request, right, event),
        };
        let standing = transition(self.states.get(&request), &entry, (right, event))?;
        self.write(&entry)?;
        self.states.insert(request, standing);
        Ok(self.head())
    }

    /// Notes how far the files beside the log are; durable when this returns. `at` is Unix milliseconds.
    ///
    /// # Errors
    ///
    /// As [`AuditLog::append`], where the file did not take it.
    pub fn checkpoint(&mut self, at: i64, checkpoint: Checkpoint) -> Result<Head, FileError> {
        let entry = Entry {
            seq: self.head().seq + 1,
            at,
            content: Content::Checkpoint(checkpoint),
        };
        self.write(&entry)?;
        Ok(self.head())
    }

    fn write(&mut self, entry: &Entry) -> Result<(), FileError> {
        let (line, hash) = entry.line(&self.keys, self.head().hash);
        self.file.append(line.as_bytes())?;
        self.entries.push(hash);
        Ok(())
    }

    /// The end of the chain.
    pub fn head(&self) -> Head {
        self.entries.head()
    }

    /// The chain up to an entry; none where it has no such entry.
    pub fn head_at(&self, seq: u64) -> Option<Head> {
        self.entries.at(seq)
    }

    /// How a request stands, none where it was never received.
    pub fn find(&self, request: RequestKey) -> Option<&RequestState> {
        self.states.get(&request)
    }

    /// The requests that are neither completed nor rejected, in the order of their receipt: what a restart goes on with.
    pub fn open_requests(&self) -> Vec<(RequestKey, RequestState)> {
        let all = self.states.iter();
        let mut open: Vec<_> = all
            .filter(|(_, standing)| !standing.status.is_final())
            .map(|(request, standing)| (*request, *standing))
            .collect();
        open.sort_unstable_by_key(|(request, standing)| (standing.received_at, *request));
        open
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

/// What an audit log holds.
#[derive(Debug)]
pub struct AuditLogContents {
    /// Its entries, as far as they are what was written.
    pub entries: HashChain,
    /// The newest checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// The newest checkpoint with which a loss was accepted, and its number.
    pub accepted: Option<(u64, Head)>,
    /// What is wrong with the file behind them.
    pub broken: Option<FileError>,
    states: FxHashMap<RequestKey, RequestState>,
    /// How many bytes the entries take.
    valid_bytes: u64,
}

/// Reads a log without changing it; none where there is no file.
///
/// # Errors
/// Where it cannot be read. A damaged log is reported in [`AuditLogContents::broken`].
pub fn read(path: &Path, keys: &BrandKeys) -> Result<Option<AuditLogContents>, FileError> {
    let bytes = disk::read(path)?;
    Ok(bytes.map(|bytes| AuditLogContents::read(path, keys, &bytes)))
}

/// Writes a log anew that is broken, with the entries before the first broken one; what it was is kept beside it, under
/// the name that is returned. None where it is not broken.
///
/// # Errors
/// Any of the disk.
pub fn repair(path: &Path, keys: &BrandKeys) -> Result<Option<PathBuf>, FileError> {
    let bytes = disk::read(path)?.unwrap_or_default();
    let log = AuditLogContents::read(path, keys, &bytes);
    if log.broken.is_none() {
        return Ok(None);
    }
    let whole = usize::try_from(log.valid_bytes).ok();
    let whole = whole.and_then(|whole| bytes.get(..whole));
    disk::replace_and_keep_copy(path, whole.unwrap_or_default()).map(Some)
}

impl AuditLogContents {
    fn read(path: &Path, keys: &BrandKeys, bytes: &[u8]) -> AuditLogContents {
        let mut log = AuditLogContents {
            entries: HashChain::new(Hash::NONE),
            checkpoint: None,
            accepted: None,
            broken: None,
            states: FxHashMap::default(),
            valid_bytes: 0,
        };
        let mut chain = Chain::new(path, keys, bytes);
        while let Some(entry) = chain.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    log.broken = Some(error);
                    break;
                }
            };
            log.entries.push(chain.head().hash);
            match entry.content {
                // An impossible transition is reported by the next query, not here.
                Content::Step(request, right, event) => {
                    let before = log.states.get(&request);
                    if let Ok(standing) = transition(before, &entry, (right, event)) {
                        log.states.insert(request, standing);
                    }
                }
                Content::Checkpoint(checkpoint) => {
                    log.checkpoint = Some(checkpoint);
                    if let Some(head) = checkpoint.accepted {
                        log.accepted = Some((entry.seq, head));
                    }
                }
            }
        }
        log.valid_bytes = chain.read_bytes();
        log
    }

    /// The requests that were completed behind an entry.
    pub fn completed_after(&self, seq: u64) -> impl Iterator<Item = RequestKey> {
        let all = self.states.iter();
        let completed = all.filter(move |(_, standing)| {
            standing.seq > seq && matches!(standing.status, Status::Completed(_))
        });
        completed.map(|(request, _)| *request)
    }
}

/// The state of a request after an entry.
fn transition(
    before: Option<&RequestState>,
    entry: &Entry,
    (right, event): (Right, Event),
) -> Result<RequestState, InvalidTransition> {
    let to = event.status();
    let (seq, at) = (entry.seq, entry.at);
    match (before, event) {
        (None, Event::Received { content }) => Ok(RequestState {
            content,
            right,
            received_at: at,
            status: to,
            seq,
            at,
        }),
        (Some(before), _) if before.right == right => Ok(RequestState {
            status: before.status.next(to)?,
            seq,
            at,
            ..*before
        }),
        _ => Err(InvalidTransition {
            from: before.map_or("unknown", |before| before.status.name()),
            to: to.name(),
        }),
    }
}

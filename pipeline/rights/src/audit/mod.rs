//! The audit log: requests and their processing, in a hash chain that nobody
//! can alter without the brand's key.
//!
//! One file per brand, `<brand>.jsonl`, one entry a line, keys sorted:
//!
//! ```json
//! {"at":1700000000000,"brand":"acme","content":"…","event":"received","key":0,"previous":"…","request":"…","seq":1,"type":"erase","hash":"…"}
//! ```
//!
//! | field | |
//! |---|---|
//! | `at` | Unix milliseconds, as the process said |
//! | `request` | a keyed hash of the request's id, 16 bytes |
//! | `event` | `received` (with `content`, the keyed hash of what was asked), `started`, `completed` (with `counts` and, if there is a sealed answer, its SHA-256 as `answer`), `rejected` (with `reason`), or `checkpoint` |
//! | `key` | under which of the brand's secrets the entry was made, 0 for the oldest; it never decreases |
//! | `seq` | from 1, without gaps |
//! | `previous` | the `hash` of the line before, zeros in the first |
//! | `hash` | BLAKE3 under the brand's chain key of that secret, over the line without it, as it stands |
//!
//! A checkpoint is of no request. It says how far the ledger and the objection
//! list beside the log were (`ledger`, `objections`), so that it is noticed
//! when one of them is missing or older; where the operator went on although
//! something was lost, it has the newest head that was published (`accepted`).
//!
//! There is no personal data in it: an id is hashed under the brand's key,
//! since a person may have chosen it. What could not be read as a request is
//! refused to its sender and is not in it: it has no content to be known by.
//!
//! **Once** (I4). An entry is one write and one sync, and it is durable before
//! [`AuditLog::append`] returns. A crash in between leaves a partial line,
//! which [`AuditLog::open`] truncates: its append was never confirmed. Any
//! other difference from what was written is an error, and nothing is changed.
//!
//! **Proof.** Whoever lacks the key can neither change a line nor chain the
//! lines anew. What a chain cannot show is that its end is missing. So every
//! append returns the [`Head`], to be published where the owner of the file has
//! no say (a status message, a receipt, a notary), and [`verify`] takes one
//! that must be in the chain.
//!
//! **Memory.** The log knows how each request stands, so it is what makes a
//! request idempotent across restarts, and it refuses entries that no request
//! can have ([`Status::next`]).

mod entry;
mod history;
mod verify;

use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;

pub use crate::head::Head;
pub use entry::{Checkpoint, Event};
use entry::{Content, Entry};
pub use history::{CODES, LogLine, TOUCHED, history, summary};
pub use verify::{VerifiedLog, verify};

use crate::disk::{self, AppendFile};
use crate::error::FileError;
use crate::head::HashChain;
use crate::hex::Hash;
use crate::keys::{BrandKeys, Fingerprint, RequestKey};
use crate::request::Right;
use crate::status::{InvalidTransition, Status};
use verify::Chain;

/// State of a request according to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestState {
    /// Keyed hash of its content.
    pub content: Fingerprint,
    /// The right that is exercised.
    pub right: Right,
    /// When it was received, Unix milliseconds.
    pub received_at: i64,
    /// Its state.
    pub status: Status,
    /// SHA-256 of its sealed answer, once it is completed.
    pub answer: Option<Hash>,
    /// Number of the entry that records this state.
    pub seq: u64,
    /// When that entry was appended, Unix milliseconds.
    pub at: i64,
}

/// The audit log of one brand, open for appending and locked.
///
/// # Example
///
/// ```
/// use secrecy::SecretString;
/// use tributary_rights::audit::{AuditLog, Event, verify};
/// use tributary_rights::{BrandKeys, Reason, RequestId, Right};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = BrandKeys::new("acme", &SecretString::from("s".repeat(40)));
/// let directory = tempfile::tempdir()?;
/// let mut log = AuditLog::open(directory.path(), &keys)?.log;
///
/// let id = RequestId::read("r-1").ok_or("an empty ID")?;
/// let request = keys.request(&id);
/// // A request that was never received cannot be rejected.
/// let rejected = Event::Rejected { reason: Reason::NotFound };
/// assert!(log.append(1_000, request, Right::Access, rejected).is_err());
/// assert_eq!((log.head().seq, log.find(request)), (0, None));
///
/// let path = log.path().to_owned();
/// drop(log);
/// // Anyone who changes the file without the key breaks the chain.
/// std::fs::write(&path, "{}\n")?;
/// assert!(verify(&path, &keys, None).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AuditLog {
    /// The file, locked.
    file: AppendFile,
    /// Keys of the brand.
    keys: BrandKeys,
    /// Hashes of all entries.
    entries: HashChain,
    /// State of every request in the log.
    states: FxHashMap<RequestKey, RequestState>,
}

/// Result of [`AuditLog::open`].
#[derive(Debug)]
pub struct OpenedLog {
    /// The log.
    pub log: AuditLog,
    /// The number of bytes of an unfinished line that were truncated.
    pub cut_bytes: u64,
}

/// Reason why an entry was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The request cannot make this transition. The log is unchanged.
    #[error(transparent)]
    Impossible(#[from] InvalidTransition),
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl AuditLog {
    /// Opens the log of a brand in a directory, or creates it. Every line is
    /// verified.
    ///
    /// # Errors
    ///
    /// Any [`FileError`]; the file is then unchanged.
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

    /// Appends a step of a request; durable when this returns. `at` is Unix
    /// milliseconds. Returns the new head.
    ///
    /// # Errors
    ///
    /// [`AppendError::Impossible`] if the request cannot make this transition, [`AppendError::File`] if the file cannot be written. The entry is absent in both cases, except after [`FileError::Sync`]: the content of the disk is then unknown, and the log refuses further entries until it is opened again.
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

    /// Appends a checkpoint; durable when this returns. `at` is Unix milliseconds.
    /// Returns the new head.
    ///
    /// # Errors
    ///
    /// Those of the file, as in [`AuditLog::append`].
    pub fn checkpoint(&mut self, at: i64, checkpoint: Checkpoint) -> Result<Head, FileError> {
        let entry = Entry {
            seq: self.head().seq + 1,
            at,
            content: Content::Checkpoint(checkpoint),
        };
        self.write(&entry)?;
        Ok(self.head())
    }

    /// Appends an entry to the file and to the chain.
    fn write(&mut self, entry: &Entry) -> Result<(), FileError> {
        let (line, hash) = entry.line(&self.keys, self.head().hash);
        self.file.append(line.as_bytes())?;
        self.entries.push(hash);
        Ok(())
    }

    /// The head of the chain.
    pub fn head(&self) -> Head {
        self.entries.head()
    }

    /// The head of the chain up to an entry; `None` if there is no such entry.
    pub fn head_at(&self, seq: u64) -> Option<Head> {
        self.entries.at(seq)
    }

    /// State of a request; `None` if it was never received.
    pub fn find(&self, request: RequestKey) -> Option<&RequestState> {
        self.states.get(&request)
    }

    /// Requests that are neither completed nor rejected, in the order of their
    /// receipt. A restart continues with them.
    pub fn open_requests(&self) -> Vec<(RequestKey, RequestState)> {
        let all = self.states.iter();
        let mut open: Vec<_> = all
            .filter(|(_, standing)| !standing.status.is_final())
            .map(|(request, standing)| (*request, *standing))
            .collect();
        open.sort_unstable_by_key(|(request, standing)| (standing.received_at, *request));
        open
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

/// Content of an audit log.
#[derive(Debug)]
pub struct AuditLogContents {
    /// Its valid entries.
    pub entries: HashChain,
    /// The newest checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// The newest checkpoint that accepted a loss: its number, and the head that it
    /// accepted.
    pub accepted: Option<(u64, Head)>,
    /// The damage after the valid entries, if there is any.
    pub broken: Option<FileError>,
    /// State of every request.
    states: FxHashMap<RequestKey, RequestState>,
    /// Length in bytes of the valid entries.
    valid_bytes: u64,
}

/// Reads a log without changing it; `None` if there is no file.
///
/// # Errors
///
/// A file that cannot be read. Damage is reported in
/// [`AuditLogContents::broken`].
pub fn read(path: &Path, keys: &BrandKeys) -> Result<Option<AuditLogContents>, FileError> {
    let bytes = disk::read(path)?;
    Ok(bytes.map(|bytes| AuditLogContents::read(path, keys, &bytes)))
}

/// Rewrites a damaged log with the entries before the damage. The damaged file
/// is kept beside it under the returned name; `None` if the log is not damaged.
///
/// # Errors
///
/// Any error of the disk.
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
    /// Parses a log up to its first damage.
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

    /// Requests that entries after `seq` record as completed.
    pub fn completed_after(&self, seq: u64) -> impl Iterator<Item = RequestKey> {
        let all = self.states.iter();
        let completed = all.filter(move |(_, standing)| {
            standing.seq > seq && matches!(standing.status, Status::Completed(_))
        });
        completed.map(|(request, _)| *request)
    }
}

/// State of a request after an entry.
///
/// # Errors
///
/// [`InvalidTransition`] if no request can make it, including a change of the
/// right.
fn transition(
    before: Option<&RequestState>,
    entry: &Entry,
    (right, event): (Right, Event),
) -> Result<RequestState, InvalidTransition> {
    let to = event.status();
    let answer = match event {
        Event::Completed { answer, .. } => answer,
        _ => None,
    };
    let (seq, at) = (entry.seq, entry.at);
    match (before, event) {
        (None, Event::Received { content }) => Ok(RequestState {
            content,
            right,
            received_at: at,
            status: to,
            answer,
            seq,
            at,
        }),
        (Some(before), _) if before.right == right => Ok(RequestState {
            status: before.status.next(to)?,
            answer,
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

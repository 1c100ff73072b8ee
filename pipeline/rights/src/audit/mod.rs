//! The audit log: what was asked and done, in a chain that nobody can bend without the brand's key.
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
//! | `event` | `received` (with `content`, the keyed hash of what was asked), `started`, `completed` (with `counts`), `rejected` (with `reason`) |
//! | `seq` | from 1, without gaps |
//! | `previous` | the `hash` of the line before, zeros in the first |
//! | `hash` | BLAKE3 under the brand's audit key, over the line without it, as it stands |
//!
//! There is no personal data in it: an id is hashed under the brand's key, since a person may have chosen it. What could
//! not be read as a request is refused to its sender and is not in it: it has no content to be known by.
//!
//! **Once** (I4). An entry is one write and one sync, and it is durable before [`AuditLog::append`] returns. A kill in between
//! leaves the start of a line, which [`AuditLog::open`] cuts: whoever asked for it has not been told that it is there.
//! Anything else that is not as it was written is refused, and nothing is changed.
//!
//! **Proof.** Whoever lacks the key can neither change a line nor chain the lines anew. What a chain cannot show is that
//! its end is missing. So every append returns the [`Head`], to be published where the owner of the file has no say
//! (a status message, a receipt, a notary), and [`verify`] takes one that must be in the chain.
//!
//! **Memory.** The log knows how each request stands, so it is what makes a request idempotent across restarts, and it
//! refuses entries that no request can have ([`Status::next`]).

mod entry;
mod verify;

use std::path::Path;

use rustc_hash::FxHashMap;

use entry::Entry;
pub use entry::Event;
pub use verify::{Verified, verify};

use crate::disk::Growing;
use crate::error::FileError;
use crate::hex::Hash;
use crate::keys::{BrandKeys, Fingerprint, RequestKey};
use crate::request::Right;
use crate::status::{Impossible, Status};
use verify::Chain;

/// The end of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last entry, 0 for none.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

/// How a request stands, by the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
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
    file: Growing,
    keys: BrandKeys,
    head: Head,
    standings: FxHashMap<RequestKey, Standing>,
}

/// An opened audit log.
#[derive(Debug)]
pub struct Opened {
    /// The log.
    pub log: AuditLog,
    /// How many bytes of an unfinished line a kill had left; they are gone.
    pub cut_bytes: u64,
}

/// Why an entry was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// No request goes this way; the log is as it was.
    #[error(transparent)]
    Impossible(#[from] Impossible),
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
    pub fn open(directory: &Path, keys: &BrandKeys) -> Result<Opened, FileError> {
        let path = directory.join(format!("{}.jsonl", keys.name()));
        let (mut file, bytes) = Growing::open(&path)?;
        let mut standings = FxHashMap::default();
        let mut chain = Chain::new(&path, keys, &bytes);
        for entry in &mut chain {
            let entry = entry?;
            // What the log itself would not have written is told by whoever asks it next.
            let _ = step(&mut standings, &entry);
        }
        let (head, whole) = (chain.head(), chain.read_bytes());
        let cut_bytes = bytes.len() as u64 - whole;
        if cut_bytes > 0 {
            file.cut(whole)?;
        }
        let keys = keys.clone();
        Ok(Opened {
            log: AuditLog {
                file,
                keys,
                head,
                standings,
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
            seq: self.head.seq + 1,
            at,
            request,
            right,
            event,
        };
        let standing = follow(self.standings.get(&request), &entry)?;
        let (line, hash) = entry.line(&self.keys, self.head.hash);
        self.file.append(line.as_bytes())?;
        self.standings.insert(request, standing);
        self.head = Head {
            seq: entry.seq,
            hash,
        };
        Ok(self.head)
    }

    /// The end of the chain.
    pub fn head(&self) -> Head {
        self.head
    }

    /// How a request stands, none where it was never received.
    pub fn find(&self, request: RequestKey) -> Option<&Standing> {
        self.standings.get(&request)
    }

    /// The requests that are neither completed nor rejected, in the order of their receipt: what a restart goes on with.
    pub fn open_requests(&self) -> Vec<(RequestKey, Standing)> {
        let all = self.standings.iter();
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

fn step(standings: &mut FxHashMap<RequestKey, Standing>, entry: &Entry) -> Result<(), Impossible> {
    let standing = follow(standings.get(&entry.request), entry)?;
    standings.insert(entry.request, standing);
    Ok(())
}

/// How a request stands after an entry.
fn follow(before: Option<&Standing>, entry: &Entry) -> Result<Standing, Impossible> {
    let to = entry.event.status();
    let (seq, at) = (entry.seq, entry.at);
    match (before, entry.event) {
        (None, Event::Received { content }) => Ok(Standing {
            content,
            right: entry.right,
            received_at: at,
            status: to,
            seq,
            at,
        }),
        (Some(before), _) if before.right == entry.right => Ok(Standing {
            status: before.status.next(to)?,
            seq,
            at,
            ..*before
        }),
        _ => Err(Impossible {
            from: before.map_or("unknown", |before| before.status.name()),
            to: to.name(),
        }),
    }
}

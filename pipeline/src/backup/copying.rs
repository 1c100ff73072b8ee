//! Copying: makes the parts of a backup those of a snapshot.
//!
//! What the backup has already stays: a sealed segment and a file of salts by the checksum
//! that the manifest lists, also across restarts and takeovers; a file of the rights
//! directory as long as it is the same file with the same length and time; the active
//! segment up to where it was copied by this process. The files may be replaced, and
//! are overwritten then, while they are read: what was read counts only if the file still
//! is what the snapshot lists.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use tributary_ledger::{CopiedManifest, FileKey, LedgerFile};

use super::directory::Directory;
use super::index::{LEDGER, MOVES, Part, RIGHTS};
use crate::durability::rights_copy::{self, RightsFile};
use crate::durability::snapshot::Snapshot;

/// Maximum number of parts of the active segment: then it is written anew.
const PARTS: usize = 64;

/// Where the files are.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    /// The directory of the ledger.
    pub(super) ledger: PathBuf,
    /// The rights directory.
    pub(super) rights: PathBuf,
    /// A text that no other run of a process has: it tells its files from those that
    /// another one has seen.
    pub(super) run: String,
}

/// What the backup lacks.
#[derive(Clone, Debug)]
struct Missing {
    path: String,
    from: u64,
    is: String,
    content: Content,
}

/// Where the content of a part comes from.
#[derive(Clone, Debug)]
enum Content {
    Bytes(Vec<u8>),
    Ledger(LedgerFile),
    Rights(RightsFile),
}

/// The parts that begin with a file, by its path and what tells the content from others.
type Here<'a> = BTreeMap<(&'a str, &'a str), &'a Part>;

/// Parts of a snapshot.
struct Compared {
    /// The parts that stay.
    kept: Vec<Part>,
    /// Those that are to be written.
    missing: Vec<Missing>,
}

impl Sources {
    /// Makes `parts` those of a snapshot. Returns whether all are: not if a file was
    /// replaced meanwhile, after which a newer snapshot is needed.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or written.
    pub(super) async fn copy(
        &self,
        snapshot: &Snapshot,
        parts: &mut Vec<Part>,
        directory: &Directory,
    ) -> anyhow::Result<bool> {
        let Compared { kept, missing } = self.compare(snapshot, parts);
        *parts = kept;
        let ledger = snapshot.manifest.ledger();
        let active = snapshot.extent.segment;
        for missing in missing {
            let sources = self.clone();
            let write =
                move |directory: &Directory| sources.write(missing, &ledger, active, directory);
            match directory.step(write).await? {
                Some(part) => parts.push(part),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// What of the parts stays for a snapshot, and what is missing.
    fn compare(&self, snapshot: &Snapshot, parts: &[Part]) -> Compared {
        let mut compared = Compared {
            kept: Vec::new(),
            missing: Vec::new(),
        };
        let here = parts.iter().filter(|part| part.from == 0);
        let here: Here<'_> = here.map(|part| ((&*part.path, &*part.is), part)).collect();
        let manifest = &snapshot.manifest;
        let bytes = manifest.bytes().to_vec();
        compared.want_bytes(&here, format!("{LEDGER}MANIFEST"), bytes);
        for file in manifest.files(snapshot.extent.bytes) {
            let path = format!("{LEDGER}{}", file.name);
            match file.checksum() {
                Some(is) => compared.want(&here, path, is, Content::Ledger(file)),
                None => self.want_active(parts, path, file, &mut compared),
            }
        }
        for file in &snapshot.rights {
            let RightsFile {
                path,
                bytes,
                changed,
                inode,
            } = file;
            let is = format!("{} {bytes} {changed} {inode}", self.run);
            let content = Content::Rights(file.clone());
            compared.want(&here, format!("{RIGHTS}{path}"), is, content);
        }
        if !snapshot.moves.is_empty() {
            let bytes = snapshot.moves.as_bytes().to_vec();
            compared.want_bytes(&here, MOVES.to_owned(), bytes);
        }
        compared
    }

    /// Wants the active segment, of which the beginning may be there.
    fn want_active(&self, parts: &[Part], path: String, file: LedgerFile, compared: &mut Compared) {
        let here = parts.iter();
        let mut here: Vec<&Part> = here
            .filter(|part| part.path == path && part.is == self.run)
            .collect();
        here.sort_by_key(|part| part.from);
        let mut end = 0;
        for part in &here {
            // One that does not continue the one before continues nothing.
            end = if part.from == end {
                end + part.bytes
            } else {
                u64::MAX
            };
        }
        let length = file.bytes.unwrap_or(0);
        if end > length || here.len() >= PARTS {
            (here, end) = (Vec::new(), 0);
        }
        compared.kept.extend(here.into_iter().cloned());
        if end < length {
            compared.missing.push(Missing {
                path,
                from: end,
                is: self.run.clone(),
                content: Content::Ledger(file),
            });
        }
    }

    /// Writes a part; `None` if the file was replaced while it was read.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or written.
    fn write(
        &self,
        missing: Missing,
        ledger: &[u8; 16],
        active: u64,
        directory: &Directory,
    ) -> anyhow::Result<Option<Part>> {
        let Missing {
            path,
            from,
            is,
            content,
        } = missing;
        let (written, is_whole) = match content {
            Content::Bytes(bytes) => (directory.write(ledger, &mut bytes.as_slice())?, true),
            Content::Ledger(file) => {
                let opened = match file.open(&self.ledger, from) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                    opened => opened,
                };
                let mut opened = opened.with_context(|| file.name.clone())?;
                let written = directory.write(ledger, &mut opened)?;
                // A segment that is active still was not overwritten.
                let is_untouched = || {
                    let manifest = CopiedManifest::read(&self.ledger).ok().flatten();
                    manifest.is_some_and(|manifest| manifest.active() == active)
                };
                let is_whole = opened.is(&file) && (file.checksum().is_some() || is_untouched());
                (written, is_whole)
            }
            Content::Rights(file) => {
                let read = rights_copy::read(&self.rights, &file, 0, file.bytes)?;
                let Some(bytes) = read else { return Ok(None) };
                let written = directory.write(ledger, &mut bytes.as_slice())?;
                let is_current = rights_copy::is_current(&self.rights, &file)?;
                (written, is_current && written_all(&bytes, &file))
            }
        };
        let (file, key, bytes): (String, FileKey, u64) = written;
        if !is_whole {
            directory.give_up(&file);
            return Ok(None);
        }
        let key = key.to_hex().to_string();
        Ok(Some(Part {
            path,
            from,
            bytes,
            is,
            file,
            key,
        }))
    }
}

impl Compared {
    /// Wants bytes that are at hand.
    fn want_bytes(&mut self, here: &Here<'_>, path: String, bytes: Vec<u8>) {
        let is = blake3::hash(&bytes).to_hex().to_string();
        self.want(here, path, is, Content::Bytes(bytes));
    }

    /// Keeps the part with this content, or notes that it is missing.
    fn want(&mut self, here: &Here<'_>, path: String, is: String, content: Content) {
        match here.get(&(&*path, &*is)) {
            Some(part) => self.kept.push((*part).clone()),
            None => self.missing.push(Missing {
                path,
                from: 0,
                is,
                content,
            }),
        }
    }
}

/// Whether a file of the rights directory was read to its end.
fn written_all(bytes: &[u8], file: &RightsFile) -> bool {
    bytes.len() as u64 == file.bytes
}

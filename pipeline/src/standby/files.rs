//! The follower's copy: brings the files to a state of the leader.
//!
//! Segments that are there and have the checksum of the manifest stay. The
//! active segment grows in place, as it did at the leader, while the manifest
//! stays the same; everything else that is new arrives beside the copy and is
//! put in place at the end, while the copy is marked as incomplete. After a restart, or under another leader, only
//! checksums are trusted, and the active segment is fetched anew.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use async_nats::{Message, StatusCode};
use futures::StreamExt;
use tokio::task::block_in_place;
use tributary_config::model::Config;
use tributary_connectors::nats::Client;
use tributary_ledger::{CopiedManifest, LedgerCopy, LedgerFile};

use super::mark::{Mark, MarkFile, Tenure};
use super::wire::{Answer, LARGEST_ANSWER, PART, PROOF, REFUSED, Request, State, subject};
use crate::durability::location::ledger_options;
use crate::durability::moves;
use crate::durability::rights_copy::{self, RightsFile, is_below};
use crate::privacy::rights::files;

/// Maximum time for one answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Maximum size of all files of the rights directory together, bytes.
const LARGEST: u64 = 1 << 30;

/// Maximum number of files of the rights directory.
const MOST: usize = 10_000;

/// Where the audit logs are in the rights directory.
const AUDIT: &str = "audit/";

/// Asks the leader.
pub struct Asking<'a> {
    /// The broker.
    pub client: &'a Client,
    /// The configuration.
    pub config: &'a Config,
    /// The ID of the leader's copy.
    pub leader: &'a str,
}

impl Asking<'_> {
    /// The answer to a request.
    ///
    /// # Errors
    ///
    /// A leader that does not answer or refuses.
    pub async fn ask(&self, request: &Request) -> anyhow::Result<Vec<u8>> {
        self.ask_within(request, ANSWER).await
    }

    /// The answer to a request, which arrives within `limit`. What does not prove the
    /// secrets of the configuration over it is passed over.
    ///
    /// # Errors
    ///
    /// A leader that does not answer in time or refuses.
    pub async fn ask_within(&self, request: &Request, limit: Duration) -> anyhow::Result<Vec<u8>> {
        let message = request.sign(self.config)?;
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await?;
        let to = subject(self.leader);
        let sent = self
            .client
            .publish_with_reply(to, inbox, message.clone().into());
        sent.await?;
        let mut passed_over = 0;
        let proved = async {
            while let Some(answer) = answers.next().await {
                if answer.status == Some(StatusCode::NO_RESPONDERS) {
                    bail!("no worker that leads listens");
                }
                match self.read(&message, &answer) {
                    Some(refused) if !refused.is_empty() => bail!("{refused}"),
                    Some(_) => return Ok(answer.payload.to_vec()),
                    None => passed_over += 1,
                }
            }
            bail!("the connection to the broker has ended")
        };
        match tokio::time::timeout(limit, proved).await {
            Ok(answer) => answer,
            Err(_) if passed_over > 0 => bail!(
                "{passed_over} answers do not prove the secrets of this configuration: the worker that leads has other \
                 secrets, or is of another version"
            ),
            Err(_) => bail!("the worker that leads did not answer within {limit:?}"),
        }
    }

    /// Why an answer to a message refuses, empty if it does not; `None` for what no
    /// leader has answered to it.
    fn read<'b>(&self, request: &[u8], answer: &'b Message) -> Option<&'b str> {
        let header = |name| {
            answer
                .headers
                .as_ref()?
                .get(name)
                .map(|value| value.as_str())
        };
        let refused = header(REFUSED).unwrap_or_default();
        let said = Answer {
            request,
            refused,
            content: &answer.payload,
        };
        let is_proved = answer.payload.len() <= LARGEST_ANSWER
            && said.is_proved(self.config, header(PROOF).unwrap_or_default());
        is_proved.then_some(refused)
    }
}

/// The files of a follower.
pub struct CopyFiles {
    ledger: LedgerCopy,
    rights: PathBuf,
    /// Whose files this process copies.
    of: Option<Tenure>,
    /// Whether it has brought them to a state of that leader, and the last attempt
    /// did not fail.
    is_known: bool,
    /// The manifest of the copy.
    manifest: Option<CopiedManifest>,
    /// The length of its active segment, bytes.
    active: u64,
    /// The files of the rights directory, as the leader has listed them.
    listed: Vec<RightsFile>,
    /// Sealed segments and salts whose checksum was verified.
    verified: BTreeSet<String>,
    /// Replaced files that could not be overwritten since the last look.
    not_overwritten: usize,
}

impl CopyFiles {
    /// Locks the files of this process.
    ///
    /// # Errors
    ///
    /// A ledger that another process has open, or an error of the disk.
    pub fn open(config: &Config) -> anyhow::Result<CopyFiles> {
        let directory = ledger_options(config).directory;
        let name = config.workers.name();
        let incoming = config.ledger.directory.join(format!("incoming-{name}"));
        let (ledger, removed) = LedgerCopy::open(&directory, &incoming)?;
        Ok(CopyFiles {
            ledger,
            rights: files::directory(config),
            of: None,
            is_known: false,
            manifest: CopiedManifest::read(&directory)?,
            active: 0,
            listed: Vec::new(),
            verified: BTreeSet::new(),
            not_overwritten: removed.not_overwritten,
        })
    }

    /// The manifest of the copy and the length of its active segment, once it was brought to a state of the leader and as long as
    /// no attempt has failed since.
    pub fn state(&self) -> Option<(&CopiedManifest, u64)> {
        let manifest = self.manifest.as_ref().filter(|_| self.is_known);
        manifest.map(|manifest| (manifest, self.active))
    }

    /// The number of replaced files that could not be overwritten since the last call.
    pub fn take_not_overwritten(&mut self) -> usize {
        std::mem::take(&mut self.not_overwritten)
    }

    /// Unlocks the files. What has arrived and is not in place is removed; returns the
    /// number of files that could not be overwritten since the last look.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn close(mut self) -> anyhow::Result<usize> {
        self.not_overwritten += self.ledger.clear_incoming()?.not_overwritten;
        Ok(self.not_overwritten)
    }

    /// Brings the copy to a state of a leader. `progress` receives the number of
    /// bytes that have arrived, and of those that were missing.
    ///
    /// # Errors
    ///
    /// A leader that does not answer, or whose files were replaced meanwhile; the
    /// copy is then as it was, or marked as incomplete. A directory with another
    /// ledger.
    pub async fn bring_to(
        &mut self,
        state: State,
        of: &Tenure,
        mark: &mut MarkFile,
        asking: &Asking<'_>,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> anyhow::Result<()> {
        let is_known = std::mem::take(&mut self.is_known) && self.of.as_ref() == Some(of);
        let (extent, number) = (state.extent(), state.state);
        let manifest = CopiedManifest::parse(state.manifest.into_bytes())?;
        if let Some(here) = &self.manifest
            && here.ledger() != manifest.ledger()
        {
            bail!(
                "{} holds another ledger than that of the worker that leads; move it away, with the rights directory beside \
                 it, if this process is to follow",
                asking.config.ledger.directory.display()
            );
        }
        if self.of.as_ref() != Some(of) {
            self.verified.clear();
            self.of = Some(of.clone());
        }
        if !is_known {
            let removed = block_in_place(|| self.ledger.clear_incoming())?;
            self.not_overwritten += removed.not_overwritten;
        }
        let is_same = self
            .manifest
            .as_ref()
            .is_some_and(|here| here.bytes() == manifest.bytes());
        let mut missing = self.missing(&manifest, extent.bytes, is_known)?;
        if !is_same {
            let grows = missing
                .iter_mut()
                .filter(|missing| missing.arrival == Arrival::InPlace);
            grows.for_each(|missing| missing.arrival = Arrival::EndBeside);
        }
        let total = missing.iter().map(Missing::bytes).sum();
        let mut arrived = 0;
        let is_grown = !missing.is_empty();
        for missing in &missing {
            self.fetch(missing, asking, &mut |bytes| {
                arrived += bytes;
                progress(arrived, total);
            })
            .await?;
        }
        let content = self.changed_rights(&state.rights, is_known, asking).await?;
        let replaces = !is_known
            || !is_same
            || state.rights != self.listed
            || missing
                .iter()
                .any(|missing| missing.arrival == Arrival::Whole);
        let end = missing
            .iter()
            .find(|missing| missing.arrival == Arrival::EndBeside)
            .map(|missing| (&missing.file, missing.from));
        let complete = Mark {
            copy: mark.get().copy.clone(),
            follows: Some(of.clone()),
            state: number,
            complete: true,
        };
        if replaces {
            mark.set(Mark {
                complete: false,
                ..complete.clone()
            })?;
            let removed = block_in_place(|| {
                let removed = self.ledger.install(&manifest, end)?;
                rights_copy::install(&self.rights, &state.rights, &content)
                    .with_context(|| format!("cannot copy to {}", self.rights.display()))?;
                moves::install(&ledger_options(asking.config).directory, &state.moves)?;
                anyhow::Ok(removed)
            })?;
            self.not_overwritten += removed.not_overwritten;
        }
        match replaces || is_grown {
            true => mark.set(complete)?,
            // After a restart it counts as the older state that it is as well.
            false => mark.remember(number),
        }
        (self.manifest, self.listed) = (Some(manifest), state.rights);
        self.active = extent.bytes;
        self.is_known = true;
        Ok(())
    }

    /// What the copy lacks of the files of a manifest.
    fn missing(
        &mut self,
        manifest: &CopiedManifest,
        active: u64,
        is_known: bool,
    ) -> anyhow::Result<Vec<Missing>> {
        let mut missing = Vec::new();
        let files = manifest.files(active);
        self.verified
            .retain(|name| files.iter().any(|file| file.name == *name));
        // The segment that was active when the copy was last brought to a state.
        let grows = self.manifest.as_ref().map(CopiedManifest::active_name);
        for file in files {
            let length = self.ledger.length(&file);
            if is_known
                && grows.as_ref() == Some(&file.name)
                && let (Some(from), Some(to)) = (length, file.bytes)
                && from <= to
            {
                if from < to {
                    let arrival = Arrival::InPlace;
                    missing.push(Missing {
                        file,
                        from,
                        arrival,
                    });
                }
                continue;
            }
            let is_active = file.name == manifest.active_name();
            let has = !is_active
                && length.is_some()
                && (self.verified.contains(&file.name)
                    || block_in_place(|| self.ledger.has(&file))?);
            if has {
                self.verified.insert(file.name);
            } else {
                let (from, arrival) = (0, Arrival::Whole);
                missing.push(Missing {
                    file,
                    from,
                    arrival,
                });
            }
        }
        Ok(missing)
    }

    /// Fetches what is missing of a file.
    async fn fetch(
        &self,
        missing: &Missing,
        asking: &Asking<'_>,
        arrived: &mut (dyn FnMut(u64) + Send),
    ) -> anyhow::Result<()> {
        let file = &missing.file;
        let mut offset = missing.from;
        loop {
            let left = file.bytes.map_or(PART, |end| end.saturating_sub(offset));
            if left == 0 && offset > 0 {
                break;
            }
            let request = Request::Ledger {
                file: file.name.clone(),
                offset,
                bytes: left.min(PART),
            };
            let part = asking.ask(&request).await?;
            if part.is_empty() {
                match file.bytes {
                    Some(_) => bail!("the file {} ends early", file.name),
                    // The file of salts ends.
                    None => break,
                }
            }
            block_in_place(|| match missing.arrival {
                Arrival::Whole => self.ledger.receive(file, offset, &part),
                Arrival::InPlace => self.ledger.append(file, offset, &part),
                Arrival::EndBeside => self.ledger.receive_end(offset - missing.from, &part),
            })?;
            offset += part.len() as u64;
            arrived(part.len() as u64);
        }
        if missing.arrival == Arrival::Whole && !block_in_place(|| self.ledger.complete(file))? {
            bail!("the file {} did not arrive as it is", file.name);
        }
        Ok(())
    }

    /// The files of the rights directory that the copy lacks, with their content.
    async fn changed_rights(
        &self,
        files: &[RightsFile],
        is_known: bool,
        asking: &Asking<'_>,
    ) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
        let total = files
            .iter()
            .fold(0_u64, |total, file| total.saturating_add(file.bytes));
        if files.len() > MOST || total > LARGEST {
            bail!(
                "the leader lists {} files of {total} bytes beside its ledger, more than {MOST} or {LARGEST} bytes",
                files.len()
            );
        }
        let mut changed = Vec::new();
        for file in files {
            let before = self.listed.iter().find(|before| before.path == file.path);
            let before = before.filter(|_| is_known);
            if before == Some(file) {
                continue;
            }
            if !is_below(&file.path) {
                bail!("the leader lists {}, which is not below", file.path);
            }
            let path = PathBuf::from(&file.path);
            // An audit log grows at its end.
            let mut content = match before {
                Some(before)
                    if file.path.starts_with(AUDIT)
                        && before.inode == file.inode
                        && before.bytes < file.bytes =>
                {
                    std::fs::read(self.rights.join(&path))?
                }
                _ => Vec::new(),
            };
            while (content.len() as u64) < file.bytes {
                let offset = content.len() as u64;
                let request = Request::Rights {
                    file: file.clone(),
                    offset,
                    bytes: PART.min(file.bytes - offset),
                };
                let part = asking.ask(&request).await?;
                if part.is_empty() || part.len() as u64 > file.bytes - offset {
                    bail!("the file {} is not as long as listed", file.path);
                }
                content.extend(part);
            }
            changed.push((path, content));
        }
        Ok(changed)
    }
}

/// What a copy lacks of a file.
struct Missing {
    file: LedgerFile,
    /// Where it begins.
    from: u64,
    arrival: Arrival,
}

/// Where what is missing arrives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arrival {
    /// The whole file, beside the copy.
    Whole,
    /// The end of the active segment, in its place.
    InPlace,
    /// The end of the segment, beside the copy: its commits may need the salts of the
    /// manifest that arrives with them.
    EndBeside,
}

impl Missing {
    /// The number of bytes, as far as it is known.
    fn bytes(&self) -> u64 {
        self.file.bytes.unwrap_or(0).saturating_sub(self.from)
    }
}

#[cfg(test)]
mod tests;

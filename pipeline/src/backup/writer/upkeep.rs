//! What precedes the copying of a renewal: whether the directory still holds what was
//! written to it, and the removal of what nobody needs there.
//!
//! Files are removed before the renewal only if this process has written them and no index
//! that counts lists them, or if no key opens anything in the directory. All others wait
//! for the index that replaces them, so that one restores at every instant.

use std::collections::BTreeSet;

use super::super::directory::Directory;
use super::super::inspection::{self, Found};
use super::super::known::{self, Known};
use super::{Parts, Writer};

impl Writer {
    /// Looks whether the directory holds what is known of it; what is damaged is copied
    /// again.
    ///
    /// # Errors
    ///
    /// Any error of the disk or the broker, or [`known::NotOurs`].
    pub(super) async fn inspect(&mut self, ledger: [u8; 16]) -> anyhow::Result<()> {
        let (mut known, is_read) = match self.known.take() {
            Some(known) => (known, false),
            None => (self.read(ledger).await?, true),
        };
        let (parts, after) = (known.parts.clone(), self.opened.clone());
        let number = known.index;
        let look = move |directory: &Directory| {
            inspection::inspect(directory, &ledger, number, &parts, &after)
        };
        match self.directory.step(look).await {
            Ok(Found::Damaged { files, opened }) => {
                self.opened = opened.unwrap_or_default();
                for part in known.parts.iter().filter(|part| files.contains(&part.file)) {
                    tracing::warn!(
                        file = part.file,
                        of = part.path,
                        "a file of the backup is missing or damaged, and is copied again"
                    );
                }
                known.parts.retain(|part| !files.contains(&part.file));
                self.known = Some(known);
            }
            // It was just read which indexes are another's.
            Ok(Found::Other) if is_read => self.known = Some(known),
            Ok(Found::Other) => self.known = Some(self.read(ledger).await?),
            Err(error) => {
                self.known = Some(known);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Removes what this process has written and no longer needs, and what nobody can read:
    /// a disk that is full would stay full otherwise.
    ///
    /// # Errors
    ///
    /// A lost lease, or any error of the disk.
    pub(super) async fn make_room(&mut self, known: &Known) -> anyhow::Result<()> {
        let files = known.parts.iter().map(|part| part.file.as_str());
        let files: BTreeSet<&str> = files.collect();
        let is_needed =
            |name: &String| known.listed.contains(name) || files.contains(name.as_str());
        let of_this_run = self.written.iter();
        let needless = of_this_run.chain(&known.unreadable);
        let needless: Vec<String> = needless.filter(|name| !is_needed(name)).cloned().collect();
        if needless.is_empty() {
            return Ok(());
        }
        self.check_lease()?;
        let removed = needless.clone();
        let remove = move |directory: &Directory| Ok(directory.remove(&removed)?);
        self.directory.step(remove).await?;
        for name in needless {
            self.written.remove(&name);
        }
        Ok(())
    }

    /// Reads what the backup consists of ([`known::read`]).
    ///
    /// # Errors
    ///
    /// As there.
    pub(super) async fn read(&self, ledger: [u8; 16]) -> anyhow::Result<Known> {
        let Parts { client, config, .. } = &self.parts;
        known::read(client, config, &self.directory, ledger).await
    }
}

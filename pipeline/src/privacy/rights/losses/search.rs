//! The comparison of the files on disk: ledger, objection list and audit logs.
//!
//! Each comparison has the same form: one file recorded the head of another at
//! some time, and the other must still begin with the entries of that head. A
//! file that is ahead is normal, because heads are recorded after the entries
//! are durable. A file that is behind, or differs, was replaced by an older
//! copy or damaged. The ledger is not a chain of hashes; its watermark of ID,
//! manifest generation and commits serves the same purpose, since both numbers
//! only grow.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tributary_config::model::Config;
use tributary_ledger::{FileHead, FileHeads, Ledger};
use tributary_rights::audit::{self, AuditLogContents};
use tributary_rights::suppression::{self, ObjectionListContents};
use tributary_rights::tombstones::Tombstones;
use tributary_rights::{BrandKeys, HashChain, Head, Kind, LedgerWatermark};

use super::super::files::{self, is_registrar, log};
use super::super::published_heads::mark;
use super::report::LossReport;
use crate::durability::location::ledger_options;
use crate::privacy::erased::{self, TOMBSTONES, level_name};
use crate::privacy::objections::LIST;

/// A file of the rights directory as it was found.
pub(super) enum File<T> {
    /// There is no such file.
    Missing,
    /// The file is damaged; the loss is already in the report.
    Damaged,
    /// The content of an intact file.
    Read(T),
}

/// The comparison in progress.
pub(super) struct Search<'a> {
    pub config: &'a Config,
    /// Path of the ledger's manifest, which names the ledger in messages.
    pub manifest: PathBuf,
    /// Watermark of the ledger; `None` without a ledger.
    pub ledger: Option<LedgerWatermark>,
    /// What was found so far.
    pub found: LossReport,
}

impl<'a> Search<'a> {
    pub fn of(config: &'a Config, ledger: Option<&Ledger>) -> Search<'a> {
        Search {
            config,
            manifest: ledger_options(config).directory.join("MANIFEST"),
            ledger: ledger.map(|ledger| mark(ledger.watermark())),
            found: LossReport::default(),
        }
    }

    /// Adds a loss. The first loss of a file is reported and the others are not,
    /// because they have the same remedy.
    pub fn lost(&mut self, file: &str, what: &str) {
        let known = |loss: &String| loss.starts_with(file);
        if !self.found.losses.iter().any(known) {
            self.found.losses.push(format!("{file} {what}"));
        }
    }

    /// Full path of a file in the rights directory.
    pub fn path(&self, name: &str) -> String {
        let path = files::directory(self.config).join(name);
        path.display().to_string()
    }

    /// Reads the objection list. Damage is added to the losses.
    ///
    /// # Errors
    ///
    /// A file that cannot be read for another reason than damage.
    pub fn list(&mut self) -> anyhow::Result<File<ObjectionListContents>> {
        let keys: Vec<BrandKeys> = self.config.brands.iter().map(files::keys).collect();
        let path = files::directory(self.config).join(LIST);
        match suppression::read(&path, &keys) {
            Ok(None) => Ok(File::Missing),
            Ok(Some(list)) => Ok(File::Read(list)),
            Err(error) if matches!(error.kind(), Kind::Broken(_)) => {
                self.found.losses.push(error.to_string());
                Ok(File::Damaged)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the tombstones of erased people. Damage is added to the losses.
    ///
    /// # Errors
    ///
    /// A file that cannot be read for another reason than damage.
    pub fn tombstones(&mut self) -> anyhow::Result<File<Tombstones>> {
        let keys: Vec<BrandKeys> = self.config.brands.iter().map(files::keys).collect();
        match Tombstones::open(&erased::path(self.config), &keys) {
            Ok(tombstones) if tombstones.head().is_none() => Ok(File::Missing),
            Ok(tombstones) => Ok(File::Read(tombstones)),
            Err(error) if matches!(error.kind(), Kind::Broken(_)) => {
                self.found.losses.push(error.to_string());
                Ok(File::Damaged)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Compares the tombstones with what the ledger records of them: their head, and the levels of the secrets under which
    /// they are written. A secret that was replaced writes no tombstones that count.
    pub fn named_tombstones(&mut self, tombstones: &File<Tombstones>, heads: &FileHeads) {
        let by = self.manifest.display().to_string();
        let head = |named: &FileHead| Some(Head::new(named.entries, named.hash()?));
        if let Some(noted) = heads.get(TOMBSTONES).and_then(head) {
            self.compare_tombstones(tombstones, &noted, &by);
        }
        let File::Read(tombstones) = tombstones else {
            return;
        };
        for (brand, level) in tombstones.levels() {
            let named = heads.get(&level_name(brand));
            if named.is_some_and(|named| u64::from(level.0) < named.entries) {
                let what = format!("is written under an older secret of {brand} than {by} names");
                self.lost(&self.path(TOMBSTONES), &what);
            }
        }
    }

    /// Compares the tombstones with one recorded head. The file is replaced as a whole, and may have been since.
    pub fn compare_tombstones(&mut self, tombstones: &File<Tombstones>, noted: &Head, by: &str) {
        let file = self.path(TOMBSTONES);
        let back = "who was erased comes back with a ledger from before, unless the copies in the stream of requests name them";
        let has = match tombstones {
            File::Damaged => return,
            File::Missing => None,
            File::Read(tombstones) => tombstones.head(),
        };
        let what = match has {
            None => format!("is missing, but {by} names it: {back}"),
            Some(has) if has.seq < noted.seq => {
                format!("is older than the one that {by} names: {back}")
            }
            Some(has) if has.seq == noted.seq && has != *noted => {
                format!("is another file than the one that {by} names: {back}")
            }
            Some(_) => return,
        };
        self.lost(&file, &what);
    }

    /// Reads the audit logs of all brands; an empty map on a process that is not
    /// the registrar.
    ///
    /// # Errors
    ///
    /// A file that cannot be read for another reason than damage.
    pub fn logs(&mut self) -> anyhow::Result<BTreeMap<String, File<AuditLogContents>>> {
        let mut logs = BTreeMap::new();
        let brands = self.config.brands.iter();
        for brand in brands.filter(|_| is_registrar(self.config)) {
            let path = files::directory(self.config).join(log(&brand.name));
            let read = match audit::read(&path, &files::keys(brand))? {
                None => File::Missing,
                Some(AuditLogContents {
                    broken: Some(error),
                    ..
                }) => {
                    self.found.losses.push(error.to_string());
                    File::Damaged
                }
                Some(log) => File::Read(log),
            };
            logs.insert(brand.name.clone(), read);
        }
        Ok(logs)
    }

    /// Compares the ledger with the watermarks that the list and the logs record.
    pub fn ledger(
        &mut self,
        list: &File<ObjectionListContents>,
        logs: &BTreeMap<String, File<AuditLogContents>>,
    ) {
        let file = self.manifest.display().to_string();
        let mut noted = Vec::new();
        let mut beside = Vec::new();
        match list {
            File::Missing => {}
            File::Damaged => beside.push(self.path(LIST)),
            File::Read(list) => {
                beside.push(self.path(LIST));
                noted.extend(list.ledger.map(|mark| (self.path(LIST), mark)));
            }
        }
        for (brand, of_brand) in logs {
            let path = self.path(&log(brand));
            if let File::Read(log) = of_brand {
                noted.extend(log.checkpoint.map(|noted| (path.clone(), noted.ledger)));
            }
            if !matches!(of_brand, File::Missing) {
                beside.push(path);
            }
        }
        let Some(here) = self.ledger else {
            if let Some(other) = beside.first() {
                let what =
                    format!("is missing, or not that of the ledger beside which {other} was kept");
                self.lost(&file, &what);
            }
            return;
        };
        for (other, mark) in noted {
            self.compare_ledger(&file, &here, &mark, &other);
        }
    }

    /// Compares the ledger's watermark `here` with the watermark `noted` that the
    /// file `by` records.
    pub fn compare_ledger(
        &mut self,
        file: &str,
        here: &LedgerWatermark,
        noted: &LedgerWatermark,
        by: &str,
    ) {
        if here.follows(noted) {
            return;
        }
        let what = match here.id() == noted.id() {
            true => format!("is older than {by} records, or the end of its ledger is lost"),
            false => format!("is that of another ledger than the one that {by} names"),
        };
        self.lost(file, &what);
    }

    /// Compares the list with the heads that the logs record.
    pub fn list_and_logs(
        &mut self,
        list: &File<ObjectionListContents>,
        logs: &BTreeMap<String, File<AuditLogContents>>,
    ) {
        for (brand, of_brand) in logs {
            if let File::Read(AuditLogContents {
                checkpoint: Some(noted),
                ..
            }) = of_brand
            {
                let by = self.path(&log(brand));
                self.compare_list(list, &noted.objections, &by);
            }
        }
    }

    /// Compares the list with one recorded head. A damaged list is already
    /// reported.
    pub fn compare_list(&mut self, list: &File<ObjectionListContents>, noted: &Head, by: &str) {
        let has = match list {
            File::Missing => None,
            File::Damaged => return,
            File::Read(list) => Some(&list.entries),
        };
        self.compare(LIST, has, noted, by);
    }

    /// Compares the hash chain of a file with one recorded head. `has` is `None`
    /// for a missing file.
    pub fn compare(&mut self, name: &str, has: Option<&HashChain>, noted: &Head, by: &str) {
        let file = self.path(name);
        let Some(has) = has else {
            let what = format!("is missing; {by} names {} entries of it", noted.seq);
            return self.lost(&file, &what);
        };
        if has.contains(noted) {
            return;
        }
        let seq = has.head().seq;
        let what = match seq < noted.seq {
            true => format!("has {seq} entries, but {by} names {} of it", noted.seq),
            false => format!(
                "is another file than the one of which {by} names {} entries",
                noted.seq
            ),
        };
        self.lost(&file, &what);
    }

    /// Compares list and logs with the heads that the ledger records.
    pub fn named(
        &mut self,
        list: &File<ObjectionListContents>,
        logs: &BTreeMap<String, File<AuditLogContents>>,
        heads: &FileHeads,
    ) {
        let by = self.manifest.display().to_string();
        let head = |named: &FileHead| Some(Head::new(named.entries, named.hash()?));
        if let Some(noted) = heads.get(LIST).and_then(head) {
            self.compare_list(list, &noted, &by);
        }
        self.named_logs(logs, heads);
        self.found.is_named = heads.contains_key(LIST);
    }

    /// Compares the logs with the heads that the ledger records.
    pub fn named_logs(
        &mut self,
        logs: &BTreeMap<String, File<AuditLogContents>>,
        heads: &FileHeads,
    ) {
        let by = self.manifest.display().to_string();
        let head = |named: &FileHead| Some(Head::new(named.entries, named.hash()?));
        for (brand, of_brand) in logs {
            let name = log(brand);
            let Some(noted) = heads.get(&name).and_then(head) else {
                continue;
            };
            match of_brand {
                File::Missing => self.compare(&name, None, &noted, &by),
                File::Damaged => {}
                File::Read(log) => self.compare(&name, Some(&log.entries), &noted, &by),
            }
        }
    }
}

//! Losses: a start compares the ledger, the objection list, the audit logs and the broker with each other.
//!
//! They belong together. Where one of them is missing, shorter, older or damaged, somebody who objected could be counted
//! again, or what was erased could be back; so the worker refuses to start, and names the file, until the operator has
//! restored it or says `--accept-loss`. Each is compared with every other that says anything about it, so that it is
//! enough that one of them is what it was:
//!
//! | names | the ledger | the list | the audit logs | the receipts |
//! |---|---|---|---|---|
//! | the ledger | | its head | their heads | that heads were published |
//! | the list | id, manifest, commits | | | |
//! | an audit log | id, manifest, commits | its head | | one of each completed request |
//! | the broker | id, manifest, commits | its head | the entry of the newest receipt | |
//!
//! A process that is new in its cluster, and so keeps out nobody, is held against process 0.
//!
//! What a kill leaves is no loss. A file may be ahead of what the others name of it, its last entry may be torn, and a
//! request that is completed by the log but has no receipt still waits at the broker.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tributary_config::model::Config;
use tributary_connectors::nats::{
    self, Client, InMessage, NatsError, NatsErrorKind, Reader, subject as subjects,
};
use tributary_ledger::{FileHead, Ledger};
use tributary_rights::audit::{self, AuditLogContents};
use tributary_rights::receipt::verify_receipt;
use tributary_rights::suppression::{self, ObjectionListContents};
use tributary_rights::{BrandKeys, Head, Kind, LedgerWatermark, Request, RequestKey};

use super::files::{self, log};
use super::published_heads::{PublishedHeads, mark, subject};
use crate::broker::retry::retry_transient;
use crate::durability::location::ledger_options;
use crate::privacy::objections::{LIST, Objections};

/// How long one look into the stream waits for messages.
const LOOK: Duration = Duration::from_millis(500);

/// The outcome of the comparison at a start.
#[derive(Clone, Debug, Default)]
pub struct LossReport {
    /// What is missing, shorter, older or damaged, a sentence each.
    pub losses: Vec<String>,
    /// Up to which entry of its audit log each brand's receipts are with the broker.
    receipted: BTreeMap<String, u64>,
    /// The highest entry that any receipt of each brand names, also of a log that was lost.
    pub published: BTreeMap<String, Head>,
    /// Whether the ledger names heads, so that the broker must have them.
    is_named: bool,
}

impl LossReport {
    /// Up to which entry of a brand's log receipts are with the broker.
    pub fn receipted(&self, brand: &str) -> u64 {
        self.receipted.get(brand).copied().unwrap_or(0)
    }

    /// What an operator reads.
    pub fn refusal(&self, config: &Config) -> String {
        let ledger = ledger_options(config).directory;
        format!(
            "the records of rights requests do not fit together, so that somebody who objected could be counted \
             again:\n  - {}\nRestore {}, {} and the stream {} as they were at one time. To go on with what is there, \
             without what is lost: tributary run --accept-loss",
            self.losses.join("\n  - "),
            ledger.display(),
            files::directory(config).display(),
            config.nats.rights_stream
        )
    }
}

/// Compares everything. `ledger` is the one of this process, where there is one.
///
/// # Errors
/// Where a file cannot be read, or the broker does not answer.
pub async fn find(
    client: &Client,
    config: &Config,
    ledger: Option<&Ledger>,
) -> anyhow::Result<LossReport> {
    let mut search = Search::of(config, ledger);
    let list = search.list()?;
    let logs = search.logs()?;
    search.ledger(&list, &logs);
    search.list_and_logs(&list, &logs);
    if let Some(ledger) = ledger {
        search.named(&list, &logs, ledger);
    }
    search.published_heads(client, &list).await?;
    search.list_of_process_0(client, &list).await?;
    search.receipts(client, &logs).await?;
    Ok(search.found)
}

/// Makes files usable again whose loss is accepted: what of them can be read stays, and what they were is kept beside
/// them. The list lies beside the ledger of this id from then on.
///
/// # Errors
/// Any of the disk.
pub fn repair(config: &Config, ledger: [u8; 16]) -> anyhow::Result<()> {
    let directory = files::directory(config);
    let list = directory.join(LIST);
    let keys: Vec<BrandKeys> = config.brands.iter().map(files::keys).collect();
    if let Some(kept) = suppression::repair(&list, &keys, ledger)? {
        tracing::warn!(file = %list.display(), kept = %kept.display(), "rewrote the objection list");
    }
    for brand in config.brands.iter().filter(|_| is_registrar(config)) {
        let path = directory.join(log(&brand.name));
        if let Some(kept) = audit::repair(&path, &files::keys(brand))? {
            tracing::warn!(file = %path.display(), kept = %kept.display(), "rewrote the audit log");
        }
    }
    Ok(())
}

/// Writes a ledger anew without the records of objectors, which an older copy holds. What was entered under
/// a secret that was exchanged since is not found.
///
/// # Errors
/// Any of the ledger.
pub fn leave_out(mut ledger: Ledger, objections: &Objections) -> anyhow::Result<()> {
    let objectors = objections.snapshot();
    let rewrite = ledger.rewrite(Arc::new(move |event| !objectors.refuses(event, &[])))?;
    let written = rewrite.run(&mut |_, _| ())?;
    let entries = written.erased.total();
    ledger.install(written)?.run()?;
    ledger.close()?;
    if entries > 0 {
        tracing::warn!(
            entries,
            "removed people on the objection list from the ledger"
        );
    }
    Ok(())
}

fn is_registrar(config: &Config) -> bool {
    config.workers.process == 0
}

/// A file as it was found.
enum File<T> {
    Missing,
    /// It is named already.
    Damaged,
    Read(T),
}

struct Search<'a> {
    config: &'a Config,
    manifest: PathBuf,
    ledger: Option<LedgerWatermark>,
    found: LossReport,
}

impl<'a> Search<'a> {
    fn of(config: &'a Config, ledger: Option<&Ledger>) -> Search<'a> {
        Search {
            config,
            manifest: ledger_options(config).directory.join("MANIFEST"),
            ledger: ledger.map(|ledger| mark(ledger.watermark())),
            found: LossReport::default(),
        }
    }

    /// Notes a loss. One of each file is enough for whoever restores it.
    fn lost(&mut self, file: &str, what: &str) {
        let known = |loss: &String| loss.starts_with(file);
        if !self.found.losses.iter().any(known) {
            self.found.losses.push(format!("{file} {what}"));
        }
    }

    fn path(&self, name: &str) -> String {
        let path = files::directory(self.config).join(name);
        path.display().to_string()
    }

    fn list(&mut self) -> anyhow::Result<File<ObjectionListContents>> {
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

    /// The logs of all brands; none on a process that keeps none.
    fn logs(&mut self) -> anyhow::Result<BTreeMap<String, File<AuditLogContents>>> {
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

    /// Holds the ledger against what the files beside it note of it.
    fn ledger(
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

    fn compare_ledger(
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

    /// Holds the list against what the logs note of it.
    fn list_and_logs(
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

    fn compare_list(&mut self, list: &File<ObjectionListContents>, noted: &Head, by: &str) {
        let has = match list {
            File::Missing => None,
            File::Damaged => return,
            File::Read(list) => Some(&list.entries),
        };
        self.compare(LIST, has, noted, by);
    }

    /// Holds a file against a head of it.
    fn compare(
        &mut self,
        name: &str,
        has: Option<&tributary_rights::HashChain>,
        noted: &Head,
        by: &str,
    ) {
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

    /// Holds the files against the heads that the ledger names.
    fn named(
        &mut self,
        list: &File<ObjectionListContents>,
        logs: &BTreeMap<String, File<AuditLogContents>>,
        ledger: &Ledger,
    ) {
        let by = self.manifest.display().to_string();
        let head = |named: &FileHead| Some(Head::new(named.entries, named.hash()?));
        if let Some(noted) = ledger.heads().get(LIST).and_then(head) {
            self.compare_list(list, &noted, &by);
        }
        for (brand, of_brand) in logs {
            let name = log(brand);
            let Some(noted) = ledger.heads().get(&name).and_then(head) else {
                continue;
            };
            match of_brand {
                File::Missing => self.compare(&name, None, &noted, &by),
                File::Damaged => {}
                File::Read(log) => self.compare(&name, Some(&log.entries), &noted, &by),
            }
        }
        self.found.is_named = ledger.heads().contains_key(LIST);
    }

    /// Holds the list of a process that is new in its cluster against that of process 0, which publishes its heads when
    /// every process has an objection on its list.
    async fn list_of_process_0(
        &mut self,
        client: &Client,
        list: &File<ObjectionListContents>,
    ) -> anyhow::Result<()> {
        let stream = &self.config.nats.rights_stream;
        let is_empty = match list {
            File::Missing => true,
            File::Damaged => false,
            File::Read(list) => list.set().total() == 0,
        };
        if is_registrar(self.config) || !is_empty {
            return Ok(());
        }
        let subject = subject(0);
        let newest = retry_transient(|| newest(client, stream, &subject)).await?;
        let published = newest.and_then(|message| serde_json::from_slice(&message.payload).ok());
        if let Some(PublishedHeads { kept_out: 1.., .. }) = published {
            let what = format!(
                "keeps out nobody, but that of process 0 does (stream {stream}); copy the list of process 0 there"
            );
            self.lost(&self.path(LIST), &what);
        }
        Ok(())
    }

    /// Holds list and ledger against what this process has published.
    async fn published_heads(
        &mut self,
        client: &Client,
        list: &File<ObjectionListContents>,
    ) -> anyhow::Result<()> {
        let stream = &self.config.nats.rights_stream;
        let subject = subject(self.config.workers.process);
        let newest = retry_transient(|| newest(client, stream, &subject)).await?;
        let by = format!("stream {stream}");
        let Some(message) = newest else {
            if self.found.is_named {
                let what = "no longer holds what this process has published there, nor requests that may have waited";
                self.lost(&by, what);
            }
            return Ok(());
        };
        let Ok(published) = serde_json::from_slice::<PublishedHeads>(&message.payload) else {
            let sequence = message.sequence;
            let what = format!("holds a damaged message of this process at sequence {sequence}");
            self.lost(&by, &what);
            return Ok(());
        };
        // Where nobody has objected yet a ledger may be left behind, and all be read again.
        if published.objections.seq == 0 {
            return Ok(());
        }
        let by = format!("{by}, sequence {},", message.sequence);
        self.compare_list(list, &published.objections, &by);
        let file = self.manifest.display().to_string();
        match self.ledger {
            Some(here) => self.compare_ledger(&file, &here, &published.ledger, &by),
            None => self.lost(&file, &format!("is missing, but {by} names it")),
        }
        Ok(())
    }

    /// Holds the logs against the receipts that were published, and the receipts against the logs.
    async fn receipts(
        &mut self,
        client: &Client,
        logs: &BTreeMap<String, File<AuditLogContents>>,
    ) -> anyhow::Result<()> {
        let stream = &self.config.nats.rights_stream;
        for brand in self.config.brands.iter() {
            let Some(of_brand) = logs.get(&brand.name) else {
                continue;
            };
            let keys = files::keys(brand);
            let read = match of_brand {
                File::Read(log) => Some(log),
                File::Missing | File::Damaged => None,
            };
            let receipts = retry_transient(|| receipts(client, stream, &keys, read)).await?;
            let name = log(&brand.name);
            let (accepted_at, accepted) = match read.and_then(|log| log.accepted) {
                Some((seq, head)) => (seq, Some(head)),
                None => (0, None),
            };
            let all = [receipts.newest, receipts.unknown, accepted];
            if let Some(head) = all.into_iter().flatten().max_by_key(|head| head.seq) {
                self.found.published.insert(brand.name.clone(), head);
            }
            let newest = receipts.newest.map_or(0, |head| head.seq);
            self.found.receipted.insert(brand.name.clone(), newest);
            let by = format!("a receipt of {} in stream {stream}", brand.name);
            let is_accepted = |head: &Head| accepted.is_some_and(|end| head.seq <= end.seq);
            if let Some(head) = receipts.unknown.filter(|head| !is_accepted(head)) {
                match of_brand {
                    File::Damaged => {}
                    File::Missing => self.compare(&name, None, &head, &by),
                    File::Read(log) => self.compare(&name, Some(&log.entries), &head, &by),
                }
            }
            let Some(log) = read else {
                continue;
            };
            let mut open: BTreeSet<RequestKey> =
                log.completed_after(newest.max(accepted_at)).collect();
            if open.is_empty() {
                continue;
            }
            let waiting = retry_transient(|| waiting(client, stream, &keys)).await?;
            open.retain(|request| !waiting.contains(request));
            if !open.is_empty() {
                let damaged = match receipts.damaged {
                    Some(sequence) => format!("; the message at sequence {sequence} is damaged"),
                    None => String::new(),
                };
                let what = format!(
                    "has no receipts for {} requests that {} records as completed{damaged}",
                    open.len(),
                    self.path(&name)
                );
                self.lost(&format!("stream {stream}"), &what);
            }
        }
        Ok(())
    }
}

/// The newest message on a subject; none where there is none, or no stream.
async fn newest(
    client: &Client,
    stream: &str,
    subject: &str,
) -> Result<Option<InMessage>, NatsError> {
    let mut values = match nats::last_values(client, stream, subject).await {
        Ok(values) => values,
        Err(error) if error.kind() == NatsErrorKind::Stream => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(values.next_batch(1).await?.pop())
}

/// All messages on a subject.
async fn all(client: &Client, stream: &str, subject: &str) -> Result<Vec<InMessage>, NatsError> {
    let mut messages = Vec::new();
    match nats::has_messages(client, stream, subject).await {
        Ok(true) => {}
        Ok(false) => return Ok(messages),
        // There may be no stream, which opening it says.
        Err(_) => {}
    }
    let mut reader = match Reader::filtered(client, stream, subject, 1).await {
        Ok(reader) => reader,
        Err(error) if error.kind() == NatsErrorKind::Stream => return Ok(messages),
        Err(error) => return Err(error),
    };
    loop {
        messages.extend(reader.next_batch(1_000, LOOK).await?);
        if reader.caught_up() {
            return Ok(messages);
        }
    }
}

/// The receipts of a brand.
#[derive(Default)]
struct Receipts {
    /// The last entry of the log that one of them names.
    newest: Option<Head>,
    /// The highest entry that one of them names and that is not in the log.
    unknown: Option<Head>,
    /// The last message, where it is no receipt.
    damaged: Option<u64>,
}

/// Reads the receipts of a brand that has this log. Anybody who may publish there could put something behind the last
/// one: unless that is of the last request that was completed, all are read.
async fn receipts(
    client: &Client,
    stream: &str,
    keys: &BrandKeys,
    log: Option<&AuditLogContents>,
) -> Result<Receipts, NatsError> {
    let subject = subjects::rights_receipt(keys.name());
    let head = |message: &InMessage| {
        let receipt = verify_receipt(&message.payload, keys);
        receipt.ok().map(|receipt| receipt.audit)
    };
    let is_known = |head: &Head| log.is_some_and(|log| log.entries.contains(head));
    let is_last = |head: &Head| {
        let after = |log: &AuditLogContents| log.completed_after(head.seq).next().is_some();
        is_known(head) && !log.is_some_and(after)
    };
    let mut found = Receipts::default();
    let Some(last) = newest(client, stream, &subject).await? else {
        return Ok(found);
    };
    match head(&last) {
        Some(head) if is_last(&head) => {
            found.newest = Some(head);
            return Ok(found);
        }
        Some(_) => {}
        None => found.damaged = Some(last.sequence),
    }
    for head in all(client, stream, &subject).await?.iter().filter_map(head) {
        let place = match is_known(&head) {
            true => &mut found.newest,
            false => &mut found.unknown,
        };
        if place.is_none_or(|before| before.seq < head.seq) {
            *place = Some(head);
        }
    }
    Ok(found)
}

/// The requests of a brand that wait at the broker.
async fn waiting(
    client: &Client,
    stream: &str,
    keys: &BrandKeys,
) -> Result<BTreeSet<RequestKey>, NatsError> {
    let subject = subjects::rights_requests(keys.name());
    let requests = all(client, stream, &subject).await?;
    let ids = requests
        .iter()
        .filter_map(|message| Request::read_id(&message.payload));
    Ok(ids.map(|id| keys.request(&id)).collect())
}

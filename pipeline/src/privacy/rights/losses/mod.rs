//! Losses: a start compares the ledger, the objection list, the tombstones, the
//! audit logs and the broker with each other.
//!
//! They belong together. If one of them is missing, truncated, outdated or
//! damaged, a person who objected could be counted again, or erased records
//! could return. The worker therefore refuses to start and names the file,
//! until the operator has restored it or accepts the loss with `--accept-loss`.
//! Each file is compared with every record of it in the others, so that a
//! single intact one reveals the loss:
//!
//! | recorded in | the ledger | the list | the tombstones | the audit logs | the receipts |
//! |---|---|---|---|---|---|
//! | the ledger | | its head | their head and levels | their heads | that heads were published |
//! | the list | ID, manifest, commits | | | | |
//! | an audit log | ID, manifest, commits | its head | | | one for each completed request |
//! | the broker | ID, manifest, commits | its head | their head | the entry of the newest receipt | |
//!
//! The lease of the process states ID, manifest and commits of the ledger as of
//! its last renewal, a few seconds before the process ended. The rest that the
//! broker has is of the last start or request.
//!
//! A process that is new in its cluster, and therefore has an empty list, is
//! compared with process 0.
//!
//! What a kill leaves behind is not a loss: a file may be ahead of the recorded
//! heads, its last entry may be torn, and a request that the log records as
//! completed may have no receipt, because it still waits at the broker.

use anyhow::bail;
use tributary_config::model::Config;
use tributary_connectors::nats::Client;
use tributary_ledger::{FileHeads, Ledger};

mod broker;
mod messages;
mod repair;
mod report;
mod search;

pub use repair::{leave_out, repair};
pub use report::LossReport;
use search::Search;

use crate::durability::location::ledger_options;

/// Compares all files with each other and with the broker. `ledger` is the
/// ledger of this process, if it exists, and `copy` the ID of its copy of it;
/// empty without a standby.
///
/// # Errors
///
/// A file that cannot be read, or a broker that does not answer. Losses are not
/// errors: they are in the report.
pub async fn find(
    client: &Client,
    config: &Config,
    ledger: Option<&Ledger>,
    copy: &str,
) -> anyhow::Result<LossReport> {
    let mut search = Search::of(config, ledger);
    let list = search.list()?;
    let logs = search.logs()?;
    let tombstones = search.tombstones()?;
    search.ledger(&list, &logs);
    search.list_and_logs(&list, &logs);
    if let Some(ledger) = ledger {
        search.named(&list, &logs, ledger.heads());
        search.named_tombstones(&tombstones, ledger.heads());
    }
    search.published_heads(client, &list, &tombstones).await?;
    search.lease(client, copy).await?;
    search.list_of_process_0(client, &list).await?;
    search.receipts(client, &logs).await?;
    Ok(search.found)
}

/// Compares the audit logs with the receipts at the broker, for a process that goes
/// on with the files that it has.
///
/// # Errors
///
/// As [`find`].
pub async fn receipts(client: &Client, config: &Config) -> anyhow::Result<LossReport> {
    let mut search = Search::of(config, None);
    let logs = search.logs()?;
    search.receipts(client, &logs).await?;
    Ok(search.found)
}

/// Number of comparisons of files that change at the same time, before a loss is
/// reported.
const TRIES: usize = 3;

/// Compares the audit logs with the heads in the ledger's manifest and, with a
/// client, with the receipts at the broker. Nothing is locked or changed: a
/// worker may be appending to the logs.
///
/// # Errors
///
/// What is missing or does not fit; a file that cannot be read, or a broker that
/// does not answer.
pub async fn compare_logs(client: Option<&Client>, config: &Config) -> anyhow::Result<()> {
    let mut tries = 1;
    loop {
        let mut search = Search::of(config, None);
        // A head is named after its entry is durable, and so is read before it.
        let directory = ledger_options(config).directory;
        let heads = match Ledger::exists_in(&directory) {
            true => tributary_ledger::inspect(&directory, None)?.heads,
            false => FileHeads::new(),
        };
        let logs = search.logs()?;
        search.named_logs(&logs, &heads);
        if let Some(client) = client {
            search.receipts(client, &logs).await?;
        }
        match search.found.losses.as_slice() {
            [] => return Ok(()),
            // A worker completes a request between two reads.
            _ if tries < TRIES => tries += 1,
            losses => bail!("the audit log is not whole: {}", losses.join("; ")),
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

/// What the files beside the ledger lack of what its manifest names: objections, audit logs and tombstones. Nothing is locked or
/// changed: a worker may be appending to them.
///
/// # Errors
///
/// A file that cannot be read.
pub fn compare_files(config: &Config) -> anyhow::Result<Vec<String>> {
    let mut tries = 1;
    loop {
        // A head is named after its entry is durable, and so is read before it.
        let heads = tributary_ledger::inspect(&ledger_options(config).directory, None)?.heads;
        let mut search = Search::of(config, None);
        let list = search.list()?;
        let logs = search.logs()?;
        let tombstones = search.tombstones()?;
        search.named(&list, &logs, &heads);
        search.named_tombstones(&tombstones, &heads);
        match search.found.losses.is_empty() {
            false if tries < TRIES => tries += 1,
            _ => return Ok(search.found.losses),
        }
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
}

//! Losses: a start compares the ledger, the objection list, the audit logs and
//! the broker with each other.
//!
//! They belong together. If one of them is missing, truncated, outdated or
//! damaged, a person who objected could be counted again, or erased records
//! could return. The worker therefore refuses to start and names the file,
//! until the operator has restored it or accepts the loss with `--accept-loss`.
//! Each file is compared with every record of it in the others, so that a
//! single intact one reveals the loss:
//!
//! | recorded in | the ledger | the list | the audit logs | the receipts |
//! |---|---|---|---|---|
//! | the ledger | | its head | their heads | that heads were published |
//! | the list | ID, manifest, commits | | | |
//! | an audit log | ID, manifest, commits | its head | | one for each completed request |
//! | the broker | ID, manifest, commits | its head | the entry of the newest receipt | |
//!
//! A process that is new in its cluster, and therefore has an empty list, is
//! compared with process 0.
//!
//! What a kill leaves behind is not a loss: a file may be ahead of the recorded
//! heads, its last entry may be torn, and a request that the log records as
//! completed may have no receipt, because it still waits at the broker.

use tributary_config::model::Config;
use tributary_connectors::nats::Client;
use tributary_ledger::Ledger;

mod broker;
mod messages;
mod repair;
mod report;
mod search;

pub use repair::{leave_out, repair};
pub use report::LossReport;
use search::Search;

/// Compares all files with each other and with the broker. `ledger` is the
/// ledger of this process, if it exists.
///
/// # Errors
///
/// A file that cannot be read, or a broker that does not answer. Losses are not
/// errors: they are in the report.
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

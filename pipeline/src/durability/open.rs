//! Opens the ledger of this process, and logs what was found in it.

use std::sync::Arc;

use tributary_config::model::Config;
use tributary_ledger::{Keyring, Ledger, Recovery};

use crate::durability::location::ledger_options;

/// Opens or creates the ledger of this process.
///
/// # Errors
///
/// Any error of [`Ledger::open`].
pub async fn open(config: &Config, keyring: Arc<Keyring>) -> anyhow::Result<(Ledger, Recovery)> {
    let options = ledger_options(config);
    let directory = options.directory.clone();
    let (ledger, recovered) =
        tokio::task::spawn_blocking(move || Ledger::open(options, keyring)).await??;
    let stats = &recovered.stats;
    tracing::info!(directory = %directory.display(), entries = stats.entries.total(), bytes = stats.bytes, "opened the ledger");
    if recovered.cut_bytes > 0 {
        tracing::warn!(
            bytes = recovered.cut_bytes,
            "cut the end of the ledger, which was not committed; its messages are read again"
        );
    }
    Ok((ledger, recovered))
}

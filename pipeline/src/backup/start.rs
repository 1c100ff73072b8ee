//! Start of the task that writes the backup, and the end of a backup that is no longer
//! wanted.
//!
//! The invariant: *no key stays at the broker for a backup that nobody renews*. Such a
//! backup would keep who is erased from now on.

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tributary_config::model::Config;
use tributary_connectors::nats::{Client, Fence};
use tributary_ledger::Extent;

use super::keys;
use super::writer::{Parts, Writer};
use crate::durability::backups::Backup;
use crate::report::telemetry::Telemetry;

/// The task that writes the backup; it has ended if there is none.
pub struct BackupTask {
    /// Has it end when set to true.
    pub end: watch::Sender<bool>,
    /// The task.
    pub task: JoinHandle<()>,
}

/// Starts the task, if a backup is wanted. Otherwise the key of an earlier one is
/// destroyed.
///
/// # Errors
///
/// A broker that does not answer.
pub async fn start(
    client: &Client,
    config: &Config,
    fence: Fence,
    extent: watch::Receiver<Extent>,
    telemetry: &Telemetry,
) -> anyhow::Result<(Backup, BackupTask)> {
    let (end, stop) = watch::channel(false);
    let Some(directory) = &config.ledger.backup else {
        if keys::destroy_all(client, config).await? > 0 {
            tracing::warn!(
                "ledger.backup is not set: destroyed the key of the backup that there was"
            );
        }
        let task = tokio::spawn(async {});
        return Ok((Backup::none(), BackupTask { end, task }));
    };
    let (backup, requests) = Backup::new();
    let parts = Parts {
        config: config.clone(),
        client: client.clone(),
        fence,
        extent,
        backup: backup.clone(),
        telemetry: telemetry.clone(),
    };
    let task = tokio::spawn(Writer::new(parts, directory).run(requests, stop));
    Ok((backup, BackupTask { end, task }))
}

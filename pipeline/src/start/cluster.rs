//! The other processes of the cluster: connected before the dataflow begins, or
//! refused by the name of the setting in which they differ.
//!
//! The processes of a cluster need each other: what one of them has computed is
//! lost with it. If one ends, its connections end, and so do the others; all are
//! started again, each restores its own ledger at the position that this has, and
//! they connect once more. No common position is needed: a process stores what it
//! decoded itself, and reads again what came after. A ledger that is older than
//! those beside it, because it is the copy of a standby, is therefore like one whose
//! process was slow. What would not be so is guarded by the barrier of its lease
//! ([`Standbys`](crate::durability::standbys::Standbys)): a process confirms to the
//! others that something is done, erased or settled, only when no older copy can
//! take over.
//!
//! Each finds the others by their leases ([`Members`]). One that was only suspended,
//! or cut off from the broker, keeps its connections while a standby takes its
//! place, so that the others look at the leases all the time, and end.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Client, Holder};
use tributary_connectors::settings::NoiseDraw;

use crate::report::health::Health;
use crate::worker::agreement;
use crate::worker::members::Members;
use crate::worker::peers::{Connections, Peers};

/// The pause between two comparisons with a peer that seems to differ: anybody
/// may claim to be one.
const PAUSE: Duration = Duration::from_secs(1);

/// The interval at which the leases of the others are looked at while they are
/// waited for.
const LOOK: Duration = Duration::from_millis(250);

/// The same while they are connected.
const WATCH: Duration = Duration::from_secs(1);

/// Ends an attempt to connect when nobody waits for it any more.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Connects this process, whose lease has this tenure, with all others, and says meanwhile which
/// ones it waits for. There are no connections for a process that is alone.
///
/// # Errors
///
/// Another process with other settings, an address or certificate that cannot be
/// used, or a broker that does not answer.
pub(super) async fn meet(
    client: &Client,
    config: &Config,
    draw: NoiseDraw,
    tenure: [u8; 32],
    health: &Arc<Health>,
) -> anyhow::Result<Connections> {
    if config.workers.hosts.len() <= 1 {
        return Ok(Connections::default());
    }
    let members = Members::default();
    let (differing, mut differs) = mpsc::unbounded_channel();
    let stop = Stop(Arc::default());
    let connecting = {
        let (config, stop, members) = (config.clone(), stop.0.clone(), members.clone());
        let health = health.clone();
        tokio::task::spawn_blocking(move || {
            let differing = |peer: usize| {
                // Where nobody waits any more, nobody asks either.
                let _ = differing.send(peer);
            };
            Peers::new(&config, (members, tenure), &health, &differing, &stop).connect()
        })
    };
    let looking = look(client, config, &members);
    tokio::pin!(connecting, looking);
    loop {
        tokio::select! {
            met = &mut connecting => return met?,
            never = &mut looking => match never {},
            Some(peer) = differs.recv() => {
                agreement::compare(client, config, draw, Some(peer)).await?;
                tokio::time::sleep(PAUSE).await;
                // What came meanwhile is tried again anyway.
                while differs.try_recv().is_ok() {}
            }
        }
    }
}

/// Reads the leases of the other processes again and again.
async fn look(client: &Client, config: &Config, members: &Members) -> Infallible {
    loop {
        for (process, holder) in holders(client, config).await {
            members.set(process, &holder);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Returns when another process has taken the place of one with which this process is
/// connected, by their tenures, and says which; never for a process that is alone.
pub(super) async fn watch(
    client: Client,
    config: Config,
    tenures: Vec<Option<[u8; 32]>>,
) -> anyhow::Error {
    if tenures.is_empty() {
        return std::future::pending().await;
    }
    loop {
        for (process, holder) in holders(&client, &config).await {
            let connected = tenures.get(process).copied().flatten();
            if connected.is_some_and(|connected| connected != holder.tenure()) {
                return anyhow::anyhow!(
                    "another process has taken the place of process {process} of this cluster: it runs on {} since {}. \
                     Start this process again, so that it connects to that one",
                    holder.host,
                    holder.since
                );
            }
        }
        tokio::time::sleep(WATCH).await;
    }
}

/// Who has the leases of the other processes, as far as the broker says. Nobody can
/// take what it does not give.
async fn holders(client: &Client, config: &Config) -> Vec<(usize, Holder)> {
    let mut found = Vec::new();
    let workers = &config.workers;
    for process in (0..workers.hosts.len()).filter(|process| *process != workers.process) {
        let name = workers.name_of(process);
        let current = nats::current(client, &config.nats.output_stream, &name).await;
        match current {
            Ok((holder, _)) => found.extend(holder.map(|holder| (process, holder))),
            Err(error) => tracing::debug!(process, %error, "cannot read a lease"),
        }
    }
    found
}

//! The other processes of the cluster: connected before the dataflow begins, or
//! refused by the name of the setting in which they differ.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tributary_config::model::Config;
use tributary_connectors::nats::Client;
use tributary_connectors::settings::NoiseDraw;

use crate::worker::agreement;
use crate::worker::peers::{Connections, Peers};

/// The pause between two comparisons with a peer that seems to differ: anybody
/// may claim to be one.
const PAUSE: Duration = Duration::from_secs(1);

/// Ends an attempt to connect when nobody waits for it any more.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Connects this process with all others. There are no connections for a process
/// that is alone.
///
/// # Errors
///
/// Another process with other settings, an address or certificate that cannot be
/// used, or a broker that does not answer.
pub(super) async fn meet(
    client: &Client,
    config: &Config,
    draw: NoiseDraw,
) -> anyhow::Result<Connections> {
    if config.workers.hosts.len() <= 1 {
        return Ok(Connections::default());
    }
    let (differing, mut differs) = mpsc::unbounded_channel();
    let stop = Stop(Arc::default());
    let connecting = {
        let (config, stop) = (config.clone(), stop.0.clone());
        tokio::task::spawn_blocking(move || {
            let differing = |peer: usize| {
                // Where nobody waits any more, nobody asks either.
                let _ = differing.send(peer);
            };
            Peers::new(&config, &differing, &stop).connect()
        })
    };
    tokio::pin!(connecting);
    loop {
        tokio::select! {
            met = &mut connecting => return met?,
            Some(peer) = differs.recv() => {
                agreement::compare(client, config, draw, Some(peer)).await?;
                tokio::time::sleep(PAUSE).await;
                // What came meanwhile is tried again anyway.
                while differs.try_recv().is_ok() {}
            }
        }
    }
}

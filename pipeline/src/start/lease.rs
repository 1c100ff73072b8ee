//! The lease of this process: without it, no cell is published.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::anyhow;
use tokio::task::{JoinError, JoinHandle};
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Claim, Claims, Client, Fence, Holder, Lease, NatsError};
use tributary_rights::LedgerWatermark;

use super::input::has_cells;
use crate::broker::retry::{retry_at_start, retry_transient};
use crate::durability::moves::Moves;
use crate::live_config::LiveConfig;
use crate::report::health::Health;
use crate::shared_settings;
use crate::version::{COMMIT, VERSION};

/// The interval at which a process that waits for its lease says who has it.
const LOOK: Duration = Duration::from_secs(1);

/// A lease that a task renews.
pub(super) struct Held {
    /// The task; ends early only when the lease is lost.
    pub lease: JoinHandle<Result<(), NatsError>>,
    /// What the publisher asks before it sends.
    pub fence: Fence,
    /// By what the other processes of a cluster know this one.
    pub tenure: [u8; 32],
    /// Whether another process had it and has not given it back.
    pub replaces_another: bool,
}

impl Held {
    /// Renews a lease until `stop`, and then gives it back.
    pub fn keep(lease: Lease, stop: impl Future<Output = ()> + Send + 'static) -> Held {
        Held {
            fence: lease.fence(),
            tenure: lease.holder().tenure(),
            replaces_another: lease.replaces_another(),
            lease: tokio::spawn(lease.keep_until(stop)),
        }
    }
}

/// Takes the lease of this process, and says in its health meanwhile who has it. `ledger` is
/// the watermark of its ledger.
///
/// # Errors
///
/// Another process that holds it, or a broker that does not answer.
pub(super) async fn take(
    client: &Client,
    config: &Config,
    ledger: LedgerWatermark,
    health: &Health,
) -> anyhow::Result<Lease> {
    retry_at_start(health, || nats::ensure_leases(client, &config.nats)).await?;
    let holder = Holder {
        manifest: ledger.manifest,
        commits: ledger.commits,
        ..holder(config, &data_encoding::HEXLOWER.encode(&ledger.id()))
    };
    let taken = tokio::select! {
        taken = retry_transient(|| Lease::take(client, &config.nats, holder.clone())) => taken?,
        never = say_who_has_it(client, config, health) => match never {},
    };
    health.set_starting();
    Ok(taken)
}

/// Says who has the lease of this process, for as long as it is waited for.
async fn say_who_has_it(client: &Client, config: &Config, health: &Health) -> Infallible {
    let (output, name) = (&config.nats.output_stream, config.workers.name());
    loop {
        tokio::time::sleep(LOOK).await;
        // What the broker does not give is retried where the lease is taken.
        if let Ok((Some(last), _)) = nats::current(client, output, &name).await {
            health.set_restoring(Some(format!(
                "the worker is waiting for the lease of process {name}, which the one on {} has since {}",
                last.host, last.since
            )));
        }
    }
}

/// Why a process whose lease has ended goes no further.
pub fn lost(ended: Result<Result<(), NatsError>, JoinError>) -> anyhow::Error {
    match ended {
        Ok(Ok(())) => anyhow!("the lease of this process has ended"),
        Ok(Err(error)) => anyhow!(error).context("this process may no longer publish"),
        Err(error) => error.into(),
    }
}

/// This process as the holder of its lease, with the ID of its ledger.
pub(super) fn holder(config: &Config, ledger: &str) -> Holder {
    Holder {
        process: config.workers.process,
        processes: config.workers.hosts.len().max(1),
        shard: config.workers.shard.clone(),
        brands: config.brands.iter().map(|b| b.name.clone()).collect(),
        ledger: ledger.to_owned(),
        copy: String::new(),
        barrier: 0,
        // Where nobody says otherwise, each process finds the others by its own `workers.hosts`, which may lead through a proxy.
        address: config.workers.address.clone().unwrap_or_default(),
        manifest: 0,
        commits: 0,
        host: host(),
        version: VERSION.to_owned(),
        build: COMMIT.to_owned(),
        settings: shared_settings::digest(config),
        since: jiff::Timestamp::now().to_string(),
        released: false,
    }
}

/// Refuses brands that another shard has, as [`claim_brands`] does, before anything
/// else of them is missed. The `health` of a process that starts says what it waits for.
///
/// # Errors
///
/// As [`claim_brands`].
pub(super) async fn check_claims(
    client: &Client,
    config: &Config,
    moves: &Moves,
    accept_loss: bool,
    health: Option<&Health>,
) -> anyhow::Result<()> {
    if config.workers.process > 0 {
        return Ok(());
    }
    let claims = Claims::new(client, &config.nats.output_stream);
    for brand in &config.brands {
        // Which ledger it would be is not asked.
        let claim = claim(config, &brand.name, "");
        let origins = moves.origins(&brand.name);
        let check = || claims.check(&claim, origins, accept_loss);
        match health {
            Some(health) => retry_at_start(health, check).await?,
            None => retry_transient(check).await?,
        }
    }
    Ok(())
}

/// Claims the brands of this process for its `ledger`, of which `moves` says what
/// brands it got from others. Process 0 does it for its cluster.
///
/// # Errors
///
/// A brand that another shard has, or one whose published numbers come from another
/// ledger; or a broker that does not answer.
pub(super) async fn claim_brands(
    client: &Client,
    config: &Config,
    (ledger, moves): ([u8; 16], &Moves),
    accept_loss: bool,
) -> anyhow::Result<()> {
    if config.workers.process > 0 {
        return Ok(());
    }
    let ledger = data_encoding::HEXLOWER.encode(&ledger);
    let claims = Claims::new(client, &config.nats.output_stream);
    for brand in &config.brands {
        let claim = claim(config, &brand.name, &ledger);
        let origins = moves.origins(&brand.name);
        // What was never published cannot be missed.
        let is_new = !has_cells(client, config, &brand.name).await?;
        let lost = retry_transient(|| claims.claim(&claim, origins, is_new, accept_loss)).await?;
        if let Some(last) = lost {
            tracing::warn!(
                brand = brand.name,
                shard = last.shard,
                ledger = last.ledger,
                host = last.host,
                "took the brand from another ledger: the loss of the records that only its ledger has was accepted"
            );
        }
    }
    Ok(())
}

/// Claims the brands of this process again whenever the broker had lost the bucket of
/// the leases, in which the claims are as well. Returns when the lease has ended.
pub(super) async fn keep_claims(
    client: Client,
    live: LiveConfig,
    (ledger, moves): ([u8; 16], Moves),
    mut fence: Fence,
) {
    while fence.entered_again().await {
        if let Err(error) = claim_brands(&client, &live.now(), (ledger, &moves), false).await {
            tracing::error!(%error, "cannot claim the brands of this process again");
        }
    }
}

/// The claim of a brand for the ledger of this process.
fn claim(config: &Config, brand: &str, ledger: &str) -> Claim {
    Claim {
        brand: brand.to_owned(),
        shard: config.workers.shard.clone(),
        ledger: ledger.to_owned(),
        host: host(),
        since: jiff::Timestamp::now().to_string(),
    }
}

/// The name of this host.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.map_or_else(
        |_| "an unknown host".to_owned(),
        |name| name.trim().to_owned(),
    )
}

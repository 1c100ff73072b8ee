//! What a reload asks before it changes anything, and what it opens for the configuration that it goes on with.
//!
//! Whatever may refuse is asked here. Nothing of it changes what the process does for the brands that it has.

use std::sync::Arc;

use anyhow::{anyhow, bail};
use tokio::sync::oneshot;
use tributary_config::model::{Brand, Config, Source};
use tributary_connectors::nats;
use tributary_ledger::Keyring;
use tributary_operators::label::Label;
use tributary_operators::record::BrandId;

use crate::broker::retry::retry_transient;
use crate::durability::command::LedgerCommand;
use crate::durability::location::ledger_options;
use crate::epochs::clock::Clocks;
use crate::privacy::erased::{self, Erased};
use crate::privacy::objections::Objections;
use crate::privacy::rights::{self, losses};
use crate::shared_settings;
use crate::start::lease;
use crate::start::process_context::{ProcessContext, RightsFiles, moves};
use crate::worker::threads::Workers;

/// What the preparation of a reload has found.
pub(super) struct Prepared {
    pub(super) keyring: Arc<Keyring>,
    pub(super) clocks: Arc<Clocks>,
}

impl ProcessContext {
    /// Asks everything that may refuse, and prepares ledger and broker for new brands, in
    /// ways that change nothing for the others.
    ///
    /// # Errors
    ///
    /// A refusal, or a broker that does not answer.
    pub(super) async fn prepare(&self, now: &Config, next: &Config) -> anyhow::Result<Prepared> {
        let client = &self.client;
        let is_known = |brand: &&Brand| now.brands.iter().any(|known| known.name == brand.name);
        let added = next.brands.iter().filter(|brand| !is_known(brand));
        let added = Config {
            brands: added.cloned().collect(),
            ..next.clone()
        };
        for brand in &added.brands {
            // A start would compare them with what is computed, and close those that are wrong.
            let stream = &next.nats.output_stream;
            let cells = format!("tributary.out.{}.>", brand.name);
            if retry_transient(|| nats::has_messages(client, stream, &cells)).await? {
                bail!(
                    "brand.{} is new, but the stream {stream} has cells of it: needs a restart",
                    brand.name
                );
            }
        }
        let moves = moves(next)?;
        moves.refuse_start(next, &ledger_options(next).directory)?;
        lease::check_claims(client, &added, &moves, false, None).await?;
        losses::compare_logs(Some(client), next).await?;
        let keyring = Arc::new(Keyring::new(next));
        let (done, added_brands) = oneshot::channel();
        self.ledger_tx
            .upgrade()
            .and_then(|ledger| {
                ledger
                    .send(LedgerCommand::AddBrands(keyring.clone(), done))
                    .ok()
            })
            .ok_or_else(|| anyhow!("the ledger has stopped"))?;
        added_brands.await?.map_err(|why| anyhow!(why))?;
        let names: Vec<&str> = next.brands.iter().map(|b| b.name.as_str()).collect();
        retry_transient(|| nats::ensure_input_stream(client, &next.nats, &names)).await?;
        retry_transient(|| nats::ensure_output_stream(client, &next.nats, &names)).await?;
        lease::claim_brands(client, &added, (self.mark.id(), &moves), false).await?;
        let clocks = self.clocks(next).await?;
        Ok(Prepared { keyring, clocks })
    }

    /// The clocks of a configuration, which agree with the broker's.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    pub(super) async fn clocks(&self, config: &Config) -> anyhow::Result<Arc<Clocks>> {
        let clocks = Arc::new(Clocks::new(config));
        let time = || nats::broker_time(&self.client, &config.nats);
        clocks.set_broker(&retry_transient(time).await?);
        Ok(clocks)
    }

    /// Has the lease state the brands and the settings of a configuration. Returns whether it
    /// does: not if it is lost.
    pub(super) async fn state_configuration(&self, config: &Config) -> bool {
        let names = config.brands.iter().map(|brand| brand.name.clone());
        let settings = shared_settings::digest(config);
        self.fence.set_configured(names.collect(), settings).await
    }

    /// Opens the files of rights requests, which nobody else has open.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or that was changed, or a broker that does not answer.
    pub(super) async fn open_files(&self, config: &Config) -> anyhow::Result<RightsFiles> {
        let found = losses::receipts(&self.client, config).await?;
        if !found.losses.is_empty() {
            bail!("{}", found.refusal(config));
        }
        let directory = rights::files::directory(config);
        let objections = Objections::open(config, &directory, self.mark.id())?;
        let erased = Erased::open(config, &erased::path(config))?;
        Ok(RightsFiles {
            objections: Arc::new(objections),
            erased: Arc::new(erased),
            found,
        })
    }
}

/// Why a source is not new, if there are records of its name, which would go on without its
/// basis and its trust. Of other sources these say nothing.
///
/// # Errors
///
/// Threads that have stopped.
pub(super) fn has_records(
    workers: &Workers,
    now: &Config,
    next: &Config,
) -> anyhow::Result<Option<String>> {
    for brand in &next.brands {
        let Some(before) = now.brands.iter().find(|of| of.name == brand.name) else {
            continue;
        };
        let is_new = |of: &&Source| before.sources.iter().all(|known| known.name != of.name);
        let counts_otherwise = |of: &&Source| brand.rests_on_consent(of) || of.is_open();
        let sources = brand.sources.iter();
        for source in sources.filter(is_new).filter(counts_otherwise) {
            let label = [(BrandId::of(&brand.name), Label::of(&source.name))];
            let knows = tokio::task::block_in_place(|| workers.know(&label));
            if knows.ok_or_else(|| anyhow!("the worker threads have stopped"))? {
                return Ok(Some(format!(
                    "brand.{}.source.{} is new, but there are records with this name, which would count as before: needs a \
                     restart",
                    brand.name, source.name
                )));
            }
        }
    }
    Ok(None)
}

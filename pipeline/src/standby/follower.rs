//! The candidate for the lease: follows whoever leads, and takes over.
//!
//! Every [`ROUND`] it looks at the lease and brings its copy to the leader's
//! newest state. It decides by the lease and by its mark alone whether it may
//! lead ([`may_lead`]), opens its ledger, compares it with the broker, and only
//! then takes the lease, so that a process which could not go on does not stand
//! in the way of one that can.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::block_in_place;
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Client, Holder, Lease, NatsErrorKind, RENEWAL, TERM};
use tributary_ledger::{Keyring, Ledger, Recovery};

use super::files::{Asking, CopyFiles};
use super::mark::{Mark, MarkFile, Tenure};
use super::may_lead::{May, may_lead};
use super::prepared::{Preparation, Prepared};
use super::wire::{Request, State};
use crate::broker::retry::retry_transient;
use crate::durability::location::ledger_options;
use crate::durability::moves::Moves;
use crate::durability::open::open;
use crate::privacy::rights::losses::{self, LossReport};
use crate::report::telemetry::Telemetry;
use crate::shared_settings::{difference_of_standby, shared};

/// The interval between two looks at the lease and at the leader.
const ROUND: Duration = Duration::from_millis(500);

/// Maximum time for the answer with a state.
const STATE: Duration = Duration::from_secs(2);

/// The pause before files that did not permit a takeover are opened again.
const PAUSE: Duration = Duration::from_secs(5);

/// A process that has taken the lease.
pub struct Leading {
    /// The lease.
    pub lease: Lease,
    /// Its ledger, if there is one.
    pub ledger: Option<(Ledger, Recovery)>,
    /// The losses that the start has found and the operator has accepted.
    pub found: LossReport,
    /// Its copy of the ledger, and since when it leads.
    pub tenure: Tenure,
    /// The worker threads that have restored it.
    pub prepared: Option<Prepared>,
}

/// A candidate for the lease.
pub struct Standby<'a> {
    /// The broker.
    pub client: &'a Client,
    /// The configuration.
    pub config: &'a Config,
    /// The metrics and the health.
    pub telemetry: &'a Telemetry,
    /// The keys of the ledger.
    pub keyring: Arc<Keyring>,
    /// Whether it leads with what it has, although it may be too old.
    pub accept_loss: bool,
    /// How this process enters itself in the lease.
    pub holder: Holder,
}

impl Standby<'_> {
    /// Returns once this process leads. `begin_to_follow` is called when another
    /// one does.
    ///
    /// # Errors
    ///
    /// Files that cannot be used, or a broker that refuses.
    pub async fn lead(mut self, begin_to_follow: impl FnOnce()) -> anyhow::Result<Leading> {
        retry_transient(|| nats::ensure_leases(self.client, &self.config.nats)).await?;
        let mut mark = MarkFile::open(self.config)?;
        self.holder.copy = mark.get().copy.clone();
        let mut files: Option<CopyFiles> = None;
        let mut begin_to_follow = Some(begin_to_follow);
        let mut seen: Option<(u64, Instant)> = None;
        let mut refused: Option<(String, Instant)> = None;
        let mut copied = Instant::now();
        let mut problem = None;
        let mut preparation = Preparation::default();
        // In which setting it differs from the process that leads, or that led last.
        let mut differs: Option<String> = None;
        loop {
            let output = &self.config.nats.output_stream;
            let name = self.config.workers.name();
            let current = nats::current(self.client, output, &name).await;
            let (last, sequence) = match current {
                Ok(current) => current,
                Err(error) if error.is_transient() => {
                    // Nobody can take over what the broker does not give.
                    self.telemetry.health.set_connected(false);
                    tracing::warn!(%error, "retrying to read who leads");
                    seen = None;
                    tokio::time::sleep(ROUND).await;
                    continue;
                }
                Err(error) if error.kind() == NatsErrorKind::Stream => {
                    // The bucket was deleted. A leader that lives enters itself again.
                    tracing::warn!(%error, "creating the bucket of the leases again");
                    let created = nats::ensure_leases(self.client, &self.config.nats).await;
                    match created {
                        Err(error) if !error.is_transient() => return Err(error.into()),
                        _ => {}
                    }
                    seen = None;
                    tokio::time::sleep(ROUND).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            self.telemetry.health.set_connected(true);
            let since = match seen {
                Some((before, since)) if before == sequence => since,
                _ => Instant::now(),
            };
            seen = Some((sequence, since));
            let is_free =
                last.as_ref().is_some_and(|last| last.released) || since.elapsed() >= TERM;
            let lead = match may_lead(mark.get(), &self.own(), last.as_ref()) {
                _ if differs.is_some() => false,
                May::AtOnce => true,
                May::Follow => is_free,
                May::Not(_) => is_free && self.accept_loss,
            };
            let is_refused = refused.as_ref().is_some_and(|(_, at)| at.elapsed() < PAUSE);
            if lead && !is_refused {
                if let Some(files) = files.take() {
                    self.telemetry.not_overwritten(files.close()?);
                }
                match self.take(sequence, last.as_ref(), &preparation).await? {
                    Taken::Lead(mut taken) => {
                        self.leads(mark, last.as_ref())?;
                        taken.prepared = preparation.take();
                        return Ok(*taken);
                    }
                    Taken::Refused(why) => {
                        if refused.as_ref().is_none_or(|(before, _)| *before != why) {
                            tracing::error!("this standby cannot take over: {why}");
                        }
                        refused = Some((why, Instant::now()));
                    }
                    Taken::Late => {}
                }
                continue;
            }
            let Some(last) = last else {
                // It waits for a leader whose lease was lost at the broker.
                self.report(None, copied, &mut problem, Some("nobody has led yet"));
                tokio::time::sleep(ROUND).await;
                continue;
            };
            if let Some(begin) = begin_to_follow.take() {
                tracing::info!(host = last.host, "following the worker that leads");
                begin();
            }
            // One that is late with its renewal does not answer either, and the lease is watched closely.
            let followed = match since.elapsed() < 2 * RENEWAL {
                true => {
                    if let May::Not(_) = may_lead(mark.get(), &self.own(), Some(&last)) {
                        self.begin_copy(&last);
                    }
                    tokio::select! {
                        followed = self.follow(&last, &mut files, &mut mark, &mut differs) => followed,
                        // Whoever led before answers no more, and would be waited for.
                        () = self.until_another_leads(&last) => continue,
                    }
                }
                false => Err(anyhow::anyhow!(
                    "the worker on {} does not renew its lease",
                    last.host
                )),
            };
            if followed.is_ok() {
                (copied, refused) = (Instant::now(), None);
            }
            let why = match (refused.as_ref(), followed) {
                (Some((why, _)), _) => Some(why.clone()),
                (None, Ok(())) => None,
                (None, Err(error)) => Some(format!("{error:#}")),
            };
            let why = match may_lead(mark.get(), &self.own(), Some(&last)) {
                _ if differs.is_some() => differs.clone(),
                May::Not(reason) => {
                    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                    let remedy = match is_free {
                        true => {
                            "; if no other process can lead, start this one with --accept-loss, and what it lacks is lost"
                        }
                        false => "",
                    };
                    Some(format!("{reason}{why}{remedy}"))
                }
                // A leader that has just ended does not answer, which is no problem.
                _ if refused.is_none() && copied.elapsed() < 2 * TERM => None,
                _ => why,
            };
            self.report(Some(&last), copied, &mut problem, why.as_deref());
            let until = tokio::time::Instant::now() + ROUND;
            if let Some(state) = files.as_ref().and_then(CopyFiles::state) {
                let with = (self.config, self.telemetry, &self.keyring);
                let of = Tenure::from(&last);
                let files = state.0.files(state.1);
                let bytes = files.iter().filter_map(|file| file.bytes).sum();
                let metrics = &self.telemetry.metrics;
                metrics.unrestored(preparation.left(bytes));
                block_in_place(|| preparation.go_on(with, &of, state, until.into_std()));
                metrics.unrestored(preparation.left(bytes));
            }
            tokio::time::sleep_until(until).await;
        }
    }

    /// This process as the holder of a lease.
    fn own(&self) -> Holder {
        let directory = ledger_options(self.config).directory;
        let manifest = tributary_ledger::CopiedManifest::read(&directory);
        // A ledger that cannot be read is refused when it is opened.
        let id = manifest.ok().flatten().map(|manifest| manifest.ledger());
        Holder {
            ledger: id
                .map(|id| data_encoding::HEXLOWER.encode(&id))
                .unwrap_or_default(),
            ..self.holder.clone()
        }
    }

    /// Brings the copy to the newest state of a leader that has the same settings. `differs` says in which setting it has
    /// others: its numbers would become other ones with a takeover.
    async fn follow(
        &self,
        last: &Holder,
        files: &mut Option<CopyFiles>,
        mark: &mut MarkFile,
        differs: &mut Option<String>,
    ) -> anyhow::Result<()> {
        if last.copy.is_empty() {
            anyhow::bail!(
                "the worker on {} hands out no copy of its ledger: set workers.standby = true there and start it again",
                last.host
            );
        }
        let files = match files {
            Some(files) => files,
            None => files.insert(CopyFiles::open(self.config)?),
        };
        let of = Tenure::from(last);
        let asking = Asking {
            client: self.client,
            config: self.config,
            leader: &last.copy,
        };
        // A leader waits for a copy that it knows of: the first state is followed by a second request at once, and a
        // standby that does not follow claims to have none.
        for _ in 0..2 {
            let has = match mark.get() {
                _ if differs.is_some() => 0,
                Mark {
                    follows: Some(follows),
                    state,
                    complete: true,
                    ..
                } if *follows == of => *state,
                _ => 0,
            };
            let request = Request::State {
                copy: mark.get().copy.clone(),
                since: last.since.clone(),
                has,
            };
            let state = asking.ask_within(&request, STATE).await?;
            let state: State = serde_json::from_slice(&state)?;
            let difference = difference_of_standby(&shared(self.config), &state.settings);
            *differs = difference.map(|(path, here, there)| {
                format!(
                    "{path} is {here} here and {there} on {}, which leads. Give both the same configuration, and start this \
                     standby again",
                    last.host
                )
            });
            if let Some(differs) = differs {
                anyhow::bail!("{differs}");
            }
            let health = &self.telemetry.health;
            let mut progress = |arrived: u64, total: u64| {
                if has == 0 {
                    self.telemetry.metrics.unrestored(total);
                    let percent = arrived * 100 / total.max(1);
                    health.set_restoring(Some(format!(
                        "the ledger of {} is being copied: {percent} % of {total} bytes",
                        last.host
                    )));
                }
            };
            let brought = files.bring_to(state, &of, mark, &asking, &mut progress);
            let brought = brought.await;
            self.telemetry.not_overwritten(files.take_not_overwritten());
            brought?;
            if has > 0 {
                break;
            }
        }
        Ok(())
    }

    /// Returns once the lease names another tenure than that of `last`.
    async fn until_another_leads(&self, last: &Holder) {
        let (output, name) = (&self.config.nats.output_stream, self.config.workers.name());
        let of = Tenure::from(last);
        loop {
            tokio::time::sleep(ROUND).await;
            let current = nats::current(self.client, output, &name).await;
            if let Ok((Some(current), _)) = current
                && Tenure::from(&current) != of
            {
                return;
            }
        }
    }

    /// Says that this process has nothing of a leader yet, so that it cannot take over from it.
    fn begin_copy(&self, last: &Holder) {
        let health = &self.telemetry.health;
        health.set_restoring(Some(format!(
            "this standby cannot take over yet: it compares its copy with the ledger of {}, which leads since {}",
            last.host, last.since
        )));
        health.set_caught_up(false);
        self.telemetry.metrics.ready(health.not_ready().is_empty());
    }

    /// Says how this process follows: in the health, the metrics, and in the log if
    /// that changes.
    fn report(
        &self,
        last: Option<&Holder>,
        copied: Instant,
        problem: &mut Option<String>,
        why: Option<&str>,
    ) {
        let (health, metrics) = (&self.telemetry.health, &self.telemetry.metrics);
        let host = last.map_or("another process", |last| &last.host);
        let since = last.map_or("", |last| &last.since);
        metrics.follows(Some(copied.elapsed()));
        health.set_standby(Some(format!(
            "standby: follows the worker on {host}, which leads since {since}, and publishes nothing"
        )));
        let reason = why.map(|why| format!("this standby cannot take over: {why}"));
        if *problem != reason {
            match &reason {
                Some(reason) => tracing::warn!("{reason}"),
                None => tracing::info!(
                    host,
                    "this standby has a copy of the ledger and can take over"
                ),
            }
            *problem = reason.clone();
        }
        health.set_restoring(reason.clone());
        health.set_caught_up(reason.is_none());
        metrics.ready(health.not_ready().is_empty());
    }

    /// Opens the ledger, compares it with the broker, and takes the lease whose last
    /// renewal, that of `last`, has this sequence.
    async fn take(
        &mut self,
        sequence: u64,
        last: Option<&Holder>,
        preparation: &Preparation,
    ) -> anyhow::Result<Taken> {
        let begun = Instant::now();
        let directory = ledger_options(self.config).directory;
        if let Err(why) = Moves::read(&directory)?.refuse_start(self.config, &directory) {
            return Ok(Taken::Refused(why.to_string()));
        }
        // What was restored is not read again once this process leads.
        if let Err(damage) = block_in_place(|| preparation.verify()) {
            return Ok(Taken::Refused(damage.to_string()));
        }
        let opened = match Ledger::exists_in(&directory) {
            true => Some(open(self.config, self.keyring.clone()).await?),
            false => None,
        };
        let ledger = opened.as_ref().map(|(ledger, _)| ledger);
        let durable = ledger.map(Ledger::watermark).unwrap_or_default();
        let found = losses::find(self.client, self.config, ledger, &self.holder.copy).await?;
        if !found.losses.is_empty() && !self.accept_loss {
            return Ok(Taken::Refused(found.refusal(self.config)));
        }
        let mut holder = self.own();
        holder.since = jiff::Timestamp::now().to_string();
        (holder.manifest, holder.commits) = (durable.manifest, durable.commits);
        let claimed = nats::claim(self.client, &self.config.nats, holder, last, sequence).await;
        match claimed {
            Ok(Some(lease)) => {
                let milliseconds = begun.elapsed().as_millis() as u64;
                tracing::info!(milliseconds, "took the lease with this ledger");
                let tenure = Tenure::from(lease.holder());
                Ok(Taken::Lead(Box::new(Leading {
                    lease,
                    ledger: opened,
                    found,
                    tenure,
                    prepared: None,
                })))
            }
            Ok(None) => Ok(Taken::Late),
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "retrying to take the lease");
                Ok(Taken::Late)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Records that this process leads.
    fn leads(&self, mut mark: MarkFile, last: Option<&Holder>) -> anyhow::Result<()> {
        let copy = mark.get().copy.clone();
        if let Some(last) = last.filter(|last| last.copy != copy) {
            tracing::info!(
                host = last.host,
                since = last.since,
                "taking over from the worker that led before"
            );
        }
        mark.set(Mark {
            copy,
            follows: None,
            state: 0,
            complete: true,
        })?;
        let health = &self.telemetry.health;
        health.set_standby(None);
        health.set_caught_up(false);
        health.set_starting();
        self.telemetry.metrics.follows(None);
        self.telemetry.metrics.unrestored(0);
        Ok(())
    }
}

/// The outcome of an attempt to take the lease.
enum Taken {
    /// It is taken.
    Lead(Box<Leading>),
    /// The files do not permit it, and why.
    Refused(String),
    /// Another process was faster.
    Late,
}

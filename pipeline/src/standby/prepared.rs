//! What a standby prepares for its takeover: worker threads that have restored its copy.
//!
//! A takeover is the restart of a ledger, and the restore is the longest part of a restart. A standby that is alone under its
//! lease therefore restores its copy while it follows, with the worker threads and into the dataflow with which it will lead:
//! blocks as they arrive, in the order of the ledger. Nothing is released meanwhile, and nothing leaves the process. What is
//! left to a takeover are the blocks of the last moments and the published cells.
//!
//! The invariant: *what the threads have restored is what a restore of the copy would restore first.* As soon as that is not so
//! any more (segments were written anew without somebody's records, the salts of a day were destroyed, or another process
//! leads), the threads are ended with all that they hold, and other ones begin. The ledger is compared once more when it has
//! been opened to lead; if it does not begin with what was restored, it is restored as at any start.
//!
//! A standby needs as much memory as the process that leads. That of one process of a cluster prepares nothing: its worker
//! threads need those of the others, which restore together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use tributary_config::model::{Brand, Config};
use tributary_connectors::settings::{NoiseDraw, settings_drawn};
use tributary_ledger::{CopiedManifest, FollowedBlocks, Keyring, LedgerError, Recovery};

use super::mark::Tenure;
use crate::durability::location::ledger_options;
use crate::durability::moves::Moves;
use crate::epochs::batch::Restored;
use crate::privacy::objections::Objections;
use crate::report::telemetry::Telemetry;
use crate::worker::peers::Connections;
use crate::worker::restore::{self, ENTRIES};
use crate::worker::router::Outputs;
use crate::worker::threads::{Workers, decoder_of};

/// The shortest pause before a standby begins anew after files that it had restored were replaced: what replaces files mostly
/// replaces several, one after the other. It is at least twice as long as restoring took, so that a leader which replaces files all
/// the time, as with a trace whose days race by, costs a standby no more than a third of its time.
const PAUSE: Duration = Duration::from_secs(10);

/// The interval at which the threads are looked at until they have restored what they were given.
const LOOK: Duration = Duration::from_millis(2);

/// The pause after an error.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(60);

/// Worker threads that have restored a part of a ledger.
pub struct Prepared {
    workers: Workers,
    outputs: Outputs,
    /// What they have restored.
    blocks: FollowedBlocks,
    /// The next epoch.
    epoch: u64,
    /// The number of threads.
    threads: usize,
    /// By what noise is drawn.
    drawn: (NoiseDraw, Moves),
    /// How long the threads have been fed.
    busy: Duration,
}

/// Worker threads, and the rest that they have to restore.
pub struct Begun {
    /// The threads.
    pub workers: Workers,
    /// Where their reports go.
    pub outputs: Outputs,
    /// The epoch with which the restore goes on.
    pub epoch: u64,
}

impl Prepared {
    /// Starts worker threads that have restored nothing, for the ledger with this ID.
    fn begin(
        config: &Config,
        telemetry: &Telemetry,
        keyring: &Arc<Keyring>,
        ledger: [u8; 16],
    ) -> anyhow::Result<Prepared> {
        let moves = Moves::read(&ledger_options(config).directory)?;
        let draw = NoiseDraw(ledger);
        let settings = settings_drawn(config, &|brand: &Brand| moves.draw(brand, draw));
        let outputs = Outputs::default();
        let workers = Workers::start(
            config,
            Arc::new(settings),
            decoder_of(config),
            keyring.clone(),
            // No message is decoded before this process leads.
            Arc::new(Objections::nobody()),
            outputs.listener(telemetry),
            Connections::default(),
        )?;
        Ok(Prepared {
            workers,
            outputs,
            blocks: FollowedBlocks::default(),
            epoch: restore::FIRST,
            threads: config.workers.threads.max(1),
            drawn: (draw, moves),
            busy: Duration::ZERO,
        })
    }

    /// Restores what has arrived, until a time. Returns false if it does not follow what was restored.
    fn feed(
        &mut self,
        config: &Config,
        keyring: &Keyring,
        (manifest, active): (&CopiedManifest, u64),
        until: Instant,
    ) -> anyhow::Result<bool> {
        let begun = Instant::now();
        let directory = ledger_options(config).directory;
        let went_on = self.blocks.go_on(&directory, manifest, active, keyring)?;
        let Some(mut salts) = went_on else {
            return Ok(false);
        };
        let mut is_end = false;
        while !is_end && (!salts.is_empty() || Instant::now() < until) {
            let (mut blocks, mut entries) = (Vec::new(), 0);
            while entries < ENTRIES {
                match self.blocks.next_block()? {
                    Some(block) => {
                        entries += block.entries();
                        blocks.push(block);
                    }
                    None => {
                        is_end = true;
                        break;
                    }
                }
            }
            if !blocks.is_empty() || !salts.is_empty() {
                let restored = Restored {
                    blocks,
                    salts: std::mem::take(&mut salts),
                    ..Restored::default()
                };
                restore::send(&self.workers, self.epoch, restored)?;
                self.epoch += 1;
            }
        }
        self.busy += begun.elapsed();
        match self.outputs.tally.unreadable() {
            Some(error) => bail!("{error}"),
            None => Ok(true),
        }
    }

    /// The threads for a process that leads with a ledger, of which `recovered` keeps what they have not restored, and with this
    /// draw of noise. `None` if they have restored something else: they are then ended.
    ///
    /// # Errors
    ///
    /// A ledger that cannot be read.
    pub fn go_on(
        self,
        recovered: &mut Recovery,
        draw: NoiseDraw,
        moves: &Moves,
    ) -> anyhow::Result<Option<Begun>> {
        // Blocks that wait to be opened have names, which the ledger has to know.
        let tally = &self.outputs.tally;
        while self.epoch > restore::FIRST
            && tally.finished_before(self.threads) < self.epoch
            && tally.unreadable().is_none()
        {
            std::thread::sleep(LOOK);
        }
        let is_same = (draw, moves) == (self.drawn.0, &self.drawn.1);
        if !is_same || !recovered.go_on_after(self.blocks)? {
            tracing::info!("restoring the whole ledger, which has changed since it was prepared");
            self.workers.finish()?;
            return Ok(None);
        }
        Ok(Some(Begun {
            workers: self.workers,
            outputs: self.outputs,
            epoch: self.epoch,
        }))
    }
}

/// The preparation of a standby.
#[derive(Default)]
pub struct Preparation {
    prepared: Option<Prepared>,
    /// The leader whose ledger is restored.
    of: Option<Tenure>,
    /// Nothing begins before.
    not_before: Option<Instant>,
    /// Whether everything was restored once since it began.
    is_complete: bool,
}

impl Preparation {
    /// Restores more of the copy of a leader's ledger, until a time. The copy is in the state of this manifest, with so many
    /// bytes of the active segment.
    pub fn go_on(
        &mut self,
        (config, telemetry, keyring): (&Config, &Telemetry, &Arc<Keyring>),
        of: &Tenure,
        state: (&CopiedManifest, u64),
        until: Instant,
    ) {
        if config.workers.hosts.len() > 1 {
            return;
        }
        if self.of.as_ref() != Some(of) {
            self.end();
            (self.of, self.not_before) = (Some(of.clone()), None);
        }
        if self.not_before.is_some_and(|not| Instant::now() < not) {
            return;
        }
        let went_on = match &mut self.prepared {
            Some(prepared) => Ok(prepared),
            None => Prepared::begin(config, telemetry, keyring, state.0.ledger())
                .map(|begun| self.prepared.insert(begun)),
        };
        let went_on = went_on.and_then(|prepared| {
            let is_same = prepared.feed(config, keyring, state, until)?;
            anyhow::Ok((is_same, prepared.blocks.left()))
        });
        match went_on {
            Ok((true, 0)) if !self.is_complete => {
                self.is_complete = true;
                tracing::info!("this standby has restored its copy, and goes on with what arrives");
            }
            Ok((true, _)) => {}
            Ok((false, _)) => {
                tracing::debug!("what this standby had restored was replaced; beginning anew");
                let busy = self.prepared.as_ref().map(|prepared| prepared.busy);
                self.end();
                let pause = PAUSE.max(2 * busy.unwrap_or_default());
                self.not_before = Some(Instant::now() + pause);
            }
            Err(error) => {
                tracing::warn!(
                    "this standby cannot restore its copy, and a takeover would take longer: {error:#}"
                );
                self.end();
                self.not_before = Some(Instant::now() + PAUSE_AFTER_ERROR);
            }
        }
    }

    /// What a takeover has to restore of a copy of so many bytes.
    pub fn left(&self, bytes: u64) -> u64 {
        let prepared = self.prepared.as_ref();
        prepared.map_or(bytes, |prepared| prepared.blocks.left())
    }

    /// Verifies the sealed segments that were restored, before this process leads with them.
    ///
    /// # Errors
    ///
    /// A segment that is damaged or cannot be read.
    pub fn verify(&self) -> Result<(), LedgerError> {
        let prepared = self.prepared.as_ref();
        prepared.map_or(Ok(()), |prepared| prepared.blocks.verify())
    }

    /// What was prepared.
    pub fn take(&mut self) -> Option<Prepared> {
        self.prepared.take()
    }

    /// Ends what was prepared, and gives back its memory.
    fn end(&mut self) {
        self.is_complete = false;
        if let Some(prepared) = self.prepared.take() {
            std::thread::spawn(move || {
                if let Err(error) = prepared.workers.finish() {
                    tracing::warn!("ending what this standby had prepared: {error:#}");
                }
            });
        }
    }
}

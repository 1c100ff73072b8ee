//! The router of outputs: passes each report of a worker thread to the part of
//! the process that it concerns.
//!
//! | report | receiver |
//! |---|---|
//! | cells | the released cells of this process, and the publisher |
//! | accepted, expired and settled records, destroyed salts | the ledger |
//! | answers | the queries that wait for them |
//! | finished epochs | the tally, the queries, the health, the traces |
//!
//! It runs on the thread that reports, so that it encodes nothing and never blocks: all channels are
//! unbounded, and their senders are throttled by the number of epochs in
//! flight. Each channel preserves the order of its sender, so that the ledger
//! receives the pings of a salt day before the command to destroy the day's
//! salts.
//!
//! Cells are applied to the released cells before they are sent to the
//! publisher: `/metrics` and the page never show an older value than the output
//! stream.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::publisher::PublisherCommand;
use crate::durability::command::LedgerCommand;
use crate::epochs::batch::{EpochTimes, Listener, Report};
use crate::epochs::queries::Queries;
use crate::otlp::spans::{Stage, Traces};
use crate::report::health::Health;
use crate::report::published_cells::SharedCells;
use crate::report::tally::Tally;
use crate::report::telemetry::Telemetry;

/// Where the reports of worker threads go, and the ends at which they are received.
pub struct Outputs {
    /// Counts of all threads.
    pub tally: Arc<Tally>,
    /// Queries that wait for answers.
    pub queries: Queries,
    /// The released cells.
    pub cells: SharedCells,
    /// To the publisher of cells.
    pub to_publisher: mpsc::UnboundedSender<PublisherCommand>,
    /// What it receives.
    pub outgoing: mpsc::UnboundedReceiver<PublisherCommand>,
    /// To the task that owns the ledger.
    pub ledger_tx: mpsc::UnboundedSender<LedgerCommand>,
    /// What it receives.
    pub ledger_rx: mpsc::UnboundedReceiver<LedgerCommand>,
}

impl Default for Outputs {
    /// Those of threads that have reported nothing.
    fn default() -> Outputs {
        let (to_publisher, outgoing) = mpsc::unbounded_channel();
        let (ledger_tx, ledger_rx) = mpsc::unbounded_channel();
        Outputs {
            tally: Arc::default(),
            queries: Queries::default(),
            cells: SharedCells::default(),
            to_publisher,
            outgoing,
            ledger_tx,
            ledger_rx,
        }
    }
}

impl Outputs {
    /// What passes the reports on.
    pub fn listener(&self, telemetry: &Telemetry) -> Listener {
        let router = OutputRouter {
            tally: self.tally.clone(),
            queries: self.queries.clone(),
            cells: self.cells.clone(),
            health: telemetry.health.clone(),
            traces: telemetry.traces.clone(),
            publisher_tx: self.to_publisher.clone(),
            ledger_tx: self.ledger_tx.clone(),
        };
        Arc::new(move |report| router.route(report))
    }
}

/// The receivers of the reports.
pub struct OutputRouter {
    /// Counts of all threads.
    pub tally: Arc<Tally>,
    /// Queries that wait for answers.
    pub queries: Queries,
    /// The released cells.
    pub cells: SharedCells,
    /// Health of the process, which needs to know about progress.
    pub health: Arc<Health>,
    /// The traces.
    pub traces: Traces,
    /// The publisher of cells.
    pub publisher_tx: mpsc::UnboundedSender<PublisherCommand>,
    /// The task that owns the ledger.
    pub ledger_tx: mpsc::UnboundedSender<LedgerCommand>,
}

impl OutputRouter {
    /// Passes a report on. A closed channel means that the process is stopping;
    /// nothing is lost, since everything that is not durable is read again.
    pub fn route(&self, report: Report) {
        match report {
            Report::Cells(epoch, cells) => {
                let mut published = self.cells.lock();
                for (cell, news, released, standing) in cells {
                    published.apply(&cell);
                    if news {
                        let _ = self.publisher_tx.send(PublisherCommand::Cell {
                            cell,
                            epoch,
                            released,
                            standing,
                        });
                    }
                }
            }
            Report::Accepted {
                epoch,
                page,
                dead,
                requests,
            } => {
                self.tally.dead(&dead);
                self.to_ledger(LedgerCommand::Part(epoch, page, dead, requests));
            }
            Report::SaltsDestroyed(brand, before) => {
                self.to_ledger(LedgerCommand::DestroySalts(brand, before));
            }
            Report::SecureDays { done } => self.to_ledger(LedgerCommand::Secure(done)),
            Report::Settle { page, done } => {
                self.to_ledger(LedgerCommand::CommitSettledDays(page, done))
            }
            // The ledger holds no pings of these days, so that a rewrite would remove nothing.
            Report::Settled { pings: 0, .. } => {}
            Report::Settled { brand, before, .. } => {
                self.to_ledger(LedgerCommand::DropPings(brand, before));
            }
            Report::Expired(records) => self.to_ledger(LedgerCommand::CommitExpired(records)),
            Report::EraseSightings(brand, before) => {
                self.to_ledger(LedgerCommand::DropSightings(brand, before));
            }
            Report::Unreadable(why) => self.tally.set_unreadable(why),
            Report::Answer(answer) => self.queries.answer(answer),
            Report::Profile { thread, profile } => self.tally.profile(thread, profile),
            Report::Finished {
                thread,
                before,
                counts,
                times,
            } => {
                self.tally.finished(thread, before, *counts);
                times.iter().for_each(|times| self.trace(thread, times));
                if thread == 0 {
                    self.queries.finished(before);
                    self.traces.finish(before);
                }
                self.health.progress();
            }
        }
    }

    /// Traces what a thread has done of an epoch.
    fn trace(&self, thread: usize, of: &EpochTimes) {
        let thread = ("thread", thread as u64);
        let stage = |stage, times, counts: &[_]| self.traces.stage(of.epoch, stage, times, counts);
        let messages = [thread, ("messages", of.messages)];
        stage(Stage::Decode, (of.begun, of.decoded), &messages);
        stage(Stage::Dataflow, (of.entered, of.finished), &[thread]);
        if let Some(released) = of.released {
            let cells = [thread, ("cells", of.cells)];
            stage(Stage::Release, (of.entered, released), &cells);
        }
    }

    /// Sends a command to the task that owns the ledger.
    fn to_ledger(&self, command: LedgerCommand) {
        let _ = self.ledger_tx.send(command);
    }
}

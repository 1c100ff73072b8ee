//! Worker threads: messages in, epochs through the dataflow, reports out.
//!
//! A [`Batch`] is one epoch. Its messages are split over the threads of this process in order; each
//! thread decodes its share and puts the records into the dataflow, which sends them to their owners,
//! on whatever process. What it has accepted it reports at once, written for the ledger. A thread runs at
//! most a few epochs ahead of what the whole cluster has finished and then takes no more batches, so that
//! memory stays bounded and the feeder feels it.
//!
//! Nothing here knows where messages come from or what becomes of a report: a replay and a running
//! worker feed and listen in their own ways.

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::sync::mpsc::{Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;

use anyhow::{Context, anyhow};
use timely::CommunicationConfig;
use timely::communication::WorkerGuards;
use tributary_config::model::Config;
use tributary_connectors::dead_letter::{DeadLetter, Ignored};
use tributary_connectors::decode::Decoder;
use tributary_connectors::trace::TraceLine;
use tributary_ledger::{Keyring, SealedBlock, WriteBatch};
use tributary_operators::ask::{Answer, Question};
use tributary_operators::cell::Cell;
use tributary_operators::consent_counts::PublishedConsents;
use tributary_operators::engine::Epoch;
use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, Day, RecordKey};
use tributary_operators::salt::Salt;
use tributary_operators::settings::Settings;
use tributary_operators::stats::Snapshot;
use tributary_operators::upsert::ExpiredRecord;

use crate::clock::SaltDays;
use crate::hand::{Hand, Opener};
use crate::suppressed::Suppressed;

/// One message with its place in the order of arrival.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The place: a stream sequence, or the line of a trace.
    pub number: u64,
    /// The message.
    pub line: TraceLine,
}

/// One epoch of input.
#[derive(Debug, Default)]
pub struct Batch {
    /// The epoch; larger than that of the batch before.
    pub epoch: Epoch,
    /// The messages, in the order of arrival.
    pub messages: Vec<Incoming>,
    /// Whether what is accepted of them goes to a ledger.
    pub durable: bool,
    /// What was known before a restart; none in live epochs.
    pub restored: Option<Restored>,
    /// Whether all that was known before a restart has gone in, in an epoch that releases.
    pub complete: bool,
    /// The time, in Unix milliseconds, of the release at its end; none where changed cells stay inside.
    pub release: Option<i64>,
    /// Whether every cell that stands outside is told again.
    pub again: bool,
    /// What is changed from within. Put in by the first thread.
    pub changes: Vec<InnerChange>,
    /// Questions, with the numbers that their answers carry. Asked by the first thread.
    pub questions: Vec<(u64, Question)>,
    /// For each brand the salt days that are open.
    pub salt_days: Vec<SaltDays>,
}

/// A change of what is held that no message asks for.
#[derive(Clone, Debug)]
pub enum InnerChange {
    /// A right that is answered, or in a replay a record whose time is over.
    Event(Event),
    /// What was held under a key at the end of an epoch is past its retention.
    Expire(RecordKey, Epoch),
}

/// What was known before a restart.
#[derive(Debug, Default)]
pub struct Restored {
    /// Blocks of the ledger.
    pub blocks: Vec<SealedBlock>,
    /// Salts of days that are not over.
    pub salts: Vec<(BrandId, Day, Salt)>,
    /// Cells as they stand outside, and when each was told, Unix milliseconds.
    pub stood: Vec<(Cell, i64)>,
}

/// What a worker has to say.
#[derive(Debug)]
pub enum Report {
    /// What a thread has made of its share of an epoch. It comes once a thread for every durable epoch, and for
    /// others where lines were refused.
    Accepted {
        /// The epoch.
        epoch: Epoch,
        /// What was accepted, where it goes to a ledger.
        page: WriteBatch,
        /// The lines that were refused.
        dead: Vec<DeadLetter>,
    },
    /// The salts of a brand's days before one are destroyed on every worker.
    Forgotten(BrandId, Day),
    /// Salt days have settled on the whole cluster: their sums are to become durable, all of them in one commit.
    Settle {
        /// The sums, and up to where days are settled.
        page: WriteBatch,
        /// Hears of it when they are durable.
        done: Sender<()>,
    },
    /// The sums of a brand's salt days before one are durable: their pings are to leave the ledger.
    Settled {
        /// The tenant.
        brand: BrandId,
        /// The first day that has not settled.
        before: Day,
        /// Their pings that this thread has put into the ledger.
        pings: u64,
    },
    /// What was known before a restart cannot be read.
    Unreadable(String),
    /// Cells that changed, by the end of an epoch, and of each whether it is news to the outside.
    Cells(Epoch, Vec<(Cell, bool, i64)>),
    /// A part of an answer.
    Answer(Answer),
    /// Records that were retracted on any worker because they were past their retention. Every process hears of all.
    Expired(Vec<ExpiredRecord>),
    /// Everything before an epoch is finished on every worker, and this one has told all of it.
    Finished {
        /// Which thread of this process.
        thread: usize,
        /// The first epoch that is not finished.
        before: Epoch,
        /// What the thread has counted.
        counts: Counts,
    },
}

/// What a thread has counted since it started.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Events accepted, by brand and kind.
    pub accepted: BTreeMap<(BrandId, &'static str), u64>,
    /// Lines left out on purpose.
    pub ignored: BTreeMap<Ignored, u64>,
    /// Pings that were replaced by the sums of their day.
    pub settled_pings: BTreeMap<BrandId, u64>,
    /// Salt days with pings that have settled. Counted by the first worker of the cluster.
    pub settled_days: BTreeMap<BrandId, u64>,
    /// Records and pings left out because they name somebody who objected.
    pub suppressed: BTreeMap<BrandId, u64>,
    /// Sections of GPP strings that were there and not read, by brand.
    pub unread_sections: BTreeMap<BrandId, u64>,
    /// Identifiers that allow each step, and that refuse it, as far as it may be told.
    pub consents: PublishedConsents,
    /// What the stages count.
    pub stages: Snapshot,
}

impl Counts {
    /// Adds another thread's counts.
    pub fn add(&mut self, other: &Counts) {
        for (key, count) in &other.accepted {
            *self.accepted.entry(*key).or_default() += count;
        }
        for (what, count) in &other.ignored {
            *self.ignored.entry(*what).or_default() += count;
        }
        for (sums, counts) in [
            (&mut self.suppressed, &other.suppressed),
            (&mut self.settled_pings, &other.settled_pings),
            (&mut self.settled_days, &other.settled_days),
        ] {
            for (brand, count) in counts {
                *sums.entry(*brand).or_default() += count;
            }
        }
        for (brand, count) in &other.unread_sections {
            *self.unread_sections.entry(*brand).or_default() += count;
        }
        for (key, [allow, refuse]) in &other.consents {
            let sum = self.consents.entry(*key).or_default();
            *sum = [sum[0] + allow, sum[1] + refuse];
        }
        self.stages = self.stages + other.stages;
    }
}

/// Hears the reports of all threads.
pub type Listener = Arc<dyn Fn(Report) + Send + Sync>;

/// The way to one thread: its batches, and itself to be woken, once it runs.
type Way = (SyncSender<Batch>, Arc<Mutex<Option<Thread>>>);

/// The running threads of this process.
pub struct Workers {
    ends: Vec<Way>,
    /// Joined in [`Workers::finish`] and nowhere else: after a failure nobody waits for threads that cannot end.
    guards: ManuallyDrop<WorkerGuards<Result<(), String>>>,
}

impl Workers {
    /// Starts the threads, and with several hosts waits until all processes have found each other. The keyring
    /// opens what is restored.
    pub fn start(
        config: &Config,
        settings: Arc<Settings>,
        keyring: Arc<Keyring>,
        suppressed: Arc<Suppressed>,
        listener: Listener,
    ) -> anyhow::Result<Workers> {
        let threads = config.workers.threads.max(1);
        let communication = match &config.workers.hosts[..] {
            [] | [_] if threads == 1 => CommunicationConfig::Thread,
            [] | [_] => CommunicationConfig::Process(threads),
            hosts => CommunicationConfig::Cluster {
                threads,
                process: config.workers.process,
                addresses: hosts.to_vec(),
                report: false,
                zerocopy: false,
            },
        };
        let (mut ends, mut starts) = (Vec::new(), Vec::new());
        for _ in 0..threads {
            let (sender, receiver) = sync_channel(2);
            let sleeper = Arc::new(Mutex::new(None));
            ends.push((sender, sleeper.clone()));
            starts.push(Some((receiver, sleeper)));
        }
        let starts = Mutex::new(starts);
        let decoder = Decoder::new(config);
        let opener = Opener::new(config, keyring, suppressed);
        let timely_config = timely::Config {
            communication,
            worker: timely::WorkerConfig::default(),
        };
        let guards = timely::execute(timely_config, move |worker| {
            let thread = worker.index() % threads;
            let start = lock(&starts).get_mut(thread).and_then(Option::take);
            let (batches, sleeper) = start.ok_or("a worker thread was started twice")?;
            *lock(&sleeper) = Some(std::thread::current());
            let (decoder, opener) = (decoder.clone(), opener.clone());
            Hand::new(worker, thread, &settings, decoder, opener, listener.clone())
                .run(worker, &batches);
            Ok(())
        })
        .map_err(|error| anyhow!(error))
        .context("cannot start the worker threads")?;
        let guards = ManuallyDrop::new(guards);
        Ok(Workers { ends, guards })
    }

    /// Hands a batch to the threads; waits while they are behind. Returns whether they still run.
    pub fn send(&self, batch: Batch) -> bool {
        let Batch {
            epoch,
            messages,
            durable,
            restored,
            complete,
            release,
            again,
            changes,
            questions,
            salt_days,
        } = batch;
        let mut changes = Some(changes);
        let restoring = restored.is_some();
        let Restored {
            blocks,
            salts,
            stood,
        } = restored.unwrap_or_default();
        let share_of_blocks = blocks.len().div_ceil(self.ends.len()).max(1);
        let mut blocks = blocks.into_iter();
        let mut first = Some((salts, stood));
        let share = messages.len().div_ceil(self.ends.len()).max(1);
        let mut messages = messages.into_iter();
        let mut questions = Some(questions);
        for (thread, (sender, sleeper)) in self.ends.iter().enumerate() {
            let part = Batch {
                epoch,
                messages: messages.by_ref().take(share).collect(),
                durable,
                restored: restoring.then(|| {
                    let (salts, stood) = first.take().unwrap_or_default();
                    let blocks = blocks.by_ref().take(share_of_blocks).collect();
                    Restored {
                        blocks,
                        salts,
                        stood,
                    }
                }),
                complete,
                release: release.filter(|_| thread == 0),
                again,
                changes: changes.take().unwrap_or_default(),
                questions: questions.take().unwrap_or_default(),
                salt_days: salt_days.clone(),
            };
            if sender.send(part).is_err() {
                return false;
            }
            if let Some(sleeper) = &*lock(sleeper) {
                sleeper.unpark();
            }
        }
        true
    }

    /// Ends the input and waits until everything is through.
    pub fn finish(self) -> anyhow::Result<()> {
        drop(self.ends);
        for outcome in ManuallyDrop::into_inner(self.guards).join() {
            outcome
                .and_then(|inner| inner)
                .map_err(|error| anyhow!("a worker failed: {error}"))?;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

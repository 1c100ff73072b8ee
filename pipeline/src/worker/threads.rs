//! Worker threads: messages in, epochs through the dataflow, reports out.
//!
//! A [`Batch`] is one epoch. Its messages are split over the threads of this process in order. Each thread decodes its share
//! and puts the records into the dataflow, which sends them to the workers that own them, on any process. A thread reports at
//! once what it has accepted, encoded for the ledger. A thread runs a few epochs ahead of the cluster at most and then takes
//! no more batches, so that memory stays bounded and the feeder feels the back pressure.
//!
//! This module does not know where messages come from, nor what becomes of a report: a replay and a running worker each bring
//! their own feeder and receiver.

use std::mem::ManuallyDrop;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;

use anyhow::{Context, anyhow};
use timely::CommunicationConfig;
use timely::communication::WorkerGuards;
use tributary_config::model::Config;
use tributary_connectors::decode::Decoder;
use tributary_ledger::Keyring;
use tributary_operators::settings::Settings;

use crate::epochs::batch::{Batch, Listener, Restored};
use crate::privacy::objections::Objections;
use crate::worker::thread::{BlockOpener, WorkerThread};

/// The way to one thread: its batches, and itself to be woken, once it runs.
type ThreadHandle = (SyncSender<Batch>, Arc<Mutex<Option<Thread>>>);

/// The running threads of this process.
pub struct Workers {
    ends: Vec<ThreadHandle>,
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
        objections: Arc<Objections>,
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
        let opener = BlockOpener::new(config, keyring, objections);
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
            WorkerThread::new(worker, thread, &settings, decoder, opener, listener.clone())
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
            all_restored,
            release,
            republish,
            changes,
            questions,
            salt_days,
        } = batch;
        let mut changes = Some(changes);
        let restoring = restored.is_some();
        let Restored {
            blocks,
            salts,
            published,
        } = restored.unwrap_or_default();
        let share_of_blocks = blocks.len().div_ceil(self.ends.len()).max(1);
        let mut blocks = blocks.into_iter();
        let mut first = Some((salts, published));
        let share = messages.len().div_ceil(self.ends.len()).max(1);
        let mut messages = messages.into_iter();
        let mut questions = Some(questions);
        for (thread, (sender, sleeper)) in self.ends.iter().enumerate() {
            let part = Batch {
                epoch,
                messages: messages.by_ref().take(share).collect(),
                durable,
                restored: restoring.then(|| {
                    let (salts, published) = first.take().unwrap_or_default();
                    let blocks = blocks.by_ref().take(share_of_blocks).collect();
                    Restored {
                        blocks,
                        salts,
                        published,
                    }
                }),
                all_restored,
                release: release.filter(|_| thread == 0),
                republish,
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

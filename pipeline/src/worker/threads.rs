//! Worker threads: batches go in, epochs pass through the dataflow, reports
//! come out.
//!
//! A [`Batch`] is one epoch. Its messages are divided among the threads of this
//! process in order of arrival. Each thread decodes its share and feeds the
//! records to the dataflow, which exchanges them with the workers that own
//! them, on any process. A thread runs at most a few epochs ahead of the
//! cluster and then accepts no more batches: memory stays bounded, and the feed
//! experiences back pressure.
//!
//! The division of the messages affects no result. A record carries its place
//! in the order of arrival, and every operator is independent of the order of
//! updates within an epoch, so that any number of threads on any number of
//! hosts computes the same cells (invariant I1).
//!
//! This module knows neither the source of the messages nor the effect of a
//! report: a replay and a running worker each bring their own feed and
//! listener. A panic of a thread ends the process in a release build (`panic =
//! "abort"`), because the state of the dataflow is recomputed at the restart.

use std::any::Any;
use std::mem::ManuallyDrop;
use std::net::TcpStream;
use std::sync::mpsc::{SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;

use anyhow::{Context, anyhow};
use timely::CommunicationConfig;
use timely::communication::allocator::ProcessBuilder;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::{AllocatorBuilder, Hooks, WorkerGuards};
use tributary_config::model::Config;
use tributary_connectors::decode::Decoder;
use tributary_ledger::Keyring;
use tributary_operators::label::Label;
use tributary_operators::record::BrandId;
use tributary_operators::settings::Settings;

use crate::epochs::batch::{Batch, Listener, Restored};
use crate::privacy::objections::Objections;
use crate::worker::peer_tls::Relay;
use crate::worker::peers::Connections;
use crate::worker::thread::{BlockOpener, Change, Command, WorkerThread};

/// Access to one thread: the channel of its commands, and the thread itself, to
/// unpark it, once it runs.
type ThreadHandle = (SyncSender<Command>, Arc<Mutex<Option<Thread>>>);

/// The running threads of this process.
pub struct Workers {
    /// One handle per thread. Dropping them ends the input.
    ends: Vec<ThreadHandle>,
    /// Join handles of Timely. [`Workers::finish`] alone joins them: after a
    /// failure, nothing waits for threads that cannot end.
    guards: ManuallyDrop<WorkerGuards<Result<(), String>>>,
    /// What encrypts the connections to other processes, if anything does. After a
    /// failure they stay open: Timely ends the process when they close, before it
    /// can say why.
    relay: ManuallyDrop<Option<Arc<Relay>>>,
}

impl Workers {
    /// Starts the threads. `peers` are the connections to the other processes of a
    /// cluster ([`super::peers`]); none for a process that is alone.
    ///
    /// `decoder` reads messages, `keyring` opens restored blocks, `objections` refuses arriving records, and
    /// `listener` receives the reports of all threads.
    ///
    /// # Errors
    ///
    /// Threads that cannot be created.
    pub fn start(
        config: &Config,
        settings: Arc<Settings>,
        decoder: Decoder,
        keyring: Arc<Keyring>,
        objections: Arc<Objections>,
        listener: Listener,
        peers: Connections,
    ) -> anyhow::Result<Workers> {
        let Connections {
            streams: peers,
            relay,
            ..
        } = peers;
        let threads = config.workers.threads.max(1);
        let (builders, network) = allocators(threads, config.workers.process, peers)
            .context("cannot start the worker threads")?;
        let (mut ends, mut starts) = (Vec::new(), Vec::new());
        for _ in 0..threads {
            let (sender, receiver) = sync_channel(2);
            let sleeper = Arc::new(Mutex::new(None));
            ends.push((sender, sleeper.clone()));
            starts.push(Some((receiver, sleeper)));
        }
        let starts = Mutex::new(starts);
        let opener = BlockOpener::new(config, keyring, objections);
        // An older copy of one ledger may lack the salts under which others have pings.
        let secures_days = config.workers.standby && config.workers.hosts.len() > 1;
        let settings_of_timely = timely::WorkerConfig::default();
        let guards =
            timely::execute::execute_from(builders, network, settings_of_timely, move |worker| {
                let thread = worker.index() % threads;
                let start = lock(&starts).get_mut(thread).and_then(Option::take);
                let (batches, sleeper) = start.ok_or("a worker thread was started twice")?;
                *lock(&sleeper) = Some(std::thread::current());
                let (decoder, opener) = (decoder.clone(), opener.clone());
                let mut of =
                    WorkerThread::new(worker, thread, &settings, decoder, opener, listener.clone());
                of.secures_days = secures_days;
                of.run(worker, &batches);
                Ok(())
            })
            .map_err(|error| anyhow!(error))
            .context("cannot start the worker threads")?;
        let guards = ManuallyDrop::new(guards);
        Ok(Workers {
            ends,
            guards,
            relay: ManuallyDrop::new(relay),
        })
    }

    /// Sends a batch to the threads and waits while they are behind. Returns false
    /// if they have stopped.
    ///
    /// Messages and restored blocks are divided among the threads. The first thread
    /// receives everything that must be fed exactly once: changes, queries, salts,
    /// published cells and the release time.
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
            is_traced,
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
                is_traced,
            };
            if !tell(sender, sleeper, Command::Batch(Box::new(part))) {
                return false;
            }
        }
        true
    }

    /// Has the threads go on with another configuration, and waits until they have
    /// finished and reported every epoch that was sent before and have changed. Returns
    /// false if they have stopped.
    ///
    /// Only for a process that is alone: those of a cluster would have to change before
    /// the same epoch.
    pub fn change(
        &self,
        config: &Config,
        settings: Arc<Settings>,
        decoder: Decoder,
        keyring: Arc<Keyring>,
        objections: Arc<Objections>,
    ) -> bool {
        let (done, changed) = channel();
        let change = Change {
            settings,
            decoder,
            opener: BlockOpener::new(config, keyring, objections),
            done,
        };
        for (sender, sleeper) in &self.ends {
            if !tell(sender, sleeper, Command::Change(Box::new(change.clone()))) {
                return false;
            }
        }
        drop(change);
        self.ends.iter().all(|_| changed.recv().is_ok())
    }

    /// Whether records use any of these names; `None` if a thread has stopped.
    pub fn know(&self, labels: &[(BrandId, Label)]) -> Option<bool> {
        let (answer, answers) = channel();
        for (sender, sleeper) in &self.ends {
            let command = Command::Knows(labels.to_vec(), answer.clone());
            if !tell(sender, sleeper, command) {
                return None;
            }
        }
        drop(answer);
        let mut answers = self.ends.iter().map(|_| answers.recv().ok());
        answers.try_fold(false, |any, knows| Some(any | knows?))
    }

    /// Ends the input and waits until every epoch is finished.
    ///
    /// # Errors
    ///
    /// The failure of a thread.
    pub fn finish(self) -> anyhow::Result<()> {
        drop(self.ends);
        for outcome in ManuallyDrop::into_inner(self.guards).join() {
            outcome
                .and_then(|inner| inner)
                .map_err(|error| anyhow!("a worker failed: {error}"))?;
        }
        if let Some(relay) = ManuallyDrop::into_inner(self.relay) {
            relay.finish();
        }
        Ok(())
    }
}

/// The decoder of a process.
pub fn decoder_of(config: &Config) -> Decoder {
    let decoder = Decoder::new(config);
    match config.nats.pings_stream {
        Some(_) => decoder.refusing_addresses(),
        None => decoder,
    }
}

/// Sends a command to a thread. Returns false if it has stopped.
fn tell(sender: &SyncSender<Command>, sleeper: &Mutex<Option<Thread>>, command: Command) -> bool {
    if sender.send(command).is_err() {
        return false;
    }
    if let Some(sleeper) = &*lock(sleeper) {
        sleeper.unpark();
    }
    true
}

/// What Timely exchanges data with: the threads of this process, and the other
/// processes if there are `peers`.
///
/// # Errors
///
/// Threads that cannot be created.
fn allocators(
    threads: usize,
    process: usize,
    peers: Vec<Option<TcpStream>>,
) -> anyhow::Result<(Vec<AllocatorBuilder>, Box<dyn Any + Send>)> {
    if peers.len() <= 1 {
        let alone = match threads {
            1 => CommunicationConfig::Thread,
            threads => CommunicationConfig::Process(threads),
        };
        return alone.try_build().map_err(|error| anyhow!(error));
    }
    let hooks = Hooks::default();
    let own = ProcessBuilder::new_typed_vector(threads, hooks.refill.clone(), hooks.spill.clone());
    let (builders, guard) =
        initialize_networking_from_sockets(own, peers, process, threads, hooks)?;
    let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
    Ok((builders, Box::new(guard)))
}

/// Locks a mutex. A poisoned lock is used as it is: no critical section here
/// can leave its data incomplete.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

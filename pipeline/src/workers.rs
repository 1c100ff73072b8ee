//! Worker threads: messages in, epochs through the dataflow, reports out.
//!
//! A [`Batch`] is one epoch. Its messages are split over the threads of this process in order; each
//! thread decodes its share and puts the records into the dataflow, which sends them to their owners,
//! on whatever process. A thread runs at most a few epochs ahead of what the whole cluster has finished
//! and then takes no more batches, so that memory stays bounded and the feeder feels it.
//!
//! Nothing here knows where messages come from or what becomes of a report: a replay and a running
//! worker feed and listen in their own ways.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use timely::CommunicationConfig;
use timely::communication::WorkerGuards;
use timely::worker::Worker;
use tributary_config::model::{Config, Kind};
use tributary_connectors::dead::DeadLetter;
use tributary_connectors::decode::{Decoder, Ignored, Message, Sink};
use tributary_connectors::trace::TraceLine;
use tributary_operators::ask::{Answer, Question};
use tributary_operators::cell::Cell;
use tributary_operators::dataflow::{Dataflow, Output, build};
use tributary_operators::engine::Epoch;
use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, Day};
use tributary_operators::settings::Settings;
use tributary_operators::stats::Snapshot;

/// How many epochs a worker may run ahead of the cluster.
const AHEAD: usize = 4;

/// How long an idle worker sleeps unless it is woken.
const NAP: Duration = Duration::from_millis(2);

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
    /// Whether changed cells leave at its end.
    pub release: bool,
    /// Questions, with the numbers that their answers carry. Asked by the first thread.
    pub questions: Vec<(u64, Question)>,
    /// For each brand the first salt day of which pings may still come.
    pub salt_days: Vec<(BrandId, Day)>,
}

/// What a worker has to say.
#[derive(Debug)]
pub enum Report {
    /// Lines that were refused.
    Dead(Vec<DeadLetter>),
    /// Cells that changed, by the end of an epoch, and of each whether it is news to the outside.
    Cells(Epoch, Vec<(Cell, bool)>),
    /// A part of an answer.
    Answer(Answer),
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
    /// Lines left out on purpose: pings of fixed devices.
    pub ignored: u64,
    /// What the stages count.
    pub stages: Snapshot,
}

impl Counts {
    /// Adds another thread's counts.
    pub fn add(&mut self, other: &Counts) {
        for (key, count) in &other.accepted {
            *self.accepted.entry(*key).or_default() += count;
        }
        self.ignored += other.ignored;
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
    guards: WorkerGuards<Result<(), String>>,
}

impl Workers {
    /// Starts the threads, and with several hosts waits until all processes have found each other.
    pub fn start(
        config: &Config,
        settings: Arc<Settings>,
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
        let timely_config = timely::Config {
            communication,
            worker: timely::WorkerConfig::default(),
        };
        let guards = timely::execute(timely_config, move |worker| {
            let thread = worker.index() % threads;
            let start = lock(&starts).get_mut(thread).and_then(Option::take);
            let (batches, sleeper) = start.ok_or("a worker thread was started twice")?;
            *lock(&sleeper) = Some(std::thread::current());
            Hand::new(worker, thread, &settings, decoder.clone(), listener.clone())
                .run(worker, &batches);
            Ok(())
        })
        .map_err(|error| anyhow!(error))
        .context("cannot start the worker threads")?;
        Ok(Workers { ends, guards })
    }

    /// Hands a batch to the threads; waits while they are behind. Returns whether they still run.
    pub fn send(&self, batch: Batch) -> bool {
        let Batch {
            epoch,
            messages,
            release,
            questions,
            salt_days,
        } = batch;
        let share = messages.len().div_ceil(self.ends.len()).max(1);
        let mut messages = messages.into_iter();
        let mut questions = Some(questions);
        for (thread, (sender, sleeper)) in self.ends.iter().enumerate() {
            let part = Batch {
                epoch,
                messages: messages.by_ref().take(share).collect(),
                release: release && thread == 0,
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
        for outcome in self.guards.join() {
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

/// One worker thread at work: a hand of the process.
struct Hand {
    thread: usize,
    dataflow: Dataflow,
    decoder: Decoder,
    listener: Listener,
    told: Rc<RefCell<Vec<(Epoch, Output)>>>,
    counts: Counts,
    dead: Vec<DeadLetter>,
    ahead: VecDeque<Epoch>,
    salt_days: BTreeMap<BrandId, Day>,
}

impl Hand {
    fn new(
        worker: &mut Worker,
        thread: usize,
        settings: &Arc<Settings>,
        decoder: Decoder,
        listener: Listener,
    ) -> Hand {
        let told = Rc::new(RefCell::new(Vec::new()));
        let sink = told.clone();
        let dataflow = build(worker, settings.clone(), move |epoch, output| {
            sink.borrow_mut().push((epoch, output));
        });
        Hand {
            thread,
            dataflow,
            decoder,
            listener,
            told,
            counts: Counts::default(),
            dead: Vec::new(),
            ahead: VecDeque::new(),
            salt_days: BTreeMap::new(),
        }
    }

    fn run(mut self, worker: &mut Worker, batches: &Receiver<Batch>) {
        loop {
            while self.ahead.len() >= AHEAD {
                worker.step_or_park(Some(NAP));
                self.report();
            }
            match batches.try_recv() {
                Ok(batch) => {
                    self.put_in(worker, batch);
                    worker.step();
                }
                Err(TryRecvError::Empty) => {
                    worker.step_or_park(Some(NAP));
                }
                Err(TryRecvError::Disconnected) => break,
            }
            self.report();
        }
        // Other processes may still send what belongs here.
        self.dataflow.end();
        while !self.dataflow.is_complete() {
            worker.step_or_park(Some(NAP));
            self.report();
        }
        self.report();
    }

    fn put_in(&mut self, worker: &mut Worker, batch: Batch) {
        let Batch {
            epoch,
            messages,
            release,
            questions,
            salt_days,
        } = batch;
        self.dataflow.advance_to(epoch);
        let mut sink = Door {
            worker,
            dataflow: &mut self.dataflow,
            counts: &mut self.counts,
            dead: &mut self.dead,
            kind: "",
        };
        for Incoming { number, line } in &messages {
            let message = Message {
                subject: &line.subject,
                at: line.at,
                number: *number,
                headers: &line.headers,
                data: &line.data,
            };
            let kind = line.subject.split('.').nth(3).unwrap_or_default();
            let known = Kind::ALL.iter().find(|known| known.name() == kind);
            sink.kind = known.map_or("", |kind| kind.name());
            self.decoder.message(&message, &mut sink);
        }
        for (brand, day) in salt_days {
            if self.salt_days.insert(brand, day) != Some(day) {
                self.dataflow.days_are_over(brand, day);
            }
        }
        for (number, question) in questions {
            self.dataflow.ask(number, question);
        }
        if release {
            self.dataflow.release();
        }
        self.dataflow.advance_to(epoch + 1);
        self.ahead.push_back(epoch + 1);
        if !self.dead.is_empty() {
            (self.listener)(Report::Dead(std::mem::take(&mut self.dead)));
        }
    }

    /// Tells what has come out, and which epochs are finished.
    fn report(&mut self) {
        let mut finished = None;
        while let Some(before) = self.ahead.front().copied() {
            if !self.dataflow.is_done_before(before) {
                break;
            }
            self.ahead.pop_front();
            finished = Some(before);
        }
        let told = std::mem::take(&mut *self.told.borrow_mut());
        let mut cells: BTreeMap<Epoch, Vec<(Cell, bool)>> = BTreeMap::new();
        for (epoch, output) in told {
            match output {
                Output::Cell { cell, news } => cells.entry(epoch).or_default().push((cell, news)),
                Output::Answer(answer) => (self.listener)(Report::Answer(answer)),
            }
        }
        for (epoch, cells) in cells {
            (self.listener)(Report::Cells(epoch, cells));
        }
        if let Some(before) = finished {
            self.counts.stages = self.dataflow.stats.snapshot();
            let counts = self.counts.clone();
            (self.listener)(Report::Finished {
                thread: self.thread,
                before,
                counts,
            });
        }
    }
}

/// Where the decoder's findings go.
struct Door<'a> {
    worker: &'a mut Worker,
    dataflow: &'a mut Dataflow,
    counts: &'a mut Counts,
    dead: &'a mut Vec<DeadLetter>,
    /// The kind that the message's subject names.
    kind: &'static str,
}

impl Sink for Door<'_> {
    fn event(&mut self, event: Event) {
        let brand = match &event {
            Event::Put { record, .. } => Some(record.brand),
            Event::Ping { ping, .. } => Some(ping.brand),
            Event::Drop { .. } | Event::Heard { .. } | Event::Word { .. } => None,
        };
        if let Some(brand) = brand {
            *self.counts.accepted.entry((brand, self.kind)).or_default() += 1;
        }
        let event = self.dataflow.salted(self.worker, event);
        self.dataflow.event(event);
    }

    fn dead(&mut self, dead: DeadLetter) {
        self.dead.push(dead);
    }

    fn ignored(&mut self, _: Ignored) {
        self.counts.ignored += 1;
    }
}

//! One worker thread of the process: it decodes its share of each epoch, feeds
//! the dataflow, and steps it.
//!
//! An epoch passes through three phases. `begin` decodes the messages of the
//! batch; the accepted events enter the dataflow and the write batch for the
//! ledger at the same time, so that the two never disagree. The epoch then
//! stays open until every ping has its salt. `end` applies the internal
//! changes, closes salt days, asks the queries, and advances the input
//! frontier, which lets the dataflow finish the epoch.
//!
//! The thread takes no lock while it works and never blocks inside an epoch.
//! Salts are requested a day ahead; a ping whose salt has not been allocated
//! yet waits in the intake while the thread keeps stepping the dataflow and
//! reporting its output.
//!
//! A large epoch goes through the dataflow before the thread takes the next batch.
//! Only while it has nothing to do for the epochs that it has begun, because they
//! wait for other workers or for a thread beside this one, does it begin another.
//! Epochs that were begun earlier would share the thread: each would take as much
//! longer as there are of them, and no epoch would be finished earlier. Small epochs
//! are begun together, because they share the steps of the dataflow. At most `AHEAD`
//! epochs are unfinished at a time, which bounds the memory for updates in flight.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use timely::worker::Worker;
use tributary_config::model::Kind;
use tributary_connectors::dead_letter::DeadLetter;
use tributary_connectors::decode::{Decoder, Message, Withdrawal};
use tributary_connectors::nats::OutgoingMessage;
use tributary_ledger::WriteBatch;
use tributary_operators::ask::Question;
use tributary_operators::dataflow::{Output, build};
use tributary_operators::engine::{Epoch, Profiler};
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{BrandId, Day};
use tributary_operators::settings::Settings;

use crate::epochs::batch::{
    Batch, EpochTimes, Incoming, InternalChange, Listener, Report, Restored,
};
use crate::epochs::clock::SaltDays;
use crate::report::counts::Counts;

mod change;
mod intake;
mod opener;
mod outputs;
mod settling;
mod times;

pub use change::Change;
use intake::{IngestSink, Intake, Origin};
pub use opener::BlockOpener;
use settling::Settling;
use times::ThreadTimes;

/// Maximum number of epochs that a thread may have ended before the whole
/// cluster has finished them. Beyond it the thread takes no further batch.
const AHEAD: usize = 4;

/// Number of messages and changes from which on the epochs that a thread has begun
/// are finished before it takes another batch. Fewer are worth less than a step of
/// the dataflow through all its operators, which several epochs share.
const LITTLE: usize = 1_000;

/// Maximum time that an idle thread parks before it looks for a batch again.
/// Timely wakes it earlier when a message from another worker arrives.
const NAP: Duration = Duration::from_millis(2);

/// Whether the last step found an operator to run, so that the next one may find
/// another.
fn is_busy(worker: &Worker) -> bool {
    // Timely forgets the operators of a step at the beginning of the next one.
    let activations = worker.activations();
    let next = activations.borrow().empty_for();
    next == Some(Duration::ZERO)
}

/// What a thread is told to do.
pub enum Command {
    /// To process an epoch.
    Batch(Box<Batch>),
    /// To go on with another configuration.
    Change(Box<Change>),
    /// To say whether records use any of these names.
    Knows(Vec<(BrandId, Label)>, Sender<bool>),
}

/// State of one worker thread: its decoder, its instance of the dataflow, and
/// the open epoch.
///
/// Timely operators are not `Send`, so the value is created on the thread that
/// uses it and stays there.
pub struct WorkerThread {
    /// Index of the thread within this process, from 0.
    thread: usize,
    /// Decodes messages; it also knows which label names this thread has announced.
    decoder: Decoder,
    /// Decrypts restored blocks and refuses records that must not enter.
    opener: BlockOpener,
    /// Receives accepted events.
    intake: Intake,
    /// Callback that receives every [`Report`] of this thread.
    listener: Listener,
    /// Outputs of the dataflow since the last report, each with its epoch. Shared
    /// with the output operator, which runs within `Worker::step` on this same
    /// thread.
    outputs: Rc<RefCell<Vec<(Epoch, Output)>>>,
    /// Dead letters of the open epoch.
    dead: Vec<DeadLetter>,
    /// Rights requests of the open epoch that vendors pass on.
    requests: Vec<OutgoingMessage>,
    /// Ended epochs that the cluster has not finished, ascending.
    ahead: VecDeque<Ahead>,
    /// How long decoding and epochs take.
    times: ThreadTimes,
    /// The epoch that has begun and not ended. No batch is taken while it is set.
    open: Option<Open>,
    /// For each brand, the salt days that were open at the last epoch.
    salt_days: BTreeMap<BrandId, SaltDays>,
    /// Salt days that are closed and whose totals are not durable yet. Only the
    /// first worker of the cluster receives any.
    settling: Settling,
    /// Whether a salt day is closed only once no standby can take over without what is
    /// committed of it.
    pub secures_days: bool,
    /// Salt days that are over and not yet closed: the channel that confirms that they
    /// may be, the brand and the first day that stays open.
    closing: Vec<(Receiver<()>, BrandId, Day)>,
    /// Labels that the dataflow no longer references, with the epoch as of which
    /// that holds. The next epoch withdraws them.
    unused: BTreeMap<(BrandId, Label), Epoch>,
    /// The change of the configuration that waits until all epochs are finished. No
    /// batch is taken while there is one.
    change: Option<Box<Change>>,
    /// Whether the restore of this thread is complete: the first batch without
    /// restored state sets it.
    is_restored: bool,
}

/// An epoch that has ended and that the cluster has not finished.
struct Ahead {
    /// The input frontier after it.
    before: Epoch,
    /// When it began.
    begun: Instant,
    /// The number of its messages and changes.
    size: usize,
    /// Its times, if it is traced.
    times: Option<EpochTimes>,
}

/// The part of a [`Batch`] that `end` needs once all pings of the epoch have
/// their salts. The fields have the meaning that they have in the batch.
struct Open {
    epoch: Epoch,
    /// When the thread began the epoch.
    begun: Instant,
    /// The number of its messages and changes; unbounded if it restores state.
    size: usize,
    /// Its times, if it is traced.
    times: Option<EpochTimes>,
    durable: bool,
    all_restored: bool,
    release: Option<i64>,
    republish: bool,
    changes: Vec<InternalChange>,
    questions: Vec<(u64, Question)>,
    salt_days: Vec<SaltDays>,
}

impl WorkerThread {
    /// Builds the dataflow on `worker`. `thread` is the index of the thread within
    /// this process.
    pub fn new(
        worker: &mut Worker,
        thread: usize,
        settings: &Arc<Settings>,
        decoder: Decoder,
        opener: BlockOpener,
        listener: Listener,
    ) -> WorkerThread {
        let outputs = Rc::new(RefCell::new(Vec::new()));
        let sink = outputs.clone();
        let times = ThreadTimes::new(Profiler::attach(worker));
        let dataflow = build(worker, settings.clone(), move |epoch, output| {
            sink.borrow_mut().push((epoch, output));
        });
        WorkerThread {
            thread,
            decoder,
            opener,
            intake: Intake {
                dataflow,
                counts: Counts::default(),
                page: None,
                sealed: BTreeSet::new(),
                pings: BTreeMap::new(),
                waiting: Vec::new(),
            },
            listener,
            outputs,
            dead: Vec::new(),
            requests: Vec::new(),
            ahead: VecDeque::new(),
            times,
            open: None,
            salt_days: BTreeMap::new(),
            settling: Settling::default(),
            secures_days: false,
            closing: Vec::new(),
            unused: BTreeMap::new(),
            change: None,
            is_restored: false,
        }
    }

    /// Processes batches until their channel is disconnected and the dataflow has
    /// finished on every worker of the cluster.
    ///
    /// Between batches the thread steps the dataflow and parks for at most `NAP`.
    pub fn run(mut self, worker: &mut Worker, commands: &Receiver<Command>) {
        loop {
            let is_free = self.open.is_none()
                && self.ahead.len() < AHEAD
                && self.change.is_none()
                && (self.is_little_ahead() || !is_busy(worker));
            let next = match is_free {
                true => commands.try_recv(),
                false => Err(TryRecvError::Empty),
            };
            match next {
                Ok(Command::Batch(batch)) => {
                    self.begin(*batch);
                    worker.step();
                }
                Ok(Command::Change(change)) => self.change = Some(change),
                Ok(Command::Knows(labels, answer)) => {
                    let decoder = &mut self.decoder;
                    let mut labels = labels.into_iter();
                    let knows = labels.any(|(brand, label)| decoder.knows_label(brand, label));
                    // Whoever waits may have ended.
                    let _ = answer.send(knows);
                }
                Err(TryRecvError::Empty) => {
                    let nap = if is_busy(worker) { Duration::ZERO } else { NAP };
                    worker.step_or_park(Some(nap));
                    self.resume();
                }
                Err(TryRecvError::Disconnected) => break,
            }
            self.report();
            if self.open.is_none()
                && self.ahead.is_empty()
                && let Some(change) = self.change.take()
            {
                let dataflow = &mut self.intake.dataflow;
                change.apply(dataflow, &mut self.decoder, &mut self.opener);
            }
        }
        // Other processes may still send what belongs here.
        self.intake.dataflow.end();
        while !self.intake.dataflow.is_complete() {
            worker.step_or_park(Some(NAP));
            self.report();
        }
        self.report();
        self.report_profile(true);
    }

    /// Whether the epochs that were begun and are not finished are small together.
    fn is_little_ahead(&self) -> bool {
        let sizes = self.ahead.iter().map(|ahead| ahead.size);
        sizes.fold(0_usize, usize::saturating_add) < LITTLE
    }

    /// Opens an epoch: restores state if the batch carries any, decodes the
    /// messages, and ends the epoch at once if no ping waits for a salt.
    fn begin(&mut self, batch: Batch) {
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
        let begun = Instant::now();
        let mut times = is_traced.then(|| EpochTimes::begin(epoch));
        let size = match restored {
            Some(_) => usize::MAX,
            None => messages.len() + changes.len(),
        };
        self.intake.dataflow.advance_to(epoch);
        match restored {
            Some(restored) => self.restore(restored),
            None => {
                self.intake.dataflow.finish_restore();
                self.is_restored = true;
            }
        }
        self.draw_salts(&salt_days);
        self.intake.page = durable.then(|| WriteBatch::of_thread(self.thread));
        self.decoder.begin_epoch(epoch);
        if durable || !messages.is_empty() {
            self.withdraw_words();
        }
        let mut sink = IngestSink {
            objections: self.opener.objections.snapshot(),
            intake: &mut self.intake,
            dead: &mut self.dead,
            requests: &mut self.requests,
            arrival_filter: &mut self.opener.arrival_filter,
            at: 0,
            origin: Origin {
                kind: "",
                source: "".into(),
            },
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
            sink.at = line.at;
            sink.origin.kind = known.map_or("", |kind| kind.name());
            self.decoder.decode(&message, &mut sink);
        }
        self.times.decoded(messages.len(), begun);
        if let Some(times) = &mut times {
            times.decoded = Instant::now();
            times.messages = messages.len() as u64;
        }
        drop(messages);
        self.open = Some(Open {
            epoch,
            begun,
            size,
            times,
            durable,
            all_restored,
            release,
            republish,
            changes,
            questions,
            salt_days,
        });
        self.resume();
    }

    /// Withdraws the label names that nothing references any more, before this
    /// epoch can use one of them.
    ///
    /// A label that the decoder has used since the dataflow reported it is checked
    /// again instead.
    fn withdraw_words(&mut self) {
        for ((brand, label), as_of) in std::mem::take(&mut self.unused) {
            let Intake { dataflow, page, .. } = &mut self.intake;
            match self.decoder.withdraw_label(brand, label, as_of) {
                Withdrawal::NotAnnounced => {}
                // It was used for what was refused, if nothing names it even now.
                Withdrawal::UsedSince => dataflow.recheck_label(brand, label),
                Withdrawal::Withdrawn => {
                    dataflow.withdraw_label(brand, label);
                    if let Some(page) = page {
                        page.withdraw(brand, label);
                    }
                }
            }
        }
    }

    /// Requests the salts of all open salt days, tomorrow included. Only thread 0
    /// of a process does so, and only when the days have changed.
    fn draw_salts(&mut self, salt_days: &[SaltDays]) {
        for days in salt_days.iter().filter(|_| self.thread == 0) {
            if self.salt_days.get(&days.brand) != Some(days) {
                for day in days.first..=days.last {
                    self.intake.dataflow.request_salt(days.brand, day);
                }
            }
        }
    }

    /// Retries the pings and sightings that wait for a salt, and ends the open epoch when none is
    /// left.
    fn resume(&mut self) {
        if self.open.is_none() {
            return;
        }
        self.intake.retry();
        if self.intake.waiting.is_empty()
            && let Some(open) = self.open.take()
        {
            self.end(open);
        }
    }

    /// Applies internal changes, reports what was accepted, closes salt days, asks
    /// queries, and advances the input to the next epoch.
    ///
    /// The order matters: the ledger must receive the pings of a salt day before
    /// this worker closes the day.
    fn end(&mut self, open: Open) {
        let Open {
            epoch,
            begun,
            size,
            mut times,
            durable,
            all_restored,
            release,
            republish,
            changes,
            questions,
            salt_days,
        } = open;
        let dataflow = &mut self.intake.dataflow;
        let mut page = self.intake.page.take();
        for change in changes {
            let change = match change {
                InternalChange::Event(event) => event,
                InternalChange::Expire(key, as_of) => {
                    dataflow.expire(key, as_of);
                    continue;
                }
                InternalChange::Erase(key, reach) => {
                    dataflow.erase(key, reach);
                    continue;
                }
                InternalChange::EraseSightings(brand, before) => {
                    dataflow.erase_sightings(brand, before);
                    continue;
                }
                InternalChange::Act(brand, ids) => {
                    dataflow.join_act(brand, ids);
                    continue;
                }
            };
            // What is taken back leaves the ledger by being written anew without it.
            let brand = match &change {
                Event::Put { record, .. } => Some(record.brand),
                Event::LinkTime { brand, .. } | Event::SightingsSettled { brand, .. } => {
                    Some(*brand)
                }
                Event::UnmatchedStays { unmatched } => Some(unmatched.brand),
                _ => None,
            };
            if let Some((brand, page)) = brand.zip(page.as_mut()) {
                page.push(brand, &change);
            }
            match change {
                // The ledgers of all processes keep the sightings until that is durable.
                Event::SightingsSettled { brand, before } => {
                    dataflow.settle_sightings(brand, before);
                }
                change => dataflow.apply(change),
            }
        }
        // The ledger receives the pings of a day before this worker closes the day.
        let requests = std::mem::take(&mut self.requests);
        if durable || !self.dead.is_empty() {
            (self.listener)(Report::Accepted {
                epoch,
                page: page.unwrap_or_default(),
                dead: std::mem::take(&mut self.dead),
                requests,
            });
        }
        for days in salt_days {
            // After a change the days are found anew, by what was read since. Closed days stay closed.
            let known = self.salt_days.get(&days.brand);
            if known.is_some_and(|known| days.first < known.first) {
                continue;
            }
            let of_before = self.salt_days.insert(days.brand, days);
            if of_before.is_none_or(|of| of.first != days.first) {
                self.decoder.close_salt_days(days.brand, days.first);
                match self.secures_days {
                    true => {
                        let (done, secured) = channel();
                        self.closing.push((secured, days.brand, days.first));
                        (self.listener)(Report::SecureDays { done });
                    }
                    false => dataflow.close_salt_days(days.brand, days.first),
                }
            }
            if let Some(before) = days.first_unsettled {
                self.decoder.settle_sightings(days.brand, before);
                if of_before.is_none_or(|of| of.first_unsettled != days.first_unsettled) {
                    dataflow.accept_sightings_since(days.brand, before);
                }
            }
        }
        for (number, question) in questions {
            dataflow.ask(number, question);
        }
        if let Some(now) = release {
            dataflow.release(now);
        }
        if republish {
            dataflow.republish();
        }
        if all_restored {
            dataflow.reconcile_restored();
        }
        dataflow.advance_to(epoch + 1);
        if let Some(times) = &mut times {
            times.entered = Instant::now();
        }
        self.ahead.push_back(Ahead {
            before: epoch + 1,
            begun,
            size,
            times,
        });
    }

    /// Feeds the state of before a restart into the dataflow: salts first, then the
    /// entries of the blocks, then the published cells.
    ///
    /// A block that cannot be decrypted or decoded is reported as
    /// [`Report::Unreadable`], which ends the process.
    fn restore(&mut self, restored: Restored) {
        let Restored {
            blocks,
            salts,
            published,
        } = restored;
        let Intake {
            dataflow, pings, ..
        } = &mut self.intake;
        for (brand, day, salt) in salts {
            dataflow.restore_salt(brand, day, salt);
        }
        let BlockOpener {
            keyring, clocks, ..
        } = &mut self.opener;
        let (thread, decoder) = (self.thread, &mut self.decoder);
        let mut day =
            |brand: BrandId, ts: i64| clocks.get_mut(&brand).map_or(0, |clock| clock.day(ts));
        for block in blocks {
            // Who objected and is still there has a request that waits: to be forgotten as a whole, the person is
            // needed as a whole. Until it is answered no cell leaves.
            let mut each = |event| {
                if let Event::TokenizedPing { ping } = &event {
                    *pings.entry((ping.brand, ping.salt_day)).or_default() += 1;
                }
                if let Event::LabelName { brand, label, .. } = &event
                    && !decoder.mark_label_announced(*brand, *label)
                {
                    return;
                }
                dataflow.apply(event);
            };
            if let Err(error) = block.open(keyring, thread, &mut day, &mut each) {
                (self.listener)(Report::Unreadable(error.to_string()));
            }
        }
        for (cell, at, standing) in published {
            dataflow.restore_cell(cell, at, standing);
        }
    }
}

//! One worker thread.
//!
//! It decodes its share of every epoch, puts accepted events into the dataflow and on the page for the ledger, steps the
//! dataflow, and reports what comes out.
//!
//! It holds no lock while it works, and never blocks inside an epoch: salts are requested a day ahead, and a ping whose salt is
//! not drawn yet waits in the intake. Its epoch stays open while the thread goes on stepping and reporting, and ends when all
//! of its pings are in.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use timely::worker::Worker;
use tributary_config::model::{Config, Kind};
use tributary_connectors::clock::BrandClock;
use tributary_connectors::dead_letter::DeadLetter;
use tributary_connectors::decode::{Decoder, Ignored, Message, Sink, Withdrawal};
use tributary_ledger::{Keyring, WriteBatch};
use tributary_operators::ask::Question;
use tributary_operators::cell::Cell;
use tributary_operators::dataflow::{Dataflow, Output, Tokenized, build};
use tributary_operators::engine::Epoch;
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{BrandId, Day, IdSet, Ping};
use tributary_operators::settings::Settings;

use crate::epochs::batch::{Batch, Incoming, InternalChange, Listener, Report, Restored};
use crate::epochs::clock::SaltDays;
use crate::privacy::objections::{ObjectionSnapshot, Objections};
use crate::privacy::retention::ArrivalFilter;
use crate::report::counts::Counts;

mod settling;

use settling::Settling;

/// How many epochs a worker may run ahead of the cluster.
const AHEAD: usize = 4;

/// How long an idle worker sleeps unless it is woken.
const NAP: Duration = Duration::from_millis(2);

/// Opens the blocks of the ledger, and filters what arrives.
#[derive(Clone)]
pub struct BlockOpener {
    keyring: Arc<Keyring>,
    /// The clock of each brand: days follow the configured time zone.
    clocks: BTreeMap<BrandId, BrandClock>,
    /// The objection list.
    objections: Arc<Objections>,
    /// Refuses records that are past their retention when they arrive.
    arrival_filter: ArrivalFilter,
}

impl BlockOpener {
    /// An opener for the brands of a configuration.
    pub fn new(config: &Config, keyring: Arc<Keyring>, objections: Arc<Objections>) -> BlockOpener {
        let clocks = config.brands.iter();
        let clocks = clocks.map(|brand| {
            let clock = BrandClock::new(&brand.timezone, 0);
            (BrandId::of(&brand.name), clock)
        });
        BlockOpener {
            keyring,
            clocks: clocks.collect(),
            objections,
            arrival_filter: ArrivalFilter::new(config),
        }
    }
}

/// One worker thread: its decoder, its end of the dataflow, and its open epoch.
pub struct WorkerThread {
    thread: usize,
    decoder: Decoder,
    opener: BlockOpener,
    intake: Intake,
    listener: Listener,
    outputs: Rc<RefCell<Vec<(Epoch, Output)>>>,
    dead: Vec<DeadLetter>,
    ahead: VecDeque<Epoch>,
    /// The epoch that was begun and has not ended.
    open: Option<Open>,
    salt_days: BTreeMap<BrandId, SaltDays>,
    settling: Settling,
    /// The labels that nothing named at the end of an epoch.
    unused: BTreeMap<(BrandId, Label), Epoch>,
    /// Whether everything from before a restart has gone in here.
    is_restored: bool,
}

/// Puts accepted events into the dataflow and on the page for the ledger.
struct Intake {
    dataflow: Dataflow,
    counts: Counts,
    /// The page of the open epoch; none where nothing of it goes to a ledger.
    page: Option<WriteBatch>,
    /// The salts that a page has carried to the ledger.
    sealed: BTreeSet<(BrandId, Day)>,
    /// The pings of this thread in the ledger.
    pings: BTreeMap<(BrandId, Day), u64>,
    /// The pings of the open epoch that wait for a salt, each with the kind of its message.
    waiting: Vec<(&'static str, Ping)>,
}

/// An epoch that was begun: what is left to be done when its pings are in.
struct Open {
    epoch: Epoch,
    durable: bool,
    all_restored: bool,
    release: Option<i64>,
    republish: bool,
    changes: Vec<InternalChange>,
    questions: Vec<(u64, Question)>,
    salt_days: Vec<SaltDays>,
}

impl WorkerThread {
    /// Builds the dataflow on a worker; `thread` is its number in this process.
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
            ahead: VecDeque::new(),
            open: None,
            salt_days: BTreeMap::new(),
            settling: Settling::default(),
            unused: BTreeMap::new(),
            is_restored: false,
        }
    }

    /// Works until the batches end and everything is through, on every worker.
    pub fn run(mut self, worker: &mut Worker, batches: &Receiver<Batch>) {
        loop {
            let is_free = self.open.is_none() && self.ahead.len() < AHEAD;
            let next = match is_free {
                true => batches.try_recv(),
                false => Err(TryRecvError::Empty),
            };
            match next {
                Ok(batch) => {
                    self.begin(batch);
                    worker.step();
                }
                Err(TryRecvError::Empty) => {
                    worker.step_or_park(Some(NAP));
                    self.resume();
                }
                Err(TryRecvError::Disconnected) => break,
            }
            self.report();
        }
        // Other processes may still send what belongs here.
        self.intake.dataflow.end();
        while !self.intake.dataflow.is_complete() {
            worker.step_or_park(Some(NAP));
            self.report();
        }
        self.report();
    }

    /// Begins an epoch, and ends it where no ping has to wait.
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
        } = batch;
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
            arrival_filter: &mut self.opener.arrival_filter,
            at: 0,
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
            sink.at = line.at;
            sink.kind = known.map_or("", |kind| kind.name());
            self.decoder.decode(&message, &mut sink);
        }
        self.open = Some(Open {
            epoch,
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

    /// Withdraws the words that nothing names any more, before the epoch uses any.
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

    /// Asks for the salts of the days that are open, tomorrow included. One thread of a process asks for all.
    fn draw_salts(&mut self, salt_days: &[SaltDays]) {
        for days in salt_days.iter().filter(|_| self.thread == 0) {
            if self.salt_days.get(&days.brand) != Some(days) {
                for day in days.first..=days.last {
                    self.intake.dataflow.request_salt(days.brand, day);
                }
            }
        }
    }

    /// Ends the open epoch, where there is one and no ping has to wait any more.
    fn resume(&mut self) {
        if self.open.is_none() {
            return;
        }
        for (kind, ping) in std::mem::take(&mut self.intake.waiting) {
            self.intake.ping(kind, ping);
        }
        if self.intake.waiting.is_empty()
            && let Some(open) = self.open.take()
        {
            self.end(open);
        }
    }

    fn end(&mut self, open: Open) {
        let Open {
            epoch,
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
            };
            // What is taken back leaves the ledger by being written anew without it.
            let brand = match &change {
                Event::Put { record, .. } => Some(record.brand),
                Event::LinkTime { brand, .. } => Some(*brand),
                _ => None,
            };
            if let Some((brand, page)) = brand.zip(page.as_mut()) {
                page.push(brand, &change);
            }
            dataflow.apply(change);
        }
        // The ledger receives the pings of a day before this worker closes the day.
        if durable || !self.dead.is_empty() {
            (self.listener)(Report::Accepted {
                epoch,
                page: page.unwrap_or_default(),
                dead: std::mem::take(&mut self.dead),
            });
        }
        for days in salt_days {
            let before = self.salt_days.insert(days.brand, days);
            if before.is_none_or(|before| before.first != days.first) {
                self.decoder.close_salt_days(days.brand, days.first);
                dataflow.close_salt_days(days.brand, days.first);
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
        self.ahead.push_back(epoch + 1);
    }

    /// Puts in the state of before a restart.
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
        for (cell, at) in published {
            dataflow.restore_cell(cell, at);
        }
    }

    /// Reports the output of the dataflow, and which epochs are finished.
    fn report(&mut self) {
        let mut finished = None;
        while let Some(before) = self.ahead.front().copied() {
            if !self.intake.dataflow.is_done_before(before) {
                break;
            }
            self.ahead.pop_front();
            finished = Some(before);
        }
        let outputs = std::mem::take(&mut *self.outputs.borrow_mut());
        let mut cells: BTreeMap<Epoch, Vec<(Cell, bool, i64)>> = BTreeMap::new();
        let mut expired = Vec::new();
        for (epoch, output) in outputs {
            match output {
                // Every thread hears of it, and one of them tells the ledger.
                Output::Expired(record) if self.thread == 0 => expired.push(record),
                Output::Expired(_) => {}
                Output::Cell {
                    cell,
                    is_new,
                    released,
                } => cells
                    .entry(epoch)
                    .or_default()
                    .push((cell, is_new, released)),
                Output::Answer(answer) => (self.listener)(Report::Answer(answer)),
                Output::Unused(brand, label) => drop(self.unused.insert((brand, label), epoch)),
                Output::SettledHour(day, settled) => self.settling.add(epoch, day, settled),
                Output::SaltDaysClosed(brand, before) => self.settling.close(epoch, brand, before),
            }
        }
        for (epoch, cells) in cells {
            (self.listener)(Report::Cells(epoch, cells));
        }
        if !expired.is_empty() {
            (self.listener)(Report::Expired(expired));
        }
        self.settle(finished);
        let (forgotten, settled) = {
            let mut salt_cache = self.intake.dataflow.salt_cache();
            // How many pings a day has here is known once all blocks are open; another thread may be ahead.
            let settled = match self.is_restored {
                true => salt_cache.take_settled(),
                false => Vec::new(),
            };
            (salt_cache.take_forgotten(), settled)
        };
        for (brand, before) in forgotten {
            let sealed = &mut self.intake.sealed;
            sealed.retain(|(of, day)| *of != brand || *day >= before);
            (self.listener)(Report::SaltsDestroyed(brand, before));
        }
        for (brand, before) in settled {
            let is_settled =
                |(of, day): &(BrandId, Day), _: &mut u64| *of == brand && *day < before;
            let pings = self.intake.pings.extract_if(.., is_settled);
            let pings = pings.map(|(_, pings)| pings).sum();
            *self.intake.counts.settled_pings.entry(brand).or_default() += pings;
            (self.listener)(Report::Settled {
                brand,
                before,
                pings,
            });
        }
        if let Some(before) = finished {
            self.intake.counts.stages = self.intake.dataflow.stats.snapshot();
            self.intake.counts.consents = self.intake.dataflow.stats.published_consents();
            let counts = self.intake.counts.clone();
            (self.listener)(Report::Finished {
                thread: self.thread,
                before,
                counts,
            });
        }
    }

    /// Hands over the days that have settled on the whole cluster, and says of those that are durable that they are.
    fn settle(&mut self, finished: Option<Epoch>) {
        for settled in finished.map_or_else(Vec::new, |before| self.settling.take(before)) {
            for (brand, days) in settled.days() {
                *self.intake.counts.settled_days.entry(brand).or_default() += days;
            }
            let (done, durable) = channel();
            let page = settled.page();
            self.settling.wait(durable, settled);
            (self.listener)(Report::Settle { page, done });
        }
        for (brand, before) in self.settling.durable() {
            self.intake.dataflow.confirm_settled(brand, before);
        }
    }
}

impl Intake {
    /// Takes a ping, or sets it aside until its salt is known.
    fn ping(&mut self, kind: &'static str, ping: Ping) {
        match self.dataflow.tokenize(ping) {
            Tokenized::Ping(ping) => self.event(kind, Event::TokenizedPing { ping }),
            Tokenized::Pending(ping) => self.waiting.push((kind, ping)),
            // Read again after a restart: the sums of its day hold it.
            Tokenized::Closed => {
                let ignored = self.counts.ignored.entry(Ignored::SettledPing);
                *ignored.or_default() += 1;
            }
        }
    }

    fn event(&mut self, kind: &'static str, event: Event) {
        if let Some(brand) = counted_for(&event) {
            *self.counts.accepted.entry((brand, kind)).or_default() += 1;
        }
        if let (Some(page), Some(brand)) = (&mut self.page, brand_of(&event)) {
            if let Event::TokenizedPing { ping } = &event {
                let day = (ping.brand, ping.salt_day);
                *self.pings.entry(day).or_default() += 1;
                if self.sealed.insert(day)
                    && let Some(salt) = self.dataflow.salt_cache().salt(ping.brand, ping.salt_day)
                {
                    page.salt(ping.brand, ping.salt_day, salt.clone());
                }
            }
            page.push(brand, &event);
        }
        self.dataflow.apply(event);
    }
}

/// Receives what the decoder finds in a message, and passes it to the intake.
struct IngestSink<'a> {
    objections: ObjectionSnapshot,
    intake: &'a mut Intake,
    dead: &'a mut Vec<DeadLetter>,
    arrival_filter: &'a mut ArrivalFilter,
    /// When the message arrived, Unix milliseconds.
    at: i64,
    /// The kind that the message's subject names.
    kind: &'static str,
}

impl IngestSink<'_> {
    /// Takes an event unless its subject has objected or it is past its retention; counts what it refuses.
    fn take(&mut self, event: Event, earlier: &[IdSet]) {
        if self.objections.refuses(&event, earlier) {
            if let Some(brand) = counted_for(&event) {
                *self.intake.counts.suppressed.entry(brand).or_default() += 1;
            }
            return;
        }
        if self.arrival_filter.refuses(&event, self.at) {
            if counted_for(&event).is_some() {
                let ignored = self.intake.counts.ignored.entry(Ignored::PastRetention);
                *ignored.or_default() += 1;
            }
            return;
        }
        match event {
            Event::Ping { ping } => self.intake.ping(self.kind, ping),
            event => self.intake.event(self.kind, event),
        }
    }
}

impl Sink for IngestSink<'_> {
    fn event(&mut self, event: Event) {
        self.take(event, &[]);
    }

    fn rekeyed_event(&mut self, event: Event, earlier: &[IdSet]) {
        self.take(event, earlier);
    }

    fn dead_letter(&mut self, dead: DeadLetter) {
        self.dead.push(dead);
    }

    fn ignore(&mut self, what: Ignored) {
        *self.intake.counts.ignored.entry(what).or_default() += 1;
    }

    fn unread_sections(&mut self, brand: BrandId, sections: u32) {
        let unread = self.intake.counts.unread_sections.entry(brand).or_default();
        *unread += u64::from(sections);
    }
}

/// The brand for which an event counts as a record or a ping. A web record brings its consent and the evidence along:
/// it counts once.
fn counted_for(event: &Event) -> Option<BrandId> {
    let is_counted = match event {
        Event::LabelName { .. } | Event::Evidence { .. } | Event::LinkTime { .. } => false,
        Event::Put { record, .. } => !record.is_attached(),
        _ => true,
    };
    brand_of(event).filter(|_| is_counted)
}

/// The brand that an event belongs to, where it says so.
fn brand_of(event: &Event) -> Option<BrandId> {
    match event {
        Event::Put { record, .. } => Some(record.brand),
        Event::Ping { ping } => Some(ping.brand),
        Event::TokenizedPing { ping } => Some(ping.brand),
        Event::DropDevice { device } => Some(device.brand),
        Event::SettledHour { settled } => Some(settled.brand),
        Event::LabelName { brand, .. }
        | Event::Evidence { brand, .. }
        | Event::SaltDaysClosed { brand, .. }
        | Event::LinkTime { brand, .. } => Some(*brand),
        Event::Drop { .. } => None,
    }
}

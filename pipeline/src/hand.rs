//! Hand: one worker thread at work.
//!
//! It decodes its share of every epoch, puts what is accepted into the dataflow and on the page for the ledger,
//! steps the dataflow, and tells what comes out.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use timely::worker::Worker;
use tributary_config::model::{Config, Kind};
use tributary_connectors::clock::BrandClock;
use tributary_connectors::dead::DeadLetter;
use tributary_connectors::decode::{Decoder, Ignored, Message, Sink};
use tributary_ledger::{Keyring, Page};
use tributary_operators::cell::Cell;
use tributary_operators::dataflow::{Dataflow, Output, build};
use tributary_operators::engine::Epoch;
use tributary_operators::event::Event;
use tributary_operators::record::{Body, BrandId, Day, IdSet};
use tributary_operators::settings::Settings;

use crate::suppressed::{Suppressed, SuppressedDoor};
use crate::workers::{Batch, Counts, Incoming, Listener, Report, Restored};

/// How many epochs a worker may run ahead of the cluster.
const AHEAD: usize = 4;

/// How long an idle worker sleeps unless it is woken.
const NAP: Duration = Duration::from_millis(2);

/// What opens the blocks of the ledger.
#[derive(Clone)]
pub struct Opener {
    keyring: Arc<Keyring>,
    /// The clock of each brand: days follow the configured time zone.
    clocks: Vec<BrandClock>,
    /// Who objected.
    suppressed: Arc<Suppressed>,
}

impl Opener {
    /// What opens the ledger of a configuration's brands.
    pub fn new(config: &Config, keyring: Arc<Keyring>, suppressed: Arc<Suppressed>) -> Opener {
        let clocks = config.brands.iter();
        let clocks = clocks.map(|brand| BrandClock::new(&brand.timezone, 0));
        Opener {
            keyring,
            clocks: clocks.collect(),
            suppressed,
        }
    }
}

/// One worker thread at work: a hand of the process.
pub struct Hand {
    thread: usize,
    dataflow: Dataflow,
    decoder: Decoder,
    opener: Opener,
    /// The salts that a page has carried to the ledger.
    sealed: BTreeSet<(BrandId, Day)>,
    listener: Listener,
    told: Rc<RefCell<Vec<(Epoch, Output)>>>,
    counts: Counts,
    dead: Vec<DeadLetter>,
    ahead: VecDeque<Epoch>,
    salt_days: BTreeMap<BrandId, Day>,
}

impl Hand {
    /// Builds the dataflow on a worker; `thread` is its number in this process.
    pub fn new(
        worker: &mut Worker,
        thread: usize,
        settings: &Arc<Settings>,
        decoder: Decoder,
        opener: Opener,
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
            opener,
            sealed: BTreeSet::new(),
            listener,
            told,
            counts: Counts::default(),
            dead: Vec::new(),
            ahead: VecDeque::new(),
            salt_days: BTreeMap::new(),
        }
    }

    /// Works until the batches end and everything is through, on every worker.
    pub fn run(mut self, worker: &mut Worker, batches: &Receiver<Batch>) {
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
            durable,
            restored,
            complete,
            release,
            changes,
            questions,
            salt_days,
        } = batch;
        self.dataflow.advance_to(epoch);
        match restored {
            Some(restored) => self.restore(restored),
            None => self.dataflow.live(),
        }
        let mut page = durable.then(Page::default);
        let suppressed = self.opener.suppressed.clone();
        let mut sink = Door {
            suppressed: suppressed.door(),
            worker,
            dataflow: &mut self.dataflow,
            counts: &mut self.counts,
            dead: &mut self.dead,
            page: page.as_mut(),
            sealed: &mut self.sealed,
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
        drop(sink);
        for change in changes {
            // What is taken back leaves the ledger by being written anew without it.
            if let (Event::Put { record, .. }, Some(page)) = (&change, &mut page) {
                page.push(record.brand, &change);
            }
            self.dataflow.event(change);
        }
        // Before this worker says that a day is over, whoever keeps the ledger has what was heard on it.
        if durable || !self.dead.is_empty() {
            (self.listener)(Report::Accepted {
                epoch,
                page: page.unwrap_or_default(),
                dead: std::mem::take(&mut self.dead),
            });
        }
        for (brand, day) in salt_days {
            if self.salt_days.insert(brand, day) != Some(day) {
                self.dataflow.days_are_over(brand, day);
            }
        }
        for (number, question) in questions {
            self.dataflow.ask(number, question);
        }
        if let Some(now) = release {
            self.dataflow.release(now);
        }
        if complete {
            self.dataflow.complete();
        }
        self.dataflow.advance_to(epoch + 1);
        self.ahead.push_back(epoch + 1);
    }

    /// Puts in what was known before a restart.
    fn restore(&mut self, restored: Restored) {
        let Restored {
            blocks,
            salts,
            stood,
        } = restored;
        for (brand, day, salt) in salts {
            self.dataflow.know_salt(brand, day, salt);
        }
        let Opener {
            keyring, clocks, ..
        } = &mut self.opener;
        let mut day = |brand: BrandId, ts: i64| {
            clocks
                .get_mut(usize::from(brand.0))
                .map_or(0, |clock| clock.day(ts))
        };
        for block in blocks {
            // Who objected and is still there has a request that waits: to be forgotten as a whole, the person is
            // needed as a whole. Until it is answered no cell leaves.
            let mut each = |event| self.dataflow.event(event);
            if let Err(error) = block.open(keyring, &mut day, &mut each) {
                (self.listener)(Report::Unreadable(error.to_string()));
            }
        }
        for (cell, at) in stood {
            self.dataflow.stood(cell, at);
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
        for (brand, before) in self.dataflow.book().take_forgotten() {
            self.sealed
                .retain(|(of, day)| *of != brand || *day >= before);
            (self.listener)(Report::Forgotten(brand, before));
        }
        if let Some(before) = finished {
            self.counts.stages = self.dataflow.stats.snapshot();
            self.counts.consents = self.dataflow.stats.told_consents();
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
    suppressed: SuppressedDoor<'a>,
    worker: &'a mut Worker,
    dataflow: &'a mut Dataflow,
    counts: &'a mut Counts,
    dead: &'a mut Vec<DeadLetter>,
    page: Option<&'a mut Page>,
    sealed: &'a mut BTreeSet<(BrandId, Day)>,
    /// The kind that the message's subject names.
    kind: &'static str,
}

impl Door<'_> {
    /// Takes what nobody objected to.
    fn take(&mut self, event: Event, earlier: &[IdSet]) {
        // A web record brings its consent and the evidence along: it counts once.
        let counted = match &event {
            Event::Word { .. } | Event::Evidence { .. } => false,
            Event::Put { record, .. } => {
                !matches!(record.body, Body::Consent { .. } | Body::Right { .. })
                    || self.kind == "consent"
            }
            _ => true,
        };
        let brand = brand_of(&event).filter(|_| counted);
        if self.suppressed.refuses(&event, earlier) {
            if let Some(brand) = brand {
                *self.counts.suppressed.entry(brand).or_default() += 1;
            }
            return;
        }
        if let Some(brand) = brand {
            *self.counts.accepted.entry((brand, self.kind)).or_default() += 1;
        }
        let event = self.dataflow.salted(self.worker, event);
        if let (Some(page), Some(brand)) = (self.page.as_deref_mut(), brand_of(&event)) {
            if let Event::Heard { heard, .. } = &event
                && self.sealed.insert((heard.brand, heard.salt_day))
                && let Some(salt) = self.dataflow.book().salt(heard.brand, heard.salt_day)
            {
                page.salt(heard.brand, heard.salt_day, salt.clone());
            }
            page.push(brand, &event);
        }
        self.dataflow.event(event);
    }
}

impl Sink for Door<'_> {
    fn event(&mut self, event: Event) {
        self.take(event, &[]);
    }

    fn exchanged(&mut self, event: Event, earlier: &[IdSet]) {
        self.take(event, earlier);
    }

    fn dead(&mut self, dead: DeadLetter) {
        self.dead.push(dead);
    }

    fn ignored(&mut self, what: Ignored) {
        *self.counts.ignored.entry(what).or_default() += 1;
    }
}

/// The brand that an event belongs to, where it says so.
fn brand_of(event: &Event) -> Option<BrandId> {
    match event {
        Event::Put { record, .. } => Some(record.brand),
        Event::Ping { ping, .. } => Some(ping.brand),
        Event::Heard { heard, .. } => Some(heard.brand),
        Event::Word { brand, .. } | Event::Evidence { brand, .. } => Some(*brand),
        Event::Drop { .. } => None,
    }
}

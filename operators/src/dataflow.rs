//! The dataflow: how the stages hang together.
//!
//! ```text
//!            ┌► Hold ─┬► Statements ┐   ┌─ mentions ─► Mentions ─► Graph ─┬─ assigned ─┐
//!            │        └─────────────┴► Admit                              └ oversized ─┼──────────┐
//! events ────┤                          ├─ contacts ────────────────────────► Assign ┴─ facts ─► Person ─┐
//!            │                          ├─ sales, refunds ─► Settle ─► settled ─► Assign                 │
//!            │                          └─ counts, spend, adjustments ─────────────────── sums ────────►├► Cells ─► told
//!            ├► Presence ──────────────────────────────────────────────────────────────── sums ────────►│
//!            ├► words, releases, questions ─── to every worker ─────────────────────────────────────────►┘
//!            └► salts ► SaltDesk ► SaltBook
//! ```
//!
//! Each arrow is a differential collection. A record's change runs through once, and an epoch is closed when the probe
//! has passed it. One thing goes round: what waits for a batch on each worker, which all hear in the next epoch.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use differential_dataflow::input::InputSession;
use timely::dataflow::ProbeHandle;
use timely::worker::Worker;

use crate::admit::AdmitIn;
use crate::ask::{Answer, Asked, Question};
use crate::cell::Cell;
use crate::cells::{Cells, CellsIn};
use crate::engine::{Diff, Epoch};
use crate::event::Event;
use crate::hold::Change;
use crate::identity::graph::GraphIn;
use crate::person::PersonIn;
use crate::presence::PresenceIn;
use crate::record::{BrandId, Day, Heard};
use crate::salt::{Book, Salt, SaltWord};
use crate::settings::Settings;
use crate::statements::StatementIn;
use crate::stats::Stats;

mod build;

pub use build::build;

/// What comes out on a worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Output {
    /// A cell has a new value, or is closed where it has none.
    Cell {
        /// The cell.
        cell: Cell,
        /// Whether the outside does not know it yet.
        news: bool,
    },
    /// A part of the answer to a question that this worker asked.
    Answer(Answer),
}

/// A worker's ends of the dataflow.
pub struct Dataflow {
    /// None once the input has ended.
    inputs: Option<Inputs>,
    settings: Arc<Settings>,
    anything_stood: bool,
    probe: ProbeHandle<Epoch>,
    /// How far the words about salts have been heard, in a time of their own.
    salts_heard: ProbeHandle<Epoch>,
    book: Rc<RefCell<Book>>,
    index: u64,
    peers: u64,
    /// What this worker counts.
    pub stats: Rc<Stats>,
}

type Session<D> = InputSession<Epoch, D, Diff>;

/// One input for each stage that is told something from outside.
struct Inputs {
    hold: Session<Change>,
    statements: Session<StatementIn>,
    admit: Session<AdmitIn>,
    presence: Session<PresenceIn>,
    salts: Session<SaltWord>,
    graph: Session<GraphIn>,
    person: Session<PersonIn>,
    cells: Session<CellsIn>,
}

impl Inputs {
    /// Says something about salts, at once: a word a time, because what waits for the end of its time would wait for
    /// the end of the epoch, and whoever asks stands in the middle of one.
    fn say(&mut self, word: SaltWord) {
        let time = *self.salts.time();
        self.salts.update(word, 1);
        self.salts.advance_to(time + 1);
        self.salts.flush();
    }
}

/// The time of the words about salts from which on asking is allowed: before it stand the salts from before a restart.
const LIVE: Epoch = 1;

/// How long a worker that waits for a salt sleeps before it looks again.
const NAP: Duration = Duration::from_micros(200);

impl Dataflow {
    /// Puts the token of its day in the place of a ping's device; any other event stays as it is. The first ping
    /// of a brand and day waits until the salt is known, while the worker goes on stepping.
    pub fn salted(&mut self, worker: &mut Worker, event: Event) -> Event {
        let (Event::Ping { ping, count }, Some(inputs)) = (&event, &mut self.inputs) else {
            return event;
        };
        let (brand, day) = (ping.brand, ping.salt_day);
        let mut asked = false;
        loop {
            let token = self
                .book
                .borrow()
                .token(brand, day, ping.store, ping.device);
            if let Some(token) = token {
                let heard = Heard {
                    brand,
                    store: ping.store,
                    token,
                    random: ping.random,
                    salt_day: day,
                    second: ping.second,
                    utc_offset: ping.utc_offset,
                    rssi: ping.rssi,
                };
                return Event::Heard {
                    heard,
                    count: *count,
                };
            }
            // The desk may draw only when it has been told every salt from before a restart.
            if !asked && !self.salts_heard.less_than(&LIVE) {
                inputs.say(SaltWord::Ask(self.index, brand, day));
                asked = true;
            }
            worker.step_or_park(Some(NAP));
        }
    }

    /// The salts that this worker knows, and has been told to forget.
    pub fn book(&self) -> std::cell::RefMut<'_, Book> {
        self.book.borrow_mut()
    }

    /// Says that everything from before a restart has gone in here. No ping goes in before every worker has said so.
    pub fn live(&mut self) {
        if let Some(inputs) = &mut self.inputs
            && *inputs.salts.time() < LIVE
        {
            inputs.salts.advance_to(LIVE);
            inputs.salts.flush();
        }
    }

    /// Puts in the salt of a day from before a restart, before this worker is [live](Dataflow::live).
    pub fn know_salt(&mut self, brand: BrandId, day: Day, salt: Salt) {
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        self.book.borrow_mut().enter(brand, day, salt.clone());
        inputs.salts.update(SaltWord::Known(brand, day, salt), 1);
    }

    /// Puts in a cell as it stands outside, from before a restart. `at` is the time of the release that told it,
    /// Unix milliseconds.
    pub fn stood(&mut self, cell: Cell, at: i64) {
        if let Some(inputs) = &mut self.inputs {
            let stood = Cells::stood(cell, at, &self.settings);
            inputs.cells.update(stood, 1);
            self.anything_stood = true;
        }
    }

    /// Says that everything that stood outside, and everything that was known of before a restart, has gone in
    /// here. When every worker has said so, what stood outside and was not released again is told as closed. To be
    /// said in an epoch that releases.
    pub fn complete(&mut self) {
        let (from, stood) = (self.index, self.anything_stood);
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        for target in 0..self.peers {
            let complete = CellsIn::Complete {
                from,
                target,
                stood,
            };
            inputs.cells.update(complete, 1);
        }
    }

    /// Puts in a change of what is held. Pings go in [salted](Dataflow::salted).
    pub fn event(&mut self, event: Event) {
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        match event {
            Event::Put {
                key,
                version,
                arrival,
                record,
            } => {
                let put = Some((version, Box::new(record)));
                inputs.hold.update(Change { arrival, key, put }, 1);
            }
            Event::Drop { key, arrival } => {
                inputs.hold.update(
                    Change {
                        arrival,
                        key,
                        put: None,
                    },
                    1,
                );
            }
            Event::Heard { heard, count } => {
                inputs.presence.update(PresenceIn::Heard(heard), count)
            }
            // Nothing that is not salted comes in, and no number depends on evidence.
            Event::Ping { .. } | Event::Evidence { .. } => {}
            Event::Word { label, word, .. } => {
                for target in 0..self.peers {
                    inputs
                        .cells
                        .update(CellsIn::Word(target, label, word.clone()), 1);
                }
            }
        }
    }

    /// Lets changed cells leave at the end of this epoch, on every worker. `now`, in Unix milliseconds, is the time
    /// that the gate goes by.
    pub fn release(&mut self, now: i64) {
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        for target in 0..self.peers {
            inputs.cells.update(CellsIn::Release(target, now), 1);
        }
    }

    /// Says that this worker will put in no more pings of a brand's salt days before one, once this
    /// epoch is over. When every worker has said so, the salts of those days are destroyed.
    pub fn days_are_over(&mut self, brand: BrandId, before: Day) {
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        inputs.say(SaltWord::Over(self.index, brand, before));
    }

    /// Asks a question; the answers carry the number and come to this worker's sink by the end of the
    /// epoch.
    pub fn ask(&mut self, number: u64, question: Question) {
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        let asker = self.index;
        let asked = |target| Asked {
            asker,
            target,
            number,
            question: question.clone(),
        };
        match &question {
            Question::Link { .. } | Question::Whole { .. } => {
                inputs.graph.update(GraphIn::Ask(asked(0)), 1);
            }
            Question::Records { naming, .. } => naming.iter().for_each(|id| {
                let asked = StatementIn::Ask(asked(0), *id);
                inputs.statements.update(asked, 1);
            }),
            Question::Expired { .. } => {
                (0..self.peers)
                    .for_each(|to| inputs.admit.update(AdmitIn::Ask(asked(to), None), 1));
            }
            Question::Heard { .. } => {
                (0..self.peers)
                    .for_each(|to| inputs.presence.update(PresenceIn::Ask(asked(to)), 1));
            }
            Question::Cells { .. } => {
                (0..self.peers).for_each(|to| inputs.cells.update(CellsIn::Ask(asked(to)), 1));
            }
            Question::Paths { .. } | Question::Idle { .. } => {
                (0..self.peers).for_each(|to| inputs.person.update(PersonIn::Ask(asked(to)), 1));
            }
        }
    }

    /// Ends all epochs before the given one.
    pub fn advance_to(&mut self, epoch: Epoch) {
        fn advance<D: differential_dataflow::Data>(session: &mut Session<D>, epoch: Epoch) {
            session.advance_to(epoch);
            session.flush();
        }
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        advance(&mut inputs.hold, epoch);
        advance(&mut inputs.statements, epoch);
        advance(&mut inputs.admit, epoch);
        advance(&mut inputs.presence, epoch);
        advance(&mut inputs.graph, epoch);
        advance(&mut inputs.person, epoch);
        advance(&mut inputs.cells, epoch);
    }

    /// Ends the input of this worker for good.
    pub fn end(&mut self) {
        self.inputs = None;
    }

    /// Whether every worker has finished all epochs before the given one.
    pub fn is_done_before(&self, epoch: Epoch) -> bool {
        !self.probe.less_than(&epoch)
    }

    /// Whether every worker has ended its input and all of it is through.
    pub fn is_complete(&self) -> bool {
        self.probe.done()
    }
}

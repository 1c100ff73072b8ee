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
//! has passed it. One thing goes round: what waits for a batch on each worker, which all hear in the next epoch. Not in the
//! picture: how many identifiers allow what, which Statements tells Consents, where it is counted.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::input::InputSession;
use timely::dataflow::ProbeHandle;

use crate::admit::AdmitIn;
use crate::ask::{Answer, Asked, Question};
use crate::cell::Cell;
use crate::cells::{Cells, CellsIn};
use crate::engine::{Diff, Epoch, Sizes};
use crate::event::Event;
use crate::hold::{Change, Expired, HoldIn};
use crate::identity::graph::GraphIn;
use crate::label::Label;
use crate::person::PersonIn;
use crate::presence::PresenceIn;
use crate::record::{BrandId, Day, Heard, Ping, RecordKey, SettledHour};
use crate::salt::{Book, LIVE, Salt, SaltWord};
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
        /// The time of the release that tells it, Unix milliseconds.
        released: i64,
    },
    /// A part of the answer to a question that this worker asked.
    Answer(Answer),
    /// A record was retracted on some worker because it was past its retention.
    Expired(Expired),
    /// Nobody held anything that names a label at the end of this epoch. Whoever has announced its word, and has not used it
    /// since, is to withdraw it.
    Unused(BrandId, Label),
    /// To the first worker: a part of what a salt day came to, which settled at the end of this epoch. Parts of the
    /// same hour add up.
    Settled(Day, SettledHour),
    /// To the first worker: all salt days of a brand before one have settled by the end of this epoch.
    Closed(BrandId, Day),
}

/// A ping on its way into the dataflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Salted {
    /// The ping under the token of its day.
    Heard(Heard),
    /// The salt of its day is being drawn: it may be tried again once the worker has stepped.
    Waits(Ping),
    /// Its day is closed, and the ping counts no more.
    Closed,
}

/// A worker's ends of the dataflow.
pub struct Dataflow {
    /// None once the input has ended.
    inputs: Option<Inputs>,
    settings: Arc<Settings>,
    anything_stood: bool,
    probe: ProbeHandle<Epoch>,
    book: Rc<RefCell<Book>>,
    /// The salts that this worker has asked for.
    asked: BTreeSet<(BrandId, Day)>,
    index: u64,
    peers: u64,
    /// What this worker counts.
    pub stats: Rc<Stats>,
    /// How much the stages of this worker hold.
    pub sizes: Sizes,
}

type Session<D> = InputSession<Epoch, D, Diff>;

/// One input for each stage that is told something from outside.
struct Inputs {
    hold: Session<HoldIn>,
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

impl Dataflow {
    /// Puts the token of its day in the place of a ping's device. Where the salt is not known yet it is asked for, and
    /// nobody waits.
    pub fn salted(&mut self, ping: Ping) -> Salted {
        let (brand, day) = (ping.brand, ping.salt_day);
        if self.book.borrow().is_closed(brand, day) {
            return Salted::Closed;
        }
        let book = self.book.borrow();
        if let Some(token) = book.token(brand, day, ping.store, ping.device) {
            return Salted::Heard(Heard {
                brand,
                store: ping.store,
                token,
                random: ping.random,
                salt_day: day,
                second: ping.second,
                utc_offset: ping.utc_offset,
                rssi: ping.rssi,
            });
        }
        drop(book);
        self.draw_salt(brand, day);
        Salted::Waits(ping)
    }

    /// Asks for the salt of a day, unless it is known, asked for, or closed.
    pub fn draw_salt(&mut self, brand: BrandId, day: Day) {
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        let book = self.book.borrow();
        if book.salt(brand, day).is_some() || book.is_closed(brand, day) {
            return;
        }
        drop(book);
        if self.asked.insert((brand, day)) {
            inputs.say(SaltWord::Ask(self.index, brand, day));
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

    /// Says that the sums of a brand's salt days before one are durable: nobody needs their pings any more.
    pub fn settled(&mut self, brand: BrandId, before: Day) {
        if let Some(inputs) = &mut self.inputs {
            inputs.say(SaltWord::Settled(brand, before));
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
                let change = Change { arrival, key, put };
                inputs.hold.update(HoldIn::Change(change), 1);
            }
            Event::Drop { key, arrival } => {
                let put = None;
                let change = Change { arrival, key, put };
                inputs.hold.update(HoldIn::Change(change), 1);
            }
            Event::Heard { heard } => inputs.presence.update(PresenceIn::Heard(heard), 1),
            Event::DropDevice { device } => inputs.presence.update(PresenceIn::Drop(device), 1),
            Event::Settled { settled } => inputs.presence.update(PresenceIn::Settled(settled), 1),
            Event::Closed { brand, before } => {
                for target in 0..self.peers {
                    let closed = PresenceIn::Closed(target, brand, before);
                    inputs.presence.update(closed, 1);
                }
                // In its time: what stood before a restart is known before any salt is drawn.
                inputs.salts.update(SaltWord::Settled(brand, before), 1);
            }
            Event::LinkTime { brand, at } => {
                for target in 0..self.peers {
                    inputs.admit.update(AdmitIn::LinkTime(brand, at, target), 1);
                }
            }
            // Nothing that is not salted comes in, and no number depends on evidence.
            Event::Ping { .. } | Event::Evidence { .. } => {}
            Event::Word { brand, label, word } => {
                for target in 0..self.peers {
                    inputs
                        .cells
                        .update(CellsIn::Word(target, brand, label, word.clone()), 1);
                }
            }
        }
    }

    /// Withdraws the word of a label that this worker has announced. It is to be announced again before it is used again.
    pub fn withdraw_word(&mut self, brand: BrandId, label: Label) {
        if let Some(inputs) = &mut self.inputs {
            for target in 0..self.peers {
                inputs
                    .cells
                    .update(CellsIn::WordGone(target, brand, label), 1);
            }
        }
    }

    /// Asks whether a label is used, once more: this worker has used it in a later epoch than the one in which it was
    /// [unused](Output::Unused).
    pub fn judge_word(&mut self, brand: BrandId, label: Label) {
        if let Some(inputs) = &mut self.inputs {
            let again = CellsIn::JudgeAgain(self.index, brand, label);
            inputs.cells.update(again, 1);
        }
    }

    /// Retracts what was held under a key at the end of an epoch, because it is past its retention. What has changed since
    /// stays. Every worker hears of what was retracted.
    pub fn expire(&mut self, key: RecordKey, as_of: Epoch) {
        if let Some(inputs) = &mut self.inputs {
            inputs.hold.update(HoldIn::Expire(key, as_of), 1);
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

    /// Has this worker tell again, at the end of this epoch, every cell of its own that stands outside: it was lost there.
    pub fn tell_again(&mut self) {
        if let Some(inputs) = &mut self.inputs {
            inputs.cells.update(CellsIn::Again(self.index), 1);
        }
    }

    /// Says that this worker will put in no more pings of a brand's salt days before one, once this
    /// epoch is over. When every worker has said so, the salts of those days are destroyed, and the days settle.
    pub fn days_are_over(&mut self, brand: BrandId, before: Day) {
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        self.asked
            .retain(|(of, day)| *of != brand || *day >= before);
        for target in 0..self.peers {
            let over = PresenceIn::Over {
                target,
                from: self.index,
                brand,
                before,
            };
            inputs.presence.update(over, 1);
        }
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
            Question::Records { naming, .. } | Question::Recent { naming, .. } => {
                naming.iter().for_each(|id| {
                    let asked = StatementIn::Ask(asked(0), *id);
                    inputs.statements.update(asked, 1);
                })
            }
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
            Question::Paths { .. } => {
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

//! A worker's ends of the dataflow: what goes in, what comes out, and how far it is.
//!
//! Whatever goes in belongs to the epoch that is open on this worker. An epoch is complete when every worker has ended it,
//! and what comes out of it then depends neither on the worker nor on the order in which it went in (invariant I1).

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::input::InputSession;
use timely::dataflow::ProbeHandle;

use crate::ask::{Answer, Question, RoutedQuestion};
use crate::cell::Cell;
use crate::cells::{Cells, CellsIn};
use crate::consent_state::ConsentStateIn;
use crate::engine::{Diff, Epoch, StateSizes};
use crate::event::Event;
use crate::identity::graph::GraphIn;
use crate::label::Label;
use crate::person::PersonIn;
use crate::policy_filter::PolicyFilterIn;
use crate::record::{BrandId, Day, Ping, RecordKey, SettledHour, TokenizedPing};
use crate::salt::{RESTORE_DONE, Salt, SaltCache, SaltMessage};
use crate::sessionize::SessionizeIn;
use crate::settings::Settings;
use crate::stats::Stats;
use crate::upsert::{ExpiredRecord, RecordChange, UpsertIn};

/// What comes out on a worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Output {
    /// A cell has a new value, or is closed where it has none.
    Cell {
        /// The cell.
        cell: Cell,
        /// Whether the outside does not know it yet.
        is_new: bool,
        /// The time of the release that tells it, Unix milliseconds.
        released: i64,
    },
    /// A part of the answer to a question that this worker asked.
    Answer(Answer),
    /// A record was retracted on some worker because it was past its retention.
    Expired(ExpiredRecord),
    /// Nobody held anything that names a label at the end of this epoch. Whoever has announced its word, and has not used it
    /// since, is to withdraw it.
    Unused(BrandId, Label),
    /// To the first worker: a part of what a salt day came to, which settled at the end of this epoch. Parts of the
    /// same hour add up.
    SettledHour(Day, SettledHour),
    /// To the first worker: all salt days of a brand before one have settled by the end of this epoch.
    SaltDaysClosed(BrandId, Day),
}

/// A ping on its way into the dataflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tokenized {
    /// The ping under the token of its day.
    Ping(TokenizedPing),
    /// The salt of its day is being drawn: it may be tried again once the worker has stepped.
    Pending(Ping),
    /// Its day is closed, and the ping counts no more.
    Closed,
}

/// A worker's ends of the dataflow.
pub struct Dataflow {
    /// None once the input has ended.
    pub(super) inputs: Option<Inputs>,
    pub(super) settings: Arc<Settings>,
    pub(super) has_restored_cells: bool,
    pub(super) probe: ProbeHandle<Epoch>,
    pub(super) salt_cache: Rc<RefCell<SaltCache>>,
    /// The salts that this worker has asked for.
    pub(super) asked: BTreeSet<(BrandId, Day)>,
    pub(super) index: u64,
    pub(super) peers: u64,
    /// What this worker counts.
    pub stats: Rc<Stats>,
    /// How much the stages of this worker hold.
    pub sizes: StateSizes,
}

pub(super) type Session<D> = InputSession<Epoch, D, Diff>;

/// One input for each stage that is told something from outside.
pub(super) struct Inputs {
    pub(super) hold: Session<UpsertIn>,
    pub(super) statements: Session<ConsentStateIn>,
    pub(super) admit: Session<PolicyFilterIn>,
    pub(super) presence: Session<SessionizeIn>,
    pub(super) salts: Session<SaltMessage>,
    pub(super) graph: Session<GraphIn>,
    pub(super) person: Session<PersonIn>,
    pub(super) cells: Session<CellsIn>,
}

impl Inputs {
    /// Says something about salts, at once: a word a time, because what waits for the end of its time would wait for
    /// the end of the epoch, and whoever asks stands in the middle of one.
    fn send_salt_message(&mut self, word: SaltMessage) {
        let time = *self.salts.time();
        self.salts.update(word, 1);
        self.salts.advance_to(time + 1);
        self.salts.flush();
    }
}

impl Dataflow {
    /// Puts the token of its day in the place of a ping's device. Where the salt is not known yet it is asked for, and
    /// nobody waits.
    pub fn tokenize(&mut self, ping: Ping) -> Tokenized {
        let (brand, day) = (ping.brand, ping.salt_day);
        if self.salt_cache.borrow().is_closed(brand, day) {
            return Tokenized::Closed;
        }
        let salt_cache = self.salt_cache.borrow();
        if let Some(token) = salt_cache.token(brand, day, ping.store, ping.device) {
            return Tokenized::Ping(TokenizedPing {
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
        drop(salt_cache);
        self.request_salt(brand, day);
        Tokenized::Pending(ping)
    }

    /// Asks for the salt of a day, unless it is known, asked for, or closed.
    pub fn request_salt(&mut self, brand: BrandId, day: Day) {
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        let salt_cache = self.salt_cache.borrow();
        if salt_cache.salt(brand, day).is_some() || salt_cache.is_closed(brand, day) {
            return;
        }
        drop(salt_cache);
        if self.asked.insert((brand, day)) {
            inputs.send_salt_message(SaltMessage::Request(self.index, brand, day));
        }
    }

    /// The salts that this worker knows, and has been told to forget.
    pub fn salt_cache(&self) -> std::cell::RefMut<'_, SaltCache> {
        self.salt_cache.borrow_mut()
    }

    /// Says that everything from before a restart has gone in here. No ping goes in before every worker has said so.
    pub fn finish_restore(&mut self) {
        if let Some(inputs) = &mut self.inputs
            && *inputs.salts.time() < RESTORE_DONE
        {
            inputs.salts.advance_to(RESTORE_DONE);
            inputs.salts.flush();
        }
    }

    /// Puts in the salt of a day from before a restart, before this worker is [live](Dataflow::finish_restore).
    pub fn restore_salt(&mut self, brand: BrandId, day: Day, salt: Salt) {
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        self.salt_cache.borrow_mut().enter(brand, day, salt.clone());
        inputs
            .salts
            .update(SaltMessage::Restored(brand, day, salt), 1);
    }

    /// Puts in a cell as it stands outside, from before a restart. `at` is the time of the release that told it,
    /// Unix milliseconds.
    pub fn restore_cell(&mut self, cell: Cell, at: i64) {
        if let Some(inputs) = &mut self.inputs {
            let restored = Cells::restored_cell(cell, at, &self.settings);
            inputs.cells.update(restored, 1);
            self.has_restored_cells = true;
        }
    }

    /// Says that everything that stood outside, and everything that was known of before a restart, has gone in
    /// here. When every worker has said so, what stood outside and was not released again is told as closed. To be
    /// said in an epoch that releases.
    pub fn reconcile_restored(&mut self) {
        let (from, has_cells) = (self.index, self.has_restored_cells);
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        for target in 0..self.peers {
            let message = CellsIn::AllRestored {
                from,
                target,
                has_cells,
            };
            inputs.cells.update(message, 1);
        }
    }

    /// Says that the sums of a brand's salt days before one are durable: nobody needs their pings any more.
    pub fn confirm_settled(&mut self, brand: BrandId, before: Day) {
        if let Some(inputs) = &mut self.inputs {
            inputs.send_salt_message(SaltMessage::Settled(brand, before));
        }
    }

    /// Puts in a change of what is held. Pings go in [salted](Dataflow::tokenize).
    pub fn apply(&mut self, event: Event) {
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
                let change = RecordChange { arrival, key, put };
                inputs.hold.update(UpsertIn::Change(change), 1);
            }
            Event::Drop { key, arrival } => {
                let put = None;
                let change = RecordChange { arrival, key, put };
                inputs.hold.update(UpsertIn::Change(change), 1);
            }
            Event::TokenizedPing { ping } => inputs.presence.update(SessionizeIn::Ping(ping), 1),
            Event::DropDevice { device } => inputs.presence.update(SessionizeIn::Drop(device), 1),
            Event::SettledHour { settled } => {
                inputs.presence.update(SessionizeIn::Settled(settled), 1)
            }
            Event::SaltDaysClosed { brand, before } => {
                for target in 0..self.peers {
                    let closed = SessionizeIn::Closed(target, brand, before);
                    inputs.presence.update(closed, 1);
                }
                // In its time: what stood before a restart is known before any salt is drawn.
                inputs.salts.update(SaltMessage::Settled(brand, before), 1);
            }
            Event::LinkTime { brand, at } => {
                for target in 0..self.peers {
                    inputs
                        .admit
                        .update(PolicyFilterIn::LinkTime(brand, at, target), 1);
                }
            }
            // Nothing that is not salted comes in, and no number depends on evidence.
            Event::Ping { .. } | Event::Evidence { .. } => {}
            Event::LabelName { brand, label, word } => {
                for target in 0..self.peers {
                    inputs
                        .cells
                        .update(CellsIn::LabelName(target, brand, label, word.clone()), 1);
                }
            }
        }
    }

    /// Withdraws the word of a label that this worker has announced. It is to be announced again before it is used again.
    pub fn withdraw_label(&mut self, brand: BrandId, label: Label) {
        if let Some(inputs) = &mut self.inputs {
            for target in 0..self.peers {
                inputs
                    .cells
                    .update(CellsIn::LabelWithdrawn(target, brand, label), 1);
            }
        }
    }

    /// Asks whether a label is used, once more: this worker has used it in a later epoch than the one in which it was
    /// [unused](Output::Unused).
    pub fn recheck_label(&mut self, brand: BrandId, label: Label) {
        if let Some(inputs) = &mut self.inputs {
            let again = CellsIn::RecheckLabel(self.index, brand, label);
            inputs.cells.update(again, 1);
        }
    }

    /// Retracts what was held under a key at the end of an epoch, because it is past its retention. What has changed since
    /// stays. Every worker hears of what was retracted.
    pub fn expire(&mut self, key: RecordKey, as_of: Epoch) {
        if let Some(inputs) = &mut self.inputs {
            inputs.hold.update(UpsertIn::Expire(key, as_of), 1);
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
    pub fn republish(&mut self) {
        if let Some(inputs) = &mut self.inputs {
            inputs.cells.update(CellsIn::Republish(self.index), 1);
        }
    }

    /// Says that this worker will put in no more pings of a brand's salt days before one, once this
    /// epoch is over. When every worker has said so, the salts of those days are destroyed, and the days settle.
    pub fn close_salt_days(&mut self, brand: BrandId, before: Day) {
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        self.asked
            .retain(|(of, day)| *of != brand || *day >= before);
        for target in 0..self.peers {
            let over = SessionizeIn::Over {
                target,
                from: self.index,
                brand,
                before,
            };
            inputs.presence.update(over, 1);
        }
        inputs.send_salt_message(SaltMessage::Finished(self.index, brand, before));
    }

    /// Asks a question; the answers carry the number and come to this worker's sink by the end of the
    /// epoch.
    pub fn ask(&mut self, number: u64, question: Question) {
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        let asker = self.index;
        let asked = |target| RoutedQuestion {
            asker,
            target,
            number,
            question: question.clone(),
        };
        match &question {
            Question::Link { .. } | Question::Members { .. } => {
                inputs.graph.update(GraphIn::Ask(asked(0)), 1);
            }
            Question::Records { naming, .. } | Question::ActiveSince { naming, .. } => {
                naming.iter().for_each(|id| {
                    let asked = ConsentStateIn::Ask(asked(0), *id);
                    inputs.statements.update(asked, 1);
                })
            }
            Question::Expired { .. } => {
                (0..self.peers)
                    .for_each(|to| inputs.admit.update(PolicyFilterIn::Ask(asked(to), None), 1));
            }
            Question::DeviceDays { .. } => {
                (0..self.peers)
                    .for_each(|to| inputs.presence.update(SessionizeIn::Ask(asked(to)), 1));
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

//! The handle of a worker to the dataflow: its inputs, its outputs, and its progress.
//!
//! Input belongs to the epoch that is open on this worker. An epoch is complete when every worker has ended it, and its
//! output depends neither on the worker nor on the order of the input (invariant I1). After [`Dataflow::end`] all input is
//! ignored.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::Data;
use differential_dataflow::input::InputSession;
use serde::{Deserialize, Serialize};
use timely::dataflow::ProbeHandle;

use crate::ask::{Answer, Question, RoutedQuestion};
use crate::cell::Cell;
use crate::cells::{Cells, CellsIn, Standing, Thresholds};
use crate::current_settings::CurrentSettings;
use crate::engine::{Diff, Epoch, StateSizes, broadcast};
use crate::event::Event;
use crate::identity::graph::GraphIn;
use crate::label::Label;
use crate::matching::{MatchIn, unmatched_sums};
use crate::policy_filter::PolicyFilterIn;
use crate::reach::Reach;
use crate::record::{
    Body, BrandId, ClosedVisits, Day, Ping, Pseudonym, RecordKey, SettledDevices, SettledHour,
    SightingCookie, TokenizedPing,
};
use crate::salt::{RESTORE_DONE, Salt, SaltCache, SaltMessage};
use crate::sessionize::SessionizeIn;
use crate::settings::Settings;
use crate::stats::Stats;
use crate::upsert::{ExpiredRecord, RecordChange, UpsertIn};

/// An output of the dataflow on one worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Output {
    /// A cell has a new value, or is closed if it has none.
    Cell {
        /// The cell.
        cell: Cell,
        /// Whether the value differs from the published one.
        is_new: bool,
        /// The time of its release, Unix milliseconds.
        released: i64,
        /// How the cell is published.
        standing: Standing,
    },
    /// A part of the answer to a question of this worker.
    Answer(Answer),
    /// A record was retracted on some worker because its retention period ended.
    Expired(ExpiredRecord),
    /// The sightings of a brand's salt days before the given one are settled, and that is durable: no ledger needs them.
    EraseSightings(BrandId, Day),
    /// No current record used a label at the end of this epoch. A worker that announced its name and has not used it
    /// since should withdraw it.
    Unused(BrandId, Label),
    /// To worker 0: a part of the totals of a salt day that settled in this epoch. Parts of the same hour add up.
    SettledHour(Day, SettledHour),
    /// To worker 0: a part of the devices of a salt day that settled in this epoch. Parts of the same hours add up.
    SettledDevices(SettledDevices),
    /// To worker 0: visits of a salt day that settled in this epoch.
    ClosedVisits(ClosedVisits),
    /// To worker 0: all salt days of a brand before the given one have settled in this epoch.
    SaltDaysClosed(BrandId, Day),
}

/// The outcome of [`Dataflow::tokenize`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tokenized {
    /// The ping with the token of its day.
    Ping(TokenizedPing),
    /// The salt of the day is not known yet. Retry after the worker has stepped.
    Pending(Ping),
    /// The salt day is closed; the ping no longer counts.
    Closed,
}

/// The outcome of [`Dataflow::resolve_sighting`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolvedSighting {
    /// The record without a MAC address, and whether the salt of its day has replaced one.
    Record(Event, bool),
    /// The salt of the day is not known yet. Retry after the worker has stepped.
    Pending(Event),
    /// The salt day is closed; nobody can tell the cookie any more.
    Closed,
}

/// The inputs, progress and counters of one worker.
pub struct Dataflow {
    /// `None` once the input has ended.
    pub(super) inputs: Option<Inputs>,
    pub(super) settings: CurrentSettings,
    /// Whether this worker has restored any published cell.
    pub(super) has_restored_cells: bool,
    /// The progress of all workers.
    pub(super) probe: ProbeHandle<Epoch>,
    /// The salts that the allocator has sent to this worker.
    pub(super) salt_cache: Rc<RefCell<SaltCache>>,
    /// The salts that this worker has requested.
    pub(super) asked: BTreeSet<(BrandId, Day)>,
    /// The index of this worker.
    pub(super) index: u64,
    /// The number of workers, on all processes.
    pub(super) peers: u64,
    /// The counters of this worker.
    pub stats: Rc<Stats>,
    /// The state sizes of the operators of this worker.
    pub sizes: StateSizes,
}

/// An input of one worker. Its logical time is the open epoch.
pub(super) type Session<D> = InputSession<Epoch, D, Diff>;

/// The inputs, one for each operator that takes external input, and one for questions.
pub(super) struct Inputs {
    /// Records, and the retractions of a retention pass.
    pub(super) records: Session<UpsertIn>,
    /// The acts of requests.
    pub(super) acts: Session<GraphIn>,
    /// The reference times of links.
    pub(super) policy_filter: Session<PolicyFilterIn>,
    /// Pings, retractions of devices, and the ends of salt days.
    pub(super) pings: Session<SessionizeIn>,
    /// Visits of days that were closed before a restart, and the ends of settled days.
    pub(super) closed_visits: Session<MatchIn>,
    /// Messages to the salt allocator. Their logical time counts messages, not epochs.
    pub(super) salts: Session<SaltMessage>,
    /// Label names, restored cells and releases.
    pub(super) cells: Session<CellsIn>,
    /// Questions, one row for each state that is asked.
    pub(super) questions: Session<RoutedQuestion>,
}

impl Inputs {
    /// Inputs that are open at epoch 0.
    pub(super) fn new() -> Inputs {
        Inputs {
            records: Session::new(),
            acts: Session::new(),
            policy_filter: Session::new(),
            pings: Session::new(),
            closed_visits: Session::new(),
            salts: Session::new(),
            cells: Session::new(),
            questions: Session::new(),
        }
    }

    /// Sends a message about salts immediately. Each message has a logical time of its own, because within the epoch
    /// of the caller it would wait for the end of that epoch.
    fn send_salt_message(&mut self, message: SaltMessage) {
        let time = *self.salts.time();
        self.salts.update(message, 1);
        self.salts.advance_to(time + 1);
        self.salts.flush();
    }
}

/// Sends a message to each of `peers` workers, made by a function of the receiving worker.
fn send_to_all<D: Data>(session: &mut Session<D>, peers: u64, message: impl FnMut(u64) -> D) {
    broadcast(peers, message).for_each(|message| session.update(message, 1));
}

impl Dataflow {
    /// Replaces the device of a ping by its token of the salt day. Requests the salt if it is unknown, without
    /// blocking.
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
                offline_cookie: ping.offline_cookie,
            });
        }
        drop(salt_cache);
        self.request_salt(brand, day);
        Tokenized::Pending(ping)
    }

    /// Replaces the MAC address of a sighting by the offline cookie of its store and salt day: the first 4 bytes of its token, least
    /// significant first. Any other record stays as it is.
    pub fn resolve_sighting(&mut self, mut event: Event) -> ResolvedSighting {
        let Event::Put { record, .. } = &mut event else {
            return ResolvedSighting::Record(event, false);
        };
        let Body::Sighting {
            store,
            salt_day,
            cookie,
            ..
        } = &mut record.body
        else {
            return ResolvedSighting::Record(event, false);
        };
        let SightingCookie::Mac(device) = *cookie else {
            return ResolvedSighting::Record(event, false);
        };
        let (brand, day) = (record.brand, *salt_day);
        let salt_cache = self.salt_cache.borrow();
        if salt_cache.is_closed(brand, day) {
            return ResolvedSighting::Closed;
        }
        let token = salt_cache.token(brand, day, *store, device);
        drop(salt_cache);
        if let Some(token) = token {
            *cookie = SightingCookie::Cookie(token.0 as u32);
            return ResolvedSighting::Record(event, true);
        }
        self.request_salt(brand, day);
        ResolvedSighting::Pending(event)
    }

    /// Requests the salt of a day, unless it is known, already requested, or the day is closed.
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

    /// The salt cache of this worker.
    pub fn salt_cache(&self) -> std::cell::RefMut<'_, SaltCache> {
        self.salt_cache.borrow_mut()
    }

    /// Ends the restore on this worker. Salts are drawn, and so pings enter, only after all workers have called it.
    pub fn finish_restore(&mut self) {
        if let Some(inputs) = &mut self.inputs
            && *inputs.salts.time() < RESTORE_DONE
        {
            inputs.salts.advance_to(RESTORE_DONE);
            inputs.salts.flush();
        }
    }

    /// Restores the salt of a day from before a restart. To be called before
    /// [`finish_restore`](Dataflow::finish_restore).
    pub fn restore_salt(&mut self, brand: BrandId, day: Day, salt: Salt) {
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        self.salt_cache.borrow_mut().enter(brand, day, salt.clone());
        inputs
            .salts
            .update(SaltMessage::Restored(brand, day, salt), 1);
    }

    /// Restores the published state of a cell from before a restart. `at` is the time of its release, Unix
    /// milliseconds. A closed cell has no values. What was published under lower thresholds than those of now is withdrawn, if
    /// `standing` says so.
    pub fn restore_cell(&mut self, cell: Cell, at: i64, standing: Option<Standing>) {
        if let Some(inputs) = &mut self.inputs {
            self.has_restored_cells |= !cell.values.is_empty();
            let restored = Cells::restored_cell(cell, at, standing, &self.settings);
            inputs.cells.update(restored, 1);
        }
    }

    /// Declares that this worker has restored all published cells and all records from before a restart. Once all
    /// workers have called it, published cells that no longer exist are closed. To be called in an epoch with a
    /// release.
    pub fn reconcile_restored(&mut self) {
        let (from, has_cells) = (self.index, self.has_restored_cells);
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        send_to_all(&mut inputs.cells, self.peers, |target| {
            CellsIn::AllRestored {
                from,
                target,
                has_cells,
            }
        });
    }

    /// Sends every worker [`Output::EraseSightings`], once it is durable that the sightings of a brand's salt days before the
    /// given one are settled, and [`Output::Expired`] for those that superseded other records, which any ledger may have.
    pub fn erase_sightings(&mut self, brand: BrandId, before: Day) {
        if let Some(inputs) = &mut self.inputs {
            send_to_all(&mut inputs.records, self.peers, |target| {
                UpsertIn::SettledDurably(target, brand, before)
            });
            send_to_all(&mut inputs.closed_visits, self.peers, |target| {
                MatchIn::Erase(target, brand, before)
            });
        }
    }

    /// Confirms that the totals of a brand's salt days before the given one are durable, so that their pings are no
    /// longer needed.
    pub fn confirm_settled(&mut self, brand: BrandId, before: Day) {
        if let Some(inputs) = &mut self.inputs {
            inputs.send_salt_message(SaltMessage::Settled(brand, before));
        }
    }

    /// Replaces the settings from the next epoch on. Every worker must call it before the same epoch, once all earlier ones
    /// are [done](Dataflow::is_done_before); [`CurrentSettings`] says what may differ.
    pub fn change_settings(&mut self, settings: Arc<Settings>) {
        for (brand, now) in &settings.brands {
            let before = self.settings.brands.get(brand);
            // They are published again once enough others have changed them.
            let is_stricter = |before| Thresholds::of(now).hide_more_than(&Thresholds::of(before));
            if before.is_some_and(is_stricter) {
                self.stats.consents(*brand, std::iter::empty());
            }
        }
        self.settings.replace(settings);
    }

    /// Applies an event. Pings must be [tokenized](Dataflow::tokenize) first.
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
                inputs.records.update(UpsertIn::Change(change), 1);
            }
            Event::Drop { key, arrival } => {
                let put = None;
                let change = RecordChange { arrival, key, put };
                inputs.records.update(UpsertIn::Change(change), 1);
            }
            Event::TokenizedPing { ping } => inputs.pings.update(SessionizeIn::Ping(ping), 1),
            Event::DropDevice { device } => inputs.pings.update(SessionizeIn::Drop(device), 1),
            Event::SettledHour { settled } => {
                inputs.pings.update(SessionizeIn::Settled(settled), 1)
            }
            Event::SettledDevices { settled } => {
                let settled = SessionizeIn::SettledDevices(settled);
                inputs.pings.update(settled, 1);
            }
            Event::ClosedVisits { visits } => {
                inputs.closed_visits.update(MatchIn::Closed(visits), 1);
            }
            Event::UnmatchedStays { unmatched } => {
                let brand = self.settings.brands.get(&unmatched.brand);
                if !brand.is_some_and(|of| of.counts_open_stays()) {
                    return;
                }
                let (key, sums) = unmatched_sums(&unmatched);
                inputs.cells.update(CellsIn::Sum(key, sums), 1);
                send_to_all(&mut inputs.cells, self.peers, |target| {
                    CellsIn::LabelUse(target, unmatched.brand, unmatched.store)
                });
            }
            Event::SightingsSettled { brand, before } => {
                self.mark_settled(brand, before, true);
            }
            Event::SaltDaysClosed { brand, before } => {
                send_to_all(&mut inputs.pings, self.peers, |target| {
                    SessionizeIn::Closed(target, brand, before)
                });
                // At the current logical time: closed days are known before any salt is drawn.
                inputs.salts.update(SaltMessage::Settled(brand, before), 1);
            }
            Event::LinkTime { brand, at } => {
                send_to_all(&mut inputs.policy_filter, self.peers, |target| {
                    PolicyFilterIn::LinkTime(brand, at, target)
                });
            }
            // Untokenized pings are ignored, and no cell depends on evidence.
            Event::Ping { .. } | Event::Evidence { .. } => {}
            Event::LabelName { brand, label, word } => {
                send_to_all(&mut inputs.cells, self.peers, |target| {
                    CellsIn::LabelName(target, brand, label, word.clone())
                });
            }
        }
    }

    /// Settles the sightings of a brand on salt days before the given one. That they are is not durable yet: no worker
    /// receives [`Output::Expired`] for them, and ledgers keep them until [`Dataflow::erase_sightings`].
    pub fn settle_sightings(&mut self, brand: BrandId, before: Day) {
        self.mark_settled(brand, before, false);
    }

    /// Tells all workers that sightings are settled, and whether that is durable.
    fn mark_settled(&mut self, brand: BrandId, before: Day, durable: bool) {
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        send_to_all(&mut inputs.records, self.peers, |target| {
            UpsertIn::Settled(target, brand, before, durable)
        });
        send_to_all(&mut inputs.closed_visits, self.peers, |target| {
            MatchIn::Settled(target, brand, before)
        });
    }

    /// Declares that the changes of this epoch to some identifiers are one act, as those by one request: for `k_delta` they
    /// count as one, whether anything links the identifiers or not.
    pub fn join_act(&mut self, brand: BrandId, ids: Arc<[Pseudonym]>) {
        if let Some(inputs) = &mut self.inputs {
            inputs.acts.update(GraphIn::Act { brand, ids }, 1);
        }
    }

    /// Withdraws a label name that this worker has announced. It must be announced again before the label is used
    /// again.
    pub fn withdraw_label(&mut self, brand: BrandId, label: Label) {
        if let Some(inputs) = &mut self.inputs {
            send_to_all(&mut inputs.cells, self.peers, |target| {
                CellsIn::LabelWithdrawn(target, brand, label)
            });
        }
    }

    /// Requests another check whether a label is used: this worker has used it since the epoch in which it was
    /// reported as [unused](Output::Unused).
    pub fn recheck_label(&mut self, brand: BrandId, label: Label) {
        if let Some(inputs) = &mut self.inputs {
            let again = CellsIn::RecheckLabel(self.index, brand, label);
            inputs.cells.update(again, 1);
        }
    }

    /// Retracts a record that a retention pass evaluated at the end of the epoch `as_of`. A record that changed since
    /// stays. All workers receive [`Output::Expired`].
    pub fn expire(&mut self, key: RecordKey, as_of: Epoch) {
        if let Some(inputs) = &mut self.inputs {
            inputs.records.update(UpsertIn::Expire(key, as_of), 1);
        }
    }

    /// Retracts a record, unless it arrived after what an erasure covers.
    pub fn erase(&mut self, key: RecordKey, reach: Reach) {
        if let Some(inputs) = &mut self.inputs {
            inputs.records.update(UpsertIn::Erase(key, reach), 1);
        }
    }

    /// Releases changed cells at the end of this epoch, on all workers. `now`, in Unix milliseconds, is the clock of
    /// the release gate.
    pub fn release(&mut self, now: i64) {
        if let Some(inputs) = &mut self.inputs {
            send_to_all(&mut inputs.cells, self.peers, |target| {
                CellsIn::Release(target, now)
            });
        }
    }

    /// Publishes all published cells of this worker again at the end of this epoch, for instance after the broker
    /// lost them.
    pub fn republish(&mut self) {
        if let Some(inputs) = &mut self.inputs {
            inputs.cells.update(CellsIn::Republish(self.index), 1);
        }
    }

    /// Declares that this worker adds no more pings of a brand's salt days before the given one after this epoch.
    /// Once all workers have, the salts of those days are deleted and the days settle.
    pub fn close_salt_days(&mut self, brand: BrandId, before: Day) {
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        self.asked
            .retain(|(of, day)| *of != brand || *day >= before);
        let from = self.index;
        send_to_all(&mut inputs.pings, self.peers, |target| SessionizeIn::Over {
            target,
            from,
            brand,
            before,
        });
        inputs.send_salt_message(SaltMessage::Finished(from, brand, before));
    }

    /// Declares that this worker adds no more sightings of a brand's salt days before the given one after this epoch.
    pub fn accept_sightings_since(&mut self, brand: BrandId, since: Day) {
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        let from = self.index;
        send_to_all(&mut inputs.closed_visits, self.peers, |target| {
            MatchIn::Accepts {
                target,
                from,
                brand,
                since,
            }
        });
    }

    /// Asks a question. The answers carry `number` and reach the sink of this worker by the end of the epoch.
    pub fn ask(&mut self, number: u64, question: Question) {
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        for key in question.keys(self.peers) {
            let query = RoutedQuestion {
                asker: self.index,
                number,
                key,
                question: question.clone(),
            };
            inputs.questions.update(query, 1);
        }
    }

    /// Ends all epochs before the given one.
    pub fn advance_to(&mut self, epoch: Epoch) {
        fn advance<D: Data>(session: &mut Session<D>, epoch: Epoch) {
            session.advance_to(epoch);
            session.flush();
        }
        let Some(inputs) = &mut self.inputs else {
            return;
        };
        advance(&mut inputs.records, epoch);
        advance(&mut inputs.acts, epoch);
        advance(&mut inputs.policy_filter, epoch);
        advance(&mut inputs.pings, epoch);
        advance(&mut inputs.closed_visits, epoch);
        advance(&mut inputs.cells, epoch);
        advance(&mut inputs.questions, epoch);
    }

    /// Ends the input of this worker for good.
    pub fn end(&mut self) {
        self.inputs = None;
    }

    /// Whether all workers have completed all epochs before the given one.
    pub fn is_done_before(&self, epoch: Epoch) -> bool {
        !self.probe.less_than(&epoch)
    }

    /// Whether all workers have ended their input and processed all of it.
    pub fn is_complete(&self) -> bool {
        self.probe.done()
    }
}

//! Salts: what makes a sensor token good for one store and one day only.
//!
//! A salt is drawn at random for a brand and a salt day, and the store enters the hash, so that the same
//! device has unrelated tokens in two stores or on two days. One worker, the *desk*, draws the salts of the
//! whole cluster when they are first asked for, and tells every worker, which remembers the answer in its [`SaltCache`].
//! Salts are asked for a day ahead, and whoever asks never waits for the answer: a ping whose salt is not known yet is
//! set aside by the caller. When every worker has said that a day is over, the desk tells all of them to forget its
//! salt, and what was heard on it can no longer be linked to anything. No salt is ever drawn for such a day again.
//!
//! Tokens never show in any output, so a random salt cannot make two runs differ, but for which devices are the sample of
//! a store's day that has too many (`presence/tokens.rs`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use differential_dataflow::AsCollection;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use timely::dataflow::channels::pact::Exchange as ByTarget;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::{Exchange, Inspect};

use crate::engine::{Collection, Diff, Epoch};
use crate::label::Label;
use crate::record::{BrandId, Day, Pseudonym, Token};

/// The secret of a brand's salt day: 256 random bits, wiped from memory when it is dropped.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Salt([u8; 32]);

impl Salt {
    /// A salt that was drawn before.
    pub fn from_bytes(bytes: [u8; 32]) -> Salt {
        Salt(bytes)
    }

    /// Its bytes, for the sealed ledger and nothing else.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn draw() -> Salt {
        Salt(rand::random())
    }

    /// The token of a device in a store: BLAKE3 keyed with the salt over the store and the device, cut to
    /// 128 bits.
    fn token(&self, store: Label, device: Pseudonym) -> Token {
        let mut input = [0; 24];
        let bytes = store
            .0
            .to_le_bytes()
            .into_iter()
            .chain(device.to_le_bytes());
        input
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = from);
        let hash = blake3::keyed_hash(&self.0, &input);
        let mut token = [0; 16];
        token
            .iter_mut()
            .zip(hash.as_bytes())
            .for_each(|(to, from)| *to = *from);
        Token(u128::from_le_bytes(token))
    }
}

impl Drop for Salt {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl std::fmt::Debug for Salt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Salt(…)")
    }
}

/// What the desk and the books are told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SaltMessage {
    /// To the desk: a worker needs the salt of a day.
    Request(u64, BrandId, Day),
    /// To the desk: the salt of a day, from before a restart.
    Restored(BrandId, Day, Salt),
    /// To the desk: a worker will hear nothing more of a brand's days before one.
    Finished(u64, BrandId, Day),
    /// To a worker: the salt of a day.
    Salt(u64, BrandId, Day, Salt),
    /// To a worker: the salts of a brand's days before one are to be forgotten.
    Forget(u64, BrandId, Day),
    /// To the desk: a brand's days before one are settled, and their sums are durable.
    Settled(BrandId, Day),
    /// To a worker: the same.
    SettledEverywhere(u64, BrandId, Day),
}

impl SaltMessage {
    fn target(&self) -> u64 {
        match self {
            SaltMessage::Request(..)
            | SaltMessage::Restored(..)
            | SaltMessage::Finished(..)
            | SaltMessage::Settled(..) => ALLOCATOR,
            SaltMessage::Salt(target, ..)
            | SaltMessage::Forget(target, ..)
            | SaltMessage::SettledEverywhere(target, ..) => *target,
        }
    }
}

/// The worker that draws.
const ALLOCATOR: u64 = 0;

/// The salts that one worker knows.
#[derive(Debug, Default)]
pub struct SaltCache {
    salts: BTreeMap<(BrandId, Day), Salt>,
    /// The first salt day of each brand that is not closed.
    closed: BTreeMap<BrandId, Day>,
    forgotten: Vec<(BrandId, Day)>,
    settled: Vec<(BrandId, Day)>,
}

impl SaltCache {
    /// The token of a device, where the salt of the day is known.
    pub fn token(
        &self,
        brand: BrandId,
        day: Day,
        store: Label,
        device: Pseudonym,
    ) -> Option<Token> {
        let salt = self.salts.get(&(brand, day))?;
        Some(salt.token(store, device))
    }

    /// The salt of a day, where it is known.
    pub fn salt(&self, brand: BrandId, day: Day) -> Option<&Salt> {
        self.salts.get(&(brand, day))
    }

    /// Whether a day is closed on every worker: it has no salt any more and gets none.
    pub fn is_closed(&self, brand: BrandId, day: Day) -> bool {
        self.closed.get(&brand).is_some_and(|before| day < *before)
    }

    /// Enters a salt.
    pub fn enter(&mut self, brand: BrandId, day: Day, salt: Salt) {
        self.salts.insert((brand, day), salt);
    }

    /// The first days that count since the last call: for these brands the salts of all days before were
    /// destroyed on every worker.
    pub fn take_forgotten(&mut self) -> Vec<(BrandId, Day)> {
        std::mem::take(&mut self.forgotten)
    }

    /// The first days that count since the last call: for these brands all days before are settled, and nobody needs
    /// their pings any more.
    pub fn take_settled(&mut self) -> Vec<(BrandId, Day)> {
        std::mem::take(&mut self.settled)
    }

    fn close(&mut self, brand: BrandId, before: Day) {
        let closed = self.closed.entry(brand).or_insert(before);
        *closed = (*closed).max(before);
    }

    fn forget(&mut self, brand: BrandId, before: Day) {
        self.close(brand, before);
        self.salts
            .retain(|(of, day), _| *of != brand || *day >= before);
        self.forgotten.push((brand, before));
    }

    fn settle(&mut self, brand: BrandId, before: Day) {
        self.close(brand, before);
        self.settled.push((brand, before));
    }
}

/// The desk: the salts of the cluster, and up to where each worker's days are over.
struct SaltAllocator {
    cache: SaltCache,
    over: FxHashMap<BrandId, FxHashMap<u64, Day>>,
    peers: u64,
}

impl SaltAllocator {
    fn handle(&mut self, message: SaltMessage, answer: &mut Vec<SaltMessage>) {
        match message {
            // Who asks for a closed day did not know that it is.
            SaltMessage::Request(from, brand, day) if self.cache.is_closed(brand, day) => {
                let before = self.cache.closed.get(&brand).copied().unwrap_or(day);
                answer.push(SaltMessage::Forget(from, brand, before));
            }
            // Every worker is told, because what was heard under a token lies with whoever owns the token, and is asked
            // for by the device.
            SaltMessage::Request(_, brand, day) => {
                let salt = self.cache.salts.entry((brand, day));
                let salt = salt.or_insert_with(Salt::draw).clone();
                let tell = |to| SaltMessage::Salt(to, brand, day, salt.clone());
                answer.extend((0..self.peers).map(tell));
            }
            SaltMessage::Restored(brand, day, salt) => {
                let salt = self.cache.salts.entry((brand, day)).or_insert(salt);
                let tell = |to| SaltMessage::Salt(to, brand, day, salt.clone());
                answer.extend((0..self.peers).map(tell));
            }
            SaltMessage::Finished(from, brand, before) => {
                let over = self.over.entry(brand).or_default();
                let day = over.entry(from).or_insert(before);
                *day = (*day).max(before);
                if over.len() as u64 == self.peers
                    && let Some(first) = over.values().min().copied()
                {
                    self.cache.forget(brand, first);
                    self.cache.take_forgotten();
                    answer.extend((0..self.peers).map(|to| SaltMessage::Forget(to, brand, first)));
                }
            }
            SaltMessage::Settled(brand, before) => {
                self.cache.close(brand, before);
                let tell = |to| SaltMessage::SettledEverywhere(to, brand, before);
                answer.extend((0..self.peers).map(tell));
            }
            SaltMessage::Salt(..)
            | SaltMessage::Forget(..)
            | SaltMessage::SettledEverywhere(..) => {}
        }
    }
}

/// The time of the messages about salts from which on salts are drawn: before it stand those from before a restart.
pub const RESTORE_DONE: Epoch = 1;

/// Runs the desk and enters its answers into this worker's cache. The messages have a time of their own, one a message, and are
/// heard as they come, so that a worker may ask in the middle of an epoch. Before every worker is [`RESTORE_DONE`] a salt from
/// before a restart may still come, and so nothing is answered that would draw one.
pub fn distribute_salts<'scope>(
    messages: Collection<'scope, SaltMessage>,
    peers: u64,
    cache: Rc<RefCell<SaltCache>>,
) -> Collection<'scope, SaltMessage> {
    let to_target = ByTarget::new(|message: &(SaltMessage, Epoch, Diff)| message.0.target());
    let answers = messages
        .inner
        .unary_frontier(to_target, "SaltAllocator", |_capability, _info| {
            let mut allocator = SaltAllocator {
                cache: SaltCache::default(),
                over: FxHashMap::default(),
                peers,
            };
            let mut answers = Vec::new();
            let mut waiting = Vec::new();
            move |(input, frontier), output| {
                input.for_each_stamp(|capability, batches| {
                    let Some(capability) = capability.retain_least(output.output_index()) else {
                        return;
                    };
                    for (message, epoch, _) in batches.flat_map(|batch| batch.drain(..)) {
                        if matches!(message, SaltMessage::Request(..)) {
                            waiting.push((capability.delayed(&epoch), message));
                            continue;
                        }
                        allocator.handle(message, &mut answers);
                        output
                            .session(&capability)
                            .give_iterator(answers.drain(..).map(|message| (message, epoch, 1)));
                    }
                });
                if frontier.less_than(&RESTORE_DONE) {
                    return;
                }
                for (capability, message) in waiting.drain(..) {
                    allocator.handle(message, &mut answers);
                    let epoch = *capability.time();
                    output
                        .session(&capability)
                        .give_iterator(answers.drain(..).map(|message| (message, epoch, 1)));
                }
            }
        })
        .container::<Vec<_>>();
    answers
        .exchange(|message: &(SaltMessage, Epoch, Diff)| message.0.target())
        .inspect(move |(message, _, _)| match message.clone() {
            SaltMessage::Salt(_, brand, day, salt) => cache.borrow_mut().enter(brand, day, salt),
            SaltMessage::Forget(_, brand, before) => cache.borrow_mut().forget(brand, before),
            SaltMessage::SettledEverywhere(_, brand, before) => {
                cache.borrow_mut().settle(brand, before)
            }
            SaltMessage::Request(..)
            | SaltMessage::Restored(..)
            | SaltMessage::Finished(..)
            | SaltMessage::Settled(..) => {}
        })
        .as_collection()
}

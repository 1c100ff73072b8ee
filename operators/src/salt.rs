//! Salts: random keys that limit a sensor token to one store and one day.
//!
//! A salt is drawn at random for a brand and a salt day, and the store is part of the hash input, so that the same device
//! has unrelated tokens in two stores or on two days. One worker, the *allocator*, draws the salts of the whole cluster on
//! request and sends them to all workers, which cache them in a [`SaltCache`]. Salts are requested a day ahead, and a
//! request never blocks: the caller sets a ping aside until the salt of its day is known. Once all workers have finished a
//! day, the allocator makes them delete its salt, and the pings of the day can no longer be linked to anything. No salt is
//! ever drawn again for such a day.
//!
//! Tokens never appear in any output, so random salts cannot make two runs differ, except in the choice of devices for a
//! store and day with more devices than the limit (`sessionize/tokens.rs`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::AsCollection;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Inspect;
use timely::dataflow::operators::generic::Operator;

use crate::engine::{Collection, Diff, Epoch, broadcast, deliver};
use crate::label::Label;
use crate::record::{BrandId, Day, Pseudonym, Token};
use crate::settings::Settings;

/// The secret of a brand's salt day: 256 random bits, zeroized on drop.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Salt([u8; 32]);

impl Salt {
    /// Restores a salt from its bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Salt {
        Salt(bytes)
    }

    /// The bytes of the salt. Only the encrypted ledger may store them.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A new random salt.
    fn draw() -> Salt {
        Salt(rand::random())
    }

    /// The salt of a brand's day in a replay that stores nothing: BLAKE3 in its mode for deriving keys, over the name of the brand,
    /// a zero byte and the day in 4 bytes, least significant first.
    fn derive(brand: &str, day: Day) -> Salt {
        let input = [brand.as_bytes(), &[0], &day.to_le_bytes()].concat();
        Salt(blake3::derive_key("tributary 2026-11 replay salt", &input))
    }

    /// The token of a device in a store: BLAKE3 of store and device, keyed with the salt, truncated to 128 bits.
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

/// A message of a worker to the allocator. The first field of a message about one worker is its index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SaltMessage {
    /// A worker requests the salt of a day.
    Request(u64, BrandId, Day),
    /// The salt of a day from before a restart.
    Restored(BrandId, Day, Salt),
    /// A worker has finished the days of a brand before the given one.
    Finished(u64, BrandId, Day),
    /// The days of a brand before the given one are settled and their totals durable.
    Settled(BrandId, Day),
}

/// A message of the allocator to a worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum SaltUpdate {
    /// The salt of a day.
    Salt(BrandId, Day, Salt),
    /// Delete the salts of a brand's days before the given one.
    Forget(BrandId, Day),
    /// The days of a brand before the given one are settled and their totals durable.
    Settled(BrandId, Day),
}

/// A message to a worker, after the index of the worker.
type ToWorker = (u64, SaltUpdate);

/// The worker that draws the salts.
const ALLOCATOR: u64 = 0;

/// The salts known to one worker.
#[derive(Debug, Default)]
pub struct SaltCache {
    /// The salts of the open days.
    salts: BTreeMap<(BrandId, Day), Salt>,
    /// The first open salt day of each brand.
    closed: BTreeMap<BrandId, Day>,
    /// See [`SaltCache::take_forgotten`].
    forgotten: Vec<(BrandId, Day)>,
    /// See [`SaltCache::take_settled`].
    settled: Vec<(BrandId, Day)>,
}

impl SaltCache {
    /// The token of a device, or `None` if the salt of the day is unknown.
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

    /// The salt of a day, or `None` if it is unknown.
    pub fn salt(&self, brand: BrandId, day: Day) -> Option<&Salt> {
        self.salts.get(&(brand, day))
    }

    /// Whether a day is closed on all workers: its salt is deleted and no other will be drawn.
    pub fn is_closed(&self, brand: BrandId, day: Day) -> bool {
        self.closed.get(&brand).is_some_and(|before| day < *before)
    }

    /// Adds a salt.
    pub fn enter(&mut self, brand: BrandId, day: Day, salt: Salt) {
        self.salts.insert((brand, day), salt);
    }

    /// Takes the deletions since the last call: for each brand, all salts of days before the given one were deleted
    /// on all workers.
    pub fn take_forgotten(&mut self) -> Vec<(BrandId, Day)> {
        std::mem::take(&mut self.forgotten)
    }

    /// Takes the settlements since the last call: for each brand, all days before the given one are settled and their
    /// pings are no longer needed.
    pub fn take_settled(&mut self) -> Vec<(BrandId, Day)> {
        std::mem::take(&mut self.settled)
    }

    /// Closes the days of a brand before the given one.
    fn close(&mut self, brand: BrandId, before: Day) {
        let closed = self.closed.entry(brand).or_insert(before);
        *closed = (*closed).max(before);
    }

    /// Deletes the salts of closed days.
    fn forget(&mut self, brand: BrandId, before: Day) {
        self.close(brand, before);
        self.salts
            .retain(|(of, day), _| *of != brand || *day >= before);
        self.forgotten.push((brand, before));
    }

    /// Records that the totals of closed days are durable.
    fn settle(&mut self, brand: BrandId, before: Day) {
        self.close(brand, before);
        self.settled.push((brand, before));
    }
}

/// The allocator: the salts of the cluster, and the first unfinished day of each worker.
struct SaltAllocator {
    /// The salts of all open days that were requested.
    cache: SaltCache,
    /// The first unfinished day of each brand on each worker.
    over: FxHashMap<BrandId, FxHashMap<u64, Day>>,
    /// The number of workers.
    peers: u64,
    /// The names of the brands whose salts are derived; those of the others are random.
    derives: BTreeMap<BrandId, Arc<str>>,
}

impl SaltAllocator {
    /// Handles a message and appends the messages to workers that follow from it.
    fn handle(&mut self, message: SaltMessage, answers: &mut Vec<ToWorker>) {
        let update = match message {
            // The requesting worker does not know yet that the day is closed.
            SaltMessage::Request(from, brand, day) if self.cache.is_closed(brand, day) => {
                let before = self.cache.closed.get(&brand).copied().unwrap_or(day);
                answers.push((from, SaltUpdate::Forget(brand, before)));
                return;
            }
            // All workers need the salt: the pings of a token live on the worker that owns the token, and questions
            // name the device.
            SaltMessage::Request(_, brand, day) => {
                let salt = self.cache.salts.entry((brand, day));
                let salt = salt.or_insert_with(|| match self.derives.get(&brand) {
                    Some(name) => Salt::derive(name, day),
                    None => Salt::draw(),
                });
                SaltUpdate::Salt(brand, day, salt.clone())
            }
            SaltMessage::Restored(brand, day, salt) => {
                let salt = self.cache.salts.entry((brand, day)).or_insert(salt);
                SaltUpdate::Salt(brand, day, salt.clone())
            }
            SaltMessage::Finished(from, brand, before) => {
                let over = self.over.entry(brand).or_default();
                let day = over.entry(from).or_insert(before);
                *day = (*day).max(before);
                let all = over.len() as u64 == self.peers;
                let Some(first) = over.values().min().copied().filter(|_| all) else {
                    return;
                };
                self.cache.forget(brand, first);
                self.cache.take_forgotten();
                SaltUpdate::Forget(brand, first)
            }
            SaltMessage::Settled(brand, before) => {
                self.cache.close(brand, before);
                SaltUpdate::Settled(brand, before)
            }
        };
        answers.extend(broadcast(self.peers, |target| (target, update.clone())));
    }
}

/// The logical time of salt messages from which on salts are drawn. Earlier messages restore salts from before a
/// restart.
pub const RESTORE_DONE: Epoch = 1;

/// Runs the allocator and applies its answers to the cache of this worker. Messages have a logical time of their own,
/// one per message, and are handled on arrival, so that a worker may request a salt within an epoch. Until all
/// workers have reached [`RESTORE_DONE`] a salt from before a restart may still arrive, so requests wait.
pub fn distribute_salts(
    messages: Collection<'_, SaltMessage>,
    settings: &Settings,
    peers: u64,
    cache: Rc<RefCell<SaltCache>>,
) {
    let brands = settings.brands.iter();
    let derives = brands.filter(|(_, of)| of.derives_salts);
    let derives = derives.map(|(id, of)| (*id, of.name.clone())).collect();
    let to_allocator = Exchange::new(|_: &(SaltMessage, Epoch, Diff)| ALLOCATOR);
    let answers = messages
        .inner
        .unary_frontier(to_allocator, "SaltAllocator", |_capability, _info| {
            let mut allocator = SaltAllocator {
                cache: SaltCache::default(),
                over: FxHashMap::default(),
                peers,
                derives,
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
    deliver(answers.as_collection(), |(target, _)| *target)
        .inner
        .inspect(move |((_, update), _, _)| {
            let mut cache = cache.borrow_mut();
            match update.clone() {
                SaltUpdate::Salt(brand, day, salt) => cache.enter(brand, day, salt),
                SaltUpdate::Forget(brand, before) => cache.forget(brand, before),
                SaltUpdate::Settled(brand, before) => cache.settle(brand, before),
            }
        });
}

//! Wallet: what follows from the records of one wallet pass.
//!
//! Records of a pass meet under its token, and so do the transactions that name it. Two things follow from them: how many passes
//! are active ([`pass`]), and the *presences*, the scans at a till that belong together ([`presence`]). A presence is a
//! conversion of kind `visit` for the person of its first scan. It has no value, so that its currency is none.
//!
//! Pushes and opens are contacts with a channel, and redemptions count by channel; both reach the person without this operator
//! ([`crate::routing`]). A change costs a logarithm of the pass's registrations, or of its scans in the store, and the days whose
//! numbers it changes.

mod pass;
mod presence;
mod record;

use std::rc::Rc;

use differential_dataflow::consolidation::consolidate;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, CellKey};
use crate::current_settings::CurrentSettings;
use crate::delta_buffer::DeltaBuffer;
use crate::engine::{Diff, Epoch, KeyedOperator, KeyedState, State, emit_consolidated};
use crate::facts::Conversion;
use crate::label::Label;
use crate::record::BrandId;
use crate::small_map::SmallMap;
use crate::stats::Stats;
use pass::Pass;
use presence::{Scan, StoreScans};
pub use record::{PassKey, WalletEntry, WalletRecord, WalletUpdate};

/// The output of [`Wallets`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WalletOut {
    /// A presence as a conversion of kind `visit`.
    Presence(Presence),
    /// To the cells.
    Sum(CellKey, Aggregate),
}

/// A presence and the identifiers of its first scan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Presence {
    /// The brand.
    pub brand: BrandId,
    /// The identifiers.
    pub set: u128,
    /// The visit.
    pub conversion: Conversion,
}

/// What is known of one pass.
#[derive(Default)]
struct WalletState {
    pass: Pass,
    stores: SmallMap<Label, StoreScans>,
}

impl State for WalletState {
    fn is_empty(&self) -> bool {
        self.pass.is_empty() && self.stores.is_empty()
    }
}

/// The scans and transactions of one store that change in an epoch.
#[derive(Default)]
struct StoreChanges {
    scans: Vec<(Scan, Diff)>,
    transactions: Vec<(i64, Diff)>,
}

/// The operator. State: the records of every pass.
pub struct Wallets {
    settings: CurrentSettings,
    stats: Rc<Stats>,
    passes: KeyedState<PassKey, WalletState>,
    deltas: DeltaBuffer,
}

impl Wallets {
    /// An operator without passes.
    pub fn new(settings: CurrentSettings, stats: Rc<Stats>) -> Wallets {
        Wallets {
            settings,
            stats,
            passes: KeyedState::default(),
            deltas: DeltaBuffer::default(),
        }
    }

    /// Applies the changes of one pass.
    fn change(
        &mut self,
        key: PassKey,
        updates: &[(WalletUpdate, Diff)],
        out: &mut Vec<(WalletOut, Diff)>,
    ) {
        let Some(settings) = self.settings.brands.get(&key.brand) else {
            return;
        };
        let mut stores: FxHashMap<Label, StoreChanges> = FxHashMap::default();
        let mut records = Vec::new();
        for (update, diff) in updates {
            match &update.entry {
                WalletEntry::Transaction(store, ts) => {
                    let changes = stores.entry(*store).or_default();
                    changes.transactions.push((*ts, *diff));
                }
                WalletEntry::Record(record) => {
                    records.push((record, *diff));
                    if record.kind.is_scan() {
                        let changes = stores.entry(record.store).or_default();
                        changes.scans.push((Scan::of(record), *diff));
                    }
                }
            }
        }
        let deltas = &mut self.deltas;
        let steps = self.passes.amend(key, |state| {
            let mut steps = state.pass.amend(&records, |(platform, day), parts, diff| {
                if !settings.counts_passes() {
                    return;
                }
                let (brand, who) = (key.brand, key.pass as u64);
                for (part, is_touches) in parts.into_iter().zip([false, true]) {
                    let key = CellKey::PassesBy {
                        brand,
                        platform,
                        day,
                        is_touches,
                    };
                    deltas.add(key, part.changed_by(who), diff);
                }
            });
            for (store, changes) in stores {
                let mut scans = state.stores.remove(&store).unwrap_or_default();
                steps += emit_consolidated(out, |out| {
                    let times = changes.scans.iter().map(|(scan, _)| scan.ts);
                    let times = times.chain(changes.transactions.iter().map(|(ts, _)| *ts));
                    let mut times: Vec<i64> = times.collect();
                    times.sort_unstable();
                    times.dedup();
                    let mut emit = |scans: &StoreScans, diff| {
                        scans.presences(&times, settings.wallet_gap, |first, visit| {
                            let conversion = first.conversion(store, visit);
                            let presence = Presence {
                                brand: key.brand,
                                set: first.set.into(),
                                conversion,
                            };
                            out.push((WalletOut::Presence(presence), diff));
                        })
                    };
                    let before = emit(&scans, -1);
                    let gap = settings.wallet_gap;
                    let amended = scans.amend(&changes.scans, &changes.transactions, gap);
                    before + amended + emit(&scans, 1)
                });
                if !scans.is_empty() {
                    state.stores.insert(store, scans);
                }
            }
            steps
        });
        self.deltas.end_contributor();
        self.stats.steps(steps + updates.len() as u64);
    }
}

impl KeyedOperator for Wallets {
    type In = WalletUpdate;
    type Out = WalletOut;
    const NAME: &'static str = "Wallets";

    /// By the pass.
    fn route(update: &WalletUpdate) -> u64 {
        update.key.pass as u64
    }

    fn entries(&self) -> usize {
        self.passes.len()
    }

    fn bytes(&self) -> usize {
        self.passes.bytes(|of| {
            let stores = of.stores.heap_bytes(|(_, scans)| scans.heap_bytes());
            of.pass.heap_bytes() + stores
        })
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        mut updates: Vec<(WalletUpdate, Diff)>,
        out: &mut Vec<(WalletOut, Diff)>,
    ) {
        self.settings.take_change();
        consolidate(&mut updates);
        for updates in updates.chunk_by(|a, b| a.0.key == b.0.key) {
            if let Some((WalletUpdate { key, .. }, _)) = updates.first() {
                self.change(*key, updates, out);
            }
        }
        self.deltas.drain_into(WalletOut::Sum, out);
    }
}

//! Matching: the stays of devices that partners have seen in a store, and the visits that the store's sensors have counted.
//!
//! Neither side knows the other's devices. They meet per store and salt day, by time and by the few bits of the offline cookie
//! that several devices share, so that a visit is given to stays in parts ([`visits`]). A stay with any part of a visit is a
//! conversion of kind `visit` for the person of its device; the family `visit_match` counts stays and their weights.
//!
//! The visits come from [`crate::sessionize`] as the visits of one token, without the token. When a salt day is closed they leave
//! as [`ClosedVisits`] to be stored, without any bond between two visits of one device, and stay here as they are; after a
//! restart they return as [`MatchIn::Closed`]. No weight changes by that, since the number of bits is stored with them.

mod record;
mod stays;
mod visits;

use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::consolidation::consolidate;
use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, CellKey};
use crate::delta_buffer::DeltaBuffer;
use crate::engine::{Diff, Epoch, KeyedOperator, KeyedState, emit_consolidated};
use crate::facts::{Conversion, Visit};
use crate::record::{
    BrandId, ClosedVisits, Currency, IdKind, IdSet, Identifier, Pseudonym, SaleKind, SaleName,
};
use crate::settings::{BrandSettings, Settings};
use crate::stats::Stats;
pub use record::{DeviceVisits, MatchIn, Sighting, SightingUpdate, StoreDay};
use stays::Stay;
use visits::{Changes, DayState, Outcome};

/// The number of visits in one [`ClosedVisits`].
const VISITS_PER_EVENT: usize = 256;

/// The output of [`Matching`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MatchOut {
    /// A stay that is matched, as a conversion of the person of a device.
    Stay(BrandId, IdSet, Conversion),
    /// To the cells.
    Sum(CellKey, Aggregate),
    /// Visits of a day that is closed in this epoch.
    Closed(ClosedVisits),
}

/// The identifiers of a device alone.
pub fn device_ids(device: Pseudonym) -> IdSet {
    IdSet::new(vec![Identifier {
        pseudonym: device,
        value: device,
        kind: IdKind::Device,
    }])
}

/// The operator. State: the visits and stays of every store and salt day.
pub struct Matching {
    settings: Arc<Settings>,
    stats: Rc<Stats>,
    days: KeyedState<StoreDay, DayState>,
    deltas: DeltaBuffer,
}

impl Matching {
    /// An operator without visits and stays.
    pub fn new(settings: Arc<Settings>, stats: Rc<Stats>) -> Matching {
        Matching {
            settings,
            stats,
            days: KeyedState::default(),
            deltas: DeltaBuffer::default(),
        }
    }

    /// Applies the changes of one store and salt day.
    fn change(
        &mut self,
        key: StoreDay,
        updates: &[(MatchIn, Diff)],
        out: &mut Vec<(MatchOut, Diff)>,
    ) {
        let Some(settings) = self.settings.brands.get(&key.brand) else {
            return;
        };
        let (mut changes, mut closes) = (Changes::default(), false);
        for (update, diff) in updates {
            match update {
                MatchIn::Visits(_, of) => changes.devices.push((of.clone(), *diff)),
                MatchIn::Closed(of) => changes.closed.push((of.clone(), *diff)),
                MatchIn::Close(_) => closes = true,
                MatchIn::Sighting(update) => {
                    let of_device = changes.sightings.entry(update.device).or_default();
                    of_device.push((update.sighting.clone(), *diff));
                }
            }
        }
        let deltas = &mut self.deltas;
        let steps = self.days.amend(key, |day| {
            let steps = emit_consolidated(out, |out| {
                day.amend(changes, settings, |device, stay, outcome, diff| {
                    let conversion = conversion(key, settings, stay, outcome);
                    let sums = [
                        1,
                        i128::from(outcome.weight > 0),
                        outcome.candidates.into(),
                        outcome.weight.into(),
                    ];
                    let sums = Aggregate::of(&sums)
                        .with_contributors(1)
                        .changed_by(device as u64);
                    let cell = CellKey::VisitMatch {
                        brand: key.brand,
                        store: key.store,
                        day: conversion.day,
                    };
                    deltas.add(cell, sums, diff);
                    if outcome.weight > 0 {
                        let ids = device_ids(device);
                        out.push((MatchOut::Stay(key.brand, ids, conversion), diff));
                    }
                })
            });
            if closes {
                let (bits, visits) = day.close();
                for visits in visits.chunks(VISITS_PER_EVENT) {
                    let closed = ClosedVisits {
                        brand: key.brand,
                        store: key.store,
                        salt_day: key.salt_day,
                        bits: bits as u8,
                        visits: visits.to_vec(),
                    };
                    out.push((MatchOut::Closed(closed), 1));
                }
            }
            steps
        });
        self.stats.steps(steps + updates.len() as u64);
        self.deltas.end_contributor();
    }
}

/// A stay as a conversion.
fn conversion(
    key: StoreDay,
    settings: &BrandSettings,
    stay: &Stay,
    outcome: Outcome,
) -> Conversion {
    let (_, id, source) = &stay.lead;
    let ts = stay.first.saturating_mul(1000);
    Conversion {
        ts,
        name: SaleName::of_record(id).within(*source),
        source: *source,
        day: settings.utc_offsets.day(ts),
        kind: SaleKind::Visit,
        store: key.store,
        left: 0,
        currency: Currency::NONE,
        joins: true,
        visit: Some(Visit {
            weight: outcome.weight,
            until: stay.last.saturating_mul(1000),
            scans: 0,
            redemptions: 0,
            with_transaction: false,
        }),
    }
}

impl KeyedOperator for Matching {
    type In = MatchIn;
    type Out = MatchOut;
    const NAME: &'static str = "Matching";

    /// By store and salt day.
    fn route(update: &MatchIn) -> u64 {
        update.key().route()
    }

    fn entries(&self) -> usize {
        self.days.iter().map(|(_, day)| day.entries()).sum()
    }

    fn bytes(&self) -> usize {
        self.days.bytes(DayState::heap_bytes)
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        mut updates: Vec<(MatchIn, Diff)>,
        out: &mut Vec<(MatchOut, Diff)>,
    ) {
        consolidate(&mut updates);
        updates.sort_by_cached_key(|(update, _)| update.key());
        for updates in updates.chunk_by(|a, b| a.0.key() == b.0.key()) {
            if let Some((update, _)) = updates.first() {
                self.change(update.key(), updates, out);
            }
        }
        self.deltas.drain_into(MatchOut::Sum, out);
    }
}

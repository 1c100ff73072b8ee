//! Settling: what remains of the stays of a salt day when its sightings go.
//!
//! A matched stay becomes a *settled visit*, a record of its device alone, with the weight that it has now. The stays that were
//! not matched become a number. Of each device it remains that it belonged to the panel of a month, and what the sightings said
//! about its identifiers. A settled visit and the stay that it comes from make the same [`Matched`], so that one replaces the
//! other without any change of a cell.
//!
//! The keys of these records follow from what they are about: an answer that is entered twice changes nothing.

use std::collections::BTreeMap;

use super::record::{Sighting, StoreDay};
use super::stays::Stay;
use super::visits::{DayState, Outcome};
use crate::aggregate::{Aggregate, CellKey};
use crate::ask::Reply;
use crate::calendar::month;
use crate::facts::{Conversion, Visit};
use crate::label::Label;
use crate::record::{
    Body, BrandId, Currency, Day, IdKind, IdSet, Identifier, Pseudonym, Record, RecordId,
    RecordKey, SaleKind, SaleName, UnmatchedStays,
};
use crate::settings::BrandSettings;

/// The identifiers of a device alone.
pub fn device_ids(device: Pseudonym) -> IdSet {
    IdSet::new(vec![Identifier {
        pseudonym: device,
        value: device,
        kind: IdKind::Device,
    }])
}

/// The device that a record of a partner is about.
pub(crate) fn device_of(record: &Record) -> Option<Pseudonym> {
    let mut ids = record.ids.ids().iter();
    let device = ids.find(|id| id.kind == IdKind::Device);
    device.map(|id| id.pseudonym)
}

/// A stay with what it weighs, settled or not.
#[derive(Clone, Copy)]
pub(crate) struct Matched {
    pub(crate) device: Pseudonym,
    pub(crate) store: Label,
    /// The last second, Unix milliseconds.
    pub(crate) until: i64,
    /// The number of visits that it may have been.
    pub(crate) candidates: i64,
    /// Its weight in millionths.
    pub(crate) weight: u32,
}

impl Matched {
    /// What it adds to `visit_match`.
    pub(crate) fn sums(&self, brand: BrandId, day: Day) -> (CellKey, Aggregate) {
        let values = [
            1,
            i128::from(self.weight > 0),
            self.candidates.into(),
            self.weight.into(),
        ];
        let store = self.store;
        let sums = Aggregate::of(&values)
            .with_contributors(1)
            .changed_by(self.device as u64);
        (CellKey::VisitMatch { brand, store, day }, sums)
    }

    /// The conversion that it is, at `ts` on `day`, with the record of an id and a source standing for it.
    pub(crate) fn conversion(&self, ts: i64, day: Day, id: &str, source: Label) -> Conversion {
        Conversion {
            ts,
            name: SaleName::of_record(id).within(source),
            source,
            day,
            kind: SaleKind::Visit,
            store: self.store,
            left: 0,
            currency: Currency::NONE,
            joins: true,
            visit: Some(Visit {
                weight: self.weight,
                until: self.until,
                scans: 0,
                redemptions: 0,
                with_transaction: false,
            }),
        }
    }
}

/// What a settled visit counts as; `None` for any other record.
pub(crate) fn settled(record: &Record) -> Option<Matched> {
    let Body::SettledVisit {
        store,
        until,
        candidates,
        weight,
        ..
    } = record.body
    else {
        return None;
    };
    Some(Matched {
        device: device_of(record)?,
        store,
        until,
        candidates: candidates.into(),
        weight,
    })
}

/// What stays that were not matched add to `visit_match`.
pub fn unmatched_sums(of: &UnmatchedStays) -> (CellKey, Aggregate) {
    let UnmatchedStays {
        brand,
        store,
        day,
        stays,
    } = *of;
    let sums = Aggregate::of(&[stays.into()]).with_contributors(stays);
    (CellKey::VisitMatch { brand, store, day }, sums)
}

/// Appends what remains of a store's salt day.
pub(super) fn remains(
    key: StoreDay,
    day: &DayState,
    settings: &BrandSettings,
    replies: &mut Vec<Reply>,
) {
    let StoreDay {
        brand,
        store,
        salt_day,
    } = key;
    // A part with the number 0, so that a day with nothing but visits is settled as well.
    let mut unmatched: BTreeMap<Day, i64> = [(salt_day, 0)].into();
    for (device, stay, outcome) in day.outcomes() {
        if !settings.counts_stays() {
            break;
        }
        match outcome.weight {
            0 => {
                let day = settings.utc_offsets.day(stay.first.saturating_mul(1000));
                *unmatched.entry(day).or_default() += 1;
            }
            _ => replies.push(visit(key, device, stay, outcome, settings)),
        }
    }
    replies.extend(unmatched.into_iter().map(|(day, stays)| {
        Reply::Unmatched(UnmatchedStays {
            brand,
            store,
            day,
            stays,
        })
    }));
    let mut panel: BTreeMap<(Pseudonym, Option<&IdSet>, Label, i32, bool), i64> = BTreeMap::new();
    for (device, sighting) in day.sightings() {
        let Sighting {
            ts,
            source,
            cookie,
            linked,
            ..
        } = sighting;
        let month = month(settings.utc_offsets.day(*ts));
        let member = (device, linked.as_deref(), *source, month, cookie.is_none());
        let newest = panel.entry(member).or_insert(*ts);
        *newest = (*newest).max(*ts);
    }
    for ((device, linked, source, month, by_position), ts) in panel {
        let ids = linked.cloned().unwrap_or_else(|| device_ids(device));
        let parts = [
            &ids.key().to_le_bytes()[..],
            &source.0.to_le_bytes(),
            &salt_day.to_le_bytes(),
            &month.to_le_bytes(),
            &[u8::from(by_position)],
        ];
        let record = Record {
            brand,
            source,
            id: RecordId::default(),
            ts,
            day: settings.utc_offsets.day(ts),
            ids,
            body: Body::PanelMember { by_position },
        };
        let key = key_of(brand, b"panel_member", &parts);
        replies.push(Reply::Settled(key, Box::new(record)));
    }
}

/// A stay that was matched, as a record.
fn visit(
    key: StoreDay,
    device: Pseudonym,
    stay: &Stay,
    outcome: Outcome,
    settings: &BrandSettings,
) -> Reply {
    let (_, id, source) = &stay.lead;
    let ts = stay.first.saturating_mul(1000);
    let record = Record {
        brand: key.brand,
        source: *source,
        id: id.clone(),
        ts,
        day: settings.utc_offsets.day(ts),
        ids: device_ids(device),
        body: Body::SettledVisit {
            store: key.store,
            until: stay.last.saturating_mul(1000),
            candidates: u32::try_from(outcome.candidates).unwrap_or(u32::MAX),
            weight: outcome.weight,
            by_position: stay.cookies.is_empty(),
        },
    };
    let parts = [
        &device.to_le_bytes()[..],
        &key.store.0.to_le_bytes(),
        &key.salt_day.to_le_bytes(),
        &stay.first.to_le_bytes(),
    ];
    let key = key_of(key.brand, b"settled_visit", &parts);
    Reply::Settled(key, Box::new(record))
}

/// The key of a record that settling makes. No record of the input has one of them, because the name of a brand is not empty.
fn key_of(brand: BrandId, what: &[u8], parts: &[&[u8]]) -> RecordKey {
    let brand = brand.0.to_le_bytes();
    let parts: Vec<&[u8]> = [&brand[..], what]
        .into_iter()
        .chain(parts.iter().copied())
        .collect();
    RecordKey::of("", &parts)
}

//! Wallet passes: presences, which are visits to stores, and the families that count passes.
//!
//! Scans of one pass in one store and day of the brand with no gap longer than the setting are one presence, at its first scan by
//! `(ts, id, source)`. It has a transaction if one of the same pass in the store is at most the gap before its first scan
//! or after its last.
//!
//! A pass is active on a platform at a time if no record up to then voids it, and the newest registration of at least one holder up to
//! then is an installation. What changes within one millisecond is one change.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{Body, Day, Pseudonym, SaleKind, WalletPlatform, WalletType};

use crate::brand::Brand;
use crate::consent::AllowedRecord;
use crate::family_sums::{CountedCell, FamilySums};
use crate::identity::Identity;

/// Scans that belong together.
pub(crate) struct Presence<'a> {
    /// The first scan.
    pub(crate) first: &'a AllowedRecord<'a>,
    /// The last scan.
    pub(crate) last: &'a AllowedRecord<'a>,
    /// The store.
    pub(crate) store: Label,
    /// What it consists of.
    pub(crate) counts: PresenceCounts,
}

/// What a presence consists of.
#[derive(Clone, Copy)]
pub(crate) struct PresenceCounts {
    /// Scans and redemptions.
    pub(crate) scans: i128,
    /// Redemptions.
    pub(crate) redemptions: i128,
    /// Whether there is a transaction of the pass.
    pub(crate) with_transaction: bool,
}

/// The presences of a brand.
pub(crate) fn presences<'a>(gap: i64, records: &'a [AllowedRecord<'a>]) -> Vec<Presence<'a>> {
    let mut scans: BTreeMap<(Pseudonym, Label, Day), Vec<&AllowedRecord>> = BTreeMap::new();
    let mut transactions: BTreeSet<(Pseudonym, Label, i64)> = BTreeSet::new();
    for record in records {
        let Some(pass) = record.pass() else { continue };
        match record.body {
            Body::Wallet {
                kind: WalletType::Scan | WalletType::Redeem,
                store,
                ..
            } => scans
                .entry((pass, store, record.day))
                .or_default()
                .push(record),
            Body::Sale {
                kind: SaleKind::Transaction,
                store,
                ..
            } => drop(transactions.insert((pass, store, record.ts))),
            _ => {}
        }
    }
    let mut presences = Vec::new();
    for ((pass, store, _), mut scans) in scans {
        scans.sort_by_key(|scan| (scan.ts, &scan.id, scan.source));
        for of_one in scans.chunk_by(|a, b| b.ts - a.ts <= gap) {
            let redeems = |scan: &&&AllowedRecord| {
                let redeem = WalletType::Redeem;
                matches!(scan.body, Body::Wallet { kind, .. } if kind == redeem)
            };
            let (Some(first), Some(last)) = (of_one.first(), of_one.last()) else {
                continue;
            };
            let near = (pass, store, first.ts - gap)..=(pass, store, last.ts + gap);
            presences.push(Presence {
                first,
                last,
                store,
                counts: PresenceCounts {
                    scans: of_one.len() as i128,
                    redemptions: of_one.iter().filter(redeems).count() as i128,
                    with_transaction: transactions.range(near).next().is_some(),
                },
            });
        }
    }
    presences
}

/// The `redemption_day` cells of a brand.
///
/// - Dimensions: brand, source, medium, campaign, store, day.
/// - Values: redemptions, persons.
pub(crate) fn redemption_days(
    brand: &Brand,
    identity: &Identity,
    records: &[AllowedRecord],
) -> Vec<CountedCell> {
    let mut tally: FamilySums<(Channel, Label, Day), 1> = FamilySums::new();
    for record in records {
        if let Body::Wallet {
            kind: WalletType::Redeem,
            channel,
            store,
            ..
        } = record.body
        {
            let who = (identity.person(&record.ids), true);
            tally.add((channel, store, record.day), [1], who);
        }
    }
    tally.cells(Family::RedemptionDay, |(channel, store, day), sum| {
        let [source, medium, campaign] = brand.channel(*channel);
        let [redemptions] = sum.values;
        let store = brand.word(*store);
        let dims = vec![
            brand.name(),
            source,
            medium,
            campaign,
            store,
            Dim::Day(*day),
        ];
        (dims, vec![redemptions, sum.person_count()])
    })
}

/// What passes do on a platform and day.
#[derive(Default)]
struct PassDay {
    issued: BTreeSet<Pseudonym>,
    voided: BTreeSet<Pseudonym>,
    installed: i128,
    removed: i128,
    pushes: i128,
    opens: i128,
}

/// The `wallet_day` cells of a brand.
///
/// - Dimensions: brand, platform, day. A platform has a cell on the days with a record, and on those on which a pass becomes active
///   or ceases to be.
/// - Values: issued, installed, removed, active, voided, pushes, opens.
pub(crate) fn wallet_days(brand: &Brand, records: &[AllowedRecord]) -> Vec<CountedCell> {
    let mut days: BTreeMap<(WalletPlatform, Day), PassDay> = BTreeMap::new();
    let mut passes: BTreeMap<Pseudonym, Vec<&AllowedRecord>> = BTreeMap::new();
    for record in records {
        let (Some(pass), Body::Wallet { kind, platform, .. }) = (record.pass(), &record.body)
        else {
            continue;
        };
        let day = days.entry((*platform, record.day)).or_default();
        match kind {
            WalletType::Issue => drop(day.issued.insert(pass)),
            WalletType::Void => drop(day.voided.insert(pass)),
            WalletType::Push => day.pushes += 1,
            WalletType::Open => day.opens += 1,
            _ => {}
        }
        passes.entry(pass).or_default().push(record);
    }
    for records in passes.values() {
        let moments: BTreeMap<i64, Day> = records.iter().map(|of| (of.ts, of.day)).collect();
        for platform in WalletPlatform::ALL {
            let mut was_active = false;
            for (ts, day) in &moments {
                let is_active = is_active(records, platform, *ts);
                if is_active != was_active {
                    let day = days.entry((platform, *day)).or_default();
                    match is_active {
                        true => day.installed += 1,
                        false => day.removed += 1,
                    }
                }
                was_active = is_active;
            }
        }
    }
    let mut active: BTreeMap<WalletPlatform, i128> = BTreeMap::new();
    let mut cells = Vec::new();
    for ((platform, day), of) in days {
        let active = active.entry(platform).or_default();
        *active += of.installed - of.removed;
        let values = vec![
            of.issued.len() as i128,
            of.installed,
            of.removed,
            *active,
            of.voided.len() as i128,
            of.pushes,
            of.opens,
        ];
        if values.iter().any(|value| *value != 0) {
            let platform = Dim::Text(platform.name().into());
            let cell = Cell {
                family: Family::WalletDay,
                dims: vec![brand.name(), platform, Dim::Day(day)],
                values,
            };
            cells.push(CountedCell {
                cell,
                contributors: u64::MAX,
            });
        }
    }
    cells
}

/// Whether a pass with some records is active on a platform at a time.
fn is_active(records: &[&AllowedRecord], platform: WalletPlatform, at: i64) -> bool {
    let mut newest: BTreeMap<u64, &AllowedRecord> = BTreeMap::new();
    let order = |of: &AllowedRecord| (of.ts, of.id.clone(), of.source);
    for record in records.iter().filter(|record| record.ts <= at) {
        let Body::Wallet {
            kind,
            platform: of,
            holder,
            ..
        } = record.body
        else {
            continue;
        };
        match kind {
            WalletType::Void => return false,
            WalletType::Install | WalletType::Remove if of == platform => {
                let newest = newest.entry(holder).or_insert(record);
                if order(newest) < order(record) {
                    *newest = record;
                }
            }
            _ => {}
        }
    }
    newest.values().any(|record| {
        let install = WalletType::Install;
        matches!(record.body, Body::Wallet { kind, .. } if kind == install)
    })
}

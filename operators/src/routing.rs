//! Routing: splits an admitted record into parts, each for the operator that it concerns.
//!
//! The identifiers of a record go to the identity graph, a contact or sale goes to the person behind them, and what needs no
//! person goes directly to the cells. A record that is retracted, or admitted for other uses, is split in the same way with the
//! opposite sign, so that no part of it remains (invariant I1).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, CellKey, Credited, MonthGroup, TrafficMonth};
use crate::attribution::Model;
use crate::attribution::credit::CONVERSION;
use crate::calendar::month;
use crate::cell::{ContributorId, Traffic};
use crate::delta_buffer::DeltaBuffer;
use crate::facts::{Contact, Conversion, Fact, IdSetUse, Redemption};
use crate::id_sets::changes::OwnChanges;
use crate::label::{Channel, Label};
use crate::matching::{Sighting, SightingUpdate, StoreDay, device_ids, device_of, settled};
use crate::net_sales::{Restatement, Sale, SaleUpdate};
use crate::notices::NoticeUpdate;
use crate::policy::Admission;
use crate::record::{
    Body, BrandId, Currency, Day, IdKind, IdSet, Record, SaleKind, SightingCookie, TouchKind,
    WalletType,
};
use crate::release::SaleRow;
use crate::wallet::{PassKey, WalletEntry, WalletRecord, WalletUpdate};

/// A part of an admitted record, named by its destination. A record has at most one part of each kind, except that a statement
/// has one for each of its boxes, that a sighting uses two identifier sets, that an exposure is two facts, and that its labels are
/// counted apart from it: they are in use as long as the record is stored, admitted or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Routed {
    /// To the count of the identifier set, which is not that of the record.
    IdSetUse(IdSetUse),
    /// To the person of the identifier set (its key, or 0 for nobody), which is not that of the record.
    Fact(BrandId, u128, Fact),
    /// To the counts of identifier sets of a worker: there are uses among its [`OwnChanges`].
    OwnUses(u64),
    /// To the persons of the identifier sets of a worker: there are facts among its [`OwnChanges`].
    OwnFacts(u64),
    /// To the balance of the sale and its refunds.
    Sale(SaleUpdate),
    /// To the pass that the record names. Boxed, because it is rare and larger than the other parts.
    Wallet(Box<WalletUpdate>),
    /// To the notice that a box of the statement shows. Boxed, because it is rare and larger than the other parts.
    Notice(Box<NoticeUpdate>),
    /// To the store and salt day of a sighting.
    Sighting(Box<SightingUpdate>),
    /// To the cells. Boxed, because it is rare and larger than the other parts.
    Sum(Box<(CellKey, Aggregate)>),
    /// To the label registries of all workers: records on this worker use a label of a brand.
    LabelUse(BrandId, Label),
}

/// Splits an admitted record that is inserted (`diff` 1) or retracted (`diff` -1). Adds its facts and uses of its own identifier set
/// to `own`, its contributions to cells that need no person to `deltas`, and all other parts to `out`.
pub(crate) fn route(
    record: &Record,
    admitted: &Admission,
    diff: i64,
    deltas: &mut DeltaBuffer,
    own: &mut OwnChanges,
    out: &mut Vec<(Routed, i64)>,
) {
    let home = record.ids.key();
    facts(record, admitted, deltas, |set, fact| {
        match home != 0 && set == home {
            true => own.facts.push(((record.brand, home.into()), fact, diff)),
            false => out.push((Routed::Fact(record.brand, set, fact), diff)),
        }
    });
    let mut used = |of: IdSetUse| match of.set.key() == home {
        true => own.uses.push((of, diff)),
        false => out.push((Routed::IdSetUse(of), diff)),
    };
    let Record {
        brand,
        source,
        ts,
        day,
        ref id,
        ref ids,
        ref body,
    } = *record;
    let Admission {
        ref reduced, joins, ..
    } = *admitted;
    let ids = reduced.as_ref().unwrap_or(ids).clone();
    let id = id.clone();
    let names = !matches!(
        body,
        Body::Spend { .. } | Body::Consent { .. } | Body::Right { .. }
    );
    if names && !ids.is_empty() {
        let mention = IdSetUse {
            brand,
            set: ids.clone(),
            source,
            day,
            is_fact: is_fact(body),
        };
        used(mention);
    }
    if matches!(body, Body::Sighting { .. } | Body::PanelMember { .. })
        && let Some(device) = device_of(record)
    {
        let set = device_ids(device);
        if set != ids {
            // The stay is that of the device, whatever else the record links.
            let mention = IdSetUse {
                brand,
                set,
                source,
                day,
                is_fact: true,
            };
            used(mention);
        }
    }
    if let Some(update) = of_sighting(record) {
        out.push((Routed::Sighting(Box::new(update)), diff));
    }
    if deltas.counts_stays(brand)
        && !deltas.has_ladder(brand)
        && let Some(visit) = settled(record)
    {
        let (key, sums) = visit.sums(brand, day);
        deltas.add(key, sums, diff);
    }
    if let Some(update) = of_wallet(record, &ids, joins) {
        out.push((Routed::Wallet(Box::new(update)), diff));
    }
    if let Some((kind, channel, _)) = body.contact() {
        if deltas.has_ladder(brand) {
            if ids.is_empty() {
                let who = ContributorId::record(source, &id);
                let (key, sums) = contacts_by(brand, channel, day, kind, who);
                deltas.add(key, sums, diff);
            }
        } else {
            // A person is counted as a contributor where the person is known.
            let mut sums = count_contact(kind);
            if ids.is_empty() {
                sums = sums.with_contributors(1).changed_by(Label::of(&id).0);
            }
            let key = CellKey::CampaignDay {
                brand,
                channel,
                day,
            };
            deltas.add(key, sums, diff);
        }
        return;
    }
    match *body {
        // Statements and identifications are no facts.
        Body::Consent {
            boxes: Some(ref boxes),
            ..
        } => {
            let updates = boxes.iter().filter_map(|of| NoticeUpdate::of(record, of));
            out.extend(updates.map(|update| (Routed::Notice(Box::new(update)), diff)));
        }
        Body::Identify | Body::Consent { .. } | Body::Right { .. } => {}
        Body::Contact { .. }
        | Body::Wallet { .. }
        | Body::Sighting { .. }
        | Body::Exposure { .. }
        | Body::PartnerLink
        | Body::SettledVisit { .. }
        | Body::PanelMember { .. } => {}
        Body::Sale {
            kind,
            name,
            store,
            amount,
            currency,
        } => {
            let sale = Sale {
                is_open: deltas.is_open(brand, source),
                ts,
                id,
                source,
                day,
                store,
                amount,
                currency,
                set: ids.key(),
                joins,
            };
            out.push((
                Routed::Sale(SaleUpdate::sale(brand, kind, name, sale)),
                diff,
            ));
        }
        Body::Refund {
            kind, name, amount, ..
        } => {
            out.push((
                Routed::Sale(SaleUpdate::refund(brand, kind, name, source, amount)),
                diff,
            ));
        }
        Body::Restatement {
            kind, name, amount, ..
        } => {
            let restatement = Restatement {
                ts,
                id,
                source,
                amount,
            };
            out.push((
                Routed::Sale(SaleUpdate::restatement(brand, kind, name, restatement)),
                diff,
            ));
        }
        Body::Adjustment {
            kind,
            store,
            amount,
            currency,
        } => {
            let sums = Aggregate::of(&[0, amount.into()]);
            let sale_day = (brand, kind, store, day, currency);
            let who = (Label::of(&id).0, source);
            count_unattributed(sale_day, [sums; 2], who, false, diff, deltas);
        }
        Body::Spend {
            platform,
            channel,
            cost,
            currency,
            impressions,
            clicks,
        } => {
            deltas.add(
                CellKey::SpendDay {
                    brand,
                    platform,
                    channel,
                    day,
                    currency,
                },
                Aggregate::of(&[cost.into(), impressions.into(), clicks.into()]),
                diff,
            );
        }
    }
}

/// Gives the facts that follow from an admitted record alone, each with the key of its person's identifiers; that of a voucher may be
/// 0, for none. A sale is a fact once its refunds are known ([`crate::net_sales`]).
pub(crate) fn facts(
    record: &Record,
    admitted: &Admission,
    deltas: &DeltaBuffer,
    mut give: impl FnMut(u128, Fact),
) {
    let Record {
        brand,
        source,
        ts,
        day,
        ref id,
        ref body,
        ..
    } = *record;
    let set = admitted.reduced.as_ref().unwrap_or(&record.ids).key();
    if let Some((kind, channel, touch)) = body.contact()
        && set != 0
    {
        let contact = Contact {
            ts,
            id: id.clone(),
            source,
            channel,
            day,
            kind,
            touch: touch && admitted.credit,
            joins: admitted.joins,
        };
        give(set, Fact::Contact(contact));
    }
    if let Body::Wallet {
        kind: WalletType::Redeem,
        channel,
        store,
        ..
    } = *body
    {
        let redemption = Redemption {
            id: id.clone(),
            source,
            channel,
            store,
            day,
        };
        give(set, Fact::Redemption(redemption));
    }
    if deltas.is_in_panel(brand, source) {
        let panel = || Fact::Panel(month(day));
        if matches!(body, Body::Exposure { .. } | Body::PartnerLink) && set != 0 {
            give(set, panel());
        }
        if matches!(body, Body::Sighting { .. } | Body::PanelMember { .. })
            && let Some(device) = device_of(record)
        {
            give(device_ids(device).key(), panel());
        }
    }
    if deltas.counts_stays(brand)
        && let Some(visit) = settled(record)
    {
        let conversion = visit.conversion(ts, day, id, source);
        give(device_ids(visit.device).key(), Fact::Conversion(conversion));
    }
}

/// Whether a record is also a fact of a person.
fn is_fact(body: &Body) -> bool {
    match body {
        Body::Contact { .. } | Body::Sale { .. } => true,
        Body::Sighting { .. } | Body::Exposure { .. } | Body::PartnerLink => true,
        Body::SettledVisit { .. } | Body::PanelMember { .. } => true,
        Body::Wallet { kind, .. } => kind.touch().is_some() || kind.is_scan(),
        _ => false,
    }
}

/// What a sighting tells its store and salt day; `None` for any other record, and without a device.
fn of_sighting(record: &Record) -> Option<SightingUpdate> {
    let Body::Sighting {
        store,
        salt_day,
        until,
        blur,
        cookie,
    } = record.body
    else {
        return None;
    };
    let device = device_of(record)?;
    let begin = record.ts.saturating_sub(blur).div_euclid(1000);
    Some(SightingUpdate {
        key: StoreDay {
            brand: record.brand,
            store,
            salt_day,
        },
        device,
        sighting: Sighting {
            begin,
            end: until.saturating_add(blur).div_euclid(1000).max(begin),
            ts: record.ts,
            id: record.id.clone(),
            source: record.source,
            cookie: match cookie {
                SightingCookie::Cookie(cookie) => Some(cookie as u16),
                SightingCookie::None | SightingCookie::Mac(_) => None,
            },
            linked: match record.ids == device_ids(device) {
                true => None,
                false => Some(Arc::new(record.ids.clone())),
            },
        },
    })
}

/// What a record tells the pass that it names. `ids` are the identifiers by which it belongs to a person. A transaction without
/// permission to link names the pass only if that is what represents it.
fn of_wallet(record: &Record, ids: &IdSet, joins: bool) -> Option<WalletUpdate> {
    let pass_among = |ids: &IdSet| {
        let mut passes = ids.ids().iter().filter(|id| id.kind == IdKind::Wallet);
        passes.next().map(|id| id.pseudonym)
    };
    let (pass, entry) = match record.body {
        Body::Wallet {
            kind,
            platform,
            store,
            holder,
            ..
        } => {
            let entry = WalletEntry::Record(WalletRecord {
                ts: record.ts,
                id: record.id.clone(),
                source: record.source,
                day: record.day,
                kind,
                platform,
                holder,
                store,
                set: ids.key(),
                joins,
            });
            (pass_among(&record.ids)?, entry)
        }
        Body::Sale {
            kind: SaleKind::Transaction,
            store,
            ..
        } => (pass_among(ids)?, WalletEntry::Transaction(store, record.ts)),
        _ => return None,
    };
    let brand = record.brand;
    Some(WalletUpdate {
        key: PassKey { brand, pass },
        entry,
    })
}

/// One contact among impressions, clicks and views.
fn count_contact(kind: TouchKind) -> Aggregate {
    let mut counts = [0; 3];
    if let Some(count) = counts.get_mut(kind as usize) {
        *count = 1;
    }
    Aggregate::of(&counts)
}

/// A contact of a contributor, for a brand whose months are released by the ladder.
pub(crate) fn contacts_by(
    brand: BrandId,
    channel: Channel,
    day: Day,
    kind: TouchKind,
    who: ContributorId,
) -> (CellKey, Aggregate) {
    let group = TrafficMonth {
        brand,
        month: month(day),
        traffic: Traffic::Contacts,
    };
    let key = CellKey::ContactsBy {
        group,
        channel,
        day,
        who,
    };
    (key, count_contact(kind))
}

/// Adds a fact without a person to the cells that count it. The record itself is the contributor.
pub fn count_anonymous(brand: BrandId, fact: &Fact, diff: i64, deltas: &mut DeltaBuffer) {
    match fact {
        Fact::Contact(contact) if deltas.has_ladder(brand) => {
            let who = ContributorId::record(contact.source, &contact.id);
            let (key, sums) = contacts_by(brand, contact.channel, contact.day, contact.kind, who);
            deltas.add(key, sums.changed_by(fact.contributor()), diff);
        }
        Fact::Contact(contact) => {
            let key = CellKey::CampaignDay {
                brand,
                channel: contact.channel,
                day: contact.day,
            };
            let who = fact.contributor();
            deltas.add(
                key,
                Aggregate::default().with_contributors(1).changed_by(who),
                diff,
            );
        }
        Fact::Conversion(conversion) => {
            let Conversion {
                day,
                kind,
                store,
                left,
                currency,
                name,
                source,
                ..
            } = *conversion;
            if kind == SaleKind::Visit && !deltas.counts_visits(brand) {
                return;
            }
            let in_attribution = Aggregate::of(&[weight(conversion), left.into()]);
            let sums = [in_takings(conversion), in_attribution];
            let sale_day = (brand, kind, store, day, currency);
            let who = (name.0 as u64, source);
            count_unattributed(sale_day, sums, who, conversion.is_stay(), diff, deltas);
        }
        Fact::Redemption(redemption) if deltas.counts_passes(brand) => {
            let who = fact.contributor();
            let one = Aggregate::of(&[1]).with_contributors(1).changed_by(who);
            deltas.add(redemption_day(brand, redemption), one, diff);
        }
        Fact::Redemption(_) | Fact::Panel(_) => {}
    }
}

/// How much of a conversion it is, in millionths.
pub(crate) fn weight(conversion: &Conversion) -> i128 {
    let visit = conversion.visit.as_ref();
    visit.map_or(CONVERSION, |visit| i128::from(visit.weight))
}

/// What a conversion adds to its takings, without its person.
pub(crate) fn in_takings(conversion: &Conversion) -> Aggregate {
    match &conversion.visit {
        None => Aggregate::of(&[1, conversion.left.into()]),
        Some(visit) => Aggregate::of(&[
            1,
            visit.scans.into(),
            visit.redemptions.into(),
            0,
            visit.with_transaction.into(),
        ]),
    }
}

/// The cell of a redemption.
pub(crate) fn redemption_day(brand: BrandId, redemption: &Redemption) -> CellKey {
    let Redemption {
        channel,
        store,
        day,
        ..
    } = *redemption;
    CellKey::RedemptionDay {
        brand,
        channel,
        store,
        day,
    }
}

/// Adds a sale or adjustment without a person, by its sums in takings and in attribution, to the cells that count it. `who` is
/// the hash that represents the record as a contributor, which a record of an open source is not. A stay has no takings.
fn count_unattributed(
    (brand, kind, store, day, currency): (BrandId, SaleKind, Label, Day, Currency),
    [in_takings, in_attribution]: [Aggregate; 2],
    (who, source): (u64, Label),
    is_stay: bool,
    diff: i64,
    deltas: &mut DeltaBuffer,
) {
    let is_vouched = !deltas.is_open(brand, source);
    if deltas.has_ladder(brand) {
        let group = MonthGroup {
            brand,
            month: month(day),
            kind,
            currency,
        };
        let [conversions, second, ..] = in_takings.values.map(|value| value as i64);
        let [millionths, ..] = in_attribution.values.map(|value| value as i64);
        let [value, scans] = match kind {
            SaleKind::Visit => [0, second],
            SaleKind::Order | SaleKind::Transaction => [second, 0],
        };
        let sums = [conversions, millionths, value];
        let row = SaleRow::of_nobody(group, store, day, (who, is_vouched), sums);
        let row = SaleRow {
            scans: u32::try_from(scans).unwrap_or(u32::MAX),
            ..row
        };
        let one = match is_vouched {
            true => Aggregate::of(&[1]).changed_by(who),
            false => Aggregate::of(&[1]),
        };
        return deltas.add(CellKey::sale(row), one, diff);
    }
    let by_record = |sums: Aggregate| match is_vouched {
        true => sums.with_contributors(1).changed_by(who),
        false => sums,
    };
    if !is_stay {
        let takings = takings(brand, kind, store, day, currency);
        deltas.add(takings, by_record(in_takings), diff);
    }
    let taken = CellKey::Taken {
        group: MonthGroup {
            brand,
            month: month(day),
            kind,
            currency,
        },
        store,
        day,
        credited: Credited::Nothing,
        who: None,
    };
    let one = match is_vouched {
        true => Aggregate::default().with_contributors(1),
        false => Aggregate::of(&[1]),
    };
    deltas.add(taken, one, diff);
    for model in Model::ALL {
        let key = CellKey::Attribution {
            brand,
            model,
            channel: Channel::unattributed(),
            kind,
            store,
            day,
            currency,
        };
        deltas.add(key, by_record(in_attribution), diff);
    }
}

/// The cell of the takings that a sale or adjustment belongs to: those of a store and day, or of all orders of a day.
pub fn takings(
    brand: BrandId,
    kind: SaleKind,
    store: Label,
    day: Day,
    currency: Currency,
) -> CellKey {
    match kind {
        SaleKind::Order => CellKey::OrdersDay {
            brand,
            day,
            currency,
        },
        SaleKind::Transaction => CellKey::StoreDay {
            brand,
            store,
            day,
            currency,
        },
        SaleKind::Visit => CellKey::ScanDay { brand, store, day },
    }
}

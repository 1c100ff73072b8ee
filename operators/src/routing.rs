//! Routing: splits an admitted record into parts, each for the operator that it concerns.
//!
//! What a record says of its identifiers goes to the identity graph, a contact and a sale go to the person behind them,
//! and what needs no person goes straight into the cells. A record that is no longer held, or counts for something else,
//! takes the same ways with the opposite sign, so that nothing of it stays (invariant I1).

use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, CellKey, Credited, DeltaBuffer, MonthGroup};
use crate::attribution::Model;
use crate::attribution::credit::CONVERSION;
use crate::calendar::month;
use crate::facts::{Contact, Conversion, Fact, IdSetUse};
use crate::label::{Channel, Label};
use crate::net_sales::{Sale, SaleUpdate};
use crate::policy::Admission;
use crate::record::{Body, BrandId, Currency, Day, IdSet, Record, SaleKind};
use crate::release::SaleRow;

/// Where a part of a record goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Routed {
    /// To the identity graph.
    IdSetUse(IdSetUse),
    /// To the person behind the set.
    Fact(BrandId, IdSet, Fact),
    /// To the settlement of sales and refunds.
    Sale(SaleUpdate),
    /// To the cells. Few of these leave, so that they may be large.
    Sum(Box<(CellKey, Aggregate)>),
}

/// Takes an admitted record, held (`diff` 1) or no longer held (`diff` -1), apart.
pub fn route(
    record: &Record,
    admitted: &Admission,
    diff: i64,
    deltas: &mut DeltaBuffer,
    out: &mut Vec<(Routed, i64)>,
) {
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
        ref reduced,
        credit,
        joins,
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
            is_fact: matches!(body, Body::Contact { .. } | Body::Sale { .. }),
        };
        out.push((Routed::IdSetUse(mention), diff));
    }
    match *body {
        // What is said about a record is no fact of its own.
        Body::Identify | Body::Consent { .. } | Body::Right { .. } => {}
        Body::Contact {
            kind,
            channel,
            touch,
        } => {
            let mut counts = [0; 3];
            counts[kind as usize] = 1;
            // Whoever is named is counted, and counts as changed, where the person is known.
            let mut sums = Aggregate::of(&counts);
            if ids.is_empty() {
                sums = sums.with_contributors(1).changed_by(Label::of(&id).0);
            }
            deltas.add(
                CellKey::CampaignDay {
                    brand,
                    channel,
                    day,
                },
                sums,
                diff,
            );
            if !ids.is_empty() {
                let contact = Contact {
                    ts,
                    id,
                    source,
                    channel,
                    day,
                    kind,
                    touch: touch && credit,
                    joins,
                };
                out.push((Routed::Fact(brand, ids, Fact::Contact(contact)), diff));
            }
        }
        Body::Sale {
            kind,
            name,
            store,
            amount,
            currency,
        } => {
            let sale = Sale {
                ts,
                id,
                source,
                day,
                store,
                amount,
                currency,
                ids,
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
        Body::Adjustment {
            kind,
            store,
            amount,
            currency,
        } => {
            if deltas.has_ladder(brand) {
                let group = MonthGroup {
                    brand,
                    month: month(day),
                    kind,
                    currency,
                };
                let row = SaleRow::of_nobody(group, store, day, Label::of(&id).0, 0, amount);
                return deltas.add(CellKey::sale(row), Aggregate::of(&[1]), diff);
            }
            let rung_up = takings(brand, kind, store, day, currency);
            let sums = Aggregate::of(&[0, amount.into()])
                .with_contributors(1)
                .changed_by(Label::of(&id).0);
            deltas.add(rung_up, sums, diff);
            let nobodys = nobodys(brand, kind, store, day, currency);
            deltas.add(nobodys, Aggregate::default().with_contributors(1), diff);
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
                deltas.add(key, sums, diff);
            }
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

/// Adds a fact that belongs to nobody to the cells that count it.
pub fn anonymous(brand: BrandId, fact: &Fact, diff: i64, deltas: &mut DeltaBuffer) {
    match fact {
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
                ..
            } = *conversion;
            if deltas.has_ladder(brand) {
                let group = MonthGroup {
                    brand,
                    month: month(day),
                    kind,
                    currency,
                };
                let row = SaleRow::of_nobody(group, store, day, name.0 as u64, 1, left);
                return deltas.add(CellKey::sale(row), Aggregate::of(&[1]), diff);
            }
            let by_sale = |sums: Aggregate| sums.with_contributors(1).changed_by(name.0 as u64);
            let rung_up = takings(brand, kind, store, day, currency);
            deltas.add(rung_up, by_sale(Aggregate::of(&[1, left.into()])), diff);
            let nobodys = nobodys(brand, kind, store, day, currency);
            deltas.add(nobodys, Aggregate::default().with_contributors(1), diff);
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
                deltas.add(
                    key,
                    by_sale(Aggregate::of(&[CONVERSION, left.into()])),
                    diff,
                );
            }
        }
    }
}

/// The cell that a sale or adjustment is rung up in.
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
    }
}

/// What of a month's takings belongs to nobody.
fn nobodys(brand: BrandId, kind: SaleKind, store: Label, day: Day, currency: Currency) -> CellKey {
    let group = MonthGroup {
        brand,
        month: month(day),
        kind,
        currency,
    };
    CellKey::Taken {
        group,
        store,
        day,
        credited: Credited::Nothing,
        who: None,
    }
}

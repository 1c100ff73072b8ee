//! Facts: what a held record means to the stages behind it.
//!
//! Every record that names somebody is a [`Mention`] for the identity graph. A contact and a sale
//! that counts are [`Fact`]s that belong to a person, or to nobody. Contacts, adjustments and spend
//! also go straight into the cells that need no person.

use std::sync::Arc;

use differential_dataflow::consolidation::consolidate_slice;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::admit::Admitted;
use crate::attribution::Model;
use crate::attribution::credit::CONVERSION;
use crate::calendar::month;
use crate::label::{Channel, Label};
use crate::record::{Body, BrandId, Currency, Day, IdSet, Record, SaleKind, SaleName, TouchKind};
use crate::settle::SaleUpdate;
use crate::sums::{CellKey, Credited, MonthGroup, Sums, Tally};

/// A web contact of somebody. The order is the order of paths: time, then the id's bytes, then the
/// source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Contact {
    /// Unix milliseconds.
    pub ts: i64,
    /// The record's id.
    pub id: Arc<str>,
    /// The record's source.
    pub source: Label,
    /// Its channel.
    pub channel: Channel,
    /// The day in the brand's zone.
    pub day: Day,
    /// Impression, click or view.
    pub kind: TouchKind,
    /// Whether it may be credited.
    pub touch: bool,
    /// Whether it may stand in the path of what happened at a till.
    pub joins: bool,
}

/// A sale that counts, with what refunds have left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Conversion {
    /// Unix milliseconds.
    pub ts: i64,
    /// What refunds call the sale.
    pub name: SaleName,
    /// The record's source.
    pub source: Label,
    /// The day in the brand's zone.
    pub day: Day,
    /// Order or transaction.
    pub kind: SaleKind,
    /// The store; absent for an order.
    pub store: Label,
    /// What is left of the amount, minor units, not negative.
    pub left: i64,
    /// The currency of the amount.
    pub currency: Currency,
    /// Whether what led to it may be looked for in the web.
    pub joins: bool,
}

/// Something that happened to somebody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fact {
    /// A web contact.
    Contact(Contact),
    /// A sale that counts.
    Conversion(Conversion),
}

/// The changes of the facts of one owner in one epoch: mostly one.
pub(crate) type FactChanges = SmallVec<[(Fact, i64); 1]>;

/// Brings changes into order and nets what cancels out.
pub(crate) fn net(changes: &mut FactChanges) {
    let left = consolidate_slice(changes);
    changes.truncate(left);
}

/// Changes that are in order, as sorted lists take them with the fewest moves: what goes from the last to the first, then
/// what comes from the first to the last.
pub(crate) fn in_cheap_order(changes: FactChanges) -> impl Iterator<Item = (Fact, i64)> {
    let (come, go): (FactChanges, FactChanges) =
        changes.into_iter().partition(|(_, diff)| *diff > 0);
    go.into_iter().rev().chain(come)
}

/// That the identifiers of a set stood in one record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mention {
    /// The tenant.
    pub brand: BrandId,
    /// The identifiers, at least one.
    pub set: IdSet,
    /// Where the record came from.
    pub source: Label,
    /// The record's day.
    pub day: Day,
    /// Whether the record is a fact of somebody besides.
    pub is_fact: bool,
}

/// Where a part of a record goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Routed {
    /// To the identity graph.
    Mention(Mention),
    /// To the person behind the set.
    Fact(BrandId, IdSet, Fact),
    /// To the settlement of sales and refunds.
    Sale(SaleUpdate),
    /// To the cells. Few of these leave, so that they may be large.
    Sum(Box<(CellKey, Sums)>),
}

/// Takes an admitted record, held (`diff` 1) or no longer held (`diff` -1), apart.
pub fn route(
    record: &Record,
    admitted: &Admitted,
    diff: i64,
    tally: &mut Tally,
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
    let Admitted {
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
        let mention = Mention {
            brand,
            set: ids.clone(),
            source,
            day,
            is_fact: matches!(body, Body::Contact { .. } | Body::Sale { .. }),
        };
        out.push((Routed::Mention(mention), diff));
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
            let mut sums = Sums::of(&counts);
            if ids.is_empty() {
                sums = sums.by(1).whose(Label::of(&id).0);
            }
            tally.add(
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
            let sale = crate::settle::Sale {
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
            let rung_up = takings(brand, kind, store, day, currency);
            let sums = Sums::of(&[0, amount.into()]).by(1).whose(Label::of(&id).0);
            tally.add(rung_up, sums, diff);
            let nobodys = nobodys(brand, kind, store, day, currency);
            tally.add(nobodys, Sums::default().by(1), diff);
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
                tally.add(key, sums, diff);
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
            tally.add(
                CellKey::SpendDay {
                    brand,
                    platform,
                    channel,
                    day,
                    currency,
                },
                Sums::of(&[cost.into(), impressions.into(), clicks.into()]),
                diff,
            );
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

/// Adds a fact that belongs to nobody to the cells that count it.
pub fn anonymous(brand: BrandId, fact: &Fact, diff: i64, tally: &mut Tally) {
    match fact {
        Fact::Contact(contact) => {
            let key = CellKey::CampaignDay {
                brand,
                channel: contact.channel,
                day: contact.day,
            };
            let who = Label::of(&contact.id).0;
            tally.add(key, Sums::default().by(1).whose(who), diff);
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
            let by = |sums: Sums| sums.by(1).whose(name.0 as u64);
            let rung_up = takings(brand, kind, store, day, currency);
            tally.add(rung_up, by(Sums::of(&[1, left.into()])), diff);
            let nobodys = nobodys(brand, kind, store, day, currency);
            tally.add(nobodys, Sums::default().by(1), diff);
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
                tally.add(key, by(Sums::of(&[CONVERSION, left.into()])), diff);
            }
        }
    }
}

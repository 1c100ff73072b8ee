//! Journeys: every conversion with the touchpoints before it.
//!
//! A touchpoint counts for a conversion of the same person if it is at most the window of its kind
//! before it, both ends included, in elapsed milliseconds. Touchpoints are ordered by `(ts, id,
//! source)`, and a path consists of the newest `max_path` of those that count. Oversized persons,
//! and sales without an identifier, have no path. Touchpoints are web records: for a conversion at
//! a till they count only if both records may be joined.

use std::collections::BTreeMap;

use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{Currency, Day, SaleKind, TouchKind};
use tributary_operators::settings::BrandSettings;

use crate::consent::AllowedRecord;
use crate::identity::Identity;
use crate::matching::Stay;
use crate::net_sales::{NetSales, Sale};
use crate::person::Person;
use crate::rules::Step;
use crate::touch::contact_of;
use crate::wallet::{Presence, PresenceCounts, presences};

/// One conversion, in millionths.
const WHOLE: i128 = 1_000_000;

/// A stay no further than this from the scans of the same person's pass is the visit that the till knows, milliseconds.
const NEAR_PRESENCE: i64 = 30 * 60 * 1000;

/// A touchpoint. The order of the fields is the sort order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Touch<'a> {
    /// The time of the contact, Unix milliseconds.
    pub(crate) ts: i64,
    /// The ID of the record.
    id: &'a str,
    /// The source of the record.
    source: Label,
    /// The kind of contact, which determines the window.
    kind: TouchKind,
    /// The channel of the contact.
    pub(crate) channel: Channel,
    /// The day of the contact in the brand's time zone.
    pub(crate) day: Day,
    /// Whether it may be on the path of a conversion at a till.
    joins: bool,
}

/// A sale that counts, or a visit to a store, with the path that led to it.
///
/// The path is empty if the person is unknown or oversized, if no touchpoint is within its window,
/// or if the sale is at a till and may not be joined.
pub(crate) struct Conversion<'a> {
    /// The sale; for a visit its first scan, with a value of zero.
    pub(crate) sale: Sale<'a>,
    /// What a visit of a wallet pass consists of; `None` for a sale, and for a stay that partners saw.
    pub(crate) visit: Option<PresenceCounts>,
    /// How much of a conversion it is, in millionths.
    pub(crate) weight: i128,
    /// The person of the sale, if known.
    pub(crate) person: Option<Person>,
    /// Whether the person is oversized.
    pub(crate) oversized: bool,
    /// The touchpoints that count for it, oldest first.
    pub(crate) path: Vec<Step>,
}

impl Conversion<'_> {
    /// The person, and whether the source of the sale vouches for it.
    pub(crate) fn who(&self, settings: &BrandSettings) -> (Option<Person>, bool) {
        (self.person, settings.is_verified(self.sale.record.source))
    }
}

/// All touchpoints and conversions of a brand.
pub(crate) struct Journeys<'a> {
    /// The touchpoints of every person, sorted.
    pub(crate) touches: BTreeMap<Person, Vec<Touch<'a>>>,
    /// The conversions, in the order of the sales, the visits of passes, and the stays.
    pub(crate) conversions: Vec<Conversion<'a>>,
}

impl<'a> Journeys<'a> {
    /// The journeys of one brand. Every sale and every visit becomes one conversion, with or without a path.
    pub(crate) fn of(
        settings: &BrandSettings,
        identity: &Identity,
        net_sales: &NetSales<'a>,
        records: &'a [AllowedRecord<'a>],
        stays: &'a [Stay<'a>],
    ) -> Journeys<'a> {
        let touches = touches(identity, records);
        let presences = presences(settings.wallet_gap, records);
        let stays = stays.iter().filter(|stay| {
            let is_at_till = || is_at_till(identity, &presences, stay);
            stay.weight > 0 && !is_at_till()
        });
        let stays: Vec<_> = stays
            .map(|stay| {
                let sale = Sale {
                    record: &stay.record,
                    kind: SaleKind::Visit,
                    store: stay.store,
                    currency: Currency::NONE,
                    left: 0,
                };
                (sale, None, stay.weight)
            })
            .collect();
        let visits = presences.into_iter();
        let visits = visits.map(|presence| {
            let visit = Sale {
                record: presence.first,
                kind: SaleKind::Visit,
                store: presence.store,
                currency: Currency::NONE,
                left: 0,
            };
            (visit, Some(presence.counts), WHOLE)
        });
        let sales = net_sales.sales.iter().map(|sale| (*sale, None, WHOLE));
        let conversions = sales
            .chain(visits)
            .chain(stays)
            .map(|(sale, visit, weight)| {
                let person = identity.person(&sale.record.ids);
                let oversized = person.is_some_and(|person| identity.oversized(person));
                let path = person
                    .filter(|_| !oversized)
                    .and_then(|person| touches.get(&person))
                    .map(|touches| path(settings, touches, &sale))
                    .unwrap_or_default();
                Conversion {
                    sale,
                    visit,
                    weight,
                    person,
                    oversized,
                    path,
                }
            })
            .collect();
        Journeys {
            touches,
            conversions,
        }
    }
}

/// The stays that are the visit of a scan of the same person's pass in the same store: the till knows better.
pub(crate) fn known_at_till<'a>(
    settings: &BrandSettings,
    identity: &Identity,
    records: &'a [AllowedRecord<'a>],
    stays: &'a [Stay<'a>],
) -> Vec<&'a Stay<'a>> {
    let presences = presences(settings.wallet_gap, records);
    let stays = stays.iter();
    stays
        .filter(|stay| is_at_till(identity, &presences, stay))
        .collect()
}

fn is_at_till(identity: &Identity, presences: &[Presence], stay: &Stay) -> bool {
    let of = |presence: &Presence| {
        let first = presence.first.ts - NEAR_PRESENCE;
        let last = presence.last.ts + NEAR_PRESENCE;
        presence.store == stay.store
            && first <= stay.last * 1000
            && last >= stay.first * 1000
            && identity.person(&presence.first.ids) == identity.person(&stay.record.ids)
    };
    identity.person(&stay.record.ids).is_some() && presences.iter().any(of)
}

/// The touchpoints of every person, sorted.
fn touches<'a>(
    identity: &Identity,
    records: &'a [AllowedRecord<'a>],
) -> BTreeMap<Person, Vec<Touch<'a>>> {
    let mut touches: BTreeMap<Person, Vec<Touch>> = BTreeMap::new();
    for record in records {
        let Some((kind, channel, true)) = contact_of(&record.body) else {
            continue;
        };
        if !record.credits {
            continue;
        }
        if let Some(person) = identity.person(&record.ids) {
            touches.entry(person).or_default().push(Touch {
                ts: record.ts,
                id: &record.id,
                source: record.source,
                kind,
                channel,
                day: record.day,
                joins: record.joins,
            });
        }
    }
    for touches in touches.values_mut() {
        touches.sort();
    }
    touches
}

/// The path of a sale, from the sorted touchpoints of its person.
///
/// The newest touchpoint may have the time of the sale; the oldest is at most the window of its
/// kind before it. The limit `max_path` applies to the touchpoints that remain after all filters.
fn path(settings: &BrandSettings, touches: &[Touch], sale: &Sale) -> Vec<Step> {
    let till = sale.kind != SaleKind::Order;
    if till && !sale.record.joins {
        return Vec::new();
    }
    let ts = sale.record.ts;
    let widest = [TouchKind::Impression, TouchKind::Click, TouchKind::View]
        .map(|kind| settings.window(kind))
        .into_iter()
        .max()
        .unwrap_or_default();
    let until = touches.partition_point(|touch| touch.ts <= ts);
    let mut path: Vec<Step> = touches[..until]
        .iter()
        .rev()
        .take_while(|touch| ts - touch.ts <= widest)
        .filter(|touch| ts - touch.ts <= settings.window(touch.kind))
        .filter(|touch| touch.joins || !till)
        .take(settings.max_path)
        .map(|touch| Step {
            channel: touch.channel,
            ts: touch.ts,
        })
        .collect();
    path.reverse();
    path
}

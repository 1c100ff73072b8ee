//! Journeys: every conversion with the touches that led to it.
//!
//! A touch counts for a conversion of the same person when it lies at most its kind's window before
//! it, both ends included, in elapsed milliseconds. Touches stand in the order of `(ts, id, source)`,
//! and a path is the newest `max_path` of those that count. Neither an oversized person nor a sale
//! that names nobody has a path. Touches are of the web: for what happened at a till they count only
//! where both may be joined.

use std::collections::BTreeMap;

use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{Body, Day, SaleKind, TouchKind};
use tributary_operators::settings::BrandSettings;

use crate::consent::AllowedRecord;
use crate::identity::Identity;
use crate::net_sales::{NetSales, Sale};
use crate::person::Person;
use crate::rules::Step;

/// A touch; the fields stand in the order in which touches are sorted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Touch<'a> {
    pub(crate) ts: i64,
    id: &'a str,
    source: Label,
    kind: TouchKind,
    pub(crate) channel: Channel,
    pub(crate) day: Day,
    /// Whether it may stand in the path of what happened at a till.
    joins: bool,
}

/// A sale that counts, and how its customer came to it.
pub(crate) struct Conversion<'a> {
    pub(crate) sale: Sale<'a>,
    pub(crate) person: Option<Person>,
    /// Whether the person has too many identifiers.
    pub(crate) oversized: bool,
    /// The touches that count for it, oldest first.
    pub(crate) path: Vec<Step>,
}

/// All touches and conversions of a brand.
pub(crate) struct Journeys<'a> {
    /// The touches of every person, sorted.
    pub(crate) touches: BTreeMap<Person, Vec<Touch<'a>>>,
    pub(crate) conversions: Vec<Conversion<'a>>,
}

impl<'a> Journeys<'a> {
    pub(crate) fn of(
        settings: &BrandSettings,
        identity: &Identity,
        net_sales: &NetSales<'a>,
        records: &'a [AllowedRecord<'a>],
    ) -> Journeys<'a> {
        let touches = touches(identity, records);
        let conversions = net_sales
            .sales
            .iter()
            .map(|sale| {
                let person = identity.person(&sale.record.ids);
                let oversized = person.is_some_and(|person| identity.oversized(person));
                let path = person
                    .filter(|_| !oversized)
                    .and_then(|person| touches.get(&person))
                    .map(|touches| path(settings, touches, sale))
                    .unwrap_or_default();
                Conversion {
                    sale: *sale,
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

fn touches<'a>(
    identity: &Identity,
    records: &'a [AllowedRecord<'a>],
) -> BTreeMap<Person, Vec<Touch<'a>>> {
    let mut touches: BTreeMap<Person, Vec<Touch>> = BTreeMap::new();
    for record in records {
        let Body::Contact {
            kind,
            channel,
            touch: true,
        } = record.body
        else {
            continue;
        };
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

/// The path of a sale, from the sorted touches of its person.
fn path(settings: &BrandSettings, touches: &[Touch], sale: &Sale) -> Vec<Step> {
    let till = sale.kind == SaleKind::Transaction;
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

//! The `visit_lift` family: the visits of those who were exposed to a channel, beside those of the others.
//!
//! The panel of a month is every person, oversized ones aside, of whom a partner reports anything in that month. Who has a
//! touchpoint of a channel in the month is exposed to it from the first one on. It compares, and proves no cause.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::{Dim, Family};
use tributary_operators::label::Channel;
use tributary_operators::record::{Body, SaleKind};

use crate::brand::Brand;
use crate::calendar::month;
use crate::consent::AllowedRecord;
use crate::family_sums::{CountedCell, existing_cell};
use crate::identity::Identity;
use crate::journeys::Journeys;
use crate::matching::{device_alone, shows_stays};
use crate::person::Person;

/// The cells of the family for one brand.
///
/// - Dimensions: brand, month, source, medium, campaign.
/// - Values: exposed persons, the weight of their stays since, the others, the weight of theirs; both in millionths.
pub(crate) fn cells(
    brand: &Brand,
    identity: &Identity,
    journeys: &Journeys,
    records: &[AllowedRecord],
) -> Vec<CountedCell> {
    if !shows_stays(brand.settings) {
        return Vec::new();
    }
    let panels = panels(identity, records.iter());
    let mut cells = Vec::new();
    for (of, panel) in panels {
        let weight = |person: &Person, since: i64| -> i128 {
            let stays = journeys.conversions.iter().filter(|conversion| {
                let sale = &conversion.sale;
                conversion.person == Some(*person)
                    && (sale.kind, conversion.visit.is_none()) == (SaleKind::Visit, true)
                    && month(sale.record.day) == of
                    && sale.record.ts >= since
            });
            stays.map(|stay| stay.weight).sum()
        };
        for (channel, firsts) in first_touches(journeys, &panel, of) {
            let others = panel.iter().filter(|person| !firsts.contains_key(*person));
            let others: Vec<&Person> = others.collect();
            let values = vec![
                firsts.len() as i128,
                firsts
                    .iter()
                    .map(|(person, first)| weight(person, *first))
                    .sum(),
                others.len() as i128,
                others.iter().map(|person| weight(person, i64::MIN)).sum(),
            ];
            let [source, medium, campaign] = brand.channel(channel);
            let dims = vec![brand.name(), Dim::Month(of), source, medium, campaign];
            cells.extend(existing_cell(Family::VisitLift, dims, values, u64::MAX));
        }
    }
    cells
}

/// The persons of whom some records of partners report anything, by month.
pub(crate) fn panels<'a>(
    identity: &Identity,
    records: impl Iterator<Item = &'a AllowedRecord<'a>>,
) -> BTreeMap<i32, BTreeSet<Person>> {
    let mut panels: BTreeMap<i32, BTreeSet<Person>> = BTreeMap::new();
    for record in records {
        let person = match record.body {
            Body::Sighting { .. } | Body::PanelMember { .. } => record
                .device()
                .and_then(|device| identity.person(&device_alone(device))),
            Body::Exposure { .. } | Body::PartnerLink => identity.person(&record.ids),
            _ => continue,
        };
        let person = person.filter(|person| !identity.oversized(*person));
        panels.entry(month(record.day)).or_default().extend(person);
    }
    panels
}

/// The first touchpoint of each channel in a month, by person.
pub(crate) fn first_touches(
    journeys: &Journeys,
    panel: &BTreeSet<Person>,
    of: i32,
) -> BTreeMap<Channel, BTreeMap<Person, i64>> {
    let mut exposed: BTreeMap<Channel, BTreeMap<Person, i64>> = BTreeMap::new();
    for person in panel {
        let touches = journeys.touches.get(person).into_iter().flatten();
        for touch in touches.filter(|touch| month(touch.day) == of) {
            let first = exposed.entry(touch.channel).or_default();
            let first = first.entry(*person).or_insert(touch.ts);
            *first = touch.ts.min(*first);
        }
    }
    exposed
}

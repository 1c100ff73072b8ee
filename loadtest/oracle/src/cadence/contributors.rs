//! The contribution of every contributor to the cells of a brand: what the cells would be without
//! anyone else.
//!
//! This is correct if no record joins two persons, as in the histories that it is used for: each
//! person has one identifier, and each device of a store's day counts separately. Of the devices of
//! a day, only those within the device limit are considered.

use std::collections::BTreeMap;

use tributary_operators::cell::{Dim, Family};
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{Body, BrandId, Day, Ping, Pseudonym, Record};
use tributary_operators::settings::Settings;

use crate::brand::by_brand;
use crate::identity::Identity;
use crate::journeys::Journeys;
use crate::net_sales::NetSales;
use crate::stored::StoredState;
use crate::{calendar, consent, device_limit, existing_cells, months};

/// A cell by its family and dimensions.
pub type CellName = (Family, Vec<Dim>);

/// The cells that a reader knows: values by family and dimensions.
pub type PublishedCells = BTreeMap<CellName, Vec<i128>>;

/// A contributor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Contributor {
    /// A person with one identifier.
    Person(Pseudonym),
    /// A device in a store on a salt day.
    Device(Label, Day, Pseudonym),
}

/// What a contributor contributes.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Contribution {
    /// Its share of the values of each cell.
    pub(super) cells: BTreeMap<CellName, Vec<i128>>,
    /// The same without conversions of open sources, for the families that hold conversions.
    pub(super) vouched: BTreeMap<CellName, Vec<i128>>,
    /// The transitions of its null paths, by month.
    pub(super) null_steps: BTreeMap<i32, BTreeMap<[Channel; 2], u64>>,
}

/// All contributors, with their records, pings and contributions.
#[derive(Default)]
pub(super) struct Contributors {
    all: BTreeMap<Contributor, (Vec<Record>, Vec<Ping>, Contribution)>,
}

impl Contributors {
    /// Updates the contributors to a stored state, and returns those whose contributions changed,
    /// with the previous and the current one.
    pub(super) fn change(
        &mut self,
        settings: &Settings,
        brand: BrandId,
        held: &StoredState,
    ) -> Vec<(Contributor, Contribution, &Contribution)> {
        let mut parts: BTreeMap<Contributor, (Vec<Record>, Vec<Ping>)> = BTreeMap::new();
        for record in held.records.iter().filter(|record| record.brand == brand) {
            if let [id] = record.ids.ids() {
                let (records, _) = parts.entry(Contributor::Person(id.pseudonym)).or_default();
                records.push(record.clone());
            }
        }
        let pings: Vec<&Ping> = held.pings.iter().filter(|of| of.brand == brand).collect();
        let most = settings.brands.get(&brand).map_or(0, |of| of.max_devices);
        for ping in device_limit::counted_pings(&pings, most) {
            let device = Contributor::Device(ping.store, ping.salt_day, ping.device);
            let (_, pings) = parts.entry(device).or_default();
            pings.push(*ping);
        }
        for contributor in self.all.keys() {
            parts.entry(*contributor).or_default();
        }
        let mut before = BTreeMap::new();
        for (contributor, (records, pings)) in parts {
            let known = self.all.get(&contributor);
            if known.is_some_and(|(old, known_pings, _)| *old == records && *known_pings == pings) {
                continue;
            }
            let contribution = alone(settings, held, &records, &pings);
            let old = self.all.insert(contributor, (records, pings, contribution));
            before.insert(contributor, old.map(|(_, _, old)| old).unwrap_or_default());
        }
        let changed = before.into_iter().filter_map(|(contributor, old)| {
            let (_, _, new) = self.all.get(&contributor)?;
            (old != *new).then_some((contributor, old, new))
        });
        changed.collect()
    }

    /// The cells of all contributors.
    pub(super) fn cells(&self) -> impl Iterator<Item = &CellName> {
        self.all.values().flat_map(|(_, _, of)| of.cells.keys())
    }
}

/// The contribution of some records and pings: the cells of a state that contains nothing else,
/// before the gate, and the transitions of their null paths.
fn alone(
    settings: &Settings,
    held: &StoredState,
    records: &[Record],
    pings: &[Ping],
) -> Contribution {
    let mut contribution = Contribution::default();
    if records.is_empty() && pings.is_empty() {
        return contribution;
    }
    let held = StoredState {
        records: records.to_vec(),
        pings: pings.to_vec(),
        link_times: held.link_times.clone(),
        unmatched: Vec::new(),
        words: held.words.clone(),
    };
    let cells_of = |held: &StoredState| -> BTreeMap<CellName, Vec<i128>> {
        let cells = existing_cells(settings, held).into_iter();
        let named = cells.map(|(cell, _)| ((cell.family, cell.dims), cell.values));
        named.collect()
    };
    contribution.cells = cells_of(&held);
    let mut verified = held.clone();
    verified.records.retain(|record| {
        let brand = settings.brands.get(&record.brand);
        let is_conversion = matches!(record.body, Body::Sale { .. } | Body::Adjustment { .. });
        !is_conversion || brand.is_none_or(|of| of.is_verified(record.source))
    });
    contribution.vouched = match verified.records.len() == held.records.len() {
        true => contribution.cells.clone(),
        false => cells_of(&verified),
    };
    for (name, values) in &contribution.cells {
        let is_of_conversions = !matches!(
            name.0,
            Family::CampaignDay
                | Family::Visits
                | Family::Identity
                | Family::SpendDay
                | Family::NoticeDay
        );
        if !is_of_conversions {
            contribution.vouched.insert(name.clone(), values.clone());
        }
    }
    by_brand(settings, &held, |brand, records, _| {
        let records = &consent::allowed_records(brand.settings, records, brand.link_time);
        let identity = Identity::of(brand.settings, records);
        let net_sales = NetSales::of(brand.settings, records);
        let journeys = Journeys::of(brand.settings, &identity, &net_sales, records, &[]);
        for (month, paths) in months::null_paths(&identity, &journeys, false) {
            let steps = contribution.null_steps.entry(month).or_default();
            for (path, times) in paths {
                let end = [Channel::default()];
                let path = [&end[..], &path, &end].concat();
                for step in path.windows(2).filter(|step| step[0] != step[1]) {
                    *steps.entry([step[0], step[1]]).or_default() += times;
                }
            }
        }
    });
    contribution
}

/// The month that a cell of revenue belongs to, by brand, kind, month and currency; `None` for any
/// other cell.
pub(super) fn month_of_revenue((family, dims): &CellName) -> Option<Vec<Dim>> {
    let (kind, day) = match (family, &dims[..]) {
        (Family::StoreDay, [_, _, Dim::Day(day), _]) => ("transaction", *day),
        (Family::OrdersDay, [_, Dim::Day(day), _]) => ("order", *day),
        (Family::ScanDay, [_, _, Dim::Day(day)]) => ("visit", *day),
        _ => return None,
    };
    let month = Dim::Month(calendar::month(day));
    let currency = match family {
        Family::ScanDay => Dim::Null,
        _ => dims.last()?.clone(),
    };
    let brand = dims.first()?.clone();
    Some(vec![brand, Dim::Text(kind.into()), month, currency])
}

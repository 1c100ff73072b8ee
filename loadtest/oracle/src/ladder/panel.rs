//! The panel of a month, and its stays with the cells that may count them.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::record::{Day, SaleKind};

use super::contributor::{Contributor, credits_of, who};
use super::name::{self, Name, Word};
use crate::brand::Brand;
use crate::calendar::month;
use crate::consent::AllowedRecord;
use crate::identity::Identity;
use crate::journeys::Journeys;
use crate::lift::{first_touches, panels};
use crate::person::Person;
use crate::rules::Model;
use crate::touch::contact_of;

/// Source, medium and campaign.
pub(super) type Words = [Word; 3];

/// A stay of the month.
#[derive(Clone, Debug)]
pub(super) struct Stay {
    pub(super) ts: i64,
    pub(super) day: Day,
    pub(super) person: Option<Person>,
    pub(super) who: Contributor,
    pub(super) vouched: bool,
    pub(super) weight: i128,
    pub(super) has_touch: bool,
    pub(super) revenue: Vec<Name>,
    pub(super) credits: Vec<(Model, Vec<Name>, i128)>,
}

/// What a month's comparison counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Panel {
    pub(super) members: BTreeSet<Person>,
    pub(super) firsts: BTreeMap<Words, BTreeMap<Person, i64>>,
    pub(super) reached: BTreeMap<Words, BTreeSet<Person>>,
    pub(super) stays: Vec<Stay>,
}

/// The panels of all months. A source that anybody can write to puts nobody into a panel.
pub(super) fn of_months(
    brand: &Brand,
    identity: &Identity,
    journeys: &Journeys,
    records: &[AllowedRecord],
) -> BTreeMap<i32, Panel> {
    let verified = records
        .iter()
        .filter(|of| brand.settings.is_verified(of.source));
    let mut months: BTreeMap<i32, Panel> = BTreeMap::new();
    for (of, members) in panels(identity, verified) {
        let firsts = first_touches(journeys, &members, of).into_iter();
        let firsts = firsts.map(|(channel, firsts)| (brand.channel_words(channel), firsts));
        months.insert(
            of,
            Panel {
                firsts: firsts.collect(),
                members,
                ..Panel::default()
            },
        );
    }
    for record in records {
        let person = identity.person(&record.ids);
        if let Some((_, channel, _)) = contact_of(&record.body)
            && let Some(panel) = months.get_mut(&month(record.day))
        {
            let reached = panel.reached.entry(brand.channel_words(channel));
            reached.or_default().extend(person);
        }
    }
    for conversion in &journeys.conversions {
        let sale = &conversion.sale;
        if sale.kind != SaleKind::Visit || conversion.visit.is_some() {
            continue;
        }
        let day = sale.record.day;
        let credits = Model::ALL.into_iter().flat_map(|model| {
            let credits = credits_of(model, brand, conversion).into_iter();
            let credits = credits.filter(|(_, millionths, _)| *millionths > 0);
            credits.map(move |(channel, millionths, _)| {
                (model, name::of_channel(brand, channel), millionths)
            })
        });
        let store = brand.words.word(sale.store).cloned();
        let stay = Stay {
            ts: sale.record.ts,
            day,
            person: conversion.person,
            who: who(conversion.person, sale.record),
            vouched: brand.settings.is_verified(sale.record.source),
            weight: conversion.weight,
            has_touch: !conversion.path.is_empty(),
            revenue: name::of_revenue(SaleKind::Visit, day, true, &store),
            credits: credits.collect(),
        };
        if let Some(panel) = months.get_mut(&month(day)) {
            panel.stays.push(stay);
        }
    }
    months
}

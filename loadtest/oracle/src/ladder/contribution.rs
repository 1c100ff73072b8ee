//! Contributions: what each sale, contact and device gives, before anything is added up.
//!
//! Only finished days give something to a ladder; of other days there is the revenue alone.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::Dim;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{
    Body, Currency, Day, Ping, Pseudonym, Record, SaleKind, TouchKind,
};

use super::contributor::{Contributor, credits_of, who};
use super::name::{self, Name, Word};
use super::panel::{self, Panel};
use crate::brand::Brand;
use crate::consent::{self, AllowedRecord};
use crate::identity::Identity;
use crate::journeys::Journeys;
use crate::markov::PathCounts;
use crate::net_sales::NetSales;
use crate::rules::Model;
use crate::statistics::Traced;
use crate::touch::contact_of;
use crate::{calendar, device_limit, matching, months, visits};

/// Where something is counted on its day: whether it is a stay, and the store.
pub(super) type Place = (bool, Word);

/// What one contributor gives to one cell.
#[derive(Clone, Debug)]
pub(super) struct Contribution {
    /// The model that credits it; none where no model is asked.
    pub(super) model: Option<Model>,
    pub(super) who: Contributor,
    /// Whether a verified source vouches for it.
    pub(super) vouched: bool,
    pub(super) day: Day,
    pub(super) place: Place,
    /// The cells that may count it, finest first.
    pub(super) chain: Vec<Name>,
    /// What it adds to each value that adds up.
    pub(super) values: Vec<i128>,
    /// What is compared for dominance: minor units, or contacts.
    pub(super) weight: i128,
}

/// A conversion with a touchpoint.
#[derive(Clone, Debug)]
pub(super) struct Journey {
    pub(super) who: Contributor,
    pub(super) vouched: bool,
    pub(super) day: Day,
    pub(super) place: Place,
    pub(super) path: Vec<Channel>,
    /// Whole days from the first touchpoint.
    pub(super) days: i64,
    /// Minor units.
    pub(super) value: i128,
    /// How much of a conversion it is, in millionths.
    pub(super) millionths: i128,
    /// What is compared for dominance.
    pub(super) weight: i128,
}

impl Journey {
    /// The conversion as the path families count it.
    pub(super) fn traced(&self, (kind, currency, month): SalesKey) -> Traced {
        let person = match self.who {
            Contributor::Person(person) => Some(person),
            _ => None,
        };
        Traced {
            group: (kind, month, currency),
            who: (person, self.vouched),
            path: self.path.clone(),
            days: self.days,
            value: self.value,
        }
    }
}

/// The conversions of one kind, currency and month.
#[derive(Clone, Debug, Default)]
pub(super) struct Sales {
    pub(super) revenue: Vec<Contribution>,
    /// Credits of the models that share a conversion.
    pub(super) shared: Vec<Contribution>,
    /// Credits of the others.
    pub(super) single: Vec<Contribution>,
    pub(super) assists: Vec<Contribution>,
    pub(super) journeys: Vec<Journey>,
    /// The revenue of the days that are not over.
    pub(super) in_progress: Vec<Contribution>,
}

impl Sales {
    /// Keeps the days of which a condition holds, which is told whether stays are meant.
    pub(super) fn retain(&mut self, is_kept: impl Fn(Day, bool) -> bool) {
        let of = |of: &Contribution| is_kept(of.day, of.place.0);
        for contributions in [
            &mut self.revenue,
            &mut self.shared,
            &mut self.single,
            &mut self.assists,
        ] {
            contributions.retain(of);
        }
        self.journeys.retain(|of| is_kept(of.day, of.place.0));
    }
}

/// A kind of conversions, a currency and a month.
pub(super) type SalesKey = (SaleKind, Currency, i32);

/// Everything that a brand's ladders count.
#[derive(Default)]
pub(super) struct Contributions {
    pub(super) sales: BTreeMap<SalesKey, Sales>,
    pub(super) contacts: BTreeMap<i32, Vec<Contribution>>,
    pub(super) visits: BTreeMap<i32, Vec<Contribution>>,
    /// The null paths of each month, beside sales and beside visits.
    pub(super) null_paths: BTreeMap<(i32, bool), PathCounts<Channel>>,
    /// What the comparison of exposed and unexposed persons counts of each month.
    pub(super) panels: BTreeMap<i32, Panel>,
}

impl Contributions {
    pub(super) fn of(
        brand: &Brand,
        records: &[&Record],
        pings: &[&Ping],
        is_finished: impl Fn(Day) -> bool,
    ) -> Contributions {
        let records = consent::allowed_records(brand.settings, records, brand.link_time);
        let identity = Identity::of(brand.settings, &records);
        let net_sales = NetSales::of(brand.settings, &records);
        let stays = matching::settled_stays(brand.settings, &records);
        let mut journeys = Journeys::of(brand.settings, &identity, &net_sales, &records, &stays);
        let mut all = Contributions::default();
        all.add_sales(brand, &journeys, &is_finished);
        all.add_adjustments(brand, &records, &is_finished);
        all.add_contacts(brand, &identity, &records, &is_finished);
        all.add_visits(brand, pings, &is_finished);
        journeys
            .conversions
            .retain(|of| is_finished(of.sale.record.day));
        for touches in journeys.touches.values_mut() {
            touches.retain(|touch| is_finished(touch.day));
        }
        if matching::matches_stays(brand.settings) {
            all.panels = panel::of_months(brand, &identity, &journeys, &records);
        }
        for of_visits in [false, true] {
            let null = months::null_paths(&identity, &journeys, of_visits).into_iter();
            let null = null.map(|(month, paths)| ((month, of_visits), paths));
            all.null_paths.extend(null);
        }
        all
    }

    fn add_sales(&mut self, brand: &Brand, journeys: &Journeys, is_finished: impl Fn(Day) -> bool) {
        for conversion in &journeys.conversions {
            let sale = &conversion.sale;
            let (day, value) = (sale.record.day, i128::from(sale.left));
            let is_visit = sale.kind == SaleKind::Visit;
            let is_stay = is_visit && conversion.visit.is_none();
            // A visit has no value: what is compared is its weight.
            let weight = if is_visit { conversion.weight } else { value };
            let store = brand.words.word(sale.store).cloned();
            let second = match conversion.visit {
                _ if is_stay => conversion.weight,
                Some(visit) => visit.scans,
                None => value,
            };
            let template = Contribution {
                model: None,
                who: who(conversion.person, sale.record),
                vouched: brand.settings.is_verified(sale.record.source),
                day,
                chain: name::of_revenue(sale.kind, day, is_stay, &store),
                place: (is_stay, store),
                values: vec![1, second],
                weight,
            };
            let key = (sale.kind, sale.currency, calendar::month(day));
            let sales = self.sales.entry(key).or_default();
            let settles_in = if is_stay {
                brand.settings.counts_stays_in()
            } else {
                0
            };
            if !is_finished(day + settles_in) {
                // Stays come once their day is settled.
                sales.in_progress.extend((!is_stay).then_some(template));
                continue;
            }
            for model in Model::ALL {
                let credits = match is_shared(model) {
                    true => &mut sales.shared,
                    false => &mut sales.single,
                };
                for (channel, millionths, value) in credits_of(model, brand, conversion) {
                    if millionths > 0 || value > 0 {
                        credits.push(Contribution {
                            model: Some(model),
                            chain: name::of_channel(brand, channel),
                            values: vec![millionths, value],
                            weight: if is_visit { millionths } else { value },
                            ..template.clone()
                        });
                    }
                }
            }
            if let Some(traced) = Traced::of(brand, conversion) {
                let before_last = traced.path.split_last();
                let before_last = before_last.map_or(&[][..], |(_, before)| before);
                for channel in before_last.iter().collect::<BTreeSet<_>>() {
                    sales.assists.push(Contribution {
                        chain: name::of_channel(brand, *channel),
                        values: vec![1, value],
                        ..template.clone()
                    });
                }
                sales.journeys.push(Journey {
                    who: template.who,
                    vouched: template.vouched,
                    day,
                    place: template.place.clone(),
                    path: traced.path,
                    days: traced.days,
                    value,
                    millionths: conversion.weight,
                    weight,
                });
            }
            sales.revenue.push(template);
        }
    }

    /// An adjustment is revenue, and unattributed in every model.
    fn add_adjustments(
        &mut self,
        brand: &Brand,
        records: &[AllowedRecord],
        is_finished: impl Fn(Day) -> bool,
    ) {
        for record in records {
            let Body::Adjustment {
                kind,
                store,
                amount,
                currency,
            } = record.body
            else {
                continue;
            };
            let store = brand.words.word(store).cloned();
            let store = store.filter(|_| kind == SaleKind::Transaction);
            let revenue = Contribution {
                model: None,
                who: who(None, record),
                vouched: brand.settings.is_verified(record.source),
                day: record.day,
                chain: name::of_revenue(kind, record.day, false, &store),
                place: (false, store),
                values: vec![0, amount.into()],
                weight: amount.into(),
            };
            let key = (kind, currency, calendar::month(record.day));
            let sales = self.sales.entry(key).or_default();
            if !is_finished(record.day) {
                sales.in_progress.push(revenue);
                continue;
            }
            for model in Model::ALL {
                let credit = Contribution {
                    model: Some(model),
                    chain: name::of_channel(brand, Channel::unattributed()),
                    ..revenue.clone()
                };
                match is_shared(model) {
                    true => sales.shared.push(credit),
                    false => sales.single.push(credit),
                }
            }
            sales.revenue.push(revenue);
        }
    }

    /// Whoever sends contacts is counted: they hold no conversions.
    fn add_contacts(
        &mut self,
        brand: &Brand,
        identity: &Identity,
        records: &[AllowedRecord],
        is_finished: impl Fn(Day) -> bool,
    ) {
        for record in records {
            let Some((kind, channel, _)) = contact_of(&record.body) else {
                continue;
            };
            if !is_finished(record.day) {
                continue;
            }
            let month = calendar::month(record.day);
            self.contacts.entry(month).or_default().push(Contribution {
                model: None,
                who: who(identity.person(&record.ids), record),
                vouched: true,
                day: record.day,
                place: (false, None),
                chain: name::of_contact(brand, channel, record.day),
                values: match kind {
                    TouchKind::Impression => vec![1, 0, 0],
                    TouchKind::Click => vec![0, 1, 0],
                    TouchKind::View => vec![0, 0, 1],
                },
                weight: 1,
            });
        }
    }

    /// What each device gives to an hour is what the hour would be if no other device had been there.
    fn add_visits(&mut self, brand: &Brand, pings: &[&Ping], is_finished: impl Fn(Day) -> bool) {
        let mut tokens: BTreeMap<(Label, Pseudonym, Day), Vec<&Ping>> = BTreeMap::new();
        for ping in device_limit::counted_pings(pings, brand.settings.max_devices) {
            let token = (ping.store, ping.device, ping.salt_day);
            tokens.entry(token).or_default().push(ping);
        }
        for ((store, device, salt_day), pings) in tokens {
            for weighed in visits::cells(brand, &pings) {
                let Some(Dim::Hour(start, offset)) = weighed.cell.dims.get(2) else {
                    continue;
                };
                let day = (start + i64::from(*offset)).div_euclid(86_400) as Day;
                if !is_finished(day) {
                    continue;
                }
                let visits = self.visits.entry(calendar::month(day)).or_default();
                let store_word = brand.words.word(store).cloned();
                for (devices, random) in [("devices", false), ("random_devices", true)] {
                    if weighed.cell.value(devices) > 0 {
                        let values = weighed.cell.values.iter().take(3);
                        visits.push(Contribution {
                            model: None,
                            who: Contributor::Device(store, device, salt_day, random),
                            // One device sends under many random addresses.
                            vouched: !random || brand.settings.k_traffic <= 1,
                            day,
                            place: (false, store_word.clone()),
                            chain: name::of_hour(day, *start, *offset, &store_word),
                            // Random MACs count nothing but themselves.
                            values: values
                                .map(|value| if random { 0 } else { *value })
                                .collect(),
                            weight: 0,
                        });
                    }
                }
            }
        }
    }
}

/// Whether a model is decided with those that share a conversion. `position` is not: with `linear` it gives the sum of
/// `first` and `last` of paths of up to three touchpoints.
pub(super) fn is_shared(model: Model) -> bool {
    match model {
        Model::Linear | Model::TimeDecay | Model::Shapley => true,
        Model::Position | Model::First | Model::Last | Model::LastNonDirect => false,
    }
}

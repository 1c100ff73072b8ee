//! What the days of a month hide: the conversions with a touch of a month are those of its revenue, store by store and
//! day by day, where they are the total without what is credited to nothing.
//!
//! A day hides something if it has a touch at all and fewer than `k` contributors, or if fewer than `k` stand behind one
//! of its three shares, with a touch, without one, and oversized. The month may be published if no day hides anything; or if
//! two or more do, and `k` contributors stand behind the hidden shares of all of them.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::Dim;
use tributary_operators::label::Label;
use tributary_operators::record::{Currency, Day, SaleKind};

use crate::brand::{self, Brand};
use crate::calendar;
use crate::journeys::Journeys;
use crate::net_sales::NetSales;
use crate::person::Person;

/// Kind, currency, store and day: what is rung up together.
type RevenueKey = (SaleKind, Currency, Label, Day);

/// A person, or one of the sales and adjustments that name nobody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Contributor {
    Person(Person),
    Anonymous(usize),
}

/// ContributorSet who is behind one thing.
type ContributorSet = BTreeSet<Contributor>;

/// Who is behind the shares of some revenue.
#[derive(Default)]
struct Shares {
    touched: ContributorSet,
    untouched: ContributorSet,
    oversized: ContributorSet,
}

/// All revenue of a brand.
pub(crate) struct Days {
    revenue: BTreeMap<RevenueKey, Shares>,
}

impl Days {
    pub(crate) fn of(journeys: &Journeys, net_sales: &NetSales) -> Days {
        let mut revenue: BTreeMap<RevenueKey, Shares> = BTreeMap::new();
        let conversions = journeys.conversions.len();
        for (number, conversion) in journeys.conversions.iter().enumerate() {
            let sale = &conversion.sale;
            let key = (sale.kind, sale.currency, sale.store, sale.record.day);
            let shares = revenue.entry(key).or_default();
            let share = match (conversion.oversized, conversion.path.is_empty()) {
                (true, _) => &mut shares.oversized,
                (false, true) => &mut shares.untouched,
                (false, false) => &mut shares.touched,
            };
            let anonymous = Contributor::Anonymous(number);
            share.insert(conversion.person.map_or(anonymous, Contributor::Person));
        }
        for (number, line) in net_sales.adjustments.iter().enumerate() {
            let key = (line.kind, line.currency, line.store, line.day);
            let shares = revenue.entry(key).or_default();
            let anonymous = Contributor::Anonymous(conversions + number);
            shares.untouched.insert(anonymous);
        }
        Days { revenue }
    }

    /// The contributors with a touch behind all revenue, by brand, kind, store, day and currency.
    pub(crate) fn touched(&self, brand: &Brand) -> BTreeMap<Vec<Dim>, u64> {
        let revenue = self.revenue.iter();
        let named = revenue.map(|((kind, currency, store, day), shares)| {
            let dims = vec![
                brand.name(),
                brand::kind(*kind),
                brand.word(*store),
                Dim::Day(*day),
                brand::currency(*currency),
            ];
            (dims, shares.touched.len() as u64)
        });
        named.collect()
    }

    /// The months that would show what a day hides, by brand, kind, month and currency.
    pub(crate) fn unsafe_months(&self, brand: &Brand) -> BTreeSet<Vec<Dim>> {
        let mut months: BTreeMap<Vec<Dim>, Vec<ContributorSet>> = BTreeMap::new();
        for ((kind, currency, _, day), shares) in &self.revenue {
            let dims = vec![
                brand.name(),
                brand::kind(*kind),
                Dim::Month(calendar::month(*day)),
                brand::currency(*currency),
            ];
            let hidden = shares.hidden(brand.settings.k);
            if !hidden.is_empty() {
                months.entry(dims).or_default().push(hidden);
            }
        }
        months.retain(|_, days| {
            let behind: ContributorSet = days.iter().flatten().copied().collect();
            days.len() < 2 || (behind.len() as u64) < brand.settings.k
        });
        months.into_keys().collect()
    }
}

impl Shares {
    /// Who is behind what the gate hides of the revenue.
    fn hidden(&self, k: u64) -> ContributorSet {
        let few = |contributors: &ContributorSet| (contributors.len() as u64) < k;
        let shares = [&self.touched, &self.untouched, &self.oversized];
        let all: ContributorSet = shares.into_iter().flatten().copied().collect();
        if self.touched.is_empty() {
            return ContributorSet::new();
        }
        if few(&all) {
            return self.touched.clone();
        }
        let small = shares.into_iter().filter(|share| few(share));
        small.flatten().copied().collect()
    }
}

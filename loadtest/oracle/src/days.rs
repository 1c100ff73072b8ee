//! The parts of a month that its days suppress.
//!
//! The conversions with a touchpoint of a month are the sum over its stores and days, where each is
//! the revenue without what is credited to no channel. A day suppresses something if it has a
//! touchpoint at all and fewer than `k` contributors, or if one of its three parts (with a
//! touchpoint, without, and oversized) has fewer than `k`. The month may be published if no day
//! suppresses anything, or if at least two days do and their suppressed parts have at least `k`
//! contributors together.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::Dim;
use tributary_operators::label::Label;
use tributary_operators::record::{Currency, Day, SaleKind};

use crate::brand::{self, Brand};
use crate::calendar;
use crate::journeys::Journeys;
use crate::net_sales::NetSales;
use crate::person::Person;

/// Conversion kind, currency, store and day: the dimensions of one total of revenue.
type RevenueKey = (SaleKind, Currency, Label, Day);

/// A contributor to revenue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Contributor {
    /// A person.
    Person(Person),
    /// A sale or adjustment without an identifier, by its number.
    Anonymous(usize),
}

/// Distinct contributors.
type ContributorSet = BTreeSet<Contributor>;

/// A part of one total.
#[derive(Default)]
struct Share {
    /// Its contributors, of verified sources only.
    vouched: ContributorSet,
    /// Whether it has any conversion or adjustment.
    exists: bool,
}

/// The parts of one total.
#[derive(Default)]
struct Shares {
    /// Conversions with a touchpoint.
    touched: Share,
    /// Conversions without one, and adjustments.
    untouched: Share,
    /// Those of oversized persons.
    oversized: Share,
}

/// All revenue of a brand.
pub(crate) struct Days {
    revenue: BTreeMap<RevenueKey, Shares>,
}

impl Days {
    /// The contributors of each total of a brand.
    pub(crate) fn of(brand: &Brand, journeys: &Journeys, net_sales: &NetSales) -> Days {
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
            let who = conversion.person.map_or(anonymous, Contributor::Person);
            share.add(who, brand.settings.is_verified(sale.record.source));
        }
        for (number, line) in net_sales.adjustments.iter().enumerate() {
            let key = (line.kind, line.currency, line.store, line.day);
            let shares = revenue.entry(key).or_default();
            let anonymous = Contributor::Anonymous(conversions + number);
            let is_verified = brand.settings.is_verified(line.source);
            shares.untouched.add(anonymous, is_verified);
        }
        Days { revenue }
    }

    /// The number of contributors with a touchpoint of each total, by brand, kind, store, day and
    /// currency.
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
            (dims, shares.touched.vouched.len() as u64)
        });
        named.collect()
    }

    /// The months that would reveal what a day suppresses, by brand, kind, month and currency.
    ///
    /// A reader of the month can compute the sum of everything that its days suppress. That sum is
    /// safe if it has parts on at least two days, and `k` distinct contributors.
    pub(crate) fn unsafe_months(&self, brand: &Brand) -> BTreeSet<Vec<Dim>> {
        let mut months: BTreeMap<Vec<Dim>, Vec<ContributorSet>> = BTreeMap::new();
        for ((kind, currency, _, day), shares) in &self.revenue {
            let dims = vec![
                brand.name(),
                brand::kind(*kind),
                Dim::Month(calendar::month(*day)),
                brand::currency(*currency),
            ];
            if let Some(hidden) = shares.hidden(brand.settings.k) {
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
    /// The contributors of what the gate suppresses of a total: nobody if no conversion has a
    /// touchpoint, those with a touchpoint if the total has fewer than `k` contributors, else those
    /// of the parts with fewer than `k`. `None` if the gate suppresses nothing.
    fn hidden(&self, k: u64) -> Option<ContributorSet> {
        let few = |contributors: &ContributorSet| (contributors.len() as u64) < k;
        let shares = [&self.touched, &self.untouched, &self.oversized];
        let all = shares.into_iter().flat_map(|share| &share.vouched);
        if !self.touched.exists {
            return None;
        }
        if few(&all.copied().collect()) {
            return Some(self.touched.vouched.clone());
        }
        let mut small = shares
            .into_iter()
            .filter(|share| share.exists && few(&share.vouched))
            .peekable();
        small.peek()?;
        Some(small.flat_map(|share| &share.vouched).copied().collect())
    }
}

impl Share {
    fn add(&mut self, who: Contributor, is_vouched: bool) {
        self.exists = true;
        self.vouched.extend(is_vouched.then_some(who));
    }
}

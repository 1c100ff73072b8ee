//! The `attribution` family: every conversion credited by every rule model.
//!
//! A conversion without a touchpoint is credited to `unattributed`, and one of an oversized person
//! to `unattributed`/`oversized`. An adjustment adds its amount to `unattributed` without a
//! conversion. So the total of every model equals what tills and orders report.

use tributary_operators::cell::{Dim, Family};
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{Currency, Day, SaleKind};

use crate::brand::{self, Brand};
use crate::family_sums::{CountedCell, FamilySums};
use crate::journeys::{Conversion, Journeys};
use crate::net_sales::NetSales;
use crate::rules::{Model, receivers};
use crate::share::largest_remainder;

/// One conversion, in millionths.
pub(crate) const MILLIONTHS: u128 = 1_000_000;

/// The dimensions of a cell, except the brand: model, channel, conversion kind, store, day and
/// currency.
type Key = (Model, Channel, SaleKind, Label, Day, Currency);

/// The cells of the family for one brand.
///
/// - Dimensions: brand, model, source, medium, campaign, kind, store, day, currency.
/// - Values: conversions in millionths, revenue in minor units.
/// - Contributors: the persons with a credit in the cell, and each conversion without a person.
///
/// Invariant: for every model, the sums over all channels are those of `store_day` and
/// `orders_day`.
pub(crate) fn cells(brand: &Brand, journeys: &Journeys, net_sales: &NetSales) -> Vec<CountedCell> {
    let mut tally: FamilySums<Key, 2> = FamilySums::new();
    for model in Model::ALL {
        for conversion in &journeys.conversions {
            let sale = &conversion.sale;
            let key = |channel| {
                let day = sale.record.day;
                (model, channel, sale.kind, sale.store, day, sale.currency)
            };
            for (channel, millionths, value) in credits(model, brand, conversion) {
                if millionths > 0 || value > 0 {
                    tally.add(
                        key(channel),
                        [millionths, value],
                        conversion.who(brand.settings),
                    );
                }
            }
        }
        for line in &net_sales.adjustments {
            let channel = Channel::unattributed();
            let key = (
                model,
                channel,
                line.kind,
                line.store,
                line.day,
                line.currency,
            );
            let who = (None, brand.settings.is_verified(line.source));
            tally.add(key, [0, i128::from(line.amount)], who);
        }
    }

    tally.cells(Family::Attribution, |key, sum| {
        let (model, channel, kind, store, day, currency) = *key;
        let [source, medium, campaign] = brand.channel(channel);
        let dims = vec![
            brand.name(),
            Dim::Text(model.name().into()),
            source,
            medium,
            campaign,
            brand::kind(kind),
            brand.word(store),
            Dim::Day(day),
            brand::currency(currency),
        ];
        (dims, sum.values.to_vec())
    })
}

/// The credits of one conversion under a model: channel, millionths of the conversion, and minor
/// units.
///
/// A channel may occur several times. The credits add up to one conversion and to the remaining
/// amount of the sale.
fn credits(model: Model, brand: &Brand, conversion: &Conversion) -> Vec<(Channel, i128, i128)> {
    let receivers = match (conversion.oversized, conversion.path.is_empty()) {
        (true, _) => vec![(Channel::oversized(), 1)],
        (false, true) => vec![(Channel::unattributed(), 1)],
        (false, false) => receivers(model, brand.settings, &conversion.path),
    };
    let weights: Vec<u128> = receivers.iter().map(|(_, weight)| *weight).collect();
    let millionths = largest_remainder(conversion.weight as u128, &weights);
    let values = largest_remainder(conversion.sale.left.unsigned_abs().into(), &weights);
    receivers
        .into_iter()
        .zip(millionths.into_iter().zip(values))
        .map(|((channel, _), (millionths, value))| (channel, millionths as i128, value as i128))
        .collect()
}

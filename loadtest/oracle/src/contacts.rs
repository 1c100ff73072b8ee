//! The `campaign_day` and `spend_day` families: contacts, and what advertising platforms charged.
//!
//! `campaign_day` counts every impression, click and view, whether it is a touchpoint or not,
//! direct ones included. Spend is not personal and always passes the gate.

use std::collections::BTreeMap;

use tributary_operators::cell::{Dim, Family};
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{Body, Currency, Day, TouchKind};

use crate::brand::{self, Brand};
use crate::consent::AllowedRecord;
use crate::family_sums::{CountedCell, FamilySums, existing_cell};
use crate::identity::Identity;
use crate::touch::contact_of;

/// The `campaign_day` cells of one brand.
///
/// - Dimensions: brand, source, medium, campaign, day.
/// - Values: impressions, clicks, views, persons.
/// - Contributors: the persons, and each contact without one.
pub(crate) fn campaign_days(
    brand: &Brand,
    identity: &Identity,
    records: &[AllowedRecord],
) -> Vec<CountedCell> {
    let mut tally: FamilySums<(Channel, Day), 3> = FamilySums::new();
    for record in records {
        let Some((kind, channel, _)) = contact_of(&record.body) else {
            continue;
        };
        let values = match kind {
            TouchKind::Impression => [1, 0, 0],
            TouchKind::Click => [0, 1, 0],
            TouchKind::View => [0, 0, 1],
        };
        // Whoever sends contacts counts: they hold no conversions.
        let who = (identity.person(&record.ids), true);
        tally.add((channel, record.day), values, who);
    }
    tally.cells(Family::CampaignDay, |(channel, day), sum| {
        let [source, medium, campaign] = brand.channel(*channel);
        let [impressions, clicks, views] = sum.values;
        (
            vec![brand.name(), source, medium, campaign, Dim::Day(*day)],
            vec![impressions, clicks, views, sum.person_count()],
        )
    })
}

/// The `spend_day` cells of one brand.
///
/// - Dimensions: brand, platform, source, medium, campaign, day, currency.
/// - Values: cost in minor units, impressions, clicks.
/// - Contributors: none.
pub(crate) fn spend_days(brand: &Brand, records: &[AllowedRecord]) -> Vec<CountedCell> {
    let mut sums: BTreeMap<(Label, Channel, Day, Currency), [i128; 3]> = BTreeMap::new();
    for record in records {
        let Body::Spend {
            platform,
            channel,
            cost,
            currency,
            impressions,
            clicks,
        } = record.body
        else {
            continue;
        };
        let sum = sums
            .entry((platform, channel, record.day, currency))
            .or_default();
        sum[0] += i128::from(cost);
        sum[1] += i128::from(impressions);
        sum[2] += i128::from(clicks);
    }
    sums.into_iter()
        .filter_map(|((platform, channel, day, currency), values)| {
            let [source, medium, campaign] = brand.channel(channel);
            let dims = vec![
                brand.name(),
                brand.word(platform),
                source,
                medium,
                campaign,
                Dim::Day(day),
                brand::currency(currency),
            ];
            existing_cell(Family::SpendDay, dims, values.to_vec(), 0)
        })
        .collect()
}

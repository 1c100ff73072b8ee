//! The Markov chain of a month over the conversions that its group counts.
//!
//! The chain is that of [`months`](crate::months). Its values are shared among channels and not by conversion, so they
//! come beside the contributions: behind a channel are the conversions whose path holds it, each with its whole value.
//! Null paths have their effect and are nobody's contribution, because no conversion vouches for them.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::label::Channel;
use tributary_operators::record::SaleKind;

use super::contribution::{Contribution, Journey};
use super::name::{self, Name};
use crate::attribution::MILLIONTHS;
use crate::brand::Brand;
use crate::folding;
use crate::markov::{PathCounts, effects_ppm};
use crate::share::largest_remainder;

/// A month's chain.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    pub(super) contributions: Vec<Contribution>,
    /// Of every channel its chain of names, and its values in the order of the family.
    pub(super) values: Vec<(Vec<Name>, [i128; 3])>,
}

impl Chain {
    pub(super) fn of(
        brand: &Brand,
        kind: SaleKind,
        journeys: &[Journey],
        null: &PathCounts<Channel>,
    ) -> Chain {
        if journeys.is_empty() {
            return Chain::default();
        }
        let mut paths = PathCounts::new();
        for journey in journeys {
            // Visits count in millionths, because a stay may weigh less than one.
            *paths.entry(journey.path.clone()).or_default() += match kind {
                SaleKind::Visit => journey.millionths as u64,
                SaleKind::Order | SaleKind::Transaction => 1,
            };
        }
        let folded = folding::fold_channels(brand, &paths, null, brand.settings.max_channels);
        let fold = |paths: &PathCounts<Channel>| {
            let mut sums = PathCounts::new();
            for (path, times) in paths {
                let path = path.iter().map(|channel| folded[channel]).collect();
                *sums.entry(path).or_default() += times;
            }
            sums
        };
        let mut lost = fold(null);
        if kind == SaleKind::Visit {
            let times = lost.values_mut();
            times.for_each(|times| *times *= MILLIONTHS as u64);
        }
        let effects: BTreeMap<Channel, u64> = effects_ppm(&fold(&paths), &lost);
        let mut channels: Vec<(Channel, u64)> = effects.into_iter().collect();
        channels.sort_by_key(|(channel, _)| brand.channel_words(*channel));
        let weights: Vec<u128> = channels.iter().map(|(_, ppm)| u128::from(*ppm)).collect();
        let value: i128 = journeys.iter().map(|of| of.value).sum();
        let millionths: i128 = journeys.iter().map(|of| of.millionths).sum();
        let millionths = largest_remainder(millionths.unsigned_abs(), &weights);
        let values = largest_remainder(value.unsigned_abs(), &weights);
        let shares = millionths.into_iter().zip(values);
        let values =
            channels
                .into_iter()
                .zip(shares)
                .map(|((channel, ppm), (millionths, value))| {
                    let values = [i128::from(ppm), millionths as i128, value as i128];
                    (name::of_channel(brand, channel), values)
                });

        let mut contributions = Vec::new();
        for journey in journeys {
            let channels: BTreeSet<Channel> = journey.path.iter().map(|of| folded[of]).collect();
            contributions.extend(channels.into_iter().map(|channel| Contribution {
                model: None,
                who: journey.who,
                vouched: journey.vouched,
                day: journey.day,
                place: journey.place.clone(),
                chain: name::of_channel(brand, channel),
                values: Vec::new(),
                weight: journey.weight,
            }));
        }
        Chain {
            contributions,
            values: values.collect(),
        }
    }
}

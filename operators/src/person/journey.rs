//! Journey: what one conversion and the path that led to it add to the cells.
//!
//! The contribution is a pure function of the conversion, its path and the settings. Nothing of it is stored: to retract it,
//! the same function runs on the same path once more. A conversion without a path is credited to `unattributed`, so that the
//! credits of all channels add up to the takings. A conversion counts in its takings, in attribution by every model, and
//! in the families of its month, among them the transitions of the Markov chain (Anderl et al., 2016) that
//! [`crate::attribution::markov`] solves.

use crate::aggregate::{Aggregate, CellKey, Credited, MonthGroup};
use crate::attribution::Model;
use crate::attribution::credit::credits;
use crate::attribution::path::{Touch, steps};
use crate::calendar::month;
use crate::facts::Conversion;
use crate::label::Channel;
use crate::record::{BrandId, SaleKind};
use crate::release::{RowCredit, SaleRow};
use crate::routing::{in_takings, takings, weight};
use crate::settings::BrandSettings;

/// A conversion with its path.
pub(super) struct Journey<'a> {
    /// The brand.
    pub(super) brand: BrandId,
    /// The conversion.
    pub(super) conversion: &'a Conversion,
    /// The touchpoints that may be credited, oldest first; none for an oversized person.
    pub(super) path: Vec<Touch>,
    /// Whether the person has more identifiers than the size guard allows.
    pub(super) oversized: bool,
}

impl Journey<'_> {
    /// Passes each cell that the conversion contributes to, with its contribution, to `add`. `who` is the hash of the person.
    pub(super) fn contribute(
        &self,
        settings: &BrandSettings,
        who: u64,
        mut add: impl FnMut(CellKey, Aggregate),
    ) {
        let Conversion {
            day,
            kind,
            store,
            left,
            currency,
            ..
        } = *self.conversion;
        if kind == SaleKind::Visit && !settings.counts_visits() {
            return;
        }
        if settings.has_ladder() {
            return add(CellKey::sale(self.row(settings, who)), Aggregate::of(&[1]));
        }
        let (weight, value) = (weight(self.conversion), i128::from(left));
        if !self.conversion.is_stay() {
            let takings = takings(self.brand, kind, store, day, currency);
            add(takings, in_takings(self.conversion));
        }
        // A gate that hides nothing needs to know nothing.
        if settings.k > 1 {
            let is_verified = settings.is_verified(self.conversion.source);
            self.inform_gate(is_verified.then_some(who), &mut add);
        }
        let attribution = |model, channel| CellKey::Attribution {
            brand: self.brand,
            model,
            channel,
            kind,
            store,
            day,
            currency,
        };
        if self.path.is_empty() {
            let channel = match self.oversized {
                true => Channel::oversized(),
                false => Channel::unattributed(),
            };
            for model in Model::ALL {
                let sums = Aggregate::of(&[weight, value]);
                add(attribution(model, channel), sums);
            }
            return;
        }
        for credit in credits(&self.path, weight, value, settings) {
            let sums = Aggregate::of(&[credit.millionths, credit.value]);
            add(attribution(credit.model, credit.channel), sums);
        }
        self.contribute_to_month(&mut add);
    }

    /// The conversion with its path and credits, as one row.
    fn row(&self, settings: &BrandSettings, who: u64) -> SaleRow {
        let Conversion {
            ts,
            day,
            store,
            left,
            name,
            source,
            ..
        } = *self.conversion;
        let weight = weight(self.conversion);
        let narrow = |number: i128| i64::try_from(number).unwrap_or(i64::MAX);
        let nobody = match self.oversized {
            true => Channel::oversized(),
            false => Channel::unattributed(),
        };
        let credits = credits(&self.path, weight, left.into(), settings).into_iter();
        let credits = credits.map(|credit| RowCredit {
            model: credit.model,
            channel: credit.channel,
            millionths: narrow(credit.millionths),
            value: narrow(credit.value),
        });
        let days = |first: &Touch| ((ts - first.ts) / 86_400_000) as u32;
        SaleRow {
            group: self.month_group(),
            sale: name.0 as u64,
            who,
            is_person: true,
            is_vouched: settings.is_verified(source),
            store,
            day,
            conversions: 1,
            value: left,
            scans: self.conversion.visit.map_or(0, |visit| visit.scans),
            days: self.path.first().map_or(0, days),
            credits: match self.path.is_empty() {
                true => SaleRow::credit_all(nobody, narrow(weight), left),
                false => credits.collect(),
            },
            path: self.path.iter().map(|touch| touch.channel).collect(),
        }
    }

    /// The group of conversions that share the families of a month.
    fn month_group(&self) -> MonthGroup {
        MonthGroup {
            brand: self.brand,
            month: month(self.conversion.day),
            kind: self.conversion.kind,
            currency: self.conversion.currency,
        }
    }

    /// Adds the contributors by which the release gate decides about days and months. A conversion of an open source has
    /// none.
    fn inform_gate(&self, who: Option<u64>, add: &mut impl FnMut(CellKey, Aggregate)) {
        let Conversion {
            day,
            kind,
            store,
            currency,
            ..
        } = *self.conversion;
        let credited = match (self.oversized, self.path.is_empty()) {
            (true, _) => Credited::Oversized,
            (false, true) => Credited::Nothing,
            (false, false) => Credited::Touches,
        };
        let taken = CellKey::Taken {
            group: self.month_group(),
            store,
            day,
            credited,
            who,
        };
        add(taken, Aggregate::of(&[1]));
        if credited == Credited::Touches {
            let touched = CellKey::Touched {
                brand: self.brand,
                kind,
                store,
                day,
                currency,
            };
            add(touched, Aggregate::default());
        }
    }

    /// Adds the contributions to the families of the month: paths, their lengths and durations, assists, and the chain.
    fn contribute_to_month(&self, add: &mut impl FnMut(CellKey, Aggregate)) {
        let (group, path) = (self.month_group(), &self.path);
        let (Some(first), Some((_, earlier))) = (path.first(), path.split_last()) else {
            return;
        };
        let count = Aggregate::of(&[1]);
        let one = Aggregate::of(&[1, self.conversion.left.into()]);
        let weight = chain_weight(self.conversion);
        let converted = Aggregate::of(&[weight, self.conversion.left.into()]);
        add(CellKey::Converted { group }, converted);
        let weight = Aggregate::of(&[weight]);
        for (from, to) in transitions(path.iter().map(|touch| touch.channel)) {
            add(CellKey::ConvertingEdge { group, from, to }, weight);
        }
        for channel in distinct(path) {
            let reach = CellKey::ConvertingReach { group, channel };
            add(reach, Aggregate::default());
        }
        let channels = steps(path).into();
        add(
            CellKey::Paths {
                group,
                path: channels,
            },
            one,
        );
        let touches = path.len() as u32;
        add(CellKey::PathLength { group, touches }, count);
        let days = ((self.conversion.ts - first.ts) / 86_400_000) as u32;
        add(CellKey::PathDays { group, days }, count);
        for channel in distinct(earlier) {
            add(CellKey::Assists { group, channel }, one);
        }
    }
}

/// How often the path of a conversion counts in the chain of its month: visits count in millionths, and sales once.
fn chain_weight(conversion: &Conversion) -> i128 {
    match conversion.kind {
        SaleKind::Visit => weight(conversion),
        SaleKind::Order | SaleKind::Transaction => 1,
    }
}

/// The transitions of a path between its ends, without those from a channel to itself, which change no removal effect. An
/// end is the default channel.
pub(super) fn transitions(
    channels: impl Iterator<Item = Channel>,
) -> impl Iterator<Item = (Channel, Channel)> {
    let end = Channel::default();
    let mut from = end;
    channels.chain([end]).filter_map(move |to| {
        let edge = (from, to);
        from = to;
        (edge.0 != edge.1).then_some(edge)
    })
}

/// The channels of some touches, each once, in order.
fn distinct(path: &[Touch]) -> Vec<Channel> {
    let mut channels: Vec<Channel> = path.iter().map(|touch| touch.channel).collect();
    channels.sort_unstable();
    channels.dedup();
    channels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_in_a_row_are_no_transition() {
        let [a, b] = ["a", "b"].map(|source| Channel::of(source, "m", "c"));
        let end = Channel::default();
        let edges: Vec<_> = transitions([a, a, b, a].into_iter()).collect();
        assert_eq!(edges, [(end, a), (a, b), (b, a), (a, end)]);
    }
}

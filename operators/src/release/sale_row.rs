//! Sale rows: one conversion with everything that the numbers of its month are computed from.
//!
//! The release of a month counts distinct contributors over unions of cells, and compares what it published with what it
//! would publish next. Sums cannot answer that, so the operators send one row per conversion, and a change of any part of
//! it retracts the row and inserts another.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregate::MonthGroup;
use crate::attribution::Model;
use crate::label::{Channel, Label};
use crate::record::{Day, SaleKind};
use crate::release::table::RevenueKind;

/// What a channel gets of a conversion under one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowCredit {
    /// The model.
    pub model: Model,
    /// The channel.
    pub channel: Channel,
    /// Millionths of a conversion.
    pub millionths: i64,
    /// Minor units of the value.
    pub value: i64,
}

/// One conversion.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SaleRow {
    /// The month, and what else the conversions of a group share.
    pub group: MonthGroup,
    /// A hash of the sale, the same under whichever person and credits it counts.
    pub sale: u64,
    /// The contributor: a person, or the record itself.
    pub who: u64,
    /// Whether the contributor is a person.
    pub is_person: bool,
    /// Whether the sale comes from a verified source, so that its contributor counts.
    pub is_vouched: bool,
    /// The store; absent for an order.
    pub store: Label,
    /// The day in the brand's zone.
    pub day: Day,
    /// One, or zero for an adjustment that is no conversion.
    pub conversions: i64,
    /// The net value, minor units.
    pub value: i64,
    /// The scans of a visit; 0 for a sale.
    pub scans: u32,
    /// The channels of all touchpoints, oldest first; empty if there are none.
    pub path: Arc<[Channel]>,
    /// Whole days from the first touchpoint to the conversion.
    pub days: u32,
    /// The credits under every model.
    pub credits: Arc<[RowCredit]>,
}

impl SaleRow {
    /// What is compared for dominance: the value, or for visits, which have none, the millionths of conversions.
    pub fn measure(&self) -> i64 {
        match self.group.kind {
            SaleKind::Visit => self.millionths(),
            SaleKind::Order | SaleKind::Transaction => self.value,
        }
    }

    /// How much of a conversion it is, in millionths: what every model credits. A stay may weigh less than one.
    pub fn millionths(&self) -> i64 {
        let [model, ..] = Model::ALL;
        let credits = self.credits.iter().filter(|credit| credit.model == model);
        credits.map(|credit| credit.millionths).sum()
    }

    /// What it is counted in beside its credits. A visit of a wallet pass has at least one scan.
    pub fn revenue_kind(&self) -> RevenueKind {
        match self.group.kind {
            SaleKind::Visit if self.scans == 0 => RevenueKind::Stay,
            _ => RevenueKind::Sale,
        }
    }

    /// A conversion, or an adjustment of zero conversions, of a record without identifiers, by its number, its millionths and
    /// its value.
    pub fn of_nobody(
        group: MonthGroup,
        store: Label,
        day: Day,
        (record, is_vouched): (u64, bool),
        [conversions, millionths, value]: [i64; 3],
    ) -> SaleRow {
        SaleRow {
            group,
            sale: record,
            who: record,
            is_person: false,
            is_vouched,
            store,
            day,
            conversions,
            value,
            scans: 0,
            path: Arc::default(),
            days: 0,
            credits: SaleRow::credit_all(Channel::unattributed(), millionths, value),
        }
    }

    /// The credits of a conversion that goes to one channel under every model.
    pub fn credit_all(channel: Channel, millionths: i64, value: i64) -> Arc<[RowCredit]> {
        let credit = |model| RowCredit {
            model,
            channel,
            millionths,
            value,
        };
        Model::ALL.into_iter().map(credit).collect()
    }
}

//! Cells: the aggregates that leave, with their dimensions and values by name.
//!
//! The families of the specification's section 11 are what a replay writes. `paths`, `path_length`,
//! `path_days` and `assists` are the path statistics of section 5; they leave over NATS and queries only, and with a `k`
//! above 1 in multiples of it: what days tell of channels could be taken from exact ones.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::record::Day;

/// A kind of aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    /// Credit per model, channel, kind, store, day and currency.
    Attribution,
    /// Takings per store and day.
    StoreDay,
    /// Contacts per channel and day.
    CampaignDay,
    /// The Markov model's month.
    MarkovMonth,
    /// What platforms charged.
    SpendDay,
    /// Online orders per day.
    OrdersDay,
    /// Visits per store and hour.
    Visits,
    /// The identity graph in numbers.
    Identity,
    /// Conversions per path of channels and month.
    Paths,
    /// Conversions per number of touches and month.
    PathLength,
    /// Conversions per whole days from the first touch and month.
    PathDays,
    /// Conversions that a channel took part in without being last, per month.
    Assists,
}

impl Family {
    /// Every family.
    pub const ALL: [Family; 12] = [
        Family::Attribution,
        Family::StoreDay,
        Family::CampaignDay,
        Family::MarkovMonth,
        Family::SpendDay,
        Family::OrdersDay,
        Family::Visits,
        Family::Identity,
        Family::Paths,
        Family::PathLength,
        Family::PathDays,
        Family::Assists,
    ];

    /// The family's name in the output.
    pub fn name(self) -> &'static str {
        match self {
            Family::Attribution => "attribution",
            Family::StoreDay => "store_day",
            Family::CampaignDay => "campaign_day",
            Family::MarkovMonth => "markov_month",
            Family::SpendDay => "spend_day",
            Family::OrdersDay => "orders_day",
            Family::Visits => "visits",
            Family::Identity => "identity",
            Family::Paths => "paths",
            Family::PathLength => "path_length",
            Family::PathDays => "path_days",
            Family::Assists => "assists",
        }
    }

    /// The names of the dimensions, in the order of [`Cell::dims`].
    pub fn dims(self) -> &'static [&'static str] {
        match self {
            Family::Attribution => &[
                "brand", "model", "source", "medium", "campaign", "kind", "store", "day",
                "currency",
            ],
            Family::StoreDay => &["brand", "store", "day", "currency"],
            Family::CampaignDay => &["brand", "source", "medium", "campaign", "day"],
            Family::MarkovMonth => &[
                "brand", "kind", "month", "currency", "source", "medium", "campaign",
            ],
            Family::SpendDay => &[
                "brand", "platform", "source", "medium", "campaign", "day", "currency",
            ],
            Family::OrdersDay => &["brand", "day", "currency"],
            Family::Visits => &["brand", "store", "hour"],
            Family::Identity => &["brand"],
            Family::Paths => &["brand", "kind", "month", "currency", "path"],
            Family::PathLength => &["brand", "kind", "month", "currency", "touches"],
            Family::PathDays => &["brand", "kind", "month", "currency", "days"],
            Family::Assists => &[
                "brand", "kind", "month", "currency", "source", "medium", "campaign",
            ],
        }
    }

    /// The names of the values, in the order of [`Cell::values`].
    pub fn values(self) -> &'static [&'static str] {
        match self {
            Family::Attribution => &["conversions_millionths", "value_minor"],
            Family::StoreDay => &["transactions", "revenue_minor", "persons"],
            Family::CampaignDay => &["impressions", "clicks", "views", "persons"],
            Family::MarkovMonth => &[
                "removal_effect_ppm",
                "conversions_millionths",
                "value_minor",
            ],
            Family::SpendDay => &["cost_minor", "impressions", "clicks"],
            Family::OrdersDay => &["orders", "revenue_minor", "persons"],
            Family::Visits => &[
                "visits",
                "passers_by",
                "dwell_seconds",
                "devices",
                "random_devices",
            ],
            Family::Identity => &["persons", "identifiers", "links", "hubs", "oversized"],
            Family::Paths => &["conversions", "value_minor"],
            Family::PathLength | Family::PathDays => &["conversions"],
            Family::Assists => &["conversions", "value_minor"],
        }
    }

    /// Whether a replay writes the family into its cells.
    pub fn in_replay(self) -> bool {
        !matches!(
            self,
            Family::Paths | Family::PathLength | Family::PathDays | Family::Assists
        )
    }
}

/// The value of one dimension.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Dim {
    /// No label.
    Null,
    /// A word.
    Text(Arc<str>),
    /// A day, written `2025-10-26`.
    Day(Day),
    /// A month as `year * 12 + (month - 1)`, written `2025-10`.
    Month(i32),
    /// The start of an hour: Unix seconds and the offset from UTC in seconds, written RFC 3339.
    Hour(i64, i32),
    /// A count that is a dimension, written as a number.
    Count(u64),
    /// A path: `source / medium / campaign` of each channel, oldest first.
    Path(Vec<[Option<Arc<str>>; 3]>),
}

/// A value that a cell does not have, `null` in the output.
pub const NO_VALUE: i128 = i128::MIN;

/// One aggregate: a family, its dimensions and its values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// Which kind of aggregate.
    pub family: Family,
    /// The dimensions, in the order of [`Family::dims`].
    pub dims: Vec<Dim>,
    /// The values, in the order of [`Family::values`]; empty when the cell is closed.
    pub values: Vec<i128>,
}

impl Cell {
    /// The dimension of a name; none where the family has no such dimension.
    pub fn dim(&self, name: &str) -> Option<&Dim> {
        let at = self.family.dims().iter().position(|dim| *dim == name)?;
        self.dims.get(at)
    }

    /// The text of a dimension; empty where it is null, no text, or not there.
    pub fn text(&self, name: &str) -> &str {
        match self.dim(name) {
            Some(Dim::Text(text)) => text,
            _ => "",
        }
    }

    /// The day of a dimension named `day`.
    pub fn day(&self) -> Option<Day> {
        match self.dim("day") {
            Some(Dim::Day(day)) => Some(*day),
            _ => None,
        }
    }

    /// The value of a name; 0 where the cell is closed or the family has no such value.
    pub fn value(&self, name: &str) -> i128 {
        let at = self.family.values().iter().position(|value| *value == name);
        at.and_then(|at| self.values.get(at)).copied().unwrap_or(0)
    }
}

//! The summary as JSON: amounts in minor units, `null` for what is hidden.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Channels, Sum, Summary};
use crate::report::published_cells::Month;

impl Summary {
    /// The summary as JSON.
    pub fn json(&self) -> Value {
        let months: Vec<Value> = self.months.iter().map(|of| self.month_json(of)).collect();
        let stores: Vec<Value> = self
            .stores
            .iter()
            .map(|(name, store)| {
                json!({
                    "store": name, "visits": self.value(store.visits),
                    "passers_by": self.value(store.passers_by), "dwell_seconds": self.value(store.dwell),
                    "transactions": self.value(store.transactions), "revenue_minor": self.value(store.revenue),
                })
            })
            .collect();
        json!({
            "currency": self.currency, "days": self.days.len(), "months": months, "stores": stores,
            "online": {"orders": self.value(self.orders), "revenue_minor": self.value(self.online_revenue)},
            "identity": {
                "persons": self.value(self.persons), "identifiers": self.value(self.identifiers),
                "links": self.value(self.links),
            },
        })
    }

    /// The channels of a month as JSON.
    fn month_json(&self, (month, channels): (&Month, &Channels)) -> Value {
        let rows = self.ranking(channels).into_iter().map(|(name, line)| {
            let words: Vec<&str> = name.iter().flatten().map(String::as_str).collect();
            let values: BTreeMap<&str, i64> = line
                .value
                .iter()
                .map(|(model, value)| (*model, *value as i64))
                .collect();
            json!({
                "channel": words.join("/"), "value_minor": values, "cost_minor": line.cost as i64,
                "store_conversions_millionths": self.value(line.store_millionths),
                "online_conversions_millionths": self.value(line.online_millionths),
            })
        });
        let rows: Vec<Value> = rows.collect();
        let (brought, [own, all]) = Summary::coverage(channels);
        json!({
            "month": format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1),
            "channels": rows, "revenue_of_channels_minor": self.value(brought),
            "released_percent": (100 * own).checked_div(all).map(|share| share as i64),
        })
    }

    /// A number in JSON; null if it is hidden.
    fn value(&self, sum: Sum) -> Value {
        match sum {
            None if self.hides => Value::Null,
            sum => json!(sum.unwrap_or(0) as i64),
        }
    }
}

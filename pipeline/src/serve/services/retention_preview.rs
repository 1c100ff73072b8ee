//! Retention preview: how many records of a brand are past their retention at a
//! time, without retracting any.
//!
//! It submits the same query as a pass ([`past`]) and answers with counts by
//! category alone. A record that belongs to several categories is counted once,
//! so that the categories add up to what a pass retracts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tributary_operators::record::BrandId;

use super::request::Refusal;
use crate::epochs::queries::Queries;
use crate::privacy::retention::{Category, Retention};
use crate::privacy::retention_pass::past;

/// The request: `{"at": 1798761600000}`, Unix milliseconds; now if it is absent
/// or null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct At {
    /// Time of the hypothetical pass.
    #[serde(default)]
    pub at: Option<i64>,
}

/// The answer for one brand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetentionPreview {
    /// Time of the hypothetical pass, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// Name of the brand.
    pub brand: String,
    /// Every category.
    pub categories: Vec<Part>,
    /// Number of records over all categories.
    pub records: u64,
}

/// Records of one category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// Name of the category.
    #[schemars(extend("enum" = Category::ALL.map(Category::name)))]
    pub category: String,
    /// Number of cookies that were placed too long ago; only in the category
    /// `cookies`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookies: Option<u64>,
    /// Configured calendar months.
    pub months: u32,
    /// Number of persons without any recent record; only in the category
    /// `identification`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persons: Option<u64>,
    /// Number of records in this category and in none before it.
    pub records: u64,
    /// The first day that is stored; `None` before the beginning of the calendar.
    #[schemars(extend("format" = "date"))]
    pub since: Option<String>,
}

impl At {
    /// Parses a request; an empty one means now.
    ///
    /// # Errors
    ///
    /// A refusal with code 400.
    pub fn read(payload: &[u8]) -> Result<At, Refusal> {
        let at = match payload.trim_ascii() {
            [] => At::default(),
            text => serde_json::from_slice(text).map_err(|_| wrong())?,
        };
        match at.at.map(jiff::Timestamp::from_millisecond) {
            Some(Err(_)) => Err(wrong()),
            _ => Ok(at),
        }
    }
}

/// The refusal of an invalid request.
fn wrong() -> Refusal {
    Refusal::bad(
        "the request must be {\"at\": …} with Unix milliseconds or null, and hold nothing else",
    )
}

/// Queries the dataflow and returns the counts.
///
/// # Errors
///
/// 400 for a time outside the calendar, 503 while the worker stops.
pub(super) async fn answer(
    queries: &Queries,
    id: BrandId,
    brand: &str,
    retention: &Retention,
    asked: At,
) -> Result<Vec<u8>, Refusal> {
    let now = asked.at.map(jiff::Timestamp::from_millisecond);
    let now = now.transpose().map_err(|_| wrong())?;
    let now = now.unwrap_or_else(jiff::Timestamp::now);
    let ms = now.as_millisecond();
    let past = past(queries, id, retention, ms).await;
    let (past, _) = past.map_err(|_| Refusal::stopping())?;
    let part = |category: Category| Part {
        category: category.name().to_owned(),
        cookies: (category == Category::Cookies).then_some(past.cookies),
        months: retention.months(category),
        persons: (category == Category::Identification).then_some(past.persons),
        records: past.count(category),
        since: retention.first_day(category, ms).map(|day| day.to_string()),
    };
    let preview = RetentionPreview {
        at: now.to_string(),
        brand: brand.to_owned(),
        categories: Category::ALL.map(part).to_vec(),
        records: past.records.len() as u64,
    };
    let line = serde_json::to_string(&preview);
    let line = line.map_err(|error| Refusal::unavailable(error.to_string()))?;
    Ok((line + "\n").into_bytes())
}

//! What would go: how much of a brand is past its retention at a time, asked and not taken back.
//!
//! The very question that a pass asks ([`past`]), answered as counts by category and as nothing else. A record that goes by
//! several categories is counted once, so that the categories add up to what a pass takes back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tributary_operators::record::BrandId;

use super::request::Refusal;
use crate::epochs::queries::Queries;
use crate::privacy::retention::{Category, Retention};
use crate::privacy::retention_pass::past;

/// The request: `{"at": 1798761600000}`, Unix milliseconds; now where it is absent or null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct At {
    /// The time at which a pass is thought of.
    #[serde(default)]
    pub at: Option<i64>,
}

/// The answer for one brand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetentionPreview {
    /// The time at which a pass is thought of, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// The brand.
    pub brand: String,
    /// Each category once.
    pub categories: Vec<Part>,
    /// The records of all categories.
    pub records: u64,
}

/// What would go by one category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// The category's name.
    #[schemars(extend("enum" = Category::ALL.map(Category::name)))]
    pub category: String,
    /// Cookies that were placed too long ago; of the category `cookies` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookies: Option<u64>,
    /// The calendar months that are configured.
    pub months: u32,
    /// Persons without any recent record; of the category `identification` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persons: Option<u64>,
    /// Records that go by this category, and by none before it.
    pub records: u64,
    /// The first day that is held; none where the calendar does not reach back so far.
    #[schemars(extend("format" = "date"))]
    pub since: Option<String>,
}

impl At {
    /// Reads a request; nothing at all asks for now.
    ///
    /// # Errors
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

fn wrong() -> Refusal {
    Refusal::bad(
        "the request must be {\"at\": …} with Unix milliseconds or null, and hold nothing else",
    )
}

/// Queries, and tells how much it is.
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

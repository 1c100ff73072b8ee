//! Queries over released cells: filters, groups, sums, comparison, order and
//! pages, in the same words on the command line and over HTTP.
//!
//! | word | meaning |
//! |---|---|
//! | `from`, `to` | first and last day, or month; a month counts if all of it that can be counted lies between them |
//! | a dimension, such as `store` | only cells with one of these values; empty for cells without one |
//! | `group_by` | dimensions to keep; values are added over the others |
//! | `compare=previous` | beside each row the period of the same length before |
//! | `sort` | a dimension or value, descending with `-` |
//! | `limit`, `after` | number of rows, and where to continue |
//!
//! The engine reads [`PublishedCells`] alone: what is hidden is in no row, and no
//! sum counts it as 0. It is a pure function of the cells, the query and the
//! current day. Three invariants make its sums right:
//!
//! - `model` and `currency` are never added over, because models credit the same
//!   conversions, and currencies do not add up.
//! - A count of distinct persons or devices, a probability, and counts of
//!   overlapping cells have a value only in a row of a single cell.
//! - A row says what share it covers ([`coverage`]): what the release gate
//!   publishes of several names together may belong to it.

mod arrow;
mod atoms;
mod collect;
mod coverage;
mod engine;
mod format;
mod query;
mod words;

pub use arrow::arrow;
pub use engine::run;
pub use format::{csv, json, ndjson};
pub use query::{Answer, CellQuery, Format, Numbers, QueryError, Row, Sort, SortKey, Wanted};
pub use words::{MOST_ROWS, WORDS};

/// The answer in the format of the query.
///
/// # Errors
///
/// A value that the format cannot hold.
pub fn write(query: &CellQuery, answer: &Answer) -> Result<Vec<u8>, QueryError> {
    Ok(match query.format {
        Format::Json => json(query, answer).into_bytes(),
        Format::Ndjson => ndjson(query, answer).into_bytes(),
        Format::Csv => csv(query, answer).into_bytes(),
        Format::Arrow => arrow(query, answer)?,
    })
}

#[cfg(test)]
mod tests;

//! A query and its answer: the types that the reader of words, the engine and the
//! formats share.

use serde::Serialize;
use tributary_operators::cell::{Dim, Dimension, Family};
use tributary_operators::record::Day;

/// A query over the cells of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellQuery {
    /// The family.
    pub family: Family,
    /// First day; `None` for no limit.
    pub from: Option<Day>,
    /// Last day; `None` for no limit.
    pub to: Option<Day>,
    /// Values of dimensions, of which a cell must have one in each dimension.
    pub filters: Vec<(Dimension, Vec<Wanted>)>,
    /// Dimensions of a row; `None` for a row per cell.
    pub group_by: Option<Vec<Dimension>>,
    /// Order of the rows; by their dimensions if `None`.
    pub sort: Option<Sort>,
    /// Maximum number of rows, from 1 to [`MOST_ROWS`](super::MOST_ROWS).
    pub limit: usize,
    /// Position after which the rows begin, from [`Answer::next`].
    pub after: Option<String>,
    /// Whether rows have the period before beside them.
    pub compare: bool,
    /// Format of the answer.
    pub format: Format,
}

/// A wanted value of a dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This value.
    Is(Dim),
    /// The path with this text, `google/cpc → direct/none`.
    Path(String),
}

/// An order of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// What rows are compared by.
    pub by: SortKey,
    /// Whether the largest comes first. Rows without a value come last either way.
    pub is_descending: bool,
}

/// What rows are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// The dimension at a position of [`CellQuery::columns`].
    Column(usize),
    /// The value at a position of the family's values.
    Value(usize),
}

/// The answer to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The rows, in order.
    pub rows: Vec<Row>,
    /// Where the next page begins; `None` for the last page.
    pub next: Option<String>,
    /// First and last day of the period that rows are compared with.
    pub previous: Option<(Day, Day)>,
}

/// A row: a cell, or a sum of cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its dimensions, in the order of [`CellQuery::columns`].
    pub dims: Vec<Dim>,
    /// Its numbers; `None` if only the period before has any.
    pub numbers: Option<Numbers>,
    /// Those of the period before.
    pub previous: Option<Numbers>,
}

/// The numbers of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Its values, in the order of the family's; `None` where adding would be wrong
    /// or a cell has no value.
    pub values: Vec<Option<i128>>,
    /// Tenths of what may belong to the row that its values count, rounded down, 0
    /// to 10; `None` if that is unknown.
    pub coverage: Option<u8>,
}

/// A query that cannot be answered: the parameter, what is wrong with it, and the
/// remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, thiserror::Error)]
#[error("{parameter} {message}: {fix}")]
pub struct QueryError {
    /// Name of the parameter.
    pub parameter: String,
    /// What is wrong with it.
    pub message: String,
    /// What would be right.
    pub fix: String,
}

impl QueryError {
    /// An error of a parameter.
    pub fn new(parameter: &str, message: impl Into<String>, fix: impl Into<String>) -> QueryError {
        QueryError {
            parameter: parameter.to_owned(),
            message: message.into(),
            fix: fix.into(),
        }
    }
}

impl CellQuery {
    /// The dimensions of a row: those of the family, or the grouped ones with
    /// `model` and `currency`, in the order of the table of dimensions.
    pub fn columns(&self) -> Vec<Dimension> {
        let own = self.family.row().dimensions;
        let Some(group_by) = &self.group_by else {
            return own.to_vec();
        };
        let stay = [Dimension::Model, Dimension::Currency];
        let is_column =
            |of: &&Dimension| group_by.contains(of) || stay.contains(of) && own.contains(of);
        Dimension::ALL.iter().filter(is_column).copied().collect()
    }
}

/// Format of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One object: `{"next":…,"rows":[…]}`.
    Json,
    /// One row per line.
    Ndjson,
    /// A header and one row per line.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
}

impl Format {
    /// Reads the name of a format.
    ///
    /// # Errors
    ///
    /// Another name.
    pub fn read(text: &str) -> Result<Format, QueryError> {
        match text {
            "json" => Ok(Format::Json),
            "ndjson" => Ok(Format::Ndjson),
            "csv" => Ok(Format::Csv),
            "arrow" => Ok(Format::Arrow),
            _ => Err(QueryError::new(
                "format",
                "is not known",
                "write json, ndjson, csv or arrow",
            )),
        }
    }
}

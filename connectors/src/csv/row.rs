//! The rows of a CSV file between their column map and the decoder, and why a file cannot be read.

use std::path::PathBuf;

/// Why a CSV file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The source has another format.
    #[error("the source {source_name} is not in the csv format")]
    NotCsv {
        /// Its name.
        source_name: String,
    },
    /// A file cannot be opened.
    #[error("cannot open {path}: {error}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file cannot be read on.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why, and where.
        error: ::csv::Error,
    },
    /// The column map names a column that the header has not.
    #[error("{path} has no column {column:?}: its header or the column map must change")]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column's name in the map.
        column: String,
    },
}

/// One record's texts, in the order of the column map; none where a cell is empty.
pub(super) type Row = Vec<Option<Vec<u8>>>;

/// What becomes of one row, or of several that are added up.
pub(super) enum CsvItem {
    /// A record.
    Row(Row),
    /// JSON that is no record.
    Refused(Vec<u8>),
}

//! The rows of a CSV file between their column map and the decoder, and why a
//! file cannot be read.

use std::path::PathBuf;

/// Why a CSV file cannot be read. An error ends the file; rows before it have
/// been returned.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The source has another format.
    #[error("the source {source_name} is not in the csv format")]
    NotCsv {
        /// The name of the source.
        source_name: String,
    },
    /// The column map of a document without a directory looks values up.
    #[error(
        "the source {source_name} looks values up in other files: read its files with `tributary replay`"
    )]
    NoLookup {
        /// The name of the source.
        source_name: String,
    },
    /// A file cannot be opened.
    #[error("cannot open {path}: {error}")]
    Open {
        /// The file that the caller or a lookup names.
        path: PathBuf,
        /// The operating system's error.
        error: std::io::Error,
    },
    /// A file cannot be read on.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The parser's error, with its position in the file.
        error: ::csv::Error,
    },
    /// The column map names a column that the header has not.
    #[error("{path} has no column `{column}`: its first line has {found}; {remedy}")]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The header that the column map names.
        column: String,
        /// The columns of the file, of a bounded length.
        found: String,
        /// What can be done.
        remedy: String,
    },
}

/// The texts of one record, in the order of the column map; `None` for an empty
/// cell.
pub(super) type Row = Vec<Option<Vec<u8>>>;

/// The outcome of one row, or of several rows that are summed.
pub(super) enum CsvItem {
    /// A record.
    Row(Row),
    /// A JSON array, which the decoder rejects with a reason that depends on
    /// its elements.
    Refused(Vec<u8>),
}

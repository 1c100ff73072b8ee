//! The column map of a CSV source.

use std::collections::BTreeMap;

/// `[brand.source.csv]`: how the rows of a CSV file become records.
/// ```
/// use std::path::Path;
/// use tributary_config::model::{Column, Format};
///
/// # let folder = tempfile::tempdir()?;
/// # let secret = folder.path().join("acme.secret");
/// # std::fs::write(&secret, "224ff3c627f30dd0f8e3fdb63bf28aa6")?;
/// # std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
/// let text = format!(
///     r#"
/// [[brand]]
/// name = "acme"
/// timezone = "Europe/Paris"
/// secret_file = {secret:?}
///
/// [[brand.source]]
/// name = "till"
/// kind = "transaction"
/// format = "csv"
///
/// [brand.source.csv]
/// delimiter = ";"
/// columns = {{ id = "basket", ts = "time", store = {{ const = "s1" }}, amount = "total" }}
/// "#
/// );
/// let config = tributary_config::parse(&text, Path::new("tributary.toml"))?.config;
/// let Format::Csv(map) = &config.brands[0].sources[0].format else {
///     panic!("the source is a CSV source");
/// };
/// assert_eq!(map.delimiter, b';');
/// assert_eq!(map.columns["store"], Column::Const("s1".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Csv {
    /// The separator, one ASCII character other than a letter, a digit, a quote
    /// or a line break. Default `,`.
    pub delimiter: u8,
    /// The origin of each field's text, by the field's name in the source's
    /// kind ([`crate::fields`]). Contains every required field.
    pub columns: BTreeMap<String, Column>,
    /// Whether rows with the same `id` are one record whose `amount` is their
    /// sum. Default false. For files with one row per article. Only amounts in
    /// one currency are added.
    pub sum_rows: bool,
    /// A filter: a row is read only if every column named here contains exactly
    /// the given text. Default none. For files that mix kinds of rows, such as
    /// sales and cancellations.
    pub only: BTreeMap<String, String>,
    /// The decimal separator of amounts. Default [`DecimalMark::Auto`].
    pub decimal: DecimalMark,
    /// The character encoding of the cells. Default [`Encoding::Auto`].
    pub encoding: Encoding,
    /// strptime patterns of time stamps, tried in order before RFC 3339 and
    /// integers. Default none. Each determines a day; without an offset (`%z`),
    /// [`Source::zone`](super::Source::zone) applies.
    pub time_patterns: Vec<String>,
    /// The texts of cells that say nothing: a cell with one of them, white space
    /// around it aside, is absent. Default what databases and spreadsheets
    /// export for nothing.
    pub nulls: Vec<String>,
}

/// The decimal separator of amounts in a CSV file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecimalMark {
    /// A point, or a comma that cannot group thousands: `12,50` is read,
    /// `1,250` is rejected.
    #[default]
    Auto,
    /// A point.
    Point,
    /// A comma; points, spaces and apostrophes may group thousands.
    Comma,
}

/// The character encoding of a CSV file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8; a cell that is not valid UTF-8 is windows-1252, as spreadsheets
    /// in western Europe write it.
    #[default]
    Auto,
    /// UTF-8 only; the decoder rejects other cells.
    Utf8,
    /// A single-byte encoding, by its label in the WHATWG Encoding Standard.
    OneByte(&'static str),
}

/// The origin of a field's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// The cell of the column with this header.
    Name(String),
    /// The same text in every row.
    Const(String),
    /// The cells of several columns, joined; empty if all of them are.
    Join {
        /// The headers, at least two.
        columns: Vec<String>,
        /// The text between two cells.
        with: String,
    },
    /// A cell of another CSV file with the same separator and encoding, in the
    /// first row whose `key` equals the cell `by` of this row; empty if no row
    /// matches.
    Lookup {
        /// The other file's name, without directories: it lies beside the file
        /// that is read, plain, `.gz` or `.zst`.
        file: String,
        /// The header of the column in this file.
        by: String,
        /// The header of the column in the other file that must be equal.
        key: String,
        /// The header of the column in the other file that supplies the text.
        value: String,
    },
}

//! Reads the rows of a CSV file as messages of their source.
//!
//! The column map turns each row into one JSON object of texts on the source's
//! subject; the decoder then treats it like any other message. A row arrives at
//! its own time, so an old file is neither late nor in the future. A time beyond
//! the present is no arrival, because it would date all rows behind it. The
//! decoder rejects missing or malformed values.
//!
//! A row that cannot become one object reaches the decoder as a JSON array,
//! which the decoder rejects: the cells of a row shorter or longer than the
//! header, a line with an open quotation mark, or one record per currency of rows
//! that should be summed.

mod columns;
mod encoding;
pub(crate) mod header;
mod records;
mod row;
mod sum;
mod translate;

use std::io::BufRead;
use std::path::{Path, PathBuf};

use tributary_config::model::{Brand, Column, Format, Kind, Source};

use crate::brand::{BrandContext, time_format};
use crate::files::{self, OpenFile, Progress};
use crate::native::time::TimeFormat;
use crate::trace::TraceLine;
use columns::Columns;
pub(crate) use columns::quote;
pub(crate) use records::{Record, Records, unclosed_line};
pub use row::CsvError;
use row::{CsvItem, Row};
use sum::RowSums;
use translate::Translation;

/// Iterates over the rows of a file in order; with `sum_rows`, in the order in
/// which their ids first appear. After an error the iterator ends.
pub struct CsvReader {
    path: PathBuf,
    rows: Records<Box<dyn BufRead + Send>>,
    columns: Columns,
    /// The rows that the filter left out.
    left_out: u64,
    /// The sums so far; present only with `sum_rows` and before the end of the
    /// file.
    sums: Option<RowSums>,
    /// The results of the sums that have not been returned yet.
    summed: Option<std::vec::IntoIter<CsvItem>>,
    progress: Progress,
    /// The subject and time of the messages.
    stamps: Stamps,
    /// Whether the file has ended or failed.
    ended: bool,
}

/// Opens a CSV file of a source: plain, gzip or Zstandard, detected by content.
/// Lookup files lie in the same directory. No row arrives after `latest`, Unix
/// milliseconds ([`crate::item_file::latest_arrival`]).
///
/// # Errors
/// [`CsvError::NotCsv`] if the source has another format,
/// [`CsvError::NoColumn`] if the header lacks a column of the map,
/// [`CsvError::Open`] and [`CsvError::Read`] for the file system.
/// ```
/// use std::path::Path;
/// use tributary_connectors::csv;
///
/// # let folder = tempfile::tempdir()?;
/// # let secret = folder.path().join("acme.secret");
/// # std::fs::write(&secret, "224ff3c627f30dd0f8e3fdb63bf28aa6")?;
/// # std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
/// # let text = format!(
/// #     "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_file = {secret:?}\n\
/// #      [[brand.source]]\nname = \"till\"\nkind = \"transaction\"\nformat = \"csv\"\nzone = \"UTC\"\n\
/// #      [brand.source.csv]\n\
/// #      columns = {{ id = \"basket\", ts = \"time\", store = \"shop\", amount = \"total\" }}\n"
/// # );
/// # let config = tributary_config::parse(&text, Path::new("tributary.toml"))?.config;
/// # let (brand, source) = (&config.brands[0], &config.brands[0].sources[0]);
/// let path = folder.path().join("sales.csv");
/// std::fs::write(&path, "basket,time,shop,total\nb1,2023-11-14 22:13:20,s1,12.50\n")?;
/// let line = csv::open(&path, brand, source, i64::MAX)?.next().expect("one row")?;
/// assert_eq!(line.subject, "tributary.in.acme.transaction.till");
/// assert_eq!(line.at, 1_700_000_000_000);
/// assert_eq!(
///     String::from_utf8(line.data)?,
///     r#"{"amount":"12.50","id":"b1","store":"s1","ts":"2023-11-14 22:13:20"}"#
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn open(
    path: &Path,
    brand: &Brand,
    source: &Source,
    latest: i64,
) -> Result<CsvReader, CsvError> {
    let opened = files::open(path).map_err(|error| CsvError::Open {
        path: path.to_owned(),
        error,
    });
    reader(path, opened, brand, source, latest)
}

/// Reads a CSV document in memory that belongs to a source, as [`open`] does a
/// file. `name` stands for its path in errors.
///
/// # Errors
/// As [`open`], and [`CsvError::NoLookup`] if the column map of the source looks
/// values up in other files, which a document has not.
pub fn of_bytes(
    name: &str,
    data: bytes::Bytes,
    brand: &Brand,
    source: &Source,
) -> Result<CsvReader, CsvError> {
    let path = Path::new(name);
    if let Format::Csv(map) = &source.format {
        let columns = map.columns.values();
        let mut lookups = columns.filter(|column| matches!(column, Column::Lookup { .. }));
        if lookups.next().is_some() {
            return Err(CsvError::NoLookup {
                source_name: source.name.clone(),
            });
        }
    }
    let opened = files::of_bytes(data).map_err(|error| CsvError::Open {
        path: path.to_owned(),
        error,
    });
    reader(path, opened, brand, source, i64::MAX)
}

/// The reader of an opened document.
fn reader(
    path: &Path,
    opened: Result<OpenFile, CsvError>,
    brand: &Brand,
    source: &Source,
    latest: i64,
) -> Result<CsvReader, CsvError> {
    let Format::Csv(map) = &source.format else {
        return Err(CsvError::NotCsv {
            source_name: source.name.clone(),
        });
    };
    let opened = opened?;
    let mut rows = Records::new(opened.reader, map.delimiter);
    let mut next_cells = || {
        let found = rows.next_record().map_err(|error| CsvError::Read {
            path: path.to_owned(),
            error: error.into(),
        });
        found.map(|found| found.map(|found| found.cells).unwrap_or_default())
    };
    let mut names = next_cells()?;
    if header::is_separator(&names) {
        names = next_cells()?;
    }
    let columns = Columns::new(path, &names, map)?;
    rows.set_width(names.len());
    Ok(CsvReader {
        path: path.to_owned(),
        sums: map
            .sum_rows
            .then(|| RowSums::new(&columns, map, &brand.currency)),
        stamps: Stamps::new(brand, source, &columns, latest),
        columns,
        left_out: 0,
        rows,
        summed: None,
        progress: opened.progress,
        ended: false,
    })
}

impl CsvReader {
    /// How much of the file has been read; remains valid while another thread
    /// reads on.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// The rows so far that the filter `only` left out.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The next record that passes the filter or does not fit the header.
    fn record(&mut self) -> Option<Result<Record, CsvError>> {
        while !self.ended {
            match self.rows.next_record() {
                Ok(None) => self.ended = true,
                Ok(Some(record)) => {
                    if !self.fits(&record) || self.columns.takes(&record.cells) {
                        return Some(Ok(record));
                    }
                    self.left_out += 1;
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(CsvError::Read {
                        path: self.path.clone(),
                        error: error.into(),
                    }));
                }
            }
        }
        None
    }

    /// The next record as a row; as a rejected array of cells if it does not
    /// fit the header.
    fn row(&mut self) -> Option<Result<CsvItem, CsvError>> {
        let record = self.record()?;
        Some(record.map(|record| match self.fits(&record) {
            true => CsvItem::Row(self.columns.row(&record.cells)),
            false => CsvItem::Refused(self.refused(&record)),
        }))
    }

    /// Whether a record is whole and has as many cells as the header.
    fn fits(&self, record: &Record) -> bool {
        record.unclosed.is_none() && self.columns.fits(&record.cells)
    }

    /// The payload of a record that does not fit.
    fn refused(&self, record: &Record) -> Vec<u8> {
        let unclosed = record.unclosed.as_ref();
        unclosed.map_or_else(
            || self.columns.cells(&record.cells),
            |line| line.json(|cell| self.columns.text(cell)),
        )
    }

    /// Reads the whole file, sums the rows of each id, and returns the first
    /// result; the others wait in `summed`.
    fn summed_row(&mut self, mut sums: RowSums) -> Option<Result<CsvItem, CsvError>> {
        while let Some(record) = self.record() {
            match record {
                Ok(record) => {
                    let row = self.columns.row(&record.cells);
                    match self.fits(&record) {
                        true => sums.add(row),
                        false => sums.refuse(row, self.refused(&record)),
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
        let rows = self.summed.insert(sums.rows(&self.columns).into_iter());
        rows.next().map(Ok)
    }
}

impl Iterator for CsvReader {
    type Item = Result<TraceLine, CsvError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = match (&mut self.summed, self.sums.take()) {
            (Some(rows), _) => rows.next().map(Ok),
            (None, Some(sums)) => self.summed_row(sums),
            (None, None) => self.row(),
        };
        Some(row?.map(|item| self.stamps.line(item, &self.columns)))
    }
}

/// The subject and the arrival times of a source's rows.
struct Stamps {
    subject: String,
    times: TimeFormat,
    /// What cells mean beyond their text.
    translation: Translation,
    /// The brand, for the start of its days.
    tenant: BrandContext,
    /// The position of `ts` in a row.
    ts: Option<usize>,
    /// The position of `date` in a row.
    date: Option<usize>,
    /// The latest arrival that a row may state, Unix milliseconds.
    latest: i64,
    /// The arrival of the row before, Unix milliseconds.
    last: i64,
}

impl Stamps {
    /// Stamps of a source whose time comes from the field `ts`, or else from
    /// `date`.
    fn new(brand: &Brand, source: &Source, columns: &Columns, latest: i64) -> Stamps {
        let has_mac = columns.place("mac").is_some();
        let kind = match source.kind {
            Kind::Partner if has_mac => Kind::PARTNER_MAC,
            kind => kind.name(),
        };
        Stamps {
            subject: format!("tributary.in.{}.{kind}.{}", brand.name, source.name),
            times: time_format(source),
            translation: Translation::new(source, columns),
            tenant: BrandContext::new(brand),
            ts: columns.place("ts"),
            date: columns.place("date"),
            latest,
            last: 0,
        }
    }

    /// The message of a row. A row whose time cannot be read is rejected by the
    /// decoder; until then it arrives with the row before it.
    fn line(&mut self, item: CsvItem, columns: &Columns) -> TraceLine {
        let data = match item {
            CsvItem::Row(mut row) => {
                let at = self.at(&row);
                self.last = at.filter(|at| *at <= self.latest).unwrap_or(self.last);
                self.translation.apply(&mut row, at);
                columns.json(&row)
            }
            CsvItem::Refused(data) => data,
        };
        TraceLine {
            subject: self.subject.clone(),
            at: self.last,
            headers: Vec::new(),
            data,
        }
    }

    /// The time of a row, Unix milliseconds; a `date` is the start of that day
    /// in the brand's zone.
    fn at(&self, row: &Row) -> Option<i64> {
        let text = |place: Option<usize>| std::str::from_utf8(row.get(place?)?.as_deref()?).ok();
        if let Some(ts) = text(self.ts) {
            return self.times.read_cell(ts).ok();
        }
        let day = self.times.read_day(text(self.date)?)?;
        Some(self.tenant.clock.start_of_day(day))
    }
}

#[cfg(test)]
mod tests;

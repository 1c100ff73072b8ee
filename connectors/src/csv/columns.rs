//! The column map of a source, resolved against the header of a file.
//!
//! The map names columns; this module finds their positions once and then turns
//! each record into the texts of the source's fields. Cells are decoded into
//! UTF-8 as far as the encoding defines them; what remains invalid reaches the
//! decoder unchanged, which rejects it.
//!
//! White space around a cell does not count, and a cell that says nothing, such
//! as `NULL`, is empty: two exports of one row are the same row. What names a
//! record is made of all of its parts or absent, because a part that is missing
//! would make one record of many.

use std::borrow::Cow;
use std::path::Path;

use rustc_hash::FxHashMap;
use tributary_config::model::{Column, Csv, Encoding};

use super::encoding::decode;
use super::header;
use super::row::{CsvError, Row};
use crate::files;

/// The fields of a source's records and the cells that supply them, in the
/// order of the column map.
pub struct Columns {
    /// Each field's name and cells.
    fields: Vec<(String, Cell)>,
    /// The filter: positions, and the text that each must contain.
    only: Vec<(usize, Vec<u8>)>,
    /// The number of cells of the header.
    width: usize,
    encoding: Encoding,
    /// The texts of cells that say nothing.
    nulls: Vec<Vec<u8>>,
}

/// The fields that name a record.
const KEYS: [&str; 4] = ["id", "order_id", "refund_of", "restates"];

/// The cells that supply one field, by position in the header.
enum Cell {
    /// One cell.
    At(usize),
    /// The same text in every row.
    Const(Vec<u8>),
    /// Several cells, and the text between two of them.
    Join(Vec<usize>, Vec<u8>),
    /// The cell to look up, and the texts of the other file by their key.
    Lookup(usize, FxHashMap<Vec<u8>, Vec<u8>>),
}

impl Columns {
    /// Finds the map's columns in the header, and reads the files that it looks
    /// up.
    ///
    /// # Errors
    /// [`CsvError::NoColumn`] if the header lacks a column, [`CsvError::Open`]
    /// or [`CsvError::Read`] if a lookup file cannot be read.
    pub fn new(path: &Path, header: &::csv::ByteRecord, map: &Csv) -> Result<Columns, CsvError> {
        let find = |name: &String| position(path, header, map.encoding, name);
        let mut fields = Vec::new();
        for (field, column) in &map.columns {
            let cell = match column {
                Column::Name(name) => Cell::At(find(name)?),
                Column::Const(text) => Cell::Const(text.clone().into_bytes()),
                Column::Join { columns, with } => {
                    let places: Result<_, _> = columns.iter().map(find).collect();
                    Cell::Join(places?, with.clone().into_bytes())
                }
                Column::Lookup {
                    file,
                    by,
                    key,
                    value,
                } => {
                    let beside = path.with_file_name(file);
                    Cell::Lookup(find(by)?, table(&beside, map, key, value)?)
                }
            };
            fields.push((field.clone(), cell));
        }
        let mut only = Vec::new();
        for (name, text) in &map.only {
            only.push((find(name)?, text.clone().into_bytes()));
        }
        Ok(Columns {
            fields,
            only,
            width: header.len(),
            encoding: map.encoding,
            nulls: map
                .nulls
                .iter()
                .map(|text| text.clone().into_bytes())
                .collect(),
        })
    }

    /// The position of a field in the rows of this map; `None` if the map does
    /// not supply the field.
    pub fn place(&self, field: &str) -> Option<usize> {
        self.fields.iter().position(|(name, _)| name == field)
    }

    /// Whether a record has as many cells as the header.
    pub fn fits(&self, record: &::csv::ByteRecord) -> bool {
        record.len() == self.width
    }

    /// Whether a record passes the filter `only`: each of its columns contains
    /// exactly the given text.
    pub fn takes(&self, record: &::csv::ByteRecord) -> bool {
        let is_given = |(place, text): &(usize, Vec<u8>)| {
            let cell = cell(self.encoding, record, *place);
            *cell == *text.trim_ascii()
        };
        self.only.iter().all(is_given)
    }

    /// The texts of a record, decoded; an empty text is absent.
    pub fn row(&self, record: &::csv::ByteRecord) -> Row {
        let at = |place: usize| {
            let cell = cell(self.encoding, record, place);
            match self.nulls.iter().any(|null| **null == *cell) {
                true => Cow::Borrowed(&[][..]),
                false => cell,
            }
        };
        let text = |field: &str, of: &Cell| match of {
            Cell::At(place) => at(*place).into_owned(),
            Cell::Const(text) => text.clone(),
            Cell::Join(places, with) => {
                let parts: Vec<_> = places.iter().map(|place| at(*place)).collect();
                let is_absent = match KEYS.contains(&field) {
                    true => parts.iter().any(|part| part.is_empty()),
                    false => parts.iter().all(|part| part.is_empty()),
                };
                match is_absent {
                    true => Vec::new(),
                    false => parts.join(with.as_slice()),
                }
            }
            Cell::Lookup(by, table) => table.get(&*at(*by)).cloned().unwrap_or_default(),
        };
        let texts = self.fields.iter().map(|(field, of)| text(field, of));
        texts
            .map(|text| (!text.is_empty()).then_some(text))
            .collect()
    }

    /// All cells of a record as a JSON array of strings: the payload of a row
    /// that does not fit the header.
    pub fn cells(&self, record: &::csv::ByteRecord) -> Vec<u8> {
        let cells = record.iter().map(|cell| {
            let mut out = Vec::new();
            quote(&mut out, &decode(self.encoding, cell));
            out
        });
        list(cells)
    }

    /// Bytes of the file as UTF-8, as far as its encoding defines them.
    pub fn text<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        decode(self.encoding, bytes)
    }

    /// A row as a JSON object of strings. Bytes that are not UTF-8 remain
    /// unchanged; the decoder rejects them.
    pub fn json(&self, row: &Row) -> Vec<u8> {
        let mut out = Vec::with_capacity(200);
        for ((field, _), text) in self.fields.iter().zip(row) {
            if let Some(text) = text {
                out.push(if out.is_empty() { b'{' } else { b',' });
                quote(&mut out, field.as_bytes());
                out.push(b':');
                quote(&mut out, text);
            }
        }
        if out.is_empty() {
            out.push(b'{');
        }
        out.push(b'}');
        out
    }
}

/// Joins JSON values into a JSON array.
pub fn list(values: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let values: Vec<Vec<u8>> = values.collect();
    [b"[", values.join(&b',').as_slice(), b"]"].concat()
}

/// Appends a JSON string (RFC 8259, section 7). Bytes from 0x80 on are copied: the
/// decoder rejects what is not UTF-8.
pub(crate) fn quote(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            0..0x20 => out.extend(format!("\\u{byte:04x}").bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// A cell, decoded and without white space around it.
fn cell(encoding: Encoding, record: &::csv::ByteRecord, place: usize) -> Cow<'_, [u8]> {
    trimmed(decode(encoding, record.get(place).unwrap_or_default()))
}

/// A text without the white space around it, that of Unicode if it is UTF-8.
fn trimmed(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let trim = |text: &[u8]| match std::str::from_utf8(text) {
        Ok(text) => text.trim().len(),
        Err(_) => text.len(),
    };
    match text {
        // Most cells have none.
        text if trim(&text) == text.len() => text,
        Cow::Borrowed(text) => std::str::from_utf8(text).map_or(Cow::Borrowed(text), |text| {
            Cow::Borrowed(text.trim().as_bytes())
        }),
        Cow::Owned(text) => Cow::Owned(String::from_utf8_lossy(&text).trim().as_bytes().to_vec()),
    }
}

/// The position of a column in a header, after decoding and without white space
/// around its name.
fn position(
    path: &Path,
    header: &::csv::ByteRecord,
    encoding: Encoding,
    name: &str,
) -> Result<usize, CsvError> {
    let mut cells = header.iter();
    cells
        .position(|cell| *trimmed(decode(encoding, cell)) == *name.trim().as_bytes())
        .ok_or_else(|| CsvError::NoColumn {
            path: path.to_owned(),
            column: name.to_owned(),
            found: header::shown(header.iter()),
            remedy: match header::other_delimiter(header.iter()) {
                Some(other) => format!("set `delimiter = \"{other}\"` in [brand.source.csv]"),
                None => "change the column map, or the first line of the file".to_owned(),
            },
        })
}

/// Reads the lookup table of another file, from the texts of column `key` to
/// those of `value`. The first row of a key counts. A row that is shorter or
/// longer than the header is an error, because its meaning is unknown.
fn table(
    path: &Path,
    map: &Csv,
    key: &str,
    value: &str,
) -> Result<FxHashMap<Vec<u8>, Vec<u8>>, CsvError> {
    let opened = files::open(path).map_err(|error| CsvError::Open {
        path: path.to_owned(),
        error,
    })?;
    let failed = |error| CsvError::Read {
        path: path.to_owned(),
        error,
    };
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(map.delimiter)
        .from_reader(opened.reader);
    let header = reader.byte_headers().map_err(failed)?;
    let find = |name: &str| position(path, header, map.encoding, name);
    let (key, value) = (find(key)?, find(value)?);
    let mut table = FxHashMap::default();
    for record in reader.byte_records() {
        let record = record.map_err(failed)?;
        let at = |place: usize| cell(map.encoding, &record, place).into_owned();
        table.entry(at(key)).or_insert_with(|| at(value));
    }
    Ok(table)
}

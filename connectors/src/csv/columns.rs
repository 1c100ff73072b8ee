//! The column map of a source, resolved against the header of a file.
//!
//! The map names columns; this module finds their positions once and then turns
//! each record into the texts of the source's fields. Cells are decoded into
//! UTF-8 as far as the encoding defines them; what remains invalid reaches the
//! decoder unchanged, which rejects it.

use std::io::BufRead;
use std::path::Path;

use rustc_hash::FxHashMap;
use tributary_config::model::{Column, Csv, Encoding};

use super::encoding::decode;
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
}

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

/// A CSV reader (RFC 4180 with a configurable separator) whose first record is
/// the header. With `flexible`, records of another length than the header are
/// returned; without it they are errors.
pub fn reader(
    bytes: Box<dyn BufRead + Send>,
    delimiter: u8,
    flexible: bool,
) -> ::csv::Reader<Box<dyn BufRead + Send>> {
    ::csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(flexible)
        .from_reader(bytes)
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
        let at = |place: usize| decode(self.encoding, record.get(place).unwrap_or_default());
        self.only.iter().all(|(place, text)| *at(*place) == **text)
    }

    /// The texts of a record, decoded; an empty text is absent.
    pub fn row(&self, record: &::csv::ByteRecord) -> Row {
        let at = |place: usize| decode(self.encoding, record.get(place).unwrap_or_default());
        let text = |cell: &Cell| match cell {
            Cell::At(place) => at(*place).into_owned(),
            Cell::Const(text) => text.clone(),
            Cell::Join(places, with) => {
                let parts: Vec<_> = places.iter().map(|place| at(*place)).collect();
                match parts.iter().all(|part| part.is_empty()) {
                    true => Vec::new(),
                    false => parts.join(with.as_slice()),
                }
            }
            Cell::Lookup(by, table) => table.get(&*at(*by)).cloned().unwrap_or_default(),
        };
        let texts = self.fields.iter().map(|(_, cell)| text(cell));
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

/// The position of a column in a header, by exact comparison after decoding.
fn position(
    path: &Path,
    header: &::csv::ByteRecord,
    encoding: Encoding,
    name: &str,
) -> Result<usize, CsvError> {
    let mut header = header.iter();
    header
        .position(|cell| *decode(encoding, cell) == *name.as_bytes())
        .ok_or_else(|| CsvError::NoColumn {
            path: path.to_owned(),
            column: name.to_owned(),
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
    let mut reader = reader(opened.reader, map.delimiter, false);
    let header = reader.byte_headers().map_err(failed)?;
    let find = |name: &str| position(path, header, map.encoding, name);
    let (key, value) = (find(key)?, find(value)?);
    let mut table = FxHashMap::default();
    for record in reader.byte_records() {
        let record = record.map_err(failed)?;
        let at =
            |place: usize| decode(map.encoding, record.get(place).unwrap_or_default()).into_owned();
        table.entry(at(key)).or_insert_with(|| at(value));
    }
    Ok(table)
}

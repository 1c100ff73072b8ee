//! A CSV document of offline conversions, whose rows become JSON objects.
//!
//! A first line `Parameters:TimeZone=…` states the zone of the times; it becomes
//! the member of that name in every row, so that a row means the same wherever
//! it is read. Lines before it that begin with `#` are the instructions of
//! Google's templates. The next line is the header. A document whose header has neither
//! of the columns by which rows are recognized is no such document, and one item
//! as a whole.

use std::borrow::Cow;

use super::columns::is_recognizing;
use crate::csv::{Record, Records, header, quote};

/// The member of a row that states the zone of its file.
pub(super) const ZONE: &str = "Parameters:TimeZone";

/// What is wrong with a document that has another header.
pub(super) const FOREIGN_HEADER: &str = "the header has no column `Conversion Name` or `Adjustment Type`: send the table as UTF-8, with its header first and commas between the cells";

/// The rows of a document, each as the bytes of a JSON object of strings.
pub struct Rows<'a> {
    data: &'a [u8],
    records: Records<&'a [u8]>,
    /// The header; empty before it is read.
    header: Vec<Vec<u8>>,
    /// The zone of the file.
    zone: Option<Vec<u8>>,
    /// Whether the header has been found not to be one.
    is_foreign: bool,
}

impl<'a> Rows<'a> {
    /// The rows of a document, with or without a byte order mark.
    pub fn new(data: &'a [u8]) -> Rows<'a> {
        let data = crate::files::strip_bom(data);
        Rows {
            data,
            records: Records::new(data, b','),
            header: Vec::new(),
            zone: None,
            is_foreign: false,
        }
    }

    /// A record as an object; as a list if it does not fit the header.
    fn json(&self, record: &Record) -> Vec<u8> {
        if let Some(line) = &record.unclosed {
            return line.json(Cow::Borrowed);
        }
        let record = &record.cells;
        let mut out = Vec::with_capacity(256);
        if record.len() != self.header.len() {
            out.push(b'[');
            for (place, cell) in record.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                quote(&mut out, cell);
            }
            out.push(b']');
            return out;
        }
        out.push(b'{');
        let zone = self.zone.as_deref().map(|zone| (ZONE.as_bytes(), zone));
        let cells = self.header.iter().map(Vec::as_slice).zip(record);
        for (name, cell) in cells.chain(zone) {
            let cell = cell.trim_ascii();
            // The columns by which rows are recognized stay, with a value or without.
            if cell.is_empty() && !is_recognizing(name) {
                continue;
            }
            if out.len() > 1 {
                out.push(b',');
            }
            quote(&mut out, name);
            out.push(b':');
            quote(&mut out, cell);
        }
        out.push(b'}');
        out
    }
}

impl Iterator for Rows<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_foreign {
            // Reading from memory cannot fail.
            let record = self.records.next_record().ok().flatten()?;
            if record.cells.iter().all(|cell| cell.trim_ascii().is_empty()) {
                continue;
            }
            if !self.header.is_empty() {
                return Some(self.json(&record));
            }
            let first = record.cells.get(0).unwrap_or_default().trim_ascii();
            // Google's templates begin with instructions, and Excel's files with their separator.
            if first.starts_with(b"#") || first.eq_ignore_ascii_case(b"sep=") {
                continue;
            }
            match parameters(first) {
                Some(zone) => self.zone = zone.map(<[u8]>::to_vec),
                None => {
                    let cells = record.cells.iter();
                    self.header = cells.map(|cell| cell.trim_ascii().to_vec()).collect();
                    if !self.header.iter().any(|name| is_recognizing(name)) {
                        self.is_foreign = true;
                        return Some(self.data.trim_ascii().to_vec());
                    }
                    self.records.set_width(self.header.len());
                }
            }
        }
        None
    }
}

/// What is wrong with the header of a document; `None` if nothing is.
pub(in crate::formats) fn fault(data: &[u8]) -> Option<String> {
    let mut rows = Rows::new(data);
    rows.next();
    let found = header::shown(rows.header.iter().map(Vec::as_slice));
    rows.is_foreign
        .then(|| format!("{FOREIGN_HEADER}; its first line has {found}"))
}

/// The zone of a line of parameters, `None` within if it states none; `None` for
/// any other line.
fn parameters(cell: &[u8]) -> Option<Option<&[u8]>> {
    let (name, rest) = cell.split_at_checked(b"parameters:".len())?;
    if !name.eq_ignore_ascii_case(b"parameters:") {
        return None;
    }
    let zone = rest.split(|byte| *byte == b';').find_map(|parameter| {
        let (name, zone) = parameter.split_at_checked(b"timezone=".len())?;
        name.eq_ignore_ascii_case(b"timezone=")
            .then_some(zone.trim_ascii())
    });
    Some(zone.filter(|zone| !zone.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(document: &str) -> Vec<String> {
        let rows = Rows::new(document.as_bytes());
        rows.map(|row| String::from_utf8(row).unwrap()).collect()
    }

    #[test]
    fn rows_are_objects_with_the_zone_of_the_file() {
        let document = "\u{feff}Parameters:TimeZone=+0200,,\r\nAdjustment Type, B \r\n1,\"x\"\"y\"\r\n,\r\n2\r\n";
        assert_eq!(
            rows(document),
            [
                r#"{"Adjustment Type":"1","B":"x\"y","Parameters:TimeZone":"+0200"}"#,
                r#"["2"]"#,
            ]
        );
        assert_eq!(
            rows("Adjustment Type,B\n1,2"),
            [r#"{"Adjustment Type":"1","B":"2"}"#]
        );
        assert!(rows("").is_empty());
        let template = "### INSTRUCTIONS ###,,\r\n\"# IMPORTANT: keep, the columns\",,\r\n,,\r\n### TEMPLATE ###,,\r\nParameters:TimeZone=Europe/Paris,,\r\nAdjustment Type, B ,C\r\n RETRACT , x y ,\r\n";
        assert_eq!(
            rows(template),
            [r#"{"Adjustment Type":"RETRACT","B":"x y","Parameters:TimeZone":"Europe/Paris"}"#]
        );
        assert_eq!(
            rows("sep=,\nAdjustment Type,B\n1,2"),
            [r#"{"Adjustment Type":"1","B":"2"}"#]
        );
    }
}

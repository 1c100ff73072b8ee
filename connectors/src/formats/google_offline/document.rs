//! A CSV document of offline conversions, whose rows become JSON objects.
//!
//! A first line `Parameters:TimeZone=…` states the zone of the times; it becomes
//! the member of that name in every row, so that a row means the same wherever
//! it is read. The next line is the header.

use crate::csv::quote;

/// The member of a row that states the zone of its file.
pub(super) const ZONE: &str = "Parameters:TimeZone";

/// The rows of a document, each as the bytes of a JSON object of strings.
pub struct Rows<'a> {
    reader: ::csv::Reader<&'a [u8]>,
    /// The header; empty before it is read.
    header: Vec<Vec<u8>>,
    /// The zone of the file.
    zone: Option<Vec<u8>>,
    record: ::csv::ByteRecord,
}

impl<'a> Rows<'a> {
    /// The rows of a document, with or without a byte order mark.
    pub fn new(data: &'a [u8]) -> Rows<'a> {
        let data = crate::files::strip_bom(data);
        Rows {
            reader: ::csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(data),
            header: Vec::new(),
            zone: None,
            record: ::csv::ByteRecord::new(),
        }
    }

    /// The current record as an object; as a list of its cells if it does not
    /// fit the header.
    fn json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        if self.record.len() != self.header.len() {
            out.push(b'[');
            for (place, cell) in self.record.iter().enumerate() {
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
        let cells = self.header.iter().map(Vec::as_slice).zip(&self.record);
        for (name, cell) in cells.chain(zone) {
            if cell.is_empty() {
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
        loop {
            // The reader reads from memory: nothing can fail but the end.
            if !self
                .reader
                .read_byte_record(&mut self.record)
                .unwrap_or(false)
            {
                return None;
            }
            if self.record.iter().all(|cell| cell.trim_ascii().is_empty()) {
                continue;
            }
            if !self.header.is_empty() {
                return Some(self.json());
            }
            let first = self.record.get(0).unwrap_or_default();
            match parameters(first) {
                Some(zone) => self.zone = zone.map(<[u8]>::to_vec),
                None => {
                    let cells = self.record.iter();
                    self.header = cells.map(|cell| cell.trim_ascii().to_vec()).collect();
                }
            }
        }
    }
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
        let document = "\u{feff}Parameters:TimeZone=+0200,,\r\nA, B \r\n1,\"x\"\"y\"\r\n,\r\n2\r\n";
        assert_eq!(
            rows(document),
            [
                r#"{"A":"1","B":"x\"y","Parameters:TimeZone":"+0200"}"#,
                r#"["2"]"#,
            ]
        );
        assert_eq!(rows("A,B\n1,2"), [r#"{"A":"1","B":"2"}"#]);
        assert!(rows("").is_empty() && rows("Parameters:TimeZone=\nA").is_empty());
    }
}

//! The records of a CSV text (RFC 4180), one after the other, of which a stray
//! quotation mark costs one.
//!
//! A quoted cell may hold line breaks, so a mark that nothing closes makes all
//! that follows one cell: the rest of a file would be one row. A record over
//! several lines that does not fit the header, is not quoted as RFC 4180 has it,
//! or does not end within [`MAX_BYTES`], is therefore taken as its first line alone, and reading goes
//! on with the next. No more than that is held in memory, and no line is read
//! again more often than there are such marks before it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, BufRead};

use csv_core::{ReadRecordResult, ReaderBuilder};

use super::columns::quote;

/// The most that a record may take, bytes.
const MAX_BYTES: usize = 1 << 20;

/// Iterates over the records of a text. Empty lines are none.
pub struct Records<R> {
    input: R,
    parser: Parser,
    /// The cells of the header, if it is known.
    width: Option<usize>,
    /// Lines that were read and belong to no record yet.
    waiting: VecDeque<Vec<u8>>,
    /// The number of the next line, from 1.
    line: u64,
}

/// A record.
pub struct Record {
    /// Its cells.
    pub cells: ::csv::ByteRecord,
    /// Whether a quotation mark in it is closed by none, in which case it is the
    /// first line of what seemed one record.
    pub unclosed: Option<Unclosed>,
}

/// A line with a quotation mark that nothing closes.
pub struct Unclosed {
    /// The number of the line, from 1.
    line: u64,
    /// The line as it stands.
    text: Vec<u8>,
}

impl Unclosed {
    /// The line as JSON, the payload of its dead letter ([`unclosed_line`]).
    /// `decode` reads the encoding of the file.
    pub fn json<'a>(&'a self, decode: impl FnOnce(&'a [u8]) -> Cow<'a, [u8]>) -> Vec<u8> {
        let mut out = format!("[{{\"line\":{},\"unclosed\":", self.line).into_bytes();
        quote(&mut out, &decode(&self.text));
        out.extend(b"}]");
        out
    }
}

/// The detail of the refusal of a payload by [`Unclosed::json`]; `None` for any
/// other text.
pub(crate) fn unclosed_line(text: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Line {
        line: u64,
        #[serde(rename = "unclosed")]
        _text: serde::de::IgnoredAny,
    }
    let lines: Vec<Line> = serde_json::from_str(text).ok()?;
    let first = lines.first()?.line;
    Some(format!(
        "line {first} of the file has a quotation mark that nothing closes: remove it, or double it within a quoted cell"
    ))
}

impl<R: BufRead> Records<R> {
    /// The records of a text without a byte order mark.
    pub fn new(input: R, delimiter: u8) -> Records<R> {
        Records {
            input,
            parser: Parser::new(delimiter),
            width: None,
            waiting: VecDeque::new(),
            line: 1,
        }
    }

    /// States how many cells the header has.
    pub fn set_width(&mut self, width: usize) {
        self.width = Some(width);
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// Those of the input.
    pub fn next_record(&mut self) -> io::Result<Option<Record>> {
        loop {
            let number = self.line;
            let Some(first) = self.take_line()? else {
                return Ok(None);
            };
            if matches!(first.as_slice(), b"\n" | b"\r" | b"\r\n") {
                continue;
            }
            self.parser.begin();
            let mut is_closed = self.parser.read(&first);
            let mut bytes = first.len();
            let mut further = Vec::new();
            while !is_closed && bytes < MAX_BYTES {
                let Some(line) = self.take_line()? else {
                    break;
                };
                is_closed = self.parser.read(&line);
                bytes += line.len();
                further.push(line);
            }
            let cells = self.parser.cells();
            let is_whole = || {
                let lines = std::iter::once(&first).chain(&further);
                self.width.is_none_or(|width| width == cells.len())
                    && is_well_quoted(lines.flatten(), self.parser.delimiter)
            };
            if is_closed && (further.is_empty() || is_whole()) {
                let unclosed = None;
                return Ok(Some(Record { cells, unclosed }));
            }
            self.line -= further.len() as u64;
            further
                .into_iter()
                .rev()
                .for_each(|line| self.waiting.push_front(line));
            self.parser.begin();
            if !self.parser.read(&first) {
                self.parser.end();
            }
            let unclosed = Some(Unclosed {
                line: number,
                text: first.trim_ascii_end().to_vec(),
            });
            let cells = self.parser.cells();
            return Ok(Some(Record { cells, unclosed }));
        }
    }

    /// The next line with its line break, which the last one gets too. One longer
    /// than a record may be is cut.
    fn take_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = match self.waiting.pop_front() {
            Some(line) => Some(line),
            None => self.read_line()?,
        };
        self.line += u64::from(line.is_some());
        Ok(line)
    }

    /// Reads the next line: up to a line feed, a carriage return, or both.
    fn read_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        while line.len() < MAX_BYTES {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                if line.is_empty() {
                    return Ok(None);
                }
                line.push(b'\n');
                break;
            }
            let end = memchr::memchr2(b'\n', b'\r', buffer);
            let length = end.map_or(buffer.len(), |end| end + 1);
            line.extend_from_slice(buffer.get(..length).unwrap_or_default());
            self.input.consume(length);
            match line.last() {
                Some(b'\n') => break,
                Some(b'\r') => {
                    if self.input.fill_buf()?.first() == Some(&b'\n') {
                        self.input.consume(1);
                        line.push(b'\n');
                    }
                    break;
                }
                _ => {}
            }
        }
        Ok(Some(line))
    }
}

/// Whether every closing quotation mark of a record ends its cell. One that opened
/// by mistake is closed by the next that opens a cell, and text follows it.
fn is_well_quoted<'a>(bytes: impl Iterator<Item = &'a u8>, delimiter: u8) -> bool {
    enum Place {
        Start,
        Plain,
        Quoted,
        Mark,
    }
    let mut place = Place::Start;
    for &byte in bytes {
        let ends_cell = byte == delimiter || matches!(byte, b'\n' | b'\r');
        place = match (place, byte) {
            (Place::Quoted, b'"') => Place::Mark,
            (Place::Quoted, _) | (Place::Start | Place::Mark, b'"') => Place::Quoted,
            (_, _) if ends_cell => Place::Start,
            (Place::Mark, _) => return false,
            _ => Place::Plain,
        };
    }
    true
}

/// Parses one record, line by line.
struct Parser {
    delimiter: u8,
    core: csv_core::Reader,
    /// The bytes of the cells, and room behind them.
    text: Vec<u8>,
    /// Where each cell ends, and room behind them.
    ends: Vec<usize>,
    /// How much of each is in use.
    used: (usize, usize),
}

impl Parser {
    fn new(delimiter: u8) -> Parser {
        Parser {
            delimiter,
            core: ReaderBuilder::new().delimiter(delimiter).build(),
            text: vec![0; 1 << 10],
            ends: vec![0; 1 << 5],
            used: (0, 0),
        }
    }

    /// Begins a record.
    fn begin(&mut self) {
        self.core.reset();
        self.used = (0, 0);
    }

    /// Reads a line of the record. Returns whether it is the last one.
    fn read(&mut self, line: &[u8]) -> bool {
        let mut rest = line;
        loop {
            let text = self.text.get_mut(self.used.0..).unwrap_or_default();
            let ends = self.ends.get_mut(self.used.1..).unwrap_or_default();
            let (result, read, written, cells) = self.core.read_record(rest, text, ends);
            rest = rest.get(read..).unwrap_or_default();
            self.used = (self.used.0 + written, self.used.1 + cells);
            match result {
                ReadRecordResult::InputEmpty => return false,
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record | ReadRecordResult::End => return true,
            }
        }
    }

    /// Ends the record where it stands.
    fn end(&mut self) {
        self.read(&[]);
    }

    /// The cells read.
    fn cells(&self) -> ::csv::ByteRecord {
        let mut start = 0;
        let ends = self.ends.get(..self.used.1).unwrap_or_default();
        let cells = ends.iter().map(|end| {
            let cell = self.text.get(start..*end).unwrap_or_default();
            start = *end;
            cell
        });
        cells.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cells of the records of a text of three columns, and the numbers of
    /// lines with an open mark.
    fn read(text: &str) -> Vec<(Vec<String>, Option<u64>)> {
        let mut records = Records::new(text.as_bytes(), b',');
        records.set_width(3);
        let mut out = Vec::new();
        while let Some(record) = records.next_record().unwrap() {
            let cells = record.cells.iter();
            let cells = cells.map(|cell| String::from_utf8_lossy(cell).into_owned());
            out.push((cells.collect(), record.unclosed.map(|of| of.line)));
        }
        out
    }

    #[test]
    fn records_are_those_of_the_csv_crate() {
        for text in [
            "a,b,c\n1,2,3",
            "a,b,c\r\n\"1\r\n2\",\"x\"\"y\",\"\"\r\n\r\n,,\r\n",
            "a,b,c\r1,2,3\r",
            "\"a,b\",c,d\ne\"f,g,h\n1\n2,\"3\"x,4\n",
            "",
        ] {
            let reader = ::csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(text.as_bytes());
            let expected: Vec<Vec<String>> = reader
                .into_records()
                .map(|record| record.unwrap().iter().map(str::to_owned).collect())
                .collect();
            let found: Vec<Vec<String>> = read(text).into_iter().map(|(cells, _)| cells).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn a_stray_mark_costs_its_line() {
        let good = |n: u64| (vec![n.to_string(), "x".to_owned(), "y".to_owned()], None);
        let text = |bad: &str| format!("1,x,y\n{bad}\n3,x,y\n4,\"x\",y\n5,x,y\n");
        for bad in ["2,\"x,y", "2,x,\"y", "\"2,x,y"] {
            let found = read(&text(bad));
            assert_eq!(found.len(), 5, "{bad}: {found:?}");
            assert_eq!(found[1].1, Some(2), "{bad}");
            assert_eq!(
                [&found[0], &found[2], &found[3], &found[4]],
                [&good(1), &good(3), &good(4), &good(5)]
            );
        }
        // At the end of a file that was cut off.
        assert_eq!(read("1,x,y\n2,x,\"y").last().unwrap().1, Some(2));
    }

    #[test]
    fn what_follows_a_mark_is_read_again_once() {
        let mut text = String::from("1,\"x,y\n");
        for n in 2..200_000 {
            text.push_str(&format!("{n},x,y\n"));
        }
        let found = read(&text);
        assert_eq!(found.len(), 199_999);
        assert_eq!(found.iter().filter(|(_, line)| line.is_some()).count(), 1);
        // No line break at all.
        let long = "x".repeat(3 * MAX_BYTES);
        let part = 4_096;
        let reader = std::io::BufReader::with_capacity(part, long.as_bytes());
        let mut records = Records::new(reader, b',');
        while let Some(record) = records.next_record().unwrap() {
            let bytes: usize = record.cells.iter().map(|cell| cell.len()).sum();
            assert!(bytes <= MAX_BYTES + part, "{bytes}");
        }
    }

    #[test]
    fn the_payload_of_a_line_names_it() {
        let unclosed = Unclosed {
            line: 7,
            text: b"a,\"b".to_vec(),
        };
        let json = String::from_utf8(unclosed.json(Cow::Borrowed)).unwrap();
        assert_eq!(json, r#"[{"line":7,"unclosed":"a,\"b"}]"#);
        assert!(unclosed_line(&json).unwrap().starts_with("line 7 "));
        assert_eq!(unclosed_line("[\"a\"]"), None);
        assert_eq!(unclosed_line("[]"), None);
    }
}

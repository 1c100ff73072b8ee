//! What a person sees of the header of a file whose columns were not found.
//!
//! The commonest reason is another delimiter than the configured one, so that
//! the whole header is one cell. A file without a header shows its first row,
//! so that what is shown goes to the owner of the file alone, never into a log
//! or a dead letter.

/// The most characters of a header that are shown.
const SHOWN: usize = 200;

/// The delimiters that files have, with their names in the configuration.
const DELIMITERS: [(u8, &str); 4] = [(b',', ","), (b';', ";"), (b'\t', "\\t"), (b'|', "|")];

/// The columns of a header, quoted, of a bounded length.
pub fn shown<'a>(header: impl Iterator<Item = &'a [u8]>) -> String {
    let mut out = String::new();
    for cell in header {
        let cell = String::from_utf8_lossy(cell);
        if out.len() + cell.len() > SHOWN {
            let room = SHOWN.saturating_sub(out.len());
            let part: String = cell.chars().take(room).collect();
            out = format!("{out}`{part}…`");
            break;
        }
        if !out.is_empty() {
            out.push_str(", ");
        }
        out = format!("{out}`{cell}`");
    }
    out.chars()
        .map(|c| if c.is_control() && c != '\t' { ' ' } else { c })
        .collect()
}

/// Whether a first line is the `sep=;` by which spreadsheets state the delimiter.
pub fn is_separator(record: &::csv::ByteRecord) -> bool {
    let mut cells = record.iter();
    let first = cells.next().unwrap_or_default().trim_ascii();
    let name = first.get(..4).unwrap_or_default();
    name.eq_ignore_ascii_case(b"sep=") && first.len() <= 5 && cells.all(<[u8]>::is_empty)
}

/// The name of the delimiter that a header seems to have instead of the
/// configured one: one that stands in its only cell.
pub fn other_delimiter<'a>(
    header: impl ExactSizeIterator<Item = &'a [u8]>,
) -> Option<&'static str> {
    let mut header = header;
    if header.len() != 1 {
        return None;
    }
    let cell = header.next()?;
    let count = |delimiter: u8| cell.iter().filter(|byte| **byte == delimiter).count();
    let found = DELIMITERS.iter().max_by_key(|(byte, _)| count(*byte));
    found
        .filter(|(byte, _)| count(*byte) > 0)
        .map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_in_one_cell_tells_its_delimiter() {
        let one = |cell: &'static str| other_delimiter([cell.as_bytes()].into_iter());
        assert_eq!(one("id;time;a,b"), Some(";"));
        assert_eq!(one("id\ttime"), Some("\\t"));
        assert_eq!(one("id"), None);
        assert_eq!(other_delimiter([&b"id;x"[..], b"y"].into_iter()), None);
    }

    #[test]
    fn a_line_that_states_the_delimiter_is_no_header() {
        let record = |cells: &[&str]| ::csv::ByteRecord::from(cells.to_vec());
        assert!(is_separator(&record(&["sep=", ""])) && is_separator(&record(&["SEP=;"])));
        assert!(!is_separator(&record(&["sep", "id"])) && !is_separator(&record(&["sep=x", "id"])));
    }

    #[test]
    fn what_is_shown_is_bounded() {
        let cells = vec![b"abcdefgh".as_slice(); 1_000];
        assert!(shown(cells.into_iter()).len() < 300);
        assert_eq!(shown([&b"a"[..], b"b\n"].into_iter()), "`a`, `b `");
    }
}

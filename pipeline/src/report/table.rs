//! Tables for people: aligned columns, numbers to the right with separators, at
//! most 100 columns wide unless identifiers and numbers need more.
//!
//! `comfy-table` arranges them by the width that characters take on a terminal. Numbers and identifiers are never broken; texts are, over
//! several lines, until the table fits, so that nothing is cut off. What stands in a cell may come from outside: characters
//! that steer a terminal are replaced.

use std::fmt::{self, Write as _};

use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Row, TableStyle, Width,
};
use tributary_operators::currency;

/// How wide a table may be, in columns of the terminal.
const WIDTH: u16 = 100;

/// Placeholder for an absent value.
pub const ABSENT: &str = "–";

/// The narrowest that a column of texts is made.
const MIN_TEXT: u16 = 6;

/// A rule below the titles and no other line.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction(' '));

/// How a column is aligned, and what becomes of it where there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Texts: to the left, broken at spaces, and inside of longer words.
    Left,
    /// Identifiers, to be copied: to the left, never broken.
    Id,
    /// Numbers: aligned right, never shortened.
    Right,
}

/// A table. Its [`Display`](fmt::Display) output is the table, each line with
/// its line break.
#[derive(Clone, Debug)]
pub struct Table {
    /// Alignment of each column.
    aligns: Vec<Align>,
    /// Titles and rows.
    table: comfy_table::Table,
    /// Whether the last row is one of sums.
    has_sums: bool,
}

impl Table {
    /// A table without rows.
    pub fn new<T: AsRef<str>>(columns: &[(T, Align)]) -> Table {
        let mut table = arranged();
        table.set_header(columns.iter().map(|(title, _)| title.as_ref()));
        Table {
            aligns: columns.iter().map(|(_, align)| *align).collect(),
            table,
            has_sums: false,
        }
    }

    /// Adds a row with one text per column; missing ones are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.table.add_row(clean(cells));
    }

    /// Adds the last row, which stands below a rule and is one line high.
    pub fn sums(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row = clean(cells);
        row.max_height(1);
        self.table.add_row(row);
        self.has_sums = true;
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = self.table.clone();
        let natural = table.column_max_content_widths();
        let columns = table.column_iter_mut().zip(natural).zip(&self.aligns);
        for (at, ((column, natural), align)) in columns.enumerate() {
            // The junction of the style is the other half of the gap.
            column.set_padding((u16::from(at > 0), 0));
            let least = Width::Fixed(natural.min(MIN_TEXT));
            let (alignment, constraint) = match align {
                Align::Left => (CellAlignment::Left, ColumnConstraint::LowerBoundary(least)),
                Align::Id => (CellAlignment::Left, ColumnConstraint::ContentWidth),
                Align::Right => (CellAlignment::Right, ColumnConstraint::ContentWidth),
            };
            column.set_cell_alignment(alignment);
            column.set_constraint(constraint);
        }
        let mut rule = None;
        let mut lines = table.lines().peekable();
        while let Some(line) = lines.next() {
            if rule.is_none() && line.starts_with('─') {
                // Without the padding of the columns.
                let line = line.replace(" ─", "  ");
                writeln!(f, "{line}")?;
                rule = Some(line);
                continue;
            }
            if let Some(rule) = &rule
                && self.has_sums
                && lines.peek().is_none()
            {
                writeln!(f, "{rule}")?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn arranged() -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    table
}

/// A whole number with separators: `1,234,567`.
pub fn thousands(n: i128) -> String {
    fixed(n, 0)
}

/// Decimals of a currency; 0 for a code that is not in ISO 4217, so that its
/// amounts appear unchanged.
pub fn decimals(code: &str) -> u32 {
    currency::of(code).map_or(0, |(_, decimals)| u32::from(decimals))
}

/// A number in units of `10^-decimals`: `fixed(123456, 2)` is `1,234.56`.
pub fn fixed(n: i128, decimals: u32) -> String {
    let unit = 10_u128.checked_pow(decimals).unwrap_or(u128::MAX);
    let (whole, rest) = (n.unsigned_abs() / unit, n.unsigned_abs() % unit);
    let digits = whole.to_string();
    let mut out = String::new();
    if n < 0 {
        out.push('-');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if decimals > 0 {
        // Writing into a string cannot fail.
        let _ = write!(out, ".{rest:0width$}", width = decimals as usize);
    }
    out
}

/// A number in units of `10^-decimals`, rounded half away from zero to `shown`
/// decimals.
pub fn rounded(n: i128, decimals: u32, shown: u32) -> String {
    let unit = 10_i128
        .checked_pow(decimals.saturating_sub(shown))
        .unwrap_or(i128::MAX);
    let (whole, rest) = (n / unit, n % unit);
    let up = rest.unsigned_abs() >= unit.unsigned_abs().div_ceil(2) && rest != 0;
    fixed(
        whole + if up { rest.signum() } else { 0 },
        decimals.min(shown),
    )
}

/// Replaces control characters and marks that change the direction of writing
/// (Unicode bidirectional controls).
pub fn harmless(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if steers(c) { '\u{fffd}' } else { c })
        .collect()
}

/// Makes the cells of a row harmless.
fn clean(cells: impl IntoIterator<Item = String>) -> Row {
    Row::from(cells.into_iter().map(|cell| harmless(&cell)))
}

/// A text in lines as wide as a table at most, broken at spaces, and inside of longer words.
pub fn wrapped(text: &str) -> String {
    let mut table = arranged();
    table.add_row([text]);
    for column in table.column_iter_mut() {
        column.set_padding((0, 0));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (n, decimals, text) in [
            (0, 0, "0"),
            (999, 0, "999"),
            (-1_000, 0, "-1,000"),
            (1_234_567, 0, "1,234,567"),
            (5, 2, "0.05"),
            (-123_456, 2, "-1,234.56"),
            (1_234, 3, "1.234"),
        ] {
            assert_eq!(fixed(n, decimals), text);
        }
        assert_eq!(
            thousands(i128::MIN),
            "-170,141,183,460,469,231,731,687,303,715,884,105,728"
        );
        for (n, text) in [
            (1_005_000, "1.01"),
            (1_004_999, "1.00"),
            (-1_005_000, "-1.01"),
            (-4_999, "0.00"),
            (999_995_000, "1,000.00"),
            (0, "0.00"),
        ] {
            assert_eq!(rounded(n, 6, 2), text, "{n}");
        }
        assert_eq!(rounded(7, 0, 2), "7");
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&[("store", Align::Left), ("revenue", Align::Right)]);
        table.row(["Lyon".to_owned(), fixed(123_456, 2)]);
        table.row(["Saint-Étienne".to_owned(), fixed(5, 2)]);
        table.sums(["".to_owned(), fixed(123_461, 2)]);
        let expected = "\
store           revenue
─────────────  ────────
Lyon           1,234.56
Saint-Étienne      0.05
─────────────  ────────
               1,234.61
";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn a_table_fits_and_keeps_its_numbers_and_words() {
        let mut table = Table::new(&[
            ("campaign", Align::Left),
            ("path", Align::Left),
            ("conversions", Align::Right),
        ]);
        let path = ["google/cpc/spring"; 12].join(" → ");
        table.row([
            "a campaign ".repeat(9),
            path.clone(),
            thousands(1_234_567_890),
        ]);
        table.sums([String::new(), String::new(), thousands(1_234_567_890)]);
        let text = table.to_string();
        let fits = |line: &str| line.chars().count() <= usize::from(WIDTH);
        assert!(text.lines().all(fits), "{text}");
        assert_eq!(text.matches("1,234,567,890").count(), 2, "{text}");
        assert_eq!(text.matches("google/cpc/spring").count(), 12, "{text}");
        assert_eq!(text.matches("campaign").count(), 10, "{text}");
        assert_eq!(text.lines().rev().nth(1), text.lines().nth(1), "{text}");
    }

    #[test]
    fn an_identifier_is_in_one_piece() {
        let id = "b7c1f0de-5a0e-4a4c-9d0f-2f6f0f1d9a11";
        let mut table = Table::new(&[("request", Align::Id), ("state", Align::Left)]);
        table.row([id.to_owned(), "rejected: a long reason ".repeat(9)]);
        let text = table.to_string();
        assert!(text.contains(id), "{text}");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let mut table = Table::new(&[("store", Align::Left), ("visits", Align::Right)]);
        table.row(["渋谷".to_owned(), thousands(7)]);
        table.row(["Zoe\u{308}".to_owned(), thousands(12)]);
        let expected = "\
store  visits
─────  ──────
渋谷        7
Zoe\u{308}        12
";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn a_terminal_is_not_steered() {
        let mut table = Table::new(&[("campaign", Align::Left)]);
        table.row(["\u{1b}[2J\u{9b}31m\u{202e}x\r\n".to_owned()]);
        let text = table.to_string();
        let ends = text.matches('\n').count();
        assert_eq!(ends, 3);
        assert!(
            !text.replace('\n', "").chars().any(char::is_control),
            "{text:?}"
        );
        assert!(!text.contains('\u{202e}'));
    }
}

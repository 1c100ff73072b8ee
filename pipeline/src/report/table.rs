//! Tables for people: aligned columns, numbers to the right with separators, at
//! most 100 columns wide.
//!
//! Numbers are never truncated. Names are shortened and long texts are wrapped
//! until the table fits. Cells may contain text from outside: characters that
//! control a terminal are replaced.

use std::fmt::{self, Write as _};

use tributary_operators::currency;

/// Maximum width of a table in characters.
pub const WIDTH: usize = 100;

/// Placeholder for an absent value.
pub const ABSENT: &str = "–";

/// Space between two columns.
const GAP: &str = "  ";
/// Minimum width of a column of names.
const MIN_WORD: usize = 6;
/// Minimum width of a column of wrapped text.
const MIN_WRAPPED: usize = 24;

/// Alignment of a column, and how its content is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Names: aligned left, shortened with `…`.
    Left,
    /// Numbers: aligned right, never shortened.
    Right,
    /// Longer text: aligned left, wrapped at spaces.
    Wrapped,
}

impl Align {
    /// Width below which a column is not reduced.
    fn least(self) -> usize {
        match self {
            Align::Left => MIN_WORD,
            Align::Right => usize::MAX,
            Align::Wrapped => MIN_WRAPPED,
        }
    }
}

/// A table. Its [`Display`](fmt::Display) output is the table, each line with
/// its line break.
#[derive(Clone, Debug)]
pub struct Table {
    /// Title and alignment of each column.
    columns: Vec<(String, Align)>,
    /// The rows.
    rows: Vec<Vec<String>>,
    /// The row of sums below a rule.
    sums: Option<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new<T: AsRef<str>>(columns: &[(T, Align)]) -> Table {
        let columns = columns.iter();
        Table {
            columns: columns
                .map(|(title, align)| (title.as_ref().to_owned(), *align))
                .collect(),
            rows: Vec::new(),
            sums: None,
        }
    }

    /// Adds a row with one text per column; missing ones are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(clean(cells));
    }

    /// Sets the row of sums.
    pub fn sums(&mut self, cells: impl IntoIterator<Item = String>) {
        self.sums = Some(clean(cells));
    }

    /// All rows, including sums.
    fn lines(&self) -> impl Iterator<Item = &Vec<String>> {
        self.rows.iter().chain(&self.sums)
    }

    /// Widths of the columns. The widest reducible column is reduced until the
    /// table fits.
    fn widths(&self) -> Vec<usize> {
        let column = |(at, (title, _)): (usize, &(String, Align))| {
            let cells = self.lines().filter_map(|row| row.get(at));
            cells
                .chain([title])
                .map(|cell| length(cell))
                .max()
                .unwrap_or(0)
        };
        let mut widths: Vec<usize> = self.columns.iter().enumerate().map(column).collect();
        let gaps = GAP.len() * widths.len().saturating_sub(1);
        loop {
            if widths.iter().sum::<usize>() + gaps <= WIDTH {
                return widths;
            }
            let shrinking = widths.iter_mut().zip(&self.columns);
            let widest = shrinking
                .filter(|(width, (_, align))| **width > align.least())
                .max_by_key(|(width, _)| **width);
            match widest {
                Some((width, _)) => *width -= 1,
                None => return widths,
            }
        }
    }

    /// Writes a row, on several lines if a text is wrapped.
    fn write_row(
        &self,
        f: &mut fmt::Formatter<'_>,
        row: &[String],
        widths: &[usize],
    ) -> fmt::Result {
        let empty = String::new();
        let cells: Vec<Vec<String>> = self
            .columns
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(at, ((_, align), width))| {
                let cell = row.get(at).unwrap_or(&empty);
                match align {
                    Align::Right => vec![cell.clone()],
                    Align::Left => vec![cut(cell, *width)],
                    Align::Wrapped => wrapped(cell, *width),
                }
            })
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..height {
            let mut line = String::new();
            for (((_, align), width), cell) in self.columns.iter().zip(widths).zip(&cells) {
                let text = cell.get(at).unwrap_or(&empty);
                let room = " ".repeat(width.saturating_sub(length(text)));
                match align {
                    Align::Right => write!(line, "{room}{text}{GAP}")?,
                    Align::Left | Align::Wrapped => write!(line, "{text}{room}{GAP}")?,
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let titles: Vec<String> = self
            .columns
            .iter()
            .map(|(title, _)| title.clone())
            .collect();
        let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        self.write_row(f, &titles, &widths)?;
        writeln!(f, "{}", rule.join(GAP))?;
        for row in &self.rows {
            self.write_row(f, row, &widths)?;
        }
        if let Some(sums) = &self.sums {
            writeln!(f, "{}", rule.join(GAP))?;
            self.write_row(f, sums, &widths)?;
        }
        Ok(())
    }
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
fn clean(cells: impl IntoIterator<Item = String>) -> Vec<String> {
    cells.into_iter().map(|cell| harmless(&cell)).collect()
}

/// Width of a text in characters.
fn length(text: &str) -> usize {
    text.chars().count()
}

/// Shortens a text to a width.
fn cut(text: &str, width: usize) -> String {
    if length(text) <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Lines of at most `width` characters, broken at spaces; a longer word is
/// shortened.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let word = cut(word, width);
        if !line.is_empty() && length(&line) + 1 + length(&word) > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.push(line);
    lines
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
    fn a_table_fits_and_keeps_its_numbers() {
        let mut table = Table::new(&[
            ("campaign", Align::Left),
            ("path", Align::Wrapped),
            ("conversions", Align::Right),
        ]);
        let path = ["google/cpc/spring"; 12].join(" → ");
        table.row([
            "a campaign ".repeat(9),
            path.clone(),
            thousands(1_234_567_890),
        ]);
        let text = table.to_string();
        assert!(text.lines().all(|line| length(line) <= WIDTH), "{text}");
        assert!(
            text.contains("1,234,567,890") && text.contains('…'),
            "{text}"
        );
        assert_eq!(text.matches("google/cpc/spring").count(), 12, "{text}");
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

//! Sums the rows that share an `id` into one record, such as the lines of a
//! basket or the items of an invoice.
//!
//! Amounts are added as exact decimals, and only within one currency; the first
//! row supplies everything else. If an amount of a group cannot be added, the
//! group keeps its text, and the decoder rejects the record. A group that mixes
//! currencies, or contains a row that does not fit the header, is rejected as a
//! whole, because its remainder would be a wrong amount.

use rustc_hash::FxHashMap;
use tributary_config::model::{Csv, DecimalMark};

use super::columns::{Columns, list};
use super::row::{CsvItem, Row};
use crate::native::amount;

/// The groups so far, in the order in which their ids first appeared.
pub struct RowSums {
    /// The position of `id` in a row.
    id: Option<usize>,
    /// The position of `amount` in a row.
    amount: Option<usize>,
    /// The position of `currency` in a row.
    currency: Option<usize>,
    /// The brand's currency in upper case, for rows that name none.
    own_currency: Vec<u8>,
    decimal: DecimalMark,
    /// The position in `groups` of each id.
    places: FxHashMap<Vec<u8>, usize>,
    groups: Vec<Group>,
}

/// The rows of one id.
#[derive(Default)]
struct Group {
    /// The first row that fits the header.
    first: Option<Row>,
    /// One total per currency, in the order of their first rows.
    totals: Vec<CurrencyTotal>,
    /// Rows that do not fit the header, as JSON.
    refused: Vec<Vec<u8>>,
}

/// The sum of a group's amounts in one currency.
struct CurrencyTotal {
    /// The currency in upper case; the brand's if the row names none.
    code: Vec<u8>,
    /// The cell that first named the currency; `None` if no row did.
    cell: Option<Vec<u8>>,
    total: Sum,
}

/// A running total.
enum Sum {
    /// No row had an amount.
    Nothing,
    /// The exact sum.
    Exact(Decimal),
    /// The first text that could not be added; it replaces the sum.
    Bad(Vec<u8>),
}

/// A decimal number, `digits * 10^-decimals`.
#[derive(Clone, Copy)]
struct Decimal {
    /// All digits as an integer.
    digits: i128,
    /// The number of digits after the point, at most 18.
    decimals: u32,
}

impl RowSums {
    /// No groups yet. `own_currency` is the brand's currency, for rows without
    /// one.
    pub fn new(columns: &Columns, map: &Csv, own_currency: &str) -> RowSums {
        RowSums {
            id: columns.place("id"),
            amount: columns.place("amount"),
            currency: columns.place("currency"),
            own_currency: own_currency.as_bytes().to_ascii_uppercase(),
            decimal: map.decimal,
            places: FxHashMap::default(),
            groups: Vec::new(),
        }
    }

    /// Adds a row to the group of its id. A row without an id is a group of its
    /// own.
    pub fn add(&mut self, row: Row) {
        let amount = cell(&row, self.amount).cloned();
        let currency = cell(&row, self.currency).cloned();
        let code = match &currency {
            Some(text) => text.trim_ascii().to_ascii_uppercase(),
            None => self.own_currency.clone(),
        };
        let decimal = self.decimal;
        let Some(group) = self.group(&row) else {
            return;
        };
        group.first.get_or_insert(row);
        let known = group.totals.iter().position(|total| total.code == code);
        let place = known.unwrap_or_else(|| {
            group.totals.push(CurrencyTotal {
                code,
                cell: None,
                total: Sum::Nothing,
            });
            group.totals.len() - 1
        });
        if let Some(total) = group.totals.get_mut(place) {
            // A row that names the brand's own currency names it for those that name none.
            total.cell = total.cell.take().or(currency);
            if let Some(amount) = amount {
                total.total.add(amount, decimal);
            }
        }
    }

    /// Rejects the group of a row that does not fit the header, as far as its
    /// id can be read. `cells` is the row as a JSON array.
    pub fn refuse(&mut self, row: Row, cells: Vec<u8>) {
        if let Some(group) = self.group(&row) {
            group.refused.push(cells);
        }
    }

    /// The group of a row, created if it is the first row of its id or has no
    /// id; never `None`.
    fn group(&mut self, row: &Row) -> Option<&mut Group> {
        let place = match cell(row, self.id) {
            Some(id) => *self.places.entry(id.clone()).or_insert(self.groups.len()),
            None => self.groups.len(),
        };
        if place >= self.groups.len() {
            self.groups.push(Group::default());
        }
        self.groups.get_mut(place)
    }

    /// The outcome of every group, in order: a row if the group has one
    /// currency and fits, else a JSON array of its rejected rows and the row of
    /// each currency.
    pub fn rows(self, columns: &Columns) -> Vec<CsvItem> {
        let (amount, currency, decimal) = (self.amount, self.currency, self.decimal);
        let groups = self.groups.into_iter();
        let items = groups.map(|group| {
            let first = group.first.unwrap_or_default();
            let rows = group.totals.into_iter().map(|total| {
                let mut row = first.clone();
                if let Some(cell) = currency.and_then(|place| row.get_mut(place)) {
                    *cell = total.cell;
                }
                if let Some(cell) = amount.and_then(|place| row.get_mut(place)) {
                    *cell = total.total.text(decimal);
                }
                row
            });
            let mut rows: Vec<Row> = rows.collect();
            match (group.refused.is_empty(), rows.len()) {
                (true, 1) => CsvItem::Row(rows.remove(0)),
                _ => {
                    let rows = rows.iter().map(|row| columns.json(row));
                    CsvItem::Refused(list(group.refused.into_iter().chain(rows)))
                }
            }
        });
        items.collect()
    }
}

/// The text of a cell; `None` if the map lacks the field or the cell is empty.
fn cell(row: &Row, place: Option<usize>) -> Option<&Vec<u8>> {
    row.get(place?)?.as_ref()
}

impl Sum {
    /// Adds an amount with the given decimal separator. One that is not a
    /// decimal number, or overflows, is kept as text instead.
    fn add(&mut self, text: Vec<u8>, mark: DecimalMark) {
        let one = std::str::from_utf8(&text).ok();
        let one = one.and_then(|text| amount::with_point(text.trim(), mark));
        let one = one.and_then(|text| Decimal::read(&text));
        *self = match (&*self, one) {
            (Sum::Bad(_), _) => return,
            (_, None) => Sum::Bad(text),
            (Sum::Nothing, Some(one)) => Sum::Exact(one),
            (Sum::Exact(sum), Some(one)) => sum.plus(one).map_or(Sum::Bad(text), Sum::Exact),
        };
    }
}

impl Sum {
    /// The sum with the decimal separator of the file, so that the decoder
    /// reads it like a cell.
    fn text(self, mark: DecimalMark) -> Option<Vec<u8>> {
        match self {
            Sum::Nothing => None,
            Sum::Bad(text) => Some(text),
            Sum::Exact(sum) if mark == DecimalMark::Comma => {
                Some(sum.text().replace('.', ",").into_bytes())
            }
            Sum::Exact(sum) => Some(sum.text().into_bytes()),
        }
    }
}

impl Decimal {
    /// Parses `[+-]digits[.digits]` with at most 18 decimals; `None` for
    /// anything else, and on overflow.
    fn read(text: &str) -> Option<Decimal> {
        let text = text.trim();
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return None,
            None => (text, ""),
        };
        let unsigned = whole.strip_prefix(['-', '+']).unwrap_or(whole);
        let digits = |part: &str| part.bytes().all(|c| c.is_ascii_digit());
        if unsigned.is_empty() || !digits(unsigned) || !digits(fraction) || fraction.len() > 18 {
            return None;
        }
        let fraction_digits: i128 = format!("0{fraction}").parse().ok()?;
        let decimals = u32::try_from(fraction.len()).ok()?;
        let whole_digits: i128 = unsigned.parse().ok()?;
        let scaled = whole_digits.checked_mul(10_i128.checked_pow(decimals)?)?;
        let digits = scaled.checked_add(fraction_digits)?;
        Some(Decimal {
            digits: if whole.starts_with('-') {
                -digits
            } else {
                digits
            },
            decimals,
        })
    }

    /// The exact sum with the larger number of decimals; `None` on overflow.
    fn plus(self, other: Decimal) -> Option<Decimal> {
        let decimals = self.decimals.max(other.decimals);
        let scaled = |value: Decimal| {
            let factor = 10_i128.checked_pow(decimals - value.decimals)?;
            value.digits.checked_mul(factor)
        };
        Some(Decimal {
            digits: scaled(self)?.checked_add(scaled(other)?)?,
            decimals,
        })
    }

    /// The number as `[-]digits[.digits]`, with all its decimals.
    fn text(self) -> String {
        let sign = if self.digits < 0 { "-" } else { "" };
        let width = self.decimals as usize + 1;
        let digits = format!("{:0width$}", self.digits.unsigned_abs());
        match digits.split_at_checked(digits.len() - self.decimals as usize) {
            Some((whole, "")) => format!("{sign}{whole}"),
            Some((whole, fraction)) => format!("{sign}{whole}.{fraction}"),
            None => digits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(texts: &[&str]) -> String {
        let mut total = Sum::Nothing;
        for text in texts {
            total.add(text.as_bytes().to_vec(), DecimalMark::Point);
        }
        match total {
            Sum::Nothing => "nothing".to_owned(),
            Sum::Exact(sum) => sum.text(),
            Sum::Bad(text) => format!("bad {}", String::from_utf8(text).unwrap()),
        }
    }

    #[test]
    fn amounts_are_added_exactly() {
        assert_eq!(sum(&["0.1", "0.2"]), "0.3");
        assert_eq!(sum(&["1.5", "-0.25", "2"]), "3.25");
        assert_eq!(sum(&["-0.05"]), "-0.05");
        assert_eq!(sum(&["0.05", "-0.05"]), "0.00");
        assert_eq!(sum(&["12"]), "12");
        assert_eq!(sum(&[]), "nothing");
    }

    #[test]
    fn an_amount_that_is_none_spoils_the_sum() {
        assert_eq!(sum(&["1", "1e3", "2"]), "bad 1e3");
        for bad in [
            "",
            "x",
            ".5",
            "5.",
            "1,5",
            "--1",
            "1.-5",
            "0.0000000000000000001",
        ] {
            assert_eq!(sum(&["1", bad]), format!("bad {bad}"));
        }
    }
}

//! Rows that share an `id`, added up to one record: the lines of a basket, the positions of an invoice.
//!
//! Amounts are added as exact decimals; the first row gives everything else. Where an amount of the group
//! is none that can be added, the group keeps that text, so that the decoder refuses the record.

use rustc_hash::FxHashMap;

use super::Row;
use super::columns::Columns;

/// The groups so far, in the order in which their ids first appeared.
pub struct Sums {
    id: Option<usize>,
    amount: Option<usize>,
    places: FxHashMap<Vec<u8>, usize>,
    groups: Vec<(Row, Total)>,
}

enum Total {
    Nothing,
    Sum(Decimal),
    Bad(Vec<u8>),
}

#[derive(Clone, Copy)]
struct Decimal {
    digits: i128,
    decimals: u32,
}

impl Sums {
    /// No groups yet.
    pub fn new(columns: &Columns) -> Sums {
        Sums {
            id: columns.place("id"),
            amount: columns.place("amount"),
            places: FxHashMap::default(),
            groups: Vec::new(),
        }
    }

    /// Adds a row to its group. One without an id is a group of its own.
    pub fn add(&mut self, row: Row) {
        let cell = |place: Option<usize>| row.get(place?)?.clone();
        let amount = cell(self.amount);
        let group = match cell(self.id) {
            Some(id) => *self.places.entry(id).or_insert(self.groups.len()),
            None => self.groups.len(),
        };
        if group == self.groups.len() {
            self.groups.push((row, Total::Nothing));
        }
        if let (Some((_, total)), Some(amount)) = (self.groups.get_mut(group), amount) {
            total.add(amount);
        }
    }

    /// The rows of all groups.
    pub fn rows(self) -> Vec<Row> {
        let amount = self.amount;
        let groups = self.groups.into_iter();
        let rows = groups.map(|(mut row, total)| {
            if let Some(cell) = amount.and_then(|place| row.get_mut(place)) {
                *cell = match total {
                    Total::Nothing => None,
                    Total::Sum(sum) => Some(sum.text().into_bytes()),
                    Total::Bad(text) => Some(text),
                };
            }
            row
        });
        rows.collect()
    }
}

impl Total {
    fn add(&mut self, text: Vec<u8>) {
        let one = std::str::from_utf8(&text).ok().and_then(Decimal::read);
        *self = match (&*self, one) {
            (Total::Bad(_), _) => return,
            (_, None) => Total::Bad(text),
            (Total::Nothing, Some(one)) => Total::Sum(one),
            (Total::Sum(sum), Some(one)) => sum.plus(one).map_or(Total::Bad(text), Total::Sum),
        };
    }
}

impl Decimal {
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
        let mut total = Total::Nothing;
        for text in texts {
            total.add(text.as_bytes().to_vec());
        }
        match total {
            Total::Nothing => "nothing".to_owned(),
            Total::Sum(sum) => sum.text(),
            Total::Bad(text) => format!("bad {}", String::from_utf8(text).unwrap()),
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

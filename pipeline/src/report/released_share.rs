//! The share of the published money that its own channel or store shows.
//!
//! What the release gate cannot publish by channel or by store goes into the
//! rest of a source, a day or a month. The share says how much of what is
//! published a reader finds under a name of its own. It is rounded down to
//! tenths, so that it reveals no amount, and does not exist where nothing is
//! published. Each cell counts with its absolute value, because refunds can make
//! a cell negative. Amounts of different currencies are never added: each
//! currency has a share of its own.

use std::collections::BTreeMap;

use tributary_operators::cell::{Dim, Family};
use tributary_operators::record::Day;

use super::published_cells::{PublishedCells, Window, is_rest};

/// The model whose credits are compared: it credits every touchpoint.
const MODEL: &str = "linear";

/// What a share is taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Value credited by the linear model to touchpoints; own cells name a channel.
    Attribution,
    /// In-store and online revenue; own cells name a store and day, or the day of
    /// online orders.
    Revenue,
}

impl Part {
    /// Every part.
    pub const ALL: [Part; 2] = [Part::Attribution, Part::Revenue];

    /// Name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Part::Attribution => "attribution",
            Part::Revenue => "revenue",
        }
    }

    /// The windows of its families.
    pub fn windows(self) -> &'static [Window] {
        match self {
            Part::Attribution => &Window::MONTHS,
            Part::Revenue => &Window::TOTALS,
        }
    }
}

/// Published money, of which a part is in cells of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Absolute value in cells of its own, minor units.
    own: i128,
    /// Absolute value in all cells, minor units.
    all: i128,
}

impl Share {
    /// Tenths of the money that cells of its own show, rounded down, 0 to 10; `None`
    /// if nothing is published.
    pub fn tenths(self) -> Option<u8> {
        let tenths = self.own.saturating_mul(10).checked_div(self.all)?;
        u8::try_from(tenths).ok()
    }

    /// Adds the value of a cell.
    fn add(&mut self, value: i128, is_own: bool) {
        let value = value.saturating_abs();
        self.all = self.all.saturating_add(value);
        if is_own {
            self.own = self.own.saturating_add(value);
        }
    }
}

/// The shares of a brand in a window, by currency.
pub fn released_share<'a>(
    cells: &'a PublishedCells,
    brand: &str,
    part: Part,
    window: Window,
    today: Day,
) -> BTreeMap<&'a str, Share> {
    let families: &[(Family, &str)] = match part {
        Part::Attribution => &[(Family::Attribution, "value_minor")],
        Part::Revenue => &[
            (Family::StoreDay, "revenue_minor"),
            (Family::OrdersDay, "revenue_minor"),
        ],
    };
    let mut shares: BTreeMap<&str, Share> = BTreeMap::new();
    for (family, value) in families {
        let at = |names: &[&str], name: &str| names.iter().position(|n| *n == name);
        let value = at(family.values(), value);
        let currency = at(family.dims(), "currency");
        for (dims, values) in cells.cells(*family, brand, window.periods(today)) {
            let (Some(&value), Some(Dim::Text(code))) = (
                value.and_then(|at| values.get(at)),
                currency.and_then(|at| dims.get(at)),
            ) else {
                continue;
            };
            if let Some(is_own) = is_own(*family, dims) {
                shares.entry(code).or_default().add(value, is_own);
            }
        }
    }
    shares
}

/// Whether a cell shows its money under a name of its own; `None` for a cell
/// that no share counts.
fn is_own(family: Family, dims: &[Dim]) -> Option<bool> {
    match (family, dims) {
        (Family::Attribution, [_, model, source, medium, campaign, ..]) => {
            let is_counted = word(model) == Some(MODEL) && word(source) != Some("unattributed");
            is_counted.then(|| names_a_channel(source, medium, campaign))
        }
        (Family::StoreDay, [_, store, day, ..]) => {
            Some(!is_rest(store) && matches!(day, Dim::Day(_)))
        }
        (Family::OrdersDay, [_, day, ..]) => Some(matches!(day, Dim::Day(_))),
        _ => None,
    }
}

/// Whether a cell of credits is that of one channel, and not of what the release
/// gate publishes of several together.
pub fn names_a_channel(source: &Dim, medium: &Dim, campaign: &Dim) -> bool {
    let is_rest = [source, medium, campaign].into_iter().any(is_rest);
    !is_rest && !is_gate_sum(source, medium, campaign)
}

/// Whether a cell of credits is the sum of the channels that the gate hides in a
/// store and day, with `release.ladder = "finest"`: `other` without medium and
/// campaign.
pub fn is_gate_sum(source: &Dim, medium: &Dim, campaign: &Dim) -> bool {
    word(source) == Some("other") && (medium, campaign) == (&Dim::Null, &Dim::Null)
}

/// Text of a dimension.
fn word(dim: &Dim) -> Option<&str> {
    match dim {
        Dim::Text(word) => Some(word),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_operators::cell::Cell;

    /// 2025-10-26.
    const TODAY: Day = 20_387;
    const MONTH: Dim = Dim::Month(2025 * 12 + 9);

    fn text(word: &str) -> Dim {
        match word {
            "" => Dim::Null,
            word => Dim::Text(word.into()),
        }
    }

    fn credit(model: &str, channel: [&str; 3], code: &str, value: i128) -> Cell {
        let [source, medium, campaign] = channel.map(text);
        Cell {
            family: Family::Attribution,
            dims: vec![
                text("acme"),
                text(model),
                source,
                medium,
                campaign,
                text("order"),
                Dim::Null,
                MONTH,
                text(code),
            ],
            values: vec![1_000_000, value],
        }
    }

    fn tenths(cells: &[Cell], part: Part, window: Window) -> Vec<(String, Option<u8>)> {
        let mut board = PublishedCells::default();
        cells.iter().for_each(|cell| board.apply(cell));
        let shares = released_share(&board, "acme", part, window, TODAY);
        let shares = shares.into_iter();
        shares
            .map(|(code, share)| (code.to_owned(), share.tenths()))
            .collect()
    }

    #[test]
    fn a_share_is_of_touchpoints_by_currency_and_rounded_down() {
        let cells = [
            credit("linear", ["google", "cpc", "fall"], "EUR", 599),
            credit("linear", ["google", "cpc", "*"], "EUR", 300),
            credit("linear", ["*", "*", "*"], "EUR", -101),
            credit("linear", ["unattributed", "", ""], "EUR", 9_000),
            credit("linear", ["unattributed", "oversized", ""], "EUR", 9_000),
            credit("last", ["google", "cpc", "fall"], "EUR", 9_000),
            credit("linear", ["mail", "", ""], "USD", 5),
            credit("linear", ["mail", "", ""], "JPY", 0),
        ];
        let shares = tenths(&cells, Part::Attribution, Window::ThisMonth);
        let expected = [("EUR", Some(5)), ("JPY", None), ("USD", Some(10))];
        assert_eq!(
            shares,
            expected.map(|(code, tenths)| (code.to_owned(), tenths))
        );
        assert_eq!(tenths(&cells, Part::Attribution, Window::LastMonth), []);
    }

    #[test]
    fn revenue_is_its_own_by_store_and_day() {
        let revenue = |family, dims: &[Dim], value| Cell {
            family,
            dims: [&[text("acme")], dims, &[text("EUR")]].concat(),
            values: vec![1, value, 1],
        };
        let day = Dim::Day(TODAY - 1);
        let cells = [
            revenue(Family::StoreDay, &[text("s1"), day.clone()], 30),
            revenue(Family::StoreDay, &[text("*"), day.clone()], 20),
            revenue(Family::StoreDay, &[text("*"), MONTH], 20),
            revenue(Family::OrdersDay, &[day], 10),
            revenue(Family::OrdersDay, &[MONTH], 20),
        ];
        let of = |window| tenths(&cells, Part::Revenue, window);
        assert_eq!(of(Window::ThirtyDays), [("EUR".to_owned(), Some(4))]);
        // A week does not cover the month, so that its rest is not in it.
        assert_eq!(of(Window::Week), [("EUR".to_owned(), Some(6))]);
        assert_eq!(of(Window::Today), []);
    }
}

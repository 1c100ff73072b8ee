//! Periods of cells, and the windows over which they are summed.
//!
//! A cell belongs to a day, to a month, or to no period. A month cell is the
//! rest of its month: it counts what no day cell of the same family counts, and
//! only finished days. A window therefore takes in a month cell only if it
//! covers all days of the month that can be in the cell.

use std::ops::RangeInclusive;

use tributary_operators::calendar;
use tributary_operators::cell::Dim;
use tributary_operators::record::Day;

/// A month: `year * 12 + month - 1`.
pub type Month = i32;

/// The period of a cell. Days and months never compare equal, although both are
/// counted in integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// The cell has no period.
    Always,
    /// A calendar month.
    Month(Month),
    /// A day in the brand's time zone; that of an hour is its local day.
    Day(Day),
}

impl Period {
    /// The period that the dimensions of a cell contain.
    pub fn of(dims: &[Dim]) -> Period {
        let found = dims.iter().find_map(|dim| match dim {
            Dim::Day(day) => Some(Period::Day(*day)),
            Dim::Month(month) => Some(Period::Month(*month)),
            Dim::Hour(second, offset) => {
                let day = (second + i64::from(*offset)).div_euclid(86_400);
                i32::try_from(day).ok().map(Period::Day)
            }
            _ => None,
        });
        found.unwrap_or(Period::Always)
    }
}

/// A set of periods: a range of days, a range of months, or both. A cell
/// without a period belongs to every set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Periods {
    /// First and last day.
    days: Option<(Day, Day)>,
    /// First and last month.
    months: Option<(Month, Month)>,
}

impl Periods {
    /// Days alone. A range that ends before it begins is empty.
    pub fn days(days: RangeInclusive<Day>) -> Periods {
        Periods {
            days: (!days.is_empty()).then(|| days.into_inner()),
            months: None,
        }
    }

    /// Months alone. A range that ends before it begins is empty.
    pub fn months(months: RangeInclusive<Month>) -> Periods {
        Periods {
            days: None,
            months: (!months.is_empty()).then(|| months.into_inner()),
        }
    }

    /// The days from `from` to `to`, both included, and the months whose cells they
    /// cover; an absent end is open. The cell of the current month counts finished
    /// days only, so that days until yesterday cover it.
    pub fn between(from: Option<Day>, to: Option<Day>, today: Day) -> Periods {
        let (first, last) = Periods::whole_months(from, to, today);
        Periods {
            days: Periods::days(from.unwrap_or(Day::MIN)..=to.unwrap_or(Day::MAX)).days,
            months: Periods::months(first..=last).months,
        }
    }

    /// The months that `from` or `to` cuts: their cells count days in and out of the
    /// range.
    pub fn cut(from: Option<Day>, to: Option<Day>, today: Day) -> Vec<Month> {
        let (first, last) = Periods::whole_months(from, to, today);
        let ends = [from, to].into_iter().flatten().map(calendar::month);
        let mut cut: Vec<Month> = ends
            .filter(|month| *month < first || *month > last)
            .collect();
        cut.dedup();
        cut
    }

    /// The first and the last month of a range of days that it covers.
    pub fn whole_months(from: Option<Day>, to: Option<Day>, today: Day) -> (Month, Month) {
        let first = from.map_or(Month::MIN, |from| {
            let month = calendar::month(from);
            month + i32::from(calendar::first_day(month) < from)
        });
        let last = to.map_or(Month::MAX, |to| {
            let month = calendar::month(to);
            let is_whole = to >= calendar::first_day(month + 1).saturating_sub(1)
                || month == calendar::month(today) && to >= today.saturating_sub(1);
            month - i32::from(!is_whole)
        });
        (first, last)
    }

    /// The ranges of the set, ascending and disjoint.
    pub(super) fn ranges(self) -> impl Iterator<Item = RangeInclusive<Period>> {
        let months = self
            .months
            .map(|(first, last)| Period::Month(first)..=Period::Month(last));
        let days = self
            .days
            .map(|(first, last)| Period::Day(first)..=Period::Day(last));
        [Some(Period::Always..=Period::Always), months, days]
            .into_iter()
            .flatten()
    }
}

/// A window of days that moves with the current day.
///
/// Totals have the rolling windows [`Window::TOTALS`]. What the release gate
/// publishes by month (credits, the Markov model, ratios of both) has the
/// calendar windows [`Window::MONTHS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// The current day.
    Today,
    /// Seven days that end with the current day.
    Week,
    /// Thirty days that end with the current day.
    ThirtyDays,
    /// The current month until yesterday.
    ThisMonth,
    /// The previous month.
    LastMonth,
}

impl Window {
    /// Every window.
    pub const ALL: [Window; 5] = [
        Window::Today,
        Window::Week,
        Window::ThirtyDays,
        Window::ThisMonth,
        Window::LastMonth,
    ];

    /// The rolling windows, each within the next.
    pub const TOTALS: [Window; 3] = [Window::Today, Window::Week, Window::ThirtyDays];

    /// The calendar windows.
    pub const MONTHS: [Window; 2] = [Window::ThisMonth, Window::LastMonth];

    /// Name of the window in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Window::Today => "today",
            Window::Week => "7d",
            Window::ThirtyDays => "30d",
            Window::ThisMonth => "month",
            Window::LastMonth => "last_month",
        }
    }

    /// Days of the window. [`Window::ThisMonth`] has none on the first of a month.
    pub fn days(self, today: Day) -> RangeInclusive<Day> {
        let month = calendar::month(today);
        match self {
            Window::Today => today..=today,
            Window::Week => today.saturating_sub(6)..=today,
            Window::ThirtyDays => today.saturating_sub(29)..=today,
            Window::ThisMonth => calendar::first_day(month)..=today.saturating_sub(1),
            Window::LastMonth => {
                calendar::first_day(month - 1)..=calendar::first_day(month).saturating_sub(1)
            }
        }
    }

    /// The months whose cells the window covers. The cell of the current month
    /// counts finished days only, so a window that contains its first day and
    /// yesterday covers it.
    pub fn months(self, today: Day) -> RangeInclusive<Month> {
        let month = calendar::month(today);
        match self {
            Window::ThisMonth => month..=month,
            Window::LastMonth => month - 1..=month - 1,
            Window::Today | Window::Week | Window::ThirtyDays => {
                let first = *self.days(today).start();
                let first_month = calendar::month(first);
                let is_whole = calendar::first_day(first_month) == first;
                first_month + i32::from(!is_whole)..=month
            }
        }
    }

    /// Days and months of the window.
    pub fn periods(self, today: Day) -> Periods {
        Periods {
            days: Periods::days(self.days(today)).days,
            months: Periods::months(self.months(today)).months,
        }
    }
}

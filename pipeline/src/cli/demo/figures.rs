//! The figures that the story of the demo watches.
//!
//! Each is the sum of released cells of one family on the day of the story: what
//! the person of the story moves, and nothing else. A figure without a released
//! cell is absent, which is not 0.

use tributary_operators::cell::{Cell, Family};
use tributary_operators::record::Day;
use tributary_simulate::STORY_PERSON;

use crate::report::published_cells::{Periods, PublishedCells};

/// The unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Minor units of the brand's currency.
    Minor,
}

/// A figure: its name for readers and programs, its family with the value that is
/// summed, and the dimensions that its cells have.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// The name in output for programs.
    pub name: &'static str,
    /// What it is, as text.
    pub title: &'static str,
    /// The unit of the value.
    pub unit: Unit,
    /// The family of its cells.
    family: Family,
    /// The value that is summed.
    value: &'static str,
    /// The dimensions of its cells.
    dims: &'static [(&'static str, &'static str)],
}

/// The figures, in the order in which the story moves them.
pub const FIGURES: [Figure; 6] = [
    Figure {
        name: "search_clicks",
        title: "clicks of google/cpc/brand",
        unit: Unit::Count,
        family: Family::CampaignDay,
        value: "clicks",
        dims: &[
            ("source", "google"),
            ("medium", "cpc"),
            ("campaign", "brand"),
        ],
    },
    Figure {
        name: "newsletter_clicks",
        title: "clicks of newsletter/email/weekly",
        unit: Unit::Count,
        family: Family::CampaignDay,
        value: "clicks",
        dims: &[
            ("source", "newsletter"),
            ("medium", "email"),
            ("campaign", "weekly"),
        ],
    },
    Figure {
        name: "visits",
        title: "visits in store s01",
        unit: Unit::Count,
        family: Family::Visits,
        value: "visits",
        dims: &[("store", STORY_PERSON.store)],
    },
    Figure {
        name: "store_revenue",
        title: "revenue of store s01",
        unit: Unit::Minor,
        family: Family::StoreDay,
        value: "revenue_minor",
        dims: &[("store", STORY_PERSON.store)],
    },
    Figure {
        name: "search_credit",
        title: "of it, credited to google/cpc/brand",
        unit: Unit::Minor,
        family: Family::Attribution,
        value: "value_minor",
        dims: &[
            ("model", "linear"),
            ("store", STORY_PERSON.store),
            ("source", "google"),
            ("medium", "cpc"),
            ("campaign", "brand"),
        ],
    },
    Figure {
        name: "newsletter_credit",
        title: "of it, credited to newsletter/email/weekly",
        unit: Unit::Minor,
        family: Family::Attribution,
        value: "value_minor",
        dims: &[
            ("model", "linear"),
            ("store", STORY_PERSON.store),
            ("source", "newsletter"),
            ("medium", "email"),
            ("campaign", "weekly"),
        ],
    },
];

/// The values of all figures on a day; `None` for one without a released cell.
pub fn figures(cells: &PublishedCells, brand: &str, day: Day) -> [Option<i128>; FIGURES.len()] {
    FIGURES.map(|figure| {
        let of_day = cells.cells(figure.family, brand, Periods::days(day..=day));
        let of_figure = of_day
            .map(|(dims, values)| Cell {
                family: figure.family,
                dims: dims.to_vec(),
                values: values.to_vec(),
            })
            .filter(|cell| {
                let mut dims = figure.dims.iter();
                dims.all(|(dim, text)| cell.text(dim) == *text)
            })
            .map(|cell| cell.value(figure.value));
        of_figure.fold(None, |sum, value| Some(sum.unwrap_or(0) + value))
    })
}

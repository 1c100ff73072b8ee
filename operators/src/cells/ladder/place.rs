//! Where a restored cell belongs, and which months a batch looks at.

use crate::aggregate::{MonthGroup, TrafficMonth};
use crate::calendar::month;
use crate::cell::{Cell, Dim, Family, Hour, Traffic};
use crate::cells::gate::BatchClass;
use crate::record::{Currency, Day, SaleKind};
use crate::settings::Settings;

/// The families of a month that the ladder publishes.
const FAMILIES: [Family; 11] = [
    Family::Attribution,
    Family::StoreDay,
    Family::OrdersDay,
    Family::ScanDay,
    Family::VisitMatch,
    Family::VisitLift,
    Family::MarkovMonth,
    Family::Paths,
    Family::PathLength,
    Family::PathDays,
    Family::Assists,
];

/// A month that the next batch looks at.
pub(in crate::cells) struct Candidate {
    pub(in crate::cells) group: MonthGroup,
    pub(super) class: BatchClass,
    /// The last finished day.
    pub(super) through: Day,
    /// Whether contributors have changed the month itself since it was last published.
    pub(super) is_changed: bool,
    /// Whether others may have changed it who are not known, so that it waits for a lot of its class.
    pub(super) waits: bool,
}

/// Where a restored cell belongs.
pub(in crate::cells) enum Place {
    /// To a month of the ladder.
    Month(MonthGroup),
    /// To the contacts or visits of a month.
    Traffic(TrafficMonth),
    /// Nowhere: the ladder of its brand has no such cell.
    Nowhere,
    /// To the cells that are published one by one.
    Elsewhere,
}

/// Where a restored cell belongs.
pub(in crate::cells) fn place(cell: &Cell, settings: &Settings) -> Place {
    let Some((brand, of)) = settings.of_name(cell.text("brand")) else {
        return Place::Elsewhere;
    };
    let is_counted = match cell.family {
        Family::WalletDay | Family::RedemptionDay => of.counts_passes(),
        Family::ScanDay => of.counts_visits(),
        Family::VisitMatch => of.counts_stays(),
        Family::VisitLift => of.compares_exposure(),
        _ => true,
    };
    if !is_counted {
        return Place::Nowhere;
    }
    if !of.has_ladder() {
        return Place::Elsewhere;
    }
    let traffic = match cell.family {
        Family::CampaignDay => Some((Traffic::Contacts, cell.dim("day"))),
        Family::Visits => Some((Traffic::Visits, cell.dim("hour"))),
        _ => None,
    };
    if let Some((traffic, time)) = traffic {
        let month = match time {
            Some(Dim::Month(of)) => Some(*of),
            Some(Dim::Day(day)) => Some(month(*day)),
            Some(Dim::Hour(start, utc_offset)) => {
                let (start, utc_offset) = (*start, *utc_offset);
                Some(month(Hour { start, utc_offset }.local_day()))
            }
            _ => None,
        };
        return month.map_or(Place::Nowhere, |month| {
            Place::Traffic(TrafficMonth {
                brand,
                month,
                traffic,
            })
        });
    }
    if !FAMILIES.contains(&cell.family) {
        return Place::Elsewhere;
    }
    let kind = match cell.family {
        Family::StoreDay => Some(SaleKind::Transaction),
        Family::OrdersDay => Some(SaleKind::Order),
        Family::ScanDay | Family::VisitMatch | Family::VisitLift => Some(SaleKind::Visit),
        _ => SaleKind::ALL
            .into_iter()
            .find(|of| of.name() == cell.text("kind")),
    };
    let of = cell.dim("month").or_else(|| cell.dim("day"));
    let of = match of {
        Some(Dim::Month(month)) => Some(*month),
        Some(Dim::Day(day)) => Some(month(*day)),
        _ => None,
    };
    let currency = match kind {
        Some(SaleKind::Visit) => Some(Currency::NONE.0),
        _ => cell.text("currency").as_bytes().try_into().ok(),
    };
    match (kind, of, currency) {
        (Some(kind), Some(month), Some(currency)) => Place::Month(MonthGroup {
            brand,
            month,
            kind,
            currency: Currency(currency),
        }),
        _ => Place::Nowhere,
    }
}

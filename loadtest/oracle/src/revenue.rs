//! The `store_day`, `orders_day` and `scan_day` families: what tills and orders report.
//!
//! Every sale counts on its own day, with the amount that remains after refunds. An adjustment
//! counts on its own day, as revenue alone.

use tributary_operators::cell::{Dim, Family};
use tributary_operators::label::Label;
use tributary_operators::record::{Currency, Day, SaleKind};

use crate::brand::{self, Brand};
use crate::family_sums::{CountedCell, FamilySums, Sum};
use crate::journeys::Journeys;
use crate::net_sales::NetSales;

/// The cells of the three families for one brand.
///
/// - Dimensions of `store_day`: brand, store, day, currency; of `orders_day`: brand, day, currency; of
///   `scan_day`: brand, store, day.
/// - Values: sales, revenue in minor units, persons; of `scan_day` presences, scans, redemptions,
///   persons, presences with a transaction.
/// - Contributors: the persons, and each sale or adjustment without one.
pub(crate) fn cells(brand: &Brand, journeys: &Journeys, net_sales: &NetSales) -> Vec<CountedCell> {
    let mut stores: FamilySums<(Label, Day, Currency), 2> = FamilySums::new();
    let mut orders: FamilySums<(Day, Currency), 2> = FamilySums::new();
    let mut visits: FamilySums<(Label, Day), 4> = FamilySums::new();
    for conversion in &journeys.conversions {
        let (sale, who) = (&conversion.sale, conversion.who(brand.settings));
        let (day, currency) = (sale.record.day, sale.currency);
        let values = [1, i128::from(sale.left)];
        match sale.kind {
            SaleKind::Transaction => stores.add((sale.store, day, currency), values, who),
            SaleKind::Order => orders.add((day, currency), values, who),
            SaleKind::Visit => {
                let Some(visit) = conversion.visit else {
                    continue;
                };
                let values = [
                    1,
                    visit.scans,
                    visit.redemptions,
                    visit.with_transaction.into(),
                ];
                visits.add((sale.store, day), values, who);
            }
        }
    }
    for line in &net_sales.adjustments {
        let (day, currency) = (line.day, line.currency);
        let values = [0, i128::from(line.amount)];
        let who = (None, brand.settings.is_verified(line.source));
        match line.kind {
            SaleKind::Transaction => stores.add((line.store, day, currency), values, who),
            SaleKind::Order | SaleKind::Visit => orders.add((day, currency), values, who),
        }
    }

    let values = |sum: &Sum<2>| {
        let [number, revenue] = sum.values;
        vec![number, revenue, sum.person_count()]
    };
    let mut cells = stores.cells(Family::StoreDay, |(store, day, currency), sum| {
        let dims = vec![
            brand.name(),
            brand.word(*store),
            Dim::Day(*day),
            brand::currency(*currency),
        ];
        (dims, values(sum))
    });
    cells.extend(orders.cells(Family::OrdersDay, |(day, currency), sum| {
        let dims = vec![brand.name(), Dim::Day(*day), brand::currency(*currency)];
        (dims, values(sum))
    }));
    cells.extend(visits.cells(Family::ScanDay, |(store, day), sum| {
        let [presences, scans, redemptions, with_transaction] = sum.values;
        let persons = sum.person_count();
        (
            vec![brand.name(), brand.word(*store), Dim::Day(*day)],
            vec![presences, scans, redemptions, persons, with_transaction],
        )
    }));
    cells
}

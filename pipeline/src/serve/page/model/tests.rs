use serde_json::{Value, json};
use tributary_operators::cell::Cell;

use super::*;

/// 2025-10-26.
const TODAY: Day = 20_387;

fn text(word: &str) -> Dim {
    match word {
        "" => Dim::Null,
        word => Dim::Text(word.into()),
    }
}

fn cell(family: Family, dims: Vec<Dim>, values: &[i128]) -> Cell {
    let dims = std::iter::once(text("acme")).chain(dims).collect();
    Cell {
        family,
        dims,
        values: values.to_vec(),
    }
}

fn credit(model: &str, source: &str, kind: &str, day: Day, value: i128) -> Cell {
    let store = if kind == "order" { "" } else { "s1" };
    let dims = [model, source, "cpc", "", kind, store].map(text);
    let mut dims = dims.to_vec();
    dims.extend([Dim::Day(day), text("EUR")]);
    cell(Family::Attribution, dims, &[1_000_000, value])
}

fn takings(store: &str, day: Day, currency: &str, values: [i128; 2]) -> Cell {
    let dims = vec![text(store), Dim::Day(day), text(currency)];
    cell(Family::StoreDay, dims, &[values[0], values[1], 1])
}

fn visits(store: &str, second: i64, values: [i128; 5]) -> Cell {
    let dims = vec![text(store), Dim::Hour(second, 7200)];
    cell(Family::Visits, dims, &values)
}

fn model(cells: &[Cell]) -> Value {
    let mut board = PublishedCells::default();
    cells.iter().for_each(|cell| board.apply(cell));
    serde_json::from_str(&super::json(&board, "acme", TODAY).unwrap()).unwrap()
}

#[test]
fn numbers_are_sums_over_the_cells_of_a_window() {
    let spend = |day, cost| {
        let dims = ["ads", "google", "cpc", ""].map(text).to_vec();
        let dims = dims
            .into_iter()
            .chain([Dim::Day(day), text("EUR")])
            .collect();
        cell(Family::SpendDay, dims, &[cost, 9, 9])
    };
    let orders = |day, n, value| {
        cell(
            Family::OrdersDay,
            vec![Dim::Day(day), text("EUR")],
            &[n, value, 1],
        )
    };
    let shown = model(&[
        credit("linear", "google", "order", TODAY, 100),
        credit("linear", "google", "transaction", TODAY, 20),
        credit("linear", "google", "order", TODAY - 6, 3),
        credit("linear", "google", "order", TODAY - 7, 1_000),
        credit("linear", "bing", "order", TODAY - 29, 40_000),
        credit("linear", "bing", "order", TODAY - 30, 77),
        credit("first", "bing", "order", TODAY, 5),
        spend(TODAY, 50),
        spend(TODAY - 1, 25),
        orders(TODAY, 2, 105),
        orders(TODAY - 10, 1, 1_000),
        takings("s1", TODAY, "EUR", [3, 700]),
        takings("s2", TODAY - 1, "EUR", [1, 50]),
        takings("s1", TODAY, "JPY", [1, 9_000]),
    ]);
    assert_eq!(shown["today"], "2025-10-26");
    assert_eq!(shown["months"], json!(["2025-09", "2025-10"]));
    assert_eq!(shown["stores"], json!(["s1", "s2"]));
    let euro = &shown["currencies"][0];
    assert_eq!(
        (&euro["code"], &euro["decimals"]),
        (&json!("EUR"), &json!(2))
    );
    assert_eq!(
        euro["channels"],
        json!([["bing", "cpc", null], ["google", "cpc", null]])
    );
    let linear = |window: &str| euro["periods"][window]["models"]["linear"].clone();
    let one = 1_000_000;
    assert_eq!(
        linear("today"),
        json!({"total": [one, one, 100, 20], "rows": {"1": [one, one, 100, 20]}})
    );
    assert_eq!(linear("7d")["total"], json!([2 * one, one, 103, 20]));
    assert_eq!(
        linear("30d")["rows"],
        json!({"0": [one, 0, 40_000, 0], "1": [3 * one, one, 1_103, 20]})
    );
    assert_eq!(
        euro["periods"]["today"]["models"]["first"]["total"],
        json!([one, 0, 5, 0])
    );
    assert_eq!(
        euro["periods"]["today"]["spend"],
        json!({"total": [50], "rows": {"1": [50]}})
    );
    assert_eq!(euro["periods"]["7d"]["spend"]["total"], json!([75]));
    assert_eq!(euro["periods"]["30d"]["orders"], json!([3, 1_105]));
    assert_eq!(
        euro["periods"]["7d"]["tills"],
        json!({"total": [4, 750], "rows": {"0": [3, 700], "1": [1, 50]}})
    );
    let daily = euro["daily"].as_array().unwrap();
    assert_eq!(
        (daily.len(), &daily[29], &daily[28]),
        (30, &json!([700, 105]), &json!([50, 0]))
    );
    let yen = &shown["currencies"][1];
    assert_eq!((&yen["code"], &yen["decimals"]), (&json!("JPY"), &json!(0)));
    assert_eq!(yen["periods"]["today"]["tills"]["total"], json!([1, 9_000]));
}

#[test]
fn visits_stand_in_their_local_hour() {
    let midnight = i64::from(TODAY) * 86_400 - 7_200;
    let shown = model(&[
        visits("s1", midnight + 9 * 3_600, [4, 6, 1_200, 9, 1]),
        visits("s2", midnight + 9 * 3_600, [1, 0, 60, 1, 0]),
        visits("s1", midnight - 3_600, [8, 0, 80, 8, 0]),
    ]);
    assert_eq!(shown["hours"][9], json!([5, 6]));
    assert_eq!(
        shown["visits"]["today"]["total"],
        json!([5, 6, 1_260, 10, 1])
    );
    assert_eq!(
        shown["visits"]["7d"]["rows"]["0"],
        json!([12, 6, 1_280, 17, 1])
    );
    assert_eq!(
        (&shown["daily_visits"][29], &shown["daily_visits"][28]),
        (&json!(5), &json!(8))
    );
    assert_eq!(shown["empty"], json!(false));
    assert_eq!(model(&[])["empty"], json!(true));
}

#[test]
fn what_is_cut_is_added_up_and_totals_hold() {
    let mut cells: Vec<Cell> = (0..100)
        .map(|n| credit("last", &format!("c{n}"), "order", TODAY, 10 + n))
        .collect();
    cells.push(credit("last", "unattributed", "order", TODAY, 1));
    cells.extend((0..100).map(|n| takings(&format!("s{n:02}"), TODAY, "EUR", [n + 1, 2])));
    let shown = model(&cells);
    let euro = &shown["currencies"][0];
    assert_eq!(euro["channels"].as_array().unwrap().len(), 40);
    assert_eq!(euro["channels"][0][0], "unattributed");
    let last = &euro["periods"]["today"]["models"]["last"];
    let sum = |rows: &Value, at: usize| -> i64 {
        rows.as_object()
            .unwrap()
            .values()
            .map(|row| row[at].as_i64().unwrap())
            .sum()
    };
    let all: i64 = (0..100).map(|n| 10 + n).sum::<i64>() + 1;
    assert_eq!(
        (last["total"][2].as_i64(), sum(&last["rows"], 2)),
        (Some(all), all)
    );
    assert_eq!(last["rows"]["-1"][0], json!(61_000_000));
    let tills = &euro["periods"]["today"]["tills"];
    assert_eq!(
        (sum(&tills["rows"], 1), &tills["total"][1]),
        (200, &json!(200))
    );
    assert_eq!(tills["rows"]["-1"], json!([60 * 61 / 2, 120]));
}

#[test]
fn the_way_to_the_till_is_that_of_two_months() {
    let month = calendar::month(TODAY);
    let of = |family, kind: &str, month, last: Vec<Dim>, values: &[i128]| {
        let dims = [text(kind), Dim::Month(month), text("EUR")].into_iter();
        cell(family, dims.chain(last).collect(), values)
    };
    let step = |source: &str| [Some(source.into()), Some("cpc".into()), None];
    let path = |sources: &[&str]| vec![Dim::Path(sources.iter().map(|s| step(s)).collect())];
    let channel = ["google", "cpc", "spring"].map(text).to_vec();
    let shown = model(&[
        takings("s1", TODAY, "EUR", [1, 100]),
        of(
            Family::PathLength,
            "order",
            month,
            vec![Dim::Count(1)],
            &[5],
        ),
        of(
            Family::PathLength,
            "transaction",
            month - 1,
            vec![Dim::Count(1)],
            &[2],
        ),
        of(
            Family::PathLength,
            "order",
            month,
            vec![Dim::Count(200)],
            &[3],
        ),
        of(
            Family::PathLength,
            "order",
            month - 2,
            vec![Dim::Count(1)],
            &[99],
        ),
        of(Family::PathDays, "order", month, vec![Dim::Count(0)], &[8]),
        of(
            Family::PathDays,
            "order",
            month,
            vec![Dim::Count(400)],
            &[2],
        ),
        of(Family::Paths, "order", month, path(&["a", "b"]), &[4, 10]),
        of(
            Family::Paths,
            "transaction",
            month - 1,
            path(&["a", "b"]),
            &[3, 20],
        ),
        of(Family::Paths, "order", month, path(&["x"; 20]), &[6, 1]),
        of(Family::Assists, "order", month, channel.clone(), &[4, 10]),
        of(Family::Assists, "transaction", month, channel, &[1, 5]),
        of(
            Family::MarkovMonth,
            "transaction",
            month,
            ["google", "cpc", "spring"].map(text).to_vec(),
            &[500_000, 2_000_000, 70],
        ),
    ]);
    let euro = &shown["currencies"][0];
    let paths = &euro["paths"];
    assert_eq!(paths["conversions"], json!(10));
    assert_eq!(
        (&paths["touches"][0], &paths["touches"][14]),
        (&json!(7), &json!(3))
    );
    assert_eq!(
        (&paths["days"][0], &paths["days"][31]),
        (&json!(8), &json!(2))
    );
    assert_eq!(
        paths["top"][0],
        json!({"steps": [["a", "cpc", null], ["b", "cpc", null]], "left_out": 0, "conversions": 7, "value": 30})
    );
    assert_eq!(paths["top"][1]["left_out"], json!(12));
    assert_eq!(paths["top"][1]["steps"].as_array().unwrap().len(), 8);
    assert_eq!(
        paths["assists"],
        json!([[["google", "cpc", "spring"], 5, 15]])
    );
    assert_eq!(
        euro["periods"]["month"]["models"]["markov"],
        json!({"total": [0, 2_000_000, 0, 70], "rows": {"0": [0, 2_000_000, 0, 70]}})
    );
}

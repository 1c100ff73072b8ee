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
    model_behind(false, cells)
}

fn model_behind(hides: bool, cells: &[Cell]) -> Value {
    let mut board = PublishedCells::default();
    cells.iter().for_each(|cell| board.apply(cell));
    serde_json::from_str(&super::json(&board, "acme", TODAY, hides).unwrap()).unwrap()
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
        credit("linear", "google", "order", TODAY, 9_000),
        credit("linear", "google", "order", TODAY - 1, 100),
        credit("linear", "google", "transaction", TODAY - 1, 20),
        credit("linear", "google", "order", TODAY - 25, 3),
        credit("linear", "google", "order", TODAY - 26, 1_000),
        credit("linear", "bing", "order", TODAY - 55, 40_000),
        credit("linear", "bing", "order", TODAY - 56, 77),
        credit("first", "bing", "order", TODAY - 1, 5),
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
    let linear = |window: &str| euro["months"][window]["models"]["linear"].clone();
    let one = 1_000_000;
    assert_eq!(
        linear("month"),
        json!({"total": [2 * one, one, 103, 20], "rows": {"1": [2 * one, one, 103, 20]}})
    );
    assert_eq!(
        linear("last_month")["rows"],
        json!({"0": [one, 0, 40_000, 0], "1": [one, 0, 1_000, 0]})
    );
    assert_eq!(
        euro["months"]["month"]["models"]["first"]["total"],
        json!([one, 0, 5, 0])
    );
    // Credits are to yesterday, and so is spend; those of Markov include today.
    let month = &euro["months"]["month"];
    assert_eq!(month["spend"], json!({"total": [25], "rows": {"1": [25]}}));
    assert_eq!(month["markov_spend"]["total"], json!([75]));
    assert_eq!(euro["months"]["last_month"]["markov_spend"], json!(null));
    assert_eq!(euro["periods"]["today"]["spend"], json!(50));
    assert_eq!(euro["periods"]["7d"]["spend"], json!(75));
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
        .map(|n| credit("last", &format!("c{n}"), "order", TODAY - 1, 10 + n))
        .collect();
    cells.push(credit("last", "unattributed", "order", TODAY - 1, 1));
    cells.extend((0..100).map(|n| takings(&format!("s{n:02}"), TODAY, "EUR", [n + 1, 2])));
    let shown = model(&cells);
    let euro = &shown["currencies"][0];
    assert_eq!(euro["channels"].as_array().unwrap().len(), 40);
    assert_eq!(euro["channels"][0][0], "unattributed");
    let last = &euro["months"]["month"]["models"]["last"];
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
        euro["months"]["month"]["models"]["markov"],
        json!({"total": [0, 2_000_000, 0, 70], "rows": {"0": [0, 2_000_000, 0, 70]}})
    );
}

fn month_credit(channel: [&str; 3], kind: &str, month: i32, value: i128) -> Cell {
    let store = if kind == "order" { "" } else { "*" };
    let [source, medium, campaign] = channel;
    let dims = ["linear", source, medium, campaign, kind, store].map(text);
    let mut dims = dims.to_vec();
    dims.extend([Dim::Month(month), text("EUR")]);
    cell(Family::Attribution, dims, &[1_000_000, value])
}

fn spend(channel: [&str; 3], day: Day, cost: i128) -> Cell {
    let [source, medium, campaign] = channel;
    let mut dims = ["ads", source, medium, campaign].map(text).to_vec();
    dims.extend([Dim::Day(day), text("EUR")]);
    cell(Family::SpendDay, dims, &[cost, 9, 9])
}

#[test]
fn months_are_those_of_month_cells_and_what_is_hidden_is_null() {
    let month = calendar::month(TODAY);
    let fall = ["google", "cpc", "fall"];
    let shown = model_behind(
        true,
        &[
            month_credit(fall, "order", month, 100),
            month_credit(["google", "cpc", "*"], "transaction", month, 40),
            month_credit(["bing", "cpc", ""], "order", month, 7),
            month_credit(["bing", "cpc", ""], "transaction", month - 1, 8),
            spend(fall, TODAY - 1, 50),
            spend(["google", "cpc", "small"], TODAY - 1, 30),
            spend(["mail", "", ""], TODAY - 1, 20),
            takings("*", TODAY - 1, "EUR", [3, 700]),
            takings("s1", TODAY - 2, "EUR", [5, 800]),
        ],
    );
    let euro = &shown["currencies"][0];
    let channels = euro["channels"].as_array().unwrap();
    let row = |window: &str, name: Value| {
        let at = channels
            .iter()
            .position(|channel| *channel == name)
            .unwrap();
        euro["months"][window]["models"]["linear"]["rows"][at.to_string()].clone()
    };
    let (one, hidden) = (1_000_000, Value::Null);
    // In-store credit of the campaign may be in the rest of its source and medium.
    assert_eq!(row("month", json!(fall)), json!([one, hidden, 100, hidden]));
    let small = row("month", json!(["google", "cpc", "small"]));
    assert_eq!(small, json!([0, hidden, 0, hidden]));
    let rest = row("month", json!(["google", "cpc", "*"]));
    assert_eq!(rest, json!([0, one, 0, 40]));
    // No rest covers these, so that they are known to have none.
    assert_eq!(
        row("month", json!(["bing", "cpc", null])),
        json!([one, 0, 7, 0])
    );
    assert_eq!(
        row("month", json!(["mail", null, null])),
        json!([0, 0, 0, 0])
    );
    assert_eq!(
        row("last_month", json!(["bing", "cpc", null])),
        json!([0, one, 0, 8])
    );
    assert_eq!(euro["months"]["month"]["spend"]["total"], json!([100]));
    assert_eq!(euro["months"]["month"]["markov_spend"], hidden);

    assert_eq!(shown["stores"], json!(["*", "s1"]));
    let today = &euro["periods"]["today"];
    assert_eq!(
        today["tills"],
        json!({"total": [hidden, hidden], "rows": {}})
    );
    assert_eq!(today["orders"], json!([hidden, hidden]));
    assert_eq!(euro["periods"]["7d"]["tills"]["total"], json!([8, 1_500]));
    let daily = euro["daily"].as_array().unwrap();
    assert_eq!(daily[28..], [json!([700, hidden]), json!([hidden, hidden])]);
    assert_eq!(euro["paths"]["conversions"], hidden);
    assert_eq!(
        shown["visits"]["today"]["total"],
        json!([hidden, hidden, hidden, hidden, hidden])
    );
    assert_eq!(shown["hours"][9], json!([hidden, hidden]));
}

#[test]
fn credits_of_a_kind_without_any_cell_are_unknown_where_it_was_sold() {
    let month = calendar::month(TODAY);
    let credit = month_credit(["bing", "cpc", ""], "order", month, 7);
    let of = |cells: &[Cell]| {
        model_behind(true, cells)["currencies"][0]["months"]["month"]["models"]["linear"]["rows"]["0"]
            .clone()
    };
    assert_eq!(
        of(std::slice::from_ref(&credit)),
        json!([1_000_000, 0, 7, 0])
    );
    let sold = takings("s1", TODAY - 1, "EUR", [3, 700]);
    assert_eq!(of(&[credit, sold]), json!([1_000_000, null, 7, null]));
}

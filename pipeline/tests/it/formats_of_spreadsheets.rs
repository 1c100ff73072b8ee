//! What spreadsheets, shops and tills really send: each file or message as it comes, and the cells that are right.

use std::process::Command;

use crate::support::{succeed, tributary};
use serde_json::{Value, json};

const HEAD: &str = r#"
[release]
k = 1
k_delta = 1
cadence = "0s"
max_hold = "0s"
[[brand]]
name = "acme"
timezone = "UTC"
secret_env = "SECRET_OF_FORMATS"
"#;

const TILLS: &str = r#"
[[brand.source]]
name = "tills"
kind = "transaction"
format = "csv"
zone = "Europe/Paris"
"#;

/// The cells of a family and the summary of a replay of one input.
fn replay(config: &str, name: &str, input: &[u8], family: &str) -> (Vec<(Value, Value)>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("t.toml"), format!("{HEAD}{config}")).unwrap();
    std::fs::write(at("input"), input).unwrap();
    let mut command: Command = tributary();
    command
        .current_dir(folder.path())
        .env("SECRET_OF_FORMATS", tributary_testkit::SECRET)
        .args(["replay", "--json", "--config", "t.toml", "--cells", "cells"])
        .arg(format!("{name}input"));
    let output = succeed(&mut command);
    let cells = std::fs::read_to_string(at("cells")).unwrap();
    let cells = cells
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let cells = cells.filter(|cell: &Value| cell["family"] == family);
    let cells = cells.map(|cell: Value| (cell["cell"].clone(), cell["value"].clone()));
    (
        cells.collect(),
        serde_json::from_slice(&output.stdout).unwrap(),
    )
}

fn tills(csv: &str, rows: &[u8]) -> (Vec<(Value, Value)>, Value) {
    let columns = r#"columns = { id = "id", ts = "ts", store = "store", amount = "amount" }"#;
    let config = format!("{TILLS}[brand.source.csv]\n{csv}\n{columns}\n");
    replay(&config, "tills=", rows, "store_day")
}

fn stores(cells: &[(Value, Value)]) -> Vec<(String, String, i64)> {
    let store = |(cell, value): &(Value, Value)| {
        let text = |key: &str| cell[key].as_str().unwrap().to_owned();
        (
            text("store"),
            text("day"),
            value["revenue_minor"].as_i64().unwrap(),
        )
    };
    cells.iter().map(store).collect()
}

fn store(name: &str, day: &str, revenue: i64) -> (String, String, i64) {
    (name.to_owned(), day.to_owned(), revenue)
}

#[test]
fn a_spreadsheet_writes_semicolons_commas_and_its_own_encoding() {
    let rows = b"id;ts;store;amount\r\n1;2025-10-01 10:00:00;Caf\xe9;12,50\r\n2;2025-10-01 11:00:00 +0000;Caf\xc3\xa9;1,5\r\n";
    let (cells, summary) = tills("delimiter = \";\"", rows);
    assert_eq!(stores(&cells), [store("Caf\u{e9}", "2025-10-01", 1400)]);
    assert_eq!(summary["dead_letters"], json!({}));

    let rows = "id;ts;store;amount\n1;31/12/2025 23:59;S;1.250,00\n2;01/01/2026;S;-\u{a0}3\n"
        .replace("-\u{a0}3", "1\u{a0}000");
    let csv = "delimiter = \";\"\ndecimal = \"comma\"\ntime_patterns = [\"%d/%m/%Y %H:%M\", \"%d/%m/%Y\"]";
    let (cells, _) = tills(csv, rows.as_bytes());
    // Midnight in Paris is still the day before in UTC, the brand's zone.
    assert_eq!(stores(&cells), [store("S", "2025-12-31", 225_000)]);

    // What may as well group thousands is refused where nothing says what it is.
    let rows = b"id;ts;store;amount\n1;2025-10-01;S;1,250\n2;2025-10-01;\xa3\xf3d\x9f;2\n";
    let (cells, summary) = tills("delimiter = \";\"\nencoding = \"windows-1250\"", rows);
    assert_eq!(
        stores(&cells),
        [store("\u{141}\u{f3}d\u{17a}", "2025-09-30", 200)]
    );
    assert_eq!(summary["dead_letters"], json!({"invalid_amount": 1}));
}

#[test]
fn rows_that_do_not_fit_the_header_are_refused_and_nothing_else() {
    let rows = b"id,ts,store,amount\n1,2025-10-01 10:00,S,12,50\n2,2025-10-01 11:00,S\n3,2025-10-01 12:00,S,7\n";
    let (cells, summary) = tills("", rows);
    assert_eq!(stores(&cells), [store("S", "2025-10-01", 700)]);
    assert_eq!(summary["dead_letters"], json!({"malformed_row": 2}));
    // A basket of which one row does not fit is no basket.
    let rows = b"id,ts,store,amount\n1,2025-10-01 10:00,S,10\n1,2025-10-01 10:00,S,2,50\n2,2025-10-01 12:00,S,7\n";
    let (cells, summary) = tills("sum_rows = true", rows);
    assert_eq!(stores(&cells), [store("S", "2025-10-01", 700)]);
    assert_eq!(summary["dead_letters"], json!({"malformed_row": 1}));
}

#[test]
fn amounts_of_different_currencies_are_never_added() {
    let columns = r#"columns = { id = "id", ts = "ts", store = "store", amount = "amount", currency = "cur" }"#;
    let config = format!("{TILLS}[brand.source.csv]\nsum_rows = true\n{columns}\n");
    let rows = "id,ts,store,amount,cur\n\
        1,2025-10-01 10:00,S,10,EUR\n1,2025-10-01 10:00,S,5,USD\n\
        2,2025-10-01 10:00,T,10,\n2,2025-10-01 10:00,T,5,eur\n";
    let (cells, summary) = replay(&config, "tills=", rows.as_bytes(), "store_day");
    assert_eq!(stores(&cells), [store("T", "2025-10-01", 1500)]);
    assert_eq!(summary["dead_letters"], json!({"mixed_currencies": 1}));
}

fn message(kind: &str, data: &Value) -> String {
    let at = 1_760_000_000_000_i64;
    let line = json!({"subject": format!("tributary.in.acme.{kind}"), "at": at, "data": data});
    format!("{line}\n")
}

fn order(id: &str, more: Value) -> Value {
    let mut order = json!({"id": id, "ts": 1_760_000_000_000_i64, "type": "order"});
    order
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    order
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let first = message("web", &order("1", json!({"amount": 1})));
    let text = json!(format!("\u{feff}{}", order("2", json!({"amount": 2}))));
    let trace = format!(
        "\u{feff}{first}{}\u{feff}{}",
        message("web", &text),
        message("web", &order("3", json!({"amount": 4})))
    );
    let (cells, summary) = replay("", "", trace.as_bytes(), "orders_day");
    assert_eq!(cells[0].1["revenue_minor"], 700);
    assert_eq!(summary["skipped_lines"], 0);
}

#[test]
fn what_is_sent_in_seconds_is_refused_until_the_source_says_so() {
    let line = |ts: Value| {
        let data = json!({"id": ts.to_string(), "ts": ts, "type": "order", "amount": 1});
        message("web", &data)
    };
    let trace = line(json!(1_760_000_000)) + &line(json!("2025-10-09T08:00:00Z"));
    let (cells, summary) = replay("", "", trace.as_bytes(), "orders_day");
    assert_eq!(cells[0].1["orders"], 1);
    assert_eq!(summary["dead_letters"], json!({"time_out_of_range": 1}));
    let seconds = "[[brand.source]]\nname = \"shop\"\nkind = \"web\"\nunit = \"s\"\n";
    let (cells, summary) = replay(seconds, "", trace.as_bytes(), "orders_day");
    assert_eq!(cells[0].0["day"], "2025-10-09");
    assert_eq!(cells[0].1["orders"], 2);
    assert_eq!(summary["dead_letters"], json!({}));
}

#[test]
fn refunds_and_orders_of_shops_that_leave_fields_out() {
    let refund = json!({"id": "r", "ts": 1_760_000_000_000_i64, "type": "refund", "order_id": "A", "amount": "4.00"});
    let sale = order(
        "o",
        json!({"amount": "10.00", "order_id": "A", "currency": "USD"}),
    );
    let trace = message("web", &refund) + &message("web", &sale);
    let (cells, _) = replay("", "", trace.as_bytes(), "orders_day");
    assert_eq!(cells[0].0["currency"], "USD");
    assert_eq!(cells[0].1["revenue_minor"], 600);

    let shops =
        ["a", "b"].map(|name| format!("[[brand.source]]\nname = \"{name}\"\nkind = \"web\"\n"));
    let trace = message("web.a", &order("1", json!({"amount": 10})))
        + &message("web.b", &order("1", json!({"amount": 20})))
        + &message(
            "web.b",
            &json!({"id": "2", "ts": 1_760_000_000_000_i64, "type": "refund", "order_id": "1", "amount": 5}),
        );
    let (cells, _) = replay(&shops.concat(), "", trace.as_bytes(), "orders_day");
    assert_eq!(cells[0].1["orders"], 2);
    assert_eq!(cells[0].1["revenue_minor"], 2500);
}

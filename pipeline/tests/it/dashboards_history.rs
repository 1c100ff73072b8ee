//! The dashboard of the history reads `/v1/cells` through the Infinity data source: every address that it asks for is
//! answered by a real process, with rows that have the columns of the panel; with access tokens, for the bearer token
//! that the provisioned data source has.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::dashboards_parts::prometheus::still_demo;
use crate::dashboards_parts::{Dashboard, read, text};
use crate::http_access::{Server, config};

/// An address as Grafana would ask for it, over the weeks of the demo.
fn filled(url: &str) -> String {
    let words = [
        ("${brand:percentencode}", "orchard"),
        ("${currency:percentencode}", "EUR"),
        ("${model:percentencode}", "linear"),
        ("${__from:date:YYYY-MM-DD}", "2025-10-01"),
        ("${__to:date:YYYY-MM-DD}", "2025-11-30"),
    ];
    let filled = words
        .iter()
        .fold(url.to_owned(), |url, (name, word)| url.replace(name, word));
    assert!(!filled.contains('$'), "no such variable: {filled}");
    filled
}

/// The head and the body of an answer.
fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

/// The value of a selector such as `cell.day`.
fn select<'a>(row: &'a Value, selector: &str) -> Option<&'a Value> {
    row.pointer(&format!("/{}", selector.replace('.', "/")))
}

/// What is wrong with the answer to a target.
fn complain(target: &Value, answer: &Value) -> Vec<String> {
    let rows = answer[text(&target["root_selector"])].as_array();
    let Some(rows) = rows.filter(|rows| !rows.is_empty()) else {
        return vec![format!("no rows: {answer}")];
    };
    let mut complaints = Vec::new();
    for column in target["columns"].as_array().expect("columns") {
        let (selector, kind) = (text(&column["selector"]), text(&column["type"]));
        let values = rows.iter().filter_map(|row| select(row, &selector));
        let values: Vec<&Value> = values.collect();
        let is_of_kind = |value: &&Value| match (kind.as_str(), value) {
            ("number", Value::Number(_)) => true,
            ("timestamp", Value::String(day)) => day.parse::<jiff::civil::Date>().is_ok(),
            ("string", Value::String(_)) => true,
            _ => false,
        };
        if values.len() < rows.len() {
            complaints.push(format!("{selector} is not in every row"));
        } else if !values.iter().any(is_of_kind) {
            complaints.push(format!("{selector} is never a {kind}"));
        } else if values
            .iter()
            .any(|value| !value.is_null() && !is_of_kind(value))
        {
            complaints.push(format!("{selector} is not always a {kind}"));
        }
    }
    complaints
}

#[test]
fn every_address_is_answered_with_the_columns_of_its_panel() {
    let dashboards = Dashboard::all();
    let targets: Vec<_> = dashboards.iter().flat_map(Dashboard::infinity).collect();
    assert!(targets.len() >= 7, "{}", targets.len());
    let (_demo, address) = still_demo(&["--show-all"]);
    for (panel, target) in targets {
        let url = filled(&text(&target["url"]));
        let (head, body) = get(&address, &url);
        assert!(head.contains(" 200 "), "{panel}: {url}: {head}: {body}");
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(
            complain(target, &answer),
            Vec::<String>::new(),
            "{panel}: {url}"
        );
        assert!(
            answer["next"].is_null(),
            "{panel} has more rows than one page"
        );
        // The check finds a column that does not exist.
        let mut wrong = target.clone();
        wrong["columns"][0]["selector"] = "cell.nothing".into();
        assert_eq!(complain(&wrong, &answer).len(), 1, "{panel}");
    }
}

#[test]
fn the_data_source_is_provisioned_beside_prometheus() {
    let file = read("provisioning/datasources/tributary.yml");
    let types: BTreeSet<&str> = file
        .lines()
        .filter_map(|line| line.trim().strip_prefix("type: "))
        .collect();
    assert!(types.contains("prometheus"), "{types:?}");
    for dashboard in Dashboard::all() {
        for variable in dashboard.list("/templating/list") {
            if variable["type"] == "datasource" {
                assert!(
                    types.contains(text(&variable["query"]).as_str()),
                    "{variable}"
                );
            }
        }
    }
}

/// The header that the data source sends with the environment of Grafana, once the comment signs before its settings of
/// a token are removed: the one that the plugin has for this method.
fn authorization(token: &str) -> String {
    let file = read("provisioning/datasources/tributary.yml");
    let (_, cells) = file.split_once("name: Tributary cells").unwrap();
    let setting = |name: &str| {
        let lines = cells
            .lines()
            .map(|line| line.trim_start_matches([' ', '#']).trim_end());
        let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        values.next().unwrap_or_else(|| panic!("no {name}"))
    };
    assert_eq!(setting("auth_method"), "bearerToken");
    let token = setting("bearerToken").replace("$TRIBUTARY_READ_TOKEN", token);
    format!("Authorization: Bearer {token}\r\n")
}

#[tokio::test]
async fn its_token_is_what_a_server_with_tokens_asks_for() {
    let server = Server::start(&config("", true)).await;
    let dashboards = Dashboard::all();
    let targets: Vec<_> = dashboards.iter().flat_map(Dashboard::infinity).collect();
    assert!(!targets.is_empty());
    for (panel, target) in targets {
        let url = filled(&text(&target["url"])).replace("brand=orchard", "brand=acme");
        assert!(url.contains("brand=acme"), "{url}");
        for (head, code) in [
            (authorization("acme-read"), 200),
            (authorization("acme-operate"), 200),
            (authorization("zeta-read"), 403),
            (authorization("acme-privacy"), 403),
            (authorization("$TRIBUTARY_READ_TOKEN"), 401),
            (String::new(), 401),
        ] {
            let (status, _, body) = server.send(&format!("GET {url}"), &head).await;
            assert_eq!(status, code, "{panel}: {url} {head} {body}");
            let answer: Value = serde_json::from_str(&body).unwrap_or_default();
            assert_eq!(answer["rows"].is_array(), code == 200, "{panel}: {body}");
        }
    }
}

//! A brand asks for its cells: what the workers hold comes as one sorted answer, as a table or as lines.

use crate::services_common::{Running, answering, config_file, connect, store_day};
use tributary::cli::args;
use tributary::epochs::queries::Queries;
use tributary::serve::services::client::ask;
use tributary::serve::services::{Services, Topic};
use tributary_connectors::out::cell_line;
use tributary_operators::ask::{Question, Reply};
use tributary_operators::cell::Cell;
use tributary_operators::record::BrandId;
use tributary_testkit::NatsServer;

fn cells(brand: &str) -> Vec<Cell> {
    vec![
        store_day(brand, "paris", [1_204, 3_456_789, 900]),
        store_day(brand, "lyon", [3, -1_050, 2]),
    ]
}

/// The workers' part, for `acme` and `zeta`.
fn answer(question: &Question) -> Vec<Reply> {
    let Question::Cells { brand, family } = question else {
        panic!("{question:?}");
    };
    let mut names = ["acme", "zeta"].into_iter();
    let name = names.find(|name| BrandId::of(name) == *brand);
    let held = cells(name.unwrap()).into_iter();
    held.filter(|cell| family.is_none_or(|family| family == cell.family))
        .map(Reply::Cell)
        .collect()
}

#[tokio::test]
async fn each_brand_reads_its_own_cells() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let file = config_file(&server, &["acme", "zeta"], 1);
    let config = tributary::load(&file).unwrap();
    let queries = Queries::default();
    let dataflow = answering(&queries, answer);
    let services = Services::start(connect(&config).await, &config, queries)
        .await
        .unwrap();
    let running = Running::start(services);

    let client = connect(&config).await;
    for brand in ["acme", "zeta"] {
        let lines = ask(&client, Topic::Query, brand, "{}".to_owned())
            .await
            .unwrap();
        let mut expected: Vec<String> = cells(brand).iter().map(cell_line).collect();
        expected.sort_unstable();
        assert_eq!(
            String::from_utf8(lines).unwrap(),
            expected.join("\n") + "\n"
        );
    }

    // Words in the request: rows, and a last line with the position of the next page.
    let words = r#"{"family": "store_day", "sort": "-revenue_minor", "limit": 1}"#;
    let rows = ask(&client, Topic::Query, "acme", words.to_owned())
        .await
        .unwrap();
    let rows = String::from_utf8(rows).unwrap();
    let lines: Vec<serde_json::Value> = rows
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{rows}");
    assert_eq!(lines[0]["cell"]["store"], "paris");
    assert!(lines[1]["next"].is_string(), "{rows}");

    let query = |brand: Option<&str>, family: Option<&str>, filters: &[&str], json| args::Query {
        config: file.clone(),
        brand: brand.map(str::to_owned),
        family: family.map(str::to_owned),
        filters: filters.iter().map(|filter| (*filter).to_owned()).collect(),
        words: args::QueryWords::default(),
        json,
    };
    let say = |args| async move {
        let answer = tributary::cli::query::answer(&args).await?;
        anyhow::Ok(String::from_utf8(answer).expect("text"))
    };

    let table = say(query(Some("zeta"), Some("store_day"), &[], false))
        .await
        .unwrap();
    let expected = "\
store_day of zeta: 2 cells, day 2025-10-26, currency EUR

store  transactions    revenue  persons
─────  ────────────  ─────────  ───────
lyon              3     -10.50        2
paris         1,204  34,567.89      900
─────  ────────────  ─────────  ───────
              1,207  34,557.39
";
    assert_eq!(table, expected);
    let lines = say(query(Some("acme"), None, &["store=lyon"], true))
        .await
        .unwrap();
    assert_eq!(lines, cell_line(&cells("acme")[1]) + "\n");
    let none = say(query(Some("acme"), Some("visits"), &[], false))
        .await
        .unwrap();
    assert!(
        none.starts_with("no released cells of visits of acme\n"),
        "{none}"
    );

    for (args, says) in [
        (query(None, None, &[], false), "acme, zeta"),
        (query(Some("nobody"), None, &[], false), "acme, zeta"),
        (
            query(Some("acme"), Some("stores"), &[], false),
            "attribution, store_day",
        ),
        (
            query(Some("acme"), Some("store_day"), &["model=last"], false),
            "currency, day, store",
        ),
    ] {
        let error = say(args).await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }

    running.stop().await;
    let error = say(query(Some("acme"), None, &[], false))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no worker answers on tributary.query.acme"),
        "{error}"
    );
    dataflow.abort();
}

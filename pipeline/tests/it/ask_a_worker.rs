//! A running worker is asked, through the broker, by the commands that people use: its cells are those of a
//! replay, a chain of links says why two identifiers are one person, and paths say why a cell is what it is.

use crate::support::{Worker, World, succeed, tributary};
use tributary_connectors::nats;
use tributary_loadtest::replay::{ReplayOptions, replay};
use tributary_testkit::NatsServer;

const AT: i64 = 1_760_000_000_000;

/// A visitor clicks on a phone and on a computer, signs in on both, and buys in a shop.
fn story() -> Vec<(&'static str, String)> {
    let web = |id: &str, minutes: i64, more: &str| {
        let ts = AT + minutes * 60_000;
        ("web", format!("{{\"id\":\"{id}\",\"ts\":{ts},{more}}}"))
    };
    vec![
        web(
            "1",
            0,
            r#""type":"click","cookie":"phone","source":"google","medium":"cpc""#,
        ),
        web(
            "2",
            1,
            r#""type":"identify","cookie":"phone","email":"Ada@Example.org""#,
        ),
        web(
            "3",
            2,
            r#""type":"click","cookie":"computer","source":"news","medium":"email""#,
        ),
        web(
            "4",
            3,
            r#""type":"identify","cookie":"computer","email":"ada@example.org","customer":"7""#,
        ),
        (
            "transaction",
            format!(
                r#"{{"id":"t1","ts":{},"store":"Lyon","amount":"49.90","customer":"7"}}"#,
                AT + 240_000
            ),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_answers() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(10, Some(&broker), "[workers]\nthreads = 3");
    let lines: Vec<_> = story()
        .into_iter()
        .map(|(kind, data)| tributary_connectors::trace::TraceLine {
            subject: format!("tributary.in.orchard.{kind}"),
            at: AT + 300_000,
            headers: Vec::new(),
            data: data.into_bytes(),
        })
        .collect();
    let trace: Vec<String> = lines.iter().map(|line| line.to_json()).collect();
    std::fs::write(world.path("trace.ndjson"), trace.join("\n")).unwrap();
    let expected = world.replayed();

    let client = nats::connect(&broker, "test").await.unwrap();
    nats::ensure_input_stream(&client, &broker, &["orchard"])
        .await
        .unwrap();
    let lines = lines.into_iter().map(Ok);
    replay(&[client], lines, ReplayOptions::default(), |_| {})
        .await
        .unwrap();

    let config = world.path("tributary.toml");
    let ask = |arguments: &[&str]| {
        let mut command = tributary();
        let (words, rest) = arguments.split_at(if arguments[0] == "explain" { 2 } else { 1 });
        command.args(words).arg("--config").arg(&config).args(rest);
        String::from_utf8(succeed(&mut command).stdout).unwrap()
    };
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(5);

        let cells = ask(&["query", "--json"]);
        let mut lines: Vec<&str> = cells
            .lines()
            .filter(|line| {
                !line.contains("\"family\":\"path") && !line.contains("\"family\":\"assists\"")
            })
            .collect();
        lines.sort_unstable();
        assert_eq!(lines, expected);
        assert!(
            cells.contains("\"family\":\"paths\""),
            "path statistics leave by queries"
        );

        let table = ask(&["query", "store_day"]);
        assert!(table.contains("Lyon") && table.contains("49.90"), "{table}");

        let chain = ask(&["explain", "person", "--json", "cookie=phone", "customer=7"]);
        let chain: serde_json::Value = serde_json::from_str(&chain).unwrap();
        let hops: Vec<(&str, &str)> = chain["hops"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hop| (hop["from"].as_str().unwrap(), hop["to"].as_str().unwrap()))
            .collect();
        assert_eq!(hops, [("cookie", "email"), ("email", "customer")]);
        assert!(
            chain["hops"]
                .as_array()
                .unwrap()
                .iter()
                .all(|hop| hop["source"] == "web")
        );

        let stranger = ask(&["explain", "person", "cookie=phone", "customer=8"]);
        assert!(stranger.contains("not linked"), "{stranger}");

        let day = [
            "--kind",
            "transaction",
            "--store",
            "Lyon",
            "--day",
            "2025-10-09",
        ];
        let cell = [
            &[
                "explain", "cell", "--json", "--source", "google", "--medium", "cpc",
            ],
            &day[..],
        ];
        // What is published, and, for a worker's login, the persons behind it.
        let published: serde_json::Value = serde_json::from_str(&ask(&cell.concat())).unwrap();
        let credit = &published["cells"][0];
        assert_eq!(
            credit["channel"],
            serde_json::json!(["google", "cpc", null])
        );
        assert_eq!(credit["value_minor"], 4990, "{published}");
        let exact = [&cell.concat()[..], &["--exact"]].concat();
        let paths: serde_json::Value = serde_json::from_str(&ask(&exact)).unwrap();
        assert_eq!(paths["paths"][0]["persons"], 1, "{paths}");
        let expected = serde_json::json!([["google", "cpc", null], ["news", "email", null]]);
        assert_eq!(paths["paths"][0]["path"], expected);
        worker.stop();
    });
}

//! Bad input among good: each bad line is refused with its reason and counted, and the cells are those of
//! the good lines alone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use support::{World, succeed, tributary};

fn replay(world: &World, name: &str, lines: &[String]) -> (Vec<u8>, serde_json::Value) {
    let (trace, cells) = (world.path(name), world.path(&format!("{name}.cells")));
    std::fs::write(&trace, lines.join("\n")).unwrap();
    let mut command = tributary();
    command.args([
        "replay",
        "--json",
        "--workers",
        "2",
        "--batch",
        "7",
        "--config",
    ]);
    command
        .arg(world.path("tributary.toml"))
        .arg("--cells")
        .arg(&cells)
        .arg(&trace);
    let output = succeed(&mut command);
    (
        std::fs::read(cells).unwrap(),
        serde_json::from_slice(&output.stdout).unwrap(),
    )
}

#[test]
fn bad_lines_change_nothing_else() {
    let world = World::new(300, None, "");
    let good: Vec<String> = world
        .lines()
        .filter(|line| line.object)
        .map(|line| line.to_trace_line())
        .collect();
    let (expected, before) = replay(&world, "good.ndjson", &good);
    assert!(!expected.is_empty());

    let at = world.lines().next().unwrap().at;
    let message = |kind: &str, data: &str| {
        let text = serde_json::Value::from(data);
        format!("{{\"subject\":\"tributary.in.orchard.{kind}\",\"at\":{at},\"data\":{text}}}")
    };
    let sale = |more: &str| format!("{{\"id\":\"bad\",\"ts\":{at},\"store\":\"s\",{more}}}");
    let long = "x".repeat(10 << 20);
    let bad = [
        ("malformed_json", message("web", "{\"id\":")),
        (
            "malformed_json",
            message("transaction", &sale("\"amount\":NaN")),
        ),
        ("not_an_object", message("web", "[1,2]")),
        ("missing_field", message("web", "{\"id\":\"bad\"}")),
        (
            "wrong_type",
            message("transaction", &sale("\"amount\":true")),
        ),
        (
            "too_many_decimals",
            message("transaction", &sale("\"amount\":\"1.234\"")),
        ),
        (
            "unknown_currency",
            message("transaction", &sale("\"amount\":1,\"currency\":\"ZZZ\"")),
        ),
        (
            "amount_out_of_range",
            message("transaction", &sale("\"amount\":1e30")),
        ),
        (
            "time_in_future",
            message(
                "transaction",
                "{\"id\":\"bad\",\"ts\":\"9999-01-01T00:00:00Z\",\"store\":\"s\",\"amount\":1}",
            ),
        ),
        (
            "time_out_of_range",
            message(
                "transaction",
                "{\"id\":\"bad\",\"ts\":253402300800000,\"store\":\"s\",\"amount\":1}",
            ),
        ),
        (
            "unknown_type",
            message(
                "web",
                &format!("{{\"id\":\"bad\",\"ts\":{at},\"type\":\"teleport\"}}"),
            ),
        ),
        ("unknown_kind", message("gossip", "{}")),
        (
            "number_out_of_range",
            message(
                "ping",
                &format!(
                    "{{\"ts\":{at},\"store\":\"s\",\"sensor\":\"1\",\"mac\":\"001122334455\",\"rssi\":42}}"
                ),
            ),
        ),
        (
            "too_large",
            message("web", &format!("{{\"id\":\"{long}\"}}")),
        ),
        (
            "text_too_long",
            message(
                "transaction",
                &format!(
                    "{{\"id\":\"{}\",\"ts\":{at},\"store\":\"s\",\"amount\":1}}",
                    "y".repeat(300)
                ),
            ),
        ),
        (
            "not_utf8",
            format!(
                "{{\"subject\":\"tributary.in.orchard.web\",\"at\":{at},\"data_base64\":\"/////w==\"}}"
            ),
        ),
    ];
    let mut mixed = good.clone();
    for (place, (_, line)) in bad.iter().enumerate() {
        mixed.insert(place * 17, line.clone());
    }
    // A bad line within a message of several: the others of the message count, here as duplicates.
    let twice = world
        .lines()
        .find(|line| line.object && line.subject.ends_with(".web"))
        .unwrap();
    let text = serde_json::Value::from(format!("{}\nnot json\n{}", twice.data, twice.data));
    mixed.push(format!(
        "{{\"subject\":\"{}\",\"at\":{},\"data\":{text}}}",
        twice.subject, twice.at
    ));
    // A line that is no message at all is counted and skipped.
    mixed.push("not a message".to_owned());
    let (cells, after) = replay(&world, "mixed.ndjson", &mixed);
    assert!(cells == expected, "bad lines changed a cell");

    let mut reasons: std::collections::BTreeMap<&str, u64> = Default::default();
    for (reason, count) in before["dead_letters"].as_object().unwrap() {
        *reasons.entry(reason).or_default() += count.as_u64().unwrap();
    }
    for (reason, _) in &bad {
        *reasons.entry(reason).or_default() += 1;
    }
    *reasons.entry("malformed_json").or_default() += 1;
    assert_eq!(after["dead_letters"], serde_json::json!(reasons));
    assert_eq!(after["skipped_lines"], 1);
    assert_eq!(
        after["duplicates"].as_u64(),
        before["duplicates"].as_u64().map(|n| n + 2)
    );

    let letters =
        std::fs::read_to_string(world.path("mixed.ndjson.cells.dead-letters.ndjson")).unwrap();
    assert_eq!(
        letters.lines().count() as u64,
        reasons.values().sum::<u64>()
    );
    for line in letters.lines() {
        let letter: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(letter["headers"][0][0], "Tributary-Reason", "{line}");
    }
}

#[test]
fn robots_are_counted_and_are_nobody() {
    let world = World::new(300, None, "");
    let good: Vec<String> = world
        .lines()
        .filter(|line| line.object)
        .map(|line| line.to_trace_line())
        .collect();
    let (expected, before) = replay(&world, "people.ndjson", &good);
    let at = world.lines().next().unwrap().at;
    let web = |n: usize, body: &str, agent: &str| {
        format!(
            r#"{{"subject":"tributary.in.orchard.web","at":{at},"data":{{"id":"r{n}","ts":{at},"cookie":"robot",{body},"user_agent":"{agent}"}}}}"#
        )
    };
    let mut lines = good;
    for (n, body) in [
        r#""type":"click","source":"never","medium":"seen""#,
        r#""type":"identify","email":"robot@example.org""#,
        r#""type":"order","amount":"10.00""#,
        r#""type":"view","tc_string":"no string""#,
    ]
    .iter()
    .enumerate()
    {
        let agent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
        lines.insert(n * 17, web(n, body, agent));
    }
    let (cells, after) = replay(&world, "robots.ndjson", &lines);
    assert!(cells == expected, "robots changed the cells");
    assert_eq!(after["ignored"]["web records of robots"], 4);
    assert_eq!(after["held"], before["held"]);
    assert_eq!(after["dead_letters"], before["dead_letters"]);

    // A browser that says the same changes the cells.
    lines.push(web(
        9,
        r#""type":"click","source":"once""#,
        "Mozilla/5.0 (X11; Linux x86_64) Firefox/143.0",
    ));
    let (cells, _) = replay(&world, "browser.ndjson", &lines);
    assert!(cells != expected);
}

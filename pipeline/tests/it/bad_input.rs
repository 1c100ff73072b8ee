//! Bad input among good: each bad line is refused with its reason and counted, and the cells are those of
//! the good lines alone. Values that name nobody, and spellings of telephone numbers and addresses, join the right person.

use crate::support::{World, succeed, tributary};

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

/// A value that names nobody, or another person, joins no two buyers: each store of the trace sells twice, and counts as
/// many persons as its two buyers are. Spellings of one telephone number join, whatever the region of their source.
#[test]
fn buyers_are_joined_by_what_names_them_alone() {
    let world = World::new(1, None, "");
    let mut text = format!(
        "[release]\nk = 1\nk_delta = 1\ncadence = \"0s\"\n[[brand]]\nname = \"orchard\"\ntimezone = \"UTC\"\n\
         secret_file = \"{}\"\n",
        world.path("secret").display()
    );
    for region in ["US", "FR", "JP", "NO", "IT", "RU"] {
        text.push_str(&format!(
            "[[brand.source]]\nname = \"{}\"\nkind = \"transaction\"\nphone_region = \"{region}\"\n",
            region.to_lowercase()
        ));
    }
    std::fs::write(world.path("tributary.toml"), text).unwrap();

    let phone_pairs = [
        // Strangers.
        (2, ["us", "+43 664 804732"], ["us", "+43 1 664804732"]),
        (2, ["us", "+49 174 1226279"], ["us", "+49 741 226279"]),
        (2, ["us", "011 46 18 473104"], ["us", "+46 8 473104"]),
        (2, ["fr", "+39 0331 123456"], ["fr", "+39 331 123456"]),
        (2, ["ru", "+81 80 1234 5678"], ["ru", "+81 1234 5678"]),
        // One person.
        (1, ["us", "+33 1 42 68 53 00"], ["fr", "01.42.68.53.00"]),
        (1, ["us", "+33 01 42 68 53 00"], ["fr", "0033142685300"]),
        (1, ["no", "47 83 30 49"], ["us", "011 47 47 83 30 49"]),
        (1, ["it", "391 234 5678"], ["fr", "tel:+39-391-234-5678"]),
        (1, ["ru", "8 (800) 555-35-35"], ["jp", "+7 800 555 35 35"]),
        (
            1,
            [
                "jp",
                "\u{ff10}\u{ff19}\u{ff10}\u{2212}\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{2212}\u{ff15}\u{ff16}\u{ff17}\u{ff18}",
            ],
            ["fr", "+81 90-1234-5678"],
        ),
        // SHA-256 of +8613812345678.
        (
            1,
            ["us", "+86 138 1234 5678"],
            [
                "us",
                "2ebdcb1bacf1ff0801da3dac97a864a1d35d3b3b7aa75c47bd4b220f9f04c4e2",
            ],
        ),
        // Nobody.
        (0, ["us", "253-0000"], ["us", "253-0000"]),
        (0, ["fr", "+33 000000000"], ["fr", "+33 000000000"]),
    ];
    /// The source, the kind of the identifier and its value.
    type Buyer = (&'static str, &'static str, String);
    let mut cases: Vec<(u64, [Buyer; 2])> = Vec::new();
    for (persons, one, other) in phone_pairs {
        let sale = |[source, value]: [&'static str; 2]| (source, "phone", value.to_owned());
        cases.push((persons, [one, other].map(sale)));
    }
    for (persons, one, other) in [
        (1, "Jane@Example.org", "Jane Doe <mailto:jane@example.org>,"),
        (1, "j\u{200b}ane\u{ff20}example.org.", "JANE@example.org"),
        (
            1,
            "zo\u{eb}@m\u{fc}nchen.example",
            "ZO\u{cb}@XN--MNCHEN-3YA.example",
        ),
        (2, "jane@example.org", "jane+shop@example.org"),
    ] {
        let sale = |value: &str| ("us", "email", value.to_owned());
        cases.push((persons, [one, other].map(sale)));
    }
    for value in [
        "\\N",
        "-",
        "--",
        "#N/A",
        "[object Undefined]",
        "\"undefined\"",
        "'NULL'",
        "\u{2014}",
        "N/A",
        "Test@Test.com",
        "000-000-0000",
        // SHA-256 of Undefined.
        "f02dfb7da82a40b055700e27ce61e0b3ad10985137f721e7a2c62b3dc3fbaf31",
    ] {
        for field in ["email", "phone", "customer", "wallet"] {
            let sale = || ("us", field, value.to_owned());
            cases.push((0, [sale(), sale()]));
        }
    }

    let at = 1_760_000_000_000_u64;
    let mut lines = Vec::new();
    for (store, (_, sales)) in cases.iter().enumerate() {
        for (buyer, (source, field, value)) in sales.iter().enumerate() {
            let data = serde_json::json!({
                "id": format!("{store}-{buyer}"), "ts": at, "store": format!("s{store}"), "amount": "10.00",
                *field: value,
            });
            let subject = format!("tributary.in.orchard.transaction.{source}");
            lines.push(serde_json::json!({"subject": subject, "at": at, "data": data}).to_string());
        }
    }
    // Addresses that no device sends from are refused, also beside a device.
    let addresses = [
        "00:00:00:00:00:00",
        "01:00:5e:00:00:fb",
        "FF-FF-FF-FF-FF-FF",
        "333300000001",
    ];
    for (mac, second) in addresses.iter().flat_map(|mac| [(mac, 0), (mac, 90)]) {
        let data = serde_json::json!({
            "ts": at + second * 1000, "store": "s", "sensor": "x", "mac": mac, "device": "d", "rssi": -60,
        });
        let line = serde_json::json!({"subject": "tributary.in.orchard.ping", "at": at + 100_000, "data": data});
        lines.push(line.to_string());
    }
    let (cells, summary) = replay(&world, "buyers.ndjson", &lines);
    assert_eq!(
        summary["dead_letters"],
        serde_json::json!({"invalid_mac": 8})
    );

    let cells = String::from_utf8(cells).unwrap();
    assert!(!cells.contains("\"visits\""), "{cells}");
    let cells: Vec<serde_json::Value> = (cells.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (store, (persons, sales)) in cases.iter().enumerate() {
        let store = format!("s{store}");
        let cell = cells
            .iter()
            .find(|cell| cell["family"] == "store_day" && cell["cell"]["store"] == store.as_str());
        let value = &cell.expect("a cell of the store")["value"];
        assert_eq!(value["transactions"], 2, "{sales:?}");
        assert_eq!(value["persons"], *persons, "{sales:?}");
    }
}

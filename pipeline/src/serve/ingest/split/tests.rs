use std::path::Path;

use tributary_config::model::Config;

use super::*;

/// A brand with a source of each format that a body may be split for.
fn config() -> Config {
    let text = r#"
[[brand]]
name = "acme"
timezone = "UTC"
secret_env = "SECRET"
[[brand.source]]
name = "shop"
kind = "web"
[[brand.source]]
name = "tag"
kind = "web"
format = "segment"
[[brand.source]]
name = "collector"
kind = "web"
format = "snowplow"
[[brand.source]]
name = "tills"
kind = "transaction"
format = "csv"
zone = "UTC"
[brand.source.csv]
columns = { id = "basket", ts = "time", store = "shop", amount = "total" }
[[brand.source]]
name = "looked-up"
kind = "transaction"
format = "csv"
zone = "UTC"
[brand.source.csv]
columns = { id = "basket", ts = "time", store = "shop", amount = "total", email = { lookup = "c.csv", by = "card", key = "card", value = "email" } }
[[brand.source]]
name = "ads"
kind = "transaction"
format = "google_offline"
zone = "UTC"
"#;
    let secret = |name: &str| (name == "SECRET").then(|| tributary_testkit::SECRET.to_owned());
    tributary_config::parse_in(text, Path::new("t.toml"), &secret)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .config
}

/// The messages of a body as texts, or the status of its rejection.
fn texts(source: &str, media: Media, body: impl Into<Bytes>) -> Result<Vec<String>, u16> {
    let config = config();
    let brand = &config.brands[0];
    let mut sources = brand.sources.iter();
    let source = sources.find(|known| known.name == source).unwrap();
    let messages = split(media, &body.into(), (brand, source), 1 << 20);
    let messages = messages.map_err(|rejection| rejection.status.as_u16())?;
    let payloads = messages.payloads.iter();
    Ok(payloads
        .map(|payload| String::from_utf8(payload.to_vec()).unwrap())
        .collect())
}

#[test]
fn an_array_becomes_lines_and_an_object_one() {
    let body = "\u{feff}[{\"a\": 1.50},\n {\"b\":\n \"x\"}, 7 ]\n";
    let lines = texts("shop", Media::Json, body).unwrap();
    assert_eq!(lines, ["{\"a\": 1.50}\n{\"b\":  \"x\"}\n7"]);
    let lines = texts("shop", Media::Json, "{\n\"a\":\r\n1}").unwrap();
    assert_eq!(lines, ["{ \"a\":  1}"]);
    assert_eq!(texts("shop", Media::Json, "[]").unwrap(), [""; 0]);
}

#[test]
fn a_body_that_is_cut_off_is_refused_whole() {
    let cut = [
        "[{\"a\":1},{\"b\":2}",
        "[{\"a\":1},]",
        "{\"a\":1",
        "",
        "  ",
        "12",
        "\"x\"",
        "null",
    ];
    for body in cut {
        assert_eq!(texts("shop", Media::Json, body), Err(400), "{body}");
    }
    assert_eq!(
        texts("shop", Media::Json, &b"[{\"a\":\"\xff\"}]"[..]),
        Err(400)
    );
    assert_eq!(texts("shop", Media::Ndjson, ""), Err(400));
    // Nesting costs no stack.
    let deep = "[".repeat(500_000);
    assert_eq!(texts("shop", Media::Json, deep.clone()), Err(400));
    assert_eq!(
        texts("shop", Media::Json, deep + &"]".repeat(500_000))
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn lines_are_not_judged_and_keep_their_order() {
    let body = "\u{feff}{\"id\":1}\r\n\n  not JSON \n{\"id\":2}";
    let lines = texts("shop", Media::Ndjson, body).unwrap();
    assert_eq!(lines, ["{\"id\":1}\nnot JSON\n{\"id\":2}"]);
    let lines: Vec<String> = (0..100_000).map(|n| format!("{{\"id\":{n}}}")).collect();
    let messages = texts("shop", Media::Ndjson, lines.join("\n")).unwrap();
    assert!(messages.len() > 1);
    assert!(messages.iter().all(|message| message.len() <= MESSAGE));
    assert_eq!(messages.join("\n"), lines.join("\n"));
    let array = format!("[{}]", lines.join(","));
    assert_eq!(texts("shop", Media::Json, array).unwrap(), messages);
}

#[test]
fn a_line_that_no_message_can_hold_is_too_large() {
    let long = "x".repeat(700 << 10);
    let lines = texts("shop", Media::Ndjson, format!("1\n{long}\n2")).unwrap();
    assert_eq!(lines, ["1", long.as_str(), "2"]);
    let longer = "x".repeat((1 << 20) + 1);
    assert_eq!(
        texts("shop", Media::Ndjson, format!("1\n{longer}")),
        Err(413)
    );
}

#[test]
fn a_large_batch_of_a_vendor_becomes_smaller_ones() {
    let items: Vec<String> = (0..20_000)
        .map(|n| format!("{{\"type\":\"page\",\"messageId\":\"m{n:0>60}\"}}"))
        .collect();
    let body = format!(
        "{{\"sentAt\":\"T\",\"batch\":[{}],\"context\":{{}}}}",
        items.join(",")
    );
    let messages = texts("tag", Media::Json, body).unwrap();
    assert!(messages.len() > 2);
    let mut found = Vec::new();
    for message in &messages {
        assert!(message.len() <= MESSAGE);
        let value = Json::of(message).object().unwrap();
        assert_eq!(value.get("sentAt").text().as_deref(), Some("T"));
        assert!(value.get("context").is_object());
        let list = value.get("batch").list().unwrap();
        found.extend(list.iter().map(|item| item.raw().to_owned()));
    }
    assert_eq!(found, items);
}

#[test]
fn tables_become_what_their_source_reads() {
    let rows = "basket,time,shop,total\nb1,2023-11-14 22:13:20,s1,12.50\nb2,x\n";
    let lines = texts("tills", Media::Csv, rows).unwrap();
    assert_eq!(
        lines,
        [
            "{\"amount\":\"12.50\",\"id\":\"b1\",\"store\":\"s1\",\"ts\":\"2023-11-14 22:13:20\"}\n[\"b2\",\"x\"]"
        ]
    );
    assert_eq!(texts("tills", Media::Csv, "basket,time\n1,2\n"), Err(400));
    assert_eq!(texts("looked-up", Media::Csv, rows), Err(400));
    assert_eq!(texts("shop", Media::Csv, rows), Err(415));
    assert_eq!(texts("shop", Media::Tsv, "a\tb"), Err(415));
    let rows = "Parameters:TimeZone=Europe/Paris\nOrder ID,Conversion Name\nO1,In store\n";
    assert_eq!(
        texts("ads", Media::Csv, rows).unwrap(),
        [
            "{\"Order ID\":\"O1\",\"Conversion Name\":\"In store\",\"Parameters:TimeZone\":\"Europe/Paris\"}"
        ]
    );
    assert_eq!(
        texts("collector", Media::Tsv, "\ta\t\n\tb\t\r\n").unwrap(),
        ["\ta\t\n\tb\t"]
    );
}

#[test]
fn batches_of_cloudevents_stay_batches() {
    let events: Vec<String> = (0..10_000)
        .map(|n| format!("{{\"id\":\"{n:0>80}\"}}"))
        .collect();
    let messages = texts(
        "shop",
        Media::CloudEvents,
        format!("[{}]", events.join(",")),
    )
    .unwrap();
    assert!(messages.len() > 1);
    let mut found = Vec::new();
    for message in &messages {
        assert!(message.len() <= MESSAGE);
        let list = Json::of(message).list().unwrap();
        found.extend(list.iter().map(|event| event.raw().to_owned()));
    }
    assert_eq!(found, events);
    assert_eq!(texts("shop", Media::CloudEvents, "{}"), Err(400));
    assert_eq!(texts("shop", Media::CloudEvent, "[]"), Err(400));
}

#[test]
fn media_types_have_no_case_and_parameters_do_not_matter() {
    assert_eq!(
        Media::of("Application/JSON; charset=utf-8"),
        Some(Media::Json)
    );
    assert_eq!(Media::of("text/csv;header=present"), Some(Media::Csv));
    assert_eq!(Media::of("text/plain"), None);
    assert_eq!(Media::of(""), None);
}

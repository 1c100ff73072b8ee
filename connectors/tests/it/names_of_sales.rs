//! Names of sales: what stands for a missing one names no sale, or the orders of strangers would be one.

use tributary_operators::event::Event;
use tributary_operators::record::Body;

use crate::common::AT;
use crate::sink::DecoderHarness;

/// Whether an order with this `order_id` is named by it, and not by its own id.
fn is_named(order_id: &str) -> bool {
    let mut harness = DecoderHarness::acme();
    let line = format!(
        r#"{{"id":"w","ts":{AT},"type":"order","cookie":"c","amount":" 10 ","currency":" EUR ","order_id":{order_id}}}"#
    );
    harness.send("tributary.in.acme.web", line.as_bytes());
    assert_eq!(harness.kept.dead, []);
    let name = harness.kept.events.iter().find_map(|event| match event {
        Event::Put { record, .. } => match record.body {
            Body::Sale { name, amount, .. } => {
                assert_eq!(amount, 1_000, "white space around an amount does not count");
                Some(name)
            }
            _ => None,
        },
        _ => None,
    });
    !name.expect("an order").is_of_record()
}

#[test]
fn placeholders_marks_and_templates_name_no_sale() {
    for nobody in [
        "null",
        r#""null""#,
        r#""(not set)""#,
        r#""N/A""#,
        r#""-""#,
        r#""--""#,
        r#""unknown""#,
        r#""[object Object]""#,
        r#""{{order_id}}""#,
        r#""${id}""#,
        r#""%%ID%%""#,
        r#""<null>""#,
        r#""nil""#,
        r#""\u200b""#,
    ] {
        assert!(!is_named(nobody), "{nobody}");
    }
    for name in [r#""o1""#, r#""0""#, "7", r##""#1001""##, r#""A-""#] {
        assert!(is_named(name), "{name}");
    }
}

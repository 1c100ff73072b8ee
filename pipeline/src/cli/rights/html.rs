//! An answer to a request for access as a page that a person can read: one
//! self-contained HTML document, without script and without anything to load.
//!
//! A controller must answer in a concise, transparent, intelligible and easily
//! accessible form (GDPR, Article 12(1)); the JSON beside it is the machine-readable
//! form of Article 20. The page says what the JSON says and nothing else.
//! Every text of the answer is escaped, because it may come from anybody.

use std::fmt::Write;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::report::table::{decimals, fixed};

/// The head of the document. The policy forbids everything but its own style.
const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Your data</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8886 }
thead th { border-bottom-width: 2px }
td { overflow-wrap: anywhere }
@media (max-width: 40rem) { td, th { display: block; border: 0; padding: .1rem 0 } tr { display: block; border-bottom: 1px solid #8886; padding: .5rem 0 } thead { display: none } }
</style>
</head>
<body>
"#;

/// The page of an answer; `None` if the bytes are not the JSON that a worker
/// writes.
pub fn page(answer: &[u8]) -> Option<Zeroizing<String>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let records = answer.get("records")?.as_array()?;
    let mut page = Zeroizing::new(String::with_capacity(4_096 + 512 * records.len()));
    page.push_str(HEAD);
    write_page(&mut page, &answer, records).ok()?;
    Some(page)
}

/// Writes the body of the page.
fn write_page(page: &mut String, answer: &Value, records: &[Value]) -> std::fmt::Result {
    let brand = escaped(answer.get("brand"));
    writeln!(page, "<h1>Your data at {brand}</h1>")?;
    writeln!(
        page,
        "<p>You asked {brand} which data about you it measures shops and advertising with (request {}). \
         This is all of it: {}. Names, addresses and numbers are not part of it, because they are replaced by codes \
         when they arrive; the column <em>found by</em> says which kind of your identifiers each record contains.</p>",
        escaped(answer.get("request")),
        match records.len() {
            1 => "one record".to_owned(),
            count => format!("{count} records"),
        },
    )?;
    let recipients = answer.get("recipients").and_then(Value::as_array);
    match recipients.filter(|recipients| !recipients.is_empty()) {
        None => writeln!(
            page,
            "<p>Nobody else received it. Only totals over many people leave the system.</p>"
        )?,
        Some(recipients) => writeln!(page, "<p>Recipients: {}.</p>", list(recipients))?,
    }
    page.push_str(
        "<table>\n<thead><tr><th>Time</th><th>What is stored</th><th>Used for</th><th>Found by</th><th>From</th>\
         <th>Kept until</th></tr></thead>\n<tbody>\n",
    );
    for record in records {
        let texts = |key: &str| {
            list(
                record
                    .get(key)
                    .and_then(Value::as_array)
                    .map_or(&[], Vec::as_slice),
            )
        };
        writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(record.get("time")),
            content(record.get("says")),
            texts("purposes"),
            texts("identified_by"),
            escaped(record.get("source")),
            escaped(record.get("kept_until")),
        )?;
    }
    page.push_str(
        "</tbody>\n</table>\n<p>You may ask for the same data in machine-readable form, for a record to be corrected, and \
         for your data to be erased or restricted. You may object to its use, withdraw a consent at any time, and lodge \
         a complaint with a supervisory authority.</p>\n</body>\n</html>\n",
    );
    Ok(())
}

/// The content of a record as `name: value` lines.
fn content(says: Option<&Value>) -> String {
    let Some(says) = says.and_then(Value::as_object) else {
        return String::new();
    };
    let line = |(name, value): (&String, &Value)| {
        let text = match (money(value), value) {
            (Some(money), _) => escape(&money),
            (None, Value::Null) => return None,
            (None, Value::Array(values)) => list(values),
            (None, value) => escaped(Some(value)),
        };
        Some(format!("{}: {text}", escape(&name.replace('_', " "))))
    };
    says.iter()
        .filter_map(line)
        .collect::<Vec<_>>()
        .join("<br>")
}

/// An amount of money, such as `49.90 EUR`.
fn money(value: &Value) -> Option<String> {
    let minor = value.get("minor_units")?.as_i64()?;
    let currency = value.get("currency")?.as_str()?;
    Some(format!(
        "{} {currency}",
        fixed(minor.into(), decimals(currency))
    ))
}

/// Values with commas between them.
fn list(values: &[Value]) -> String {
    let texts: Vec<String> = values.iter().map(|value| escaped(Some(value))).collect();
    texts.join(", ")
}

/// A value as text of HTML; a dash for an absent one.
fn escaped(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(text)) => escape(text),
        Some(value) => escape(&value.to_string()),
    }
}

/// A text with the characters escaped that have a meaning in HTML.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_page_shows_every_value_and_runs_none() {
        let answer = json!({
            "brand": "acme", "request": "<script>alert(1)</script>", "recipients": [],
            "records": [{
                "time": "2025-11-03T09:00:00Z", "source": "web", "kept_until": null,
                "identified_by": ["email"], "purposes": ["attribution", "identity"],
                "says": {"kind": "transaction", "amount": {"minor_units": 4990, "currency": "EUR"},
                         "store": "A & <b>\"B\"</b>", "campaign": null},
            }],
        });
        let page = page(answer.to_string().as_bytes()).unwrap();
        for text in [
            "one record",
            "&lt;script&gt;alert(1)&lt;/script&gt;",
            "amount: 49.90 EUR",
            "attribution, identity",
            "store: A &amp; &lt;b&gt;&quot;B&quot;&lt;/b&gt;",
            "<td>–</td>",
        ] {
            assert!(page.contains(text), "{text} in {}", page.as_str());
        }
        assert!(!page.contains("<script") && !page.contains("campaign:"));
    }

    #[test]
    fn what_is_no_answer_makes_no_page() {
        assert!(page(b"{}").is_none() && page(b"\xff").is_none());
        assert!(page(br#"{"records": 1}"#).is_none());
    }
}

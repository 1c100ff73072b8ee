//! Hides what may identify a person in a rejected record, and keeps what helps
//! to see why it was rejected: the names of its fields, their types, and the
//! values of a closed list of fields.
//!
//! A field that is not on the list is hidden, so that a vendor's new field shows
//! nothing. The name of a field comes from outside as well; one that does not
//! look like a name is hidden, too.

use serde_json::{Map, Value};

/// Replaces a hidden value.
const MASK: &str = "***";

/// The fields whose values identify nobody.
const SHOWN: [&str; 46] = [
    "action_source",
    "amount",
    "associated",
    "campaign",
    "channel",
    "currency",
    "date",
    "event",
    "eventSource",
    "event_name",
    "event_time",
    "event_timestamp",
    "gpc",
    "impressions",
    "clicks",
    "kind",
    "landing",
    "medium",
    "name",
    "originalTimestamp",
    "platform",
    "receivedAt",
    "revenue",
    "rssi",
    "seenEpoch",
    "seenTime",
    "sensor",
    "sentAt",
    "source",
    "specversion",
    "spend",
    "store",
    "text",
    "time",
    "timestamp",
    "total",
    "touch",
    "ts",
    "type",
    "until",
    "value",
    "version",
    "Conversion Name",
    "Conversion Time",
    "Conversion Value",
    "Adjustment Type",
];

/// A payload as it may be shown: JSON with hidden values, or its length.
pub(super) fn mask(payload: &[u8]) -> String {
    match serde_json::from_slice::<Value>(payload) {
        Ok(value) => hide(value, false).to_string(),
        Err(_) => format!("{} bytes that are not JSON", payload.len()),
    }
}

/// Hides the values of a field that is shown or not.
fn hide(value: Value, is_shown: bool) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| {
                let is_shown = SHOWN.contains(&name.as_str());
                (shown_name(name), hide(value, is_shown))
            });
            Value::Object(members.collect::<Map<String, Value>>())
        }
        Value::Array(list) => {
            let list = list.into_iter().map(|value| hide(value, is_shown));
            Value::Array(list.collect())
        }
        // An address in a field of another meaning is still an address.
        Value::String(text) if is_shown && !text.contains('@') && text.len() <= 64 => {
            Value::String(text)
        }
        Value::Number(number) if is_shown => Value::Number(number),
        Value::Null | Value::Bool(_) => value,
        Value::String(text) if text.is_empty() => Value::String(text),
        Value::String(_) | Value::Number(_) => Value::from(MASK),
    }
}

/// The name of a field, unless it is none.
fn shown_name(name: String) -> String {
    let fits = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-' | ' ' | '.' | '$');
    let digits = name.chars().filter(char::is_ascii_digit).count();
    let is_name = name.chars().all(|c| fits(c) || c.is_ascii_digit());
    match is_name && digits <= 3 && name.len() <= 40 {
        true => name,
        false => MASK.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_identifies_is_hidden_and_what_explains_is_not() {
        let record = br#"{"id":"o-1","ts":1,"type":"order","email":["ada@example.org",""],"phone":33612345678,
            "amount":"12,50","store":"ada@example.org","url":"https://x/?email=a","currency":"EUR","gpc":true,
            "ada@example.org":1,"0612345678":null,
            "context":{"traits":{"email":"ada@example.org"},"page":{"referrer":"x"},"campaign":{"name":"spring"}}}"#;
        let shown = mask(record);
        for hidden in ["ada", "336", "o-1", "0612", "https", "referrer\":\"x"] {
            assert!(!shown.contains(hidden), "{hidden}: {shown}");
        }
        let parts = [
            r#""ts":1"#,
            r#""type":"order""#,
            r#""email":["***",""]"#,
            r#""phone":"***""#,
            r#""amount":"12,50""#,
            r#""store":"***""#,
            r#""gpc":true"#,
            r#""name":"spring""#,
        ];
        for part in parts {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }

    #[test]
    fn what_is_no_json_is_counted() {
        assert_eq!(mask(b"{\"email\":\"ada@"), "14 bytes that are not JSON");
        assert_eq!(mask(b"[\"ada\"]"), "[\"***\"]");
    }
}

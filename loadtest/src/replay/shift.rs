//! Moving a trace in time: its arrivals, and the times that native records state.
//!
//! A pass after the first also gives its records identifiers of their own, so that a trace that is
//! played in a loop is new records and not the same ones again. People, devices and channels stay.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime};
use tributary_connectors::native::time;
use tributary_connectors::trace::TraceLine;

use crate::members::{Member, rewrite_payload};

/// A way to move a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    /// How far all times move, milliseconds.
    pub by_ms: i64,
    /// The number of the pass, from 0.
    pub pass: u64,
}

impl Shift {
    /// Moves a message. Times in a form that native records do not have stay.
    pub fn apply(&self, mut line: TraceLine) -> TraceLine {
        if *self == Shift::default() {
            return line;
        }
        line.at = line.at.saturating_add(self.by_ms).clamp(0, time::MAX);
        let original = std::mem::take(&mut line.data);
        line.data = match std::str::from_utf8(&original) {
            Ok(_) => rewrite_payload(&original, |key, raw| self.member(key, raw), str::to_owned),
            Err(_) => original,
        };
        line
    }

    /// What becomes of a member of a record.
    fn member(&self, key: &str, raw: &str) -> Member {
        let replaced = match key {
            "ts" => self.time(raw),
            "date" => self.date(raw),
            "id" | "order_id" | "refund_of" | "restates" if self.pass > 0 => self.id(raw),
            _ => None,
        };
        replaced.map_or(Member::Keep, Member::Replace)
    }

    /// A time: an integer of milliseconds, or of seconds if it is too small for milliseconds, or a
    /// text with or without an offset.
    fn time(&self, raw: &str) -> Option<String> {
        if let Ok(number) = raw.parse::<i64>() {
            let by = match number < time::MIN {
                true => self.by_ms.div_euclid(1_000),
                false => self.by_ms,
            };
            return Some(number.checked_add(by)?.to_string());
        }
        let text: String = serde_json::from_str(raw).ok()?;
        let moved = match time::time(&text, None, false) {
            Ok(ms) => jiff::Timestamp::from_millisecond(ms.checked_add(self.by_ms)?)
                .ok()?
                .to_string(),
            Err(_) => {
                let shown: DateTime = text.parse().ok()?;
                let moved = shown.checked_add(SignedDuration::from_millis(self.by_ms));
                moved.ok()?.to_string()
            }
        };
        Some(serde_json::Value::from(moved).to_string())
    }

    /// A day, which moves by whole days.
    fn date(&self, raw: &str) -> Option<String> {
        let day: Date = serde_json::from_str::<String>(raw).ok()?.parse().ok()?;
        let days = jiff::Span::new()
            .try_days(self.by_ms.div_euclid(86_400_000))
            .ok()?;
        let moved = day.checked_add(days).ok()?;
        Some(serde_json::Value::from(moved.to_string()).to_string())
    }

    /// An identifier of this pass.
    fn id(&self, raw: &str) -> Option<String> {
        let id: String = match raw.parse::<i64>() {
            Ok(_) => raw.to_owned(),
            Err(_) => serde_json::from_str(raw).ok()?,
        };
        let of_pass = (!id.is_empty()).then(|| format!("{id}~{}", self.pass))?;
        Some(serde_json::Value::from(of_pass).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shifted(shift: Shift, data: &str) -> String {
        let line = TraceLine {
            subject: "tributary.in.acme.web".to_owned(),
            at: 1_000,
            headers: Vec::new(),
            data: data.as_bytes().to_vec(),
        };
        String::from_utf8(shift.apply(line).data).unwrap()
    }

    #[test]
    fn times_move_in_the_form_that_they_have() {
        let shift = Shift {
            by_ms: 86_400_000 + 1_500,
            pass: 0,
        };
        for (before, after) in [
            (
                r#"{"id":"a","ts":1700000000000}"#,
                r#"{"id":"a","ts":1700086401500}"#,
            ),
            (r#"{"ts":1700000000}"#, r#"{"ts":1700086401}"#),
            (
                r#"{"ts":"2023-11-14T22:13:20Z"}"#,
                r#"{"ts":"2023-11-15T22:13:21.5Z"}"#,
            ),
            (
                r#"{"ts":"2023-11-14T22:13:20"}"#,
                r#"{"ts":"2023-11-15T22:13:21.5"}"#,
            ),
            (r#"{"date":"2025-10-31"}"#, r#"{"date":"2025-11-01"}"#),
            (r#"{"ts":"soon"}"#, r#"{"ts":"soon"}"#),
            ("not JSON", "not JSON"),
        ] {
            assert_eq!(shifted(shift, before), after);
        }
    }

    #[test]
    fn a_later_pass_has_records_of_its_own_and_the_same_people() {
        let shift = Shift { by_ms: 0, pass: 2 };
        assert_eq!(
            shifted(shift, r#"{"id":"t1","refund_of":7,"cookie":"c"}"#),
            r#"{"id":"t1~2","refund_of":"7~2","cookie":"c"}"#
        );
        assert_eq!(shifted(Shift::default(), "{ }"), "{ }");
    }
}

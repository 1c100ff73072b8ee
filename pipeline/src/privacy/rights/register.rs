//! The register of a brand's rights requests: each request with its state and
//! the day by which it must be answered.
//!
//! It is computed from what the rights stream holds, requests that no worker has
//! read yet, the statuses of all others and the receipts of those that were
//! completed, and contains nothing that identifies
//! a data subject: the ID of a request is the sender's own reference. A request
//! must be answered without undue delay and within one month of its receipt
//! (GDPR, Article 12(3)). A period in months ends with the last hour of the day
//! with the same date, or of the last day of a shorter month (Regulation (EEC,
//! Euratom) 1182/71, Article 3(2)), in the time zone of the brand.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use tributary_connectors::nats::{self, Client, InMessage, Reader, subject as subjects};
use tributary_rights::receipt::read_unverified;

/// Maximum time to wait for a message that the stream is known to hold.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request and its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// ID of the request, chosen by its sender.
    pub id: String,
    /// The right; `None` if no message states it.
    #[serde(rename = "type")]
    pub right: Option<String>,
    /// `sent` while no worker has read it, then as in [`tributary_rights::status`].
    pub status: String,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// When it was received, Unix milliseconds.
    pub received: i64,
    /// When it was completed or rejected, Unix milliseconds.
    pub ended: Option<i64>,
    /// What it touched, from its receipt.
    pub counts: Option<Map<String, Value>>,
    /// The last day on which it may be answered.
    #[serde(serialize_with = "write_date")]
    pub answer_by: Date,
    /// Days from today to [`Entry::answer_by`], negative once it has passed;
    /// `None` if the request has ended.
    pub days_left: Option<i32>,
}

impl Entry {
    /// Whether the request has neither been completed nor rejected.
    pub fn is_open(&self) -> bool {
        self.ended.is_none()
    }

    /// Whether the request is open although its last day has passed.
    pub fn is_late(&self) -> bool {
        self.days_left.is_some_and(|days| days < 0)
    }
}

/// Writes a date as `YYYY-MM-DD`.
fn write_date<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(date)
}

/// The messages about one request, as far as they have been read.
#[derive(Debug, Default)]
struct Messages {
    /// The right.
    right: Option<String>,
    /// When the broker stored the request itself, if no status has followed yet.
    sent: Option<i64>,
    /// Time of the earliest status.
    received: Option<i64>,
    /// Time of the latest status, and the status.
    latest: Option<(i64, Value)>,
    /// The counts of its receipt.
    counts: Option<Map<String, Value>>,
}

/// The requests of a brand.
#[derive(Debug, Default)]
pub struct Register(BTreeMap<String, Messages>);

impl Register {
    /// Reads the requests of a brand from the rights stream.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    pub async fn load(client: &Client, stream: &str, brand: &str) -> anyhow::Result<Register> {
        let mut register = Register::default();
        // Requests first: one that is read meanwhile is then listed by its status as well.
        for message in read_all(client, stream, &subjects::rights_requests(brand)).await? {
            register.add_request(&message.payload, message.at_ms);
        }
        for message in read_all(client, stream, &subjects::rights_status(brand)).await? {
            register.add_status(&message.payload);
        }
        for message in read_all(client, stream, &subjects::rights_receipt(brand)).await? {
            register.add_receipt(&message.payload);
        }
        Ok(register)
    }

    /// Adds a request that is waiting at the broker. `at` is the time at which it
    /// was stored there, Unix milliseconds. Nothing but its ID and type is read.
    pub fn add_request(&mut self, message: &[u8], at: i64) {
        let Some((id, message)) = read(message) else {
            return;
        };
        let request = self.0.entry(id).or_default();
        request.right = request.right.take().or(text(&message, "type"));
        request.sent = Some(request.sent.map_or(at, |sent| sent.min(at)));
    }

    /// Adds a message of the status subject, in any order. Other bytes are
    /// ignored.
    pub fn add_status(&mut self, message: &[u8]) {
        let Some((id, message)) = read(message) else {
            return;
        };
        let Some(at) = message.get("at").and_then(Value::as_i64) else {
            return;
        };
        let request = self.0.entry(id).or_default();
        request.right = text(&message, "type").or(request.right.take());
        request.received = Some(request.received.map_or(at, |received| received.min(at)));
        let order = |at: i64, message: &Value| (at, progress(message));
        let is_newer =
            |(before, status): &(i64, Value)| order(*before, status) <= order(at, &message);
        if request.latest.as_ref().is_none_or(is_newer) {
            request.latest = Some((at, message));
        }
    }

    /// Adds a receipt, whose signature is not verified. Other bytes are ignored.
    pub fn add_receipt(&mut self, message: &[u8]) {
        let Some(receipt) = read_unverified(message) else {
            return;
        };
        let request = self.0.entry(receipt.request.expose().to_owned());
        if let Ok(Value::Object(counts)) = serde_json::to_value(receipt.counts) {
            request.or_default().counts = Some(counts);
        }
    }

    /// The requests, the one with the earliest last day first. `now` is Unix
    /// milliseconds.
    pub fn entries(&self, now: i64, zone: &TimeZone) -> Vec<Entry> {
        let today = date(now, zone);
        let mut entries: Vec<Entry> = (self.0.iter())
            .filter_map(|(id, messages)| entry(id, messages, today, zone))
            .collect();
        entries.sort_by(|a, b| {
            (a.answer_by, a.received, &a.id).cmp(&(b.answer_by, b.received, &b.id))
        });
        entries
    }
}

/// All messages that a stream holds of a subject.
///
/// # Errors
///
/// A broker that does not answer.
async fn read_all(client: &Client, stream: &str, subject: &str) -> anyhow::Result<Vec<InMessage>> {
    let mut last = nats::last_values(client, stream, subject).await?;
    let last = last.next_batch(1).await?;
    let Some(last) = last.first().map(|message| message.sequence) else {
        return Ok(Vec::new());
    };
    let mut reader = Reader::filtered(client, stream, subject, 1).await?;
    let mut messages: Vec<InMessage> = Vec::new();
    while messages
        .last()
        .is_none_or(|message| message.sequence < last)
    {
        let batch = reader.next_batch(1_000, PATIENCE).await?;
        if batch.is_empty() {
            bail!("the broker does not deliver the messages of {subject}");
        }
        messages.extend(batch);
    }
    Ok(messages)
}

/// The entry of a request.
fn entry(id: &str, messages: &Messages, today: Date, zone: &TimeZone) -> Option<Entry> {
    // The first status may be that of an attempt after a restart.
    let received = match (messages.received, messages.sent) {
        (Some(received), Some(sent)) => received.min(sent),
        (received, sent) => received.or(sent)?,
    };
    let (at, latest) = match &messages.latest {
        Some((at, latest)) => (*at, Some(latest)),
        None => (received, None),
    };
    let status = latest.and_then(|latest| text(latest, "status"));
    let status = status.unwrap_or_else(|| "sent".to_owned());
    let ended = matches!(status.as_str(), "completed" | "rejected").then_some(at);
    let answer_by = date(received, zone).saturating_add(1.month());
    let left = today.until(answer_by).map_or(0, |left| left.get_days());
    Some(Entry {
        id: id.to_owned(),
        right: messages.right.clone(),
        reason: latest.and_then(|latest| text(latest, "reason")),
        counts: messages.counts.clone(),
        status,
        received,
        ended,
        answer_by,
        days_left: ended.is_none().then_some(left),
    })
}

/// The date of a time in Unix milliseconds.
fn date(at: i64, zone: &TimeZone) -> Date {
    let time = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
    zone.to_datetime(time).date()
}

/// How far a status is along, for statuses of one millisecond.
fn progress(status: &Value) -> u8 {
    match status.get("status").and_then(Value::as_str) {
        Some("pending") => 0,
        Some("in_progress") => 1,
        _ => 2,
    }
}

/// A message that is a JSON object with an ID.
fn read(message: &[u8]) -> Option<(String, Value)> {
    let message: Value = serde_json::from_slice(message).ok()?;
    let id = text(&message, "id").filter(|id| !id.is_empty())?;
    Some((id, message))
}

/// A text of an object.
fn text(message: &Value, key: &str) -> Option<String> {
    message.get(key)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use serde_json::json;

    const HOUR: i64 = 3_600_000;

    fn millisecond(time: &str) -> i64 {
        time.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn status(id: &str, status: &str, at: i64) -> Vec<u8> {
        json!({"at": at, "brand": "acme", "id": id, "status": status, "type": "erase"})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn states_follow_the_latest_status_whatever_the_order_of_messages() {
        let at = millisecond("2025-11-03T09:00:00Z");
        let messages = [
            status("r-1", "pending", at),
            status("r-1", "in_progress", at),
            status("r-1", "completed", at),
        ];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut register = Register::default();
            for index in order {
                register.add_status(&messages[index]);
            }
            let [entry] = &register.entries(at, &TimeZone::UTC)[..] else {
                panic!("one request");
            };
            assert_eq!(
                (entry.status.as_str(), entry.ended),
                ("completed", Some(at))
            );
            assert_eq!(
                (entry.right.as_deref(), entry.days_left),
                (Some("erase"), None)
            );
        }
    }

    #[test]
    fn an_answer_is_due_at_the_end_of_the_same_date_of_the_next_month() {
        let paris = TimeZone::get("Europe/Paris").unwrap();
        for (received, due) in [
            ("2025-11-03T09:00:00Z", date(2025, 12, 3)),
            // It is February already in Paris, and a month of 28 days.
            ("2025-01-31T22:59:59Z", date(2025, 2, 28)),
            ("2025-01-31T23:00:00Z", date(2025, 3, 1)),
            ("2025-12-31T12:00:00Z", date(2026, 1, 31)),
        ] {
            let received = millisecond(received);
            let mut register = Register::default();
            register.add_status(&status("r-1", "pending", received));
            let at = |now: i64| register.entries(now, &paris).remove(0);
            assert_eq!(at(received).answer_by, due);
            let end = due.at(23, 59, 59, 0).to_zoned(paris.clone()).unwrap();
            let end = end.timestamp().as_millisecond();
            assert!(!at(end).is_late() && at(end).days_left == Some(0));
            assert!(at(end + 2_000).is_late());
        }
    }

    #[test]
    fn requests_that_nobody_has_read_are_listed_and_the_most_urgent_comes_first() {
        let at = millisecond("2025-11-03T09:00:00Z");
        let mut register = Register::default();
        register.add_status(&status("r-2", "pending", at + 50 * HOUR));
        register.add_request(br#"{"id":"r-1","type":"access","identifiers":[]}"#, at);
        register.add_request(br#"{"id":"r-2","type":"erase"}"#, at + 49 * HOUR);
        register.add_request(b"not JSON", at);
        register.add_status(br#"{"id":"r-3"}"#);
        let entries = register.entries(at + 40 * 24 * HOUR, &TimeZone::UTC);
        let ids: Vec<_> = entries
            .iter()
            .map(|entry| (entry.id.as_str(), entry.status.as_str()))
            .collect();
        assert_eq!(ids, [("r-1", "sent"), ("r-2", "pending")]);
        assert!(entries.iter().all(Entry::is_late));
        assert_eq!(entries[0].right.as_deref(), Some("access"));
    }
}

//! Watching for what becomes of markers: their cells on NATS, and their number in `/metrics`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::Subscriber;
use futures::StreamExt;

use super::shared::{MEDIUM, SOURCE, Shared, counted_campaign, lock};
use crate::measure::prometheus;

/// How often `/metrics` is read.
const EVERY: Duration = Duration::from_millis(100);

/// Notes the cells of markers as they come.
pub(super) async fn cells(mut subscription: Subscriber, shared: Arc<Mutex<Shared>>) {
    let before = format!("\"campaign\":\"{}-", lock(&shared).run);
    while let Some(message) = subscription.next().await {
        if let Some(number) = number(&message.payload, &before) {
            lock(&shared).seen(number);
        }
    }
}

/// The number of the marker whose cell a payload is.
fn number(payload: &[u8], before: &str) -> Option<u64> {
    let text = std::str::from_utf8(payload).ok()?;
    let (_, rest) = text.split_once(before)?;
    let (number, _) = rest.split_once('"')?;
    // A cell without a value is one that is withdrawn.
    (!text.contains("\"value\":null")).then(|| number.parse().ok())?
}

/// Reads the number of counted markers again and again.
pub(super) async fn metrics(address: String, token: Option<String>, shared: Arc<Mutex<Shared>>) {
    let channel = format!(
        "channel=\"{SOURCE}/{MEDIUM}/{}\"",
        counted_campaign(&lock(&shared).run)
    );
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Ok(text) = prometheus::get(&address, "/metrics", token.as_deref()).await else {
            continue;
        };
        let samples = prometheus::samples(&text).filter(|sample| {
            sample.name == "tributary_contacts"
                && sample.labels.contains(&channel)
                && sample.labels.contains("type=\"click\"")
        });
        // The same number in windows of several lengths.
        let count = samples.map(|sample| sample.value as u64).max();
        lock(&shared).shows(count.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn the_cell_of_a_marker_names_its_number() {
        let cell = |value: &str| {
            format!(
                r#"{{"cell":{{"brand":"a","campaign":"7f-12","day":"2025-01-01"}},"value":{value},"epoch":7}}"#
            )
        };
        let found = |payload: &str| number(payload.as_bytes(), "\"campaign\":\"7f-");
        assert_eq!(found(&cell(r#"{"clicks":1}"#)), Some(12));
        assert_eq!(found(&cell("null")), None);
        assert_eq!(found(r#"{"cell":{"campaign":"8f-12"}}"#), None);
    }
}

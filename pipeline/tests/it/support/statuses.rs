//! Statuses of rights requests, as a subscriber to all of them receives them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use tributary_config::model::Nats;
use tributary_connectors::nats::{Client, Reader};

use super::PATIENCE;

/// The statuses of all brands.
pub struct Statuses {
    reader: Reader,
    messages: BTreeMap<String, Vec<Value>>,
}

impl Statuses {
    /// From the first one on.
    pub async fn open(client: &Client, broker: &Nats) -> Statuses {
        let all = "tributary.rights.*.status";
        let reader = Reader::filtered(client, &broker.rights_stream, all, 1).await;
        Statuses {
            reader: reader.expect("the stream of rights requests"),
            messages: BTreeMap::new(),
        }
    }

    async fn read(&mut self) {
        let messages = self.reader.next_batch(1_000, Duration::from_millis(200));
        for message in messages.await.expect("statuses") {
            let status: Value = serde_json::from_slice(&message.payload).expect("JSON");
            let id = status["id"].as_str().expect("an id").to_owned();
            self.messages.entry(id).or_default().push(status);
        }
    }

    fn ends(&self, id: &str) -> Vec<&Value> {
        let messages = self.messages.get(id).into_iter().flatten();
        messages
            .filter(|status| {
                ["completed", "rejected"].contains(&status["status"].as_str().unwrap())
            })
            .collect()
    }

    /// Waits for the `count`th final status of a request: `completed`, or the reason of the rejection.
    pub async fn end(&mut self, id: &str, count: usize) -> String {
        let begun = Instant::now();
        while self.ends(id).len() < count {
            assert!(
                begun.elapsed() < PATIENCE,
                "{id} stands at {:?}",
                self.messages.get(id)
            );
            self.read().await;
        }
        let end = self.ends(id)[count - 1];
        let word = end.get("reason").unwrap_or(&end["status"]);
        word.as_str().expect("a word").to_owned()
    }

    /// The requests of which there are statuses, once there is one.
    pub async fn ids(&mut self) -> Vec<String> {
        let begun = Instant::now();
        while self.messages.is_empty() {
            assert!(begun.elapsed() < PATIENCE, "no request has a status");
            self.read().await;
        }
        self.messages.keys().cloned().collect()
    }

    /// Every word about a request so far.
    pub fn words(&self, id: &str) -> Vec<&str> {
        let messages = self.messages.get(id).into_iter().flatten();
        messages
            .map(|status| status["status"].as_str().expect("a word"))
            .collect()
    }
}

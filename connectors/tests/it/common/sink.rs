//! A sink that keeps what it is given, and short ways to decode.

use tributary_config::model::Config;
use tributary_connectors::dead_letter::{DeadLetter, Ignored, Reason, Sink};
use tributary_connectors::decode::{Decoder, Message};
use tributary_operators::event::Event;
use tributary_operators::label::{Label, LabelNames};
use tributary_operators::record::{Body, Ping, Record};

use crate::common::{AT, brand, config};

/// What a decoder gave.
#[derive(Debug, Default)]
pub struct Kept {
    pub events: Vec<Event>,
    pub dead: Vec<DeadLetter>,
    pub ignored: Vec<Ignored>,
}

impl Sink for Kept {
    fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    fn dead_letter(&mut self, dead: DeadLetter) {
        self.dead.push(dead);
    }

    fn ignore(&mut self, what: Ignored) {
        self.ignored.push(what);
    }
}

impl Kept {
    /// The records, in order.
    pub fn records(&self) -> Vec<&Record> {
        let records = self.events.iter().filter_map(|event| match event {
            Event::Put { record, .. } => Some(record),
            _ => None,
        });
        records.collect()
    }

    /// The pings, in order.
    pub fn pings(&self) -> Vec<Ping> {
        let pings = self.events.iter().filter_map(|event| match event {
            Event::Ping { ping } => Some(*ping),
            _ => None,
        });
        pings.collect()
    }

    /// Events without words and what a web record brings along, dead letters and omissions: one a line.
    pub fn outcomes(&self) -> usize {
        let beside = |event: &&Event| match event {
            Event::LabelName { .. } | Event::Evidence { .. } => true,
            Event::Put { record, .. } => {
                record.id.is_empty()
                    && matches!(record.body, Body::Consent { .. } | Body::Right { .. })
            }
            _ => false,
        };
        let lines = self.events.len() - self.events.iter().filter(beside).count();
        lines + self.dead.len() + self.ignored.len()
    }

    /// The reasons of the dead letters, in order.
    pub fn reasons(&self) -> Vec<Reason> {
        self.dead.iter().map(|dead| dead.reason).collect()
    }

    /// The word of a label.
    pub fn word(&self, label: Label) -> String {
        let mut dictionary = LabelNames::default();
        for event in &self.events {
            if let Event::LabelName { label, word, .. } = event {
                dictionary.insert(*label, word.clone());
            }
        }
        match label.is_absent() {
            true => "-".to_owned(),
            false => dictionary
                .word(label)
                .expect("a label that was announced")
                .to_string(),
        }
    }
}

/// A decoder and its output so far.
pub struct DecoderHarness {
    pub decoder: Decoder,
    pub kept: Kept,
    number: u64,
}

impl DecoderHarness {
    /// A decoder for a configuration, with empty output.
    pub fn new(config: &Config) -> DecoderHarness {
        DecoderHarness {
            decoder: Decoder::new(config),
            kept: Kept::default(),
            number: 0,
        }
    }

    /// A decoder for the one brand `acme`.
    pub fn acme() -> DecoderHarness {
        DecoderHarness::new(&config(vec![brand("acme")]))
    }

    /// A message with headers, arriving at a moment.
    pub fn send_with(&mut self, subject: &str, at: i64, headers: &[(&str, &str)], data: &[u8]) {
        let pair = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        let headers: Vec<_> = headers.iter().map(pair).collect();
        let message = Message {
            subject,
            at,
            number: self.number,
            headers: &headers,
            data,
        };
        self.number += 1;
        self.decoder.decode(&message, &mut self.kept);
    }

    /// A message that arrives at [`AT`].
    pub fn send(&mut self, subject: &str, data: &[u8]) {
        self.send_with(subject, AT, &[], data);
    }
}

/// The record that `acme` makes of a line of a kind.
pub fn record(kind: &str, line: &str) -> Record {
    let mut harness = DecoderHarness::acme();
    harness.send(&format!("tributary.in.acme.{kind}"), line.as_bytes());
    let records = harness.kept.records();
    assert_eq!(records.len(), 1, "{line}: {:?}", harness.kept.dead);
    records[0].clone()
}

/// The body of that record.
pub fn body(kind: &str, line: &str) -> Body {
    record(kind, line).body
}

/// The reason why `acme` refuses a line of a kind.
pub fn reason(kind: &str, line: &str) -> Reason {
    let mut harness = DecoderHarness::acme();
    harness.send(&format!("tributary.in.acme.{kind}"), line.as_bytes());
    assert_eq!(harness.kept.outcomes(), 1, "{line}");
    assert_eq!(
        harness.kept.dead.len(),
        1,
        "{line}: {:?}",
        harness.kept.events
    );
    harness.kept.dead[0].reason
}

//! Packing: several events of one subject in one message, as NDJSON, in their order.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use tributary_connectors::trace::TraceLine;

/// The time of arrival of a message, as a worker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// That of the trace: a message contains only events with the same `at`.
    Exact,
    /// That of the trace, approximately: a message arrives with the last of its events.
    Last,
    /// That of the stream. Pings of past days are then rejected as too late.
    Stream,
}

/// A message to publish.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    /// Its subject.
    pub(crate) subject: String,
    /// Its time of arrival, Unix milliseconds.
    pub(crate) at: i64,
    /// Its headers; only messages that are not packed have any.
    pub(crate) headers: Vec<(String, String)>,
    /// Its payload.
    pub(crate) data: Vec<u8>,
    /// The number of its events.
    pub(crate) events: u64,
}

/// The messages under construction, by subject.
pub(crate) struct Packs {
    /// The maximum number of events per message.
    most_events: u64,
    /// The maximum size of a payload.
    most_bytes: usize,
    /// The time of arrival.
    clock: Clock,
    /// The incomplete messages.
    waiting: BTreeMap<String, Waiting>,
    /// The number of messages that were added.
    arrived: u64,
}

/// An incomplete message.
struct Waiting {
    /// The position of its first event, which determines its order.
    place: u64,
    /// The message so far.
    packed: Packed,
}

impl Packs {
    /// No messages. At least one event fits into each.
    pub(crate) fn new(most_events: usize, most_bytes: usize, clock: Clock) -> Packs {
        Packs {
            most_events: most_events.max(1) as u64,
            most_bytes,
            clock,
            waiting: BTreeMap::new(),
            arrived: 0,
        }
    }

    /// Adds a message, and returns the messages that are complete now, in the order to publish
    /// them.
    pub(crate) fn add(&mut self, line: TraceLine) -> Vec<Packed> {
        let events = records(&line.data);
        let packed = Packed {
            subject: line.subject,
            at: line.at,
            headers: line.headers,
            data: line.data,
            events,
        };
        if self.most_events == 1 {
            return vec![packed];
        }
        self.arrived += 1;
        let mut out = Vec::new();
        // With the exact clock, what arrived at another time has all the company it will have.
        if self.clock == Clock::Exact && self.waiting.values().any(|w| w.packed.at != packed.at) {
            out = self.close();
        }
        // Headers belong to one message, and an object over several lines stands on none of them.
        let alone = !packed.headers.is_empty() || (events == 1 && packed.data.contains(&b'\n'));
        let full = |waiting: &Waiting| {
            waiting.packed.events + events > self.most_events
                || waiting.packed.data.len() + 1 + packed.data.len() > self.most_bytes
        };
        if let Some(waiting) = self.waiting.get(&packed.subject)
            && (alone || full(waiting))
        {
            out.extend(self.waiting.remove(&packed.subject).map(|w| w.packed));
        }
        if alone {
            out.push(packed);
            return out;
        }
        match self.waiting.get_mut(&packed.subject) {
            Some(waiting) => {
                waiting.packed.data.push(b'\n');
                waiting.packed.data.extend_from_slice(&packed.data);
                waiting.packed.events += events;
                waiting.packed.at = packed.at;
            }
            None => {
                let place = self.arrived;
                let subject = packed.subject.clone();
                self.waiting.insert(subject, Waiting { place, packed });
            }
        }
        out
    }

    /// Completes all messages, in the order of their first events.
    pub(crate) fn close(&mut self) -> Vec<Packed> {
        let mut waiting: Vec<Waiting> = std::mem::take(&mut self.waiting).into_values().collect();
        waiting.sort_by_key(|waiting| waiting.place);
        waiting.into_iter().map(|waiting| waiting.packed).collect()
    }
}

/// The number of records in a payload: its lines that are not blank, or one if it is one object on
/// several lines.
fn records(data: &[u8]) -> u64 {
    let lines = data.split(|byte| *byte == b'\n');
    match lines.filter(|line| !line.trim_ascii().is_empty()).count() {
        several if several > 1 && serde_json::from_slice::<IgnoredAny>(data).is_ok() => 1,
        count => count as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(subject: &str, at: i64, data: &str) -> TraceLine {
        TraceLine {
            subject: subject.to_owned(),
            at,
            headers: Vec::new(),
            data: data.as_bytes().to_vec(),
        }
    }

    fn packed(
        clock: Clock,
        most: usize,
        lines: &[(&str, i64, &str)],
    ) -> Vec<(String, i64, String)> {
        let mut packs = Packs::new(most, 1_000, clock);
        let mut out = Vec::new();
        for (subject, at, data) in lines {
            out.extend(packs.add(line(subject, *at, data)));
        }
        out.extend(packs.close());
        let text = |packed: Packed| String::from_utf8(packed.data).unwrap();
        out.into_iter()
            .map(|packed| (packed.subject.clone(), packed.at, text(packed)))
            .collect()
    }

    fn message(subject: &str, at: i64, data: &str) -> (String, i64, String) {
        (subject.to_owned(), at, data.to_owned())
    }

    #[test]
    fn the_exact_clock_packs_what_shares_it() {
        let lines = [
            ("a", 1, "{}"),
            ("b", 1, "{1}"),
            ("a", 1, "{2}"),
            ("a", 2, "{3}"),
            ("a", 1, "{4}"),
        ];
        let expected = [
            message("a", 1, "{}\n{2}"),
            message("b", 1, "{1}"),
            message("a", 2, "{3}"),
            message("a", 1, "{4}"),
        ];
        assert_eq!(packed(Clock::Exact, 10, &lines), expected);
    }

    #[test]
    fn other_clocks_pack_by_number_and_keep_each_subject_in_order() {
        let lines = [
            ("a", 1, "1"),
            ("b", 2, "2"),
            ("a", 3, "3"),
            ("a", 4, "4\n5"),
            ("a", 5, "6"),
        ];
        let expected = [
            message("a", 3, "1\n3"),
            message("a", 4, "4\n5"),
            message("b", 2, "2"),
            message("a", 5, "6"),
        ];
        assert_eq!(packed(Clock::Last, 2, &lines), expected);
    }

    #[test]
    fn one_object_on_several_lines_stays_alone() {
        let lines = [("a", 1, "{}"), ("a", 1, "{\n}"), ("a", 1, "{}")];
        let expected = [
            message("a", 1, "{}"),
            message("a", 1, "{\n}"),
            message("a", 1, "{}"),
        ];
        assert_eq!(packed(Clock::Exact, 10, &lines), expected);
    }
}

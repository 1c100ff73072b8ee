//! Every metric, once: its name, type, unit, labels and meaning.
//!
//! What is registered and exported, and the reference `grafana/metrics.md`, are both made from these rows,
//! so that no metric exists without its description. Names begin with [`PREFIX`] and are in base units
//! (seconds, bytes, ratios, major units of money), and `_total` stands on counters alone. Labels come from
//! closed sets; those whose words come from records are capped (see [`super::cap`]).

use super::label::Label;

/// What every name begins with.
pub const PREFIX: &str = "tributary_";

/// The Prometheus type of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Type {
    /// Only ever rises while the process lives.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts observations in buckets with these upper bounds.
    Histogram(&'static [f64]),
}

impl Type {
    /// The word in the exposition format.
    pub fn name(self) -> &'static str {
        match self {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram(_) => "histogram",
        }
    }
}

/// Who reads a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Operators: how the process does. Not personal, passes freely.
    Operation,
    /// Brands: what released cells add up to.
    Business,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which one.
    pub id: Id,
    /// Who reads it.
    pub part: Part,
    /// Its type.
    pub kind: Type,
    /// Its name without [`PREFIX`].
    pub name: &'static str,
    /// What one unit of its value is.
    pub unit: &'static str,
    /// Its labels, in the order in which their values are given.
    pub labels: &'static [Label],
    /// What it means: one sentence or two, without line breaks.
    pub help: &'static str,
}

impl Row {
    /// The whole name.
    pub fn full_name(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }
}

macro_rules! table {
    ($($id:ident: $part:ident $kind:expr, $name:literal, $unit:literal, [$($label:ident),*], $help:literal;)*) => {
        /// A metric of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs)] // `Row::help` says what each one means.
        pub enum Id { $($id),* }

        /// Every metric; the position is the [`Id`] as a number.
        pub const TABLE: &[Row] = &[$(Row {
            id: Id::$id,
            part: Part::$part,
            kind: $kind,
            name: $name,
            unit: $unit,
            labels: &[$(Label::$label),*],
            help: $help,
        }),*];
    };
}

use Type::{Counter, Gauge, Histogram};

/// Upper bounds of epoch durations, seconds.
const DURATIONS: &[f64] = &[
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

table! {
    // Input
    InputMessages: Operation Counter, "input_messages_total", "messages", [],
        "Messages that this process took from the input stream.";
    InputBytes: Operation Counter, "input_bytes_total", "bytes", [],
        "Payload bytes of the messages that this process took.";
    InputPosition: Operation Gauge, "input_stream_sequence", "sequence", [],
        "Sequence of the last message of the input stream that was read.";
    InputPending: Operation Gauge, "input_pending_messages", "messages", [],
        "Messages of the input stream that are not read yet.";
    InputGaps: Operation Counter, "input_gap_messages_total", "messages", [],
        "Sequences of the input stream that were passed over because their messages had been deleted.";
    InputRedelivered: Operation Counter, "input_redelivered_messages_total", "messages", [],
        "Messages that the broker delivered again; each was passed over.";
    InputReopened: Operation Counter, "input_reopened_total", "openings", [],
        "Times that reading was opened anew: a lost connection or delivery, a silent broker, a deleted consumer.";
    InputHeartbeats: Operation Counter, "input_heartbeats_missed_total", "heartbeats", [],
        "Times that the broker was silent for too long.";
    InputDropped: Operation Counter, "input_slow_consumer_messages_total", "messages", [],
        "Messages that the client dropped because they were not taken in time; each was read again.";
    Accepted: Operation Counter, "records_accepted_total", "records", [Brand, Kind],
        "Records and pings taken in, duplicates and corrections included. A statement of consent that rides on a web record is none of its own.";
    DeadLetters: Operation Counter, "dead_letters_total", "lines", [OriginBrand, OriginKind, Reason],
        "Refused lines. They stand on the dead-letter subject with their reason; `unknown` where the line names no configured brand or no kind.";
    PingsIgnored: Operation Counter, "pings_ignored_total", "pings", [],
        "Pings left out on purpose: those of devices on a brand's list of fixed devices, and those that were read again after their day had settled.";
    RobotRecords: Operation Counter, "robot_records_total", "records", [],
        "Web records whose user agent is a known robot's. They are counted here, and held and counted nowhere else.";
    ArrivedPast: Operation Counter, "records_past_retention_total", "records", [],
        "Records that were past the retention of their category when they came. They are counted here, and held and counted nowhere else.";
    Duplicates: Operation Counter, "records_duplicate_total", "records", [],
        "Records that came again with the content and the version held; they change nothing. Statements of consent that ride on web records are not counted.";
    Corrections: Operation Counter, "records_corrected_total", "records", [],
        "Records whose content or version replaced what was held. Statements of consent that ride on web records are not counted.";
    Superseded: Operation Counter, "records_superseded_total", "records", [],
        "Records of a lower version than the one held, or of the same version that arrived earlier; they change nothing.";
    Suppressed: Operation Counter, "records_suppressed_total", "records", [Brand],
        "Records and pings left out because they name somebody who objected; they are written nowhere.";

    UnreadSections: Operation Counter, "consent_sections_unread_total", "sections", [Brand],
        "Sections of GPP strings that were there and are not read, once for each record that brings them: what they say is not obeyed. `tributary consent` names those of a string.";

    // Rights and retention
    RightsRequests: Operation Counter, "rights_requests_total", "requests", [OriginBrand, Outcome, Right],
        "Rights requests that were answered. Process 0 answers for all.";
    RightsOpen: Operation Gauge, "rights_open_requests", "requests", [Brand],
        "Rights requests that wait at the broker because they are not answered yet, as process 0 sees them.";
    RightsOldest: Operation Gauge, "rights_oldest_open_seconds", "seconds", [Brand],
        "For how long the oldest request has waited that is not answered; 0 where none waits.";
    RetentionPass: Operation Gauge, "retention_last_pass_timestamp_seconds", "seconds since 1970", [Brand],
        "When a pass over the retention was last made: at a start and once a day, by process 0 over all records, by every process over the evidence in its ledger. 0 before the first.";
    RetentionRecords: Operation Counter, "retention_records_total", "records", [Brand],
        "Records found past their retention and taken back. Process 0 passes over all of them for the whole cluster.";
    SettledDays: Operation Counter, "salts_settled_total", "salts", [Brand],
        "Salt days with pings that were closed and became sums per store and hour. Process 0 counts for all.";
    SettledPings: Operation Counter, "pings_settled_total", "pings", [Brand],
        "Pings that this process held and dropped because the sums of their day are durable.";
    Consents: Operation Gauge, "consent_identifiers", "identifiers", [Brand, Choice, Step],
        "Identifiers by what is allowed for them, where something was said. A step is there when `k` allow it and `k` refuse it, and changes when `k_delta` have changed.";

    // State
    Held: Operation Gauge, "records_held", "records", [],
        "Records held now; pings and the statements of consent that ride on web records not counted.";
    Released: Operation Gauge, "cells_released", "cells", [],
        "Cells that this process has released and not closed.";
    Hidden: Operation Gauge, "cells_hidden", "cells", [],
        "Cells that the release gate holds back because too few contributors stand behind them.";
    FoldedChannels: Operation Gauge, "markov_folded_channels", "channels", [],
        "Channels of the months held that the Markov model does not tell apart because a month has more than `max_channels`; they stand under `*`.";
    PingsOver: Operation Counter, "pings_over_max_devices_total", "pings", [],
        "Pings of devices that did not count when they came, because more than `sensors.max_devices` were heard in their store that day.";
    Labels: Operation Gauge, "labels_held", "labels", [],
        "Words of channels, stores, platforms and sources that this process keeps, because something held or told names them.";
    Collisions: Operation Counter, "label_collisions_total", "labels", [],
        "Times that a second word claimed the hash of a label; their cells are added up under the smaller word.";

    // Ledger
    LedgerEntries: Operation Gauge, "ledger_entries", "entries", [],
        "Records, pings, retractions and words in the ledger of this process.";
    LedgerBytes: Operation Gauge, "ledger_bytes", "bytes", [],
        "Size of the ledger's segments.";
    CommitDuration: Operation Histogram(DURATIONS), "ledger_commit_duration_seconds", "seconds", [],
        "How long a commit took, from the first write until the disk had it.";
    RestoreDuration: Operation Gauge, "restore_duration_seconds", "seconds", [],
        "How long the last start took to restore what was known before; 0 until then.";
    RestoredEntries: Operation Gauge, "restored_entries", "entries", [],
        "Entries of the ledger that the last start restored.";

    // Progress
    Epoch: Operation Gauge, "epoch_closed_timestamp_seconds", "seconds since 1970", [],
        "When an epoch was last found closed: it and all before are finished on every worker of this process.";
    Lag: Operation Gauge, "lag_seconds", "seconds", [],
        "How far the closed epochs are behind the input that went in; 0 when all of it is through.";
    Tick: Operation Gauge, "tick_seconds", "seconds", [],
        "How long messages are gathered into one epoch.";
    EpochDuration: Operation Histogram(DURATIONS), "epoch_duration_seconds", "seconds", [],
        "From the opening of an epoch until it was seen to be closed.";

    // Output
    PublishedCells: Operation Counter, "cells_published_total", "messages", [],
        "Cell values handed to the broker.";
    PublishedTombstones: Operation Counter, "cell_tombstones_published_total", "messages", [],
        "Closed cells handed to the broker as tombstones.";
    PublishFailures: Operation Counter, "publish_failures_total", "attempts", [],
        "Attempts to publish that failed; each is made again.";

    // Process
    ClockOffset: Operation Gauge, "clock_offset_seconds", "seconds", [],
        "How far this machine's clock is ahead of the broker's.";
    ClockTrusted: Operation Gauge, "clock_trusted", "0 or 1", [],
        "Whether this machine's clock agrees with the broker's and the newest arrival within `workers.max_clock_skew`. While it does not, nothing is erased for its age and no day is frozen.";
    Connected: Operation Gauge, "connected", "0 or 1", [],
        "Whether there is a connection to NATS.";
    Ready: Operation Gauge, "ready", "0 or 1", [],
        "Whether /readyz says yes: connected, restored, caught up, lag within its bound.";
    Build: Operation Gauge, "build_info", "always 1", [Commit, Version],
        "The version of the program, and the commit that it was built from.";
    StartTime: Operation Gauge, "process_start_time_seconds", "seconds since 1970", [],
        "When the process started.";
    Memory: Operation Gauge, "process_resident_memory_bytes", "bytes", [],
        "Physical memory that the process holds.";
    Cpu: Operation Counter, "process_cpu_seconds_total", "seconds", [],
        "Processor time that the process has used, user and system.";

    // Attribution
    Conversions: Business Gauge, "attributed_conversions", "conversions", [Brand, Window, Model, Channel, Sale],
        "Conversions credited to a channel. The channels of a model add up to all conversions; `unattributed` are those without a touch.";
    Value: Business Gauge, "attributed_value", "major units of the currency", [Brand, Window, Model, Channel, Sale, Currency],
        "Value credited to a channel. The channels of a model add up to what tills and orders say, refunds taken off.";
    Contacts: Business Gauge, "contacts", "contacts", [Brand, Window, Channel, Contact],
        "Impressions, clicks and views by channel.";
    MarkovEffect: Business Gauge, "markov_removal_effect_ratio", "0 to 1", [Brand, Sale, Currency, Channel],
        "Share of the current month's conversion probability that is lost without the channel. Effects do not add up to 1; `other` is the sum of the rest and may exceed it.";
    MarkovConversions: Business Gauge, "markov_conversions", "conversions", [Brand, Sale, Currency, Channel],
        "Conversions of the current month that the Markov model credits to a channel.";
    MarkovValue: Business Gauge, "markov_value", "major units of the currency", [Brand, Sale, Currency, Channel],
        "Value of the current month that the Markov model credits to a channel.";

    // Money in and out
    StoreTransactions: Business Gauge, "store_transactions", "transactions", [Brand, Window, Store],
        "Sales at the tills of a store of which something is left after refunds.";
    StoreTakings: Business Gauge, "store_takings", "major units of the currency", [Brand, Window, Store, Currency],
        "Takings of a store, refunds taken off on the day of the sale.";
    Orders: Business Gauge, "orders", "orders", [Brand, Window],
        "Online orders of which something is left after refunds.";
    OrderTakings: Business Gauge, "order_takings", "major units of the currency", [Brand, Window, Currency],
        "Takings of online orders, refunds taken off on the day of the order.";
    Spend: Business Gauge, "spend", "major units of the currency", [Brand, Window, Platform, Channel, Currency],
        "What advertising platforms charged.";
    Roas: Business Gauge, "return_on_ad_spend_ratio", "value per cost", [Brand, Window, Model, Channel, Currency],
        "Attributed value divided by the cost of the same channel in the same currency, where something was charged.";
    CostPerConversion: Business Gauge, "cost_per_conversion", "major units of the currency", [Brand, Window, Model, Channel, Currency],
        "Cost of a channel divided by the conversions that are credited to it in the same currency, where there are both.";

    // Stores
    Visits: Business Gauge, "visits", "visits", [Brand, Window, Store],
        "Visits to a store.";
    PassersBy: Business Gauge, "passers_by", "runs", [Brand, Window, Store],
        "Devices that passed a store without a visit, each time that they did.";
    Dwell: Business Gauge, "visit_dwell_seconds", "seconds", [Brand, Window, Store],
        "Time that all visits together lasted; divide by the visits for their mean.";
    Devices: Business Gauge, "devices", "devices and hours", [Brand, Window, Store],
        "Distinct devices of each hour, added up over the hours.";
    RandomDevices: Business Gauge, "random_devices", "devices and hours", [Brand, Window, Store],
        "Distinct random device addresses of each hour, added up over the hours; they are in no other count.";

    // Identity
    Persons: Business Gauge, "persons", "persons", [Brand],
        "Persons known by the records held.";
    Identifiers: Business Gauge, "identifiers", "identifiers", [Brand],
        "Identifiers of the records held, hubs included.";
    Links: Business Gauge, "identity_links", "links", [Brand],
        "Distinct pairs of identifiers that stand in one record, hubs left out.";
    Hubs: Business Gauge, "identity_hubs", "identifiers", [Brand],
        "Identifiers that share records with too many others and identify nobody.";
    Oversized: Business Gauge, "identity_oversized_persons", "persons", [Brand],
        "Persons with more identifiers than the size guard allows; their conversions are unattributed.";
}

/// The row of a metric.
pub fn row(id: Id) -> &'static Row {
    // The macro writes both in one order, so that the position is always there.
    &TABLE[id as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_position_of_a_row_is_its_number() {
        for (position, entry) in TABLE.iter().enumerate() {
            assert_eq!(entry.id as usize, position);
            assert_eq!(row(entry.id).name, entry.name);
        }
    }

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        let mut seen = BTreeSet::new();
        for entry in TABLE {
            assert!(seen.insert(entry.name), "{} stands twice", entry.name);
            assert!(
                entry
                    .name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c == '_'),
                "{}",
                entry.name
            );
            assert_eq!(
                entry.name.ends_with("_total"),
                entry.kind == Type::Counter,
                "{}",
                entry.name
            );
            for bad in [
                "_ms", "_milli", "_minor", "_percent", "_count", "_sum", "_bucket",
            ] {
                assert!(!entry.name.ends_with(bad), "{}", entry.name);
            }
            assert!(
                entry.help.ends_with('.') && !entry.help.contains('\n'),
                "{}",
                entry.name
            );
            let money = entry.unit.starts_with("major units");
            let has_currency = entry.labels.contains(&Label::Currency);
            assert!(
                !money || has_currency,
                "{} is money without a currency",
                entry.name
            );
            let labels: BTreeSet<_> = entry.labels.iter().map(|label| label.name()).collect();
            assert_eq!(
                labels.len(),
                entry.labels.len(),
                "{} has a label twice",
                entry.name
            );
        }
    }

    #[test]
    fn every_business_metric_names_its_brand_first() {
        for entry in TABLE.iter().filter(|entry| entry.part == Part::Business) {
            assert_eq!(entry.labels.first(), Some(&Label::Brand), "{}", entry.name);
        }
    }
}

//! Every metric, once: its name, type, unit, labels and meaning.
//!
//! What is registered and exported, and the reference `grafana/metrics.md`, are
//! both made from these rows, so that no metric exists without its description.
//! Names begin with [`PREFIX`] and are in base units (seconds, bytes, ratios,
//! major units of money), and `_total` stands on counters alone. Labels come
//! from closed sets; those whose words come from records are capped (see
//! [`super::cap`]).

use tributary_operators::cell::Family;

use super::label::Label;

/// Prefix of every metric name.
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
    /// Name of the type in the exposition format.
    pub fn name(self) -> &'static str {
        match self {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram(_) => "histogram",
        }
    }
}

/// Audience of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Operators: state of the process. Contains no personal data.
    Operation,
    /// Brands: sums of released cells.
    Business,
}

/// How a metric is shown to viewers who may not see exact operational numbers,
/// because a single act of a person can move it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// As it is: no single act moves it, or it was released.
    Open,
    /// As it was at the last release cadence.
    Cadence,
    /// As it was at the last release cadence, in steps of `release.k_delta` times
    /// this many units.
    Steps(u32),
    /// Not at all.
    Operate,
}

impl Visibility {
    /// Its meaning for the reference.
    pub fn meaning(self) -> &'static str {
        match self {
            Visibility::Open => "exact",
            Visibility::Cadence => "at the cadence",
            Visibility::Steps(1) => "steps of `k_delta`",
            Visibility::Steps(_) => "steps of `k_delta` × 4 KiB",
            Visibility::Operate => "absent",
        }
    }
}

/// Bytes of a step: as many as a few dozen records, so that the size of one does
/// not show.
const PAGE: u32 = 4096;

/// Description of a metric.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Identifies the metric in code.
    pub id: Id,
    /// Its audience.
    pub part: Part,
    /// How others than operators see it.
    pub visibility: Visibility,
    /// Its type.
    pub kind: Type,
    /// Its name without [`PREFIX`].
    pub name: &'static str,
    /// Unit of its value.
    pub unit: &'static str,
    /// Its labels, in the order in which their values are given.
    pub labels: &'static [Label],
    /// The values of families that it adds up, by the words of a label with
    /// [`Label::of_values`] if there are several; empty if it is not a sum over cells.
    pub sums: &'static [(Family, &'static [&'static str])],
    /// Its meaning in one or two sentences, without line breaks.
    pub help: &'static str,
}

impl Row {
    /// Name of the metric as exported.
    pub fn full_name(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }
}

macro_rules! table {
    ($($id:ident: $part:ident $kind:expr, $visibility:ident $(($step:expr))?, $name:literal, $unit:literal, [$($label:ident),*], $($family:ident [$($value:literal),+],)? $help:literal;)*) => {
        /// A metric of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs)] // `Row::help` says what each one means.
        pub enum Id { $($id),* }

        /// Every metric; the position is the [`Id`] as a number.
        pub const TABLE: &[Row] = &[$(Row {
            id: Id::$id,
            part: Part::$part,
            visibility: Visibility::$visibility $(($step))?,
            kind: $kind,
            name: $name,
            unit: $unit,
            labels: &[$(Label::$label),*],
            sums: &[$((Family::$family, &[$($value),+]))?],
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
    InputMessages: Operation Counter, Steps(1), "input_messages_total", "messages", [],
        "Messages read from the input stream, and from that of pings, by this process.";
    InputBytes: Operation Counter, Steps(PAGE), "input_bytes_total", "bytes", [],
        "Payload bytes of the messages read from these streams by this process.";
    InputPosition: Operation Gauge, Steps(1), "input_stream_sequence", "sequence", [],
        "Stream sequence of the last message read from the input stream.";
    PingsPosition: Operation Gauge, Steps(1), "pings_stream_sequence", "sequence", [],
        "Stream sequence of the last message read from the stream of pings, if pings have their own.";
    InputPending: Operation Gauge, Steps(1), "input_pending_messages", "messages", [],
        "Messages in the input stream, and in that of pings, that have not been read yet.";
    InputGaps: Operation Counter, Steps(1), "input_gap_messages_total", "messages", [],
        "Messages that were deleted from the input stream before they were read.";
    InputRedelivered: Operation Counter, Steps(1), "input_redelivered_messages_total", "messages", [],
        "Messages that the broker delivered more than once; redeliveries are skipped.";
    InputReopened: Operation Counter, Open, "input_reopened_total", "reconnections", [],
        "Reconnections to the input: after a lost connection or delivery, a silent broker, or a deleted consumer.";
    InputHeartbeats: Operation Counter, Open, "input_heartbeats_missed_total", "heartbeats", [],
        "Times the broker missed its heartbeat deadline.";
    InputDropped: Operation Counter, Steps(1), "input_slow_consumer_messages_total", "messages", [],
        "Messages dropped by the client because they were not processed in time; each was read again.";
    Accepted: Operation Counter, Steps(1), "records_accepted_total", "records", [Brand, Kind, Source],
        "Records and pings accepted, by configured source, including duplicates and corrections. A consent statement carried by a web record is not counted separately.";
    DeadLetters: Operation Counter, Steps(1), "dead_letters_total", "lines", [OriginBrand, OriginKind, Reason],
        "Rejected lines. Each is published to the dead-letter subject with its reason; the label is `unknown` if the line names no configured brand or no kind.";
    PingsIgnored: Operation Counter, Steps(1), "pings_ignored_total", "pings", [],
        "Pings excluded on purpose: from devices on a brand's list of fixed devices, or read again after their day was closed.";
    RobotRecords: Operation Counter, Steps(1), "robot_records_total", "records", [],
        "Web records with the user agent of a known robot. They are counted here and excluded everywhere else.";
    NotMapped: Operation Counter, Steps(1), "items_not_mapped_total", "items", [],
        "Items of vendors' formats that map to no record, such as events that the source does not use. `tributary decode` shows them.";
    CorrectedTimes: Operation Counter, Steps(1), "times_corrected_total", "records", [],
        "Records of vendors' formats whose time was corrected: by the clock of the arrival, or because it was in another unit than the format defines.";
    ArrivedPast: Operation Counter, Steps(1), "records_past_retention_total", "records", [],
        "Records that were past the retention of their category on arrival. They are counted here and excluded everywhere else.";
    Duplicates: Operation Counter, Steps(1), "records_duplicate_total", "records", [],
        "Records received again with the stored content and version; they change nothing. Excludes consent statements carried by web records.";
    Corrections: Operation Counter, Steps(1), "records_corrected_total", "records", [],
        "Records whose content or version replaced the stored one. Excludes consent statements carried by web records.";
    Superseded: Operation Counter, Steps(1), "records_superseded_total", "records", [],
        "Records with a lower version than the stored one, or with the same version and an earlier arrival; they change nothing.";
    Suppressed: Operation Counter, Steps(1), "records_suppressed_total", "records", [Brand],
        "Records and pings discarded because they name a person who objected; they are not stored anywhere.";

    PartnerSightings: Operation Counter, Steps(1), "partner_sightings_total", "records", [Brand, SightingOutcome],
        "Sightings of partners by what became of them on arrival. Whether accepted ones count depends on consent, and whether they match a visit is in `visit_match`. `rejected` also counts rejected exposures and links. Exists for brands with a source of kind `partner`.";

    PartnersSettled: Operation Gauge, Open, "partner_settled_through_timestamp_seconds", "seconds since 1970", [Brand],
        "End of the last day whose sightings are settled: they are deleted, and what they matched is kept without them. 0 before the first time. Process 0 settles for the cluster; absent on other processes, and for brands without a source of kind `partner`.";

    PartnersDue: Operation Gauge, Open, "partner_settling_due_timestamp_seconds", "seconds since 1970", [Brand],
        "End of the last day whose sightings are due to be settled, by `partners.settle_after` and the clock of the process. Absent before the first record has arrived, for brands with `arrival_header`, on processes other than process 0, and for brands without a source of kind `partner`.";

    HttpIngestRequests: Operation Counter, Steps(1), "http_ingest_requests_total", "requests", [OriginBrand, Code, Source],
        "Requests to the HTTP ingest server by the status code of their response; brand and source are `unknown` if the request was not admitted to a source. Exists with `[http_ingest]` only.";
    HttpIngestBytes: Operation Counter, Steps(PAGE), "http_ingest_bytes_total", "bytes", [Brand, Source],
        "Decompressed bytes of the bodies that the HTTP ingest server accepted. Exists with `[http_ingest]` only.";
    HttpIngestAck: Operation Histogram(DURATIONS), Operate, "http_ingest_ack_seconds", "seconds", [],
        "Time from publishing the messages of a request until the input stream has acknowledged all of them.";

    UnreadSections: Operation Counter, Steps(1), "consent_sections_unread_total", "sections", [Brand],
        "GPP sections that are not supported, counted once per record that carries them. Their content is not applied. `tributary consent` lists the sections of a string.";

    RelayRatio: Operation Gauge, Operate, "identity_relay_ratio", "ratio", [Brand],
        "Share of the e-mail addresses in clear that are at a relay domain, where a person hides the address behind it, of all since the start. 0 before the first address.";

    // Rights and retention
    RightsRequests: Operation Counter, Steps(1), "rights_requests_total", "requests", [OriginBrand, Outcome, Right],
        "Rights requests completed or rejected. Process 0 answers on behalf of the cluster.";
    RightsOpen: Operation Gauge, Steps(1), "rights_open_requests", "requests", [Brand],
        "Rights requests at the broker that have not been answered yet, as seen by process 0.";
    RightsOldest: Operation Gauge, Operate, "rights_oldest_open_seconds", "seconds", [Brand],
        "How long the oldest open request has been waiting; 0 if none is open.";
    Callbacks: Operation Counter, Steps(1), "opendsr_callbacks_total", "attempts", [CallbackOutcome],
        "Attempts to post a callback of OpenDSR: sent, failed and to be repeated, or given up a day after the change of the request. Process 0 posts for the cluster.";
    AuditVerified: Operation Gauge, Open, "audit_chain_verified", "0 or 1", [Brand],
        "Whether the audit log of the brand was a whole chain at the last check: every entry follows from the one before, and none that was there is missing. Process 0 checks its logs at startup and every ten minutes; absent before the first check and on other processes.";
    AuditEntries: Operation Gauge, Steps(1), "audit_chain_entries", "entries", [Brand],
        "Entries of the audit log of the brand that were verified at the last check.";
    AuditHead: Operation Gauge, Operate, "audit_chain_head", "number", [Brand],
        "The first 48 bits of the hash of the last entry of the audit log of the brand at the last check. With the number of entries it names the end of the log where who can write to the disk cannot: `--head` of `tributary audit verify` takes the number of entries, a colon, and this number as 12 hexadecimal digits.";
    RetentionPass: Operation Gauge, Open, "retention_last_pass_timestamp_seconds", "seconds since 1970", [Brand],
        "Time of the last retention run. Process 0 checks all records, and each process checks the evidence in its own ledger, at startup and daily. 0 before the first run.";
    RetentionRecords: Operation Counter, Steps(1), "retention_records_total", "records", [Brand],
        "Records removed because they were past their retention. Process 0 checks all records of the cluster.";
    SettledDays: Operation Counter, Open, "salts_settled_total", "salts", [Brand],
        "Salt days with pings that were closed and reduced to totals per store and hour. Process 0 counts for the cluster.";
    SettledPings: Operation Counter, Steps(1), "pings_settled_total", "pings", [Brand],
        "Pings that this process deleted because the totals of their day are durable.";
    Consents: Operation Gauge, Open, "consent_identifiers", "identifiers", [Brand, Choice, Step],
        "Identifiers with a known choice, by the use that is allowed or refused. A use is published when at least `k` identifiers allow it and `k` refuse it, and updated when `k_delta` persons have changed theirs.";

    // State
    Held: Operation Gauge, Steps(1), "records_held", "records", [],
        "Records currently stored, excluding pings and consent statements carried by web records.";
    Released: Operation Gauge, Steps(1), "cells_released", "cells", [],
        "Cells released by this process and not closed.";
    Hidden: Operation Gauge, Steps(1), "cells_hidden", "cells", [],
        "Cells that the release gate suppresses because too few people contribute to them. Of months in a ladder: those of the finest grain that are not published under their own name.";
    MonthsWaiting: Operation Gauge, Steps(1), "months_waiting", "months", [],
        "Months that stay as they were published although they have changed: all that is published of them together may not be, or they differ from what was published before a restart, and `k_delta` contributors have not changed them since.";
    FoldedChannels: Operation Gauge, Steps(1), "markov_folded_channels", "channels", [],
        "Channels of the stored months that the Markov model groups under `*` because a month has more than `max_channels`.";
    PingsOver: Operation Counter, Steps(1), "pings_over_max_devices_total", "pings", [],
        "Pings from devices not counted on arrival because more than `sensors.max_devices` were detected in their store that day.";
    Labels: Operation Gauge, Steps(1), "labels_held", "labels", [],
        "Names of channels, stores, platforms and sources kept by this process because stored or published data uses them.";
    Collisions: Operation Counter, Steps(1), "label_collisions_total", "labels", [],
        "Times a second name collided with the hash of a label; their cells are merged under the lexically smaller name.";

    // Ledger
    LedgerEntries: Operation Gauge, Steps(1), "ledger_entries", "entries", [],
        "Records, pings, retractions and label names in the ledger of this process.";
    LedgerBytes: Operation Gauge, Steps(PAGE), "ledger_bytes", "bytes", [],
        "Total size of the ledger's segments.";
    CommitDuration: Operation Histogram(DURATIONS), Operate, "ledger_commit_duration_seconds", "seconds", [],
        "Time from the first write of a commit until it is on disk.";
    LedgerNotOverwritten: Operation Counter, Open, "ledger_files_not_overwritten_total", "files", [],
        "Replaced segments of the ledger that could not be overwritten before they were removed. Their sealed bytes stay on the disk until it uses the space again.";
    RestoreDuration: Operation Gauge, Open, "restore_duration_seconds", "seconds", [],
        "Time the last startup took to restore the previous state; 0 until it finishes.";
    RestoredEntries: Operation Gauge, Steps(1), "restored_entries", "entries", [],
        "Ledger entries restored at the last startup; in a process that was a standby, those that it had not restored before it led.";

    // Progress
    Epoch: Operation Gauge, Cadence, "epoch_closed_timestamp_seconds", "seconds since 1970", [],
        "Time at which an epoch was last observed closed: it and all earlier epochs are complete on every worker thread of this process.";
    Lag: Operation Gauge, Cadence, "lag_seconds", "seconds", [],
        "How far closed epochs trail the input; 0 when all input is processed.";
    Tick: Operation Gauge, Open, "tick_seconds", "seconds", [],
        "How long messages are collected into one epoch.";
    EpochDuration: Operation Histogram(DURATIONS), Operate, "epoch_duration_seconds", "seconds", [],
        "Time from opening an epoch until it was observed closed.";
    LongestEpoch: Operation Gauge, Operate, "epoch_longest_seconds", "seconds", [Thread],
        "The longest time within the last minute or two from the beginning of an epoch on a worker thread until all workers had completed it.";

    // Operators
    OperatorUpdates: Operation Counter, Operate, "operator_updates_total", "updates", [Operator, Thread],
        "Updates that an operator received; for the decoder, messages.";
    OperatorBusy: Operation Counter, Operate, "operator_busy_seconds_total", "seconds", [Operator, Thread],
        "Time in which an operator worked.";
    OperatorStep: Operation Gauge, Operate, "operator_longest_step_seconds", "seconds", [Operator, Thread],
        "The longest time within the last minute or two in which an operator worked without a break. Its thread does nothing else meanwhile.";
    OperatorEntries: Operation Gauge, Operate, "operator_entries", "entries", [Operator, Thread],
        "Entries in the state of an operator.";
    OperatorBytes: Operation Gauge, Operate, "operator_state_bytes", "bytes", [Operator, Thread],
        "Memory of the state of an operator, estimated from samples, without the overhead of the allocator.";

    // Output
    PublishedCells: Operation Counter, Steps(1), "cells_published_total", "messages", [],
        "Cell values published to the broker.";
    PublishedTombstones: Operation Counter, Steps(1), "cell_tombstones_published_total", "messages", [],
        "Closed cells published to the broker as tombstones.";
    UnacknowledgedCells: Operation Gauge, Operate, "cells_unacknowledged", "cells", [],
        "Cells whose newest value the broker has not acknowledged.";
    LeaseHeld: Operation Gauge, Open, "lease_held", "0 or 1", [],
        "Whether this process holds the lease by which it may publish. Without it, it publishes nothing; it ends if another process has taken it.";
    Standby: Operation Gauge, Open, "standby", "0 or 1", [],
        "Whether this process is a standby: it follows another one and publishes nothing.";
    CopyAge: Operation Gauge, Open, "standby_copy_age_seconds", "seconds", [],
        "In a standby, the time since its copy of the leader's ledger was last brought up to date; 0 in a process that leads.";
    Unrestored: Operation Gauge, Steps(1), "standby_unrestored_bytes", "bytes", [],
        "In a standby, the part of its copy of the leader's ledger that a takeover would have to restore: its worker threads restore the copy as it arrives, and begin anew when segments were replaced. The whole copy in a standby of one process of a cluster; 0 in a process that leads.";
    Standbys: Operation Gauge, Open, "standbys", "processes", [],
        "Standbys that have a copy of this process's ledger and sent a request within the last 10 seconds.";
    BackupAge: Operation Gauge, Open, "backup_age_seconds", "seconds", [],
        "The time since the state of the ledger that its backup has; 0 if `ledger.backup` is not set.";
    BackupFailures: Operation Counter, Open, "backup_failures_total", "attempts", [],
        "Failed attempts to bring the backup up to date; each is retried.";
    UnservedBrands: Operation Gauge, Open, "unserved_brands", "brands", [],
        "Brands that the configuration file gives to other shards and no process with a live lease serves, by the leases at the broker. A brand of a cluster is served if all of its processes have theirs.";
    PublishFailures: Operation Counter, Open, "publish_failures_total", "attempts", [],
        "Failed publish attempts; each is retried.";

    // Process
    ClockOffset: Operation Gauge, Open, "clock_offset_seconds", "seconds", [],
        "How far this machine's clock is ahead of the broker's.";
    ClockTrusted: Operation Gauge, Open, "clock_trusted", "0 or 1", [],
        "Whether this machine's clock agrees with the broker's clock and the newest arrival, within `workers.max_clock_skew`. While it does not, no expired data is deleted and no day is frozen.";
    Connected: Operation Gauge, Open, "connected", "0 or 1", [],
        "Whether the process is connected to NATS.";
    Ready: Operation Gauge, Open, "ready", "0 or 1", [],
        "Whether /readyz reports the process as ready: connected, restored, caught up, and within its lag limit.";
    Build: Operation Gauge, Open, "build_info", "always 1", [Commit, Version],
        "Version of the program and the commit it was built from.";
    StartTime: Operation Gauge, Open, "process_start_time_seconds", "seconds since 1970", [],
        "Time at which the process started.";
    ConfigReloaded: Operation Gauge, Open, "config_last_reload_success_timestamp_seconds", "seconds since 1970", [],
        "Time at which the configuration was last read and applied: at the start, or by a reload (SIGHUP, or a change of the file).";
    ConfigReload: Operation Gauge, Open, "config_last_reload_successful", "0 or 1", [],
        "Whether the last reload of the configuration (SIGHUP, or a change of the file) was applied; 1 before the first one. After one that was refused, everything is as before.";
    TelemetrySent: Operation Counter, Steps(1), "telemetry_sent_total", "spans or lines", [Signal],
        "Spans and log lines that the collector of telemetry has taken. Exists with `telemetry.otlp_endpoint` only.";
    TelemetryDropped: Operation Counter, Steps(1), "telemetry_dropped_total", "spans or lines", [Signal],
        "Spans and log lines that the collector of telemetry has missed: it was away or too slow for them, or rejected them. Exists with `telemetry.otlp_endpoint` only.";
    MemoryLevel: Operation Gauge, Open, "memory_level", "0, 1 or 2", [],
        "How much of `workers.memory` is used: 0 below 80 percent or without a budget, 1 while input is slowed, 2 while input waits at the broker.";
    Memory: Operation Gauge, Open, "process_resident_memory_bytes", "bytes", [],
        "Physical memory used by the process.";
    Cpu: Operation Counter, Open, "process_cpu_seconds_total", "seconds", [],
        "User and system CPU time used by the process.";

    // Attribution
    Conversions: Business Gauge, Open, "attributed_conversions", "conversions", [Brand, MonthWindow, Model, Channel, Sale, Currency],
        Attribution ["conversions_millionths"],
        "Conversions attributed to a channel. The channels of a model add up to all published conversions; `unattributed` are those without a touchpoint.";
    Value: Business Gauge, Open, "attributed_value", "major units of the currency", [Brand, MonthWindow, Model, Channel, Sale, Currency],
        Attribution ["value_minor"],
        "Revenue attributed to a channel. The channels of a model add up to published in-store and online revenue, net of refunds.";
    Contacts: Business Gauge, Open, "contacts", "contacts", [Brand, AnyWindow, Channel, Contact],
        CampaignDay ["impressions", "clicks", "views"],
        "Impressions, clicks and views by channel. The rest of a month counts in windows that cover the month.";
    MarkovEffect: Business Gauge, Open, "markov_removal_effect_ratio", "0 to 1", [Brand, MonthWindow, Sale, Currency, Channel],
        MarkovMonth ["removal_effect_ppm"],
        "Share of the month's conversion probability that would be lost without the channel; absent for several channels that are published together. Effects do not add up to 1; `other` is the sum of the smallest channels and may exceed 1.";
    MarkovConversions: Business Gauge, Open, "markov_conversions", "conversions", [Brand, MonthWindow, Sale, Currency, Channel],
        MarkovMonth ["conversions_millionths"],
        "Conversions of the month attributed to a channel by the Markov model.";
    MarkovValue: Business Gauge, Open, "markov_value", "major units of the currency", [Brand, MonthWindow, Sale, Currency, Channel],
        MarkovMonth ["value_minor"],
        "Revenue of the month attributed to a channel by the Markov model.";

    // Money in and out
    StoreTransactions: Business Gauge, Open, "store_transactions", "transactions", [Brand, Window, Store],
        StoreDay ["transactions"],
        "In-store sales that are not fully refunded. The rest of a month counts in windows that cover the month.";
    StoreTakings: Business Gauge, Open, "store_takings", "major units of the currency", [Brand, Window, Store, Currency],
        StoreDay ["revenue_minor"],
        "In-store revenue, net of refunds; a refund counts on the day of the sale. The rest of a month counts in windows that cover the month.";
    Orders: Business Gauge, Open, "orders", "orders", [Brand, Window],
        OrdersDay ["orders"],
        "Online orders that are not fully refunded.";
    OrderTakings: Business Gauge, Open, "order_takings", "major units of the currency", [Brand, Window, Currency],
        OrdersDay ["revenue_minor"],
        "Online revenue, net of refunds; a refund counts on the day of the order.";
    Spend: Business Gauge, Open, "spend", "major units of the currency", [Brand, AnyWindow, Platform, Channel, Currency],
        SpendDay ["cost_minor"],
        "Amounts charged by advertising platforms.";
    Roas: Business Gauge, Open, "return_on_ad_spend_ratio", "revenue per unit of spend", [Brand, MonthWindow, Model, Channel, Currency],
        "ROAS: attributed revenue divided by the spend of the same channel in the same month and currency; absent without spend, or if the revenue of the channel, in stores or online, is not all published under its own name.";
    CostPerConversion: Business Gauge, Open, "cost_per_conversion", "major units of the currency", [Brand, MonthWindow, Model, Channel, Currency],
        "Spend of a channel divided by its attributed conversions in the same month and currency; absent without either, or if the conversions of the channel, in stores or online, are not all published under its own name.";
    CostPerVisit: Business Gauge, Open, "cost_per_visit", "major units of the currency", [Brand, MonthWindow, Model, Channel, Currency],
        "Spend of a channel divided by the store visits attributed to it in the same month; absent without either, or if the visits of the channel are not all published under its own name. A brand with sightings by partners has it for months whose last day is settled: before, the spend would be divided by too few visits.";
    ReleasedShare: Business Gauge, Open, "released_share_ratio", "0 to 1", [Brand, ReleasedFamily, AnyWindow, Currency],
        "Share of the published money that the cells of single channels or stores show, rounded down to tenths; the rest is published under `*`. Absent if nothing is published. Shares of several processes do not add up: take the smallest.";

    // Stores
    Visits: Business Gauge, Open, "visits", "visits", [Brand, Window, Store],
        Visits ["visits"],
        "Visits to a store. The rest of a month counts in windows that cover the month.";
    PassersBy: Business Gauge, Open, "passers_by", "passes", [Brand, Window, Store],
        Visits ["passers_by"],
        "Devices that passed a store without a visit; each pass counts.";
    Dwell: Business Gauge, Open, "visit_dwell_seconds", "seconds", [Brand, Window, Store],
        Visits ["dwell_seconds"],
        "Total duration of all visits; divide by the number of visits for the average dwell.";
    Devices: Business Gauge, Open, "devices", "device-hours", [Brand, Window, Store],
        Visits ["devices"],
        "Distinct devices per hour, or per day or month where hours are published together, summed over these.";
    RandomDevices: Business Gauge, Open, "random_devices", "device-hours", [Brand, Window, Store],
        Visits ["random_devices"],
        "Distinct randomized device addresses per hour, or per day or month where hours are published together, summed over these; they appear in no other count.";

    PassVisits: Business Gauge, Open, "pass_visits", "visits", [Brand, Window, Store],
        ScanDay ["presences"],
        "Visits to a store in which a till read a wallet pass; scans of one pass with short gaps are one visit. `attributed_conversions` of kind `visit` add up to it and to `matched_visits`.";
    MatchedVisits: Business Gauge, Open, "matched_visits", "visits", [Brand, Window, Store],
        VisitMatch ["weight_millionths"],
        "Visits to a store that sightings of partners were matched with; a sighting that may be of several visits is divided among them. Divide by `visits` for the coverage.";
    MatchRatio: Business Gauge, Open, "partner_match_ratio", "0 to 1", [Brand],
        "Stays that partners saw and that were matched with a visit, without those that a scan of a wallet pass counts, divided by all stays that they saw, over 7 days; absent without one, and with `release.k` above 1, which does not tell the number of all stays.";
    PanelPersons: Business Gauge, Open, "panel_persons", "persons", [Brand, MonthWindow, Channel, Exposure],
        VisitLift ["exposed", "unexposed"],
        "Members of the month's panel, which are those whom partners report, by whether they saw or clicked the channel in the month. Persons are distinct within a channel. With `release.k` above 1, a month has them once all its days are settled.";
    PanelVisits: Business Gauge, Open, "panel_visits", "visits", [Brand, MonthWindow, Channel, Exposure],
        VisitLift ["exposed_visit_millionths", "unexposed_visit_millionths"],
        "Visits of these members that sightings were matched with: of the exposed ones from their first contact with the channel on. Divided by `panel_persons`, exposed beside unexposed, they give the lift, which compares and does not prove a cause.";
    PassScans: Business Gauge, Open, "pass_scans", "scans", [Brand, Window, Store],
        ScanDay ["scans"],
        "Scans of wallet passes at tills, redemptions included; several of one visit count each.";
    Redemptions: Business Gauge, Open, "redemptions", "redemptions", [Brand, AnyWindow, Channel],
        RedemptionDay ["redemptions"],
        "Vouchers redeemed at tills, by the channel of the voucher. Published with `release.k = 1` only.";
    NoticeBoxes: Business Gauge, Open, "notice_boxes", "boxes", [Brand, AnyWindow, Box, Answer],
        NoticeDay ["ticked", "unticked", "preticked", "withdrawn"],
        "Boxes of consent statements, by the notice beside them and what was answered.";
    WalletActive: Business Gauge, Open, "wallet_active", "passes", [Brand, WalletPlatform],
        "Wallet passes that are not void and that some holder has registered, as of the newest published day.";

    // Identity
    Persons: Business Gauge, Open, "persons", "persons", [Brand],
        Identity ["persons"],
        "Persons identified from the stored records.";
    Identifiers: Business Gauge, Open, "identifiers", "identifiers", [Brand],
        Identity ["identifiers"],
        "Identifiers in the stored records, including hubs.";
    Links: Business Gauge, Open, "identity_links", "links", [Brand],
        Identity ["links"],
        "Distinct pairs of identifiers that occur in the same record, excluding hubs.";
    Hubs: Business Gauge, Open, "identity_hubs", "identifiers", [Brand],
        Identity ["hubs"],
        "Identifiers that share records with too many others to identify anyone.";
    Oversized: Business Gauge, Open, "identity_oversized_persons", "persons", [Brand],
        Identity ["oversized"],
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
    fn sums_are_over_values_and_dimensions_of_their_family() {
        for entry in TABLE {
            for (family, values) in entry.sums {
                let is_value = |value| family.values().contains(value);
                assert!(values.iter().all(is_value), "{}", entry.name);
                let mut dims = entry.labels.iter().flat_map(|label| label.dims());
                assert!(
                    dims.all(|dim| family.dims().contains(dim)),
                    "{}",
                    entry.name
                );
            }
        }
    }

    #[test]
    fn every_business_metric_names_its_brand_first() {
        for entry in TABLE.iter().filter(|entry| entry.part == Part::Business) {
            assert_eq!(entry.labels.first(), Some(&Label::Brand), "{}", entry.name);
        }
    }
}

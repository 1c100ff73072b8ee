//! Metrics for Prometheus, in its text exposition format.
//!
//! There are two kinds. *Operational* metrics describe the process; its tasks
//! set them. *Business* metrics are sums of released cells; they are computed
//! and encoded when the cells have changed, so that a scrape only copies text:
//! encoding holds no lock that a worker waits for.
//!
//! [`table`] describes every metric once. What is registered, what is exported,
//! and the reference for people are all derived from it. A metric that is not
//! in the table cannot be set, because every method addresses metrics by
//! [`table::Id`].
//!
//! Most counters follow totals that other parts of the process keep, such as
//! the counts of worker threads. They are raised to a total and never set, so
//! that a total read out of order cannot make a counter decrease, which
//! Prometheus would take for a restart of the process.

mod brands;
pub mod business;
pub mod cap;
pub mod label;
pub mod process;
mod read;
mod reference;
mod stepped;
pub mod table;
mod whole;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, HistogramOpts, HistogramVec, Opts, Registry, TextEncoder};
use tributary_config::model::{Config, Kind};
use tributary_connectors::brand::sources;
use tributary_connectors::dead_letter::{Ignored, Reason};
use tributary_connectors::nats::InputCounts;
use tributary_operators::allowed_uses::Use;
use tributary_operators::record::BrandId;
use tributary_rights::{Head, Right};

pub use process::resident_memory;
pub use reference::reference;
pub use stepped::Audience;

use crate::otlp::queue::Signal;
use crate::report::counts::Counts;
use crate::report::published_cells::PublishedCells;
use crate::report::worker_profile::WorkerProfiles;
use crate::version;
use brands::MetricBrands;
use business::BrandDay;
use label::{CALLBACK_OUTCOMES, CHOICES, HTTP_CODES, Label, OUTCOMES, SIGHTING_OUTCOMES, UNKNOWN};
use stepped::Sample;
use table::{Id, Part, Row, TABLE, Type};

/// The metrics of this process.
pub struct Metrics {
    /// The registry of the operational metrics.
    registry: Registry,
    /// Operational metrics in the order of [`TABLE`]; `None` for a business metric.
    own: Vec<Option<Own>>,
    /// The configured brands.
    brands: Mutex<Arc<MetricBrands>>,
    /// Maximum number of channels, stores or platforms per metric and brand
    /// (`http.max_series`).
    max_series: usize,
    /// Interval of the samples that others than operators see.
    cadence: Duration,
    /// What others than operators see.
    sample: Mutex<Sample>,
    /// The newest closed epoch.
    closed: AtomicU64,
    /// Held while counters are raised to a total, which reads them first.
    raising: Mutex<()>,
    /// The encoded business metrics.
    shown: Mutex<Arc<Shown>>,
}

/// Business metrics as text, and what they were computed from.
#[derive(Default)]
struct Shown {
    /// Stamp of the cells.
    stamp: u64,
    /// Current day of each brand.
    days: Vec<i32>,
    /// The metric families.
    families: Vec<MetricFamily>,
    /// All of them as text.
    text: String,
}

/// A registered operational metric.
enum Own {
    Counter(CounterVec),
    Gauge(GaugeVec),
    Histogram(HistogramVec),
}

/// Locks a mutex. A poisoned lock is used as it is.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Metrics {
    /// All metrics at zero, for the brands of a configuration. Counters exist
    /// before their first event, because `increase()` in PromQL does not see the
    /// first sample of a series.
    pub fn new(config: &Config) -> Metrics {
        Metrics::of(config, |_| true)
    }

    /// The metrics of a process that reads released cells and has no dataflow:
    /// business metrics, and those of the process itself. What it does not do is
    /// absent, and not 0.
    pub fn of_readers(config: &Config) -> Metrics {
        let of_process = [
            Id::Ready,
            Id::Build,
            Id::StartTime,
            Id::ConfigReloaded,
            Id::ConfigReload,
            Id::Memory,
            Id::Cpu,
            Id::TelemetrySent,
            Id::TelemetryDropped,
        ];
        Metrics::of(config, |id| of_process.contains(&id))
    }

    /// The metrics of a process that exports the operational ones that it `has`.
    fn of(config: &Config, has: impl Fn(Id) -> bool) -> Metrics {
        let registry = Registry::new();
        let own = TABLE.iter().map(|row| match row.part {
            Part::Operation if !has(row.id) => None,
            Part::Operation => register(&registry, row)
                .inspect_err(|error| tracing::error!(%error, metric = row.name, "cannot register"))
                .ok(),
            Part::Business => None,
        });
        let metrics = Metrics {
            own: own.collect(),
            registry,
            brands: Mutex::new(Arc::new(MetricBrands::new(config))),
            max_series: config.http.max_series,
            cadence: Duration::from_millis(config.release.cadence_ms),
            sample: Mutex::default(),
            closed: AtomicU64::new(0),
            raising: Mutex::default(),
            shown: Mutex::default(),
        };
        metrics.config_reloaded(true);
        // A counter that is not there before its first event hides that event from `increase()`.
        for outcome in CALLBACK_OUTCOMES {
            metrics.raise(Id::Callbacks, &[outcome], 0.0);
        }
        metrics.begin_brands(config, |_| true);
        metrics.set(Id::Build, &[version::COMMIT, version::VERSION], 1.0);
        metrics.take_sample();
        metrics
    }

    /// Follows a configuration that has more brands or sources than before, or another
    /// release gate. What is new begins at zero, and everything else goes on.
    pub fn follow(&self, config: &Config) {
        let before = std::mem::replace(
            &mut *lock(&self.brands),
            Arc::new(MetricBrands::new(config)),
        );
        self.begin_brands(config, |brand| !before.has(brand));
    }

    /// The configured brands.
    fn brands(&self) -> Arc<MetricBrands> {
        lock(&self.brands).clone()
    }

    /// Sets the series of all sources to zero where there are none, and those of the
    /// brands that are new.
    fn begin_brands(&self, config: &Config, is_new: impl Fn(&str) -> bool) {
        for brand in &config.brands {
            if is_new(&brand.name) && brand.has_partners() && config.workers.process == 0 {
                self.settled_through(&brand.name, 0);
            }
            for outcome in SIGHTING_OUTCOMES.iter().filter(|_| brand.has_partners()) {
                self.raise(Id::PartnerSightings, &[&brand.name, outcome], 0.0);
            }
            for source in sources(brand) {
                let labels = [&brand.name, source.kind.name(), &source.name];
                self.raise(Id::Accepted, &labels, 0.0);
            }
        }
        let brands = config.brands.iter().map(|brand| brand.name.as_str());
        for brand in brands.filter(|brand| is_new(brand)) {
            for right in Label::Right.words().unwrap_or_default() {
                for outcome in OUTCOMES {
                    self.raise(Id::RightsRequests, &[brand, outcome, right], 0.0);
                }
            }
            self.raise(Id::Suppressed, &[brand], 0.0);
            self.raise(Id::UnreadSections, &[brand], 0.0);
            self.set(Id::RelayRatio, &[brand], 0.0);
            self.raise(Id::SettledDays, &[brand], 0.0);
            self.raise(Id::SettledPings, &[brand], 0.0);
            self.retention_pass(brand, 0, 0);
            self.rights_waiting(brand, 0, Duration::ZERO);
        }
    }

    /// Sets the counters to the totals since the start: `counts` of the workers,
    /// and `dead` letters by brand, kind and reason. A total below the previous one
    /// changes nothing.
    pub fn sync(
        &self,
        counts: &Counts,
        dead: &BTreeMap<(Option<String>, Option<String>, Reason), u64>,
    ) {
        let _raising = lock(&self.raising);
        let brands = self.brands();
        for ((brand, kind, source), count) in &counts.accepted {
            let brand = brands.name(*brand).unwrap_or(UNKNOWN);
            self.raise(Id::Accepted, &[brand, kind, source], *count as f64);
        }
        for (id, counts) in [
            (Id::Suppressed, &counts.suppressed),
            (Id::SettledDays, &counts.settled_days),
            (Id::SettledPings, &counts.settled_pings),
        ] {
            for (brand, count) in counts {
                if let Some(brand) = brands.name(*brand) {
                    self.raise(id, &[brand], *count as f64);
                }
            }
        }
        for (brand, count) in &counts.unread_sections {
            if let Some(brand) = brands.name(*brand) {
                self.raise(Id::UnreadSections, &[brand], *count as f64);
            }
        }
        for (brand, emails) in &counts.emails {
            if let Some(brand) = brands.name(*brand) {
                let ratio = emails.relayed as f64 / emails.all.max(1) as f64;
                self.set(Id::RelayRatio, &[brand], ratio);
            }
        }
        let mut refused: BTreeMap<[&str; 3], u64> = BTreeMap::new();
        for ((brand, kind, reason), count) in dead {
            let brand = brand.as_deref().filter(|brand| brands.has(brand));
            let kind = label::origin_kind(kind.as_deref());
            *refused
                .entry([brand.unwrap_or(UNKNOWN), kind, reason.name()])
                .or_default() += count;
        }
        let mut sightings: BTreeMap<[&str; 2], u64> = BTreeMap::new();
        for ([brand, kind, reason], count) in &refused {
            if *kind == Kind::Partner.name() && *brand != UNKNOWN {
                let outcome = match *reason == Reason::LateSighting.name() {
                    true => "late",
                    false => "rejected",
                };
                *sightings.entry([*brand, outcome]).or_default() += count;
            }
        }
        for (brand, count) in &counts.sightings {
            if let Some(brand) = brands.name(*brand) {
                sightings.insert([brand, "accepted"], *count);
            }
        }
        for (labels, count) in sightings {
            self.raise(Id::PartnerSightings, &labels, count as f64);
        }
        for (labels, count) in refused {
            self.raise(Id::DeadLetters, &labels, count as f64);
        }
        let stages = &counts.stages;
        if let Some(Own::Gauge(of)) = self.own(Id::Consents) {
            let names = brands.names.iter();
            for (brand, step) in names.flat_map(|b| Use::ALL.map(|step| (b, step))) {
                let counted = counts.consents.get(&(BrandId::of(brand), step));
                for (place, choice) in CHOICES.into_iter().enumerate() {
                    let labels = [brand.as_str(), choice, step.name()];
                    match counted.and_then(|counted| counted.get(place)) {
                        Some(count) => self.set(Id::Consents, &labels, *count as f64),
                        // What is not there cannot be removed, and need not be.
                        None => drop(of.remove_label_values(&labels)),
                    }
                }
            }
        }
        let ignored = |what| counts.ignored.get(&what).copied().unwrap_or(0) as f64;
        let pings = [Ignored::FixedDevice, Ignored::SettledPing].map(ignored);
        self.raise(Id::PingsIgnored, &[], pings.into_iter().sum());
        self.raise(Id::RobotRecords, &[], ignored(Ignored::Robot));
        self.raise(Id::NotMapped, &[], ignored(Ignored::NotMapped));
        let corrected = counts.corrected_times as f64;
        self.raise(Id::CorrectedTimes, &[], corrected);
        let past = ignored(Ignored::PastRetention);
        self.raise(Id::ArrivedPast, &[], past);
        self.raise(Id::Duplicates, &[], stages.duplicates as f64);
        self.raise(Id::Corrections, &[], stages.corrections as f64);
        self.raise(Id::Superseded, &[], stages.superseded as f64);
        self.raise(Id::PingsOver, &[], stages.pings_not_sampled as f64);
        self.raise(Id::Collisions, &[], stages.collisions as f64);
        self.set(Id::Labels, &[], stages.labels as f64);
        self.set(Id::Held, &[], stages.held as f64);
        self.set(Id::Released, &[], stages.cells as f64);
        self.set(Id::Hidden, &[], stages.hidden as f64);
        self.set(Id::MonthsWaiting, &[], stages.months_waiting as f64);
        self.set(Id::FoldedChannels, &[], stages.folded as f64);
        self.take_sample();
    }

    /// Sets what the operators of each thread do and keep.
    pub fn profiles(&self, profiles: &WorkerProfiles) {
        let _raising = lock(&self.raising);
        for (thread, profile) in profiles {
            let thread = thread.to_string();
            let epoch = profile.recent_epoch.as_secs_f64();
            self.set(Id::LongestEpoch, &[&thread], epoch);
            for (name, of) in &profile.operators {
                let labels = [name, thread.as_str()];
                self.raise(Id::OperatorUpdates, &labels, of.updates as f64);
                self.raise(Id::OperatorBusy, &labels, of.busy.as_secs_f64());
                self.set(Id::OperatorEntries, &labels, of.entries as f64);
                self.set(Id::OperatorBytes, &labels, of.bytes as f64);
                self.set(Id::OperatorStep, &labels, of.recent.as_secs_f64());
            }
        }
    }

    /// Samples what others than operators see, if a release cadence has passed.
    fn take_sample(&self) {
        let now = Instant::now();
        let mut sample = lock(&self.sample);
        if sample.is_due(self.cadence, now) {
            sample.take(&self.registry.gather(), self.brands().k_delta, now);
        }
    }

    /// Computes the business metrics. `today` returns the current day in a brand's
    /// time zone. Does nothing if neither the cells nor a day have changed.
    ///
    /// This reads weeks of cells: pass a clone, so that worker threads do not wait
    /// for the lock.
    pub fn board(&self, board: &PublishedCells, today: impl Fn(&str) -> i32) {
        let known = self.brands();
        let days: Vec<i32> = known.names.iter().map(|brand| today(brand)).collect();
        let before = lock(&self.shown).clone();
        if before.stamp == board.stamp() && before.days == days {
            return;
        }
        let gates = known.gates.iter().zip(&days);
        let brands: Vec<_> = (known.names.iter().zip(gates))
            .map(|(name, ((hides, wait), today))| BrandDay {
                name,
                today: *today,
                hides: *hides,
                settled: wait.map(|wait| today.saturating_sub(wait)),
            })
            .collect();
        let families = business::families(board, &brands, self.max_series);
        let text = encode(&families);
        *lock(&self.shown) = Arc::new(Shown {
            stamp: board.stamp(),
            days,
            families,
            text,
        });
    }

    /// All exact metrics in the text format, version 0.0.4.
    pub fn encode(&self) -> String {
        self.encode_for(&Audience::OPERATORS)
    }

    /// The metrics that an audience sees, in the text format, version 0.0.4.
    pub fn encode_for(&self, audience: &Audience<'_>) -> String {
        let usage = process::Usage::read();
        if let Some(bytes) = usage.memory {
            self.set(Id::Memory, &[], bytes as f64);
        }
        if let Some(seconds) = usage.start {
            self.set(Id::StartTime, &[], seconds);
        }
        if let Some(seconds) = usage.cpu {
            let _raising = lock(&self.raising);
            self.raise(Id::Cpu, &[], seconds);
        }
        let exact = self.registry.gather();
        let shown = lock(&self.shown).clone();
        if audience.is_operator {
            return encode(&exact) + &shown.text;
        }
        let own = lock(&self.sample).show(exact, |brand| audience.is_exact(brand));
        let own = stepped::of_brands(own, |brand| audience.sees(brand));
        let of_brands = stepped::of_brands(shown.families.clone(), |brand| audience.sees(brand));
        encode(&own) + &encode(&of_brands)
    }

    /// Sets the position of the input: the last `sequence` that was read, and the
    /// number of `pending` messages. Adds `messages` and `bytes` read since the
    /// last call.
    pub fn input(
        &self,
        (sequence, of_pings): (u64, Option<u64>),
        pending: u64,
        (messages, bytes): (u64, u64),
    ) {
        self.set(Id::InputPosition, &[], sequence as f64);
        if let Some(sequence) = of_pings {
            self.set(Id::PingsPosition, &[], sequence as f64);
        }
        self.set(Id::InputPending, &[], pending as f64);
        self.count(Id::InputMessages, messages);
        self.count(Id::InputBytes, bytes);
    }

    /// Sets the totals of events while reading, since the start.
    pub fn input_counts(&self, counts: InputCounts) {
        let _raising = lock(&self.raising);
        self.raise(Id::InputGaps, &[], counts.gaps as f64);
        self.raise(Id::InputRedelivered, &[], counts.redelivered as f64);
        self.raise(Id::InputReopened, &[], counts.reopened as f64);
        self.raise(Id::InputHeartbeats, &[], counts.heartbeats_missed as f64);
        self.raise(Id::InputDropped, &[], counts.slow_consumer as f64);
    }

    /// Sets the ledger's entries and bytes.
    pub fn ledger(&self, entries: u64, bytes: u64) {
        self.set(Id::LedgerEntries, &[], entries as f64);
        self.set(Id::LedgerBytes, &[], bytes as f64);
    }

    /// Records a commit of the ledger: its duration, and the ledger's entries and
    /// bytes after it.
    pub fn committed(&self, took: Duration, entries: u64, bytes: u64) {
        self.ledger(entries, bytes);
        self.observe(Id::CommitDuration, took.as_secs_f64());
    }

    /// Counts replaced segments that could not be overwritten.
    pub fn not_overwritten(&self, files: u64) {
        self.count(Id::LedgerNotOverwritten, files);
    }

    /// Records the duration of the restore, and the number of entries.
    pub fn restored(&self, took: Duration, entries: u64) {
        self.set(Id::RestoreDuration, &[], took.as_secs_f64());
        self.set(Id::RestoredEntries, &[], entries as f64);
    }

    /// Records the progress of epochs: the newest closed one (0 if there is none),
    /// the time since it was opened, the lag, and the length of a tick.
    pub fn epoch(&self, closed: u64, since: Duration, lag_seconds: f64, tick_seconds: f64) {
        self.lag(lag_seconds);
        self.set(Id::Tick, &[], tick_seconds);
        if self.closed.fetch_max(closed, Relaxed) < closed {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            self.set(Id::Epoch, &[], now.as_secs_f64());
            self.observe(Id::EpochDuration, since.as_secs_f64());
        }
    }

    /// Sets how far the wall clock is ahead of the broker's, in milliseconds, if
    /// known, and whether it is trusted.
    pub fn clock(&self, offset_ms: Option<i64>, trusted: bool) {
        if let Some(offset) = offset_ms {
            self.set(Id::ClockOffset, &[], offset as f64 / 1000.0);
        }
        self.set(Id::ClockTrusted, &[], f64::from(u8::from(trusted)));
    }

    /// Sets how far closed epochs trail the input, in seconds.
    pub fn lag(&self, seconds: f64) {
        self.set(Id::Lag, &[], seconds);
    }

    /// Adds what was published: cells, tombstones, and failed attempts.
    pub fn published(&self, cells: u64, tombstones: u64, failed: u64) {
        self.count(Id::PublishedCells, cells);
        self.count(Id::PublishedTombstones, tombstones);
        self.count(Id::PublishFailures, failed);
    }

    /// Sets the number of cells whose newest value the broker has not acknowledged.
    pub fn unacknowledged(&self, cells: usize) {
        self.set(Id::UnacknowledgedCells, &[], cells as f64);
    }

    /// Sets how much of the memory budget is used: 0, 1 or 2.
    pub fn memory_level(&self, level: u8) {
        self.set(Id::MemoryLevel, &[], f64::from(level));
    }

    /// Sets whether the configuration that was read last was applied, and when.
    pub fn config_reloaded(&self, is_applied: bool) {
        self.set(Id::ConfigReload, &[], f64::from(u8::from(is_applied)));
        if is_applied {
            let now = jiff::Timestamp::now().as_second();
            self.set(Id::ConfigReloaded, &[], now as f64);
        }
    }

    /// Sets whether this process follows another one, and how old its copy of the
    /// other's ledger is; `None` if it leads.
    pub fn follows(&self, copied: Option<Duration>) {
        self.set(Id::Standby, &[], f64::from(u8::from(copied.is_some())));
        self.set(Id::CopyAge, &[], copied.unwrap_or_default().as_secs_f64());
    }

    /// Sets how much of its copy a standby has not restored yet, bytes.
    pub fn unrestored(&self, bytes: u64) {
        self.set(Id::Unrestored, &[], bytes as f64);
    }

    /// Sets the number of standbys of this process.
    pub fn standbys(&self, count: usize) {
        self.set(Id::Standbys, &[], count as f64);
    }

    /// Sets how old the backup is.
    pub fn backup_age(&self, age: Duration) {
        self.set(Id::BackupAge, &[], age.as_secs_f64());
    }

    /// Counts a failed attempt to bring the backup up to date.
    pub fn backup_failed(&self) {
        self.count(Id::BackupFailures, 1);
    }

    /// Sets the number of brands that no process serves.
    pub fn unserved_brands(&self, count: usize) {
        self.set(Id::UnservedBrands, &[], count as f64);
    }

    /// Sets whether this process holds the lease by which it may publish.
    pub fn lease_held(&self, holds: bool) {
        self.set(Id::LeaseHeld, &[], f64::from(u8::from(holds)));
    }

    /// Counts an answered rights request. `right` is `None` if the request was
    /// rejected before its type was read; a brand that is not configured counts as
    /// `unknown`.
    pub fn right_answered(&self, brand: &str, right: Option<Right>, completed: bool) {
        let brand = match self.brands().has(brand) {
            true => brand,
            false => UNKNOWN,
        };
        let [done, rejected] = OUTCOMES;
        let outcome = if completed { done } else { rejected };
        let right = right.map_or(UNKNOWN, Right::name);
        self.add(Id::RightsRequests, &[brand, outcome, right], 1);
    }

    /// Sets the number of waiting rights requests of a brand, and the age of the
    /// oldest.
    pub fn rights_waiting(&self, brand: &str, open: u64, oldest: Duration) {
        self.set(Id::RightsOldest, &[brand], oldest.as_secs_f64());
        self.set(Id::RightsOpen, &[brand], open as f64);
    }

    /// Counts an attempt to post a callback: one of
    /// [`CALLBACK_OUTCOMES`](label::CALLBACK_OUTCOMES).
    pub fn callback(&self, outcome: &str) {
        self.add(Id::Callbacks, &[outcome], 1);
    }

    /// Records a check of the audit log of a brand: the head of the log, or `None`
    /// if it is damaged.
    pub fn audit_chain(&self, brand: &str, head: Option<Head>) {
        let verified = f64::from(u8::from(head.is_some()));
        self.set(Id::AuditVerified, &[brand], verified);
        if let Some(head) = head {
            self.audit_head(brand, head);
        }
    }

    /// Records the head of the audit log of a brand.
    pub fn audit_head(&self, brand: &str, head: Head) {
        self.set(Id::AuditEntries, &[brand], head.seq as f64);
        let bits = head.hash.as_bytes().iter().take(6);
        let bits = bits.fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        // 48 bits are exact as a floating-point number.
        self.set(Id::AuditHead, &[brand], bits as f64);
    }

    /// Records a retention pass of a brand at a time in Unix milliseconds that
    /// retracted `records` records.
    pub fn retention_pass(&self, brand: &str, at_ms: i64, records: u64) {
        self.set(Id::RetentionPass, &[brand], at_ms as f64 / 1000.0);
        self.add(Id::RetentionRecords, &[brand], records);
    }

    /// Records that the sightings of a brand are settled up to a Unix second.
    pub fn settled_through(&self, brand: &str, second: i64) {
        self.set(Id::PartnersSettled, &[brand], second as f64);
    }

    /// Records that the sightings of a brand are due to be settled up to a Unix second.
    pub fn settling_due(&self, brand: &str, second: i64) {
        self.set(Id::PartnersDue, &[brand], second as f64);
    }

    /// Lets the counters of the HTTP ingest server exist for a source before its
    /// first request.
    pub fn http_ingest_source(&self, brand: &str, source: &str) {
        for code in ["200", "202", "429", "503"] {
            self.add(Id::HttpIngestRequests, &[brand, code, source], 0);
        }
        self.add(Id::HttpIngestBytes, &[brand, source], 0);
    }

    /// Counts a request to the HTTP ingest server: the brand and the source that
    /// it was admitted to, and the code of its response.
    pub fn http_ingest_request(&self, admitted: Option<(&str, &str)>, code: u16) {
        let (brand, source) = admitted.unwrap_or((UNKNOWN, UNKNOWN));
        let code = code.to_string();
        let code = HTTP_CODES.into_iter().find(|known| *known == code);
        let labels = [brand, code.unwrap_or("500"), source];
        self.add(Id::HttpIngestRequests, &labels, 1);
    }

    /// Counts the body of an accepted request, and the time for which the stream
    /// took to acknowledge its messages.
    pub fn http_ingest_accepted(&self, brand: &str, source: &str, bytes: usize, took: Duration) {
        self.add(Id::HttpIngestBytes, &[brand, source], bytes as u64);
        self.observe(Id::HttpIngestAck, took.as_secs_f64());
    }

    /// Sets the totals of what the collector of telemetry has taken, and of what was
    /// dropped, of a signal.
    pub fn exported(&self, signal: Signal, sent: u64, dropped: u64) {
        let _raising = lock(&self.raising);
        let labels = [signal.name()];
        self.raise(Id::TelemetrySent, &labels, sent as f64);
        self.raise(Id::TelemetryDropped, &labels, dropped as f64);
    }

    /// Sets whether there is a connection to NATS.
    pub fn connected(&self, yes: bool) {
        self.set(Id::Connected, &[], f64::from(u8::from(yes)));
    }

    /// Sets whether the process is ready.
    pub fn ready(&self, yes: bool) {
        self.set(Id::Ready, &[], f64::from(u8::from(yes)));
    }

    /// Adds an observation to a histogram without labels.
    fn observe(&self, id: Id, value: f64) {
        if let Some(Own::Histogram(of)) = self.own(id)
            && let Ok(histogram) = of.get_metric_with_label_values::<&str>(&[])
        {
            histogram.observe(value);
        }
    }

    /// A registered metric.
    fn own(&self, id: Id) -> Option<&Own> {
        self.own.get(id as usize)?.as_ref()
    }

    /// Sets a gauge.
    fn set(&self, id: Id, labels: &[&str], value: f64) {
        if let Some(Own::Gauge(of)) = self.own(id)
            && let Ok(gauge) = of.get_metric_with_label_values(labels)
        {
            gauge.set(value);
        }
    }

    /// Adds to a counter without labels.
    fn count(&self, id: Id, by: u64) {
        self.add(id, &[], by);
    }

    /// Adds to a counter.
    fn add(&self, id: Id, labels: &[&str], by: u64) {
        if let Some(Own::Counter(of)) = self.own(id)
            && let Ok(counter) = of.get_metric_with_label_values(labels)
        {
            counter.inc_by(by as f64);
        }
    }

    /// Raises a counter to a total; it never decreases.
    fn raise(&self, id: Id, labels: &[&str], to: f64) {
        if let Some(Own::Counter(of)) = self.own(id)
            && let Ok(counter) = of.get_metric_with_label_values(labels)
        {
            counter.inc_by((to - counter.get()).max(0.0));
        }
    }
}

/// Registers a metric. One without labels exists at zero from the start.
fn register(registry: &Registry, row: &Row) -> prometheus::Result<Own> {
    let labels: Vec<&str> = row.labels.iter().map(|label| label.name()).collect();
    let (name, help) = (row.full_name(), row.help);
    // What has no labels is there from the start, at zero.
    Ok(match row.kind {
        Type::Counter => {
            let of = CounterVec::new(Opts::new(name, help), &labels)?;
            registry.register(Box::new(of.clone()))?;
            if labels.is_empty() {
                of.get_metric_with_label_values::<&str>(&[])?;
            }
            Own::Counter(of)
        }
        Type::Gauge => {
            let of = GaugeVec::new(Opts::new(name, help), &labels)?;
            registry.register(Box::new(of.clone()))?;
            // The operating system may not tell what these say.
            if labels.is_empty() && !matches!(row.id, Id::Memory | Id::StartTime) {
                of.get_metric_with_label_values::<&str>(&[])?;
            }
            Own::Gauge(of)
        }
        Type::Histogram(bounds) => {
            let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
            let of = HistogramVec::new(options, &labels)?;
            registry.register(Box::new(of.clone()))?;
            if labels.is_empty() {
                of.get_metric_with_label_values::<&str>(&[])?;
            }
            Own::Histogram(of)
        }
    })
}

/// Encodes metric families as text.
fn encode(families: &[MetricFamily]) -> String {
    let mut text = String::new();
    if let Err(error) = TextEncoder::new().encode_utf8(families, &mut text) {
        tracing::error!(%error, "not all metrics could be written");
    }
    text
}

#[cfg(test)]
mod tests;

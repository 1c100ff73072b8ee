//! Metrics for Prometheus.
//!
//! Two kinds go out at `/metrics`. *Operational* ones say how the process does; the run loop sets them as it
//! goes. *Business* ones say what released cells add up to; they are computed and written out when the board
//! has changed, so that a scrape only copies them: encoding holds no lock that a worker waits for.
//!
//! [`table`] describes every metric once. What is registered, what is exported and the reference for people
//! all come from there.

pub mod business;
pub mod cap;
pub mod label;
pub mod process;
mod read;
mod reference;
pub mod table;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{CounterVec, GaugeVec, HistogramOpts, HistogramVec, Opts, Registry, TextEncoder};
use tributary_config::model::{Config, Kind};
use tributary_connectors::dead_letter::{Ignored, Reason};
use tributary_connectors::nats::InputCounts;
use tributary_operators::allowed_uses::Use;
use tributary_operators::record::BrandId;
use tributary_rights::Right;

pub use reference::reference;

use crate::report::counts::Counts;
use crate::report::published_cells::PublishedCells;
use crate::version;
use label::{CHOICES, Label, OUTCOMES, UNKNOWN};
use table::{Id, Part, Row, TABLE, Type};

/// The metrics of this process.
pub struct Metrics {
    registry: Registry,
    /// In the order of [`TABLE`]; nothing for what [`business`] writes.
    own: Vec<Option<Own>>,
    brands: Vec<String>,
    max_series: usize,
    /// The newest closed epoch.
    closed: AtomicU64,
    /// Held while counters are raised, since raising reads first.
    raising: Mutex<()>,
    shown: Mutex<Arc<Shown>>,
}

/// The business gauges as text, and what they were computed from.
#[derive(Default)]
struct Shown {
    stamp: u64,
    days: Vec<i32>,
    text: String,
}

enum Own {
    Counter(CounterVec),
    Gauge(GaugeVec),
    Histogram(HistogramVec),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Metrics {
    /// All metrics at zero, for the brands of a configuration.
    pub fn new(config: &Config) -> Metrics {
        let registry = Registry::new();
        let own = TABLE.iter().map(|row| match row.part {
            Part::Operation => register(&registry, row)
                .inspect_err(|error| tracing::error!(%error, metric = row.name, "cannot register"))
                .ok(),
            Part::Business => None,
        });
        let metrics = Metrics {
            own: own.collect(),
            registry,
            brands: config
                .brands
                .iter()
                .map(|brand| brand.name.clone())
                .collect(),
            max_series: config.http.max_series,
            closed: AtomicU64::new(0),
            raising: Mutex::default(),
            shown: Mutex::default(),
        };
        // A counter that is not there before its first event hides that event from `increase()`.
        for brand in &metrics.brands {
            for kind in Kind::ALL {
                metrics.raise(Id::Accepted, &[brand, kind.name()], 0.0);
            }
            for right in Label::Right.words().unwrap_or_default() {
                for outcome in OUTCOMES {
                    metrics.raise(Id::RightsRequests, &[brand, outcome, right], 0.0);
                }
            }
            metrics.raise(Id::Suppressed, &[brand], 0.0);
            metrics.raise(Id::UnreadSections, &[brand], 0.0);
            metrics.raise(Id::SettledDays, &[brand], 0.0);
            metrics.raise(Id::SettledPings, &[brand], 0.0);
            metrics.retention_pass(brand, 0, 0);
            metrics.rights_waiting(brand, 0, Duration::ZERO);
        }
        metrics.set(Id::Build, &[version::COMMIT, version::VERSION], 1.0);
        metrics
    }

    /// Takes over what was counted since the process started: `counts` by the workers, `dead` refused lines
    /// by brand, kind and reason. A count that is lower than before changes nothing.
    pub fn sync(
        &self,
        counts: &Counts,
        dead: &BTreeMap<(Option<String>, Option<String>, Reason), u64>,
    ) {
        let _raising = lock(&self.raising);
        for ((brand, kind), count) in &counts.accepted {
            let brand = self.name(*brand).unwrap_or(UNKNOWN);
            self.raise(Id::Accepted, &[brand, kind], *count as f64);
        }
        for (id, counts) in [
            (Id::Suppressed, &counts.suppressed),
            (Id::SettledDays, &counts.settled_days),
            (Id::SettledPings, &counts.settled_pings),
        ] {
            for (brand, count) in counts {
                if let Some(brand) = self.name(*brand) {
                    self.raise(id, &[brand], *count as f64);
                }
            }
        }
        for (brand, count) in &counts.unread_sections {
            if let Some(brand) = self.name(*brand) {
                self.raise(Id::UnreadSections, &[brand], *count as f64);
            }
        }
        let mut refused: BTreeMap<[&str; 3], u64> = BTreeMap::new();
        for ((brand, kind, reason), count) in dead {
            let brand = brand
                .as_deref()
                .filter(|brand| self.brands.iter().any(|b| b == brand));
            let kind = label::origin_kind(kind.as_deref());
            *refused
                .entry([brand.unwrap_or(UNKNOWN), kind, reason.name()])
                .or_default() += count;
        }
        for (labels, count) in refused {
            self.raise(Id::DeadLetters, &labels, count as f64);
        }
        let stages = &counts.stages;
        if let Some(Own::Gauge(of)) = self.own(Id::Consents) {
            let brands = self.brands.iter();
            for (brand, step) in brands.flat_map(|b| Use::ALL.map(|step| (b, step))) {
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
        self.set(Id::FoldedChannels, &[], stages.folded as f64);
    }

    /// The name of a brand of the configuration.
    fn name(&self, brand: BrandId) -> Option<&str> {
        let mut brands = self.brands.iter();
        brands
            .find(|name| BrandId::of(name) == brand)
            .map(String::as_str)
    }

    /// Computes the business gauges; `today` is the current day in a brand's time zone. Nothing is done where
    /// neither the board nor a day has changed since the last time.
    ///
    /// This reads weeks of cells. Where worker threads write to them, pass a clone and release the lock.
    pub fn board(&self, board: &PublishedCells, today: impl Fn(&str) -> i32) {
        let days: Vec<i32> = self.brands.iter().map(|brand| today(brand)).collect();
        let before = lock(&self.shown).clone();
        if before.stamp == board.stamp() && before.days == days {
            return;
        }
        let brands: Vec<(&str, i32)> = self
            .brands
            .iter()
            .map(String::as_str)
            .zip(days.iter().copied())
            .collect();
        let families = business::families(board, &brands, self.max_series);
        let text = encode(&families);
        *lock(&self.shown) = Arc::new(Shown {
            stamp: board.stamp(),
            days,
            text,
        });
    }

    /// Everything in the text format, version 0.0.4.
    pub fn encode(&self) -> String {
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
        let mut text = encode(&self.registry.gather());
        let shown = lock(&self.shown).clone();
        text.push_str(&shown.text);
        text
    }

    /// Where the input stands: the `sequence` read last and how many messages are `pending`; and how many
    /// `messages` and `bytes` were taken since the last call.
    pub fn input(&self, sequence: u64, pending: u64, messages: u64, bytes: u64) {
        self.set(Id::InputPosition, &[], sequence as f64);
        self.set(Id::InputPending, &[], pending as f64);
        self.count(Id::InputMessages, messages);
        self.count(Id::InputBytes, bytes);
    }

    /// What happened while reading, counted since the start.
    pub fn input_counts(&self, counts: InputCounts) {
        let _raising = lock(&self.raising);
        self.raise(Id::InputGaps, &[], counts.gaps as f64);
        self.raise(Id::InputRedelivered, &[], counts.redelivered as f64);
        self.raise(Id::InputReopened, &[], counts.reopened as f64);
        self.raise(Id::InputHeartbeats, &[], counts.heartbeats_missed as f64);
        self.raise(Id::InputDropped, &[], counts.slow_consumer as f64);
    }

    /// A commit of the ledger: how long it took, and the entries and bytes of the ledger now.
    pub fn committed(&self, took: Duration, entries: u64, bytes: u64) {
        self.set(Id::LedgerEntries, &[], entries as f64);
        self.set(Id::LedgerBytes, &[], bytes as f64);
        self.observe(Id::CommitDuration, took.as_secs_f64());
    }

    /// How long it took to restore how many entries.
    pub fn restored(&self, took: Duration, entries: u64) {
        self.set(Id::RestoreDuration, &[], took.as_secs_f64());
        self.set(Id::RestoredEntries, &[], entries as f64);
    }

    /// How epochs go: the number of the newest closed one (0 where there is none) and how long ago it was opened, how far
    /// the closed ones are behind, and the tick.
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

    /// How far the wall clock is ahead of the broker's, milliseconds, where that is known, and whether it is trusted.
    pub fn clock(&self, offset_ms: Option<i64>, trusted: bool) {
        if let Some(offset) = offset_ms {
            self.set(Id::ClockOffset, &[], offset as f64 / 1000.0);
        }
        self.set(Id::ClockTrusted, &[], f64::from(u8::from(trusted)));
    }

    /// How far the closed epochs are behind what went in, seconds.
    pub fn lag(&self, seconds: f64) {
        self.set(Id::Lag, &[], seconds);
    }

    /// What was published since the last call: values of cells, tombstones, and attempts that failed.
    pub fn published(&self, cells: u64, tombstones: u64, failed: u64) {
        self.count(Id::PublishedCells, cells);
        self.count(Id::PublishedTombstones, tombstones);
        self.count(Id::PublishFailures, failed);
    }

    /// A rights request was answered; `right` is none where it was refused before it was taken up, and a `brand` that
    /// is not configured is `unknown`.
    pub fn right_answered(&self, brand: &str, right: Option<Right>, completed: bool) {
        let brand = self.brands.iter().find(|known| *known == brand);
        let brand = brand.map_or(UNKNOWN, String::as_str);
        let [done, rejected] = OUTCOMES;
        let outcome = if completed { done } else { rejected };
        let right = right.map_or(UNKNOWN, Right::name);
        self.add(Id::RightsRequests, &[brand, outcome, right], 1);
    }

    /// How many rights requests of a brand wait, and for how long the oldest has.
    pub fn rights_waiting(&self, brand: &str, open: u64, oldest: Duration) {
        self.set(Id::RightsOldest, &[brand], oldest.as_secs_f64());
        self.set(Id::RightsOpen, &[brand], open as f64);
    }

    /// A pass over a brand's retention at a time in Unix milliseconds took back so many records.
    pub fn retention_pass(&self, brand: &str, at_ms: i64, records: u64) {
        self.set(Id::RetentionPass, &[brand], at_ms as f64 / 1000.0);
        self.add(Id::RetentionRecords, &[brand], records);
    }

    /// Whether there is a connection to NATS.
    pub fn connected(&self, yes: bool) {
        self.set(Id::Connected, &[], f64::from(u8::from(yes)));
    }

    /// Whether the process is ready.
    pub fn ready(&self, yes: bool) {
        self.set(Id::Ready, &[], f64::from(u8::from(yes)));
    }

    fn observe(&self, id: Id, value: f64) {
        if let Some(Own::Histogram(of)) = self.own(id)
            && let Ok(histogram) = of.get_metric_with_label_values::<&str>(&[])
        {
            histogram.observe(value);
        }
    }

    fn own(&self, id: Id) -> Option<&Own> {
        self.own.get(id as usize)?.as_ref()
    }

    fn set(&self, id: Id, labels: &[&str], value: f64) {
        if let Some(Own::Gauge(of)) = self.own(id)
            && let Ok(gauge) = of.get_metric_with_label_values(labels)
        {
            gauge.set(value);
        }
    }

    fn count(&self, id: Id, by: u64) {
        self.add(id, &[], by);
    }

    fn add(&self, id: Id, labels: &[&str], by: u64) {
        if let Some(Own::Counter(of)) = self.own(id)
            && let Ok(counter) = of.get_metric_with_label_values(labels)
        {
            counter.inc_by(by as f64);
        }
    }

    /// Raises a counter to a value; it never falls.
    fn raise(&self, id: Id, labels: &[&str], to: f64) {
        if let Some(Own::Counter(of)) = self.own(id)
            && let Ok(counter) = of.get_metric_with_label_values(labels)
        {
            counter.inc_by((to - counter.get()).max(0.0));
        }
    }
}

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

fn encode(families: &[prometheus::proto::MetricFamily]) -> String {
    let mut text = String::new();
    if let Err(error) = TextEncoder::new().encode_utf8(families, &mut text) {
        tracing::error!(%error, "not all metrics could be written");
    }
    text
}

#[cfg(test)]
mod tests;

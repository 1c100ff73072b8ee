//! Health of the process: whether it makes progress, and whether its numbers
//! can be relied upon.
//!
//! The two probes follow the meaning that Kubernetes gives them. A process that
//! is not *live* should be restarted: input is pending and no epoch closes,
//! although the ledger accepts commits. A process that waits for disk space or
//! for the broker is live, because it would wait after a restart as well. A
//! process that is not *ready* needs time: the broker is unavailable, the state
//! is being restored, the ledger waits for space, earlier input is still being
//! read, or the numbers lag.
//!
//! Both report every reason as a sentence. Each task sets what it knows;
//! reading never blocks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// Maximum time without a closed epoch while input is pending.
pub const STALL: Duration = Duration::from_secs(30);

/// Default maximum lag of a ready process.
pub const MAX_LAG: Duration = Duration::from_secs(30);

/// Value of `behind` when no input is pending.
const IDLE: i64 = i64::MAX;

/// State from which the probes answer. Times are milliseconds since `start`.
#[derive(Debug)]
pub struct Health {
    /// When the process started.
    start: Instant,
    /// Maximum lag of a ready process.
    max_lag: Duration,
    /// Whether there is a connection to NATS.
    connected: AtomicBool,
    /// Whether everything that the stream held at the start was read.
    caught_up: AtomicBool,
    /// Progress of the restore; `None` when it is finished.
    restoring: Mutex<Option<String>>,
    /// What the ledger waits for.
    ledger: Mutex<Option<String>>,
    /// Why input waits for memory.
    memory: Mutex<Option<String>>,
    /// Which clock disagrees.
    clock: Mutex<Option<String>>,
    /// Why nothing is published.
    lease: Mutex<Option<String>>,
    /// What is wrong with the output stream.
    output: Mutex<Option<String>>,
    /// What is wrong with the rights stream.
    rights: Mutex<Option<String>>,
    /// Why released cells of other processes are not followed.
    follower: Mutex<Option<String>>,
    /// The leader that this process follows.
    standby: Mutex<Option<String>>,
    /// When the last epoch closed.
    progress: AtomicU64,
    /// Since when input has been pending.
    busy: AtomicU64,
    /// Time of the last closed epoch, which may precede the start; [`IDLE`] when no
    /// input is pending.
    behind: AtomicI64,
}

/// A reason why a process is not ready.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NotReady {
    /// What is wrong, as a word of [`NOT_READY`].
    pub code: &'static str,
    /// Its numbers.
    pub values: BTreeMap<&'static str, f64>,
    /// The same as a sentence in English, with all details.
    pub words: String,
}

/// Every code of a [`NotReady`].
pub const NOT_READY: [&str; 12] = [
    "disconnected",
    "restoring",
    "ledger",
    "memory",
    "clock",
    "lease",
    "output",
    "rights",
    "follower",
    "catching_up",
    "lagging",
    "stuck",
];

impl Default for Health {
    fn default() -> Self {
        Health::new(MAX_LAG)
    }
}

impl Health {
    /// State of a process that is not connected and has read nothing.
    pub fn new(max_lag: Duration) -> Health {
        Health {
            start: Instant::now(),
            max_lag,
            connected: AtomicBool::new(false),
            caught_up: AtomicBool::new(false),
            restoring: Mutex::default(),
            ledger: Mutex::default(),
            memory: Mutex::default(),
            clock: Mutex::default(),
            lease: Mutex::default(),
            output: Mutex::default(),
            rights: Mutex::default(),
            follower: Mutex::default(),
            standby: Mutex::default(),
            progress: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            behind: AtomicI64::new(IDLE),
        }
    }

    /// Milliseconds since the start.
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Sets whether there is a connection to NATS.
    pub fn set_connected(&self, yes: bool) {
        self.connected.store(yes, Relaxed);
    }

    /// Sets whether the process holds its lease, without which it publishes nothing.
    pub fn set_lease(&self, holds: bool) {
        let lost = "the lease at the broker was not renewed in time: nothing is published, and the process ends if another has it";
        *lock(&self.lease) = (!holds).then(|| lost.to_owned());
    }

    /// Sets the progress of the restore, as a sentence; `None` when it is finished.
    pub fn set_restoring(&self, reason: Option<String>) {
        *lock(&self.restoring) = reason;
    }

    /// Sets that the process starts, and waits for nothing that has a name.
    pub fn set_starting(&self) {
        self.set_restoring(Some("the worker is starting".to_owned()));
    }

    /// Sets what the ledger waits for, as a sentence; `None` when it accepts
    /// commits. The end of a wait counts as progress.
    pub fn set_ledger(&self, reason: Option<String>) {
        let waits = reason.is_some();
        let waited = std::mem::replace(&mut *lock(&self.ledger), reason).is_some();
        if waited && !waits {
            self.progress();
        }
    }

    /// Sets why input waits for memory, as a sentence; `None` while it does not.
    pub fn set_memory(&self, reason: Option<String>) {
        *lock(&self.memory) = reason;
    }

    /// Sets which clock disagrees and by how much, as a sentence; `None` when all
    /// agree.
    pub fn set_clock(&self, reason: Option<String>) {
        *lock(&self.clock) = reason;
    }

    /// Sets what is wrong with the output stream, as a sentence; `None` when it
    /// holds every published cell.
    pub fn set_output(&self, reason: Option<String>) {
        *lock(&self.output) = reason;
    }

    /// Sets what is wrong with the rights stream, as a sentence; `None` when it is
    /// the one of the start.
    pub fn set_rights(&self, reason: Option<String>) {
        *lock(&self.rights) = reason;
    }

    /// Sets why the page and queries do not follow the released cells of the output
    /// stream, as a sentence; `None` while they do.
    pub fn set_follower(&self, reason: Option<String>) {
        *lock(&self.follower) = reason;
    }

    /// Sets the leader that this process follows, as a sentence; `None` if it leads. A standby
    /// may be ready: it answers what others may ask of it.
    pub fn set_standby(&self, follows: Option<String>) {
        *lock(&self.standby) = follows;
    }

    /// The leader that this process follows; `None` if it leads.
    pub fn standby(&self) -> Option<String> {
        lock(&self.standby).clone()
    }

    /// Sets whether every message that the stream held at the start was read.
    pub fn set_caught_up(&self, yes: bool) {
        self.caught_up.store(yes, Relaxed);
    }

    /// Records that an epoch has closed.
    pub fn progress(&self) {
        self.progress_at(self.now());
    }

    /// Sets how far closed epochs trail the input, in seconds; 0 when no input is
    /// pending. Until it is set again the lag grows with the clock, so that a loop
    /// that hangs hides nothing.
    pub fn set_lag(&self, seconds: f64) {
        self.set_lag_at(self.now(), seconds);
    }

    /// The current lag, in seconds.
    pub fn lag_seconds(&self) -> f64 {
        self.lag_at(self.now())
    }

    /// Reasons why the process is not live; empty if it is.
    pub fn not_live(&self) -> Vec<String> {
        self.not_live_at(self.now())
    }

    /// Reasons why the process is not ready, as sentences; empty if it is.
    pub fn not_ready(&self) -> Vec<String> {
        self.not_ready_at(self.now())
    }

    /// The same reasons with what a reader of another language needs.
    pub fn reasons(&self) -> Vec<NotReady> {
        self.reasons_at(self.now())
    }

    fn progress_at(&self, now: u64) {
        self.progress.fetch_max(now, Relaxed);
    }

    fn set_lag_at(&self, now: u64, seconds: f64) {
        if seconds <= 0.0 || !seconds.is_finite() {
            self.behind.store(IDLE, Relaxed);
            return;
        }
        if self.behind.load(Relaxed) == IDLE {
            self.busy.store(now, Relaxed);
        }
        self.behind.store(
            (now as i64).saturating_sub((seconds * 1000.0) as i64),
            Relaxed,
        );
    }

    fn lag_at(&self, now: u64) -> f64 {
        match self.behind.load(Relaxed) {
            IDLE => 0.0,
            behind => (now as i64).saturating_sub(behind).max(0) as f64 / 1000.0,
        }
    }

    fn not_live_at(&self, now: u64) -> Vec<String> {
        if self.behind.load(Relaxed) == IDLE || lock(&self.ledger).is_some() {
            return Vec::new();
        }
        let since = self.progress.load(Relaxed).max(self.busy.load(Relaxed));
        let still = Duration::from_millis(now.saturating_sub(since));
        if still < STALL {
            return Vec::new();
        }
        vec![format!(
            "no epoch has closed for {} s although input is pending: the dataflow is stuck",
            still.as_secs()
        )]
    }

    fn not_ready_at(&self, now: u64) -> Vec<String> {
        let reasons = self.reasons_at(now).into_iter();
        reasons.map(|reason| reason.words).collect()
    }

    fn reasons_at(&self, now: u64) -> Vec<NotReady> {
        let mut reasons = Vec::new();
        let mut add = |code, values: &[(&'static str, f64)], words: String| {
            reasons.push(NotReady {
                code,
                values: values.iter().copied().collect(),
                words,
            });
        };
        if !self.connected.load(Relaxed) {
            add("disconnected", &[], "not connected to NATS".to_owned());
        }
        let mut restored = true;
        for (code, reason) in [
            ("restoring", &self.restoring),
            ("ledger", &self.ledger),
            ("memory", &self.memory),
            ("clock", &self.clock),
            ("lease", &self.lease),
            ("output", &self.output),
            ("rights", &self.rights),
            ("follower", &self.follower),
        ] {
            if let Some(words) = lock(reason).clone() {
                restored &= code != "restoring";
                add(code, &[], words);
            }
        }
        if restored && !self.caught_up.load(Relaxed) {
            let words = "catching up with past messages of the input stream: the numbers are still incomplete";
            add("catching_up", &[], words.to_owned());
        }
        let lag = self.lag_at(now);
        let bound = self.max_lag.as_secs_f64();
        if lag > bound {
            let words =
                format!("the numbers lag {lag:.0} s behind the input, more than {bound:.0} s");
            let values = [("lag", lag.round()), ("bound", bound.round())];
            add("lagging", &values, words);
        }
        for words in self.not_live_at(now) {
            add("stuck", &[], words);
        }
        reasons
    }
}

/// Locks a reason. A poisoned lock is used as it is.
fn lock(reason: &Mutex<Option<String>>) -> std::sync::MutexGuard<'_, Option<String>> {
    reason.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady() -> Health {
        let health = Health::default();
        health.set_connected(true);
        health.set_caught_up(true);
        health
    }

    #[test]
    fn a_new_process_is_live_and_says_all_that_keeps_it_from_being_ready() {
        let health = Health::default();
        assert!(health.not_live_at(1_000_000).is_empty());
        let reasons = health.not_ready_at(0);
        assert_eq!(reasons.len(), 2);
        assert!(reasons[0].contains("NATS") && reasons[1].contains("past"));
        health.set_connected(true);
        assert_eq!(health.not_ready_at(0).len(), 1);
        health.set_caught_up(true);
        assert!(health.not_ready_at(0).is_empty());
        health.set_connected(false);
        assert_eq!(health.not_ready_at(0).len(), 1);
    }

    #[test]
    fn nothing_to_do_is_no_standstill() {
        let health = steady();
        health.progress_at(1_000);
        health.set_lag_at(2_000, 0.0);
        assert!(health.not_live_at(10_000_000).is_empty());
        assert!(health.not_ready_at(10_000_000).is_empty());
    }

    #[test]
    fn work_without_progress_is_a_standstill_after_half_a_minute() {
        let health = steady();
        // The clock starts with the work and not with the last progress, long ago.
        health.set_lag_at(100_000, 0.05);
        health.set_lag_at(110_000, 10.05);
        assert!(health.not_live_at(129_999).is_empty());
        let reasons = health.not_live_at(130_000);
        assert!(reasons[0].contains("for 30 s"), "{reasons:?}");
        assert_eq!(health.not_ready_at(130_000).len(), 2);
        health.progress_at(131_000);
        assert!(health.not_live_at(160_999).is_empty());
        assert_eq!(health.not_live_at(161_000).len(), 1);
        health.set_lag_at(161_000, 0.0);
        assert!(health.not_live_at(161_000).is_empty());
    }

    #[test]
    fn a_ledger_that_waits_is_no_standstill() {
        let health = steady();
        health.set_lag_at(1_000, 0.05);
        health.set_ledger(Some("no room".to_owned()));
        assert!(health.not_live_at(1_000_000).is_empty());
        assert!(health.not_ready_at(2_000).contains(&"no room".to_owned()));
        // Once it takes what comes, progress has half a minute again.
        health.set_ledger(None);
        health.progress_at(1_000_000);
        assert!(health.not_live_at(1_029_999).is_empty());
        assert_eq!(health.not_live_at(1_030_000).len(), 1);
    }

    #[test]
    fn the_lag_is_bounded_and_grows_until_it_is_set_again() {
        let health = steady();
        health.set_lag_at(5_000, 12.0);
        assert_eq!(health.lag_at(5_000), 12.0);
        assert_eq!(health.lag_at(8_000), 15.0);
        assert!(health.not_ready_at(23_000).is_empty());
        health.progress_at(23_000);
        let reasons = health.not_ready_at(24_000);
        assert!(
            reasons.len() == 1 && reasons[0].contains("31 s behind"),
            "{reasons:?}"
        );
        health.set_lag_at(24_000, 1.0);
        assert!(health.not_ready_at(24_000).is_empty());
        health.set_lag_at(24_000, 0.0);
        assert_eq!(health.lag_at(1_000_000), 0.0);
    }
}

//! What is traced: a share of the epochs, with their stages, and the work that is
//! rare.
//!
//! ```text
//!  epoch ─┬─ receive    messages are collected                         by the feed
//!         ├─ decode     they become records                            by each thread
//!         ├─ commit     the records become durable                     by the ledger
//!         ├─ dataflow   the dataflow finishes the epoch                by each thread
//!         ├─ release    of an epoch that releases: until its cells     by each thread
//!         └─ publish    until the broker has acknowledged the cells    by the publisher
//!  restore, compaction, retention, rights: each a trace of its own
//! ```
//!
//! The stages of an epoch are reported where they happen, in any order. What joins
//! them is computed from the number of the epoch, and so is whether it is traced:
//! no part of the process waits for another, and an epoch that is not traced costs
//! one hash. The processes of a cluster compute the same trace, so that a release
//! that they make together is one.
//!
//! The span of an epoch ends with the dataflow. Its commit and its publication may
//! end later.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use tokio::sync::mpsc;
use tributary_config::model::Config;
use tributary_operators::engine::Epoch;

use super::queue::{Outcomes, Queue, Signal};
use super::record::{Count, Span};

/// Maximum number of traced epochs that are open. More are never in flight unless
/// the dataflow has stopped.
const OPEN: usize = 64;

/// A stage of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Messages are collected.
    Receive,
    /// A thread decodes its share of them.
    Decode,
    /// The records become durable.
    Commit,
    /// The dataflow finishes the epoch.
    Dataflow,
    /// The dataflow releases cells.
    Release,
    /// The broker acknowledges the cells.
    Publish,
}

impl Stage {
    /// The name of its span.
    fn name(self) -> &'static str {
        match self {
            Stage::Receive => "receive",
            Stage::Decode => "decode",
            Stage::Commit => "commit",
            Stage::Dataflow => "dataflow",
            Stage::Release => "release",
            Stage::Publish => "publish",
        }
    }
}

/// Work that is always traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// The state of before a restart is restored.
    Restore,
    /// The ledger is rewritten.
    Compaction,
    /// What is past its retention is retracted.
    Retention,
    /// Rights requests that arrived together are answered.
    Rights,
}

impl Work {
    /// The name of its span.
    fn name(self) -> &'static str {
        match self {
            Work::Restore => "restore",
            Work::Compaction => "compaction",
            Work::Retention => "retention",
            Work::Rights => "rights",
        }
    }
}

/// Reports spans to the export; clones share it. The default reports nothing.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Tracer>>);

/// The state behind [`Traces`].
struct Tracer {
    queue: Queue<Span>,
    /// What became of the lines of the log.
    lines: Arc<Outcomes>,
    /// Names the traces of this service.
    key: [u8; 32],
    /// The share of epochs that are traced, thousandths.
    share: u64,
    /// The number of this process.
    process: u64,
    /// The traced epochs that the dataflow has not finished.
    open: Mutex<BTreeMap<Epoch, (Instant, Vec<Count>)>>,
}

impl Traces {
    /// Traces by a configuration, and the end of their queue that the export reads.
    /// `lines` are those of the log.
    pub(super) fn new(config: &Config, lines: Arc<Outcomes>) -> (Traces, mpsc::Receiver<Span>) {
        let (queue, receiver) = Queue::new();
        let workers = &config.workers;
        // What the processes of a cluster have in common, and other clusters have not.
        let mut key = blake3::Hasher::new_derive_key("Tributary 2026 IDs of traces");
        let names = [&config.telemetry.service_name].into_iter();
        for name in names.chain(&workers.shard).chain(&workers.hosts) {
            key.update(&(name.len() as u64).to_le_bytes());
            key.update(name.as_bytes());
        }
        let tracer = Tracer {
            queue,
            lines,
            key: *key.finalize().as_bytes(),
            share: config.telemetry.epoch_share,
            process: workers.process as u64,
            open: Mutex::default(),
        };
        (Traces(Some(Arc::new(tracer))), receiver)
    }

    /// What becomes of the spans.
    pub(super) fn spans(&self) -> Arc<Outcomes> {
        let tracer = self.0.as_ref();
        tracer.map_or_else(Arc::default, |tracer| tracer.queue.outcomes())
    }

    /// Whether an epoch is traced.
    pub fn has(&self, epoch: Epoch) -> bool {
        self.trace_of(epoch).is_some()
    }

    /// Begins the span of an epoch, if it is traced.
    pub fn begin(&self, epoch: Epoch, begun: Instant, counts: &[Count]) {
        let Some((tracer, _)) = self.trace_of(epoch) else {
            return;
        };
        let mut open = tracer.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(epoch, (begun, counts.to_vec()));
        if open.len() > OPEN {
            open.pop_first();
            tracer.queue.outcomes().add_dropped(1);
        }
    }

    /// Ends the spans of all epochs before one.
    pub fn finish(&self, before: Epoch) {
        let Some(tracer) = &self.0 else { return };
        let finished = {
            let mut open = tracer.open.lock().unwrap_or_else(PoisonError::into_inner);
            let rest = open.split_off(&before);
            std::mem::replace(&mut *open, rest)
        };
        for (epoch, (begun, counts)) in finished {
            if let Some(trace) = tracer.trace_of(epoch) {
                let (id, times) = (tracer.root_of(&trace), (begun, Instant::now()));
                tracer.push(trace, (id, None), "epoch", times, &counts, false);
            }
        }
    }

    /// Reports a stage of an epoch, if that is traced: when it began and ended.
    pub fn stage(&self, epoch: Epoch, stage: Stage, times: (Instant, Instant), counts: &[Count]) {
        if let Some((tracer, trace)) = self.trace_of(epoch) {
            let ids = (rand::random(), Some(tracer.root_of(&trace)));
            tracer.push(trace, ids, stage.name(), times, counts, false);
        }
    }

    /// Reports work that has ended now, and whether it has failed.
    pub fn work(&self, work: Work, begun: Instant, has_failed: bool, counts: &[Count]) {
        if let Some(tracer) = &self.0 {
            let (ids, times) = ((rand::random(), None), (begun, Instant::now()));
            tracer.push(rand::random(), ids, work.name(), times, counts, has_failed);
        }
    }

    /// What became of the spans and of the lines of the log; `None` if nothing is
    /// exported.
    pub fn outcomes(&self) -> Option<[(Signal, Arc<Outcomes>); 2]> {
        let tracer = self.0.as_ref()?;
        Some(Signal::ALL.map(|signal| match signal {
            Signal::Traces => (signal, tracer.queue.outcomes()),
            Signal::Logs => (signal, tracer.lines.clone()),
        }))
    }

    /// The trace of an epoch, if it is traced.
    fn trace_of(&self, epoch: Epoch) -> Option<(&Tracer, [u8; 16])> {
        let tracer = self.0.as_deref()?;
        Some((tracer, tracer.trace_of(epoch)?))
    }
}

impl Tracer {
    /// The ID of the trace of an epoch; `None` if it is not traced.
    fn trace_of(&self, epoch: Epoch) -> Option<[u8; 16]> {
        let hash = blake3::keyed_hash(&self.key, &epoch.to_le_bytes());
        let (trace, rest) = hash.as_bytes().split_first_chunk()?;
        let draw = u64::from_le_bytes(*rest.first_chunk()?);
        (draw % 1_000 < self.share).then_some(*trace)
    }

    /// The ID of the root of a trace in this process.
    fn root_of(&self, trace: &[u8; 16]) -> [u8; 8] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(trace);
        hasher.update(&self.process.to_le_bytes());
        let mut id = [0; 8];
        hasher.finalize_xof().fill(&mut id);
        id
    }

    /// Queues a span.
    fn push(
        &self,
        trace: [u8; 16],
        (id, parent): ([u8; 8], Option<[u8; 8]>),
        name: &'static str,
        (begun, ended): (Instant, Instant),
        counts: &[Count],
        has_failed: bool,
    ) {
        // A clock that is set meanwhile makes no span longer or shorter.
        let now = SystemTime::now();
        let at = |time: Instant| now.checked_sub(time.elapsed()).unwrap_or(now);
        self.queue.push(Span {
            trace,
            id,
            parent,
            name,
            begun: at(begun),
            ended: at(ended),
            counts: counts.to_vec(),
            has_failed,
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use std::path::Path;

    use super::*;

    /// Traces of a process with a setting of its own, and their queue.
    fn traces(telemetry: &str, workers: &str) -> (Traces, mpsc::Receiver<Span>) {
        let text = format!(
            "[telemetry]\notlp_endpoint = \"http://127.0.0.1:1\"\n{telemetry}\n[workers]\n{workers}\n\
             [[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"A\"\n"
        );
        let secret =
            |name: &str| (name == "A").then(|| "acme 224ff3c627f30dd0f8e3fdb63bf28aa6".to_owned());
        let loaded = tributary_config::parse_in(&text, Path::new("tributary.toml"), &secret);
        Traces::new(&loaded.unwrap().config, Arc::default())
    }

    const HOSTS: &str = "hosts = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\nprocess = ";

    #[test]
    fn the_stages_of_an_epoch_are_one_trace_in_whatever_order_they_are_reported() {
        let (traces, mut spans) = traces("epoch_share = \"1\"", "");
        let now = Instant::now();
        traces.stage(7, Stage::Commit, (now, now), &[("epochs", 2)]);
        traces.begin(7, now, &[("messages", 3)]);
        traces.begin(8, now, &[]);
        traces.stage(7, Stage::Decode, (now, now), &[]);
        traces.finish(8);
        let (commit, decode, epoch) = (
            spans.try_recv().unwrap(),
            spans.try_recv().unwrap(),
            spans.try_recv().unwrap(),
        );
        assert_eq!(
            [commit.name, decode.name, epoch.name],
            ["commit", "decode", "epoch"]
        );
        assert_eq!((commit.trace, decode.trace), (epoch.trace, epoch.trace));
        assert_eq!(
            (commit.parent, decode.parent),
            (Some(epoch.id), Some(epoch.id))
        );
        assert_eq!(
            (epoch.parent, epoch.counts.as_slice()),
            (None, &[("messages", 3)][..])
        );
        assert_ne!(commit.id, decode.id);
        // The next epoch is open, and another trace.
        assert!(spans.try_recv().is_err());
        traces.finish(9);
        assert_ne!(spans.try_recv().unwrap().trace, epoch.trace);
    }

    #[test]
    fn a_share_of_the_epochs_is_traced_and_all_work() {
        let (some, mut spans) = traces("epoch_share = \"0.25\"", "");
        let traced = (0..10_000).filter(|epoch| some.has(*epoch)).count();
        assert!((2_200..2_800).contains(&traced), "{traced}");
        let (none, _) = traces("epoch_share = \"0\"", "");
        assert!((0..10_000).all(|epoch| !none.has(epoch) && !Traces::default().has(epoch)));
        some.work(Work::Rights, Instant::now(), true, &[("requests", 1)]);
        let rights = spans.try_recv().unwrap();
        assert_eq!(
            (rights.name, rights.parent, rights.has_failed),
            ("rights", None, true)
        );
        assert!(Traces::default().outcomes().is_none());
    }

    #[test]
    fn the_processes_of_a_cluster_share_a_trace_and_no_span() {
        let now = Instant::now();
        let one = |workers: &str| {
            let (traces, mut spans) = traces("epoch_share = \"1\"", workers);
            traces.begin(7, now, &[]);
            traces.finish(8);
            spans.try_recv().unwrap()
        };
        let (first, second) = (one(&format!("{HOSTS}0")), one(&format!("{HOSTS}1")));
        assert_eq!(first.trace, second.trace);
        assert_ne!(first.id, second.id);
        assert_ne!(first.trace, one("").trace);
    }

    #[test]
    fn epochs_that_never_finish_take_no_more_memory() {
        let (traces, _spans) = traces("epoch_share = \"1\"", "");
        for epoch in 0..OPEN as u64 + 5 {
            traces.begin(epoch, Instant::now(), &[]);
        }
        let [(_, spans), _] = traces.outcomes().unwrap();
        assert_eq!(spans.dropped(), 5);
    }
}

//! The messages between a feed, the worker threads and the receiver of their
//! output: a [`Batch`] goes in, [`Report`]s come out.
//!
//! ```text
//!  Batch(e)   ─►  decode ─► dataflow(e)          each thread: its share of the messages
//!  Accepted(e) ◄─ write batch, dead letters      once per thread, before the epoch closes
//!  Cells(e)    ◄─ changed cells                  by their owner, any number of times
//!  Answer      ◄─ parts of answers               by the owners of the data
//!  Finished(e) ◄─ frontier above e               once per thread, after everything else
//! ```
//!
//! Epochs are sent in increasing order without any need to be consecutive. All
//! reports of an epoch precede the `Finished` report of the same thread for it;
//! no order holds between threads.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use tributary_connectors::dead_letter::DeadLetter;
use tributary_connectors::nats::OutgoingMessage;
use tributary_connectors::trace::TraceLine;
use tributary_ledger::{SealedBlock, WriteBatch};
use tributary_operators::ask::{Answer, Question};
use tributary_operators::cell::Cell;
use tributary_operators::cells::Standing;
use tributary_operators::engine::Epoch;
use tributary_operators::event::Event;
use tributary_operators::reach::Reach;
use tributary_operators::record::{BrandId, Day, Pseudonym, RecordKey};
use tributary_operators::salt::Salt;
use tributary_operators::upsert::ExpiredRecord;

use crate::epochs::clock::SaltDays;
use crate::report::counts::Counts;
use crate::report::worker_profile::WorkerProfile;

/// A message with its place in the order of arrival.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The place: a stream sequence, or the line of a trace. Unique and increasing.
    pub number: u64,
    /// The message.
    pub line: TraceLine,
}

/// The input of one epoch.
#[derive(Debug, Default)]
pub struct Batch {
    /// The epoch, above that of the batch before.
    pub epoch: Epoch,
    /// Messages in the order of arrival.
    pub messages: Vec<Incoming>,
    /// Whether accepted records are written to the ledger.
    pub durable: bool,
    /// State of before a restart; `None` in live epochs.
    pub restored: Option<Restored>,
    /// Whether all state of before a restart is in by the end of this epoch, which
    /// releases.
    pub all_restored: bool,
    /// Time of the release at the end of the epoch, Unix milliseconds; `None` if it
    /// releases nothing.
    pub release: Option<i64>,
    /// Whether every published cell is published again.
    pub republish: bool,
    /// Changes that no message requests. The first thread applies them.
    pub changes: Vec<InternalChange>,
    /// Queries, with the numbers that identify their answers. The first thread
    /// submits them.
    pub questions: Vec<(u64, Question)>,
    /// For each brand, the open salt days.
    pub salt_days: Vec<SaltDays>,
    /// Whether the threads report the times of the epoch.
    pub is_traced: bool,
}

/// The times of a traced epoch on a thread.
#[derive(Clone, Copy, Debug)]
pub struct EpochTimes {
    /// The epoch.
    pub epoch: Epoch,
    /// When the thread began it.
    pub begun: Instant,
    /// When the messages were decoded.
    pub decoded: Instant,
    /// When all of its input was in the dataflow.
    pub entered: Instant,
    /// When the cells that it released were reported, if any were.
    pub released: Option<Instant>,
    /// When every worker had finished it.
    pub finished: Instant,
    /// Number of messages that the thread decoded.
    pub messages: u64,
    /// Number of cells that the thread reported.
    pub cells: u64,
}

impl EpochTimes {
    /// Those of an epoch that begins now.
    pub fn begin(epoch: Epoch) -> EpochTimes {
        let now = Instant::now();
        EpochTimes {
            epoch,
            begun: now,
            decoded: now,
            entered: now,
            released: None,
            finished: now,
            messages: 0,
            cells: 0,
        }
    }
}

/// A change of the stored records that no message requests.
#[derive(Clone, Debug)]
pub enum InternalChange {
    /// An event of a rights request, or, in a replay, the end of a record's
    /// retention.
    Event(Event),
    /// Retracts the record that was stored under a key at the end of an epoch,
    /// because it is past its retention.
    Expire(RecordKey, Epoch),
    /// Retracts the record of a key, unless it arrived after what an erasure covers.
    Erase(RecordKey, Reach),
    /// Every process of the cluster erases the sightings of a brand's salt days before
    /// this one from its ledger: that they are settled is durable.
    EraseSightings(BrandId, Day),
    /// The changes of the same epoch to these identifiers are one act, that of a
    /// rights request.
    Act(BrandId, Arc<[Pseudonym]>),
}

/// State of before a restart.
#[derive(Debug, Default)]
pub struct Restored {
    /// Blocks of the ledger.
    pub blocks: Vec<SealedBlock>,
    /// Salts of open salt days.
    pub salts: Vec<(BrandId, Day, Salt)>,
    /// Published cells, and when each was published, Unix milliseconds.
    pub published: Vec<(Cell, i64, Option<Standing>)>,
}

/// Output of a worker thread.
#[derive(Debug)]
pub enum Report {
    /// What a thread accepted in its share of an epoch. One report per thread for
    /// every durable epoch, and for other epochs with rejected lines.
    Accepted {
        /// The epoch.
        epoch: Epoch,
        /// What was accepted, where it goes to a ledger.
        page: WriteBatch,
        /// The lines that were refused.
        dead: Vec<DeadLetter>,
        /// Rights requests that vendors passed on.
        requests: Vec<OutgoingMessage>,
    },
    /// Salt days are over for this thread. They are closed once no standby can take
    /// over without what this process has committed of them.
    SecureDays {
        /// Hears of it then.
        done: Sender<()>,
    },
    /// The salts of all days of a brand before this one are destroyed on every
    /// worker.
    SaltsDestroyed(BrandId, Day),
    /// Salt days are settled on the whole cluster: their totals must become durable
    /// in one commit.
    Settle {
        /// The sums, and up to where days are settled.
        page: WriteBatch,
        /// Hears of it when they are durable.
        done: Sender<()>,
    },
    /// The totals of a brand's salt days are durable: their pings can leave the
    /// ledger.
    Settled {
        /// The tenant.
        brand: BrandId,
        /// The first day that has not settled.
        before: Day,
        /// Their pings that this thread has put into the ledger.
        pings: u64,
    },
    /// The sightings of a brand's salt days before this one are settled, and that is
    /// durable: they can leave the ledger.
    EraseSightings(BrandId, Day),
    /// State of before a restart cannot be read; the text gives the reason.
    Unreadable(String),
    /// Cells that changed by the end of an epoch. For each: whether readers need to
    /// know, and the time of its release, Unix milliseconds.
    Cells(Epoch, Vec<(Cell, bool, i64, Standing)>),
    /// A part of the answer to a query.
    Answer(Answer),
    /// Records that were retracted on any worker because they were past their
    /// retention. Every process receives all of them.
    Expired(Vec<ExpiredRecord>),
    /// What the operators of a thread have done and what they keep: about once a
    /// second while epochs finish, and once at the end.
    Profile {
        /// Which thread of this process.
        thread: usize,
        /// The profile.
        profile: WorkerProfile,
    },
    /// Every worker has finished all epochs below `before`, and this thread has
    /// reported all of their output.
    Finished {
        /// Which thread of this process.
        thread: usize,
        /// The first epoch that is not finished.
        before: Epoch,
        /// What the thread has counted.
        counts: Box<Counts>,
        /// The times of the traced epochs among those that were finished since the last
        /// report.
        times: Vec<EpochTimes>,
    },
}

/// Receives the reports of all threads, each on the thread that reports.
pub type Listener = Arc<dyn Fn(Report) + Send + Sync>;

//! The messages between a feeder, the worker threads and the receiver of their output: a [`Batch`] goes in, [`Report`]s come
//! out.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use tributary_connectors::dead_letter::DeadLetter;
use tributary_connectors::trace::TraceLine;
use tributary_ledger::{SealedBlock, WriteBatch};
use tributary_operators::ask::{Answer, Question};
use tributary_operators::cell::Cell;
use tributary_operators::engine::Epoch;
use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, Day, RecordKey};
use tributary_operators::salt::Salt;
use tributary_operators::upsert::ExpiredRecord;

use crate::epochs::clock::SaltDays;
use crate::report::counts::Counts;

/// One message with its place in the order of arrival.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The place: a stream sequence, or the line of a trace.
    pub number: u64,
    /// The message.
    pub line: TraceLine,
}

/// One epoch of input.
#[derive(Debug, Default)]
pub struct Batch {
    /// The epoch; larger than that of the batch before.
    pub epoch: Epoch,
    /// The messages, in the order of arrival.
    pub messages: Vec<Incoming>,
    /// Whether what is accepted of them goes to a ledger.
    pub durable: bool,
    /// State of before a restart; none in live epochs.
    pub restored: Option<Restored>,
    /// Whether all state of before a restart was put in by the end of this epoch, which releases.
    pub all_restored: bool,
    /// The time of the release at its end, Unix milliseconds; none where the epoch releases nothing.
    pub release: Option<i64>,
    /// Whether every published cell is published again.
    pub republish: bool,
    /// Changes that no message asks for. The first thread puts them in.
    pub changes: Vec<InternalChange>,
    /// Queries, with the numbers that their answers carry. The first thread puts them in.
    pub questions: Vec<(u64, Question)>,
    /// For each brand the salt days that are open.
    pub salt_days: Vec<SaltDays>,
}

/// A change of the held records that no message asks for.
#[derive(Clone, Debug)]
pub enum InternalChange {
    /// An event of a rights request, or in a replay the end of a record's retention.
    Event(Event),
    /// Retracts the record that was held under a key at the end of an epoch: it is past its retention.
    Expire(RecordKey, Epoch),
}

/// State of before a restart.
#[derive(Debug, Default)]
pub struct Restored {
    /// Blocks of the ledger.
    pub blocks: Vec<SealedBlock>,
    /// Salts of open days.
    pub salts: Vec<(BrandId, Day, Salt)>,
    /// The published cells, and when each was published, Unix milliseconds.
    pub published: Vec<(Cell, i64)>,
}

/// The output of a worker thread.
#[derive(Debug)]
pub enum Report {
    /// What a thread has made of its share of an epoch. It comes once a thread for every durable epoch, and for
    /// others where lines were refused.
    Accepted {
        /// The epoch.
        epoch: Epoch,
        /// What was accepted, where it goes to a ledger.
        page: WriteBatch,
        /// The lines that were refused.
        dead: Vec<DeadLetter>,
    },
    /// The salts of a brand's days before one are destroyed on every worker.
    SaltsDestroyed(BrandId, Day),
    /// Salt days have settled on the whole cluster: their sums are to become durable, all of them in one commit.
    Settle {
        /// The sums, and up to where days are settled.
        page: WriteBatch,
        /// Hears of it when they are durable.
        done: Sender<()>,
    },
    /// The sums of a brand's salt days before one are durable: their pings are to leave the ledger.
    Settled {
        /// The tenant.
        brand: BrandId,
        /// The first day that has not settled.
        before: Day,
        /// Their pings that this thread has put into the ledger.
        pings: u64,
    },
    /// What was known before a restart cannot be read.
    Unreadable(String),
    /// Cells that changed, by the end of an epoch, and of each whether it is news to the outside.
    Cells(Epoch, Vec<(Cell, bool, i64)>),
    /// A part of an answer.
    Answer(Answer),
    /// Records that were retracted on any worker because they were past their retention. Every process hears of all.
    Expired(Vec<ExpiredRecord>),
    /// Every worker has finished all epochs before one, and this thread has reported all of their output.
    Finished {
        /// Which thread of this process.
        thread: usize,
        /// The first epoch that is not finished.
        before: Epoch,
        /// What the thread has counted.
        counts: Counts,
    },
}

/// Receives the reports of all threads, on the thread that reports.
pub type Listener = Arc<dyn Fn(Report) + Send + Sync>;

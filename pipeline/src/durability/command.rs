//! The commands to the task that owns the ledger, and its answers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};
use tributary_connectors::dead::DeadLetter;
use tributary_ledger::{Forget, Keyring, Mark, NamedHeads, Page, Position};
use tributary_operators::engine::Epoch;
use tributary_operators::hold::Expired;
use tributary_operators::record::{BrandId, Day};

/// What the ledger is told.
#[derive(Debug)]
pub enum LedgerCommand {
    /// An epoch goes in, behind which the input stands at a position.
    Mark(Epoch, Position),
    /// What one thread made of an epoch.
    Part(Epoch, Page, Vec<DeadLetter>),
    /// The salts of a brand's days before one are destroyed.
    DestroySalts(BrandId, Day),
    /// Sums of salt days that have settled, to be durable in one commit, and who hears of it.
    CommitSettledDays(Page, std::sync::mpsc::Sender<()>),
    /// The pings of a brand's salt days before one leave the ledger: their sums are durable.
    DropPings(BrandId, Day),
    /// The heads of files beside the ledger are named in it, and then somebody hears how far it is.
    NameHeads(NamedHeads, oneshot::Sender<Mark>),
    /// Records were retracted because they were past their retention. Once everything that is open now is committed, that
    /// is, too, and then their entries leave the ledger.
    CommitExpired(Vec<Expired>),
    /// Something that is committed leaves the ledger, and then somebody hears how much it was.
    Erase(Erasure),
    /// The ledger takes newer secrets, and then somebody hears how far it has come.
    RotateKeys(KeyRotation),
}

/// What leaves the ledger, and who waits for it.
pub struct Erasure {
    /// What is to be forgotten.
    pub forget: Forget,
    /// Hears of the entries that are gone, once their bytes are overwritten.
    pub done: oneshot::Sender<u64>,
}

impl std::fmt::Debug for Erasure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Erasure").finish_non_exhaustive()
    }
}

/// How far everything is durable.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watermark {
    /// Marks that are committed, since the start.
    pub marks: u64,
    /// The sequence of the last message that is, with all before it.
    pub sequence: u64,
    /// The epoch of the last mark that is.
    pub epoch: Epoch,
}

/// Newer secrets for the ledger, and who waits for them.
pub struct KeyRotation {
    /// The keys made of them.
    pub keyring: Arc<Keyring>,
    /// Whether it is to begin, and not only to be looked whether it could.
    pub begin: bool,
    /// Hears how far it has come.
    pub progress: Arc<watch::Sender<Progress>>,
}

impl std::fmt::Debug for KeyRotation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRotation").finish_non_exhaustive()
    }
}

/// How far an exchange has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Progress {
    /// It has not begun: something else is done with the ledger.
    Waiting,
    /// It could begin.
    Possible,
    /// What is sealed under older secrets is being moved.
    Moving {
        /// Bytes judged.
        read: u64,
        /// Bytes to be judged.
        total: u64,
    },
    /// Nothing opens under an older secret any more.
    Done {
        /// Entries that were sealed under an older one.
        moved: u64,
        /// Files that were overwritten and removed.
        files: usize,
    },
    /// The secrets were not taken, and everything is as it was.
    Refused {
        /// Why.
        why: String,
    },
}

impl Progress {
    /// Whether nothing more follows.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Progress::Possible | Progress::Done { .. } | Progress::Refused { .. }
        )
    }
}

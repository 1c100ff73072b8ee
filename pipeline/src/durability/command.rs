//! Commands to the task that owns the ledger, and its reports. One task owns
//! the ledger, so that no lock protects it and its operations have an order.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};
use tributary_connectors::dead_letter::DeadLetter;
use tributary_connectors::nats::OutgoingMessage;
use tributary_ledger::{ErasureFilter, FileHeads, Keyring, Position, Watermark, WriteBatch};
use tributary_operators::engine::Epoch;
use tributary_operators::record::{BrandId, Day};
use tributary_operators::upsert::ExpiredRecord;

/// A command to the task that owns the ledger.
#[derive(Debug)]
pub enum LedgerCommand {
    /// An epoch with messages begins; the position is that of the input after it.
    Mark(Epoch, Position),
    /// Write batch, dead letters and rights requests of one thread for an epoch.
    Part(Epoch, WriteBatch, Vec<DeadLetter>, Vec<OutgoingMessage>),
    /// Signals when no standby can take over without the epochs that are open now.
    Secure(std::sync::mpsc::Sender<()>),
    /// Destroys the salts of all days of a brand before this one.
    DestroySalts(BrandId, Day),
    /// Commits the totals of settled salt days in one commit, and signals when they
    /// are durable.
    CommitSettledDays(WriteBatch, std::sync::mpsc::Sender<()>),
    /// Drops the pings of all salt days of a brand before this one: their totals
    /// are durable.
    DropPings(BrandId, Day),
    /// Drops the sightings of all salt days of a brand before this one, and the visits
    /// of these days: that they are settled is durable.
    DropSightings(BrandId, Day),
    /// Records the heads of files beside the ledger in its manifest, and returns
    /// the watermark after that.
    NameHeads(FileHeads, oneshot::Sender<Watermark>),
    /// Commits the retraction of expired records once every open epoch is
    /// committed, then erases their entries.
    CommitExpired(Vec<ExpiredRecord>),
    /// Erases committed entries, and returns their number.
    Erase(Erasure),
    /// Rotates the keys of the ledger, and reports the progress.
    RotateKeys(KeyRotation),
    /// Gives the ledger the keys of further brands, and returns why not if it refuses
    /// them.
    AddBrands(Arc<Keyring>, oneshot::Sender<Result<(), String>>),
}

/// A request to erase entries, and the receiver of its outcome.
pub struct Erasure {
    /// The entries to erase.
    pub forget: ErasureFilter,
    /// Receives the outcome once the files are overwritten and removed.
    pub done: oneshot::Sender<ErasureOutcome>,
}

/// Outcome of an erasure.
#[derive(Clone, Copy, Debug, Default)]
pub struct ErasureOutcome {
    /// The number of erased entries.
    pub entries: u64,
    /// The number of files that could not be overwritten before they were removed.
    pub not_overwritten: u64,
}

impl std::fmt::Debug for Erasure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Erasure").finish_non_exhaustive()
    }
}

/// The position up to which everything is durable.
#[derive(Clone, Copy, Debug, Default)]
pub struct DurablePosition {
    /// Number of marks committed since the start.
    pub marks: u64,
    /// Sequence of the last committed message; all before it are committed as well.
    pub sequence: u64,
    /// The same in the stream of pings; 0 without one.
    pub pings: u64,
    /// Epoch of the last committed mark.
    pub epoch: Epoch,
}

/// A rotation to newer secrets, and the receiver of its progress.
pub struct KeyRotation {
    /// The keys of the newer secrets.
    pub keyring: Arc<Keyring>,
    /// Whether to begin; otherwise the ledger only checks whether it could.
    pub begin: bool,
    /// Receives the progress.
    pub progress: Arc<watch::Sender<Progress>>,
}

impl std::fmt::Debug for KeyRotation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRotation").finish_non_exhaustive()
    }
}

/// Progress of a key rotation. The JSON form is part of the answer of the key
/// service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Progress {
    /// Not begun: a rewrite is in progress.
    Waiting,
    /// The rotation could begin.
    Possible,
    /// Entries under an older secret are being sealed under the newest.
    Moving {
        /// Bytes read so far.
        read: u64,
        /// Bytes to read.
        total: u64,
    },
    /// No entry opens under an older secret any more.
    Done {
        /// Entries that were sealed under an older one.
        moved: u64,
        /// Files that were overwritten and removed.
        files: usize,
    },
    /// The ledger refused the secrets, and nothing has changed.
    Refused {
        /// Why.
        why: String,
    },
}

impl Progress {
    /// Whether this is the last report.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Progress::Possible | Progress::Done { .. } | Progress::Refused { .. }
        )
    }
}

//! Key rotation: a running worker switches to newer secrets without stopping
//! and without losing a link.
//!
//! Each process of a cluster has its own ledger and its own subject,
//! `tributary.keys.<brand>.<process>`. It reads its own configuration file
//! again; no secret is transmitted. A request contains a proof, for every
//! brand, that the client has the secrets that the process reads there: a
//! process whose file was not updated, or that is asked by the operator of
//! another deployment, refuses, and nothing is changed. The client first asks
//! every process whether it could rotate, before any begins.
//!
//! The rotation concerns what the ledger seals. The process continues to make
//! pseudonyms under its previous secret, for records as well as for queries,
//! rights and objections; the next start restores everything under the newest
//! secret.
//!
//! A request is answered at once with its progress, and is repeated with the
//! same ID until it is done: neither a connection that breaks nor a rewrite
//! that takes an hour loses it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tributary_config::key_chain::{prove_secrets, verify_proof};
use tributary_config::model::Config;
use tributary_ledger::Keyring;

use crate::durability::command::{KeyRotation, LedgerCommand, Progress};
use crate::serve::services::request::Refusal;

/// Maximum time for which an answer waits for progress.
const WAIT: Duration = Duration::from_millis(500);

/// Number of rotations that are remembered.
const REMEMBERED: usize = 8;

/// Length of an ID in hexadecimal digits.
const ID: usize = 32;

/// Request to a process.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Random ID of the rotation. Requests with the same ID ask for its progress;
    /// the proofs are bound to it.
    #[schemars(extend("pattern" = "^[0-9a-f]{32}$"))]
    id: String,
    /// For each brand, proof that the client has all its secrets.
    #[schemars(extend(
        "additionalProperties" = json!({"type": "string", "pattern": "^[0-9a-f]{64}$"})
    ))]
    proofs: BTreeMap<String, String>,
    /// Whether to begin, or only to check.
    begin: bool,
}

/// Answer of a process.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RotationStatus {
    /// Index of the process.
    pub process: usize,
    /// Number of processes.
    pub processes: usize,
    /// Progress of its rotation.
    #[serde(flatten)]
    pub progress: Progress,
}

impl Request {
    /// A new rotation to the secrets of a configuration.
    pub fn new(config: &Config) -> Request {
        let id = format!("{:032x}", rand::random::<u128>());
        let brands = config.brands.iter();
        Request {
            proofs: brands
                .map(|b| (b.name.clone(), prove_secrets(b, &id)))
                .collect(),
            id,
            begin: false,
        }
    }

    /// The request to begin this rotation.
    pub fn begin(self) -> Request {
        Request {
            begin: true,
            ..self
        }
    }
}

/// The rotations of a process.
#[derive(Clone)]
pub struct KeyRotations(Arc<Inner>);

/// Shared state.
struct Inner {
    /// The configuration file.
    file: PathBuf,
    /// Index of the process.
    process: usize,
    /// Number of processes.
    processes: usize,
    /// Commands to the ledger. A weak sender, because the ledger closes when no
    /// other sender is left.
    ledger_tx: mpsc::WeakUnboundedSender<LedgerCommand>,
    /// The last rotations, by ID.
    begun: Mutex<Vec<(String, watch::Receiver<Progress>)>>,
}

impl KeyRotations {
    /// The rotations of a process that runs with `config`, which it read from
    /// `file`.
    pub fn new(
        file: PathBuf,
        config: &Config,
        ledger_tx: &mpsc::UnboundedSender<LedgerCommand>,
    ) -> KeyRotations {
        KeyRotations(Arc::new(Inner {
            file,
            process: config.workers.process,
            processes: config.workers.hosts.len().max(1),
            ledger_tx: ledger_tx.downgrade(),
            begun: Mutex::default(),
        }))
    }

    /// Index of the process.
    pub fn process(&self) -> usize {
        self.0.process
    }

    /// Answers a request.
    ///
    /// # Errors
    ///
    /// 400 for an invalid request, 409 if the secrets are refused, 503 while the
    /// worker stops.
    pub async fn answer(&self, payload: &[u8]) -> Result<Vec<u8>, Refusal> {
        let request: Request = serde_json::from_slice(payload)
            .ok()
            .filter(|request: &Request| request.id.len() == ID)
            .ok_or_else(|| Refusal::bad("the request is none of `tributary keys rotate`"))?;
        let mut progress = match self.begun(&request.id) {
            Some(progress) => progress,
            None => self.begin(request).await?,
        };
        let ended = tokio::time::timeout(WAIT, progress.wait_for(Progress::is_final)).await;
        // The ledger has closed, so that no more progress can follow.
        let ledger_closed = ended.is_ok_and(|ended| ended.is_err());
        let now = progress.borrow().clone();
        if ledger_closed && !now.is_final() {
            return Err(Refusal::stopping());
        }
        if let Progress::Refused { why } = &now {
            return Err(self.refuse(why));
        }
        let status = RotationStatus {
            process: self.0.process,
            processes: self.0.processes,
            progress: now,
        };
        let mut answer = serde_json::to_vec(&status).unwrap_or_default();
        answer.push(b'\n');
        Ok(answer)
    }

    /// Progress of a rotation that has begun.
    fn begun(&self, id: &str) -> Option<watch::Receiver<Progress>> {
        let begun = self.0.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let found = begun.iter().find(|(of, _)| of == id);
        found.map(|(_, progress)| progress.clone())
    }

    /// Reads the configuration again, and passes its secrets to the ledger if the
    /// client has proved to have them.
    ///
    /// # Errors
    ///
    /// 409 for a configuration that cannot be read or other secrets, 503 while the
    /// worker stops.
    async fn begin(&self, request: Request) -> Result<watch::Receiver<Progress>, Refusal> {
        let file = self.0.file.clone();
        let config = tokio::task::spawn_blocking(move || crate::load(&file))
            .await
            .map_err(|_| self.refuse("its configuration file could not be read"))?
            .map_err(|error| self.refuse(&format!("{error:#}")))?;
        self.examine(&config, &request)?;
        let (progress_tx, progress) = watch::channel(Progress::Waiting);
        let exchange = KeyRotation {
            keyring: Arc::new(Keyring::new(&config)),
            begin: request.begin,
            progress: Arc::new(progress_tx),
        };
        let ledger_tx = self.0.ledger_tx.upgrade().ok_or_else(Refusal::stopping)?;
        let command = LedgerCommand::RotateKeys(exchange);
        ledger_tx.send(command).map_err(|_| Refusal::stopping())?;
        if request.begin {
            let begun = &self.0.begun;
            let mut begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
            if begun.len() >= REMEMBERED {
                begun.remove(0);
            }
            begun.push((request.id, progress.clone()));
        }
        Ok(progress)
    }

    /// Refuses a client that does not have the secrets that this process would
    /// switch to.
    ///
    /// # Errors
    ///
    /// 409, with the file and the first brand that differs.
    fn examine(&self, config: &Config, request: &Request) -> Result<(), Refusal> {
        let file = self.0.file.display();
        if config.brands.len() != request.proofs.len() {
            return Err(self.refuse(&format!(
                "{file} there has other brands than the configuration that this was asked with"
            )));
        }
        for brand in &config.brands {
            let proof = request.proofs.get(&brand.name);
            if !proof.is_some_and(|proof| verify_proof(brand, &request.id, proof)) {
                let name = &brand.name;
                return Err(self.refuse(&format!(
                    "{file} there gives brand `{name}` other secrets than the configuration that this was asked with: \
                     give every process the same file and the same secrets, then ask again"
                )));
            }
        }
        Ok(())
    }

    /// A refusal with the reason. Nothing was changed.
    fn refuse(&self, why: &str) -> Refusal {
        let process = self.0.process;
        // The sentence travels in a header.
        let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
        Refusal {
            code: 409,
            sentence: format!("process {process} continues with its current secrets: {why}"),
        }
    }
}

//! Key rotation: a running worker switches to newer secrets without stopping
//! and without losing a link.
//!
//! Each process of a cluster has its own ledger and its own subject,
//! `tributary.keys.<brand>.<process>`. It reads its own configuration file
//! again; no secret is transmitted. The client first asks every process for a
//! challenge, a random number that is good for one rotation. A request then
//! contains a proof over that challenge, for every brand, that the client has the
//! secrets that the process reads there: a process whose file was not updated, or
//! that is asked by the operator of another deployment, refuses, and nothing is
//! changed; and who has recorded a request can repeat it in vain. The client asks
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

/// Number of challenges that are remembered, more than operators ask for at a time.
const CHALLENGES: usize = 64;

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
    /// For each brand, proof over the challenge of the process that the client has all
    /// its secrets; none to ask for the challenge.
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
    /// The challenge that proofs are computed over, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
    /// Progress of its rotation.
    #[serde(flatten)]
    pub progress: Progress,
}

impl Request {
    /// A new rotation: the request for a challenge.
    pub fn for_challenge() -> Request {
        Request {
            id: draw(),
            proofs: BTreeMap::new(),
            begin: false,
        }
    }

    /// The request to a process that gave this challenge whether it could rotate to the
    /// secrets of a configuration, or with `begin` the request to do so.
    pub fn prove(&self, config: &Config, challenge: &str, begin: bool) -> Request {
        let of = bound(&self.id, challenge, begin);
        let brands = config.brands.iter();
        Request {
            id: self.id.clone(),
            proofs: brands
                .map(|brand| (brand.name.clone(), prove_secrets(brand, &of)))
                .collect(),
            begin,
        }
    }
}

/// A random number as [`ID`] hexadecimal digits.
fn draw() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// What a proof is computed over: the ID of the rotation, the challenge of a process,
/// and whether it is to begin, so that who sees the question cannot give the order.
fn bound(id: &str, challenge: &str, begin: bool) -> String {
    let what = if begin { "begin" } else { "check" };
    format!("{id} {challenge} {what}")
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
    /// The last challenges, by the ID of their rotation.
    challenges: Mutex<Vec<(String, String)>>,
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
            challenges: Mutex::default(),
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
            None if request.proofs.is_empty() => {
                let challenge = Some(self.challenge(request.id));
                return Ok(self.status(challenge, Progress::Waiting));
            }
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
        Ok(self.status(None, now))
    }

    /// The answer to a request.
    fn status(&self, challenge: Option<String>, progress: Progress) -> Vec<u8> {
        let status = RotationStatus {
            process: self.0.process,
            processes: self.0.processes,
            challenge,
            progress,
        };
        let mut answer = serde_json::to_vec(&status).unwrap_or_default();
        answer.push(b'\n');
        answer
    }

    /// Draws the challenge of a rotation; the same again while it is remembered.
    fn challenge(&self, id: String) -> String {
        let challenges = &self.0.challenges;
        let mut challenges = challenges.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, drawn)) = challenges.iter().find(|(of, _)| *of == id) {
            return drawn.clone();
        }
        if challenges.len() >= CHALLENGES {
            challenges.remove(0);
        }
        let drawn = draw();
        challenges.push((id, drawn.clone()));
        drawn
    }

    /// The challenge of a rotation, which is used up when the rotation begins.
    fn take_challenge(&self, id: &str, begins: bool) -> Option<String> {
        let challenges = &self.0.challenges;
        let mut challenges = challenges.lock().unwrap_or_else(PoisonError::into_inner);
        let place = challenges.iter().position(|(of, _)| of == id)?;
        match begins {
            true => Some(challenges.remove(place).1),
            false => challenges.get(place).map(|(_, drawn)| drawn.clone()),
        }
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
        let load = move || anyhow::Ok(crate::load(&file)?.of_its_shard()?);
        let config = tokio::task::spawn_blocking(load)
            .await
            .map_err(|_| self.refuse("its configuration file could not be read"))?
            .map_err(|error| self.refuse(&format!("{error:#}")))?;
        let challenge = self.take_challenge(&request.id, request.begin);
        let challenge = challenge.ok_or_else(|| {
            self.refuse("the request answers no challenge of this process: run `tributary keys rotate` again")
        })?;
        self.examine(&config, &request, &challenge)?;
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

    /// Refuses a client that does not prove over the challenge that it has the
    /// secrets that this process would switch to.
    ///
    /// # Errors
    ///
    /// 409, with the file and the first brand that differs.
    fn examine(&self, config: &Config, request: &Request, challenge: &str) -> Result<(), Refusal> {
        let of = bound(&request.id, challenge, request.begin);
        let file = self.0.file.display();
        if config.brands.len() != request.proofs.len() {
            return Err(self.refuse(&format!(
                "{file} there has other brands than the configuration that this was asked with"
            )));
        }
        for brand in &config.brands {
            let proof = request.proofs.get(&brand.name);
            if !proof.is_some_and(|proof| verify_proof(brand, &of, proof)) {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    #[tokio::test]
    async fn who_repeats_what_somebody_else_has_sent_begins_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tributary.toml");
        let secret = folder.path().join("secret");
        tributary_testkit::write_secret(&secret, tributary_testkit::SECRET);
        let text =
            format!("[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_file = {secret:?}\n");
        std::fs::write(&file, text).unwrap();
        let config = crate::load(&file).unwrap();
        let (ledger_tx, mut commands) = mpsc::unbounded_channel();
        let start = || KeyRotations::new(file.clone(), &config, &ledger_tx);
        let rotations = start();
        let ask = async |rotations: &KeyRotations, request: &Request| {
            let asked = serde_json::to_vec(request).unwrap();
            rotations.answer(&asked).await
        };
        let challenge = |answer: Vec<u8>| {
            let status: RotationStatus = serde_json::from_slice(&answer).unwrap();
            status.challenge.unwrap()
        };
        let opened = Request::for_challenge();
        let given = challenge(ask(&rotations, &opened).await.unwrap());
        let proved = opened.prove(&config, &given, false);
        ask(&rotations, &proved).await.unwrap();
        // Who has seen the question does not give the order.
        let forged = Request {
            begin: true,
            ..proved
        };
        assert_eq!(ask(&rotations, &forged).await.unwrap_err().code, 409);
        let opened = Request::for_challenge();
        let given = challenge(ask(&rotations, &opened).await.unwrap());
        let recorded = opened.prove(&config, &given, true);
        ask(&rotations, &recorded).await.unwrap();
        // The ledger keeps them until they are done.
        let mut taken = Vec::new();
        let mut begun = 0;
        while let Ok(LedgerCommand::RotateKeys(rotation)) = commands.try_recv() {
            begun += usize::from(rotation.begin);
            taken.push(rotation);
        }
        assert_eq!(begun, 1);

        // Repeated, it shows how far that rotation is; after a restart it is refused, and so it is with another's challenge.
        ask(&rotations, &recorded).await.unwrap();
        let again = start();
        let refused = ask(&again, &recorded).await.unwrap_err();
        assert!(
            refused.sentence.contains("challenge"),
            "{}",
            refused.sentence
        );
        let other = Request::for_challenge();
        let others = challenge(ask(&again, &other).await.unwrap());
        assert_ne!(others, given);
        for proved in [
            other.prove(&config, &given, false),
            opened.prove(&config, &others, false),
        ] {
            assert_eq!(ask(&again, &proved).await.unwrap_err().code, 409);
        }
        ask(&again, &other.prove(&config, &others, false))
            .await
            .unwrap();
        let mut left = 0;
        while let Ok(LedgerCommand::RotateKeys(rotation)) = commands.try_recv() {
            left += usize::from(rotation.begin);
            taken.push(rotation);
        }
        assert_eq!(left, 0);
    }
}

//! What a follower asks its leader, and the answers.
//!
//! Requests and answers are messages on a subject of the leader's copy, so that
//! a former leader that wakes answers nobody. A request proves the secrets of
//! the configuration: nobody else needs a copy. Answers are JSON for a state,
//! and bytes for a part of a file; the files are sealed.

use serde::{Deserialize, Serialize};
use tributary_config::key_chain::{prove_secrets, verify_proof};
use tributary_config::model::{Brand, Config};
use tributary_ledger::Extent;

use super::rights_copy::RightsFile;

/// Maximum number of bytes of a file in one answer; less than the default
/// maximum payload of a broker.
pub const PART: u64 = 512 << 10;

/// Header of an answer that is a refusal.
pub const REFUSED: &str = "Tributary-Refused";

/// The subject of a leader with this copy of the ledger.
pub fn subject(copy: &str) -> String {
    format!("tributary.standby.{copy}")
}

/// A request with its proof.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The request as JSON.
    request: String,
    /// The proof of the secrets of one brand over the request.
    proof: String,
}

/// A request.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// What the ledger consists of now.
    State {
        /// The ID of the follower's copy.
        copy: String,
        /// The number of the state that the follower has; 0 for none.
        has: u64,
    },
    /// A part of a file of the ledger.
    Ledger {
        /// Its name in the ledger.
        file: String,
        /// Where the part begins.
        offset: u64,
        /// Its length, at most [`PART`].
        bytes: u64,
    },
    /// A part of a file of the rights directory.
    Rights {
        /// The file as the state lists it.
        file: RightsFile,
        /// Where the part begins.
        offset: u64,
        /// Its length, at most [`PART`].
        bytes: u64,
    },
}

impl Request {
    /// The message of this request.
    ///
    /// # Errors
    ///
    /// A configuration without brands.
    pub fn sign(&self, config: &Config) -> anyhow::Result<Vec<u8>> {
        let request = serde_json::to_string(self)?;
        let proof = match prover(config) {
            Some(brand) => prove_secrets(brand, &challenge(&request)),
            None => anyhow::bail!("the configuration defines no brand"),
        };
        Ok(serde_json::to_vec(&Signed { request, proof })?)
    }

    /// Reads a message; `None` without a valid proof.
    pub fn read(message: &[u8], config: &Config) -> Option<Request> {
        let Signed { request, proof } = serde_json::from_slice(message).ok()?;
        let brand = prover(config)?;
        if !verify_proof(brand, &challenge(&request), &proof) {
            return None;
        }
        serde_json::from_str(&request).ok()
    }
}

/// What a proof of a request is computed over.
fn challenge(request: &str) -> String {
    format!("tributary standby {request}")
}

/// The brand whose secrets prove a request: the first one by name, whatever
/// their order in the file.
fn prover(config: &Config) -> Option<&Brand> {
    config.brands.iter().min_by_key(|brand| &brand.name)
}

/// What the ledger and the rights directory consist of at one instant.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The number of the state.
    pub state: u64,
    /// The manifest, a text.
    pub manifest: String,
    /// The number of the active segment, and its length up to the last commit.
    pub active: (u64, u64),
    /// The files of the rights directory.
    pub rights: Vec<RightsFile>,
    /// The file that says which brands were moved into the ledger and out of it, a
    /// text; empty if there is none. It does not change while its process runs.
    #[serde(default)]
    pub moves: String,
}

impl State {
    /// How far the active segment is durable.
    pub fn extent(&self) -> Extent {
        let (segment, bytes) = self.active;
        Extent { segment, bytes }
    }
}

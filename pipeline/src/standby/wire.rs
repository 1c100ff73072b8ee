//! What a follower asks its leader, and the answers.
//!
//! Requests and answers are messages on a subject of the leader's copy, so that
//! a former leader that wakes answers nobody. A request proves the secrets of
//! the configuration: nobody else needs a copy. An answer proves them as well, over
//! the request, which is never the same twice: what others answer, or have kept of an
//! earlier answer, is passed over. Answers are JSON for a state, and bytes for a part
//! of a file; the files are sealed.

use serde::{Deserialize, Serialize};
use tributary_config::key_chain::{prove_secrets, verify_proof};
use tributary_config::model::{Brand, Config};
use tributary_ledger::Extent;

use crate::durability::rights_copy::RightsFile;
use crate::shared_settings::Shared;

/// Maximum number of bytes of a file in one answer; less than the default
/// maximum payload of a broker.
pub const PART: u64 = 512 << 10;

/// Maximum length of an answer, bytes: a state of some ten thousand files.
pub const LARGEST_ANSWER: usize = 4 << 20;

/// Header of an answer that is a refusal.
pub const REFUSED: &str = "Tributary-Refused";

/// Header of the proof of an answer.
pub const PROOF: &str = "Tributary-Proof";

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
    /// 32 random hexadecimal digits.
    nonce: String,
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
        /// Since when the leader leads that it follows, as the lease says: numbers of
        /// states are those of one lease.
        since: String,
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
        let nonce = data_encoding::HEXLOWER.encode(&rand::random::<[u8; 16]>());
        let proof = match prover(config) {
            Some(brand) => prove_secrets(brand, &challenge(&request, &nonce)),
            None => anyhow::bail!("the configuration defines no brand"),
        };
        let signed = Signed {
            request,
            nonce,
            proof,
        };
        Ok(serde_json::to_vec(&signed)?)
    }

    /// Reads a message; `None` without a valid proof.
    pub fn read(message: &[u8], config: &Config) -> Option<Request> {
        let Signed {
            request,
            nonce,
            proof,
        } = serde_json::from_slice(message).ok()?;
        let brand = prover(config)?;
        if !verify_proof(brand, &challenge(&request, &nonce), &proof) {
            return None;
        }
        serde_json::from_str(&request).ok()
    }
}

/// What a proof of a request is computed over.
fn challenge(request: &str, nonce: &str) -> String {
    format!("tributary standby {nonce} {request}")
}

/// An answer, with what it proves.
pub struct Answer<'a> {
    /// The message with the request.
    pub request: &'a [u8],
    /// Why it is refused; empty if it is not.
    pub refused: &'a str,
    /// The content.
    pub content: &'a [u8],
}

impl Answer<'_> {
    /// The proof of the secrets of the configuration over the answer; empty without
    /// brands.
    pub fn prove(&self, config: &Config) -> String {
        let brand = prover(config);
        brand.map_or_else(String::new, |brand| prove_secrets(brand, &self.challenge()))
    }

    /// Whether a proof is one over this answer.
    pub fn is_proved(&self, config: &Config, proof: &str) -> bool {
        prover(config).is_some_and(|brand| verify_proof(brand, &self.challenge(), proof))
    }

    /// What a proof is computed over.
    fn challenge(&self) -> String {
        let [request, refused, content] =
            [self.request, self.refused.as_bytes(), self.content].map(blake3::hash);
        format!(
            "tributary standby answer {} {} {}",
            request.to_hex(),
            refused.to_hex(),
            content.to_hex()
        )
    }
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
    /// The settings of the process that leads.
    pub settings: Shared,
}

impl State {
    /// How far the active segment is durable.
    pub fn extent(&self) -> Extent {
        let (segment, bytes) = self.active;
        Extent { segment, bytes }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use std::path::Path;

    use super::*;

    fn config(secret: &str) -> Config {
        let text = "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"A\"\n";
        // Settings are looked for in the environment as well.
        let environment =
            |name: &str| (name == "A").then(|| format!("{secret} {}", tributary_testkit::SECRET));
        let loaded = tributary_config::parse_in(text, Path::new("tributary.toml"), &environment);
        loaded
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config
    }

    #[test]
    fn an_answer_is_that_of_a_leader_to_this_very_request() {
        let (own, other) = (config("own"), config("other"));
        let request = Request::State {
            copy: "c".to_owned(),
            since: "1".to_owned(),
            has: 7,
        };
        let [first, second] = [(); 2].map(|()| request.sign(&own).unwrap());
        assert_ne!(first, second, "never the same twice");
        assert_eq!(Request::read(&first, &own), Some(request));
        assert_eq!(Request::read(&first, &other), None);

        let answer = |request, refused, content| Answer {
            request,
            refused,
            content,
        };
        let state = answer(&first, "", b"{}");
        let proof = state.prove(&own);
        assert!(state.is_proved(&own, &proof));
        assert!(!state.is_proved(&own, &state.prove(&other)), "a stranger");
        assert!(!state.is_proved(&own, ""));
        // That of before, another content, and a refusal in its place.
        assert!(!answer(&second, "", b"{}").is_proved(&own, &proof));
        assert!(!answer(&first, "", b"{ }").is_proved(&own, &proof));
        assert!(!answer(&first, "no", b"{}").is_proved(&own, &proof));
        assert!(!answer(&first, "{}", b"").is_proved(&own, &proof));
    }
}

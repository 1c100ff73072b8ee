//! Parts: each process of a cluster confirms to process 0 what it has done of a start
//! ([`super::starts`]), and process 0 goes on when all have.
//!
//! A confirmation is a message of the rights stream, which anybody may write who
//! administers the broker. It therefore proves the brand's secrets, over everything
//! that it says: of which process, start and stream it is, up to which epoch the process
//! had read, and what went from its ledger, which the receipt states for the whole
//! cluster.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use tributary_config::key_chain::{prove_secrets, verify_proof};
use tributary_config::model::Brand;
use tributary_connectors::nats::{Reader, subject as subjects};
use tributary_operators::engine::Epoch;
use tributary_operators::record::BrandId;

use super::job::Job;
use super::task::{LOOK, Rights};
use crate::broker::retry::retry_transient;
use crate::durability::command::ErasureOutcome;
use crate::epochs::queries::WorkerStopped;

/// The confirmation of a process, as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Done {
    /// The sequence number of the start.
    start: u64,
    /// The epoch of the dataflow with which everything had entered it that the process
    /// had to read.
    epoch: u64,
    /// The number of entries that its ledger has lost.
    entries: u64,
    /// The number of replaced files that could not be overwritten.
    not_overwritten: u64,
}

/// A confirmation with the proof of the brand's secrets over all of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    done: Done,
    proof: String,
}

impl Done {
    /// What the proof is computed over. A stream that replaces another counts from 1
    /// again, and is made at another time.
    fn challenge(&self, process: usize, created_ns: i64) -> String {
        let Done {
            start,
            epoch,
            entries,
            not_overwritten,
        } = self;
        format!(
            "tributary part of process {process} start {start} stream {created_ns} epoch {epoch} entries {entries} not \
             overwritten {not_overwritten}"
        )
    }

    /// The confirmation, proved.
    fn prove(self, brand: &Brand, process: usize, created_ns: i64) -> Part {
        let proof = prove_secrets(brand, &self.challenge(process, created_ns));
        Part { done: self, proof }
    }

    /// Reads a confirmation; `None` without a valid proof.
    fn read(payload: &[u8], brand: &Brand, process: usize, created_ns: i64) -> Option<Done> {
        let Part { done, proof } = serde_json::from_slice(payload).ok()?;
        let challenge = done.challenge(process, created_ns);
        verify_proof(brand, &challenge, &proof).then_some(done)
    }
}

impl Rights {
    /// Confirms the part of this process in starts of brands.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    pub(super) async fn confirm(
        &self,
        starts: impl Iterator<Item = (u64, BrandId)>,
        epoch: Epoch,
        erased: &ErasureOutcome,
    ) -> anyhow::Result<()> {
        let process = self.config.workers.process;
        let parts = starts.filter_map(|(start, brand)| {
            let brand = self.brand(brand)?;
            let done = Done {
                start,
                epoch,
                entries: erased.entries,
                not_overwritten: erased.not_overwritten,
            };
            let part = done.prove(brand, process, self.created_ns);
            // Numbers and digits: nothing in it can fail.
            let text = serde_json::to_string(&part).unwrap_or_default();
            Some(self.publish(subjects::rights_part(&brand.name, process), text))
        });
        try_join_all(parts).await?;
        Ok(())
    }

    /// Waits until all other processes have confirmed the awaited starts of jobs, and
    /// adds up what went from their ledgers. Returns the last epoch of what they had to
    /// read.
    ///
    /// # Errors
    ///
    /// A stopped worker, or a broker that does not answer. There is no time limit
    /// for the other processes.
    pub(super) async fn await_parts(&self, jobs: &mut [Job]) -> anyhow::Result<Epoch> {
        let processes = self.config.workers.hosts.len().max(1);
        let mut missing: BTreeMap<u64, BTreeMap<usize, Option<Done>>> = BTreeMap::new();
        for start in jobs.iter_mut().flat_map(|job| job.awaited.drain(..)) {
            let none = (1..processes).map(|process| (process, None));
            missing.insert(start, none.collect());
        }
        let first = missing.keys().next().copied();
        let Some(first) = first.filter(|_| processes > 1) else {
            return Ok(0);
        };
        let places: FxHashMap<u64, usize> = jobs
            .iter()
            .enumerate()
            .flat_map(|(place, job)| job.starts.iter().map(move |start| (*start, place)))
            .collect();
        let stream = &self.config.nats.rights_stream;
        let all = subjects::rights_parts();
        // Confirmations of earlier attempts are read as well, to be deleted.
        let begun = jobs.iter().flat_map(|job| &job.starts).min().copied();
        let from = begun.unwrap_or(first);
        let mut reader =
            retry_transient(|| Reader::filtered(&self.client, stream, &all, from)).await?;
        while missing
            .values()
            .any(|parts| parts.values().any(Option::is_none))
        {
            if self.ledger_tx.is_closed() {
                return Err(WorkerStopped.into());
            }
            for message in reader.next_batch(1_000, LOOK).await? {
                let mut words = message.subject.rsplit('.');
                let process = words.next().and_then(|word| word.parse().ok());
                let brand = words.nth(1).and_then(|name| self.brand(BrandId::of(name)));
                let (Some(process), Some(brand)) = (process, brand) else {
                    continue;
                };
                let read = Done::read(&message.payload, brand, process, self.created_ns);
                let Some(done) = read else {
                    tracing::warn!(
                        subject = %message.subject,
                        sequence = message.sequence,
                        "passing over a confirmation that does not prove the secrets of the brand"
                    );
                    continue;
                };
                let job = places.get(&done.start);
                let job = job.and_then(|place| jobs.get_mut(*place));
                let Some(job) = job.filter(|job| job.brand == BrandId::of(&brand.name)) else {
                    continue;
                };
                if !job.parts.contains(&message.sequence) {
                    job.parts.push(message.sequence);
                }
                let parts = missing.get_mut(&done.start);
                if let Some(one) = parts.and_then(|parts| parts.get_mut(&process)) {
                    *one = Some(done);
                }
            }
        }
        let mut epoch = 0;
        for (start, parts) in missing {
            let job = places.get(&start);
            let job = job.and_then(|place| jobs.get_mut(*place));
            let mut counts = job.map(|job| &mut job.counts);
            for done in parts.into_values().flatten() {
                epoch = epoch.max(done.epoch);
                if let Some(counts) = &mut counts {
                    counts.ledger_entries += done.entries;
                    counts.not_overwritten += done.not_overwritten;
                }
            }
        }
        Ok(epoch)
    }

    /// A brand of the configuration.
    fn brand(&self, id: BrandId) -> Option<&Brand> {
        let mut brands = self.config.brands.iter();
        brands.find(|brand| BrandId::of(&brand.name) == id)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use std::path::Path;

    use tributary_config::model::Config;

    use super::*;

    fn config(secret: &str) -> Config {
        let text: String = [("acme", "A"), ("bolt", "B")]
            .iter()
            .map(|(name, secret)| {
                format!("[[brand]]\nname = {name:?}\ntimezone = \"UTC\"\nsecret_env = {secret:?}\n")
            })
            .collect();
        // Settings are looked for in the environment as well.
        let environment = |name: &str| {
            (name.len() == 1).then(|| format!("{secret} {name} {}", tributary_testkit::SECRET))
        };
        let loaded = tributary_config::parse_in(&text, Path::new("tributary.toml"), &environment);
        loaded
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config
    }

    #[test]
    fn a_confirmation_is_that_of_its_process_and_start() {
        let (own, other) = (config("own"), config("other"));
        let [acme, bolt] = &own.brands[..] else {
            panic!("two brands");
        };
        let done = Done {
            start: 7,
            epoch: 5,
            entries: 9,
            not_overwritten: 2,
        };
        let part = done.prove(acme, 1, 1_000);
        let text = serde_json::to_vec(&part).unwrap();
        assert_eq!(Done::read(&text, acme, 1, 1_000), Some(done));
        // Under the subject of another process or brand, in another stream, or by a stranger.
        assert!(Done::read(&text, acme, 2, 1_000).is_none());
        assert!(Done::read(&text, bolt, 1, 1_000).is_none());
        assert!(Done::read(&text, acme, 1, 1_001).is_none());
        assert!(Done::read(&text, &other.brands[0], 1, 1_000).is_none());
        // Of another start, with other numbers, or as it was without a proof.
        let changed = |from: &str, to: &str| {
            let text = String::from_utf8(text.clone()).unwrap();
            assert!(text.contains(from), "{text}");
            text.replace(from, to).into_bytes()
        };
        for (from, to) in [
            ("\"start\":7", "\"start\":8"),
            ("\"epoch\":5", "\"epoch\":4"),
            ("\"entries\":9", "\"entries\":8"),
            ("\"not_overwritten\":2", "\"not_overwritten\":0"),
            (&part.proof[..8], "00000000"),
        ] {
            assert!(Done::read(&changed(from, to), acme, 1, 1_000).is_none());
        }
        assert!(Done::read(b"7", acme, 1, 1_000).is_none());
    }
}

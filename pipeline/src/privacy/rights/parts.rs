//! Parts: each process of a cluster erases from its own ledger, and confirms that to
//! process 0, which completes the request when all have.
//!
//! A confirmation is a message of the rights stream, which anybody may write who
//! administers the broker. It therefore proves the brand's secrets, over everything
//! that it says: of which process, request and stream it is, and how many files the
//! process could not overwrite, which the receipt states for the whole cluster.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use tributary_config::key_chain::{prove_secrets, verify_proof};
use tributary_config::model::Brand;
use tributary_connectors::nats::{Reader, subject as subjects};
use tributary_operators::record::BrandId;

use super::job::Job;
use super::task::{LOOK, Rights};
use crate::broker::retry::retry_transient;
use crate::epochs::queries::WorkerStopped;

/// The confirmation of a process, as JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    /// The sequence number of the request.
    request: u64,
    /// The number of replaced files that could not be overwritten.
    not_overwritten: u64,
    /// The proof of the brand's secrets over all of it.
    proof: String,
}

impl Part {
    /// What the proof is computed over. A stream that replaces another counts from 1
    /// again, and is made at another time.
    fn challenge(&self, process: usize, created_ns: i64) -> String {
        let Part {
            request,
            not_overwritten,
            ..
        } = self;
        format!(
            "tributary part of process {process} request {request} stream {created_ns} not overwritten {not_overwritten}"
        )
    }

    /// The confirmation of a process.
    fn of(
        brand: &Brand,
        process: usize,
        created_ns: i64,
        (request, not_overwritten): (u64, u64),
    ) -> Part {
        let mut part = Part {
            request,
            not_overwritten,
            proof: String::new(),
        };
        part.proof = prove_secrets(brand, &part.challenge(process, created_ns));
        part
    }

    /// Reads a confirmation; `None` without a valid proof.
    fn read(payload: &[u8], brand: &Brand, process: usize, created_ns: i64) -> Option<Part> {
        let part: Part = serde_json::from_slice(payload).ok()?;
        let challenge = part.challenge(process, created_ns);
        verify_proof(brand, &challenge, &part.proof).then_some(part)
    }
}

impl Rights {
    /// Confirms the part of this process in the jobs at some places, of which it could
    /// not overwrite so many files.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    pub(super) async fn confirm_part(
        &self,
        jobs: &[Job],
        places: &[usize],
        not_overwritten: u64,
    ) -> anyhow::Result<()> {
        let process = self.config.workers.process;
        let jobs = places.iter().filter_map(|place| jobs.get(*place));
        let parts = jobs.filter_map(|job| {
            let brand = self.brand(job.brand)?;
            let said = (*job.sequences.first()?, not_overwritten);
            let part = Part::of(brand, process, self.created_ns, said);
            // Numbers and digits: nothing in it can fail.
            let text = serde_json::to_string(&part).unwrap_or_default();
            Some(self.publish(subjects::rights_part(&brand.name, process), text))
        });
        try_join_all(parts).await?;
        Ok(())
    }

    /// Waits until all other processes have confirmed their parts in the jobs at some
    /// places, and counts the files that they could not overwrite.
    ///
    /// # Errors
    ///
    /// A stopped worker, or a broker that does not answer. There is no time limit
    /// for the other processes.
    pub(super) async fn await_parts(
        &self,
        jobs: &mut [Job],
        places: &[usize],
    ) -> anyhow::Result<()> {
        let processes = self.config.workers.hosts.len().max(1);
        if processes == 1 {
            return Ok(());
        }
        // Of each request its job, and of each process the files that are counted.
        let mut missing: BTreeMap<u64, (usize, BTreeMap<usize, Option<u64>>)> = places
            .iter()
            .filter_map(|place| {
                let request = *jobs.get(*place)?.sequences.first()?;
                let of_processes = (1..processes).map(|process| (process, None));
                Some((request, (*place, of_processes.collect())))
            })
            .collect();
        let stream = &self.config.nats.rights_stream;
        let all = subjects::rights_parts();
        let mut reader =
            retry_transient(|| Reader::filtered(&self.client, stream, &all, 1)).await?;
        while missing
            .values()
            .any(|(_, parts)| parts.values().any(Option::is_none))
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
                let read = Part::read(&message.payload, brand, process, self.created_ns);
                let Some(part) = read else {
                    tracing::warn!(
                        subject = %message.subject,
                        sequence = message.sequence,
                        "passing over a confirmation that does not prove the secrets of the brand"
                    );
                    continue;
                };
                let Some((place, parts)) = missing.get_mut(&part.request) else {
                    continue;
                };
                let job = jobs.get_mut(*place);
                let Some(job) = job.filter(|job| job.brand == BrandId::of(&brand.name)) else {
                    continue;
                };
                job.parts.push(message.sequence);
                if let Some(counted) = parts.get_mut(&process) {
                    *counted = Some(part.not_overwritten);
                }
            }
        }
        for (place, parts) in missing.into_values() {
            if let Some(job) = jobs.get_mut(place) {
                job.counts.not_overwritten = parts.into_values().flatten().sum();
            }
        }
        Ok(())
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
            (name.len() == 1).then(|| format!("{secret} {name} 0123456789abcdef0123456789abcdef"))
        };
        let loaded = tributary_config::parse_in(&text, Path::new("tributary.toml"), &environment);
        loaded
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config
    }

    #[test]
    fn a_confirmation_is_that_of_its_process_and_request() {
        let (own, other) = (config("own"), config("other"));
        let [acme, bolt] = &own.brands[..] else {
            panic!("two brands");
        };
        let part = Part::of(acme, 1, 1_000, (7, 2));
        let text = serde_json::to_vec(&part).unwrap();
        let read = Part::read(&text, acme, 1, 1_000).unwrap();
        assert_eq!((read.request, read.not_overwritten), (7, 2));
        // Under the subject of another process or brand, in another stream, or by a stranger.
        assert!(Part::read(&text, acme, 2, 1_000).is_none());
        assert!(Part::read(&text, bolt, 1, 1_000).is_none());
        assert!(Part::read(&text, acme, 1, 1_001).is_none());
        assert!(Part::read(&text, &other.brands[0], 1, 1_000).is_none());
        // Of another request, with other files, or as it was without a proof.
        let changed = |from: &str, to: &str| {
            let text = String::from_utf8(text.clone()).unwrap();
            assert!(text.contains(from), "{text}");
            text.replace(from, to).into_bytes()
        };
        for (from, to) in [
            ("\"request\":7", "\"request\":8"),
            ("\"not_overwritten\":2", "\"not_overwritten\":0"),
            (&part.proof[..8], "00000000"),
        ] {
            assert!(Part::read(&changed(from, to), acme, 1, 1_000).is_none());
        }
        assert!(Part::read(b"7", acme, 1, 1_000).is_none());
    }
}

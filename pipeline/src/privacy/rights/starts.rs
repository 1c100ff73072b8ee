//! When the processes of a cluster begin with a request.
//!
//! Process 0 decides whether a request is executed: it may have been canceled, or
//! refused because its ID is taken. It says that it begins, in a message with the
//! sequence number of the request, and the other processes do nothing before that.
//! A request that is not executed leaves the stream without such a message. The
//! messages are deleted with those of the request.
//!
//! The other processes take up what has begun and never wait for what has not, or
//! both sides could wait for each other.

use rustc_hash::FxHashSet;
use tributary_connectors::nats::{self, Reader, subject as subjects};

use super::job::Job;
use super::task::{LOOK, Rights};
use crate::broker::retry::retry_transient;
use crate::epochs::queries::WorkerStopped;

/// Number of waiting requests of which is asked at a time whether they ended.
const LOOKED_AT: usize = 64;

impl Rights {
    /// Tells the other processes that work on these jobs begins.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    pub(super) async fn publish_starts(&self, jobs: &mut [Job]) -> anyhow::Result<()> {
        if jobs.is_empty() || self.config.workers.hosts.len() <= 1 {
            return Ok(());
        }
        // Those of an attempt before are deleted with the request.
        let mut known = FxHashSet::default();
        let mut reader = self.starts(1).await?;
        while !reader.caught_up() {
            let messages = reader.next_batch(1_000, LOOK).await?;
            if messages.is_empty() {
                break;
            }
            for message in messages {
                let begun = sequence(&message.payload);
                let of = |job: &&mut Job| begun.is_some_and(|begun| job.sequences.contains(&begun));
                if let Some(job) = jobs.iter_mut().find(of) {
                    job.parts.push(message.sequence);
                    known.extend(begun);
                }
            }
        }
        for job in jobs {
            let Some(brand_log) = self.brand_logs.get(&job.brand) else {
                continue;
            };
            let subject = subjects::rights_starts(&brand_log.name);
            for sequence in &job.sequences {
                if !known.contains(sequence) {
                    let stored = self.publish(subject.clone(), sequence.to_string()).await?;
                    job.parts.push(stored);
                }
            }
        }
        Ok(())
    }

    /// Takes the jobs out of `waiting` that process 0 has begun with, and drops those
    /// that it has ended. Waits until there is one of either.
    ///
    /// # Errors
    ///
    /// A stopped worker, or a broker that does not answer.
    pub(super) async fn take_started(&self, waiting: &mut Vec<Job>) -> anyhow::Result<Vec<Job>> {
        let first = |job: &Job| job.sequences.first().copied().unwrap_or(1);
        let oldest = waiting.iter().map(first).min().unwrap_or(1);
        let mut reader = self.starts(oldest).await?;
        loop {
            if self.ledger_tx.is_closed() {
                return Err(WorkerStopped.into());
            }
            let messages = reader.next_batch(1_000, LOOK).await?;
            let begun: FxHashSet<u64> = messages
                .iter()
                .filter_map(|message| sequence(&message.payload))
                .collect();
            let has_begun = |job: &mut Job| job.sequences.iter().any(|of| begun.contains(of));
            let started: Vec<Job> = waiting.extract_if(.., has_begun).collect();
            if !started.is_empty() {
                return Ok(started);
            }
            let mut ended = Vec::new();
            let stream = &self.config.nats.rights_stream;
            let looked_at = if messages.is_empty() { LOOKED_AT } else { 0 };
            for (place, job) in waiting.iter().enumerate().take(looked_at) {
                if !nats::has_message(&self.client, stream, first(job)).await? {
                    ended.push(place);
                }
            }
            for place in ended.iter().rev() {
                waiting.remove(*place);
            }
            if !ended.is_empty() {
                return Ok(Vec::new());
            }
        }
    }

    /// A reader of the starts from a position of the stream.
    ///
    /// # Errors
    ///
    /// An error of the broker that a retry cannot resolve.
    async fn starts(&self, from: u64) -> Result<Reader, nats::NatsError> {
        let stream = &self.config.nats.rights_stream;
        let all = subjects::rights_starts("*");
        retry_transient(|| Reader::filtered(&self.client, stream, &all, from)).await
    }
}

/// The sequence number of the request in a start.
fn sequence(payload: &[u8]) -> Option<u64> {
    std::str::from_utf8(payload).ok()?.parse().ok()
}

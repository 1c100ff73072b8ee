//! What process 0 of a cluster tells the others, and what they do.
//!
//! Process 0 decides whether a request is executed: it may have been canceled, or
//! refused because its ID is taken. The other processes read no requests. They read
//! *starts* ([`Start`]), of which there are two kinds:
//!
//! - At the beginning of each batch, a start of nobody: every process waits until all
//!   that has arrived is durable, and confirms it. Whatever is asked of the identity
//!   graph afterwards sees what came before the requests, whoever read it.
//! - For each erasure and objection, whose records are erased, and how far that
//!   reaches. Every process awaits what has arrived, retracts, rewrites its ledger, and
//!   confirms it ([`super::parts`]).
//!
//! Each attempt of process 0 publishes its own starts, and only confirmations of these
//! count. An attempt that was killed may have left the identity graph in parts: its
//! starts say who the whole person was, and are joined with what is found now. Starts
//! are deleted before the request, which the audit log knows as completed by then, so
//! that no start outlives its request.

use std::collections::BTreeMap;

use tributary_connectors::nats::{InMessage, Reader, subject as subjects};
use tributary_operators::record::{BrandId, Identifier, Pseudonym, Reach};
use tributary_rights::request::RequestBody;
use tributary_rights::start::Start;

use super::forget::together;
use super::job::Job;
use super::subject::Person;
use super::task::{LOOK, Rights};
use crate::broker::retry::retry_transient;
use crate::durability::command::ErasureOutcome;
use crate::epochs::queries::WorkerStopped;

impl Rights {
    /// Whether there are other processes.
    fn is_cluster(&self) -> bool {
        self.config.workers.hosts.len() > 1
    }

    /// Waits until all other processes have read what has arrived by now, and returns
    /// for each job whom an attempt before has told to erase.
    ///
    /// # Errors
    ///
    /// A stopped worker, or a broker that does not answer.
    pub(super) async fn settle_cluster(&self, jobs: &mut [Job]) -> anyhow::Result<Vec<Person>> {
        let mut before = vec![Person::default(); jobs.len()];
        if !self.is_cluster() || jobs.is_empty() {
            return Ok(before);
        }
        self.starts_before(jobs, &mut before).await?;
        let nothing = Reach {
            at: 0,
            until: 0,
            until_ping: 0,
        };
        self.publish_start(jobs, 0, Person::default(), None, nothing)
            .await?;
        let epoch = self.await_parts(jobs).await?;
        // What they have read enters the dataflow with their epochs.
        while self.queries.apply(Vec::new()).await.ok_or(WorkerStopped)? < epoch {}
        Ok(before)
    }

    /// Reads the starts of earlier attempts at jobs, which are deleted with them.
    async fn starts_before(&self, jobs: &mut [Job], before: &mut [Person]) -> anyhow::Result<()> {
        let stream = &self.config.nats.rights_stream;
        let all = subjects::rights_starts("*");
        let mut reader =
            retry_transient(|| Reader::filtered(&self.client, stream, &all, 1)).await?;
        while !reader.caught_up() {
            let messages = reader.next_batch(1_000, LOOK).await?;
            if messages.is_empty() {
                return Ok(());
            }
            for message in messages {
                let Some((brand, start)) = self.read_start(&message) else {
                    continue;
                };
                let mut places = jobs.iter_mut().zip(before.iter_mut());
                let of = places
                    .find(|(job, _)| job.brand == brand && job.sequences.contains(&start.request));
                if let Some((job, person)) = of {
                    job.starts.push(message.sequence);
                    job.parts.push(message.sequence);
                    person.ids.extend(start.ids);
                    person.devices.extend(start.devices);
                }
            }
        }
        Ok(())
    }

    /// Tells the other processes whose records are erased for the jobs at some places,
    /// and how far.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    pub(super) async fn publish_starts(
        &self,
        jobs: &mut [Job],
        places: &[usize],
        persons: &[Person],
        reach: Reach,
    ) -> anyhow::Result<()> {
        if !self.is_cluster() {
            return Ok(());
        }
        for place in places {
            let (Some(job), Some(person)) = (jobs.get(*place), persons.get(*place)) else {
                continue;
            };
            let objects = job.request.asked == RequestBody::Object;
            let objected = objects.then(|| job.said());
            self.publish_start(jobs, *place, person.clone(), objected, reach)
                .await?;
        }
        Ok(())
    }

    /// Publishes the start of a job, in as many messages as it takes, and notes that its
    /// confirmations are awaited.
    async fn publish_start(
        &self,
        jobs: &mut [Job],
        place: usize,
        person: Person,
        objected: Option<i64>,
        reach: Reach,
    ) -> anyhow::Result<()> {
        let Some(job) = jobs.get_mut(place) else {
            return Ok(());
        };
        let Some(brand_log) = self.brand_logs.get(&job.brand) else {
            return Ok(());
        };
        let start = Start {
            request: job.sequences.first().copied().unwrap_or_default(),
            stream: self.created_ns,
            objected,
            reach,
            ids: person.ids,
            devices: person.devices,
        };
        for part in start.split() {
            let Some(sealed) = part.seal(&brand_log.keys) else {
                continue;
            };
            let subject = subjects::rights_starts(&brand_log.name);
            let stored = self.publish(subject, sealed).await?;
            job.starts.push(stored);
            job.parts.push(stored);
            job.awaited.push(stored);
        }
        Ok(())
    }

    /// Opens a start of the stream of requests as it is; `None` for anything else.
    fn read_start(&self, message: &InMessage) -> Option<(BrandId, Start)> {
        let name = message.subject.split('.').nth(2)?;
        let brand_log = self.brand_logs.get(&BrandId::of(name))?;
        let start = Start::open(&brand_log.keys, &message.payload);
        let Some(start) = start.filter(|start| start.stream == self.created_ns) else {
            tracing::warn!(
                subject = %message.subject,
                sequence = message.sequence,
                "passing over a start that was not sealed with the secrets of the brand"
            );
            return None;
        };
        Some((brand_log.brand, start))
    }

    /// Does the part of this process in what starts say, and confirms it.
    ///
    /// # Errors
    ///
    /// A stopped worker, a disk that fails, or a broker that does not answer. Every step
    /// may be repeated.
    pub(super) async fn take_part(&mut self, messages: &[InMessage]) -> anyhow::Result<()> {
        let starts = messages.iter().filter_map(|message| {
            let (brand, start) = self.read_start(message)?;
            Some((message.sequence, brand, start))
        });
        let starts: Vec<(u64, BrandId, Start)> = starts.collect();
        if starts.is_empty() {
            return Ok(());
        }
        let mut objects = false;
        for (_, brand, start) in &starts {
            if let Some(said) = start.objected {
                let ids: Vec<Pseudonym> = start.ids.iter().map(|id| id.pseudonym).collect();
                self.objections.add(*brand, &ids, &start.devices, said)?;
                objects = true;
            }
        }
        if objects {
            self.name_heads().await?;
        }
        let (read, read_pings) = self.settle().await?;
        let epoch = self.watermark.borrow().epoch;
        let own = self.reach(read, read_pings);
        let persons = starts.iter().map(|(_, brand, start)| {
            // Until the objection was on the list here, records of the person entered.
            let reach = match start.objected {
                Some(_) => own.join(&start.reach),
                None => start.reach,
            };
            let person = Person {
                ids: start.ids.clone(),
                devices: start.devices.clone(),
            };
            (*brand, reach, person)
        });
        let persons: Vec<_> = persons.collect();
        let of = persons.iter();
        let mut forgotten = together(of.map(|(brand, reach, person)| (*brand, *reach, person)));
        let mut erased = ErasureOutcome::default();
        if !forgotten.is_empty() {
            for one in &mut forgotten {
                self.retract(one).await?;
            }
            self.keep_tombstones(&forgotten).await?;
            erased = self.erase_from_ledger(&forgotten).await?;
            self.overwrite_memory().await;
            self.bind(&Default::default(), &BTreeMap::new()).await?;
            // An older copy that takes over would have what the request has erased, and would lack what the heads name.
            self.standbys.secure().await;
            self.publish_heads().await?;
        }
        let starts = starts.iter();
        let starts = starts.map(|(sequence, brand, _)| (*sequence, *brand));
        self.confirm(starts, epoch, &erased).await
    }
}

/// Joins what an attempt before knew of a person.
pub(super) fn join(person: &mut Person, before: Person) {
    let mut ids: BTreeMap<Pseudonym, Identifier> =
        person.ids.iter().map(|id| (id.pseudonym, *id)).collect();
    for id in before.ids {
        ids.entry(id.pseudonym).or_insert(id);
    }
    person.ids = ids.into_values().collect();
    person.devices.extend(before.devices);
    person.devices.sort_unstable();
    person.devices.dedup();
}

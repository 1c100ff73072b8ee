//! Starts: whose records a request erases, written down before anything is erased,
//! and told to the other processes of a cluster.
//!
//! An erasure takes the identity graph apart, and the instruction of a person for after
//! their death. An attempt that ends in the middle, with the process or with an error of
//! the broker, leaves nobody to ask who the whole person was. So the *start* ([`Start`])
//! is in the stream of requests first, sealed, and the next attempt joins what it says with
//! what is found then. Each attempt publishes its own.
//!
//! The other processes of a cluster read no requests: process 0 decides whether one is
//! executed. They read starts, of which there are two kinds:
//!
//! - At the beginning of each batch, a start of nobody: every process waits until all
//!   that has arrived is durable, and confirms it. Whatever is asked of the identity
//!   graph afterwards sees what came before the requests, whoever read it.
//! - For each erasure and objection, whose records are erased, and how far that
//!   reaches. Every process awaits what has arrived, retracts, rewrites its ledger, and
//!   confirms it ([`super::parts`]).
//!
//! Only confirmations of the starts of an attempt count for it. Starts are deleted before
//! the request, which the audit log knows as completed by then; what a kill leaves of
//! them is deleted when no request is worked on.

use std::collections::BTreeMap;

use anyhow::bail;
use futures::future::try_join_all;
use rustc_hash::FxHashMap;
use tributary_connectors::nats::{self, InMessage, Reader, subject as subjects};
use tributary_operators::reach::Reach;
use tributary_operators::record::{BrandId, Identifier, Pseudonym};
use tributary_rights::request::RequestBody;
use tributary_rights::start::Start;
use tributary_rights::{BrandKeys, KeyLevel};

use super::forget::together;
use super::job::Job;
use super::subject::Person;
use super::task::{LOOK, Rights};
use crate::broker::retry::retry_transient;
use crate::durability::command::ErasureOutcome;
use crate::epochs::queries::WorkerStopped;

/// How the start in a message is opened.
type OpenStart = fn(&BrandKeys, &[u8]) -> Option<Start>;

impl Rights {
    /// Whether there are other processes.
    fn is_cluster(&self) -> bool {
        self.config.workers.hosts.len() > 1
    }

    /// Waits until all other processes have read what has arrived by now.
    ///
    /// # Errors
    ///
    /// A stopped worker, or a broker that does not answer.
    pub(super) async fn settle_cluster(&self, jobs: &mut [Job]) -> anyhow::Result<()> {
        let Some(first) = jobs.first().filter(|_| self.is_cluster()) else {
            return Ok(());
        };
        let nothing = Reach {
            at: 0,
            until: 0,
            until_ping: 0,
        };
        let start = self.start(first, Person::default(), nothing);
        self.publish_all(jobs, vec![(0, start)]).await?;
        let epoch = self.await_parts(jobs).await?;
        // What they have read enters the dataflow with their epochs.
        while self.queries.apply(Vec::new()).await.ok_or(WorkerStopped)? < epoch {}
        Ok(())
    }

    /// Reads the starts of earlier attempts at jobs, which are deleted with them. Returns
    /// for each job whom they name.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    pub(super) async fn starts_before(&self, jobs: &mut [Job]) -> anyhow::Result<Vec<Person>> {
        let mut before = vec![Person::default(); jobs.len()];
        let places: FxHashMap<u64, usize> = jobs
            .iter()
            .enumerate()
            .flat_map(|(place, job)| job.sequences.iter().map(move |request| (*request, place)))
            .collect();
        let stream = &self.config.nats.rights_stream;
        let all = subjects::rights_starts("*");
        let mut reader =
            retry_transient(|| Reader::filtered(&self.client, stream, &all, 1)).await?;
        while !reader.caught_up() {
            let messages = reader.next_batch(1_000, LOOK).await?;
            if messages.is_empty() {
                // The graph no longer knows whom an earlier attempt named: without its start,
                // some records of the person would stay.
                bail!("the broker did not hand out all starts of earlier attempts within {LOOK:?}");
            }
            for message in messages {
                let Some((brand, start)) = self.read_start(&message, Start::open) else {
                    continue;
                };
                let Some(place) = places.get(&start.request) else {
                    continue;
                };
                if let (Some(job), Some(person)) = (jobs.get_mut(*place), before.get_mut(*place))
                    && job.brand == brand
                {
                    job.starts.push(message.sequence);
                    job.parts.push(message.sequence);
                    job.is_begun |= !start.ids.is_empty() || !start.devices.is_empty();
                    person.ids.extend(start.ids);
                    person.devices.extend(start.devices);
                }
            }
        }
        Ok(before)
    }

    /// Writes down whose records are erased for the jobs at some places, and how far.
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
        let starts = places.iter().filter_map(|place| {
            let (job, person) = (jobs.get(*place)?, persons.get(*place)?);
            Some((*place, self.start(job, person.clone(), reach)))
        });
        let starts = starts.collect();
        self.publish_all(jobs, starts).await
    }

    /// The start of a job.
    fn start(&self, job: &Job, person: Person, reach: Reach) -> Start {
        let objects = job.request.asked == RequestBody::Object;
        let is_anybody = !person.ids.is_empty() || !person.devices.is_empty();
        Start {
            request: job.sequences.first().copied().unwrap_or_default(),
            stream: self.created_ns,
            objected: (objects && is_anybody).then(|| job.said()),
            reach,
            level: self
                .brand_logs
                .get(&job.brand)
                .map_or(KeyLevel::OLDEST, |brand_log| brand_log.keys.newest()),
            ids: person.ids,
            devices: person.devices,
        }
    }

    /// Publishes the starts of jobs at some places, each in as many messages as it
    /// takes, and notes that their confirmations are awaited.
    async fn publish_all(
        &self,
        jobs: &mut [Job],
        starts: Vec<(usize, Start)>,
    ) -> anyhow::Result<()> {
        let mut sent = Vec::new();
        for (place, start) in starts {
            let brand_log = jobs.get(place);
            let brand_log = brand_log.and_then(|job| self.brand_logs.get(&job.brand));
            let Some(brand_log) = brand_log else { continue };
            for part in start.split() {
                let subject = subjects::rights_starts(&brand_log.name);
                if let Some(sealed) = part.seal(&brand_log.keys) {
                    let publish = self.publish(subject, sealed);
                    sent.push(async move { Ok::<_, anyhow::Error>((place, publish.await?)) });
                }
            }
        }
        for (place, stored) in try_join_all(sent).await? {
            if let Some(job) = jobs.get_mut(place) {
                job.starts.push(stored);
                job.parts.push(stored);
                job.awaited.push(stored);
            }
        }
        Ok(())
    }

    /// Deletes the starts of brands, and their confirmations, while no request is
    /// worked on: what a kill has left of requests that were completed.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    pub(super) async fn delete_leftovers(
        &self,
        brands: impl Iterator<Item = &str>,
    ) -> anyhow::Result<()> {
        let stream = &self.config.nats.rights_stream;
        for brand in brands {
            let parts = subjects::rights_part_of_any(brand);
            for filter in [subjects::rights_starts(brand), parts] {
                if !nats::has_messages(&self.client, stream, &filter).await? {
                    continue;
                }
                let reader = || Reader::filtered(&self.client, stream, &filter, 1);
                let mut reader = retry_transient(reader).await?;
                while !reader.caught_up() {
                    let messages = reader.next_batch(1_000, LOOK).await?;
                    if messages.is_empty() {
                        break;
                    }
                    for message in messages {
                        self.delete(message.sequence).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Opens a start of the stream of requests as it is; `None` for anything else. The
    /// processes that do not read requests take one from the newest secret alone.
    fn read_start(&self, message: &InMessage, open: OpenStart) -> Option<(BrandId, Start)> {
        let name = message.subject.split('.').nth(2)?;
        let brand_log = self.brand_logs.get(&BrandId::of(name))?;
        let start = open(&brand_log.keys, &message.payload);
        let Some(mut start) = start.filter(|start| start.stream == self.created_ns) else {
            tracing::warn!(
                subject = %message.subject,
                sequence = message.sequence,
                "passing over a start that was not sealed with the secrets of the brand"
            );
            return None;
        };
        // The secret may have been exchanged since.
        if start.level != brand_log.keys.newest() {
            let level = usize::try_from(start.level.0).unwrap_or(usize::MAX);
            start.ids = brand_log.key.rekey_from(&start.ids, level);
        }
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
            // Process 0 repeats after a rotation what it had begun before.
            let (brand, start) = self.read_start(message, Start::open_newest)?;
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

//! Erasure and objection (GDPR, Articles 17 and 21), everywhere the data of a
//! person is (invariant I3).
//!
//! 1. An objection is entered in the objection list on disk first: from then on
//!    no record of the person enters.
//! 2. Everything that arrived before is awaited until it is durable, so that
//!    nothing is in flight. The erasure reaches as far ([`Reach`]): what a person
//!    sends afterwards is that of somebody who has returned, and stays.
//! 3. Whose records are erased, and how far, is written down, and told to the other
//!    processes ([`super::starts`]).
//! 4. The dataflow retracts every record that names the person, and the pings
//!    of their devices; all cells follow. Tombstones are kept, for backups, on disk
//!    and at the broker.
//! 5. The other processes do the same, rewrite their ledgers, and confirm it
//!    ([`super::parts`]).
//! 6. Input messages and dead letters are read once for all requests. Each
//!    message with data of a person is deleted and overwritten; its other
//!    records are in the ledger.
//! 7. Sealed answers that wait to be fetched are deleted.
//! 8. The ledger is rewritten without the person's entries, in all versions,
//!    and the old files are overwritten. The backup is renewed, so that the old files
//!    cannot be read in any copy of it.
//! 9. The buffers of the connection to the broker, which hold clear text, are overwritten.
//!
//! Every step may be repeated. A restart or an error in between begins again with the
//! first. The identity graph has come apart by then: what was written down says who the
//! whole person was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::oneshot;
use tributary_connectors::nats::{self, subject as subjects};
use tributary_operators::ask::{Question, Reply};
use tributary_operators::event::Event;
use tributary_operators::record::{Arrival, BrandId, IdSet, Pseudonym, Reach, RecordKey, Token};

use super::job::{Job, erases};
use super::restrictions::{shared, union};
use super::stream_scrub::{Finder, find};
use super::subject::Person;
use super::task::Rights;
use super::time::now;
use crate::broker::retry::retry_transient;
use crate::durability::command::{Erasure, ErasureOutcome, LedgerCommand};
use crate::epochs::batch::InternalChange;
use crate::epochs::queries::WorkerStopped;
use crate::privacy::tombstone_copies;
use tributary_ledger::ErasureFilter;
use tributary_rights::request::RequestBody;

/// A place in the order of arrival after every message, so that a drop covers
/// all versions of a record.
const LAST: Arrival = Arrival {
    message: u64::MAX,
    line: u32::MAX,
};

/// Persons of one brand who are erased together, as far as one reach.
pub(super) struct Forgotten {
    brand: BrandId,
    reach: Reach,
    person: Person,
    /// The identifiers of each request.
    requests: Vec<Arc<[Pseudonym]>>,
    /// Tokens of their devices on the salt days that are open.
    tokens: FxHashSet<Token>,
}

/// Puts persons together, each with a brand and the reach of their erasure.
pub(super) fn together<'a>(
    persons: impl Iterator<Item = (BrandId, Reach, &'a Person)>,
) -> Vec<Forgotten> {
    let mut all: BTreeMap<(BrandId, Reach), Vec<&Person>> = BTreeMap::new();
    for (brand, reach, person) in persons {
        if !person.ids.is_empty() || !person.devices.is_empty() {
            all.entry((brand, reach)).or_default().push(person);
        }
    }
    let all = all.into_iter().map(|((brand, reach), persons)| Forgotten {
        brand,
        reach,
        person: union(persons.iter().copied()),
        requests: persons.iter().map(|person| person.pseudonyms()).collect(),
        tokens: FxHashSet::default(),
    });
    all.collect()
}

impl Rights {
    /// Executes all erasures and objections of a batch.
    ///
    /// A notice of death without an instruction to erase changes nothing. Entries and
    /// messages that several requests share are counted for each of them.
    ///
    /// # Errors
    ///
    /// A stopped worker, a disk that fails, or a broker that does not answer. Every
    /// step may be repeated, so that the next attempt completes the erasure.
    pub(super) async fn forget(
        &mut self,
        jobs: &mut [Job],
        persons: &[Person],
    ) -> anyhow::Result<()> {
        let dead = self.directed(jobs, persons).await?;
        let mut places = Vec::new();
        for (place, (job, dead)) in jobs.iter().zip(dead).enumerate() {
            // An instruction for after death goes with the first records that are erased.
            let erases = job.is_begun || erases(&job.request.asked, dead);
            if job.rejected.is_none() && erases {
                places.push(place);
            }
        }
        if places.is_empty() {
            return Ok(());
        }
        for (job, person) in jobs.iter_mut().zip(persons) {
            if job.rejected.is_none() && job.request.asked == RequestBody::Object {
                let (ids, devices) = (person.pseudonyms(), &person.devices);
                let entered = self.objections.add(job.brand, &ids, devices, job.said())?;
                job.counts.suppressions = entered;
            }
        }
        self.name_heads().await?;
        let (read, read_pings) = self.settle().await?;
        let reach = self.reach(read, read_pings);
        self.publish_starts(jobs, &places, persons, reach).await?;
        let of = places.iter().filter_map(|place| {
            let (job, person) = (jobs.get(*place)?, persons.get(*place)?);
            Some((job.brand, reach, person))
        });
        let mut brands = together(of);
        for forgotten in &mut brands {
            let erased = self.retract(forgotten).await?;
            count(&erased, forgotten.brand, jobs, persons, &places);
        }
        let received = places.iter().filter_map(|place| jobs.get(*place));
        let received = received.map(|job| job.received).min().unwrap_or_default();
        tracing::info!(
            requests = places.len(),
            milliseconds = now() - received,
            "retracted erased records"
        );
        self.keep_tombstones(&brands).await?;
        self.await_parts(jobs).await?;
        // Whoever takes over reads no message again that is deleted now.
        self.standbys.secure().await;
        let mut finder = Finder::new(
            &self.config,
            &brands
                .iter()
                .map(|b| (b.brand, &b.person))
                .collect::<Vec<_>>(),
            &places
                .iter()
                .filter_map(|place| Some(&jobs.get(*place)?.request))
                .collect::<Vec<_>>(),
        );
        // The start has refused such streams; one that was made since is not reached.
        if let Err(error) = nats::refuse_copies(&self.client, &self.config.nats).await {
            tracing::error!(%error, "an erasure cannot reach every copy");
        }
        let input = self.config.nats.input_stream.clone();
        let dead_letters = self.config.nats.dead_letter_stream.clone();
        let mut raw = self.scrub(&input, Some(read), &mut finder).await?;
        if let Some(pings) = self.config.nats.pings_stream.clone() {
            raw += self.scrub(&pings, read_pings, &mut finder).await?;
        }
        let dead = self.scrub(&dead_letters, None, &mut finder).await?;
        for forgotten in &brands {
            self.forget_answers(forgotten.brand).await?;
        }
        drop(finder);
        let erased = self.erase_from_ledger(&brands).await?;
        self.overwrite_memory().await;
        // What went with several requests is counted with each of them.
        for place in places {
            if let Some(job) = jobs.get_mut(place) {
                job.counts.ledger_entries += erased.entries;
                job.counts.not_overwritten += erased.not_overwritten;
                job.counts.raw_messages = raw;
                job.counts.dead_letters = dead;
            }
        }
        Ok(())
    }

    /// Waits until everything that has arrived is durable. Returns the last
    /// sequence numbers of the input stream, and of that of pings, at that time.
    ///
    /// # Errors
    ///
    /// A stopped worker, or a broker that does not answer.
    pub(super) async fn settle(&mut self) -> anyhow::Result<(u64, Option<u64>)> {
        let nats = &self.config.nats;
        let (newest, last) = self.end_of(&nats.input_stream).await?;
        let (newest_ping, last_ping) = match &nats.pings_stream {
            None => (0, None),
            Some(stream) => {
                let (newest, last) = self.end_of(stream).await?;
                (newest, Some(last))
            }
        };
        let (restored, restored_pings) = (self.restored, self.restored_pings);
        let durable = self.watermark.wait_for(|durable| {
            durable.sequence.max(restored) >= newest
                && durable.pings.max(restored_pings) >= newest_ping
        });
        drop(durable.await.map_err(|_| WorkerStopped)?);
        Ok((last, last_ping))
    }

    /// The last sequence number of a stream that this process reads, and that of
    /// anybody.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    async fn end_of(&self, stream: &str) -> anyhow::Result<(u64, u64)> {
        let (client, config) = (&self.client, &self.config);
        // In this order, so that what is awaited includes all that the erasure covers.
        let last = retry_transient(|| nats::stream_state(client, stream)).await?;
        let newest = retry_transient(|| nats::newest_message(client, config, stream));
        let newest = newest.await?;
        Ok((newest, last.last_sequence))
    }

    /// How far an erasure reaches when these are the last messages of the two streams.
    pub(super) fn reach(&self, read: u64, read_pings: Option<u64>) -> Reach {
        Reach {
            at: now(),
            until: nats::number_of(self.generation, read),
            // Without a stream of pings, what is from one is from an earlier one.
            until_ping: read_pings.map_or(u64::MAX, |read| {
                nats::ping_number_of(self.generation_of_pings, read)
            }),
        }
    }

    /// Retracts the records and pings of persons from the dataflow, as far as the
    /// erasure reaches. All that it covers must have been read. Returns the identifiers
    /// of each record that was retracted.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`].
    pub(super) async fn retract(&self, forgotten: &mut Forgotten) -> anyhow::Result<Vec<IdSet>> {
        let (brand, reach) = (forgotten.brand, forgotten.reach);
        let question = Question::DeviceDays {
            brand,
            devices: shared(&forgotten.person.devices),
        };
        let mut records = self.records(brand, &forgotten.person).await?;
        let replies = match forgotten.person.devices.is_empty() {
            true => Vec::new(),
            false => self.queries.submit(question).await.ok_or(WorkerStopped)?,
        };
        let records_of = records.iter();
        let mut changes: Vec<InternalChange> = records_of
            .filter_map(|(key, record)| match reach.covers_stored(record) {
                None => Some(InternalChange::Erase(*key, reach)),
                Some(true) => Some(InternalChange::Event(Event::Drop {
                    key: *key,
                    arrival: LAST,
                })),
                Some(false) => None,
            })
            .collect();
        for reply in replies {
            match reply {
                Reply::DeviceSeen(device) => {
                    forgotten.tokens.insert(device.token);
                    changes.push(InternalChange::Event(Event::DropDevice { device }));
                }
                // The dataflow holds nothing of it, and a ledger may.
                Reply::DeviceNotSampled(device) => drop(forgotten.tokens.insert(device.token)),
                _ => {}
            }
        }
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let requests = forgotten.requests.iter();
        let requests = requests.map(|ids| (brand, ids.clone())).collect();
        let applied = self.queries.apply_requests(changes, requests).await;
        applied.ok_or(WorkerStopped)?;
        // What is still there has arrived since.
        let left = self.records(brand, &forgotten.person).await?;
        let left: FxHashSet<RecordKey> = left.into_iter().map(|(key, _)| key).collect();
        records.retain(|(key, _)| !left.contains(key));
        Ok(records.into_iter().map(|(_, record)| record.ids).collect())
    }

    /// Keeps tombstones of persons, here and at the broker, so that a restored backup of
    /// the ledger does not bring them back.
    ///
    /// # Errors
    ///
    /// A file that cannot be written, or a broker that does not store them.
    pub(super) async fn keep_tombstones(&self, forgotten: &[Forgotten]) -> anyhow::Result<()> {
        for one in forgotten {
            let ids = one.person.ids.iter();
            let ids: Vec<u128> = ids.flat_map(|id| [id.pseudonym, id.value]).collect();
            let tokens: Vec<u128> = one.tokens.iter().map(|token| token.0).collect();
            let of = (one.brand, ids.as_slice(), tokens.as_slice());
            self.erased.add([of], one.reach)?;
        }
        tombstone_copies::publish(&self.client, &self.config, &self.erased, now()).await
    }

    /// Rewrites the ledger of this process without the persons, and renews its backup. A
    /// key of the backup that could not be destroyed counts like a file that could not be
    /// overwritten.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`]. A full disk is not an error: the erasure waits for space.
    pub(super) async fn erase_from_ledger(
        &self,
        brands: &[Forgotten],
    ) -> anyhow::Result<ErasureOutcome> {
        let mut forget = ErasureFilter::default();
        for one in brands {
            let ids = one.person.ids.iter();
            for id in ids.flat_map(|id| [id.pseudonym, id.value]) {
                forget.erase_person((one.brand, id), one.reach);
            }
            forget
                .tokens
                .extend(one.tokens.iter().map(|token| (one.brand, *token)));
        }
        let (done, erased) = oneshot::channel();
        let erasure = Erasure { forget, done };
        self.ledger_tx
            .send(LedgerCommand::Erase(erasure))
            .map_err(|_| WorkerStopped)?;
        let mut erased = erased.await.map_err(|_| WorkerStopped)?;
        erased.not_overwritten += self.backup.renew().await;
        Ok(erased)
    }

    /// Overwrites the buffers through which the messages of the persons came. What
    /// was freed is overwritten already (`main.rs`).
    ///
    /// A failure is only logged: the buffers are used again in any case.
    pub(super) async fn overwrite_memory(&self) {
        if let Err(error) = nats::overwrite_buffers(&self.client).await {
            tracing::warn!(%error, "clear text of erased persons may stay in the memory of this process until the next messages");
        }
    }

    /// Deletes the messages of a stream that contain data of the persons, up to the
    /// sequence number `until`. Returns their number.
    ///
    /// # Errors
    ///
    /// A broker that does not answer, or refuses to delete a message.
    async fn scrub(
        &self,
        stream: &str,
        until: Option<u64>,
        finder: &mut Finder,
    ) -> anyhow::Result<u64> {
        let begun = now();
        let found = find(&self.client, stream, until, finder).await?;
        for sequence in &found {
            retry_transient(|| nats::delete_message(&self.client, stream, *sequence))
                .await
                .context("deleting messages of erased persons")?;
        }
        tracing::info!(
            stream,
            messages = found.len(),
            milliseconds = now() - begun,
            "deleted messages of erased persons"
        );
        Ok(found.len() as u64)
    }

    /// Deletes all sealed answers of a brand that wait to be fetched, because
    /// nobody can tell whose they are.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    async fn forget_answers(&self, brand: BrandId) -> anyhow::Result<()> {
        let Some(brand_log) = self.brand_logs.get(&brand) else {
            return Ok(());
        };
        let stream = &self.config.nats.rights_stream;
        let filter = subjects::rights_answers(&brand_log.name);
        let mut last = nats::last_values(&self.client, stream, &filter).await?;
        loop {
            let batch = last.next_batch(1_000).await?;
            if batch.is_empty() {
                return Ok(());
            }
            for message in batch {
                nats::delete_message(&self.client, stream, message.sequence).await?;
            }
        }
    }
}

/// Counts records that were erased with each request that names one of their
/// identifiers.
fn count(erased: &[IdSet], brand: BrandId, jobs: &mut [Job], persons: &[Person], places: &[usize]) {
    let mut whose: FxHashMap<Pseudonym, Vec<usize>> = FxHashMap::default();
    for place in places {
        if let (Some(job), Some(person)) = (jobs.get(*place), persons.get(*place))
            && job.brand == brand
        {
            for id in &person.ids {
                whose.entry(id.pseudonym).or_default().push(*place);
            }
        }
    }
    for ids in erased {
        let of = ids.ids().iter();
        let of = of.filter_map(|id| whose.get(&id.pseudonym)).flatten();
        for place in of.copied().collect::<BTreeSet<usize>>() {
            if let Some(job) = jobs.get_mut(place) {
                job.counts.records += 1;
            }
        }
    }
}

//! Restrictions: rights that are stored as records (GDPR, Article 18; CCPA
//! opt-out; instructions for after death).
//!
//! Each is a record about the identifiers of the person. The dataflow excludes
//! restricted records from every cell; the newest statement about an identifier
//! is in effect. It is durable before the request is answered.

use std::sync::Arc;

use futures::future::try_join_all;
use tributary_operators::ask::{Question, Reply};
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{
    Arrival, Body, BrandId, IdSet, Pseudonym, Record, RecordKey, Right,
};
use tributary_rights::request::{AfterDeath, RequestBody};

use super::job::Job;
use super::subject::Person;
use super::task::Rights;
use crate::epochs::batch::InternalChange;
use crate::epochs::queries::WorkerStopped;

/// Source of the records that rights requests create.
pub const SOURCE: &str = "rights";

impl Rights {
    /// Stores the records of all restrictions, ends of restrictions, opt-outs and
    /// instructions of a batch, and waits until they are durable.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`].
    pub(super) async fn restrict(
        &mut self,
        jobs: &mut [Job],
        persons: &[Person],
    ) -> anyhow::Result<()> {
        let (mut events, mut requests) = (Vec::new(), Vec::new());
        for (job, person) in jobs.iter_mut().zip(persons) {
            let (right, stands) = match &job.request.asked {
                RequestBody::Restrict => (Right::Restriction, true),
                RequestBody::Unrestrict => (Right::Restriction, false),
                RequestBody::DoNotSell => (Right::DoNotSell, true),
                RequestBody::Directive {
                    action,
                    notice: false,
                } => (Right::ErasureAtDeath, *action == AfterDeath::Erase),
                _ => continue,
            };
            if job.rejected.is_some() {
                continue;
            }
            let Some(brand_log) = self.brand_logs.get(&job.brand) else {
                continue;
            };
            job.counts.records = person.ids.len() as u64;
            requests.push((job.brand, person.pseudonyms()));
            for id in &person.ids {
                let parts: [&[u8]; 3] = [
                    SOURCE.as_bytes(),
                    right.name().as_bytes(),
                    &id.pseudonym.to_le_bytes(),
                ];
                events.push(Event::Put {
                    key: RecordKey::of(&brand_log.name, &parts),
                    version: job.said(),
                    arrival: arrival(job),
                    record: Record {
                        brand: job.brand,
                        source: Label::of(SOURCE),
                        id: "".into(),
                        ts: job.said(),
                        day: 0,
                        ids: IdSet::new(vec![*id]),
                        body: Body::Right { right, stands },
                    },
                });
            }
        }
        self.tell_durably(events, requests).await
    }

    /// Applies changes to the dataflow; returns when all cells have followed and
    /// the ledger has stored the changes. `requests` are the identifiers of each
    /// request that asked for them.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`].
    pub(super) async fn tell_durably(
        &mut self,
        events: Vec<Event>,
        requests: Vec<(BrandId, Arc<[Pseudonym]>)>,
    ) -> anyhow::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let changes = events.into_iter().map(InternalChange::Event);
        let applied = self.queries.apply_requests(changes, requests).await;
        let epoch = applied.ok_or(WorkerStopped)?;
        let kept = self.watermark.wait_for(|durable| durable.epoch >= epoch);
        drop(kept.await.map_err(|_| WorkerStopped)?);
        Ok(())
    }

    /// For each job, whether it is a notice of death of a person whose newest
    /// instruction is erasure.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`].
    pub(super) async fn directed(
        &self,
        jobs: &[Job],
        persons: &[Person],
    ) -> anyhow::Result<Vec<bool>> {
        let asked = jobs.iter().zip(persons).map(|(job, person)| async move {
            if !matches!(
                job.request.asked,
                RequestBody::Directive { notice: true, .. }
            ) {
                return Ok(false);
            }
            let replies = self.records(job.brand, person).await?;
            let newest = replies
                .iter()
                .filter_map(|(_, record)| match record.body {
                    Body::Right {
                        right: Right::ErasureAtDeath,
                        stands,
                    } => Some((record.ts, stands)),
                    _ => None,
                })
                .max();
            Ok::<_, anyhow::Error>(newest.is_some_and(|(_, stands)| stands))
        });
        try_join_all(asked).await
    }

    /// Current records that name the person, sorted by key, without duplicates.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`].
    pub(super) async fn records(
        &self,
        brand: BrandId,
        person: &Person,
    ) -> anyhow::Result<Vec<(RecordKey, Box<Record>)>> {
        let question = Question::Records {
            brand,
            naming: person.pseudonyms(),
        };
        let replies = self.queries.submit(question).await.ok_or(WorkerStopped)?;
        let mut records: Vec<_> = replies
            .into_iter()
            .filter_map(|reply| match reply {
                Reply::NamedRecord(key, record, _) => Some((key, record)),
                _ => None,
            })
            .collect();
        records.sort_unstable();
        records.dedup();
        Ok(records)
    }
}

/// Place in the order of arrival for a record that did not come through the
/// input stream: that of the request.
pub(super) fn arrival(job: &Job) -> Arrival {
    Arrival {
        message: job.sequences.first().copied().unwrap_or_default(),
        line: 0,
    }
}

/// Identifiers and devices of several persons of one brand, sorted, without
/// duplicates.
pub(super) fn union<'a>(persons: impl Iterator<Item = &'a Person>) -> Person {
    let mut all = Person::default();
    for person in persons {
        all.ids.extend(&person.ids);
        all.devices.extend(&person.devices);
    }
    all.ids.sort_unstable();
    all.ids.dedup();
    all.devices.sort_unstable();
    all.devices.dedup();
    all
}

/// Device addresses in the form that queries take.
pub(super) fn shared(devices: &[u128]) -> Arc<[u128]> {
    devices.into()
}

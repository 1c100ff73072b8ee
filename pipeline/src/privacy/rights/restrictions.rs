//! Restrictions: rights that are held as records, which are restriction, its end, do not sell, and instructions for after
//! death.
//!
//! Each is a record about the identifiers, held like any other: the dataflow takes what is restricted out of every
//! number, and the newest word about an identifier counts. It is durable before the request is answered.

use std::sync::Arc;

use futures::future::try_join_all;
use tributary_operators::ask::{Question, Reply};
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{Arrival, Body, BrandId, IdSet, Record, RecordKey, Right};
use tributary_rights::Reason;
use tributary_rights::request::{AfterDeath, RequestBody};

use super::subject::Person;
use super::{Job, Rights};
use crate::epochs::queries::WorkerStopped;

/// The source of records about rights.
pub const SOURCE: &str = "rights";

impl Rights {
    /// Puts in the records of all such requests, and waits until they are durable.
    pub(super) async fn restrict(
        &mut self,
        jobs: &mut [Job],
        persons: &[Person],
    ) -> anyhow::Result<()> {
        let mut events = Vec::new();
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
        self.tell_durably(events).await
    }

    /// Changes what is held, and comes back when every number has followed and the ledger has it.
    pub(super) async fn tell_durably(&mut self, events: Vec<Event>) -> anyhow::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let epoch = self.queries.apply(events).await.ok_or(WorkerStopped)?;
        let kept = self.watermark.wait_for(|durable| durable.epoch >= epoch);
        drop(kept.await.map_err(|_| WorkerStopped)?);
        Ok(())
    }

    /// For each request that gives notice of a death, whether erasure was asked for.
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

    /// The records that name a person.
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

/// A place in the order of arrival for what does not come by the input stream.
pub(super) fn arrival(job: &Job) -> Arrival {
    Arrival {
        message: job.sequences.first().copied().unwrap_or_default(),
        line: 0,
    }
}

/// Rejects a request whose record or person is not held.
pub(super) fn reject(job: &mut Job, reason: Reason) {
    job.rejected.get_or_insert(reason);
}

/// The pseudonyms of several persons of one brand.
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

/// The same, to be shared.
pub(super) fn shared(devices: &[u128]) -> Arc<[u128]> {
    devices.into()
}

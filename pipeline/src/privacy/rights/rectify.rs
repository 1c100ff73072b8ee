//! Rectification (GDPR, Article 16): replaces a record by the data subject's
//! version.
//!
//! A corrected record is decoded by the same rules as a correction from its
//! source, but only for a stored record of the person who requests it. It gets
//! the highest possible version, so that the source, which may not know of the
//! correction, does not revert it; a later rectification does. Identifiers that
//! the correction does not name stay with the record.

use std::collections::BTreeSet;

use tributary_connectors::dead_letter::DeadLetter;
use tributary_connectors::decode::{Decoder, Ignored, Message, Sink};
use tributary_operators::event::Event;
use tributary_operators::record::{Body, IdKind, IdSet};
use tributary_rights::Reason;
use tributary_rights::request::RequestBody;

use super::job::Job;
use super::subject::Person;
use super::task::Rights;
use super::time::now;
use crate::privacy::retention::ArrivalFilter;

/// Events of a decoded correction, and why a part of it was rejected.
#[derive(Default)]
struct Decoded {
    events: Vec<Event>,
    refused: Option<String>,
}

impl Sink for Decoded {
    fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    fn dead_letter(&mut self, letter: DeadLetter) {
        let reason = letter.reason.name();
        let refused = format!("`record.data` is not valid: {reason}: {}", letter.detail);
        self.refused.get_or_insert(refused);
    }

    fn ignore(&mut self, what: Ignored) {
        let refused = format!("`record.data` would not be stored: {}", what.name());
        self.refused.get_or_insert(refused);
    }
}

/// Why a record cannot be corrected that is not stored, or is somebody else's.
const NOT_THEIRS: &str = "`record.kind`, `record.source` and `record.data.id` name no stored record with one of \
                          `identifiers`: an access request lists the records of the person with all three";

/// The identifiers of a corrected record. Those of a kind that the correction does
/// not name stay: a record without any would be nobody's, and no later request
/// would find it.
fn with_unnamed(corrected: &IdSet, before: &IdSet) -> IdSet {
    let named: BTreeSet<IdKind> = corrected.ids().iter().map(|id| id.kind).collect();
    let unnamed = before.ids().iter().filter(|id| !named.contains(&id.kind));
    IdSet::new(corrected.ids().iter().chain(unnamed).copied().collect())
}

impl Rights {
    /// Executes all rectifications of a batch and waits until they are durable.
    ///
    /// A record that does not decode or is past its retention is rejected as bad; a
    /// record that is not stored for the person is rejected as not theirs.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`](crate::epochs::queries::WorkerStopped). A correction that
    /// cannot be executed rejects its request.
    pub(super) async fn rectify(
        &mut self,
        jobs: &mut [Job],
        persons: &[Person],
    ) -> anyhow::Result<()> {
        let mut events = Vec::new();
        for (job, person) in jobs.iter_mut().zip(persons) {
            let RequestBody::Rectify(correction) = &job.request.asked else {
                continue;
            };
            let (None, Some(brand_log)) = (job.rejected, self.brand_logs.get(&job.brand)) else {
                continue;
            };
            let at = now();
            let mut decoded = Decoded::default();
            let kind = correction.kind.name();
            let message = Message {
                subject: &format!(
                    "tributary.in.{}.{kind}.{}",
                    brand_log.name, correction.source
                ),
                at,
                // Later than what is corrected, in milliseconds: of several rectifications the last counts.
                number: at.unsigned_abs(),
                headers: &[],
                data: correction.data.expose().as_bytes(),
            };
            let decoder = Decoder::new(&self.config);
            decoder.without_adapters().decode(&message, &mut decoded);
            let put = decoded.events.iter_mut().find_map(|event| match event {
                Event::Put {
                    key,
                    version,
                    record,
                    ..
                } if !matches!(record.body, Body::Consent { .. } | Body::Right { .. }) => {
                    *version = i64::MAX;
                    Some((*key, record))
                }
                _ => None,
            });
            let refused = decoded.refused.take();
            let Some((key, corrected)) = put.filter(|_| refused.is_none()) else {
                let nothing = || "`record.data` is no record of `record.kind`".to_owned();
                job.reject(Reason::BadRecord, refused.unwrap_or_else(nothing));
                continue;
            };
            let held = self.records(job.brand, person).await?;
            let Some((_, record)) = held.iter().find(|(held, _)| *held == key) else {
                job.reject(Reason::NotTheirs, NOT_THEIRS);
                continue;
            };
            corrected.ids = with_unnamed(&corrected.ids, &record.ids);
            let mut arrival_filter = ArrivalFilter::new(&self.config);
            if (decoded.events.iter()).any(|event| arrival_filter.refuses(event, at)) {
                let detail = "`record.data.ts` is past the retention of such records: a correction keeps to it";
                job.reject(Reason::BadRecord, detail);
                continue;
            }
            job.counts.records = 1;
            events.append(&mut decoded.events);
        }
        // A correction is one act by its record already.
        self.tell_durably(events, Vec::new()).await
    }
}

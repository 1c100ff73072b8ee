//! Rectification: a record as the person says that it should be.
//!
//! It comes in like any correction of its source, decoded by the same rules, but only for a record that is held of
//! the person who asks. It bears the highest version there is, so that the source, which may not know of it, does
//! not turn it back; a later rectification does.

use tributary_connectors::dead_letter::DeadLetter;
use tributary_connectors::decode::{Decoder, Ignored, Message, Sink};
use tributary_operators::event::Event;
use tributary_operators::record::Body;
use tributary_rights::Reason;
use tributary_rights::request::RequestBody;

use super::restrictions::reject;
use super::subject::Person;
use super::time::now;
use super::{Job, Rights};
use crate::privacy::retention::ArrivalFilter;

/// What a corrected record comes to.
#[derive(Default)]
struct Decoded {
    events: Vec<Event>,
    refused: bool,
}

impl Sink for Decoded {
    fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    fn dead_letter(&mut self, _: DeadLetter) {
        self.refused = true;
    }

    fn ignore(&mut self, _: Ignored) {
        self.refused = true;
    }
}

impl Rights {
    /// Corrects the records that are to be corrected.
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
            Decoder::new(&self.config).decode(&message, &mut decoded);
            let put = decoded.events.iter_mut().find_map(|event| match event {
                Event::Put {
                    key,
                    version,
                    record,
                    ..
                } if !matches!(record.body, Body::Consent { .. } | Body::Right { .. }) => {
                    *version = i64::MAX;
                    Some(*key)
                }
                _ => None,
            });
            let mut arrival_filter = ArrivalFilter::new(&self.config);
            let is_past = decoded
                .events
                .iter()
                .any(|event| arrival_filter.refuses(event, at));
            let Some(key) = put.filter(|_| !decoded.refused && !is_past) else {
                reject(job, Reason::BadRecord);
                continue;
            };
            let held = self.records(job.brand, person).await?;
            if !held.iter().any(|(held, _)| *held == key) {
                reject(job, Reason::NotTheirs);
                continue;
            }
            job.counts.records = 1;
            events.append(&mut decoded.events);
        }
        self.tell_durably(events).await
    }
}

//! Intake: accepted events enter the dataflow and the write batch for the
//! ledger.
//!
//! The two receive the same events in the same order, so that a restart from
//! the ledger yields the state that the dataflow has now. A ping waits here
//! until the salt of its day is known, because neither the dataflow nor the
//! ledger may ever see a device address: only the token.
//!
//! Events pass through three checks before that. The objection list refuses
//! records of persons who have objected, including those that name them by a
//! pseudonym under an older secret; the retention of the brand refuses records
//! that are too old on arrival; a settled salt day refuses its pings, whose
//! totals are durable already. What is refused is counted and leaves no other
//! trace.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tributary_config::model::Kind;
use tributary_connectors::dead_letter::DeadLetter;
use tributary_connectors::decode::{Ignored, Sink};
use tributary_connectors::keys::EmailCounts;
use tributary_connectors::nats::OutgoingMessage;
use tributary_connectors::rights_request::RightsRequest;
use tributary_ledger::WriteBatch;
use tributary_operators::dataflow::{Dataflow, ResolvedSighting, Tokenized};
use tributary_operators::event::Event;
use tributary_operators::record::{Body, BrandId, Day, IdSet, Ping};

use crate::privacy::erased::level_of;
use crate::privacy::objections::ObjectionSnapshot;
use crate::privacy::retention::ArrivalFilter;
use crate::report::counts::Counts;

/// The dataflow input of one worker thread, and the counts of what it accepted.
pub(super) struct Intake {
    /// Handle of this thread's instance of the dataflow.
    pub dataflow: Dataflow,
    /// Counters of this thread since the process started.
    pub counts: Counts,
    /// Write batch of the open epoch; `None` when the epoch is not written to the
    /// ledger, as in a replay or while restored state is fed in.
    pub page: Option<WriteBatch>,
    /// Salt days whose salt a write batch of this thread has carried to the ledger.
    pub sealed: BTreeSet<(BrandId, Day)>,
    /// Number of pings in the ledger that this thread fed in, by salt day. Reported
    /// when the day is settled.
    pub pings: BTreeMap<(BrandId, Day), u64>,
    /// Pings of the open epoch, and sightings with a MAC, whose salt is not known yet,
    /// each with where it comes from.
    pub waiting: Vec<(Origin, Waiting)>,
}

/// What waits for the salt of its day.
pub(super) enum Waiting {
    /// A ping.
    Ping(Ping),
    /// A sighting with a MAC.
    Sighting(Event),
}

/// Where a record comes from.
#[derive(Clone)]
pub(super) struct Origin {
    /// The kind of the record.
    pub kind: &'static str,
    /// The configured source.
    pub source: Arc<str>,
}

impl Intake {
    /// Replaces the device address of a ping by its token and accepts it. The ping
    /// waits if the salt of its day is not known, and is counted as ignored if its
    /// day is settled, which happens when messages are read again after a restart.
    pub fn ping(&mut self, origin: &Origin, ping: Ping) {
        match self.dataflow.tokenize(ping) {
            Tokenized::Ping(ping) => self.event(origin, Event::TokenizedPing { ping }),
            Tokenized::Pending(ping) => self.waiting.push((origin.clone(), Waiting::Ping(ping))),
            // Read again after a restart: the sums of its day hold it.
            Tokenized::Closed => {
                let ignored = self.counts.ignored.entry(Ignored::SettledPing);
                *ignored.or_default() += 1;
            }
        }
    }

    /// Accepts a record. A sighting with a MAC waits if the salt of its day is not
    /// known, and is counted as ignored if its day is settled, which happens when
    /// messages are read again after a restart.
    pub fn record(&mut self, origin: &Origin, event: Event) {
        match self.dataflow.resolve_sighting(event) {
            ResolvedSighting::Record(event, used_salt) => {
                if used_salt
                    && let Event::Put { record, .. } = &event
                    && let Body::Sighting { salt_day, .. } = record.body
                {
                    self.seal(record.brand, salt_day);
                }
                self.event(origin, event);
            }
            ResolvedSighting::Pending(event) => {
                let waiting = (origin.clone(), Waiting::Sighting(event));
                self.waiting.push(waiting);
            }
            ResolvedSighting::Closed => {
                let ignored = self.counts.ignored.entry(Ignored::SettledPing);
                *ignored.or_default() += 1;
            }
        }
    }

    /// Takes up again what waits for a salt.
    pub fn retry(&mut self) {
        for (origin, waiting) in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Ping(ping) => self.ping(&origin, ping),
                Waiting::Sighting(event) => self.record(&origin, event),
            }
        }
    }

    /// Adds the salt of a day to the write batch, unless one of this thread has carried
    /// it: nothing that depends on it is durable without it.
    fn seal(&mut self, brand: BrandId, day: Day) {
        if let Some(page) = &mut self.page
            && self.sealed.insert((brand, day))
            && let Some(salt) = self.dataflow.salt_cache().salt(brand, day)
        {
            page.salt(brand, day, salt.clone());
        }
    }

    /// Accepts an event: counts it under its origin, appends it to the write batch,
    /// and applies it to the dataflow.
    ///
    /// The first ping of a salt day adds the salt to the write batch, so that no
    /// ping is durable without the salt that links it to later pings of the device.
    fn event(&mut self, origin: &Origin, event: Event) {
        if let Some(brand) = counted_for(&event) {
            let key = (brand, origin.kind, origin.source.clone());
            *self.counts.accepted.entry(key).or_default() += 1;
            if is_sighting(&event) {
                *self.counts.sightings.entry(brand).or_default() += 1;
            }
        }
        if let Event::TokenizedPing { ping } = &event {
            self.seal(ping.brand, ping.salt_day);
        }
        if let (Some(page), Some(brand)) = (&mut self.page, brand_of(&event)) {
            if let Event::TokenizedPing { ping } = &event {
                let day = (ping.brand, ping.salt_day);
                *self.pings.entry(day).or_default() += 1;
            }
            page.push(brand, &event);
        }
        self.dataflow.apply(event);
    }
}

/// The [`Sink`] of the decoder: applies objections and retention, then passes
/// events to the intake.
pub(super) struct IngestSink<'a> {
    /// The objection list as of the beginning of the epoch.
    pub objections: ObjectionSnapshot,
    pub intake: &'a mut Intake,
    pub dead: &'a mut Vec<DeadLetter>,
    /// Rights requests that vendors pass on, to be published.
    pub requests: &'a mut Vec<OutgoingMessage>,
    pub arrival_filter: &'a mut ArrivalFilter,
    /// When the message arrived, Unix milliseconds.
    pub at: i64,
    /// Where the records of the message come from; the kind is that of its subject
    /// until a record has its own.
    pub origin: Origin,
}

impl IngestSink<'_> {
    /// Accepts an event unless its data subject has objected or it is past its
    /// retention; refused records are counted.
    ///
    /// `earlier` holds the identifier sets of the record under all older secrets of the
    /// brand, oldest first. The objection list may know the person by any of them.
    fn take(&mut self, event: Event, earlier: &[IdSet]) {
        let levels = earlier.iter().enumerate();
        let levels = levels.map(|(links, ids)| (level_of(links), ids));
        if self.objections.refuses(&event, levels) {
            if let Some(brand) = counted_for(&event) {
                *self.intake.counts.suppressed.entry(brand).or_default() += 1;
            }
            return;
        }
        if self.arrival_filter.refuses(&event, self.at) {
            if counted_for(&event).is_some() {
                let ignored = self.intake.counts.ignored.entry(Ignored::PastRetention);
                *ignored.or_default() += 1;
            }
            return;
        }
        match event {
            Event::Ping { ping } => self.intake.ping(&self.origin, ping),
            event => self.intake.record(&self.origin, event),
        }
    }
}

impl Sink for IngestSink<'_> {
    fn event(&mut self, event: Event) {
        self.take(event, &[]);
    }

    fn rekeyed_event(&mut self, event: Event, earlier: &[IdSet]) {
        self.take(event, earlier);
    }

    fn dead_letter(&mut self, dead: DeadLetter) {
        self.dead.push(dead);
    }

    fn rights_request(&mut self, brand: &Arc<str>, request: &RightsRequest) {
        self.requests
            .push(OutgoingMessage::rights_request(brand, request));
    }

    fn ignore(&mut self, what: Ignored) {
        *self.intake.counts.ignored.entry(what).or_default() += 1;
    }

    /// A message of a vendor may have records of several kinds.
    fn native_record(&mut self, kind: Kind, _: &dyn Fn() -> String) {
        self.origin.kind = kind.name();
    }

    fn source(&mut self, name: &Arc<str>) {
        self.origin.source = name.clone();
    }

    fn time_corrected(&mut self) {
        self.intake.counts.corrected_times += 1;
    }

    fn emails(&mut self, brand: BrandId, counts: EmailCounts) {
        let sum = self.intake.counts.emails.entry(brand).or_default();
        sum.all += counts.all;
        sum.relayed += counts.relayed;
    }

    fn unread_sections(&mut self, brand: BrandId, sections: u32) {
        let unread = self.intake.counts.unread_sections.entry(brand).or_default();
        *unread += u64::from(sections);
    }
}

/// Whether an event is a sighting of a partner.
fn is_sighting(event: &Event) -> bool {
    matches!(event, Event::Put { record, .. } if matches!(record.body, Body::Sighting { .. }))
}

/// The brand for which an event counts as a record or a ping. A web record
/// brings its consent and the evidence along: it counts once.
fn counted_for(event: &Event) -> Option<BrandId> {
    let is_counted = match event {
        Event::LabelName { .. } | Event::Evidence { .. } | Event::LinkTime { .. } => false,
        Event::Put { record, .. } => !record.is_attached(),
        _ => true,
    };
    brand_of(event).filter(|_| is_counted)
}

/// The brand that an event belongs to, where it says so.
fn brand_of(event: &Event) -> Option<BrandId> {
    match event {
        Event::Put { record, .. } => Some(record.brand),
        Event::Ping { ping } => Some(ping.brand),
        Event::TokenizedPing { ping } => Some(ping.brand),
        Event::DropDevice { device } => Some(device.brand),
        Event::SettledHour { settled } => Some(settled.brand),
        Event::SettledDevices { settled } => Some(settled.brand),
        Event::ClosedVisits { visits } => Some(visits.brand),
        Event::UnmatchedStays { unmatched } => Some(unmatched.brand),
        Event::LabelName { brand, .. }
        | Event::Evidence { brand, .. }
        | Event::SaltDaysClosed { brand, .. }
        | Event::SightingsSettled { brand, .. }
        | Event::LinkTime { brand, .. } => Some(*brand),
        Event::Drop { .. } => None,
    }
}

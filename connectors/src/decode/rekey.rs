//! Rekeys the events of a decoder from a brand's oldest secret to its newest.
//!
//! The decoder derives pseudonyms, and the record keys that depend on them,
//! from the oldest secret, so that the same statement keeps its record key
//! across key rotations. This sink then rekeys the identifiers through the key
//! chain. The inner sink sees the identifiers under every secret for a moment;
//! only those under the newest secret are kept.
//!
//! A brand that never rotated its secret has an empty chain, and its events
//! pass through unchanged.

use std::sync::Arc;

use tributary_config::key_chain::KeyChain;
use tributary_config::model::Kind;
use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, IdSet};

use crate::dead_letter::{DeadLetter, Ignored, Sink};
use crate::keys::{EmailCounts, rekey};
use crate::rights_request::RightsRequest;

/// A sink that rekeys the identifiers of each event before it passes the event
/// on.
pub struct RekeyingSink<'a, S> {
    /// The sink that receives the events.
    pub sink: &'a mut S,
    /// The key chain of the brand.
    pub chain: &'a KeyChain,
}

impl<S: Sink> Sink for RekeyingSink<'_, S> {
    #[inline]
    fn event(&mut self, mut event: Event) {
        if self.chain.links() == 0 {
            return self.sink.event(event);
        }
        let set = match &mut event {
            Event::Put { record, .. } => &mut record.ids,
            Event::Evidence { ids, .. } => ids,
            _ => return self.sink.event(event),
        };
        if set.is_empty() {
            return self.sink.event(event);
        }
        let mut earlier = Vec::with_capacity(self.chain.links());
        for link in 0..self.chain.links() {
            let next = rekey(set.ids(), |id| self.chain.rekey(id, link));
            earlier.push(std::mem::replace(set, IdSet::new(next)));
        }
        self.sink.rekeyed_event(event, &earlier);
    }

    fn dead_letter(&mut self, dead: DeadLetter) {
        self.sink.dead_letter(dead);
    }

    fn ignore(&mut self, what: Ignored) {
        self.sink.ignore(what);
    }

    fn native_record(&mut self, kind: Kind, json: &dyn Fn() -> String) {
        self.sink.native_record(kind, json);
    }

    fn time_corrected(&mut self) {
        self.sink.time_corrected();
    }

    fn rights_request(&mut self, brand: &Arc<str>, request: &RightsRequest) {
        self.sink.rights_request(brand, request);
    }

    fn emails(&mut self, brand: BrandId, counts: EmailCounts) {
        self.sink.emails(brand, counts);
    }

    fn unread_sections(&mut self, brand: BrandId, sections: u32) {
        self.sink.unread_sections(brand, sections);
    }
}

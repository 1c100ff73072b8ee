//! From the oldest secret of a brand to its newest, on the way out of the decoder.
//!
//! A record is read with the pseudonyms of the oldest secret, and so are the keys made that depend on them: the same
//! statement is the same record, whatever was exchanged since. Here its identifiers go up the chain, and the sink sees
//! for a moment what they were on every level. Nothing of it lasts but the newest.
//!
//! A brand that never exchanged its secret has no links, and its events pass as they are.

use tributary_config::key_chain::KeyChain;
use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, IdSet};

use crate::dead_letter::{DeadLetter, Ignored, Sink};
use crate::keys::rekey;

/// A sink whose events go up a brand's chain first.
pub struct RekeyingSink<'a, S> {
    /// Where they go.
    pub sink: &'a mut S,
    /// The brand's.
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

    fn unread_sections(&mut self, brand: BrandId, sections: u32) {
        self.sink.unread_sections(brand, sections);
    }
}

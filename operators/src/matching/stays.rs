//! Stays: the sightings of one device in one store and salt day that belong together.
//!
//! In the order of their begin, a sighting that begins no more than half an hour after the latest end so far joins the stay, else
//! it begins the next one. So the stays of a device are more than half an hour apart, and there are at most a few dozen in a day.
//! A change looks at the sightings of those stays only that it may extend, join or split.

use std::sync::Arc;

use smallvec::SmallVec;

use super::record::Sighting;
use crate::engine::{Diff, text_bytes};
use crate::label::Label;
use crate::record::RecordId;
use crate::runs::Runs;

/// The longest time between two sightings of a stay, seconds.
const MAX_GAP: i64 = 30 * 60;

/// A stay of a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stay {
    /// The first second, Unix seconds.
    pub(super) first: i64,
    /// The last second.
    pub(super) last: i64,
    /// The low 16 bits of the cookies of its sightings, ascending and distinct.
    pub(super) cookies: Arc<[u16]>,
    /// The record that stands for it: the smallest (ts, id) of its sightings, and its source.
    pub(super) lead: (i64, RecordId, Label),
}

/// The sightings of one device in one store and salt day, and the stays that they form.
#[derive(Default)]
pub(super) struct DeviceSightings {
    sightings: Runs<Sighting>,
    /// In order of time, more than [`MAX_GAP`] apart.
    stays: SmallVec<[Stay; 1]>,
}

impl DeviceSightings {
    pub(super) fn is_empty(&self) -> bool {
        self.sightings.is_empty()
    }

    /// The sightings.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Sighting> {
        self.sightings.iter()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let stays = match self.stays.spilled() {
            true => self.stays.capacity() * size_of::<Stay>(),
            false => 0,
        };
        stays + self.sightings.heap_bytes(|of| text_bytes(&of.id))
    }

    /// The stays that a sighting from `begin` to `end` may belong to, as a range of their indices.
    fn near(&self, begin: i64, end: i64) -> std::ops::Range<usize> {
        let stays = &self.stays;
        let from = stays.partition_point(|of| of.last.saturating_add(MAX_GAP) < begin);
        let until = stays.partition_point(|of| of.first <= end.saturating_add(MAX_GAP));
        from..until.max(from)
    }

    /// Whether a new sighting would not change its stay.
    fn is_within_stay(&self, one: &Sighting) -> bool {
        let place = self.stays.partition_point(|of| of.last < one.begin);
        self.stays.get(place).is_some_and(|stay| {
            let (ts, id, source) = &stay.lead;
            let knows = |cookie| stay.cookies.binary_search(&cookie).is_ok();
            stay.first <= one.begin
                && one.end <= stay.last
                && one.cookie.is_none_or(knows)
                && (*ts, id, *source) <= (one.ts, &one.id, one.source)
        })
    }

    /// Applies the changes of an epoch. Appends the stays that end or begin to be to `out`, and returns the number of
    /// sightings that were visited.
    pub(super) fn amend(
        &mut self,
        changes: &[(Sighting, Diff)],
        out: &mut Vec<(Stay, Diff)>,
    ) -> u64 {
        let mut steps = changes.len() as u64;
        let is_still = |(one, diff): &(Sighting, Diff)| *diff > 0 && self.is_within_stay(one);
        if changes.iter().all(is_still) {
            for (one, diff) in changes {
                steps += self.sightings.amend(one, *diff);
            }
            return steps;
        }
        // The spans of time outside of which no stay changes.
        let mut spans: Vec<(i64, i64)> = Vec::with_capacity(changes.len());
        for (one, _) in changes {
            let stays = self.stays.get(self.near(one.begin, one.end));
            let stays = stays.unwrap_or_default();
            let first = stays.first().map_or(one.begin, |of| of.first);
            let last = stays.last().map_or(one.end, |of| of.last);
            spans.push((first.min(one.begin), last.max(one.end)));
        }
        spans.sort_unstable();
        spans.dedup_by(|next, span| {
            let joins = next.0 <= span.1.saturating_add(MAX_GAP);
            if joins {
                span.1 = span.1.max(next.1);
            }
            joins
        });
        for (one, diff) in changes {
            steps += self.sightings.amend(one, *diff);
        }
        let mut stays: SmallVec<[Stay; 1]> = SmallVec::new();
        let is_within = |first: i64| {
            let place = spans.partition_point(|span| span.1 < first);
            spans.get(place).is_some_and(|span| span.0 <= first)
        };
        for stay in self.stays.drain(..) {
            match is_within(stay.first) {
                true => out.push((stay, -1)),
                false => stays.push(stay),
            }
        }
        for (from, until) in &spans {
            let within = self.sightings.from(|of| of.begin < *from);
            let mut within = within.take_while(|of| of.begin <= *until).peekable();
            while let Some(first) = within.next() {
                let mut last = first.end;
                let mut lead = (first.ts, &first.id, first.source);
                let mut cookies: Vec<u16> = first.cookie.into_iter().collect();
                steps += 1;
                while let Some(next) = within.next_if(|of| of.begin.saturating_sub(last) <= MAX_GAP)
                {
                    last = last.max(next.end);
                    lead = lead.min((next.ts, &next.id, next.source));
                    cookies.extend(next.cookie);
                    steps += 1;
                }
                cookies.sort_unstable();
                cookies.dedup();
                let stay = Stay {
                    first: first.begin,
                    last,
                    cookies: cookies.into(),
                    lead: (lead.0, lead.1.clone(), lead.2),
                };
                out.push((stay.clone(), 1));
                stays.push(stay);
            }
        }
        stays.sort_unstable();
        self.stays = stays;
        steps
    }
}

//! Affected: the conversions that must be evaluated again when the history of a person changes.
//!
//! A touch counts for conversions from its own time until the end of the attribution window of its kind, or until there are so
//! many newer touches that no path reaches back to it. Only conversions in that span can gain or lose the touch. The set may be
//! too large, which costs time, but never too small: a conversion outside of it has the same path before and after the change.

use rustc_hash::FxHashSet;
use smallvec::SmallVec;

use super::conversions::Conversions;
use super::packed_touch::{self, Held};
use super::touches::Touches;
use crate::engine::Diff;
use crate::facts::{Contact, Conversion, Fact};
use crate::label_numbers::LabelNumbers;
use crate::settings::BrandSettings;

/// A stay no further than this from the scans of the same person's pass is the visit that the till knows, milliseconds.
pub(super) const NEAR_PRESENCE: i64 = 30 * 60 * 1000;

/// No stay and no presence is longer than this, milliseconds: the sightings of a salt day, each of a day at most, and their blur.
pub(super) const LONGEST_STAY: i64 = 3 * 86_400_000;

/// The conversions whose paths the changes of an epoch may change.
pub(super) struct Affected {
    /// Whether all conversions are affected.
    all: bool,
    /// The conversions that were inserted or retracted.
    conversions: FxHashSet<Conversion>,
    /// The spans of time in which stays may be near a presence that was inserted or retracted; ascending and disjoint.
    visit_spans: Vec<(i64, i64)>,
    /// The spans of time in which a changed touch counts, in Unix milliseconds, ends included; ascending and disjoint.
    spans: Vec<(i64, i64)>,
}

/// A contact that is retracted, with the key of its touch.
fn going((fact, diff): &(Fact, Diff)) -> Option<(&Contact, SmallVec<[u8; 48]>)> {
    match fact {
        Fact::Contact(contact) if *diff < 0 => {
            Some((contact, packed_touch::key(contact.ts, &contact.id)))
        }
        _ => None,
    }
}

impl Affected {
    /// The conversions that some changed facts, sorted, may affect in the history of a person before the change. With `all`,
    /// every conversion: the person became oversized, or no longer is. `conversions` is their number.
    pub(super) fn of(
        facts: &[(Fact, Diff)],
        all: bool,
        (touches, numbers): (&Touches, &LabelNumbers),
        conversions: usize,
        settings: &BrandSettings,
    ) -> Affected {
        let mut affected = Affected {
            all,
            conversions: FxHashSet::default(),
            spans: Vec::new(),
            visit_spans: Vec::new(),
        };
        // The exact end of a span is worth finding only if it may save conversions.
        let looks = !all && facts.len() < conversions;
        let going: Vec<_> = match looks {
            true => facts.iter().filter_map(going).collect(),
            false => Vec::new(),
        };
        for (fact, _) in facts {
            match fact {
                Fact::Conversion(conversion) => {
                    affected.conversions.insert(*conversion);
                    let is_presence = settings.counts_stays() && !conversion.is_stay();
                    if let Some(visit) = conversion.visit.filter(|_| is_presence) {
                        let from = conversion.ts.saturating_sub(LONGEST_STAY + NEAR_PRESENCE);
                        let until = visit.until.saturating_add(NEAR_PRESENCE);
                        affected.visit_spans.push((from, until));
                    }
                }
                Fact::Contact(contact) if contact.touch => {
                    let until = match looks {
                        true => touches.counts_until(contact, settings, numbers, |held| {
                            let found = going.binary_search_by(|(touch, key)| {
                                let going = Held::of(touch, key);
                                going.cmp(held)
                            });
                            found.is_ok()
                        }),
                        false => contact.ts.saturating_add(settings.window(contact.kind)),
                    };
                    match affected.spans.last_mut() {
                        // The facts are sorted by time.
                        Some(last) if contact.ts <= last.1 => last.1 = last.1.max(until),
                        _ => affected.spans.push((contact.ts, until)),
                    }
                }
                Fact::Contact(_) | Fact::Redemption(_) | Fact::Panel(_) => {}
            }
        }
        affected.visit_spans.sort_unstable();
        affected.visit_spans.dedup_by(|next, span| {
            let joins = next.0 <= span.1;
            if joins {
                span.1 = span.1.max(next.1);
            }
            joins
        });
        affected
    }

    /// The affected visits among those of the person, before or after the change: a presence at a till changes the stays near it.
    pub(super) fn among_visits<'a>(
        &'a self,
        visits: &'a Conversions,
        numbers: &'a LabelNumbers,
    ) -> Box<dyn Iterator<Item = Conversion> + 'a> {
        if self.all || self.visit_spans.is_empty() {
            return self.among(visits, numbers);
        }
        let affected: Vec<Conversion> = self.among(visits, numbers).collect();
        let listed: FxHashSet<Conversion> = affected.iter().copied().collect();
        // The spans are disjoint, so that no visit comes twice.
        let near = self.visit_spans.iter().flat_map(|(from, until)| {
            let near = visits.from(*from, numbers);
            near.take_while(|of| of.ts <= *until)
        });
        let near = near.filter(move |of| of.is_stay() && !listed.contains(of));
        Box::new(affected.into_iter().chain(near))
    }

    /// The affected conversions among those of the person, before or after the change.
    pub(super) fn among<'a>(
        &'a self,
        conversions: &'a Conversions,
        numbers: &'a LabelNumbers,
    ) -> Box<dyn Iterator<Item = Conversion> + 'a> {
        if self.all {
            return Box::new(conversions.iter(numbers));
        }
        let within = |from: i64, until: i64| {
            let from = conversions.from(from, numbers);
            from.take_while(move |c| c.ts <= until)
        };
        let spanned = |c: &Conversion| {
            let at = self.spans.partition_point(|span| span.0 <= c.ts);
            at.checked_sub(1).is_some_and(|at| c.ts <= self.spans[at].1)
        };
        let in_spans = self
            .spans
            .iter()
            .flat_map(move |(from, until)| within(*from, *until));
        let changed = self
            .conversions
            .iter()
            .filter(move |c| !spanned(c))
            .flat_map(move |changed| conversions.equal(changed, numbers));
        Box::new(in_spans.chain(changed))
    }
}

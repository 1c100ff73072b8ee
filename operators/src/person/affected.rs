//! Affected: the conversions that must be evaluated again when the history of a person changes.
//!
//! A touch counts for conversions from its own time until the end of the attribution window of its kind, or until there are so
//! many newer touches that no path reaches back to it. Only conversions in that span can gain or lose the touch. The set may be
//! too large, which costs time, but never too small: a conversion outside of it has the same path before and after the change.

use rustc_hash::FxHashSet;

use super::touches::Touches;
use crate::engine::Diff;
use crate::facts::{Contact, Conversion, Fact};
use crate::runs::Runs;
use crate::settings::BrandSettings;

/// The conversions whose paths the changes of an epoch may change.
pub(super) struct Affected {
    /// Whether all conversions are affected.
    all: bool,
    /// The conversions that were inserted or retracted.
    conversions: FxHashSet<Conversion>,
    /// The spans of time in which a changed touch counts, in Unix milliseconds, ends included; ascending and disjoint.
    spans: Vec<(i64, i64)>,
}

impl Affected {
    /// The conversions that some changed facts, sorted, may affect in the history of a person before the change. With `all`,
    /// every conversion: the person became oversized, or no longer is. `conversions` is their number.
    pub(super) fn of(
        facts: &[(Fact, Diff)],
        all: bool,
        touches: &Touches,
        conversions: usize,
        settings: &BrandSettings,
    ) -> Affected {
        let mut affected = Affected {
            all,
            conversions: FxHashSet::default(),
            spans: Vec::new(),
        };
        let contact = |(fact, diff): &(Fact, Diff)| match fact {
            Fact::Contact(contact) => Some((contact.clone(), *diff)),
            Fact::Conversion(_) | Fact::Redemption(_) => None,
        };
        // The exact end of a span is worth finding only if it may save conversions.
        let looks = !all && facts.len() < conversions;
        let going: Vec<Contact> = match looks {
            true => {
                let going = facts.iter().filter_map(contact);
                going.filter(|(_, diff)| *diff < 0).map(|of| of.0).collect()
            }
            false => Vec::new(),
        };
        for (fact, _) in facts {
            match fact {
                Fact::Conversion(conversion) => {
                    affected.conversions.insert(*conversion);
                }
                Fact::Contact(contact) if contact.touch => {
                    let until = match looks {
                        true => touches.counts_until(contact, settings, |held| {
                            going.binary_search(held).is_ok()
                        }),
                        false => contact.ts.saturating_add(settings.window(contact.kind)),
                    };
                    match affected.spans.last_mut() {
                        // The facts are sorted by time.
                        Some(last) if contact.ts <= last.1 => last.1 = last.1.max(until),
                        _ => affected.spans.push((contact.ts, until)),
                    }
                }
                Fact::Contact(_) | Fact::Redemption(_) => {}
            }
        }
        affected
    }

    /// The affected conversions among those of the person, before or after the change.
    pub(super) fn among<'a>(
        &'a self,
        conversions: &'a Runs<Conversion>,
    ) -> Box<dyn Iterator<Item = &'a Conversion> + 'a> {
        if self.all {
            return Box::new(conversions.iter());
        }
        let within = |from: i64, until: i64| {
            let from = conversions.from(move |c| c.ts < from);
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
            .flat_map(move |changed| {
                let held = conversions.from(move |c| c < changed);
                held.take_while(move |c| *c == changed)
            });
        Box::new(in_spans.chain(changed))
    }
}

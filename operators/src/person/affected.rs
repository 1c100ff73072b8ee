//! Affected: which conversions have to be looked at again when something about a person changes.
//!
//! A touch counts from its own time until the end of the window of its kind, or until so many newer ones have come that
//! no path reaches back to it. Only conversions in that span can gain or lose it.

use rustc_hash::FxHashSet;

use super::touches::Touches;
use crate::engine::Diff;
use crate::facts::{Contact, Conversion, Fact};
use crate::runs::Runs;
use crate::settings::BrandSettings;

/// Which conversions an epoch's changes can have changed.
pub(super) struct Affected {
    all: bool,
    conversions: FxHashSet<Conversion>,
    /// Spans of time in which a changed touch counts, ascending and apart.
    spans: Vec<(i64, i64)>,
}

impl Affected {
    /// What changed facts, in order, can have changed for a person who had these touches and conversions; `all` where
    /// the person itself has.
    pub(super) fn of(
        facts: &[(Fact, Diff)],
        all: bool,
        touches: &Touches,
        conversions: &Runs<Conversion>,
        settings: &BrandSettings,
    ) -> Affected {
        let mut affected = Affected {
            all,
            conversions: FxHashSet::default(),
            spans: Vec::new(),
        };
        let contact = |(fact, diff): &(Fact, Diff)| match fact {
            Fact::Contact(contact) => Some((contact.clone(), *diff)),
            Fact::Conversion(_) => None,
        };
        // To look for where a path ends pays only where there are conversions behind it.
        let looks = !all && facts.len() < conversions.len();
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
                        // Facts come in the order of time.
                        Some(last) if contact.ts <= last.1 => last.1 = last.1.max(until),
                        _ => affected.spans.push((contact.ts, until)),
                    }
                }
                Fact::Contact(_) => {}
            }
        }
        affected
    }

    /// The affected ones among a person's conversions.
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

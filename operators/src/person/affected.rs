//! Affected: which conversions have to be looked at again when something about a person changes.
//!
//! A touch counts from its own time until the end of the window of its kind, so only conversions in that span
//! can gain or lose it.

use rustc_hash::FxHashSet;

use crate::engine::Diff;
use crate::facts::{Conversion, Fact};
use crate::settings::BrandSettings;

/// Which conversions an epoch's changes can have changed.
pub(super) struct Affected {
    all: bool,
    conversions: FxHashSet<Conversion>,
    /// Spans of time in which a changed touch counts, ascending and apart.
    spans: Vec<(i64, i64)>,
}

impl Affected {
    /// What changed facts can have changed; `all` where the person itself has.
    pub(super) fn of(facts: &[(Fact, Diff)], all: bool, settings: &BrandSettings) -> Affected {
        let mut affected = Affected {
            all,
            conversions: FxHashSet::default(),
            spans: Vec::new(),
        };
        for (fact, _) in facts {
            match fact {
                Fact::Conversion(conversion) => {
                    affected.conversions.insert(*conversion);
                }
                Fact::Contact(contact) if contact.touch => {
                    let until = contact.ts.saturating_add(settings.window(contact.kind));
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

    /// The affected ones among a person's conversions, which are in order.
    pub(super) fn among<'a>(
        &'a self,
        conversions: &'a [Conversion],
    ) -> Box<dyn Iterator<Item = &'a Conversion> + 'a> {
        if self.all {
            return Box::new(conversions.iter());
        }
        let within = |from: i64, until: i64| {
            let start = conversions.partition_point(|c| c.ts < from);
            let end = conversions.partition_point(|c| c.ts <= until);
            conversions.get(start..end).unwrap_or_default()
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
                within(changed.ts, changed.ts)
                    .iter()
                    .filter(move |c| *c == changed)
            });
        Box::new(in_spans.chain(changed))
    }
}

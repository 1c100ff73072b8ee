//! Touches: what may stand in a path, so that a path is found without a look at what may not.
//!
//! Whether a touch counts for a conversion depends on its kind, by whose window it counts, and on whether it may be joined
//! with what happened at a till. So the touches of each kind are kept apart, and a path is read from the newest of each
//! backwards. Together they are in one order, as [`Contact`] has it.

use std::cell::Cell;

use smallvec::SmallVec;

use crate::attribution::path::Touch;
use crate::engine::Diff;
use crate::facts::{Contact, Conversion};
use crate::record::{SaleKind, TouchKind};
use crate::runs::Runs;
use crate::settings::BrandSettings;

/// What tells touches apart.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Class {
    kind: TouchKind,
    joins: bool,
}

/// The touches of one person, a multiset.
#[derive(Default)]
pub(super) struct Touches {
    classes: SmallVec<[(Class, Runs<Contact>); 1]>,
}

/// The first, by an order, of what stands in front of each of some iterators.
fn next<'a, I: Iterator<Item = &'a Contact>>(
    fronts: &mut [std::iter::Peekable<I>],
    is_first: fn(&Contact, &Contact) -> bool,
) -> Option<&'a Contact> {
    let mut first: Option<(usize, &Contact)> = None;
    for (at, front) in fronts.iter_mut().enumerate() {
        if let Some(touch) = front.peek()
            && first.is_none_or(|(_, other)| is_first(touch, other))
        {
            first = Some((at, touch));
        }
    }
    fronts.get_mut(first?.0)?.next()
}

/// The fronts of each of a person's classes, of which there are few.
type Fronts<I> = SmallVec<[std::iter::Peekable<I>; 2]>;

impl Touches {
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        self.classes.iter().map(|(_, runs)| runs.len() as u64).sum()
    }

    /// Adds a touch so many times, or takes it away. Returns how many others moved.
    pub(super) fn amend(&mut self, touch: &Contact, diff: Diff) -> u64 {
        let class = Class {
            kind: touch.kind,
            joins: touch.joins,
        };
        let at = self.classes.iter().position(|(other, _)| *other == class);
        let at = at.unwrap_or_else(|| {
            self.classes.push((class, Runs::default()));
            self.classes.len() - 1
        });
        let Some((_, runs)) = self.classes.get_mut(at) else {
            return 0;
        };
        let moved = runs.amend(touch, diff);
        if runs.is_empty() {
            self.classes.remove(at);
            self.classes.shrink_to_fit();
        }
        moved
    }

    /// All of them, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Contact> {
        let fronts = self.classes.iter().map(|(_, runs)| runs.iter().peekable());
        let mut fronts: Fronts<_> = fronts.collect();
        std::iter::from_fn(move || next(&mut fronts, |a, b| a < b))
    }

    /// The one that stands before a touch, and the one in its place or behind it.
    pub(super) fn beside(&self, touch: &Contact) -> [Option<&Contact>; 2] {
        let runs = || self.classes.iter().map(|(_, runs)| runs);
        let before = runs().filter_map(|runs| runs.before(|held| held < touch).next());
        let behind = runs().filter_map(|runs| runs.from(|held| held < touch).next());
        [before.max(), behind.min()]
    }

    /// The path of a conversion: those within the window of their kind, at most the newest `max_path`, oldest first.
    /// What happened at a till has a path only where it and the touches may be joined. Counts the touches that it looks at.
    pub(super) fn path(
        &self,
        conversion: &Conversion,
        settings: &BrandSettings,
        looked: &Cell<u64>,
    ) -> Vec<Touch> {
        let till = conversion.kind == SaleKind::Transaction;
        if till && !conversion.joins {
            return Vec::new();
        }
        let classes = self.classes.iter().filter(|(of, _)| of.joins || !till);
        let mut fronts: Fronts<_> = classes
            .map(|(of, runs)| {
                let since = conversion.ts.saturating_sub(settings.window(of.kind));
                let until = runs.before(|touch| touch.ts <= conversion.ts);
                let until = until.inspect(|_| looked.set(looked.get() + 1));
                until.take_while(move |touch| touch.ts >= since).peekable()
            })
            .collect();
        let newest = std::iter::from_fn(|| next(&mut fronts, |a, b| a > b));
        let mut path: Vec<Touch> = newest.take(settings.max_path).map(Touch::of).collect();
        path.reverse();
        path
    }

    /// Until when a conversion may happen whose path holds a touch. Later than that its window is over, or there are
    /// `max_path` touches that are newer and count for whatever the touch counts for. Those that `is_going` are passed over.
    pub(super) fn counts_until(
        &self,
        touch: &Contact,
        settings: &BrandSettings,
        is_going: impl Fn(&Contact) -> bool,
    ) -> i64 {
        let window = settings.window(touch.kind);
        let end = touch.ts.saturating_add(window);
        let classes = self.classes.iter();
        let classes = classes
            .filter(|(of, _)| settings.window(of.kind) >= window && (of.joins || !touch.joins));
        let newer = classes.map(|(_, runs)| runs.from(|held| held <= touch).peekable());
        let mut fronts: Fronts<_> = newer.collect();
        let mut left = settings.max_path;
        // Where so many are going, it is not worth a look at more.
        for _ in 0..settings.max_path.saturating_mul(2) {
            let Some(newer) = next(&mut fronts, |a, b| a < b) else {
                return end;
            };
            if newer.ts > end {
                return end;
            }
            if !is_going(newer) {
                left = left.saturating_sub(1);
                if left == 0 {
                    // At that very time it counts already.
                    return newer.ts.saturating_sub(1);
                }
            }
        }
        end
    }
}

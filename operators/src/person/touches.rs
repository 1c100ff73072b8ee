//! Touches: the touchpoints of a person, arranged so that a path is found without visiting touches that are not in it.
//!
//! Whether a touch counts for a conversion depends on its kind, which determines the attribution window, and on whether it may
//! be joined with in-store transactions. So the touches of each such class are stored apart, and a path is merged from the
//! newest of each class backwards. The cost of a path is its length, however many touches the person has. The order of all
//! touches is that of [`Contact`].

use std::cell::Cell;

use smallvec::SmallVec;

use crate::attribution::path::Touch;
use crate::engine::{Diff, text_bytes};
use crate::facts::{Contact, Conversion};
use crate::record::{SaleKind, TouchKind};
use crate::runs::Runs;
use crate::settings::BrandSettings;

/// The properties by which it is decided whether a touch counts for a conversion.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Class {
    /// The kind, which determines the attribution window.
    kind: TouchKind,
    /// Whether the touch may occur in the path of an in-store transaction.
    joins: bool,
}

/// The touches of one person, as a multiset by class. No class is empty.
#[derive(Default)]
pub(super) struct Touches {
    classes: SmallVec<[(Class, Runs<Contact>); 1]>,
}

/// Takes the first element, by an order, of several iterators that are sorted by it: one step of a merge.
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

/// An iterator for each class of a person. There are at most six.
type Fronts<I> = SmallVec<[std::iter::Peekable<I>; 2]>;

impl Touches {
    /// Whether the person has no touch.
    pub(super) fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// The estimated bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let own = match self.classes.spilled() {
            true => self.classes.capacity() * size_of::<(Class, Runs<Contact>)>(),
            false => 0,
        };
        let classes = self.classes.iter();
        own + classes
            .map(|(_, touches)| touches.heap_bytes(|touch| text_bytes(&touch.id)))
            .sum::<usize>()
    }

    /// The number of touches.
    pub(super) fn len(&self) -> u64 {
        self.classes.iter().map(|(_, runs)| runs.len() as u64).sum()
    }

    /// Changes the multiplicity of a touch by `diff`. Returns the number of other touches that moved in memory.
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

    /// All touches, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Contact> {
        let fronts = self.classes.iter().map(|(_, runs)| runs.iter().peekable());
        let mut fronts: Fronts<_> = fronts.collect();
        std::iter::from_fn(move || next(&mut fronts, |a, b| a < b))
    }

    /// The touches from one time on and before another, in no particular order.
    pub(super) fn between(&self, from: i64, until: i64) -> impl Iterator<Item = &Contact> {
        let classes = self.classes.iter();
        classes.flat_map(move |(_, runs)| {
            let touches = runs.from(move |touch| touch.ts < from);
            touches.take_while(move |touch| touch.ts < until)
        })
    }

    /// The last touch before the given one, and the first that is not before it.
    pub(super) fn beside(&self, touch: &Contact) -> [Option<&Contact>; 2] {
        let runs = || self.classes.iter().map(|(_, runs)| runs);
        let before = runs().filter_map(|runs| runs.before(|held| held < touch).next());
        let behind = runs().filter_map(|runs| runs.from(|held| held < touch).next());
        [before.max(), behind.min()]
    }

    /// The path of a conversion: the touches within the attribution window of their kind, at most the newest `max_path`,
    /// oldest first. An in-store transaction or a visit has a path only if it may be joined, and only of touches that may be joined.
    /// Adds the number of visited touches to `looked`.
    pub(super) fn path(
        &self,
        conversion: &Conversion,
        settings: &BrandSettings,
        looked: &Cell<u64>,
    ) -> Vec<Touch> {
        let in_store = conversion.kind != SaleKind::Order;
        if in_store && !conversion.joins {
            return Vec::new();
        }
        let classes = self.classes.iter().filter(|(of, _)| of.joins || !in_store);
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

    /// The last time, in Unix milliseconds, of a conversion whose path may contain the touch. For later conversions its window
    /// is over, or there are `max_path` newer touches that count for every conversion that this touch counts for. Touches for
    /// which `is_going` holds are about to be removed and do not count.
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
        // The bound on visited touches is worth more than a tighter result.
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
                    // The newer touch counts for conversions at its own time.
                    return newer.ts.saturating_sub(1);
                }
            }
        }
        end
    }
}

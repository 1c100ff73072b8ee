//! Touches: the touchpoints of a person, arranged so that a path is found without visiting touches that are not in it.
//!
//! Whether a touch counts for a conversion depends on its kind, which determines the attribution window, and on whether it may
//! be joined with in-store transactions. So the touches of each such class are stored apart, and a path is merged from the
//! newest of each class backwards. The cost of a path is its length, however many touches the person has. The order of all
//! touches is that of [`Contact`].
//!
//! Most touches are stored for months and are part of few paths. They are kept packed ([`packed_touch`](super::packed_touch)),
//! in about a quarter of the memory, and unpacked whenever a path is merged.

use std::cell::Cell;
use std::cmp::Ordering;

use smallvec::SmallVec;

use super::packed_touch::{Class, Held, key, pack, release, unpack};
use crate::attribution::path::Touch;
use crate::engine::Diff;
use crate::facts::{Contact, Conversion};
use crate::label_numbers::LabelNumbers;
use crate::packed_multiset::PackedMultiset;
use crate::record::SaleKind;
use crate::settings::BrandSettings;

/// The touches of one person, as a multiset by class. No class is empty.
#[derive(Default)]
pub(super) struct Touches {
    classes: SmallVec<[(Class, PackedMultiset); 1]>,
    /// The number of different touches.
    len: u32,
}

/// Takes the first element, by an order, of several iterators that are sorted by it: one step of a merge.
fn next<'a, I: Iterator<Item = Held<'a>>>(
    fronts: &mut [std::iter::Peekable<I>],
    first_is: Ordering,
) -> Option<Held<'a>> {
    let mut first: Option<(usize, Held<'a>)> = None;
    for (at, front) in fronts.iter_mut().enumerate() {
        if let Some(touch) = front.peek()
            && first.is_none_or(|(_, other)| touch.cmp(&other) == first_is)
        {
            first = Some((at, *touch));
        }
    }
    fronts.get_mut(first?.0)?.next()
}

/// An iterator for each class of a person. There are at most six for each source.
type Fronts<I> = SmallVec<[std::iter::Peekable<I>; 2]>;

/// The touches of one class from a time on, or from a touch on, ascending.
fn from<'a>(
    (class, touches): &'a (Class, PackedMultiset),
    first: &[u8],
    numbers: &'a LabelNumbers,
) -> impl Iterator<Item = Held<'a>> + use<'a> {
    let touches = touches.from(first);
    touches.flat_map(|(touch, times)| {
        let touch = unpack(*class, touch, numbers).into_iter();
        touch.flat_map(move |touch| std::iter::repeat_n(touch, times.max(0) as usize))
    })
}

/// The touches of one class before a time, or before a touch, descending.
fn before<'a>(
    (class, touches): &'a (Class, PackedMultiset),
    end: &[u8],
    numbers: &'a LabelNumbers,
) -> impl Iterator<Item = Held<'a>> + use<'a> {
    let touches = touches.before(end);
    touches.flat_map(|(touch, times)| {
        let touch = unpack(*class, touch, numbers).into_iter();
        touch.flat_map(move |touch| std::iter::repeat_n(touch, times.max(0) as usize))
    })
}

impl Touches {
    /// Whether the person has no touch.
    pub(super) fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// The estimated bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let own = match self.classes.spilled() {
            true => self.classes.capacity() * size_of::<(Class, PackedMultiset)>(),
            false => 0,
        };
        let classes = self.classes.iter();
        own + classes
            .map(|(_, touches)| touches.heap_bytes())
            .sum::<usize>()
    }

    /// The number of different touches.
    pub(super) fn len(&self) -> u64 {
        self.len.into()
    }

    /// Changes the multiplicity of a touch by `diff`.
    pub(super) fn amend(&mut self, touch: &Contact, diff: Diff, numbers: &mut LabelNumbers) {
        let class = Class::of(touch);
        let at = self.classes.iter().position(|(other, _)| *other == class);
        let at = at.unwrap_or_else(|| {
            self.classes.push((class, PackedMultiset::default()));
            self.classes.len() - 1
        });
        let Some((_, touches)) = self.classes.get_mut(at) else {
            return;
        };
        let packed = pack(touch, numbers);
        let [held, now] = touches.amend(&packed, diff);
        debug_assert!(now >= 0, "only what is held is retracted");
        self.len += u32::from(now != 0);
        self.len -= u32::from(held != 0);
        // The entry uses its channel once, however often the touch occurs. It was used once more to find it.
        let uses = 1 + usize::from(held != 0) - usize::from(now != 0);
        for _ in 0..uses {
            release(&packed, numbers);
        }
        if touches.is_empty() {
            self.classes.remove(at);
            self.classes.shrink_to_fit();
        }
    }

    /// All touches, oldest first.
    pub(super) fn iter<'a>(&'a self, numbers: &'a LabelNumbers) -> impl Iterator<Item = Held<'a>> {
        let fronts = self.classes.iter();
        let mut fronts: Fronts<_> = fronts.map(|of| from(of, &[], numbers).peekable()).collect();
        std::iter::from_fn(move || next(&mut fronts, Ordering::Less))
    }

    /// The touches from one time on and before another, in no particular order.
    pub(super) fn between<'a>(
        &'a self,
        since: i64,
        until: i64,
        numbers: &'a LabelNumbers,
    ) -> impl Iterator<Item = Held<'a>> {
        let classes = self.classes.iter();
        classes.flat_map(move |of| {
            let touches = from(of, &key(since, ""), numbers);
            touches.take_while(move |touch| touch.ts < until)
        })
    }

    /// The last touch before the given one, and the first that is not before it.
    pub(super) fn beside<'a>(
        &'a self,
        touch: &Contact,
        numbers: &'a LabelNumbers,
    ) -> [Option<Held<'a>>; 2] {
        let key = key(touch.ts, &touch.id);
        let touch = Held::of(touch, &key);
        let is_before = |held: &Held<'_>| held.cmp(&touch) == Ordering::Less;
        let mut beside: [Option<Held<'a>>; 2] = [None, None];
        for of in &self.classes {
            // Those with the time and id of the touch may be before it, as their sources are.
            let mut behind = from(of, &key, numbers).peekable();
            let mut last = None;
            while let Some(held) = behind.next_if(is_before) {
                last = Some(held);
            }
            let last = last.or_else(|| {
                let (class, touches) = of;
                let (touch, _) = touches.before(&key).next()?;
                unpack(*class, touch, numbers)
            });
            let [before, next] = &mut beside;
            if let Some(last) = last
                && before.is_none_or(|before| before.cmp(&last) == Ordering::Less)
            {
                *before = Some(last);
            }
            if let Some(first) = behind.next()
                && next.is_none_or(|next| first.cmp(&next) == Ordering::Less)
            {
                *next = Some(first);
            }
        }
        beside
    }

    /// The path of a conversion: the touches within the attribution window of their kind, at most the newest `max_path`,
    /// oldest first. An in-store transaction or a visit has a path only if it may be joined, and only of touches that may be joined.
    /// Adds the number of visited touches to `looked`.
    pub(super) fn path(
        &self,
        conversion: &Conversion,
        settings: &BrandSettings,
        numbers: &LabelNumbers,
        looked: &Cell<u64>,
    ) -> Vec<Touch> {
        let in_store = conversion.kind != SaleKind::Order;
        if in_store && !conversion.joins {
            return Vec::new();
        }
        let end = key(conversion.ts.saturating_add(1), "");
        let classes = self.classes.iter();
        let classes = classes.filter(|(of, _)| of.joins || !in_store);
        let mut fronts: Fronts<_> = classes
            .map(|of| {
                let since = conversion.ts.saturating_sub(settings.window(of.0.kind));
                let until = before(of, &end, numbers);
                let until = until.inspect(|_| looked.set(looked.get() + 1));
                until.take_while(move |touch| touch.ts >= since).peekable()
            })
            .collect();
        let newest = std::iter::from_fn(|| next(&mut fronts, Ordering::Greater));
        let newest = newest.take(settings.max_path);
        let mut path: Vec<Touch> = newest.map(|held| held.touch()).collect();
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
        numbers: &LabelNumbers,
        is_going: impl Fn(&Held<'_>) -> bool,
    ) -> i64 {
        let window = settings.window(touch.kind);
        let end = touch.ts.saturating_add(window);
        let key = key(touch.ts, &touch.id);
        let own = Held::of(touch, &key);
        let classes = self.classes.iter();
        let classes = classes
            .filter(|(of, _)| settings.window(of.kind) >= window && (of.joins || !touch.joins));
        let newer = classes.map(|of| {
            let mut newer = from(of, &key, numbers).peekable();
            while newer
                .next_if(|held| held.cmp(&own) != Ordering::Greater)
                .is_some()
            {}
            newer
        });
        let mut fronts: Fronts<_> = newer.collect();
        let mut left = settings.max_path;
        // The bound on visited touches is worth more than a tighter result.
        for _ in 0..settings.max_path.saturating_mul(2) {
            let Some(newer) = next(&mut fronts, Ordering::Less) else {
                return end;
            };
            if newer.ts > end {
                return end;
            }
            if !is_going(&newer) {
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

//! Which labels the records and pings of one worker name.
//!
//! Each stage that holds what came in counts the labels that it names, and says when it begins to hold one and when it has
//! ended to: what is said changes with the words in use, not with the records.

use rustc_hash::FxHashMap;

use crate::engine::Diff;
use crate::label::Label;
use crate::record::BrandId;

/// How much of what a stage holds names each label.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelUses {
    counts: FxHashMap<(BrandId, Label), i64>,
    /// The labels whose counts changed since they were told, and whether they were in use then.
    changed: FxHashMap<(BrandId, Label), bool>,
}

impl LabelUses {
    /// Something that names a label is held, or no longer.
    pub(crate) fn add(&mut self, brand: BrandId, label: Label, diff: Diff) {
        if label.is_absent() {
            return;
        }
        let count = self.counts.entry((brand, label)).or_default();
        let was = *count > 0;
        *count += diff;
        if was != (*count > 0) {
            self.changed.entry((brand, label)).or_insert(was);
        }
    }

    /// The labels that have come into use since the last call, and those that have left it.
    pub(crate) fn drain(&mut self) -> Vec<((BrandId, Label), Diff)> {
        let mut changed = Vec::new();
        for (of, was) in self.changed.drain() {
            let is = self.counts.get(&of).is_some_and(|count| *count > 0);
            if !is {
                self.counts.remove(&of);
            }
            if was != is {
                changed.push((of, if is { 1 } else { -1 }));
            }
        }
        changed.sort_unstable();
        changed
    }

    /// How many labels are in use.
    pub(crate) fn len(&self) -> usize {
        self.counts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_and_the_last_use_are_told() {
        let mut uses = LabelUses::default();
        let (brand, label) = (BrandId(1), Label::of("spring"));
        uses.add(brand, label, 1);
        uses.add(brand, label, 1);
        uses.add(brand, Label::ABSENT, 1);
        assert_eq!(uses.drain(), [((brand, label), 1)]);
        uses.add(brand, label, -1);
        uses.add(brand, label, -1);
        uses.add(brand, label, 1);
        assert_eq!(uses.drain(), []);
        uses.add(brand, label, -1);
        assert_eq!(uses.drain(), [((brand, label), -1)]);
        assert_eq!(uses.len(), 0);
    }
}

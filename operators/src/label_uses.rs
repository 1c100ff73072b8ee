//! Label uses: which labels the records and pings of one worker use.
//!
//! Each operator that stores input counts the uses of its labels, and emits a change when a label comes into use or goes out
//! of use: the output changes with the labels in use, not with every record. A label that goes out of use and returns within
//! an epoch is no change. The registries of all workers receive these changes, and drop a name that no worker uses
//! ([`crate::label_registry`]).

use rustc_hash::FxHashMap;

use crate::engine::Diff;
use crate::label::Label;
use crate::record::BrandId;

/// The number of uses of each label of each brand on this worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelUses {
    /// The number of uses of each label.
    counts: FxHashMap<(BrandId, Label), i64>,
    /// The labels whose counts changed since the last drain, and whether they were in use then.
    changed: FxHashMap<(BrandId, Label), bool>,
}

impl LabelUses {
    /// Adds `diff` uses of a label. The absent label has no name and is not counted.
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

    /// Takes the labels that came into use (`+1`) or went out of use (`-1`) since the last call.
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

    /// The number of labels in use, and of labels that went out of use since the last drain.
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

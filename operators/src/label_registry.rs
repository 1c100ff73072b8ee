//! The label registry: the names behind labels, and their uses.
//!
//! Names come from outside, so they must be dropped when the records that use them are deleted. Each worker receives the
//! names of all workers, and for each label the number of announcements and the number of workers with uses. When no worker
//! uses a label, those who announced it are asked to withdraw it, and must announce it again before the next use. A name that
//! is neither announced nor used is needed only by a published cell with that name, and is dropped when no such cell is left.
//! The registry scans the cells for such names after as many cells and names were dropped as an eighth of the cells, so that
//! the cost of a scan is constant for each, and the registry holds the names in use and at most an eighth of the cells more. A few
//! cells are scanned for a single name.
//!
//! Nothing is checked before the restore after a restart is complete.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::engine::Diff;
use crate::label::{Label, LabelNames, OWN_WORDS};
use crate::record::BrandId;

/// A label of a brand.
pub(crate) type BrandLabel = (BrandId, Label);

/// The divisor of the number of cells: a scan is due after that share of them was dropped.
const SHARE: usize = 8;

/// So many cells are scanned for a single name: a worker with few cells would keep the last name for good.
const FEW: usize = 64;

/// The announcements and uses of a label.
#[derive(Clone, Copy, Debug, Default)]
struct Holders {
    /// The number of announcements that were not withdrawn.
    announced: i64,
    /// The number of workers with uses.
    used: i64,
}

/// The label names of all brands on one worker.
#[derive(Clone, Debug)]
pub(crate) struct LabelRegistry {
    /// The names of each brand, shared with those who read them on other threads.
    brands: FxHashMap<BrandId, Arc<LabelNames>>,
    /// The names that every brand has.
    own: Arc<LabelNames>,
    own_labels: [Label; OWN_WORDS.len()],
    /// The labels with announcements or uses.
    holders: FxHashMap<BrandLabel, Holders>,
    /// The labels that changed since the last check.
    touched: BTreeSet<BrandLabel>,
    /// Labels that are neither announced nor used.
    idle: FxHashSet<BrandLabel>,
    /// The number of labels that became idle and of cells that were closed since the last scan.
    freed: usize,
}

impl Default for LabelRegistry {
    fn default() -> Self {
        LabelRegistry {
            brands: FxHashMap::default(),
            own: Arc::default(),
            own_labels: OWN_WORDS.map(Label::of),
            holders: FxHashMap::default(),
            touched: BTreeSet::new(),
            idle: FxHashSet::default(),
            freed: 0,
        }
    }
}

impl LabelRegistry {
    /// The current label names of a brand, shared.
    pub(crate) fn of(&self, brand: BrandId) -> &Arc<LabelNames> {
        self.brands.get(&brand).unwrap_or(&self.own)
    }

    /// Adds or removes an announcement of a name.
    pub(crate) fn announce(&mut self, of: BrandLabel, word: Arc<str>, diff: Diff) {
        self.insert(of, word);
        self.hold(of, |holders| holders.announced += diff);
    }

    /// Withdraws an announcement.
    pub(crate) fn withdraw(&mut self, of: BrandLabel, diff: Diff) {
        self.hold(of, |holders| holders.announced -= diff);
    }

    /// Adds or removes a worker with uses.
    pub(crate) fn used(&mut self, of: BrandLabel, diff: Diff) {
        self.hold(of, |holders| holders.used += diff);
    }

    /// Restores the name of a published cell.
    pub(crate) fn restore(&mut self, of: BrandLabel, word: Arc<str>) {
        self.insert(of, word);
        self.mark_changed(of);
    }

    /// Marks a label for the next check.
    pub(crate) fn mark_changed(&mut self, of: BrandLabel) {
        self.hold(of, |_| ());
    }

    /// Adds a name, unless every brand has it.
    fn insert(&mut self, (brand, label): BrandLabel, word: Arc<str>) {
        if !self.is_own(label) {
            Arc::make_mut(self.brands.entry(brand).or_default()).insert(label, word);
        }
    }

    /// Changes the announcements and uses of a label, and marks it for the next check.
    fn hold(&mut self, of: BrandLabel, change: impl FnOnce(&mut Holders)) {
        if !self.is_own(of.1) && !of.1.is_absent() {
            change(self.holders.entry(of).or_default());
            self.touched.insert(of);
        }
    }

    /// Whether every brand has the name of a label.
    fn is_own(&self, label: Label) -> bool {
        self.own_labels.contains(&label)
    }

    /// The labels that changed since the last call and are announced but unused, in order.
    pub(crate) fn unused(&mut self) -> Vec<BrandLabel> {
        let mut unused = Vec::new();
        for of in std::mem::take(&mut self.touched) {
            let holders = self.holders.get(&of).copied().unwrap_or_default();
            if holders.used > 0 {
                self.idle.remove(&of);
            } else if holders.announced > 0 {
                self.idle.remove(&of);
                unused.push(of);
            } else {
                self.holders.remove(&of);
                if self.of(of.0).word(of.1).is_some() && self.idle.insert(of) {
                    self.freed += 1;
                }
            }
        }
        unused
    }

    /// Counts closed cells towards the next scan.
    pub(crate) fn closed(&mut self, cells: usize) {
        self.freed += cells;
    }

    /// Whether a scan of `cells` cells for idle labels is due.
    pub(crate) fn is_due(&self, cells: u64) -> bool {
        let cells = usize::try_from(cells).unwrap_or(usize::MAX);
        !self.idle.is_empty() && self.freed > 0 && self.freed.saturating_mul(SHARE) + FEW >= cells
    }

    /// Drops the idle names that no cell needs. `needed` calls its argument with each label that a cell needs.
    pub(crate) fn sweep(&mut self, needed: impl FnOnce(&mut dyn FnMut(BrandLabel))) {
        self.freed = 0;
        let mut unneeded = std::mem::take(&mut self.idle);
        needed(&mut |of| {
            if unneeded.remove(&of) {
                self.idle.insert(of);
            }
        });
        for (brand, label) in unneeded {
            let std::collections::hash_map::Entry::Occupied(mut words) = self.brands.entry(brand)
            else {
                continue;
            };
            Arc::make_mut(words.get_mut()).forget(label);
            if words.get().len() == OWN_WORDS.len() {
                words.remove();
            }
        }
    }

    /// The number of names, without those of the operators.
    pub(crate) fn len(&self) -> usize {
        let brands = self.brands.values();
        brands.map(|words| words.len() - OWN_WORDS.len()).sum()
    }

    /// The number of entries in the state.
    pub(crate) fn entries(&self) -> usize {
        self.len() + self.holders.len() + self.touched.len() + self.idle.len()
    }

    /// The number of hash collisions between names of one brand.
    pub(crate) fn collisions(&self) -> u64 {
        let brands = self.brands.values();
        brands.map(|words| words.collisions()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(registry: &LabelRegistry, (brand, label): BrandLabel) -> Option<&str> {
        registry.of(brand).word(label).map(|word| &**word)
    }

    #[test]
    fn two_words_of_one_hash_never_share_across_brands() {
        let mut registry = LabelRegistry::default();
        let (one, other) = (BrandId::of("acme"), BrandId::of("beta"));
        registry.announce((one, Label(7)), "spring".into(), 1);
        registry.announce((other, Label(7)), "autumn".into(), 1);
        assert_eq!(word(&registry, (one, Label(7))), Some("spring"));
        assert_eq!(word(&registry, (other, Label(7))), Some("autumn"));
        assert_eq!(word(&registry, (BrandId::of("zeta"), Label(7))), None);
        assert_eq!(registry.collisions(), 0);
        let direct = Label::of("direct");
        assert!(registry.of(BrandId::of("zeta")).word(direct).is_some());
    }

    #[test]
    fn a_word_goes_when_nobody_announces_uses_or_tells_it() {
        let mut registry = LabelRegistry::default();
        let of = (BrandId(1), Label::of("spring"));
        registry.announce(of, "spring".into(), 1);
        registry.used(of, 1);
        assert!(registry.unused().is_empty());
        registry.used(of, -1);
        assert_eq!(registry.unused(), [of]);
        // It is used again by somebody who announced it, until that is taken back, too.
        registry.used(of, 1);
        registry.withdraw(of, 1);
        assert!(registry.unused().is_empty());
        assert_eq!(word(&registry, of), Some("spring"));
        registry.used(of, -1);
        assert!(registry.unused().is_empty());
        // A cell is published under it.
        assert!(registry.is_due(8 + FEW as u64) && !registry.is_due(9 + FEW as u64));
        registry.sweep(|needed| needed(of));
        assert_eq!(word(&registry, of), Some("spring"));
        assert!(!registry.is_due(0));
        registry.closed(1);
        registry.sweep(|_| ());
        assert_eq!(word(&registry, of), None);
        assert_eq!(registry.entries(), 0);
    }

    #[test]
    fn the_operators_own_words_stay() {
        let mut registry = LabelRegistry::default();
        let of = (BrandId(1), Label::of("direct"));
        registry.used(of, 1);
        registry.used(of, -1);
        registry.restore(of, "direct".into());
        assert!(registry.unused().is_empty());
        assert_eq!(
            (registry.entries(), word(&registry, of)),
            (0, Some("direct"))
        );
    }
}

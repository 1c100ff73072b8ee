//! Range sums: a sorted map that sums up what any range of its entries adds, in order.
//!
//! A sum need not be a number: it is what an associative operation makes of the values of a range, such as the lowest level that
//! a sequence of changes reaches. Each subtree keeps its sum, and the tree is balanced by weight (Nievergelt and Reingold, 1973,
//! with the parameters of Hirai and Yamamoto, 2011), so that its depth is logarithmic whatever the order in which keys come.
//! Anyone who may send records can make some map large; a change or a sum then costs a logarithm of its entries.

use std::cmp::Ordering;

use crate::engine::extrapolate;

/// How many times heavier than the other a subtree may be.
const MAX_RATIO: usize = 3;

/// The ratio of the inner grandchild to the outer one from which on a double rotation balances.
const DOUBLE_RATIO: usize = 2;

/// Values that add up in order. The default adds nothing.
pub(crate) trait Sum: Clone + Default {
    /// The sum of a range and the one behind it.
    fn then(&self, next: &Self) -> Self;
}

/// A sorted map with the sums of its ranges.
pub(crate) struct RangeSums<K, V> {
    root: Tree<K, V>,
}

type Tree<K, V> = Option<Box<Node<K, V>>>;

struct Node<K, V> {
    key: K,
    value: V,
    /// The sum of the subtree.
    sum: V,
    /// The number of entries in the subtree.
    len: usize,
    left: Tree<K, V>,
    right: Tree<K, V>,
}

impl<K, V> Default for RangeSums<K, V> {
    fn default() -> Self {
        RangeSums { root: None }
    }
}

fn len<K, V>(tree: &Tree<K, V>) -> usize {
    tree.as_ref().map_or(0, |node| node.len)
}

/// The weight by which subtrees are balanced.
fn weight<K, V>(tree: &Tree<K, V>) -> usize {
    len(tree) + 1
}

impl<K, V> RangeSums<K, V> {
    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The estimated bytes on the heap. `of` is the size of what one key owns.
    pub fn heap_bytes(&self, of: impl Fn(&K) -> usize) -> usize {
        let len = len(&self.root);
        let spine = std::iter::successors(self.root.as_ref(), |node| node.left.as_ref());
        len * size_of::<Node<K, V>>() + extrapolate(len, spine.map(|node| of(&node.key)))
    }

    /// The last entry for which `is_before` holds. Those for which it holds must be a prefix.
    pub fn last_before(&self, is_before: impl Fn(&K) -> bool, steps: &mut u64) -> Option<&K> {
        let (mut at, mut found) = (self.root.as_ref(), None);
        while let Some(node) = at {
            *steps += 1;
            at = match is_before(&node.key) {
                true => {
                    found = Some(&node.key);
                    node.right.as_ref()
                }
                false => node.left.as_ref(),
            };
        }
        found
    }

    /// The first entry for which `is_before` does not hold. Those for which it holds must be a prefix.
    pub fn first_from(&self, is_before: impl Fn(&K) -> bool, steps: &mut u64) -> Option<&K> {
        let (mut at, mut found) = (self.root.as_ref(), None);
        while let Some(node) = at {
            *steps += 1;
            at = match is_before(&node.key) {
                true => node.right.as_ref(),
                false => {
                    found = Some(&node.key);
                    node.left.as_ref()
                }
            };
        }
        found
    }
}

impl<K: Ord, V: Sum> RangeSums<K, V> {
    /// Changes the value of a key, the default if it has none. `amend` returns whether the key is kept.
    pub fn amend(&mut self, key: K, amend: impl FnOnce(&mut V) -> bool, steps: &mut u64) {
        self.root = amend_tree(self.root.take(), key, amend, steps);
    }

    /// The sum of the entries for which `is_before` holds, which must be a prefix.
    pub fn before(&self, is_before: impl Fn(&K) -> bool, steps: &mut u64) -> V {
        let mut sum = V::default();
        let mut at = self.root.as_ref();
        while let Some(node) = at {
            *steps += 1;
            at = match is_before(&node.key) {
                true => {
                    if let Some(left) = &node.left {
                        sum = sum.then(&left.sum);
                    }
                    sum = sum.then(&node.value);
                    node.right.as_ref()
                }
                false => node.left.as_ref(),
            };
        }
        sum
    }

    /// The first entry up to and with which the sum of all entries fulfills a condition, which all longer sums must fulfill too.
    pub fn first_reaching(&self, is_reached: impl Fn(&V) -> bool, steps: &mut u64) -> Option<&K> {
        let mut sum = V::default();
        let (mut at, mut found) = (self.root.as_ref(), None);
        while let Some(node) = at {
            *steps += 1;
            let before = match &node.left {
                Some(left) => sum.then(&left.sum),
                None => sum.clone(),
            };
            let with = before.then(&node.value);
            at = match is_reached(&with) {
                true => {
                    found = Some(&node.key);
                    node.left.as_ref()
                }
                false => {
                    sum = with;
                    node.right.as_ref()
                }
            };
        }
        found
    }

    /// Passes the sums of consecutive parts of a range to `each`, in order. The range is what lies behind the prefix for which
    /// `is_before` holds, up to the end of that for which `is_within` holds. Where `each` returns false, it must have ignored
    /// the sum, and the part is passed again as smaller ones; it accepts every single entry.
    pub fn visit(
        &self,
        is_before: impl Fn(&K) -> bool,
        is_within: impl Fn(&K) -> bool,
        mut each: impl FnMut(&V) -> bool,
        steps: &mut u64,
    ) {
        let range = (&is_before as &dyn Fn(&K) -> bool, &is_within as _);
        visit_tree(&self.root, range, [false; 2], &mut each, steps);
    }
}

type Prefixes<'a, K> = (&'a dyn Fn(&K) -> bool, &'a dyn Fn(&K) -> bool);

/// Visits a subtree. `is_inside` says whether all of it lies behind the start, and before the end of the range.
fn visit_tree<K, V>(
    tree: &Tree<K, V>,
    range: Prefixes<'_, K>,
    is_inside: [bool; 2],
    each: &mut impl FnMut(&V) -> bool,
    steps: &mut u64,
) {
    let Some(node) = tree else { return };
    *steps += 1;
    let [behind, within] = is_inside;
    if behind && within && each(&node.sum) {
        return;
    }
    let (is_before, is_within) = range;
    if !behind && is_before(&node.key) {
        visit_tree(&node.right, range, is_inside, each, steps);
    } else if !within && !is_within(&node.key) {
        visit_tree(&node.left, range, is_inside, each, steps);
    } else {
        visit_tree(&node.left, range, [behind, true], each, steps);
        each(&node.value);
        visit_tree(&node.right, range, [true, within], each, steps);
    }
}

fn amend_tree<K: Ord, V: Sum>(
    tree: Tree<K, V>,
    key: K,
    amend: impl FnOnce(&mut V) -> bool,
    steps: &mut u64,
) -> Tree<K, V> {
    *steps += 1;
    let Some(mut node) = tree else {
        let mut value = V::default();
        return amend(&mut value).then(|| {
            Box::new(Node {
                key,
                sum: value.clone(),
                value,
                len: 1,
                left: None,
                right: None,
            })
        });
    };
    match key.cmp(&node.key) {
        Ordering::Less => node.left = amend_tree(node.left.take(), key, amend, steps),
        Ordering::Greater => node.right = amend_tree(node.right.take(), key, amend, steps),
        Ordering::Equal => {
            if !amend(&mut node.value) {
                return merge(node.left.take(), node.right.take(), steps);
            }
        }
    }
    Some(balance(node))
}

/// One tree of two, all of whose entries are in order.
fn merge<K, V: Sum>(left: Tree<K, V>, right: Tree<K, V>, steps: &mut u64) -> Tree<K, V> {
    let Some(right) = right else { return left };
    let (mut first, rest) = take_first(right, steps);
    (first.left, first.right) = (left, rest);
    Some(balance(first))
}

/// The first node of a tree, and the others.
fn take_first<K, V: Sum>(
    mut node: Box<Node<K, V>>,
    steps: &mut u64,
) -> (Box<Node<K, V>>, Tree<K, V>) {
    *steps += 1;
    match node.left.take() {
        None => {
            let rest = node.right.take();
            (node, rest)
        }
        Some(left) => {
            let (first, rest) = take_first(left, steps);
            node.left = rest;
            (first, Some(balance(node)))
        }
    }
}

/// Sums up a node whose subtrees may have changed.
fn update<K, V: Sum>(node: &mut Node<K, V>) {
    node.len = len(&node.left) + 1 + len(&node.right);
    let with_left = match &node.left {
        Some(left) => left.sum.then(&node.value),
        None => node.value.clone(),
    };
    node.sum = match &node.right {
        Some(right) => with_left.then(&right.sum),
        None => with_left,
    };
}

/// Balances a node after a change of at most one entry below it, and sums it up.
fn balance<K, V: Sum>(mut node: Box<Node<K, V>>) -> Box<Node<K, V>> {
    let (left, right) = (weight(&node.left), weight(&node.right));
    if right > MAX_RATIO * left {
        if let Some(child) = node.right.take() {
            let is_double = weight(&child.left) >= DOUBLE_RATIO * weight(&child.right);
            let child = if is_double {
                rotate_right(child)
            } else {
                child
            };
            node.right = Some(child);
        }
        return rotate_left(node);
    }
    if left > MAX_RATIO * right {
        if let Some(child) = node.left.take() {
            let is_double = weight(&child.right) >= DOUBLE_RATIO * weight(&child.left);
            let child = if is_double { rotate_left(child) } else { child };
            node.left = Some(child);
        }
        return rotate_right(node);
    }
    update(&mut node);
    node
}

/// Lifts the right child over its parent.
fn rotate_left<K, V: Sum>(mut node: Box<Node<K, V>>) -> Box<Node<K, V>> {
    if let Some(mut child) = node.right.take() {
        node.right = child.left.take();
        update(&mut node);
        child.left = Some(node);
        node = child;
    }
    update(&mut node);
    node
}

/// Lifts the left child over its parent.
fn rotate_right<K, V: Sum>(mut node: Box<Node<K, V>>) -> Box<Node<K, V>> {
    if let Some(mut child) = node.left.take() {
        node.left = child.right.take();
        update(&mut node);
        child.right = Some(node);
        node = child;
    }
    update(&mut node);
    node
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The values of a range in order: an operation that is not commutative.
    #[derive(Clone, Default, Debug, PartialEq)]
    struct InOrder(Vec<u64>);

    impl Sum for InOrder {
        fn then(&self, next: &Self) -> Self {
            InOrder([self.0.as_slice(), &next.0].concat())
        }
    }

    /// The depth of a tree; panics if one of its nodes is out of balance.
    fn depth<K, V>(tree: &Tree<K, V>) -> usize {
        let Some(node) = tree else { return 0 };
        let (left, right) = (weight(&node.left), weight(&node.right));
        assert!(left <= MAX_RATIO * right && right <= MAX_RATIO * left);
        1 + depth(&node.left).max(depth(&node.right))
    }

    #[test]
    fn sums_equal_those_of_a_sorted_map() {
        let number = |at: u64| at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(11) >> 33;
        let (mut sums, mut map) = (RangeSums::default(), BTreeMap::new());
        let mut steps = 0;
        for at in 0..3_000 {
            let key = number(at) % 97;
            let is_kept = at < 2_000 && number(at + 7) % 3 > 0;
            let set = |value: &mut InOrder| {
                *value = InOrder(vec![at]);
                is_kept
            };
            sums.amend(key, set, &mut steps);
            match is_kept {
                true => drop(map.insert(key, at)),
                false => drop(map.remove(&key)),
            }
            let edge = number(at + 1) % 97;
            let until = edge + number(at + 2) % 50;
            let range = |from, until| InOrder(map.range(from..until).map(|(_, v)| *v).collect());
            assert_eq!(sums.before(|key| *key < edge, &mut steps), range(0, edge));
            let mut visited = InOrder::default();
            let each = |part: &InOrder| {
                let is_taken = part.0.len() < 3;
                if is_taken {
                    visited = visited.then(part);
                }
                is_taken
            };
            sums.visit(|key| *key < edge, |key| *key < until, each, &mut steps);
            assert_eq!(visited, range(edge, until));
            let nth = sums.first_reaching(|sum| sum.0.len() as u64 > edge, &mut steps);
            assert_eq!(nth, map.keys().nth(edge as usize));
            let last = sums.last_before(|key| *key < edge, &mut steps);
            assert_eq!(last, map.range(..edge).next_back().map(|of| of.0));
            let first = sums.first_from(|key| *key < edge, &mut steps);
            assert_eq!(first, map.range(edge..).next().map(|of| of.0));
            depth(&sums.root);
        }
        assert!(!sums.is_empty() || map.is_empty());
    }

    #[test]
    fn the_depth_is_logarithmic_in_any_order() {
        #[derive(Clone, Default)]
        struct Nothing;
        impl Sum for Nothing {
            fn then(&self, _: &Self) -> Self {
                Nothing
            }
        }
        let mut sums = RangeSums::<u32, Nothing>::default();
        for at in 0..50_000 {
            sums.amend(at, |_| true, &mut 0);
        }
        assert!(depth(&sums.root) <= 2 * 16);
        for at in 0..49_000 {
            sums.amend(at, |_| false, &mut 0);
        }
        assert!(depth(&sums.root) <= 2 * 10);
    }
}

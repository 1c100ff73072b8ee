//! Grouped state: one state for each key of a group, such as an identifier of a brand.
//!
//! There are few groups and many keys. A table for each group spares every entry the name of its group, which would be a third
//! of a key, and what concerns one group visits no other. A group without a state is dropped, as an empty state is.

use std::collections::BTreeMap;
use std::hash::Hash;

use super::keyed_state::{KeyedState, State};

/// The states of an operator by group and key.
///
/// # Examples
///
/// ```
/// use tributary_operators::engine::{GroupedState, State};
///
/// #[derive(Default)]
/// struct Balance(i64);
///
/// impl State for Balance {
///     fn is_empty(&self) -> bool {
///         self.0 == 0
///     }
/// }
///
/// let mut balances: GroupedState<&str, u32, Balance> = GroupedState::default();
/// balances.amend("north", 7, |balance| balance.0 += 5);
/// balances.amend("south", 7, |balance| balance.0 += 1);
/// assert_eq!(balances.get(&"north", &7).map(|balance| balance.0), Some(5));
/// assert_eq!((balances.of(&"south").count(), balances.len()), (1, 2));
/// balances.amend("south", 7, |balance| balance.0 -= 1);
/// assert_eq!((balances.of(&"south").count(), balances.len()), (0, 1));
/// ```
pub struct GroupedState<G, K, S> {
    /// No group is empty.
    groups: BTreeMap<G, KeyedState<K, S>>,
}

impl<G, K, S> Default for GroupedState<G, K, S> {
    fn default() -> Self {
        GroupedState {
            groups: BTreeMap::new(),
        }
    }
}

impl<G: Ord, K: Hash + Eq, S: State> GroupedState<G, K, S> {
    /// Changes the state of a key of a group, which begins empty and is dropped if it is empty again. Returns what `change`
    /// returns.
    pub fn amend<R>(&mut self, group: G, key: K, change: impl FnOnce(&mut S) -> R) -> R
    where
        G: Copy,
    {
        let states = self.groups.entry(group).or_default();
        let result = states.amend(key, change);
        if states.is_empty() {
            self.groups.remove(&group);
        }
        result
    }

    /// The state of a key of a group, if it is not empty.
    pub fn get(&self, group: &G, key: &K) -> Option<&S> {
        self.groups.get(group)?.get(key)
    }

    /// The states of a group that are not empty, in no particular order.
    pub fn of(&self, group: &G) -> impl Iterator<Item = (&K, &S)> {
        self.groups
            .get(group)
            .into_iter()
            .flat_map(KeyedState::iter)
    }

    /// The number of keys whose state is not empty.
    pub fn len(&self) -> usize {
        self.groups.values().map(KeyedState::len).sum()
    }

    /// Whether all states are empty.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The estimated bytes of the tables and of what their states own. `of` is the size of what one state owns.
    pub fn bytes(&self, of: impl Fn(&S) -> usize) -> usize {
        self.groups.values().map(|states| states.bytes(&of)).sum()
    }
}

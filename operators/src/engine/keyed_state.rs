//! Keyed state: one state for each key that needs one.
//!
//! Most operators do the same with each key that an epoch changes: take the state out, or begin with an empty one; change it;
//! put it back, or drop it if nothing is left of it. [`KeyedState::amend`] is that sequence. It upholds the invariant that
//! bounds the memory of every operator: *no empty state is stored*. Once all input of a key has been retracted, the key takes
//! no memory.
//!
//! A lookup hashes the key once. Iteration is in no particular order, so its result must be sorted or summed before it
//! becomes an output.

use std::hash::Hash;

use super::heap::extrapolate;
use super::table::{Entry, Table};

/// The state of one key. The default is the state of a key without input.
pub trait State: Default {
    /// Whether nothing distinguishes the state from the default, so that it need not be stored.
    fn is_empty(&self) -> bool;
}

/// The states of an operator by key.
///
/// # Examples
///
/// ```
/// use tributary_operators::engine::{KeyedState, State};
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
/// let mut balances: KeyedState<&str, Balance> = KeyedState::default();
/// balances.amend("a", |balance| balance.0 += 5);
/// let left = balances.amend("a", |balance| {
///     balance.0 -= 3;
///     balance.0
/// });
/// assert_eq!((left, balances.len()), (2, 1));
/// balances.amend("a", |balance| balance.0 -= 2);
/// assert!(balances.is_empty());
/// ```
pub struct KeyedState<K, S> {
    /// No state is empty.
    states: Table<K, S>,
}

impl<K, S> Default for KeyedState<K, S> {
    fn default() -> Self {
        KeyedState {
            states: Table::default(),
        }
    }
}

impl<K: Hash + Eq, S: State> KeyedState<K, S> {
    /// Changes the state of a key, which begins empty and is dropped if it is empty again. Returns what `change` returns.
    pub fn amend<R>(&mut self, key: K, change: impl FnOnce(&mut S) -> R) -> R {
        match self.states.entry(key) {
            Entry::Occupied(mut entry) => {
                let result = change(entry.get_mut());
                if entry.get().is_empty() {
                    entry.remove();
                }
                result
            }
            Entry::Vacant(entry) => {
                let mut state = S::default();
                let result = change(&mut state);
                if !state.is_empty() {
                    entry.insert(state);
                }
                result
            }
        }
    }

    /// The state of a key, if it is not empty.
    pub fn get(&self, key: &K) -> Option<&S> {
        self.states.get(key)
    }

    /// The states that are not empty, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &S)> {
        self.states.iter()
    }

    /// The number of keys whose state is not empty.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// The estimated bytes of the table and of what its states own. `of` is the size of what one state owns.
    pub fn bytes(&self, of: impl Fn(&S) -> usize) -> usize {
        self.states.bytes() + extrapolate(self.len(), self.states.sample().map(of))
    }

    /// Whether all states are empty.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl State for i64 {
        fn is_empty(&self) -> bool {
            *self == 0
        }
    }

    #[test]
    fn an_empty_state_is_never_stored() {
        let mut states: KeyedState<u8, i64> = KeyedState::default();
        states.amend(1, |state| *state += 2);
        states.amend(2, |state| *state += 1);
        states.amend(3, |_| ());
        assert_eq!(states.len(), 2);
        assert_eq!(states.get(&3), None);
        states.amend(2, |state| *state -= 1);
        assert_eq!(states.iter().collect::<Vec<_>>(), [(&1, &2)]);
        states.amend(1, |state| *state -= 2);
        assert!(states.is_empty());
    }

    #[test]
    fn a_key_begins_anew_after_its_state_was_dropped() {
        let mut states: KeyedState<u8, i64> = KeyedState::default();
        states.amend(1, |state| *state = 7);
        states.amend(1, |state| *state = 0);
        let begun = states.amend(1, |state| std::mem::replace(state, 9));
        assert_eq!((begun, states.get(&1)), (0, Some(&9)));
    }
}

//! Integers for a browser.

use serde::{Serialize, Serializer};
use tributary_operators::cell::NO_VALUE;

/// The greatest integer that a browser represents exactly:
/// `Number.MAX_SAFE_INTEGER` of ECMAScript.
const EXACT: i128 = (1 << 53) - 1;

/// An integer in JSON: a number if a browser reads it exactly, otherwise its
/// digits as a string. Sums saturate.
///
/// [`Int::HIDDEN`] is the sum of nothing that is published. It is `null` in
/// JSON, so that a hidden number never reads as 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Int(pub i128);

impl Int {
    /// A number that is not published.
    pub const HIDDEN: Int = Int(NO_VALUE);

    /// The sum of no cells: hidden if the release gate may hide some.
    pub fn nothing(hides: bool) -> Int {
        if hides { Int::HIDDEN } else { Int(0) }
    }
}

impl Serialize for Int {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Int::HIDDEN {
            return serializer.serialize_none();
        }
        match i64::try_from(self.0) {
            Ok(exact) if self.0.unsigned_abs() <= EXACT.unsigned_abs() => {
                serializer.serialize_i64(exact)
            }
            _ => serializer.collect_str(&self.0),
        }
    }
}

impl std::ops::AddAssign<i128> for Int {
    fn add_assign(&mut self, more: i128) {
        self.0 = match *self {
            _ if more == NO_VALUE => self.0,
            Int::HIDDEN => more,
            Int(sum) => sum.saturating_add(more).max(NO_VALUE + 1),
        };
    }
}

/// Adds arrays element by element.
pub fn add<const N: usize>(sums: &mut [Int; N], more: [i128; N]) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_would_round_goes_as_digits() {
        let json = |n: i128| serde_json::to_string(&Int(n)).unwrap();
        assert_eq!(json(-5), "-5");
        assert_eq!(json(EXACT), "9007199254740991");
        assert_eq!(json(EXACT + 1), "\"9007199254740992\"");
        assert_eq!(json(-EXACT - 1), "\"-9007199254740992\"");
        assert_eq!(json(NO_VALUE), "null");
    }

    #[test]
    fn a_sum_is_hidden_until_something_is_published() {
        let mut sums = [Int::nothing(true), Int::nothing(false)];
        assert_eq!(sums, [Int::HIDDEN, Int(0)]);
        add(&mut sums, [NO_VALUE, NO_VALUE]);
        assert_eq!(sums, [Int::HIDDEN, Int(0)]);
        add(&mut sums, [0, 3]);
        add(&mut sums, [2, 3]);
        assert_eq!(sums, [Int(2), Int(6)]);
    }
}

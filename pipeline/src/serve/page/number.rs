//! Integers for a browser.

use serde::{Serialize, Serializer};

/// The greatest integer that a browser represents exactly:
/// `Number.MAX_SAFE_INTEGER` of ECMAScript.
const EXACT: i128 = (1 << 53) - 1;

/// An integer in JSON: a number if a browser reads it exactly, otherwise its
/// digits as a string. Sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Int(pub i128);

impl Serialize for Int {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match i64::try_from(self.0) {
            Ok(exact) if self.0.abs() <= EXACT => serializer.serialize_i64(exact),
            _ => serializer.collect_str(&self.0),
        }
    }
}

impl std::ops::AddAssign<i128> for Int {
    fn add_assign(&mut self, more: i128) {
        self.0 = self.0.saturating_add(more);
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
    }
}

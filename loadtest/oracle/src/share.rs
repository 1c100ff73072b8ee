//! Division of an integer by weights without loss: the largest remainder method.
//!
//! Every share is rounded down; the remaining units go one each to the largest fractions, ties to
//! the earlier one.

use std::cmp::Reverse;

/// Divides `total` by `weights`; the shares add up to `total` exactly.
///
/// If all weights are zero they count as equal; no weights produce no shares. `total` times the
/// largest weight must fit into 128 bits: 10^15 minor units times 2^40 do, with a factor of 10^11
/// to spare.
///
/// ```
/// use tributary_oracle::share::largest_remainder;
///
/// assert_eq!(largest_remainder(100, &[1, 1, 1]), [34, 33, 33]);
/// assert_eq!(largest_remainder(10, &[1, 2, 4]), [1, 3, 6]);
/// ```
pub fn largest_remainder(total: u128, weights: &[u128]) -> Vec<u128> {
    let sum: u128 = weights.iter().sum();
    if sum == 0 {
        return match weights.len() {
            0 => Vec::new(),
            len => largest_remainder(total, &vec![1; len]),
        };
    }
    let mut shares: Vec<u128> = weights.iter().map(|w| total * w / sum).collect();
    let spare = total - shares.iter().sum::<u128>();

    let mut places: Vec<usize> = (0..weights.len()).collect();
    // The sort is stable: equal fractions stay in the order of the weights.
    places.sort_by_key(|place| Reverse(total * weights[*place] % sum));
    for (place, _) in places.into_iter().zip(0..spare) {
        shares[place] += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_without_fractions_are_exact() {
        assert_eq!(largest_remainder(100, &[40, 20, 40]), [40, 20, 40]);
        assert_eq!(largest_remainder(0, &[1, 2]), [0, 0]);
        assert_eq!(largest_remainder(7, &[0, 5, 0]), [0, 7, 0]);
    }

    #[test]
    fn spare_units_go_to_the_largest_fractions() {
        // 10/6 = 1.67, 20/6 = 3.33, 30/6 = 5.
        assert_eq!(largest_remainder(10, &[1, 2, 3]), [2, 3, 5]);
        // 0.5, 0.75, 0.75: two units for the later two.
        assert_eq!(largest_remainder(2, &[2, 3, 3]), [0, 1, 1]);
    }

    #[test]
    fn equal_fractions_favour_the_earlier() {
        assert_eq!(
            largest_remainder(1_000_000, &[1; 3]),
            [333_334, 333_333, 333_333]
        );
        assert_eq!(largest_remainder(2, &[1; 3]), [1, 1, 0]);
        assert_eq!(largest_remainder(1, &[1, 0, 1]), [1, 0, 0]);
    }

    #[test]
    fn zero_weights_weigh_the_same() {
        assert_eq!(largest_remainder(5, &[0, 0]), [3, 2]);
        assert_eq!(largest_remainder(5, &[]), [0; 0]);
    }

    #[test]
    fn the_greatest_amounts_fit() {
        let amount = 1_000_000_000_000_000;
        let shares = largest_remainder(amount, &[1 << 32, 1, (1 << 32) - 1]);
        assert_eq!(shares.iter().sum::<u128>(), amount);
        // A half, 116415.32…, and the rest, whose fraction .67… takes the spare unit.
        assert_eq!(shares, [500_000_000_000_000, 116_415, 499_999_999_883_585]);
    }
}

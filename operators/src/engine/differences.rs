//! Differences: what an operator emits when something has changed.
//!
//! The accumulated output of an operator is a function of its accumulated input, so a change retracts what was emitted before
//! and inserts what holds now. What is equal on both sides must not be sent: every row costs work in all operators
//! downstream, and a retraction with its insertion would count as a change of the cells.

use differential_dataflow::consolidation::consolidate;

use super::collection::Diff;

/// Emits the difference between two values of one thing, either of which may be absent: retracts the one before and inserts
/// the one after, unless they are equal. `row` makes the row of a value.
///
/// # Examples
///
/// ```
/// use tributary_operators::engine::emit_change;
///
/// let mut out = Vec::new();
/// emit_change(Some(1), Some(1), |value| value, &mut out);
/// assert!(out.is_empty());
/// emit_change(Some(1), Some(2), |value| value, &mut out);
/// emit_change(Some(3), None, |value| value, &mut out);
/// assert_eq!(out, [(1, -1), (2, 1), (3, -1)]);
/// ```
pub fn emit_change<T: PartialEq, D>(
    before: Option<T>,
    after: Option<T>,
    row: impl Fn(T) -> D,
    out: &mut Vec<(D, Diff)>,
) {
    if before != after {
        out.extend(before.map(|value| (row(value), -1)));
        out.extend(after.map(|value| (row(value), 1)));
    }
}

/// Consolidates the rows that `emit` appends: sums the diffs of equal rows and removes those that are zero. Rows that were in
/// `out` before are not touched. Serves an operator that retracts and emits all rows of a key when some of them may have
/// changed.
///
/// # Examples
///
/// ```
/// use tributary_operators::engine::emit_consolidated;
///
/// let mut out = vec![("other", 1)];
/// emit_consolidated(&mut out, |out| {
///     out.extend([("a", -1), ("b", -1)]);
///     out.extend([("b", 1), ("c", 1)]);
/// });
/// assert_eq!(out, [("other", 1), ("a", -1), ("c", 1)]);
/// ```
pub fn emit_consolidated<D: Ord, R>(
    out: &mut Vec<(D, Diff)>,
    emit: impl FnOnce(&mut Vec<(D, Diff)>) -> R,
) -> R {
    let from = out.len();
    let result = emit(out);
    let mut changed = out.split_off(from);
    consolidate(&mut changed);
    out.append(&mut changed);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accumulated_changes_are_the_last_value() {
        let values = [None, Some(1), Some(1), Some(2), None, None, Some(3)];
        let mut out = Vec::new();
        for pair in values.windows(2) {
            if let [before, after] = pair {
                emit_change(*before, *after, |value| value, &mut out);
            }
        }
        assert_eq!(out.len(), 5);
        consolidate(&mut out);
        assert_eq!(out, [(3, 1)]);
    }

    #[test]
    fn rows_that_return_are_not_emitted() {
        let mut out = vec![(1, -1)];
        let steps = emit_consolidated(&mut out, |out| {
            out.extend([(1, 1), (2, -1), (2, 1), (3, 2)]);
            4
        });
        assert_eq!((steps, out), (4, vec![(1, -1), (1, 1), (3, 2)]));
    }
}

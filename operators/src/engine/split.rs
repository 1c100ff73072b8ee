//! Splits: divide the output of an operator into collections by what each row is.
//!
//! An operator has one output type. If its rows concern several operators downstream, the type is an enum, and a split
//! moves each variant to a collection of its own type, without a copy of the data. The function that decides is an
//! exhaustive `match`, so a new variant does not compile until it has a destination.

use differential_dataflow::AsCollection;
use timely::dataflow::operators::OkErr;

use super::collection::Collection;

/// A row of one of two collections.
#[derive(Clone)]
pub enum OneOf2<A, B> {
    /// Of the first collection.
    First(A),
    /// Of the second collection.
    Second(B),
}

/// A row of one of three collections.
#[derive(Clone)]
pub enum OneOf3<A, B, C> {
    /// Of the first collection.
    First(A),
    /// Of the second collection.
    Second(B),
    /// Of the third collection.
    Third(C),
}

/// A row of one of four collections.
#[derive(Clone)]
pub enum OneOf4<A, B, C, D> {
    /// Of the first collection.
    First(A),
    /// Of the second collection.
    Second(B),
    /// Of the third collection.
    Third(C),
    /// Of the fourth collection.
    Fourth(D),
}

/// Splits a collection in two.
///
/// # Examples
///
/// ```
/// use differential_dataflow::input::Input;
/// use timely::dataflow::operators::Inspect;
/// use tributary_operators::engine::{OneOf2, split2};
///
/// timely::execute_directly(|worker| {
///     worker.dataflow::<u64, _, _>(|scope| {
///         let (mut input, numbers) = scope.new_collection();
///         let (even, odd) = split2(numbers, |number: u32| match number % 2 {
///             0 => OneOf2::First(number),
///             _ => OneOf2::Second(number.to_string()),
///         });
///         even.inner.inspect(|change| assert_eq!(*change, (4, 0, 1)));
///         odd.inner.inspect(|change| assert_eq!(*change, ("7".to_owned(), 0, 1)));
///         input.update(4, 1);
///         input.update(7, 1);
///     });
/// });
/// ```
pub fn split2<'scope, R: Clone + 'static, A: Clone + 'static, B: Clone + 'static>(
    rows: Collection<'scope, R>,
    mut part: impl FnMut(R) -> OneOf2<A, B> + 'static,
) -> (Collection<'scope, A>, Collection<'scope, B>) {
    let (first, second) = rows
        .inner
        .ok_err(move |(row, epoch, diff)| match part(row) {
            OneOf2::First(row) => Ok((row, epoch, diff)),
            OneOf2::Second(row) => Err((row, epoch, diff)),
        });
    (first.as_collection(), second.as_collection())
}

/// Splits a collection in three. Most rows should be of the first: it costs one step, the others two.
pub fn split3<
    'scope,
    R: Clone + 'static,
    A: Clone + 'static,
    B: Clone + 'static,
    C: Clone + 'static,
>(
    rows: Collection<'scope, R>,
    mut part: impl FnMut(R) -> OneOf3<A, B, C> + 'static,
) -> (
    Collection<'scope, A>,
    Collection<'scope, B>,
    Collection<'scope, C>,
) {
    let (first, rest) = split2(rows, move |row| match part(row) {
        OneOf3::First(row) => OneOf2::First(row),
        OneOf3::Second(row) => OneOf2::Second(OneOf2::First(row)),
        OneOf3::Third(row) => OneOf2::Second(OneOf2::Second(row)),
    });
    let (second, third) = split2(rest, |row| row);
    (first, second, third)
}

/// Splits a collection in four. Each row costs as many steps as the position of its collection, at most three.
pub fn split4<
    'scope,
    R: Clone + 'static,
    A: Clone + 'static,
    B: Clone + 'static,
    C: Clone + 'static,
    D: Clone + 'static,
>(
    rows: Collection<'scope, R>,
    mut part: impl FnMut(R) -> OneOf4<A, B, C, D> + 'static,
) -> (
    Collection<'scope, A>,
    Collection<'scope, B>,
    Collection<'scope, C>,
    Collection<'scope, D>,
) {
    let (first, rest) = split2(rows, move |row| match part(row) {
        OneOf4::First(row) => OneOf2::First(row),
        OneOf4::Second(row) => OneOf2::Second(OneOf3::First(row)),
        OneOf4::Third(row) => OneOf2::Second(OneOf3::Second(row)),
        OneOf4::Fourth(row) => OneOf2::Second(OneOf3::Third(row)),
    });
    let (second, third, fourth) = split3(rest, |row| row);
    (first, second, third, fourth)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use differential_dataflow::input::Input;
    use timely::dataflow::operators::Inspect;

    use super::*;

    #[test]
    fn each_row_reaches_its_collection_and_no_other() {
        let (sent, received) = channel();
        timely::execute_directly(move |worker| {
            worker.dataflow::<u64, _, _>(|scope| {
                let (mut input, numbers) = scope.new_collection();
                let parts = split4(numbers, |number: u8| match number {
                    0 => OneOf4::First(number),
                    1 => OneOf4::Second(number),
                    2 => OneOf4::Third(number),
                    _ => OneOf4::Fourth(number),
                });
                let parts = [parts.0, parts.1, parts.2, parts.3];
                for (at, part) in parts.into_iter().enumerate() {
                    let sent = sent.clone();
                    part.inner
                        .inspect(move |(number, _, diff)| sent.send((at, *number, *diff)).unwrap());
                }
                (0..5).for_each(|number| input.update(number, 1 + i64::from(number)));
            });
        });
        let mut rows: Vec<_> = received.iter().collect();
        rows.sort_unstable();
        assert_eq!(
            rows,
            [(0, 0, 1), (1, 1, 2), (2, 2, 3), (3, 3, 4), (3, 4, 5)]
        );
    }
}

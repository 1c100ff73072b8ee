//! The way from the first contact to the till: how long it is, which ways are the most frequent, and who helped.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use tributary_operators::calendar;
use tributary_operators::cell::{Dim, Family};
use tributary_operators::record::Day;

use super::number::Int;
use super::sums::{Channel, Sums, channel};

/// How many paths and assisting channels are shown.
const TOP: usize = 10;

/// From so many touches on, paths are one bar; from so many days on likewise.
const MOST_TOUCHES: u64 = 15;
const MOST_DAYS: u64 = 31;

/// Steps of a path that are shown at either end.
const ENDS: usize = 4;

/// What the months have of paths.
#[derive(Serialize)]
pub struct Paths<'a> {
    /// Conversions with a path.
    conversions: Int,
    /// Conversions by number of touches, from 1; the last has all that are longer.
    touches: Vec<Int>,
    /// Conversions by days since the first touch, from 0; the last has all that took longer.
    days: Vec<Int>,
    top: Vec<Path<'a>>,
    /// Channel, assisted conversions, their value.
    assists: Vec<(Channel<'a>, Int, Int)>,
}

#[derive(Serialize)]
struct Path<'a> {
    steps: Vec<Channel<'a>>,
    /// Steps left out after the first half of `steps`.
    left_out: usize,
    conversions: Int,
    value: Int,
}

impl<'a> Paths<'a> {
    /// The paths of the last and of the current month.
    pub fn of(sums: &Sums<'a, '_>, today: Day) -> Paths<'a> {
        let month = calendar::month(today);
        let months = month.saturating_sub(1)..=month;
        let mut touches = vec![Int::default(); MOST_TOUCHES as usize];
        let mut days = vec![Int::default(); MOST_DAYS as usize + 1];
        let mut conversions = Int::default();
        sums.each(
            Family::PathLength,
            months.clone(),
            &["touches"],
            |dims, values| {
                if let ([_, Dim::Count(n)], &[more]) = (dims, values) {
                    conversions += more;
                    let bar = n.saturating_sub(1).min(MOST_TOUCHES - 1);
                    touches
                        .get_mut(bar as usize)
                        .into_iter()
                        .for_each(|sum| *sum += more);
                }
            },
        );
        sums.each(
            Family::PathDays,
            months.clone(),
            &["days"],
            |dims, values| {
                if let ([_, Dim::Count(n)], &[more]) = (dims, values) {
                    let bar = (*n).min(MOST_DAYS);
                    days.get_mut(bar as usize)
                        .into_iter()
                        .for_each(|sum| *sum += more);
                }
            },
        );
        let mut top = BTreeSet::new();
        sums.each(Family::Paths, months.clone(), &["path"], |dims, values| {
            if let (&[_, Dim::Path(steps)], &[conversions, value]) = (dims, values) {
                top.insert((-conversions, -value, steps));
            }
        });
        let top = top.into_iter().take(TOP);
        let mut assists = BTreeSet::new();
        let by = ["source", "medium", "campaign"];
        sums.each(Family::Assists, months, &by, |dims, values| {
            if let (Some((channel, _)), &[conversions, value]) = (channel(dims), values) {
                assists.insert((-conversions, -value, channel));
            }
        });
        let assists = assists.into_iter().take(TOP);
        Paths {
            conversions,
            touches,
            days,
            top: top
                .map(|(n, value, steps)| path(steps, -n, -value))
                .collect(),
            assists: assists
                .map(|(n, value, channel)| (channel, Int(-n), Int(-value)))
                .collect(),
        }
    }
}

fn path(steps: &[[Option<Arc<str>>; 3]], conversions: i128, value: i128) -> Path<'_> {
    let left_out = match steps.len() {
        n if n > 2 * ENDS + 1 => n - 2 * ENDS,
        _ => 0,
    };
    let shown = steps.iter().enumerate();
    let shown = shown.filter(|(at, _)| left_out == 0 || *at < ENDS || *at >= ENDS + left_out);
    Path {
        steps: shown
            .map(|(_, step)| step.each_ref().map(|word| word.as_deref()))
            .collect(),
        left_out,
        conversions: Int(conversions),
        value: Int(value),
    }
}

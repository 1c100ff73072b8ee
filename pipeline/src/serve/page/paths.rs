//! Customer journeys: their length, the most frequent ones, and assisting
//! channels.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use tributary_operators::calendar;
use tributary_operators::cell::{Dim, Family};
use tributary_operators::record::Day;

use super::number::Int;
use super::sums::{Sums, channel};
use crate::report::channel_name::Channel;
use crate::report::published_cells::Periods;

/// Number of paths and assisting channels.
const TOP: usize = 10;

/// Paths with this many touchpoints or more share one bar.
const MOST_TOUCHES: u64 = 15;
/// Paths of this many days or more share one bar.
const MOST_DAYS: u64 = 31;

/// Number of steps shown at either end of a long path.
const ENDS: usize = 4;

/// Path statistics of two months.
#[derive(Serialize)]
pub struct Paths<'a> {
    /// Conversions with a path.
    conversions: Int,
    /// Conversions by number of touchpoints, from 1; the last bar contains all
    /// longer paths.
    touches: Vec<Int>,
    /// Conversions by days since the first touchpoint, from 0; the last bar
    /// contains all longer ones.
    days: Vec<Int>,
    /// The most frequent paths.
    top: Vec<Path<'a>>,
    /// Channel, assisted conversions, and their revenue.
    assists: Vec<(Channel<'a>, Int, Int)>,
}

/// A path.
#[derive(Serialize)]
struct Path<'a> {
    /// Its channels, oldest first.
    steps: Vec<Channel<'a>>,
    /// Number of steps omitted after the first half of `steps`.
    left_out: usize,
    /// Its conversions.
    conversions: Int,
    /// Their revenue.
    value: Int,
}

impl<'a> Paths<'a> {
    /// The paths of the last and the current month.
    pub fn of(sums: &Sums<'a, '_>, today: Day) -> Paths<'a> {
        let month = calendar::month(today);
        let months = Periods::months(month.saturating_sub(1)..=month);
        let none = Int::nothing(sums.hides);
        let mut touches = vec![none; MOST_TOUCHES as usize];
        let mut days = vec![none; MOST_DAYS as usize + 1];
        let mut conversions = none;
        sums.each(Family::PathLength, months, &["touches"], |dims, values| {
            if let ([_, Dim::Count(n)], &[more]) = (dims, values) {
                conversions += more;
                let bar = n.saturating_sub(1).min(MOST_TOUCHES - 1);
                touches
                    .get_mut(bar as usize)
                    .into_iter()
                    .for_each(|sum| *sum += more);
            }
        });
        sums.each(Family::PathDays, months, &["days"], |dims, values| {
            if let ([_, Dim::Count(n)], &[more]) = (dims, values) {
                let bar = (*n).min(MOST_DAYS);
                days.get_mut(bar as usize)
                    .into_iter()
                    .for_each(|sum| *sum += more);
            }
        });
        let mut top = BTreeSet::new();
        sums.each(Family::Paths, months, &["path"], |dims, values| {
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

/// A path, shortened in its middle if it is long.
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

//! Traces that end now, as a live worker needs them: nothing has expired, and nothing is in the
//! future.
//!
//! How many days a number of events takes is known only after a simulation, and depends on the
//! weekday on which they start. So the world is simulated without output, and started again on a
//! better day, until it ends today before the current time, or else yesterday.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::options::{Options, OptionsError};
use crate::world::World;

/// The number of first days to try. Shifting the first day by one rarely changes how many days the
/// events take.
const TRIES: u32 = 8;

/// The hour of the day from which on it is worth a trace of its own.
const NOON: i8 = 12;

/// The options with a first day such that the trace ends at `now`: nothing arrives later.
///
/// A trace that is limited by days is cut at `now`; before noon, a single day is yesterday. One that is limited by events has all of them,
/// the last within two days before `now`; finding its first day takes up to eight simulations.
///
/// # Errors
///
/// See [`Options::check`].
pub fn ending_at(mut options: Options, now: Timestamp) -> Result<Options, OptionsError> {
    options.check()?;
    let zone = TimeZone::get(&options.timezone).map_err(|error| OptionsError(error.to_string()))?;
    let now_there = now.to_zoned(zone);
    let today = now_there.date();
    let before = |days: u32| -> Result<Date, OptionsError> {
        let first = today.checked_sub(i64::from(days).days());
        first.map_err(|error| OptionsError(error.to_string()))
    };
    let (events, days) = options.ends();
    let mut back = days.unwrap_or(28) - 1;
    options.start = before(back)?;
    options.until = now.as_millisecond();
    if events.is_none() {
        // In the morning little has happened on a single day yet, and at night nothing.
        if back == 0 && now_there.hour() < NOON {
            options.start = before(1)?;
        }
        return Ok(options);
    }
    let mut latest = 0;
    for _ in 0..TRIES {
        let mut world = World::new(Options {
            until: i64::MAX,
            ..options.clone()
        })?;
        let last = world.by_ref().map(|line| line.at).max();
        if !world.has_all_events() {
            return Ok(options);
        }
        let is_over = last.is_none_or(|last| last <= options.until);
        // Once it was too late with a first day, no later one is tried again.
        let lasts = world.day.saturating_sub(1);
        let next = match is_over {
            true => lasts.max(latest),
            false => {
                latest = lasts.max(back) + 1;
                latest
            }
        };
        if is_over && next == back {
            return Ok(options);
        }
        back = next;
        options.start = before(back)?;
    }
    // It would go back and forth between two days: a day that is early enough in any case.
    options.start = before(back + 1)?;
    Ok(options)
}

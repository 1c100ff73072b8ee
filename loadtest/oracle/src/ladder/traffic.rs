//! The groups without conversions: contacts by channel, and visits by store and hour, each of a month.
//!
//! Nobody knows their totals, so that what is left at the end is held back. A contact is counted with `k` contributors like
//! everything else; a visit with `k_traffic`, however much of it one device holds.

use std::collections::BTreeSet;

use tributary_operators::record::Day;

use super::contribution::Contribution;
use super::decide::{decide, grain_by_grain, keys};
use super::name::{MONTH_GRAIN, Name};
use super::pattern::{Ladder, Names, Rest};
use super::take_over::take_over;
use super::threshold::Threshold;
use tributary_operators::settings::BrandSettings;

/// The ladder of `campaign_day`.
pub(super) fn contacts(settings: &BrandSettings, dominance: u64) -> Ladder {
    held_back(settings.k, dominance)
}

/// The ladder of `visits`.
pub(super) fn visits(settings: &BrandSettings) -> Ladder {
    held_back(settings.k_traffic, 100)
}

fn held_back(k: u64, dominance: u64) -> Ladder {
    Ladder {
        threshold: Threshold {
            k,
            dominance,
            outside_a_day: 0,
        },
        rest: Rest::HeldBack,
    }
}

/// The pattern of a state by itself.
pub(super) fn decide_traffic(ladder: &Ladder, now: &[Contribution]) -> Names {
    decide(ladder, now).unwrap_or_default()
}

/// The names of days that were never published before: stores and hours by the rule, and safe cells of the channels that
/// the pattern in use publishes by day.
pub(super) fn days_of(
    ladder: &Ladder,
    used: &Names,
    now: &[Contribution],
    days: &BTreeSet<Day>,
) -> Names {
    let of_days: Vec<Contribution> = now
        .iter()
        .filter(|of| days.contains(&of.day))
        .cloned()
        .collect();
    let (published, _) = grain_by_grain(ladder, keys(&of_days), |_| true);
    let by_day = |channel: &Name| {
        let is_same = |name: &&Name| matches!(name, Name::ChannelDay(..));
        let mut used = used.iter().filter(is_same);
        used.any(|name| name.channel() == channel.channel())
    };
    let names = published.into_keys().filter(|name| match name {
        Name::ChannelDay(..) => by_day(name),
        name => name.grain() < MONTH_GRAIN && name.day().is_some(),
    });
    names.collect()
}

/// What becomes of the pattern in use on the way to the wanted one; none where the result does not stand now.
pub(super) fn advance(
    ladder: &Ladder,
    used: &Names,
    current: Names,
    wanted: &Names,
    [then, now]: [&[Contribution]; 2],
    earlier: &[(Names, Vec<Contribution>)],
    k_delta: u64,
) -> Option<Names> {
    let names = take_over(current, wanted, |next| {
        ladder.stands(next, then)
            && ladder.stands(next, now)
            && ladder.keeps_pieces([used, next], [then, now])
            && (earlier.iter())
                .all(|(old, then)| ladder.keeps_earlier([old, next], [then, now], k_delta))
    });
    ladder.stands(&names, now).then_some(names)
}

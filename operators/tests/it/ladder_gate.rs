//! The ladder in random histories: a crowd buys, changes its mind, is corrected, refunded and erased, over releases that
//! are minutes, days and months apart, at a `k` of 12 to 50.
//!
//! In every history any number of workers publishes the same; what is published adds up, each sale once; a restart in the
//! middle changes nothing; and when everything has been retracted nothing stands outside and no operator holds an entry.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::crowd::{self, then_retract_everything};
use crate::support::runner::{Message, Played, Steps, play};
use crate::support::shop::{DAY, known, last_messages};
use crate::support::{Released, number_from_env};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tributary_operators::calendar;
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::record::{BrandId, Currency, SaleKind};
use tributary_operators::settings::{Ladder, Settings};
use tributary_oracle::history::without_dropped_devices;
use tributary_oracle::ladder::Topic;
use tributary_oracle::{fold_events, ladder};

/// Two runs publish the same in every step.
fn assert_same(one: &Played, other: &Played, case: &str) {
    for (step, (one, other)) in one.published.iter().zip(&other.published).enumerate() {
        assert_eq!(one, other, "{case}, step {step}");
    }
}

/// The value of the attribution of a month, by model, and of its finished revenue.
fn assert_adds_up(outside: &Released, case: &str) -> usize {
    let text = |dim: &Dim| match dim {
        Dim::Text(word) => word.to_string(),
        _ => String::new(),
    };
    let mut models: BTreeMap<(String, String, i32), BTreeMap<String, i128>> = BTreeMap::new();
    for ((family, dims), values) in outside {
        if let (Family::Attribution, [_, model, .., kind, _, Dim::Month(month), currency]) =
            (family, &dims[..])
        {
            let month = (text(kind), text(currency), *month);
            let of = models.entry(month).or_default();
            *of.entry(text(model)).or_default() += values[1];
        }
    }
    for (month, models) in &models {
        assert_eq!(models.len(), 7, "{case}: {month:?}, {models:?}");
        let first = models.values().next();
        assert!(
            models.values().all(|of| Some(of) == first),
            "{case}: {month:?}, {models:?}"
        );
    }
    models.len()
}

fn settings(rng: &mut StdRng) -> Settings {
    let mut settings = crowd::settings(rng);
    for brand in settings.brands.values_mut() {
        brand.ladder = Ladder::Month;
        brand.max_hold = 3_600_000;
        brand.k = [12, 20, 50][rng.random_range(0..3)];
    }
    settings
}

/// What a process is given that starts again after a step: all that was stored until then, and the steps that follow.
fn restart_at(steps: &Steps, middle: usize) -> Steps {
    let before = steps[..=middle]
        .iter()
        .flat_map(|(events, _)| events.clone());
    let mut again = vec![(without_dropped_devices(before), steps[middle].1)];
    again.extend(steps[middle + 1..].iter().cloned());
    again
}

#[test]
fn the_ladder_publishes_each_sale_once_and_takes_it_back() {
    let start = number_from_env("TRIBUTARY_SEED", 0);
    let histories = number_from_env("TRIBUTARY_HISTORIES", 25);
    let (mut months, mut compared, mut of_paths, mut hidden) = (0, 0, 0, 0);
    let (mut of_stays, mut of_lift) = (0, 0);
    for seed in start..start + histories {
        let mut rng = StdRng::seed_from_u64(seed);
        let settings = settings(&mut rng);
        let history = crowd::history_with_visits(&mut rng);
        let steps = then_retract_everything(history.clone());
        let at = (seed % 4) as usize;
        let (some, others) = ([1, 2, 3, 8][at], [2, 3, 8, 1][at]);
        let one = play(&settings, some, &[], &steps);
        let other = play(&settings, others, &[], &steps);
        let case = format!("seed {seed}, {some} workers");
        assert_same(&one, &other, &format!("{case} and {others}"));
        let all = known(&one.published);
        for (step, outside) in all.iter().enumerate() {
            months += assert_adds_up(outside, &format!("{case}, step {step}"));
        }
        assert!(all.last().unwrap().is_empty(), "{case}: {:?}", all.last());
        for sizes in one.sizes.iter().chain(&other.sizes) {
            let left: Vec<_> = sizes.iter().filter(|(_, entries)| **entries > 0).collect();
            assert!(left.is_empty(), "{case} or {others}: {left:?}");
        }

        let held_back = [&one, &other].map(|of| (of.counts.hidden, of.counts.waiting));
        assert_eq!(held_back, [(0, 0); 2], "{case}: nothing is held back");

        // Everything at once is a first release.
        let events: Vec<_> = history
            .iter()
            .flat_map(|(events, _)| events.clone())
            .collect();
        let now = history.last().map_or(0, |(_, now)| *now);
        let last = (now / DAY - 1) as i32;
        let once = play(
            &settings,
            others,
            &[],
            &[
                (without_dropped_devices(events.iter().cloned()), now),
                (Vec::new(), now + 1),
            ],
        );
        hidden += once.counts.hidden;
        let held = fold_events(&events);
        let rule = ladder::Rule::default();
        let right = ladder::cells(&settings, &held, &rule, |_, day| day <= last);
        let outside = known(&once.published).pop().unwrap();
        let outside = outside.into_iter().map(|((family, dims), values)| Cell {
            family,
            dims,
            values,
        });
        let outside: Vec<_> = outside.collect();
        compared += outside.len();
        let path_families = [Family::Paths, Family::PathLength, Family::PathDays];
        let paths = outside
            .iter()
            .filter(|cell| path_families.contains(&cell.family));
        of_paths += paths.count();
        let count = |family| outside.iter().filter(|cell| cell.family == family).count();
        of_stays += count(Family::VisitMatch);
        of_lift += count(Family::VisitLift);
        assert_eq!(outside, right, "{case}: all at once");

        // A restart in the middle.
        let middle = rng.random_range(0..history.len());
        let again = restart_at(&steps, middle);
        let restored = last_messages(&one.messages, middle);
        if all[middle].is_empty() {
            continue;
        }
        let again = play(&settings, others, &restored, &again).published;
        let case = format!("seed {seed}, {others} workers, after a restart");
        for outside in known(&again) {
            assert_adds_up(&outside, &case);
        }
    }
    assert!(
        months > histories as usize && compared > 4 * histories as usize,
        "{months} months are published, {compared} cells compared"
    );
    println!(
        "{months} months, {compared} cells compared, {of_paths} of paths, {of_stays} of stays, {of_lift} of \
         exposed and unexposed persons"
    );
    assert!(of_paths > 0, "cells of paths are compared");
    assert!(of_stays > 0, "cells of stays are compared");
    assert!(
        of_lift > 0,
        "cells of exposed and unexposed persons are compared"
    );
    assert!(hidden > 0, "what months hold back is counted");
}

/// What leaves together with a cell; none for a family that is not compared in time. The revenue of a day in progress stays
/// until enough contributors change it, which the oracle does not follow.
fn group_of((family, dims): &(Family, Vec<Dim>)) -> Option<Topic> {
    let text = |dim: &Dim| match dim {
        Dim::Text(word) => word.to_string(),
        _ => String::new(),
    };
    let sales = |kind: &Dim, month: &Dim, currency: &Dim| {
        let kind = SaleKind::ALL.into_iter().find(|of| of.name() == text(kind));
        let currency = match kind {
            Some(SaleKind::Visit) => Ok(Currency::NONE),
            _ => text(currency).as_bytes().try_into().map(Currency),
        };
        match (kind, month, currency) {
            (Some(kind), Dim::Month(month), Ok(currency)) => {
                Some(Topic::Sales(kind, currency, *month))
            }
            _ => None,
        }
    };
    let month_of = |time: &Dim| match time {
        Dim::Day(day) => Some(calendar::month(*day)),
        Dim::Month(month) => Some(*month),
        Dim::Hour(start, offset) => {
            let day = (start + i64::from(*offset)).div_euclid(86_400);
            Some(calendar::month(day as i32))
        }
        _ => None,
    };
    match (family, &dims[..]) {
        (Family::Attribution, [.., kind, _, month, currency]) => sales(kind, month, currency),
        (Family::VisitLift, [_, Dim::Month(month), ..]) => {
            Some(Topic::Sales(SaleKind::Visit, Currency::NONE, *month))
        }
        (Family::VisitMatch, [.., day]) => {
            let of_visits = |month| Topic::Sales(SaleKind::Visit, Currency::NONE, month);
            month_of(day).map(of_visits)
        }
        (
            Family::MarkovMonth
            | Family::Assists
            | Family::Paths
            | Family::PathLength
            | Family::PathDays,
            [_, kind, month, currency, ..],
        ) => sales(kind, month, currency),
        (Family::CampaignDay, [.., day]) => month_of(day).map(Topic::Contacts),
        (Family::Visits, [.., hour]) => month_of(hour).map(Topic::Visits),
        _ => None,
    }
}

/// The cells that are compared in time, of one kind of conversions: groups leave one by one.
fn compared(outside: &Released, kind: SaleKind) -> Vec<Cell> {
    let cells = outside.iter().filter(|(id, _)| match group_of(id) {
        Some(Topic::Sales(of, ..)) => of == kind,
        of => of.is_some(),
    });
    let cells = cells.map(|((family, dims), values)| Cell {
        family: *family,
        dims: dims.clone(),
        values: values.clone(),
    });
    cells.collect()
}

/// The batches that are compared and those that change something.
#[derive(Default)]
struct Batches {
    all: usize,
    changed: usize,
    restarted: usize,
    /// Those in which a group has joined cells, and is not followed any further.
    joined: usize,
}

/// The histories of releases that are followed at once, where one is not enough.
const MOST_POSSIBLE: usize = 512;

/// Asserts that each batch of a run publishes what the oracle does, if the groups that leave are the same. `restored` is
/// what was published before the run.
fn assert_batches(
    settings: &Settings,
    steps: &Steps,
    published: (&[Message], &[Released]),
    kind: SaleKind,
    case: &str,
) -> Batches {
    let follow = |most| follow_batches(settings, steps, published, kind, most);
    let followed = follow(1).or_else(|_| follow(MOST_POSSIBLE));
    followed.unwrap_or_else(|error| panic!("{case}, {kind:?}, {error}"))
}

/// Follows the batches of a run. A group of conversions may leave without a change of a cell, and what it was then decides
/// what it may become: up to `most` histories of what left unseen are followed, and one of them must be right.
fn follow_batches(
    settings: &Settings,
    steps: &Steps,
    (restored, published): (&[Message], &[Released]),
    kind: SaleKind,
    most: usize,
) -> Result<Batches, String> {
    let rule = ladder::Rule::default();
    let mut releases = ladder::Releases::new(settings, &rule);
    let cells: Vec<(Cell, i64)> = restored
        .iter()
        .map(|(cell, at, _)| (cell.clone(), *at))
        .collect();
    releases.restore(BrandId(0), &cells);
    let standing = restored.iter().filter(|(cell, ..)| !cell.values.is_empty());
    let standing =
        standing.map(|(cell, ..)| ((cell.family, cell.dims.clone()), cell.values.clone()));
    let restored: Released = standing.collect();
    let mut possible = vec![releases];
    let mut events = Vec::new();
    // The first release after a restart is no batch.
    let begun = steps.first().map(|(_, now)| *now);
    let mut before: Option<i64> = begun.filter(|_| !restored.is_empty());
    let mut unknown: BTreeSet<Topic> = BTreeSet::new();
    let mut outside_before = restored.clone();
    let mut batches = Batches::default();
    for (step, (outside, (more, now))) in published.iter().zip(steps).enumerate() {
        let last_outside = std::mem::replace(&mut outside_before, outside.clone());
        events.extend(more.iter().cloned());
        // Old months change at other times.
        if *now > crowd::START + 60 * DAY {
            break;
        }
        let hour = |at: i64| at.div_euclid(3_600_000);
        let is_batch = before.is_none_or(|before| hour(before) < hour(*now));
        before = Some(*now);
        let (was, is) = (compared(&last_outside, kind), compared(outside, kind));
        if !is_batch {
            if is != was {
                return Err(format!("step {step}: no batch, and {was:?} became {is:?}"));
            }
            continue;
        }
        let topic_of = |cell: &Cell| group_of(&(cell.family, cell.dims.clone()));
        let only = |one: &[Cell], other: &[Cell]| -> Vec<Cell> {
            let only = one.iter().filter(|cell| !other.contains(cell));
            only.cloned().collect()
        };
        let changes = [only(&was, &is), only(&is, &was)].concat();
        let differs: BTreeSet<Topic> = changes.iter().filter_map(topic_of).collect();
        let last = (now / DAY - 1) as i32;
        let held = fold_events(&events);
        // What a group holds back may leave with it and shows nowhere, so that nobody outside knows whether it left.
        let topics: BTreeSet<Topic> = is.iter().filter_map(topic_of).collect();
        let unseen: Vec<Topic> = topics.difference(&differs).copied().collect();
        let is_sales = |topic: &Topic| matches!(topic, Topic::Sales(..));
        let (sales, traffic): (Vec<Topic>, Vec<Topic>) = unseen.into_iter().partition(is_sales);
        unknown.extend(traffic);
        let is_known = |cell: &Cell| topic_of(cell).is_some_and(|topic| !unknown.contains(&topic));
        let mut is = is;
        is.retain(is_known);
        let mut next = Vec::new();
        let mut joined: BTreeSet<Topic> = BTreeSet::new();
        let mut error = None;
        // The bits of a choice say which unseen groups leave.
        let choices = if most > 1 { 1 << sales.len().min(4) } else { 1 };
        for (releases, choice) in possible
            .iter()
            .flat_map(|releases| (0..choices).map(move |choice: u32| (releases, choice)))
        {
            let mut releases = releases.clone();
            let leaves_unseen = |topic: &Topic| {
                let at = sales.iter().position(|of| of == topic);
                at.is_some_and(|at| at < 4 && choice >> at & 1 == 1)
            };
            releases.batch(
                &held,
                |_, day| day <= last,
                |(_, topic)| differs.contains(topic) || leaves_unseen(topic),
            );
            let mut right = releases.published();
            right.retain(|cell| match topic_of(cell) {
                Some(Topic::Sales(of, ..)) => of == kind && is_known(cell),
                _ => is_known(cell),
            });
            // Attacks alone look at what has joined.
            let joins = releases.must_join().map(|(_, topic)| topic);
            let joins: BTreeSet<Topic> = joins.filter(|topic| differs.contains(topic)).collect();
            let is_followed =
                |cell: &Cell| topic_of(cell).is_none_or(|topic| !joins.contains(&topic));
            right.retain(is_followed);
            let mut is = is.clone();
            is.retain(is_followed);
            let (ours, others) = (only(&is, &right), only(&right, &is));
            if ours.is_empty() && others.is_empty() {
                next.push(releases);
                joined.extend(joins);
            } else {
                error.get_or_insert_with(|| {
                    format!("step {step}: published {ours:?}, right is {others:?}")
                });
            }
        }
        if let Some(error) = error.filter(|_| next.is_empty()) {
            return Err(error);
        }
        next.truncate(most);
        possible = next;
        batches.joined += joined.len();
        unknown.extend(joined);
        batches.all += 1;
        batches.changed += usize::from(!differs.is_empty());
    }
    Ok(batches)
}

/// In every history each batch publishes what the oracle does, before and after a restart in the middle.
#[test]
fn each_batch_publishes_what_the_oracle_does() {
    let start = number_from_env("TRIBUTARY_SEED", 0);
    let histories = number_from_env("TRIBUTARY_HISTORIES", 50);
    let mut all = Batches::default();
    for seed in start..start + histories {
        let mut rng = StdRng::seed_from_u64(seed);
        let settings = settings(&mut rng);
        // Groups leave one by one: sales are followed in two histories, in the second of them beside visits, and visits in
        // the third.
        let (kind, steps) = match seed % 3 {
            2 => (SaleKind::Visit, crowd::history_with_visits(&mut rng)),
            1 => (SaleKind::Transaction, crowd::history_with_visits(&mut rng)),
            _ => (SaleKind::Transaction, crowd::history(&mut rng)),
        };
        let workers = [1, 2, 3, 8][(seed % 4) as usize];
        let played = play(&settings, workers, &[], &steps);
        let outside = known(&played.published);
        let case = format!("seed {seed}, {workers} workers");
        let begun = (&[][..], &outside[..]);
        let batches = assert_batches(&settings, &steps, begun, kind, &case);
        all.all += batches.all;
        all.changed += batches.changed;
        all.joined += batches.joined;

        let middle = rng.random_range(0..steps.len());
        let again = restart_at(&steps, middle);
        let restored = last_messages(&played.messages, middle);
        let workers = [2, 3, 8, 1][(seed % 4) as usize];
        let after = known(&play(&settings, workers, &restored, &again).published);
        let case = format!("seed {seed}, {workers} workers, restarted after step {middle}");
        let begun = (&restored[..], &after[..]);
        all.restarted += assert_batches(&settings, &again, begun, kind, &case).changed;
    }
    let histories = histories as usize;
    assert!(
        all.all > histories
            && all.changed > histories / 2
            && all.restarted > histories / 5
            && all.joined <= 1 + all.changed / 20,
        "{} batches, {} with changes, {} with changes after a restart, {} with groups that join",
        all.all,
        all.changed,
        all.restarted,
        all.joined
    );
}

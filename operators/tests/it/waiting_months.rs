//! Months at a gate that hides: they go on when several of their cells become too small at once, and tell what few contributors
//! have changed neither after a restart nor at midnight.

use crate::support::Released;
use crate::support::runner::{Message, Played, Steps, on_workers, play, play_changing};
use crate::support::shop::{DAY, brand, click, erased, known, sale_in, words};
use tributary_operators::cell::Family;
use tributary_operators::cells::Standing;
use tributary_operators::dataflow::Output;
use tributary_operators::event::Event;
use tributary_operators::settings::{Ladder, Settings};

const HOUR: i64 = 3_600_000;

/// A gate whose months leave with the first batch that may.
fn gate(k: u64, k_delta: u64) -> Settings {
    let mut settings = brand(k, k_delta);
    for of in settings.brands.values_mut() {
        of.ladder = Ladder::Month;
        of.max_hold = HOUR;
    }
    settings
}

/// Some persons, each with a click and a sale in a store on a day.
fn buyers(store: &str, day: i64, persons: std::ops::Range<u128>) -> Vec<Event> {
    let each = persons.flat_map(|person| {
        let sale = sale_in(store, person, &format!("{person} in {store}"), day, 1_000);
        [click(person, "a", day, 1), sale]
    });
    each.collect()
}

/// The transactions that the cells of stores and days count.
fn told(known: &Released) -> i128 {
    let cells = known.iter();
    let cells = cells.filter(|((family, _), _)| *family == Family::StoreDay);
    cells.map(|(_, values)| values[0]).sum()
}

/// The values of a family.
fn of_family(known: &Released, family: Family) -> Vec<Vec<i128>> {
    let cells = known.iter().filter(|((of, _), _)| *of == family);
    cells.map(|(_, values)| values.clone()).collect()
}

/// Hours in which nothing comes, after some steps.
fn idle(mut steps: Steps, hours: i64) -> Steps {
    for _ in 0..hours {
        let now = steps.last().map_or(0, |(_, now)| *now);
        steps.push((Vec::new(), now + HOUR));
    }
    steps
}

fn last(played: &Played) -> Released {
    known(&played.published).pop().unwrap()
}

#[test]
fn a_month_goes_on_when_several_cells_become_too_small_together() {
    let names = words(&["s", "t", "u", "a", "till"]);
    // Somebody bought in both stores of a day, in one of them, or in the only one, of just as many as a cell must have.
    let both = [buyers("s", 20, 1..3), buyers("t", 20, 3..5)].concat();
    let one = [buyers("s", 20, 1..3), buyers("t", 20, 3..6)].concat();
    let alone = buyers("s", 20, 1..3);
    for (others, stores) in [(both, &["s", "t"][..]), (one, &["s"]), (alone, &["s"])] {
        let x = stores
            .iter()
            .map(|store| sale_in(store, 100, &format!("x {store}"), 20, 7_777));
        let x: Vec<Event> = x.collect();
        let more = [buyers("s", 21, 10..20), buyers("t", 22, 20..30)].concat();
        let events = [names.clone(), others.clone(), x, more].concat();
        let sales = |of: &[Event]| {
            of.iter()
                .filter(|of| matches!(of, Event::Put { .. }))
                .count()
                / 2
        };
        let mut steps = idle(vec![(events, 40 * DAY)], 4);
        let erasure = stores.iter().map(|store| erased(&format!("x {store}")));
        steps.push((erasure.collect(), 41 * DAY));
        steps = idle(steps, 4);
        steps.push((buyers("u", 23, 200..220), 42 * DAY));
        let steps = idle(steps, 8);
        for workers in [1, 3] {
            let played = play(&gate(3, 3), workers, &[], &steps);
            let first = told(&known(&played.published)[3]);
            assert_eq!(first as usize, sales(&others) + stores.len() + 20);
            // Everything is told again, under whichever names, and nothing of fewer than three.
            let last = last(&played);
            assert_eq!(told(&last) as usize, sales(&others) + 20 + 20, "{stores:?}");
            let persons = of_family(&last, Family::StoreDay);
            assert!(persons.iter().all(|values| values[2] >= 3), "{persons:?}");
        }
    }
}

/// All events of a month, and its steps: a store and day becomes too small on a day with sales that stay out.
fn beside_what_stays_out() -> (Vec<Event>, Steps) {
    let mut events = words(&["s", "t", "u", "v", "a", "till"]);
    events.extend(buyers("s", 20, 1..3));
    events.extend(buyers("t", 20, 50..51));
    events.extend(buyers("u", 21, 10..20));
    let mut first = events.clone();
    first.push(sale_in("s", 100, "x s", 20, 7_777));
    let mut steps = idle(vec![(first, 22 * DAY)], 4);
    steps.push((vec![erased("x s")], 22 * DAY + 6 * HOUR));
    let later = buyers("u", 22, 200..210);
    events.extend(later.clone());
    steps.push((later, 23 * DAY));
    (events, idle(steps, 8))
}

/// A store and day becomes too small on a day with sales that stay out, and joins another day. What stays out does so after a
/// restart as well, with those who come to it.
#[test]
fn what_stays_out_beside_a_cell_that_has_joined_stays_out_after_a_restart() {
    let (events, steps) = beside_what_stays_out();
    let more = [buyers("v", 20, 300..301), buyers("u", 23, 310..320)].concat();
    for workers in [1, 3] {
        let before = play(&gate(3, 3), workers, &[], &steps);
        assert_eq!(told(&known(&before.published)[3]), 13);
        assert_eq!(told(&last(&before)), 22);
        let went_on = idle([&steps[..], &[(more.clone(), 24 * DAY)]].concat(), 8);
        let went_on = last(&play(&gate(3, 3), workers, &[], &went_on));
        assert_eq!(told(&went_on), 32, "{went_on:?}");
        let steps = idle(vec![(events.clone(), 23 * DAY + 12 * HOUR)], 4);
        let restarted = idle([&steps[..], &[(more.clone(), 24 * DAY)]].concat(), 8);
        let restarted = play(&gate(3, 3), workers, &before.outside, &restarted);
        assert_eq!(last(&restarted), went_on);
    }
}

/// A process that takes over publishes all cells again. As long as it has not reconciled what it found, it does not know how the
/// cells stand.
#[test]
fn what_a_joined_cell_counts_is_published_again_with_it() {
    let (events, steps) = beside_what_stays_out();
    let before = play(&gate(3, 3), 1, &[], &steps).outside;
    let of_members = |(cell, _, standing): &&Message| {
        let has_members = matches!(standing, Some(Standing::Published(_, Some(_))));
        cell.family == Family::StoreDay && has_members
    };
    let joined = before.iter().find(of_members).expect("a joined cell");
    let (restored, name) = (before.clone(), joined.0.dims.clone());
    let of_workers = on_workers(&gate(3, 3), 2, move |runner| {
        if runner.index == 0 {
            for (cell, at, standing) in restored.clone() {
                runner.dataflow.restore_cell(cell, at, standing);
            }
        }
        runner.start(events.iter());
        runner.put(&events);
        runner.dataflow.republish();
        runner.end(2);
        if runner.index == 0 {
            runner.dataflow.release(23 * DAY + 12 * HOUR);
        }
        runner.dataflow.reconcile_restored();
        runner.end(2);
        runner.take_outputs()
    });
    let outputs = of_workers.into_iter().flatten();
    let again = outputs.filter_map(|(_, output)| match output {
        Output::Cell {
            cell,
            is_new: true,
            standing,
            ..
        } if cell.dims == name => Some((cell, standing)),
        _ => None,
    });
    let again: Vec<_> = again.collect();
    let (cell, _, standing) = joined;
    assert_eq!(again, [(cell.clone(), standing.clone().unwrap())]);
}

#[test]
fn a_month_of_contacts_goes_on_when_several_cells_become_too_small_together() {
    let mut events = words(&["a", "b", "c"]);
    for channel in ["a", "b"] {
        events.extend((1..3).map(|person| click(person, channel, 20, 1)));
        events.push(click(100, channel, 20, 1));
    }
    events.extend((10..20).map(|person| click(person, "c", 20, 1)));
    let mut steps = idle(vec![(events, 40 * DAY)], 4);
    let x = ["a", "b"].map(|channel| erased(&format!("click 100 {channel} 20 1")));
    steps.push((x.to_vec(), 41 * DAY));
    let others = (200..220).map(|person| click(person, "c", 21, 1));
    steps.push((others.collect(), 42 * DAY));
    let played = play(&gate(3, 3), 2, &[], &idle(steps, 8));
    let clicks = |known: &Released| -> i128 {
        let cells = of_family(known, Family::CampaignDay);
        cells.iter().map(|values| values[1]).sum()
    };
    assert_eq!(clicks(&known(&played.published)[3]), 16);
    assert!(clicks(&last(&played)) >= 30, "{:?}", last(&played));
}

/// The cells after a first publication, and all events of it with those of one more person.
fn one_more() -> (Vec<Message>, Vec<Event>) {
    let mut events = words(&["s", "t", "a", "till"]);
    events.extend(
        (0..5).flat_map(|day: u128| buyers("s", 20 + day as i64, 1 + day * 10..7 + day * 10)),
    );
    let first = play(
        &gate(2, 3),
        2,
        &[],
        &idle(vec![(events.clone(), 40 * DAY)], 4),
    );
    assert_eq!(told(&last(&first)), 30);
    events.extend(buyers("s", 20, 100..101));
    (first.outside, events)
}

#[test]
fn a_restart_does_not_tell_what_one_person_has_changed() {
    let (outside, mut events) = one_more();
    for workers in [1, 2] {
        let steps = idle(vec![(events.clone(), 41 * DAY)], 30);
        let second = play(&gate(2, 3), workers, &outside, &steps);
        let new = second
            .published
            .iter()
            .flatten()
            .filter(|(_, is_new)| *is_new);
        let new: Vec<_> = new.collect();
        assert!(new.is_empty(), "{new:?}");
    }
    // Others come, and hide that person.
    let mut steps = idle(vec![(events.clone(), 41 * DAY)], 4);
    steps.push((buyers("s", 20, 101..104), 42 * DAY));
    let third = play(&gate(2, 3), 2, &outside, &idle(steps, 8));
    assert_eq!(told(&last(&third)), 34);
    // Where nobody has come, a restart leaves nothing that waits.
    events.truncate(events.len() - 2);
    let mut steps = idle(vec![(events, 41 * DAY)], 4);
    steps.push((buyers("t", 20, 101..104), 42 * DAY));
    let fourth = play(&gate(2, 3), 2, &outside, &idle(steps, 8));
    assert_eq!(told(&last(&fourth)), 33);
}

#[test]
fn a_stricter_gate_after_a_restart_does_not_tell_it_either() {
    let (outside, events) = one_more();
    // Before the first release after the restart, behind it, and behind the first batch.
    for change in [1, 2, 6] {
        let steps = idle(vec![(events.clone(), 41 * DAY)], 30);
        let (low, high) = (gate(2, 3), gate(4, 3));
        let played = play_changing([&low, &high], change, 2, &outside, &steps);
        let known = known(&played.published);
        let after: Vec<i128> = known[change..].iter().map(told).collect();
        assert!(after.iter().all(|of| *of == 0), "{change}: {after:?}");
    }
}

#[test]
fn midnight_does_not_tell_one_visitor_who_bought_nothing() {
    let mut events = words(&["s", "a", "b", "till"]);
    events.extend(
        (0..5).flat_map(|day: u128| buyers("s", 20 + day as i64, 1 + day * 10..7 + day * 10)),
    );
    let mut steps = idle(vec![(events, 25 * DAY)], 6);
    steps.push((vec![click(500, "b", 25, 600)], 25 * DAY + 12 * HOUR));
    let before = steps.len() - 1;
    let steps = idle(steps, 30);
    let after_midnight = steps.len() - 1;
    let mut steps = steps;
    steps.push((buyers("s", 24, 600..604), 27 * DAY));
    let steps = idle(steps, 6);
    let known = known(&play(&gate(2, 3), 2, &[], &steps).published);
    let chain = |step: usize| of_family(&known[step], Family::MarkovMonth);
    assert!(!chain(before).is_empty());
    assert_eq!(chain(before), chain(after_midnight));
    // With enough buyers the visitor counts.
    assert_ne!(chain(after_midnight), chain(steps.len() - 1));
}

//! When a released cell may change: at once with enough contributors, else in a batch with others
//! of its class, and a frozen day in a batch of frozen days only. A restart publishes nothing that
//! waited.

use crate::support::runner::Message;
use crate::support::shop::{
    DAY, MINUTE, brand, click, erased, five_a_day, known, published, revenue, sale,
};
use tributary_operators::cell::{Cell, Family};
use tributary_operators::event::Event;

/// Noon of the twentieth day, Unix milliseconds.
const START: i64 = 20 * DAY + DAY / 2;

/// The revenue of a day after every step.
fn of_day(workers: usize, steps: &[(Vec<Event>, i64)], day: i64) -> Vec<Option<Vec<i128>>> {
    let known = known(&published(&brand(2, 3), workers, &[], steps));
    let values = known.iter().map(|known| revenue(known, day));
    values.map(|values| values.map(<[i128]>::to_vec)).collect()
}

/// A change of one contributor waits until others have accumulated.
#[test]
fn one_erasure_waits_for_other_changes() {
    for workers in [1, 3] {
        let steps = [
            (five_a_day(100), START),
            (vec![erased("1 0")], START + MINUTE),
            (vec![erased("1 1")], START + 2 * MINUTE),
            // The batch comes with two, and stays.
            (Vec::new(), START + DAY),
            (vec![erased("2 0")], START + DAY + MINUTE),
            // Three of the brand: each is one of three.
            (Vec::new(), START + 2 * DAY),
        ];
        let all = Some(vec![5, 500, 5]);
        let left = of_day(workers, &steps, 1);
        assert_eq!(left[..5], vec![all.clone(); 5]);
        assert_eq!(left[5], Some(vec![3, 300, 3]));
        let left = of_day(workers, &steps, 2);
        assert_eq!(left[4..], [all, Some(vec![4, 400, 4])]);
    }
}

/// A change by `k_delta` contributors in every cell is published at once.
#[test]
fn enough_contributors_in_every_cell_publish_at_once() {
    // Three more by each channel: every cell that changes has three.
    let mut more = Vec::new();
    for buyer in 0..6 {
        let channel = if buyer % 2 == 0 { "a" } else { "b" };
        more.push(click(100 + buyer, channel, 1, 30));
        more.push(sale(100 + buyer, &format!("more {buyer}"), 1, 10));
    }
    let steps = [(five_a_day(100), START), (more, START + MINUTE)];
    assert_eq!(of_day(1, &steps, 1)[1], Some(vec![11, 560, 11]));
}

/// A batch does not publish a single falling value among many rising ones.
#[test]
fn one_that_falls_among_many_that_rise_stays() {
    let sales = (0..4).map(|day| sale(200 + day, &format!("new {day}"), day as i64, 10));
    let mut steps = vec![(five_a_day(100), START), (sales.collect(), START + MINUTE)];
    steps[1].0.push(erased("4 0"));
    steps.push((Vec::new(), START + DAY));
    assert_eq!(of_day(1, &steps, 4)[2], Some(vec![5, 500, 5]));
    assert_eq!(of_day(1, &steps, 3)[2], Some(vec![6, 510, 6]));
}

/// A frozen day is published together with other frozen days.
#[test]
fn an_old_day_is_corrected_with_other_old_days() {
    let erasures = |buyer: i64| (0..3).map(move |day| erased(&format!("{day} {buyer}")));
    // A hundred days later the days are frozen.
    let late = START + 100 * DAY;
    let steps = [
        (five_a_day(100), START),
        (Vec::new(), late),
        (erasures(0).collect(), late + MINUTE),
        (Vec::new(), late + DAY),
        (Vec::new(), late + 7 * DAY),
    ];
    let left = of_day(1, &steps, 1);
    assert_eq!(left[3], Some(vec![5, 500, 5]));
    assert_eq!(left[4], Some(vec![4, 400, 4]));
}

/// A month is not published before the changes of its days.
#[test]
fn a_month_is_not_published_before_its_days() {
    let steps = [
        (five_a_day(100), START),
        (vec![erased("1 0"), erased("2 0")], START + MINUTE),
        (Vec::new(), START + DAY),
        (vec![erased("3 0")], START + DAY + MINUTE),
        (Vec::new(), START + 2 * DAY),
    ];
    let known = known(&published(&brand(2, 3), 2, &[], &steps));
    let conversions: Vec<i128> = known
        .iter()
        .map(|known| {
            let months = known
                .iter()
                .filter(|((of, _), _)| *of == Family::MarkovMonth);
            months.map(|(_, values)| values[1]).sum::<i128>() / 1_000_000
        })
        .collect();
    assert_eq!(conversions, [25, 25, 25, 25, 22]);
}

/// A month that would reveal a suppressed day is closed in the batch that suppresses the day.
#[test]
fn a_month_closes_with_the_batch_that_hides_one_of_its_days() {
    let nobodys = |number: u128| sale(300 + number, &format!("no touch {number}"), 1, 10);
    let steps = [
        (five_a_day(100), START),
        // One of the day is left, and one is too few.
        (
            (0..4).map(|buyer| erased(&format!("1 {buyer}"))).collect(),
            START + MINUTE,
        ),
        (Vec::new(), START + DAY),
        // The day is seen again, but not how many of it had a touch.
        ((0..3).map(nobodys).collect(), START + DAY + MINUTE),
        (Vec::new(), START + 2 * DAY),
        // Now nobody of it had one.
        (
            ["1 4", "2 0", "3 0"].map(erased).to_vec(),
            START + 2 * DAY + MINUTE,
        ),
        (Vec::new(), START + 3 * DAY),
    ];
    for workers in [1, 3] {
        let known = known(&published(&brand(2, 3), workers, &[], &steps));
        let conversions = known.iter().map(|known| {
            let lengths = known
                .iter()
                .filter(|((of, _), _)| *of == Family::PathLength);
            lengths.map(|(_, values)| values[0]).sum::<i128>()
        });
        let conversions: Vec<i128> = conversions.collect();
        // There are 25; with a `k` of 2 the odd one is rounded away.
        assert_eq!(conversions, [24, 24, 0, 0, 0, 0, 18]);
        assert_eq!(revenue(&known[2], 1), None);
        assert_eq!(revenue(&known[4], 1).unwrap()[0], 4);
    }
}

/// Changes that wait keep waiting after a restart.
#[test]
fn a_restart_publishes_nothing_that_waits() {
    let settings = brand(2, 3);
    let outside = known(&published(&settings, 1, &[], &[(five_a_day(100), START)]))
        .pop()
        .unwrap();
    let restored: Vec<Message> = outside
        .iter()
        .map(|((family, dims), values)| {
            let cell = Cell {
                family: *family,
                dims: dims.clone(),
                values: values.clone(),
            };
            (cell, START, None)
        })
        .collect();
    // While nobody was there, a person was erased.
    let mut events = five_a_day(100);
    events.push(erased("1 0"));
    for workers in [1, 3] {
        let steps = [
            (events.clone(), START + MINUTE),
            (Vec::new(), START + DAY),
            (vec![erased("2 0"), erased("3 0")], START + DAY + MINUTE),
            (vec![erased("4 0")], START + DAY + 2 * MINUTE),
            (Vec::new(), START + 2 * DAY),
        ];
        let published = published(&settings, workers, &restored, &steps);
        let known = known(&published);
        assert_eq!(known[0], outside, "the board knows what stands outside");
        assert!(published[..4].iter().flatten().all(|(_, is_new)| !is_new));
        // It leaves with three others.
        assert_eq!(revenue(&known[4], 1).unwrap(), [4, 400, 4]);
        let again = published[4].iter().all(|(_, is_new)| *is_new);
        assert!(again && !published[4].is_empty());
    }
}

//! Settings that change while the dataflow runs, on any number of workers. A brand or a source that is added later counts as
//! if it had been there from the start, because no record of it came before. A gate that is made stricter withdraws what it might
//! not publish, and publishes it again only if nobody can be told by the difference.
//!
//! `TRIBUTARY_HISTORIES` sets the number of histories, `TRIBUTARY_SEED` the first seed.

use std::collections::BTreeSet;

use crate::support::runner::{Steps, play, play_changing};
use crate::support::shop::{DAY, brand, click, known, last_messages, sale_in, words};
use crate::support::{Released, number_from_env};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::BrandId;
use tributary_operators::settings::{Ladder, Settings};
use tributary_oracle::history::random;

/// The cells that each step publishes, each with whether it differs from the published state, if the settings change before
/// one of them.
fn published_at(
    [first, then]: [&Settings; 2],
    change: usize,
    steps: &Steps,
    workers: usize,
) -> Vec<Vec<(Cell, bool)>> {
    play_changing([first, then], change, workers, &[], steps).published
}

/// The same of steps an hour apart, without what does not differ.
fn published(
    settings: [&Settings; 2],
    change: usize,
    steps: &[Vec<Event>],
    workers: usize,
) -> Vec<Vec<Cell>> {
    let steps = steps.iter().cloned().zip((0..).map(|step| step * HOUR));
    let published = published_at(settings, change, &steps.collect(), workers).into_iter();
    let cells = published.map(|cells| cells.into_iter().map(|(cell, _)| cell).collect());
    cells.collect()
}

const HOUR: i64 = 3_600_000;

/// The brand of an event that needs to be known.
fn brand_of(event: &Event) -> Option<BrandId> {
    match event {
        Event::Put { record, .. } => Some(record.brand),
        Event::Ping { ping } => Some(ping.brand),
        Event::DropDevice { device } => Some(device.brand),
        Event::LinkTime { brand, .. } => Some(*brand),
        _ => None,
    }
}

#[test]
fn a_brand_that_is_added_later_counts_as_if_it_had_been_there_from_the_start() {
    let start = number_from_env("TRIBUTARY_SEED", 0);
    let mut cells = 0;
    for seed in start..start + number_from_env("TRIBUTARY_HISTORIES", 40) {
        let history = random(seed, 120);
        let all = history.settings;
        let brands: Vec<BrandId> = all.brands.keys().copied().collect();
        let late = brands[seed as usize % brands.len()];
        let change = history.batches.len() / 2;
        let mut steps = history.batches;
        for step in &mut steps[..change] {
            step.retain(|event| brand_of(event) != Some(late));
        }
        let mut first = all.clone();
        first.brands.remove(&late);
        let name = all.brands[&late].name.clone();
        for workers in [1, 3] {
            let from_the_start = published([&all, &all], steps.len(), &steps, workers);
            let later = published([&first, &all], change, &steps, workers);
            assert!(later == from_the_start, "seed {seed}, {workers} workers");
            let of_late = later.iter().flatten();
            cells += of_late.filter(|of| *of.text("brand") == *name).count();
        }
    }
    assert!(cells > 100, "only {cells} cells of brands that came later");
}

#[test]
fn a_source_that_is_added_later_rests_on_consent_from_its_first_record_on() {
    let start = number_from_env("TRIBUTARY_SEED", 0);
    let mut sources = 0;
    for seed in start..start + number_from_env("TRIBUTARY_HISTORIES", 40) {
        let history = random(seed, 120);
        let all = history.settings;
        let special = |of: &Settings, brand: &BrandId| -> BTreeSet<Label> {
            let of = &of.brands[brand];
            of.on_consent.union(&of.open_sources).copied().collect()
        };
        let late = all
            .brands
            .keys()
            .find_map(|brand| Some((*brand, *special(&all, brand).first()?)));
        let Some((brand, source)) = late else {
            continue;
        };
        // The first open source of a brand changes who is behind its null paths.
        if all.brands[&brand].open_sources == BTreeSet::from([source]) {
            continue;
        }
        sources += 1;
        let change = history.batches.len() / 2;
        let mut steps = history.batches;
        for step in &mut steps[..change] {
            step.retain(|event| match event {
                Event::Put { record, .. } => (record.brand, record.source) != (brand, source),
                _ => true,
            });
        }
        let mut first = all.clone();
        for of in first.brands.get_mut(&brand).into_iter() {
            of.on_consent.remove(&source);
            of.open_sources.remove(&source);
        }
        let from_the_start = published([&all, &all], steps.len(), &steps, 2);
        let later = published([&first, &all], change, &steps, 2);
        let differs = |step: &usize| later[*step] != from_the_start[*step];
        if let Some(step) = (0..later.len()).find(differs) {
            panic!(
                "seed {seed}: {source:?} came with step {change}; at step {step} {:?} instead of {:?}",
                later[step], from_the_start[step]
            );
        }
    }
    assert!(sources > 10, "only {sources} histories have such a source");
}

/// A brand by its threshold, whose months and batches are those of the default.
fn gate(k: u64, k_delta: u64, ladder: Ladder) -> Settings {
    let mut settings = brand(k, k_delta);
    for of in settings.brands.values_mut() {
        of.ladder = ladder;
        of.max_hold = 6 * HOUR;
    }
    settings
}

/// Persons who buy in two stores on some days, after clicks on three channels.
fn purchases(rng: &mut StdRng, days: std::ops::Range<i64>) -> Vec<Event> {
    let mut events = words(&["s", "t", "a", "b", "c", "till"]);
    let mut person = 0;
    for day in days {
        for store in ["s", "t"] {
            for _ in 0..rng.random_range(2..14) {
                person += 1;
                let channel = ["a", "b", "c"][rng.random_range(0..3)];
                events.push(click(person, channel, day, rng.random_range(0..600)));
                events.push(sale_in(
                    store,
                    person,
                    &format!("sale {person}"),
                    day,
                    1_000,
                ));
            }
        }
    }
    events
}

/// The persons behind each published day of a store.
fn persons(known: &Released) -> Vec<i128> {
    let days = known
        .iter()
        .filter(|((family, _), _)| *family == Family::StoreDay);
    days.map(|(_, values)| values[2]).collect()
}

#[test]
fn nothing_that_was_published_under_a_lower_threshold_stays() {
    let (mut small, mut left) = (0, 0);
    for seed in 0..number_from_env("TRIBUTARY_HISTORIES", 40) {
        let mut rng = StdRng::seed_from_u64(seed);
        let ladder = [Ladder::Month, Ladder::Finest][seed as usize % 2];
        let (low, high) = (gate(2, 1, ladder), gate(8, 1, ladder));
        // The last day is in progress, or all of them are over.
        let now = 25 * DAY - DAY / 4 + DAY * (seed as i64 % 3);
        let mut steps = Steps::new();
        for step in 0..20 {
            let events = match step {
                0 => purchases(&mut rng, 20..25),
                _ => Vec::new(),
            };
            steps.push((events, now + step * HOUR));
        }
        let change = 6;
        let workers = 1 + seed as usize % 3;
        let played = play_changing([&low, &high], change, workers, &[], &steps);
        let known = known(&played.published);
        small += persons(&known[change - 1])
            .iter()
            .filter(|of| **of < 8)
            .count();
        for (step, known) in known.iter().enumerate().skip(change) {
            let of = persons(known);
            assert!(
                of.iter().all(|of| *of >= 8),
                "seed {seed}, step {step}: {of:?}"
            );
        }
        let last = known.last().unwrap();
        left += last.len();
        // A restart under the new gate has nothing else to publish.
        let all = steps.iter().flat_map(|(events, _)| events.clone());
        let end = steps.last().unwrap().1;
        let mut again = vec![(all.collect(), end)];
        again.extend((1..20).map(|step| (Vec::new(), end + step * HOUR)));
        let restored = last_messages(&played.messages, steps.len() - 1);
        let again = play(&high, 2, &restored, &again).published.into_iter();
        let new: Vec<Cell> = again
            .flatten()
            .filter_map(|(cell, is_new)| is_new.then_some(cell))
            .collect();
        let today = Dim::Day((end / DAY) as i32);
        let of_before = new.iter().filter(|cell| !cell.dims.contains(&today));
        let of_before: Vec<&Cell> = of_before.collect();
        assert!(of_before.is_empty(), "seed {seed}: {of_before:?}");
    }
    assert!(small > 50 && left > 100, "{small} small cells, {left} left");
}

#[test]
fn what_was_withdrawn_shows_nobody_when_it_returns() {
    let (low, high) = (gate(2, 3, Ladder::Month), gate(4, 3, Ladder::Month));
    let now = 40 * DAY;
    let mut events = words(&["s", "a", "till"]);
    for person in 1..31 {
        let day = 20 + (person % 5) as i64;
        events.push(click(person, "a", day, 1));
        events.push(sale_in("s", person, &format!("sale {person}"), day, 1_000));
    }
    let one_more = |person: u128| vec![sale_in("s", person, &format!("sale {person}"), 20, 1_000)];
    let mut steps: Steps = vec![(events, now)];
    steps.extend((1..5).map(|step| (Vec::new(), now + step * HOUR)));
    // One person comes, who waits for others; then the gate is made stricter.
    steps.push((one_more(100), now + 5 * HOUR));
    steps.extend((6..30).map(|step| (Vec::new(), now + step * HOUR)));
    let alone = steps.len();
    for person in 101..103 {
        steps.push((one_more(person), now + steps.len() as i64 * HOUR));
    }
    steps.extend((32..50).map(|step| (Vec::new(), now + step * HOUR)));
    let known = known(&published_at([&low, &high], 6, &steps, 2));
    assert_eq!(persons(&known[5]), [6; 5]);
    for known in &known[6..alone] {
        assert!(persons(known).is_empty(), "{:?}", persons(known));
    }
    assert_eq!(persons(known.last().unwrap()), [9, 6, 6, 6, 6]);
    // Where nobody came, the months return at once.
    steps[5].0.clear();
    steps[alone].0.clear();
    steps[alone + 1].0.clear();
    let known = crate::support::shop::known(&published_at([&low, &high], 6, &steps, 2));
    assert_eq!(persons(&known[7]), [6; 5]);
}

/// The published cells of contacts with fewer than eight contacts, which no eight contributors can have made.
fn contacts(known: &Released) -> usize {
    let cells = known.iter();
    let cells = cells.filter(|((family, _), _)| *family == Family::CampaignDay);
    // Impressions, clicks and views.
    let sums = cells.map(|(_, values)| values.iter().take(3).sum::<i128>());
    sums.filter(|contacts| *contacts < 8).count()
}

#[test]
fn a_restart_under_a_stricter_gate_leaves_nothing_that_was_published_under_a_lower_one() {
    let (mut small, mut left, mut contacts_before) = (0, 0, 0);
    for seed in 0..number_from_env("TRIBUTARY_HISTORIES", 40) {
        let mut rng = StdRng::seed_from_u64(seed);
        let ladder = [Ladder::Month, Ladder::Finest][seed as usize % 2];
        let lowest = [1, 2][seed as usize / 2 % 2];
        let (low, high) = (gate(lowest, 1, ladder), gate(8, 1, ladder));
        let workers = 1 + seed as usize % 3;
        let now = 25 * DAY - DAY / 4 + DAY * (seed as i64 % 3);
        let events = purchases(&mut rng, 20..25);
        let steps = |begin: i64| {
            let mut steps: Steps = vec![(events.clone(), begin)];
            steps.extend((1..8).map(|step| (Vec::new(), begin + step * HOUR)));
            steps
        };
        let first = play(&low, workers, &[], &steps(now));
        let outside = |known: &Released| persons(known).into_iter().filter(|of| *of < 8).count();
        small += outside(known(&first.published).last().unwrap());
        let then = steps(now + 8 * HOUR);
        let second = play(&high, workers, &first.outside, &then);
        contacts_before += contacts(known(&first.published).last().unwrap());
        // Where the gate is made stricter behind the restart, what was restored is withdrawn as soon as it is reconciled. From a
        // gate that hides nothing only a restart leads to another one.
        let before = if lowest == 1 { &high } else { &low };
        let changed = play_changing([before, &high], 1, workers, &first.outside, &then);
        for published in [&second.published, &changed.published] {
            let is_new = |cells: &Vec<(Cell, bool)>| cells.iter().any(|(_, is_new)| *is_new);
            let first = published.iter().position(is_new).unwrap_or_default();
            for (step, known) in known(published).iter().enumerate().skip(first) {
                assert_eq!(contacts(known), 0, "seed {seed}, step {step}");
                let of = persons(known);
                assert!(
                    of.iter().all(|of| *of >= 8),
                    "seed {seed}, step {step}: {of:?}"
                );
            }
        }
        let last = |of: &[Vec<(Cell, bool)>]| known(of).pop().unwrap();
        assert_eq!(
            last(&changed.published),
            last(&second.published),
            "seed {seed}"
        );
        left += known(&second.published).last().unwrap().len();
        // What the next start finds is what it would publish.
        let third = play(&high, workers, &second.outside, &steps(now + 16 * HOUR));
        let today = Dim::Day(((now + 24 * HOUR) / DAY) as i32);
        let of_before = |known: Released| -> Released {
            let is_before = |(name, _): &((Family, Vec<Dim>), Vec<i128>)| !name.1.contains(&today);
            known.into_iter().filter(is_before).collect()
        };
        assert_eq!(
            of_before(last(&third.published)),
            of_before(last(&second.published)),
            "seed {seed}"
        );
    }
    assert!(small > 50 && left > 100, "{small} small cells, {left} left");
    assert!(
        contacts_before > 50,
        "{contacts_before} small cells of contacts"
    );
}

#[test]
fn what_a_restart_withdraws_shows_nobody_when_it_returns() {
    for (lowest, workers) in [(1, 1), (2, 2)] {
        let (low, high) = (
            gate(lowest, 3.min(2 * lowest - 1), Ladder::Month),
            gate(4, 3, Ladder::Month),
        );
        let now = 40 * DAY;
        let mut events = words(&["s", "a", "till"]);
        for person in 1..31 {
            let day = 20 + (person % 5) as i64;
            events.push(click(person, "a", day, 1));
            events.push(sale_in("s", person, &format!("sale {person}"), day, 1_000));
        }
        let one_more =
            |person: u128| vec![sale_in("s", person, &format!("sale {person}"), 20, 1_000)];
        let steps = |events: &[Event], begin: i64| {
            let mut steps: Steps = vec![(events.to_vec(), begin)];
            steps.extend((1..30).map(|step| (Vec::new(), begin + step * HOUR)));
            steps
        };
        let first = play(&low, workers, &[], &steps(&events, now));
        assert_eq!(persons(known(&first.published).last().unwrap()), [6; 5]);
        // Where nobody has come, the months return in the pattern of the new gate.
        let same = play(
            &high,
            workers,
            &first.outside,
            &steps(&events, now + DAY * 2),
        );
        assert_eq!(persons(known(&same.published).last().unwrap()), [6; 5]);
        // One person came after the last publication: the months stay away, also after another restart.
        events.extend(one_more(100));
        let second = play(
            &high,
            workers,
            &first.outside,
            &steps(&events, now + DAY * 2),
        );
        let changed = play_changing(
            [if lowest == 1 { &high } else { &low }, &high],
            1,
            workers,
            &first.outside,
            &steps(&events, now + DAY * 2),
        );
        let of_both = [known(&second.published), known(&changed.published)];
        for known in of_both.into_iter().flatten() {
            assert!(persons(&known).is_empty(), "{:?}", persons(&known));
        }
        let third = play(
            &high,
            workers,
            &second.outside,
            &steps(&events, now + DAY * 4),
        );
        for known in known(&third.published) {
            assert!(persons(&known).is_empty(), "{:?}", persons(&known));
        }
        // Others come, and hide that person.
        let mut steps = steps(&events, now + DAY * 6);
        for person in 101..104 {
            let begin = steps.last().unwrap().1;
            steps.push((one_more(person), begin + HOUR));
        }
        let begin = steps.last().unwrap().1;
        steps.extend((1..30).map(|step| (Vec::new(), begin + step * HOUR)));
        let fourth = play(&high, workers, &third.outside, &steps);
        let last = known(&fourth.published).pop().unwrap();
        assert!(persons(&last).contains(&10), "{:?}", persons(&last));
    }
}

#[test]
fn a_restart_tells_no_change_of_the_day_in_progress_that_waits() {
    // One person waits for another, and a restart does not change that; where nobody waits, it tells what came meanwhile.
    for (k_delta, expected) in [(2, [6, 6, 6, 6, 9]), (1, [7, 7, 7, 8, 9])] {
        let gate = gate(2, k_delta, Ladder::Month);
        let now = 20 * DAY + DAY / 2;
        let mut events = words(&["s", "a", "till"]);
        for person in 1..7 {
            events.push(sale_in("s", person, &format!("sale {person}"), 20, 1_000));
        }
        let first = play(&gate, 1, &[], &[(events.clone(), now)]);
        assert_eq!(persons(&known(&first.published)[0]), [6]);
        events.push(sale_in("s", 100, "sale 100", 20, 1_000));
        let mut steps: Steps = vec![(events, now + HOUR)];
        steps.extend((2..4).map(|hour| (Vec::new(), now + hour * HOUR)));
        let another = sale_in("s", 101, "sale 101", 20, 1_000);
        let and_one_more = sale_in("s", 102, "sale 102", 20, 1_000);
        steps.push((vec![another], now + 4 * HOUR));
        steps.push((vec![and_one_more], now + 5 * HOUR));
        let second = play(&gate, 1, &first.outside, &steps);
        let known = known(&second.published);
        let persons: Vec<Vec<i128>> = known.iter().map(persons).collect();
        assert_eq!(persons, expected.map(|of| vec![of]), "{k_delta}");
    }
}

//! Several publications: which sums of few their differences determine.
//!
//! The reader of two publications is assumed to know all changes in between: who came, who left, what was corrected. Without
//! the changes, the second publication consists of the same fields as the first, under other names, and both together must
//! not determine a sum of what the first published with fewer than `k` contributors.
//!
//! The two follow one another. A reader who knows every change of several batches can find more, because a cell may be
//! safe by those who came in the first of them; he knows so many people that no exact number keeps him out.

use std::cell::Cell;
use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tributary_operators::attribution::Model;
use tributary_operators::record::Day;
use tributary_operators::release::PublishedDays;
use tributary_operators::release::pattern::{CellName, Pattern};
use tributary_operators::release::revenue_names::{Member, Members, RevenueName};
use tributary_operators::release::table::RevenueKind;
use tributary_operators::release::table::Table;

use crate::ladder_attacks::program::find_small_sum;
use crate::ladder_attacks::system::{Field, Names, Reader, System};
use crate::ladder_attacks::worlds::{Path, Purchase, Shrink, World};
use crate::ladder_attacks::{none_fails, seeds};

/// A world at several moments.
#[derive(Clone)]
struct History {
    moments: Vec<World>,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.moments.iter().try_for_each(|world| world.fmt(f))
    }
}

impl History {
    /// A random world that one to six people change between three batches.
    fn random(seed: u64) -> History {
        History::of_batches(seed, 3)
    }

    /// The same with some number of batches.
    fn of_batches(seed: u64, batches: usize) -> History {
        let mut world = World::random(seed);
        let rng = &mut StdRng::seed_from_u64(!seed);
        let mut moments = vec![world.clone()];
        // New people by numbers that nobody has had.
        let mut next = 41;
        for _ in 1..batches {
            if rng.random_bool(0.3) {
                world.days += 1;
                for _ in 0..rng.random_range(0..8) {
                    add_somebody(&mut world, rng, &mut next);
                    let last = world.days - 1;
                    let added = world.purchases.iter_mut();
                    added
                        .filter(|of| of.who == next - 1)
                        .for_each(|of| of.day = last);
                }
            }
            for _ in 0..rng.random_range(1..=6) {
                change(&mut world, rng, &mut next);
            }
            moments.push(world.clone());
        }
        History { moments }
    }
}

fn add_somebody(world: &mut World, rng: &mut StdRng, next: &mut u64) {
    world.add_random(rng, *next);
    *next += 1;
}

/// Somebody comes, leaves, or is corrected.
fn change(world: &mut World, rng: &mut StdRng, next: &mut u64) {
    let somebody = match world.purchases.len() {
        0 => return add_somebody(world, rng, next),
        len => rng.random_range(0..len),
    };
    let who = world.purchases[somebody].who;
    match rng.random_range(0..3) {
        0 => add_somebody(world, rng, next),
        1 => world.purchases.retain(|purchase| purchase.who != who),
        _ => {
            let mut other = world.clone();
            other.purchases.clear();
            other.add_random(rng, who);
            world.purchases[somebody] = other.purchases.swap_remove(0);
        }
    }
}

impl Shrink for History {
    fn smaller(&self) -> Vec<History> {
        let mut smaller = Vec::new();
        for at in 1..self.moments.len().max(3) - 1 {
            let mut history = self.clone();
            history.moments.remove(at);
            smaller.push(history);
        }
        let all = |of: &dyn Fn(&mut World)| {
            let mut history = self.clone();
            history.moments.iter_mut().for_each(of);
            history
        };
        let purchases = self.moments.iter().flat_map(|world| &world.purchases);
        let people: BTreeSet<u64> = purchases.map(|of| of.who).collect();
        for who in people {
            smaller.push(all(&|world| world.purchases.retain(|of| of.who != who)));
            for (at, world) in self.moments.iter().enumerate() {
                let mut history = self.clone();
                history.moments[at].purchases.retain(|of| of.who != who);
                if history.moments[at].purchases.len() < world.purchases.len() {
                    smaller.push(history);
                }
            }
        }
        for model in Model::ALL {
            if self.moments[0].models.contains(&model) {
                smaller.push(all(&|world| {
                    world.models.remove(&model);
                }));
            }
        }
        smaller
    }
}

/// What was published when: the place of the moment, and the pattern.
type Publications = Vec<(usize, Pattern)>;

/// A publication per moment at most: the pattern in use takes over from the one decided a moment before.
fn take_over(history: &History) -> Publications {
    let moments = history.moments.iter();
    let tables = moments.map(|world| (world.table(), world.days as Day - 1));
    take_over_tables(&history.moments[0], tables.collect())
}

/// The tables are given with the last finished day of each moment.
fn take_over_tables(world: &World, tables: Vec<(Table, Day)>) -> Publications {
    let rule = world.rule();
    let mut published: Publications = Vec::new();
    let mut decided = Pattern::default();
    for (at, (now, _)) in tables.iter().enumerate() {
        let newly = rule.decide(now);
        let next = match published.last() {
            None => Some(newly.clone()).filter(|newly| rule.stands(newly, now)),
            Some((at, used)) => {
                let (then, through) = &tables[*at];
                let published_days = PublishedDays {
                    through: *through,
                    settles_in: 0,
                };
                rule.take_over(used, &decided, [then, now], published_days)
            }
        };
        published.extend(next.map(|next| (at, next)));
        decided = newly;
    }
    published
}

/// The same, but each moment is published as it is decided.
fn decide_anew(history: &History) -> Publications {
    let moments = history.moments.iter().enumerate();
    let decided = moments.map(|(at, world)| (at, world.rule().decide(&world.table())));
    decided
        .filter(|(_, pattern)| *pattern != Pattern::default())
        .collect()
}

/// What a reader of two publications finds out that he must not.
fn attack(history: &History, published: &Publications) -> Option<String> {
    let readers = [Reader::AnyPath, Reader::ShortPaths];
    published.windows(2).find_map(|two| {
        let attack = |reader| attack_two(history, reader, &two[0], &two[1]);
        readers.into_iter().find_map(attack)
    })
}

/// The second pattern, with what the first one published and of which nothing is left.
///
/// A name ends with its last sale, but the second publication counts its places and days all the same: as nothing.
fn with_empty_cells(first: &Pattern, second: &Pattern, [before, later]: [&World; 2]) -> Pattern {
    let mut pattern = second.clone();
    for row in before.rows() {
        let (day, place) = (row.0, before.place(row.1));
        let is_left = later.purchases.iter().any(|of| (of.day, of.store) == row);
        let Some(name) = first.revenue_of(day, &place).filter(|_| !is_left) else {
            continue;
        };
        if second.revenue_of(day, &place).is_none() {
            let mut members = pattern.revenue.members(&name).cloned().unwrap_or_default();
            members.insert(Member::of(day, &place));
            pattern.revenue.insert_members(name, members);
        }
    }
    pattern
}

fn attack_two(
    history: &History,
    reader: Reader,
    (at, first): &(usize, Pattern),
    (later, second): &(usize, Pattern),
) -> Option<String> {
    let world = &history.moments[*at];
    let second = &with_empty_cells(first, second, [world, &history.moments[*later]]);
    let of_first = |row: &(_, usize)| first.revenue_of(row.0, &world.place(row.1)).is_some();
    let of_second = |row: &(_, usize)| second.revenue_of(row.0, &world.place(row.1)).is_some();
    let rows = world.rows().filter(|row| of_first(row) || of_second(row));
    let system = System::new(world, reader, rows);
    let rule = world.rule();
    let names = [first, second].map(|pattern| Names::of(&rule, pattern));
    let known: Vec<_> = names.iter().flat_map(|of| system.known(of)).collect();
    let determined = system.determined(&known);
    world.models.iter().find_map(|model| {
        let fields = system.fields.iter();
        let fields = fields.filter(|field| field.model == *model && of_first(&field.row));
        let fields: Vec<&Field> = fields.collect();
        let sums = system.determined_sums(&determined, &fields);
        let people: Vec<_> = fields.iter().map(|field| field.people).collect();
        let sum = find_small_sum(&sums, &people, world.k)?;
        let sum: Vec<&&Field> = sum.iter().map(|at| &fields[*at]).collect();
        Some(format!(
            "{reader:?}, moments {at} and {later}: a sum is determined: {sum:?}\n{:?}\n{:?}",
            names[0], names[1]
        ))
    })
}

#[test]
fn two_publications_determine_no_sum_of_few() {
    none_fails(seeds(80), History::random, |_, history| {
        attack(history, &take_over(history))
    });
    let published = seeds(80).map(|seed| take_over(&History::random(seed)));
    let (mut publications, mut moved) = (0, 0);
    for published in published {
        publications += published.len();
        let two = published.windows(2);
        moved += two.filter(|two| two[0].1 != two[1].1).count();
    }
    let histories = seeds(80).count();
    println!("{histories} histories: {publications} publications, {moved} with another pattern");
    assert!(publications > histories && moved > 0);
}

/// The same of months that have changed more often, and of which more has joined and parted again.
#[test]
fn two_publications_of_many_determine_no_sum_of_few() {
    let random = |seed| History::of_batches(seed, 7);
    none_fails(seeds(40), random, |_, history| {
        attack(history, &take_over(history))
    });
    let published = seeds(40).map(|seed| take_over(&random(seed)));
    let of_members = published.flatten().filter(|(_, pattern)| {
        let mut names = pattern.revenue.iter();
        names.any(|name| pattern.revenue.members(name).is_some())
    });
    let of_members = of_members.count();
    println!("{of_members} publications have cells that count their members alone");
    assert!(of_members > 0);
}

#[test]
fn deciding_anew_determines_some() {
    let found = (0..60).filter(|seed| {
        let history = History::random(*seed);
        attack(&history, &decide_anew(&history)).is_some()
    });
    assert!(found.count() > 0);
}

/// A store and day falls below `k` while too few stay out of the month, and both together would be safe. A reader who knows
/// what the store and day had left would see in the rest of the month what stayed out. It joins another store of its day, if there
/// is one, and else that of another day: the rest of the month then counts nothing but the two.
#[test]
fn what_was_published_does_not_join_what_stays_out() {
    for is_alone in [false, true] {
        too_small_beside_what_stays_out(is_alone);
    }
}

fn too_small_beside_what_stays_out(is_alone: bool) {
    let world = |in_south: std::ops::Range<u64>| {
        let mut world = World {
            k: 3,
            stores: 3,
            has_stays: false,
            days: 2,
            purchases: Vec::new(),
            ..World::random(0)
        };
        let beside = if is_alone { 0..0 } else { 3..6 };
        for (store, day, people) in [(0, 0, 0..3), (0, 1, beside), (2, 0, 6..8), (1, 1, in_south)] {
            world.purchases.extend(people.map(|who| Purchase {
                who,
                is_vouched: true,
                day,
                store,
                value: 4,
                path: Path::Touches(vec![0]),
                gap: 1,
            }));
        }
        world
    };
    let first = world(8..12);
    let moments = [first.clone(), world(8..10), world(8..10), world(8..11)];
    let decided = first.rule().decide(&moments[1].table());
    let month = RevenueName::Month(RevenueKind::Sale);
    assert!(decided.revenue.contains(&month));
    let published = take_over_tables(
        &first,
        moments.iter().map(|world| (world.table(), 1)).collect(),
    );
    let (_, joined) = published.get(1).expect("the month goes on");
    let stays_out = first.place(2);
    for (_, pattern) in &published {
        assert_eq!(pattern.revenue_of(0, &stays_out), None, "{published:?}");
    }
    let of_day = RevenueName::Day(1, RevenueKind::Sale);
    let cell = joined.revenue_of(1, &first.place(1));
    let expected = if is_alone { month } else { of_day };
    assert_eq!(cell, Some(expected), "{published:?}");
    let history = History {
        moments: moments.to_vec(),
    };
    if let Some(found) = attack(&history, &published) {
        panic!("{found}\n{published:#?}");
    }
}

/// Whatever is published of a month can be published again after some have changed it, as long as it can be in cells that
/// hold all of it.
#[test]
fn a_month_goes_on() {
    let counts = [Cell::new(0), Cell::new(0)];
    none_fails(seeds(300), History::random, |_, history| {
        let mut history = history.clone();
        // The last state is decided and stays.
        let last = history.moments.last()?.clone();
        history.moments.extend([last.clone(), last.clone()]);
        let published = take_over(&history);
        let (at, used) = published.last()?;
        if *at + 1 == history.moments.len() {
            counts[0].update(|count| count + 1);
            return None;
        }
        counts[1].update(|count| count + 1);
        // Sales of new days may be too much for all others, and be counted by themselves or not at all.
        let stands = [false, true].map(|with_new| {
            let coarsest = coarsest(used, &history.moments[*at], &last, with_new);
            last.rule().stands(&coarsest, &last.table())
        });
        (stands == [true; 2]).then(|| format!("moment {at} stays published: {used:#?}"))
    });
    let [go_on, wait] = counts.map(Cell::into_inner);
    println!("{go_on} histories go on, {wait} wait");
    assert!(go_on > 10 * wait);
}

/// A pattern that counts what another one does, as one cell of each kind, with all of the days that are new or without them.
fn coarsest(used: &Pattern, before: &World, now: &World, with_new: bool) -> Pattern {
    let mut coarsest = Pattern {
        shared: [CellName::Month].into(),
        single: [CellName::Month].into(),
        ..Pattern::default()
    };
    let places = before.purchases.iter().chain(&now.purchases);
    for kind in RevenueKind::ALL {
        let places = places.clone().map(|of| (of.day, now.place(of.store)));
        let places = places.filter(|(_, place)| place.kind == kind);
        let is_new = |day: Day| with_new && day >= before.days as Day;
        let counted =
            places.filter(|(day, place)| is_new(*day) || used.revenue_of(*day, place).is_some());
        let members: Members = counted
            .map(|(day, place)| Member::of(day, &place))
            .collect();
        if !members.is_empty() {
            let month = RevenueName::Month(kind);
            coarsest.revenue.insert_members(month, members);
        }
    }
    coarsest
}

/// A store and day that has become too small joins another one, and is not parted from it when others come whom the month takes in.
#[test]
fn what_has_joined_is_not_parted_again() {
    let world = |in_first: std::ops::Range<u64>, today: std::ops::Range<u64>| {
        let mut world = World {
            k: 3,
            stores: 3,
            has_stays: false,
            days: 3,
            purchases: Vec::new(),
            ..World::random(0)
        };
        let all = [
            (0, 0, in_first),
            (1, 0, 3..6),
            (0, 1, 10..16),
            (1, 1, 16..22),
            (1, 2, today),
        ];
        for (store, day, people) in all {
            world.purchases.extend(people.map(|who| Purchase {
                who,
                is_vouched: true,
                day,
                store,
                value: 4 + 4 * who as i128,
                path: Path::Touches(vec![0]),
                gap: 1,
            }));
        }
        world
    };
    let moments = vec![
        world(0..3, 0..0),
        world(0..2, 0..0),
        world(0..2, 0..0),
        world(0..2, 30..36),
        world(0..2, 30..36),
    ];
    let tables = moments.iter().map(|world| (world.table(), 2)).collect();
    let published = take_over_tables(&moments[0], tables);
    assert!(published.len() > 3, "{published:?}");
    let history = History { moments };
    if let Some(found) = attack(&history, &published) {
        panic!("{found}\n{published:#?}");
    }
}

/// A month of a larger brand.
fn month(seed: u64, people: u64) -> World {
    let rng = &mut StdRng::seed_from_u64(seed);
    let mut world = World::random(seed);
    (world.k, world.days, world.stores) = (10, 30, 3);
    world.purchases.clear();
    for who in 0..people {
        let touches = rng.random_range(0..=3_usize);
        let touches = (0..touches).map(|_| {
            let of = world.channels.len();
            rng.random_range(0..of).min(rng.random_range(0..of))
        });
        let path = Path::Touches(touches.collect());
        world.purchases.push(Purchase {
            who,
            is_vouched: true,
            day: rng.random_range(0..30),
            store: rng.random_range(0..3),
            value: 4 * rng.random_range(1..500),
            path,
            gap: rng.random_range(0..100),
        });
    }
    world
}

/// The share of the value under `linear` that is published by channel, in thousandths.
fn share_by_channel(world: &World, pattern: &Pattern) -> i128 {
    let (rule, table) = (world.rule(), world.table());
    let published = rule.values(pattern, &table);
    let linear = published.credits.iter();
    let linear = linear.filter(|((model, _), _)| *model == Model::Linear);
    let by_channel = linear.filter(|((_, cell), _)| matches!(cell, CellName::Channel(_)));
    let by_channel: i128 = by_channel.map(|(_, [_, value])| value).sum();
    let all: i128 = table.sales.iter().map(|sale| sale.value).sum();
    1_000 * by_channel / all
}

#[test]
fn a_month_published_by_days_ends_as_one_published_at_once() {
    for (seed, people) in (0..4).zip([600, 1_200, 1_800, 2_400]) {
        let world = month(seed, people);
        let until = |day| {
            let mut world = world.clone();
            world.purchases.retain(|purchase| purchase.day <= day);
            (world.table(), day)
        };
        let published = take_over_tables(&world, (0..30).map(until).collect());
        let (at, pattern) = published.last().expect("a publication");
        assert_eq!(*at, 29, "seed {seed}: the last day is published");
        let by_days = share_by_channel(&world, pattern);
        let at_once = share_by_channel(&world, &world.rule().decide(&world.table()));
        println!("seed {seed}: {by_days} ‰ by days, {at_once} ‰ at once");
        assert!(
            (at_once - by_days).abs() <= 30,
            "seed {seed}: {by_days} {at_once}"
        );
    }
}

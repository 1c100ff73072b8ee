//! Matching by itself: whatever comes and goes in whatever epochs, what stays weigh is what a plain computation over the current
//! visits and sightings says; and a change looks only at what is near it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tributary_operators::aggregate::Aggregate;
use tributary_operators::engine::KeyedOperator;
use tributary_operators::label::Label;
use tributary_operators::matching::{
    DeviceVisits, MatchIn, MatchOut, Matching, Sighting, SightingUpdate, StoreDay,
};
use tributary_operators::record::{BrandId, Pseudonym};
use tributary_operators::settings::{BrandSettings, Settings};
use tributary_operators::stats::Stats;

const DAY: StoreDay = StoreDay {
    brand: BrandId(0),
    store: Label::ABSENT,
    salt_day: 7,
};

fn settings(bits: u32, share: u64, slack: i64) -> BrandSettings {
    BrandSettings {
        k: 1,
        has_partners: true,
        cookie_bits: bits,
        cookie_share: share,
        slack,
        ..BrandSettings::default()
    }
}

fn operator(settings: &BrandSettings, stats: &Rc<Stats>) -> Matching {
    let settings = Settings {
        brands: [(BrandId(0), settings.clone())].into(),
    };
    Matching::new(Arc::new(settings), stats.clone())
}

fn visits(cookie: u16, visits: &[(i64, i64)]) -> MatchIn {
    let visits = visits.into();
    MatchIn::Visits(DAY, DeviceVisits { cookie, visits })
}

fn sighting(device: Pseudonym, id: u64, begin: i64, end: i64, cookie: Option<u16>) -> MatchIn {
    MatchIn::Sighting(Box::new(SightingUpdate {
        key: DAY,
        device,
        sighting: Sighting {
            begin,
            end,
            ts: begin * 1000,
            id: id.to_string().into(),
            source: Label::of("p"),
            cookie,
            linked: None,
        },
    }))
}

/// The current stays with their weights, as the operator's changes add up: begin, end, weight.
type Stays = BTreeMap<(Pseudonym, i64, i64, u32), i64>;

fn apply(operator: &mut Matching, epoch: u64, updates: Vec<(MatchIn, i64)>, stays: &mut Stays) {
    let mut out = Vec::new();
    operator.apply_epoch(epoch, updates, &mut out);
    for (row, diff) in out {
        if let MatchOut::Stay(_, ids, conversion) = row {
            let visit = conversion.visit.unwrap();
            let device = ids.ids()[0].pseudonym;
            let key = (device, conversion.ts, visit.until, visit.weight);
            *stays.entry(key).or_default() += diff;
        }
    }
    stays.retain(|_, count| *count != 0);
}

/// What the current rows come to, computed plainly.
fn expected(rows: &[MatchIn], settings: &BrandSettings) -> Stays {
    let mut all_visits = Vec::new();
    let mut devices = 0;
    let mut seen: BTreeMap<Pseudonym, Vec<(i64, i64, Option<u16>)>> = BTreeMap::new();
    for row in rows {
        match row {
            MatchIn::Visits(_, of) => {
                devices += 1;
                all_visits.extend(of.visits.iter().map(|visit| (*visit, of.cookie)));
            }
            MatchIn::Sighting(of) => {
                let Sighting {
                    begin, end, cookie, ..
                } = of.sighting;
                seen.entry(of.device)
                    .or_default()
                    .push((begin, end, cookie));
            }
            _ => {}
        }
    }
    let mut stays: Vec<(Pseudonym, i64, i64, BTreeSet<u16>)> = Vec::new();
    for (device, mut seen) in seen {
        seen.sort_unstable();
        let mut latest: Option<i64> = None;
        for (begin, end, cookie) in seen {
            if latest.is_none_or(|latest| begin > latest + 1_800) {
                stays.push((device, begin, end, BTreeSet::new()));
                latest = None;
            }
            let (_, _, last, cookies) = stays.last_mut().unwrap();
            *last = end.max(*last);
            cookies.extend(cookie);
            latest = latest.max(Some(end));
        }
    }
    let bits = (0..=settings.cookie_bits).filter(|bits| devices >= settings.cookie_share << bits);
    let values = 1_u32 << bits.max().unwrap_or(0);
    let is_candidate = |stay: &(Pseudonym, i64, i64, BTreeSet<u16>), visit: &((i64, i64), u16)| {
        let ((first, last), cookie) = *visit;
        let mut cookies = stay.3.iter();
        first * 1000 <= stay.2 * 1000 + settings.slack
            && last * 1000 >= stay.1 * 1000 - settings.slack
            && (stay.3.is_empty()
                || cookies.any(|of| u32::from(*of) % values == u32::from(cookie) % values))
    };
    let mut all = Stays::new();
    for stay in &stays {
        let own = all_visits.iter().filter(|visit| is_candidate(stay, visit));
        let shared = own.map(|visit| stays.iter().filter(|of| is_candidate(of, visit)).count());
        let shared: Vec<usize> = shared.collect();
        let most = shared.iter().copied().max().unwrap_or(0).max(shared.len());
        if !shared.is_empty() {
            let weight = (1_000_000 * shared.len() / most) as u32;
            *all.entry((stay.0, stay.1 * 1000, stay.2 * 1000, weight))
                .or_default() += 1;
        }
    }
    // No visit is given away more than once.
    let given: i64 = all
        .iter()
        .map(|(stay, count)| i64::from(stay.3) * count)
        .sum();
    assert!(given <= 1_000_000 * all_visits.len() as i64);
    all
}

#[test]
fn whatever_comes_and_goes_stays_weigh_what_is_computed_from_scratch() {
    let mut changed = 0;
    for seed in 0..3_000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let settings = settings(
            [0, 1, 2, 10, 16][rng.random_range(0..5)],
            [1, 2, 3][rng.random_range(0..3)],
            [0, 60_000, 300_500, 1_800_000][rng.random_range(0..4)],
        );
        let mut operator = operator(&settings, &Rc::default());
        let (mut rows, mut stays) = (Vec::new(), Stays::new());
        for epoch in 0..rng.random_range(1..12) {
            let mut updates = Vec::new();
            for _ in 0..rng.random_range(0..6) {
                let time = |rng: &mut StdRng| rng.random_range(0..40) * 600;
                let cookie = [0, 1, 2, 3, 4, 0x8001][rng.random_range(0..6)];
                match rng.random_range(0..10) {
                    0..=2 => {
                        let begin = time(&mut rng);
                        let visit = (begin, begin + rng.random_range(60..5_000));
                        let later = (visit.1 + 1_801, visit.1 + 2_400);
                        let several = [visit, later];
                        let count = rng.random_range(1..3);
                        updates.push((visits(cookie, &several[..count]), 1));
                    }
                    3..=6 => {
                        let begin = time(&mut rng);
                        let end = begin + [0, 0, 599, 3_000, 20_000][rng.random_range(0..5)];
                        let cookie = rng.random_bool(0.5).then_some(cookie);
                        let device = rng.random_range(1..5);
                        updates.push((sighting(device, rng.random(), begin, end, cookie), 1));
                    }
                    _ if !rows.is_empty() => {
                        let at = rng.random_range(0..rows.len());
                        updates.push((rows.swap_remove(at), -1));
                    }
                    _ => {}
                }
            }
            let come = updates.iter().filter(|(_, diff)| *diff > 0);
            rows.extend(come.map(|(row, _)| row.clone()));
            apply(&mut operator, epoch, updates, &mut stays);
            assert_eq!(
                stays,
                expected(&rows, &settings),
                "seed {seed}, epoch {epoch}"
            );
            changed += stays.len();
        }
        let gone = rows.drain(..).map(|row| (row, -1)).collect();
        apply(&mut operator, 100, gone, &mut stays);
        assert_eq!((operator.entries(), stays.len()), (0, 0), "seed {seed}");
    }
    assert!(changed > 10_000, "{changed} stays are matched");
}

/// The steps of one more change behind `visits` visits and `stays` stays over a day, a minute apart.
fn steps_of_a_change(count: i64, change: MatchIn) -> u64 {
    let stats = Rc::default();
    let mut operator = operator(&settings(0, 1, 0), &stats);
    let times = (0..count).map(|at| at * 86_000 / count);
    let rows = times.flat_map(|at| {
        let seen = sighting(at as u128 + 10, 1, at, at, None);
        [(visits(0, &[(at, at + 60)]), 1), (seen, 1)]
    });
    apply(&mut operator, 0, rows.collect(), &mut Stays::new());
    let before = stats.all_steps();
    apply(&mut operator, 1, vec![(change, 1)], &mut Stays::new());
    stats.all_steps() - before
}

/// The number of visits and stays near a change is what it costs: four times as dense, it costs four times as much for each side.
#[test]
fn a_change_looks_at_what_is_near_it() {
    for change in [
        visits(0, &[(40_000, 40_060)]),
        sighting(1, 1, 40_000, 40_000, None),
    ] {
        // A visit every second minute and a minute long: a handful is near.
        let steps = steps_of_a_change(700, change);
        println!("{steps} steps");
        assert!(steps < 60, "{steps}");
    }
}

/// Very many sightings of one device in one store cost a few steps each.
#[test]
fn many_sightings_of_one_device_are_one_stay() {
    let stats = Rc::default();
    let mut operator = operator(&settings(0, 1, 0), &stats);
    let mut stays = Stays::new();
    let row = |at: u64| (sighting(1, at, (at % 80_000) as i64, 80_000, None), 1);
    apply(
        &mut operator,
        0,
        (0..100_000).map(row).collect(),
        &mut stays,
    );
    let before = stats.all_steps();
    for at in 100_000..100_100 {
        apply(&mut operator, at, vec![row(at)], &mut stays);
    }
    let steps = (stats.all_steps() - before) / 100;
    println!("{steps} steps for one more sighting");
    assert!(steps < 2_000, "{steps}");
    let gone = (0..100_100).map(|at| (row(at).0, -1)).collect();
    apply(&mut operator, 200_000, gone, &mut stays);
    assert_eq!(operator.entries(), 0);
}

/// Six visitors allow one bit of the cookie, which divides them: two stays share the visits that both may have been, two others the
/// only one that either may have been, and one comes ten minutes too late.
#[test]
fn stays_share_the_visits_that_they_may_have_been() {
    let mut operator = operator(&settings(10, 3, 300_000), &Rc::default());
    let start = 1_760_000_400;
    let rows = [
        visits(4, &[(start, start + 1_200)]),
        visits(6, &[(start + 600, start + 1_800)]),
        visits(5, &[(start + 900, start + 2_400)]),
        visits(8, &[(start + 7_200, start + 9_000)]),
        visits(2, &[(start + 7_500, start + 7_800)]),
        visits(3, &[(start + 21_600, start + 22_200)]),
        sighting(1, 1, start + 720, start + 720, Some(0)),
        sighting(1, 2, start + 1_800, start + 1_800, Some(0)),
        sighting(2, 3, start + 1_080, start + 1_080, None),
        sighting(3, 4, start + 21_900, start + 21_900, Some(1)),
        sighting(4, 5, start + 22_800, start + 22_800, None),
        sighting(5, 6, start + 21_840, start + 21_840, None),
    ];
    let mut out = Vec::new();
    let rows = rows.into_iter().map(|row| (row, 1)).collect();
    operator.apply_epoch(0, rows, &mut out);
    let mut weights = BTreeMap::new();
    let mut sums = Aggregate::default();
    for (row, diff) in out {
        match row {
            MatchOut::Stay(_, ids, conversion) => {
                weights.insert(ids.ids()[0].pseudonym, conversion.visit.unwrap().weight);
            }
            MatchOut::Sum(_, of) => sums.add(&of, diff),
            MatchOut::Closed(_) | MatchOut::Erase(..) => panic!("no day is closed"),
        }
    }
    let expected = [(1, 1_000_000), (2, 1_000_000), (3, 500_000), (5, 500_000)];
    assert_eq!(weights, expected.into());
    assert_eq!(sums.values, [5, 4, 7, 3_000_000, 0]);
}

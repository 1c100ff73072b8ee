//! Matching by itself: whatever comes and goes in whatever epochs, what stays weigh is what a plain computation over the current
//! visits and sightings says, and what settling leaves of a day is what its stays came to; and a change looks only at what is
//! near it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tributary_operators::aggregate::Aggregate;
use tributary_operators::ask::{Question, Reply};
use tributary_operators::engine::{KeyedOperator, Query, QueryOperator};
use tributary_operators::label::Label;
use tributary_operators::matching::{
    DeviceVisits, MatchIn, MatchOut, Matching, Sighting, SightingUpdate, StoreDay,
};
use tributary_operators::record::{Body, BrandId, ClosedVisits, Pseudonym};
use tributary_operators::settings::{BrandSettings, Settings};
use tributary_operators::stats::Stats;

use crate::support::number_from_env;

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
    Matching::new(settings.into(), stats.clone(), 1)
}

fn visits_on(key: StoreDay, cookie: u16, visits: &[(i64, i64)]) -> MatchIn {
    let visits = visits.into();
    MatchIn::Visits(key, DeviceVisits { cookie, visits })
}

fn visits(cookie: u16, visits: &[(i64, i64)]) -> MatchIn {
    visits_on(DAY, cookie, visits)
}

fn sighting_on(
    key: StoreDay,
    device: Pseudonym,
    id: u64,
    (begin, end): (i64, i64),
    cookie: Option<u16>,
) -> MatchIn {
    MatchIn::Sighting(Box::new(SightingUpdate {
        key,
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

fn sighting(device: Pseudonym, id: u64, begin: i64, end: i64, cookie: Option<u16>) -> MatchIn {
    sighting_on(DAY, device, id, (begin, end), cookie)
}

/// The store and salt day of a row.
fn day_of(row: &MatchIn) -> StoreDay {
    match row {
        MatchIn::Visits(key, _) => *key,
        MatchIn::Sighting(of) => of.key,
        _ => panic!("{row:?} is no row"),
    }
}

/// Stays with their weights: store, device, begin, end, weight.
type Stays = BTreeMap<(Label, Pseudonym, i64, i64, u32), i64>;

/// What an operator has emitted, added up.
#[derive(Default)]
struct Emitted {
    stays: Stays,
    sums: Aggregate,
    closed: Vec<ClosedVisits>,
}

fn apply(operator: &mut Matching, epoch: u64, updates: Vec<(MatchIn, i64)>, emitted: &mut Emitted) {
    let mut out = Vec::new();
    operator.apply_epoch(epoch, updates, &mut out);
    for (row, diff) in out {
        match row {
            MatchOut::Stay(_, device, conversion) => {
                let visit = conversion.visit.unwrap();
                let store = conversion.store;
                let key = (store, device, conversion.ts, visit.until, visit.weight);
                *emitted.stays.entry(key).or_default() += diff;
            }
            MatchOut::Sum(_, of) => emitted.sums.add(&of, diff),
            MatchOut::Closed(of) => emitted.closed.push(of),
            MatchOut::Erase(..) => panic!("nothing is erased"),
        }
    }
    emitted.stays.retain(|_, count| *count != 0);
}

/// What the current rows come to, computed plainly, by store and salt day. Also returns the number of stays without a weight.
fn expected(rows: &[MatchIn], settings: &BrandSettings) -> (Stays, i64) {
    let keys: BTreeSet<StoreDay> = rows.iter().map(day_of).collect();
    let (mut all, mut unmatched) = (Stays::new(), 0);
    for key in keys {
        let rows: Vec<&MatchIn> = rows.iter().filter(|row| day_of(row) == key).collect();
        let (stays, others) = expected_on(key, &rows, settings);
        unmatched += others;
        for (stay, count) in stays {
            *all.entry(stay).or_default() += count;
        }
    }
    (all, unmatched)
}

/// The same of one store and salt day.
fn expected_on(key: StoreDay, rows: &[&MatchIn], settings: &BrandSettings) -> (Stays, i64) {
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
    let (mut all, mut unmatched) = (Stays::new(), 0);
    for stay in &stays {
        let own = all_visits.iter().filter(|visit| is_candidate(stay, visit));
        let shared = own.map(|visit| stays.iter().filter(|of| is_candidate(of, visit)).count());
        let shared: Vec<usize> = shared.collect();
        let most = shared.iter().copied().max().unwrap_or(0).max(shared.len());
        match shared.is_empty() {
            true => unmatched += 1,
            false => {
                let weight = (1_000_000 * shared.len() / most) as u32;
                let key = (key.store, stay.0, stay.1 * 1000, stay.2 * 1000, weight);
                *all.entry(key).or_default() += 1;
            }
        }
    }
    // No visit is given away more than once.
    let given: i64 = all
        .iter()
        .map(|(stay, count)| i64::from(stay.4) * count)
        .sum();
    assert!(given <= 1_000_000 * all_visits.len() as i64);
    (all, unmatched)
}

/// A random history of an operator: two stores on two salt days, which close and settle at random moments.
struct Case {
    rng: StdRng,
    settings: BrandSettings,
    operator: Matching,
    /// The visits and sightings that are there.
    rows: Vec<MatchIn>,
    emitted: Emitted,
    /// The days that are closed.
    closed: BTreeSet<StoreDay>,
    /// The first day that is not settled.
    unsettled: i32,
}

impl Case {
    fn new(seed: u64) -> Case {
        let mut rng = StdRng::seed_from_u64(seed);
        let settings = settings(
            [0, 1, 2, 10, 16][rng.random_range(0..5)],
            [1, 2, 3][rng.random_range(0..3)],
            [0, 60_000, 300_500, 1_800_000][rng.random_range(0..4)],
        );
        Case {
            rng,
            operator: operator(&settings, &Rc::default()),
            settings,
            rows: Vec::new(),
            emitted: Emitted::default(),
            closed: BTreeSet::new(),
            unsettled: 0,
        }
    }

    /// One more change, if there is one.
    fn change(&mut self) -> Option<(MatchIn, i64)> {
        let rng = &mut self.rng;
        // Most rows are of one store and day, so that they meet.
        let key = StoreDay {
            store: [Label::ABSENT, Label::of("s")][usize::from(rng.random_bool(0.1))],
            salt_day: 7 + i32::from(rng.random_bool(0.2)),
            ..DAY
        };
        let time = rng.random_range(0..40) * 600;
        let cookie = [0, 1, 2, 3, 4, 0x8001][rng.random_range(0..6)];
        match rng.random_range(0..10) {
            0..=2 if !self.closed.contains(&key) => {
                let visit = (time, time + rng.random_range(60..5_000));
                let later = (visit.1 + 1_801, visit.1 + 2_400);
                let several = [visit, later];
                let count = rng.random_range(1..3);
                Some((visits_on(key, cookie, &several[..count]), 1))
            }
            3..=6 if key.salt_day >= self.unsettled => {
                let end = time + [0, 0, 599, 3_000, 20_000][rng.random_range(0..5)];
                let cookie = rng.random_bool(0.5).then_some(cookie);
                let device = rng.random_range(1..5);
                let (id, span) = (rng.random(), (time, end));
                Some((sighting_on(key, device, id, span, cookie), 1))
            }
            7.. if !self.rows.is_empty() => {
                let at = rng.random_range(0..self.rows.len());
                // No visit of a closed day changes any more.
                let is_fixed =
                    matches!(&self.rows[at], MatchIn::Visits(key, _) if self.closed.contains(key));
                (!is_fixed).then(|| (self.rows.swap_remove(at), -1))
            }
            _ => None,
        }
    }

    /// Applies an epoch, and compares what stays weigh.
    fn apply(&mut self, epoch: u64, updates: Vec<(MatchIn, i64)>) {
        apply(&mut self.operator, epoch, updates, &mut self.emitted);
        let (stays, unmatched) = expected(&self.rows, &self.settings);
        assert_eq!(self.emitted.stays, stays, "epoch {epoch}");
        let all = i128::from(stays.values().sum::<i64>() + unmatched);
        assert_eq!(self.emitted.sums.values[0], all, "epoch {epoch}");
    }

    /// Closes all stores on a salt day, which happens once.
    fn close(&mut self, epoch: u64, salt_day: i32) {
        if self.closed.contains(&StoreDay { salt_day, ..DAY }) {
            return;
        }
        let keys = [Label::ABSENT, Label::of("s")].map(|store| StoreDay {
            store,
            salt_day,
            ..DAY
        });
        self.closed.extend(keys);
        let closes = keys.map(|key| (MatchIn::Close(key), 1));
        self.apply(epoch, closes.into());
    }

    /// Settles the days before one: what is answered takes the place of their stays, and no sum changes. Returns the number of
    /// stays that it leaves as records.
    fn settle(&mut self, epoch: u64, before: i32) -> usize {
        let question = Question::Settle {
            brand: DAY.brand,
            before,
        };
        let query = Query {
            asker: 0,
            number: 0,
            key: 0,
            question,
        };
        let mut replies = Vec::new();
        self.operator.answer(query, &mut replies);
        let earlier = self.emitted.stays.clone();
        let sums = self.emitted.sums;
        let (retracted, stay): (Vec<MatchIn>, Vec<MatchIn>) = std::mem::take(&mut self.rows)
            .into_iter()
            .partition(|row| day_of(row).salt_day < before && matches!(row, MatchIn::Sighting(_)));
        self.rows = stay;
        let mut updates: Vec<_> = retracted.into_iter().map(|row| (row, -1)).collect();
        updates.push((MatchIn::Settled(0, DAY.brand, before), 1));
        self.unsettled = self.unsettled.max(before);
        // The visits of a settled day have no stay to be matched with any more.
        self.apply(epoch, updates);
        let (mut left, mut left_sums) = (self.emitted.stays.clone(), self.emitted.sums);
        let mut records = 0;
        for reply in replies {
            match reply {
                Reply::Settled(_, record) => {
                    let Body::SettledVisit {
                        store,
                        until,
                        candidates,
                        weight,
                        ..
                    } = record.body
                    else {
                        continue;
                    };
                    let device = record.ids.ids()[0].pseudonym;
                    *left
                        .entry((store, device, record.ts, until, weight))
                        .or_default() += 1;
                    left_sums.add(&Aggregate::of(&[1, 1, candidates.into(), weight.into()]), 1);
                    records += 1;
                }
                Reply::Unmatched(of) => left_sums.add(&Aggregate::of(&[of.stays.into()]), 1),
                _ => panic!("{reply:?}"),
            }
        }
        assert_eq!(left, earlier, "epoch {epoch}");
        assert_eq!(left_sums.values, sums.values, "epoch {epoch}");
        records
    }

    /// Begins again with what a ledger holds: the visits of closed days as they left, the others, and the sightings. The mark of
    /// the settled days comes before or after them.
    fn restart(&mut self, epoch: u64) {
        let closed = std::mem::take(&mut self.emitted.closed);
        self.emitted = Emitted::default();
        self.operator = operator(&self.settings, &Rc::default());
        let is_open = |row: &&MatchIn| match row {
            MatchIn::Visits(key, _) => !self.closed.contains(key),
            _ => true,
        };
        let open = self.rows.iter().filter(is_open).cloned();
        let mut updates: Vec<_> = open.map(|row| (row, 1)).collect();
        updates.extend(closed.iter().map(|of| (MatchIn::Closed(of.clone()), 1)));
        let mark = (MatchIn::Settled(0, DAY.brand, self.unsettled), 1);
        match self.rng.random_range(0..3) {
            0 => apply(&mut self.operator, epoch, vec![mark], &mut self.emitted),
            1 => updates.push(mark),
            _ => {
                apply(&mut self.operator, epoch, updates, &mut self.emitted);
                updates = vec![mark];
            }
        }
        self.apply(epoch, updates);
        self.emitted.closed = closed;
    }
}

/// Days close and settle in between, and the operator begins again. `TRIBUTARY_HISTORIES` sets the number of cases.
#[test]
fn whatever_comes_and_goes_stays_weigh_what_is_computed_from_scratch() {
    let (mut changed, mut settled, mut restarts) = (0, 0, 0);
    let cases = number_from_env("TRIBUTARY_HISTORIES", 3_000);
    for seed in 0..cases {
        let mut case = Case::new(seed);
        let epochs = case.rng.random_range(1..14);
        println!("seed {seed}");
        for epoch in 0..epochs {
            let count = case.rng.random_range(0..6);
            let updates = (0..count).filter_map(|_| {
                let update = case.change()?;
                if update.1 > 0 {
                    case.rows.push(update.0.clone());
                }
                Some(update)
            });
            let updates = updates.collect();
            case.apply(epoch, updates);
            changed += case.emitted.stays.len();
            match case.rng.random_range(0..12) {
                0 => {
                    let day = case.rng.random_range(7..9);
                    case.close(epoch, day);
                }
                1 => {
                    let before = case.rng.random_range(7..10);
                    settled += case.settle(epoch, before);
                }
                2 => {
                    case.restart(epoch);
                    restarts += 1;
                }
                _ => {}
            }
        }
        settled += case.settle(100, 9);
        let visits = std::mem::take(&mut case.rows).into_iter();
        let open = visits.filter(|row| !case.closed.contains(&day_of(row)));
        let open = open.map(|row| (row, -1)).collect();
        case.apply(100, open);
        assert_eq!(case.operator.entries(), 0, "seed {seed}");
    }
    println!("{cases} cases: {changed} stays matched, {settled} settled, {restarts} restarts");
    let cases = cases as usize;
    assert!(changed > 3 * cases && settled > cases / 2 && restarts > cases / 10);
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
    apply(&mut operator, 0, rows.collect(), &mut Emitted::default());
    let before = stats.all_steps();
    apply(&mut operator, 1, vec![(change, 1)], &mut Emitted::default());
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

/// The steps of 500 changes, one after the other, and their time, where the visits and sightings of a day are in so many stores.
fn cost_in(stores: u64) -> (u64, std::time::Duration) {
    let rng = &mut StdRng::seed_from_u64(7);
    let stats = Rc::default();
    let mut operator = operator(&settings(10, 3, 300_000), &stats);
    let (mut rows, mut changes) = (Vec::new(), Vec::new());
    for device in 0..3_072_u64 {
        let key = StoreDay {
            store: Label::of(&(device % stores).to_string()),
            ..DAY
        };
        let (cookie, begin) = (rng.random(), rng.random_range(36_000..72_000));
        let end = begin + rng.random_range(120..1_800);
        rows.push((visits_on(key, cookie, &[(begin, end)]), 1));
        let seen = sighting_on(key, device.into(), device, (begin + 60, end), Some(cookie));
        match device {
            ..1_536 => rows.push((seen, 1)),
            1_536..2_036 => changes.push(seen),
            _ => {}
        }
    }
    apply(&mut operator, 0, rows, &mut Emitted::default());
    let (before, begun) = (stats.all_steps(), std::time::Instant::now());
    for (epoch, seen) in (1..).zip(changes) {
        apply(
            &mut operator,
            epoch,
            vec![(seen, 1)],
            &mut Emitted::default(),
        );
    }
    (stats.all_steps() - before, begun.elapsed())
}

/// A change costs what it touches: as much in one store with all visits of a day as in 64 stores with the same visits.
#[test]
fn a_change_costs_as_much_in_a_large_store_as_in_small_ones() {
    let [(large, in_large), (small, in_small)] = [1, 64].map(cost_in);
    println!(
        "500 changes: in one store {large} steps, {in_large:?}; in 64 stores {small} steps, {in_small:?}"
    );
    assert!(
        2 * large <= 3 * small,
        "{large} steps in one store, {small} in 64"
    );
}

/// Very many sightings of one device in one store cost a few steps each.
#[test]
fn many_sightings_of_one_device_are_one_stay() {
    let stats = Rc::default();
    let mut operator = operator(&settings(0, 1, 0), &stats);
    let mut stays = Emitted::default();
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
            MatchOut::Stay(_, device, conversion) => {
                weights.insert(device, conversion.visit.unwrap().weight);
            }
            MatchOut::Sum(_, of) => sums.add(&of, diff),
            MatchOut::Closed(_) | MatchOut::Erase(..) => panic!("no day is closed"),
        }
    }
    let expected = [(1, 1_000_000), (2, 1_000_000), (3, 500_000), (5, 500_000)];
    assert_eq!(weights, expected.into());
    assert_eq!(sums.values, [5, 4, 7, 3_000_000, 0]);
}

/// Days come, close a day later and settle after a week, whether partners saw anybody in the store or not: what is kept follows
/// the days that are open, and not those that have been.
#[test]
fn what_is_kept_does_not_grow_with_the_days() {
    let mut operator = operator(&settings(10, 3, 300_000), &Rc::default());
    let mut kept = Vec::new();
    for day in 0..30 {
        let stores = ["with partners", "without partners"].map(|store| StoreDay {
            store: Label::of(store),
            salt_day: day,
            ..DAY
        });
        let mut updates = Vec::new();
        let seen = |of: i32| {
            let key = StoreDay {
                salt_day: of,
                ..stores[0]
            };
            (0..100_u16).map(move |at| {
                let device = Pseudonym::from(at % 60);
                sighting_on(
                    key,
                    device,
                    u64::from(at),
                    (i64::from(at) * 600, i64::from(at) * 600),
                    None,
                )
            })
        };
        for key in stores {
            let visits = (0..200)
                .map(|at| visits_on(key, at, &[(i64::from(at) * 300, i64::from(at) * 300 + 120)]));
            updates.extend(visits.map(|row| (row, 1)));
            let yesterday = StoreDay {
                salt_day: day - 1,
                ..key
            };
            updates.push((MatchIn::Close(yesterday), 1));
        }
        updates.extend(seen(day).map(|row| (row, 1)));
        if day >= 7 {
            updates.extend(seen(day - 7).map(|row| (row, -1)));
            updates.push((MatchIn::Settled(0, DAY.brand, day - 6), 1));
        }
        apply(&mut operator, day as u64, updates, &mut Emitted::default());
        kept.push((operator.entries(), operator.bytes()));
    }
    println!(
        "entries and bytes on day 10 and 30: {:?}, {:?}",
        kept[9], kept[29]
    );
    assert_eq!(kept[29].0, kept[9].0);
    assert!(kept[29].1 <= kept[9].1 * 101 / 100, "{kept:?}");
    assert!(kept[9].0 > 7 * 400, "{kept:?}");
}

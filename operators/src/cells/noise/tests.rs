//! The distribution of the noise, the tree of its nodes, and the budget.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::float_arithmetic,
    reason = "a test may fail, and knows the exact distribution in floats alone"
)]

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::aggregate::{CellKey, MonthGroup};
use crate::record::{BrandId, Currency, SaleKind};

/// The settings of a brand with a budget in thousandths of epsilon.
fn settings(epsilon: u64) -> BrandSettings {
    BrandSettings {
        noise: Some(Noise {
            keys: vec![[7; 32].into()],
            epsilon,
            count: 1,
            money: 5_000,
        }),
        ..BrandSettings::default()
    }
}

/// The orders of one day.
const ORDERS: CellKey = CellKey::OrdersDay {
    brand: BrandId(0),
    day: 20_000,
    currency: Currency(*b"EUR"),
};

/// The dimensions of the cell of [`ORDERS`].
fn dims() -> Vec<Dim> {
    vec![
        Dim::Text("acme".into()),
        Dim::Day(20_000),
        Dim::Text("EUR".into()),
    ]
}

/// Draws with one key, each from an input of its own.
fn draws(t: u128, s: u128, count: u64) -> Vec<i128> {
    let distribution = DiscreteLaplace { t, s };
    let draw = |number: u64| {
        let mut hash = blake3::Hasher::new_keyed(&[3; 32]);
        hash.update(&number.to_le_bytes());
        distribution.draw(&mut Prf(Zeroizing::new(hash.finalize_xof())))
    };
    (0..count).map(draw).collect()
}

/// A chi-squared test against the probabilities of the discrete Laplace distribution.
#[test]
fn draws_follow_the_discrete_laplace_distribution() {
    let count = 60_000;
    for (t, s) in [(1, 1), (1, 3), (5, 2), (40, 1), (2_340, 1_000)] {
        // P(x) = (1 - p) / (1 + p) p^|x| with p = exp(-s / t).
        let p = (-(s as f64) / t as f64).exp();
        let chance = |x: i128| (1.0 - p) / (1.0 + p) * p.powi(x.unsigned_abs() as i32);
        let mut seen: BTreeMap<i128, f64> = BTreeMap::new();
        for x in draws(t, s, count) {
            *seen.entry(x).or_default() += 1.0;
        }
        // Values that are expected often stand alone, all others together.
        let often: Vec<i128> = (-2_000..2_000)
            .filter(|x| chance(*x) * count as f64 > 20.0)
            .collect();
        let of = |x: &i128| seen.get(x).copied().unwrap_or(0.0);
        let (mut chi, mut expected_rest, mut rest) = (0.0, count as f64, count as f64);
        for x in &often {
            let expected = chance(*x) * count as f64;
            chi += (of(x) - expected).powi(2) / expected;
            expected_rest -= expected;
            rest -= of(x);
        }
        chi += (rest - expected_rest).powi(2) / expected_rest.max(1.0);
        // Four deviations of the chi-square law above its mean; the draws are always the same.
        let freedom = often.len() as f64;
        let bound = freedom + 4.0 * (2.0 * freedom).sqrt();
        assert!(chi < bound, "{t}/{s}: {chi} of {freedom}");
    }
}

/// The first moments of a wide distribution are those of the Laplace distribution.
#[test]
fn a_wide_law_has_its_mean_and_its_spread() {
    let count = 40_000;
    let (t, s) = (5_000 * 26 * 9 * 1_000, 700);
    let scale = t as f64 / s as f64;
    let draws = draws(t, s, count);
    let mean =
        |of: &dyn Fn(f64) -> f64| draws.iter().map(|x| of(*x as f64)).sum::<f64>() / count as f64;
    let error = 4.0 / (count as f64).sqrt();
    assert!((mean(&|x| x) / scale).abs() < error * 2_f64.sqrt());
    assert!((mean(&|x| x.abs()) / scale - 1.0).abs() < error);
    // The fourth moment of Laplace's law is 24, so that the square deviates by the root of 20.
    assert!((mean(&|x| x * x) / scale.powi(2) - 2.0).abs() < error * 20_f64.sqrt());
}

/// The nodes of a prefix cover each of its steps once, and at most one node per level contains a
/// step.
#[test]
fn nodes_cover_the_steps_once_and_few_of_them_are_over_a_step() {
    for height in [0, 1, 3, 5] {
        let mut over: BTreeMap<u64, BTreeSet<(u32, u64)>> = BTreeMap::new();
        for steps in 0..150_u64 {
            let mut covered = BTreeSet::new();
            let all: Vec<_> = nodes(steps, height).collect();
            assert!(all.len() as u64 <= u64::from(height) + (steps >> height));
            for (level, index) in all {
                for step in index << level..(index + 1) << level {
                    assert!(covered.insert(step), "twice under {steps}");
                    over.entry(step).or_default().insert((level, index));
                }
            }
            assert!(covered.into_iter().eq(0..steps));
        }
        let most = over.values().map(BTreeSet::len).max().unwrap();
        assert!(most <= height as usize + 1, "{most} nodes over one step");
    }
}

/// Releases share the noise of the nodes that they have in common, and differ in the others.
#[test]
fn the_noise_of_a_release_is_that_of_its_nodes() {
    let settings = settings(1_000);
    let key = GroupKey::of(&ORDERS).unwrap();
    let timeline = NoiseTimeline::of(&key, &settings).unwrap();
    let at = |step: u64| {
        let time = timeline.origin + (step as i64 - 1) * DAY;
        assert_eq!(timeline.step(time), step);
        timeline
            .offset(Family::OrdersDay, &dims(), time)
            .unwrap()
            .noise
    };
    let minus = |a: [i128; 5], b: [i128; 5]| std::array::from_fn::<i128, 5, _>(|i| a[i] - b[i]);
    // [0, 5) is [0, 4) and [4, 5); [0, 6) is [0, 4) and [4, 6); [0, 7) is [0, 6) and [6, 7).
    let [four, five, six, seven] = [4, 5, 6, 7].map(at);
    let parts: BTreeSet<_> = [four, minus(five, four), minus(six, four), minus(seven, six)].into();
    assert_eq!(parts.len(), 4, "every node has its own");
    assert!(parts.iter().all(|part| part[0] != 0 && part[1] != 0));
    // A step of the tree is what it was at any other time of the step.
    let late = timeline.origin + 5 * DAY - 1;
    let offset = timeline.offset(Family::OrdersDay, &dims(), late).unwrap();
    assert_eq!(offset.noise, five);
    assert_eq!(offset.noise[3..], [0, 0], "there are three values");
}

/// The variance is that of the number of nodes.
#[test]
fn noise_grows_with_the_logarithm_of_time() {
    let settings = settings(1_000);
    let key = GroupKey::of(&ORDERS).unwrap();
    let timeline = NoiseTimeline::of(&key, &settings).unwrap();
    let levels = u64::from(timeline.tree_height()) + 1;
    let scale = (parts(Family::OrdersDay) as u64 * levels) as f64;
    let spread = |step: u64| {
        let time = timeline.origin + (step as i64 - 1) * DAY;
        let cells = 3_000;
        let squares = (0..cells).map(|cell| {
            let dims = [Dim::Count(cell)];
            let offset = timeline.offset(Family::OrdersDay, &dims, time).unwrap();
            (offset.noise[0] as f64 / scale).powi(2)
        });
        squares.sum::<f64>() / cells as f64
    };
    // Two for every node.
    for (step, nodes) in [(1, 1.0), (3, 2.0), (64, 1.0), (63, 6.0), (85, 4.0)] {
        let spread = spread(step);
        let error = 4.0 * (20.0 * nodes / 3_000.0_f64).sqrt();
        assert!((spread - 2.0 * nodes).abs() < error, "{step}: {spread}");
    }
}

/// Another key, budget, bound, timeline or cell yields other noise.
#[test]
fn other_parameters_yield_other_noise() {
    let key = GroupKey::of(&ORDERS).unwrap();
    let time = 20_010 * DAY;
    let noise = |settings: &BrandSettings, dims: &[Dim]| {
        let timeline = NoiseTimeline::of(&key, settings).unwrap();
        timeline
            .offset(Family::OrdersDay, dims, time)
            .unwrap()
            .noise
    };
    let plain = settings(1_000);
    assert_eq!(noise(&plain, &dims()), noise(&plain, &dims()));
    let mut others = vec![plain.clone(); 5];
    others[0].noise.as_mut().unwrap().keys[0] = [8; 32].into();
    others[1].noise.as_mut().unwrap().epsilon = 1_001;
    others[2].noise.as_mut().unwrap().count = 2;
    others[3].max_hold = DAY / 2;
    others[4].freeze_after = 80 * DAY;
    let mut all: BTreeSet<_> = others.iter().map(|of| noise(of, &dims())).collect();
    let mut other_day = dims();
    other_day[1] = Dim::Day(20_001);
    all.insert(noise(&plain, &other_day));
    all.insert(noise(&plain, &dims()));
    assert_eq!(all.len(), 7);
}

/// After an exchange of the secret, what the older one gives is subtracted in vain: what remains is all the noise that the newer one
/// draws. And what was drawn before has not changed.
#[test]
fn an_older_key_leaves_the_noise_of_the_newer() {
    let key = GroupKey::of(&ORDERS).unwrap();
    let of = |keys: &[u8], time: i64| {
        let mut settings = settings(1_000);
        let keys = keys.iter().map(|key| [*key; 32].into());
        settings.noise.as_mut().unwrap().keys = keys.collect();
        let timeline = NoiseTimeline::of(&key, &settings).unwrap();
        timeline
            .offset(Family::OrdersDay, &dims(), time)
            .unwrap()
            .noise
    };
    let mut zeros = 0;
    for day in 20_000..20_200 {
        let time = day * DAY;
        let (old, new, both) = (of(&[7], time), of(&[8], time), of(&[7, 8], time));
        for ((old, new), both) in old.into_iter().zip(new).zip(both) {
            assert_eq!(both - old, new);
        }
        zeros += u32::from(both[0] == old[0]);
    }
    // A draw may be zero, but not often at this scale.
    assert!(zeros < 20, "{zeros}");
}

/// The steps before and after the group is frozen, and extreme times.
#[test]
fn steps_are_longer_once_the_day_is_frozen() {
    let settings = settings(1_000);
    let key = GroupKey::of(&ORDERS).unwrap();
    let timeline = NoiseTimeline::of(&key, &settings).unwrap();
    let step = |days: i64| timeline.step(timeline.origin + days * DAY);
    assert_eq!([step(-3), step(0), step(1), step(90)], [1, 1, 2, 91]);
    assert_eq!(step(90 + 70), 101);
    let day = |days: i64| timeline.origin + days * DAY;
    assert!(timeline.begins(None, day(5)));
    assert!(timeline.begins(Some(day(5) - 1), day(5)));
    assert!(!timeline.begins(Some(day(5)), day(6) - 2));
    // The last millisecond of a step belongs to no release: a batch of it would bear the number of the next step.
    assert!(!timeline.begins(Some(day(4)), day(6) - 1));
    assert!(timeline.begins(Some(day(6) - 1), day(6)));
    // Two years are one tree.
    assert_eq!(timeline.tree_height(), 8);
    assert!(step(731) <= 1 << 8);
    // Times from outside may be any.
    assert!(timeline.step(i64::MAX) < 1 << 32 && timeline.step(i64::MIN) == 1);
    assert!(!timeline.begins(Some(i64::MAX), i64::MAX));
}

/// The number of values that share a budget, and the bound of each value.
#[test]
fn a_budget_is_shared_by_what_one_person_moves() {
    assert_eq!(parts(Family::StoreDay), 26);
    assert_eq!(parts(Family::OrdersDay), parts(Family::Attribution));
    assert_eq!(parts(Family::Assists), 6);
    assert_eq!(parts(Family::Identity), 5);
    let settings = settings(1_000);
    let key = GroupKey::of(&ORDERS).unwrap();
    let timeline = NoiseTimeline::of(&key, &settings).unwrap();
    assert_eq!(timeline.bound("revenue_minor", Unit::Minor), 5_000);
    assert_eq!(
        timeline.bound("conversions_millionths", Unit::Millionths),
        1_000_000
    );
    assert_eq!(timeline.bound("dwell_seconds", Unit::Seconds), 8 * 3_600);
    assert_eq!(timeline.bound("links", Unit::Distinct), 100);
    assert_eq!(timeline.bound("persons", Unit::Distinct), 1);
}

/// Spend and Markov chains have no noise.
#[test]
fn spend_and_unbounded_values_have_no_noise() {
    let settings = settings(1_000);
    let spend = CellKey::SpendDay {
        brand: BrandId(0),
        platform: crate::label::Label::of("p"),
        channel: crate::label::Channel::default(),
        day: 20_000,
        currency: Currency(*b"EUR"),
    };
    assert!(NoiseTimeline::of(&GroupKey::of(&spend).unwrap(), &settings).is_none());
    let month = GroupKey::Month(MonthGroup {
        brand: BrandId(0),
        month: 2024 * 12,
        kind: SaleKind::Order,
        currency: Currency(*b"EUR"),
    });
    let timeline = NoiseTimeline::of(&month, &settings).unwrap();
    assert!(timeline.offset(Family::MarkovMonth, &[], 0).is_none());
    assert!(timeline.offset(Family::Paths, &[], 0).is_some());
    assert!(NoiseTimeline::of(&month, &BrandSettings::default()).is_none());
}

/// Applying and removing noise, and what a restart can recover of clamped counts.
#[test]
fn counts_are_clamped_at_zero_and_published_values_are_recovered() {
    let offset = NoiseOffset {
        noise: [-10, -10, 3, 0, 0],
        is_count: [true, false, true, true, true],
    };
    let exact = [4, 4, 4, 0, 0];
    let published = offset.apply(exact);
    assert_eq!(published, [0, -6, 7, 0, 0]);
    // Nothing has changed: the value that was cut off is the present one.
    assert_eq!(offset.remove(published, exact), exact);
    // The second has changed since.
    assert_eq!(offset.remove(published, [4, 9, 4, 0, 0]), exact);
    // Where the first has changed but would be published equally, it counts as published.
    assert_eq!(offset.remove(published, [6, 4, 4, 0, 0]), [6, 4, 4, 0, 0]);
    // Otherwise any value that is published equally will do.
    assert_eq!(offset.apply(offset.remove(published, [60; 5])), published);
}

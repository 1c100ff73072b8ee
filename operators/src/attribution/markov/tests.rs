//! The chain against the exact fractions of the batch oracle, and the cost and the folding of large
//! chains.

use num_bigint::BigInt;
use tributary_oracle::markov::{PathCounts, removal_effects as exact};

use super::*;
use crate::attribution::credit::CONVERSION;
use crate::attribution::elimination::Order;

/// Pseudorandom numbers from a linear congruential generator.
struct Dice(u64);

impl Dice {
    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// Random paths over `channels` channels, up to `most` different ones, with counts.
    fn paths(&mut self, channels: u64, most: u64) -> PathCounts<usize> {
        let paths = 1 + self.below(most);
        let mut counts = PathCounts::new();
        for _ in 0..paths {
            let length = 1 + self.below(7);
            let path = (0..length).map(|_| self.below(channels) as usize);
            let path: Vec<usize> = path.collect();
            *counts.entry(path).or_default() += 1 + self.below(9);
        }
        counts
    }
}

/// The chain of paths over the numbers below `n`.
fn chain(n: usize, converting: &PathCounts<usize>, null: &PathCounts<usize>) -> Chain {
    let mut between = vec![BTreeMap::new(); n];
    let mut ends = [vec![0; n], vec![0; n]];
    for (paths, ends) in [converting, null].into_iter().zip(&mut ends) {
        for (path, times) in paths {
            for step in path.windows(2).filter(|step| step[0] != step[1]) {
                *between[step[0]].entry(step[1]).or_default() += *times as i64;
            }
            ends[path[path.len() - 1]] += *times as i64;
        }
    }
    let [converted, lost] = ends;
    let between = between.into_iter().map(|row| row.into_iter().collect());
    Chain {
        between: between.collect(),
        converted,
        lost,
    }
}

/// The effects of paths over the numbers below `n`, none of which is missing, as exact fractions.
fn fractions(converting: &PathCounts<usize>, null: &PathCounts<usize>) -> Vec<i64> {
    let effects = exact(converting, null).into_values();
    effects.map(|effect| effect.ppm() as i64).collect()
}

/// Every number below `n` converts once by itself, so that none is missing.
fn complete(n: usize, mut converting: PathCounts<usize>) -> PathCounts<usize> {
    (0..n).for_each(|at| *converting.entry(vec![at]).or_default() += 1);
    converting
}

/// Random small chains have the rounded effects of the oracle.
#[test]
fn effects_are_the_exact_fractions() {
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let n = 1 + (seed as usize) % 12;
        let converting = complete(n, dice.paths(n as u64, 12));
        let null = dice.paths(n as u64, 12);
        let effects = removal_effects(&chain(n, &converting, &null));
        assert_eq!(effects, fractions(&converting, &null), "seed {seed}");
    }
}

/// Without a conversion there are no effects.
#[test]
fn what_never_converts_has_no_effect() {
    let null = PathCounts::from([(vec![0, 1], 3)]);
    assert_eq!(
        removal_effects(&chain(2, &PathCounts::new(), &null)),
        [0, 0]
    );
    // From the second none converts.
    let converting = PathCounts::from([(vec![0], 1)]);
    let effects = removal_effects(&chain(2, &converting, &null));
    assert_eq!(effects, [1_000_000, 0]);
    assert_eq!(removal_effects(&Chain::default()), Vec::<i64>::new());
}

/// An effect of exactly half a part per million is rounded up.
#[test]
fn a_half_rounds_up() {
    // Of 2,000,000 conversions one goes through the first channel: half a part per million.
    let converting = PathCounts::from([(vec![0], 1), (vec![1], 1_999_999)]);
    let effects = removal_effects(&chain(2, &converting, &PathCounts::new()));
    assert_eq!(effects, [1, 1_000_000]);
}

/// A dense chain in which every effect is exactly a half.
#[test]
fn many_halves_in_one_chain_that_fills() {
    // Each of 128 channels converts once: 7,812.5 parts per million. The others only fill the chain.
    let n = 192;
    let mut converting = PathCounts::new();
    converting.extend((0..128).map(|at| (vec![at], 1)));
    let mut null = PathCounts::new();
    let mut dice = Dice(7);
    for _ in 0..600 {
        let path = (0..3).map(|_| 128 + dice.below(64) as usize);
        *null.entry(path.collect()).or_default() += 1;
    }
    let effects = removal_effects(&chain(n, &converting, &null));
    assert_eq!(effects[..128], [7_813; 128]);
    assert_eq!(effects[128..], [0; 64]);
}

/// A channel whose effect is a half part per million, but for the way back to it through so many others, of which each is
/// left for the next half the time.
fn nearly_a_half(others: usize) -> (PathCounts<usize>, PathCounts<usize>) {
    let mut converting = PathCounts::new();
    converting.insert(vec![0, 1], 1);
    for at in 1..others {
        converting.insert(vec![at, at + 1], 1);
    }
    converting.insert(vec![others, 0], 1);
    // Two paths meet the first channel, of four million.
    let rest = 4_000_000 - converting.values().sum::<u64>();
    converting.insert(vec![others + 1], rest);
    (converting, PathCounts::new())
}

/// An effect that differs from a half by 2^-300 is on the correct side.
#[test]
fn what_is_nearly_a_half_is_none() {
    for others in [2, 20, 40] {
        let (converting, null) = nearly_a_half(others);
        let effects = removal_effects(&chain(others + 2, &converting, &null));
        assert_eq!(effects, fractions(&converting, &null), "{others}");
        assert_eq!(effects[0], 0);
    }
    // The way back has a probability of 2^-300: far below what floats and the first rounds of refining see.
    for others in [150, 300] {
        let (converting, null) = nearly_a_half(others);
        assert_eq!(
            removal_effects(&chain(others + 2, &converting, &null))[0],
            0
        );
    }
    // Without a way back it is one.
    let (mut converting, null) = nearly_a_half(300);
    converting.remove(&vec![300, 0]);
    converting.insert(vec![0], 1);
    assert_eq!(removal_effects(&chain(302, &converting, &null))[0], 1);
}

/// Random chains in which many effects are exactly a half.
#[test]
fn random_chains_with_halves_in_them() {
    // Of as many conversions as there are powers of two, effects of single paths lie on halves often.
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let n = 4 + dice.below(6) as usize;
        let mut converting = complete(n, dice.paths(n as u64, 6));
        let sum: u64 = converting.values().sum();
        *converting.entry(vec![0]).or_default() += 128 * (1 + sum / 128) - sum;
        let null = PathCounts::new();
        let effects = removal_effects(&chain(n, &converting, &null));
        assert_eq!(effects, fractions(&converting, &null), "seed {seed}");
    }
}

/// The steps of an elimination.
fn steps(order: &Order) -> usize {
    order.degrees().map(|degree| degree * degree).sum()
}

/// The cost of an elimination depends on the connections of the channels, not on their number.
#[test]
fn what_an_elimination_costs_goes_by_what_is_connected() {
    // Channels that are in no path together cost nothing, however many they are.
    let alone = complete(2_000, PathCounts::new());
    let order = Order::of(&chain(2_000, &alone, &PathCounts::new()));
    assert_eq!(steps(&order), 0);
    // A star, and a path from each to the next, cost a few steps each.
    let star = (1..1_000).map(|at| (vec![at, 0, at], 1)).collect();
    let order = Order::of(&chain(1_000, &star, &PathCounts::new()));
    assert_eq!(steps(&order), 999);
    let line = (1..1_000).map(|at| (vec![at - 1, at], 1)).collect();
    let order = Order::of(&chain(1_000, &line, &PathCounts::new()));
    assert!(steps(&order) < 2_000);
}

/// The limit on channels bounds the cost of any month.
#[test]
fn a_month_of_any_number_of_channels_is_bounded() {
    // Each path leads through three of so many channels at random, which fills any chain.
    let cost = |channels: u64| {
        let mut dice = Dice(3);
        let mut month = Month::new();
        for _ in 0..channels {
            let mut word = || format!("{}", dice.below(channels));
            let path =
                [word(), word(), word()].map(|word| ["host", "referral", &word].map(str::to_owned));
            month.path(&path, true);
        }
        let solved = month.chain(50).solve();
        assert_eq!(solved.credits.len(), 50);
        solved.folded
    };
    let few = cost(200);
    assert!(cost(2_000) > 5 * few);
    // At its most a chain of 50 has 50 * 49 * 99 / 6 steps.
    let n = 50;
    let full = (0..n).flat_map(|a| (0..n).map(move |b| (vec![a, b], 1)));
    let order = Order::of(&chain(n, &full.collect(), &PathCounts::new()));
    assert_eq!(steps(&order), (n - 1) * n * (2 * n - 1) / 6);
}

/// A month of paths by words.
struct Month {
    edges: [Edges; 2],
    reach: [Reach; 2],
    conversions: i128,
    words: LabelNames,
}

impl Month {
    fn new() -> Month {
        Month {
            edges: Default::default(),
            reach: Default::default(),
            conversions: 0,
            words: LabelNames::default(),
        }
    }

    fn path(&mut self, path: &[[String; 3]], converts: bool) {
        let mut channels = vec![Channel::default()];
        for words in path {
            for word in words {
                self.words
                    .insert(crate::label::Label::of(word), word.as_str().into());
            }
            let [source, medium, campaign] = words;
            channels.push(Channel::of(source, medium, campaign));
        }
        let of_kind = usize::from(!converts);
        let mut distinct = channels[1..].to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        for channel in distinct {
            *self.reach[of_kind].entry(channel).or_default() += 1;
        }
        channels.push(Channel::default());
        for step in channels.windows(2).filter(|step| step[0] != step[1]) {
            *self.edges[of_kind].entry((step[0], step[1])).or_default() += 1;
        }
        self.conversions += i128::from(converts);
    }

    fn chain(&self, max_channels: usize) -> MonthChain {
        let [converting, null] = self.edges.clone().map(Arc::new);
        let [converting_reach, null_reach] = self.reach.clone().map(Arc::new);
        MonthChain {
            converting,
            converting_reach,
            null: [(null, null_reach), Default::default()],
            null_weight: 1,
            millionths: self.conversions * CONVERSION,
            value: 100 * self.conversions,
            max_channels,
            words: Arc::new(self.words.clone()),
        }
    }
}

fn published(solved: &Solved, words: &LabelNames) -> Vec<(String, i64, i64)> {
    let credits = solved.credits.iter();
    let published = credits.map(|credit| {
        let words = name(credit.channel, words).map(|word| word.unwrap_or("-"));
        (words.join(" "), credit.effect_ppm, credit.persons)
    });
    published.collect()
}

/// The smallest channels are merged into their source and medium first.
#[test]
fn the_smallest_go_up_into_their_source_and_medium() {
    let mut month = Month::new();
    let words = |words: &str| {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        <[String; 3]>::try_from(words).unwrap()
    };
    let [big, small, tiny] = ["g cpc big", "g cpc small", "g cpc tiny"].map(words);
    let mail = words("n email weekly");
    for path in [
        vec![big.clone()],
        vec![big.clone(), small.clone()],
        vec![big, mail.clone()],
        vec![mail.clone()],
        vec![mail],
        vec![small, tiny],
    ] {
        month.path(&path, true);
    }
    let all = month.chain(4).solve();
    assert_eq!((all.credits.len(), all.folded), (4, 0));
    let solved = month.chain(3).solve();
    assert_eq!(solved.folded, 2);
    // Removing both is what removing the one that they have become does: two of three conversions are left.
    assert_eq!(
        published(&solved, &month.words),
        [
            ("g cpc *".into(), 333_333, 2),
            ("g cpc big".into(), 500_000, 3),
            ("n email weekly".into(), 500_000, 3),
        ]
    );
    let credits = solved.credits.iter();
    assert_eq!(
        credits.map(|credit| credit.millionths).sum::<i128>(),
        6_000_000
    );
    // With room for one everything is the month.
    let solved = month.chain(1).solve();
    assert_eq!(
        published(&solved, &month.words),
        [("* * *".into(), 1_000_000, 3)]
    );
    assert_eq!(solved.folded, 4);
    // What only other paths meet goes before what converts, however often it is met.
    (0..9).for_each(|_| month.path(&[words("spam referral -")], false));
    let solved = month.chain(4).solve();
    let names: Vec<String> = published(&solved, &month.words)
        .into_iter()
        .map(|published| published.0)
        .collect();
    assert_eq!(
        names,
        ["g cpc *", "g cpc big", "n email weekly", "spam referral *"]
    );
}

/// Channels with different sources are merged into the rest of the month.
#[test]
fn hosts_of_their_own_go_up_to_the_month() {
    let mut month = Month::new();
    let host = |at: u64| [format!("h{at}"), "referral".into(), "-".into()];
    let campaign = |at: u64| ["google".into(), "cpc".into(), format!("c{at}")];
    for at in 0..500 {
        month.path(&[host(at), campaign(at % 20)], at % 3 == 0);
    }
    let solved = month.chain(40).solve();
    let published = published(&solved, &month.words);
    assert_eq!(published.len(), 40);
    let kept = |of: &str| {
        published
            .iter()
            .filter(|(name, ..)| name.starts_with(of))
            .count()
    };
    assert_eq!(kept("google cpc c"), 20);
    assert_eq!(kept("* * *"), 1);
    assert_eq!(solved.folded, 500);
}

/// As many transitions enter a channel as leave it, which the formula of `solve` requires.
#[test]
fn the_matrix_of_paths_has_as_many_arrivals_as_departures() {
    // What the formula of `solve` rests on.
    let mut dice = Dice(5);
    let (converting, null) = (dice.paths(9, 30), dice.paths(9, 30));
    let chain = chain(9, &converting, &null);
    let mut arrivals = vec![BigInt::ZERO; 9];
    for (path, times) in converting.iter().chain(&null) {
        let mut before = None;
        for channel in path {
            if before != Some(channel) {
                arrivals[*channel] += *times;
            }
            before = Some(channel);
        }
    }
    let departures = (0..9).map(|state| BigInt::from(chain.departures(state)));
    assert!(departures.eq(arrivals));
}

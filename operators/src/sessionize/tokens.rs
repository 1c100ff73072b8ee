//! Tokens: the devices of one store and salt day, as many as may count.
//!
//! Anyone near a sensor can send from any number of addresses, so the number of devices that count is bounded. Which of them
//! count must depend neither on the order of arrival nor on the number of workers (invariant I1). So the smallest tokens count,
//! not the first: tokens are hashes, and the smallest of them are a uniform sample of the devices of a day (bottom-k sampling,
//! Cohen and Kaplan, PODC 2007). A token belongs to one of [`PARTS`] equal parts by its highest bits. Each part lives on one
//! worker, and in each an equal share of the bound counts, so that the workers need not agree.
//!
//! If a device is retracted, the next one counts in its place. So a part stores [`RESERVE`] more tokens than count. A token that
//! is larger than all of these is refused and not stored, so memory is bounded. Only if more devices than the reserve are
//! retracted from one part of a store and day do fewer devices count than could, until a restart reads the pings again.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeInclusive};

use super::runs::Runs;
use crate::engine::{extrapolate, tree_bytes};
use crate::record::Token;

/// The number of parts of the tokens of a store and day.
pub const PARTS: usize = 64;

/// The number of tokens that a part stores beyond those that count.
const RESERVE: usize = 64;

/// The number of tokens of a store whose runs are looked at to estimate their size.
const RUNS_SAMPLE: usize = 16;

/// The number of high bits that select the part.
const PART_BITS: u32 = PARTS.trailing_zeros();

/// The part that a token belongs to, below [`PARTS`].
pub fn part(token: Token) -> usize {
    (token.0 >> (u128::BITS - PART_BITS)) as usize
}

/// All possible tokens of the part of a token.
fn range(token: Token) -> RangeInclusive<Token> {
    let rest = u128::MAX >> PART_BITS;
    Token(token.0 & !rest)..=Token(token.0 | rest)
}

/// How many tokens of a part count, and how many are stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The number of tokens that count.
    counted: usize,
    /// The number of tokens that are stored: those that count and the reserve.
    held: usize,
}

impl Bounds {
    /// The bounds for a store and day in which `max_devices` devices count: an equal share for each part, rounded up.
    pub fn of(max_devices: usize) -> Bounds {
        let counted = max_devices.div_ceil(PARTS).max(1);
        Bounds {
            counted,
            held: counted + RESERVE,
        }
    }
}

/// The state of one part.
#[derive(Clone, Copy, Default)]
struct Part {
    /// The number of stored tokens of the part.
    held: usize,
    /// The largest token that counts; `None` while all stored tokens count.
    edge: Option<Token>,
    /// The smallest token that was refused: it and all larger ones are not stored.
    refused: Option<Token>,
}

/// The effect on other tokens when a token is added or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The token was refused.
    Refused,
    /// No other token is affected.
    Nothing,
    /// This token no longer counts (on an addition), or counts now (on a removal).
    Of(Token),
}

/// The stored tokens of one store and day, with their runs.
#[derive(Default)]
pub(super) struct Tokens {
    /// All stored tokens, whether they count or not.
    held: BTreeMap<Token, Runs>,
    /// The parts, by their number. `None` while there are so few tokens that all count, to save memory.
    parts: Option<Box<[Part; PARTS]>>,
}

impl Tokens {
    /// Whether no token is stored and none was refused.
    pub fn is_empty(&self) -> bool {
        let mut parts = self.parts.iter().flat_map(|parts| parts.iter());
        self.held.is_empty() && parts.all(|part| part.refused.is_none())
    }

    /// The estimated bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let parts = self
            .parts
            .as_ref()
            .map_or(0, |_| size_of::<[Part; PARTS]>());
        let runs = self.held.values().take(RUNS_SAMPLE).map(Runs::heap_bytes);
        parts + tree_bytes::<Token, Runs>(self.held.len()) + extrapolate(self.held.len(), runs)
    }

    /// Whether a token is stored.
    pub fn holds(&self, token: Token) -> bool {
        self.held.contains_key(&token)
    }

    /// Whether a token cannot be stored because there are too many smaller ones. Its device may have pings.
    pub fn refuses(&self, token: Token) -> bool {
        let refused = self.part(token).and_then(|part| part.refused);
        refused.is_some_and(|refused| token >= refused)
    }

    /// Whether a stored token counts.
    pub fn counts(&self, token: Token) -> bool {
        let edge = self.part(token).and_then(|part| part.edge);
        edge.is_none_or(|edge| token <= edge)
    }

    /// The runs of a stored token.
    pub fn runs(&self, token: Token) -> Option<&Runs> {
        self.held.get(&token)
    }

    /// The runs of a stored token, to be changed.
    pub fn runs_mut(&mut self, token: Token) -> Option<&mut Runs> {
        self.held.get_mut(&token)
    }

    /// The tokens that count, with their runs.
    pub fn counted(&self) -> impl Iterator<Item = (Token, &Runs)> {
        let counted = self.held.iter().filter(|(token, _)| self.counts(**token));
        counted.map(|(token, runs)| (*token, runs))
    }

    /// The state of the part of a token, if parts are tracked.
    fn part(&self, token: Token) -> Option<&Part> {
        self.parts.as_ref()?.get(part(token))
    }

    /// Stores a new token without runs, unless it is refused. Returns the token that no longer counts, if any.
    pub fn enter(&mut self, token: Token, bounds: Bounds) -> Turn {
        if self.parts.is_none() && self.held.len() == bounds.counted {
            let mut parts = Box::new([Part::default(); PARTS]);
            for held in self.held.keys() {
                if let Some(part) = parts.get_mut(part(*held)) {
                    part.held += 1;
                }
            }
            self.parts = Some(parts);
        }
        let parts = self.parts.as_mut();
        let Some(of) = parts.and_then(|parts| parts.get_mut(part(token))) else {
            self.held.insert(token, Runs::default());
            return Turn::Nothing;
        };
        if of.refused.is_some_and(|refused| token >= refused) {
            return Turn::Refused;
        }
        let range = range(token);
        if of.held >= bounds.held {
            let last = self.held.range(range.clone()).next_back();
            let last = last.map_or(token, |(last, _)| *last);
            of.refused = Some(last.max(token));
            if last <= token {
                return Turn::Refused;
            }
            self.held.remove(&last);
            of.held -= 1;
        }
        let largest = of.edge.or_else(|| {
            let is_full = of.held == bounds.counted;
            let last = self.held.range(range.clone()).next_back();
            last.filter(|_| is_full).map(|(last, _)| *last)
        });
        self.held.insert(token, Runs::default());
        of.held += 1;
        of.edge = largest;
        match largest {
            Some(largest) if token < largest => {
                let before = self.held.range(*range.start()..largest).next_back();
                of.edge = before.map(|(before, _)| *before);
                Turn::Of(largest)
            }
            _ => Turn::Nothing,
        }
    }

    /// Removes a stored token. Returns its runs, and the token that counts in its place, if any.
    pub fn leave(&mut self, token: Token, bounds: Bounds) -> Option<(Runs, Turn)> {
        let counted = self.counts(token);
        let runs = self.held.remove(&token)?;
        let parts = self.parts.as_mut();
        let Some(of) = parts.and_then(|parts| parts.get_mut(part(token))) else {
            return Some((runs, Turn::Nothing));
        };
        of.held -= 1;
        let mut turn = Turn::Nothing;
        if let Some(edge) = of.edge.filter(|_| counted) {
            let last = Bound::Included(*range(token).end());
            let behind = self.held.range((Bound::Excluded(edge), last)).next();
            if let Some((next, _)) = behind {
                of.edge = Some(*next);
                turn = Turn::Of(*next);
            }
        }
        if of.held <= bounds.counted {
            of.edge = None;
        }
        Some((runs, turn))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use std::collections::BTreeSet;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// Tokens of two parts.
    fn token(rng: &mut StdRng) -> Token {
        let part = if rng.random_bool(0.5) { 0 } else { 63 };
        Token(part << 122 | rng.random_range(0..400_u128))
    }

    fn smallest(tokens: &BTreeSet<Token>, most: usize) -> BTreeSet<Token> {
        let of = |number| tokens.iter().filter(move |token| part(**token) == number);
        (0..PARTS)
            .flat_map(|number| of(number).take(most))
            .copied()
            .collect()
    }

    #[test]
    fn the_smallest_count_in_whatever_order_they_come_and_go() {
        for seed in 0..300 {
            let mut rng = StdRng::seed_from_u64(seed);
            let bounds = Bounds {
                counted: rng.random_range(1..6),
                held: 5 + rng.random_range(1..20),
            };
            let (mut tokens, mut seen) = (Tokens::default(), BTreeSet::new());
            // The tokens that count according to the returned changes.
            let mut counting = BTreeSet::new();
            let mut reserve = bounds.held - bounds.counted;
            for _ in 0..rng.random_range(1..200) {
                let one = token(&mut rng);
                if rng.random_bool(0.8) {
                    seen.insert(one);
                    if !tokens.holds(one) {
                        match tokens.enter(one, bounds) {
                            Turn::Of(other) => assert!(counting.remove(&other)),
                            Turn::Nothing | Turn::Refused => {}
                        }
                    }
                    if tokens.holds(one) && tokens.counts(one) {
                        counting.insert(one);
                    }
                } else if reserve > 0 && seen.remove(&one) {
                    // More than the reserve are taken out of no part.
                    reserve -= 1;
                    if let Some((_, turn)) = tokens.leave(one, bounds) {
                        counting.remove(&one);
                        if let Turn::Of(other) = turn {
                            assert!(counting.insert(other));
                        }
                    }
                }
                let expected = smallest(&seen, bounds.counted);
                assert_eq!(counting, expected, "seed {seed}");
                let counted: BTreeSet<Token> = tokens.counted().map(|(token, _)| token).collect();
                assert_eq!(counted, expected, "seed {seed}");
                for one in &seen {
                    assert_ne!(tokens.holds(*one), tokens.refuses(*one), "seed {seed}");
                }
            }
        }
    }

    #[test]
    fn whatever_comes_no_more_are_held_than_the_bound_and_the_reserve() {
        let mut rng = StdRng::seed_from_u64(7);
        let (mut tokens, bounds) = (Tokens::default(), Bounds::of(1_000));
        let mut refused = 0;
        for _ in 0..200_000 {
            let turn = tokens.enter(Token(rng.random()), bounds);
            refused += usize::from(turn == Turn::Refused);
        }
        assert_eq!(tokens.counted().count(), 1_000_usize.next_multiple_of(64));
        assert_eq!(tokens.held.len(), 80 * 64);
        assert!(refused > 170_000, "{refused}");
        for token in tokens.held.keys().copied().collect::<Vec<_>>() {
            tokens.leave(token, bounds).unwrap();
        }
        assert!(tokens.held.is_empty() && !tokens.is_empty());
    }

    #[test]
    fn few_take_no_room_for_parts() {
        let (mut tokens, bounds) = (Tokens::default(), Bounds::of(640));
        for at in 0..10 {
            assert_eq!(tokens.enter(Token(at), bounds), Turn::Nothing);
        }
        assert!(tokens.parts.is_none());
        assert_eq!(tokens.enter(Token(3 << 122), bounds), Turn::Nothing);
        assert_eq!(tokens.enter(Token(7_000), bounds), Turn::Nothing);
        assert!(!tokens.counts(Token(7_000)) && tokens.counts(Token(3 << 122)));
        for at in 0..10 {
            tokens.leave(Token(at), bounds).unwrap();
        }
        for last in [3 << 122, 7_000] {
            tokens.leave(Token(last), bounds).unwrap();
        }
        assert!(tokens.is_empty());
    }
}

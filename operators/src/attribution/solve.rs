//! Removal effects of an absorbing chain, exact to the part per million.
//!
//! Let `M` have the departures of each channel on its diagonal and minus the transitions beside it, `r` be the transitions
//! into a conversion and `C` their sum. The counts are those of whole paths, so that as many come to a channel as leave
//! it; `1 M` is then what comes from the start, `1` the number of visits in units of departures, and `C` what converts in
//! all. Removing channel `c` (every path through it goes to null) loses the paths that reach `c` and convert from there:
//!
//! ```text
//! effect(c) = (M⁻¹ r)_c / ((M⁻¹)_cc · C)
//! ```
//!
//! *Estimate.* The chain is eliminated in floats without a subtraction. What a step rounds is as if it had changed the
//! transitions out of the `d` neighbours of the eliminated channel by a few parts in 2^53; by the matrix-tree theorem an
//! entry of `M⁻¹` is a quotient of sums of products that take one transition out of every channel, so that it changes by
//! no more than `2 d` times as much (O'Cinneide 1993 has the argument for all rows). These are added up over all steps in
//! [`roundings`], and give an interval for each effect. Where no half lies in it, the effect is decided.
//!
//! *Decision.* That an effect is at least `m - ½` parts per million says that component `c` of `v` is not negative, with
//! `M v = 2,000,000 r - (2m - 1) C e_c`: one system in whole numbers. It is refined by the eliminated floats: the rest of
//! the equation is kept exactly, in whole numbers, and what the floats make of it is added. As no entry of `M⁻¹` is larger
//! than the one on the diagonal of its column, the rest also says how far `v_c` is from its refinement at most. That
//! separates an effect from the half beside it, but never finds that it lies on it. So where
//! 128 bits have not decided, the same elimination modulo two primes says whether `v_c` is zero; it is done once, and then
//! asked first. It is not zero where one of them says so, and refining goes on until the side is seen. Where both say zero
//! it is: `v_c` times the determinant of `M` is a whole number of some thousand bits, which at most some hundred of the 2^55
//! primes of this size divide, unless somebody computes counts for these two, and then one effect of his is off by one
//! part per million.
//!
//! All sums run in the order of the channels, and floats are added, multiplied and divided only, so that every machine
//! comes to the same. Whether refining converges depends on floats alone, too: where it does not (paths would have to take
//! ten million steps through hundreds of channels), the sign that it came to last decides.

use num_bigint::{BigInt, Sign};
use num_traits::{FromPrimitive, Signed, ToPrimitive, Zero};

use crate::attribution::elimination::{Chain, Factors, Order};
use crate::attribution::number::{Number, Residue};

/// The primes below 2^61, 2^62 and 2^63 that are next to them. The third is for a chain in which one of the others divides
/// a pivot.
pub(super) const PRIMES: [u64; 3] = [(1 << 61) - 1, (1 << 62) - 57, (1 << 63) - 25];

/// The unit of effects: parts per million.
const PPM: i64 = 1_000_000;

/// Bits that each round of refining adds.
const BITS: u64 = 32;

/// Bits up to which an effect is refined before it is asked whether it lies on a half.
const ENOUGH: u64 = 128;

/// The removal effect of every state in parts per million, rounded half up. Where nothing converts there is none.
pub(super) fn removal_effects(chain: &Chain) -> Vec<i64> {
    let none = vec![0; chain.len()];
    let order = Order::of(chain);
    let conversions: i64 = chain.converted.iter().sum();
    let Some(floats) = Factors::<f64>::of(chain, &order).filter(|_| conversions > 0) else {
        return none;
    };
    let estimate = Estimate::of(&floats, &order);
    let mut decider = Decider {
        chain,
        order: &order,
        floats: &floats,
        estimate: &estimate,
        conversions,
        arrivals: arrivals(chain),
        modulo: None,
    };
    let mut effects = none;
    for (place, state) in order.state.iter().enumerate() {
        let (mut low, mut high) = estimate.bounds(place, conversions);
        while low < high {
            let middle = low + (high - low + 1) / 2;
            match decider.is_at_least(place, middle) {
                true => low = middle,
                false => high = middle - 1,
            }
        }
        effects[*state] = low;
    }
    effects
}

/// By place, what the floats come to.
struct Estimate {
    /// The probability of a conversion.
    to_conversion: Vec<f64>,
    /// The diagonal of `M⁻¹`.
    diagonal: Vec<f64>,
    /// How far a quotient of the two may be off, in parts of itself.
    error: f64,
}

/// How many roundings an effect has been through at most, each with all that it changes: see the essay. With `d`
/// neighbours a new transition is `d + 5` roundings from the exact one, in two quotients; going back and along the
/// diagonal takes `4 d + 18` more.
fn roundings(order: &Order) -> f64 {
    let of_step = |d: usize| (4 * d * (d + 5) + 4 * d + 18) as f64;
    order.degrees().map(of_step).sum::<f64>() + 16.0
}

impl Estimate {
    fn of(floats: &Factors<'_, f64>, order: &Order) -> Estimate {
        let places = 0..order.state.len();
        Estimate {
            to_conversion: floats.to_conversion(),
            diagonal: places.map(|place| floats.diagonal(place)).collect(),
            // The tenth covers the products of small errors.
            error: 1.1 * roundings(order) * f64::EPSILON,
        }
    }

    /// The least and the most that an effect may be in parts per million.
    fn bounds(&self, place: usize, conversions: i64) -> (i64, i64) {
        let below = self.diagonal[place] * conversions as f64;
        let ppm = PPM as f64 * (self.to_conversion[place] / below);
        // Published effects are rounded themselves; an effect that floats cannot distinguish from zero is zero.
        let error = ppm * self.error + (ppm + 1.0) * 8.0 * f64::EPSILON;
        let rounded = |ppm: f64| ((ppm + 0.5).floor() as i64).clamp(0, PPM);
        (rounded(ppm - error), rounded(ppm + error))
    }
}

/// Decides about single effects.
struct Decider<'a> {
    chain: &'a Chain,
    order: &'a Order,
    floats: &'a Factors<'a, f64>,
    estimate: &'a Estimate,
    conversions: i64,
    /// The transitions to each state, from each that has one.
    arrivals: Vec<Vec<(usize, i64)>>,
    /// What the chain comes to modulo primes, once that was needed.
    modulo: Option<Modulo<'a>>,
}

impl Decider<'_> {
    /// Whether an effect is at least `ppm - ½` parts per million.
    fn is_at_least(&mut self, place: usize, ppm: i64) -> bool {
        let half = i128::from(2 * ppm - 1) * i128::from(self.conversions);
        let is_zero = |modulo: &Modulo<'_>| modulo.is_zero(place, half.unsigned_abs());
        let is_known = self.modulo.is_some();
        if self.modulo.as_ref().is_some_and(is_zero) {
            return true;
        }
        let mut refined = Refined::new(self, place, half);
        while refined.bits < ENOUGH {
            if let Some(sign) = refined.go_on(self) {
                return sign;
            }
        }
        let (chain, order) = (self.chain, self.order);
        let modulo = self.modulo.get_or_insert_with(|| Modulo::of(chain, order));
        if !is_known && is_zero(modulo) {
            return true;
        }
        // A number other than zero is at least one divided by the determinant, and that is no more than the product of
        // all departures.
        let departures = (0..chain.len()).map(|state| chain.departures(state));
        let bits = |all: i64| u64::from(i64::BITS - all.leading_zeros());
        let determinant: u64 = departures.map(bits).sum();
        while refined.bits < 2 * (ENOUGH + determinant) {
            if let Some(sign) = refined.go_on(self) {
                return sign;
            }
        }
        refined.value.sign() != Sign::Minus
    }
}

/// What a chain comes to modulo primes.
struct Modulo<'a> {
    first: Option<OfPrime<'a, { PRIMES[0] }>>,
    second: Option<OfPrime<'a, { PRIMES[1] }>>,
    third: Option<OfPrime<'a, { PRIMES[2] }>>,
}

impl<'a> Modulo<'a> {
    fn of(chain: &Chain, order: &'a Order) -> Modulo<'a> {
        let (first, second) = (OfPrime::of(chain, order), OfPrime::of(chain, order));
        let third = match (&first, &second) {
            (Some(_), Some(_)) => None,
            _ => OfPrime::of(chain, order),
        };
        Modulo {
            first,
            second,
            third,
        }
    }

    /// Whether `2,000,000 (M⁻¹ r)_c` is `half (M⁻¹)_cc`, as far as primes can tell.
    fn is_zero(&self, place: usize, half: u128) -> bool {
        let Modulo {
            first,
            second,
            third,
        } = self;
        first.as_ref().is_none_or(|of| of.is_zero(place, half))
            && second.as_ref().is_none_or(|of| of.is_zero(place, half))
            && third.as_ref().is_none_or(|of| of.is_zero(place, half))
    }
}

/// What a chain comes to modulo one prime.
struct OfPrime<'a, const P: u64> {
    factors: Factors<'a, Residue<P>>,
    to_conversion: Vec<Residue<P>>,
}

impl<'a, const P: u64> OfPrime<'a, P> {
    /// None where the prime divides a pivot.
    fn of(chain: &Chain, order: &'a Order) -> Option<OfPrime<'a, P>> {
        let factors = Factors::of(chain, order)?;
        let to_conversion = factors.to_conversion();
        Some(OfPrime {
            factors,
            to_conversion,
        })
    }

    fn is_zero(&self, place: usize, half: u128) -> bool {
        let converts = Residue::of(2 * PPM).times(self.to_conversion[place]);
        let stays = self.factors.diagonal(place);
        converts == Residue::from_u128(half).times(stays)
    }
}

/// The transitions to each state, from each that has one.
fn arrivals(chain: &Chain) -> Vec<Vec<(usize, i64)>> {
    let mut arrivals = vec![Vec::new(); chain.len()];
    for (from, row) in chain.between.iter().enumerate() {
        for (to, count) in row {
            arrivals[*to].push((from, *count));
        }
    }
    arrivals
}

/// `v_c` on its way.
struct Refined {
    place: usize,
    /// How many bits stand behind the point.
    bits: u64,
    /// `v_c` so far.
    value: BigInt,
    /// By place, what `M v` still lacks.
    rest: Vec<BigInt>,
    /// By place, whether a way from `c` leads there: nothing else has a part in `v_c`.
    is_met: Vec<bool>,
}

impl Refined {
    fn new(decider: &Decider<'_>, place: usize, half: i128) -> Refined {
        let Decider { chain, order, .. } = decider;
        let mut rest = vec![BigInt::zero(); chain.len()];
        let mut is_met = vec![false; chain.len()];
        let mut ahead = vec![order.state[place]];
        while let Some(state) = ahead.pop() {
            let at = order.place[state];
            if !std::mem::replace(&mut is_met[at], true) {
                rest[at] = BigInt::from(chain.converted[state]) * (2 * PPM);
                ahead.extend(chain.between[state].iter().map(|(to, _)| *to));
            }
        }
        rest[place] -= BigInt::from(half);
        Refined {
            place,
            bits: 0,
            value: BigInt::zero(),
            rest,
            is_met,
        }
    }

    /// One round more. Whether `v_c` is not negative, if that is seen.
    fn go_on(&mut self, decider: &Decider<'_>) -> Option<bool> {
        let Decider {
            chain,
            order,
            floats,
            estimate,
            ..
        } = decider;
        self.bits += BITS;
        self.value <<= BITS;
        self.rest.iter_mut().for_each(|rest| *rest <<= BITS);
        let rest = self.rest.iter().map(|rest| rest.to_f64().unwrap_or(0.0));
        for (place, more) in floats.solve(rest.collect()).into_iter().enumerate() {
            let more = BigInt::from_f64(more).filter(|more| !more.is_zero());
            let Some(more) = more.filter(|_| self.is_met[place]) else {
                continue;
            };
            let state = order.state[place];
            self.rest[place] -= chain.departures(state) * &more;
            for (from, count) in &decider.arrivals[state] {
                let from = order.place[*from];
                if self.is_met[from] {
                    self.rest[from] += *count * &more;
                }
            }
            if place == self.place {
                self.value += more;
            }
        }
        let rests = self.rest.iter().zip(&estimate.diagonal);
        let off = rests.map(|(rest, most)| rest.abs().to_f64().unwrap_or(f64::INFINITY) * most);
        let off = BigInt::from_f64(off.sum::<f64>() * 1.01 + 1.0)?;
        (self.value.abs() > off).then(|| self.value.is_positive())
    }
}

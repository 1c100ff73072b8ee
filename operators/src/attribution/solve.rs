//! Removal effects of an absorbing chain, exact to one part per million.
//!
//! Let `M` be the matrix with the departures of each channel on its diagonal and minus the
//! transitions beside it, `r` the transitions into a conversion, and `C` their sum. The counts are
//! those of whole paths, so as many transitions enter a channel as leave it. Hence `1 M` are the
//! transitions from the start, `1` is the number of visits in units of departures, and `C` is the
//! total number of conversions. Removing channel `c`, so that every path through it leads to null,
//! loses the paths that reach `c` and convert from there:
//!
//! ```text
//! effect(c) = (M⁻¹ r)_c / ((M⁻¹)_cc · C)
//! ```
//!
//! *Estimate.* The chain is eliminated in floating point without subtractions. The rounding errors
//! of a step have the same effect as a relative change of the transitions out of the `d` neighbors
//! of the eliminated channel by a few units of 2^-53. By the matrix-tree theorem an entry of `M⁻¹`
//! is a quotient of sums of products with one transition out of every channel, so it changes by at
//! most `2 d` times as much (O'Cinneide 1993, *Entrywise perturbation theory and error analysis for
//! Markov chains*, has the argument for all rows). [`roundings`] sums this over all steps, which
//! yields an interval for each effect. If the interval contains no half of a part per million, the
//! rounded effect is known.
//!
//! *Decision.* An effect is at least `m - ½` parts per million exactly if component `c` of `v` is
//! not negative, where `M v = 2,000,000 r - (2m - 1) C e_c`: a linear system with integer
//! coefficients. It is solved by iterative refinement. The residual of the equation is stored
//! exactly, as integers, and the floating-point factors compute the next correction from it. No
//! entry of `M⁻¹` exceeds the diagonal entry of its column, so the residual also bounds the
//! distance of `v_c` from its current approximation. Refinement can separate an effect from the
//! half beside it, but it never shows that an effect is exactly a half.
//!
//! So if 128 bits have not decided, the same elimination modulo two primes determines whether `v_c`
//! is zero. It is computed once, and consulted first from then on. If one of the primes says that
//! `v_c` is not zero, it is not, and refinement continues until the sign is known. If both say
//! zero, it is zero: `v_c` times the determinant of `M` is an integer of some thousand bits, and at
//! most some hundred of the 2^55 primes of this size divide it. An adversary could construct counts
//! for these two primes; the consequence would be an effect that is off by one part per million.
//!
//! All sums run in the order of the channels, and the only floating-point operations are addition,
//! multiplication and division, which IEEE 754 rounds identically on every machine. Whether the
//! refinement converges depends on floating point as well. If it does not (paths would need ten
//! million transitions through hundreds of channels), the last sign decides.

use num_bigint::{BigInt, Sign};
use num_traits::{FromPrimitive, Signed, ToPrimitive, Zero};

use crate::attribution::elimination::{Chain, Factors, Order};
use crate::attribution::number::{Number, Residue};

/// The largest primes below 2^61, 2^62 and 2^63. The third is used if one of the others divides a
/// pivot of the chain.
pub(super) const PRIMES: [u64; 3] = [(1 << 61) - 1, (1 << 62) - 57, (1 << 63) - 25];

/// The unit of effects: parts per million.
const PPM: i64 = 1_000_000;

/// The number of bits that each round of refinement adds.
const BITS: u64 = 32;

/// The number of bits after which the residues decide whether an effect is exactly a half.
const ENOUGH: u64 = 128;

/// The removal effect of every state in parts per million, rounded half up, from 0 to 1,000,000.
///
/// All effects are zero if nothing converts, or if a state has no departures.
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

/// The floating-point estimates, by place.
struct Estimate {
    /// The probability of a conversion from each place.
    to_conversion: Vec<f64>,
    /// The diagonal of `M⁻¹`.
    diagonal: Vec<f64>,
    /// A bound on the relative error of the quotient of the two.
    error: f64,
}

/// A bound on the number of roundings that affect an effect, each weighted by what it can change.
///
/// See the head of this file. With `d` neighbors, a new transition differs from the exact one by `d
/// + 5` roundings, in two quotients; the substitutions and the diagonal add `4 d + 18`.
fn roundings(order: &Order) -> f64 {
    let of_step = |d: usize| (4 * d * (d + 5) + 4 * d + 18) as f64;
    order.degrees().map(of_step).sum::<f64>() + 16.0
}

impl Estimate {
    /// Computes the estimates of all places from the factors.
    fn of(floats: &Factors<'_, f64>, order: &Order) -> Estimate {
        let places = 0..order.state.len();
        Estimate {
            to_conversion: floats.to_conversion(),
            diagonal: places.map(|place| floats.diagonal(place)).collect(),
            // The tenth covers the products of small errors.
            error: 1.1 * roundings(order) * f64::EPSILON,
        }
    }

    /// The least and the greatest rounded effect of a place that the error bound permits, in parts
    /// per million.
    fn bounds(&self, place: usize, conversions: i64) -> (i64, i64) {
        let below = self.diagonal[place] * conversions as f64;
        let ppm = PPM as f64 * (self.to_conversion[place] / below);
        // Published effects are rounded themselves; an effect that floats cannot distinguish from zero is zero.
        let error = ppm * self.error + (ppm + 1.0) * 8.0 * f64::EPSILON;
        let rounded = |ppm: f64| ((ppm + 0.5).floor() as i64).clamp(0, PPM);
        (rounded(ppm - error), rounded(ppm + error))
    }
}

/// Decides single effects in integers.
struct Decider<'a> {
    chain: &'a Chain,
    order: &'a Order,
    floats: &'a Factors<'a, f64>,
    estimate: &'a Estimate,
    conversions: i64,
    /// The transitions into each state, with their origins.
    arrivals: Vec<Vec<(usize, i64)>>,
    /// The solution modulo primes, once it was needed.
    modulo: Option<Modulo<'a>>,
}

impl Decider<'_> {
    /// Whether the effect of a place is at least `ppm - ½` parts per million.
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

/// The solutions of a chain modulo two primes, and modulo a third if one of them divides a pivot.
struct Modulo<'a> {
    first: Option<OfPrime<'a, { PRIMES[0] }>>,
    second: Option<OfPrime<'a, { PRIMES[1] }>>,
    third: Option<OfPrime<'a, { PRIMES[2] }>>,
}

impl<'a> Modulo<'a> {
    /// Eliminates the chain modulo the primes.
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

    /// Whether `2,000,000 (M⁻¹ r)_c` equals `half (M⁻¹)_cc` modulo all primes.
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

/// The solution of a chain modulo one prime.
struct OfPrime<'a, const P: u64> {
    factors: Factors<'a, Residue<P>>,
    to_conversion: Vec<Residue<P>>,
}

impl<'a, const P: u64> OfPrime<'a, P> {
    /// Eliminates the chain, or returns `None` if the prime divides a pivot.
    fn of(chain: &Chain, order: &'a Order) -> Option<OfPrime<'a, P>> {
        let factors = Factors::of(chain, order)?;
        let to_conversion = factors.to_conversion();
        Some(OfPrime {
            factors,
            to_conversion,
        })
    }

    /// Whether the equation of [`Modulo::is_zero`] holds modulo this prime.
    fn is_zero(&self, place: usize, half: u128) -> bool {
        let converts = Residue::of(2 * PPM).times(self.to_conversion[place]);
        let stays = self.factors.diagonal(place);
        converts == Residue::from_u128(half).times(stays)
    }
}

/// The transitions into each state, with their origins, ascending.
fn arrivals(chain: &Chain) -> Vec<Vec<(usize, i64)>> {
    let mut arrivals = vec![Vec::new(); chain.len()];
    for (from, row) in chain.between.iter().enumerate() {
        for (to, count) in row {
            arrivals[*to].push((from, *count));
        }
    }
    arrivals
}

/// The iterative refinement of `v_c`.
struct Refined {
    /// The place `c`.
    place: usize,
    /// The number of binary digits after the point of `value` and `rest`.
    bits: u64,
    /// The current approximation of `v_c`.
    value: BigInt,
    /// The exact residual of `M v`, by place.
    rest: Vec<BigInt>,
    /// Whether a path from `c` reaches each place. Only these contribute to `v_c`.
    is_met: Vec<bool>,
}

impl Refined {
    /// Starts with `v = 0`, so that the residual is the right-hand side.
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

    /// Adds [`BITS`] bits. Returns whether `v_c` is positive, if its sign is known now.
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

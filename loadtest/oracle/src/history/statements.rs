//! What persons of a random world say about the use of their records.
//!
//! Statements are about few identifiers, and mostly about those of a record that is there. Many are said at the very
//! moment of another, many after all others, so that withdrawals, renewals and ties are common; the rest are said at
//! any moment, and so arrive late.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tributary_operators::record::{Body, IdSet, Right};
use tributary_operators::steps::{Step, Steps};

use super::choices::pick;

const MS_PER_HOUR: i64 = 3_600_000;

/// When a brand's statements were said.
#[derive(Default)]
pub(super) struct Moments {
    said: Vec<i64>,
}

impl Moments {
    /// The moment of the next statement: the one of another, one after all others, or `any`.
    pub(super) fn next(&mut self, rng: &mut ChaCha8Rng, any: i64) -> i64 {
        let last = self.said.iter().max().copied();
        let ts = match (last, rng.random_range(0..10)) {
            (Some(_), 0..=2) => self.said[rng.random_range(0..self.said.len())],
            (Some(last), 3..=6) => last + pick(rng, [0, 1, MS_PER_HOUR]),
            _ => any,
        };
        self.said.push(ts);
        ts
    }

    /// The moment after all others.
    pub(super) fn after_all(&mut self) -> i64 {
        let last = self.said.iter().max().copied().unwrap_or_default() + 1;
        self.said.push(last);
        last
    }
}

/// A statement of consent, or a right that is exercised or taken back.
pub(super) fn statement(rng: &mut ChaCha8Rng) -> Body {
    match rng.random_range(0..10) {
        0..=6 => Body::Consent { steps: steps(rng) },
        7..=8 => Body::Right {
            right: Right::Restriction,
            stands: rng.random_bool(0.6),
        },
        _ => Body::Right {
            right: pick(rng, Right::ALL),
            stands: rng.random_bool(0.6),
        },
    }
}

/// What somebody says who has changed his mind; none where it was no statement.
pub(super) fn opposite(body: &Body) -> Option<Body> {
    match *body {
        Body::Consent { steps } => Some(Body::Consent {
            steps: match steps == Steps::ALL {
                true => Steps::NONE,
                false => Steps::ALL,
            },
        }),
        Body::Right { right, stands } => Some(Body::Right {
            right,
            stands: !stands,
        }),
        _ => None,
    }
}

/// Mostly everything, nothing, or everything but one step.
fn steps(rng: &mut ChaCha8Rng) -> Steps {
    match rng.random_range(0..20) {
        0..=5 => Steps::ALL,
        6..=8 => Steps::NONE,
        9..=17 => {
            let step = pick(rng, [Step::Hold, Step::Credit, Step::Join, Step::Link]);
            Steps::ALL.without(step)
        }
        _ => Step::ALL
            .into_iter()
            .filter(|_| rng.random_bool(0.5))
            .fold(Steps::NONE, Steps::with),
    }
}

/// Whom a statement is about, where it is made by somebody whom a record names: mostly one of its identifiers.
pub(super) fn about(rng: &mut ChaCha8Rng, named: &IdSet) -> IdSet {
    match named.ids() {
        [] => named.clone(),
        _ if rng.random_bool(0.3) => named.clone(),
        ids => IdSet::new(vec![ids[rng.random_range(0..ids.len())]]),
    }
}

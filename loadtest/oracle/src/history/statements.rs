//! The statements of the persons of a random world about the use of their records.
//!
//! A statement concerns few identifiers, mostly those of an existing record. Many are made at the
//! time of another, and many after all others, so that withdrawals, renewals and ties are common;
//! the rest have any time, and so arrive late. Half of the statements of consent have one of a few
//! consent strings, last updated before, on or after the day of the statement. So old strings are
//! sent again after a withdrawal and before it, and the first statement with a string is corrected
//! and dropped. Some statements are attached to a web record and have no ID of their own.

use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tributary_operators::allowed_uses::{AllowedUses, Use};
use tributary_operators::label::Label;
use tributary_operators::record::{Body, BoxAnswer, ConsentString, IdSet, NoticeBox, Right};

use super::pick::pick;
use super::vocabulary::{BOXES, LANGUAGE, NOTICES, VERSIONS, WORDINGS};

/// One hour in milliseconds.
const MS_PER_HOUR: i64 = 3_600_000;

/// The times of the statements of a brand, Unix milliseconds.
#[derive(Default)]
pub(super) struct StatementTimes {
    times: Vec<i64>,
}

impl StatementTimes {
    /// The time of the next statement: in 30 % of cases that of another, in 40 % one at or shortly
    /// after the latest, else `any`.
    pub(super) fn next(&mut self, rng: &mut ChaCha8Rng, any: i64) -> i64 {
        let last = self.times.iter().max().copied();
        let ts = match (last, rng.random_range(0..10)) {
            (Some(_), 0..=2) => self.times[rng.random_range(0..self.times.len())],
            (Some(last), 3..=6) => last + pick(rng, [0, 1, MS_PER_HOUR]),
            _ => any,
        };
        self.times.push(ts);
        ts
    }

    /// A time after all others.
    pub(super) fn after_all(&mut self) -> i64 {
        let last = self.times.iter().max().copied().unwrap_or_default() + 1;
        self.times.push(last);
        last
    }
}

/// A statement of consent, or one that exercises or withdraws a right.
pub(super) fn statement(rng: &mut ChaCha8Rng) -> Body {
    match rng.random_range(0..10) {
        0..=3 => by_string(rng),
        4..=6 => Body::Consent {
            steps: steps(rng),
            string: None,
            boxes: boxes(&mut rng.clone()),
        },
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

/// In half of the cases the boxes of a form: few notices, versions and languages, so that many statements share a cell, and
/// few boxes, so that one takes the tick of another back. The generator is a copy, so that what follows does not depend on them.
fn boxes(rng: &mut ChaCha8Rng) -> Option<Arc<[NoticeBox]>> {
    let names: Vec<&str> = BOXES.into_iter().filter(|_| rng.random_bool(0.5)).collect();
    let boxes = names.into_iter().map(|name| NoticeBox {
        name: Label::of(name),
        answer: pick(rng, [0, 0, 1, 1, 1, 2].map(|at: usize| BoxAnswer::ALL[at])),
        notice: pick(rng, NOTICES.map(Label::of)),
        version: pick(rng, VERSIONS.map(Label::of)),
        language: Label::of(LANGUAGE),
        wording: pick(rng, WORDINGS.map(Label::of)),
    });
    let boxes: Arc<[NoticeBox]> = boxes.collect();
    (!boxes.is_empty()).then_some(boxes)
}

/// The opposite of a statement, or `None` for any other content.
pub(super) fn opposite(body: &Body) -> Option<Body> {
    match *body {
        Body::Consent {
            steps, ref boxes, ..
        } => Some(Body::Consent {
            steps: match steps == AllowedUses::ALL {
                true => AllowedUses::NONE,
                false => AllowedUses::ALL,
            },
            string: None,
            boxes: boxes.as_ref().map(|boxes| {
                let opposite = boxes.iter().map(|of| NoticeBox {
                    answer: match of.answer {
                        BoxAnswer::Ticked => BoxAnswer::Unticked,
                        BoxAnswer::Unticked | BoxAnswer::Preticked => BoxAnswer::Ticked,
                    },
                    ..*of
                });
                opposite.collect()
            }),
        }),
        Body::Right { right, stands } => Some(Body::Right {
            right,
            stands: !stands,
        }),
        _ => None,
    }
}

/// The first day on which consent strings were updated, some days before the world begins.
const FIRST_UPDATE: i32 = 19_746;

/// A statement with one of eight consent strings. Even ones allow everything, odd ones nothing,
/// except that in 10 % of cases the brand interprets a string differently.
fn by_string(rng: &mut ChaCha8Rng) -> Body {
    let number = rng.random_range(0..8_u8);
    let all_or_nothing = match number % 2 {
        0 => AllowedUses::ALL,
        _ => AllowedUses::NONE,
    };
    let string = ConsentString {
        hash: number.into(),
        // Two strings of one day each, over the days that see most and behind them.
        updated: FIRST_UPDATE + i32::from(number / 2) * 4,
    };
    Body::Consent {
        steps: match rng.random_bool(0.1) {
            true => steps(rng),
            false => all_or_nothing,
        },
        string: Some(string),
        boxes: None,
    }
}

/// Mostly all uses, none, or all but one.
fn steps(rng: &mut ChaCha8Rng) -> AllowedUses {
    match rng.random_range(0..20) {
        0..=5 => AllowedUses::ALL,
        6..=8 => AllowedUses::NONE,
        9..=17 => {
            let step = pick(rng, [Use::Hold, Use::Credit, Use::Join, Use::Link]);
            AllowedUses::ALL.without(step)
        }
        _ => Use::ALL
            .into_iter()
            .filter(|_| rng.random_bool(0.5))
            .fold(AllowedUses::NONE, AllowedUses::with),
    }
}

/// The identifiers that a statement by the person of a record concerns: mostly one of them.
pub(super) fn about(rng: &mut ChaCha8Rng, named: &IdSet) -> IdSet {
    match named.ids() {
        [] => named.clone(),
        _ if rng.random_bool(0.3) => named.clone(),
        ids => IdSet::new(vec![ids[rng.random_range(0..ids.len())]]),
    }
}

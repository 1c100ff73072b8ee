//! Consent state: the policy of each identifier, from all statements about it.
//!
//! Consents and rights are records like any other: they are upserted, corrected and retracted. The newest statement about
//! an identifier wins, in the order that [`crate::statement_order`] defines. So the policy is a function of the current
//! statements, and their order of arrival has no effect (invariant I1).
//!
//! The operator also tracks the identifier sets of current records that contain each identifier, and sends each of these
//! sets the policies of its members, except default policies. It counts how many identifiers allow each use for
//! [`crate::consent_counts`].

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::ask::RoutedQuestion;
use crate::consent_counts::ConsentDelta;
use crate::engine::{Diff, Epoch, KeyedOperator};
use crate::policy::{Policy, Statement};
use crate::record::{BrandId, Pseudonym};
use crate::small_map::{Bag, SmallMap};
use crate::statement_order::StatementOrder;

/// The input of [`ConsentState`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConsentStateIn {
    /// A statement about an identifier, with its time in Unix milliseconds.
    Statement(BrandId, Pseudonym, i64, Statement),
    /// A worker holds records with an identifier set (its key) that contains the identifier.
    Named(BrandId, Pseudonym, u128),
    /// A question for the records that contain the identifier.
    Ask(RoutedQuestion, Pseudonym),
}

/// The output of [`ConsentState`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConsentStateOut {
    /// The policy of one member of an identifier set.
    Policy(BrandId, u128, Pseudonym, Policy),
    /// A question for the records of an identifier set.
    Ask(RoutedQuestion, u128),
    /// The change of the counts of a brand's identifiers by allowed use.
    Allowed(BrandId, ConsentDelta),
}

/// The state of one identifier.
#[derive(Default)]
struct SubjectState {
    /// The statements; `None` for most identifiers.
    statement: Option<Box<StatementOrder>>,
    /// The identifier sets that contain it, each with the number of workers that hold records of the set.
    sets: Bag<u128>,
    /// The policy at the end of the last epoch that changed it.
    policy: Policy,
}

/// The operator. State: every identifier that a record or a statement contains.
#[derive(Default)]
pub struct ConsentState {
    subjects: FxHashMap<(BrandId, Pseudonym), SubjectState>,
}

/// The updates of one identifier in one epoch.
#[derive(Default)]
struct Changes {
    statement: Vec<((i64, Statement), Diff)>,
    sets: Vec<(u128, Diff)>,
}

impl KeyedOperator for ConsentState {
    type In = ConsentStateIn;
    type Out = ConsentStateOut;
    const NAME: &'static str = "ConsentState";

    fn route(update: &ConsentStateIn) -> u64 {
        match update {
            ConsentStateIn::Statement(_, id, ..)
            | ConsentStateIn::Named(_, id, _)
            | ConsentStateIn::Ask(_, id) => *id as u64,
        }
    }

    fn entries(&self) -> usize {
        self.subjects.len()
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        updates: Vec<(ConsentStateIn, Diff)>,
        out: &mut Vec<(ConsentStateOut, Diff)>,
    ) {
        let mut changes: FxHashMap<(BrandId, Pseudonym), Changes> = FxHashMap::default();
        let mut questions = Vec::new();
        for (update, diff) in updates {
            match update {
                ConsentStateIn::Statement(brand, id, ts, statement) => {
                    let changes = changes.entry((brand, id)).or_default();
                    changes.statement.push(((ts, statement), diff));
                }
                ConsentStateIn::Named(brand, id, set) => {
                    let changes = changes.entry((brand, id)).or_default();
                    changes.sets.push((set, diff));
                }
                ConsentStateIn::Ask(asked, id) => questions.push((asked, id)),
            }
        }
        let mut allowed: BTreeMap<BrandId, ConsentDelta> = BTreeMap::new();
        for (key, changes) in changes {
            let (brand, id) = key;
            let subject = self.subjects.entry(key).or_default();
            let was = subject.policy;
            if !changes.statement.is_empty() {
                let order = subject.statement.get_or_insert_default();
                for ((ts, statement), diff) in changes.statement {
                    order.add(ts, statement, diff);
                }
                subject.policy = order.policy();
                if order.is_empty() {
                    subject.statement = None;
                }
                let is = subject.policy.allowed;
                let counts = allowed.entry(brand).or_default();
                counts.change(id, was.allowed, is);
            }
            let is = subject.policy;
            let mut tell = |set, policy, diff| {
                if policy != Policy::default() {
                    out.push((ConsentStateOut::Policy(brand, set, id, policy), diff));
                }
            };
            if was != is {
                for (set, _) in subject.sets.iter() {
                    tell(*set, was, -1);
                }
            }
            let mut before: SmallMap<u128, bool> = SmallMap::default();
            for (set, diff) in changes.sets {
                if before.get(&set).is_none() {
                    before.insert(set, subject.sets.get(&set).is_some());
                }
                subject.sets.add(set, diff);
            }
            if was != is {
                for (set, _) in subject.sets.iter() {
                    tell(*set, is, 1);
                }
            } else {
                for (set, named) in before.iter() {
                    let names = subject.sets.get(set).is_some();
                    if *named != names {
                        tell(*set, is, if names { 1 } else { -1 });
                    }
                }
            }
            if subject.statement.is_none() && subject.sets.is_empty() {
                self.subjects.remove(&key);
            }
        }
        let changed = allowed.into_iter();
        let changed = changed.filter(|(_, counts)| *counts != ConsentDelta::default());
        out.extend(changed.map(|(brand, counts)| (ConsentStateOut::Allowed(brand, counts), 1)));
        for (asked, id) in questions {
            let key = (asked.question.brand(), id);
            let sets = self.subjects.get(&key).map(|subject| &subject.sets);
            for (set, _) in sets.into_iter().flat_map(SmallMap::iter) {
                out.push((ConsentStateOut::Ask(asked.clone(), *set), 1));
            }
        }
    }
}

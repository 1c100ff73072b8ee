//! ConsentState: what each identifier's owner allows, and which rights stand for it.
//!
//! A consent and a right are records like any other, held, corrected and retracted. Of what is said about one
//! identifier the newest counts, as [`crate::statement_order`] has it. So the outcome is a function of the statements
//! held, and the order in which they arrived cannot show (invariant I1).
//!
//! The stage also knows in which sets of identifiers held records name the identifier, and tells each of these sets
//! how its members stand. Only those about whom something was said are told of. How many allow what is counted for
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

/// What the stage is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConsentStateIn {
    /// A record about the identifier is held, said at a time in Unix milliseconds.
    Statement(BrandId, Pseudonym, i64, Statement),
    /// Records held by some worker name a set of identifiers of which this is one.
    Named(BrandId, Pseudonym, u128),
    /// Somebody asks for the records that name the identifier.
    Ask(RoutedQuestion, Pseudonym),
}

/// What the stage says to a set of identifiers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConsentStateOut {
    /// How a member stands.
    Policy(BrandId, u128, Pseudonym, Policy),
    /// Somebody asks for the records of the set.
    Ask(RoutedQuestion, u128),
    /// By how much it has changed what the identifiers of a brand allow.
    Allowed(BrandId, ConsentDelta),
}

/// What is known about one identifier.
#[derive(Default)]
struct SubjectState {
    /// What was said; nothing of most identifiers.
    statement: Option<Box<StatementOrder>>,
    /// The sets that it stands in, each with the number of workers that hold records of it.
    sets: Bag<u128>,
    /// How it stood at the end of the last epoch in which something changed.
    policy: Policy,
}

/// The stage. Every identifier that is named or spoken about.
#[derive(Default)]
pub struct ConsentState {
    subjects: FxHashMap<(BrandId, Pseudonym), SubjectState>,
}

/// The changes of one identifier in one epoch.
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

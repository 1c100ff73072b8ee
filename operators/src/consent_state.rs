//! Consent state: the policy of each identifier, from all statements about it.
//!
//! Consents and rights are records like any other: they are upserted, corrected and retracted. The newest statement about
//! an identifier wins, in the order that [`crate::statement_order`] defines. So the policy is a function of the current
//! statements, and their order of arrival has no effect (invariant I1).
//!
//! The operator also tracks the identifier sets of current records that contain each identifier, and sends each of these
//! sets the policies of its members, except default policies. It passes on what each identifier allows, by way of the
//! identity graph, to [`crate::consent_counts`].

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::allowed_uses::AllowedUses;
use crate::ask::{Question, RoutedQuestion};
use crate::engine::{Diff, Epoch, GroupedState, KeyedOperator, QueryOperator, State, emit_change};
use crate::hash_key::HashKey;
use crate::policy::{Policy, Statement};
use crate::record::{BrandId, Pseudonym};
use crate::small_map::SmallMap;
use crate::statement_order::Statements;

/// The input of [`ConsentState`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConsentStateIn {
    /// A statement about an identifier, with its time in Unix milliseconds. Statements are a multiset: two records may state the
    /// same.
    Statement(BrandId, Pseudonym, i64, Statement),
    /// A worker holds records with an identifier set (its key) that contains the identifier.
    Named(BrandId, Pseudonym, u128),
}

/// The output of [`ConsentState`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConsentStateOut {
    /// The policy of one member of an identifier set.
    Policy(BrandId, u128, Pseudonym, Policy),
    /// What the statements about an identifier allowed before this epoch and allow now; absent without a statement.
    Allowed(BrandId, Pseudonym, Option<AllowedUses>, Option<AllowedUses>),
}

/// The state of one identifier.
#[derive(Default)]
struct SubjectState {
    /// The statements, if there are any.
    statements: Option<Box<Statements>>,
    /// The identifier sets that contain it, each with the number of workers that hold records of the set.
    sets: SmallMap<HashKey, i32>,
    /// The policy at the end of the last epoch that changed it.
    policy: Policy,
}

impl State for SubjectState {
    fn is_empty(&self) -> bool {
        self.statements.is_none() && self.sets.is_empty()
    }
}

impl SubjectState {
    /// Applies the changes of one epoch, and emits the policy of the identifier for each set that is affected.
    fn amend(
        &mut self,
        (brand, id): (BrandId, Pseudonym),
        changes: Changes,
        out: &mut Vec<(ConsentStateOut, Diff)>,
    ) {
        let was = self.policy;
        if !changes.statements.is_empty() {
            for ((ts, statement), diff) in changes.statements {
                let held = self.statements.take();
                self.statements = Statements::add(held, ts, statement, diff);
            }
            let held = self.statements.as_ref();
            self.policy = held.map_or_else(Policy::default, |held| held.policy());
        }
        let is = self.policy;
        let mut touched: SmallMap<HashKey, bool> = SmallMap::default();
        for (set, diff) in changes.sets {
            if touched.get(&set).is_none() {
                touched.insert(set, self.sets.get(&set).is_some());
            }
            self.sets.add(set, diff);
        }
        let mut emit = |set: HashKey, was: Option<Policy>, is: Option<Policy>| {
            let shown = |policy: &Policy| *policy != Policy::default();
            let row = |policy| ConsentStateOut::Policy(brand, set.into(), id, policy);
            emit_change(was.filter(shown), is.filter(shown), row, out);
        };
        for (set, had) in touched.iter() {
            let has = self.sets.get(set).is_some();
            emit(*set, had.then_some(was), has.then_some(is));
        }
        if was != is {
            let others = self.sets.iter().map(|(set, _)| *set);
            for set in others.filter(|set| touched.get(set).is_none()) {
                emit(set, Some(was), Some(is));
            }
        }
    }
}

/// The operator. State: every identifier that a record or a statement contains.
#[derive(Default)]
pub struct ConsentState {
    /// The state of each identifier.
    subjects: GroupedState<BrandId, HashKey, SubjectState>,
}

/// The updates of one identifier in one epoch.
#[derive(Default)]
struct Changes {
    /// Statements with their times in Unix milliseconds.
    statements: Vec<((i64, Statement), Diff)>,
    /// The keys of identifier sets that contain the identifier.
    sets: Vec<(HashKey, Diff)>,
}

impl KeyedOperator for ConsentState {
    type In = ConsentStateIn;
    type Out = ConsentStateOut;
    const NAME: &'static str = "ConsentState";

    /// By the identifier, so that all statements about it and all of its sets are on one worker.
    fn route(update: &ConsentStateIn) -> u64 {
        match update {
            ConsentStateIn::Statement(_, id, ..) | ConsentStateIn::Named(_, id, _) => *id as u64,
        }
    }

    fn entries(&self) -> usize {
        self.subjects.len()
    }

    fn bytes(&self) -> usize {
        self.subjects.bytes(|of| {
            let held = of.statements.as_ref();
            let held = held.map_or(0, |held| size_of::<Statements>() + held.heap_bytes());
            held + of.sets.heap_bytes(|_| 0)
        })
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        updates: Vec<(ConsentStateIn, Diff)>,
        out: &mut Vec<(ConsentStateOut, Diff)>,
    ) {
        let mut changes: FxHashMap<(BrandId, Pseudonym), Changes> = FxHashMap::default();
        for (update, diff) in updates {
            match update {
                ConsentStateIn::Statement(brand, id, ts, statement) => {
                    let changes = changes.entry((brand, id)).or_default();
                    changes.statements.push(((ts, statement), diff));
                }
                ConsentStateIn::Named(brand, id, set) => {
                    let changes = changes.entry((brand, id)).or_default();
                    changes.sets.push((set.into(), diff));
                }
            }
        }
        for (key, changes) in changes {
            self.subjects.amend(key.0, key.1.into(), |subject| {
                let was = subject.policy.allowed;
                subject.amend(key, changes, out);
                let is = subject.policy.allowed;
                if was != is {
                    out.push((ConsentStateOut::Allowed(key.0, key.1, was, is), 1));
                }
            });
        }
    }
}

impl QueryOperator for ConsentState {
    type Question = Question;
    /// The same question, to an identifier set that contains the identifier.
    type Reply = RoutedQuestion;

    fn answer(&mut self, query: RoutedQuestion, replies: &mut Vec<RoutedQuestion>) {
        let brand = query.question.brand();
        let subject = self.subjects.get(&brand, &query.key.into());
        let sets = subject.into_iter().flat_map(|subject| subject.sets.iter());
        replies.extend(sets.map(|(set, _)| query.redirect((*set).into(), query.question.clone())));
    }
}

//! Statements: what each identifier's owner allows, and which rights stand for it.
//!
//! A consent and a right are records like any other, held, corrected and retracted. Of what is said about one
//! identifier the newest counts, as [`crate::statement_order`] has it. So the outcome is a function of the statements
//! held, and the order in which they arrived cannot show (invariant I1).
//!
//! The stage also knows in which sets of identifiers held records name the identifier, and tells each of these sets
//! how its members stand. Only those about whom something was said are told of. How many allow what is counted for
//! [`crate::consents`].

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::ask::Asked;
use crate::consents::Counts;
use crate::engine::{Diff, Epoch, Stage};
use crate::policy::{Said, Stance};
use crate::record::{BrandId, Pseudonym};
use crate::small_map::{Bag, SmallMap};
use crate::statement_order::StatementOrder;

/// What the stage is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StatementIn {
    /// A record about the identifier is held, said at a time in Unix milliseconds.
    Said(BrandId, Pseudonym, i64, Said),
    /// Records held by some worker name a set of identifiers of which this is one.
    Named(BrandId, Pseudonym, u128),
    /// Somebody asks for the records that name the identifier.
    Ask(Asked, Pseudonym),
}

/// What the stage says to a set of identifiers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StatementOut {
    /// How a member stands.
    Stance(BrandId, u128, Pseudonym, Stance),
    /// Somebody asks for the records of the set.
    Ask(Asked, u128),
    /// By how much it has changed what the identifiers of a brand allow.
    Allowed(BrandId, Counts),
}

/// What is known about one identifier.
#[derive(Default)]
struct Voice {
    /// What was said; nothing of most identifiers.
    said: Option<Box<StatementOrder>>,
    /// The sets that it stands in, each with the number of workers that hold records of it.
    sets: Bag<u128>,
    /// How it stood at the end of the last epoch in which something changed.
    stance: Stance,
}

/// The stage. Every identifier that is named or spoken about.
#[derive(Default)]
pub struct Statements {
    voices: FxHashMap<(BrandId, Pseudonym), Voice>,
}

/// The changes of one identifier in one epoch.
#[derive(Default)]
struct Changes {
    said: Vec<((i64, Said), Diff)>,
    sets: Vec<(u128, Diff)>,
}

impl Stage for Statements {
    type In = StatementIn;
    type Out = StatementOut;
    const NAME: &'static str = "Statements";

    fn route(update: &StatementIn) -> u64 {
        match update {
            StatementIn::Said(_, id, ..)
            | StatementIn::Named(_, id, _)
            | StatementIn::Ask(_, id) => *id as u64,
        }
    }

    fn entries(&self) -> usize {
        self.voices.len()
    }

    fn step(
        &mut self,
        _: Epoch,
        updates: Vec<(StatementIn, Diff)>,
        out: &mut Vec<(StatementOut, Diff)>,
    ) {
        let mut changes: FxHashMap<(BrandId, Pseudonym), Changes> = FxHashMap::default();
        let mut questions = Vec::new();
        for (update, diff) in updates {
            match update {
                StatementIn::Said(brand, id, ts, said) => {
                    let changes = changes.entry((brand, id)).or_default();
                    changes.said.push(((ts, said), diff));
                }
                StatementIn::Named(brand, id, set) => {
                    let changes = changes.entry((brand, id)).or_default();
                    changes.sets.push((set, diff));
                }
                StatementIn::Ask(asked, id) => questions.push((asked, id)),
            }
        }
        let mut allowed: BTreeMap<BrandId, Counts> = BTreeMap::new();
        for (key, changes) in changes {
            let (brand, id) = key;
            let voice = self.voices.entry(key).or_default();
            let was = voice.stance;
            if !changes.said.is_empty() {
                let order = voice.said.get_or_insert_default();
                for ((ts, said), diff) in changes.said {
                    order.add(ts, said, diff);
                }
                voice.stance = order.stance();
                if order.is_empty() {
                    voice.said = None;
                }
                let is = voice.stance.allowed;
                let counts = allowed.entry(brand).or_default();
                counts.change(id, was.allowed, is);
            }
            let is = voice.stance;
            let mut tell = |set, stance, diff| {
                if stance != Stance::default() {
                    out.push((StatementOut::Stance(brand, set, id, stance), diff));
                }
            };
            if was != is {
                for (set, _) in voice.sets.iter() {
                    tell(*set, was, -1);
                }
            }
            let mut before: SmallMap<u128, bool> = SmallMap::default();
            for (set, diff) in changes.sets {
                if before.get(&set).is_none() {
                    before.insert(set, voice.sets.get(&set).is_some());
                }
                voice.sets.add(set, diff);
            }
            if was != is {
                for (set, _) in voice.sets.iter() {
                    tell(*set, is, 1);
                }
            } else {
                for (set, named) in before.iter() {
                    let names = voice.sets.get(set).is_some();
                    if *named != names {
                        tell(*set, is, if names { 1 } else { -1 });
                    }
                }
            }
            if voice.said.is_none() && voice.sets.is_empty() {
                self.voices.remove(&key);
            }
        }
        let changed = allowed.into_iter();
        let changed = changed.filter(|(_, counts)| *counts != Counts::default());
        out.extend(changed.map(|(brand, counts)| (StatementOut::Allowed(brand, counts), 1)));
        for (asked, id) in questions {
            let key = (asked.question.brand(), id);
            let sets = self.voices.get(&key).map(|voice| &voice.sets);
            for (set, _) in sets.into_iter().flat_map(SmallMap::iter) {
                out.push((StatementOut::Ask(asked.clone(), *set), 1));
            }
        }
    }
}

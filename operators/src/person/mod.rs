//! Person: everything that follows from what one person did.
//!
//! A person's touches and conversions meet here. When something changes, only the conversions whose
//! window holds the change are looked at again: what they contributed before is taken back, what they
//! contribute now is added. A conversion's contribution is a pure function of the path, so nothing of
//! it is kept but a count per cell, which makes a person count once in a cell.
//!
//! A person without a conversion contributes its months of touches as null paths to the Markov chains ([`null`]).

mod affected;
mod cell_membership;
mod null;
mod touches;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, CellKey, Credited, DeltaBuffer, MonthGroup};
use crate::ask::{Answer, Question, Reply, RoutedQuestion};
use crate::attribution::Model;
use crate::attribution::credit::{CONVERSION, credits};
use crate::attribution::path::{Touch, steps};
use crate::calendar::month;
use crate::engine::{Diff, Epoch, KeyedOperator};
use crate::facts::{Contact, Conversion, Fact, FactChanges, in_cheap_order, net};
use crate::identity::components::Person as PersonLabel;
use crate::label::Channel;
use crate::record::BrandId;
use crate::release::{RowCredit, SaleRow};
use crate::routing::takings;
use crate::runs::Runs;
use crate::settings::{BrandSettings, Settings};
use crate::stats::Stats;
use affected::Affected;
use cell_membership::CellMembership;
use null::NullPaths;
use touches::Touches;

/// A person of a brand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PersonKey {
    /// The brand.
    pub brand: BrandId,
    /// The person's label in the graph.
    pub person: PersonLabel,
}

/// The input of [`Persons`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PersonIn {
    /// A fact of the person.
    Fact(PersonKey, Fact),
    /// The person has more identifiers than the size guard allows.
    Oversized(PersonKey),
    /// Somebody asks for the persons behind a cell.
    Ask(RoutedQuestion),
}

/// The output of [`Persons`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PersonOut {
    /// A change of a cell.
    Sum(CellKey, Aggregate),
    /// An answer.
    Answer(Answer),
}

/// What one person did, as multisets.
#[derive(Default)]
struct Person {
    touches: Touches,
    conversions: Runs<Conversion>,
    oversized: bool,
    /// Kept for who has many touches and now and then a conversion.
    null: Option<Box<NullPaths>>,
    /// In how many of its contacts or conversions the person stands behind a cell.
    cell_refs: FxHashMap<u64, u32>,
}

/// The changes of one person in one epoch.
#[derive(Default)]
struct Changes {
    facts: FactChanges,
    oversized: Diff,
}

impl Person {
    /// Whether the person's touches are null paths.
    fn is_null(&self) -> bool {
        self.conversions.is_empty() && !self.oversized
    }

    fn is_gone(&self) -> bool {
        self.touches.is_empty()
            && self.conversions.is_empty()
            && self.cell_refs.is_empty()
            && !self.oversized
    }

    fn change(
        &mut self,
        key: PersonKey,
        settings: &BrandSettings,
        mut changes: Changes,
        deltas: &mut DeltaBuffer,
    ) -> u64 {
        let brand = key.brand;
        net(&mut changes.facts);
        let mut cell_refs = std::mem::take(&mut self.cell_refs);
        let mut membership = CellMembership::new(&mut cell_refs, key.person);
        let was_null = self.is_null();
        let flips = changes.oversized != 0;
        let (touches, conversions) = (&self.touches, &self.conversions);
        let affected = Affected::of(&changes.facts, flips, touches, conversions, settings);

        let mut steps = self.contribute(brand, settings, &affected, -1, &mut membership, deltas);
        let changed = changes.facts.len() as u64;
        for (fact, diff) in in_cheap_order(changes.facts) {
            match &fact {
                Fact::Conversion(conversion) => steps += self.conversions.amend(conversion, diff),
                Fact::Contact(contact) => {
                    let day = CellKey::CampaignDay {
                        brand,
                        channel: contact.channel,
                        day: contact.day,
                    };
                    membership.add(day, diff);
                    if contact.touch {
                        steps +=
                            self.touch(brand, contact, diff, was_null, &mut membership, deltas);
                    }
                }
            }
        }
        self.oversized = match changes.oversized {
            0 => self.oversized,
            change => change > 0,
        };
        steps += self.contribute(brand, settings, &affected, 1, &mut membership, deltas);
        if was_null != self.is_null() {
            let diff = if was_null { -1 } else { 1 };
            let touches = &self.touches;
            steps += NullPaths::flip(
                &mut self.null,
                touches,
                brand,
                diff,
                &mut membership,
                deltas,
            );
        }
        membership.tell(deltas);
        self.cell_refs = cell_refs;
        steps + changed
    }

    /// What the affected conversions contribute as things stand now. Returns how many steps that took.
    fn contribute(
        &self,
        brand: BrandId,
        settings: &BrandSettings,
        affected: &Affected,
        diff: Diff,
        membership: &mut CellMembership<'_>,
        deltas: &mut DeltaBuffer,
    ) -> u64 {
        let looked = Cell::new(0);
        for conversion in affected.among(&self.conversions) {
            let who = membership.who;
            self.contribution(
                brand,
                settings,
                conversion,
                who,
                &looked,
                &mut |key, sums| {
                    membership.add(key.clone(), diff);
                    deltas.add(key, sums.changed_by(membership.who), diff);
                },
            );
            looked.set(looked.get() + 1);
        }
        looked.get()
    }

    /// What one conversion adds to the cells, each with this person as a contributor. Counts the touches that it looks at.
    fn contribution(
        &self,
        brand: BrandId,
        settings: &BrandSettings,
        conversion: &Conversion,
        who: u64,
        looked: &Cell<u64>,
        add: &mut impl FnMut(CellKey, Aggregate),
    ) {
        let Conversion {
            day,
            kind,
            store,
            left,
            currency,
            ..
        } = *conversion;
        if settings.has_ladder() {
            let row = self.row(brand, settings, conversion, who, looked);
            return add(CellKey::sale(row), Aggregate::of(&[1]));
        }
        let value = i128::from(left);
        add(
            takings(brand, kind, store, day, currency),
            Aggregate::of(&[1, value]),
        );
        let attribution = |model, channel| CellKey::Attribution {
            brand,
            model,
            channel,
            kind,
            store,
            day,
            currency,
        };
        let path = match self.oversized {
            true => Vec::new(),
            false => self.touches.path(conversion, settings, looked),
        };
        let group = MonthGroup {
            brand,
            month: month(day),
            kind,
            currency,
        };
        // A gate that hides nothing needs to know nothing.
        if settings.k > 1 {
            let credited = match (self.oversized, path.is_empty()) {
                (true, _) => Credited::Oversized,
                (false, true) => Credited::Nothing,
                (false, false) => Credited::Touches,
            };
            let taken = CellKey::Taken {
                group,
                store,
                day,
                credited,
                who: Some(who),
            };
            add(taken, Aggregate::of(&[1]));
            if credited == Credited::Touches {
                let touched = CellKey::Touched {
                    brand,
                    kind,
                    store,
                    day,
                    currency,
                };
                add(touched, Aggregate::default());
            }
        }
        let (Some(first), Some((_, earlier))) = (path.first(), path.split_last()) else {
            let nobody = if self.oversized {
                Channel::oversized()
            } else {
                Channel::unattributed()
            };
            for model in Model::ALL {
                add(
                    attribution(model, nobody),
                    Aggregate::of(&[CONVERSION, value]),
                );
            }
            return;
        };
        for credit in credits(&path, value, settings) {
            let sums = Aggregate::of(&[credit.millionths, credit.value]);
            add(attribution(credit.model, credit.channel), sums);
        }

        let one = Aggregate::of(&[1, value]);
        add(CellKey::Converted { group }, one);
        for (from, to) in transitions(path.iter().map(|touch| touch.channel)) {
            add(
                CellKey::ConvertingEdge { group, from, to },
                Aggregate::of(&[1]),
            );
        }
        for channel in distinct(&path) {
            add(
                CellKey::ConvertingReach { group, channel },
                Aggregate::default(),
            );
        }
        add(
            CellKey::Paths {
                group,
                path: steps(&path).into(),
            },
            one,
        );
        add(
            CellKey::PathLength {
                group,
                touches: path.len() as u32,
            },
            Aggregate::of(&[1]),
        );
        let days = ((conversion.ts - first.ts) / 86_400_000) as u32;
        add(CellKey::PathDays { group, days }, Aggregate::of(&[1]));
        for channel in distinct(earlier) {
            add(CellKey::Assists { group, channel }, one);
        }
    }

    /// One conversion with its path and credits, as one row.
    fn row(
        &self,
        brand: BrandId,
        settings: &BrandSettings,
        conversion: &Conversion,
        who: u64,
        looked: &Cell<u64>,
    ) -> SaleRow {
        let path = match self.oversized {
            true => Vec::new(),
            false => self.touches.path(conversion, settings, looked),
        };
        let nobody = match self.oversized {
            true => Channel::oversized(),
            false => Channel::unattributed(),
        };
        let narrow = |number: i128| i64::try_from(number).unwrap_or(i64::MAX);
        let of_path = credits(&path, conversion.left.into(), settings).into_iter();
        let of_path = of_path.map(|credit| RowCredit {
            model: credit.model,
            channel: credit.channel,
            millionths: narrow(credit.millionths),
            value: narrow(credit.value),
        });
        let days = |first: &Touch| ((conversion.ts - first.ts) / 86_400_000) as u32;
        SaleRow {
            group: MonthGroup {
                brand,
                month: month(conversion.day),
                kind: conversion.kind,
                currency: conversion.currency,
            },
            sale: conversion.name.0 as u64,
            who,
            is_person: true,
            store: conversion.store,
            day: conversion.day,
            conversions: 1,
            value: conversion.left,
            days: path.first().map_or(0, days),
            credits: match path.is_empty() {
                true => SaleRow::credit_all(nobody, narrow(CONVERSION), conversion.left),
                false => of_path.collect(),
            },
            path: path.iter().map(|touch| touch.channel).collect(),
        }
    }

    /// Adds or takes away a touch, and while the person is a null path what it changes in its month. Returns how many
    /// other touches moved.
    fn touch(
        &mut self,
        brand: BrandId,
        touch: &Contact,
        diff: Diff,
        is_null: bool,
        membership: &mut CellMembership<'_>,
        deltas: &mut DeltaBuffer,
    ) -> u64 {
        let mut moved = 0;
        // It is between its neighbours without itself.
        if diff < 0 {
            moved = self.touches.amend(touch, diff);
        }
        if is_null || self.null.is_some() {
            let null = &mut self.null;
            null::of_touch(&self.touches, touch, diff, |part, diff| {
                NullPaths::change(null, brand, is_null, (part, diff), membership, deltas);
            });
        }
        if diff > 0 {
            moved = self.touches.amend(touch, diff);
        }
        moved
    }
}

/// The transitions of a path between its ends, without those from a channel to itself, which change
/// no removal effect. An end is the default channel.
fn transitions(
    channels: impl Iterator<Item = Channel>,
) -> impl Iterator<Item = (Channel, Channel)> {
    let end = Channel::default();
    let mut from = end;
    channels.chain([end]).filter_map(move |to| {
        let edge = (from, to);
        from = to;
        (edge.0 != edge.1).then_some(edge)
    })
}

fn distinct(path: &[Touch]) -> Vec<Channel> {
    let mut channels: Vec<Channel> = path.iter().map(|touch| touch.channel).collect();
    channels.sort_unstable();
    channels.dedup();
    channels
}

/// The operator. State: the persons that this worker owns.
pub struct Persons {
    settings: Arc<Settings>,
    stats: Rc<Stats>,
    persons: FxHashMap<PersonKey, Person>,
    deltas: DeltaBuffer,
}

impl Persons {
    /// Knows nobody yet.
    pub fn new(settings: Arc<Settings>, stats: Rc<Stats>) -> Persons {
        Persons {
            settings,
            stats,
            persons: FxHashMap::default(),
            deltas: DeltaBuffer::default(),
        }
    }

    /// The paths of the conversions in question, with their persons.
    fn answer(&self, asked: &RoutedQuestion, out: &mut Vec<(PersonOut, Diff)>) {
        let Question::Paths { brand, of, channel } = &asked.question else {
            return;
        };
        let Some(settings) = self.settings.brands.get(brand) else {
            return;
        };
        let mut paths: std::collections::BTreeMap<Vec<Channel>, (u64, u64)> = Default::default();
        for (key, person) in &self.persons {
            if key.brand != *brand || person.oversized {
                continue;
            }
            let mut own: FxHashMap<Vec<Channel>, u64> = FxHashMap::default();
            for conversion in person.conversions.iter().filter(|c| of.holds(c)) {
                let path = person.touches.path(conversion, settings, &Cell::default());
                if path.iter().any(|touch| touch.channel == *channel) {
                    *own.entry(steps(&path)).or_default() += 1;
                }
            }
            for (path, conversions) in own {
                let entry = paths.entry(path).or_default();
                entry.0 += 1;
                entry.1 += conversions;
            }
        }
        for (path, (persons, conversions)) in paths {
            let reply = Reply::Path {
                brand: *brand,
                path,
                persons,
                conversions,
            };
            out.push((PersonOut::Answer(asked.answer(reply)), 1));
        }
    }
}

impl KeyedOperator for Persons {
    type In = PersonIn;
    type Out = PersonOut;
    const NAME: &'static str = "Person";

    fn route(update: &PersonIn) -> u64 {
        match update {
            PersonIn::Fact(key, _) | PersonIn::Oversized(key) => {
                // Labels count up within a brand; brands start at different workers.
                key.person.wrapping_add(key.brand.0)
            }
            PersonIn::Ask(asked) => asked.target,
        }
    }

    fn entries(&self) -> usize {
        self.persons.len()
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        updates: Vec<(PersonIn, Diff)>,
        out: &mut Vec<(PersonOut, Diff)>,
    ) {
        let mut changes: FxHashMap<PersonKey, Changes> = FxHashMap::default();
        let mut questions = Vec::new();
        for (update, diff) in updates {
            match update {
                PersonIn::Fact(key, fact) => {
                    changes.entry(key).or_default().facts.push((fact, diff));
                }
                PersonIn::Oversized(key) => changes.entry(key).or_default().oversized += diff,
                PersonIn::Ask(asked) => questions.push(asked),
            }
        }
        for (key, changes) in changes {
            let Some(settings) = self.settings.brands.get(&key.brand) else {
                continue;
            };
            let person = self.persons.entry(key).or_default();
            let steps = person.change(key, settings, changes, &mut self.deltas);
            self.deltas.end_contributor();
            self.stats.steps(steps);
            if person.is_gone() {
                self.persons.remove(&key);
            }
        }
        out.extend(
            self.deltas
                .drain()
                .map(|(key, sums)| (PersonOut::Sum(key, sums), 1)),
        );
        for asked in questions {
            self.answer(&asked, out);
        }
    }
}

//! The operator of the identity graph.
//!
//! The graph of a brand lives on one worker, which receives the identifier sets that come into use and go out of use, and
//! determines the persons. [`super::brand_graph`] implements the changes of an epoch, and [`super::link_path`] the answers to
//! questions. The graph is on one worker because a single link may join any two persons of the brand; it stays small because
//! only changes of the sets in use reach it, not the records that repeat them.

use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::allowed_uses::AllowedUses;
use crate::ask::{Question, Reply, RoutedQuestion};
use crate::current_settings::CurrentSettings;
use crate::engine::{Diff, Epoch, KeyedOperator, QueryOperator};
use crate::identity::brand_graph::{BrandGraph, Changes};
use crate::identity::outcome::GraphOut;
use crate::label::Label;
use crate::record::{BrandId, Day, IdSet, Pseudonym};
use crate::stats::Stats;

/// The input of [`Graph`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GraphIn {
    /// An identifier set occurs in a current record.
    Set {
        /// The brand.
        brand: BrandId,
        /// The identifiers.
        set: IdSet,
    },
    /// The approximate number of facts of a set; absent if there are none.
    Facts {
        /// The brand.
        brand: BrandId,
        /// The set's key.
        set: u128,
        /// More than a quarter of their number, and at most twice it.
        facts: u32,
    },
    /// The earliest day and source that support a linking set.
    Provenance {
        /// The brand.
        brand: BrandId,
        /// The set's key.
        set: u128,
        /// The earliest day of a supporting record.
        day: Day,
        /// The first source of that day.
        source: Label,
    },
    /// The changes of this epoch to these identifiers are one act.
    Act {
        /// The brand.
        brand: BrandId,
        /// The identifiers, of a record or of a request.
        ids: Arc<[Pseudonym]>,
    },
    /// What a statement about an identifier allowed before this epoch and allows now; absent without a statement.
    Consent {
        /// The brand.
        brand: BrandId,
        /// The identifier.
        id: Pseudonym,
        /// Before the epoch.
        was: Option<AllowedUses>,
        /// Now.
        is: Option<AllowedUses>,
    },
}

/// The operator. State: the graph of each brand that this worker owns.
pub struct Graph {
    settings: CurrentSettings,
    stats: Rc<Stats>,
    /// The graphs of the brands that this worker owns.
    brands: FxHashMap<BrandId, BrandGraph>,
}

impl Graph {
    /// Empty graphs.
    pub fn new(settings: CurrentSettings, stats: Rc<Stats>) -> Graph {
        Graph {
            settings,
            stats,
            brands: FxHashMap::default(),
        }
    }
}

impl KeyedOperator for Graph {
    type In = GraphIn;
    type Out = GraphOut;
    const NAME: &'static str = "Graph";

    /// By the brand: its graph is on one worker.
    fn route(update: &GraphIn) -> u64 {
        match update {
            GraphIn::Set { brand, .. }
            | GraphIn::Facts { brand, .. }
            | GraphIn::Provenance { brand, .. }
            | GraphIn::Act { brand, .. }
            | GraphIn::Consent { brand, .. } => brand.0,
        }
    }

    fn entries(&self) -> usize {
        self.brands.values().map(BrandGraph::entries).sum()
    }

    fn bytes(&self) -> usize {
        self.brands.values().map(BrandGraph::bytes).sum()
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        updates: Vec<(GraphIn, Diff)>,
        out: &mut Vec<(GraphOut, Diff)>,
    ) {
        self.settings.take_change();
        let mut changes: FxHashMap<BrandId, Changes> = FxHashMap::default();
        for (update, diff) in updates {
            match update {
                GraphIn::Set { brand, set } => {
                    changes.entry(brand).or_default().sets.push((set, diff));
                }
                GraphIn::Facts { brand, set, facts } => {
                    let facts = i64::from(facts) * diff;
                    changes.entry(brand).or_default().facts.push((set, facts));
                }
                GraphIn::Provenance {
                    brand,
                    set,
                    day,
                    source,
                } if diff > 0 => {
                    let changes = changes.entry(brand).or_default();
                    changes.provenance.push((set, day, source));
                }
                GraphIn::Provenance { .. } => {}
                GraphIn::Act { brand, ids } => changes.entry(brand).or_default().acts.push(ids),
                GraphIn::Consent { brand, id, was, is } => {
                    let changes = changes.entry(brand).or_default();
                    changes.consents.push((id, was, is));
                }
            }
        }
        for (brand, changes) in changes {
            let Some(settings) = self.settings.brands.get(&brand) else {
                continue;
            };
            let graph = self.brands.entry(brand).or_default();
            graph.apply_epoch(brand, settings, changes, out);
            self.stats.steps(graph.steps());
        }
    }
}

impl QueryOperator for Graph {
    type Question = Question;
    type Reply = Reply;

    fn answer(&mut self, query: RoutedQuestion, replies: &mut Vec<Reply>) {
        let graph = self.brands.entry(query.question.brand()).or_default();
        match &query.question {
            Question::Link { from, to, .. } => replies.push(graph.why(from, to)),
            Question::Members {
                naming, persons, ..
            } => {
                let members = graph.members(naming, persons).into_iter();
                replies.extend(members.map(|(id, kind, person)| Reply::Member(id, kind, person)));
            }
            Question::Cells { .. }
            | Question::Paths { .. }
            | Question::Records { .. }
            | Question::DeviceDays { .. }
            | Question::Expired { .. }
            | Question::Settle { .. }
            | Question::AcceptedSightings { .. }
            | Question::ActiveSince { .. } => {}
        }
    }
}

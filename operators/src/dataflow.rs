//! The dataflow: how the stages hang together.
//!
//! ```text
//!            ┌► Hold ─┬─ mentions ─► Mentions ─► Graph ─┬─ assigned ─┐
//!            │        │                                 └ oversized ─┼──────────┐
//! events ────┤        ├─ contacts ───────────────────────────► Assign ┴─ facts ─► Person ─┐
//!            │        ├─ sales, refunds ─► Settle ─► settled ─► Assign                    │
//!            │        └─ counts, spend, adjustments ────────────────────── sums ─────────►├► Cells ─► released
//!            ├► Presence ──────────────────────────────────────────────── sums ─────────►│
//!            └► words, releases, questions ─── to every worker ─────────────────────────►┘
//! ```
//!
//! Each arrow is a differential collection. There is no cycle: a record's change runs through once, and
//! an epoch is closed when the probe has passed it.

#![allow(
    clippy::result_large_err,
    reason = "`split` parts with a Result that is no error"
)]

use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::input::InputSession;
use differential_dataflow::{AsCollection, ExchangeData};
use serde::{Deserialize, Serialize};
use timely::dataflow::ProbeHandle;
use timely::dataflow::operators::{Exchange, Inspect, OkErr, Probe};
use timely::worker::Worker;

use crate::ask::{Answer, Asked, Question};
use crate::cell::Cell;
use crate::cells::{Cells, CellsIn, CellsOut};
use crate::engine::{Diff, Epoch, Rows, stage};
use crate::event::Event;
use crate::facts::{Fact, Mention, Routed};
use crate::hold::{Change, Hold};
use crate::identity::assign::{Assign, AssignIn, AssignOut};
use crate::identity::graph::{Graph, GraphIn, GraphOut};
use crate::identity::mentions::Mentions;
use crate::label::Label;
use crate::person::{PersonIn, PersonKey, PersonOut, Persons};
use crate::presence::{Presence, PresenceIn};
use crate::record::{BrandId, Day, Ping};
use crate::settings::Settings;
use crate::settle::Settle;
use crate::stats::Stats;

/// What a worker puts in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Input {
    Change(Change),
    Ping(Ping),
    Word(Label, Arc<str>),
    Release,
    Ask(u64, Question),
    Over(BrandId, Day),
}

/// What comes out on a worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Output {
    /// A cell has a new value, or is closed where it has none.
    Cell(Cell),
    /// A part of the answer to a question that this worker asked.
    Answer(Answer),
}

/// A worker's ends of the dataflow.
pub struct Dataflow {
    /// None once the input has ended.
    input: Option<InputSession<Epoch, Input, Diff>>,
    probe: ProbeHandle<Epoch>,
    /// What this worker counts.
    pub stats: Rc<Stats>,
}

impl Dataflow {
    fn update(&mut self, input: Input, diff: Diff) {
        if let Some(session) = &mut self.input {
            session.update(input, diff);
        }
    }

    /// Puts in a change of what is held.
    pub fn event(&mut self, event: Event) {
        match event {
            Event::Put {
                key,
                version,
                arrival,
                record,
            } => {
                let change = Change {
                    arrival,
                    key,
                    put: Some((version, record)),
                };
                self.update(Input::Change(change), 1);
            }
            Event::Drop { key, arrival } => {
                self.update(
                    Input::Change(Change {
                        arrival,
                        key,
                        put: None,
                    }),
                    1,
                );
            }
            Event::Ping { ping, count } => self.update(Input::Ping(ping), count),
            Event::Word { label, word } => self.update(Input::Word(label, word), 1),
        }
    }

    /// Lets changed cells leave at the end of this epoch, on every worker.
    pub fn release(&mut self) {
        self.update(Input::Release, 1);
    }

    /// Says that this worker will put in no more pings of a brand's salt days before one, once this
    /// epoch is over. When every worker has said so, the salts of those days are destroyed.
    pub fn days_are_over(&mut self, brand: BrandId, before: Day) {
        self.update(Input::Over(brand, before), 1);
    }

    /// Asks a question; the answers carry the number and come to this worker's sink by the end of the
    /// epoch.
    pub fn ask(&mut self, number: u64, question: Question) {
        self.update(Input::Ask(number, question), 1);
    }

    /// Ends all epochs before the given one.
    pub fn advance_to(&mut self, epoch: Epoch) {
        if let Some(session) = &mut self.input {
            session.advance_to(epoch);
            session.flush();
        }
    }

    /// Ends the input of this worker for good.
    pub fn end(&mut self) {
        self.input = None;
    }

    /// Whether every worker has finished all epochs before the given one.
    pub fn is_done_before(&self, epoch: Epoch) -> bool {
        !self.probe.less_than(&epoch)
    }

    /// Whether every worker has ended its input and all of it is through.
    pub fn is_complete(&self) -> bool {
        self.probe.done()
    }
}

/// Where an input goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Entering {
    Change(Change),
    Presence(PresenceIn),
    Cells(CellsIn),
    Graph(GraphIn),
    Person(PersonIn),
}

/// Builds the dataflow on a worker; every worker builds the same. `sink` hears what comes out here.
pub fn build(
    worker: &mut Worker,
    settings: Arc<Settings>,
    mut sink: impl FnMut(Epoch, Output) + 'static,
) -> Dataflow {
    let stats = Rc::new(Stats::default());
    let probe = ProbeHandle::new();
    let mut input = InputSession::new();
    let (index, peers) = (worker.index() as u64, worker.peers() as u64);

    worker.dataflow(|scope| {
        let entering = input
            .to_collection(scope)
            .flat_map(move |entry| enter(entry, index, peers));
        let (changes, entering) = split(entering, |entry| match entry {
            Entering::Change(change) => Ok(change),
            other => Err(other),
        });
        let (pings, entering) = split(entering, |entry| match entry {
            Entering::Presence(told) => Ok(told),
            other => Err(other),
        });
        let (to_cells, entering) = split(entering, |entry| match entry {
            Entering::Cells(told) => Ok(told),
            other => Err(other),
        });
        let to_graph = entering.clone().flat_map(|entry| match entry {
            Entering::Graph(told) => Some(told),
            _ => None,
        });
        let to_person = entering.flat_map(|entry| match entry {
            Entering::Person(told) => Some(told),
            _ => None,
        });

        let held = stage(changes, Hold::new(stats.clone()));
        let (mentions, held) = split(held, |routed| match routed {
            Routed::Mention(mention) => Ok::<Mention, _>(mention),
            other => Err(other),
        });
        let (sales, held) = split(held, |routed| match routed {
            Routed::Sale(sale) => Ok(sale),
            other => Err(other),
        });
        let (held_sums, contacts) = split(held, |routed| match routed {
            Routed::Sum(key, sums) => Ok(CellsIn::Sum(key, sums)),
            other => Err(other),
        });
        let contacts = contacts.flat_map(|routed| match routed {
            Routed::Fact(brand, set, fact) => Some(AssignIn::Fact(brand, set, fact)),
            _ => None,
        });

        let sets = stage(mentions, Mentions::default()).concat(to_graph);
        let graph = stage(sets, Graph::new(settings.clone()));
        let (assigned, graph) = split(graph, |told| match told {
            GraphOut::Assigned { brand, set, person } => Ok(AssignIn::Assigned(brand, set, person)),
            other => Err(other),
        });
        let (graph_sums, graph) = split(graph, |told| match told {
            GraphOut::Sum(key, sums) => Ok(CellsIn::Sum(key, sums)),
            other => Err(other),
        });
        let (graph_answers, oversized) = split(graph, |told| match told {
            GraphOut::Answer(answer) => Ok(answer),
            other => Err(other),
        });
        let oversized = oversized.flat_map(|told| match told {
            GraphOut::Oversized { brand, person } => {
                Some(PersonIn::Oversized(PersonKey { brand, person }))
            }
            _ => None,
        });

        let conversions = stage(sales, Settle::default()).map(|settled| {
            AssignIn::Fact(
                settled.brand,
                settled.ids,
                Fact::Conversion(settled.conversion),
            )
        });
        let facts = contacts.concat(conversions).concat(assigned);
        let (facts, assign_sums) = split(stage(facts, Assign::default()), |told| match told {
            AssignOut::Person(told) => Ok(told),
            AssignOut::Sum(key, sums) => Err(CellsIn::Sum(key, sums)),
        });

        let persons = stage(
            facts.concat(oversized).concat(to_person),
            Persons::new(settings.clone()),
        );
        let (person_sums, person_answers) = split(persons, |told| match told {
            PersonOut::Sum(key, sums) => Ok(CellsIn::Sum(key, sums)),
            PersonOut::Answer(answer) => Err(CellsIn::Name(answer)),
        });

        let visits = stage(pings, Presence::new(settings.clone(), peers as usize))
            .map(|(key, sums)| CellsIn::Sum(key, sums));

        let sums = to_cells.concatenate([
            held_sums,
            graph_sums,
            assign_sums,
            person_sums,
            person_answers,
            visits,
        ]);
        let (cells, cell_answers) = split(
            stage(sums, Cells::new(settings, stats.clone())),
            |told| match told {
                CellsOut::Cell(cell) => Ok(Output::Cell(cell)),
                CellsOut::Answer(answer) => Err(answer),
            },
        );
        // Answers travel back to the worker that asked.
        let answers = cell_answers.concat(graph_answers);
        let answers = answers
            .inner
            .exchange(|(answer, _, _)| answer.asker)
            .as_collection();
        let told = cells.concat(answers.map(Output::Answer));
        told.inner
            .inspect(move |(output, epoch, _)| sink(*epoch, output.clone()))
            .probe_with(&probe);
    });
    Dataflow {
        input: Some(input),
        probe,
        stats,
    }
}

/// Sends an input to where it belongs; what concerns every worker is sent to each.
fn enter(input: Input, index: u64, peers: u64) -> Vec<Entering> {
    let everybody = |told: &dyn Fn(u64) -> Entering| (0..peers).map(told).collect();
    match input {
        Input::Change(change) => vec![Entering::Change(change)],
        Input::Ping(ping) => vec![Entering::Presence(PresenceIn::Ping(ping))],
        Input::Word(label, word) => {
            everybody(&|target| Entering::Cells(CellsIn::Word(target, label, word.clone())))
        }
        Input::Over(brand, before) => everybody(&|target| {
            let from = index;
            Entering::Presence(PresenceIn::Over {
                from,
                target,
                brand,
                before,
            })
        }),
        Input::Release => everybody(&|target| Entering::Cells(CellsIn::Release(target))),
        Input::Ask(number, question) => {
            let asked = |target| Asked {
                asker: index,
                target,
                number,
                question: question.clone(),
            };
            match &question {
                Question::Link { .. } => vec![Entering::Graph(GraphIn::Ask(asked(0)))],
                Question::Cells { .. } => {
                    everybody(&|target| Entering::Cells(CellsIn::Ask(asked(target))))
                }
                Question::Paths { .. } => {
                    everybody(&|target| Entering::Person(PersonIn::Ask(asked(target))))
                }
            }
        }
    }
}

/// Parts a collection in two by content, without a copy.
fn split<'scope, D, A, B>(
    rows: Rows<'scope, D>,
    mut part: impl FnMut(D) -> Result<A, B> + 'static,
) -> (Rows<'scope, A>, Rows<'scope, B>)
where
    D: ExchangeData,
    A: differential_dataflow::Data,
    B: differential_dataflow::Data,
{
    let (left, right) = rows
        .inner
        .ok_err(move |(data, epoch, diff)| match part(data) {
            Ok(left) => Ok((left, epoch, diff)),
            Err(right) => Err((right, epoch, diff)),
        });
    (left.as_collection(), right.as_collection())
}

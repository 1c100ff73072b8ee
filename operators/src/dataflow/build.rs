//! Building: the stages are hung together as the picture in [`crate::dataflow`] shows.

#![allow(
    clippy::result_large_err,
    reason = "`split` parts with a Result that is no error"
)]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::input::InputSession;
use differential_dataflow::{AsCollection, ExchangeData};
use timely::dataflow::ProbeHandle;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{ConnectLoop, Exchange, Feedback, OkErr, Probe};
use timely::worker::Worker;

use super::handle::{Dataflow, Inputs, Output};
use crate::admit::{Admit, AdmitIn, AdmitOut};
use crate::cells::{Cells, CellsIn, CellsOut};
use crate::consents::Consents;
use crate::engine::{Epoch, Rows, Sizes, stage};
use crate::facts::{Fact, Mention};
use crate::hold::{Hold, HoldOut};
use crate::identity::assign::{Assign, AssignIn, AssignOut};
use crate::identity::graph::Graph;
use crate::identity::mentions::Mentions;
use crate::identity::outcome::GraphOut;
use crate::label::Label;
use crate::person::{PersonIn, PersonKey, PersonOut, Persons};
use crate::presence::{Presence, PresenceOut};
use crate::record::BrandId;
use crate::routing::Routed;
use crate::salt::{Book, desk};
use crate::settings::Settings;
use crate::settle::Settle;
use crate::statements::{StatementOut, Statements};
use crate::stats::Stats;

/// Builds the dataflow on a worker; every worker builds the same. `sink` hears what comes out here.
pub fn build(
    worker: &mut Worker,
    settings: Arc<Settings>,
    mut sink: impl FnMut(Epoch, Output) + 'static,
) -> Dataflow {
    let stats = Rc::new(Stats::default());
    let sizes = Sizes::default();
    let probe = ProbeHandle::new();
    let mut inputs = Inputs {
        hold: InputSession::new(),
        statements: InputSession::new(),
        admit: InputSession::new(),
        presence: InputSession::new(),
        salts: InputSession::new(),
        graph: InputSession::new(),
        person: InputSession::new(),
        cells: InputSession::new(),
    };
    let book = Rc::new(RefCell::new(Book::default()));
    let words = book.clone();
    let (index, peers) = (worker.index() as u64, worker.peers() as u64);

    worker.dataflow(|scope| {
        let changes = inputs.hold.to_collection(scope);
        let to_statements = inputs.statements.to_collection(scope);
        let to_admit = inputs.admit.to_collection(scope);
        let to_presence = inputs.presence.to_collection(scope);
        let to_salts = inputs.salts.to_collection(scope);
        let to_graph = inputs.graph.to_collection(scope);
        let to_person = inputs.person.to_collection(scope);
        let to_cells = inputs.cells.to_collection(scope);

        let (expired, held) =
            split(
                stage(changes, Hold::new(stats.clone()), &sizes),
                |told| match told {
                    HoldOut::Expired(expired) => Ok(expired),
                    other => Err(other),
                },
            );
        // Whoever keeps a ledger hears of it.
        let expired = expired
            .flat_map(move |expired| (0..peers).map(move |target| (target, expired)))
            .inner
            .exchange(|((target, _), _, _)| *target)
            .as_collection()
            .map(|(_, expired)| Output::Expired(expired));
        let (statements, held) = split(held, |told| match told {
            HoldOut::Statement(statement) => Ok(Some(statement)),
            HoldOut::Admit(held) => Err(Some(held)),
            HoldOut::Expired(_) => Err(None),
        });
        let (statements, held) = (statements.flat_map(|told| told), held.flat_map(|told| told));
        let statements = stage(
            statements.concat(to_statements),
            Statements::default(),
            &sizes,
        );
        let (allowed, statements) = split(statements, |told| match told {
            StatementOut::Allowed(brand, counts) => Ok((brand, counts)),
            other => Err(other),
        });
        let consents = Consents::new(settings.clone(), stats.clone());
        let counted = stage(allowed, consents, &sizes).map(|never| match never {});
        let stances = statements.flat_map(|told| match told {
            StatementOut::Stance(brand, set, id, stance) => {
                Some(AdmitIn::Stance(brand, set, id, stance))
            }
            StatementOut::Ask(asked, set) => Some(AdmitIn::Ask(asked, Some(set))),
            StatementOut::Allowed(..) => None,
        });
        let held = held.concat(stances).concat(to_admit);
        let admitted = stage(held, Admit::new(settings.clone(), stats.clone()), &sizes);
        let (held, admit_told) = split(admitted, |told| match told {
            AdmitOut::Routed(routed) => Ok(routed),
            other => Err(other),
        });
        let admit_told = admit_told.flat_map(move |told| match told {
            AdmitOut::Used(brand, label) => used(brand, label, peers),
            AdmitOut::Answer(answer) => vec![CellsIn::Name(answer)],
            AdmitOut::Routed(_) => Vec::new(),
        });
        let (mentions, held) = split(held, |routed| match routed {
            Routed::Mention(mention) => Ok::<Mention, _>(mention),
            other => Err(other),
        });
        let (sales, held) = split(held, |routed| match routed {
            Routed::Sale(sale) => Ok(sale),
            other => Err(other),
        });
        let (held_sums, contacts) = split(held, |routed| match routed {
            Routed::Sum(sum) => Ok(CellsIn::Sum(sum.0, sum.1)),
            other => Err(other),
        });
        let contacts = contacts.flat_map(|routed| match routed {
            Routed::Fact(brand, set, fact) => Some(AssignIn::Fact(brand, set, fact)),
            _ => None,
        });

        let sets = stage(mentions, Mentions::default(), &sizes).concat(to_graph);
        let graph = stage(sets, Graph::new(settings.clone(), stats.clone()), &sizes);
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

        let conversions = stage(sales, Settle::new(stats.clone()), &sizes).map(|settled| {
            AssignIn::Fact(
                settled.brand,
                settled.ids,
                Fact::Conversion(settled.conversion),
            )
        });
        let facts = contacts.concat(conversions).concat(assigned);
        let (facts, assign_sums) = split(
            stage(facts, Assign::new(stats.clone()), &sizes),
            |told| match told {
                AssignOut::Person(told) => Ok(told),
                AssignOut::Sum(key, sums) => Err(CellsIn::Sum(key, sums)),
            },
        );

        let persons = stage(
            facts.concat(oversized).concat(to_person),
            Persons::new(settings.clone(), stats.clone()),
            &sizes,
        );
        let (person_sums, person_answers) = split(persons, |told| match told {
            PersonOut::Sum(key, sums) => Ok(CellsIn::Sum(key, sums)),
            PersonOut::Answer(answer) => Err(CellsIn::Name(answer)),
        });

        let presence = Presence::new(settings.clone(), stats.clone(), book.clone(), peers);
        let (visits, presence) = split(stage(to_presence, presence, &sizes), |told| match told {
            PresenceOut::Sum(..) | PresenceOut::Used(..) => Ok(told),
            other => Err(other),
        });
        let visits = visits.flat_map(move |told| match told {
            PresenceOut::Sum(key, sums) => vec![CellsIn::Sum(key, sums)],
            PresenceOut::Used(brand, label) => used(brand, label, peers),
            _ => Vec::new(),
        });
        let (presence_answers, settled) = split(presence, |told| match told {
            PresenceOut::Answer(answer) => Ok(answer),
            other => Err(other),
        });
        // One worker keeps the sums, so that one commit makes a day settled.
        let settled = settled.inner.exchange(|_| 0).as_collection();
        let settled = settled.flat_map(|told| match told {
            PresenceOut::Settled(day, hour) => Some(Output::Settled(day, hour)),
            PresenceOut::Closed(brand, before) => Some(Output::Closed(brand, before)),
            PresenceOut::Sum(..) | PresenceOut::Used(..) | PresenceOut::Answer(..) => None,
        });

        let (round, due) = scope.feedback(1);
        let sums = to_cells.concatenate([
            held_sums,
            graph_sums,
            assign_sums,
            person_sums,
            person_answers,
            admit_told,
            visits,
            due.as_collection(),
        ]);
        let cells = Cells::new(settings.clone(), stats.clone(), peers);
        let (cells, others) = split(stage(sums, cells, &sizes), |told| match told {
            CellsOut::Cell(cell, news, released) => Ok(Output::Cell {
                cell,
                news,
                released,
            }),
            other => Err(other),
        });
        let (due, cell_answers) = split(others, |told| match told {
            CellsOut::Due(due) => Ok(CellsIn::Due(due)),
            other => Err(other),
        });
        due.inner
            .map(|(due, epoch, diff)| (due, epoch + 1, diff))
            .connect_loop(round);
        let (unused, cell_answers) = split(cell_answers, |told| match told {
            CellsOut::Unused(brand, label) => Ok(Output::Unused(brand, label)),
            other => Err(other),
        });
        let cell_answers = cell_answers.flat_map(|told| match told {
            CellsOut::Answer(answer) => Some(answer),
            _ => None,
        });
        // Answers travel back to the worker that asked.
        let answers = cell_answers.concatenate([graph_answers, presence_answers]);
        let answers = answers
            .inner
            .exchange(|(answer, _, _)| answer.asker)
            .as_collection();
        desk(to_salts, peers, words);
        let told = cells.concatenate([
            unused,
            answers.map(Output::Answer),
            settled,
            expired,
            counted,
        ]);
        told.inner
            .flat_map(move |(output, epoch, _)| {
                sink(epoch, output);
                None::<()>
            })
            .probe_with(&probe);
    });
    Dataflow {
        inputs: Some(inputs),
        settings,
        anything_stood: false,
        probe,
        book,
        asked: Default::default(),
        index,
        peers,
        stats,
        sizes,
    }
}

/// Every worker hears which labels are in use.
fn used(brand: BrandId, label: Label, peers: u64) -> Vec<CellsIn> {
    let all = 0..peers;
    all.map(|target| CellsIn::Used(target, brand, label))
        .collect()
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

//! Connects the operators as [`crate::dataflow`] shows.

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
use crate::cells::{Cells, CellsIn, CellsOut};
use crate::consent_counts::ConsentCounts;
use crate::consent_state::{ConsentState, ConsentStateOut};
use crate::engine::{Collection, Epoch, StateSizes, keyed};
use crate::facts::{Fact, IdSetUse};
use crate::identity::graph::Graph;
use crate::identity::id_set_counts::IdSetCounts;
use crate::identity::outcome::GraphOut;
use crate::identity::person_join::{PersonJoin, PersonJoinIn, PersonJoinOut};
use crate::label::Label;
use crate::net_sales::NetSales;
use crate::person::{PersonIn, PersonKey, PersonOut, Persons};
use crate::policy_filter::{PolicyFilter, PolicyFilterIn, PolicyFilterOut};
use crate::record::BrandId;
use crate::routing::Routed;
use crate::salt::{SaltCache, distribute_salts};
use crate::sessionize::{Sessionize, SessionizeOut};
use crate::settings::Settings;
use crate::stats::Stats;
use crate::upsert::{Upsert, UpsertOut};

/// Builds the dataflow on a worker. All workers must build the same one. `sink` receives the outputs of this worker.
pub fn build(
    worker: &mut Worker,
    settings: Arc<Settings>,
    mut sink: impl FnMut(Epoch, Output) + 'static,
) -> Dataflow {
    let stats = Rc::new(Stats::default());
    let sizes = StateSizes::default();
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
    let salt_cache = Rc::new(RefCell::new(SaltCache::default()));
    let words = salt_cache.clone();
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

        let (expired, held) = split(
            keyed(changes, Upsert::new(stats.clone()), &sizes),
            |update| match update {
                UpsertOut::Expired(expired) => Ok(expired),
                other => Err(other),
            },
        );
        // Every worker keeps a ledger, so all of them receive it.
        let expired = expired
            .flat_map(move |expired| (0..peers).map(move |target| (target, expired)))
            .inner
            .exchange(|((target, _), _, _)| *target)
            .as_collection()
            .map(|(_, expired)| Output::Expired(expired));
        let (statements, held) = split(held, |update| match update {
            UpsertOut::Statement(statement) => Ok(Some(statement)),
            UpsertOut::Record(held) => Err(Some(held)),
            UpsertOut::Expired(_) => Err(None),
        });
        let (statements, held) = (
            statements.flat_map(|update| update),
            held.flat_map(|update| update),
        );
        let statements = keyed(
            statements.concat(to_statements),
            ConsentState::default(),
            &sizes,
        );
        let (allowed, statements) = split(statements, |update| match update {
            ConsentStateOut::Allowed(brand, counts) => Ok((brand, counts)),
            other => Err(other),
        });
        let consents = ConsentCounts::new(settings.clone(), stats.clone());
        let counted = keyed(allowed, consents, &sizes).map(|never| match never {});
        let policies = statements.flat_map(|update| match update {
            ConsentStateOut::Policy(brand, set, id, policy) => {
                Some(PolicyFilterIn::Policy(brand, set, id, policy))
            }
            ConsentStateOut::Ask(asked, set) => Some(PolicyFilterIn::Ask(asked, Some(set))),
            ConsentStateOut::Allowed(..) => None,
        });
        let held = held.concat(policies).concat(to_admit);
        let admitted = keyed(
            held,
            PolicyFilter::new(settings.clone(), stats.clone()),
            &sizes,
        );
        let (held, filter_updates) = split(admitted, |update| match update {
            PolicyFilterOut::Routed(routed) => Ok(routed),
            other => Err(other),
        });
        let filter_updates = filter_updates.flat_map(move |update| match update {
            PolicyFilterOut::Used(brand, label) => used(brand, label, peers),
            PolicyFilterOut::Answer(answer) => vec![CellsIn::Name(answer)],
            PolicyFilterOut::Routed(_) => Vec::new(),
        });
        let (id_set_uses, held) = split(held, |routed| match routed {
            Routed::IdSetUse(id_set_use) => Ok::<IdSetUse, _>(id_set_use),
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
            Routed::Fact(brand, set, fact) => Some(PersonJoinIn::Fact(brand, set, fact)),
            _ => None,
        });

        let sets = keyed(id_set_uses, IdSetCounts::default(), &sizes).concat(to_graph);
        let graph = keyed(sets, Graph::new(settings.clone(), stats.clone()), &sizes);
        let (assigned, graph) = split(graph, |update| match update {
            GraphOut::Assigned { brand, set, person } => {
                Ok(PersonJoinIn::Assigned(brand, set, person))
            }
            other => Err(other),
        });
        let (graph_sums, graph) = split(graph, |update| match update {
            GraphOut::Sum(key, sums) => Ok(CellsIn::Sum(key, sums)),
            other => Err(other),
        });
        let (graph_answers, oversized) = split(graph, |update| match update {
            GraphOut::Answer(answer) => Ok(answer),
            other => Err(other),
        });
        let oversized = oversized.flat_map(|update| match update {
            GraphOut::Oversized { brand, person } => {
                Some(PersonIn::Oversized(PersonKey { brand, person }))
            }
            _ => None,
        });

        let conversions = keyed(sales, NetSales::new(stats.clone()), &sizes).map(|net_sale| {
            PersonJoinIn::Fact(
                net_sale.brand,
                net_sale.ids,
                Fact::Conversion(net_sale.conversion),
            )
        });
        let facts = contacts.concat(conversions).concat(assigned);
        let (facts, join_sums) = split(
            keyed(facts, PersonJoin::new(&settings, stats.clone()), &sizes),
            |update| match update {
                PersonJoinOut::Person(update) => Ok(update),
                PersonJoinOut::Sum(key, sums) => Err(CellsIn::Sum(key, sums)),
            },
        );

        let persons = keyed(
            facts.concat(oversized).concat(to_person),
            Persons::new(settings.clone(), stats.clone()),
            &sizes,
        );
        let (person_sums, person_answers) = split(persons, |update| match update {
            PersonOut::Sum(key, sums) => Ok(CellsIn::Sum(key, sums)),
            PersonOut::Answer(answer) => Err(CellsIn::Name(answer)),
        });

        let presence = Sessionize::new(settings.clone(), stats.clone(), salt_cache.clone(), peers);
        let (visits, presence) = split(
            keyed(to_presence, presence, &sizes),
            |update| match update {
                SessionizeOut::Sum(..) | SessionizeOut::Used(..) => Ok(update),
                other => Err(other),
            },
        );
        let visits = visits.flat_map(move |update| match update {
            SessionizeOut::Sum(key, sums) => vec![CellsIn::Sum(key, sums)],
            SessionizeOut::Used(brand, label) => used(brand, label, peers),
            _ => Vec::new(),
        });
        let (presence_answers, settled) = split(presence, |update| match update {
            SessionizeOut::Answer(answer) => Ok(answer),
            other => Err(other),
        });
        // One worker stores the totals, so that a single commit settles a day.
        let settled = settled.inner.exchange(|_| 0).as_collection();
        let settled = settled.flat_map(|update| match update {
            SessionizeOut::Settled(day, hour) => Some(Output::SettledHour(day, hour)),
            SessionizeOut::Closed(brand, before) => Some(Output::SaltDaysClosed(brand, before)),
            SessionizeOut::Sum(..) | SessionizeOut::Used(..) | SessionizeOut::Answer(..) => None,
        });

        let (round, due) = scope.feedback(1);
        let sums = to_cells.concatenate([
            held_sums,
            graph_sums,
            join_sums,
            person_sums,
            person_answers,
            filter_updates,
            visits,
            due.as_collection(),
        ]);
        let cells = Cells::new(settings.clone(), stats.clone(), peers);
        let (cells, others) = split(keyed(sums, cells, &sizes), |update| match update {
            CellsOut::Cell(cell, is_new, released) => Ok(Output::Cell {
                cell,
                is_new,
                released,
            }),
            other => Err(other),
        });
        let (due, cell_answers) = split(others, |update| match update {
            CellsOut::BatchVote(due) => Ok(CellsIn::BatchVote(due)),
            other => Err(other),
        });
        due.inner
            .map(|(due, epoch, diff)| (due, epoch + 1, diff))
            .connect_loop(round);
        let (unused, cell_answers) = split(cell_answers, |update| match update {
            CellsOut::Unused(brand, label) => Ok(Output::Unused(brand, label)),
            other => Err(other),
        });
        let cell_answers = cell_answers.flat_map(|update| match update {
            CellsOut::Answer(answer) => Some(answer),
            _ => None,
        });
        // Answers return to the worker that asked.
        let answers = cell_answers.concatenate([graph_answers, presence_answers]);
        let answers = answers
            .inner
            .exchange(|(answer, _, _)| answer.asker)
            .as_collection();
        distribute_salts(to_salts, peers, words);
        let outputs = cells.concatenate([
            unused,
            answers.map(Output::Answer),
            settled,
            expired,
            counted,
        ]);
        outputs
            .inner
            .flat_map(move |(output, epoch, _)| {
                sink(epoch, output);
                None::<()>
            })
            .probe_with(&probe);
    });
    Dataflow {
        inputs: Some(inputs),
        settings,
        has_restored_cells: false,
        probe,
        salt_cache,
        asked: Default::default(),
        index,
        peers,
        stats,
        sizes,
    }
}

/// Broadcasts the use of a label to all workers.
fn used(brand: BrandId, label: Label, peers: u64) -> Vec<CellsIn> {
    let all = 0..peers;
    all.map(|target| CellsIn::LabelUse(target, brand, label))
        .collect()
}

/// Splits a collection in two by content, without copying.
fn split<'scope, D, A, B>(
    rows: Collection<'scope, D>,
    mut part: impl FnMut(D) -> Result<A, B> + 'static,
) -> (Collection<'scope, A>, Collection<'scope, B>)
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

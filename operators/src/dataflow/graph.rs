//! The graph of the dataflow: which operators there are and how they are connected, as [`crate::dataflow`] shows it.
//!
//! This is the whole program on one page: records become persons, visits and cells. Each statement is an operator or a split of
//! its output, and a collection is named after its rows. An operator that answers questions has a second input for queries and
//! a second output for answers; all answers return to the worker that asked.
//!
//! Epochs pass through the graph in order. The only edge that leads back is that of the batch votes, which adds one to the
//! epoch, so that no operator ever waits for itself.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::AsCollection;
use timely::dataflow::ProbeHandle;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{ConnectLoop, Feedback, Probe};
use timely::worker::Worker;

use super::handle::{Dataflow, Inputs, Output};
use crate::ask::{Answer, Question, Respondent};
use crate::cells::{Cells, CellsIn, CellsOut, CellsQuestion};
use crate::consent_counts::ConsentCounts;
use crate::consent_state::{ConsentState, ConsentStateOut};
use crate::current_settings::CurrentSettings;
use crate::engine::{
    Epoch, OneOf2, OneOf4, Query, StateSizes, broadcast, broadcast_rows, deliver, keyed,
    keyed_with_queries, split2, split4,
};
use crate::facts::Fact;
use crate::id_sets::counts::{IdSetCounts, IdSetCountsIn};
use crate::id_sets::person_join::{PersonJoin, PersonJoinIn, PersonJoinOut};
use crate::id_sets::store::SharedIdSets;
use crate::identity::graph::{Graph, GraphIn};
use crate::identity::outcome::GraphOut;
use crate::matching::{MatchIn, MatchOut, Matching, device_ids};
use crate::net_sales::{NetSale, NetSales};
use crate::notices::Notices;
use crate::person::{PersonIn, PersonKey, Persons};
use crate::policy_filter::{PolicyFilter, PolicyFilterIn};
use crate::routing::Routed;
use crate::salt::{SaltCache, distribute_salts};
use crate::sessionize::{Sessionize, SessionizeOut};
use crate::settings::Settings;
use crate::stats::Stats;
use crate::upsert::{Upsert, UpsertOut};
use crate::wallet::{WalletOut, Wallets};

/// Builds the dataflow on a worker. All workers must build the same one. `sink` receives the outputs of this worker.
pub fn build(
    worker: &mut Worker,
    settings: Arc<Settings>,
    mut sink: impl FnMut(Epoch, Output) + 'static,
) -> Dataflow {
    let settings = CurrentSettings::from(settings);
    let stats = Rc::new(Stats::default());
    let sizes = StateSizes::default();
    let salt_cache = Rc::new(RefCell::new(SaltCache::default()));
    let probe = ProbeHandle::new();
    let mut inputs = Inputs::new();
    let (index, peers) = (worker.index() as u64, worker.peers() as u64);

    worker.dataflow(|scope| {
        let questions = inputs.questions.to_collection(scope);
        let questions_to = |respondent| {
            let questions = questions.clone();
            questions.filter(move |query| query.question.respondent() == respondent)
        };

        // Records: their current content, the policies of their identifiers, and what the policies admit.
        let id_sets = SharedIdSets::default();
        let upsert = Upsert::new(stats.clone(), id_sets.borrow().table.clone());
        let records = inputs.records.to_collection(scope);
        let (records, statements, expired, acts) =
            split4(keyed(records, upsert, &sizes), |row| match row {
                UpsertOut::Record(record) => OneOf4::First(record),
                UpsertOut::Statement(statement) => OneOf4::Second(statement),
                UpsertOut::Expired(expired) => OneOf4::Third(expired),
                UpsertOut::Act(brand, ids) => OneOf4::Fourth(GraphIn::Act { brand, ids }),
            });
        let to_consent = questions_to(Respondent::ConsentState);
        let consent = ConsentState::default();
        let (consent, to_sets) = keyed_with_queries(statements, to_consent, consent, &sizes);
        let (policies, consents) = split2(consent, |row| match row {
            ConsentStateOut::Policy(brand, set, id, policy) => {
                OneOf2::First(PolicyFilterIn::Policy(brand, set, id, policy))
            }
            ConsentStateOut::Allowed(brand, id, was, is) => {
                OneOf2::Second(GraphIn::Consent { brand, id, was, is })
            }
        });
        let filter = PolicyFilter::new(settings.clone(), stats.clone(), id_sets.clone(), index);
        let link_times = inputs.policy_filter.to_collection(scope);
        let (admitted, named_records) = keyed_with_queries(
            records.concatenate([policies, link_times]),
            questions_to(Respondent::PolicyFilter).concat(to_sets.map(|answer| answer.reply)),
            filter,
            &sizes,
        );
        let (contacts, id_set_uses, sales, rest) = split4(admitted, |row| match row {
            Routed::Fact(brand, set, fact) => OneOf4::First(PersonJoinIn::Fact(brand, set, fact)),
            Routed::OwnFacts(worker) => OneOf4::First(PersonJoinIn::Own(worker)),
            Routed::IdSetUse(id_set_use) => OneOf4::Second(IdSetCountsIn::Use(id_set_use)),
            Routed::OwnUses(worker) => OneOf4::Second(IdSetCountsIn::Own(worker)),
            Routed::Sale(sale) => OneOf4::Third(sale),
            Routed::Sum(sum) => OneOf4::Fourth(OneOf4::First(CellsIn::Sum(sum.0, sum.1))),
            Routed::LabelUse(brand, label) => OneOf4::Fourth(OneOf4::Second((brand, label))),
            Routed::Wallet(update) => OneOf4::Fourth(OneOf4::Third(OneOf2::First(*update))),
            Routed::Notice(of) => OneOf4::Fourth(OneOf4::Third(OneOf2::Second(*of))),
            Routed::Sighting(update) => OneOf4::Fourth(OneOf4::Fourth(MatchIn::Sighting(update))),
        });
        let (record_sums, record_labels, others, sightings) = split4(rest, |row| row);
        let (wallets, notices) = split2(others, |row| row);

        // Identity: the graph of identifiers.
        let sets = keyed(id_set_uses, IdSetCounts::new(id_sets.clone()), &sizes);
        let of_requests = inputs.acts.to_collection(scope);
        let to_graph = sets.concatenate([acts, of_requests, consents]);
        let graph = Graph::new(settings.clone(), stats.clone());
        let (graph, graph_answers) =
            keyed_with_queries(to_graph, questions_to(Respondent::Graph), graph, &sizes);
        let (assigned, of_persons, graph_sums, consent_counts) = split4(graph, |row| match row {
            GraphOut::Assigned { brand, set, person } => {
                OneOf4::First(PersonJoinIn::Assigned(brand, set, person))
            }
            GraphOut::Oversized { brand, person } => {
                OneOf4::Second(PersonIn::Oversized(PersonKey { brand, person }))
            }
            GraphOut::Act { brand, person, act } => {
                OneOf4::Second(PersonIn::Act(PersonKey { brand, person }, act))
            }
            GraphOut::Sum(key, sums) => OneOf4::Third(CellsIn::Sum(key, sums)),
            GraphOut::Consent(brand, change) => OneOf4::Fourth((brand, change)),
        });
        let counts = ConsentCounts::new(settings.clone(), stats.clone());
        let nothing = keyed(consent_counts, counts, &sizes).map(|never| match never {});
        let net_sales = keyed(sales, NetSales::new(stats.clone()), &sizes);
        let conversions = net_sales.map(|sale: NetSale| {
            PersonJoinIn::Fact(sale.brand, sale.set, Fact::Conversion(sale.conversion))
        });
        let wallets = keyed(
            wallets,
            Wallets::new(settings.clone(), stats.clone()),
            &sizes,
        );
        let (visits_of_passes, pass_sums) = split2(wallets, |row| match row {
            WalletOut::Presence(of) => OneOf2::First(PersonJoinIn::Fact(
                of.brand,
                of.set,
                Fact::Conversion(of.conversion),
            )),
            WalletOut::Sum(key, sums) => OneOf2::Second(CellsIn::Sum(key, sums)),
        });
        let notice_sums = keyed(notices, Notices::new(stats.clone()), &sizes);
        let notice_sums = notice_sums.map(|(key, sums)| CellsIn::Sum(key, sums));

        // Visits: the sessions of devices, under the salts that one worker allocates, and the sightings of partners.
        let salts = inputs.salts.to_collection(scope);
        distribute_salts(salts, &settings, peers, salt_cache.clone());
        let (visits, device_days) = keyed_with_queries(
            inputs.pings.to_collection(scope),
            questions_to(Respondent::Sessionize),
            Sessionize::new(settings.clone(), stats.clone(), salt_cache.clone(), peers),
            &sizes,
        );
        let (visit_sums, store_labels, to_match, settled) = split4(visits, |row| match row {
            SessionizeOut::Sum(key, sums) => OneOf4::First(CellsIn::Sum(key, sums)),
            SessionizeOut::Used(brand, label) => OneOf4::Second((brand, label)),
            SessionizeOut::Match(update) => OneOf4::Third(update),
            SessionizeOut::Settled(day, hour) => OneOf4::Fourth(Output::SettledHour(day, hour)),
            SessionizeOut::SettledDevices(of) => OneOf4::Fourth(Output::SettledDevices(of)),
            SessionizeOut::Closed(brand, day) => OneOf4::Fourth(Output::SaltDaysClosed(brand, day)),
        });
        let closed_visits = inputs.closed_visits.to_collection(scope);
        let (matched, remains) = keyed_with_queries(
            to_match.concatenate([sightings, closed_visits]),
            questions_to(Respondent::Matching),
            Matching::new(settings.clone(), stats.clone(), peers),
            &sizes,
        );
        let (stays, match_sums, closed, erasable) = split4(matched, |row| match row {
            MatchOut::Stay(brand, device, conversion) => {
                let set = device_ids(device).key();
                OneOf4::First(PersonJoinIn::Fact(brand, set, Fact::Conversion(conversion)))
            }
            MatchOut::Sum(key, sums) => OneOf4::Second(CellsIn::Sum(key, sums)),
            MatchOut::Closed(visits) => OneOf4::Third(Output::ClosedVisits(visits)),
            MatchOut::Erase(brand, before) => OneOf4::Fourth(Output::EraseSightings(brand, before)),
        });
        let settled = settled.concat(closed);

        // Persons: their facts, and what follows from them.
        let facts = contacts.concatenate([conversions, visits_of_passes, stays, assigned]);
        let joined = keyed(
            facts,
            PersonJoin::new(settings.clone(), stats.clone(), id_sets),
            &sizes,
        );
        let (facts, anonymous_sums) = split2(joined, |row| match row {
            PersonJoinOut::Person(fact) => OneOf2::First(fact),
            PersonJoinOut::Sum(key, sums) => OneOf2::Second(CellsIn::Sum(key, sums)),
        });
        let (person_sums, paths) = keyed_with_queries(
            facts.concat(of_persons),
            questions_to(Respondent::Persons),
            Persons::new(settings.clone(), stats.clone()),
            &sizes,
        );
        let person_sums = person_sums.map(|(key, sums)| CellsIn::Sum(key, sums));

        // Cells: aggregates, released through the gate. Batch votes return in the next epoch.
        let label_uses = record_labels.concat(store_labels).flat_map(move |of| {
            broadcast(peers, move |target| CellsIn::LabelUse(target, of.0, of.1))
        });
        let (next_epoch, votes) = scope.feedback(1);
        let sums = inputs.cells.to_collection(scope).concatenate([
            record_sums,
            graph_sums,
            anonymous_sums,
            person_sums,
            visit_sums,
            match_sums,
            pass_sums,
            notice_sums,
            label_uses,
            votes.as_collection(),
        ]);
        let to_name = named_records.concat(paths).map(|answer: Answer| Query {
            asker: answer.asker,
            number: answer.number,
            key: answer.asker.into(),
            question: CellsQuestion::Name(answer.reply),
        });
        let to_cells = questions_to(Respondent::Cells).flat_map(|query| match query.question {
            Question::Cells { brand, family } => {
                Some(query.redirect(query.key, CellsQuestion::Released(brand, family)))
            }
            _ => None,
        });
        let cells = Cells::new(settings.clone(), stats.clone(), peers);
        let (cells, cell_answers) =
            keyed_with_queries(sums, to_name.concat(to_cells), cells, &sizes);
        let (cells, votes) = split2(cells, |row| match row {
            CellsOut::Cell(cell, is_new, released, standing) => OneOf2::First(Output::Cell {
                cell,
                is_new,
                released,
                standing,
            }),
            CellsOut::Unused(brand, label) => OneOf2::First(Output::Unused(brand, label)),
            CellsOut::BatchVote(vote) => OneOf2::Second(CellsIn::BatchVote(vote)),
        });
        votes
            .inner
            .map(|(vote, epoch, diff)| (vote, epoch + 1, diff))
            .connect_loop(next_epoch);

        // Outputs. Every worker keeps a ledger, so all learn what expired; one stores what settled, in a single commit.
        let answers = cell_answers.concatenate([graph_answers, device_days, remains]);
        let outputs = cells.concatenate([
            deliver(answers, |answer| answer.asker).map(Output::Answer),
            deliver(settled, |_| 0),
            broadcast_rows(expired).map(Output::Expired),
            erasable,
            nothing,
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

//! Access and erasure: of every random history, on any number of workers, the records of a person
//! are reported completely, and so are those that have expired. Once the reported records are
//! dropped, nothing is reported any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{ask, held};
use tributary_operators::ask::{Question, Reply};
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{
    Arrival, Body, IdKind, Pseudonym, Record, RecordKey, SaleKind, WalletType,
};
use tributary_operators::retention_query::{Category, Horizons};
use tributary_oracle::history::random;

/// The numbers of workers of each run.
const WORKERS: [usize; 4] = [1, 2, 3, 8];

/// The category of a record, and its horizon.
fn category(horizons: Horizons, body: &Body) -> Option<(i64, Category)> {
    match body {
        Body::Contact { .. } | Body::Identify => Some((horizons.cookies, Category::Cookies)),
        Body::Sale { .. }
        | Body::Refund { .. }
        | Body::Restatement { .. }
        | Body::Adjustment { .. } => Some((horizons.transactions, Category::Transactions)),
        Body::Consent { .. } => Some((horizons.consent, Category::Consent)),
        Body::Wallet {
            kind: WalletType::Push | WalletType::Open,
            ..
        } => Some((horizons.cookies, Category::Cookies)),
        Body::Exposure { .. } => Some((horizons.exposures, Category::Exposures)),
        Body::Sighting { .. } | Body::SettledVisit { .. } | Body::PanelMember { .. } => {
            Some((horizons.visits, Category::Visits))
        }
        Body::PartnerLink => Some((horizons.identification, Category::Identification)),
        Body::Wallet { .. } => Some((horizons.identification, Category::Identification)),
        Body::Spend { .. } | Body::Right { .. } => None,
    }
}

/// The expected replies about a record, directly from the rules: whether it is past the horizon of
/// its category, and which cookies it places, if it is a web record.
fn expected_replies(horizons: Horizons, key: RecordKey, record: &Record) -> Vec<Reply> {
    let mut published = Vec::new();
    if let Some((cutoff, category)) = category(horizons, &record.body)
        && record.ts < cutoff
        && category != Category::Identification
    {
        published.push(Reply::Expired(key, category));
    }
    let is_web = match &record.body {
        Body::Contact { .. } | Body::Identify => true,
        Body::Sale { kind, .. } | Body::Adjustment { kind, .. } => *kind == SaleKind::Order,
        Body::Refund { store, .. } | Body::Restatement { store, .. } => *store == Label::ABSENT,
        Body::Sighting { .. } | Body::Exposure { .. } | Body::PartnerLink => false,
        Body::SettledVisit { .. } | Body::PanelMember { .. } => false,
        Body::Spend { .. } | Body::Wallet { .. } | Body::Consent { .. } | Body::Right { .. } => {
            false
        }
    };
    if is_web && record.ts < horizons.cookies {
        let cookies = record.ids.ids().iter();
        let cookies = cookies.filter(|id| id.kind == IdKind::Cookie);
        published.extend(cookies.map(|id| Reply::OldCookie(id.pseudonym)));
    }
    published
}

/// The identifiers of the sets without a recent record, if any of their records is old enough to be
/// deleted with its person.
fn quiet(horizons: Horizons, records: &[&Record]) -> Vec<Reply> {
    let mut sets: BTreeMap<u128, Vec<&Record>> = BTreeMap::new();
    for record in records.iter().filter(|record| !record.ids.is_empty()) {
        sets.entry(record.ids.key()).or_default().push(record);
    }
    let mut published = Vec::new();
    for of_set in sets.values() {
        let old = |record: &&Record| record.ts < horizons.identification;
        let goes = |record: &&Record| {
            let category = category(horizons, &record.body).map(|(_, category)| category);
            old(record) && category.is_some_and(|category| category != Category::Consent)
        };
        let right = |record: &&Record| matches!(record.body, Body::Right { .. });
        if of_set.iter().any(goes) && of_set.iter().all(|one| right(one) || old(one)) {
            let ids = of_set[0].ids.ids().iter();
            published.extend(ids.map(|id| Reply::Inactive(id.pseudonym)));
        }
    }
    published
}

/// Queries return exactly the records that are stored, and exactly those that have expired.
#[test]
fn all_stored_records_of_a_person_are_reported() {
    for seed in 300_000..300_120 {
        let history = random(seed, 60);
        let held = held(history.batches.iter().flatten());
        let moments: Vec<i64> = held.values().map(|record| record.ts).collect();
        let middle = |part: usize| moments.get(moments.len() / part).copied().unwrap_or(0);
        let horizons = Horizons {
            cookies: middle(2),
            transactions: middle(3),
            consent: middle(4),
            identification: middle(5),
            visits: middle(6),
            exposures: middle(7),
        };
        for &brand in history.settings.brands.keys() {
            let of_brand = || held.iter().filter(move |(_, record)| record.brand == brand);
            let asked: Vec<Pseudonym> = of_brand()
                .flat_map(|(_, record)| record.ids.ids().first())
                .map(|id| id.pseudonym)
                .take(3)
                .collect();
            let questions = [
                Question::Records {
                    brand,
                    naming: asked.clone().into(),
                },
                Question::Expired { brand, horizons },
            ];
            let workers = WORKERS[(seed % 4) as usize];
            let seen = ask(&history.settings, &history.batches, workers, {
                move |seen| questions.get(seen.answers.len()).cloned()
            });
            // The words of the labels are another test's.
            let mut published: Vec<Reply> = seen.answers[0]
                .iter()
                .map(|reply| match reply {
                    Reply::NamedRecord(key, record, _) => Reply::Record(*key, record.clone()),
                    other => panic!("{other:?}"),
                })
                .collect();
            published.sort();
            published.dedup();
            let names = |record: &Record| {
                let mut ids = record.ids.ids().iter();
                ids.any(|id| asked.contains(&id.pseudonym))
            };
            let mut expected: Vec<Reply> = of_brand()
                .filter(|(_, record)| names(record))
                .map(|(key, record)| Reply::Record(*key, Box::new(record.clone())))
                .collect();
            expected.sort();
            assert_eq!(published, expected, "seed {seed}: records");

            let mut published = seen.answers[1].clone();
            published.sort();
            published.dedup();
            let expected_replies =
                |(key, record): (&RecordKey, &Record)| expected_replies(horizons, *key, record);
            let mut past: BTreeSet<Reply> = of_brand().flat_map(expected_replies).collect();
            let records: Vec<&Record> = of_brand().map(|(_, record)| record).collect();
            past.extend(quiet(horizons, &records));
            assert_eq!(
                published,
                past.into_iter().collect::<Vec<_>>(),
                "seed {seed}"
            );
        }
    }
}

/// Erasure drops every reported key; afterwards no key of the person is reported.
#[test]
fn erasure_leaves_no_records() {
    for seed in 400_000..400_040 {
        let mut history = random(seed, 60);
        let all = held(history.batches.iter().flatten());
        let Some((brand, id)) = all
            .values()
            .find_map(|record| Some((record.brand, record.ids.ids().first()?.pseudonym)))
        else {
            continue;
        };
        let of_person = Question::Records {
            brand,
            naming: [id].into(),
        };
        let workers = WORKERS[(seed % 4) as usize];
        let question = of_person.clone();
        let seen = ask(&history.settings, &history.batches, workers, move |seen| {
            seen.answers.is_empty().then(|| question.clone())
        });
        let arrival = Arrival {
            message: u64::MAX,
            line: 0,
        };
        let drops = seen.answers[0].iter();
        let drops = drops.map(|reply| match reply {
            Reply::NamedRecord(key, _, _) => Event::Drop { key: *key, arrival },
            other => panic!("{other:?}"),
        });
        history.batches.push(drops.collect());
        let whole = Question::Members {
            brand,
            naming: [id].into(),
            persons: [].into(),
        };
        let seen = ask(&history.settings, &history.batches, workers, move |seen| {
            [&of_person, &whole]
                .get(seen.answers.len())
                .map(|question| (*question).clone())
        });
        assert!(seen.answers.iter().all(Vec::is_empty), "seed {seed}");
    }
}

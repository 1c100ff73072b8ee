//! Withdrawn and renewed consent.
//!
//! A withdrawal or a restriction removes exactly what it should, and when it ends every cell has
//! its previous value, byte for byte: with 1, 2, 3 and 8 workers, in a hand-written history and in
//! random ones.

use std::collections::BTreeMap;

use crate::support::story::Story;
use crate::support::{Released, held, number_from_env, released, run};
use tributary_operators::allowed_uses::{AllowedUses, Use};
use tributary_operators::cell::Family;
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{
    Arrival, Body, BrandId, IdSet, Identifier, Pseudonym, Record, RecordKey, Right,
};
use tributary_operators::settings::Settings;
use tributary_oracle::history::random;

/// The numbers of workers of each run.
const WORKERS: [usize; 4] = [1, 2, 3, 8];

/// Runs the epochs, compares each with the batch oracle, and returns the released cells of each.
fn checked(settings: &Settings, batches: &[Vec<Event>], workers: usize) -> Vec<Released> {
    let published = run(settings, batches, workers);
    for (n, published) in (1..).zip(&published) {
        let held = tributary_oracle::fold_events(batches[..n].iter().flatten());
        let expected = released(tributary_oracle::cells(settings, &held));
        assert_eq!(published, &expected, "epoch {n}, {workers} workers");
    }
    published
}

/// Whether any cell of a family is released.
fn has(cells: &Released, family: Family) -> bool {
    cells.keys().any(|(of, _)| *of == family)
}

/// A customer withdraws consent after an order and renews it: the credits disappear and return.
#[test]
fn consent_is_withdrawn_and_renewed() {
    let mut story = Story::new();
    story.click("1", 0, "cookie:c", "google");
    story.order("o", 10, "cookie:c email:ann", 100);
    story.transaction("t", 20, "email:ann", 7);
    story.click("2", 5, "cookie:d", "blog");
    story.then();
    story.consent("no", 30, "cookie:c", AllowedUses::NONE);
    story.then();
    story.consent("yes", 40, "cookie:c", AllowedUses::ALL);
    story.then();
    story.consent("late", 35, "cookie:c", AllowedUses::NONE);
    story.then();
    story.forget("consent", "yes");
    story.then();
    // A restriction on top of a renewal, in the epoch that renews.
    let restriction = |stands| Body::Right {
        right: Right::Restriction,
        stands,
    };
    story.consent("again", 50, "cookie:c", AllowedUses::ALL);
    story.put("rights", "r", 50, "email:ann", restriction(true));
    story.then();
    story.put("rights", "u", 60, "email:ann", restriction(false));
    for workers in WORKERS {
        let published = checked(&story.settings, &story.batches, workers);
        assert!(has(&published[0], Family::OrdersDay));
        // The sale at the till rests on no cookie.
        assert!(!has(&published[1], Family::OrdersDay) && has(&published[1], Family::StoreDay));
        assert_eq!(published[2], published[0]);
        assert_eq!(published[3], published[0]);
        assert_eq!(published[4], published[1]);
        assert!(!has(&published[5], Family::OrdersDay) && !has(&published[5], Family::StoreDay));
        assert!(has(&published[5], Family::CampaignDay));
        assert_eq!(published[6], published[0]);
    }
}

/// Permission to link and to join is withdrawn and renewed.
#[test]
fn links_and_joins_come_back() {
    let mut story = Story::new();
    story.click("1", 0, "cookie:c email:ann", "google");
    story.order("o", 10, "cookie:c", 100);
    story.transaction("t", 20, "email:ann", 7);
    for (ts, step) in (30..).zip([Use::Link, Use::Join, Use::Credit]) {
        story.then();
        story.consent("s", ts, "email:ann", AllowedUses::ALL.without(step));
    }
    story.then();
    story.forget("consent", "s");
    for workers in WORKERS {
        let published = checked(&story.settings, &story.batches, workers);
        for (n, less) in published.iter().enumerate().skip(1).take(3) {
            assert_ne!(less, &published[0], "epoch {n}");
            assert_ne!(less, &published[n - 1], "epoch {n}");
        }
        assert_eq!(published[4], published[0]);
    }
}

/// A statement about an identifier does not apply to another identifier that replaces it in a
/// record.
#[test]
fn a_dropped_statement_has_no_effect_on_later_records() {
    let mut story = Story::new();
    story.order("o", 10, "cookie:c email:ann", 100);
    story.consent("no", 20, "email:ann", AllowedUses::NONE);
    story.then();
    story.forget("web", "o");
    story.then();
    story.forget("consent", "no");
    story.then();
    story.order("o", 10, "cookie:c email:ann", 100);
    for workers in WORKERS {
        let published = checked(&story.settings, &story.batches, workers);
        assert!(published[..3].iter().all(BTreeMap::is_empty));
        assert!(has(&published[3], Family::OrdersDay));
    }
}

/// All identifiers of a history, each of which makes the same statements.
struct AllIdentifiers {
    identifiers: Vec<(BrandId, Identifier)>,
    arrived: u64,
}

impl AllIdentifiers {
    /// The identifiers in the records of some batches.
    fn of(batches: &[Vec<Event>]) -> AllIdentifiers {
        let mut identifiers: BTreeMap<(BrandId, Pseudonym), Identifier> = BTreeMap::new();
        for record in held(batches.iter().flatten()).values() {
            for id in record.ids.ids() {
                identifiers.insert((record.brand, id.pseudonym), *id);
            }
        }
        AllIdentifiers {
            identifiers: identifiers
                .into_iter()
                .map(|((brand, _), id)| (brand, id))
                .collect(),
            arrived: u64::MAX / 2,
        }
    }

    /// The next position in the order of arrival.
    fn arrive(&mut self) -> Arrival {
        self.arrived += 1;
        Arrival {
            message: self.arrived,
            line: 0,
        }
    }

    /// The key of the statement about an identifier.
    fn key(id: &Identifier) -> RecordKey {
        RecordKey::of("all", &[&id.pseudonym.to_le_bytes()])
    }

    /// An epoch in which a statement about every identifier is made at `ts`.
    fn state(&mut self, ts: i64, body: &Body) -> Vec<Event> {
        let all = self.identifiers.clone();
        let say = |(brand, id): (BrandId, Identifier)| Event::Put {
            key: AllIdentifiers::key(&id),
            version: 0,
            arrival: self.arrive(),
            record: Record {
                brand,
                source: Label::of("web"),
                id: "all".into(),
                ts,
                day: 0,
                ids: IdSet::new(vec![id]),
                body: body.clone(),
            },
        };
        all.into_iter().map(say).collect()
    }

    /// An epoch in which all of these statements are dropped.
    fn drop_statements(&mut self) -> Vec<Event> {
        let all = self.identifiers.clone();
        let drop = |(_, id): (BrandId, Identifier)| Event::Drop {
            key: AllIdentifiers::key(&id),
            arrival: self.arrive(),
        };
        all.into_iter().map(drop).collect()
    }
}

/// In random histories, statements about every identifier are made and dropped again: the cells
/// return to those before.
#[test]
fn dropped_statements_restore_all_cells() {
    for seed in 200_000..200_000 + number_from_env("TRIBUTARY_HISTORIES", 240) / 10 {
        let mut history = random(seed, 60);
        for brand in history.settings.brands.values_mut() {
            (brand.k, brand.k_traffic) = (1, 1);
        }
        let n = history.batches.len();
        if n == 0 {
            continue;
        }
        let mut all = AllIdentifiers::of(&history.batches);
        let late = 1 << 50;
        let restricted = Body::Right {
            right: Right::Restriction,
            stands: true,
        };
        let none = Body::Consent {
            steps: AllowedUses::NONE,
            string: None,
            boxes: None,
        };
        // Restricted, withdrawn under the same keys, and silent again.
        history.batches.push(all.state(late, &restricted));
        history.batches.push(all.state(late, &none));
        history.batches.push(all.drop_statements());
        let workers = WORKERS[(seed % 4) as usize];
        let published = checked(&history.settings, &history.batches, workers);
        assert!(!has(&published[n], Family::Identity), "seed {seed}");
        assert_eq!(published[n + 2], published[n - 1], "seed {seed}");
    }
}

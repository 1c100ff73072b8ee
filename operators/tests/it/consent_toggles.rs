//! A withdrawal and a restriction take out what they should and nothing else, and when they are over every cell is to
//! the byte what it was: at 1, 2, 3 and 8 workers, in a story and over random histories.

use std::collections::BTreeMap;

use crate::support::story::Story;
use crate::support::{Released, held, released, run};
use tributary_operators::allowed_uses::{AllowedUses, Use};
use tributary_operators::cell::Family;
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{
    Arrival, Body, BrandId, IdSet, Identifier, Pseudonym, Record, RecordKey, Right,
};
use tributary_operators::settings::Settings;
use tributary_oracle::history::random;

const WORKERS: [usize; 4] = [1, 2, 3, 8];

/// Runs the epochs and compares each with the batch oracle.
fn checked(settings: &Settings, batches: &[Vec<Event>], workers: usize) -> Vec<Released> {
    let published = run(settings, batches, workers);
    for (n, published) in (1..).zip(&published) {
        let held = tributary_oracle::fold_events(batches[..n].iter().flatten());
        let expected = released(tributary_oracle::cells(settings, &held));
        assert_eq!(published, &expected, "epoch {n}, {workers} workers");
    }
    published
}

fn has(cells: &Released, family: Family) -> bool {
    cells.keys().any(|(of, _)| *of == family)
}

#[test]
fn a_customer_changes_her_mind() {
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

#[test]
fn who_is_named_again_is_free_of_what_was_said_before() {
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

/// One epoch with the same statement about every identifier in a stored record.
struct Everybody {
    identifiers: Vec<(BrandId, Identifier)>,
    arrived: u64,
}

impl Everybody {
    fn of(batches: &[Vec<Event>]) -> Everybody {
        let mut identifiers: BTreeMap<(BrandId, Pseudonym), Identifier> = BTreeMap::new();
        for record in held(batches.iter().flatten()).values() {
            for id in record.ids.ids() {
                identifiers.insert((record.brand, id.pseudonym), *id);
            }
        }
        Everybody {
            identifiers: identifiers
                .into_iter()
                .map(|((brand, _), id)| (brand, id))
                .collect(),
            arrived: u64::MAX / 2,
        }
    }

    fn arrive(&mut self) -> Arrival {
        self.arrived += 1;
        Arrival {
            message: self.arrived,
            line: 0,
        }
    }

    fn key(id: &Identifier) -> RecordKey {
        RecordKey::of("everybody", &[&id.pseudonym.to_le_bytes()])
    }

    fn says(&mut self, ts: i64, body: &Body) -> Vec<Event> {
        let everybody = self.identifiers.clone();
        let say = |(brand, id): (BrandId, Identifier)| Event::Put {
            key: Everybody::key(&id),
            version: 0,
            arrival: self.arrive(),
            record: Record {
                brand,
                source: Label::of("web"),
                id: "everybody".into(),
                ts,
                day: 0,
                ids: IdSet::new(vec![id]),
                body: body.clone(),
            },
        };
        everybody.into_iter().map(say).collect()
    }

    fn is_silent(&mut self) -> Vec<Event> {
        let everybody = self.identifiers.clone();
        let drop = |(_, id): (BrandId, Identifier)| Event::Drop {
            key: Everybody::key(&id),
            arrival: self.arrive(),
        };
        everybody.into_iter().map(drop).collect()
    }
}

#[test]
fn whatever_happened_comes_back() {
    for seed in 200_000..200_080 {
        let mut history = random(seed, 60);
        for brand in history.settings.brands.values_mut() {
            (brand.k, brand.k_traffic) = (1, 1);
        }
        let n = history.batches.len();
        if n == 0 {
            continue;
        }
        let mut everybody = Everybody::of(&history.batches);
        let late = 1 << 50;
        let restricted = Body::Right {
            right: Right::Restriction,
            stands: true,
        };
        let none = Body::Consent {
            steps: AllowedUses::NONE,
            string: None,
        };
        // Restricted, withdrawn under the same keys, and silent again.
        history.batches.push(everybody.says(late, &restricted));
        history.batches.push(everybody.says(late, &none));
        history.batches.push(everybody.is_silent());
        let workers = WORKERS[(seed % 4) as usize];
        let published = checked(&history.settings, &history.batches, workers);
        assert!(!has(&published[n], Family::Identity), "seed {seed}");
        assert_eq!(published[n + 2], published[n - 1], "seed {seed}");
    }
}

//! Coverage of consent: random histories reach the rare cases of consent and rights.
//!
//! The effect of a statement is visible in what would count without it, so each case compares the
//! cells of a history with those of the same history without some statements.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::allowed_uses::Use;
use tributary_operators::cell::{Cell, Family};
use tributary_operators::event::Event;
use tributary_operators::record::{Body, Pseudonym, Record, RecordKey, SaleKind};
use tributary_operators::settings::Settings;
use tributary_oracle::history::{History, random};
use tributary_oracle::{StoredState, cells, fold_events};

/// The number of conversions that count.
fn conversions(settings: &Settings, held: &StoredState) -> i128 {
    let cells = cells(settings, held);
    let counted = |cell: &&Cell| matches!(cell.family, Family::OrdersDay | Family::StoreDay);
    cells
        .iter()
        .filter(counted)
        .map(|cell| cell.values[0])
        .sum()
}

/// The sum of one value of a family, if every statement of consent also allowed a use.
fn were_it_allowed(
    settings: &Settings,
    held: &StoredState,
    step: Option<Use>,
    (family, value): (Family, usize),
) -> i128 {
    let mut held = held.clone();
    for record in &mut held.records {
        if let (Body::Consent { steps, .. }, Some(step)) = (&mut record.body, step) {
            *steps = steps.with(step);
        }
    }
    let cells = cells(settings, &held);
    let of_family = cells.iter().filter(|cell| cell.family == family);
    of_family.map(|cell| cell.values[value]).sum()
}

/// The stored state without some records.
fn without(held: &StoredState, is_removed: impl Fn(&Record) -> bool) -> StoredState {
    let mut held = held.clone();
    held.records.retain(|record| !is_removed(record));
    held
}

/// Whether a restriction lets the second order of a name count: without that order the cells
/// differ.
fn second_counts(settings: &Settings, held: &StoredState) -> bool {
    let orders = |held: &StoredState| {
        let mut cells = cells(settings, held);
        cells.retain(|cell| cell.family == Family::OrdersDay);
        cells
    };
    let unrestricted = without(held, |record| matches!(record.body, Body::Right { .. }));
    let is_order = |record: &&Record| {
        let kind = SaleKind::Order;
        matches!(record.body, Body::Sale { kind: of, .. } if of == kind)
    };
    held.records.iter().filter(is_order).any(|order| {
        orders(held) != orders(&without(held, |record| record == order))
            && orders(&unrestricted) == orders(&without(&unrestricted, |record| record == order))
    })
}

/// Whether an identifier that several records contained is in no record any more.
fn somebody_is_erased(history: &History, held: &StoredState) -> bool {
    let mut named: BTreeMap<Pseudonym, BTreeSet<RecordKey>> = BTreeMap::new();
    for event in history.batches.iter().flatten() {
        if let Event::Put { key, record, .. } = event {
            for id in record.ids.ids() {
                named.entry(id.pseudonym).or_default().insert(*key);
            }
        }
    }
    let ids = held.records.iter().flat_map(|record| record.ids.ids());
    let still: BTreeSet<Pseudonym> = ids.map(|id| id.pseudonym).collect();
    named
        .iter()
        .any(|(pseudonym, keys)| keys.len() >= 4 && !still.contains(pseudonym))
}

/// Counts the histories that reach each case.
#[test]
fn histories_reach_the_corners_of_consent() {
    let mut corners: BTreeMap<&str, usize> = BTreeMap::new();
    let mut plain = 0;
    for (seed, half) in (0..300).flat_map(|seed| [(seed, true), (seed, false)]) {
        let mut history = random(seed, 150);
        for brand in history.settings.brands.values_mut() {
            brand.k = 0;
        }
        // A state that the end of a history reverts still existed in its middle.
        if half {
            history.batches.truncate(history.batches.len() / 2);
        }
        let held = fold_events(history.batches.iter().flatten());
        let settings = &history.settings;
        let is_statement = |event: &Event| {
            matches!(event, Event::Put { record, .. }
                if matches!(record.body, Body::Consent { .. } | Body::Right { .. }))
        };
        let rests = settings.brands.values().any(|b| !b.on_consent.is_empty());
        if !rests && !history.batches.iter().flatten().any(is_statement) {
            plain += 1;
            continue;
        }
        let mut reach = |corner, reached: bool| {
            *corners.entry(corner).or_default() += usize::from(reached);
        };
        let counted = conversions(settings, &held);
        // By how much each statement that is held changes the number of conversions.
        let consents = held.records.iter();
        let consents = consents.filter(|record| matches!(record.body, Body::Consent { .. }));
        let effects: Vec<i128> = consents
            .map(|said| counted - conversions(settings, &without(&held, |r| r == said)))
            .collect();
        reach("withdrawn conversion", effects.iter().any(|by| *by < 0));
        let renewed = effects.iter().any(|by| *by > 0);
        reach("renewed conversion", !rests && renewed);
        reach("conversion by consent", rests && renewed);
        for (corner, step, what) in [
            ("lost link", Use::Link, (Family::Identity, 2)),
            ("lost path", Use::Join, (Family::PathLength, 0)),
            ("lost touch", Use::Credit, (Family::PathLength, 0)),
            ("lost contact", Use::Hold, (Family::CampaignDay, 1)),
        ] {
            let is = were_it_allowed(settings, &held, None, what);
            let were = were_it_allowed(settings, &held, Some(step), what);
            reach(corner, were > is);
        }
        reach("second order of a name", second_counts(settings, &held));
        reach("erased person", somebody_is_erased(&history, &held));
    }
    assert_eq!(plain, 200, "every third history knows nothing of consent");
    for (corner, times) in &corners {
        assert!(*times >= 3, "{corner}: {corners:?}");
    }
}

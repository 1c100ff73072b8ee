//! Who counts: an attacker who may publish, or who sees every release, tries to learn of one person. Each attack is
//! played in two worlds that differ in that person alone, and nothing that is published differs. The control is the same
//! attack where its way is open, and finds the person.

use std::collections::BTreeSet;

use tributary_operators::cell::{Cell, Family};
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{Body, SaleKind, TouchKind};
use tributary_operators::settings::{BrandSettings, Ladder};

use crate::support::Released;
use crate::support::runner::play;
use crate::support::shop::known;
use crate::support::story::{ACME, DAY, HOUR, Story, sale};

/// The day of the attack.
const DAY_OF_ATTACK: i64 = 10;
/// What a known person and another customer spend together, minor units.
const TOGETHER: i64 = 10_000;

/// The default gate of a brand, with one of the ladders.
fn default_gate(story: &mut Story, ladder: Ladder) -> &mut BrandSettings {
    let brand = story.settings.brands.get_mut(&ACME).unwrap();
    *brand = BrandSettings {
        name: brand.name.clone(),
        ladder,
        ..BrandSettings::default()
    };
    brand
}

/// What is published after the last step of a story, with releases an hour apart from the morning of a day on. Any
/// number of workers publishes the same.
fn published(story: &Story, from: i64) -> Released {
    let batches = story
        .batches
        .iter()
        .cloned()
        .chain([Vec::new(), Vec::new()]);
    let steps: Vec<_> = (0..)
        .zip(batches)
        .map(|(hour, events)| (events, from * DAY + hour * HOUR + HOUR))
        .collect();
    let [one, three] = [1, 3].map(|workers| {
        let played = play(&story.settings, workers, &[], &steps);
        known(&played.published).pop().unwrap()
    });
    assert_eq!(one, three);
    one
}

fn click_on(source: &str) -> Body {
    Body::Contact {
        kind: TouchKind::Click,
        channel: Channel {
            source: Label::of(source),
            ..Channel::default()
        },
        touch: true,
    }
}

/// Seventy customers buy after a click on an advertisement, on two days. Then an attacker sends a back-dated click that
/// names a known one of them, and 55 visitors with the same click and an order of `price`.
fn invented_crowd(her_amount: i64, price: i64, is_open: bool, ladder: Ladder) -> Released {
    let mut story = Story::new();
    let brand = default_gate(&mut story, ladder);
    if is_open {
        brand.open_sources = [Label::of("tag")].into();
    }
    let time = |number: i64, hour: i64| (DAY_OF_ATTACK + number % 2) * DAY + hour * HOUR;
    for number in 0..70 {
        let (amount, who) = match number {
            0 => (her_amount, "email:her".to_owned()),
            2 => (TOGETHER - her_amount, "email:another".to_owned()),
            _ => (2_000, format!("email:{number}")),
        };
        story.click(&format!("click {number}"), time(number, 8), &who, "google");
        story.order(&format!("order {number}"), time(number, 12), &who, amount);
    }
    story.then();
    story.insert("spy");
    story.put(
        "tag",
        "click of hers",
        time(0, 11),
        "email:her",
        click_on("spy"),
    );
    for number in 0..55 {
        let who = format!("cookie:{number}");
        let (click, order) = (format!("tag click {number}"), format!("tag order {number}"));
        story.put("tag", &click, time(number, 9), &who, click_on("spy"));
        let order_of = sale(SaleKind::Order, &order, price);
        story.put("tag", &order, time(number, 12), &who, order_of);
    }
    published(&story, DAY_OF_ATTACK + 2)
}

/// The value of the cells of a channel under the last-touch model.
fn credited(released: &Released, source: &str) -> i128 {
    let cells = released.iter().map(|((family, dims), values)| Cell {
        family: *family,
        dims: dims.clone(),
        values: values.clone(),
    });
    let of_source = cells.filter(|cell| {
        let is_of_model = cell.family == Family::Attribution && cell.text("model") == "last";
        is_of_model && cell.text("source") == source
    });
    of_source.map(|cell| cell.value("value_minor")).sum()
}

#[test]
fn invented_orders_do_not_carry_a_known_person_over_the_gate() {
    // Among orders of a cent hers would stand out, which the month does not allow: there the attacker spends more.
    for (ladder, price) in [(Ladder::Finest, 1), (Ladder::Month, 2_000)] {
        let [cheap, dear] = [1_234, 8_766].map(|hers| invented_crowd(hers, price, true, ladder));
        assert!(!cheap.is_empty(), "{ladder:?}");
        assert_eq!(cheap, dear, "{ladder:?}");
        assert_eq!(credited(&cheap, "spy"), 0, "{ladder:?}");

        // If anybody's orders count, the attacker subtracts his own.
        for hers in [1_234, 8_766] {
            let found = invented_crowd(hers, price, false, ladder);
            let invented = i128::from(55 * price);
            assert_eq!(
                credited(&found, "spy") - invented,
                hers.into(),
                "{ladder:?}"
            );
        }
    }
}

#[test]
fn orders_of_an_open_source_are_in_the_numbers() {
    let sums = |is_open| {
        let released = invented_crowd(5_000, 2_000, is_open, Ladder::Month);
        let revenue = released
            .iter()
            .filter(|((family, _), _)| *family == Family::OrdersDay);
        revenue
            .map(|(_, values)| (values[0], values[1]))
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(sums(true), sums(false));
}

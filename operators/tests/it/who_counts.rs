//! Who counts: an attacker who may publish, or who sees every release, tries to learn of one person. Each attack is
//! played in two worlds that differ in that person alone, and nothing that is published differs. The control is the same
//! attack where its way is open, and finds the person.

use std::collections::BTreeSet;

use tributary_operators::allowed_uses::{AllowedUses, Use};
use tributary_operators::cell::{Cell, Family};
use tributary_operators::dataflow::Output;
use tributary_operators::event::Event;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{Body, Pseudonym, SaleKind, TouchKind};
use tributary_operators::settings::{BrandSettings, Ladder, Settings};

use crate::support::Released;
use crate::support::runner::on_workers;
use crate::support::shop::known;
use crate::support::story::{ACME, DAY, HOUR, Story, identifier, sale};

/// The day of the attack.
const DAY_OF_ATTACK: i64 = 10;
/// What a known person and another customer spend together, minor units.
const TOGETHER: i64 = 10_000;
/// The orders that an attacker invents.
const INVENTED: i64 = 60;
/// More cookies than `k_delta`, and no more than one record may link.
const COOKIES: usize = 11;

/// The events of a step, the identifiers of the requests that cause them, and the time of the release after them.
struct Step {
    events: Vec<Event>,
    requests: Vec<Vec<Pseudonym>>,
    now: i64,
}

/// The identifiers that allow and that refuse each use.
type ConsentCounts = Vec<(Use, [u64; 2])>;

/// What a reader knows after each step, and the published consent counts. Any number of workers publishes the same.
fn outside(settings: &Settings, steps: Vec<Step>) -> (Vec<Released>, Vec<ConsentCounts>) {
    let steps = std::sync::Arc::new(steps);
    let run = |workers| {
        let steps = steps.clone();
        let mut published = vec![Vec::new(); steps.len()];
        let mut consents = vec![Vec::new(); steps.len()];
        let of_workers = on_workers(settings, workers, move |runner| {
            let mut consents = Vec::new();
            runner.start(steps.iter().flat_map(|step| &step.events));
            for (at, step) in steps.iter().enumerate() {
                runner.put(&step.events);
                if runner.index == 0 {
                    for ids in &step.requests {
                        runner.dataflow.join_act(ACME, ids.clone().into());
                    }
                    runner.dataflow.release(step.now);
                }
                if at == 0 {
                    runner.dataflow.reconcile_restored();
                }
                runner.end(2);
                consents.push(runner.dataflow.stats.published_consents());
            }
            (runner.take_outputs(), consents)
        });
        for (outputs, own) in of_workers {
            for (epoch, output) in outputs {
                if let Output::Cell { cell, is_new, .. } = output {
                    published[epoch as usize / 2].push((cell, is_new));
                }
            }
            for (all, own) in consents.iter_mut().zip(own) {
                all.extend(own.into_iter().map(|((_, of), counts)| (of, counts)));
            }
        }
        (known(&published), consents)
    };
    let (one, three) = (run(1), run(3));
    assert_eq!(one, three);
    one
}

/// Panics with what is published otherwise, if anything is.
fn assert_same(one: &Released, other: &Released, case: &str) {
    let names: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let differ = names
        .into_iter()
        .filter(|name| one.get(*name) != other.get(*name));
    let differ: Vec<_> = differ
        .map(|name| format!("{name:?}: {:?}, {:?}", one.get(name), other.get(name)))
        .collect();
    assert!(differ.is_empty(), "{case}:\n{}", differ.join("\n"));
}

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

/// What is published after the last step of a story, with releases an hour apart from the morning of a day on.
fn published(story: &Story, from: i64) -> Released {
    let batches = story
        .batches
        .iter()
        .cloned()
        .chain([Vec::new(), Vec::new()]);
    let steps = (1..).zip(batches).map(|(hour, events)| Step {
        events,
        requests: Vec::new(),
        now: from * DAY + hour * HOUR,
    });
    outside(&story.settings, steps.collect()).0.pop().unwrap()
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

/// Sixty customers a day buy after a click on an advertisement, on two days. Then an attacker sends a back-dated click that
/// names a known one of the first day, and visitors with the same click and an order of `price`: 55 on that day, and 5 on
/// the next. Nothing has been published before.
fn invented_crowd(her_amount: i64, price: i64, is_open: bool, ladder: Ladder) -> Released {
    let mut story = Story::new();
    let brand = default_gate(&mut story, ladder);
    if is_open {
        brand.open_sources = [Label::of("tag")].into();
    }
    let time = |number: i64, hour: i64| (DAY_OF_ATTACK + number % 2) * DAY + hour * HOUR;
    for number in 0..120 {
        let (amount, who) = match number {
            0 => (her_amount, "email:her".to_owned()),
            2 => (TOGETHER - her_amount, "email:another".to_owned()),
            _ => (2_000, format!("email:{number}")),
        };
        story.click(&format!("click {number}"), time(number, 8), &who, "google");
        story.order(&format!("order {number}"), time(number, 12), &who, amount);
    }
    story.insert("spy");
    story.put(
        "tag",
        "click of hers",
        time(0, 11),
        "email:her",
        click_on("spy"),
    );
    for number in 0..INVENTED {
        let day = i64::from(number >= 55);
        let who = format!("cookie:{number}");
        let (click, order) = (format!("tag click {number}"), format!("tag order {number}"));
        story.put("tag", &click, time(day, 9), &who, click_on("spy"));
        let order_of = sale(SaleKind::Order, &order, price);
        story.put("tag", &order, time(day, 12), &who, order_of);
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
        let [cheap, dear] = [1_234, 8_766].map(|hers| {
            let mut released = invented_crowd(hers, price, true, ladder);
            // The paths of the others are sums of at least 50 other persons, and differ.
            released.retain(|(family, _), _| !family.row().is_path_statistic);
            released
        });
        assert!(!cheap.is_empty(), "{ladder:?}");
        assert_same(&cheap, &dear, &format!("{ladder:?}"));
        assert_eq!(credited(&cheap, "spy"), 0, "{ladder:?}");

        // If anybody's orders count, the attacker subtracts his own.
        for hers in [1_234, 8_766] {
            let found = invented_crowd(hers, price, false, ladder);
            // By day, the five of the next day are too few.
            let shown = match ladder {
                Ladder::Finest => 55,
                Ladder::Month => INVENTED,
            };
            let invented = i128::from(shown * price);
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

/// What happens to a person with [`COOKIES`] cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Nothing.
    None,
    /// One request erases all records with her address, which linked the cookies.
    ErasureOfAddress,
    /// One request names all cookies, which nothing links.
    ErasureOfCookies,
    /// One statement about all cookies withdraws consent.
    Withdrawal,
    /// One record links the cookies.
    Merge,
    /// As many requests as cookies, of as many persons.
    Erasures,
}

/// Seventy customers and the person buy on a day, then the act follows. What a reader knows after each release, two days of
/// them.
fn world(act: Act, ladder: Ladder) -> Vec<Released> {
    let mut story = Story::new();
    default_gate(&mut story, ladder).max_hold = HOUR;
    let noon = DAY_OF_ATTACK * DAY + 12 * HOUR;
    for number in 0..140 {
        let (who, at) = (format!("email:{number}"), noon + number % 2 * DAY);
        story.click(&format!("click {number}"), at - HOUR, &who, "google");
        story.order(&format!("order {number}"), at, &who, 2_000);
    }
    let cookies: Vec<String> = (0..COOKIES).map(|of| format!("cookie:{of}")).collect();
    for (number, cookie) in cookies.iter().enumerate() {
        let who = match act {
            Act::ErasureOfAddress => format!("{cookie} email:her"),
            _ => cookie.clone(),
        };
        let (click, order) = (format!("her click {number}"), format!("her order {number}"));
        story.click(&click, noon - HOUR, cookie, "google");
        story.order(&order, noon, &who, 3_000);
    }
    story.then();
    let mut requests = Vec::new();
    match act {
        Act::None => {}
        Act::Withdrawal => story.consent("no", noon + DAY, &cookies.join(" "), AllowedUses::NONE),
        Act::Merge => story.put(
            "web",
            "login",
            noon + DAY,
            &cookies.join(" "),
            Body::Identify,
        ),
        Act::ErasureOfAddress | Act::ErasureOfCookies | Act::Erasures => {
            (0..COOKIES).for_each(|number| story.forget("web", &format!("her order {number}")));
            let named = cookies.iter().map(|cookie| identifier(cookie).pseudonym);
            match act {
                Act::ErasureOfAddress => requests.push(vec![identifier("email:her").pseudonym]),
                Act::ErasureOfCookies => requests.push(named.collect()),
                _ => requests.extend(named.map(|cookie| vec![cookie])),
            }
        }
    }
    let mut batches = story.batches.into_iter();
    let (before, after) = (batches.next().unwrap(), batches.next().unwrap());
    let from = (DAY_OF_ATTACK + 2) * DAY;
    let step = |events, requests, hour: i64| Step {
        events,
        requests,
        now: from + hour * HOUR,
    };
    let mut steps = vec![step(before, Vec::new(), 1)];
    steps.extend((2..5).map(|hour| step(Vec::new(), Vec::new(), hour)));
    steps.push(step(after, requests, 5));
    steps.extend((6..30).map(|hour| step(Vec::new(), Vec::new(), hour)));
    outside(&story.settings, steps).0
}

#[test]
fn one_act_counts_once() {
    for ladder in [Ladder::Finest, Ladder::Month] {
        for act in [
            Act::ErasureOfAddress,
            Act::ErasureOfCookies,
            Act::Withdrawal,
            Act::Merge,
        ] {
            let seen = world(act, ladder);
            let before = &seen[3];
            assert!(
                before
                    .keys()
                    .any(|(family, _)| *family == Family::OrdersDay)
            );
            for (step, released) in seen.iter().enumerate().skip(4) {
                assert_same(
                    before,
                    released,
                    &format!("{ladder:?}, {act:?}, step {step}"),
                );
            }
        }
        assert_eq!(
            world(Act::None, ladder)[3],
            *world(Act::None, ladder).last().unwrap()
        );
        let seen = world(Act::Erasures, ladder);
        assert_ne!(
            seen[3],
            *seen.last().unwrap(),
            "{ladder:?}: as many acts are published"
        );
    }
}

/// The published consent counts before and after the consent for some cookies is withdrawn, by one statement or by one for
/// each of them.
fn consent_counts(is_one: bool) -> [ConsentCounts; 2] {
    let mut story = Story::new();
    default_gate(&mut story, Ladder::Month);
    let refusal = AllowedUses::ALL.without(Use::Credit);
    for number in 0..140 {
        let uses = if number < 70 {
            AllowedUses::ALL
        } else {
            refusal
        };
        story.consent(
            &format!("{number}"),
            number,
            &format!("cookie:{number}"),
            uses,
        );
    }
    story.then();
    let cookies: Vec<String> = (0..COOKIES).map(|of| format!("cookie:{of}")).collect();
    match is_one {
        true => story.consent("all", 1_000, &cookies.join(" "), refusal),
        false => (0..).zip(&cookies).for_each(|(number, cookie)| {
            story.consent(&format!("again {number}"), 1_000, cookie, refusal);
        }),
    }
    let steps = (1..).zip(story.batches).map(|(now, events)| Step {
        events,
        requests: Vec::new(),
        now,
    });
    let (_, consents) = outside(&story.settings, steps.collect());
    consents.try_into().unwrap()
}

#[test]
fn one_statement_about_many_cookies_does_not_show_in_the_consent_counts() {
    let [before, after] = consent_counts(true);
    assert_eq!(before, [(Use::Credit, [70, 70])]);
    assert_eq!(after, before);
    let [before, after] = consent_counts(false);
    assert_eq!(before, [(Use::Credit, [70, 70])]);
    assert_eq!(after, [(Use::Credit, [59, 81])]);
}

/// Months whose contacts a statement changes, one for each cookie.
const MONTHS: i64 = COOKIES as i64;

/// The published contacts before and after consent for the cookies is withdrawn, each of which clicked in a month of its own,
/// by one statement or by one for each of them.
fn contacts_of_months(is_one: bool) -> [Released; 2] {
    let mut story = Story::new();
    let brand = default_gate(&mut story, Ladder::Month);
    (brand.max_hold, brand.freeze_after) = (HOUR, 1_000 * DAY);
    let noon = |month: i64, day: i64| (40 + 31 * month + day) * DAY + 12 * HOUR;
    for month in 0..MONTHS {
        for number in 0..120 {
            let (id, who) = (format!("click {month} {number}"), format!("email:{number}"));
            story.click(&id, noon(month, number % 2), &who, "google");
        }
        let (id, who) = (format!("her click {month}"), format!("cookie:{month}"));
        story.click(&id, noon(month, 0), &who, "google");
    }
    story.then();
    let cookies: Vec<String> = (0..COOKIES).map(|of| format!("cookie:{of}")).collect();
    let last = noon(MONTHS, 0);
    match is_one {
        true => story.consent("all", last, &cookies.join(" "), AllowedUses::NONE),
        false => (0..).zip(&cookies).for_each(|(number, cookie)| {
            story.consent(&format!("no {number}"), last, cookie, AllowedUses::NONE);
        }),
    }
    let mut batches = story.batches.into_iter();
    let (before, after) = (batches.next().unwrap(), batches.next().unwrap());
    let empty = || (0..3).map(|_| Vec::new());
    let batches = [before].into_iter().chain(empty());
    let batches = batches.chain([after]).chain(empty());
    let steps = (1..).zip(batches).map(|(hour, events)| Step {
        events,
        requests: Vec::new(),
        now: last + 10 * DAY + hour * HOUR,
    });
    let (mut known, _) = outside(&story.settings, steps.collect());
    let after = known.pop().unwrap();
    [known.swap_remove(3), after]
}

#[test]
fn one_statement_counts_once_in_all_months() {
    let [before, after] = contacts_of_months(true);
    let contacts = before
        .keys()
        .filter(|(family, _)| *family == Family::CampaignDay);
    assert!(contacts.count() as i64 >= MONTHS);
    assert_same(&before, &after, "one statement");
    let [before, after] = contacts_of_months(false);
    assert_ne!(before, after, "as many statements as cookies are published");
}

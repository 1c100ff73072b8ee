use super::*;
use tributary_operators::cell::{Cell, NO_VALUE};

/// 2025-10-26.
const TODAY: Day = 20_387;

fn text(word: &str) -> Dim {
    if word.is_empty() {
        Dim::Null
    } else {
        Dim::Text(word.into())
    }
}

fn cell(family: Family, words: &[&str], dims: &[Dim], values: &[i128]) -> Cell {
    let mut words = words.iter();
    let mut rest = dims.iter();
    // Days, months and hours stand where the family wants them.
    let dims = family.dims().iter().map(|name| match *name {
        "day" | "month" | "hour" => rest.next().unwrap().clone(),
        _ => text(words.next().unwrap()),
    });
    Cell {
        family,
        dims: dims.collect(),
        values: values.to_vec(),
    }
}

fn credit(model: &str, channel: [&str; 3], day: Day, currency: &str, values: [i128; 2]) -> Cell {
    let [source, medium, campaign] = channel;
    let words = [
        "acme", model, source, medium, campaign, "order", "", currency,
    ];
    cell(Family::Attribution, &words, &[Dim::Day(day)], &values)
}

fn spend(channel: [&str; 3], day: Day, currency: &str, cost: i128) -> Cell {
    let [source, medium, campaign] = channel;
    let words = ["acme", "ads", source, medium, campaign, currency];
    cell(Family::SpendDay, &words, &[Dim::Day(day)], &[cost, 100, 10])
}

/// A brand behind a gate.
fn brand(name: &str) -> BrandDay<'_> {
    BrandDay {
        name,
        today: TODAY,
        hides: true,
        settled: None,
    }
}

/// The series of a gauge as `values of the labels behind the brand` and number.
fn series(cells: &[Cell], id: Id, max_series: usize) -> Vec<(String, f64)> {
    series_of(brand("acme"), cells, id, max_series)
}

fn series_of(of: BrandDay<'_>, cells: &[Cell], id: Id, max_series: usize) -> Vec<(String, f64)> {
    let mut board = PublishedCells::default();
    cells.iter().for_each(|cell| board.apply(cell));
    let families = families(&board, &[of, brand("idle")], max_series);
    let found = families
        .iter()
        .find(|family| family.name() == row(id).full_name());
    let metrics = found.map_or(&[][..], |family| family.get_metric());
    let words = |metric: &Metric| {
        let values: Vec<&str> = metric
            .get_label()
            .iter()
            .skip(1)
            .map(|pair| pair.value())
            .collect();
        values.join(" ")
    };
    metrics
        .iter()
        .map(|metric| (words(metric), metric.get_gauge().get_value()))
        .collect()
}

fn expect<const N: usize>(of: [(&str, f64); N]) -> Vec<(String, f64)> {
    of.map(|(words, value)| (words.to_owned(), value)).to_vec()
}

const CPC: [&str; 3] = ["google", "cpc", "fall"];
const MAIL: [&str; 3] = ["mail", "", ""];

const OCTOBER: Dim = Dim::Month(2025 * 12 + 9);

/// A cell of credits of a whole month.
fn month_credit(model: &str, channel: [&str; 3], values: [i128; 2]) -> Cell {
    kind_credit("transaction", model, channel, values)
}

/// The same, of a kind of conversion.
fn kind_credit(kind: &str, model: &str, channel: [&str; 3], values: [i128; 2]) -> Cell {
    let [source, medium, campaign] = channel;
    let (store, currency) = match kind {
        "order" => ("", "EUR"),
        "visit" => ("*", ""),
        _ => ("*", "EUR"),
    };
    let words = [
        "acme", model, source, medium, campaign, kind, store, currency,
    ];
    cell(Family::Attribution, &words, &[OCTOBER], &values)
}

#[test]
fn a_window_without_a_cell_has_no_series() {
    let store = |day, revenue| {
        let words = ["acme", "s1", "EUR"];
        cell(Family::StoreDay, &words, &[Dim::Day(day)], &[1, revenue, 1])
    };
    let cells = [
        store(TODAY - 3, 1_999),
        store(TODAY - 29, 1),
        store(TODAY - 30, 1),
        store(TODAY + 1, 1),
    ];
    assert_eq!(
        series(&cells, Id::StoreTakings, 10),
        expect([("30d s1 EUR", 20.0), ("7d s1 EUR", 19.99)])
    );
    let cells = [
        credit("last", CPC, TODAY - 3, "EUR", [1_500_000, 1_999]),
        credit("last", CPC, TODAY - 29, "EUR", [1_000_000, 1]),
        // The current day is not over.
        credit("last", MAIL, TODAY, "EUR", [1_000_000, 1]),
        credit("last", MAIL, TODAY - 57, "EUR", [1_000_000, 1]),
    ];
    assert_eq!(
        series(&cells, Id::Conversions, 10),
        expect([
            ("last_month last google/cpc/fall order EUR", 1.0),
            ("month last google/cpc/fall order EUR", 1.5),
        ])
    );
}

#[test]
fn cells_of_months_have_their_window_and_their_name() {
    let cells = [
        month_credit("last", CPC, [4_000_000, 400]),
        month_credit("last", ["google", "cpc", "*"], [3_000_000, 300]),
        month_credit("last", ["google", "*", "*"], [2_000_000, 200]),
        month_credit("last", ["*", "*", "*"], [1_000_000, 100]),
        // The gate of `release.ladder = "finest"` says `other`.
        credit("last", ["other", "", ""], TODAY - 1, "EUR", [500_000, 50]),
    ];
    assert_eq!(
        series(&cells, Id::Value, 10),
        expect([
            ("month last * order EUR", 0.5),
            ("month last * transaction EUR", 1.0),
            ("month last google/*/* transaction EUR", 2.0),
            ("month last google/cpc/* transaction EUR", 3.0),
            ("month last google/cpc/fall transaction EUR", 4.0),
        ])
    );
    // What several channels share has no ratio, whatever is spent under its name. Nor has a channel of which a day hides a part.
    let spent: Vec<Cell> = [CPC, ["google", "cpc", "*"], ["*", "*", "*"], MAIL]
        .map(|channel| spend(channel, TODAY - 1, "EUR", 100))
        .to_vec();
    assert_eq!(
        series(&[&cells[..], &spent].concat(), Id::Roas, 10),
        Vec::new()
    );
    let cells = [&cells[..4], &spent].concat();
    assert_eq!(
        series(&cells, Id::Roas, 10),
        expect([("month last google/cpc/fall EUR", 4.0)])
    );
    assert_eq!(
        series(&cells, Id::CostPerConversion, 10),
        expect([("month last google/cpc/fall EUR", 0.25)])
    );
}

#[test]
fn rests_of_revenue_count_where_a_window_covers_them() {
    let store = |name: &str, period, revenue| {
        let words = ["acme", name, "EUR"];
        cell(Family::StoreDay, &words, &[period], &[1, revenue, 1])
    };
    let cells = [
        store("s1", Dim::Day(TODAY - 1), 3_000),
        store("*", Dim::Day(TODAY - 1), 2_000),
        store("*", OCTOBER, 5_000),
    ];
    assert_eq!(
        series(&cells, Id::StoreTakings, 10),
        expect([
            ("30d * EUR", 70.0),
            ("30d s1 EUR", 30.0),
            ("7d * EUR", 20.0),
            ("7d s1 EUR", 30.0),
        ])
    );
    assert_eq!(
        series(&cells, Id::ReleasedShare, 10),
        expect([("revenue 30d EUR", 0.3), ("revenue 7d EUR", 0.6)])
    );
}

#[test]
fn the_share_is_of_channels_with_a_name() {
    let cells = [
        month_credit("linear", CPC, [4_000_000, 799]),
        month_credit("linear", ["*", "*", "*"], [1_000_000, 201]),
        month_credit("linear", ["unattributed", "", ""], [1_000_000, 5_000]),
    ];
    assert_eq!(
        series(&cells, Id::ReleasedShare, 10),
        expect([("attribution month EUR", 0.7)])
    );
    assert_eq!(series(&cells[2..], Id::ReleasedShare, 10), []);
}

#[test]
fn no_gauge_shows_a_value_that_is_not_there() {
    let markov = |campaign, effect| {
        let words = ["acme", "order", "EUR", "google", "cpc", campaign];
        cell(
            Family::MarkovMonth,
            &words,
            &[OCTOBER],
            &[effect, 1_000_000, 100],
        )
    };
    let cells = [markov("fall", 250_000), markov("*", NO_VALUE)];
    assert_eq!(
        series(&cells, Id::MarkovEffect, 10),
        expect([("month order EUR google/cpc/fall", 0.25)])
    );
    assert_eq!(series(&cells, Id::MarkovValue, 10).len(), 2);
}

#[test]
fn money_is_in_major_units_and_currencies_stay_apart() {
    let cells = [
        credit("last", CPC, TODAY - 1, "EUR", [1_000_000, 1_999]),
        credit("last", CPC, TODAY - 1, "JPY", [1_000_000, 1_999]),
        credit("last", CPC, TODAY - 1, "KWD", [1_000_000, -1_999]),
    ];
    let month: Vec<_> = series(&cells, Id::Value, 10)
        .into_iter()
        .filter(|(words, _)| words.starts_with("month"))
        .collect();
    assert_eq!(
        month,
        expect([
            ("month last google/cpc/fall order EUR", 19.99),
            ("month last google/cpc/fall order JPY", 1999.0),
            ("month last google/cpc/fall order KWD", -1.999),
        ])
    );
    // So do conversions: a cost per conversion is of one currency.
    assert_eq!(
        series(&cells, Id::Conversions, 10)[0],
        ("month last google/cpc/fall order EUR".to_owned(), 1.0)
    );
}

#[test]
fn returns_are_of_the_same_channel_and_currency() {
    let cells = [
        credit("last", CPC, TODAY - 1, "EUR", [4_000_000, 5_000]),
        credit("last", CPC, TODAY - 1, "USD", [9_000_000, 9_000]),
        credit("last", MAIL, TODAY - 1, "EUR", [1_000_000, 100]),
        spend(CPC, TODAY - 1, "EUR", 2_000),
        spend(["bing", "cpc", ""], TODAY - 1, "EUR", 500),
        spend(["free", "", ""], TODAY - 1, "EUR", 0),
        credit("last", ["free", "", ""], TODAY - 1, "EUR", [1_000_000, 100]),
    ];
    let month = |id| -> Vec<_> {
        series(&cells, id, 10)
            .into_iter()
            .filter(|(words, _)| words.starts_with("month"))
            .collect()
    };
    assert_eq!(
        month(Id::Roas),
        expect([
            // Spend without a cell of credits: these are hidden or nothing, which cannot be told apart.
            ("month last google/cpc/fall EUR", 2.5)
        ])
    );
    assert_eq!(
        month(Id::CostPerConversion),
        expect([("month last google/cpc/fall EUR", 5.0)])
    );
    assert_eq!(
        month(Id::Spend),
        expect([
            ("month ads bing/cpc/- EUR", 5.0),
            ("month ads free/-/- EUR", 0.0),
            ("month ads google/cpc/fall EUR", 20.0),
        ])
    );
}

/// The months of the series of a gauge that ends with the channel and its currency.
fn ratios(of: BrandDay<'_>, cells: &[Cell]) -> [Vec<(String, f64)>; 2] {
    [Id::Roas, Id::CostPerConversion].map(|id| series_of(of, cells, id, 10))
}

#[test]
fn a_ratio_waits_until_every_kind_of_its_channel_is_published() {
    let rest = ["*", "*", "*"];
    let in_store = month_credit("last", CPC, [4_000_000, 400]);
    let online = |channel| kind_credit("order", "last", channel, [1_000_000, 1_000]);
    let spent = spend(CPC, TODAY - 1, "EUR", 100);
    let known = |each, roas| {
        [
            expect([("month last google/cpc/fall EUR", roas)]),
            expect([("month last google/cpc/fall EUR", each)]),
        ]
    };
    let none = [Vec::new(), Vec::new()];
    let of = brand("acme");
    // A part of its orders may be in any rest that has its names.
    for rest in [rest, ["google", "*", "*"], ["google", "cpc", "*"]] {
        let cells = [in_store.clone(), online(rest), spent.clone()];
        assert_eq!(ratios(of, &cells), none, "{rest:?}");
        // With a cell of its own, nothing of it is in a rest.
        let cells = [&cells[..], &[online(CPC)]].concat();
        assert_eq!(ratios(of, &cells), known(0.2, 14.0), "{rest:?}");
    }
    let rest = online(["bing", "*", "*"]);
    let cells = [in_store.clone(), rest, spent.clone()];
    assert_eq!(ratios(of, &cells), known(0.25, 4.0));
    // Nor where the month before had orders, and this one publishes none.
    let mut before = online(CPC);
    before.dims[7] = Dim::Month(2025 * 12 + 8);
    let cells = [in_store.clone(), before.clone(), spent.clone()];
    assert_eq!(ratios(of, &cells), none);
    // Another currency or model hides nothing of this one; without a gate, nothing does.
    let mut other = online(["*", "*", "*"]);
    other.dims[8] = text("USD");
    let first = month_credit("first", ["*", "*", "*"], [1_000_000, 1]);
    let cells = [in_store.clone(), other, first, spent.clone()];
    assert_eq!(ratios(of, &cells), known(0.25, 4.0));
    let open = BrandDay { hides: false, ..of };
    assert_eq!(ratios(open, &[in_store, before, spent]), known(0.25, 4.0));
}

#[test]
fn the_cost_of_a_visit_waits_for_the_last_day_of_its_month() {
    let visits = kind_credit("visit", "last", CPC, [4_000_000, 0]);
    let cells = [visits, spend(CPC, TODAY - 1, "EUR", 100)];
    let cost = |settled, cells: &[Cell]| {
        let of = BrandDay {
            settled,
            ..brand("acme")
        };
        series_of(of, cells, Id::CostPerVisit, 10)
    };
    let known = expect([("month last google/cpc/fall EUR", 0.25)]);
    assert_eq!(cost(None, &cells), known);
    assert_eq!(cost(Some(TODAY - 1), &cells), known);
    assert_eq!(cost(Some(TODAY - 2), &cells), []);
    let rest = kind_credit("visit", "last", ["google", "*", "*"], [1_000_000, 0]);
    assert_eq!(cost(None, &[&cells[..], &[rest]].concat()), known);
    let sales = kind_credit("order", "last", ["*", "*", "*"], [1_000_000, 1]);
    assert_eq!(cost(None, &[&cells[..], &[sales]].concat()), known);
}

#[test]
fn the_cap_keeps_the_largest_channels_and_every_total() {
    let mut cells = Vec::new();
    for n in 0..50 {
        let campaign = format!("c{n:02}");
        let channel = ["google", "cpc", &campaign];
        for model in ["first", "last"] {
            cells.push(credit(
                model,
                channel,
                TODAY - 1,
                "EUR",
                [1_000_000, 100 * i128::from(n % 10)],
            ));
        }
        cells.push(spend(channel, TODAY - 1, "EUR", 50));
    }
    for id in [
        Id::Conversions,
        Id::Value,
        Id::Spend,
        Id::Roas,
        Id::CostPerConversion,
    ] {
        let channels: BTreeSet<String> = series(&cells, id, 7)
            .into_iter()
            .map(|(words, _)| {
                words
                    .split(' ')
                    .find(|w| w.contains('/') || *w == "other")
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(channels.len(), 8, "{id:?}");
        assert!(channels.contains("other"), "{id:?}");
    }
    let values = series(&cells, Id::Value, 7);
    let kept: Vec<&str> = values
        .iter()
        .filter_map(|(words, _)| {
            words
                .strip_prefix("month last google/cpc/")?
                .strip_suffix(" order EUR")
        })
        .collect();
    // Five campaigns are worth 9 each, and of the five worth 8 the first two by name stay.
    assert_eq!(kept, ["c08", "c09", "c18", "c19", "c29", "c39", "c49"]);
    let total = |prefix: &str, all: &[(String, f64)]| -> f64 {
        all.iter()
            .filter(|(words, _)| words.starts_with(prefix))
            .map(|(_, value)| value)
            .sum()
    };
    assert_eq!(total("month last", &values), 225.0);
    assert_eq!(
        total("month last", &values),
        total("month last", &series(&cells, Id::Value, 1_000))
    );
    // Spend has two open labels, which go to the rest together.
    assert!(series(&cells, Id::Spend, 7).contains(&("month other other EUR".to_owned(), 21.5)));
}

#[test]
fn every_brand_has_a_cap_of_its_own() {
    let mut board = PublishedCells::default();
    for brand in ["a", "b"] {
        for store in ["s1", "s2", "s3"] {
            let words = [brand, store, "EUR"];
            board.apply(&cell(
                Family::StoreDay,
                &words,
                &[Dim::Day(TODAY)],
                &[1, 100, 1],
            ));
        }
    }
    let earlier = BrandDay {
        today: TODAY - 1,
        ..brand("b")
    };
    let families = families(&board, &[brand("a"), earlier], 2);
    let takings = families
        .iter()
        .find(|family| family.name() == "tributary_store_takings")
        .unwrap();
    let stores: Vec<_> = takings
        .get_metric()
        .iter()
        .filter(|metric| metric.get_label()[1].value() == "today")
        .map(|metric| (metric.get_label()[0].value(), metric.get_label()[2].value()))
        .collect();
    // The cells of `b` lie in its future.
    assert_eq!(stores, [("a", "other"), ("a", "s1"), ("a", "s2")]);
}

#[test]
fn stores_contacts_orders_markov_and_identity_are_shown() {
    let month = Dim::Month(2025 * 12 + 9);
    let markov = ["acme", "order", "EUR", "google", "cpc", "fall"];
    let before = Dim::Month(2025 * 12 + 8);
    let cells = [
        cell(
            Family::CampaignDay,
            &["acme", "google", "cpc", ""],
            &[Dim::Day(TODAY)],
            &[9, 4, 2, 3],
        ),
        cell(
            Family::OrdersDay,
            &["acme", "EUR"],
            &[Dim::Day(TODAY)],
            &[3, 12_345, 3],
        ),
        cell(
            Family::OrdersDay,
            &["acme", "USD"],
            &[Dim::Day(TODAY)],
            &[2, 1, 2],
        ),
        // 2025-10-25T22:00 UTC is midnight of the 26th.
        cell(
            Family::Visits,
            &["acme", "s1"],
            &[Dim::Hour(1_761_429_600, 7200)],
            &[3, 5, 600, 8, 1],
        ),
        cell(
            Family::MarkovMonth,
            &markov,
            &[month],
            &[250_000, 2_000_000, 400],
        ),
        cell(
            Family::MarkovMonth,
            &markov,
            &[before],
            &[750_000, 1_000_000, 100],
        ),
        cell(Family::Identity, &["acme"], &[], &[10, 20, 15, 1, 2]),
    ];
    let first = |id| series(&cells, id, 10).remove(0);
    let today = |id, rest: &str| {
        let wanted = format!("today{rest}");
        series(&cells, id, 10)
            .into_iter()
            .find(|(words, _)| *words == wanted)
            .map(|(_, value)| value)
    };
    assert_eq!(today(Id::Contacts, " google/cpc/- impression"), Some(9.0));
    assert_eq!(today(Id::Contacts, " google/cpc/- view"), Some(2.0));
    assert_eq!(today(Id::Orders, ""), Some(5.0));
    assert_eq!(today(Id::OrderTakings, " EUR"), Some(123.45));
    assert_eq!(today(Id::Visits, " s1"), Some(3.0));
    assert_eq!(today(Id::PassersBy, " s1"), Some(5.0));
    assert_eq!(today(Id::Dwell, " s1"), Some(600.0));
    assert_eq!(today(Id::Devices, " s1"), Some(8.0));
    assert_eq!(today(Id::RandomDevices, " s1"), Some(1.0));
    assert_eq!(
        first(Id::MarkovEffect),
        ("last_month order EUR google/cpc/fall".to_owned(), 0.75)
    );
    assert_eq!(
        series(&cells, Id::MarkovConversions, 10)[1],
        ("month order EUR google/cpc/fall".to_owned(), 2.0)
    );
    assert_eq!(first(Id::MarkovValue).1, 1.0);
    let identity = [
        Id::Persons,
        Id::Identifiers,
        Id::Links,
        Id::Hubs,
        Id::Oversized,
    ];
    assert_eq!(identity.map(|id| first(id).1), [10.0, 20.0, 15.0, 1.0, 2.0]);
}

#[test]
fn words_that_read_alike_are_added_up() {
    let cells = [
        credit(
            "last",
            ["a/b", "c", "d"],
            TODAY - 1,
            "EUR",
            [1_000_000, 100],
        ),
        credit(
            "last",
            ["a", "b/c", "d"],
            TODAY - 1,
            "EUR",
            [2_000_000, 100],
        ),
    ];
    let sum = series(&cells, Id::Conversions, 10).pop().unwrap();
    assert_eq!(sum, ("month last a/b/c/d order EUR".to_owned(), 3.0));
}

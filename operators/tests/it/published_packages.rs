//! The dataflow against published attribution packages on the same journeys: the rule models agree
//! within the rounding of integers, Markov's removal effects and Shapley values within a millionth.
//!
//! Every journey becomes the records of one person: a click per touchpoint, and an order if it
//! converted. The file SOURCE.txt of the data says which package uses the same definition for which
//! model.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::support::{Released, run};
use serde_json::Value;
use tributary_operators::cell::{Dim, Family};
use tributary_operators::event::Event;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{
    Arrival, Body, BrandId, Currency, IdKind, IdSet, Identifier, Record, RecordKey, SaleKind,
    SaleName, TouchKind,
};
use tributary_operators::settings::{BrandSettings, Settings};

/// The value of a conversion in minor units, large enough that rounding stays below the tolerance.
const WORTH: i64 = 1_000_000_000;
/// One hour in milliseconds.
const HOUR: i64 = 3_600_000;
/// The time of all conversions, Unix milliseconds.
const NOW: i64 = 1_700_000_000_000;

/// The folder of a data set, or `None` with a printed reason if it is missing.
fn folder(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data/attribution")
        .join(name);
    if !folder.is_dir() {
        skipped(format_args!("no data at {}", folder.display()));
        return None;
    }
    Some(folder)
}

/// The text of a file, decompressed if necessary.
fn text(path: PathBuf) -> String {
    let bytes = std::fs::read(&path).unwrap();
    let mut text = String::new();
    match path.extension().is_some_and(|extension| extension == "gz") {
        true => flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text),
        false => (&bytes[..]).read_to_string(&mut text),
    }
    .unwrap();
    text
}

/// The results of a package.
fn results(folder: &Path, file: &str) -> Value {
    let document: Value = serde_json::from_str(&text(folder.join(file))).unwrap();
    document["results"].clone()
}

/// The touchpoints of a journey, oldest first, as channel and hours before the conversion; how
/// often it converted, and how often it did not.
struct Journey {
    touches: Vec<(String, f64)>,
    conversions: usize,
    nulls: usize,
}

/// The journeys of a data set.
fn journeys(text: &str) -> Vec<Journey> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows = reader.deserialize::<BTreeMap<String, String>>();
    rows.map(|row| {
        let row = row.unwrap();
        let path: Vec<&str> = row["path"].split(" > ").collect();
        let hours: Vec<f64> = match row.get("time_till_conv_hours") {
            Some(hours) => hours
                .split(" > ")
                .map(|hours| hours.parse().unwrap())
                .collect(),
            None => (0..path.len())
                .rev()
                .map(|before| before as f64 / 3600.0)
                .collect(),
        };
        let (conversions, nulls) = match row.get("has_conv") {
            Some(converts) if converts == "True" => (1, 0),
            Some(_) => (0, 1),
            None => (
                row["total_conversions"].parse().unwrap(),
                row["total_null"].parse().unwrap(),
            ),
        };
        let touches = path.into_iter().map(str::to_owned).zip(hours).collect();
        Journey {
            touches,
            conversions,
            nulls,
        }
    })
    .collect()
}

/// The records of all journeys. Journeys without a conversion are left out if only rule models are
/// compared.
fn events(journeys: &[Journey], with_nulls: bool) -> Vec<Event> {
    let mut events = Vec::new();
    let mut words: BTreeMap<Label, Arc<str>> = BTreeMap::new();
    let mut person = 0u128;
    for journey in journeys {
        let nulls = if with_nulls { journey.nulls } else { 0 };
        for copy in 0..journey.conversions + nulls {
            person += 1;
            let ids = IdSet::new(vec![Identifier {
                pseudonym: person,
                value: person,
                kind: IdKind::Customer,
            }]);
            let mut put = |id: String, ts: i64, body: Body| {
                let arrival = Arrival {
                    message: events.len() as u64,
                    line: 0,
                };
                let brand = BrandId(0);
                let key = RecordKey::of("0", &[id.as_bytes()]);
                let source = Label::of("web");
                let day = (NOW / 86_400_000) as i32;
                let ids = ids.clone();
                let record = Record {
                    brand,
                    source,
                    id: id.into(),
                    ts,
                    day,
                    ids,
                    body,
                };
                events.push(Event::Put {
                    key,
                    version: 0,
                    arrival,
                    record,
                });
            };
            for (place, (word, hours)) in journey.touches.iter().enumerate() {
                let label = Label::of(word);
                words.entry(label).or_insert_with(|| word.as_str().into());
                let channel = Channel {
                    source: label,
                    ..Channel::default()
                };
                let ts = NOW - (hours * HOUR as f64).round() as i64;
                let body = Body::Contact {
                    kind: TouchKind::Click,
                    channel,
                    touch: true,
                };
                put(format!("t{person}-{place:05}"), ts, body);
            }
            if copy < journey.conversions {
                let body = Body::Sale {
                    kind: SaleKind::Order,
                    name: SaleName::of(&format!("o{person}")),
                    store: Label::ABSENT,
                    amount: WORTH,
                    currency: Currency(*b"USD"),
                };
                put(format!("o{person}"), NOW, body);
            }
        }
    }
    let words = words.into_iter().map(|(label, word)| Event::LabelName {
        brand: BrandId(0),
        label,
        word,
    });
    words.chain(events).collect()
}

/// The cells that the dataflow releases.
fn released(events: &[Event], half_life: i64) -> Released {
    let brand = BrandSettings {
        name: "acme".into(),
        click_window: 100_000 * HOUR,
        max_path: 10_000,
        half_life,
        k: 1,
        ..BrandSettings::default()
    };
    run(
        &Settings {
            brands: [(BrandId(0), brand)].into(),
        },
        &[events.to_vec()],
        2,
    )
    .pop()
    .unwrap()
}

/// The value of each channel under a model, in conversions.
fn by_model(released: &Released, model: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    let attribution = released
        .iter()
        .filter(|((family, _), _)| *family == Family::Attribution);
    for ((_, dims), values) in attribution {
        if let (Dim::Text(of), Dim::Text(source)) = (&dims[1], &dims[2])
            && **of == *model
        {
            *sums.entry(source.to_string()).or_default() += values[1] as f64 / WORTH as f64;
        }
    }
    sums
}

/// Numbers by channel, from a map or from a list of `channels` and `attribution`.
fn expected(value: &Value) -> BTreeMap<String, f64> {
    let number = |value: &Value| value.as_f64().unwrap();
    let mut numbers: BTreeMap<String, f64> = match value {
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), number(v))).collect(),
        Value::Array(rows) => rows
            .iter()
            .map(|row| {
                (
                    row["channels"].as_str().unwrap().to_owned(),
                    number(&row["attribution"]),
                )
            })
            .collect(),
        _ => panic!("no numbers: {value}"),
    };
    numbers.retain(|_, number| *number != 0.0);
    numbers
}

/// Asserts that the numbers of all channels agree within a tolerance.
fn assert_close(what: &str, actual: BTreeMap<String, f64>, value: &Value, slack: f64) {
    let expected = expected(value);
    let keys = |map: &BTreeMap<String, f64>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&actual), keys(&expected), "{what}");
    for (channel, expected) in expected {
        let actual = actual[&channel];
        let off = (actual - expected).abs() / expected.abs().max(1.0);
        assert!(off < slack, "{what} {channel}: {actual} and not {expected}");
    }
}

/// The removal effects of the released chain.
fn removal_effects(released: &Released) -> BTreeMap<String, f64> {
    let markov = released
        .iter()
        .filter(|((family, _), _)| *family == Family::MarkovMonth);
    markov
        .map(|((_, dims), values)| match &dims[4] {
            Dim::Text(source) => (source.to_string(), values[0] as f64 / 1e6),
            other => panic!("no channel: {other:?}"),
        })
        .collect()
}

/// Compares the rule models on journeys with times.
fn check_journeys(name: &str, file: &str) {
    let Some(folder) = folder(name) else { return };
    let journeys = journeys(&text(folder.join(file)));
    let models = results(&folder, "marketing-attribution-models_2.1.1.json");
    let conversions = &models["conversions"];
    let all = events(&journeys, true);
    for hours in [24, 168, 720] {
        let released = released(&all, hours * HOUR);
        let key = format!("time_decay_half_life_{hours}h");
        assert_close(
            &key,
            by_model(&released, "time_decay"),
            &conversions[&key],
            1e-6,
        );
        let rules = [
            ("first", "first"),
            ("last", "last"),
            ("linear", "linear"),
            ("position", "position_based_40_20_40"),
        ];
        for (model, key) in rules {
            assert_close(model, by_model(&released, model), &conversions[key], 1e-6);
        }
        if let Some(effects) = conversions.get("markov_order1_removal_effect") {
            assert_close("markov", removal_effects(&released), effects, 1e-6);
        }
    }
}

#[test]
fn forty_paths_and_what_did_not_convert() {
    let Some(folder) = folder("pathdata_mini") else {
        return;
    };
    let journeys = journeys(&text(folder.join("paths.csv")));
    let released = released(&events(&journeys, true), 7 * 24 * HOUR);
    let markov = results(&folder, "do-attribution_0.0.2.json");
    let effects = &markov["markov_order1_redirect_to_null"]["removal_effects"];
    assert_close("markov", removal_effects(&released), effects, 1e-6);
    check_rules(&folder, &released);
}

#[test]
fn thousands_of_paths() {
    let Some(folder) = folder("pathdata") else {
        return;
    };
    let journeys = journeys(&text(folder.join("paths.csv.gz")));
    let released = released(&events(&journeys, true), 7 * 24 * HOUR);
    let markov = results(&folder, "do-attribution_0.0.2.json");
    let effects = &markov["markov_order1_redirect_to_null"]["removal_effects"];
    assert_close("markov", removal_effects(&released), effects, 1e-6);
    check_rules(&folder, &released);
}

/// Compares the rule models that the package offers.
fn check_rules(folder: &Path, released: &Released) {
    let models = results(folder, "marketing-attribution-models_2.1.1.json");
    for (model, key) in [
        ("first", "first_click"),
        ("last", "last_click"),
        ("linear", "linear"),
        ("position", "position_based_40_20_40"),
    ] {
        assert_close(
            model,
            by_model(released, model),
            &models["conversions"][key],
            1e-6,
        );
    }
    let shapley = results(folder, "shapley-attribution_2.1.0.json");
    assert_close(
        "shapley",
        by_model(released, "shapley"),
        &shapley["simplified_shapley"],
        1e-6,
    );
    let multi_touch = results(folder, "mta_0.0.9.json");
    let same = &multi_touch["allow_loops_true"]["linear_same"];
    assert_close("shapley", by_model(released, "shapley"), same, 1e-6);
}

#[test]
fn households_that_redeem_coupons() {
    check_journeys("completejourney_journeys", "journeys.csv");
}

#[test]
fn web_sessions() {
    check_journeys("snowplow_fractribution", "journeys_derived.csv");
}

/// Reports that a test is skipped, past the capture of its output; with `CI=true` it fails.
fn skipped(reason: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}");
}

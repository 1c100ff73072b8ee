//! The models against published attribution packages on the same paths.
//!
//! The data is stored beside the repository, and its SOURCE.txt says which package uses which
//! definition. Every conversion is divided into 10^12 parts, so that rounding stays far below the
//! tolerance.

// Data of an unexpected shape fail the test that reads them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tributary_operators::label::Channel;
use tributary_operators::settings::BrandSettings;
use tributary_oracle::markov::{PathCounts, removal_effects};
use tributary_oracle::rules::{Model, Step, receivers};
use tributary_oracle::share::largest_remainder;

const PARTS: u128 = 1_000_000_000_000;

/// The folder of a data set, or `None` with a printed reason if it is missing.
fn folder(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = root.join("../shared/data/attribution").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    skipped(format_args!("there is no {}", folder.display()));
    None
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

/// Numbers by channel, from a map or from a list of `channels` and `attribution`.
fn by_channel(value: &Value) -> BTreeMap<String, f64> {
    let number = |value: &Value| value.as_f64().unwrap();
    match value {
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), number(v))).collect(),
        Value::Array(rows) => rows
            .iter()
            .map(|row| {
                let channel = row["channels"].as_str().unwrap();
                (channel.to_string(), number(&row["attribution"]))
            })
            .collect(),
        _ => panic!("no numbers: {value}"),
    }
}

/// One row: the path, the hours from each touch to the conversion, and what it converted to.
struct Journey {
    path: Vec<String>,
    hours: Vec<f64>,
    conversions: u64,
    nulls: u64,
    value: f64,
}

/// The channels of a path.
fn steps(text: &str) -> Vec<String> {
    text.split(" > ").map(str::to_string).collect()
}

/// The rows of a CSV file by column.
fn rows(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(|row| row.unwrap()).collect()
}

/// Paths with their numbers of conversions.
fn counted(text: &str) -> Vec<Journey> {
    let journey = |row: BTreeMap<String, String>| Journey {
        path: steps(&row["path"]),
        hours: Vec::new(),
        conversions: row["total_conversions"].parse().unwrap(),
        nulls: row["total_null"].parse().unwrap(),
        value: row["total_conversion_value"].parse().unwrap(),
    };
    rows(text).into_iter().map(journey).collect()
}

/// Single journeys with the hours before the conversion.
fn timed(text: &str) -> Vec<Journey> {
    let journey = |row: BTreeMap<String, String>| {
        let converts = row["has_conv"] == "True";
        let hours = steps(&row["time_till_conv_hours"]);
        Journey {
            path: steps(&row["path"]),
            hours: hours.iter().map(|hours| hours.parse().unwrap()).collect(),
            conversions: u64::from(converts),
            nulls: u64::from(!converts),
            value: row["value"].parse().unwrap(),
        }
    };
    rows(text).into_iter().map(journey).collect()
}

/// The share of each recipient in one conversion of a journey.
fn credits(model: Model, settings: &BrandSettings, journey: &Journey) -> Vec<(Channel, f64)> {
    let path: Vec<Step> = journey
        .path
        .iter()
        .enumerate()
        .map(|(place, channel)| Step {
            channel: Channel::of(channel, "", ""),
            ts: journey
                .hours
                .get(place)
                .map_or(place as i64, |hours| (hours * -3_600_000.0).round() as i64),
        })
        .collect();
    let receivers = receivers(model, settings, &path);
    let weights: Vec<u128> = receivers.iter().map(|(_, weight)| *weight).collect();
    let parts = largest_remainder(PARTS, &weights);
    assert_eq!(parts.iter().sum::<u128>(), PARTS);
    let part = |parts: u128| parts as f64 / PARTS as f64;
    receivers
        .into_iter()
        .zip(parts)
        .map(|((channel, _), parts)| (channel, part(parts)))
        .collect()
}

/// Asserts that a model assigns to every channel the conversions, or the value, that a package
/// assigns.
fn assert_model(
    model: Model,
    settings: &BrandSettings,
    journeys: &[Journey],
    of_value: bool,
    expected: &Value,
) {
    let mut totals: BTreeMap<Channel, f64> = BTreeMap::new();
    for journey in journeys.iter().filter(|journey| journey.conversions > 0) {
        let worth = match of_value {
            true => journey.value,
            false => journey.conversions as f64,
        };
        for (channel, part) in credits(model, settings, journey) {
            *totals.entry(channel).or_default() += worth * part;
        }
    }
    totals.retain(|_, total| *total > 0.0);
    let expected = by_channel(expected);
    let positive = expected.values().filter(|total| **total > 0.0).count();
    assert_eq!(totals.len(), positive, "{model:?}");
    for (channel, expected) in expected {
        let total = totals.get(&Channel::of(&channel, "", "")).unwrap_or(&0.0);
        let tolerance = 1e-6 * expected.abs().max(1.0);
        assert!(
            (total - expected).abs() < tolerance,
            "{model:?} {channel}: {total} and not {expected}"
        );
    }
}

/// Asserts that removal effects equal those of a package, within one part per million.
fn assert_effects(journeys: &[Journey], expected: &Value) {
    let mut converting: PathCounts<String> = BTreeMap::new();
    let mut null: PathCounts<String> = BTreeMap::new();
    for journey in journeys {
        *converting.entry(journey.path.clone()).or_default() += journey.conversions;
        *null.entry(journey.path.clone()).or_default() += journey.nulls;
    }
    let effects = removal_effects(&converting, &null);
    let expected = by_channel(expected);
    assert_eq!(effects.len(), expected.len());
    for (channel, expected) in expected {
        let effect = effects[&channel].ppm() as f64 / 1e6;
        assert!(
            (effect - expected).abs() < 1e-6,
            "{channel}: {effect} and not {expected}"
        );
    }
}

/// Compares all models on paths with counts.
fn check_path_data(name: &str, file: &str) {
    let Some(folder) = folder(name) else {
        return;
    };
    let journeys = counted(&text(folder.join(file)));
    let settings = BrandSettings::default();
    let models = results(&folder, "marketing-attribution-models_2.1.1.json");
    for (model, key) in [
        (Model::First, "first_click"),
        (Model::Last, "last_click"),
        (Model::Linear, "linear"),
        (Model::Position, "position_based_40_20_40"),
    ] {
        let expect = |of_value, kind: &str| {
            assert_model(model, &settings, &journeys, of_value, &models[kind][key]);
        };
        expect(false, "conversions");
        expect(true, "value");
    }
    let shapley = results(&folder, "shapley-attribution_2.1.0.json");
    let expected = &shapley["simplified_shapley"];
    assert_model(Model::Shapley, &settings, &journeys, false, expected);
    let multi_touch = results(&folder, "mta_0.0.9.json");
    let expected = &multi_touch["allow_loops_true"]["linear_same"];
    assert_model(Model::Shapley, &settings, &journeys, false, expected);

    let markov = results(&folder, "do-attribution_0.0.2.json");
    let expected = &markov["markov_order1_redirect_to_null"]["removal_effects"];
    assert_effects(&journeys, expected);
}

/// Compares the rule models on journeys with times.
fn check_journeys(name: &str, file: &str) {
    let Some(folder) = folder(name) else {
        return;
    };
    let journeys = timed(&text(folder.join(file)));
    let models = results(&folder, "marketing-attribution-models_2.1.1.json");
    for (model, hours, key) in [
        (Model::First, 1, "first"),
        (Model::Last, 1, "last"),
        (Model::Linear, 1, "linear"),
        (Model::Position, 1, "position_based_40_20_40"),
        (Model::TimeDecay, 24, "time_decay_half_life_24h"),
        (Model::TimeDecay, 168, "time_decay_half_life_168h"),
        (Model::TimeDecay, 720, "time_decay_half_life_720h"),
    ] {
        let settings = BrandSettings {
            half_life: hours * 3_600_000,
            ..BrandSettings::default()
        };
        let expect = |of_value, kind: &str| {
            assert_model(model, &settings, &journeys, of_value, &models[kind][key]);
        };
        expect(false, "conversions");
        expect(true, "value");
    }
    if let Some(expected) = models["conversions"].get("markov_order1_removal_effect") {
        assert_effects(&journeys, expected);
    }
}

#[test]
fn forty_paths() {
    check_path_data("pathdata_mini", "paths.csv");
}

#[test]
fn thousands_of_paths() {
    check_path_data("pathdata", "paths.csv.gz");
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

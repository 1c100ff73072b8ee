//! The brands: each with its own name and its own secrets.
//!
//! Isolation between brands rests on these checks. Two brands with one secret
//! would share pseudonyms, and two brands whose names have one hash would share
//! records.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;

use super::few::check_few;
use super::tables::{below, tables};
use super::{consent, partner, source};
use crate::context::{Context, Input, Location, quote};
use crate::model::{
    Attribution, Brand, BrandRelease, Channels, HashRule, Identity, Kind, Names, Noise, Partners,
    Release, Secret, Sensors, Source, Wallet, Workers,
};
use crate::read::{SectionReading, read_section};
use crate::settings::SettingsModel;

/// The maximum number of brands; each costs memory on every worker.
const MOST: usize = 65_536;

/// The privacy budget, thousandths, above which noise protects little (ε = 10).
const MUCH: u64 = 10_000;

/// The names and secrets of the brands read so far.
#[derive(Default)]
struct Taken {
    /// Names by their hash.
    names: BTreeMap<u64, String>,
    /// Secrets, with the path of the setting that names each.
    secrets: Vec<(String, Secret)>,
}

/// Reads all brands, sorted by name; reports if there is none.
pub(super) fn brands(
    given: Option<&Input<'_>>,
    workers: &SectionReading<Workers>,
    release: &SectionReading<Release>,
    cx: &mut Context<'_>,
) -> Vec<Brand> {
    let tables = match given {
        Some(given) => tables(given, "[[brand]]", cx),
        None => {
            let fix = r#"write [[brand]], a name and a secret_file"#;
            cx.report_missing(
                Location::Nowhere,
                "brand",
                "at least one brand is needed",
                fix,
            );
            Vec::new()
        }
    };
    if let Some(first_too_many) = tables.get(MOST) {
        cx.report_invalid(
            first_too_many,
            format!("there are more than {MOST} brands"),
            "",
        );
    }
    let mut taken = Taken::default();
    let mut brands: Vec<Brand> = tables
        .iter()
        .map(|table| brand(table, &mut taken, workers, release, cx))
        .collect();
    check_noise(&brands, release, cx);
    brands.sort_by(|a, b| a.name.cmp(&b.name));
    brands
}

/// Reads one brand and the sections below it.
fn brand(
    table: &Input<'_>,
    taken: &mut Taken,
    workers: &SectionReading<Workers>,
    release: &SectionReading<Release>,
    cx: &mut Context<'_>,
) -> Brand {
    let mut brand: SectionReading<Brand> = read_section(Some(table), &table.path, table.place, cx);
    check_unique_name(&brand, taken, cx);
    check_unique_secrets(&brand, taken, cx);
    check_region(&brand, workers, cx);
    if !brand.is_given("timezone") {
        let (place, path) = brand.location_of("timezone");
        let fix = r#"say which time zone its days have, such as timezone = "Europe/Paris""#;
        cx.warn(place, &path, "is not given, so days are those of UTC", fix);
    }
    let rules = identity(table, &mut brand.model, cx);
    brand.model.attribution = below::<Attribution>(table, cx).model;
    brand.model.channels = below::<Channels>(table, cx).model;
    brand.model.names = below::<Names>(table, cx).model;
    sensors(table, &mut brand.model, cx);
    brand.model.wallet = below::<Wallet>(table, cx).model;
    brand.model.partners = below::<Partners>(table, cx).model;
    brand.model.partner = partner::partners(table, cx);
    brand.model.consent = consent::consent(table, cx);
    brand.model.boxes = consent::boxes(table, cx);
    brand.model.retention = consent::retention(table, cx);
    let own = below::<BrandRelease>(table, cx);
    check_few(own.model.k, &own, cx);
    brand.model.release = own.model;
    brand.model.noise = noise(table, cx);
    let hides = release.are_valid(&["k"]) && release.model.of_brand(&brand.model.release).k > 1;
    brand.model.sources = source::sources(table, &rules, hides, cx);
    check_web(&brand, cx);
    brand.model
}

/// Warns of web records without a legal basis of their own in a brand that
/// names no party: such a brand cannot evaluate consent strings, which should
/// be a decision.
fn check_web(brand: &SectionReading<Brand>, cx: &mut Context<'_>) {
    let model = &brand.model;
    let silent = |source: &Source| source.kind == Kind::Web && source.basis.is_none();
    if !model.consent.reads_strings() && model.sources.iter().any(silent) {
        let (place, path) = brand.location_of("consent");
        let message = "is not set: web records count until someone objects";
        let fix = "set consent.vendor, or the basis of the web source";
        cx.warn(place, &path, message, fix);
    }
}

/// The number by which the processes of a cluster identify a brand: the 64-bit
/// XXH3 of its name. Unique among the brands of a valid configuration.
/// ```
/// use tributary_config::brand_number;
///
/// assert_eq!(brand_number("acme"), brand_number("acme"));
/// assert_ne!(brand_number("acme"), brand_number("zeta"));
/// ```
pub fn brand_number(name: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(name.as_bytes())
}

/// Registers a name and its hash. Returns the problem and its remedy if an
/// earlier brand has one of them.
fn take_name(
    name: &str,
    number: u64,
    taken: &mut BTreeMap<u64, String>,
) -> Option<(String, &'static str)> {
    match taken.get(&number) {
        None => {
            taken.insert(number, name.to_owned());
            None
        }
        Some(other) if other == name => {
            let message = format!("{} is already the name of another brand", quote(name));
            Some((message, "give each brand its own"))
        }
        Some(other) => {
            let (name, other) = (quote(name), quote(other));
            let message =
                format!("{name} and {other} have the same hash, and brands are known by it");
            Some((message, "call one of them otherwise"))
        }
    }
}

/// Reports a name, or the hash of a name, that an earlier brand has.
fn check_unique_name(brand: &SectionReading<Brand>, taken: &mut Taken, cx: &mut Context<'_>) {
    let name = &brand.model.name;
    if name.is_empty() {
        return;
    }
    if let Some((message, fix)) = take_name(name, brand_number(name), &mut taken.names) {
        let (place, path) = brand.location_of("name");
        cx.report(place, &path, message, fix);
    }
}

/// Reports a secret that an earlier brand has, or that this brand has twice. A
/// repetition within one brand is an unfinished rotation: the old file still
/// contains what the new one does.
fn check_unique_secrets(brand: &SectionReading<Brand>, taken: &mut Taken, cx: &mut Context<'_>) {
    let own = taken.secrets.len();
    let newest = match brand.is_given("secret_env") {
        true => "secret_env",
        false => "secret_file",
    };
    let (place, path) = brand.location_of("previous_secret_files");
    let previous = brand.model.previous_secrets.iter().enumerate();
    let mut secrets = vec![(brand.location_of(newest), &brand.model.secret)];
    secrets.extend(previous.map(|(i, secret)| ((place, format!("{path}[{i}]")), secret)));
    for ((place, path), secret) in secrets {
        let text = secret.expose_secret();
        if text.is_empty() {
            continue;
        }
        let mut earlier = taken.secrets.iter().enumerate();
        let same = earlier.find(|(_, (_, other))| other.expose_secret() == text);
        if let Some((position, (other, _))) = same {
            let why = match position < own {
                true => "so that two brands would share pseudonyms",
                false => "so that nothing would be re-keyed",
            };
            let message = format!("is the same secret as {other}, {why}");
            let fix = "draw one for each brand: openssl rand -base64 48";
            cx.report(place, &path, message, fix);
        }
        taken.secrets.push((path, secret.clone()));
    }
}

/// Reports a brand that is pinned to another region than this process runs in:
/// its records must not be processed here.
fn check_region(
    brand: &SectionReading<Brand>,
    workers: &SectionReading<Workers>,
    cx: &mut Context<'_>,
) {
    let Some(pinned) = &brand.model.region else {
        return;
    };
    let here = workers.model.region.as_ref();
    let shard = &workers.model.shard;
    // Another shard runs it, in its own region.
    let is_elsewhere = shard.is_some() && brand.model.shard != *shard;
    if here == Some(pinned) || is_elsewhere || !workers.are_valid(&["region"]) {
        return;
    }
    let (place, path) = brand.location_of("region");
    let name = quote(&brand.model.name);
    let message = match here {
        Some(here) => format!(
            "brand {name} is pinned to {}, but this worker is in {}",
            quote(pinned),
            quote(here)
        ),
        None => format!(
            "brand {name} is pinned to {}, but this worker has no region",
            quote(pinned)
        ),
    };
    let fix = format!(
        "run it on a worker with region = {} in [workers], and leave the brand out here",
        quote(pinned)
    );
    cx.report(place, &path, message, fix);
}

/// Reads the identity settings and returns the enabled hash rules.
fn identity(table: &Input<'_>, brand: &mut Brand, cx: &mut Context<'_>) -> Vec<HashRule> {
    let mut identity = below::<Identity>(table, cx);
    if identity.are_valid(&["rules"]) && !identity.model.rules.contains(&HashRule::Plain) {
        let (place, path) = identity.location_of("rules");
        let fix = r#"add it: rules = ["plain", …]"#;
        cx.report(place, &path, r#""plain" is always one of the rules"#, fix);
    }
    identity.model.max_degree = match table.child(Identity::SECTION.key()) {
        Some(given) => below(&given, cx).model,
        None => SettingsModel::defaults(),
    };
    identity.model.link_ttl = match table.child(Identity::SECTION.key()) {
        Some(given) => below(&given, cx).model,
        None => SettingsModel::defaults(),
    };
    brand.identity = identity.model;
    brand.identity.rules.clone()
}

/// Reads the noise settings; warns of a budget that protects little.
fn noise(table: &Input<'_>, cx: &mut Context<'_>) -> Noise {
    let noise = below::<Noise>(table, cx);
    let epsilon = noise.model.epsilon_thousandths;
    if noise.are_valid(&["epsilon"]) && epsilon.is_some_and(|epsilon| epsilon > MUCH) {
        let (place, path) = noise.location_of("epsilon");
        let message = "is so large that the noise hides little";
        cx.warn(place, &path, message, "see what 1 to 10 leaves to read");
    }
    noise.model
}

/// Reports noise with a `k_delta` other than 1. The budget of noise bounds what
/// one change reveals if every step publishes all changes before it; with a
/// larger `k_delta` values stay until the last of several persons releases them
/// all, which tells more of that person than the budget allows. Brands without
/// noise need a larger one: a warning names the first that has 1.
fn check_noise(brands: &[Brand], release: &SectionReading<Release>, cx: &mut Context<'_>) {
    if !release.are_valid(&["k", "k_delta"]) {
        return;
    }
    let has_noise = |brand: &&Brand| brand.noise.epsilon_thousandths.is_some();
    let gate = |brand: &Brand| release.model.of_brand(&brand.release);
    let Some(noisy) = brands.iter().find(has_noise) else {
        return;
    };
    let (place, path) = release.location_of("k_delta");
    let is_wrong = |brand: &Brand| has_noise(&brand) && gate(brand).k_delta != 1;
    if let Some(number) = brands.iter().position(is_wrong)
        && let Some(wrong) = brands.get(number)
    {
        // A brand's own gate is the one to change, wherever that of all stands.
        let own = format!("brand[{number}].release.k_delta");
        let (place, path) = match wrong.release.k_delta {
            Some(_) => (Location::Nowhere, own),
            None => (place, path),
        };
        let message = format!(
            "is {}, but the noise of brand {} keeps its promise only with 1",
            gate(wrong).k_delta,
            quote(&wrong.name)
        );
        let fix = "write k_delta = 1 in [release] or in the brand's [brand.release], or leave out [brand.noise]";
        cx.report(place, &path, message, fix);
        return;
    }
    let is_bare =
        |brand: &&Brand| !has_noise(brand) && gate(brand).k > 1 && gate(brand).k_delta == 1;
    if let Some(plain) = brands.iter().find(is_bare) {
        let message = format!(
            "is 1 for the noise of brand {}, and brand {} has no noise: its numbers show every single change",
            quote(&noisy.name),
            quote(&plain.name)
        );
        let fix = "give every brand noise, or write a larger k_delta in the [brand.release] of those without";
        cx.warn(place, &path, message, fix);
    }
}

/// Reads the sensor settings; reports a minimum dwell above the maximum
/// presence.
fn sensors(table: &Input<'_>, brand: &mut Brand, cx: &mut Context<'_>) {
    let sensors = below::<Sensors>(table, cx);
    let model = &sensors.model;
    if sensors.are_valid(&["min_dwell", "max_presence"]) && model.min_dwell_s > model.max_presence_s
    {
        let key = if sensors.is_given("min_dwell") {
            "min_dwell"
        } else {
            "max_presence"
        };
        let (place, path) = sensors.location_of(key);
        let message = "min_dwell is longer than max_presence, so that nothing is a visit";
        cx.warn(place, &path, message, "make min_dwell the shorter one");
    }
    brand.sensors = sensors.model;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_of_one_number_are_refused() {
        let mut taken = BTreeMap::new();
        let mut take = |name, number| take_name(name, number, &mut taken).map(|wrong| wrong.0);
        assert_eq!(take("acme", 1), None);
        assert_eq!(take("beta", 2), None);
        let same = take("acme", 1).unwrap_or_default();
        assert!(same.contains("already the name"), "{same}");
        let hash = take("zeta", 2).unwrap_or_default();
        assert!(
            hash.starts_with("\"zeta\" and \"beta\" have the same hash"),
            "{hash}"
        );
    }
}

//! The brands, each with its own name and its own secret.

use secrecy::{ExposeSecret, SecretString};

use super::{below, source};
use crate::context::{Context, Given, Node, Place, quote};
use crate::model::{Attribution, Brand, HashRule, Identity, Sensors};
use crate::read::{Reading, section};
use crate::settings::Fields;

/// Brands are numbered in 16 bits.
const MOST: usize = 65_536;

/// What earlier brands have taken.
#[derive(Default)]
struct Taken {
    names: Vec<String>,
    secrets: Vec<(String, SecretString)>,
}

/// Reads every brand, and sorts them by name.
pub(super) fn brands(given: Option<&Given<'_>>, cx: &mut Context<'_>) -> Vec<Brand> {
    let tables = match given {
        Some(given) => tables(given, "[[brand]]", cx),
        None => {
            let fix = r#"write [[brand]], a name and a secret_file"#;
            cx.missing(Place::Nowhere, "brand", "at least one brand is needed", fix);
            Vec::new()
        }
    };
    if let Some(first_too_many) = tables.get(MOST) {
        cx.wrong(
            first_too_many,
            format!("there are more than {MOST} brands"),
            "",
        );
    }
    let mut taken = Taken::default();
    let mut brands: Vec<Brand> = tables
        .iter()
        .map(|table| brand(table, &mut taken, cx))
        .collect();
    brands.sort_by(|a, b| a.name.cmp(&b.name));
    brands
}

/// The tables under a `[[header]]`; a problem where there are none.
pub(super) fn tables<'a>(given: &Given<'a>, header: &str, cx: &mut Context<'_>) -> Vec<Given<'a>> {
    match given.elements() {
        Some(elements) if elements.is_empty() && header == "[[brand]]" => {
            cx.wrong(given, "at least one brand is needed", "");
            Vec::new()
        }
        Some(elements) => elements,
        None => {
            let message = format!("must be a list of tables, not {}", given.node.words());
            let fix = match given.node {
                Node::Table(_) => format!("write {header} with two brackets: there may be several"),
                _ => format!("write {header} and its settings below it"),
            };
            cx.wrong(given, message, fix);
            // What stands in the single table is checked all the same.
            match given.node {
                Node::Table(_) => vec![given.clone()],
                _ => Vec::new(),
            }
        }
    }
}

/// Reads one brand.
fn brand(table: &Given<'_>, taken: &mut Taken, cx: &mut Context<'_>) -> Brand {
    let mut brand: Reading<Brand> = section(Some(table), &table.path, table.place, cx);
    check_unique(&brand, taken, cx);
    if !brand.has("timezone") {
        let (place, path) = brand.at("timezone");
        let fix = r#"say which time zone its days have, such as timezone = "Europe/Paris""#;
        cx.warn(place, &path, "is not given, so days are those of UTC", fix);
    }
    let rules = identity(table, &mut brand.model, cx);
    brand.model.attribution = below::<Attribution>(table, cx).model;
    sensors(table, &mut brand.model, cx);
    brand.model.sources = source::sources(table, &rules, cx);
    brand.model
}

/// No two brands share a name or a secret.
fn check_unique(brand: &Reading<Brand>, taken: &mut Taken, cx: &mut Context<'_>) {
    let name = &brand.model.name;
    if !name.is_empty() {
        if taken.names.contains(name) {
            let (place, path) = brand.at("name");
            let message = format!("{} is already the name of another brand", quote(name));
            cx.problem(place, &path, message, "give each brand its own");
        }
        taken.names.push(name.clone());
    }
    let secret = brand.model.secret.expose_secret();
    if !secret.is_empty() {
        let key = if brand.has("secret_env") {
            "secret_env"
        } else {
            "secret_file"
        };
        let (place, path) = brand.at(key);
        if let Some((other, _)) = taken
            .secrets
            .iter()
            .find(|(_, s)| s.expose_secret() == secret)
        {
            let message =
                format!("is the same secret as {other}, so that two brands would share pseudonyms");
            cx.problem(
                place,
                &path,
                message,
                "draw one for each brand: openssl rand -base64 48",
            );
        }
        taken.secrets.push((path, brand.model.secret.clone()));
    }
}

/// Reads the identity settings; gives the rules.
fn identity(table: &Given<'_>, brand: &mut Brand, cx: &mut Context<'_>) -> Vec<HashRule> {
    let mut identity = below::<Identity>(table, cx);
    if identity.right(&["rules"]) && !identity.model.rules.contains(&HashRule::Plain) {
        let (place, path) = identity.at("rules");
        let fix = r#"add it: rules = ["plain", …]"#;
        cx.problem(place, &path, r#""plain" is always one of the rules"#, fix);
    }
    identity.model.max_degree = match table.child(Identity::SECTION.key()) {
        Some(given) => below(&given, cx).model,
        None => Fields::defaults(),
    };
    brand.identity = identity.model;
    brand.identity.rules.clone()
}

/// Reads the sensor settings.
fn sensors(table: &Given<'_>, brand: &mut Brand, cx: &mut Context<'_>) {
    let sensors = below::<Sensors>(table, cx);
    let model = &sensors.model;
    if sensors.right(&["min_dwell", "max_presence"]) && model.min_dwell_s > model.max_presence_s {
        let key = if sensors.has("min_dwell") {
            "min_dwell"
        } else {
            "max_presence"
        };
        let (place, path) = sensors.at(key);
        let message = "min_dwell is longer than max_presence, so that nothing is a visit";
        cx.warn(place, &path, message, "make min_dwell the shorter one");
    }
    brand.sensors = sensors.model;
}

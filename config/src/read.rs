//! Reads one section, row by row.
//!
//! | origin of a value | counts if |
//! |---|---|
//! | environment variable | it is set and not empty, and the section permits variables |
//! | file | no variable sets it, or excludes it |
//! | default | neither gives it, or what they give is wrong |
//!
//! A wrong value is reported, and the default takes its place, so that later
//! checks find a complete model and report what else is wrong; they must ask
//! [`SectionReading::are_valid`] first, or they would report consequences of
//! the first mistake.

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::Value;

use crate::context::{Context, Input, Location, Node, join};
use crate::settings::{
    self, DefaultValue, Section, SettingsModel, TypedSetting, children, environment_variable,
    read_default, sections,
};
use crate::suggest::did_you_mean;

/// A section that was read, with the origin of each of its values.
pub(crate) struct SectionReading<T> {
    /// The model, with the default where a value is absent or wrong.
    pub(crate) model: T,
    /// The section's path with positions, such as `brand[0].identity`.
    pub(crate) path: String,
    /// The location of the section, or of the one around it if it is absent.
    place: Location,
    /// The location and path of each given setting, by key.
    given: BTreeMap<&'static str, (Location, String)>,
    /// The keys of given lists without elements, which ask for nothing.
    empty: BTreeSet<&'static str>,
    /// The keys of settings that are wrong, or required and missing.
    wrong: BTreeSet<&'static str>,
}

impl<T> SectionReading<T> {
    /// The location and path of a setting: those of the section if the setting
    /// has its default.
    pub(crate) fn location_of(&self, key: &str) -> (Location, String) {
        (self.given.get(key).cloned()).unwrap_or_else(|| (self.place, join(&self.path, key)))
    }

    /// Whether the operator gave the setting, rightly or not.
    pub(crate) fn is_given(&self, key: &str) -> bool {
        self.given.contains_key(key)
    }

    /// Whether these settings are as the operator intended: given correctly, or
    /// a default.
    pub(crate) fn are_valid(&self, keys: &[&str]) -> bool {
        !keys.iter().any(|key| self.wrong.contains(key))
    }
}

/// Reads a section from its table; `None` for an absent section, whose settings
/// have their defaults. `path` contains positions; `around` is the location of
/// the enclosing table. Problems are noted in the context. Rows are read in the
/// order of the reference, derived fields are filled afterwards, and
/// combinations are checked last.
pub(crate) fn read_section<T: SettingsModel>(
    given: Option<&Input<'_>>,
    path: &str,
    around: Location,
    cx: &mut Context<'_>,
) -> SectionReading<T> {
    let section = T::SECTION;
    let mut reading = SectionReading {
        model: T::blank(),
        path: path.to_owned(),
        place: given
            .map_or(Location::Nowhere, |given| given.place)
            .or(around),
        given: BTreeMap::new(),
        empty: BTreeSet::new(),
        wrong: BTreeSet::new(),
    };
    let table = given.filter(|given| is_table(given, &section, cx));
    if let Some(table) = table {
        unknown_keys(table, &section, cx);
    }
    let variables = read_variables::<T>(&section, cx);
    let overridden = overridden(&section, &variables);
    for row in T::rows() {
        let key = row.key();
        let value = match variables.get(key) {
            Some(value) => Some(Input {
                path: environment_variable(section.path, key),
                place: Location::Environment,
                node: Node::of_value(value),
            }),
            None if overridden.contains(key) => None,
            None => table.and_then(|table| table.child(key)),
        };
        read_row(*row, value, cx, &mut reading);
    }
    reading.model.complete();
    check_combinations(&section, &reading, cx);
    reading
}

/// Reads one setting, or its default. Reports a required setting that is
/// missing.
fn read_row<T>(
    row: &dyn TypedSetting<T>,
    value: Option<Input<'_>>,
    cx: &mut Context<'_>,
    reading: &mut SectionReading<T>,
) {
    let key = row.key();
    if let Some(value) = value {
        reading.given.insert(key, (value.place, value.path.clone()));
        if matches!(value.node, Node::Value(toml_edit::Value::Array(items)) if items.is_empty()) {
            reading.empty.insert(key);
        }
        if row.read(&value, cx, &mut reading.model) {
            return;
        }
        reading.wrong.insert(key);
    }
    if row.default() == DefaultValue::Required && !reading.wrong.contains(key) {
        let meaning = row
            .meaning()
            .split_once(". ")
            .map_or(row.meaning(), |(first, _)| first);
        let path = join(&reading.path, key);
        cx.report_missing(
            reading.place,
            &path,
            "is missing",
            format!("give {}: {meaning}", row.kind()),
        );
        reading.wrong.insert(key);
    }
    read_default(row, cx, &mut reading.model);
}

/// Whether the value is a table; reports anything else.
fn is_table(given: &Input<'_>, section: &Section, cx: &mut Context<'_>) -> bool {
    if matches!(given.node, Node::Table(_)) {
        return true;
    }
    let fix = match given.node {
        Node::Tables(_) => format!("only one is allowed: write {} once", section.header()),
        _ => format!("write {} and its settings below it", section.header()),
    };
    let message = format!("must be a table, not {}", given.node.type_name());
    cx.report_invalid(given, message, fix);
    false
}

/// The values that environment variables give to settings of this section, by
/// key.
fn read_variables<T: SettingsModel>(
    section: &Section,
    cx: &Context<'_>,
) -> BTreeMap<&'static str, Value> {
    if !section.variables {
        return BTreeMap::new();
    }
    (T::rows().iter())
        .filter_map(|row| {
            let text = cx.variable(&environment_variable(section.path, row.key()))?;
            Some((row.key(), row.variable(&text)))
        })
        .collect()
}

/// The settings of the file that do not count: those that a setting of the
/// environment excludes, and those that need an excluded one. An operator who
/// sets a password by a variable thereby replaces the credentials file of the
/// shared configuration, instead of contradicting it.
fn overridden(section: &Section, variables: &BTreeMap<&str, Value>) -> BTreeSet<&'static str> {
    let mut out = BTreeSet::new();
    for group in section.exclusive {
        if group.iter().any(|key| variables.contains_key(key)) {
            out.extend(group.iter().filter(|key| !variables.contains_key(*key)));
        }
    }
    for (key, needs) in section.needs {
        if !variables.contains_key(key) && needs.iter().all(|key| out.contains(key)) {
            out.insert(*key);
        }
    }
    out
}

/// Reports settings that exclude one another, and settings that lack one that
/// they require.
fn check_combinations<T>(section: &Section, reading: &SectionReading<T>, cx: &mut Context<'_>) {
    for group in section.exclusive {
        let given: Vec<&str> = group
            .iter()
            .copied()
            .filter(|key| reading.is_given(key))
            .collect();
        if let [first, .., last] = given.as_slice() {
            let (place, path) = reading.location_of(last);
            let message = format!("cannot stand together with {first}");
            cx.report(
                place,
                &path,
                message,
                format!("keep one of {}", given.join(", ")),
            );
        }
    }
    for group in section.one_of {
        if !group.iter().any(|key| reading.is_given(key)) {
            let path = join(&reading.path, group.first().unwrap_or(&""));
            let fix = format!("give one of {}", group.join(", "));
            cx.report_missing(reading.place, &path, "is missing", fix);
        }
    }
    for (key, needs) in section.needs {
        let asks = reading.is_given(key) && !reading.empty.contains(key);
        if asks && !needs.iter().any(|key| reading.is_given(key)) {
            let (place, path) = reading.location_of(key);
            let fix = format!("give {}", needs.join(" or "));
            cx.report_missing(place, &path, "does not stand alone", fix);
        }
    }
}

/// Reports keys that are neither a setting nor a section here, with the nearest
/// known key, or the section to which the key belongs. A key that could be a
/// secret receives the advice to use a file.
pub(crate) fn unknown_keys(table: &Input<'_>, section: &Section, cx: &mut Context<'_>) {
    let rows = (section.rows)();
    let below = children(section.path);
    let known: Vec<&str> = (rows.iter().map(|row| row.key()))
        .chain(below.iter().map(Section::key))
        .collect();
    for (key, place) in table.keys() {
        if known.contains(&key.as_str()) {
            continue;
        }
        let path = join(&table.path, &key);
        let file = format!("{key}_file");
        if known.contains(&file.as_str()) {
            let fix =
                format!("put it into a file and name that in {file}, or in {key}_env a variable");
            cx.report(
                place,
                &path,
                "secrets are not allowed in the configuration",
                fix,
            );
            continue;
        }
        let fix = match did_you_mean(&key, known.iter().copied()) {
            none if none.is_empty() => suggest_section(&key, section, &known),
            fix => fix,
        };
        cx.report(place, &path, "unknown setting", fix);
    }
}

/// The remedy for an unknown key: the section to which it belongs, or what is
/// known here.
fn suggest_section(key: &str, here: &Section, known: &[&str]) -> String {
    let home = settings::sections().into_iter().find(|section| {
        section.path != here.path && (section.rows)().iter().any(|row| row.key() == key)
    });
    let home = home.or_else(|| {
        sections()
            .into_iter()
            .find(|section| section.path != here.path && section.key() == key)
    });
    match home {
        Some(home) if home.key() == key => format!("it is written {}", home.header()),
        Some(home) => format!("it belongs to {}", home.header()),
        None => format!("known here: {}", known.join(", ")),
    }
}

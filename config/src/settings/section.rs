//! Sections and their rows, the building blocks of the table of settings.
//!
//! A row states its key, value type, default, unit and meaning, and the model
//! field that it fills. A section is the set of rows of one TOML table, which
//! fill one model ([`SettingsModel`]).
//!
//! Three traits divide what a row can do. [`SettingInfo`] needs no model, so
//! that the schema and the reference can iterate over the rows of all sections.
//! [`TypedSetting`] knows the model of its section and erases the type of its
//! value. [`ValueType`] knows the value and no model.

use serde_json::Value as Json;
use toml_edit::Value;
use zeroize::Zeroizing;

use crate::context::{Context, Input, Location};
use crate::value_type::{Rendered, ValueType};

/// What applies if a setting is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefaultValue {
    /// Nothing: the setting must be given.
    Required,
    /// Nothing: the setting may be absent, with this meaning.
    Absent(&'static str),
    /// This value, in TOML, read like a given one.
    Toml(&'static str),
    /// A value that [`SettingsModel::complete`] derives from other settings, in
    /// words.
    Derived(&'static str),
}

/// One setting of the section whose model is `T`. Rows are `static`, so values
/// of settings never borrow from them.
pub(crate) struct Setting<T, S: ValueType> {
    /// The key in the TOML table, unique in its section.
    pub(crate) key: &'static str,
    /// How the value is written, parsed and printed.
    pub(crate) value_type: S,
    /// What applies if the setting is absent.
    pub(crate) default: DefaultValue,
    /// The unit of the value; empty if it has none or states its own.
    pub(crate) unit: &'static str,
    /// The meaning, in Markdown; its first sentence must stand alone.
    pub(crate) meaning: &'static str,
    /// The model field that the value fills.
    pub(crate) field: fn(&mut T) -> &mut S::Out,
}

/// What can be said of a setting without its model.
pub(crate) trait SettingInfo: Sync {
    /// The key in the TOML table.
    fn key(&self) -> &'static str;
    /// What applies if the setting is absent.
    fn default(&self) -> DefaultValue;
    /// The unit of the value.
    fn unit(&self) -> &'static str;
    /// The meaning, in Markdown.
    fn meaning(&self) -> &'static str;
    /// The type, in the words of the reference.
    fn kind(&self) -> String;
    /// The JSON Schema, without title, description and default.
    fn schema(&self) -> Json;
    /// The TOML value of an environment variable's text.
    fn variable(&self, text: &str) -> Value;
}

/// A setting of the section whose model is `T`.
pub(crate) trait TypedSetting<T>: SettingInfo {
    /// Reads a value into the model. Returns false after noting a problem; the
    /// model is then unchanged.
    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>, into: &mut T) -> bool;
    /// The value in the model, as printed. The model is mutable only because
    /// [`Setting::field`] is one function for both directions.
    fn render(&self, from: &mut T) -> Rendered;
    /// What two equal values have in common, and no two different ones: the value
    /// itself even where it is not printed. Never shown.
    fn identity(&self, from: &mut T) -> Zeroizing<String>;
    /// Exchanges the field with that of another model.
    fn swap(&self, into: &mut T, other: &mut T);
}

impl<T, S: ValueType> SettingInfo for Setting<T, S> {
    fn key(&self) -> &'static str {
        self.key
    }

    fn default(&self) -> DefaultValue {
        self.default
    }

    fn unit(&self) -> &'static str {
        self.unit
    }

    fn meaning(&self) -> &'static str {
        self.meaning
    }

    fn kind(&self) -> String {
        self.value_type.kind()
    }

    fn schema(&self) -> Json {
        self.value_type.schema()
    }

    fn variable(&self, text: &str) -> Value {
        self.value_type.variable(text)
    }
}

impl<T, S: ValueType> TypedSetting<T> for Setting<T, S> {
    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>, into: &mut T) -> bool {
        match self.value_type.read(given, cx) {
            Some(value) => {
                *(self.field)(into) = value;
                true
            }
            None => false,
        }
    }

    fn render(&self, from: &mut T) -> Rendered {
        self.value_type.render((self.field)(from))
    }

    fn identity(&self, from: &mut T) -> Zeroizing<String> {
        self.value_type.identity((self.field)(from))
    }

    fn swap(&self, into: &mut T, other: &mut T) {
        std::mem::swap((self.field)(into), (self.field)(other));
    }
}

/// A model that the rows of one section fill. A model's type is the key of its
/// section: [`SettingsModel::SECTION`] states where it stands in the file, and
/// generic code reads and prints a section by its type alone.
pub(crate) trait SettingsModel: Clone + 'static {
    /// The section's location and description.
    const SECTION: Section;

    /// The rows, in the order of the reference.
    fn rows() -> &'static [&'static dyn TypedSetting<Self>];

    /// The model before anything is read: empty, zero, absent.
    fn blank() -> Self;

    /// Fills fields that derive from others, after all rows are read.
    fn complete(&mut self) {}

    /// Whether a setting can have an effect beside the others. One that cannot
    /// and is absent is not printed.
    fn uses(&self, _: &str) -> bool {
        true
    }

    /// The model with every default. A default that does not parse leaves its
    /// field blank; a test checks that all defaults parse.
    fn defaults() -> Self {
        // A default that is wrong would be a defect of the table, which the tests would find; nobody
        // hears of it here.
        let mut cx = Context::new("", std::path::Path::new(""), &|_| None);
        let mut model = Self::blank();
        for row in Self::rows() {
            read_default(*row, &mut cx, &mut model);
        }
        model.complete();
        model
    }
}

/// Reads the default of a row into the model, if it has one. Returns false
/// after noting a problem.
pub(crate) fn read_default<T>(
    row: &dyn TypedSetting<T>,
    cx: &mut Context<'_>,
    into: &mut T,
) -> bool {
    let DefaultValue::Toml(text) = row.default() else {
        return true;
    };
    let Ok(value) = text.parse::<Value>() else {
        cx.report(
            Location::Nowhere,
            row.key(),
            "has a default that is not TOML",
            "",
        );
        return false;
    };
    let given = Input {
        path: row.key().to_owned(),
        place: Location::Nowhere,
        node: crate::context::Node::of_value(&value),
    };
    row.read(&given, cx, into)
}

/// A key, and the keys of which at least one must accompany it.
pub(crate) type Needs = (&'static str, &'static [&'static str]);

/// A table of the file.
#[derive(Clone, Copy)]
pub(crate) struct Section {
    /// The dotted name, without positions: `brand.source.csv`.
    pub(crate) path: &'static str,
    /// Whether the table may repeat, under `[[…]]`.
    pub(crate) many: bool,
    /// The title in the reference.
    pub(crate) title: &'static str,
    /// The purpose of the section, in Markdown.
    pub(crate) meaning: &'static str,
    /// Whether environment variables override its settings.
    pub(crate) variables: bool,
    /// Groups of keys of which at most one may be given.
    pub(crate) exclusive: &'static [&'static [&'static str]],
    /// Groups of keys of which at least one must be given.
    pub(crate) one_of: &'static [&'static [&'static str]],
    /// Keys that require others.
    pub(crate) needs: &'static [Needs],
    /// The rows, without the model.
    pub(crate) rows: fn() -> Vec<&'static dyn SettingInfo>,
}

impl Section {
    /// A section of the model `T` that occurs once and has no rules on
    /// combinations.
    pub(crate) const fn of<T: SettingsModel>(
        path: &'static str,
        title: &'static str,
        meaning: &'static str,
    ) -> Section {
        Section {
            path,
            many: false,
            title,
            meaning,
            variables: false,
            exclusive: &[],
            one_of: &[],
            needs: &[],
            rows: setting_infos::<T>,
        }
    }

    /// The header in the file: `[brand.identity]`, `[[brand]]`.
    pub(crate) fn header(&self) -> String {
        match self.many {
            true => format!("[[{}]]", self.path),
            false => format!("[{}]", self.path),
        }
    }

    /// The last part of the dotted name.
    pub(crate) fn key(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }
}

/// The rows of a model, without the model.
fn setting_infos<T: SettingsModel>() -> Vec<&'static dyn SettingInfo> {
    T::rows()
        .iter()
        .map(|row| *row as &dyn SettingInfo)
        .collect()
}

//! Sections and their rows, the building blocks of the table of settings.
//!
//! A row knows its key, value type, default, unit and meaning, and the model field that it fills. A section is the set
//! of rows of one TOML table, which fill one model ([`SettingsModel`]).

use serde_json::Value as Json;
use toml_edit::Value;

use crate::context::{Context, Input, Location};
use crate::value_type::{Rendered, ValueType};

/// What counts where a setting is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefaultValue {
    /// Nothing: the setting must be given.
    Required,
    /// Nothing: the setting may be absent, with this meaning.
    Absent(&'static str),
    /// This value, in TOML.
    Toml(&'static str),
    /// A value that depends on others, in words.
    Derived(&'static str),
}

/// One setting of the section whose model is `T`.
pub(crate) struct Setting<T, S: ValueType> {
    /// Its key.
    pub(crate) key: &'static str,
    /// What it may look like.
    pub(crate) value_type: S,
    /// What counts where it is absent.
    pub(crate) default: DefaultValue,
    /// The unit of its value; empty where it has none.
    pub(crate) unit: &'static str,
    /// What it means, in Markdown.
    pub(crate) meaning: &'static str,
    /// The field that it fills.
    pub(crate) field: fn(&mut T) -> &mut S::Out,
}

/// What can be said of a setting without its model.
pub(crate) trait SettingInfo: Sync {
    /// Its key.
    fn key(&self) -> &'static str;
    /// What counts where it is absent.
    fn default(&self) -> DefaultValue;
    /// The unit of its value.
    fn unit(&self) -> &'static str;
    /// What it means.
    fn meaning(&self) -> &'static str;
    /// Its type in words.
    fn kind(&self) -> String;
    /// Its JSON Schema, without title, description and default.
    fn schema(&self) -> Json;
    /// The TOML value that an environment variable's text stands for.
    fn variable(&self, text: &str) -> Value;
}

/// A setting of the section whose model is `T`.
pub(crate) trait TypedSetting<T>: SettingInfo {
    /// Reads a value into the model. False after a problem was noted.
    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>, into: &mut T) -> bool;
    /// The value in the model, as it is printed.
    fn render(&self, from: &mut T) -> Rendered;
    /// Puts the field of another model into this one.
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

    fn swap(&self, into: &mut T, other: &mut T) {
        std::mem::swap((self.field)(into), (self.field)(other));
    }
}

/// A model that a section's rows fill.
pub(crate) trait SettingsModel: Clone + 'static {
    /// Where the section stands and what it is.
    const SECTION: Section;

    /// Its rows, in the order of the reference.
    fn rows() -> &'static [&'static dyn TypedSetting<Self>];

    /// The model before anything is read: empty, zero, absent.
    fn blank() -> Self;

    /// Fills what is derived from other fields of the model.
    fn complete(&mut self) {}

    /// The model with every default.
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

/// Reads the default of a row into the model, where it has one. False after a problem was noted.
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

/// A key and those of which at least one must go with it.
pub(crate) type Needs = (&'static str, &'static [&'static str]);

/// A table of the file.
#[derive(Clone, Copy)]
pub(crate) struct Section {
    /// Its dotted name, without positions: `brand.source.csv`.
    pub(crate) path: &'static str,
    /// Whether there may be several, under `[[…]]`.
    pub(crate) many: bool,
    /// A few words.
    pub(crate) title: &'static str,
    /// What it is for, in Markdown.
    pub(crate) meaning: &'static str,
    /// Whether environment variables override it.
    pub(crate) variables: bool,
    /// Of each of these groups at most one key may be given.
    pub(crate) exclusive: &'static [&'static [&'static str]],
    /// Of each of these groups one key must be given.
    pub(crate) one_of: &'static [&'static [&'static str]],
    /// Keys that need others.
    pub(crate) needs: &'static [Needs],
    /// What can be said of its rows.
    pub(crate) rows: fn() -> Vec<&'static dyn SettingInfo>,
}

impl Section {
    /// A plain section of the model `T`.
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

    /// Its name as a header in the file: `[brand.identity]`, `[[brand]]`.
    pub(crate) fn header(&self) -> String {
        match self.many {
            true => format!("[[{}]]", self.path),
            false => format!("[{}]", self.path),
        }
    }

    /// The last word of its name.
    pub(crate) fn key(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }
}

/// The rows of a model without the model.
fn setting_infos<T: SettingsModel>() -> Vec<&'static dyn SettingInfo> {
    T::rows()
        .iter()
        .map(|row| *row as &dyn SettingInfo)
        .collect()
}

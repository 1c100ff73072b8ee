//! Prints the effective configuration as TOML with every value written out.
//!
//! A comment marks each default. Secrets, and values that may identify a
//! person, appear as `"***"`. The output is safe to publish on `/config`; apart
//! from masked values, it parses as the same configuration.

use std::fmt::Write;

use crate::model::{Config, Source};
use crate::settings::{DefaultValue, SettingsModel, TypedSetting};
use crate::value_type::Rendered;
use crate::value_type::list::MASK;
use crate::walk::{Visitor, walk};

/// Every effective value as TOML, with a comment on each default. `***`
/// replaces secrets and values that may identify a person. See the example of
/// the crate.
pub fn print(config: &Config) -> String {
    let mut out = Printer(String::from(
        "# The effective configuration. *** replaces hidden values.\n",
    ));
    walk(config, &mut out);
    out.0
}

/// The text of the sections so far.
struct Printer(String);

impl Visitor for Printer {
    fn section<T: SettingsModel>(&mut self, _: &str, model: &T) {
        section(&mut self.0, model);
    }

    fn source(&mut self, path: &str, source: &Source) {
        if is_implied(source) {
            let _ = write!(
                self.0,
                "\n# default: the source that the kind has by itself"
            );
        }
        self.section(path, source);
    }
}

/// Whether a source equals the one that its kind would have without being
/// configured. Such a source is printed with a comment, so that the output
/// shows every source of a brand.
fn is_implied(source: &Source) -> bool {
    let mut own = source.clone();
    let mut implied = Source {
        name: source.kind.name().to_owned(),
        kind: source.kind,
        ..Source::defaults()
    };
    source.kind.is_implied()
        && (Source::rows().iter()).all(|row| row.render(&mut own) == row.render(&mut implied))
}

/// Prints one section: values, masks, and comments for settings that are not
/// set.
fn section<T: SettingsModel>(out: &mut String, model: &T) {
    let _ = write!(out, "\n{}\n", T::SECTION.header());
    let mut model = model.clone();
    let rows = T::rows();
    for row in rows {
        let key = row.key();
        // Writing to a string cannot fail.
        let _ = match row.render(&mut model) {
            Rendered::Value(value) if is_default(*row, &mut model) => {
                writeln!(out, "{key} = {} # default", value.to_string().trim())
            }
            Rendered::Value(value) => writeln!(out, "{key} = {}", value.to_string().trim()),
            Rendered::Masked => {
                let key = key.strip_suffix("_file").unwrap_or(key);
                writeln!(out, "{key} = {MASK:?}")
            }
            Rendered::Nothing => match row.default() {
                DefaultValue::Absent(meaning) if !is_pair(key, rows) && model.uses(key) => {
                    let meaning = meaning.strip_prefix("none").unwrap_or(meaning);
                    let meaning = meaning.strip_prefix(": ").unwrap_or(meaning);
                    let colon = if meaning.is_empty() { "" } else { ": " };
                    writeln!(out, "# {key} is not set{colon}{meaning}")
                }
                _ => Ok(()),
            },
        };
    }
}

/// Whether the key is the environment variable of a pair whose other member is
/// a file; one line suffices for both.
fn is_pair<T>(key: &str, rows: &[&dyn TypedSetting<T>]) -> bool {
    let file = key.strip_suffix("_env").map(|stem| format!("{stem}_file"));
    file.is_some_and(|file| rows.iter().any(|row| row.key() == file))
}

/// Whether the value of a setting is the one that it would have without being
/// given. A setting that another one derives is compared with what it would
/// derive to.
fn is_default<T: SettingsModel>(row: &dyn TypedSetting<T>, model: &mut T) -> bool {
    if row.default() == DefaultValue::Required {
        return false;
    }
    let shown = row.render(model);
    let mut without = model.clone();
    let mut defaults = match row.default() {
        DefaultValue::Derived(_) => T::blank(),
        _ => T::defaults(),
    };
    row.swap(&mut without, &mut defaults);
    without.complete();
    shown == row.render(&mut without)
}

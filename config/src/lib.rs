//! Tributary's configuration: one TOML file, validated as a whole, with defaults for everything except the brands.
//!
//! Each setting is defined once, as a row of a table in `settings/`: its key, value type, default, unit and meaning.
//! Reading, [`print()`], [`schema`] and [`reference()`] all iterate over these rows and cannot disagree. A file is
//! either valid as a whole or rejected with the list of all problems: no setting is read halfway or guessed.
//!
//! Secrets are never part of the file: a setting names the file or the environment variable that contains them.

#![deny(clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::indexing_slicing, reason = "a test may fail"))]

mod broker;
mod build;
mod context;
pub mod fields;
pub mod key_chain;
pub mod model;
pub mod placeholders;
mod print;
mod problem;
mod read;
mod reference;
mod schema;
mod settings;
#[allow(
    clippy::indexing_slicing,
    reason = "the rows of the distance table have b.len() + 1 cells"
)]
mod suggest;
mod syntax;
mod value_type;

use std::path::Path;

pub use broker::nats_at;
pub use build::brand_number;
pub use print::print;
pub use problem::{ConfigError, Problem, Problems};
pub use reference::reference;
pub use schema::schema;

/// A configuration that is right.
#[derive(Clone, Debug)]
pub struct LoadedConfig {
    /// The configuration.
    pub config: model::Config,
    /// What is allowed and may surprise, in the order of the file.
    pub warnings: Vec<Problem>,
}

/// Reads a configuration file and the secrets that it names, and checks everything.
///
/// The environment variables `TRIBUTARY_NATS_…`, `TRIBUTARY_WORKERS_…`, `TRIBUTARY_LEDGER_…` and `TRIBUTARY_HTTP_…` override
/// the file's settings of these sections.
///
/// # Errors
///
/// [`ConfigError::Read`] where the file cannot be read, [`ConfigError::Invalid`] with everything that is
/// wrong with it.
pub fn load(path: &Path) -> Result<LoadedConfig, ConfigError> {
    let bytes = std::fs::read(path).map_err(|error| ConfigError::Read {
        path: path.to_owned(),
        error,
    })?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let before = error.as_bytes().get(..valid).unwrap_or_default();
            let line = before.iter().filter(|b| **b == b'\n').count() + 1;
            return Err(ConfigError::Invalid(Problems(vec![Problem {
                file: path.display().to_string(),
                line,
                column: 1,
                path: String::new(),
                message: "this line is not UTF-8".to_owned(),
                fix: "save the file as UTF-8".to_owned(),
            }])));
        }
    };
    Ok(parse(&text, path)?)
}

/// Reads the text of a configuration file that stands at `origin`: relative paths count from its
/// directory, and messages name it. Secrets are read, the environment counts as in [`load`].
///
/// # Errors
///
/// Everything that is wrong, in the order of the file.
pub fn parse(text: &str, origin: &Path) -> Result<LoadedConfig, Problems> {
    parse_in(text, origin, &|name| std::env::var(name).ok())
}

/// [`parse`] with an environment of the caller's own.
///
/// # Errors
///
/// Everything that is wrong, in the order of the file.
pub fn parse_in(
    text: &str,
    origin: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<LoadedConfig, Problems> {
    let mut cx = context::Context::new(text, origin, environment);
    let config = build::config(text, &mut cx);
    let in_order = |list: &mut Vec<Problem>| {
        list.sort_by_key(|p| (p.line == 0, p.line, p.column));
        list.dedup();
    };
    in_order(&mut cx.problems);
    in_order(&mut cx.warnings);
    match (config, cx.problems.is_empty()) {
        (Some(config), true) => Ok(LoadedConfig {
            config,
            warnings: cx.warnings,
        }),
        (_, false) => Err(Problems(cx.problems)),
        // A document is only ever given up together with a problem.
        (None, true) => Err(Problems(Vec::new())),
    }
}

/// A small configuration with comments that teach: what `tributary.example.toml` holds.
pub fn example() -> &'static str {
    include_str!("../tributary.example.toml")
}

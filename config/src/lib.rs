//! Tributary's configuration: one TOML file, validated as a whole, with
//! defaults for everything except the brands.
//!
//! Each setting is defined once, as a row of a table in `settings/`: its key,
//! value type, default, unit and meaning. Parsing, [`print()`], [`schema()`]
//! and [`reference()`] all iterate over these rows and cannot disagree. A file
//! is either valid as a whole or rejected with the list of all problems: no
//! setting is read halfway or guessed.
//!
//! Secrets are never part of the file: a setting names the file or the
//! environment variable that contains them, and no message and no output
//! repeats one.
//!
//! | step | module |
//! |---|---|
//! | text → TOML document, all syntax errors | `syntax` |
//! | document → sections, row by row | `read`, `settings`, `value_type` |
//! | checks that span several settings or sections | `build` |
//! | problems with file, line, column and remedy | `context`, [`Problem`] |
//! | the typed result | [`model`] |
//! | what differs between two of them | [`changes()`] |
//!
//! # Example
//!
//! ```
//! use std::path::Path;
//!
//! # let folder = tempfile::tempdir()?;
//! # let secret = folder.path().join("acme.secret");
//! # std::fs::write(&secret, "224ff3c627f30dd0f8e3fdb63bf28aa6")?;
//! # std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
//! let text = format!(
//!     "[release]\nk = 60\n\n[[brand]]\nname = \"acme\"\ntimezone = \"Europe/Paris\"\nsecret_file = {secret:?}\n"
//! );
//! let loaded = tributary_config::parse(&text, Path::new("tributary.toml"))?;
//! assert_eq!(loaded.config.release.k, 60);
//! assert_eq!(loaded.config.brands[0].currency, "EUR");
//!
//! // Every effective value, with defaults marked and secrets masked.
//! let printed = tributary_config::print(&loaded.config);
//! assert!(printed.contains("k = 60\n"));
//! assert!(printed.contains("cadence = \"1m\" # default\n"));
//! assert!(printed.contains("secret = \"***\"\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! All problems are reported at once, each with its line and its remedy:
//!
//! ```
//! use std::path::Path;
//!
//! let text = "[releas]\nk = 0\n\n[[brand]]\nname = \"Acme Shop\"\ntimezone = \"Europe/Pariss\"\n";
//! let problems = tributary_config::parse(text, Path::new("tributary.toml")).unwrap_err();
//! assert_eq!(
//!     problems.0.iter().map(|problem| problem.line).collect::<Vec<_>>(),
//!     [1, 4, 5, 6]
//! );
//! assert_eq!(problems.0[3].fix, "did you mean \"Europe/Paris\"?");
//! ```

#![deny(clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::indexing_slicing, reason = "a test may fail"))]

mod broker;
mod build;
mod changes;
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
mod walk;

use std::path::Path;

pub use broker::nats_at;
pub use build::{beyond_this_machine, brand_number};
pub use changes::{Change, ChangeKind, changes, values};
pub use print::print;
pub use problem::{ConfigError, Problem, Problems};
pub use reference::reference;
pub use schema::schema;

/// A valid configuration.
/// ```
/// use std::path::Path;
///
/// # let folder = tempfile::tempdir()?;
/// # let secret = folder.path().join("acme.secret");
/// # std::fs::write(&secret, "224ff3c627f30dd0f8e3fdb63bf28aa6")?;
/// # std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
/// // Without `timezone`, days are those of UTC, which is valid but rarely meant.
/// let text = format!("[[brand]]\nname = \"acme\"\nsecret_file = {secret:?}\n");
/// let loaded = tributary_config::parse(&text, Path::new("tributary.toml"))?;
/// assert!(loaded.warnings.iter().any(|warning| warning.path == "brand[0].timezone"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct LoadedConfig {
    /// The configuration, with every default.
    pub config: model::Config,
    /// What is permitted but may surprise, in the order of the file, such as a
    /// brand without a time zone.
    pub warnings: Vec<Problem>,
}

/// Reads a configuration file and the secrets that it names, and checks
/// everything.
///
/// The environment variables `TRIBUTARY_NATS_…`, `TRIBUTARY_WORKERS_…`,
/// `TRIBUTARY_LEDGER_…` and `TRIBUTARY_HTTP_…` override the settings of these
/// sections. An empty variable counts as absent.
///
/// # Errors
/// [`ConfigError::Read`] if the file cannot be read, [`ConfigError::Invalid`]
/// with all problems if it is not valid, including text that is not UTF-8.
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

/// Reads the broker and the brand of a configuration file for a command that
/// needs no secret: a client configuration (`[nats]` and `[client]`), or
/// `None` if the file has no `[client]` and must be read with [`load`].
///
/// # Errors
/// As [`load`].
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// let file = folder.path().join("client.toml");
/// std::fs::write(&file, "[nats]\nurl = \"tls://broker:4222\"\n[client]\nbrand = \"acme\"\n")?;
/// let client = tributary_config::load_client(&file)?.ok_or("no client configuration")?;
/// assert_eq!(client.brand, "acme");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load_client(path: &Path) -> Result<Option<model::ClientConfig>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Read {
        path: path.to_owned(),
        error,
    })?;
    let environment = |name: &str| std::env::var(name).ok();
    let mut cx = context::Context::new(&text, path, &environment);
    let client = build::client(&text, &mut cx);
    match (client, cx.problems.is_empty()) {
        (None, _) => Ok(None),
        (Some(client), true) => Ok(Some(client)),
        (Some(_), false) => Err(ConfigError::Invalid(Problems(cx.problems))),
    }
}

/// Parses the text of a configuration file at `origin`: relative paths start at
/// its directory, and problems name it. The file itself need not exist. Secret
/// files are read, and environment variables override as in [`load`].
///
/// # Errors
/// All problems, in the order of the file.
pub fn parse(text: &str, origin: &Path) -> Result<LoadedConfig, Problems> {
    parse_in(text, origin, &|name| std::env::var(name).ok())
}

/// [`parse`] with an environment of the caller's own, for tests and for checks
/// of a configuration that another machine will use.
///
/// ```
/// use std::path::Path;
///
/// # let folder = tempfile::tempdir()?;
/// # let secret = folder.path().join("acme.secret");
/// # std::fs::write(&secret, "224ff3c627f30dd0f8e3fdb63bf28aa6")?;
/// # std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
/// let text = format!("[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_file = {secret:?}\n");
/// let environment = |name: &str| (name == "TRIBUTARY_WORKERS_THREADS").then(|| "4".to_owned());
/// let loaded = tributary_config::parse_in(&text, Path::new("tributary.toml"), &environment)?;
/// assert_eq!(loaded.config.workers.threads, 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// All problems, in the order of the file.
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

/// A commented example configuration, the content of `tributary.example.toml`.
/// It contains every setting, those with a default in comments.
/// ```
/// assert!(tributary_config::example().contains("[[brand]]"));
/// ```
pub fn example() -> &'static str {
    include_str!("../tributary.example.toml")
}

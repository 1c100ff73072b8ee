//! What two configurations have in different ways, setting by setting.
//!
//! Each value is compared as the program uses it, and named as
//! [`crate::print()`] shows it: a secret that changed is named, and neither of
//! its values is. A brand, a source, a partner, a box or a token that only one of
//! them has is one change and not one for each of its settings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::model::Config;
use crate::settings::SettingsModel;
use crate::value_type::Rendered;
use crate::value_type::list::MASK;
use crate::walk::{Visitor, walk};

/// A difference between two configurations.
///
/// ```
/// use tributary_config::{Change, ChangeKind};
///
/// let change = Change {
///     path: "workers.threads".to_owned(),
///     kind: ChangeKind::Value { before: "1".to_owned(), after: "2".to_owned() },
/// };
/// assert_eq!(change.to_string(), "workers.threads changed from 1 to 2");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The setting, such as `release.k` or `brand.acme.source.web.format`, or the
    /// entry that only one of them has, such as `brand.acme`.
    pub path: String,
    /// How it differs.
    pub kind: ChangeKind,
}

/// How a setting or an entry differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Only the second configuration has the entry.
    Added,
    /// Only the first configuration has the entry.
    Removed,
    /// The setting has another value, as printed.
    Value {
        /// In the first configuration.
        before: String,
        /// In the second configuration.
        after: String,
    },
    /// The setting has another value, which is never printed.
    Hidden,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.kind {
            ChangeKind::Added => write!(f, "{path} is new"),
            ChangeKind::Removed => write!(f, "{path} was removed"),
            ChangeKind::Value { before, after } => {
                write!(f, "{path} changed from {before} to {after}")
            }
            ChangeKind::Hidden => write!(f, "{path} changed"),
        }
    }
}

/// The value of every setting by its path, as [`crate::print()`] shows it, without
/// settings that are not set. Brands, sources, partners and boxes have their names
/// in the path.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let secret = folder.path().join("acme.secret");
/// # std::fs::write(&secret, "224ff3c627f30dd0f8e3fdb63bf28aa6")?;
/// # std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
/// let text = format!("[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_file = {secret:?}\n");
/// let loaded = tributary_config::parse(&text, std::path::Path::new("tributary.toml"))?;
/// let values = tributary_config::values(&loaded.config);
/// assert_eq!(values["brand.acme.timezone"], "\"UTC\"");
/// assert_eq!(values["brand.acme.secret"], "\"***\"");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn values(config: &Config) -> BTreeMap<String, String> {
    let all = Values::of(config).settings.into_iter();
    let shown = all.filter_map(|(path, value)| Some((path, value.shown?)));
    shown.collect()
}

/// Everything in which `after` differs from `before`, by path.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let secret = folder.path().join("acme.secret");
/// # std::fs::write(&secret, "224ff3c627f30dd0f8e3fdb63bf28aa6")?;
/// # std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
/// let brand = format!("[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_file = {secret:?}\n");
/// let read = |text: &str| tributary_config::parse(text, std::path::Path::new("tributary.toml"));
/// let before = read(&brand)?.config;
/// let after = read(&format!("[workers]\nthreads = 2\n{brand}"))?.config;
/// let changes = tributary_config::changes(&before, &after);
/// assert_eq!(changes[0].to_string(), "workers.threads changed from 1 to 2");
/// assert_eq!(changes.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn changes(before: &Config, after: &Config) -> Vec<Change> {
    let (before, after) = (Values::of(before), Values::of(after));
    let mut changes: Vec<Change> = Vec::new();
    let entries = [
        (ChangeKind::Removed, &before.entries, &after.entries),
        (ChangeKind::Added, &after.entries, &before.entries),
    ];
    for (kind, these, others) in entries {
        for path in these.difference(others) {
            // A source of a new brand goes without saying.
            if !changes.iter().any(|change| is_below(path, &change.path)) {
                let (path, kind) = (path.clone(), kind.clone());
                changes.push(Change { path, kind });
            }
        }
    }
    let mut settings = Vec::new();
    let paths: BTreeSet<&String> = before
        .settings
        .keys()
        .chain(after.settings.keys())
        .collect();
    for path in paths {
        let (one, other) = (before.settings.get(path), after.settings.get(path));
        let same = one.map(|value| value.digest) == other.map(|value| value.digest);
        if same || changes.iter().any(|entry| is_below(path, &entry.path)) {
            continue;
        }
        let shown = |value: Option<&Value>| {
            let shown = value.and_then(|value| value.shown.clone());
            shown.unwrap_or_else(|| "not set".to_owned())
        };
        let (before, after) = (shown(one), shown(other));
        let kind = match before == after {
            true => ChangeKind::Hidden,
            false => ChangeKind::Value { before, after },
        };
        let path = path.clone();
        settings.push(Change { path, kind });
    }
    changes.extend(settings);
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

/// Whether a path is that of an entry, or below it.
fn is_below(path: &str, entry: &str) -> bool {
    path.strip_prefix(entry)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A value of a setting.
struct Value {
    /// As printed; `None` if it is not set.
    shown: Option<String>,
    /// BLAKE3 of the value itself.
    digest: [u8; 32],
}

/// The settings of a configuration.
#[derive(Default)]
struct Values {
    settings: BTreeMap<String, Value>,
    /// The paths of entries of which there may be several.
    entries: BTreeSet<String>,
}

impl Values {
    fn of(config: &Config) -> Values {
        let mut values = Values::default();
        walk(config, &mut values);
        values
    }
}

impl Visitor for Values {
    fn section<T: SettingsModel>(&mut self, path: &str, model: &T) {
        if T::SECTION.many {
            self.entries.insert(path.to_owned());
        }
        let mut model = model.clone();
        for row in T::rows() {
            let (key, shown) = match row.render(&mut model) {
                Rendered::Value(value) => (row.key(), Some(value.to_string().trim().to_owned())),
                Rendered::Masked => {
                    let key = row.key();
                    let key = key.strip_suffix("_file").unwrap_or(key);
                    (key, Some(format!("{MASK:?}")))
                }
                Rendered::Nothing => (row.key(), None),
            };
            let digest = blake3::hash(row.identity(&mut model).as_bytes()).into();
            let value = Value { shown, digest };
            self.settings.insert(format!("{path}.{key}"), value);
        }
    }
}

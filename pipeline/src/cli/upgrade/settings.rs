//! Which settings another version has and this one does not, and the other way
//! round: from the JSON Schemas of both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;

use super::finding::{Finding, Outcome, subject};

/// The default of each setting by its path; `None` if it has none.
type Defaults = BTreeMap<String, Option<Value>>;

/// Compares the settings of this program with those in a schema of another
/// version.
///
/// # Errors
///
/// A file that is no schema of a configuration.
pub(super) fn compare(file: &Path) -> anyhow::Result<Vec<Finding>> {
    let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let schema: Value =
        serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    let (mut before, mut now) = (Defaults::new(), Defaults::new());
    collect(&schema, "", &mut before);
    collect(&tributary_config::schema(), "", &mut now);
    if before.is_empty() {
        bail!(
            "{} is no schema of a configuration: write it with `tributary config schema` of the version that runs now",
            file.display()
        );
    }
    let mut findings = differences(&before, &now);
    if findings.is_empty() {
        let text = "has the settings of this version, with the same defaults";
        findings.push(Finding::new(Outcome::Ok, subject(file), text));
    }
    Ok(findings)
}

/// One finding for each setting that was added, removed, or has another default.
fn differences(before: &Defaults, now: &Defaults) -> Vec<Finding> {
    let shown = |default: &Option<Value>| {
        let default = default.as_ref();
        default.map_or_else(|| "none".to_owned(), Value::to_string)
    };
    let paths: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let findings = paths.into_iter().filter_map(|path| {
        Some(match (before.get(path), now.get(path)) {
            (None, Some(default)) => {
                let text = format!("is a new setting; its default is {}", shown(default));
                Finding::new(Outcome::Note, path, text)
            }
            (Some(_), None) => Finding::new(Outcome::Warning, path, "is no setting any more")
                .fix("remove it from the configuration"),
            (Some(then), Some(default)) if then != default => {
                let text = format!(
                    "has another default: {} instead of {}",
                    shown(default),
                    shown(then)
                );
                Finding::new(Outcome::Warning, path, text)
                    .fix("set it if the one of before is to stay")
            }
            _ => return None,
        })
    });
    findings.collect()
}

/// Collects the settings of a schema and of the sections in it.
fn collect(schema: &Value, path: &str, into: &mut Defaults) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, property) in properties.into_iter().flatten() {
        let path = match path {
            "" => key.clone(),
            path => format!("{path}.{key}"),
        };
        let items = property.get("items").unwrap_or(&Value::Null);
        if property.get("properties").is_some() {
            collect(property, &path, into);
        } else if items.get("properties").is_some() {
            collect(items, &path, into);
        } else {
            into.insert(path, property.get("default").cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_differ_are_named() {
        let mut before = Defaults::new();
        collect(&tributary_config::schema(), "", &mut before);
        assert!(before.len() > 100, "{}", before.len());
        let now = before.clone();
        assert!(differences(&before, &now).is_empty());
        before.remove("release.k_delta");
        before.insert("release.former".to_owned(), None);
        before.insert("release.k".to_owned(), Some(Value::from(40)));
        let said: Vec<String> = differences(&before, &now)
            .iter()
            .map(|found| format!("{} {}", found.subject, found.text))
            .collect();
        assert_eq!(
            said,
            [
                "release.former is no setting any more",
                "release.k has another default: 50 instead of 40",
                "release.k_delta is a new setting; its default is none",
            ]
        );
    }
}

//! The example: it is right, it leaves nothing out, and what it shows in comments is right as well.

use std::collections::BTreeSet;

use serde_json::Value;
use tributary_config::{LoadedConfig, Problems, example, parse_in, schema};

fn read(text: &str) -> Result<LoadedConfig, Problems> {
    let directory = crate::common::example_directory();
    parse_in(text, &directory.path().join("tributary.toml"), &|_| {
        Some(crate::common::secret('4'))
    })
}

/// The section and key of each line that sets one, in a comment or not: `(line, section, key)`.
fn settings(text: &str) -> Vec<(usize, String, String)> {
    let mut section = String::new();
    let mut out = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        if bare.starts_with('[') && bare.ends_with(']') {
            section = bare.trim_matches(['[', ']']).to_owned();
        }
        if let Some((key, _)) = bare.split_once(" = ")
            && !key.contains(' ')
        {
            out.push((i, section.clone(), key.to_owned()));
        }
    }
    out
}

#[test]
fn the_example_is_right_and_warns_of_nothing() {
    // Variables are not set: nothing of the environment overrides the file.
    let directory = crate::common::example_directory();
    let loaded = parse_in(example(), &directory.path().join("tributary.toml"), &|_| {
        None
    });
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.brands.len(), 1);
}

#[test]
fn every_setting_stands_in_the_example() {
    let shown: BTreeSet<(String, String)> = settings(example())
        .into_iter()
        .map(|(_, section, key)| (section, key))
        .collect();
    let mut missing = Vec::new();
    walk(&schema(), "", &mut |section, key| {
        let whole = (section.to_owned(), key.to_owned());
        // A table may be written under a header of its own.
        let header = format!("[{section}.{key}]");
        if !shown.contains(&whole) && !example().contains(&header) {
            missing.push(whole);
        }
    });
    assert_eq!(missing, []);
}

/// Calls `each` with the section and key of every setting of a schema.
fn walk(schema: &Value, path: &str, each: &mut dyn FnMut(&str, &str)) {
    let properties = schema["properties"].as_object().unwrap();
    for (key, property) in properties {
        let below = match path {
            "" => key.clone(),
            path => format!("{path}.{key}"),
        };
        if property.get("properties").is_some() {
            walk(property, &below, each);
        } else if property["items"].get("properties").is_some() {
            walk(&property["items"], &below, each);
        } else {
            each(path, key);
        }
    }
}

#[test]
fn what_stands_in_comments_is_right_too() {
    let lines: Vec<&str> = example().lines().collect();
    let mut tried = 0;
    for (i, section, key) in settings(example()) {
        let Some(bare) = lines[i].strip_prefix("# ") else {
            continue;
        };
        let mut lines = lines.clone();
        lines[i] = bare;
        // A table in comments is right as a whole.
        let header = format!("# [[{section}]]");
        if let Some(from) = lines.iter().position(|line| *line == header) {
            let end = lines[from..].iter().position(|line| line.is_empty());
            for line in lines[from..].iter_mut().take(end.unwrap_or(0)) {
                *line = line.strip_prefix("# ").unwrap_or(line);
            }
        }
        let wrong = match parse_in_example(&lines.join("\n")) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.0,
        };
        let wrong: Vec<_> = wrong
            .into_iter()
            // Some settings are alternatives of what the example chose, or come in pairs.
            .filter(|p| !p.message.contains("stand together") && !p.message.contains("stand alone"))
            .filter(|p| !p.message.contains("not an index among"))
            .filter(|p| !p.message.contains("is pinned to"))
            .filter(|p| !p.message.contains("no brand has the shard"))
            .filter(|p| !p.message.contains("keeps its promise only with 1"))
            .collect();
        assert_eq!(wrong, [], "{section}.{key}");
        tried += 1;
    }
    assert!(tried > 40, "{tried}");
}

fn parse_in_example(text: &str) -> Result<LoadedConfig, Problems> {
    let directory = crate::common::example_directory();
    parse_in(text, &directory.path().join("tributary.toml"), &|name| {
        // The names that the comments give, and nothing that overrides the file.
        let named = [
            "TRIBUTARY_NKEY_SEED",
            "TRIBUTARY_PASSWORD",
            "TRIBUTARY_ACME_SECRET",
            "TRIBUTARY_OTLP_HEADERS",
        ];
        named.contains(&name).then(|| crate::common::secret('4'))
    })
}

#[test]
fn variables_of_every_name_do_no_harm_beyond_their_sections() {
    // Every variable holds a text that is no address: only the three sections hear of it.
    let problems = read(example()).unwrap_err();
    assert!(
        problems
            .0
            .iter()
            .all(|problem| problem.file == "environment"),
        "{problems}"
    );
}

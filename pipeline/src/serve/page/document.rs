//! The document of the page: one text made of the files beside this one.
//!
//! The script is a list of files in one function, so that they share names and
//! nothing else has them. The texts of all languages are a part of it.

use std::collections::BTreeMap;

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The document, with placeholders for style, script, version and build.
const HTML: &str = include_str!("page.html");
/// The style sheet.
const STYLE: &str = include_str!("page.css");
/// The texts by language, each a JSON object with the same keys.
const TEXTS: [(&str, &str); 3] = [
    ("en", include_str!("text/en.json")),
    ("fr", include_str!("text/fr.json")),
    ("de", include_str!("text/de.json")),
];
/// The script, a file after the other.
const SCRIPT: [&str; 11] = [
    include_str!("script/base.js"),
    include_str!("script/cells.js"),
    include_str!("script/chart.js"),
    include_str!("script/table.js"),
    include_str!("script/marketing.js"),
    include_str!("script/pass_visits.js"),
    include_str!("script/stores.js"),
    include_str!("script/wallet.js"),
    include_str!("script/privacy.js"),
    include_str!("script/operations.js"),
    include_str!("script/main.js"),
];

/// The page as it is sent.
pub(super) struct Document {
    /// The document.
    html: String,
    /// Its content security policy.
    policy: String,
    /// Identifies the document. The events contain it as well, so that a page of
    /// another build notices.
    pub(super) build: String,
}

impl Document {
    /// Assembles the document, and computes its policy.
    pub(super) fn new() -> Document {
        let (style, script) = (style(), script());
        let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
        let (style_hash, script_hash) = (hash(&style), hash(&script));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let build: String = hash(&format!("{HTML}{style_hash}{script_hash}"))
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(12)
            .collect();
        let html = HTML
            .replace("{{build}}", &build)
            .replace("{{version}}", crate::version::TEXT)
            .replace("{{style}}", &style)
            .replace("{{script}}", &script);
        Document {
            html,
            policy,
            build,
        }
    }

    /// The document with its policy.
    pub(super) fn response(&self) -> Response {
        let headers = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (CONTENT_SECURITY_POLICY, &self.policy),
        ];
        (headers, self.html.clone()).into_response()
    }
}

/// The style sheet, without the indentation and the optional spaces of its source.
fn style() -> String {
    let lines = STYLE.lines().map(str::trim);
    let style = lines.collect::<Vec<_>>().join("\n");
    style
        .replace(" {", "{")
        .replace("{ ", "{")
        .replace(" }", "}")
        .replace("; ", ";")
}

/// The whole script, without the comments and the indentation of its sources.
fn script() -> String {
    let lines = SCRIPT.iter().flat_map(|file| file.lines());
    let lines = lines.map(str::trim_start);
    let lines = lines.filter(|line| !line.starts_with("//"));
    let files = lines.collect::<Vec<_>>().join("\n");
    format!("\"use strict\";\n(() => {{\n{}{files}}})();\n", texts())
}

/// The texts by language and key. They are sent by key, each key once, with the text in each language.
fn texts() -> String {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, texts) in TEXTS {
        // That each of them is JSON, and has the same keys, is tested.
        let texts: BTreeMap<String, String> = serde_json::from_str(texts).unwrap_or_default();
        for (key, text) in texts {
            all.entry(key).or_default().push(text);
        }
    }
    format!(
        "const TEXTS = Object.fromEntries({}.map((language) => [language, {{}}]));\n\
         for (const [key, texts] of Object.entries({}))\n\
         Object.values(TEXTS).forEach((own, at) => {{ own[key] = texts[at]; }});\n",
        serde_json::json!(TEXTS.map(|(language, _)| language)),
        serde_json::json!(all),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_page_is_whole_small_and_asks_nobody_else() {
        let document = Document::new();
        let html = &document.html;
        assert!(html.len() < 155_000, "{} bytes", html.len());
        for left in ["{{build}}", "{{version}}", "{{style}}", "{{script}}"] {
            assert!(!html.contains(left), "{left}");
        }
        assert!(html.contains(&document.build));
        // No address but that of SVG's names, no handler and no style in an attribute, which the policy would refuse.
        assert_eq!(
            html.matches("://").count(),
            html.matches("http://www.w3.org/2000/svg").count()
        );
        for refused in [
            " onclick=",
            " onload=",
            " onerror=",
            " style=\"",
            "innerHTML",
            "outerHTML",
            "eval(",
        ] {
            assert!(!html.contains(refused), "{refused}");
        }
    }

    #[test]
    fn the_policy_names_the_very_style_and_script() {
        let document = Document::new();
        for (tag, of) in [("style", "style-src"), ("script", "script-src")] {
            let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
            assert_eq!(document.html.matches(&close).count(), 1, "one {tag}");
            let inside = document.html.split_once(&open).unwrap().1;
            let inside = inside.split_once(&close).unwrap().0;
            let hash = STANDARD.encode(Sha256::digest(inside));
            assert!(
                document.policy.contains(&format!("{of} 'sha256-{hash}';")),
                "{tag}"
            );
        }
        assert!(document.policy.starts_with("default-src 'none';"));
    }

    /// The placeholders of a text.
    fn placeholders(text: &str) -> BTreeSet<&str> {
        let parts = text.split('{').skip(1);
        parts
            .filter_map(|part| Some(part.split_once('}')?.0))
            .collect()
    }

    #[test]
    fn every_language_has_the_same_texts_with_the_same_placeholders() {
        let read = |text: &str| -> BTreeMap<String, String> { serde_json::from_str(text).unwrap() };
        let [(_, english), others @ ..] = TEXTS;
        let english = read(english);
        for (language, text) in others {
            let texts = read(text);
            let keys = |texts: &BTreeMap<String, String>| texts.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(&texts), keys(&english), "{language}");
            for (key, text) in &texts {
                let of_english = &english[key];
                assert_eq!(
                    placeholders(text),
                    placeholders(of_english),
                    "{language} {key}"
                );
                assert_eq!(
                    text.contains('|'),
                    of_english.contains('|'),
                    "{language} {key}"
                );
            }
        }
    }

    #[test]
    fn every_reason_of_a_dead_letter_is_explained_in_every_language() {
        for (language, text) in TEXTS {
            let texts: BTreeMap<String, String> = serde_json::from_str(text).unwrap();
            let explained = texts.keys().filter_map(|key| key.strip_prefix("reason."));
            let explained: BTreeSet<&str> = explained.collect();
            let all = tributary_connectors::dead_letter::Reason::ALL;
            let all: BTreeSet<&str> = all.into_iter().map(|reason| reason.name()).collect();
            assert_eq!(explained, all, "{language}");
        }
    }

    #[test]
    fn what_the_server_says_in_codes_has_a_text_in_every_language() {
        use tributary_rights::audit::{CODES, TOUCHED};
        let codes = |family: &str, codes: &[&str]| -> BTreeSet<String> {
            codes
                .iter()
                .map(|code| format!("{family}.{code}"))
                .collect()
        };
        let touched = TOUCHED.map(|(name, _)| name);
        let refusals = tributary_rights::Reason::ALL.map(tributary_rights::Reason::name);
        let rights = tributary_rights::Right::ALL.map(tributary_rights::Right::name);
        for (language, text) in TEXTS {
            let texts: BTreeMap<String, String> = serde_json::from_str(text).unwrap();
            for (family, known) in [
                ("ready", codes("ready", &crate::report::health::NOT_READY)),
                (
                    "audit",
                    codes("audit", &[&CODES[..], &["nothing"]].concat()),
                ),
                ("touched", codes("touched", &touched)),
                ("refusal", codes("refusal", &refusals)),
                (
                    "right",
                    codes("right", &[&rights[..], &["unknown"]].concat()),
                ),
            ] {
                let begin = format!("{family}.");
                let of_family = texts.keys().filter(|key| key.starts_with(&begin));
                let found: BTreeSet<String> = of_family.cloned().collect();
                assert_eq!(found, known, "{language}");
            }
        }
    }

    #[test]
    fn every_text_that_the_page_names_exists_and_every_text_is_named() {
        let (_, english) = TEXTS[0];
        let english: BTreeMap<String, String> = serde_json::from_str(english).unwrap();
        let script = SCRIPT.join("\n");
        let named = |mark: &str, text: &str| -> BTreeSet<String> {
            let parts = text.split(mark).skip(1);
            let names = parts.filter_map(|part| Some(part.split_once('"')?.0.to_owned()));
            names.collect()
        };
        let mut used = named("data-t=\"", HTML);
        used.extend(named("data-label=\"", HTML));
        // `t("a." + b)` names a family of texts.
        let called = named("t(\"", &script);
        let (families, exact): (BTreeSet<_>, BTreeSet<_>) =
            called.into_iter().partition(|name| name.ends_with('.'));
        used.extend(exact.into_iter().filter(|name| !name.is_empty()));
        for name in &used {
            let is_call = english.contains_key(name);
            assert!(
                is_call || !script.contains(&format!(" t(\"{name}\"")),
                "{name}"
            );
        }
        for name in named("data-t=\"", HTML) {
            assert!(english.contains_key(&name), "{name}");
        }
        let is_used = |key: &String| {
            used.contains(key)
                || families
                    .iter()
                    .any(|family| key.starts_with(family.as_str()))
                || script.contains(&format!("\"{key}\""))
                || key
                    .split_once('.')
                    .is_some_and(|(family, _)| script.contains(&format!("\"{family}.\"")))
        };
        let unused: Vec<_> = english.keys().filter(|key| !is_used(key)).collect();
        // The name of a language is read as a property.
        assert_eq!(unused, ["name"]);
    }
}

//! Whatever text it is given, the checker answers and never panics.

use std::path::Path;

use proptest::prelude::*;
use tributary_config::{Problems, example, parse_in, print};

/// Reads a text; what is right prints and reads, what is wrong says why and where.
fn check(text: &str) {
    match parse_in(
        text,
        Path::new("tributary.toml"),
        &crate::common::environment,
    ) {
        Ok(loaded) => assert!(!print(&loaded.config).is_empty()),
        Err(Problems(problems)) => {
            assert!(!problems.is_empty());
            let lines = text.split('\n').count();
            assert!(problems.iter().all(|problem| problem.line <= lines));
            assert!(problems.iter().all(|problem| !problem.message.is_empty()));
        }
    }
}

/// Pieces of TOML that are likely to meet somewhere.
const PIECES: [&str; 25] = [
    "[[brand]]",
    "[brand]",
    "[brand.identity]",
    "[[brand.source]]",
    "[brand.source.csv]",
    "[nats]",
    "name",
    "secret_env",
    "max_degree",
    "link_ttl",
    "columns",
    "format",
    "url",
    " = ",
    "\n",
    "\"",
    "\"\"\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"csv\"",
    "1e999",
    "\u{feff}é",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text(text in "\\PC{0,200}") {
        check(&text);
    }

    #[test]
    fn pieces_of_toml(pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..60)) {
        check(&pieces.concat());
    }

    #[test]
    fn the_example_with_bytes_changed(changes in prop::collection::vec((any::<prop::sample::Index>(), "[\\PC\n]?"), 1..6)) {
        let mut letters: Vec<String> = example().chars().map(String::from).collect();
        for (at, new) in changes {
            let at = at.index(letters.len());
            letters[at] = new;
        }
        check(&letters.concat());
    }

    #[test]
    fn the_example_with_lines_moved(moves in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6)) {
        let mut lines: Vec<&str> = example().lines().collect();
        for (from, to) in moves {
            let line = lines.remove(from.index(lines.len()));
            lines.insert(to.index(lines.len()), line);
        }
        check(&lines.join("\n"));
    }

    #[test]
    fn the_example_with_values_exchanged(swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4)) {
        let bare: String = example().lines().map(|line| line.strip_prefix("# ").filter(|l| l.contains(" = ")).unwrap_or(line).to_owned() + "\n").collect();
        let mut lines: Vec<(String, String)> = bare.lines().map(|line| match line.split_once(" = ") {
            Some((key, value)) => (format!("{key} = "), value.to_owned()),
            None => (line.to_owned(), String::new()),
        }).collect();
        for (a, b) in swaps {
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            let value = lines[a].1.clone();
            lines[b].1 = value;
        }
        check(&lines.into_iter().map(|(key, value)| key + &value + "\n").collect::<String>());
    }
}

#[test]
fn deep_nesting_is_refused() {
    check(&format!("a = {}", "[".repeat(100_000)));
    check(&"a.".repeat(10_000));
    check(&format!("[{}a]", "a.".repeat(10_000)));
}

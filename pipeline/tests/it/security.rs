//! The threat model names for whoever may turn against the data what they cannot do, and a test that shows each statement:
//! every test that it names exists, no statement is without one, and nobody is left out. So does the guide for data protection
//! for what it promises.

use std::path::Path;

/// Whom the model has to speak of.
const SECTIONS: [&str; 11] = [
    "A publisher of a brand",
    "Anybody with a browser",
    "A reader of outputs",
    "A reader of metrics",
    "A holder of a brand's login",
    "An operator",
    "A broker administrator",
    "The network between processes",
    "A thief of a disk",
    "A thief of a backup",
    "A holder of an old secret",
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Whether a file has a test of this name.
fn is_test(file: &str, name: &str) -> bool {
    let Ok(text) = std::fs::read_to_string(root().join(file)) else {
        return false;
    };
    let mut lines = text.lines().map(str::trim);
    let is_marked = |line: &str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    let mut marked = false;
    lines.any(|line| {
        let begins = line.contains(&format!("fn {name}("));
        let found = marked && begins;
        // Other attributes may stand between, but not that nobody runs it.
        let stays = marked && line.starts_with("#[") && !line.starts_with("#[ignore");
        marked = is_marked(line) || stays;
        found
    })
}

#[test]
fn every_statement_names_tests_that_exist() {
    let text = std::fs::read_to_string(root().join("config/SECURITY.md")).unwrap();
    let (mut named, mut wrong) = (0, Vec::new());
    let mut sections = Vec::new();
    for part in text.split("\n## ").skip(1) {
        let (heading, body) = part.split_once('\n').unwrap();
        sections.push(heading.trim());
        let rows = body.lines().filter(|line| line.starts_with("| "));
        let statements: Vec<&str> = rows.filter(|row| !row.contains("Shown by")).collect();
        assert!(!statements.is_empty(), "{heading}: nothing is shown");
        for row in statements {
            let before = named;
            let codes = row.split('`').skip(1).step_by(2);
            for (file, name) in codes.filter_map(|code| code.split_once("::")) {
                named += 1;
                if !is_test(file, name) {
                    wrong.push(format!("{heading}: {file}::{name}"));
                }
            }
            assert!(named > before, "no test: {row}");
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(sections, SECTIONS);
    eprintln!("{named} tests");
}

#[test]
fn the_guide_for_data_protection_names_tests_that_exist() {
    let text = std::fs::read_to_string(root().join("config/DATA-PROTECTION.md")).unwrap();
    let (_, section) = text.split_once("\n## Which test shows it\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let (mut statements, mut wrong) = (0, Vec::new());
    for row in rows.filter(|row| !row.contains("shown by")) {
        let codes = row.split('`').skip(1).step_by(2);
        let tests = codes.filter_map(|code| code.split_once("::"));
        let tests: Vec<(&str, &str)> = tests.collect();
        assert!(!tests.is_empty(), "no test: {row}");
        statements += 1;
        let missing = tests
            .into_iter()
            .filter(|(file, name)| !is_test(file, name));
        wrong.extend(missing.map(|(file, name)| format!("{file}::{name}")));
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(statements > 30, "{statements}");
}

#[test]
fn a_test_that_does_not_exist_is_found() {
    let here = "pipeline/tests/it/security.rs";
    assert!(is_test(here, "a_test_that_does_not_exist_is_found"));
    assert!(!is_test(here, "is_test"));
    assert!(!is_test(here, "nothing_of_this_name"));
    assert!(!is_test("pipeline/tests/it/no_such_file.rs", "is_test"));
}

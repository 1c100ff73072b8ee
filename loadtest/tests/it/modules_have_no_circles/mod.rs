//! The direction of dependencies: no circle of modules within a crate, and only the known arrows between crates.
//!
//! A module is a file. It depends on the file that defines what its paths name: re-exports are followed to the
//! definition, so that a facade such as `lib.rs` does not tie together everything that passes through it. A parent and its
//! child count like any two modules; `mod child;` alone is no dependency. Code of tests does not count.
//!
//! The sources are read as tokens, with the standard library alone, so that `make lint` can compile this file by itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail, and says why"
)]

mod module;
mod reader;
mod sources;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use module::ModulePath;
use sources::{Edges, Sources};

/// The arrows from each crate to others of the workspace, those of its tests aside. A crate that is not here has none.
const ARROWS: [(&str, &[&str]); 9] = [
    ("config", &["config/consent"]),
    ("connectors", &["config", "config/consent", "operators"]),
    (
        "loadtest",
        &[
            "config",
            "connectors",
            "loadtest/oracle",
            "loadtest/simulate",
            "operators",
        ],
    ),
    ("loadtest/oracle", &["operators"]),
    ("loadtest/simulate", &["config"]),
    ("loadtest/testkit", &["config"]),
    (
        "pipeline",
        &[
            "config",
            "config/consent",
            "connectors",
            "loadtest/simulate",
            "operators",
            "pipeline/ledger",
            "pipeline/rights",
        ],
    ),
    ("pipeline/ledger", &["config", "operators"]),
    ("pipeline/rights", &["operators"]),
];

#[test]
fn modules_have_no_circles() {
    let root = workspace();
    let mut faults = String::new();
    for member in members(&root) {
        let src = root.join(&member).join("src");
        let roots = ["lib.rs", "main.rs"].map(|file| src.join(file));
        let roots = roots.iter().filter(|file| file.exists());
        let edges: Vec<Edges> = roots
            .map(|file| Sources::read(&src, file).edges())
            .collect();
        let circles: Vec<(&Edges, BTreeSet<ModulePath>)> = edges
            .iter()
            .flat_map(|edges| {
                circles(edges)
                    .into_iter()
                    .map(move |circle| (edges, circle))
            })
            .collect();
        for (edges, circle) in circles {
            writeln!(faults, "{member}").unwrap();
            writeln!(faults, "  circle of {}: {}", circle.len(), names(&circle)).unwrap();
            for ((from, to), places) in edges {
                if circle.contains(from) && circle.contains(to) {
                    let places: Vec<&str> = places.values().map(String::as_str).collect();
                    writeln!(
                        faults,
                        "    {} -> {}: {}",
                        name(from),
                        name(to),
                        places.join(", ")
                    )
                    .unwrap();
                }
            }
        }
    }
    assert!(
        faults.is_empty(),
        "modules depend on each other in circles:\n{faults}"
    );
}

#[test]
fn crates_have_only_the_known_arrows() {
    let root = workspace();
    let members = members(&root);
    let packages: BTreeMap<String, String> = members
        .iter()
        .map(|member| (package(&root, member), member.clone()))
        .collect();
    let mut faults = String::new();
    for member in &members {
        let found = dependencies(&manifest(&root, member));
        let found: BTreeSet<&str> = found
            .iter()
            .filter_map(|name| packages.get(name).map(String::as_str))
            .collect();
        let known = ARROWS.iter().find(|(from, _)| from == member);
        let known: BTreeSet<&str> = known
            .iter()
            .flat_map(|(_, to)| to.iter().copied())
            .collect();
        for to in found.difference(&known) {
            writeln!(faults, "  {member} -> {to} is new").unwrap();
        }
        for to in known.difference(&found) {
            writeln!(
                faults,
                "  {member} -> {to} is no more, and stands in ARROWS"
            )
            .unwrap();
        }
    }
    assert!(faults.is_empty(), "arrows between crates:\n{faults}");
}

/// The root of the workspace: the nearest directory upwards whose manifest says so.
fn workspace() -> PathBuf {
    let here = std::env::current_dir().expect("a current directory");
    let is_root = |dir: &&Path| {
        let manifest = fs::read_to_string(dir.join("Cargo.toml"));
        manifest.is_ok_and(|text| text.lines().any(|line| line == "[workspace]"))
    };
    let root = here.ancestors().find(is_root);
    root.expect("a workspace above the current directory")
        .to_owned()
}

fn manifest(root: &Path, member: &str) -> String {
    let path = root.join(member).join("Cargo.toml");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The directories of the crates.
fn members(root: &Path) -> Vec<String> {
    let text = manifest(root, "");
    let line = text.lines().find(|line| line.starts_with("members"));
    let line = line.expect("members on one line");
    let members: Vec<String> = line
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    assert!(!members.is_empty(), "no members");
    members
}

fn package(root: &Path, member: &str) -> String {
    let text = manifest(root, member);
    let line = text.lines().find(|line| line.starts_with("name"));
    let line = line.expect("a package has a name");
    line.split('"').nth(1).expect("a name in quotes").to_owned()
}

/// The names under every heading of dependencies but that of tests.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(heading) = line.strip_prefix('[') {
            let heading = heading.trim_end_matches(']');
            let (before, last) = heading.rsplit_once('.').unwrap_or(("", heading));
            let is_list = |name: &str| name == "dependencies" || name == "build-dependencies";
            inside = is_list(last);
            if is_list(before.rsplit('.').next().unwrap_or(before)) {
                names.insert(last.to_owned());
            }
        } else if inside && let Some((name, _)) = line.split_once(['.', '=', ' ']) {
            names.insert(name.to_owned());
        }
    }
    names
}

fn name(module: &ModulePath) -> String {
    match module.is_empty() {
        true => "lib".to_owned(),
        false => module.join("::"),
    }
}

fn names(modules: &BTreeSet<ModulePath>) -> String {
    modules.iter().map(name).collect::<Vec<_>>().join(" ")
}

/// The groups of modules each of which leads to every other.
fn circles(edges: &Edges) -> Vec<BTreeSet<ModulePath>> {
    let mut next: BTreeMap<&ModulePath, Vec<&ModulePath>> = BTreeMap::new();
    for (from, to) in edges.keys() {
        next.entry(from).or_default().push(to);
    }
    let reach = |from: &ModulePath| {
        let mut seen = BTreeSet::new();
        let mut todo = vec![from];
        while let Some(at) = todo.pop() {
            for to in next.get(at).into_iter().flatten() {
                if seen.insert((*to).clone()) {
                    todo.push(to);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&ModulePath, BTreeSet<ModulePath>> =
        next.keys().map(|from| (*from, reach(from))).collect();
    let mut circles = BTreeSet::new();
    for (module, to) in &reached {
        if to.contains(*module) {
            let back =
                |other: &&ModulePath| reached.get(*other).is_some_and(|to| to.contains(*module));
            circles.insert(to.iter().filter(back).cloned().collect::<BTreeSet<_>>());
        }
    }
    circles.into_iter().collect()
}

/// The edges between modules that are given as texts, `lib` among them.
fn edges_of(files: &[(&str, &str)]) -> Edges {
    let mut sources = Sources::default();
    for (path, text) in files {
        let path: ModulePath = path.split("::").map(str::to_owned).collect();
        let path = if path == ["lib"] { Vec::new() } else { path };
        sources.read_text(text, "a file", path);
    }
    sources.link();
    sources.edges()
}

fn shown(edges: &Edges) -> Vec<String> {
    let edges = edges.keys();
    edges
        .map(|(from, to)| format!("{} -> {}", name(from), name(to)))
        .collect()
}

#[test]
fn paths_lead_to_the_module_that_defines_what_they_name() {
    let files = [
        (
            "lib",
            "pub mod a; pub mod b; mod c; pub use b::{Inner as Renamed, deep::Deep};",
        ),
        (
            "a",
            "use crate::{Renamed, Deep}; fn f(_: &'static str) -> super::c::C { '\\'' }",
        ),
        (
            "b",
            "pub mod deep; pub struct Inner; pub use self::deep::*;",
        ),
        (
            "b::deep",
            "pub struct Deep; /* crate::a::f() */ const S: &str = \"crate::a::f()\";",
        ),
        (
            "c",
            "use std::fmt; use crate::b; pub struct C(b::Deep); #[cfg(test)] mod tests { use crate::a::f; }",
        ),
    ];
    // `lib` names what it passes on; nobody depends on `lib` for that.
    let expected = [
        "lib -> b",
        "lib -> b::deep",
        "a -> b",
        "a -> b::deep",
        "a -> c",
        "c -> b::deep",
    ];
    assert_eq!(shown(&edges_of(&files)), expected);
    assert_eq!(circles(&edges_of(&files)), []);
}

#[test]
fn a_circle_is_found_with_a_parent_and_through_a_body() {
    let files = [
        ("lib", "mod a; mod b; mod d;"),
        ("a", "mod child; pub struct A; fn f() { child::g() }"),
        ("a::child", "use super::A; pub fn g() {}"),
        ("b", "fn f() { match 1 { 1 => crate::d::g(), _ => {} } }"),
        ("d", "mod inside { use super::super::b::f; } pub fn g() {}"),
    ];
    let found = circles(&edges_of(&files));
    assert_eq!(
        found.iter().map(names).collect::<Vec<_>>(),
        ["a a::child", "b d"]
    );
}

#[test]
fn dependencies_are_those_of_every_heading_but_tests() {
    let manifest = "[package]\nname = \"a\"\n[dependencies]\nb.workspace = true\nc = { path = \"c\" }\n\
                    [dev-dependencies]\nd = \"1\"\n[build-dependencies]\ne = \"1\"\n[dependencies.f]\nversion = \"1\"\n\
                    [target.'cfg(unix)'.dependencies]\ng = \"1\"\n[lints]\nworkspace = true\n";
    let names: Vec<String> = dependencies(manifest).into_iter().collect();
    assert_eq!(names, ["b", "c", "e", "f", "g"]);
}

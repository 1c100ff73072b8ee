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

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules in circles that a crate still has. The number may only shrink: whoever removes one lowers it here.
const KNOWN_CIRCLES: [(&str, usize); 1] = [("pipeline", 49)];

/// The arrows from each crate to others of the workspace, those of its tests aside. A crate that is not here has none.
const ARROWS: [(&str, &[&str]); 6] = [
    ("config", &["connectors/consent"]),
    ("connectors", &["config", "connectors/consent", "operators"]),
    (
        "loadtest",
        &["config", "connectors", "loadtest/oracle", "operators"],
    ),
    ("loadtest/oracle", &["operators"]),
    (
        "pipeline",
        &[
            "config",
            "connectors",
            "connectors/consent",
            "loadtest",
            "operators",
            "pipeline/ledger",
            "pipeline/rights",
        ],
    ),
    ("pipeline/ledger", &["config", "operators"]),
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
        let found: usize = circles.iter().map(|(_, circle)| circle.len()).sum();
        let known = KNOWN_CIRCLES.iter().find(|(name, _)| *name == member);
        let known = known.map_or(0, |(_, known)| *known);
        if found == known {
            continue;
        }
        writeln!(
            faults,
            "{member}: {found} modules in circles, {known} known"
        )
        .unwrap();
        for (edges, circle) in circles {
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

/// The segments of a module's path below its crate; none for `lib.rs`.
type ModulePath = Vec<String>;

/// Which module depends on which, and for each name that it uses the first place.
type Edges = BTreeMap<(ModulePath, ModulePath), BTreeMap<String, String>>;

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

/// What a file, or a module in braces within one, says.
#[derive(Default)]
struct Module {
    /// The module of the file.
    file: ModulePath,
    /// What it defines.
    items: BTreeSet<String>,
    /// The names that it brings in, with their paths; none for those of other crates.
    imports: BTreeMap<String, Option<Vec<String>>>,
    /// The modules all of whose names it brings in.
    globs: Vec<Vec<String>>,
    /// The paths that it names, each with its place.
    paths: Vec<(Vec<String>, String)>,
}

/// The modules of a crate.
#[derive(Default)]
struct Sources {
    modules: BTreeMap<ModulePath, Module>,
}

impl Sources {
    /// Reads the files from the root of a library or a binary on.
    fn read(src: &Path, root: &Path) -> Sources {
        let mut sources = Sources::default();
        sources.read_file(src, root, Vec::new());
        sources.link();
        sources
    }

    /// Follows what each module brings in to the crate's root, once all are known.
    fn link(&mut self) {
        let link = |(within, module): (&ModulePath, &Module)| {
            let import = |(alias, path): (&String, &Option<Vec<String>>)| {
                let path = path
                    .as_ref()
                    .and_then(|path| self.absolute(within, path, 8));
                (alias.clone(), path)
            };
            let glob = |path: &Vec<String>| self.absolute(within, path, 8);
            let imports: BTreeMap<_, _> = module.imports.iter().map(import).collect();
            let globs: Vec<_> = module.globs.iter().filter_map(glob).collect();
            let path = |(path, ..): &(Vec<String>, String)| self.absolute(within, path, 8);
            let paths: Vec<_> = module.paths.iter().map(path).collect();
            (imports, globs, paths)
        };
        let linked: Vec<_> = self.modules.iter().map(link).collect();
        for (module, (imports, globs, paths)) in self.modules.values_mut().zip(linked) {
            (module.imports, module.globs) = (imports, globs);
            let paths = module.paths.drain(..).zip(paths);
            let paths = paths.filter_map(|((_, place), path)| Some((path?, place)));
            module.paths = paths.collect();
        }
    }

    fn read_file(&mut self, src: &Path, path: &Path, module: ModulePath) {
        let text = fs::read_to_string(path);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let shown = path.strip_prefix(src).unwrap_or(path).display().to_string();
        for child in self.read_text(&text, &shown, module) {
            let below = child
                .iter()
                .fold(src.to_owned(), |dir, name| dir.join(name));
            let file = below.with_extension("rs");
            let file = match file.exists() {
                true => file,
                false => below.join("mod.rs"),
            };
            self.read_file(src, &file, child);
        }
    }

    /// Reads a file, and returns the modules that it declares and that have files of their own.
    fn read_text(&mut self, text: &str, shown: &str, module: ModulePath) -> Vec<ModulePath> {
        let tokens = tokens(text);
        let mut reader = Reader {
            tokens: &tokens,
            at: 0,
            shown,
            file: module.clone(),
            sources: self,
            children: Vec::new(),
        };
        reader.read(module);
        reader.children
    }

    /// The file that defines what a path from the crate's root names; none where that is a module, or of another crate.
    fn resolve(&self, path: &[String], hops: usize) -> Option<ModulePath> {
        let mut at: ModulePath = Vec::new();
        for (index, segment) in path.iter().enumerate() {
            let module = self.modules.get(&at)?;
            let is_last = index + 1 == path.len();
            let child: ModulePath = at.iter().chain([segment]).cloned().collect();
            let is_child = self.modules.contains_key(&child);
            let import = module.imports.get(segment);
            if is_child && (!is_last || !(module.items.contains(segment) || import.is_some())) {
                at = child;
                continue;
            }
            if module.items.contains(segment) {
                return Some(module.file.clone());
            }
            if let Some(import) = import {
                // A name may be brought in twice, as a module and as what it holds.
                let onward: Vec<String> = import
                    .as_ref()?
                    .iter()
                    .chain(&path[index + 1..])
                    .cloned()
                    .collect();
                return match hops > 0 && onward != path {
                    true => self.resolve(&onward, hops - 1),
                    false => None,
                };
            }
            let mut through = module.globs.iter().filter_map(|glob| {
                let onward: Vec<String> = glob.iter().chain(&path[index..]).cloned().collect();
                let of = self.modules.get(glob)?;
                let has = of.items.contains(segment) || of.imports.contains_key(segment);
                (has && hops > 0).then(|| self.resolve(&onward, hops - 1))?
            });
            return through.next().or_else(|| Some(module.file.clone()));
        }
        None
    }

    /// Which file depends on which.
    fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for module in self.modules.values() {
            for (path, place) in module.paths.iter() {
                let Some(to) = self.resolve(path, 8) else {
                    continue;
                };
                if to != module.file {
                    let places = edges.entry((module.file.clone(), to)).or_default();
                    let shown = || format!("{} ({place})", path.join("::"));
                    places.entry(path.join("::")).or_insert_with(shown);
                }
            }
        }
        edges
    }

    /// A path from the crate's root; none where it leads to another crate.
    fn absolute(&self, within: &ModulePath, path: &[String], hops: usize) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let mut base = within.clone();
        match first.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "Self" => return None,
            "super" => {
                let above = rest.iter().take_while(|name| *name == "super").count();
                base.truncate(base.len().checked_sub(above + 1)?);
                base.extend_from_slice(&rest[above..]);
                return Some(base);
            }
            _ => {
                let child: ModulePath = within.iter().chain([first]).cloned().collect();
                if self.modules.contains_key(&child) {
                    base = child;
                } else {
                    let import = self.modules.get(within)?.imports.get(first)?.as_ref()?;
                    let hops = hops.checked_sub(1)?;
                    base = self.absolute(within, import, hops)?;
                }
            }
        }
        base.extend_from_slice(rest);
        Some(base)
    }
}

/// A token, and the line that it is on.
type Token<'a> = (&'a str, usize);

/// Splits a source into names, `::`, and single characters; comments, strings and characters in quotes go.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let bytes = text.as_bytes();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 128;
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let rest = &text[at..];
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment(rest)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if rest.starts_with('"') {
            string(rest)
        } else if rest.starts_with('\'') {
            character(rest)
        } else if is_word(bytes[at]) {
            let length = rest.bytes().take_while(|byte| is_word(*byte)).count();
            tokens.push((&rest[..length], line));
            length
        } else if rest.starts_with("::") {
            tokens.push(("::", line));
            2
        } else {
            if !bytes[at].is_ascii_whitespace() {
                tokens.push((&rest[..1], line));
            }
            1
        };
        line += rest.as_bytes()[..length]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        at += length;
    }
    tokens
}

/// The length of a comment, with those that it holds.
fn comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let step = match rest.as_bytes().get(at..at + 2) {
            Some(b"/*") => 1,
            Some(b"*/") => -1,
            _ => 0,
        };
        depth += step;
        at += if step == 0 { 1 } else { 2 };
        if depth == 0 {
            break;
        }
    }
    at.min(rest.len())
}

/// The length of a raw string, if it is one.
fn raw_string(rest: &str) -> Option<usize> {
    let after = ["r", "br", "cr"]
        .iter()
        .find_map(|prefix| rest.strip_prefix(prefix))?;
    let hashes = after.bytes().take_while(|byte| *byte == b'#').count();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body
        .find(&end)
        .map_or(body.len(), |length| length + end.len());
    Some(rest.len() - body.len() + length)
}

/// The length of a string.
fn string(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// The length of a character in quotes, or of the quote of a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => rest[3..].find('\'').map_or(1, |length| length + 4),
        Some((_, first)) if rest[1 + first.len_utf8()..].starts_with('\'') => first.len_utf8() + 2,
        _ => 1,
    }
}

/// Reads the modules of a file from its tokens.
struct Reader<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    shown: &'a str,
    file: ModulePath,
    sources: &'a mut Sources,
    children: Vec<ModulePath>,
}

impl<'a> Reader<'a> {
    fn token(&self, ahead: usize) -> &'a str {
        self.tokens
            .get(self.at + ahead)
            .map_or("", |(token, _)| token)
    }

    fn place(&self) -> String {
        let line = self.tokens.get(self.at).map_or(0, |(_, line)| *line);
        format!("{}:{line}", self.shown)
    }

    /// Reads the body of a module up to the brace that closes it, or to the end.
    fn read(&mut self, within: ModulePath) {
        let mut module = Module {
            file: self.file.clone(),
            ..Module::default()
        };
        let mut depth = 0;
        while self.at < self.tokens.len() {
            match self.token(0) {
                "#" if self.is_of_tests() => self.skip_item(),
                "{" => {
                    depth += 1;
                    self.at += 1;
                }
                "}" if depth == 0 => {
                    self.at += 1;
                    break;
                }
                "}" => {
                    depth -= 1;
                    self.at += 1;
                }
                "use" => {
                    self.at += 1;
                    self.read_use(&mut module, &[]);
                }
                "mod" if is_name(self.token(1)) => {
                    let child: ModulePath = within
                        .iter()
                        .map(String::as_str)
                        .chain([self.token(1)])
                        .map(str::to_owned)
                        .collect();
                    let has_body = self.token(2) == "{";
                    self.at += 3;
                    match has_body {
                        true => self.read(child),
                        false => self.children.push(child),
                    }
                }
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union"
                    if depth == 0 =>
                {
                    let ahead = match self.token(1) {
                        "mut" => 2,
                        _ => 1,
                    };
                    module.items.insert(self.token(ahead).to_owned());
                    self.at += 1;
                }
                token if is_name(token) => self.read_path(&mut module),
                _ => self.at += 1,
            }
        }
        self.sources.modules.insert(within, module);
    }

    /// Whether an attribute begins here that leaves what follows to the tests.
    fn is_of_tests(&self) -> bool {
        let ahead: Vec<&str> = (1..8).map(|ahead| self.token(ahead)).collect();
        ahead.starts_with(&["[", "cfg", "(", "test", ")"])
            || ahead.starts_with(&["[", "cfg", "(", "all", "(", "test"])
    }

    /// Skips attributes and the item, field or statement behind them.
    fn skip_item(&mut self) {
        while self.token(0) == "#" {
            self.at += 1;
            self.skip_brackets();
        }
        while self.at < self.tokens.len() {
            match self.token(0) {
                "{" => return self.skip_brackets(),
                "(" | "[" => self.skip_brackets(),
                ";" | "," => {
                    self.at += 1;
                    return;
                }
                "}" => return,
                _ => self.at += 1,
            }
        }
    }

    /// Skips what stands between two brackets.
    fn skip_brackets(&mut self) {
        let mut depth = 0;
        while self.at < self.tokens.len() {
            match self.token(0) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    /// Reads one branch of a `use`.
    fn read_use(&mut self, module: &mut Module, prefix: &[String]) {
        let place = self.place();
        let mut path = prefix.to_vec();
        let mut alias = None;
        loop {
            match self.token(0) {
                "{" => {
                    self.at += 1;
                    while self.at < self.tokens.len() && self.token(0) != "}" {
                        self.read_use(module, &path);
                        if self.token(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "*" => {
                    self.at += 1;
                    module.globs.push(path);
                    return;
                }
                "as" => {
                    alias = Some(self.token(1).to_owned());
                    self.at += 2;
                }
                "::" => self.at += 1,
                token if is_name(token) => {
                    if token != "self" || path.is_empty() {
                        path.push(token.to_owned());
                    }
                    self.at += 1;
                }
                _ => break,
            }
        }
        let Some(last) = path.last().cloned() else {
            return;
        };
        let alias = alias.unwrap_or(last);
        module.imports.insert(alias, Some(path.clone()));
        module.paths.push((path, place));
    }

    /// Reads a path in an expression, a type or a pattern.
    fn read_path(&mut self, module: &mut Module) {
        let place = self.place();
        let before = |by: usize| self.at.checked_sub(by).map_or("", |at| self.tokens[at].0);
        let is_visibility = before(1) == "in" && before(2) == "(" && before(3) == "pub";
        let is_member = before(1) == "." || before(1) == "::";
        let mut path = vec![self.token(0).to_owned()];
        self.at += 1;
        while self.token(0) == "::" && is_name(self.token(1)) {
            path.push(self.token(1).to_owned());
            self.at += 2;
        }
        if path.len() > 1 && !is_visibility && !is_member {
            module.paths.push((path, place));
        }
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

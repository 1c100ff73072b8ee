//! From the tokens of a file to the modules in it: what they define, bring in and name.

use std::collections::BTreeMap;

use super::module::{Module, ModulePath};
use super::tokens::{Token, is_name};

/// Reads the modules of a file from its tokens.
pub struct Reader<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    shown: &'a str,
    file: ModulePath,
    /// What was read.
    pub modules: BTreeMap<ModulePath, Module>,
    /// The modules that are declared here and have files of their own.
    pub children: Vec<ModulePath>,
}

impl<'a> Reader<'a> {
    /// At the beginning of a file, of which `shown` is the name.
    pub fn new(tokens: &'a [Token<'a>], shown: &'a str, file: ModulePath) -> Reader<'a> {
        Reader {
            tokens,
            at: 0,
            shown,
            file,
            modules: BTreeMap::new(),
            children: Vec::new(),
        }
    }

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
    pub fn read(&mut self, within: ModulePath) {
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
        self.modules.insert(within, module);
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

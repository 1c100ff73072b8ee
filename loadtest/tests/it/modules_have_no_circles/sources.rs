//! The modules of a crate, and what the paths in them lead to.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::module::{Module, ModulePath};
use super::reader::Reader;
use super::tokens::tokens;

/// Which module depends on which, and for each name that it uses the first place.
pub type Edges = BTreeMap<(ModulePath, ModulePath), BTreeMap<String, String>>;

/// The modules of a crate.
#[derive(Default)]
pub struct Sources {
    pub modules: BTreeMap<ModulePath, Module>,
}

impl Sources {
    /// Reads the files from the root of a library or a binary on.
    pub fn read(src: &Path, root: &Path) -> Sources {
        let mut sources = Sources::default();
        sources.read_file(src, root, Vec::new());
        sources.link();
        sources
    }

    /// Follows what each module brings in to the crate's root, once all are known.
    pub fn link(&mut self) {
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
    pub fn read_text(&mut self, text: &str, shown: &str, module: ModulePath) -> Vec<ModulePath> {
        let tokens = tokens(text);
        let mut reader = Reader::new(&tokens, shown, module.clone());
        reader.read(module);
        self.modules.extend(reader.modules);
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
    pub fn edges(&self) -> Edges {
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

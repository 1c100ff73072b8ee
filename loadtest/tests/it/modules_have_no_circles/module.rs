//! What is known of one module.

use std::collections::{BTreeMap, BTreeSet};

/// The segments of a module's path below its crate; none for `lib.rs`.
pub type ModulePath = Vec<String>;

/// What a file, or a module in braces within one, says.
#[derive(Default)]
pub struct Module {
    /// The module of the file.
    pub file: ModulePath,
    /// What it defines.
    pub items: BTreeSet<String>,
    /// The names that it brings in, with their paths; none for those of other crates.
    pub imports: BTreeMap<String, Option<Vec<String>>>,
    /// The modules all of whose names it brings in.
    pub globs: Vec<Vec<String>>,
    /// The paths that it names, each with its place.
    pub paths: Vec<(Vec<String>, String)>,
}

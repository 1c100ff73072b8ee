//! A guide: its fenced blocks in their order, and its sentences.

use std::path::{Path, PathBuf};

/// A fenced block.
pub struct Block {
    /// The guide.
    pub file: String,
    /// The line of its first line.
    pub line: usize,
    /// The heading above it.
    pub heading: String,
    /// The first word behind the fence.
    pub language: String,
    /// What stands in it, without the indentation of its fence.
    pub text: String,
}

impl Block {
    /// Why it is not run, where it is not.
    pub fn not_run(&self) -> Option<&str> {
        self.text.lines().next()?.strip_prefix("# Not run: ")
    }
}

/// A guide.
pub struct Document {
    pub blocks: Vec<Block>,
    /// Everything outside of blocks.
    pub sentences: String,
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The guides, by their paths within the repository.
pub fn documents() -> Vec<String> {
    fn find(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() && !path.is_symlink() && name != "target" && !name.starts_with('.') {
                find(&path, found);
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    find(&root(), &mut found);
    let names = found.iter().map(|path| path.strip_prefix(root()).unwrap());
    let mut names: Vec<String> = names
        .map(|path| path.to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

impl Document {
    pub fn read(name: &str) -> Document {
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        let mut document = Document {
            blocks: Vec::new(),
            sentences: String::new(),
        };
        let mut heading = String::new();
        let mut open: Option<(usize, Block)> = None;
        for (index, line) in text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (&mut open, fence) {
                (None, Some(info)) => {
                    let indent = line.len() - line.trim_start().len();
                    let block = Block {
                        file: name.to_owned(),
                        line: index + 2,
                        heading: heading.clone(),
                        language: info.trim().to_owned(),
                        text: String::new(),
                    };
                    open = Some((indent, block));
                }
                (Some(_), Some(_)) => document.blocks.extend(open.take().map(|(_, block)| block)),
                (Some((indent, block)), None) => {
                    block.text.push_str(line.get(*indent..).unwrap_or_default());
                    block.text.push('\n');
                }
                (None, None) => {
                    if let Some(title) = line.strip_prefix('#') {
                        heading = title.trim_start_matches('#').trim().to_owned();
                    }
                    document.sentences.push_str(line);
                    document.sentences.push('\n');
                }
            }
        }
        assert!(open.is_none(), "{name} ends within a block");
        document
    }
}

//! What the guides say is what happens: every block of every guide is run, word for word, by a reader who has nothing but
//! the guide, and what it shows is what comes out.
//!
//! A block says by its language what it is:
//!
//! - `sh` is run, line by line, and each line must succeed;
//! - `console` is run where a line begins with `$ `, and what stands below is what must come out: `…` in a line stands for
//!   any text, and alone for any lines. Only a command whose output ends with its error may fail. What only asks is asked
//!   again for a while, as a reader would who was too fast;
//! - `toml`, `json` and `conf` are read by what reads them;
//! - `text` is a picture.
//!
//! A block that cannot be run begins with `# Not run: ` and the reason. It is counted and reported.
//!
//! Commands within sentences and in `--help` are read by the command line's own parser, so that none names an option that
//! does not exist or leaves out one that is needed.

use crate::guides_parts::commands::{check_command, in_sentences, on_help};
use crate::guides_parts::document::{Block, Document, documents};
use crate::guides_parts::reader::Reader;
use tributary_testkit::skipped;

/// Blocks that are not run: those for Docker, systemd, Kubernetes and clusters, whose files have tests of their own.
const NOT_RUN: usize = 15;

/// The parts of the README after which another guide goes on.
const BEFORE: [&str; 2] = ["Replay your own data", "Run it"];

fn blocks<'a>(document: &'a Document, headings: &[&str]) -> Vec<&'a Block> {
    let blocks = document.blocks.iter();
    blocks
        .filter(|block| headings.contains(&block.heading.as_str()))
        .collect()
}

/// Runs blocks of the README and then a guide.
fn go_on(name: &str) {
    let Some(mut reader) = Reader::start_or_skip() else {
        return;
    };
    let readme = Document::read("README.md");
    let before = blocks(&readme, &BEFORE);
    assert!(before.len() > 5, "the README has these sections");
    before.into_iter().for_each(|block| reader.run(block));
    let guide = Document::read(name);
    guide.blocks.iter().for_each(|block| reader.run(block));
    reader.tell(name);
}

#[test]
fn the_readme() {
    let Some(mut reader) = Reader::start_or_skip() else {
        return;
    };
    let readme = Document::read("README.md");
    readme.blocks.iter().for_each(|block| reader.run(block));
    reader.tell("README.md");
}

#[test]
fn the_guide_for_data_protection() {
    let tools = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain([tools]);
    if !folders.any(|folder| folder.join("age-keygen").is_file()) {
        return skipped("no age: bash .ci/tools.sh age");
    }
    go_on("config/DATA-PROTECTION.md");
}

#[test]
fn the_runbook() {
    go_on("grafana/RUNBOOK.md");
}

#[test]
fn the_other_guides() {
    for name in documents() {
        let own = [
            "README.md",
            "config/DATA-PROTECTION.md",
            "grafana/RUNBOOK.md",
        ];
        let document = Document::read(&name);
        if own.contains(&name.as_str()) || document.blocks.is_empty() {
            continue;
        }
        let Some(reader) = Reader::start_or_skip() else {
            return;
        };
        let mut reader = reader.with_programs();
        if document
            .blocks
            .iter()
            .any(|block| block.text.contains("=data/"))
            && !reader.has_data()
        {
            skipped(&format!("{name}: no public data sets"));
            continue;
        }
        document.blocks.iter().for_each(|block| reader.run(block));
        reader.tell(&name);
    }
}

#[test]
fn no_block_is_left_out_silently() {
    let mut left_out = 0;
    for name in documents() {
        for block in Document::read(&name).blocks {
            let known = ["sh", "console", "toml", "json", "conf", "text"];
            let language = &block.language;
            assert!(
                known.contains(&language.as_str()),
                "{name}:{}: {language:?}",
                block.line
            );
            if let Some(reason) = block.not_run() {
                eprintln!("{name}:{}: not run: {reason}", block.line);
                left_out += 1;
            }
        }
    }
    assert_eq!(left_out, NOT_RUN);
}

#[test]
fn commands_in_sentences_and_in_help_can_be_given() {
    let mut wrong = Vec::new();
    let (mut read, mut other) = (0, std::collections::BTreeSet::new());
    // What stands between backticks in the format of the ledger are bytes.
    let guides = documents()
        .into_iter()
        .filter(|name| name != "pipeline/ledger/FORMAT.md");
    for name in guides {
        for command in in_sentences(&Document::read(&name)) {
            match check_command(&command) {
                Some(Ok(())) => read += 1,
                Some(Err(why)) => wrong.push(format!("{name}: {command}: {why}")),
                None => drop(other.insert(command)),
            }
        }
    }
    for (of, command) in on_help() {
        match check_command(&command) {
            Some(Ok(())) => read += 1,
            Some(Err(why)) => wrong.push(format!("{of}: {command}: {why}")),
            None => {}
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(read > 20, "{read} commands");
    eprintln!("{read} commands in sentences and in help; of other programs: {other:?}");
}

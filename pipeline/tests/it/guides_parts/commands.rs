//! Commands that stand in sentences and in `--help`: whether they could be given as they stand.

use std::path::PathBuf;
use std::process::Command;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use tributary::cli::Cli;

use super::document::{Document, root};

/// Programs whose commands are named in guides.
const PROGRAMS: [&str; 12] = [
    "tributary",
    "loadtest",
    "make",
    "bash",
    "nats",
    "nats-server",
    "curl",
    "chronyc",
    "iostat",
    "prometheus",
    "cargo",
    "timedatectl",
];

/// The program `loadtest`, which is built with the tests of its crate.
pub fn loadtest() -> PathBuf {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_tributary")).with_file_name("loadtest");
    assert!(
        program.is_file(),
        "build it first: cargo build --workspace --bins"
    );
    program
}

/// The commands between backticks in the sentences of a guide.
pub fn in_sentences(document: &Document) -> Vec<String> {
    spans(&document.sentences)
}

fn spans(text: &str) -> Vec<String> {
    let text = text.replace('\n', " ");
    let spans = text.split('`').skip(1).step_by(2);
    let commands = spans.filter(|span| {
        let mut words = span.split_whitespace();
        let program = words.next().unwrap_or_default();
        PROGRAMS.contains(&program) && words.next().is_some()
    });
    commands.map(str::to_owned).collect()
}

/// The commands that the programs' own help names, with where.
pub fn on_help() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut commands = vec![Cli::command()];
    while let Some(mut command) = commands.pop() {
        let help = command.render_long_help().to_string();
        let name = format!("{} --help", command.get_name());
        found.extend(spans(&help).into_iter().map(|span| (name.clone(), span)));
        commands.extend(command.get_subcommands().cloned());
    }
    for of in [
        "", "find-max", "generate", "record", "replay", "report", "verify",
    ] {
        let mut command = Command::new(loadtest());
        command
            .args(Some(of).filter(|of| !of.is_empty()))
            .arg("--help");
        let help = String::from_utf8(command.output().unwrap().stdout).unwrap();
        for line in help.lines().map(str::trim_start) {
            if line.starts_with("loadtest ") || line.starts_with("tributary ") {
                let line = line.split(['|', '&']).next().unwrap().trim_end();
                found.push((format!("loadtest {of} --help"), line.to_owned()));
            }
        }
    }
    found
}

/// Whether a command could be given as it stands; none for a program that is not ours.
pub fn check_command(command: &str) -> Option<Result<(), String>> {
    let command = command.split(" > ").next()?;
    let words = split(command);
    let (program, rest) = words.split_first()?;
    match program.as_str() {
        "tributary" | "loadtest" => {
            let checked = alternatives(rest)
                .into_iter()
                .map(|words| match program.as_str() {
                    "tributary" => of_tributary(words),
                    _ => of_loadtest(words),
                });
            Some(checked.collect())
        }
        "make" => {
            let rules = std::fs::read_to_string(root().join("Makefile")).unwrap();
            let known = |target: &String| rules.contains(&format!("\n{target}:"));
            Some(
                rest.iter()
                    .all(known)
                    .then_some(())
                    .ok_or("no such target".to_owned()),
            )
        }
        "bash" => {
            let there = rest.first().is_some_and(|file| root().join(file).is_file());
            Some(there.then_some(()).ok_or("no such file".to_owned()))
        }
        _ => None,
    }
}

fn of_tributary(words: Vec<String>) -> Result<(), String> {
    let names_only = words
        .iter()
        .all(|word| word.chars().all(|c| c.is_ascii_lowercase()));
    let words = words
        .iter()
        .filter(|word| *word != "…")
        .map(|word| example(word));
    let error = match Cli::try_parse_from(["tributary".to_owned()].into_iter().chain(words)) {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    match error.kind() {
        // A command that is only named.
        ErrorKind::MissingRequiredArgument
        | ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            if names_only =>
        {
            Ok(())
        }
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(()),
        _ => Err(error.to_string()),
    }
}

fn of_loadtest(words: Vec<String>) -> Result<(), String> {
    let words = words
        .iter()
        .filter(|word| *word != "…")
        .map(|word| example(word));
    let output = Command::new(loadtest()).args(words).arg("--help").output();
    let output = output.map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// A value for a word that stands for any.
fn example(word: &str) -> String {
    let stands_for = |c: char| c.is_ascii_uppercase() || "=/_".contains(c);
    match word {
        "TYPE" => "erase",
        "N" => "7",
        "KIND=VALUE" => "email=a@b.example",
        "URL" => "https://a.example/b",
        _ if word.chars().all(stands_for) => "x",
        _ => word,
    }
    .to_owned()
}

/// Each command of `check|print`.
fn alternatives(words: &[String]) -> Vec<Vec<String>> {
    let Some(at) = words.iter().position(|word| word.contains('|')) else {
        return vec![words.to_vec()];
    };
    let of = |word: &str| {
        let mut words = words.to_vec();
        words[at] = word.to_owned();
        words
    };
    words[at].split('|').map(of).collect()
}

/// The words of a command, as a shell parts them.
fn split(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in command.chars() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, ' ') => words.extend(Some(std::mem::take(&mut word)).filter(|w| !w.is_empty())),
            (_, c) => word.push(c),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

//! `tributary completions` and `tributary man`: what the shell and `man` know
//! of the command line, generated from it, so that neither can differ.
//!
//! `man --out` replaces pages that it has written before and nothing else.

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, bail};
use clap::CommandFactory;
use clap_mangen::Man;
use tributary_connectors::terminal;

use crate::cli::args as cli;
use crate::version::VERSION;

/// Prints the completion script of a shell.
///
/// # Errors
///
/// An output that cannot be written.
pub fn completions(args: &cli::Completions) -> anyhow::Result<()> {
    let mut script = Vec::new();
    let mut command = cli::Cli::command();
    clap_complete::generate(args.shell, &mut command, "tributary", &mut script);
    Ok(terminal::print_bytes(&script)?)
}

/// Prints the page of the program, or writes the pages of all commands.
///
/// # Errors
///
/// An output that cannot be written, or a file in its place that is not such a
/// page.
pub fn man(args: &cli::Man) -> anyhow::Result<()> {
    let mut command = cli::Cli::command().disable_help_subcommand(true);
    command.build();
    let Some(directory) = &args.out else {
        let mut page = Vec::new();
        page_of(command).render(&mut page)?;
        return Ok(terminal::print_bytes(&page)?);
    };
    let mut pages = Vec::new();
    add_pages(&command, &mut pages)?;
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    for (name, page) in &pages {
        let path = directory.join(name);
        let title = format!(".TH {} 1", name.trim_end_matches(".1"));
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Ok(there) if there.lines().any(|line| line.starts_with(&title)) => {}
            _ => bail!(
                "{} is not a page that this command wrote: move it away, or name another directory",
                path.display()
            ),
        }
        fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let (count, place) = (pages.len(), directory.display());
    Ok(terminal::print_line(format_args!(
        "{count} pages in {place}"
    ))?)
}

/// The page of a command.
fn page_of(command: clap::Command) -> Man {
    Man::new(command).source(format!("tributary {VERSION}"))
}

/// Adds the pages of a command and of all commands below it that are not hidden.
///
/// # Errors
///
/// None in practice: pages are written to memory.
fn add_pages(command: &clap::Command, pages: &mut Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
    let man = page_of(command.clone());
    let mut page = Vec::new();
    man.render(&mut page)?;
    pages.push((man.get_filename(), page));
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
    {
        add_pages(below, pages)?;
    }
    Ok(())
}

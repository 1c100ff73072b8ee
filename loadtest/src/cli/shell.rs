//! `loadtest completions` and `loadtest man`, as those of `tributary`.
//!
//! `man --out` replaces pages that it has written before and nothing else.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use clap_mangen::Man as Page;
use tributary_connectors::terminal;

/// Print the completion script of a shell.
#[derive(Args)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: clap_complete::Shell,
}

impl Completions {
    /// Prints the script for a command line.
    pub fn run(self, mut line: clap::Command) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut line, "loadtest", &mut script);
        Ok(terminal::print_bytes(&script)?)
    }
}

/// Print the manual page, or write those of all commands.
#[derive(Args)]
pub struct Man {
    /// Write the pages of all commands to this directory, which is created
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
}

impl Man {
    /// Prints or writes the pages of a command line.
    pub fn run(self, line: clap::Command) -> anyhow::Result<()> {
        let mut line = line.disable_help_subcommand(true);
        line.build();
        let below = line.get_subcommands().cloned();
        let mut pages = Vec::new();
        for command in std::iter::once(line.clone()).chain(below) {
            let page = Page::new(command).source(concat!("loadtest ", env!("CARGO_PKG_VERSION")));
            let mut text = Vec::new();
            page.render(&mut text)?;
            pages.push((page.get_filename(), text));
        }
        let Some(directory) = &self.out else {
            let main = pages.into_iter().next().unwrap_or_default();
            return Ok(terminal::print_bytes(&main.1)?);
        };
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        for (name, text) in &pages {
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
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let (count, place) = (pages.len(), directory.display());
        Ok(terminal::print_line(format_args!(
            "{count} pages in {place}"
        ))?)
    }
}

//! `tributary audit`: verifies the hash chain of a brand's audit log of rights
//! requests, or prints its entries in words.

use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde_json::json;
use tributary_config::model::Brand;
use tributary_connectors::terminal;
use tributary_rights::BrandKeys;
use tributary_rights::audit::{Head, history, verify};

use crate::cli::args as cli;
use crate::privacy::rights::files;

/// Executes the command.
///
/// # Errors
///
/// A log that was changed, with its first invalid line; an expected head that
/// the log does not contain; no log at all.
pub fn command(args: &cli::AuditCommand) -> anyhow::Result<()> {
    match args {
        cli::AuditCommand::Verify {
            config,
            brand,
            head,
            json,
        } => {
            let head = head.as_deref().map(read_head).transpose()?;
            each_log(config, brand.as_deref(), |path, brand| {
                one(path, &files::keys(brand), head, *json)
            })
        }
        cli::AuditCommand::Show {
            config,
            brand,
            last,
            json,
        } => each_log(config, brand.as_deref(), |path, brand| {
            show(path, brand, *last, *json)
        }),
    }
}

/// Calls `take` with the log of each chosen brand that has one.
///
/// # Errors
///
/// Those of `take`; an invalid configuration; no log at all.
fn each_log(
    config: &Path,
    chosen: Option<&str>,
    mut take: impl FnMut(&Path, &Brand) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let config = crate::load(config)?;
    let directory = files::directory(&config).join("audit");
    let chosen = |name: &str| chosen.is_none_or(|brand| brand == name);
    let mut seen = 0;
    for brand in config.brands.iter().filter(|one| chosen(&one.name)) {
        let path = directory.join(format!("{}.jsonl", brand.name));
        if path.exists() {
            seen += 1;
            take(&path, brand)?;
        }
    }
    if seen == 0 {
        bail!(
            "no audit log in {}: process 0 creates it with the first request",
            directory.display()
        );
    }
    Ok(())
}

/// Prints the last entries of a log in words, in the time zone of the brand.
///
/// # Errors
///
/// The first invalid line of the log.
fn show(path: &Path, brand: &Brand, last: usize, as_json: bool) -> anyhow::Result<()> {
    for entry in history(path, &files::keys(brand), last)? {
        if as_json {
            terminal::print_line(serde_json::to_string(&entry)?)?;
            continue;
        }
        let at = Timestamp::from_millisecond(entry.at).unwrap_or(Timestamp::UNIX_EPOCH);
        let at = at.to_zoned(brand.timezone.clone());
        terminal::print_line(format_args!(
            "{:>6}  {}  {}",
            entry.seq,
            at.strftime("%Y-%m-%d %H:%M:%S %Z"),
            entry.words
        ))?;
    }
    Ok(())
}

/// Parses `NUMBER:HASH`.
///
/// # Errors
///
/// A text of another form; the error explains where the receipt contains both.
fn read_head(text: &str) -> anyhow::Result<Head> {
    let read = || {
        let (seq, hash) = text.split_once(':')?;
        Some(Head {
            seq: seq.parse().ok()?,
            hash: hash.parse().ok()?,
        })
    };
    read().context("--head must be NUMBER:HASH: `audit_seq` and `audit_hash` of a receipt")
}

/// Verifies the log of one brand and prints the result.
///
/// # Errors
///
/// The first invalid line of the log.
fn one(path: &Path, keys: &BrandKeys, head: Option<Head>, as_json: bool) -> anyhow::Result<()> {
    let verified = verify(path, keys, head)?;
    if as_json {
        let line = json!({
            "brand": keys.name(),
            "entries": verified.entries,
            "last_hash": verified.last_hash.to_string(),
            "first_at": verified.first_at,
            "last_at": verified.last_at,
        });
        terminal::print_status_line(line)?;
    } else {
        terminal::print_status_line(format_args!(
            "{}: {} entries, hash chain intact; the last entry is {}:{}",
            keys.name(),
            verified.entries,
            verified.entries,
            verified.last_hash
        ))?;
    }
    Ok(())
}

//! `tributary audit verify`: verifies the hash chain of a brand's audit log of
//! rights requests.

use std::path::Path;

use anyhow::{Context, bail};
use serde_json::json;
use tributary_connectors::terminal;
use tributary_rights::BrandKeys;
use tributary_rights::audit::{Head, verify};

use crate::cli::args as cli;

/// Executes the command.
///
/// # Errors
///
/// A log that was changed, with its first invalid line; an expected head that
/// the log does not contain; no log at all.
pub fn command(args: &cli::AuditCommand) -> anyhow::Result<()> {
    let cli::AuditCommand::Verify {
        config,
        brand,
        head,
        json,
    } = args;
    let config = crate::load(config)?;
    let head = head.as_deref().map(read_head).transpose()?;
    let directory = crate::privacy::rights::files::directory(&config).join("audit");
    let chosen = |name: &str| brand.as_deref().is_none_or(|brand| brand == name);
    let mut seen = 0;
    for brand in config.brands.iter().filter(|one| chosen(&one.name)) {
        let keys = crate::privacy::rights::files::keys(brand);
        let path = directory.join(format!("{}.jsonl", brand.name));
        seen += usize::from(path.exists());
        one(&path, &keys, head, *json)?;
    }
    if seen == 0 {
        bail!(
            "no audit log in {}: process 0 creates it with the first request",
            directory.display()
        );
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
    if !path.exists() {
        return Ok(());
    }
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

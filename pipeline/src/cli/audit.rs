//! `tributary audit`: verifies the hash chain of a brand's audit log of rights
//! requests, or prints its entries in words.

use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde_json::json;
use tributary_config::model::{Brand, Config};
use tributary_connectors::{nats, terminal};
use tributary_rights::BrandKeys;
use tributary_rights::audit::{VerifiedLog, history, read, verify};

use crate::cli::args as cli;
use crate::privacy::rights::{files, losses};

/// Executes the command.
///
/// # Errors
///
/// A log that was changed, with its first invalid line; a head that was published
/// and that the log does not contain; no log at all.
pub async fn command(args: &cli::AuditCommand) -> anyhow::Result<()> {
    match args {
        cli::AuditCommand::Verify {
            config,
            brand,
            head,
            offline,
            json,
        } => {
            let head = head.as_deref().map(read_head).transpose()?;
            let loaded = crate::load(config)?;
            let client = match offline {
                true => None,
                false => Some(
                    nats::connect(&loaded.nats, "tributary audit")
                        .await
                        .context("cannot compare with the receipts at the broker; --offline compares with the files alone")?,
                ),
            };
            // What the chain itself shows is said first, with its line.
            let mut verified = Vec::new();
            let found = each_log(&loaded, brand.as_deref(), |path, brand| {
                let keys = files::keys(brand);
                verified.push((brand.name.clone(), verify(path, &keys, None)?));
                head.as_ref()
                    .map_or(Ok(()), |head| contains(path, &keys, head))
            })?;
            // Before a missing log is said to be none yet: the others may name it.
            losses::compare_logs(client.as_ref(), &loaded).await?;
            refuse_none(&loaded, found)?;
            for (brand, log) in verified {
                report(&brand, &log, *offline, *json)?;
            }
            Ok(())
        }
        cli::AuditCommand::Show {
            config,
            brand,
            last,
            json,
        } => {
            let loaded = crate::load(config)?;
            let found = each_log(&loaded, brand.as_deref(), |path, brand| {
                show(path, brand, *last, *json)
            })?;
            refuse_none(&loaded, found)
        }
    }
}

/// Calls `take` with the log of each chosen brand that has one. Returns their number.
///
/// # Errors
///
/// Those of `take`.
fn each_log(
    config: &Config,
    chosen: Option<&str>,
    mut take: impl FnMut(&Path, &Brand) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let directory = files::directory(config).join("audit");
    let chosen = |name: &str| chosen.is_none_or(|brand| brand == name);
    let mut seen = 0;
    for brand in config.brands.iter().filter(|one| chosen(&one.name)) {
        let path = directory.join(format!("{}.jsonl", brand.name));
        if path.exists() {
            seen += 1;
            take(&path, brand)?;
        }
    }
    Ok(seen)
}

/// Refuses to have looked at no log at all.
///
/// # Errors
///
/// None was found.
fn refuse_none(config: &Config, found: usize) -> anyhow::Result<()> {
    if found == 0 {
        bail!(
            "no audit log in {}: process 0 creates it with the first request",
            files::directory(config).join("audit").display()
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

/// An entry that was published: its number, and the hexadecimal digits of its
/// hash or the first of them.
struct Published {
    seq: u64,
    hash: String,
}

/// Fewest digits of a hash: those that the metric has.
const DIGITS: usize = 12;

/// Parses `NUMBER:HASH`.
///
/// # Errors
///
/// A text of another form; the error explains where to find both.
fn read_head(text: &str) -> anyhow::Result<Published> {
    let read = || {
        let (seq, hash) = text.split_once(':')?;
        let is_hash = hash.len() >= DIGITS && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(Published {
            seq: seq.parse().ok()?,
            hash: is_hash.then(|| hash.to_lowercase())?,
        })
    };
    read().context(
        "--head must be NUMBER:HASH, as `tributary receipt verify` prints it; the first 12 digits of the hash suffice",
    )
}

/// Refuses a log that does not contain a published entry.
///
/// # Errors
///
/// An entry that is missing, or is another one.
fn contains(path: &Path, keys: &BrandKeys, published: &Published) -> anyhow::Result<()> {
    let Published { seq, hash } = published;
    let log = read(path, keys)?;
    let head = log.and_then(|log| log.entries.at(*seq));
    match head {
        Some(head) if head.hash.to_string().starts_with(hash.as_str()) => Ok(()),
        Some(_) => bail!(
            "{}: line {seq} is not the entry that was published under its number",
            path.display()
        ),
        None => bail!(
            "{}: line {seq} is missing, but was published",
            path.display()
        ),
    }
}

/// Prints the result for the log of one brand.
///
/// # Errors
///
/// A closed output is none.
fn report(brand: &str, verified: &VerifiedLog, offline: bool, as_json: bool) -> anyhow::Result<()> {
    let compared = match offline {
        true => "the ledger names no later entry",
        false => "the ledger and the receipts at the broker name no later entry",
    };
    if as_json {
        let line = json!({
            "brand": brand,
            "compared_with": if offline { &["ledger"][..] } else { &["ledger", "broker"] },
            "entries": verified.entries,
            "last_hash": verified.last_hash.to_string(),
            "first_at": verified.first_at,
            "last_at": verified.last_at,
        });
        terminal::print_status_line(line)?;
    } else {
        terminal::print_status_line(format_args!(
            "{brand}: {} entries, hash chain intact; the last entry is {}:{}; {compared}",
            verified.entries, verified.entries, verified.last_hash
        ))?;
    }
    Ok(())
}

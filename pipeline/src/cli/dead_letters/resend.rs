//! `tributary dead-letters resend`: publishes rejected lines to their source
//! once more.
//!
//! A line that is published again has a header ([`RESENT_HEADER`]). If it is
//! rejected again, its dead letter carries the header on, and is not sent a
//! second time without `--again`. A letter leaves its stream once the input
//! stream has acknowledged the line; one of a file has an id, so that repeating
//! the command counts once, as long as the stream remembers ids.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;
use sha2::{Digest, Sha256};
use tributary_config::model::{Config, Format, Kind};
use tributary_connectors::dead_letter::RESENT_HEADER;
use tributary_connectors::nats::{
    AT_HEADER, Client, OutgoingMessage, StreamWriter, connect, delete_message,
};
use tributary_connectors::terminal::print_line;

use super::letter::Letter;
use super::origin::Origin;
use crate::cli::args as cli;
use crate::report::table::thousands;

/// How many letters are published at once.
const AT_ONCE: usize = 256;

/// How long the stream may take to acknowledge them.
const WITHIN: Duration = Duration::from_secs(30);

/// What became of the letters.
#[derive(Default)]
struct Counts {
    resent: u64,
    /// Sent again before, and rejected again.
    resent_before: u64,
    /// Of no source, so that there is no subject to send them to.
    without_source: u64,
    /// Cut, or a part of an item that cannot be read alone.
    incomplete: u64,
}

/// Executes the command.
///
/// # Errors
///
/// No filter, a broker that cannot be reached, and letters that were not
/// acknowledged; those before are sent.
pub(super) async fn resend(args: &cli::DeadLettersResend) -> anyhow::Result<()> {
    let filters = &args.letters;
    let has_filter = filters.brand.is_some() || filters.kind.is_some() || filters.reason.is_some();
    if !has_filter && !args.all {
        bail!("say which letters to resend by --reason, --kind or --brand, or --all");
    }
    let origin = Origin::open(filters).await?;
    let config = origin.config()?;
    let mut counts = Counts::default();
    let mut chosen = Vec::new();
    let choose = |letter: Letter| {
        if letter.is_resent && !args.again {
            counts.resent_before += 1;
        } else if letter
            .source_subject
            .as_deref()
            .is_none_or(|subject| source(config, subject).is_none())
        {
            counts.without_source += 1;
        } else if letter.is_cut || is_part(config, &letter) {
            counts.incomplete += 1;
        } else {
            chosen.push(letter);
        }
        Ok(())
    };
    origin.letters(filters, choose).await?;
    let client = match (&origin.client, args.dry_run) {
        (_, true) => None,
        (Some(client), false) => Some(client.clone()),
        (None, false) => Some(connect(&config.nats, "tributary dead-letters").await?),
    };
    match client {
        None => counts.resent = chosen.len() as u64,
        Some(client) => {
            for letters in chosen.chunks(AT_ONCE) {
                publish(config, &client, letters, filters.file.is_none()).await?;
                counts.resent += letters.len() as u64;
            }
        }
    }
    report(args, &counts)
}

/// Publishes letters, and deletes those of the stream.
///
/// # Errors
///
/// Letters that were not acknowledged, and a stream that does not delete.
async fn publish(
    config: &Config,
    client: &Client,
    letters: &[Letter],
    is_of_stream: bool,
) -> anyhow::Result<()> {
    let messages = letters
        .iter()
        .map(|letter| message(config, letter, is_of_stream));
    let messages: Vec<OutgoingMessage> = messages.collect();
    let writer = StreamWriter::new(client, AT_ONCE);
    let stored = writer.store(&messages, WITHIN).await;
    stored.context("resending dead letters; those that were not acknowledged are kept")?;
    if is_of_stream {
        for letter in letters {
            delete_message(client, &config.nats.dead_letter_stream, letter.number).await?;
        }
    }
    Ok(())
}

/// The message of a letter.
fn message(config: &Config, letter: &Letter, is_of_stream: bool) -> OutgoingMessage {
    let subject = letter.source_subject.clone().unwrap_or_default();
    let mut headers = vec![(RESENT_HEADER.into(), "1".to_owned())];
    // Where messages may state their arrival, they keep it.
    if source(config, &subject).is_some_and(|source| source.arrival_header) {
        headers.push((AT_HEADER.into(), letter.at.to_string()));
    }
    let id = match is_of_stream {
        true => format!("resent-{}", letter.number),
        false => {
            let mut hash = Sha256::new();
            hash.update(&subject);
            hash.update(&letter.payload);
            format!(
                "resent-{}",
                data_encoding::HEXLOWER.encode(&hash.finalize())
            )
        }
    };
    OutgoingMessage {
        subject,
        headers,
        payload: letter.payload.clone().into(),
        id: Some(id),
    }
}

/// The configured source of a subject `tributary.in.<brand>.<kind>`, with `.<source>` behind it or not.
fn source<'a>(config: &'a Config, subject: &str) -> Option<&'a tributary_config::model::Source> {
    let mut tokens = subject.strip_prefix("tributary.in.")?.split('.');
    let (brand, kind, name) = (tokens.next()?, tokens.next()?, tokens.next());
    let brand = config.brands.iter().find(|known| known.name == brand)?;
    let kind = Kind::of_subject(kind)?;
    let of_kind = || brand.sources.iter().filter(|source| source.kind == kind);
    let named = of_kind().find(|source| source.name == name.unwrap_or(kind.name()));
    named.or_else(|| of_kind().next().filter(|_| name.is_none()))
}

/// Whether the letter holds a part of an item that its adapter cannot read
/// alone: an observation without its post.
fn is_part(config: &Config, letter: &Letter) -> bool {
    let subject = letter.source_subject.as_deref().unwrap_or_default();
    let source = source(config, subject);
    source.is_some_and(|source| matches!(source.format, Format::Meraki))
        && !String::from_utf8_lossy(&letter.payload).contains("\"secret\"")
}

/// Prints what became of the letters.
fn report(args: &cli::DeadLettersResend, counts: &Counts) -> anyhow::Result<()> {
    if args.json {
        return Ok(print_line(json!({
            "resent": counts.resent,
            "dry_run": args.dry_run,
            "resent_before": counts.resent_before,
            "without_source": counts.without_source,
            "incomplete": counts.incomplete,
        }))?);
    }
    let verb = match args.dry_run {
        true => "would be resent",
        false => "resent",
    };
    print_line(format!("{} {verb}", thousands(counts.resent.into())))?;
    let skipped = [
        (
            counts.resent_before,
            "were resent before and rejected again: --again resends them once more",
        ),
        (
            counts.without_source,
            "belong to no configured source: configure it and resend them, or correct the subject and let the sender send them",
        ),
        (
            counts.incomplete,
            "are parts of a message, were cut, or have masked addresses: let the sender send them",
        ),
    ];
    for (count, why) in skipped {
        if count > 0 {
            print_line(format!("{} {why}", thousands(count.into())))?;
        }
    }
    let has_skipped = skipped.iter().any(|(count, _)| *count > 0);
    if counts.resent == 0 && has_skipped {
        bail!("nothing was resent");
    }
    Ok(())
}

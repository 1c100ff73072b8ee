//! `tributary rights list`, `show` and `export`: the register of a brand's
//! requests, read from the broker. A worker need not be running.

use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tributary_config::model::Brand;
use tributary_connectors::nats;
use tributary_connectors::output_files::{Contents, OutputFiles};
use tributary_connectors::terminal;

use crate::cli::args as cli;
use crate::privacy::rights::register::{Entry, Register};
use crate::report::csv::field;
use crate::report::table::{ABSENT, Align, Table};
use crate::serve::services::client::Asker;

/// Executes one of the commands.
///
/// # Errors
///
/// A broker that cannot be reached, an unknown request, or an output that
/// cannot be written. `list --late` fails if a request is late.
pub async fn command(action: &cli::RightsAction) -> anyhow::Result<()> {
    match action {
        cli::RightsAction::List {
            of,
            open,
            late,
            json,
        } => {
            let requests = requests(of).await?;
            let chosen = |entry: &&Entry| (!open || entry.is_open()) && (!late || entry.is_late());
            let entries: Vec<&Entry> = requests.entries.iter().filter(chosen).collect();
            print(&requests, &entries, *json)?;
            if *late && !entries.is_empty() {
                bail!(
                    "{} late: answer them now",
                    number(entries.len(), "request is", "requests are")
                );
            }
            Ok(())
        }
        cli::RightsAction::Show { id, of, json } => {
            let requests = requests(of).await?;
            let found = requests.entries.iter().find(|entry| entry.id == *id);
            let Some(entry) = found else {
                bail!(
                    "no request {id:?} of {}: `tributary rights list` shows all",
                    requests.brand
                );
            };
            show(&requests, entry, *json)
        }
        cli::RightsAction::Export { of, out, force } => {
            let read = vec![of.config.clone()];
            let out = out.as_ref().map(|path| {
                let mut outputs = OutputFiles::new(read, *force);
                outputs.private(path, Contents::Nothing)
            });
            let out = out.transpose()?;
            let requests = requests(of).await?;
            let rows = csv(&requests);
            match out {
                None => Ok(terminal::print(rows)?),
                Some(file) => file.write(|writer| -> anyhow::Result<()> {
                    let written = writer.write_all(rows.as_bytes());
                    written.with_context(|| format!("cannot write {}", file.path().display()))
                }),
            }
        }
    }
}

/// The requests of a brand.
struct Requests {
    /// Name of the brand.
    brand: String,
    /// Its time zone.
    zone: TimeZone,
    /// The requests, the most urgent first.
    entries: Vec<Entry>,
}

/// Reads the requests of a brand from the broker.
///
/// # Errors
///
/// An invalid configuration, or a broker that does not answer.
async fn requests(of: &cli::RightsOf) -> anyhow::Result<Requests> {
    let asker = Asker::load(&of.config, of.brand.as_deref())?;
    let Brand { name, timezone, .. } = asker.brand()?;
    let client = nats::connect(&asker.nats, "tributary rights").await?;
    let register = Register::load(&client, &asker.nats.rights_stream, name).await?;
    Ok(Requests {
        entries: register.entries(Timestamp::now().as_millisecond(), timezone),
        brand: name.clone(),
        zone: timezone.clone(),
    })
}

/// Prints requests as a table or as NDJSON.
fn print(requests: &Requests, entries: &[&Entry], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        for entry in entries {
            terminal::print_line(serde_json::to_string(entry)?)?;
        }
        return Ok(());
    }
    let columns = [
        "request",
        "type",
        "state",
        "received",
        "answer by",
        "days left",
    ];
    let columns = columns.map(|title| match title {
        "days left" => (title, Align::Right),
        "request" => (title, Align::Id),
        _ => (title, Align::Left),
    });
    let mut table = Table::new(&columns);
    for entry in entries {
        table.row([
            entry.id.clone(),
            words(entry.right.as_deref().unwrap_or(ABSENT)),
            state(entry),
            date(entry.received, &requests.zone),
            entry.answer_by.to_string(),
            days_left(entry),
        ]);
    }
    if !entries.is_empty() {
        terminal::print(table.to_string())?;
    }
    let open = requests.entries.iter().filter(|entry| entry.is_open());
    let late = requests.entries.iter().filter(|entry| entry.is_late());
    let summary = format!(
        "{}: {}, {} open, {} late",
        requests.brand,
        number(requests.entries.len(), "request", "requests"),
        open.count(),
        late.count()
    );
    Ok(terminal::print_line(summary)?)
}

/// Prints one request.
fn show(requests: &Requests, entry: &Entry, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return Ok(terminal::print_line(format_args!("{:#}", json!(entry)))?);
    }
    let time = |at: i64| moment(at, &requests.zone);
    let mut lines = vec![
        ("request", entry.id.clone()),
        ("brand", requests.brand.clone()),
        ("type", words(entry.right.as_deref().unwrap_or(ABSENT))),
        ("state", state(entry)),
        ("received", time(entry.received)),
        ("answer by", format!("the end of {}", entry.answer_by)),
    ];
    match entry.ended {
        Some(ended) => lines.push(("ended", time(ended))),
        None => lines.push(("days left", days_left(entry))),
    }
    for (what, count) in entry.counts.iter().flatten() {
        if count.as_u64() != Some(0) {
            lines.push(("touched", format!("{count} {}", words(what))));
        }
    }
    let text: String = lines
        .into_iter()
        .map(|(title, text)| format!("{title:<10} {}\n", crate::report::table::harmless(&text)))
        .collect();
    Ok(terminal::print(text)?)
}

/// The requests as CSV (RFC 4180) with a header.
fn csv(requests: &Requests) -> String {
    const COUNTS: [&str; 6] = [
        "records",
        "cells",
        "ledger_entries",
        "raw_messages",
        "dead_letters",
        "suppressions",
    ];
    let mut rows = vec![
        "brand,request,type,state,reason,received,answer_by,ended,late,".to_owned()
            + &COUNTS.join(","),
    ];
    let time = |at: i64| Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
    for entry in &requests.entries {
        let mut row = vec![
            field(&requests.brand),
            field(&entry.id),
            field(entry.right.as_deref().unwrap_or_default()),
            field(&entry.status),
            field(entry.reason.as_deref().unwrap_or_default()),
            time(entry.received).to_string(),
            entry.answer_by.to_string(),
            entry
                .ended
                .map(|at| time(at).to_string())
                .unwrap_or_default(),
            entry.is_late().to_string(),
        ];
        let counts = entry.counts.as_ref();
        row.extend(COUNTS.map(|what| {
            let count = counts
                .and_then(|counts| counts.get(what))
                .and_then(Value::as_u64);
            count.map(|count| count.to_string()).unwrap_or_default()
        }));
        rows.push(row.join(","));
    }
    rows.join("\r\n") + "\r\n"
}

/// The state of a request in words.
fn state(entry: &Entry) -> String {
    let reason = entry.reason.as_deref().map(words);
    match (reason, entry.is_late()) {
        (Some(reason), _) => format!("{}: {reason}", words(&entry.status)),
        (None, true) => format!("{}, late", words(&entry.status)),
        (None, false) => words(&entry.status),
    }
}

/// The days that are left, empty for a request that has ended.
fn days_left(entry: &Entry) -> String {
    entry
        .days_left
        .map(|days| days.to_string())
        .unwrap_or_default()
}

/// A name as words.
fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// A count with the singular or plural form behind it.
fn number(count: usize, one: &str, more: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{count} {more}"),
    }
}

/// The date of a time in Unix milliseconds.
fn date(at: i64, zone: &TimeZone) -> String {
    let time = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
    zone.to_datetime(time).date().to_string()
}

/// The date and time of a time in Unix milliseconds.
fn moment(at: i64, zone: &TimeZone) -> String {
    let time = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned(zone.clone())
        .strftime("%Y-%m-%d %H:%M:%S %Z")
        .to_string()
}

/// Whether a path is that of an HTML file, by its extension.
pub fn is_html(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("html"))
}

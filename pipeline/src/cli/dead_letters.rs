//! `tributary dead-letters`: what was rejected and why, and sending it again
//! once the cause is removed.
//!
//! Dead letters come from their stream, or from the file that `tributary replay`
//! writes. Output shows what a record is made of and hides what identifies a
//! person ([`mask`]), unless the operator asks for the clear text.

mod letter;
mod mask;
mod origin;
mod resend;

use std::collections::BTreeMap;

use serde_json::json;
use tributary_connectors::dead_letter::Reason;
use tributary_connectors::terminal::{print, print_line, print_status_line};

use crate::cli::args as cli;
use crate::report::csv::field;
use crate::report::table::{Align, Table, thousands};
use letter::Letter;
use origin::Origin;

/// Executes the command.
///
/// # Errors
///
/// A configuration that is not valid, a broker or a file that cannot be read,
/// and for `resend` messages that the stream did not acknowledge.
pub async fn command(command: &cli::DeadLettersCommand) -> anyhow::Result<()> {
    match command {
        cli::DeadLettersCommand::List(args) => list(args).await,
        cli::DeadLettersCommand::Show(args) => show(args).await,
        cli::DeadLettersCommand::Resend(args) => resend::resend(args).await,
    }
}

/// The letters of one brand, kind and reason.
#[derive(Default)]
struct Sum {
    count: u64,
    /// The newest arrival, Unix milliseconds.
    newest: i64,
    /// The detail of the newest.
    detail: String,
}

/// `list`: counts by brand, kind and reason.
async fn list(args: &cli::DeadLettersList) -> anyhow::Result<()> {
    let origin = Origin::open(&args.letters).await?;
    let mut sums: BTreeMap<[String; 3], Sum> = BTreeMap::new();
    let count = |letter: Letter| {
        let key = [letter.brand, letter.kind, letter.reason];
        let sum = sums.entry(key).or_default();
        sum.count += 1;
        if letter.at >= sum.newest || sum.detail.is_empty() {
            sum.newest = letter.at;
            sum.detail = letter.detail;
        }
        Ok(())
    };
    origin.letters(&args.letters, count).await?;
    if args.json {
        for ([brand, kind, reason], sum) in &sums {
            print_line(json!({
                "brand": brand,
                "kind": kind,
                "reason": reason,
                "count": sum.count,
                "newest": time(sum.newest),
                "detail": sum.detail,
            }))?;
        }
        return Ok(());
    }
    if args.csv {
        print_csv(["brand", "kind", "reason", "count", "newest", "detail"])?;
        for ([brand, kind, reason], sum) in &sums {
            let (count, newest) = (sum.count.to_string(), time(sum.newest));
            print_csv([brand, kind, reason, &count, &newest, &sum.detail])?;
        }
        return Ok(());
    }
    if sums.is_empty() {
        return Ok(print_line("no dead letters")?);
    }
    let columns = [
        ("brand", Align::Left),
        ("kind", Align::Left),
        ("reason", Align::Left),
        ("letters", Align::Right),
        ("newest", Align::Left),
        ("what to do", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for ([brand, kind, reason], sum) in &sums {
        let known = Reason::ALL.iter().find(|known| known.name() == reason);
        table.row([
            brand.clone(),
            kind.clone(),
            reason.clone(),
            thousands(sum.count.into()),
            time(sum.newest),
            known.map_or_else(|| sum.detail.clone(), |known| known.help().to_owned()),
        ]);
    }
    print_line(table)?;
    let hint = "show the newest records of a reason: tributary dead-letters show --reason REASON";
    Ok(print_status_line(format!("\n{hint}"))?)
}

/// `show`: the newest letters, with what identifies a person hidden.
async fn show(args: &cli::DeadLettersShow) -> anyhow::Result<()> {
    let origin = Origin::open(&args.letters).await?;
    let mut newest = std::collections::VecDeque::new();
    let (mut all, limit) = (0_u64, args.limit);
    let keep = |letter: Letter| {
        all += 1;
        newest.push_back(letter);
        if newest.len() > limit {
            newest.pop_front();
        }
        Ok(())
    };
    origin.letters(&args.letters, keep).await?;
    if args.csv {
        let header = [
            "number", "time", "brand", "kind", "reason", "detail", "resent", "payload",
        ];
        print_csv(header)?;
    }
    for letter in &newest {
        let payload = match args.clear {
            true => letter.text(),
            false => mask::mask(&letter.payload),
        };
        if args.json {
            print_line(letter.json(&payload))?;
            continue;
        }
        if args.csv {
            let (number, at) = (letter.number.to_string(), time(letter.at));
            let resent = letter.is_resent.to_string();
            let Letter {
                brand,
                kind,
                reason,
                detail,
                ..
            } = letter;
            print_csv([
                &*number, &at, brand, kind, reason, detail, &resent, &payload,
            ])?;
            continue;
        }
        print_line(format!(
            "{} {} {}/{} {}{}",
            letter.number,
            time(letter.at),
            letter.brand,
            letter.kind,
            letter.reason,
            if letter.is_resent {
                " (sent again)"
            } else {
                ""
            },
        ))?;
        print_line(format!("  {}", letter.detail))?;
        print_line(format!("  {payload}\n"))?;
    }
    if !args.json && !args.csv {
        let shown = newest.len();
        print_line(format!("{shown} of {} dead letters", thousands(all.into())))?;
    }
    Ok(())
}

/// Prints a row of CSV (RFC 4180).
///
/// # Errors
///
/// Those of the standard output.
fn print_csv<const N: usize>(fields: [&str; N]) -> std::io::Result<()> {
    print(format_args!("{}\r\n", fields.map(field).join(",")))
}

/// A time in Unix milliseconds as RFC 3339, to the second.
fn time(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    format!("{time:.0}")
}

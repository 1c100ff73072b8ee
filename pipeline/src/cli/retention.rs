//! `tributary retention`: how many records a retention pass would delete, now
//! or on a future day. A dry run: the worker is queried, and nothing is
//! changed.

use anyhow::{Context, bail};
use jiff::Timestamp;
use jiff::civil::Date;
use tributary_config::model::Brand;
use tributary_connectors::nats;
use tributary_connectors::terminal;

use crate::cli::args as cli;
use crate::report::table::{ABSENT, Align, Table, thousands};
use crate::serve::services::Topic;
use crate::serve::services::client::ask;
use crate::serve::services::retention_preview::{At, Part, RetentionPreview};

/// Executes the command.
///
/// # Errors
///
/// A time that cannot be parsed, or no worker that answers.
pub async fn command(args: &cli::Retention) -> anyhow::Result<()> {
    Ok(terminal::print(answer(args).await?)?)
}

/// The output of the command.
///
/// # Errors
///
/// Those of [`command`].
pub async fn answer(args: &cli::Retention) -> anyhow::Result<String> {
    let config = crate::load(&args.config)?;
    let chosen = |brand: &&Brand| args.brand.as_ref().is_none_or(|name| *name == brand.name);
    let brands: Vec<&Brand> = config.brands.iter().filter(chosen).collect();
    if let (Some(name), []) = (&args.brand, &brands[..]) {
        bail!("the configuration defines no brand {name:?}");
    }
    // An unreadable date is reported before any worker is queried.
    let times: Vec<At> = brands
        .iter()
        .map(|brand| time(args.at.as_deref(), brand))
        .collect::<anyhow::Result<_>>()?;
    let client = nats::connect(&config.nats, "tributary retention").await?;
    let mut lines = String::new();
    for (brand, at) in brands.iter().zip(times) {
        let request = serde_json::to_string(&at)?;
        let answer = ask(&client, Topic::Retention, &brand.name, request).await?;
        lines.push_str(std::str::from_utf8(&answer)?);
    }
    if args.json {
        return Ok(lines);
    }
    let preview: Vec<RetentionPreview> = lines
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("cannot read the worker's answer; does it run another version? Use --json to print it unchanged")?;
    Ok(text(&preview))
}

/// The time of `--at`: a day begins in the time zone of the brand.
///
/// # Errors
///
/// A text that is neither a day nor an RFC 3339 time.
fn time(at: Option<&str>, brand: &Brand) -> anyhow::Result<At> {
    let Some(text) = at else {
        return Ok(At::default());
    };
    let time = match (text.parse::<Timestamp>(), text.parse::<Date>()) {
        (Ok(time), _) => time,
        (_, Ok(day)) => day.to_zoned(brand.timezone.clone())?.timestamp(),
        _ => bail!("--at {text:?} is neither a day, such as 2027-01-01, nor an RFC 3339 time"),
    };
    Ok(At {
        at: Some(time.as_millisecond()),
    })
}

/// The answers as a table.
fn text(all: &[RetentionPreview]) -> String {
    let mut table = Table::new(&[
        ("brand", Align::Left),
        ("category", Align::Left),
        ("months", Align::Right),
        ("kept since", Align::Left),
        ("records", Align::Right),
        ("of", Align::Left),
    ]);
    for preview in all {
        for (at, part) in preview.categories.iter().enumerate() {
            let first = at == 0;
            table.row([
                if first {
                    preview.brand.clone()
                } else {
                    String::new()
                },
                part.category.clone(),
                part.months.to_string(),
                part.since.clone().unwrap_or_else(|| ABSENT.to_owned()),
                thousands(part.records.into()),
                whose(part),
            ]);
        }
    }
    let records: u64 = all.iter().map(|preview| preview.records).sum();
    let total = thousands(records.into());
    table.sums(["".into(), "total".into(), "".into(), "".into(), total]);
    let at = all.first().map_or(ABSENT, |preview| preview.at.as_str());
    format!(
        "A retention run at {at} would delete these of the records stored now:\n\n{table}\n\
         Nothing was changed. A record in several categories is counted in the first of them.\n"
    )
}

/// Number of cookies or persons that the records belong to.
fn whose(part: &Part) -> String {
    let counted = |count: u64, one: &str, many: &str| {
        let word = if count == 1 { one } else { many };
        format!("{} {word}", thousands(count.into()))
    };
    let cookies = part.cookies.map(|n| counted(n, "cookie", "cookies"));
    let persons = part.persons.map(|n| counted(n, "person", "persons"));
    cookies.or(persons).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(category: &str, records: u64) -> Part {
        Part {
            category: category.to_owned(),
            cookies: (category == "cookies").then_some(1),
            months: 13,
            persons: (category == "identification").then_some(1_200),
            records,
            since: (category != "consent").then(|| "2025-12-01".to_owned()),
        }
    }

    #[test]
    fn a_person_reads_a_table() {
        let preview = RetentionPreview {
            at: "2027-01-01T00:00:00Z".to_owned(),
            brand: "acme".to_owned(),
            categories: vec![
                part("cookies", 12_345),
                part("consent", 0),
                part("identification", 5),
            ],
            records: 12_350,
        };
        let shown = text(&[preview]);
        let rows: Vec<Vec<&str>> = shown
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let expected = [
            "acme cookies 13 2025-12-01 12,345 1 cookie",
            "consent 13 – 0",
            "identification 13 2025-12-01 5 1,200 persons",
            "total 12,350",
        ];
        for expected in expected {
            let expected: Vec<&str> = expected.split_whitespace().collect();
            assert!(rows.contains(&expected), "{shown}");
        }
    }
}

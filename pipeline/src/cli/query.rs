//! `tributary query`: the released cells of a brand, from a running worker, as
//! tables for people or as lines in the format of a replay.
//!
//! Groups, sums, order and pages are those of `/v1/cells`, by the same engine
//! ([`crate::report::cell_query`]). Filters are applied here and not by the
//! worker: what they concern is not transmitted. A dimension that is named several times must have one of the
//! texts; several dimensions must all match. An absent dimension matches the
//! empty text and `null`.
//!
//! With `--json` and without filters, an answer of another version of the
//! program is passed through unchanged, because its lines need not be
//! understood.

pub mod cell_line;
pub mod sheet;

use std::collections::BTreeMap;

use anyhow::{Context, anyhow, bail};
use serde_json::Value;
use tributary_connectors::out::parse_line;
use tributary_connectors::terminal;
use tributary_operators::cell::{Dimension, Family};

use cell_line::CellLine;

use crate::cli::args as cli;
use crate::epochs::clock;
use crate::report::cell_query::{CellQuery, Format, run, write};
use crate::report::published_cells::PublishedCells;
use crate::serve::services::Topic;
use crate::serve::services::client::Asker;
use crate::serve::services::request;

/// Executes the command.
///
/// # Errors
///
/// An invalid question, or no worker that answers it.
pub async fn command(args: &cli::Query) -> anyhow::Result<()> {
    Ok(terminal::print_bytes(&answer(args).await?)?)
}

/// The output of the command.
///
/// # Errors
///
/// Those of [`command`].
pub async fn answer(args: &cli::Query) -> anyhow::Result<Vec<u8>> {
    let asker = Asker::load(&args.config, args.brand.as_deref())?;
    let family = args.family.as_deref().map(family).transpose()?;
    let filters = Filters::read(&args.filters, family)?;
    if let Some(family) = family
        && let Some(query) = words(args, family)?
    {
        let answer = asker
            .ask(Topic::Query, request::query_json(Some(family)))
            .await?;
        return rows(&asker, args, &query, &answer);
    }
    let answer = asker.ask(Topic::Query, request::query_json(family)).await?;
    let mut cells = Vec::new();
    for line in answer.lines() {
        let cell = CellLine::read(line).context(
            "cannot read the worker's answer; does it run another version? Use --json to print it unchanged",
        );
        match cell {
            Ok(cell) if filters.take(&cell) => cells.push((line, cell)),
            Ok(_) => {}
            Err(_) if args.json && filters.is_empty() => return Ok(answer.into_bytes()),
            Err(error) => return Err(error),
        }
    }
    if args.json {
        let lines: String = cells.iter().flat_map(|(line, _)| [line, "\n"]).collect();
        return Ok(lines.into_bytes());
    }
    let brand = &asker.name;
    let cells: Vec<CellLine> = cells.into_iter().map(|(_, cell)| cell).collect();
    if cells.is_empty() {
        let due = next_release(&asker);
        return Ok(nothing(brand, family, !filters.is_empty(), due).into_bytes());
    }
    let sheets: Vec<String> = Family::ALL
        .into_iter()
        .filter_map(|family| sheet::sheet(brand, family, &cells))
        .collect();
    Ok(sheets.join("\n").into_bytes())
}

/// The query of the words of the command line; `None` if there are only filters,
/// whose cells are shown as they are.
///
/// # Errors
///
/// A word that is wrong, by the name of its option.
fn words(args: &cli::Query, family: Family) -> anyhow::Result<Option<CellQuery>> {
    let given = [
        ("from", &args.words.from),
        ("to", &args.words.to),
        ("group_by", &args.words.group_by),
        ("sort", &args.words.sort),
        ("limit", &args.words.limit),
        ("after", &args.words.after),
        ("compare", &args.words.compare),
        ("format", &args.words.format),
    ];
    if given.iter().all(|(_, text)| text.is_none()) {
        return Ok(None);
    }
    let words = given
        .iter()
        .filter_map(|(name, text)| Some((*name, text.as_deref()?)));
    let filters = args.filters.iter().map(|text| {
        text.split_once('=')
            .with_context(|| format!("--where {text:?} is not DIM=TEXT, such as day=2025-10-26"))
    });
    let filters: Vec<(&str, &str)> = filters.collect::<anyhow::Result<_>>()?;
    let query = CellQuery::read(family, words.chain(filters)).map_err(|wrong| {
        let is_word = given.iter().any(|(name, _)| *name == wrong.parameter);
        let option = match is_word {
            true => format!("--{}", wrong.parameter.replace('_', "-")),
            false => format!("--where {}", wrong.parameter),
        };
        anyhow!("{option} {}: {}", wrong.message, wrong.fix)
    })?;
    Ok(Some(query))
}

/// The rows of a query over the cells of an answer.
///
/// # Errors
///
/// An answer of another version of the program, or a wrong position.
fn rows(
    asker: &Asker,
    args: &cli::Query,
    query: &CellQuery,
    answer: &str,
) -> anyhow::Result<Vec<u8>> {
    let mut cells = PublishedCells::default();
    for line in answer.lines() {
        let cell = parse_line(line)
            .context("cannot read the worker's answer; does it run another version?")?;
        cells.apply(&cell);
    }
    let zone = asker.brand().ok().map(|brand| brand.timezone.clone());
    let today = clock::day(
        jiff::Timestamp::now(),
        &zone.unwrap_or(jiff::tz::TimeZone::UTC),
    );
    // A client does not know k: shares then say what is certain.
    let hides = (asker.config()).is_none_or(|config| config.release_of(&asker.name).k > 1);
    let found = run(&cells, &asker.name, query, today, hides)?;
    match (&args.words.format, args.json) {
        (None, false) if found.rows.is_empty() && answer.lines().next().is_none() => {
            let due = next_release(asker);
            Ok(nothing(&asker.name, Some(query.family), false, due).into_bytes())
        }
        (None, false) => Ok(sheet::rows(&asker.name, query, &found).into_bytes()),
        (None, true) => {
            let mut lines = query.clone();
            lines.format = Format::Ndjson;
            Ok(write(&lines, &found)?)
        }
        (Some(_), _) => Ok(write(query, &found)?),
    }
}

/// When what waits is published next, in the brand's time zone; `None` for a client,
/// which does not know the setting, and for a brand that hides nothing.
fn next_release(asker: &Asker) -> Option<String> {
    let release = asker.config()?.release_of(&asker.name);
    let zone = asker.brand().ok()?.timezone.clone();
    let due = clock::next_release(jiff::Timestamp::now(), release.max_hold_ms)?;
    let due = jiff::Timestamp::from_second(due).ok()?.to_zoned(zone);
    (release.k > 1).then(|| due.strftime("%H:%M").to_string())
}

/// The text about an empty answer. `due` is when what waits is published next.
fn nothing(brand: &str, family: Option<Family>, filtered: bool, due: Option<String>) -> String {
    let of = family.map_or("".to_owned(), |family| format!(" of {}", family.name()));
    let such = if filtered {
        " matching the filters"
    } else {
        ""
    };
    let waits = due.map_or_else(String::new, |due| format!(", at {due}"));
    format!(
        "no released cells{of} of {brand}{such}\n\
         (cells with fewer than release.k contributors are hidden; months, and changes of few, wait for the next\n\
         release{waits})\n"
    )
}

/// The family with this name.
///
/// # Errors
///
/// An unknown name; the error lists the known ones.
fn family(name: &str) -> anyhow::Result<Family> {
    Family::of(name).with_context(|| {
        format!(
            "unknown family {name:?}; known families: {}",
            Family::ALL.map(Family::name).join(", ")
        )
    })
}

/// The filters of `--where`: a cell must have one of the texts in every named
/// dimension.
struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Parses the filters. The dimensions of `family`, or of any family, are valid.
    ///
    /// # Errors
    ///
    /// A text that is not `DIM=TEXT`, or an unknown dimension; the error lists the
    /// known ones.
    fn read(texts: &[String], family: Option<Family>) -> anyhow::Result<Filters> {
        let mut known: Vec<&str> = match family {
            Some(family) => family.dims().to_vec(),
            None => Dimension::ALL.iter().map(|of| of.name()).collect(),
        };
        known.sort_unstable();
        let mut filters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for text in texts {
            let Some((dim, wanted)) = text.split_once('=') else {
                bail!("--where {text:?} is not DIM=TEXT, such as day=2025-10-26");
            };
            if !known.contains(&dim) {
                let of = family.map_or("any family".to_owned(), |family| family.name().to_owned());
                bail!(
                    "unknown dimension {dim:?} in {of}; known dimensions: {}",
                    known.join(", ")
                );
            }
            filters
                .entry(dim.to_owned())
                .or_default()
                .push(wanted.to_owned());
        }
        Ok(Filters(filters))
    }

    /// Whether every cell passes.
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a cell passes.
    fn take(&self, cell: &CellLine) -> bool {
        self.0.iter().all(|(dim, wanted)| {
            cell.cell.get(dim).is_some_and(|value| {
                let text = sheet::plain(value);
                wanted.iter().any(|wanted| match value {
                    Value::Null => wanted.is_empty() || wanted == "null",
                    _ => *wanted == text,
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(store: &str) -> CellLine {
        CellLine::read(&format!(
            r#"{{"cell":{{"brand":"acme","currency":"EUR","day":"2025-10-26","store":{store}}},"family":"store_day","value":{{"persons":3,"revenue_minor":170141183460469231731687303715884105727,"transactions":4}}}}"#
        ))
        .unwrap()
    }

    fn filters(texts: &[&str], family: Option<Family>) -> anyhow::Result<Filters> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Filters::read(&texts, family)
    }

    #[test]
    fn what_is_empty_says_what_it_waits_for() {
        let text = nothing(
            "acme",
            Some(Family::Attribution),
            false,
            Some("23:00".to_owned()),
        );
        assert!(text.starts_with("no released cells of attribution of acme\n"));
        assert!(text.ends_with("release, at 23:00)\n"), "{text}");
    }

    #[test]
    fn values_are_read_by_their_digits() {
        assert_eq!(
            cell("null").value.get("revenue_minor"),
            Some(&Some(i128::MAX))
        );
    }

    #[test]
    fn one_dimension_may_be_one_of_several_and_several_hold_together() {
        let lyon = filters(&["store=lyon", "store=paris", "day=2025-10-26"], None).unwrap();
        assert!(lyon.take(&cell("\"lyon\"")) && lyon.take(&cell("\"paris\"")));
        assert!(!lyon.take(&cell("\"nice\"")) && !lyon.take(&cell("null")));
        let none = filters(&["store="], None).unwrap();
        assert!(none.take(&cell("null")) && !none.take(&cell("\"lyon\"")));
        // A family without the dimension has no such cells.
        assert!(!filters(&["model=last"], None).unwrap().take(&cell("null")));
    }

    #[test]
    fn what_is_not_known_is_listed() {
        let error = filters(&["stroe=lyon"], Some(Family::StoreDay))
            .err()
            .unwrap();
        let text = error.to_string();
        assert!(text.contains("brand, currency, day, store"), "{text}");
        let error = filters(&["store"], None).err().unwrap();
        assert!(error.to_string().contains("DIM=TEXT"));
        let error = family("store_days").unwrap_err().to_string();
        assert!(error.contains("attribution, store_day"), "{error}");
    }
}

//! The words of a query, from pairs of name and text.
//!
//! Reading is strict: an unknown name, a word that is given twice, or a text that
//! no cell can have is an error that names the parameter and the remedy, because
//! a misspelled filter would otherwise select more than its author meant.

use serde_json::Value;
use tributary_connectors::calendar;
use tributary_connectors::out::parse_dim;
use tributary_operators::calendar::first_day;
use tributary_operators::cell::{Dim, Dimension, Family, Form};
use tributary_operators::record::Day;

use super::query::{CellQuery, Format, QueryError, Sort, SortKey, Wanted};

/// Maximum number of rows of a page.
pub const MOST_ROWS: usize = 10_000;

/// Number of rows of a page, unless `limit` says otherwise.
const ROWS: usize = 1_000;

/// The words of a query besides the dimensions of its family: name, meaning, and
/// an example.
pub const WORDS: [(&str, &str, &str); 8] = [
    (
        "from",
        "The first day, or the first month; both are included.",
        "2025-10-01",
    ),
    (
        "to",
        "The last day, or the last month; both are included. The cell of a month counts if all of its finished days lie in the range.",
        "2025-10",
    ),
    (
        "group_by",
        "The dimensions of a row, separated by commas; values are added over the others. `model` and `currency` always stay apart. `month` and `day` also group finer periods.",
        "source,medium",
    ),
    (
        "sort",
        "A dimension or a value to sort by; `-` before it sorts descending. Rows without a value come last.",
        "-value_minor",
    ),
    (
        "limit",
        "The maximum number of rows, from 1 to 10000; 1000 by default.",
        "100",
    ),
    (
        "after",
        "The `next` of the previous page, with the same other parameters.",
        "",
    ),
    (
        "compare",
        "`previous`: each row also has the numbers of the period of the same length before; needs `from`, `to` and `group_by`.",
        "previous",
    ),
    (
        "format",
        "`json` (default), `ndjson`, `csv` or `arrow` (an Arrow IPC stream).",
        "csv",
    ),
];

impl CellQuery {
    /// Reads a query over a family from pairs of name and text. A dimension may be
    /// named several times.
    ///
    /// # Errors
    ///
    /// The first parameter that is wrong.
    pub fn read<'a>(
        family: Family,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<CellQuery, QueryError> {
        let mut query = CellQuery {
            family,
            from: None,
            to: None,
            filters: Vec::new(),
            group_by: None,
            sort: None,
            limit: ROWS,
            after: None,
            compare: false,
            format: Format::Json,
        };
        let (mut given, mut sort) = (Vec::new(), None);
        for (name, text) in pairs {
            let word = WORDS.iter().find(|(word, ..)| *word == name);
            if word.is_some() && given.contains(&name) {
                return Err(QueryError::new(name, "is given twice", "give it once"));
            }
            given.push(name);
            match name {
                "from" => query.from = Some(bound(name, text, false)?),
                "to" => query.to = Some(bound(name, text, true)?),
                "group_by" => query.group_by = Some(group_by(family, text)?),
                "sort" => sort = Some(text),
                "limit" => query.limit = limit(text)?,
                "after" => query.after = Some(text.to_owned()),
                "compare" if text == "previous" => query.compare = true,
                "compare" => {
                    return Err(QueryError::new(
                        name,
                        "is not known",
                        "write compare=previous",
                    ));
                }
                "format" => query.format = Format::read(text)?,
                _ => add_filter(&mut query, name, text)?,
            }
        }
        // What can be sorted by depends on the groups.
        query.sort = sort.map(|text| sort_key(&query, text)).transpose()?;
        check(&query)?;
        Ok(query)
    }
}

/// Checks what concerns several words.
fn check(query: &CellQuery) -> Result<(), QueryError> {
    if let (Some(from), Some(to)) = (query.from, query.to)
        && from > to
    {
        return Err(QueryError::new("to", "is before `from`", "exchange them"));
    }
    if !query.compare {
        return Ok(());
    }
    if query.from.is_none() || query.to.is_none() {
        let fix = "give `from` and `to`, such as from=2025-10&to=2025-10";
        return Err(QueryError::new("compare", "needs a period", fix));
    }
    let times = [Dimension::Day, Dimension::Month, Dimension::Hour];
    match &query.group_by {
        None => Err(QueryError::new(
            "compare",
            "needs `group_by`",
            "name the dimensions of a row, such as group_by=source",
        )),
        Some(by) if by.iter().any(|of| times.contains(of)) => Err(QueryError::new(
            "compare",
            "compares periods, and `group_by` divides them",
            "leave day, month and hour out of group_by",
        )),
        Some(_) => Ok(()),
    }
}

/// Reads a day, or the first or last day of a month.
fn bound(name: &str, text: &str, is_last: bool) -> Result<Day, QueryError> {
    let wrong = || {
        QueryError::new(
            name,
            "is neither a day nor a month",
            "write it as 2025-10-26 or 2025-10",
        )
    };
    let written = matches!(text.len(), 7 | 10)
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !written {
        return Err(wrong());
    }
    let part = |range: std::ops::Range<usize>| text.get(range)?.parse::<i32>().ok();
    let number = |range| part(range).and_then(|number| u32::try_from(number).ok());
    let year = part(0..4).ok_or_else(wrong)?;
    let month = number(5..7).ok_or_else(wrong)?;
    let day_of = |of_month| calendar::day(year, month, of_month).ok_or_else(wrong);
    match number(8..10) {
        Some(of_month) => day_of(of_month),
        None if is_last => {
            let first = day_of(1)?;
            let month = tributary_operators::calendar::month(first);
            Ok(first_day(month + 1).saturating_sub(1))
        }
        None => day_of(1),
    }
}

/// The dimensions by which cells of a family can be grouped: its own, and the
/// coarser periods of its own period.
pub(super) fn groups(family: Family) -> Vec<Dimension> {
    let own = family.row().dimensions;
    let (hour, day) = (
        own.contains(&Dimension::Hour),
        own.contains(&Dimension::Day),
    );
    let is_group = |of: &&Dimension| match of {
        Dimension::Day if hour => true,
        Dimension::Month if hour || day => true,
        of => own.contains(of),
    };
    Dimension::ALL.iter().filter(is_group).copied().collect()
}

/// Names of dimensions, for a remedy.
fn names(dimensions: &[Dimension]) -> String {
    let names: Vec<&str> = dimensions.iter().map(|of| of.name()).collect();
    names.join(", ")
}

/// Reads the dimensions of a row. An empty text adds everything up.
fn group_by(family: Family, text: &str) -> Result<Vec<Dimension>, QueryError> {
    let known = groups(family);
    let words = text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    words
        .map(|word| {
            let found = known.iter().copied().find(|of| of.name() == word);
            found.ok_or_else(|| {
                QueryError::new(
                    "group_by",
                    format!("names no dimension of {}", family.name()),
                    format!("its dimensions are {}", names(&known)),
                )
            })
        })
        .collect()
}

/// Reads a number of rows.
fn limit(text: &str) -> Result<usize, QueryError> {
    let number = text
        .parse()
        .ok()
        .filter(|rows| (1..=MOST_ROWS).contains(rows));
    let fix = format!("write a number from 1 to {MOST_ROWS}");
    number.ok_or_else(|| QueryError::new("limit", "is no number of rows", fix))
}

/// Reads what rows are sorted by.
fn sort_key(query: &CellQuery, text: &str) -> Result<Sort, QueryError> {
    let (is_descending, name) = match text.strip_prefix('-') {
        Some(name) => (true, name),
        None => (false, text),
    };
    let columns = query.columns();
    let values = query.family.values();
    let column = columns.iter().position(|of| of.name() == name);
    let value = || values.iter().position(|value| *value == name);
    let by = column
        .map(SortKey::Column)
        .or_else(|| value().map(SortKey::Value));
    let by = by.ok_or_else(|| {
        let fix = format!("sort by one of {}, {}", names(&columns), values.join(", "));
        QueryError::new(
            "sort",
            "is neither a dimension nor a value of the rows",
            fix,
        )
    })?;
    Ok(Sort { by, is_descending })
}

/// Adds a wanted value of a dimension.
fn add_filter(query: &mut CellQuery, name: &str, text: &str) -> Result<(), QueryError> {
    let known = groups(query.family);
    let known: Vec<Dimension> = known
        .into_iter()
        .filter(|of| *of != Dimension::Brand)
        .collect();
    let Some(of) = known.iter().copied().find(|of| of.name() == name) else {
        let words: Vec<&str> = WORDS.iter().map(|(word, ..)| *word).collect();
        let fix = format!(
            "the parameters are {} and the dimensions {}",
            words.join(", "),
            names(&known)
        );
        return Err(QueryError::new(name, "is no parameter", fix));
    };
    let wanted = match (of.form(), text) {
        (_, "" | "null") => Some(Wanted::Is(Dim::Null)),
        (Form::Path, text) => Some(Wanted::Path(text.to_owned())),
        (Form::Count, text) => text.parse().ok().map(|count| Wanted::Is(Dim::Count(count))),
        (form, text) => parse_dim(form, &Value::from(text)).map(Wanted::Is),
    };
    let wanted = wanted.ok_or_else(|| {
        let fix = format!("write it as {}", of.form().meaning().replace('`', ""));
        QueryError::new(name, "is no value of the dimension", fix)
    })?;
    match query
        .filters
        .iter_mut()
        .find(|(filtered, _)| *filtered == of)
    {
        Some((_, any)) => any.push(wanted),
        None => query.filters.push((of, vec![wanted])),
    }
    Ok(())
}

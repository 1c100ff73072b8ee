//! The cells of a family as one table: amounts in major units, millionths as
//! conversions, and sums where they are meaningful.
//!
//! Dimensions that are the same in every row appear once, above the table. A
//! column has a sum only if adding its values is correct: persons and devices
//! are distinct per cell, and each model attributes the same conversions.
//!
//! Released cells never overlap: one that gave up names or its day is the rest of
//! what it still names, and says so (`all stores`, `other campaigns`, `month
//! 2025-10`). A table with such cells ends with the share of what is added up
//! that stands under names of its own.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde_json::Value;
use tributary_connectors::out::write_dim;
use tributary_operators::cell::{Dim, Dimension, Family, Form, Unit};
use tributary_operators::release::REST;

use super::cell_line::CellLine;
use crate::report::cell_query::{Answer, CellQuery, Numbers};
use crate::report::table::{
    ABSENT, Align, Table, decimals, fixed, harmless, rounded, thousands, wrapped,
};

/// The table of a family with its title; `None` without a cell of the family.
pub fn sheet(brand: &str, family: Family, cells: &[CellLine]) -> Option<String> {
    let mut rows: Vec<&CellLine> = cells.iter().filter(|c| c.name == family.name()).collect();
    if rows.is_empty() {
        return None;
    }
    sort(family, &mut rows);
    let (columns, shared) = dimensions(family, &rows);
    let values = || family.values().iter().zip(family.row().units);
    let headers = columns
        .iter()
        .map(|dim| (dim.name().to_owned(), align(dim.form())));
    let titles = values().map(|(name, unit)| (title(name, *unit), Align::Right));
    let mut table = Table::new(&headers.chain(titles).collect::<Vec<_>>());
    for row in &rows {
        let dims = columns.iter().map(|dim| shown(row, *dim));
        table.row(dims.chain(values().map(|(name, unit)| value(row, name, *unit))));
    }
    let summed = values().map(|(name, unit)| sum(family, &rows, name, *unit));
    let summed: Vec<String> = summed.collect();
    if rows.len() > 1 && summed.iter().any(|sum| !sum.is_empty()) {
        table.sums(columns.iter().map(|_| String::new()).chain(summed));
    }
    let cells = match rows.len() {
        1 => "1 cell".to_owned(),
        n => format!("{} cells", thousands(n as i128)),
    };
    let parts = std::iter::once(cells).chain(shared.iter().map(|dim| {
        let text = rows
            .first()
            .map_or(ABSENT.to_owned(), |row| shown(row, *dim));
        let is_rest = rows
            .first()
            .is_some_and(|row| is_rest(row.dim(dim.name())) || text.starts_with(MONTH));
        let dim = dim.name();
        if is_rest {
            harmless(&text)
        } else if text == ABSENT {
            format!("no {dim}")
        } else {
            format!("{dim} {}", harmless(&text))
        }
    }));
    let parts: Vec<String> = parts.collect();
    let title = format!("{} of {brand}: {}", family.name(), parts.join(", "));
    let covered = coverage(family, &rows).unwrap_or_default();
    Some(format!("{}\n\n{table}{covered}", wrapped(&title)))
}

/// The rows of a query as a table: dimensions, values and the share that each row
/// covers; beside them the period before, if rows are compared.
pub fn rows(brand: &str, query: &CellQuery, answer: &Answer) -> String {
    let family = query.family;
    if answer.rows.is_empty() {
        return format!(
            "no released cells of {} of {brand} for this query\n",
            family.name()
        );
    }
    let columns = query.columns();
    let shown: Vec<usize> = (0..columns.len())
        .filter(|at| columns.get(*at) != Some(&Dimension::Brand))
        .collect();
    let mut headers: Vec<(String, Align)> = shown
        .iter()
        .filter_map(|at| columns.get(*at))
        .map(|of| (of.name().to_owned(), align(of.form())))
        .collect();
    let values = || family.values().iter().zip(family.row().units);
    let titles = values().map(|(name, unit)| title(name, *unit));
    let titles: Vec<String> = titles.chain(["covers".to_owned()]).collect();
    headers.extend(titles.iter().map(|title| (title.clone(), Align::Right)));
    if query.compare {
        let before = titles.iter().map(|title| format!("{title} before"));
        headers.extend(before.map(|title| (title, Align::Right)));
    }
    let mut table = Table::new(&headers);
    for row in &answer.rows {
        let lines: Vec<Value> = row.dims.iter().map(json).collect();
        let code = columns
            .iter()
            .position(|of| *of == Dimension::Currency)
            .and_then(|at| lines.get(at)?.as_str());
        let mut fields: Vec<String> = shown
            .iter()
            .filter_map(|at| lines.get(*at))
            .map(|dim| match dim {
                Value::Null => ABSENT.to_owned(),
                dim => plain(dim),
            })
            .collect();
        let mut add = |numbers: Option<&Numbers>| {
            for (at, unit) in family.row().units.iter().enumerate() {
                let value = numbers.and_then(|numbers| *numbers.values.get(at)?);
                fields.push(value.map_or_else(String::new, |value| written(value, *unit, code)));
            }
            let coverage = numbers.and_then(|numbers| numbers.coverage);
            fields.push(coverage.map_or_else(String::new, |tenths| match tenths {
                10 => "all".to_owned(),
                0 => "< 10 %".to_owned(),
                tenths => format!("{tenths}0 %"),
            }));
        };
        add(row.numbers.as_ref());
        if query.compare {
            add(row.previous.as_ref());
        }
        table.row(fields);
    }
    let more = match &answer.next {
        Some(next) => format!("There are more rows: --after {next}\n"),
        None => String::new(),
    };
    format!("{} of {brand}\n\n{table}{more}", family.name())
}

/// A dimension as JSON.
fn json(dim: &Dim) -> Value {
    let mut text = String::new();
    write_dim(&mut text, dim);
    serde_json::from_str(&text).unwrap_or_default()
}

/// A dimension as text, as `--where` compares it: a path is `source/medium →
/// source/medium/campaign`.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(steps) => path(steps.iter().map(|step| match step {
            Value::Array(words) => words.iter().map(Value::as_str).collect(),
            _ => Vec::new(),
        })),
        other => other.to_string(),
    }
}

/// A path for people: `google/cpc → direct/none`. Absent parts at the end of a
/// channel are omitted.
pub fn path<'a>(channels: impl IntoIterator<Item = Vec<Option<&'a str>>>) -> String {
    let channels = channels.into_iter().map(|words| {
        let last = words.iter().rposition(Option::is_some).unwrap_or(0);
        let words = words
            .iter()
            .take(last + 1)
            .map(|word| word.unwrap_or(ABSENT));
        words.collect::<Vec<_>>().join("/")
    });
    channels.collect::<Vec<_>>().join(" → ")
}

/// Start of a month where a family has days.
const MONTH: &str = "month ";

/// Whether a cell gave up this dimension.
fn is_rest(value: &Value) -> bool {
    value.as_str() == Some(REST)
}

/// Whether a cell is the rest of what its name covers: it gave up a dimension
/// that other cells of its family have. The store of credits does not count:
/// credits by month are those of all stores.
fn is_rest_cell(family: Family, row: &CellLine) -> bool {
    let names = row.cell.iter().any(|(name, value)| {
        is_rest(value) && (family != Family::Attribution || name != Dimension::Store.name())
    });
    let is_rest_of_hours = family == Family::Visits && !is_hour(row.dim(Dimension::Hour.name()));
    names || is_rest_of_hours || family.row().is_total && is_month(row.dim(Dimension::Day.name()))
}

/// Whether an hour is one, and not a day or a month: `2025-10-26T02:00:00+01:00`.
fn is_hour(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains('T'))
}

/// Whether a day is a month: `2025-10`.
fn is_month(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.len() == "2025-10".len())
}

/// A dimension in a table.
fn shown(row: &CellLine, dim: Dimension) -> String {
    let value = row.dim(dim.name());
    let above = match dim {
        Dimension::Medium => Some(Dimension::Source),
        Dimension::Campaign => Some(Dimension::Medium),
        _ => None,
    };
    match value {
        Value::Null => ABSENT.to_owned(),
        // The name above says already that the cell is the rest.
        _ if is_rest(value) && above.is_some_and(|above| is_rest(row.dim(above.name()))) => {
            ABSENT.to_owned()
        }
        _ if is_rest(value) => match dim {
            Dimension::Store => "all stores".to_owned(),
            Dimension::Campaign => "other campaigns".to_owned(),
            Dimension::Medium => "other media".to_owned(),
            _ => "rest of the month".to_owned(),
        },
        value if matches!(dim, Dimension::Day | Dimension::Hour) && is_month(value) => {
            format!("{MONTH}{}", plain(value))
        }
        value if dim == Dimension::Hour && !is_hour(value) => format!("day {}", plain(value)),
        value => plain(value),
    }
}

/// The share of the money, or else of the first number that adds up, in cells
/// that are not the rest of several; `None` if all are, or if nothing adds up.
fn coverage(family: Family, rows: &[&CellLine]) -> Option<String> {
    if !rows.iter().any(|row| is_rest_cell(family, row)) {
        return None;
    }
    let mut values: Vec<_> = family.values().iter().zip(family.row().units).collect();
    values.sort_by_key(|(_, unit)| **unit != Unit::Minor);
    let added = |(name, unit): &(&&str, &Unit)| !sum(family, rows, name, **unit).is_empty();
    let (name, unit) = values.into_iter().find(added)?;
    let size = |row: &&CellLine| {
        row.value
            .get(*name)
            .copied()
            .flatten()
            .unwrap_or(0)
            .saturating_abs()
    };
    let all: i128 = rows.iter().map(size).fold(0, i128::saturating_add);
    let own = rows.iter().filter(|row| !is_rest_cell(family, row));
    let own: i128 = own.map(size).fold(0, i128::saturating_add);
    let share = own.saturating_mul(100).checked_div(all)?;
    Some(format!(
        "{share} % of the {} is under names of its own; the rest is released together.\n",
        title(name, *unit)
    ))
}

/// Dimensions with a column, and those that all rows share. A single row shares
/// nothing.
fn dimensions(family: Family, rows: &[&CellLine]) -> (Vec<Dimension>, Vec<Dimension>) {
    let same = |dim: &Dimension| {
        let mut values = rows.iter().map(|row| row.dim(dim.name()));
        let first = values.next();
        values.all(|value| Some(value) == first)
    };
    let dims = family.row().dimensions.iter().copied();
    dims.filter(|dim| *dim != Dimension::Brand)
        .partition(|dim| rows.len() == 1 || !same(dim))
}

/// Whether values of a form are names from the records.
fn has_names(form: Form) -> bool {
    matches!(form, Form::Name | Form::Path)
}

/// Sorts rows by dimension; channels and paths of a month by size.
fn sort(family: Family, rows: &mut [&CellLine]) {
    let dims = family.row().dimensions;
    let by_size = family.is_monthly() && dims.iter().any(|dim| has_names(dim.form()));
    let size = family.values().iter();
    let size = size.copied().find(|name| name.starts_with("conversions"));
    let size = size.filter(|_| by_size);
    let key = |row: &CellLine| {
        let dims = dims.iter().filter(|dim| !by_size || !has_names(dim.form()));
        let dims = dims.map(|dim| {
            let value = row.dim(dim.name());
            (value.as_u64(), plain(value))
        });
        let size = size.and_then(|name| row.value.get(name).copied().flatten());
        (dims.collect::<Vec<_>>(), Reverse(size))
    };
    // The sort is stable: equal ones stay in the order of the lines.
    rows.sort_by_cached_key(|row| key(row));
}

/// Alignment of a dimension.
fn align(form: Form) -> Align {
    match form {
        Form::Count => Align::Right,
        _ => Align::Left,
    }
}

/// Title of a column, without its unit.
fn title(name: &str, unit: Unit) -> String {
    let bare = name.strip_suffix(unit.suffix()).unwrap_or(name);
    bare.replace('_', " ")
}

/// A value of a row, as text.
fn value(row: &CellLine, name: &str, unit: Unit) -> String {
    let Some(number) = row.value.get(name).copied().flatten() else {
        return String::new();
    };
    written(number, unit, row.dim("currency").as_str())
}

/// A value for people.
fn written(number: i128, unit: Unit, code: Option<&str>) -> String {
    match unit {
        Unit::Count | Unit::Distinct => thousands(number),
        Unit::Minor => fixed(number, decimals(code.unwrap_or_default())),
        Unit::Millionths => rounded(number, 6, 2),
        Unit::Ppm => format!("{} %", rounded(number, 4, 2)),
        Unit::Seconds => {
            let (minutes, seconds) = (number / 60, number % 60);
            format!(
                "{}:{:02}:{seconds:02}",
                thousands(minutes / 60),
                minutes % 60
            )
        }
    }
}

/// Sum of a column; empty if adding would be wrong.
fn sum(family: Family, rows: &[&CellLine], name: &str, unit: Unit) -> String {
    let distinct = |dim: Dimension| {
        rows.iter()
            .map(|row| plain(row.dim(dim.name())))
            .collect::<BTreeSet<_>>()
    };
    let adds_up = !family.row().overlaps && !matches!(unit, Unit::Distinct | Unit::Ppm);
    let currencies = distinct(Dimension::Currency);
    if !adds_up
        || distinct(Dimension::Model).len() != 1
        || unit == Unit::Minor && currencies.len() != 1
    {
        return String::new();
    }
    let sum = rows
        .iter()
        .filter_map(|row| row.value.get(name).copied().flatten())
        .try_fold(0_i128, i128::checked_add);
    let code = currencies.first().map(String::as_str);
    sum.map_or(String::new(), |sum| written(sum, unit, code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str) -> Vec<CellLine> {
        lines
            .lines()
            .map(|line| CellLine::read(line).unwrap())
            .collect()
    }

    fn attribution(
        model: &str,
        source: &str,
        currency: &str,
        millionths: i64,
        minor: i64,
    ) -> String {
        format!(
            r#"{{"cell":{{"brand":"acme","campaign":null,"currency":"{currency}","day":"2025-10-26","kind":"order","medium":"cpc","model":"{model}","source":"{source}","store":null}},"family":"attribution","value":{{"conversions_millionths":{millionths},"value_minor":{minor}}}}}"#
        ) + "\n"
    }

    #[test]
    fn what_is_common_stands_above_and_sums_below() {
        let cells = read(
            &(attribution("last", "bing", "EUR", 2_500_000, 1_234_500)
                + &attribution("last", "google", "EUR", 1_005_000, 99)),
        );
        let expected = "\
attribution of acme: 2 cells, model last, medium cpc, no campaign, kind order, no store, day
2025-10-26, currency EUR

source  conversions      value
──────  ───────────  ─────────
bing           2.50  12,345.00
google         1.01       0.99
──────  ───────────  ─────────
               3.51  12,345.99
";
        assert_eq!(
            sheet("acme", Family::Attribution, &cells).unwrap(),
            expected
        );
        assert_eq!(sheet("acme", Family::Visits, &cells), None);
    }

    #[test]
    fn models_and_currencies_are_not_added() {
        let models = read(
            &(attribution("first", "bing", "EUR", 1, 100)
                + &attribution("last", "bing", "EUR", 1, 100)),
        );
        let text = sheet("acme", Family::Attribution, &models).unwrap();
        assert_eq!(
            text.matches('─').count(),
            "modelconversionsvalue".len(),
            "{text}"
        );
        let currencies = read(
            &(attribution("last", "bing", "EUR", 1_000_000, 100)
                + &attribution("last", "bing", "JPY", 1_000_000, 100)),
        );
        let text = sheet("acme", Family::Attribution, &currencies).unwrap();
        assert!(
            text.contains("1.00\n") && text.contains("  100\n"),
            "{text}"
        );
        assert!(text.trim_end().ends_with("2.00"), "{text}");
    }

    #[test]
    fn hours_persons_and_paths() {
        let visits = read(
            r#"{"cell":{"brand":"a","hour":"2025-10-26T02:00:00+01:00","store":"s"},"family":"visits","value":{"devices":2,"dwell_seconds":3725,"passers_by":1,"random_devices":0,"visits":2}}
{"cell":{"brand":"a","hour":"2025-10-26T03:00:00+01:00","store":"s"},"family":"visits","value":{"devices":2,"dwell_seconds":59,"passers_by":1,"random_devices":0,"visits":1}}"#,
        );
        let text = sheet("a", Family::Visits, &visits).unwrap();
        let last = text.lines().last().unwrap();
        assert_eq!(
            last.split_whitespace().collect::<Vec<_>>(),
            ["3", "2", "1:03:04"]
        );

        let path = |month: &str, first: &str, conversions: u32| {
            format!(
                r#"{{"cell":{{"brand":"a","currency":"EUR","kind":"order","month":"{month}","path":[["{first}",null,"x"],["direct","none",null]]}},"family":"paths","value":{{"conversions":{conversions},"value_minor":1}}}}"#
            ) + "\n"
        };
        let paths =
            read(&(path("2025-10", "a", 1) + &path("2025-10", "b", 7) + &path("2025-09", "c", 2)));
        let text = sheet("a", Family::Paths, &paths).unwrap();
        let rows: Vec<&str> = text.lines().filter(|line| line.contains('→')).collect();
        assert!(
            rows[0].contains("c/–/x → direct/none") && rows[1].contains("b/–/x"),
            "{text}"
        );
    }

    #[test]
    fn month_cells_say_what_they_are_the_rest_of_and_which_share_has_names() {
        let line = |source: &str, medium: &str, campaign: &str, minor: i64| {
            attribution("linear", source, "EUR", 1_000_000, minor)
                .replace("\"medium\":\"cpc\"", &format!("\"medium\":\"{medium}\""))
                .replace("\"campaign\":null", &format!("\"campaign\":\"{campaign}\""))
                .replace("\"store\":null", "\"store\":\"*\"")
                .replace("\"kind\":\"order\"", "\"kind\":\"transaction\"")
                .replace("2025-10-26", "2025-10")
        };
        let cells = read(
            &(line("google", "cpc", "fall", 700)
                + &line("google", "cpc", "*", 100)
                + &line("google", "*", "*", 50)
                + &line("*", "*", "*", 150)),
        );
        let expected = "\
attribution of acme: 4 cells, model linear, kind transaction, all stores, month 2025-10, currency
EUR

source             medium       campaign         conversions  value
─────────────────  ───────────  ───────────────  ───────────  ─────
rest of the month  –            –                       1.00   1.50
google             other media  –                       1.00   0.50
google             cpc          other campaigns         1.00   1.00
google             cpc          fall                    1.00   7.00
─────────────────  ───────────  ───────────────  ───────────  ─────
                                                        4.00  10.00
70 % of the value is under names of its own; the rest is released together.
";
        assert_eq!(
            sheet("acme", Family::Attribution, &cells).unwrap(),
            expected
        );
    }

    #[test]
    fn a_value_that_a_cell_lacks_is_blank() {
        let cells = read(
            r#"{"cell":{"brand":"acme","campaign":"*","currency":"EUR","kind":"order","medium":"cpc","month":"2025-10","source":"google"},"family":"markov_month","value":{"conversions_millionths":1000000,"removal_effect_ppm":null,"value_minor":5}}"#,
        );
        let text = sheet("acme", Family::MarkovMonth, &cells).unwrap();
        assert!(text.contains("other campaigns"), "{text}");
        assert!(!text.contains("0.00 %") && !text.contains("-170"), "{text}");
    }
}

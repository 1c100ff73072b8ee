//! The reference of all metrics for people, `grafana/metrics.md`, generated
//! from the table.

use std::fmt::Write;

use super::label::Label;
use super::table::{Part, Row, TABLE};

/// Introduction.
const HEAD: &str = "# Metrics

Everything that `/metrics` exports, in the Prometheus text format. This file is made by `tributary reference`
and held equal to the program by a test: change `pipeline/src/report/metrics/table.rs` and write it anew.

Names begin with `tributary_`; values are in base units (seconds, bytes, ratios, major units of money), and only
counters end in `_total`.
";

/// Introduction to the operational metrics.
const OPERATION: &str = "
## Operation

Health and throughput of a process. These metrics contain no personal data and bypass the release gate. With several
processes, each exports its own.

Exact numbers are for operators: scrape with a token of the role `operate`, or from the machine itself if there are no
tokens. A single purchase, erasure or objection moves many of them, so the column *others see* says what everybody else
gets: values *at the cadence* are those of the last `release.cadence`; *steps* are such values rounded down to a multiple
of `release.k_delta`, and a gauge stays where it is until it has moved by a whole step. Counters never decrease. Series of
a brand are shown to that brand only.
";

/// Introduction to the business metrics.
const BUSINESS: &str = "
## Business

Totals of released cells, in windows of the brand's days. They are gauges because refunds, corrections and erasures
reduce them.

- Totals have rolling windows that include the current day: `today`, `7d`, `30d`. What is published by month (credits, the
  Markov model, ratios) has `month`, the current month until yesterday, and `last_month`. With `release.k = 1`, the Markov
  metrics of `month` include the current day.
- Hidden is not zero: a series without a released cell in its window is absent. A sum over series covers what is
  published, and `tributary_released_share_ratio` says how much of that is published by channel or store.
- `*` in a channel or a store is what the release gate publishes of several together. It counts in totals and has no
  ratios, because its spend is that of other channels.

For each metric, a brand exports the `http.max_series` channels, stores or platforms with the largest values and sums
up the others as `other`, so totals stay correct. `other` contains nothing that the release gate publishes together;
beyond the limit, that is summed as `*`. With several processes, each exports the cells it owns: sum over processes, and
compute ratios from the sums.
";

/// Introduction to the labels.
const LABELS: &str = "
## Labels

Label values come from closed or capped sets. They never contain identifiers or pseudonyms.

| label | metrics | meaning | values |
|---|---|---|---|
";

/// The reference as Markdown.
pub fn reference() -> String {
    let mut out = HEAD.to_owned();
    for (part, text) in [(Part::Operation, OPERATION), (Part::Business, BUSINESS)] {
        out.push_str(text);
        let is_operation = part == Part::Operation;
        let (title, line) = match is_operation {
            true => (" others see |", "---|"),
            false => ("", ""),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "\n| metric | type | unit | labels |{title} meaning |\n|---|---|---|---|{line}---|"
        );
        for row in TABLE.iter().filter(|row| row.part == part) {
            let labels: Vec<String> = row.labels.iter().map(|label| code(label.name())).collect();
            let (name, kind) = (row.full_name(), row.kind.name());
            let seen = match is_operation {
                true => format!(" {} |", row.visibility.meaning()),
                false => String::new(),
            };
            let _ = writeln!(
                out,
                "| `{name}` | {kind} | {} | {} |{seen} {} |",
                row.unit,
                labels.join(", "),
                row.help
            );
        }
    }
    out.push_str(LABELS);
    for label in Label::ALL {
        let words = label.words().unwrap_or_default();
        let words: Vec<String> = words.into_iter().map(code).collect();
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} |",
            label.name(),
            users(label),
            label.meaning(),
            words.join(", ")
        );
    }
    out
}

/// The metrics that have a label.
fn users(label: Label) -> String {
    let has = |row: &&Row| row.labels.contains(&label);
    let users: Vec<&Row> = TABLE.iter().filter(has).collect();
    match users.as_slice() {
        [one] => code(&one.full_name()),
        many => format!("{} metrics", many.len()),
    }
}

/// A word in Markdown code style.
fn code(word: &str) -> String {
    format!("`{word}`")
}

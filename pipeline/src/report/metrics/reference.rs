//! The reference of all metrics for people, `grafana/metrics.md`, made from the table.

use std::fmt::Write;

use super::label::Label;
use super::table::{Part, Row, TABLE};

const HEAD: &str = "# Metrics

Everything that `/metrics` exports, in the Prometheus text format. This file is made by `tributary reference`
and held equal to the program by a test: change `pipeline/src/report/metrics/table.rs` and write it anew.

Names begin with `tributary_`; values are in base units (seconds, bytes, ratios, major units of money), and only
counters end in `_total`.
";

const OPERATION: &str = "
## Operation

How a process does. Not personal: these pass freely. With several processes each one exports its own.
";

const BUSINESS: &str = "
## Business

What released cells add up to, over rolling windows of the brand's days. These are gauges, since a refund, a correction
or an erasure takes away what was there before. A cell that the release gate holds back is in none of them.

Of the channels, stores and platforms of a metric a brand keeps the `http.max_series` with the largest values; the
rest is added up as `other`, so that totals stay right. With several processes each exports the cells that it owns:
add up over processes, and compute ratios from the sums instead of reading them.
";

const LABELS: &str = "
## Labels

Labels come from closed sets. No identifier and no pseudonym is ever one.

| label | of | what it is | words |
|---|---|---|---|
";

/// The reference as Markdown.
pub fn reference() -> String {
    let mut out = HEAD.to_owned();
    for (part, text) in [(Part::Operation, OPERATION), (Part::Business, BUSINESS)] {
        out.push_str(text);
        out.push_str("\n| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n");
        for row in TABLE.iter().filter(|row| row.part == part) {
            let labels: Vec<String> = row.labels.iter().map(|label| code(label.name())).collect();
            let (name, kind) = (row.full_name(), row.kind.name());
            // Writing to a string cannot fail.
            let _ = writeln!(
                out,
                "| `{name}` | {kind} | {} | {} | {} |",
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

/// Which metrics have the label.
fn users(label: Label) -> String {
    let has = |row: &&Row| row.labels.contains(&label);
    let users: Vec<&Row> = TABLE.iter().filter(has).collect();
    match users.as_slice() {
        [one] => code(&one.full_name()),
        many => format!("{} metrics", many.len()),
    }
}

fn code(word: &str) -> String {
    format!("`{word}`")
}

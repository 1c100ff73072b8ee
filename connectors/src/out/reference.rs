//! The reference of all families of cells for people, `connectors/CELLS.md`, made from their table.

use std::fmt::Write;

use tributary_operators::cell::{Dimension, Family, Threshold};

const HEAD: &str = "# Cells

Everything that a brand's cells contain. This file is made by `tributary reference --cells` and held equal to the program by
a test: change `operators/src/cell/` and write it anew.

A cell is published as `{\"cell\":{…},\"value\":{…},…}`, with its dimensions and values by name, on the subject
`tributary.out.<brand>.<family>.<hash>`; `\"value\":null` closes it. The header `Tributary-Standing` says under which thresholds
it was released, or why it is closed; where a cell of revenue counts less than its name says, `of=` lists the places and days that it
counts, as hashes. A replay writes `{\"cell\":{…},\"family\":…,\"value\":{…}}`.

## Families

A cell is released if it has at least as many contributors as the setting says. What a family is released with changes
together, so that no difference between two releases shows what is hidden.

| family | meaning | dimensions | values | contributors | released with |
|---|---|---|---|---|---|
";

const STATISTICS: &str = "
With `release.k` above 1, these are published in multiples of it; they are not part of a replay's output:";

const DIMENSIONS: &str = "
## Dimensions

| dimension | written as | meaning |
|---|---|---|
";

const LADDER: &str = "
## Cells of a month

With `release.ladder = \"month\"` and `release.k` above 1, what is too small for a cell goes up to a coarser one, which is the
rest of what its name says. Everything is counted once, in the finest cell that it belongs to, so that cells may be added up;
persons and devices are distinct in each cell. A dimension that a cell gives up is `\"*\"`, and a month stands where the finest
cells have a day or an hour. Only finished days count, except in `store_day`, `orders_day` and `scan_day`, and all of a month
changes together. In `visit_match`, and in what credits its stays, only settled days count (`partners.settle_after`).

| families | cells, fine to coarse | what is left in the end |
|---|---|---|
| `attribution`, `markov_month`, `assists` | channel, source and medium, source, and all channels, each over the month and all stores | larger cells join it until it may be published; the removal effect of several channels is null |
| `store_day`, `orders_day`, `scan_day`, `visit_match` | store and day, day, month | in no cell, and neither is what it is credited to |
| `campaign_day` | channel and day; channel, source and medium, source, and all channels of the month | held back |
| `visits` | store and hour, store and day, day, month | held back |
";

/// The reference as Markdown.
pub fn reference() -> String {
    let mut out = HEAD.to_owned();
    for family in Family::ALL {
        let row = family.row();
        let values = family.values().iter().zip(row.units);
        let values = values.map(|(name, unit)| format!("`{name}`: {}", unit.meaning()));
        let contributors = match row.threshold {
            Threshold::K => "`release.k`",
            Threshold::KTraffic => "`release.k_traffic`",
            Threshold::Nobody => "none, not personal",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | {contributors} | {} |",
            row.name,
            row.meaning.trim(),
            list(family.dims()),
            values.collect::<Vec<_>>().join("<br>"),
            row.batch.meaning(),
        );
    }
    let statistics = Family::ALL.into_iter().filter(|family| !family.in_replay());
    let names: Vec<&str> = statistics.map(Family::name).collect();
    let _ = writeln!(out, "{STATISTICS} {}.", list(&names));
    out.push_str(LADDER);
    out.push_str(DIMENSIONS);
    for dimension in Dimension::ALL {
        let (name, meaning) = (dimension.name(), dimension.meaning());
        let _ = writeln!(
            out,
            "| `{name}` | {} | {meaning} |",
            dimension.form().meaning()
        );
    }
    out
}

fn list(names: &[&str]) -> String {
    let names = names.iter().map(|name| format!("`{name}`"));
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_what_the_program_prints() {
        assert!(
            include_str!("../../CELLS.md") == reference(),
            "connectors/CELLS.md is not the table: write it anew with make reference"
        );
    }
}

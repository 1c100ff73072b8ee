//! The reference of the configuration in Markdown, one table a section.

use std::fmt::Write;

use crate::fields;
use crate::model::Kind;
use crate::placeholders::PLACEHOLDERS;
use crate::settings::{DefaultValue, Section, SettingInfo, environment_variable, sections};

/// What stands before the tables.
const INTRODUCTION: &str = "\
# Configuration reference

One TOML file. Everything but the brands has a default; unknown settings are refused. Relative paths count
from the file's directory. Durations are texts with a unit: `ms`, `s`, `m`, `h`, `d`, `w`.

Environment variables override the settings of `[nats]`, `[workers]`, `[ledger]` and `[http]`: `TRIBUTARY_NATS_URL` is
`nats.url`. An empty variable counts as absent; in lists a comma separates.
";

/// A Markdown table of every setting: path, type, default, unit and meaning.
pub fn reference() -> String {
    let mut out = String::from(INTRODUCTION);
    for section in sections() {
        if !section.path.is_empty() {
            table(&mut out, &section);
        }
        if section.path == "brand.identity" {
            placeholders(&mut out);
        }
    }
    columns(&mut out);
    out
}

/// The table of one section. Writing to a string cannot fail.
fn table(out: &mut String, section: &Section) {
    let _ = write!(
        out,
        "\n## {}: `{}`\n\n{}\n",
        section.title,
        section.header(),
        section.meaning
    );
    if section.variables {
        let example = (section.rows)()
            .first()
            .map(|row| environment_variable(section.path, row.key()));
        let _ = writeln!(
            out,
            "\nOverridden by environment variables such as `{}`.",
            example.unwrap_or_default()
        );
    }
    let _ = write!(
        out,
        "\n| setting | type | default | unit | meaning |\n|---|---|---|---|---|\n"
    );
    for row in (section.rows)() {
        let cells = [
            format!("`{}`", path(section, row.key())),
            row.kind(),
            default(row),
            row.unit().to_owned(),
            row.meaning().to_owned(),
        ];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
}

/// The closed list of values that never identify.
fn placeholders(out: &mut String) {
    out.push_str(
        "\n### Values that never identify\n\n\
A record keeps its place without them. They are compared in any case and without quotes and spaces around; their SHA-256 \
is blocked in lower case, upper case and with capital initials, in either quotes and without.\n\n\
- the empty text, and whatever consists of punctuation, symbols, format characters and spaces alone, such as `-`\n\
- zeros, with or without separators, such as `000-000-0000`\n\
- `[object …]`, whatever the object\n\
- telephone numbers whose national number is zeros alone\n\
- ",
    );
    let list: Vec<String> = PLACEHOLDERS.map(|word| format!("`{word}`")).to_vec();
    let _ = writeln!(out, "{}", list.join(" "));
}

/// The full path of a setting: `brand[].identity.rules`.
pub(crate) fn path(section: &Section, key: &str) -> String {
    let mut out = String::new();
    let mut prefix = String::new();
    for part in section.path.split('.') {
        let dot = if prefix.is_empty() { "" } else { "." };
        prefix = format!("{prefix}{dot}{part}");
        let many = sections()
            .iter()
            .any(|section| section.path == prefix && section.many);
        out = format!("{out}{dot}{part}{}", if many { "[]" } else { "" });
    }
    format!("{out}.{key}")
}

/// The default of a setting.
fn default(row: &dyn SettingInfo) -> String {
    match row.default() {
        DefaultValue::Required => "**required**".to_owned(),
        DefaultValue::Absent(meaning) | DefaultValue::Derived(meaning) => meaning.to_owned(),
        DefaultValue::Toml(text) => format!("`{text}`"),
    }
}

/// What a column may be, and which fields each kind has.
fn columns(out: &mut String) {
    out.push_str(
        r#"
### Columns

Each field of `brand[].source[].csv.columns` is one of

| written | the text of the field is |
|---|---|
| `"basket_id"` | the column with this header |
| `{ const = "s1" }` | the same in every row |
| `{ join = ["basket", "line"], with = ":" }` | several columns, joined |
| `{ lookup = "campaigns.csv", by = "campaign_id", key = "id", value = "start" }` | the column `value` of that row of another CSV file whose column `key` equals the column `by` here; the file stands beside the CSV file, plain, `.gz` or `.zst` |

| kind | fields | of these required |
|---|---|---|
"#,
    );
    for kind in Kind::ALL {
        let required: Vec<String> = (fields::required(kind).iter())
            .map(|group| {
                group
                    .iter()
                    .map(|f| format!("`{f}`"))
                    .collect::<Vec<_>>()
                    .join(" or ")
            })
            .collect();
        let all: Vec<String> = fields::of(kind).iter().map(|f| format!("`{f}`")).collect();
        let _ = writeln!(
            out,
            "| `{}` | {} | {} |",
            kind.name(),
            all.join(" "),
            required.join(", ")
        );
    }
}

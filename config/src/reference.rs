//! The reference of the configuration in Markdown, one table per section.
//!
//! `REFERENCE.md` is this text; a test compares the two.

use std::fmt::Write;

use crate::fields;
use crate::model::ClientBrand;
use crate::model::Kind;
use crate::placeholders::PLACEHOLDERS;
use crate::settings::{
    DefaultValue, Section, SettingInfo, SettingsModel, environment_variable, sections,
};

/// The text before the tables.
const INTRODUCTION: &str = "\
# Configuration reference

The configuration is one TOML file. Everything except brands has a default; unknown settings are errors. Relative paths
start at the file's directory. Durations are strings with a unit: `ms`, `s`, `m`, `h`, `d`, `w`.

Environment variables override the settings of `[nats]`, `[workers]`, `[telemetry]`, `[ledger]` and `[http]`:
`TRIBUTARY_NATS_URL` sets `nats.url`. An empty variable counts as absent; lists are separated by commas.
";

/// The reference: a Markdown table of every setting with its path, type,
/// default, unit and meaning, the forms of columns, the fields of each kind,
/// and the closed list of placeholders.
///
/// ```
/// assert!(tributary_config::reference().contains("| `release.k` | a whole number"));
/// ```
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
    table(&mut out, &ClientBrand::SECTION);
    out
}

/// The table of one section.
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

/// The closed list of values that never identify anyone.
fn placeholders(out: &mut String) {
    out.push_str(
        "\n### Values that never identify\n\n\
A record with such a value counts without it. Values are compared in any case and without surrounding quotes and spaces; their SHA-256 is blocked in lower case, upper case and with initial capitals, with and without quotes.\n\n\
- empty values, and values consisting only of punctuation, symbols, format characters and spaces, such as `-`\n\
- zeros, with or without separators, such as `000-000-0000`\n\
- `[object …]` with any object\n\
- phone numbers whose national number consists of zeros\n\
- ",
    );
    let list: Vec<String> = PLACEHOLDERS.map(|word| format!("`{word}`")).to_vec();
    let _ = writeln!(out, "{}", list.join(" "));
}

/// The full path of a setting, with `[]` behind sections that may repeat:
/// `brand[].identity.rules`.
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

/// The default of a setting as a table cell.
fn default(row: &dyn SettingInfo) -> String {
    match row.default() {
        DefaultValue::Required => "**required**".to_owned(),
        DefaultValue::Absent(meaning) | DefaultValue::Derived(meaning) => meaning.to_owned(),
        DefaultValue::Toml(text) => format!("`{text}`"),
    }
}

/// The forms of a column, and the fields of each kind.
fn columns(out: &mut String) {
    out.push_str(
        r#"
### Columns

Each field of `brand[].source[].csv.columns` is one of

| notation | value of the field |
|---|---|
| `"basket_id"` | the column with this header |
| `{ const = "s1" }` | the same value in every row |
| `{ join = ["basket", "line"], with = ":" }` | several columns, joined; `id`, `order_id`, `refund_of` and `restates` are absent if any of them is empty |
| `{ lookup = "campaigns.csv", by = "campaign_id", key = "id", value = "start" }` | the column `value` from another CSV file, in the row whose column `key` equals the column `by` here; the file is in the directory of the CSV file, plain, `.gz` or `.zst` |

| kind | fields | required fields |
|---|---|---|
"#,
    );
    // Consent is sent as JSON only.
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Consent) {
        let required: Vec<String> = (fields::required(kind).iter())
            .map(|group| {
                group
                    .iter()
                    .map(|f| format!("`{f}`"))
                    .collect::<Vec<_>>()
                    .join(" or ")
            })
            .collect();
        let all = fields::of_columns(kind);
        let all: Vec<String> = all.iter().map(|f| format!("`{f}`")).collect();
        let _ = writeln!(
            out,
            "| `{}` | {} | {} |",
            kind.name(),
            all.join(" "),
            required.join(", ")
        );
    }
}

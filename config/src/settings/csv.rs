//! `[brand.source.csv]`: how the rows of a CSV file become records.
//!
//! Only `columns` is required. Everything that a file leaves open, such as the
//! decimal separator or the encoding, has an automatic mode that rejects what
//! is ambiguous instead of guessing.

use std::collections::BTreeMap;

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::{Csv, DecimalMark, Encoding};
use crate::value_type::choice::{DECIMAL_MARKS, ENCODINGS};
use crate::value_type::column::{Columns, RowFilter};
use crate::value_type::list::Many;
use crate::value_type::number::Switch;
use crate::value_type::scalar::{Delimiter, FreeText, Text};
use crate::value_type::time_pattern::TimePattern;

/// The defaults read a file as RFC 4180 and the native format define it:
/// commas, UTF-8, decimal points, RFC
/// 3339. The automatic modes extend this to what spreadsheets write.
impl SettingsModel for Csv {
    const SECTION: Section = Section::of::<Csv>(
        "brand.source.csv",
        "CSV",
        "How the rows of a CSV file become records; only with `format = \"csv\"`.",
    );

    fn blank() -> Csv {
        Csv {
            delimiter: b',',
            columns: BTreeMap::new(),
            sum_rows: false,
            only: BTreeMap::new(),
            decimal: DecimalMark::default(),
            encoding: Encoding::default(),
            time_patterns: Vec::new(),
            nulls: Vec::new(),
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Csv>] {
        static ROWS: &[&dyn TypedSetting<Csv>] = &[
            &Setting {
                key: "delimiter",
                value_type: Text(Delimiter),
                default: DefaultValue::Toml(r#"",""#),
                unit: "",
                meaning: "The column separator.",
                field: |csv: &mut Csv| &mut csv.delimiter,
            },
            &Setting {
                key: "columns",
                value_type: Columns,
                default: DefaultValue::Required,
                unit: "",
                meaning: "Maps each field of a record to the column with its value; fields not listed are absent.",
                field: |csv: &mut Csv| &mut csv.columns,
            },
            &Setting {
                key: "sum_rows",
                value_type: Switch,
                default: DefaultValue::Toml("false"),
                unit: "",
                meaning: "Combine rows with the same `id` into one record and add up their `amount`s: for files with one row per article.",
                field: |csv: &mut Csv| &mut csv.sum_rows,
            },
            &Setting {
                key: "only",
                value_type: RowFilter,
                default: DefaultValue::Toml("{}"),
                unit: "",
                meaning: "Only read rows in which each of these columns has the given value, white space around it aside. How many rows it leaves out is printed.",
                field: |csv: &mut Csv| &mut csv.only,
            },
            &Setting {
                key: "decimal",
                value_type: Text(DECIMAL_MARKS),
                default: DefaultValue::Toml(r#""auto""#),
                unit: "",
                meaning: "The decimal separator of amounts: `point`, or `comma`, in which case points, spaces and apostrophes may group thousands. `auto` accepts a point, and a comma if it cannot be a thousands separator: `12,50`, but not `1,250`.",
                field: |csv: &mut Csv| &mut csv.decimal,
            },
            &Setting {
                key: "encoding",
                value_type: Text(ENCODINGS),
                default: DefaultValue::Toml(r#""auto""#),
                unit: "",
                meaning: "The character encoding of the file. `auto` is UTF-8, with windows-1252 for cells that are not valid UTF-8, as written by spreadsheets in western Europe.",
                field: |csv: &mut Csv| &mut csv.encoding,
            },
            &Setting {
                key: "time_patterns",
                value_type: Many {
                    each: TimePattern,
                    private: false,
                },
                default: DefaultValue::Toml("[]"),
                unit: "",
                meaning: "strptime patterns for timestamps, tried in order before RFC 3339 and Unix time: `%d/%m/%Y %H:%M` for `31/12/2025 23:59`. `%z` is an offset from UTC; without one, the source's `zone` applies.",
                field: |csv: &mut Csv| &mut csv.time_patterns,
            },
            &Setting {
                key: "nulls",
                value_type: Many {
                    each: FreeText("a text"),
                    private: false,
                },
                default: DefaultValue::Toml(r##"["NULL", "null", "\\N", "#N/A", "NaN", "nan"]"##),
                unit: "",
                meaning: "What the file writes where it has no value; such a cell counts as empty. Add `--` for exports of Google Ads. Upper and lower case differ, so that a person may be named Null.",
                field: |csv: &mut Csv| &mut csv.nulls,
            },
        ];
        ROWS
    }
}

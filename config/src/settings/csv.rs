//! `[brand.source.csv]`: how the rows of a CSV file become records.

use std::collections::BTreeMap;

use super::{Fallback, Fields, Row, Section, Setting};
use crate::model::{Csv, DecimalMark, Encoding};
use crate::shape::choice::{DECIMAL_MARKS, ENCODINGS};
use crate::shape::column::{Columns, Only};
use crate::shape::list::Many;
use crate::shape::number::Switch;
use crate::shape::time_pattern::TimePattern;
use crate::shape::word::{Delimiter, One};

impl Fields for Csv {
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
        }
    }

    fn rows() -> &'static [&'static dyn Row<Csv>] {
        static ROWS: &[&dyn Row<Csv>] = &[
            &Setting {
                key: "delimiter",
                shape: One(Delimiter),
                fallback: Fallback::Toml(r#"",""#),
                unit: "",
                meaning: "The column separator.",
                field: |csv: &mut Csv| &mut csv.delimiter,
            },
            &Setting {
                key: "columns",
                shape: Columns,
                fallback: Fallback::Required,
                unit: "",
                meaning: "Maps each field of a record to the column with its value; fields not listed are absent.",
                field: |csv: &mut Csv| &mut csv.columns,
            },
            &Setting {
                key: "sum_rows",
                shape: Switch,
                fallback: Fallback::Toml("false"),
                unit: "",
                meaning: "Combine rows with the same `id` into one record and add up their `amount`s: for files with one row per article.",
                field: |csv: &mut Csv| &mut csv.sum_rows,
            },
            &Setting {
                key: "only",
                shape: Only,
                fallback: Fallback::Toml("{}"),
                unit: "",
                meaning: "Only read rows in which each of these columns has the given value.",
                field: |csv: &mut Csv| &mut csv.only,
            },
            &Setting {
                key: "decimal",
                shape: One(DECIMAL_MARKS),
                fallback: Fallback::Toml(r#""auto""#),
                unit: "",
                meaning: "The decimal separator of amounts: `point`, or `comma`, in which case points, spaces and apostrophes may group thousands. `auto` accepts a point, and a comma if it cannot be a thousands separator: `12,50`, but not `1,250`.",
                field: |csv: &mut Csv| &mut csv.decimal,
            },
            &Setting {
                key: "encoding",
                shape: One(ENCODINGS),
                fallback: Fallback::Toml(r#""auto""#),
                unit: "",
                meaning: "The character encoding of the file. `auto` is UTF-8, with windows-1252 for cells that are not valid UTF-8, as written by spreadsheets in western Europe.",
                field: |csv: &mut Csv| &mut csv.encoding,
            },
            &Setting {
                key: "time_patterns",
                shape: Many {
                    each: TimePattern,
                    private: false,
                },
                fallback: Fallback::Toml("[]"),
                unit: "",
                meaning: "strptime patterns for timestamps, tried in order before RFC 3339 and Unix time: `%d/%m/%Y %H:%M` for `31/12/2025 23:59`. `%z` is an offset from UTC; without one, the source's `zone` applies.",
                field: |csv: &mut Csv| &mut csv.time_patterns,
            },
        ];
        ROWS
    }
}

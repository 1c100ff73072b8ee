//! `[brand.source.csv]`: how the rows of a CSV file become records.

use std::collections::BTreeMap;

use super::{Fallback, Fields, Row, Section, Setting};
use crate::model::Csv;
use crate::shape::column::{Columns, Only};
use crate::shape::number::Switch;
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
        }
    }

    fn rows() -> &'static [&'static dyn Row<Csv>] {
        static ROWS: &[&dyn Row<Csv>] = &[
            &Setting {
                key: "delimiter",
                shape: One(Delimiter),
                fallback: Fallback::Toml(r#"",""#),
                unit: "",
                meaning: "What separates the columns.",
                field: |csv: &mut Csv| &mut csv.delimiter,
            },
            &Setting {
                key: "columns",
                shape: Columns,
                fallback: Fallback::Required,
                unit: "",
                meaning: "From each field of a record to the column that gives its text; fields that are not named are absent.",
                field: |csv: &mut Csv| &mut csv.columns,
            },
            &Setting {
                key: "sum_rows",
                shape: Switch,
                fallback: Fallback::Toml("false"),
                unit: "",
                meaning: "Rows that share an `id` are one record and their `amount`s are added: for files with a row per article.",
                field: |csv: &mut Csv| &mut csv.sum_rows,
            },
            &Setting {
                key: "only",
                shape: Only,
                fallback: Fallback::Toml("{}"),
                unit: "",
                meaning: "Rows are taken only where each of these columns has this text.",
                field: |csv: &mut Csv| &mut csv.only,
            },
        ];
        ROWS
    }
}

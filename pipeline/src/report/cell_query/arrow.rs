//! Answers as an Arrow IPC stream, which pandas, Polars, DuckDB and R read
//! without parsing numbers.
//!
//! The columns are those of the CSV, with the same names: dimensions are texts,
//! because a `day` may be the month whose rest a cell is; values are 64-bit
//! integers in the family's units; coverages are 64-bit floats. What is absent
//! is null. The metadata of the schema has the `family`, and, as in JSON, `next`
//! and `previous`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Field, Schema};
use tributary_operators::cell::Dim;

use super::format::{csv_header, day_text, dim_text};
use super::query::{Answer, CellQuery, Numbers, QueryError, Row};

/// The rows of an answer as an Arrow IPC stream of one batch.
///
/// # Errors
///
/// A value beyond 64 bits, which only a sum of unlikely amounts has.
pub fn arrow(query: &CellQuery, answer: &Answer) -> Result<Vec<u8>, QueryError> {
    let too_large = || {
        let message = "cannot hold a value of more than 64 bits";
        QueryError::new("format", message, "write json")
    };
    let rows = &answer.rows;
    let mut columns: Vec<ArrayRef> = Vec::new();
    for at in 0..query.columns().len() {
        let texts = rows.iter().map(|row| match row.dims.get(at) {
            None | Some(Dim::Null) => None,
            Some(dim) => Some(dim_text(dim)),
        });
        columns.push(Arc::new(texts.collect::<StringArray>()));
    }
    let mut sides: Vec<fn(&Row) -> Option<&Numbers>> = vec![|row| row.numbers.as_ref()];
    if query.compare {
        sides.push(|row| row.previous.as_ref());
    }
    for side in sides {
        for at in 0..query.family.values().len() {
            let values = rows.iter().map(|row| {
                let value = side(row).and_then(|numbers| *numbers.values.get(at)?);
                value.map(i64::try_from).transpose()
            });
            let values: Result<Int64Array, _> = values.collect();
            columns.push(Arc::new(values.map_err(|_| too_large())?));
        }
        let coverages = rows
            .iter()
            .map(|row| Some(f64::from(side(row)?.coverage?) / 10.0));
        columns.push(Arc::new(coverages.collect::<Float64Array>()));
    }
    let fields = csv_header(query).into_iter().zip(&columns);
    let fields: Vec<Field> = fields
        .map(|(name, column)| Field::new(name, column.data_type().clone(), true))
        .collect();
    let mut metadata = HashMap::from([("family".to_owned(), query.family.name().to_owned())]);
    if let Some(next) = &answer.next {
        metadata.insert("next".to_owned(), next.clone());
    }
    if let Some((from, to)) = answer.previous {
        let previous = format!("{}/{}", day_text(from), day_text(to));
        metadata.insert("previous".to_owned(), previous);
    }
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    write(schema, columns).map_err(|error| {
        tracing::error!(%error, "cannot write Arrow");
        QueryError::new("format", "cannot be written", "write json")
    })
}

/// Writes one batch.
///
/// # Errors
///
/// Columns of different lengths or types than the schema has.
fn write(schema: Arc<Schema>, columns: Vec<ArrayRef>) -> Result<Vec<u8>, ArrowError> {
    let batch = RecordBatch::try_new(schema.clone(), columns)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    writer.write(&batch)?;
    writer.finish()?;
    writer.into_inner()
}

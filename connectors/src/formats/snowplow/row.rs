//! One enriched event in either of its two forms.
//!
//! The TSV has self-describing JSON in some of its columns; the SDKs' JSON has
//! the same shredded into keys that name schema and model.

use std::borrow::Cow;

use super::columns::COLUMNS;
use crate::dead_letter::{Reason, Refusal};
use crate::formats::adapter::object;
use crate::formats::json::{Json, Object};
use crate::formats::record::{NativeRecord, wrong_type};
use crate::native::fields::Field;

/// The prefix of the keys of e-commerce entities in the SDKs' JSON.
const ENTITIES: &str = "contexts_com_snowplowanalytics_snowplow_ecommerce_";

/// An event.
pub(super) enum Row<'a> {
    /// The fields of a line, as many as there are columns.
    Tsv(Vec<&'a str>),
    /// A JSON object.
    Json(Object<'a>),
}

impl<'a> Row<'a> {
    /// Parses a line: JSON if it begins with a brace, else TSV.
    ///
    /// # Errors
    /// `malformed_tsv`, `malformed_json`.
    pub(super) fn parse(line: &'a str) -> Result<Row<'a>, Refusal> {
        if line.starts_with('{') {
            return Ok(Row::Json(object(line)?));
        }
        let fields: Vec<&str> = line.split('\t').collect();
        match fields.len() == COLUMNS.len() {
            true => Ok(Row::Tsv(fields)),
            false => {
                let detail = format!("{} fields, not {}", fields.len(), COLUMNS.len());
                Err(Refusal::new(Reason::MalformedTsv, detail))
            }
        }
    }

    /// The text of a column; `None` if it is empty.
    ///
    /// # Errors
    /// `wrong_type` for an object or a list.
    pub(super) fn text(&self, column: &'static str) -> Result<Option<Cow<'a, str>>, Refusal> {
        match self {
            Row::Tsv(_) => Ok(self.cell(column).map(Cow::Borrowed)),
            Row::Json(object) => match object.get(column).present() {
                None => Ok(None),
                Some(value) => {
                    let text = value.text_or_number();
                    let text = text.ok_or_else(|| wrong_type(column, "a string or a number"))?;
                    Ok(Some(text))
                }
            },
        }
    }

    /// The cell of a column of the TSV, unless it is empty.
    fn cell(&self, column: &str) -> Option<&'a str> {
        let Row::Tsv(fields) = self else { return None };
        let place = COLUMNS.iter().position(|name| *name == column)?;
        fields.get(place).copied().filter(|cell| !cell.is_empty())
    }

    /// Sets a field to the text of a column.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub(super) fn copy(
        &self,
        record: &mut NativeRecord<'_>,
        field: Field,
        column: &'static str,
    ) -> Result<(), Refusal> {
        match self.text(column)? {
            Some(text) => record.put_text(field, column, &text),
            None => record.put(field, column, Json::ABSENT),
        }
        Ok(())
    }

    /// The self-describing JSON of a column: schema and data.
    fn described(&self, column: &'static str) -> Result<Option<Object<'a>>, Refusal> {
        let Some(cell) = self.cell(column) else {
            return Ok(None);
        };
        let described = Json::of(cell).object();
        let described = described.ok_or_else(|| wrong_type(column, "self-describing JSON"))?;
        Ok(Some(described))
    }

    /// The name of the schema of a self-describing event.
    pub(super) fn unstruct_name(&self) -> Option<Cow<'a, str>> {
        let outer = self.described("unstruct_event").ok()??;
        let schema = outer.get("data").object()?.get("schema").text()?;
        schema_name(&schema).map(|name| Cow::Owned(name.to_owned()))
    }

    /// The data of the self-describing event, if its schema has this name.
    ///
    /// # Errors
    /// `wrong_type`.
    pub(super) fn unstruct(&self, name: &str) -> Result<Option<Object<'a>>, Refusal> {
        if let Row::Json(object) = self {
            let mut members = object.members();
            let found = members.find(|(key, _)| {
                let rest = key.strip_prefix("unstruct_event_");
                rest.and_then(|rest| without_model(rest))
                    .is_some_and(|rest| rest.ends_with(name))
            });
            return Ok(found.and_then(|(_, value)| value.object()));
        }
        let Some(outer) = self.described("unstruct_event")? else {
            return Ok(None);
        };
        let inner = outer.get("data").object();
        let inner = inner.ok_or_else(|| wrong_type("unstruct_event", "self-describing JSON"))?;
        let schema = inner.get("schema").text().unwrap_or_default();
        Ok((schema_name(&schema) == Some(name))
            .then(|| inner.get("data").object())
            .flatten())
    }

    /// The first e-commerce entity of a name.
    ///
    /// # Errors
    /// `wrong_type`.
    pub(super) fn entity(&self, name: &str) -> Result<Option<Object<'a>>, Refusal> {
        if let Row::Json(object) = self {
            let mut members = object.members();
            let found = members.find(|(key, _)| {
                let rest = key.strip_prefix(ENTITIES);
                rest.and_then(|rest| without_model(rest)) == Some(name)
            });
            let list = found.and_then(|(_, value)| value.list());
            return Ok(list.and_then(|list| list.first()?.object()));
        }
        let Some(outer) = self.described("contexts")? else {
            return Ok(None);
        };
        let list = outer.get("data").list();
        let list = list.ok_or_else(|| wrong_type("contexts", "self-describing JSON"))?;
        let mut entities = list.iter().filter_map(|entity| entity.object());
        let found = entities.find(|entity| {
            let schema = entity.get("schema").text().unwrap_or_default();
            schema.starts_with("iglu:com.snowplowanalytics.snowplow.ecommerce/")
                && schema_name(&schema) == Some(name)
        });
        Ok(found.and_then(|entity| entity.get("data").object()))
    }
}

/// The name in `iglu:vendor/name/jsonschema/1-0-0`.
fn schema_name(schema: &str) -> Option<&str> {
    schema.split('/').nth(1)
}

/// A shredded key without the model at its end, as `transaction_1`.
fn without_model(key: &str) -> Option<&str> {
    let (name, model) = key.rsplit_once('_')?;
    let is_model = !model.is_empty() && model.bytes().all(|c| c.is_ascii_digit());
    is_model.then_some(name)
}

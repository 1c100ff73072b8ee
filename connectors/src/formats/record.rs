//! The native records that an adapter yields, and what becomes of an item.

use std::borrow::Cow;

use tributary_config::model::Kind;

use super::json::{Json, quote};
use crate::dead_letter::{Reason, Refusal};
use crate::native::fields::{Field, Fields};
use crate::raw_json::Raw;
use crate::rights_request::RightsRequest;

/// What a part of an item becomes.
#[derive(Clone, Debug)]
pub enum Outcome<'a> {
    /// A record, which is read like any other.
    Record(NativeRecord<'a>),
    /// A rights request.
    Rights(RightsRequest),
    /// Nothing: the product has no use for it.
    NotMapped,
    /// A dead letter.
    Refused(Refusal),
}

/// A native record with the vendor's path of each of its fields.
#[derive(Clone, Debug)]
pub struct NativeRecord<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Whether its time is not the one that the vendor states.
    pub is_time_corrected: bool,
    /// The values as JSON. Of a field that occurs twice the last counts.
    values: Vec<(Field, Cow<'a, str>)>,
    /// Where each field comes from, whether it has a value or not.
    origins: Vec<(Field, Cow<'static, str>)>,
}

impl<'a> NativeRecord<'a> {
    /// A record without fields.
    pub fn new(kind: Kind) -> NativeRecord<'a> {
        NativeRecord {
            kind,
            is_time_corrected: false,
            values: Vec::with_capacity(12),
            origins: Vec::with_capacity(12),
        }
    }

    /// Sets a field to a value at a path of the vendor; only the path is kept
    /// if the value is absent.
    pub fn put(&mut self, field: Field, path: impl Into<Cow<'static, str>>, value: Json<'a>) {
        self.origins.push((field, path.into()));
        if let Some(value) = value.present() {
            self.values.push((field, Cow::Borrowed(value.raw())));
        }
    }

    /// Sets a field to a text that is derived from a path of the vendor.
    pub fn put_text(&mut self, field: Field, path: impl Into<Cow<'static, str>>, text: &str) {
        self.put_json(field, path, quote(text));
    }

    /// Sets a field to JSON that is derived from a path of the vendor.
    pub fn put_json(
        &mut self,
        field: Field,
        path: impl Into<Cow<'static, str>>,
        json: impl Into<Cow<'a, str>>,
    ) {
        self.origins.push((field, path.into()));
        self.values.push((field, json.into()));
    }

    /// Sets a field of which the vendor has no path.
    pub fn set(&mut self, field: Field, json: impl Into<Cow<'a, str>>) {
        self.values.push((field, json.into()));
    }

    /// The JSON of a field; empty if it is absent.
    pub fn raw(&self, field: Field) -> &str {
        let mut values = self.values.iter().rev();
        let found = values.find(|(of, _)| *of == field);
        found.map_or("", |(_, raw)| raw)
    }

    /// Copies fields, with their paths, from another record.
    pub fn copy(&mut self, from: &NativeRecord<'a>, fields: &[Field]) {
        let is_one = |field: &Field| fields.contains(field);
        let values = from.values.iter().filter(|(field, _)| is_one(field));
        self.values.extend(values.cloned());
        let origins = from.origins.iter().filter(|(field, _)| is_one(field));
        self.origins.extend(origins.cloned());
    }

    /// The values, to be read like those of a JSON object.
    pub fn fields(&self) -> Fields<'_> {
        let mut fields = Fields::default();
        for (field, raw) in &self.values {
            fields.set(*field, Raw::of(raw));
        }
        fields
    }

    /// The record as a JSON object.
    pub fn to_json(&self) -> String {
        let fields = self.fields();
        let members = Field::ALL.iter().filter_map(|field| {
            let raw = fields.raw(*field);
            (!raw.is_empty()).then(|| format!("\"{}\":{raw}", field.name()))
        });
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }

    /// A refusal of this record, with the vendor's paths instead of the names
    /// of native fields.
    pub fn with_paths(&self, refusal: Refusal) -> Refusal {
        let mut detail = refusal.detail;
        for (field, path) in &self.origins {
            detail = detail.replace(&format!("`{}`", field.name()), &format!("`{path}`"));
        }
        Refusal { detail, ..refusal }
    }
}

/// The refusal of a part of an item that lacks what the vendor calls `path`.
pub fn missing(path: &str) -> Refusal {
    let detail = format!("`{path}` is required and absent, null or empty");
    Refusal::new(Reason::MissingField, detail)
}

/// The refusal of a value of the wrong type.
pub fn wrong_type(path: &str, must_be: &str) -> Refusal {
    Refusal::new(Reason::WrongType, format!("`{path}` must be {must_be}"))
}

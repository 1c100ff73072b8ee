//! Metadata of the endpoints: the form of requests and answers, as JSON Schema.
//!
//! What a type reads or writes has the schema that is derived from the type.
//! Here is the rest: what is read and written by hand, so that a refusal can
//! name the wrong field and cells are written fast.

use std::collections::HashMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use tributary_operators::cell::{Dimension, Family};
use tributary_operators::record::IdKind;

use tributary_rights::Right;
use tributary_rights::request::{MAX_ID, MAX_IDENTIFIERS};

use super::released::ReleasedCell;
use super::reply::{Link, Paths};
use super::request::MAX_PSEUDONYMS;
use super::retention_preview::{At, RetentionPreview};
use super::{Topic, key_rotation, partner};
use crate::report::cell_query::WORDS;

/// Metadata of an endpoint: `request_schema`, `response_schema` (of each line)
/// and `response_format`.
pub(super) fn metadata(topic: Topic) -> HashMap<String, String> {
    let (request, response) = match topic {
        Topic::Query => (query_request(Family::ALL), query_line(Family::ALL)),
        Topic::Partner => (
            query_request(partner::families()),
            query_line(partner::families()),
        ),
        Topic::Explain => (cell_request(), written::<ReleasedCell>()),
        Topic::Contributions => (
            explain_request(),
            json!({"oneOf": [written::<Link>(), written::<Paths>()]}),
        ),
        Topic::Retention => (read::<At>(), written::<RetentionPreview>()),
        Topic::Rights => (rights_request(), rights_line()),
        Topic::Keys(_) => (
            read::<key_rotation::Request>(),
            written::<key_rotation::RotationStatus>(),
        ),
    };
    HashMap::from([
        ("request_schema".to_owned(), request.to_string()),
        ("response_schema".to_owned(), response.to_string()),
        (
            "response_format".to_owned(),
            "application/x-ndjson".to_owned(),
        ),
    ])
}

/// What a type is read from.
fn read<T: JsonSchema>() -> Value {
    derived::<T>(SchemaSettings::draft2020_12().for_deserialize())
}

/// What a type is written as.
fn written<T: JsonSchema>() -> Value {
    derived::<T>(SchemaSettings::draft2020_12().for_serialize())
}

/// The schema of a type in one piece, without the name that the type has in the code.
fn derived<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let settings = settings.with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.remove("title");
    schema.into()
}

/// Request for cells, or for the rows of a query.
fn query_request(families: impl IntoIterator<Item = Family>) -> Value {
    let families = families.into_iter();
    let families = families.map(|family| Value::from(family.name()));
    let families: Vec<Value> = families.chain([Value::Null]).collect();
    let word = json!({"type": ["string", "number", "array", "null"]});
    let mut properties = Map::from_iter([("family".to_owned(), json!({"enum": families}))]);
    let words = WORDS.iter().map(|(word, ..)| *word);
    for name in words.chain(Dimension::ALL.iter().map(|of| of.name())) {
        properties.insert(name.to_owned(), word.clone());
    }
    json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

/// A cell; with words, a row, and last the position of the next page.
fn query_line(families: impl IntoIterator<Item = Family>) -> Value {
    let families: Vec<&str> = families.into_iter().map(Family::name).collect();
    let values = json!({"type": "object", "additionalProperties": {"type": ["integer", "null"]}});
    json!({
        "type": "object",
        "properties": {
            "family": {"enum": families},
            "cell": {"type": "object"},
            "value": values,
            "coverage": {"type": ["number", "null"]},
            "next": {"type": ["string", "null"]},
        },
        "anyOf": [{"required": ["cell", "value"]}, {"required": ["next"]}],
    })
}

/// The cell of a request; `day` is the schema of its day.
fn cell(day: Value) -> Value {
    let label = json!({"type": ["string", "null"]});
    json!({
        "type": "object",
        "properties": {
            "source": label,
            "medium": label,
            "campaign": label,
            "kind": {"enum": ["order", "transaction"]},
            "store": label,
            "day": day,
            "currency": label,
        },
        "required": ["kind", "day"],
        "additionalProperties": false,
    })
}

/// Request for an explanation from released cells.
fn cell_request() -> Value {
    let day = json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$"});
    json!({
        "type": "object",
        "properties": {"cell": cell(day)},
        "required": ["cell"],
        "additionalProperties": false,
    })
}

/// Request for an exact explanation.
fn explain_request() -> Value {
    let pseudonyms = json!({
        "type": "array",
        "items": {"type": "string", "pattern": "^[0-9a-fA-F]{32}$"},
        "minItems": 1,
        "maxItems": MAX_PSEUDONYMS,
    });
    json!({
        "type": "object",
        "oneOf": [{"required": ["person"]}, {"required": ["cell"]}],
        "properties": {
            "person": {
                "type": "object",
                "properties": {"from": pseudonyms, "to": pseudonyms},
                "required": ["from", "to"],
                "additionalProperties": false,
            },
            "cell": cell(json!({"type": "string", "format": "date"})),
        },
        "additionalProperties": false,
    })
}

/// Request of a data subject. Which fields belong to which type is stated by
/// the refusal.
fn rights_request() -> Value {
    let text = json!({"type": ["string", "integer"]});
    json!({
        "type": "object",
        "properties": {
            "id": {"type": ["string", "integer"], "maxLength": MAX_ID},
            "ts": text,
            "type": {"enum": Right::ALL.map(Right::name)},
            "brand": text,
            "identifiers": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "kind": {"enum": IdKind::ALL.map(IdKind::name)},
                        "value": text, "first_name": text, "last_name": text, "postcode": text,
                    },
                    "required": ["kind"],
                    "additionalProperties": false,
                },
                "minItems": 1,
                "maxItems": MAX_IDENTIFIERS,
            },
            "whole_person": {"type": "boolean"},
            "proof": text,
            "reply_key": {"type": "string", "pattern": "^age1[02-9ac-hj-np-z]{58}$"},
            "record": {
                "type": "object",
                "properties": {
                    "kind": {"enum": ["web", "transaction", "wallet", "partner"]},
                    "source": text,
                    "data": {"type": "object", "required": ["id"]},
                },
                "required": ["kind", "source", "data"],
                "additionalProperties": false,
            },
            "directive": {
                "type": "object",
                "properties": {
                    "action": {"enum": ["erase", "keep"]},
                    "notice": {"type": "boolean"},
                },
                "required": ["action"],
                "additionalProperties": false,
            },
        },
        "required": ["id", "ts", "type", "identifiers", "proof"],
        "additionalProperties": false,
    })
}

/// Confirmation of a request of a data subject.
fn rights_line() -> Value {
    json!({
        "type": "object",
        "properties": {
            "at": {"type": "integer"},
            "brand": {"type": "string"},
            "id": {"type": "string"},
            "status": {"const": "pending"},
            "type": {"enum": Right::ALL.map(Right::name)},
        },
        "required": ["at", "brand", "id", "status", "type"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_schemas_know_what_the_types_do_not() {
        let asked = read::<key_rotation::Request>();
        assert_eq!(asked["properties"]["id"]["pattern"], "^[0-9a-f]{32}$");
        let proof = &asked["properties"]["proofs"]["additionalProperties"];
        assert_eq!(proof["pattern"], "^[0-9a-f]{64}$");
        assert_eq!(asked["required"], json!(["id", "proofs", "begin"]));
        assert_eq!(asked["additionalProperties"], false);

        let at = read::<At>();
        assert_eq!(at["properties"]["at"]["type"], json!(["integer", "null"]));
        assert_eq!(at["additionalProperties"], false);

        let preview = written::<RetentionPreview>();
        let part = &preview["properties"]["categories"]["items"];
        let required = ["category", "months", "records", "since"];
        assert_eq!(part["required"], json!(required));
        assert_eq!(part["properties"]["since"]["format"], "date");

        let link = written::<Link>();
        assert_eq!(link["required"], json!(["hops", "hub", "known"]));
        let hop = &link["properties"]["hops"]["items"]["properties"];
        assert_eq!(hop["from"]["enum"], json!(IdKind::ALL.map(IdKind::name)));

        let paths = written::<Paths>();
        let words = &paths["properties"]["paths"]["items"]["properties"]["path"]["items"];
        assert_eq!(words["items"]["type"], json!(["string", "null"]));
        assert_eq!(
            (&words["minItems"], &words["maxItems"]),
            (&json!(3), &json!(3))
        );

        let status = written::<key_rotation::RotationStatus>().to_string();
        for state in ["waiting", "possible", "moving", "done"] {
            assert!(
                status.contains(&format!("\"const\":\"{state}\"")),
                "{status}"
            );
        }
        for topic in [
            Topic::Query,
            Topic::Explain,
            Topic::Contributions,
            Topic::Retention,
            Topic::Rights,
        ] {
            let text = format!("{:?}", metadata(topic));
            assert!(
                !text.contains("$ref") && !text.contains("$schema"),
                "{text}"
            );
        }
    }
}

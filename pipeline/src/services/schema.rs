//! What micro tells about an endpoint: the shape of requests and answers, as JSON Schema.

use std::collections::HashMap;

use serde_json::{Value, json};
use tributary_operators::record::IdKind;

use super::Topic;
use super::request::{MAX_PSEUDONYMS, family_names};

/// The metadata of an endpoint: `request_schema`, `response_schema` (of each line) and `response_format`.
pub(super) fn metadata(topic: Topic) -> HashMap<String, String> {
    let (request, response) = match topic {
        Topic::Query => (query_request(), query_line()),
        Topic::Explain => (explain_request(), explain_line()),
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

fn query_request() -> Value {
    let mut families: Vec<Value> = family_names().into_iter().map(Value::from).collect();
    families.push(Value::Null);
    json!({
        "type": "object",
        "properties": {"family": {"enum": families}},
        "additionalProperties": false,
    })
}

fn query_line() -> Value {
    json!({
        "type": "object",
        "properties": {
            "family": {"enum": family_names()},
            "cell": {"type": "object"},
            "value": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
        "required": ["family", "cell", "value"],
    })
}

fn explain_request() -> Value {
    let pseudonyms = json!({
        "type": "array",
        "items": {"type": "string", "pattern": "^[0-9a-fA-F]{32}$"},
        "minItems": 1,
        "maxItems": MAX_PSEUDONYMS,
    });
    let label = json!({"type": ["string", "null"]});
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
            "cell": {
                "type": "object",
                "properties": {
                    "source": label,
                    "medium": label,
                    "campaign": label,
                    "kind": {"enum": ["order", "transaction"]},
                    "store": label,
                    "day": {"type": "string", "format": "date"},
                    "currency": label,
                },
                "required": ["kind", "day"],
                "additionalProperties": false,
            },
        },
        "additionalProperties": false,
    })
}

fn explain_line() -> Value {
    let pair = json!({
        "type": "array",
        "items": {"type": "boolean"},
        "minItems": 2,
        "maxItems": 2,
    });
    let kind = json!({"enum": IdKind::ALL.map(IdKind::name)});
    json!({
        "oneOf": [
            {
                "type": "object",
                "properties": {
                    "known": pair,
                    "hub": pair,
                    "hops": {
                        "type": ["array", "null"],
                        "items": {
                            "type": "object",
                            "properties": {
                                "from": kind,
                                "to": kind,
                                "source": {"type": ["string", "null"]},
                                "day": {"type": "string", "format": "date"},
                            },
                        },
                    },
                },
                "required": ["known", "hub", "hops"],
            },
            {
                "type": "object",
                "properties": {
                    "paths": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "path": {
                                    "type": "array",
                                    "items": {
                                        "type": "array",
                                        "items": {"type": ["string", "null"]},
                                        "minItems": 3,
                                        "maxItems": 3,
                                    },
                                },
                                "persons": {"type": "integer"},
                                "conversions": {"type": "integer"},
                            },
                        },
                    },
                    "hidden": {
                        "type": "object",
                        "properties": {"paths": {"type": "integer"}},
                    },
                },
                "required": ["paths", "hidden"],
            },
        ],
    })
}

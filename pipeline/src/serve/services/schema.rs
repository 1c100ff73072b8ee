//! Metadata of the endpoints: the form of requests and answers, as JSON Schema.

use std::collections::HashMap;

use serde_json::{Value, json};
use tributary_operators::cell::Family;
use tributary_operators::record::IdKind;

use tributary_rights::Right;
use tributary_rights::request::{MAX_ID, MAX_IDENTIFIERS};

use super::request::MAX_PSEUDONYMS;
use super::{Topic, retention_preview};

/// Metadata of an endpoint: `request_schema`, `response_schema` (of each line)
/// and `response_format`.
pub(super) fn metadata(topic: Topic) -> HashMap<String, String> {
    let (request, response) = match topic {
        Topic::Query => (query_request(), query_line()),
        Topic::Explain => (explain_request(), explain_line()),
        Topic::Retention => (
            retention_preview::request_schema(),
            retention_preview::line_schema(),
        ),
        Topic::Rights => (rights_request(), rights_line()),
        Topic::Keys(_) => (keys_request(), keys_line()),
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

/// Request of a key rotation.
fn keys_request() -> Value {
    let digits =
        |count: usize| json!({"type": "string", "pattern": format!("^[0-9a-f]{{{count}}}$")});
    json!({
        "type": "object",
        "properties": {
            "id": digits(32),
            "proofs": {"type": "object", "additionalProperties": digits(64)},
            "begin": {"type": "boolean"},
        },
        "required": ["id", "proofs", "begin"],
        "additionalProperties": false,
    })
}

/// Answer of a key rotation.
fn keys_line() -> Value {
    let count = json!({"type": "integer", "minimum": 0});
    json!({
        "type": "object",
        "properties": {
            "process": count,
            "processes": count,
            "state": {"enum": ["waiting", "possible", "moving", "done"]},
            "read": count,
            "total": count,
            "moved": count,
            "files": count,
        },
        "required": ["process", "processes", "state"],
    })
}

/// Request for cells.
fn query_request() -> Value {
    let families = Family::ALL.map(|family| Value::from(family.name()));
    let families: Vec<Value> = families.into_iter().chain([Value::Null]).collect();
    json!({
        "type": "object",
        "properties": {"family": {"enum": families}},
        "additionalProperties": false,
    })
}

/// A cell.
fn query_line() -> Value {
    json!({
        "type": "object",
        "properties": {
            "family": {"enum": Family::ALL.map(Family::name)},
            "cell": {"type": "object"},
            "value": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
        "required": ["family", "cell", "value"],
    })
}

/// Request for an explanation.
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

/// An explanation.
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
            "reply_key": {"type": "string", "contentEncoding": "base64"},
            "record": {
                "type": "object",
                "properties": {
                    "kind": {"enum": ["web", "transaction"]},
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

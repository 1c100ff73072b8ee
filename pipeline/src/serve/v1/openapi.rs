//! The description of the interface as OpenAPI 3.1, made from the table of
//! families, the words of queries and the types of the answers, so that none of
//! them can differ from what the server reads and writes.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};
use tributary_operators::cell::{Dimension, Family, Form};

use super::ingest_paths;
use crate::report::cell_query::{QueryError, WORDS};
use crate::serve::response::ARROW;

/// The description.
pub fn openapi() -> Value {
    let paths: Map<String, Value> = Family::ALL
        .into_iter()
        .map(|family| (format!("/v1/cells/{}", family.name()), path(family)))
        .chain([
            (
                "/v1/rights".to_owned(),
                privacy_path(
                    "rights_requests",
                    "The rights requests of a brand, the most urgent first.",
                    request(),
                ),
            ),
            (
                "/v1/audit".to_owned(),
                privacy_path(
                    "audit_log",
                    "The last entries of a brand's audit log in words, the oldest first.",
                    log_line(),
                ),
            ),
        ])
        .chain(ingest_paths::paths())
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tributary",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Released cells: what is hidden for privacy is in no row, and never 0. Records are sent to the address of `[http_ingest]`.",
        },
        "paths": paths,
        "security": [{}, {"token": []}],
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token of the brand with the role read or operate, if tokens are configured.",
                },
                "ingest_token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of the source, if ingest tokens are configured.",
                },
                "write_key": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "A token of a source in the format segment as the user, without a password.",
                },
            },
            "schemas": {"Error": error(), "IngestError": ingest_paths::error()},
        },
    })
}

/// The path of a family.
fn path(family: Family) -> Value {
    let mut parameters = vec![json!({
        "name": "brand",
        "in": "query",
        "description": "The brand; optional if there is only one that may be read.",
        "schema": {"type": "string"},
    })];
    for (name, meaning, example) in WORDS {
        let mut parameter = json!({
            "name": name,
            "in": "query",
            "description": meaning,
            "schema": word(name),
        });
        let is_of_family = !matches!(name, "group_by" | "sort");
        if !example.is_empty()
            && is_of_family
            && let Some(parameter) = parameter.as_object_mut()
        {
            let example = example
                .parse::<u64>()
                .map_or(json!(example), |number| json!(number));
            parameter.insert("example".to_owned(), example);
        }
        parameters.push(parameter);
    }
    let own = family.row().dimensions.iter();
    parameters.extend(own.filter(|of| **of != Dimension::Brand).map(|of| {
        json!({
            "name": of.name(),
            "in": "query",
            "description": format!("{} Only cells with one of these values; empty for cells without one.", of.meaning()),
            "schema": {"type": "array", "items": {"type": "string"}},
            "style": "form",
            "explode": true,
        })
    }));
    let refused = |meaning: &str| {
        json!({
            "description": meaning,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        })
    };
    let answer = json!({
        "description": "The rows.",
        "headers": {
            "Link": {
                "description": "The next page, with rel=\"next\" (RFC 8288).",
                "schema": {"type": "string"},
            },
        },
        "content": {
            "application/json": {"schema": {
                "type": "object",
                "properties": {
                    "rows": {"type": "array", "items": row(family)},
                    "next": {"type": ["string", "null"]},
                    "previous": {
                        "type": "object",
                        "properties": {
                            "from": {"type": "string", "format": "date"},
                            "to": {"type": "string", "format": "date"},
                        },
                        "required": ["from", "to"],
                    },
                },
                "required": ["rows", "next"],
            }},
            "application/x-ndjson": {"schema": row(family)},
            "text/csv": {"schema": {"type": "string"}},
            ARROW: {"schema": {"type": "string", "contentMediaType": ARROW, "contentEncoding": "binary"}},
        },
    });
    json!({
        "get": {
            "operationId": format!("{}_cells", family.name()),
            "summary": summary(family),
            "parameters": parameters,
            "responses": {
                "200": answer,
                "400": refused("A parameter is wrong."),
                "401": {"description": "An access token is required."},
                "403": {"description": "The access token does not permit this."},
                "429": {"description": "Too many wrong access tokens."},
                "503": refused("Ask again."),
            },
        },
    })
}

/// A path that needs the role `privacy`, whose answer lists `item`s.
fn privacy_path(id: &str, summary: &str, item: Value) -> Value {
    let list = match id {
        "audit_log" => "entries",
        _ => "requests",
    };
    let mut properties = Map::new();
    properties.insert("brand".to_owned(), json!({"type": "string"}));
    properties.insert(list.to_owned(), json!({"type": "array", "items": item}));
    if id == "audit_log" {
        let here = json!({"type": "boolean", "description": "Whether this process keeps the log: process 0 does."});
        properties.insert("here".to_owned(), here);
    }
    let refused = |meaning: &str| {
        json!({
            "description": meaning,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        })
    };
    json!({
        "get": {
            "operationId": id,
            "summary": summary,
            "description": "Needs a token of the brand with the role privacy, if tokens are configured.",
            "parameters": [{
                "name": "brand",
                "in": "query",
                "description": "The brand; optional if there is only one whose requests may be seen.",
                "schema": {"type": "string"},
            }],
            "responses": {
                "200": {
                    "description": "The list.",
                    "content": {"application/json": {"schema": {
                        "type": "object",
                        "properties": properties,
                        "required": ["brand", list],
                    }}},
                },
                "400": refused("A parameter is wrong."),
                "401": {"description": "An access token is required."},
                "403": {"description": "The access token does not permit this."},
                "429": {"description": "Too many wrong access tokens."},
                "503": refused("Ask again."),
            },
        },
    })
}

/// The schema of a rights request.
fn request() -> Value {
    json!({
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "The sender's reference."},
            "type": {"type": ["string", "null"]},
            "status": {"enum": ["sent", "pending", "in_progress", "completed", "rejected"]},
            "reason": {"type": ["string", "null"]},
            "received": {"type": "integer", "description": "Unix milliseconds."},
            "ended": {"type": ["integer", "null"], "description": "Unix milliseconds."},
            "counts": {"type": ["object", "null"], "additionalProperties": {"type": "integer"}},
            "answer_by": {"type": "string", "format": "date", "description": "The last day on which it may be answered (GDPR, Article 12(3))."},
            "days_left": {"type": ["integer", "null"], "description": "Negative once the last day has passed; null if the request has ended."},
        },
        "required": ["id", "status", "received", "answer_by"],
    })
}

/// The schema of an entry of the audit log.
fn log_line() -> Value {
    json!({
        "type": "object",
        "properties": {
            "seq": {"type": "integer", "minimum": 1},
            "at": {"type": "integer", "description": "Unix milliseconds."},
            "request": {"type": ["string", "null"], "description": "A keyed hash of the request's ID; null for a checkpoint."},
            "words": {"type": "string"},
        },
        "required": ["seq", "at", "request", "words"],
    })
}

/// The meaning of a family.
fn summary(family: Family) -> &'static str {
    family.row().meaning.trim()
}

/// The schema of a word.
fn word(name: &str) -> Value {
    match name {
        "limit" => json!({"type": "integer", "minimum": 1, "maximum": 10_000, "default": 1000}),
        "compare" => json!({"enum": ["previous"]}),
        "format" => json!({"enum": ["json", "ndjson", "csv", "arrow"], "default": "json"}),
        "from" | "to" => json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$"}),
        _ => json!({"type": "string"}),
    }
}

/// The schema of a row. Grouped rows have some of the dimensions.
fn row(family: Family) -> Value {
    let dims = family.row().dimensions.iter();
    let dims: Map<String, Value> = dims
        .map(|of| (of.name().to_owned(), dimension(*of)))
        .collect();
    let values = family.values().iter();
    let values: Map<String, Value> = values
        .map(|name| ((*name).to_owned(), json!({"type": ["integer", "null"]})))
        .collect();
    let value = json!({"type": "object", "properties": values});
    let coverage = json!({
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": 1,
        "description": "The share that the row covers of what may belong to it, rounded down to tenths; null if that is unknown.",
    });
    json!({
        "type": "object",
        "properties": {
            "cell": {"type": "object", "properties": dims},
            "value": value,
            "coverage": coverage,
            "previous": {
                "type": ["object", "null"],
                "properties": {"value": value, "coverage": coverage},
            },
        },
        "required": ["cell", "value", "coverage"],
    })
}

/// The schema of a dimension.
fn dimension(of: Dimension) -> Value {
    let mut schema = match of.form() {
        // Visits have no currency.
        Form::Word if of == Dimension::Currency => json!({"type": ["string", "null"]}),
        Form::Word => json!({"type": "string"}),
        Form::Name => json!({"type": ["string", "null"]}),
        // The rest of a month stands among its days.
        Form::Day => json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$"}),
        Form::Month => json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"}),
        Form::Hour => json!({"type": "string", "format": "date-time"}),
        Form::Count => json!({"type": "integer", "minimum": 0}),
        Form::Path => json!({
            "type": "array",
            "items": {"type": "array", "items": {"type": ["string", "null"]}, "minItems": 3, "maxItems": 3},
        }),
    };
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), json!(of.meaning()));
    }
    schema
}

/// The schema of an error.
fn error() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let settings = settings.with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = QueryError::json_schema(&mut settings.into_generator());
    schema.remove("title");
    json!({"type": "object", "properties": {"error": schema}, "required": ["error"]})
}

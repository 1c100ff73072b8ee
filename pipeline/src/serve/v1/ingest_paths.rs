//! The paths of the HTTP ingest server in the OpenAPI description. They are
//! served at the address of `[http_ingest]`, not at that of the description.

use serde_json::{Map, Value, json};
use tributary_config::model::Kind;

/// The media types of a body and what each contains.
const BODIES: [(&str, &str); 6] = [
    ("application/json", "One record, or an array of records."),
    ("application/x-ndjson", "One record per line."),
    (
        "text/csv",
        "A header and rows, for sources with a column map and for google_offline.",
    ),
    ("text/tab-separated-values", "Lines of Snowplow."),
    (
        "application/cloudevents+json",
        "One CloudEvent 1.0 with its data.",
    ),
    (
        "application/cloudevents-batch+json",
        "An array of CloudEvents 1.0.",
    ),
];

/// The calls of Segment's API.
const CALLS: [&str; 8] = [
    "track", "page", "screen", "identify", "alias", "group", "batch", "import",
];

/// The paths with their descriptions.
pub(super) fn paths() -> Map<String, Value> {
    let named = |name: &str, meaning: &str, schema: Value| {
        json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": meaning,
            "schema": schema,
        })
    };
    let text = json!({"type": "string", "pattern": "^[a-z0-9_-]+$"});
    let kinds = Kind::ALL.map(Kind::name);
    let brand = named("brand", "A configured brand.", text.clone());
    let kind = named("kind", "The kind of the records.", json!({"enum": kinds}));
    let source = named("source", "A source of the brand.", text);
    let mut paths = Map::new();
    let short = json!([brand, kind]);
    let long = json!([brand, kind, source]);
    paths.insert(
        "/v1/in/{brand}/{kind}".to_owned(),
        records("ingest_kind", &short),
    );
    paths.insert(
        "/v1/in/{brand}/{kind}/{source}".to_owned(),
        records("ingest_source", &long),
    );
    for call in CALLS {
        paths.insert(format!("/v1/{call}"), segment(call));
    }
    paths
}

/// The schema of an error.
pub(super) fn error() -> Value {
    json!({
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "reason": {"type": "string"},
                    "message": {"type": "string", "description": "What is wrong, and what would be right."},
                },
                "required": ["reason", "message"],
            },
        },
        "required": ["error"],
    })
}

/// The responses of requests that are refused.
fn refusals() -> Map<String, Value> {
    let meanings = [
        (
            "400",
            "The body is cut off or damaged, or a header is wrong; nothing is stored.",
        ),
        ("401", "No such source, or not its token."),
        ("403", "The origin of the page is not configured."),
        ("408", "The body did not arrive in time."),
        ("409", "The Idempotency-Key was used for another body."),
        ("413", "The body or a line of it is too large."),
        ("415", "The source does not read this type or encoding."),
        (
            "429",
            "Too many messages are not acknowledged yet: send it again.",
        ),
        ("503", "The broker is away: send it again."),
    ];
    let responses = meanings.map(|(code, meaning)| {
        let mut response = json!({
            "description": meaning,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/IngestError"}}},
        });
        if matches!(code, "429" | "503")
            && let Some(response) = response.as_object_mut()
        {
            let header = json!({"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}});
            response.insert("headers".to_owned(), header);
        }
        (code.to_owned(), response)
    });
    responses.into_iter().collect()
}

/// The header by which a repetition counts once.
fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A repetition with the same key and body counts once.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    })
}

/// A path of records.
fn records(id: &str, parameters: &Value) -> Value {
    let bodies: Map<String, Value> = BODIES
        .into_iter()
        .map(|(media, meaning)| {
            (
                media.to_owned(),
                json!({"schema": {"description": meaning}}),
            )
        })
        .collect();
    let mut responses = refusals();
    responses.insert(
        "202".to_owned(),
        json!({
            "description": "The input stream has acknowledged every line.",
            "content": {"application/json": {"schema": {
                "type": "object",
                "properties": {
                    "left_out": {"type": "integer", "minimum": 1, "description": "Rows of CSV that the filter `only` of the source left out; absent without any."},
                    "lines": {"type": "integer", "minimum": 0},
                    "messages": {"type": "integer", "minimum": 0},
                },
                "required": ["lines", "messages"],
            }}},
        }),
    );
    json!({
        "parameters": parameters,
        "post": {
            "operationId": id,
            "summary": "Sends records to the input stream. Bodies may be gzip or zstd. What is no record becomes a dead letter.",
            "security": [{}, {"ingest_token": []}],
            "parameters": [idempotency_key()],
            "requestBody": {"required": true, "content": bodies},
            "responses": responses,
        },
        "get": {
            "operationId": format!("{id}_validator"),
            "summary": "The validator of a Meraki source.",
            "security": [{}],
            "responses": {
                "200": {"description": "The validator.", "content": {"text/plain": {"schema": {"type": "string"}}}},
                "404": {"description": "There is nothing to read here."},
            },
        },
    })
}

/// A path of Segment's API.
fn segment(call: &str) -> Value {
    let mut responses = refusals();
    responses.insert(
        "200".to_owned(),
        json!({
            "description": "The input stream has acknowledged every message.",
            "content": {"application/json": {"schema": {
                "type": "object",
                "properties": {"success": {"const": true}},
                "required": ["success"],
            }}},
        }),
    );
    json!({
        "post": {
            "operationId": format!("segment_{call}"),
            "summary": format!("The call `{call}` of Segment's HTTP API, as the SDKs of Segment and RudderStack send it."),
            "security": [{}, {"write_key": []}],
            "parameters": [idempotency_key()],
            "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object"}}}},
            "responses": responses,
        },
    })
}

//! The JSON Schema of the configuration, for editors that complete and validate
//! while one types.
//!
//! The schema accepts every valid file. It cannot express all checks, such as
//! unique names or existing files, so a file that it accepts may still be
//! rejected.
//!
//! It is made from the table of settings that the reader itself works by, so the
//! two cannot differ. A schema derived from the Rust types would know no units,
//! defaults or rules between settings, which are in that table alone.

use serde_json::{Map, Value as Json, json};
use toml_edit::Value;

use crate::settings::{DefaultValue, ROOT, Section, SettingInfo, children};

/// The JSON Schema (draft 2020-12) of the configuration file, read as JSON.
///
/// ```
/// let schema = tributary_config::schema();
/// assert_eq!(schema["properties"]["release"]["properties"]["k"]["default"], 50);
/// assert_eq!(schema["required"][0], "brand");
/// ```
/// The schema has the sections as nested objects. Its descriptions are the
/// meanings of the reference, and its defaults are the values that
/// [`crate::print()`] marks as such.
pub fn schema() -> Json {
    let mut schema = table(&ROOT);
    if let Json::Object(object) = &mut schema {
        let dialect = json!("https://json-schema.org/draft/2020-12/schema");
        object.insert("$schema".to_owned(), dialect);
        object.insert("required".to_owned(), json!(["brand"]));
    }
    schema
}

/// The schema of a section, including the sections below it.
fn table(section: &Section) -> Json {
    let rows = (section.rows)();
    let mut properties = Map::new();
    let mut required: Vec<&str> = Vec::new();
    for row in &rows {
        properties.insert(row.key().to_owned(), setting(*row));
        if row.default() == DefaultValue::Required {
            required.push(row.key());
        }
    }
    for child in children(section.path) {
        let schema = match child.many {
            true => json!({"type": "array", "items": table(&child), "title": child.title}),
            false => table(&child),
        };
        properties.insert(child.key().to_owned(), schema);
    }
    if section.path.is_empty()
        && let Some(Json::Object(brands)) = properties.get_mut("brand")
    {
        brands.insert("minItems".to_owned(), json!(1));
    }
    let mut object = Map::new();
    object.insert("title".to_owned(), json!(section.title));
    object.insert("description".to_owned(), json!(section.meaning));
    object.insert("type".to_owned(), json!("object"));
    object.insert("properties".to_owned(), Json::Object(properties));
    object.insert("additionalProperties".to_owned(), json!(false));
    if !required.is_empty() {
        object.insert("required".to_owned(), json!(required));
    }
    let rules = rules(section);
    if !rules.is_empty() {
        object.insert("allOf".to_owned(), Json::Array(rules));
    }
    Json::Object(object)
}

/// The rules on combinations of settings: at most one of, at least one of, and
/// requires.
fn rules(section: &Section) -> Vec<Json> {
    let has = |key: &&str| json!({"required": [key]});
    let mut rules = Vec::new();
    for group in section.exclusive {
        for (i, one) in group.iter().enumerate() {
            for other in group.iter().skip(i + 1) {
                rules.push(json!({"not": {"required": [one, other]}}));
            }
        }
    }
    for group in section.one_of {
        rules.push(json!({"anyOf": group.iter().map(has).collect::<Vec<_>>()}));
    }
    for (key, needs) in section.needs {
        let then = json!({"anyOf": needs.iter().map(has).collect::<Vec<_>>()});
        rules.push(json!({"if": has(key), "then": then}));
    }
    rules
}

/// The schema of one setting, with its title, description and default.
fn setting(row: &dyn SettingInfo) -> Json {
    let mut schema = row.schema();
    if let Json::Object(object) = &mut schema {
        object.insert("title".to_owned(), json!(row.key().replace('_', " ")));
        let unit = match row.unit() {
            "" => String::new(),
            unit => format!(" In {unit}."),
        };
        let described = format!("{}{unit}", row.meaning());
        object.insert("description".to_owned(), json!(described));
        if let DefaultValue::Toml(text) = row.default()
            && let Ok(value) = text.parse::<Value>()
        {
            object.insert("default".to_owned(), to_json(&value));
        }
    }
    schema
}

/// A default of the table as JSON.
fn to_json(value: &Value) -> Json {
    match value {
        Value::String(text) => json!(text.value()),
        Value::Integer(number) => json!(number.value()),
        Value::Float(number) => json!(number.value()),
        Value::Boolean(switch) => json!(switch.value()),
        Value::Datetime(time) => json!(time.value().to_string()),
        Value::Array(list) => list.iter().map(to_json).collect(),
        Value::InlineTable(table) => table
            .iter()
            .map(|(key, value)| (key.to_owned(), to_json(value)))
            .collect(),
    }
}

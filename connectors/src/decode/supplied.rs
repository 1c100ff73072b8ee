//! What a message supplies to records that lack it: the id and the time of a
//! CloudEvent.

use std::borrow::Cow;

use crate::native::fields::{self, Field};
use crate::native::line::MessageContext;
use tributary_config::model::Kind;

/// The id that a message supplies to a record at a position: its own if it has
/// one record, else with the position, because an id names one record.
pub(super) fn supplied_id(id: Option<&str>, single: bool, index: usize) -> Option<Cow<'_, str>> {
    let id = id?;
    Some(match single {
        true => Cow::Borrowed(id),
        false => Cow::Owned(format!("{id}/{index}")),
    })
}

/// A record with what its message supplies, as a JSON object with sorted keys.
pub(super) fn completed(text: &str, kind: Kind, context: MessageContext<'_>) -> String {
    use serde_json::Value;
    let Ok(Value::Object(mut record)) = serde_json::from_str::<Value>(text) else {
        return text.to_owned();
    };
    let supplied = [(Field::Id, context.id), (Field::Ts, context.time)];
    for (field, value) in supplied {
        let own = record.get(field.name());
        let is_absent = own.is_none_or(|own| own.is_null() || own == "");
        if let Some(value) = value.filter(|_| is_absent)
            && fields::of_kind(kind).contains(&field)
        {
            record.insert(field.name().to_owned(), Value::from(value));
        }
    }
    Value::Object(record).to_string()
}

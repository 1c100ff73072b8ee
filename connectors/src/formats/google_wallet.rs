//! Google Wallet: the callbacks that it makes when a customer saves or deletes a pass.
//!
//! Facts: <https://developers.google.com/wallet/generic/use-cases/use-callbacks-for-saves-and-deletions>.
//!
//! An item is the envelope that Google posts, whose `signedMessage` is JSON in a text, or that message as an object. Who receives the
//! callback has verified its signature. Google repeats a callback until it is acknowledged, under the same `nonce`: of
//! several the first arrival counts.

use std::borrow::Cow;

use tributary_config::model::Kind;

use super::adapter::{Emit, Item, emit_all, object};
use super::json::Object;
use super::record::{NativeRecord, missing, wrong_type};
use crate::dead_letter::{Reason, Refusal};
use crate::native::fields::Field;

/// Reads a callback.
pub fn read<'a>(item: Item<'a>, emit: &mut Emit<'_, 'a>) {
    let converted = object(item.text).and_then(|callback| of_envelope(item, &callback));
    emit_all(item.text, converted, emit);
}

/// The records of an envelope, or of the message that it would hold.
fn of_envelope<'a>(
    item: Item<'a>,
    callback: &Object<'a>,
) -> Result<Vec<NativeRecord<'a>>, Refusal> {
    let signed = callback.get("signedMessage");
    if signed.is_absent() {
        return convert(item, callback);
    }
    if let Some(message) = signed.is_object().then(|| signed.object()).flatten() {
        return convert(item, &message);
    }
    let text: Cow<'_, str> = signed
        .text()
        .ok_or_else(|| wrong_type("signedMessage", "a string or an object"))?;
    let message: Object<'_> = serde_json::from_str(&text).map_err(|_| {
        let detail = "`signedMessage` must be JSON";
        Refusal::new(Reason::MalformedJson, detail)
    })?;
    convert(item, &message)
}

/// The record of a message; none for an event that is neither a save nor a deletion.
fn convert<'a>(item: Item<'_>, message: &Object<'_>) -> Result<Vec<NativeRecord<'a>>, Refusal> {
    let event = message.get("eventType").text();
    let kind = match event.as_deref() {
        Some("save") => "install",
        Some("del") => "remove",
        Some(_) => return Ok(Vec::new()),
        None => return Err(missing("eventType")),
    };
    let object = message.get("objectId").text();
    let object = object.ok_or_else(|| missing("objectId"))?;
    // The part before the first dot is the issuer's number.
    let pass = object.split_once('.').map_or(&*object, |(_, pass)| pass);
    let nonce = message.get("nonce").text_or_number();
    let nonce = nonce.ok_or_else(|| missing("nonce"))?;
    let mut record = NativeRecord::new(Kind::Wallet);
    record.put_text(Field::Id, "nonce", &nonce);
    record.set(Field::Ts, item.at.to_string());
    record.set(Field::Version, item.at.saturating_neg().to_string());
    record.put_text(Field::Type, "eventType", kind);
    record.put_text(Field::Wallet, "objectId", pass);
    record.set(Field::Platform, "\"google\"");
    Ok(vec![record])
}

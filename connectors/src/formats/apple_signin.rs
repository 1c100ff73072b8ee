//! Sign in with Apple: the notifications that Apple sends about accounts, as the payload of a verified token.
//!
//! Facts: <https://developer.apple.com/documentation/signinwithapple/processing-changes-for-sign-in-with-apple-accounts>.
//!
//! `consent-revoked` withdraws every purpose for the customer whose number is `sub`. Forwarding of mail says nothing about consent,
//! and an account that is deleted at Apple is none of the brand's: these are not mapped. `events` is JSON in a text, and
//! `event_time` is in seconds in some deliveries and in milliseconds in others.

use std::borrow::Cow;

use tributary_config::model::Kind;

use super::adapter::{Emit, Item, emit_all, object};
use super::json::{Object, quote};
use super::record::{NativeRecord, missing, wrong_type};
use crate::dead_letter::{Reason, Refusal};
use crate::native::fields::Field;

/// The largest time in seconds; what is larger is in milliseconds.
const MOST_SECONDS: i64 = 100_000_000_000;

/// The number of purposes of the IAB Transparency and Consent Framework.
const PURPOSES: u8 = 11;

/// Reads a notification.
pub fn read<'a>(item: Item<'a>, emit: &mut Emit<'_, 'a>) {
    let converted = object(item.text).and_then(|payload| of_payload(item, &payload));
    emit_all(item.text, converted, emit);
}

/// The records of a payload.
fn of_payload<'a>(item: Item<'_>, payload: &Object<'_>) -> Result<Vec<NativeRecord<'a>>, Refusal> {
    let events = payload.get("events");
    if let Some(event) = events.is_object().then(|| events.object()).flatten() {
        return convert(item, payload, &event);
    }
    let text: Cow<'_, str> = events.text().ok_or_else(|| match events.is_absent() {
        true => missing("events"),
        false => wrong_type("events", "a string or an object"),
    })?;
    let event: Object<'_> = serde_json::from_str(&text).map_err(|_| {
        let detail = "`events` must be JSON";
        Refusal::new(Reason::MalformedJson, detail)
    })?;
    convert(item, payload, &event)
}

/// The statement of an event; none for any other event.
fn convert<'a>(
    item: Item<'_>,
    payload: &Object<'_>,
    event: &Object<'_>,
) -> Result<Vec<NativeRecord<'a>>, Refusal> {
    let kind = event.get("type").text();
    let kind = kind.ok_or_else(|| missing("events.type"))?;
    if kind != "consent-revoked" {
        return Ok(Vec::new());
    }
    let sub = event.get("sub").text();
    let sub = sub.ok_or_else(|| missing("events.sub"))?;
    let time = event.get("event_time");
    let time = time.integer().ok_or_else(|| match time.is_absent() {
        true => missing("events.event_time"),
        false => wrong_type("events.event_time", "an integer"),
    })?;
    let ts = match time > MOST_SECONDS {
        true => time,
        false => time.saturating_mul(1_000),
    };
    let id = payload.get("jti").text_or_number();
    let id = id.or(item.id.map(Into::into));
    let id = id.ok_or_else(|| missing("jti"))?;
    let mut record = NativeRecord::new(Kind::Consent);
    record.put_text(Field::Id, "jti", &id);
    record.put_json(Field::Ts, "events.event_time", ts.to_string());
    record.put_text(Field::Customer, "events.sub", &sub);
    let purposes = (1..=PURPOSES).map(|purpose| format!("\"{purpose}\":false"));
    let purposes = purposes.collect::<Vec<_>>().join(",");
    record.set(Field::Purposes, format!("{{{purposes}}}"));
    let evidence = format!("{{\"notice\":\"apple-signin\",\"type\":{}}}", quote(&kind));
    record.set(Field::Evidence, evidence);
    Ok(vec![record])
}

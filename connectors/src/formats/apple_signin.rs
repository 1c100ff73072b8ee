//! Sign in with Apple: the notifications that Apple sends about accounts, as the payload of a verified token.
//!
//! Facts: <https://developer.apple.com/documentation/signinwithapple/processing-changes-for-sign-in-with-apple-accounts>.
//!
//! `consent-revoked` withdraws every purpose for the customer whose number is `sub`. Forwarding of mail says nothing about consent,
//! and an account that is deleted at Apple is not the brand's, unless the setting `account_delete` makes it a request for erasure or an
//! objection: these are not mapped. `events` is JSON in a text, and
//! `event_time` is in seconds in some deliveries and in milliseconds in others.

use std::borrow::Cow;

use tributary_config::model::{AccountDelete, Kind};

use super::adapter::{Adapter, Emit, Item, object};
use super::json::{Object, quote};
use super::record::{NativeRecord, Outcome, missing, wrong_type};
use crate::dead_letter::{Reason, Refusal};
use crate::native::fields::Field;
use crate::rights_request::RightsRequest;

/// The largest time in seconds; what is larger is in milliseconds.
const MOST_SECONDS: i64 = 100_000_000_000;

/// The number of purposes of the IAB Transparency and Consent Framework.
const PURPOSES: u8 = 11;

/// Reads a notification.
pub fn read<'a>(adapter: &Adapter, item: Item<'a>, emit: &mut Emit<'_, 'a>) {
    let right = match adapter.mapping.account_delete.unwrap_or_default() {
        AccountDelete::Ignore => None,
        AccountDelete::Erase => Some("erase"),
        AccountDelete::Object => Some("object"),
    };
    let converted = object(item.text).and_then(|payload| of_payload(item, right, &payload));
    emit(item.text, converted.unwrap_or_else(Outcome::Refused));
}

/// The records of a payload.
fn of_payload<'a>(
    item: Item<'_>,
    right: Option<&'static str>,
    payload: &Object<'_>,
) -> Result<Outcome<'a>, Refusal> {
    let events = payload.get("events");
    if let Some(event) = events.is_object().then(|| events.object()).flatten() {
        return convert(item, right, payload, &event);
    }
    let text: Cow<'_, str> = events.text().ok_or_else(|| match events.is_absent() {
        true => missing("events"),
        false => wrong_type("events", "a string or an object"),
    })?;
    let event: Object<'_> = serde_json::from_str(&text).map_err(|_| {
        let detail = "`events` must be JSON";
        Refusal::new(Reason::MalformedJson, detail)
    })?;
    convert(item, right, payload, &event)
}

/// The statement of an event, or what a deleted account asks for; nothing for
/// any other event.
fn convert<'a>(
    item: Item<'_>,
    right: Option<&'static str>,
    payload: &Object<'_>,
    event: &Object<'_>,
) -> Result<Outcome<'a>, Refusal> {
    let kind = event.get("type").text();
    let kind = kind.ok_or_else(|| missing("events.type"))?;
    let right = match &*kind {
        "consent-revoked" => None,
        "account-delete" if right.is_some() => right,
        _ => return Ok(Outcome::NotMapped),
    };
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
    let id = id.or(item.supplied_id());
    let id = id.ok_or_else(|| missing("jti"))?;
    if let Some(right) = right {
        return Ok(Outcome::Rights(RightsRequest {
            proof: format!("apple account-delete {id}"),
            id: id.into_owned(),
            ts,
            right,
            customer: sub.into_owned().into(),
        }));
    }
    let mut record = NativeRecord::new(Kind::Consent);
    record.put_text(Field::Id, "jti", &id);
    record.put_json(Field::Ts, "events.event_time", ts.to_string());
    record.put_text(Field::Customer, "events.sub", &sub);
    let purposes = (1..=PURPOSES).map(|purpose| format!("\"{purpose}\":false"));
    let purposes = purposes.collect::<Vec<_>>().join(",");
    record.set(Field::Purposes, format!("{{{purposes}}}"));
    let evidence = format!("{{\"notice\":\"apple-signin\",\"type\":{}}}", quote(&kind));
    record.set(Field::Evidence, evidence);
    Ok(Outcome::Record(record))
}

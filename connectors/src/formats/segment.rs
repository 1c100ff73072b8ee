//! Segment, and RudderStack, which sends the same: `identify`, `page`,
//! `screen`, `track` and `alias`, alone or in a `batch`.
//!
//! Facts: the event specification (<https://segment.com/docs/connections/spec/>),
//! and RudderStack's (<https://www.rudderstack.com/docs/event-spec/>).
//!
//! The clock of a device may be wrong. A message that Segment has processed has
//! `receivedAt`, and its `timestamp` is corrected already. One from a device has
//! not: if `sentAt` lies further from the arrival than a time may lie in the
//! future, the difference is added and the time cut to seconds. A message that a
//! device with a right clock sends twice therefore keeps its time, and is a
//! duplicate.

use std::collections::BTreeMap;

use tributary_config::model::{EventMeaning, Kind, UserId};

use super::adapter::{
    Adapter, Emit, Item, device, invalid_time, listed, object, require_objects, rfc3339, web_type,
};
use super::json::{Json, Object, quote};
use super::record::{NativeRecord, Outcome, missing, wrong_type};
use super::{consent, page};
use crate::dead_letter::{Reason, Refusal};
use crate::native::fields::Field;
use crate::native::time;

/// The meaning of the events of the specification.
fn default_meaning(event: &str) -> Option<EventMeaning> {
    Some(match event {
        "Order Completed" | "Completed Order" => EventMeaning::Order,
        "Order Refunded" | "Order Cancelled" => EventMeaning::Refund,
        "Email Link Clicked"
        | "Push Notification Tapped"
        | "Deep Link Clicked"
        | "Install Attributed" => EventMeaning::Click,
        "Email Opened" | "Push Notification Received" => EventMeaning::Impression,
        _ => return None,
    })
}

/// The event that a consent manager sends when somebody decides: its consent is
/// read, and nothing else.
const CONSENT_UPDATED: &str = "Segment Consent Preference Updated";

/// The member of a batch with its messages.
pub const LIST: &str = "batch";

/// What the elements of a batch share.
const INHERITED: [&str; 3] = ["sentAt", "receivedAt", "context"];

/// Reads an item: a message, or a batch of them.
pub fn read<'a>(adapter: &Adapter, item: Item<'a>, emit: &mut Emit<'_, 'a>) {
    let whole = match object(item.text) {
        Ok(whole) => whole,
        Err(refusal) => return emit(item.text, Outcome::Refused(refusal)),
    };
    let Some(batch) = whole.get(LIST).present() else {
        return message(adapter, item, item.text, &whole, emit);
    };
    let elements = match batch.list() {
        Some(elements) if elements.is_empty() => return emit(item.text, Outcome::NotMapped),
        Some(elements) => elements,
        None => {
            let refusal = wrong_type("batch", "a list of messages");
            return emit(item.text, Outcome::Refused(refusal));
        }
    };
    let count = elements.len();
    for (position, element) in elements.into_iter().enumerate() {
        let text = element.raw();
        let item = item.element(position, count);
        match object(text) {
            Ok(mut element) => {
                for key in INHERITED {
                    element.inherit(key, whole.get(key));
                }
                message(adapter, item, text, &element, emit);
            }
            Err(_) => {
                let detail = "an element of `batch` must be an object";
                let refusal = Refusal::new(Reason::NotAnObject, detail);
                emit(text, Outcome::Refused(refusal));
            }
        }
    }
}

/// When a message, or the last of a batch, was sent, Unix milliseconds; `None` if
/// none states it, and for what has been received and so has the time of it.
pub fn sent_at(text: &str) -> Option<i64> {
    let of = |message: &Object<'_>| {
        let sent = message.get("sentAt").present();
        let sent = sent.filter(|_| message.get("receivedAt").is_absent());
        sent.and_then(moment)
    };
    let whole = object(text).ok()?;
    let batch = whole.get("batch").list().unwrap_or_default();
    let elements = batch.iter().filter_map(|element| of(&element.object()?));
    elements.chain(of(&whole)).max()
}

/// Reads one message.
fn message<'a>(
    adapter: &Adapter,
    item: Item<'a>,
    text: &'a str,
    message: &Object<'a>,
    emit: &mut Emit<'_, 'a>,
) {
    let mut records = Vec::new();
    match convert(adapter, item, message, &mut records) {
        Err(refusal) => emit(text, Outcome::Refused(refusal)),
        Ok(()) if records.is_empty() => emit(text, Outcome::NotMapped),
        Ok(()) => records.into_iter().for_each(|outcome| emit(text, outcome)),
    }
}

/// The type of a message, and the meaning of it.
fn meaning_of(adapter: &Adapter, message: &Object<'_>) -> Result<Option<EventMeaning>, Refusal> {
    let Some(kind) = message.get("type").text() else {
        let path = match message.get("messageId").is_absent() {
            true => "messageId",
            false => "type",
        };
        return Err(missing(path));
    };
    Ok(match &*kind {
        "track" => {
            let event = message.get("event").text().unwrap_or_default();
            adapter.meaning(&event, default_meaning(&event))
        }
        "page" | "screen" => adapter.meaning(&kind, Some(EventMeaning::View)),
        "identify" | "alias" => adapter.meaning(&kind, Some(EventMeaning::Identify)),
        kind => adapter.meaning(kind, None),
    })
}

/// Appends the records of a message; none if it maps to nothing.
fn convert<'a>(
    adapter: &Adapter,
    item: Item<'a>,
    message: &Object<'a>,
    out: &mut Vec<Outcome<'a>>,
) -> Result<(), Refusal> {
    let meaning = meaning_of(adapter, message)?;
    let is_decision = message.get("event").text().as_deref() == Some(CONSENT_UPDATED)
        && !adapter.mapping.events.contains_key(CONSENT_UPDATED);
    if meaning.is_none() && !is_decision {
        return Ok(());
    }
    require_objects(message, &["context", "properties", "traits"])?;
    let Categories {
        path,
        boxes,
        refusal,
    } = categories(adapter, message);
    if meaning.is_none() && boxes.is_empty() && refusal.is_none() {
        return Ok(());
    }
    let id = message.get("messageId").text_or_number();
    let id = id.or(item.supplied_id());
    let id = id.ok_or_else(|| missing("messageId"))?;
    let kind = match meaning {
        Some(EventMeaning::Transaction) => Kind::Transaction,
        _ => Kind::Web,
    };
    let mut record = NativeRecord::new(kind);
    record.put_text(Field::Id, "messageId", &id);
    put_time(item, message, &mut record)?;
    put_identifiers(adapter, message, &mut record);
    record.put(
        Field::TcString,
        "context.consent.tcString",
        message.at("context.consent.tcString"),
    );
    let statement = consent::statement(&record, &id, path, &boxes);
    if let Some(meaning) = meaning {
        put_event(adapter, message, meaning, &mut record);
        out.push(Outcome::Record(record));
    }
    out.extend(statement.map(Outcome::Record));
    out.extend(refusal.map(Outcome::Refused));
    Ok(())
}

/// The time of a message, corrected by the arrival if the clock of the sender
/// is wrong.
fn put_time<'a>(
    item: Item<'a>,
    message: &Object<'a>,
    record: &mut NativeRecord<'a>,
) -> Result<(), Refusal> {
    let is_received = !message.get("receivedAt").is_absent();
    let order = match is_received {
        true => ["timestamp", "originalTimestamp"],
        false => ["originalTimestamp", "timestamp"],
    };
    let mut order = order.into_iter();
    let given = order.find_map(|key| Some((key, message.get(key).present()?)));
    let Some((key, given)) = given else {
        if is_received {
            record.put(Field::Ts, "timestamp", Json::ABSENT);
        } else {
            record.put_text(Field::Ts, "timestamp", &rfc3339(item.at));
        }
        return Ok(());
    };
    let sent = message.get("sentAt").present().filter(|_| !is_received);
    if let Some(sent) = sent {
        let sent = moment(sent).ok_or_else(|| invalid_time("sentAt"))?;
        let skew = item.at.saturating_sub(sent);
        if skew.saturating_abs() > item.max_future {
            let shown = moment(given).ok_or_else(|| invalid_time(key))?;
            let moment = shown.saturating_add(skew).div_euclid(1000) * 1000;
            record.put_text(Field::Ts, key, &rfc3339(moment));
            record.is_time_corrected = true;
            return Ok(());
        }
    }
    record.put(Field::Ts, key, given);
    Ok(())
}

/// The Unix milliseconds of a time.
fn moment(value: Json<'_>) -> Option<i64> {
    match value.is_number() {
        true => value.integer(),
        false => time::time(&value.text()?, None, false).ok(),
    }
}

/// The identifiers of a message.
fn put_identifiers<'a>(adapter: &Adapter, message: &Object<'a>, record: &mut NativeRecord<'a>) {
    let is_alias = message.get("type").text().as_deref() == Some("alias");
    let cookies: &[&'static str] = match is_alias {
        true => &["previousId", "anonymousId"],
        false => &["anonymousId"],
    };
    put_first(message, record, Field::Cookie, cookies);
    let user = message.get("userId");
    let is_user = |of: UserId| adapter.mapping.user_id.unwrap_or_default() == of;
    if is_user(UserId::Customer) {
        record.put(Field::Customer, "userId", user);
    }
    for (field, of, paths) in [
        (
            Field::Email,
            UserId::Email,
            ["traits.email", "context.traits.email", "properties.email"],
        ),
        (
            Field::Phone,
            UserId::Phone,
            ["traits.phone", "context.traits.phone", "properties.phone"],
        ),
    ] {
        put_first(message, record, field, &paths);
        if is_user(of) && !user.is_absent() {
            let mut values = vec![record.raw(field).to_owned(), user.raw().to_owned()];
            values.retain(|value| !value.is_empty());
            values.dedup();
            record.put_json(field, "userId", listed(&values).unwrap_or_default());
        }
    }
    let own = message.at("context.device");
    if let Some(own) = own.is_object().then(|| own.object()).flatten()
        && own.get("adTrackingEnabled").boolean() == Some(true)
    {
        let path = "context.device.advertisingId";
        match own.get("advertisingId").text() {
            Some(id) => record.put_text(Field::Device, path, &device(&id)),
            None => record.put(Field::Device, path, own.get("advertisingId")),
        }
    }
}

/// Sets a field to the first present value of some paths.
fn put_first<'a>(
    message: &Object<'a>,
    record: &mut NativeRecord<'a>,
    field: Field,
    paths: &[&'static str],
) {
    let mut found = paths.iter().filter_map(|path| {
        let value = message.at(path).present()?;
        Some((*path, value))
    });
    let first = paths.first().copied().unwrap_or_default();
    let (path, value) = found.next().unwrap_or((first, Json::ABSENT));
    record.put(field, path, value);
}

/// What the event says besides its identifiers.
fn put_event<'a>(
    adapter: &Adapter,
    message: &Object<'a>,
    meaning: EventMeaning,
    record: &mut NativeRecord<'a>,
) {
    if record.kind == Kind::Web {
        record.put_text(Field::Type, "event", web_type(meaning));
    }
    let event = message.get("event").text().unwrap_or_default();
    match meaning {
        EventMeaning::View | EventMeaning::Click | EventMeaning::Impression => {
            put_channel(message, &event, record);
            if meaning == EventMeaning::View && begins_visit(message) {
                record.put_json(Field::Landing, "context.sessionStart", "true");
            }
        }
        EventMeaning::Order | EventMeaning::Refund => {
            let paths = ["properties.order_id", "properties.orderId"];
            put_first(message, record, Field::OrderId, &paths);
            if event != "Order Cancelled" {
                put_money(message, record);
            }
        }
        EventMeaning::Transaction => {
            put_money(message, record);
            put_store(adapter, message, record);
        }
        EventMeaning::Identify | EventMeaning::Ignore => {}
    }
}

/// The amount and its currency.
fn put_money<'a>(message: &Object<'a>, record: &mut NativeRecord<'a>) {
    let paths = ["properties.total", "properties.revenue", "properties.value"];
    let mut found = paths.iter().filter_map(|path| {
        let value = message.at(path).present()?;
        Some((*path, value))
    });
    match found.next() {
        // A text has no exponent.
        Some((path, value)) if value.is_number() && !value.raw().contains(['e', 'E']) => {
            record.put_json(Field::Amount, path, quote(value.raw()));
        }
        Some((path, value)) => record.put(Field::Amount, path, value),
        None => record.put(Field::Amount, "properties.total", Json::ABSENT),
    }
    let currency = message.at("properties.currency");
    record.put(Field::Currency, "properties.currency", currency);
}

/// The store of a sale: by its place, else that of the source.
fn put_store<'a>(adapter: &Adapter, message: &Object<'a>, record: &mut NativeRecord<'a>) {
    let paths = [
        "properties.store_id",
        "properties.store",
        "properties.affiliation",
    ];
    let places = paths.map(|path| message.at(path).text_or_number());
    let mut known = places.iter().flatten();
    let known = known.find_map(|place| adapter.mapping.stores.get(&**place));
    let store = known.or(adapter.mapping.store.as_ref());
    match store {
        Some(store) => record.put_text(Field::Store, "properties.store_id", store),
        None => put_first(
            message,
            record,
            Field::Store,
            &["properties.store_id", "properties.store"],
        ),
    }
}

/// The channel: the campaign, else that of e-mail and push, else the addresses.
fn put_channel<'a>(message: &Object<'a>, event: &str, record: &mut NativeRecord<'a>) {
    for campaign in ["context.campaign", "properties.campaign"] {
        let words = message.at(campaign);
        let Some(words) = words.is_object().then(|| words.object()).flatten() else {
            continue;
        };
        let places = [
            (Field::Source, "source"),
            (Field::Medium, "medium"),
            (Field::Campaign, "name"),
        ];
        if places.iter().any(|(_, key)| !words.get(key).is_absent()) {
            for (field, key) in places {
                record.put(field, format!("{campaign}.{key}"), words.get(key));
            }
            return;
        }
    }
    let own = match event {
        "Email Link Clicked" | "Email Opened" => Some("email"),
        "Push Notification Tapped" | "Push Notification Received" => Some("push"),
        _ => None,
    };
    if let Some(own) = own {
        record.put_text(Field::Source, "event", own);
        record.put_text(Field::Medium, "event", own);
        let name = message.at("properties.campaign_name");
        record.put(Field::Campaign, "properties.campaign_name", name);
        return;
    }
    let urls = ["properties.url", "context.page.url"];
    put_first(message, record, Field::Url, &urls);
    let referrers = ["properties.referrer", "context.page.referrer"];
    put_first(message, record, Field::Referrer, &referrers);
}

/// Whether a view begins a visit.
fn begins_visit(message: &Object<'_>) -> bool {
    if let Some(start) = message.at("context.sessionStart").boolean() {
        return start;
    }
    let first = |paths: [&str; 2]| {
        let mut values = paths.into_iter().map(|path| message.at(path));
        values
            .find(|value| !value.is_absent())
            .unwrap_or(Json::ABSENT)
    };
    let url = first(["properties.url", "context.page.url"]);
    let referrer = first(["properties.referrer", "context.page.referrer"]);
    page::is_landing(url, referrer)
}

/// The consent of a message.
struct Categories {
    /// Where it stands.
    path: &'static str,
    /// The checkboxes; empty if it has none.
    boxes: BTreeMap<String, bool>,
    /// What of it cannot be read. It takes nothing from the rest: a refusal beside it counts.
    refusal: Option<Refusal>,
}

/// The consent categories of a message.
fn categories(adapter: &Adapter, message: &Object<'_>) -> Categories {
    const SEGMENT: &str = "context.consent.categoryPreferences";
    const RUDDERSTACK: &str = "context.consentManagement";
    let known = &adapter.mapping.consent_categories;
    let mut categories: Vec<(String, bool)> = Vec::new();
    let mut refusal = None;
    let preferences = message.at(SEGMENT).present();
    let path = match preferences {
        Some(_) => SEGMENT,
        None => RUDDERSTACK,
    };
    if let Some(preferences) = preferences.filter(|_| !known.is_empty()) {
        let members = preferences.is_object().then(|| preferences.object());
        match members.flatten() {
            None => refusal = Some(wrong_type(SEGMENT, "an object")),
            Some(members) => {
                for (name, value) in members.members() {
                    match value.boolean() {
                        _ if !known.contains_key(name) || value.is_absent() => {}
                        Some(granted) => categories.push((name.to_owned(), granted)),
                        None => {
                            let expected = "an object of `true` and `false`";
                            refusal = Some(wrong_type(SEGMENT, expected));
                        }
                    }
                }
            }
        }
    } else if !known.is_empty() {
        for (key, granted) in [("allowedConsentIds", true), ("deniedConsentIds", false)] {
            let Some(ids) = message.at(&format!("{RUDDERSTACK}.{key}")).present() else {
                continue;
            };
            let wrong = || wrong_type(RUDDERSTACK, "an object of lists of texts");
            let Some(ids) = ids.list() else {
                refusal = Some(wrong());
                continue;
            };
            for id in ids.into_iter().filter(|id| !id.is_absent()) {
                match id.text_or_number() {
                    Some(name) => categories.push((name.into_owned(), granted)),
                    None => refusal = Some(wrong()),
                }
            }
        }
    }
    let named = categories
        .iter()
        .map(|(name, granted)| (name.as_str(), *granted));
    Categories {
        path,
        boxes: consent::boxes(&adapter.mapping, named),
        refusal,
    }
}

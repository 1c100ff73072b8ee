//! Meta's Conversions API: events of a shop's server and of its tills, alone or
//! in `data`.
//!
//! Facts: <https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/server-event>,
//! `/customer-information-parameters` and `/offline-events`.
//!
//! `event_time` is in seconds. Sending milliseconds is the commonest mistake,
//! so a number above 10^11, which in seconds is the year 5138, is read as
//! milliseconds, unless `ingest.strict` is set.

use tributary_config::model::{EventMeaning, Kind};

use super::adapter::{
    Adapter, Emit, Item, device, listed, object, one_or_many, require_objects, web_type,
};
use super::json::{Json, Object};
use super::record::{NativeRecord, Outcome, missing, wrong_type};
use super::{consent, money};
use crate::dead_letter::{Reason, Refusal};
use crate::native::fields::Field;

/// The largest time in seconds; what is larger is in milliseconds.
const MOST_SECONDS: i64 = 100_000_000_000;

/// The member of a body with its events.
pub const LIST: &str = "data";

/// The meaning of the standard events.
fn default_meaning(event: &str) -> Option<EventMeaning> {
    Some(match event {
        "Purchase" => EventMeaning::Order,
        "PageView" | "ViewContent" => EventMeaning::View,
        "Lead" | "CompleteRegistration" | "Subscribe" => EventMeaning::Identify,
        _ => return None,
    })
}

/// Reads an item: an event, or a body with several in `data`.
pub fn read<'a>(adapter: &Adapter, item: Item<'a>, emit: &mut Emit<'_, 'a>) {
    let whole = match object(item.text) {
        Ok(whole) => whole,
        Err(refusal) => return emit(item.text, Outcome::Refused(refusal)),
    };
    let Some(data) = whole.get(LIST).present() else {
        return event(adapter, item, item.text, &whole, emit);
    };
    match data.list() {
        None => {
            let refusal = wrong_type("data", "a list of events");
            emit(item.text, Outcome::Refused(refusal));
        }
        Some(elements) if elements.is_empty() => emit(item.text, Outcome::NotMapped),
        Some(elements) => {
            let count = elements.len();
            for (position, element) in elements.into_iter().enumerate() {
                let text = element.raw();
                let item = item.element(position, count);
                match element.object() {
                    Some(element) => event(adapter, item, text, &element, emit),
                    None => {
                        let detail = "an element of `data` must be an object";
                        let refusal = Refusal::new(Reason::NotAnObject, detail);
                        emit(text, Outcome::Refused(refusal));
                    }
                }
            }
        }
    }
}

/// Reads one event.
fn event<'a>(
    adapter: &Adapter,
    item: Item<'a>,
    text: &'a str,
    event: &Object<'a>,
    emit: &mut Emit<'_, 'a>,
) {
    let mut records = Vec::new();
    match convert(adapter, item, event, &mut records) {
        Err(refusal) => emit(text, Outcome::Refused(refusal)),
        Ok(()) if records.is_empty() => emit(text, Outcome::NotMapped),
        Ok(()) => records.into_iter().for_each(|outcome| emit(text, outcome)),
    }
}

/// Appends what an event becomes: what happened, and the consent, each of which
/// may be refused without the other.
fn convert<'a>(
    adapter: &Adapter,
    item: Item<'a>,
    event: &Object<'a>,
    out: &mut Vec<Outcome<'a>>,
) -> Result<(), Refusal> {
    let name = event.get("event_name");
    let name = name.text().ok_or_else(|| match name.is_absent() {
        true => missing("event_name"),
        false => wrong_type("event_name", "a string"),
    })?;
    let Some(meaning) = adapter.meaning(&name, default_meaning(&name)) else {
        return Ok(());
    };
    require_objects(event, &["user_data", "custom_data"])?;
    let place = store_of(event);
    let store = place.and_then(|(_, place)| place.text_or_number());
    let known = adapter.store(store.as_deref());
    let action = event.get("action_source").text().unwrap_or_default();
    let is_in_store = match &*action {
        "physical_store" => true,
        "system_generated" => store.is_some() || known.is_some(),
        _ => false,
    };
    let is_sale = matches!(meaning, EventMeaning::Order | EventMeaning::Transaction);
    let kind = match is_sale && (is_in_store || meaning == EventMeaning::Transaction) {
        true => Kind::Transaction,
        false => Kind::Web,
    };
    let mut record = NativeRecord::new(kind);
    let order = event.at("custom_data.order_id");
    let id = event.get("event_id").text_or_number();
    let id = id.or(order.text_or_number()).or(item.supplied_id());
    let id = id.ok_or_else(|| missing("event_id"))?;
    record.put_text(Field::Id, "event_id", &id);
    put_time(item, event, &mut record)?;
    put_identifiers(adapter, event, &mut record);
    let (names, refusal) = opt_outs(event);
    let boxes = consent::opt_outs(&names);
    if kind == Kind::Transaction {
        match (known, store) {
            (Some(store), _) => record.put_text(Field::Store, "custom_data.store_id", store),
            (None, Some(store)) => record.put_text(Field::Store, "custom_data.store_id", &store),
            (None, None) => record.put(Field::Store, "custom_data.store_id", Json::ABSENT),
        }
        put_money(adapter, event, &mut record);
    } else {
        record.put_text(Field::Type, "event_name", web_type(meaning));
        match meaning {
            EventMeaning::View | EventMeaning::Click | EventMeaning::Impression => {
                record.put(
                    Field::Url,
                    "event_source_url",
                    event.get("event_source_url"),
                );
                record.put(Field::Referrer, "referrer_url", event.get("referrer_url"));
            }
            EventMeaning::Order | EventMeaning::Refund => {
                record.put(Field::OrderId, "custom_data.order_id", order);
                put_money(adapter, event, &mut record);
            }
            EventMeaning::Identify | EventMeaning::Transaction | EventMeaning::Ignore => {}
        }
    }
    let statement = consent::statement(&record, &id, "data_processing_options", &boxes);
    out.push(Outcome::Record(record));
    out.extend(statement.map(Outcome::Record));
    out.extend(refusal.map(Outcome::Refused));
    Ok(())
}

/// The place of an event in a store.
fn store_of<'a>(event: &Object<'a>) -> Option<(&'static str, Json<'a>)> {
    let paths = [
        "custom_data.store_id",
        "custom_data.store_num",
        "custom_data.store_number",
    ];
    let mut places = paths.into_iter().map(|path| (path, event.at(path)));
    places.find(|(_, place)| !place.is_absent())
}

/// The time of an event.
fn put_time(
    item: Item<'_>,
    event: &Object<'_>,
    record: &mut NativeRecord<'_>,
) -> Result<(), Refusal> {
    let path = "event_time";
    let Some(given) = event.get(path).present() else {
        record.put(Field::Ts, path, Json::ABSENT);
        return Ok(());
    };
    let Some(time) = given.integer() else {
        return Err(match given.text().is_some() {
            true => Refusal::new(
                Reason::InvalidTime,
                "`event_time` must be integer Unix seconds",
            ),
            false => wrong_type(path, "integer Unix seconds"),
        });
    };
    let ms = match time > MOST_SECONDS {
        false => time.saturating_mul(1000),
        true if item.strict => {
            let detail = "`event_time` must be in seconds: it seems to be in milliseconds";
            return Err(Refusal::new(Reason::TimeOutOfRange, detail));
        }
        true => {
            record.is_time_corrected = true;
            time
        }
    };
    record.put_json(Field::Ts, path, ms.to_string());
    Ok(())
}

/// The identifiers of an event.
fn put_identifiers<'a>(adapter: &Adapter, event: &Object<'a>, record: &mut NativeRecord<'a>) {
    for (field, path) in [
        (Field::Email, "user_data.em"),
        (Field::Phone, "user_data.ph"),
        (Field::Customer, "user_data.external_id"),
        (Field::Device, "user_data.madid"),
    ] {
        let values = one_or_many(event.at(path)).into_iter().map(|value| {
            match value.text().filter(|_| field == Field::Device) {
                Some(id) => super::json::quote(&device(&id)),
                None => value.raw().to_owned(),
            }
        });
        match listed(&values.collect::<Vec<_>>()) {
            Some(json) => record.put_json(field, path, json),
            None => record.put(field, path, Json::ABSENT),
        }
    }
    let click = event.at("user_data.fbc");
    match click.text() {
        // What follows the third dot of `fb.1.1554763741205.AbCd`.
        Some(text) => {
            if let Some(id) = text.splitn(4, '.').nth(3).filter(|id| !id.is_empty()) {
                record.put_text(Field::ClickId, "user_data.fbc", id);
            }
        }
        None => record.put(Field::ClickId, "user_data.fbc", click),
    }
    if record.kind == Kind::Web && adapter.mapping.cookies.iter().any(|name| name == "fbp") {
        record.put(Field::Cookie, "user_data.fbp", event.at("user_data.fbp"));
    }
}

/// The amount, rounded to the decimals of its currency, whose code may be in
/// any case.
fn put_money<'a>(adapter: &Adapter, event: &Object<'a>, record: &mut NativeRecord<'a>) {
    let currency = event.at("custom_data.currency");
    let code = currency.text().map(|code| code.trim().to_ascii_uppercase());
    match &code {
        Some(code) => record.put_text(Field::Currency, "custom_data.currency", code),
        None => record.put(Field::Currency, "custom_data.currency", currency),
    }
    let path = "custom_data.value";
    match event.at(path).present() {
        Some(value) => {
            let decimals = money::decimals(code.as_deref(), adapter.decimals);
            record.put_json(Field::Amount, path, money::rounded(value, decimals));
        }
        None => record.put(Field::Amount, path, Json::ABSENT),
    }
}

/// The opt-outs of an event: limited data use, and no use for ads; and what of them cannot be read, which takes nothing from
/// the rest.
fn opt_outs(event: &Object<'_>) -> (Vec<&'static str>, Option<Refusal>) {
    let mut names = Vec::new();
    let mut refusal = None;
    for option in one_or_many(event.get("data_processing_options")) {
        match option.text() {
            None => refusal = Some(wrong_type("data_processing_options", "a list of strings")),
            Some(option) if option.eq_ignore_ascii_case("LDU") && names.is_empty() => {
                names.extend(["do_not_sell", "do_not_share"]);
            }
            Some(_) => {}
        }
    }
    let opt_out = event.get("opt_out");
    match (opt_out.is_absent(), opt_out.boolean()) {
        (true, _) | (_, Some(false)) => {}
        (_, Some(true)) => names.push("do_not_target"),
        (_, None) => refusal = Some(wrong_type("opt_out", "`true` or `false`")),
    }
    (names, refusal)
}

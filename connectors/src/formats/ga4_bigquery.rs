//! Rows of the BigQuery export of Google Analytics 4, as NDJSON.
//!
//! Facts: <https://developers.google.com/analytics/bigquery/event-schema> and
//! <https://support.google.com/analytics/answer/7029846>. BigQuery writes
//! integers as strings and floats as numbers.
//!
//! A row has no id of its own, so one is derived from what distinguishes it.
//! The same event in an intraday table and in the daily one has the same id, and
//! the second corrects the first. `traffic_source` is how the *user* was first
//! acquired, and never the channel of an event.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use tributary_config::model::{EventMeaning, Kind, UserId};

use super::adapter::{Adapter, Emit, Item, device, emit_all, object, require_objects, web_type};
use super::json::{Json, Object};
use super::record::{NativeRecord, missing, wrong_type};
use super::{consent, money};
use crate::dead_letter::Refusal;
use crate::native::fields::Field;

/// The columns that identify a row, in the order of the digest.
const IDENTITY: [&str; 8] = [
    "stream_id",
    "user_pseudo_id",
    "event_timestamp",
    "event_name",
    "event_bundle_sequence_id",
    "batch_page_id",
    "batch_ordering_id",
    "batch_event_index",
];

/// The meaning of the recommended events.
fn default_meaning(event: &str) -> Option<EventMeaning> {
    Some(match event {
        "page_view" | "screen_view" => EventMeaning::View,
        "purchase" | "in_app_purchase" => EventMeaning::Order,
        "refund" => EventMeaning::Refund,
        _ => return None,
    })
}

/// Reads a row.
pub fn read<'a>(adapter: &Adapter, item: Item<'a>, emit: &mut Emit<'_, 'a>) {
    let mut records = Vec::new();
    let converted = convert(adapter, item, &mut records);
    emit_all(item.text, converted.map(|()| records), emit);
}

/// Appends the records of a row: what happened, and the consent.
fn convert<'a>(
    adapter: &Adapter,
    item: Item<'a>,
    out: &mut Vec<NativeRecord<'a>>,
) -> Result<(), Refusal> {
    let row = object(item.text)?;
    let name = row.get("event_name").text();
    let name = name.ok_or_else(|| missing("event_name"))?;
    let Some(meaning) = adapter.meaning(&name, default_meaning(&name)) else {
        return Ok(());
    };
    let objects = [
        "device",
        "ecommerce",
        "collected_traffic_source",
        "privacy_info",
    ];
    require_objects(&row, &objects)?;
    let params = params(&row)?;
    let kind = match meaning {
        EventMeaning::Transaction => Kind::Transaction,
        _ => Kind::Web,
    };
    let mut record = NativeRecord::new(kind);
    let id = id(&row);
    record.put_text(Field::Id, "event_timestamp", &id);
    match row.get("event_timestamp").present() {
        Some(micros) => {
            let micros = micros.integer();
            let micros =
                micros.ok_or_else(|| wrong_type("event_timestamp", "integer microseconds"))?;
            let ms = micros.div_euclid(1000).to_string();
            record.put_json(Field::Ts, "event_timestamp", ms);
        }
        None => record.put(Field::Ts, "event_timestamp", Json::ABSENT),
    }
    put_identifiers(adapter, &row, &mut record);
    match meaning {
        EventMeaning::View | EventMeaning::Click | EventMeaning::Impression => {
            put_channel(&row, &params, &mut record);
            let entrances = params.get("entrances").and_then(|value| value.integer());
            if meaning == EventMeaning::View && entrances == Some(1) {
                record.put_json(Field::Landing, "event_params.entrances", "true");
            }
        }
        EventMeaning::Order | EventMeaning::Refund | EventMeaning::Transaction => {
            put_sale(adapter, &row, &params, meaning, &mut record);
        }
        EventMeaning::Identify | EventMeaning::Ignore => {}
    }
    if kind == Kind::Web {
        record.put_text(Field::Type, "event_name", web_type(meaning));
    }
    let boxes = consent::boxes(&adapter.mapping, categories(&row));
    let statement = consent::statement(&record, &id, "privacy_info", &boxes);
    out.push(record);
    out.extend(statement);
    Ok(())
}

/// The id of a row: the first 32 hex digits of SHA-256 over the columns that
/// distinguish it, with U+001F between them.
fn id(row: &Object<'_>) -> String {
    let parts = IDENTITY.map(|column| row.get(column).text_or_number().unwrap_or_default());
    let digest = Sha256::digest(parts.join("\u{1f}").as_bytes());
    let hex = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
    hex.collect()
}

/// The parameters of an event by their keys, each the one of its values that is
/// not null.
fn params<'a>(row: &Object<'a>) -> Result<BTreeMap<Cow<'a, str>, Json<'a>>, Refusal> {
    const PATH: &str = "event_params";
    let Some(list) = row.get(PATH).present() else {
        return Ok(BTreeMap::new());
    };
    let list = list.list();
    let list = list.ok_or_else(|| wrong_type(PATH, "a list of keys and values"))?;
    let mut params = BTreeMap::new();
    for param in list {
        let param = param.object();
        let param = param.ok_or_else(|| wrong_type(PATH, "a list of keys and values"))?;
        let key = param.get("key").text();
        let value = param.get("value").object().and_then(|value| {
            let kinds = ["string_value", "int_value", "float_value", "double_value"];
            kinds.iter().find_map(|kind| value.get(kind).present())
        });
        if let (Some(key), Some(value)) = (key, value) {
            params.insert(key, value);
        }
    }
    Ok(params)
}

/// The cookie, the user and the device.
fn put_identifiers<'a>(adapter: &Adapter, row: &Object<'a>, record: &mut NativeRecord<'a>) {
    let field = match adapter.mapping.user_id.unwrap_or_default() {
        UserId::Customer => Some(Field::Customer),
        UserId::Email => Some(Field::Email),
        UserId::Phone => Some(Field::Phone),
        UserId::None => None,
    };
    if let Some(field) = field {
        record.put(field, "user_id", row.get("user_id"));
    }
    if record.kind == Kind::Transaction {
        return;
    }
    record.put(Field::Cookie, "user_pseudo_id", row.get("user_pseudo_id"));
    let limited = row.at("device.is_limited_ad_tracking");
    let is_limited = limited.boolean().unwrap_or_else(|| {
        let text = limited.text().unwrap_or_default();
        text.eq_ignore_ascii_case("yes") || text.eq_ignore_ascii_case("true")
    });
    if !is_limited {
        let path = "device.advertising_id";
        match row.at(path).text() {
            Some(id) => record.put_text(Field::Device, path, &device(&id)),
            None => record.put(Field::Device, path, row.at(path)),
        }
    }
}

/// A name that Google writes in brackets, such as `(organic)`, is none of a
/// campaign.
fn is_in_brackets(text: &str) -> bool {
    text.starts_with('(') && text.ends_with(')')
}

/// The channel of a contact.
fn put_channel<'a>(
    row: &Object<'a>,
    params: &BTreeMap<Cow<'a, str>, Json<'a>>,
    record: &mut NativeRecord<'a>,
) {
    let collected = |key: &str| row.at(&format!("collected_traffic_source.{key}"));
    let click = collected("gclid");
    let path = "collected_traffic_source.gclid";
    record.put(Field::ClickId, path, click);
    let medium = collected("manual_medium").text().unwrap_or_default();
    let is_unpaid = matches!(
        &*medium,
        "" | "organic" | "(organic)" | "(none)" | "(not set)"
    );
    if click.text().is_some() && is_unpaid {
        record.put_text(Field::Source, path, "google");
        record.put_text(Field::Medium, path, "cpc");
        let ads = "session_traffic_source_last_click.google_ads_campaign.campaign_name";
        let manual = collected("manual_campaign_name");
        let in_ads = row.at(ads).text().filter(|name| !is_in_brackets(name));
        let named = manual.text().filter(|name| !is_in_brackets(name));
        match (in_ads, named) {
            (Some(name), _) => record.put_text(Field::Campaign, ads, &name),
            (None, Some(name)) => record.put_text(
                Field::Campaign,
                "collected_traffic_source.manual_campaign_name",
                &name,
            ),
            (None, None) => {}
        }
        return;
    }
    let words = [
        (Field::Source, "manual_source", "source"),
        (Field::Medium, "manual_medium", "medium"),
        (Field::Campaign, "manual_campaign_name", "campaign"),
    ];
    if words.iter().any(|(_, key, _)| !collected(key).is_absent()) {
        for (field, key, _) in words {
            record.put(
                field,
                format!("collected_traffic_source.{key}"),
                collected(key),
            );
        }
        return;
    }
    let param = |key: &str| params.get(key).copied().unwrap_or(Json::ABSENT);
    // Rows from before 2023-06 have no `collected_traffic_source`.
    let is_old = row.get("collected_traffic_source").is_absent();
    if is_old && words.iter().any(|(_, _, key)| !param(key).is_absent()) {
        for (field, _, key) in words {
            record.put(field, format!("event_params.{key}"), param(key));
        }
        return;
    }
    record.put(
        Field::Url,
        "event_params.page_location",
        param("page_location"),
    );
    let referrer = param("page_referrer");
    record.put(Field::Referrer, "event_params.page_referrer", referrer);
}

/// The order, the amount and its currency.
fn put_sale<'a>(
    adapter: &Adapter,
    row: &Object<'a>,
    params: &BTreeMap<Cow<'a, str>, Json<'a>>,
    meaning: EventMeaning,
    record: &mut NativeRecord<'a>,
) {
    let param = |key: &str| params.get(key).copied().unwrap_or(Json::ABSENT);
    let is_set = |value: &Json<'_>| {
        value
            .text_or_number()
            .is_some_and(|text| text != "(not set)")
    };
    if meaning != EventMeaning::Transaction {
        let path = "ecommerce.transaction_id";
        let order = [row.at(path), param("transaction_id")]
            .into_iter()
            .find(is_set);
        record.put(Field::OrderId, path, order.unwrap_or(Json::ABSENT));
    }
    let currency = param("currency");
    record.put(Field::Currency, "event_params.currency", currency);
    let path = match meaning {
        EventMeaning::Refund => "ecommerce.refund_value",
        _ => "ecommerce.purchase_revenue",
    };
    let amount = row.at(path).present().or(param("value").present());
    match amount {
        Some(amount) => {
            let decimals = money::decimals(currency.text().as_deref(), adapter.decimals);
            record.put_json(Field::Amount, path, money::rounded(amount, decimals));
        }
        None => record.put(Field::Amount, path, Json::ABSENT),
    }
    if meaning == EventMeaning::Transaction {
        let place = param("store_id").text_or_number();
        match adapter.store(place.as_deref()) {
            Some(store) => record.put_text(Field::Store, "event_params.store_id", store),
            None => record.put(Field::Store, "event_params.store_id", param("store_id")),
        }
    }
}

/// The storages that the consent mode grants or denies.
fn categories(row: &Object<'_>) -> impl Iterator<Item = (&'static str, bool)> {
    let states = ["analytics_storage", "ads_storage"].map(|category| {
        let state = row.at(&format!("privacy_info.{category}")).text();
        let granted = match state.as_deref() {
            Some(text) if text.eq_ignore_ascii_case("yes") => Some(true),
            Some(text) if text.eq_ignore_ascii_case("no") => Some(false),
            _ => None,
        };
        granted.map(|granted| (category, granted))
    });
    states.into_iter().flatten()
}

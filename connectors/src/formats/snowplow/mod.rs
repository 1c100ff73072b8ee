//! Snowplow's enriched events: TSV as the enrichment writes it, and the JSON of
//! the analytics SDKs.
//!
//! Facts: <https://docs.snowplow.io/docs/fundamentals/canonical-event/> and the
//! Iglu schemas `consent_preferences` 1-0-0, `snowplow_ecommerce_action` 1-0-2,
//! `transaction` and `refund` 1-0-0, `ad_click` and `ad_impression` 1-0-0.
//!
//! Collectors deliver an event more than once. The version of a record is the
//! negated time of collection, so that of several with one `event_id` the first
//! collected counts, whatever the order of arrival.

mod columns;
mod row;

use std::collections::BTreeMap;

use tributary_config::model::{EventMeaning, Kind, UserId};

use super::adapter::{Adapter, Emit, Item, invalid_time, web_type};
use super::json::{Json, quote};
use super::record::{NativeRecord, Outcome, missing, wrong_type};
use super::{money, page};
use crate::dead_letter::Refusal;
use crate::native::fields::Field;
use crate::native::time;
pub use columns::COLUMNS;
use row::Row;

/// The identifiers of a statement for an event without a cookie.
const IDENTIFIERS: [Field; 4] = [Field::Customer, Field::Email, Field::Phone, Field::Device];

/// Reads an event.
pub fn read<'a>(adapter: &Adapter, item: Item<'a>, emit: &mut Emit<'_, 'a>) {
    let outcome = Row::parse(item.text).and_then(|row| convert(adapter, item, &row));
    emit(
        item.text,
        match outcome {
            Ok(Some(record)) => Outcome::Record(record),
            Ok(None) => Outcome::NotMapped,
            Err(refusal) => Outcome::Refused(refusal),
        },
    );
}

/// What an event is.
enum Meaning {
    /// An event with this meaning.
    Event(EventMeaning),
    /// A statement of consent.
    Consent,
}

/// The meaning of an event, by the settings of the source, else by its type.
fn meaning_of(adapter: &Adapter, row: &Row<'_>) -> Result<Option<Meaning>, Refusal> {
    let event = row.text("event")?.ok_or_else(|| missing("event"))?;
    let name = row.text("event_name")?;
    let name = name.or_else(|| row.unstruct_name());
    let action = row.text("se_action")?;
    let names = [name.as_deref(), action.as_deref(), Some(&*event)];
    for own in names.into_iter().flatten() {
        if let Some(meaning) = adapter.mapping.events.get(own) {
            let meaning = Some(*meaning).filter(|meaning| *meaning != EventMeaning::Ignore);
            return Ok(meaning.map(Meaning::Event));
        }
    }
    Ok(match (&*event, name.as_deref().unwrap_or_default()) {
        ("page_view", _) => adapter
            .meaning("page_view", Some(EventMeaning::View))
            .map(Meaning::Event),
        ("transaction", _) => adapter
            .meaning("transaction", Some(EventMeaning::Order))
            .map(Meaning::Event),
        ("unstruct", "snowplow_ecommerce_action") => {
            let action = row.unstruct("snowplow_ecommerce_action")?;
            match action
                .and_then(|action| action.get("type").text())
                .as_deref()
            {
                Some("transaction") => Some(Meaning::Event(EventMeaning::Order)),
                Some("refund") => Some(Meaning::Event(EventMeaning::Refund)),
                _ => None,
            }
        }
        ("unstruct", "ad_click") => Some(Meaning::Event(EventMeaning::Click)),
        ("unstruct", "ad_impression") => Some(Meaning::Event(EventMeaning::Impression)),
        ("unstruct", "consent_preferences") => Some(Meaning::Consent),
        _ => None,
    })
}

/// The record of an event; `None` if it maps to nothing.
fn convert<'a>(
    adapter: &Adapter,
    item: Item<'a>,
    row: &Row<'a>,
) -> Result<Option<NativeRecord<'a>>, Refusal> {
    let Some(meaning) = meaning_of(adapter, row)? else {
        return Ok(None);
    };
    let kind = match meaning {
        Meaning::Event(EventMeaning::Transaction) => Kind::Transaction,
        _ => Kind::Web,
    };
    let mut record = NativeRecord::new(kind);
    let id = row.text("event_id")?.or(item.supplied_id());
    let id = id.ok_or_else(|| missing("event_id"))?;
    record.put_text(Field::Id, "event_id", &id);
    put_times(row, &mut record)?;
    put_identifiers(adapter, row, &mut record)?;
    match meaning {
        Meaning::Consent => consent(adapter, row, &record),
        Meaning::Event(meaning) => {
            put_event(adapter, row, meaning, &mut record)?;
            Ok(Some(record))
        }
    }
}

/// The time, and the version: the negated time of collection.
fn put_times(row: &Row<'_>, record: &mut NativeRecord<'_>) -> Result<(), Refusal> {
    let mut ts = None;
    for column in ["true_tstamp", "derived_tstamp", "collector_tstamp"] {
        if let Some(text) = row.text(column)? {
            ts = Some((column, text));
            break;
        }
    }
    match ts {
        Some((column, text)) => record.put_text(Field::Ts, column, &in_utc(&text)),
        None => record.put(Field::Ts, "collector_tstamp", Json::ABSENT),
    }
    if let Some(text) = row.text("collector_tstamp")? {
        let collected = time::time(&in_utc(&text), None, false);
        let collected = collected.map_err(|_| invalid_time("collector_tstamp"))?;
        record.put_json(Field::Version, "collector_tstamp", (-collected).to_string());
    }
    Ok(())
}

/// A time of Snowplow as RFC 3339: it is in UTC, and may say so.
fn in_utc(text: &str) -> String {
    let text = text.replacen(' ', "T", 1);
    let has_zone =
        text.ends_with(['Z', 'z']) || text.get(19..).is_some_and(|end| end.contains(['+', '-']));
    match has_zone {
        true => text,
        false => text + "Z",
    }
}

/// The cookie and the user.
fn put_identifiers(
    adapter: &Adapter,
    row: &Row<'_>,
    record: &mut NativeRecord<'_>,
) -> Result<(), Refusal> {
    row.copy(record, Field::Cookie, "domain_userid")?;
    match adapter.mapping.user_id.unwrap_or_default() {
        UserId::Customer => row.copy(record, Field::Customer, "user_id"),
        UserId::Email => row.copy(record, Field::Email, "user_id"),
        UserId::Phone => row.copy(record, Field::Phone, "user_id"),
        UserId::None => Ok(()),
    }
}

/// What the event says besides its identifiers.
fn put_event<'a>(
    adapter: &Adapter,
    row: &Row<'a>,
    meaning: EventMeaning,
    record: &mut NativeRecord<'a>,
) -> Result<(), Refusal> {
    if record.kind == Kind::Web {
        record.put_text(Field::Type, "event_name", web_type(meaning));
    }
    match meaning {
        EventMeaning::View => {
            put_channel(row, record)?;
            if begins_visit(row)? {
                record.put_json(Field::Landing, "page_referrer", "true");
            }
        }
        EventMeaning::Click | EventMeaning::Impression => {
            let mut campaign = None;
            for name in ["ad_click", "ad_impression"] {
                let event = row.unstruct(name)?;
                campaign = campaign.or(event.and_then(|event| event.get("campaignId").present()));
            }
            match campaign {
                Some(campaign) => {
                    record.put(Field::Campaign, "unstruct_event.campaignId", campaign)
                }
                None => put_channel(row, record)?,
            }
        }
        EventMeaning::Order => put_sale(adapter, row, "transaction", "revenue", record)?,
        EventMeaning::Refund => put_sale(adapter, row, "refund", "refund_amount", record)?,
        EventMeaning::Transaction => {
            put_sale(adapter, row, "transaction", "revenue", record)?;
            let place = row.text("tr_affiliation")?.or(row.text("app_id")?);
            match adapter.store(place.as_deref()) {
                Some(store) => record.put_text(Field::Store, "tr_affiliation", store),
                None => record.put(Field::Store, "tr_affiliation", Json::ABSENT),
            }
        }
        EventMeaning::Identify | EventMeaning::Ignore => {}
    }
    Ok(())
}

/// The order, the amount and its currency: of an e-commerce entity, else of the
/// columns of a transaction, else the value of a structured event.
fn put_sale<'a>(
    adapter: &Adapter,
    row: &Row<'a>,
    entity: &'static str,
    amount: &'static str,
    record: &mut NativeRecord<'a>,
) -> Result<(), Refusal> {
    let is_order = record.kind == Kind::Web;
    if let Some(found) = row.entity(entity)? {
        if is_order {
            let order = found.get("transaction_id");
            record.put(
                Field::OrderId,
                format!("contexts.{entity}.transaction_id"),
                order,
            );
        }
        let code = found.get("currency");
        record.put(Field::Currency, format!("contexts.{entity}.currency"), code);
        let decimals = money::decimals(code.text().as_deref(), adapter.decimals);
        let path = format!("contexts.{entity}.{amount}");
        match found.get(amount).present() {
            Some(value) => {
                let rounded = money::rounded(value, decimals);
                record.put_json(Field::Amount, path, rounded);
            }
            None => record.put(Field::Amount, path, Json::ABSENT),
        }
        return Ok(());
    }
    if is_order {
        row.copy(record, Field::OrderId, "tr_orderid")?;
    }
    row.copy(record, Field::Currency, "tr_currency")?;
    let code = row.text("tr_currency")?;
    let decimals = money::decimals(code.as_deref(), adapter.decimals);
    let mut total = None;
    for column in ["tr_total", "se_value"] {
        total = total.or(row.text(column)?.map(|total| (column, total)));
    }
    match total {
        Some((column, total)) => {
            let rounded = decimals.and_then(|decimals| money::round(&total, decimals));
            let total = rounded.as_deref().unwrap_or(&total);
            record.put_text(Field::Amount, column, total);
        }
        None => record.put(Field::Amount, "tr_total", Json::ABSENT),
    }
    Ok(())
}

/// The channel: the campaign that Snowplow found, else the addresses, which are
/// read as those of every source.
fn put_channel(row: &Row<'_>, record: &mut NativeRecord<'_>) -> Result<(), Refusal> {
    let words = [
        (Field::Source, "mkt_source"),
        (Field::Medium, "mkt_medium"),
        (Field::Campaign, "mkt_campaign"),
    ];
    let mut any = false;
    for (field, column) in words {
        any |= row.text(column)?.is_some();
        row.copy(record, field, column)?;
    }
    if !any {
        row.copy(record, Field::Url, "page_url")?;
        row.copy(record, Field::Referrer, "page_referrer")?;
    }
    Ok(())
}

/// Whether a view begins a visit.
fn begins_visit(row: &Row<'_>) -> Result<bool, Refusal> {
    let medium = row.text("refr_medium")?;
    let [url, referrer] = [row.text("page_url")?, row.text("page_referrer")?];
    let [url, referrer] = [url, referrer].map(|text| quote(text.as_deref().unwrap_or_default()));
    let is_landing = page::is_landing(Json::of(&url), Json::of(&referrer));
    Ok(medium.as_deref() != Some("internal") && is_landing)
}

/// The statement of `consent_preferences`; `None` if it decides no checkbox or
/// names nobody.
///
/// The event names the scopes that are granted after it, so a checkbox is
/// granted by any of them, and denied if none of them lists it.
fn consent<'a>(
    adapter: &Adapter,
    row: &Row<'a>,
    record: &NativeRecord<'a>,
) -> Result<Option<NativeRecord<'a>>, Refusal> {
    let Some(event) = row.unstruct("consent_preferences")? else {
        return Ok(None);
    };
    let decision = event.get("eventType").text().unwrap_or_default();
    let granted = match &*decision {
        "allow_all" | "allow_selected" => true,
        "deny_all" | "withdrawn" => false,
        _ => return Ok(None),
    };
    let path = "unstruct_event.consentScopes";
    let scopes = match event.get("consentScopes").present() {
        None => Vec::new(),
        Some(scopes) => {
            let list = scopes.list();
            list.ok_or_else(|| wrong_type(path, "a list of scopes"))?
        }
    };
    let scopes: Vec<_> = scopes.iter().filter_map(|scope| scope.text()).collect();
    let mut boxes: BTreeMap<&str, bool> = BTreeMap::new();
    for (category, names) in &adapter.mapping.consent_categories {
        let named = granted && scopes.iter().any(|scope| **scope == **category);
        for name in names {
            *boxes.entry(name).or_default() |= named;
        }
    }
    let identifiers: &[Field] = match record.raw(Field::Cookie).is_empty() {
        true => &IDENTIFIERS,
        false => &[Field::Cookie],
    };
    if boxes.is_empty() || identifiers.iter().all(|of| record.raw(*of).is_empty()) {
        return Ok(None);
    }
    let mut statement = NativeRecord::new(Kind::Consent);
    statement.copy(record, &[Field::Id, Field::Ts, Field::Version]);
    statement.copy(record, identifiers);
    let members = boxes
        .iter()
        .map(|(name, ticked)| format!("\"{name}\":{ticked}"));
    let json = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    statement.put_json(Field::Purposes, path, json);
    let shown = [
        ("notice", event.get("consentUrl")),
        ("notice_version", event.get("consentVersion")),
        ("type", event.get("eventType")),
    ];
    let shown = shown.iter().filter(|(_, value)| !value.is_absent());
    let shown = shown.map(|(name, value)| format!("\"{name}\":{}", value.raw()));
    let json = format!("{{{}}}", shown.collect::<Vec<_>>().join(","));
    statement.put_json(Field::Evidence, "unstruct_event", json);
    Ok(Some(statement))
}

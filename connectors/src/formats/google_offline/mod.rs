//! Offline conversions for Google Ads: the CSV files of clicks and adjustments,
//! and events of the Data Manager API.
//!
//! Facts: <https://support.google.com/google-ads/answer/7014069>, `/7686280`
//! and `/10018336`, and <https://developers.google.com/data-manager/api>.
//!
//! Google recognizes a conversion without an order id by its click, name and
//! time, so these three as written are the id here as well. A retraction
//! refunds a sale as a whole; a restatement gives its new total.

mod columns;
pub(super) mod document;
mod times;

use std::borrow::Cow;

use tributary_config::model::{EventMeaning, Kind};

use self::columns::{Column, NAME, TYPE, normalize};
use super::adapter::{Adapter, Emit, Item, emit_all, listed, object, one_or_many};
use super::json::{Json, Object, quote};
use super::record::{NativeRecord, Outcome, missing, wrong_type};
use super::{consent, money};
use crate::csv;
use crate::dead_letter::{Reason, Refusal};
use crate::native::fields::Field;
use crate::native::time::TimeError;

/// The member of a request to the Data Manager with its events.
pub const LIST: &str = "events";

/// What the events of a request share.
const INHERITED: &str = "consent";

/// Reads a row, as an object by its headers, or an event of the Data Manager, or a request with several of them.
pub fn read<'a>(adapter: &Adapter, item: Item<'a>, emit: &mut Emit<'_, 'a>) {
    let request = Json::of(item.text).is_object().then(|| object(item.text));
    let request = request.and_then(Result::ok);
    let events = request
        .as_ref()
        .and_then(|request| request.get(LIST).list());
    if let Some((request, events)) = request.as_ref().zip(events) {
        if events.is_empty() {
            return emit(item.text, Outcome::NotMapped);
        }
        let count = events.len();
        for (position, text) in events.into_iter().enumerate() {
            let mut records = Vec::new();
            let converted = object(text.raw()).and_then(|mut of_list| {
                of_list.inherit(INHERITED, request.get(INHERITED));
                event(
                    adapter,
                    item.element(position, count),
                    &of_list,
                    &mut records,
                )
            });
            emit_all(text.raw(), converted.map(|()| records), emit);
        }
        return;
    }
    let mut records = Vec::new();
    let converted = convert(adapter, item, &mut records);
    emit_all(item.text, converted.map(|()| records), emit);
}

/// Appends the records of an item; none if it maps to nothing.
fn convert<'a>(
    adapter: &Adapter,
    item: Item<'a>,
    out: &mut Vec<NativeRecord<'a>>,
) -> Result<(), Refusal> {
    let malformed = |detail| Err(Refusal::new(Reason::MalformedRow, detail));
    if serde_json::from_str::<Vec<Cow<'_, str>>>(item.text).is_ok_and(|cells| !cells.is_empty()) {
        return malformed(
            "the row has more or fewer cells than the header: quote cells that hold a comma",
        );
    }
    if let Some(detail) = csv::unclosed_line(item.text) {
        return Err(Refusal::new(Reason::MalformedRow, detail));
    }
    if !item.text.starts_with(['{', '[']) {
        return malformed(document::FOREIGN_HEADER);
    }
    let whole = object(item.text)?;
    let row = Row::of(&whole);
    if row.has(TYPE) {
        adjustment(adapter, &row, out)
    } else if row.has(NAME) {
        conversion(adapter, &row, out)
    } else {
        event(adapter, item, &whole, out)
    }
}

const TIME: Column = &["conversion time", "conversion timestamp", "conversion date"];
const VALUE: Column = &["conversion value", "value"];
const CURRENCY: Column = &["conversion currency", "currency", "currency code"];
const ORDER: Column = &["order id", "transaction id"];
const CLICKS: [Column; 3] = [&["google click id", "gclid"], &["gbraid"], &["wbraid"]];
const EMAIL: Column = &["email", "email address"];
const PHONE: Column = &["phone number", "phone"];
const ADJUSTED_VALUE: Column = &["adjusted value"];
const ADJUSTED_CURRENCY: Column = &["adjusted value currency", "adjusted currency"];
const STORE: Column = &["store id", "store code", "store"];

/// The cells of a row by their headers.
struct Row<'a> {
    cells: Vec<(String, Cow<'static, str>, Json<'a>)>,
}

impl<'a> Row<'a> {
    /// The members of an object as cells.
    fn of(object: &Object<'a>) -> Row<'a> {
        let cells = object.members().map(|(name, value)| {
            let shown = Cow::Owned(name.to_owned());
            (normalize(name), shown, value)
        });
        Row {
            cells: cells.collect(),
        }
    }

    /// Whether the row has a column, with a value or without.
    fn has(&self, column: Column) -> bool {
        self.cells
            .iter()
            .any(|(name, ..)| column.contains(&name.as_str()))
    }

    /// The header and the value of a column.
    fn cell(&self, column: Column) -> (Cow<'static, str>, Json<'a>) {
        let mut cells = self.cells.iter();
        let found =
            cells.find(|(name, _, value)| column.contains(&name.as_str()) && !value.is_absent());
        match found {
            Some((_, shown, value)) => (shown.clone(), *value),
            None => (Cow::Owned(title(column)), Json::ABSENT),
        }
    }

    /// The text of a column.
    fn text(&self, column: Column) -> Result<Option<Cow<'a, str>>, Refusal> {
        let (header, value) = self.cell(column);
        match value.present() {
            None => Ok(None),
            Some(value) => {
                let text = value.text_or_number();
                Ok(Some(text.ok_or_else(|| wrong_type(&header, "a text"))?))
            }
        }
    }

    /// Sets a field to a column.
    fn put(&self, record: &mut NativeRecord<'a>, field: Field, column: Column) {
        let (header, value) = self.cell(column);
        record.put(field, header, value);
    }

    /// Sets a field to all columns of a kind, which Google's header repeats for several addresses of one person.
    fn put_all(&self, record: &mut NativeRecord<'a>, field: Field, column: Column) {
        let cells = self.cells.iter();
        let cells = cells.filter(|(name, ..)| column.contains(&name.as_str()));
        let cells = cells.filter_map(|(_, _, value)| Some(value.present()?.raw().to_owned()));
        let (header, _) = self.cell(column);
        match listed(&cells.collect::<Vec<_>>()) {
            Some(json) => record.put_json(field, header, json),
            None => record.put(field, header, Json::ABSENT),
        }
    }

    /// Sets a field to an amount, which stays a text.
    fn put_amount(&self, record: &mut NativeRecord<'a>, column: Column) {
        let (header, value) = self.cell(column);
        match value.is_number() && !value.raw().contains(['e', 'E']) {
            true => record.put_json(Field::Amount, header, quote(value.raw())),
            false => record.put(Field::Amount, header, value),
        }
    }

    /// The time of a column, in the zone of the row, else of the file, else of
    /// the source.
    fn time(&self, adapter: &Adapter, column: Column) -> Result<(i64, String), Refusal> {
        let (header, value) = self.cell(column);
        if value.is_absent() {
            return Err(missing(&header));
        }
        let refuse = |error| match error {
            TimeError::NoZone => Refusal::new(
                Reason::TimeWithoutZone,
                format!(
                    "`{header}` has no zone: write one behind it, a first line `{}=Europe/Paris`, or set the source's zone",
                    document::ZONE
                ),
            ),
            TimeError::TooEarly | TimeError::TooLate => Refusal::new(
                Reason::TimeOutOfRange,
                format!("`{header}` must lie from 1971 to 9999"),
            ),
            TimeError::Invalid => Refusal::new(
                Reason::InvalidTime,
                format!("`{header}` must be a date and a time such as `2026-05-22 14:30:00`"),
            ),
        };
        let text = value.text().ok_or_else(|| refuse(TimeError::Invalid))?;
        let of_file = match self.text(&["parameters timezone"])? {
            None => adapter.times.zone.clone(),
            Some(name) => {
                let zone = times::zone(&name);
                let invalid = || {
                    let detail = format!("`{}` is no zone", document::ZONE);
                    Refusal::new(Reason::InvalidTime, detail)
                };
                Some(zone.ok_or_else(invalid)?)
            }
        };
        times::read(&text, of_file.as_ref()).map_err(refuse)
    }

    /// The id of the conversion: the order id, else click, name and time as
    /// written.
    fn id(&self) -> Result<String, Refusal> {
        if let Some(id) = self.text(ORDER)? {
            return Ok(id.into_owned());
        }
        let mut click = None;
        for column in CLICKS {
            click = click.or(self.text(column)?);
        }
        let name = self.text(NAME)?;
        let time = self.text(TIME)?;
        match (click, name, time) {
            (Some(click), Some(name), Some(time)) => Ok(format!("{click}|{name}|{time}")),
            _ => Err(Refusal::new(
                Reason::MissingField,
                format!(
                    "`{}` is required, or a click ID with `Conversion Name` and `Conversion Time`",
                    self.cell(ORDER).0
                ),
            )),
        }
    }

    /// Whether a consent column denies.
    fn denies(&self, column: Column) -> Result<bool, Refusal> {
        let text = self.text(column)?;
        Ok(text.is_some_and(|text| text.trim().eq_ignore_ascii_case("denied")))
    }
}

/// The usual spelling of a column that a file has not.
fn title(column: Column) -> String {
    let words = column.first().copied().unwrap_or_default().split(' ');
    let words = words.map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect::<Vec<_>>().join(" ").replace(" Id", " ID")
}

/// What a conversion is, by its name: a transaction or an order.
fn meaning(adapter: &Adapter, row: &Row<'_>) -> Result<Option<EventMeaning>, Refusal> {
    let conversions = &adapter.mapping.conversions;
    if conversions.is_empty() {
        return Ok(Some(EventMeaning::Transaction));
    }
    let name = row.text(NAME)?.unwrap_or_default();
    let meaning = conversions.get(&*name).copied();
    Ok(meaning.filter(|meaning| *meaning != EventMeaning::Ignore))
}

/// A record of a meaning, with its store or its type.
fn begin<'a>(
    adapter: &Adapter,
    meaning: EventMeaning,
    place: Option<&str>,
    kind: &str,
) -> NativeRecord<'a> {
    match meaning {
        EventMeaning::Order => {
            let mut record = NativeRecord::new(Kind::Web);
            record.put_text(Field::Type, "Conversion Name", kind);
            record
        }
        _ => {
            let mut record = NativeRecord::new(Kind::Transaction);
            match adapter.store(place) {
                Some(store) => record.put_text(Field::Store, "store", store),
                None => record.put(Field::Store, "Store ID", Json::ABSENT),
            }
            record
        }
    }
}

/// Appends the records of a conversion: the sale and the consent.
fn conversion<'a>(
    adapter: &Adapter,
    row: &Row<'a>,
    out: &mut Vec<NativeRecord<'a>>,
) -> Result<(), Refusal> {
    let Some(meaning) = meaning(adapter, row)? else {
        return Ok(());
    };
    let place = row.text(STORE)?;
    let mut record = begin(adapter, meaning, place.as_deref(), "order");
    let id = row.id()?;
    record.put_text(Field::Id, "Order ID", &id);
    if meaning == EventMeaning::Order {
        record.put_text(Field::OrderId, "Order ID", &id);
    }
    let (_, ts) = row.time(adapter, TIME)?;
    record.put_text(Field::Ts, row.cell(TIME).0, &ts);
    row.put_amount(&mut record, VALUE);
    row.put(&mut record, Field::Currency, CURRENCY);
    row.put_all(&mut record, Field::Email, EMAIL);
    row.put_all(&mut record, Field::Phone, PHONE);
    let mut clicks = Vec::new();
    for column in CLICKS {
        clicks.extend(row.text(column)?.map(|click| quote(&click)));
    }
    if let Some(json) = listed(&clicks) {
        record.put_json(Field::ClickId, "Google Click ID", json);
    }
    let mut refused = Vec::new();
    if row.denies(&["ad user data"])? {
        refused.push("do_not_share");
    }
    if row.denies(&["ad personalization"])? {
        refused.push("do_not_target");
    }
    let boxes = consent::opt_outs(&refused);
    let statement = consent::statement(&record, &id, "Ad User Data", &boxes);
    out.push(record);
    out.extend(statement);
    Ok(())
}

/// Appends the record of an adjustment: a refund of all, or a restatement.
fn adjustment<'a>(
    adapter: &Adapter,
    row: &Row<'a>,
    out: &mut Vec<NativeRecord<'a>>,
) -> Result<(), Refusal> {
    const ADJUSTED: Column = &["adjustment time"];
    let kind = row.text(TYPE)?.ok_or_else(|| missing("Adjustment Type"))?;
    let Some(meaning) = meaning(adapter, row)? else {
        return Ok(());
    };
    let is_order = meaning == EventMeaning::Order;
    let place = row.text(STORE)?;
    let place = place.as_deref();
    let mut record = match &*kind.trim().to_ascii_uppercase() {
        "RETRACT" | "RETRACTION" => {
            let sale = row.id()?;
            let mut record = begin(adapter, meaning, place, "refund");
            record.put_text(Field::Id, "Order ID", &format!("{sale}#retract"));
            let field = if is_order {
                Field::OrderId
            } else {
                Field::RefundOf
            };
            record.put_text(field, "Order ID", &sale);
            record
        }
        "RESTATE" | "RESTATEMENT" => {
            let sale = row.id()?;
            let (at, _) = row.time(adapter, ADJUSTED)?;
            let mut record = begin(adapter, meaning, place, "order");
            record.put_text(Field::Id, "Order ID", &format!("{sale}#restate#{at}"));
            record.put_text(Field::Restates, "Order ID", &sale);
            row.put_amount(&mut record, ADJUSTED_VALUE);
            row.put(&mut record, Field::Currency, ADJUSTED_CURRENCY);
            record
        }
        "ENHANCEMENT" | "ENHANCE" => return Ok(()),
        _ => {
            let detail = "`Adjustment Type` must be RETRACT, RESTATE or ENHANCEMENT";
            return Err(Refusal::new(Reason::UnknownType, detail));
        }
    };
    let (_, ts) = row.time(adapter, ADJUSTED)?;
    record.put_text(Field::Ts, row.cell(ADJUSTED).0, &ts);
    out.push(record);
    Ok(())
}

/// Appends the records of an event of the Data Manager API: the sale and the
/// consent.
fn event<'a>(
    adapter: &Adapter,
    item: Item<'a>,
    event: &Object<'a>,
    out: &mut Vec<NativeRecord<'a>>,
) -> Result<(), Refusal> {
    let first = |paths: &[&'static str]| {
        let mut present = paths.iter().map(|path| (*path, event.at(path)));
        let found = present.find(|(_, value)| !value.is_absent());
        found.unwrap_or((paths.first().copied().unwrap_or_default(), Json::ABSENT))
    };
    let source = event.get("eventSource").text().unwrap_or_default();
    let meaning = match source.eq_ignore_ascii_case("IN_STORE") {
        true => EventMeaning::Transaction,
        false => EventMeaning::Order,
    };
    let place = first(&["eventLocation.storeId", "storeId"])
        .1
        .text_or_number();
    let mut record = begin(adapter, meaning, place.as_deref(), "order");
    let id = event.get("transactionId").text_or_number();
    let id = id.or(item.supplied_id());
    let id = id.ok_or_else(|| missing("transactionId"))?;
    record.put_text(Field::Id, "transactionId", &id);
    if meaning == EventMeaning::Order {
        record.put_text(Field::OrderId, "transactionId", &id);
    }
    let (path, time) = first(&["timestamp", "eventTimestamp"]);
    record.put(Field::Ts, path, time);
    let currency = event.get("currency");
    record.put(Field::Currency, "currency", currency);
    let (path, value) = first(&["value", "conversionValue"]);
    match value.present() {
        Some(value) => {
            let decimals = money::decimals(currency.text().as_deref(), adapter.decimals);
            record.put_json(Field::Amount, path, money::rounded(value, decimals));
        }
        None => record.put(Field::Amount, path, Json::ABSENT),
    }
    let identifiers = event
        .at("userData.userIdentifiers")
        .list()
        .unwrap_or_default();
    for (field, key, nested) in [
        (Field::Email, "emails", "emailAddress"),
        (Field::Phone, "phoneNumbers", "phoneNumber"),
    ] {
        let named = identifiers
            .iter()
            .filter_map(|id| id.object()?.get(nested).present());
        let all = one_or_many(event.get(key)).into_iter().chain(named);
        let all: Vec<String> = all.map(|value| value.raw().to_owned()).collect();
        if let Some(json) = listed(&all) {
            record.put_json(field, key, json);
        }
    }
    let clicks = ["gclid", "gbraid", "wbraid"].into_iter().filter_map(|key| {
        let of_click = event.at(&format!("adIdentifiers.{key}"));
        event.get(key).present().or(of_click.present())
    });
    let clicks: Vec<String> = clicks.map(|value| value.raw().to_owned()).collect();
    if let Some(json) = listed(&clicks) {
        record.put_json(Field::ClickId, "gclid", json);
    }
    let denied = |key| {
        let text = event
            .at(&format!("consent.{key}"))
            .text()
            .unwrap_or_default();
        text.to_ascii_uppercase().ends_with("DENIED")
    };
    let mut refused = Vec::new();
    if denied("adUserData") {
        refused.push("do_not_share");
    }
    if denied("adPersonalization") {
        refused.push("do_not_target");
    }
    let boxes = consent::opt_outs(&refused);
    let statement = consent::statement(&record, &id, "consent", &boxes);
    out.push(record);
    out.extend(statement);
    Ok(())
}

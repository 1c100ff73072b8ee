//! Web records: contacts, identifications, orders and refunds, with the consent
//! that they carry.

use tributary_operators::event::Event;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{Body, IdKind, SaleKind, SaleName, TouchKind};

use super::channel::{self, ChannelWords};
use super::consent::RecordSignals;
use super::fields::Field;
use super::identifiers::Identifiers;
use super::line::Line;
use super::reader::{FieldResult, missing};
use super::record::{self, RecordHead};
use super::robots;
use crate::dead_letter::{Ignored, Reason, Refusal, Sink};

/// The identifiers of a web record.
const IDENTIFIERS: [(Field, IdKind); 6] = [
    (Field::Cookie, IdKind::Cookie),
    (Field::Email, IdKind::Email),
    (Field::Phone, IdKind::Phone),
    (Field::Customer, IdKind::Customer),
    (Field::Device, IdKind::Device),
    (Field::ClickId, IdKind::ClickId),
];

/// The maximum length of a user agent, bytes; a longer one counts as absent.
const MAX_USER_AGENT: usize = 65_536;

/// Decodes a web record, and emits the statements and evidence of its consent
/// strings. The record of a robot is omitted before anything else of it is
/// read.
///
/// # Errors
/// `unknown_type`, `bad_consent`, and those of the fields.
pub fn read(line: &mut Line<'_, '_>, sink: &mut impl Sink) -> FieldResult<Result<Event, Ignored>> {
    let head = RecordHead::read(line)?;
    let kind = line.reader.required(Field::Type)?;
    let user_agent = line.reader.short_text(Field::UserAgent, MAX_USER_AGENT)?;
    if !line.keep_robots && user_agent.is_some_and(|user_agent| robots::is_robot(&user_agent)) {
        return Ok(Err(Ignored::Robot));
    }
    let mut ids = Identifiers::read(line, &IDENTIFIERS)?;
    for click_id in channel::click_ids(&line.reader) {
        ids.add(line, IdKind::ClickId, &click_id)?;
    }
    let ids = ids.set(line);
    let signals = RecordSignals::of_web(line, sink)?;
    let body = match &*kind {
        "impression" => contact(line, TouchKind::Impression, sink)?,
        "click" => contact(line, TouchKind::Click, sink)?,
        "view" => contact(line, TouchKind::View, sink)?,
        "identify" => Body::Identify,
        "order" => order(line, &head)?,
        "refund" => refund(line)?,
        _ => {
            return Err(Refusal::new(
                Reason::UnknownType,
                "`type` must be impression, click, view, identify, order or refund",
            ));
        }
    };
    signals.emit(line, head.ts, &ids, IdKind::Cookie, sink)?;
    Ok(Ok(record::put_event(line, head, ids, body, sink)))
}

/// The body of an impression, a click or a view. A view counts as a contact if
/// it begins a visit or has a channel; a direct view in the middle of a visit
/// does not.
fn contact(line: &mut Line<'_, '_>, kind: TouchKind, sink: &mut impl Sink) -> FieldResult<Body> {
    let derived = channel::derive(&line.reader, &line.brand.channels)?;
    let touch = match kind {
        TouchKind::Impression | TouchKind::Click => true,
        TouchKind::View => line.reader.flag(Field::Landing)? || derived.is_some(),
    };
    let channel = match &derived {
        Some(words) => announce_channel(line, words, sink),
        None => Channel::direct(),
    };
    Ok(Body::Contact {
        kind,
        channel,
        touch,
    })
}

/// The channel of these words, each of which is announced.
pub(super) fn announce_channel(
    line: &mut Line<'_, '_>,
    words: &ChannelWords<'_>,
    sink: &mut impl Sink,
) -> Channel {
    let [source, medium, campaign] = words;
    Channel {
        source: line.labels.announce(source, sink),
        medium: line.labels.announce(medium, sink),
        campaign: line.labels.announce(campaign, sink),
    }
}

/// The body of an order. One that restates another replaces its amount. A negative amount refunds the sale that the record
/// names, or else adjusts.
fn order(line: &Line<'_, '_>, head: &RecordHead<'_>) -> FieldResult<Body> {
    let kind = SaleKind::Order;
    if let Some(sale) = line.reader.sale_name(Field::Restates)? {
        return Ok(Body::Restatement {
            kind,
            name: SaleName::of(&sale),
            store: Label::ABSENT,
            amount: line.restated_amount()?,
        });
    }
    let order_id = line.reader.sale_name(Field::OrderId)?;
    let refund_of = line.reader.sale_name(Field::RefundOf)?;
    if line.is_negative()?
        && let Some((kind, name)) = refunded(refund_of.as_deref(), order_id.as_deref())
    {
        let amount = line.refund_amount()?;
        let store = Label::ABSENT;
        return Ok(Body::Refund {
            kind,
            name,
            store,
            amount,
        });
    }
    let money = line.money(Field::Amount)?;
    let (amount, currency) = money.ok_or_else(|| missing(Field::Amount))?;
    let store = Label::ABSENT;
    Ok(match amount {
        0.. => Body::Sale {
            kind,
            name: match order_id {
                Some(order_id) => SaleName::of(&order_id),
                None => SaleName::of_record(&head.id),
            },
            store,
            amount,
            currency,
        },
        _ => Body::Adjustment {
            kind,
            store,
            amount,
            currency,
        },
    })
}

/// The sale that a refund names; a transaction takes precedence over an order.
fn refunded(refund_of: Option<&str>, order_id: Option<&str>) -> Option<(SaleKind, SaleName)> {
    match (refund_of, order_id) {
        (Some(transaction), _) => Some((SaleKind::Transaction, SaleName::of(transaction))),
        (None, Some(order)) => Some((SaleKind::Order, SaleName::of(order))),
        (None, None) => None,
    }
}

/// The body of a refund.
fn refund(line: &Line<'_, '_>) -> FieldResult<Body> {
    let order_id = line.reader.sale_name(Field::OrderId)?;
    let refund_of = line.reader.sale_name(Field::RefundOf)?;
    let named = refunded(refund_of.as_deref(), order_id.as_deref());
    let (kind, name) = named.ok_or_else(|| {
        Refusal::new(
            Reason::MissingField,
            "a refund needs `order_id` or `refund_of`",
        )
    })?;
    Ok(Body::Refund {
        kind,
        name,
        store: Label::ABSENT,
        amount: line.refund_amount()?,
    })
}

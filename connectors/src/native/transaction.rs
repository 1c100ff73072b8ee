//! Transactions in stores: sales, refunds of a transaction or an order, and
//! adjustments.
//!
//! | fields | meaning |
//! |---|---|
//! | `amount` ≥ 0 | a sale |
//! | `amount` < 0 | an adjustment, which belongs to no sale |
//! | `restates` | a new `amount` of that transaction, before refunds |
//! | `refund_of` | a refund of that transaction; without `amount`, of all of it |
//! | `order_id`, `amount` < 0 | a refund, in a store, of that online order |

use tributary_operators::event::Event;
use tributary_operators::record::{Body, IdKind, RefundAmount, SaleKind, SaleName};

use super::fields::Field;
use super::identifiers::Identifiers;
use super::labels;
use super::line::Line;
use super::reader::{FieldResult, missing};
use super::record::{self, RecordHead};
use crate::dead_letter::{Reason, Refusal, Sink};

/// The identifiers of a transaction, besides name and postcode.
const IDENTIFIERS: [(Field, IdKind); 6] = [
    (Field::Email, IdKind::Email),
    (Field::Phone, IdKind::Phone),
    (Field::Customer, IdKind::Customer),
    (Field::Wallet, IdKind::Wallet),
    (Field::Device, IdKind::Device),
    (Field::ClickId, IdKind::ClickId),
];

/// Decodes a transaction.
///
/// # Errors
/// `missing_field`, and those of the amount, the time stamp and the
/// identifiers.
pub fn read(line: &mut Line<'_, '_>, sink: &mut impl Sink) -> FieldResult<Event> {
    let head = RecordHead::read(line)?;
    let store = labels::normalize(line.reader.required(Field::Store)?);
    if store.is_empty() {
        return Err(missing(Field::Store));
    }
    let refund_of = line.reader.sale_name(Field::RefundOf)?;
    let order_id = line.reader.sale_name(Field::OrderId)?;
    // A refund takes the currency of its sale where it names none, so that it is read apart.
    let restates = line.reader.sale_name(Field::Restates)?;
    let restated = restates
        .as_ref()
        .map(|_| line.restated_amount())
        .transpose()?;
    let is_refund = refund_of.is_some() || order_id.is_some() && line.is_negative()?;
    let (refund, money) = match is_refund {
        true => (line.refund_amount()?, None),
        false => (RefundAmount::All, line.money(Field::Amount)?),
    };
    let mut ids = Identifiers::read(line, &IDENTIFIERS)?;
    ids.read_name(line)?;
    let ids = ids.set(line);
    let kind = SaleKind::Transaction;
    if let (Some(sale), Some(amount)) = (restates, restated) {
        let body = Body::Restatement {
            kind,
            name: SaleName::of(&sale),
            store: line.labels.announce(&store, sink),
            amount,
        };
        return Ok(record::put_event(line, head, ids, body, sink));
    }
    let body = match (refund_of, order_id, money) {
        (Some(transaction), _, _) => Body::Refund {
            kind,
            name: SaleName::of(&transaction),
            store: line.labels.announce(&store, sink),
            amount: refund,
        },
        (None, Some(order), _) if is_refund => Body::Refund {
            kind: SaleKind::Order,
            name: SaleName::of(&order),
            store: line.labels.announce(&store, sink),
            amount: refund,
        },
        (None, Some(_), None) => {
            return Err(Refusal::new(
                Reason::MissingField,
                "`amount` is required with `order_id`: negative, it refunds the order",
            ));
        }
        (None, None, None) => return Err(missing(Field::Amount)),
        (None, _, Some((amount, currency))) => {
            let store = line.labels.announce(&store, sink);
            match amount {
                0.. => Body::Sale {
                    kind,
                    name: SaleName::of(&head.id),
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
            }
        }
    };
    Ok(record::put_event(line, head, ids, body, sink))
}

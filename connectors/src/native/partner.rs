//! Partner records: where a partner saw a device, what it showed the device, and which identifiers it says belong together.
//!
//! A sighting is about its one device, so that it cannot be without it. Its MAC, which a captive portal sees, becomes the
//! keyed hash that a ping of the same address has; whoever reads the record replaces it by the offline cookie of the store's
//! day before anything is stored. A random address is the one that the phone keeps for the network, and meets the pings of
//! devices that are joined to it. Such a record comes under a subject of its own, whose messages the broker keeps no longer
//! than pings.

use tributary_config::model::Kind;
use tributary_operators::event::Event;
use tributary_operators::record::{Body, IdKind, IdSet, SightingCookie, TouchKind};

use super::channel;
use super::consent::RecordSignals;
use super::fields::Field;
use super::identifiers::Identifiers;
use super::line::Line;
use super::mac;
use super::ping::{self, GRACE};
use super::reader::{FieldResult, missing, wrong_type};
use super::record::{self, RecordHead};
use super::web::announce_channel;
use crate::dead_letter::{Reason, Refusal, Sink};

/// The identifiers of a partner record.
const IDENTIFIERS: [(Field, IdKind); 6] = [
    (Field::Device, IdKind::Device),
    (Field::Email, IdKind::Email),
    (Field::Phone, IdKind::Phone),
    (Field::Customer, IdKind::Customer),
    (Field::Wallet, IdKind::Wallet),
    (Field::Cookie, IdKind::Cookie),
];

/// The longest sighting, milliseconds.
const LONGEST: i64 = 86_400_000;

/// Decodes a partner record, and emits the statement and the evidence of the consent that it carries.
///
/// # Errors
/// `mac_in_clear`, `missing_field`, `unknown_type`, `unknown_store`, `time_out_of_range` for `until`, `late_sighting`, `invalid_mac`,
/// `number_out_of_range` for `offline_cookie`, `bad_consent`, and those of the time stamp and the identifiers.
pub fn read(line: &mut Line<'_, '_>, sink: &mut impl Sink) -> FieldResult<Event> {
    if line.reader.is_present(Field::Mac) && !line.message.takes_mac {
        return Err(Refusal::new(
            Reason::MacInClear,
            format!(
                "publish records with `mac` to tributary.in.{}.{}.{}, whose messages the broker soon deletes; or leave `mac` out",
                line.brand.name,
                Kind::PARTNER_MAC,
                line.source.name
            ),
        ));
    }
    let head = RecordHead::read(line)?;
    let kind = line.reader.required(Field::Type)?;
    let ids = Identifiers::read(line, &IDENTIFIERS)?.set(line);
    let signals = RecordSignals::of_partner(line, sink)?;
    let body = match &*kind {
        "sighting" => sighting(line, &head, &ids, sink)?,
        "exposure" => exposure(line, sink)?,
        "link" => Body::PartnerLink,
        _ => {
            return Err(Refusal::new(
                Reason::UnknownType,
                "`type` must be sighting, exposure or link",
            ));
        }
    };
    if ids.is_empty() {
        return Err(nobody(line));
    }
    signals.emit(line, head.ts, &ids, IdKind::Device, sink)?;
    Ok(record::put_event(line, head, ids, body, sink))
}

/// The refusal of a record without an identifier.
fn nobody(line: &Line<'_, '_>) -> Refusal {
    match line.reader.is_present(Field::Device) {
        true => Refusal::new(
            Reason::MissingField,
            "`device` is blocked, as the zero advertising identifier is, and nothing else names the device",
        ),
        false => Refusal::new(
            Reason::MissingField,
            "a partner record needs `device`, `email`, `phone`, `customer`, `wallet` or `cookie`, and none that is blocked",
        ),
    }
}

/// The body of a sighting.
fn sighting(
    line: &mut Line<'_, '_>,
    head: &RecordHead<'_>,
    ids: &IdSet,
    sink: &mut impl Sink,
) -> FieldResult<Body> {
    let mut devices = ids.ids().iter().filter(|id| id.kind == IdKind::Device);
    match (devices.next(), devices.next()) {
        (Some(_), None) => {}
        (Some(_), Some(_)) => return Err(wrong_type(Field::Device, "one device in a sighting")),
        (None, _) if line.reader.is_present(Field::Device) => return Err(nobody(line)),
        (None, _) => return Err(missing(Field::Device)),
    }
    let store = ping::store_with_sensors(line)?;
    let until = line.time(Field::Until)?.unwrap_or(head.ts);
    if !(head.ts..=head.ts.saturating_add(LONGEST)).contains(&until) {
        return Err(Refusal::new(
            Reason::TimeOutOfRange,
            "`until` must lie from `ts` to 24 hours after it",
        ));
    }
    let cookie = match ping::offline_cookie(line)? {
        Some(cookie) => SightingCookie::Cookie(cookie),
        None => match ping::address(line)? {
            Some(address) if mac::is_random(address) => {
                SightingCookie::Mac(line.brand.key.associated_mac(address))
            }
            Some(address) => SightingCookie::Mac(line.brand.key.mac(address)),
            None => SightingCookie::None,
        },
    };
    let (salt_day, end) = line.brand.clock.salt_day(head.ts.div_euclid(1000));
    let since_end = line.message.at.saturating_sub(end.saturating_mul(1000));
    if since_end > line.brand.settle_after || salt_day < line.brand.first_sighting_day {
        return Err(Refusal::new(
            Reason::LateSighting,
            "the sighting arrived more than `partners.settle_after` after its day ended",
        ));
    }
    let has_mac = matches!(cookie, SightingCookie::Mac(_));
    if has_mac && (since_end >= GRACE || salt_day < line.brand.first_salt_day) {
        return Err(Refusal::new(
            Reason::LateSighting,
            "a sighting with `mac` arrived 24 hours or more after its day ended: send `offline_cookie`, or neither",
        ));
    }
    Ok(Body::Sighting {
        store: line.labels.announce(&store, sink),
        salt_day,
        until,
        blur: line.source.blur,
        cookie,
    })
}

/// The body of an exposure.
fn exposure(line: &mut Line<'_, '_>, sink: &mut impl Sink) -> FieldResult<Body> {
    let kind = match &*line.reader.required(Field::Touch)? {
        "impression" => TouchKind::Impression,
        "click" => TouchKind::Click,
        _ => {
            return Err(Refusal::new(
                Reason::UnknownType,
                "`touch` must be impression or click",
            ));
        }
    };
    let words = channel::of_fields(&line.reader, &line.brand.channels)?;
    let words = words.ok_or_else(|| {
        Refusal::new(
            Reason::MissingField,
            "an exposure needs `source`, `medium` or `campaign`",
        )
    })?;
    Ok(Body::Exposure {
        kind,
        channel: announce_channel(line, &words, sink),
    })
}

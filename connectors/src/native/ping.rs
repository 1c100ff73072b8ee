//! Sensor pings: a device, a store and a second. A ping is salted later and
//! never linked to a person.

use std::borrow::Cow;

use tributary_operators::event::Event;
use tributary_operators::record::Ping;

use super::fields::Field;
use super::labels;
use super::line::Line;
use super::mac;
use super::reader::{FieldResult, missing};
use crate::dead_letter::{Ignored, Reason, Refusal, Sink};
use crate::keys::MAX_IDENTIFIER;

/// How long after the end of its salt day a ping may arrive, milliseconds; then
/// the salt is destroyed.
pub const GRACE: i64 = 86_400_000;

/// The outcome of a valid ping.
#[expect(
    clippy::large_enum_variant,
    reason = "it is mostly an event, and taken apart at once"
)]
pub enum PingOutcome {
    /// An event.
    Ping(Event),
    /// A deliberate omission.
    Ignored(Ignored),
}

/// Decodes a ping.
///
/// # Errors
/// `missing_field`, `unknown_store`, `invalid_mac`, `number_out_of_range` for
/// `rssi` and `offline_cookie`, `late_ping`, and those of the time stamp.
pub fn read(line: &mut Line<'_, '_>, sink: &mut impl Sink) -> FieldResult<PingOutcome> {
    let second = line.timestamp()?.div_euclid(1000);
    let store = store_with_sensors(line)?;
    line.reader.required(Field::Sensor)?;
    let address = address(line)?;
    let device = device(line)?;
    let associated = line.reader.flag(Field::Associated)?;
    let rssi = line.reader.integer(Field::Rssi)?;
    let rssi = rssi.ok_or_else(|| missing(Field::Rssi))?;
    let rssi = i8::try_from(rssi)
        .ok()
        .filter(|rssi| (-127..=20).contains(rssi));
    let rssi = rssi.ok_or_else(|| {
        Refusal::new(
            Reason::NumberOutOfRange,
            "`rssi` must lie from -127 to 20 dBm",
        )
    })?;
    let offline_cookie = offline_cookie(line)?;
    let (salt_day, end) = line.brand.clock.salt_day(second);
    let is_late = line.message.at >= end.saturating_mul(1000).saturating_add(GRACE);
    if is_late || salt_day < line.brand.first_salt_day {
        return Err(Refusal::new(
            Reason::LatePing,
            "the ping arrived 24 hours or more after its day ended",
        ));
    }
    let (device, random) = match (address, device) {
        (Some(address), _) if line.brand.fixed.has(address) => {
            return Ok(PingOutcome::Ignored(Ignored::FixedDevice));
        }
        (Some(address), _) if !mac::is_random(address) => (line.brand.key.mac(address), false),
        (Some(address), _) if associated && line.brand.associated => {
            (line.brand.key.associated_mac(address), false)
        }
        (Some(address), _) => (line.brand.key.mac(address), true),
        (None, Some(device)) => (device, false),
        (None, None) => {
            return Err(Refusal::new(
                Reason::MissingField,
                "a ping needs `mac` or `device`",
            ));
        }
    };
    Ok(PingOutcome::Ping(Event::Ping {
        ping: Ping {
            brand: line.brand.id,
            store: line.labels.announce(&store, sink),
            device,
            random,
            salt_day,
            second,
            utc_offset: line.brand.clock.offset(second),
            rssi,
            offline_cookie,
        },
    }))
}

/// The field `store`, which must be one with sensors.
///
/// # Errors
/// `missing_field` and `unknown_store`.
pub(super) fn store_with_sensors<'a>(line: &Line<'_, 'a>) -> FieldResult<Cow<'a, str>> {
    let store = labels::normalize(line.reader.required(Field::Store)?);
    if store.is_empty() {
        return Err(missing(Field::Store));
    }
    let stores = &line.brand.stores;
    if !stores.is_empty() && !stores.contains(&*store) {
        return Err(Refusal::new(
            Reason::UnknownStore,
            "`store` is none of `sensors.stores`",
        ));
    }
    Ok(store)
}

/// The field `offline_cookie`; `None` if absent.
///
/// # Errors
/// `wrong_type`, and `number_out_of_range` beyond 32 bits.
pub(super) fn offline_cookie(line: &Line<'_, '_>) -> FieldResult<Option<u32>> {
    let value = line.reader.integer(Field::OfflineCookie)?;
    let value = value.map(u32::try_from).transpose();
    value.map_err(|_| {
        Refusal::new(
            Reason::NumberOutOfRange,
            "`offline_cookie` must lie from 0 to 4294967295",
        )
    })
}

/// The `mac` field; `None` if absent.
///
/// # Errors
/// `invalid_mac` also for an address from which no device sends.
pub(super) fn address(line: &Line<'_, '_>) -> FieldResult<Option<u64>> {
    let Some(text) = line.reader.clear(Field::Mac, MAX_IDENTIFIER)? else {
        return Ok(None);
    };
    let refuse = |detail| Err(Refusal::new(Reason::InvalidMac, detail));
    match mac::parse(&text) {
        Some(address) if mac::is_device(address) => Ok(Some(address)),
        Some(_) => refuse(
            "`mac` is the zero, a multicast or the broadcast address, from which no device sends",
        ),
        None => refuse("`mac` must be 12 hex digits with any separators"),
    }
}

/// The keyed hash of the `device` field; `None` if it is absent, blank, or a value that identifies no device.
fn device(line: &Line<'_, '_>) -> FieldResult<Option<u128>> {
    let text = line.reader.clear(Field::Device, MAX_IDENTIFIER)?;
    Ok(text.and_then(|text| {
        let device = labels::normalize((&*text).into());
        let key = &line.brand.key;
        (!key.blocks(&device)).then(|| key.sensor_device(&device))
    }))
}

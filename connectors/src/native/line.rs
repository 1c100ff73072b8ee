//! One line on its way to a record: what every kind needs besides its own fields.

use jiff::tz::TimeZone;
use tributary_operators::record::{Arrival, Currency};

use super::fields::Field;
use super::labels::Words;
use super::reader::{Read, Reader, missing, wrong_type};
use super::{amount, currency, time};
use crate::dead::{Reason, Refusal};
use crate::keys::Scratch;
use crate::native::amount::AmountError;
use crate::native::time::TimeError;
use crate::tenant::{Feed, Tenant};

/// What the message says about each of its lines.
#[derive(Clone, Copy, Debug)]
pub struct Given<'m> {
    /// When it arrived, Unix milliseconds.
    pub at: i64,
    /// How far a `ts` may lie after that, milliseconds.
    pub max_future: i64,
    /// The `id` of its headers, for a record without one.
    pub id: Option<&'m str>,
    /// The `time` of its headers, for a record without `ts`.
    pub time: Option<&'m str>,
    /// The place in the order of arrival.
    pub arrival: Arrival,
}

/// A line, its brand, its source, and the buffers of the decoder.
pub struct Line<'l, 'a> {
    /// The fields.
    pub reader: Reader<'l, 'a>,
    /// What the message says.
    pub given: Given<'l>,
    /// The brand.
    pub tenant: &'l mut Tenant,
    /// The source.
    pub feed: &'l Feed,
    /// The words told so far.
    pub words: &'l mut Words,
    /// Whether the records of robots are read like any others.
    pub robots: bool,
    /// Where clear values stand while they are hashed.
    pub scratch: &'l mut Scratch,
}

impl Line<'_, '_> {
    /// The record's `ts`, or the message's, in Unix milliseconds.
    pub fn ts(&self) -> Read<i64> {
        let zone = self.feed.zone.as_ref();
        let ts = match moment(&self.reader, zone)? {
            Some(ts) => ts,
            None => {
                let given = self.given.time.ok_or_else(|| missing(Field::Ts))?;
                time::time(given, zone, false).map_err(refused_time)?
            }
        };
        if ts > self.given.at.saturating_add(self.given.max_future) {
            return Err(Refusal::new(
                Reason::TimeInFuture,
                "`ts` lies after the arrival by more than `ingest.max_future`: check the clock and the zone",
            ));
        }
        Ok(ts)
    }

    /// The record's `version`, 0 where absent.
    pub fn version(&self) -> Read<i64> {
        Ok(self.reader.integer(Field::Version)?.unwrap_or(0))
    }

    /// An amount with its currency, in minor units; none where the amount is absent, whatever `currency` says.
    pub fn money(&self, field: Field) -> Read<Option<(i64, Currency)>> {
        let Some((digits, exponent)) = self.reader.decimal(field)? else {
            return Ok(None);
        };
        let (currency, decimals) = self.currency()?;
        let minor = amount::minor(&digits, exponent, decimals).map_err(|error| {
            let name = field.name();
            match error {
                AmountError::Invalid => Refusal::new(
                    Reason::InvalidAmount,
                    format!(
                        "`{name}` must be decimal digits with a point, and no exponent in a string"
                    ),
                ),
                AmountError::TooManyDecimals => Refusal::new(
                    Reason::TooManyDecimals,
                    format!("`{name}` has more decimals than the {decimals} of its currency"),
                ),
                AmountError::OutOfRange => Refusal::new(
                    Reason::AmountOutOfRange,
                    format!("`{name}` is more than 10^15 minor units"),
                ),
            }
        })?;
        Ok(Some((minor, currency)))
    }

    fn currency(&self) -> Read<(Currency, u8)> {
        let code = self.reader.label(Field::Currency)?;
        let known = match &code {
            None => self.tenant.currency,
            Some(code) if self.feed.loose => currency::of(code.trim()),
            Some(code) => currency::of(code),
        };
        known.ok_or_else(|| {
            Refusal::new(
                Reason::UnknownCurrency,
                "`currency` must be an ISO 4217 code with a minor unit",
            )
        })
    }
}

/// The `ts` of a record in Unix milliseconds, none where it is absent.
pub fn moment(reader: &Reader<'_, '_>, zone: Option<&TimeZone>) -> Read<Option<i64>> {
    if let Some(digits) = reader.json_integer(Field::Ts) {
        return time::integer(digits).map(Some).map_err(refused_time);
    }
    let text = reader
        .label(Field::Ts)
        .map_err(|refusal| match refusal.reason {
            Reason::WrongType => wrong_type(Field::Ts, "an integer or a string"),
            Reason::TextTooLong => refused_time(TimeError::Invalid),
            _ => refusal,
        })?;
    let Some(text) = text else { return Ok(None) };
    let read = match reader.loose {
        true => time::loose(&text, zone),
        false => time::time(&text, zone, false),
    };
    read.map(Some).map_err(refused_time)
}

fn refused_time(error: TimeError) -> Refusal {
    match error {
        TimeError::Invalid => Refusal::new(
            Reason::InvalidTime,
            "`ts` must be integer Unix milliseconds or RFC 3339",
        ),
        TimeError::NoZone => Refusal::new(
            Reason::TimeWithoutZone,
            "`ts` has no zone: send an offset, or set the source's zone",
        ),
        TimeError::OutOfRange => {
            Refusal::new(Reason::TimeOutOfRange, "`ts` must lie from 1970 to 9999")
        }
    }
}

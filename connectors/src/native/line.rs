//! One line while it is decoded: the context and the field readers that all
//! kinds of records share.

use tributary_config::model::{DecimalMark, TimeUnit};
use tributary_operators::currency::{self, MOST_DECIMALS};
use tributary_operators::record::{Arrival, Currency, RefundAmount};

use super::amount;
use super::fields::Field;
use super::labels::AnnouncedLabels;
use super::reader::{FieldResult, Reader, missing, wrong_type};
use crate::brand::{BrandContext, SourceContext};
use crate::dead_letter::{Reason, Refusal};
use crate::keys::Scratch;
use crate::native::amount::AmountError;
use crate::native::time::{self, TimeError};

/// The context that a message supplies to each of its lines.
#[derive(Clone, Copy, Debug)]
pub struct MessageContext<'m> {
    /// The arrival, Unix milliseconds.
    pub at: i64,
    /// How far a `ts` may lie after the arrival, milliseconds.
    pub max_future: i64,
    /// The id for a record without one: `ce-id` of a message with one object.
    pub id: Option<&'m str>,
    /// The time for a record without `ts`: `ce-time`.
    pub time: Option<&'m str>,
    /// The message's number and the position of the object in it.
    pub arrival: Arrival,
    /// Whether its subject is one whose messages may have MAC addresses in clear.
    pub takes_mac: bool,
}

/// A line, its brand and source, and the caches of the decoder.
pub struct Line<'l, 'a> {
    /// Reads the fields.
    pub reader: Reader<'l, 'a>,
    /// The context of the message.
    pub message: MessageContext<'l>,
    /// The brand; mutable because its clock and signal reader cache answers.
    pub brand: &'l mut BrandContext,
    /// The source.
    pub source: &'l SourceContext,
    /// The brand's announced labels.
    pub labels: &'l mut AnnouncedLabels,
    /// Whether the records of robots are decoded like any others.
    pub keep_robots: bool,
    /// The buffer of clear identifiers while they are hashed.
    pub scratch: &'l mut Scratch,
}

impl Line<'_, '_> {
    /// The record's `ts`, or the message's, Unix milliseconds.
    ///
    /// # Errors
    /// `missing_field`, `invalid_time`, `time_without_zone`,
    /// `time_out_of_range`, and `time_in_future` if it lies after the arrival
    /// by more than `max_future`.
    pub fn timestamp(&self) -> FieldResult<i64> {
        let ts = match self.time(Field::Ts)? {
            Some(ts) => ts,
            None => {
                let text = self.message.time.ok_or_else(|| missing(Field::Ts))?;
                let read = self.source.times.text(text);
                read.map_err(|error| {
                    let refusal = self.time_refusal(Field::Ts, error);
                    let detail = refusal.detail.replace("`ts`", "`time` of the CloudEvent");
                    Refusal::new(refusal.reason, detail)
                })?
            }
        };
        if ts > self.message.at.saturating_add(self.message.max_future) {
            return Err(Refusal::new(
                Reason::TimeInFuture,
                "`ts` lies after the arrival by more than `ingest.max_future`: check the clock and the zone",
            ));
        }
        Ok(ts)
    }

    /// The record's `version`; 0 if absent.
    pub fn version(&self) -> FieldResult<i64> {
        Ok(self.reader.integer(Field::Version)?.unwrap_or(0))
    }

    /// An amount in minor units and its currency; `None` if the amount is
    /// absent, whatever `currency` says.
    ///
    /// # Errors
    /// `unknown_currency`, `invalid_amount`, `too_many_decimals`,
    /// `amount_out_of_range`.
    pub fn money(&self, field: Field) -> FieldResult<Option<(i64, Currency)>> {
        let Some((digits, exponent)) = self.reader.decimal(field)? else {
            return Ok(None);
        };
        let (currency, decimals) = self.currency()?;
        let minor = amount::minor(&digits, exponent, decimals);
        let minor = minor.map_err(|error| self.amount_refusal(field, error, decimals))?;
        Ok(Some((minor, currency)))
    }

    /// The absolute `amount` of a refund. Without a currency, it is in the
    /// currency of its sale, which becomes known only when the two are joined;
    /// so its digits are kept.
    ///
    /// # Errors
    /// As [`Line::money`].
    pub fn refund_amount(&self) -> FieldResult<RefundAmount> {
        let field = Field::Amount;
        let Some((digits, exponent)) = self.reader.decimal(field)? else {
            return Ok(RefundAmount::All);
        };
        if self.reader.is_present(Field::Currency) {
            let money = self.money(field)?;
            return Ok(money
                .map(|(minor, currency)| (minor.abs(), currency))
                .into());
        }
        let (digits, decimals) = amount::decimal(&digits, exponent, MOST_DECIMALS)
            .map_err(|error| self.amount_refusal(field, error, MOST_DECIMALS))?;
        Ok(RefundAmount::InCurrencyOfSale {
            digits: digits.abs(),
            decimals,
        })
    }

    /// The `amount` of a restatement, which it must have.
    ///
    /// # Errors
    /// As [`Line::money`], `missing_field`, and `invalid_amount` if it is
    /// negative.
    pub fn restated_amount(&self) -> FieldResult<RefundAmount> {
        if self.is_negative()? {
            let detail = "`amount` must not be negative, because it is the new amount of a sale";
            return Err(Refusal::new(Reason::InvalidAmount, detail));
        }
        match self.refund_amount()? {
            RefundAmount::All => Err(missing(Field::Amount)),
            amount => Ok(amount),
        }
    }

    /// Whether the record has an `amount` below zero.
    pub fn is_negative(&self) -> FieldResult<bool> {
        let amount = self.reader.decimal(Field::Amount)?;
        Ok(amount.is_some_and(|(digits, _)| amount::is_negative(&digits)))
    }

    /// The refusal of an amount, with a hint on the decimal separator of a CSV
    /// source.
    fn amount_refusal(&self, field: Field, error: AmountError, decimals: u8) -> Refusal {
        let name = field.name();
        match error {
            AmountError::Invalid => {
                let hint = match (self.source.text_values, self.source.decimal) {
                    (false, _) => "",
                    (true, DecimalMark::Auto) => {
                        "; where a comma is the decimal mark, set `decimal = \"comma\"` in [brand.source.csv]"
                    }
                    (true, DecimalMark::Point) => "; the source has `decimal = \"point\"`",
                    (true, DecimalMark::Comma) => "; the source has `decimal = \"comma\"`",
                };
                let mark = match self.source.decimal {
                    DecimalMark::Comma => "comma",
                    _ => "point",
                };
                let detail = format!(
                    "`{name}` must be decimal digits with a {mark}, and no exponent in a string{hint}"
                );
                Refusal::new(Reason::InvalidAmount, detail)
            }
            AmountError::TooManyDecimals => Refusal::new(
                Reason::TooManyDecimals,
                format!("`{name}` has more decimals than the {decimals} of its currency"),
            ),
            AmountError::OutOfRange => Refusal::new(
                Reason::AmountOutOfRange,
                format!("`{name}` is more than 10^15 minor units"),
            ),
        }
    }

    /// The record's currency, or the brand's, with its number of decimals.
    fn currency(&self) -> FieldResult<(Currency, u8)> {
        let code = self.reader.label(Field::Currency)?;
        let known = match &code {
            None => self.brand.currency,
            Some(code) => currency::of(code.trim()),
        };
        known.ok_or_else(|| {
            Refusal::new(
                Reason::UnknownCurrency,
                "`currency` must be an ISO 4217 code with a minor unit",
            )
        })
    }

    /// A time of the record, Unix milliseconds; `None` if it is absent.
    ///
    /// # Errors
    /// `invalid_time`, `time_without_zone`, `time_out_of_range`, `wrong_type`.
    pub fn time(&self, field: Field) -> FieldResult<Option<i64>> {
        let times = &self.source.times;
        let refused = |error| self.time_refusal(field, error);
        if let Some(digits) = self.reader.json_integer(field) {
            return times.integer(digits).map(Some).map_err(refused);
        }
        let text = self
            .reader
            .label(field)
            .map_err(|refusal| match refusal.reason {
                Reason::WrongType => wrong_type(field, "an integer or a string"),
                Reason::TextTooLong => refused(TimeError::Invalid),
                _ => refusal,
            })?;
        let Some(text) = text else { return Ok(None) };
        let read = match self.reader.loose {
            true => times.read_cell(&text),
            false => times.text(&text),
        };
        read.map(Some).map_err(refused)
    }

    /// Whether a time is a cell that is no integer, of a source with patterns.
    fn is_by_pattern(&self, field: Field) -> bool {
        let text = self.reader.label(field).ok().flatten().unwrap_or_default();
        let is_integer = text.trim().bytes().all(|c| c == b'-' || c.is_ascii_digit());
        !self.source.times.patterns.is_empty() && !is_integer
    }

    /// The refusal of a time stamp, with a hint on the patterns of a CSV source,
    /// and on the unit where the year suggests the other one. A vendor's format
    /// has its own unit, and a file states no arrival for an item without a time.
    fn time_refusal(&self, field: Field, error: TimeError) -> Refusal {
        let of_vendor = self.source.adapter.is_some();
        let in_seconds = self.source.times.unit == TimeUnit::Seconds;
        const RANGE: &str = "must lie from 1971 to 9999";
        let (reason, detail) = match error {
            TimeError::Invalid => {
                let unit = match in_seconds {
                    true => "integer Unix seconds (the source's `unit`)",
                    false => "integer Unix milliseconds",
                };
                let patterns = match (self.source.text_values, &*self.source.times.patterns) {
                    (false, _) => "",
                    (true, []) => "; for another form set `time_patterns` in [brand.source.csv]",
                    (true, _) => ", and matches none of the source's `time_patterns`",
                };
                let detail = format!("must be {unit} or RFC 3339{patterns}");
                (Reason::InvalidTime, detail)
            }
            TimeError::NoZone => (
                Reason::TimeWithoutZone,
                "has no zone: send an offset, or set the source's zone".to_owned(),
            ),
            TimeError::TooEarly if of_vendor && self.message.at < time::MIN => (
                Reason::TimeOutOfRange,
                format!("{RANGE}: neither the item states a time, nor its file an arrival"),
            ),
            TimeError::TooEarly if self.is_by_pattern(field) => (
                Reason::TimeOutOfRange,
                format!("{RANGE}: a pattern reads a year of two digits by `%y`, not by `%Y`"),
            ),
            TimeError::TooEarly if !of_vendor && !in_seconds => (
                Reason::TimeOutOfRange,
                format!(
                    "{RANGE}: it seems to be in seconds; send milliseconds, or set `unit = \"s\"` for the source"
                ),
            ),
            TimeError::TooLate if in_seconds => (
                Reason::TimeOutOfRange,
                format!(
                    "{RANGE}: the source has `unit = \"s\"`, and this seems to be in milliseconds"
                ),
            ),
            TimeError::TooEarly | TimeError::TooLate => (Reason::TimeOutOfRange, RANGE.to_owned()),
        };
        Refusal::new(reason, format!("`{}` {detail}", field.name()))
    }
}

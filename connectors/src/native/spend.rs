//! Advertising spend: one record per platform, campaign and day; the last to
//! arrive counts.
//!
//! Platforms revise their figures for days, and their exports have no record
//! ids, so the record key is made of the platform, the channel and the day.

use tributary_operators::event::Event;
use tributary_operators::record::{Body, IdSet, Record, RecordId, RecordKey};

use super::fields::Field;
use super::line::Line;
use super::reader::{FieldResult, missing};
use super::{channel, labels, time, web};
use crate::dead_letter::{Reason, Refusal, Sink};

/// Decodes a spend record.
///
/// # Errors
/// `invalid_date`, `missing_field`, and those of the amount and the counts.
pub fn read(line: &mut Line<'_, '_>, sink: &mut impl Sink) -> FieldResult<Event> {
    let date = line.reader.required(Field::Date)?;
    let times = &line.source.times;
    let (day, remedy) = match line.reader.loose {
        true => (
            times.read_day(&date),
            "; for another form set `time_patterns` in [brand.source.csv]",
        ),
        false => (time::date(&date), ""),
    };
    let day = day.ok_or_else(|| {
        let detail = format!("`date` must have the form 2025-10-26, from 1970 to 9999{remedy}");
        Refusal::new(Reason::InvalidDate, detail)
    })?;
    let platform = labels::normalize(line.reader.required(Field::Platform)?);
    if platform.is_empty() {
        return Err(missing(Field::Platform));
    }
    let words = channel::of_fields(&line.reader, &line.brand.channels)?.unwrap_or_default();
    let money = line.money(Field::Cost)?;
    let (cost, currency) = money.ok_or_else(|| missing(Field::Cost))?;
    let impressions = line.reader.count(Field::Impressions)?;
    let clicks = line.reader.count(Field::Clicks)?;
    let [source, medium, campaign] = &words;
    let named: [&str; 4] = [&platform, source, medium, campaign];
    let brand = line.brand.id;
    Ok(Event::Put {
        key: RecordKey::of_spend(&line.brand.name, named, day),
        version: 0,
        arrival: line.message.arrival,
        record: Record {
            brand,
            source: line.labels.announce(&line.source.name, sink),
            id: RecordId::default(),
            ts: line.brand.clock.start_of_day(day),
            day,
            ids: IdSet::empty(),
            body: Body::Spend {
                platform: line.labels.announce(&platform, sink),
                channel: web::announce_channel(line, &words, sink),
                cost,
                currency,
                impressions,
                clicks,
            },
        },
    })
}

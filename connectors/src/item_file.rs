//! Files of vendors' items as messages of their source, one item each.
//!
//! A file states no arrivals. An item arrives at the greatest time of its
//! records, as a row of a CSV file does at its own ([`crate::csv`]), so that an
//! old file is neither late nor in the future; one without a readable time
//! arrives with the item before it. A time beyond the present is a mistake and
//! no arrival: it would date everything behind it, and retention would take the
//! rest of the file. Its record is refused as one in the future.
//!
//! A message of Segment that has not been processed arrives when it was sent,
//! because its clock cannot be compared with an arrival that nobody knows.

use std::io::{Error, ErrorKind, Read};
use std::path::{Path, PathBuf};

use tributary_config::model::{Brand, Config, Format, Source};

use crate::brand::time_format;
use crate::files::{self, Progress};
use crate::formats::{self, Adapter, Item, Outcome, segment};
use crate::native::fields::{Field, Fields};
use crate::native::time::TimeFormat;
use crate::trace::TraceLine;

/// Why a file of items cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {error}")]
pub struct ItemFileError {
    /// The file.
    path: PathBuf,
    /// The operating system's error.
    error: std::io::Error,
}

/// The latest arrival that a file may state: now, and what `ingest.max_future`
/// allows, Unix milliseconds.
pub fn latest_arrival(config: &Config) -> i64 {
    let now = jiff::Timestamp::now().as_millisecond();
    now.saturating_add(config.ingest.max_future_ms)
}

/// The arrivals of items that state none.
pub struct ItemArrivals {
    /// The adapter of the source; `None` for the native format.
    adapter: Option<Adapter>,
    times: TimeFormat,
    /// The latest arrival, Unix milliseconds.
    latest: i64,
    /// The arrival of the item before, Unix milliseconds; `None` before the
    /// first time.
    last: Option<i64>,
}

impl ItemArrivals {
    /// The arrivals of the items of a source, none of them after `latest`, Unix
    /// milliseconds.
    pub fn new(brand: &Brand, source: &Source, latest: i64) -> ItemArrivals {
        ItemArrivals {
            adapter: Adapter::of(brand, source, time_format(source)),
            times: time_format(source),
            latest,
            last: None,
        }
    }

    /// The arrival of the next item, Unix milliseconds; `None` if neither it nor
    /// one before it has a time.
    pub fn of(&mut self, item: &[u8]) -> Option<i64> {
        self.last = self.time(item).or(self.last);
        self.last
    }

    /// The greatest time of an item that may be its arrival.
    fn time(&self, item: &[u8]) -> Option<i64> {
        let text = std::str::from_utf8(item).ok()?;
        let of_record = |raw: &str| self.times.read_cell(raw.trim_matches('"')).ok();
        let Some(adapter) = &self.adapter else {
            let ts = of_record(Fields::read(text).ok()?.raw(Field::Ts));
            return ts.filter(|ts| *ts <= self.latest);
        };
        let item = Item {
            text,
            at: self.last.unwrap_or_default(),
            max_future: i64::MAX / 4,
            strict: false,
            id: None,
        };
        let mut found = match adapter.format {
            Format::Segment => segment::sent_at(text).filter(|at| *at <= self.latest),
            _ => None,
        };
        formats::read(adapter, item, &mut |_, outcome| {
            if let Outcome::Record(record) = outcome {
                let ts = of_record(record.raw(Field::Ts));
                found = found.max(ts.filter(|ts| *ts <= self.latest));
            }
        });
        found
    }
}

/// Iterates over the items of a file, in order.
pub struct ItemReader {
    items: std::vec::IntoIter<Vec<u8>>,
    arrivals: ItemArrivals,
    subject: String,
    progress: Progress,
}

/// Opens a file of a source in a vendor's format: plain, gzip or Zstandard,
/// detected by content. The whole file is read into memory, because an item may
/// extend over any number of lines. No item arrives after `latest`
/// ([`latest_arrival`]).
///
/// # Errors
/// A file that cannot be read, and one that is not in the format of the source
/// as a whole.
pub fn open(
    path: &Path,
    brand: &Brand,
    source: &Source,
    latest: i64,
) -> Result<ItemReader, ItemFileError> {
    let failed = |error| ItemFileError {
        path: path.to_owned(),
        error,
    };
    let mut opened = files::open(path).map_err(failed)?;
    let mut data = Vec::new();
    opened.reader.read_to_end(&mut data).map_err(failed)?;
    if let Some(fault) = formats::fault(&source.format, &data) {
        return Err(failed(Error::new(ErrorKind::InvalidData, fault)));
    }
    let items = formats::items(&source.format, &data);
    let items: Vec<Vec<u8>> = items.map(|item| item.into_owned()).collect();
    Ok(ItemReader {
        items: items.into_iter(),
        arrivals: ItemArrivals::new(brand, source, latest),
        subject: format!(
            "tributary.in.{}.{}.{}",
            brand.name,
            source.kind.name(),
            source.name
        ),
        progress: opened.progress,
    })
}

impl ItemReader {
    /// How much of the file has been read: all of it.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Iterator for ItemReader {
    type Item = TraceLine;

    fn next(&mut self) -> Option<TraceLine> {
        let data = self.items.next()?;
        Some(TraceLine {
            subject: self.subject.clone(),
            at: self.arrivals.of(&data).unwrap_or_default(),
            headers: Vec::new(),
            data,
        })
    }
}

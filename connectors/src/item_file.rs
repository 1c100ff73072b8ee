//! Files of vendors' items as messages of their source, one item each.
//!
//! A file states no arrivals. An item arrives at the time of its record, as a
//! row of a CSV file does ([`crate::csv`]), so that an old file is neither late
//! nor in the future; one without a readable time arrives with the item before
//! it.

use std::io::Read;
use std::path::{Path, PathBuf};

use tributary_config::model::{Brand, Format, Source};

use crate::brand::time_format;
use crate::files::{self, Progress};
use crate::formats::{self, Adapter, Item, Outcome};
use crate::native::fields::Field;
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

/// Iterates over the items of a file, in order.
pub struct ItemReader {
    items: std::vec::IntoIter<Vec<u8>>,
    adapter: Adapter,
    times: TimeFormat,
    subject: String,
    /// The arrival of the item before, Unix milliseconds.
    last: i64,
    progress: Progress,
}

/// Opens a file of a source in a vendor's format: plain, gzip or Zstandard,
/// detected by content. The whole file is read into memory, because an item may
/// extend over any number of lines.
///
/// # Errors
/// A file that cannot be read.
pub fn open(
    path: &Path,
    brand: &Brand,
    source: &Source,
    adapter: Adapter,
) -> Result<ItemReader, ItemFileError> {
    let failed = |error| ItemFileError {
        path: path.to_owned(),
        error,
    };
    let mut opened = files::open(path).map_err(failed)?;
    let mut data = Vec::new();
    opened.reader.read_to_end(&mut data).map_err(failed)?;
    let items = formats::items(&source.format, &data);
    let items: Vec<Vec<u8>> = items.map(|item| item.into_owned()).collect();
    Ok(ItemReader {
        items: items.into_iter(),
        adapter,
        times: time_format(source),
        subject: format!(
            "tributary.in.{}.{}.{}",
            brand.name,
            source.kind.name(),
            source.name
        ),
        last: 0,
        progress: opened.progress,
    })
}

/// The adapter of a source whose files [`open`] reads; `None` for the native
/// format and for CSV.
pub fn adapter(brand: &Brand, source: &Source) -> Option<Adapter> {
    match source.format {
        Format::Native | Format::Csv(_) => None,
        _ => Adapter::of(brand, source, time_format(source)),
    }
}

impl ItemReader {
    /// How much of the file has been read: all of it.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// The time of the first record of an item, Unix milliseconds.
    fn time(&self, item: &[u8]) -> Option<i64> {
        let item = Item {
            text: std::str::from_utf8(item).ok()?,
            at: self.last,
            max_future: i64::MAX / 4,
            strict: false,
            id: None,
        };
        let mut found = None;
        formats::read(&self.adapter, item, &mut |_, outcome| {
            if let Outcome::Record(record) = outcome
                && found.is_none()
            {
                let ts = record.raw(Field::Ts).trim_matches('"');
                found = self.times.read_cell(ts).ok();
            }
        });
        found
    }
}

impl Iterator for ItemReader {
    type Item = TraceLine;

    fn next(&mut self) -> Option<TraceLine> {
        let data = self.items.next()?;
        self.last = self.time(&data).unwrap_or(self.last);
        Some(TraceLine {
            subject: self.subject.clone(),
            at: self.last,
            headers: Vec::new(),
            data,
        })
    }
}

//! What the cells of a row mean beyond their text: stores by the vendor's names,
//! and the visits that location partners report.
//!
//! A partner's file gives the dwell of a visit in minutes, where a record has
//! the end of the sighting, and advertising identifiers in any case.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tributary_config::model::{Kind, Source};

use super::columns::Columns;
use super::row::Row;
use crate::keys::is_uuid;

/// One minute, milliseconds.
const MINUTE: i64 = 60_000;

/// The translations of a source's rows. Positions are those of fields in a row;
/// `None` if the column map does not supply the field.
pub(super) struct Translation {
    /// The stores by the vendor's names.
    stores: BTreeMap<String, String>,
    store: Option<usize>,
    until: Option<usize>,
    device: Option<usize>,
}

impl Translation {
    /// The translations of a source.
    pub fn new(source: &Source, columns: &Columns) -> Translation {
        let of_partner = |field| match source.kind {
            Kind::Partner => columns.place(field),
            _ => None,
        };
        Translation {
            stores: source.mapping.stores.clone(),
            store: columns.place("store"),
            until: of_partner("until"),
            device: of_partner("device"),
        }
    }

    /// Translates a row in place. `at` is its time, Unix milliseconds, if it can
    /// be read. A cell that does not have the vendor's form stays as it is.
    pub fn apply(&self, row: &mut Row, at: Option<i64>) {
        let replace =
            |row: &mut Row, place: Option<usize>, with: &dyn Fn(&str) -> Option<String>| {
                let Some(Some(cell)) = place.and_then(|place| row.get_mut(place)) else {
                    return;
                };
                if let Some(new) = std::str::from_utf8(cell).ok().and_then(with) {
                    *cell = new.into_bytes();
                }
            };
        replace(row, self.store, &|store| self.stores.get(store).cloned());
        replace(row, self.device, &|device| {
            is_uuid(device.trim()).then(|| device.trim().to_ascii_lowercase())
        });
        replace(row, self.until, &|dwell| {
            let dwell = dwell.trim();
            // A spreadsheet writes a column of whole numbers with an empty cell as 7.0.
            let dwell = match dwell.split_once('.') {
                Some((whole, zeros)) if zeros.bytes().all(|digit| digit == b'0') => whole,
                _ => dwell,
            };
            if dwell.is_empty() || !dwell.bytes().all(|c| c.is_ascii_digit()) {
                return None;
            }
            // What is out of range is longer than any sighting may be, and the decoder rejects it.
            let minutes: i64 = dwell.parse().unwrap_or(i64::MAX);
            let end = at?.saturating_add(minutes.saturating_mul(MINUTE));
            Some(Timestamp::from_millisecond(end).ok()?.to_string())
        });
    }
}

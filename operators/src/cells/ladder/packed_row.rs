//! Packed rows: one conversion in as few bytes as its numbers need.
//!
//! A month keeps a row for each of its conversions for as long as they are kept, and looks at them only when it may leave. A
//! row is packed with numbers for its store and channels; of its credits those that repeat the first one, as all do that
//! a model gives whole, take two bytes. Day, sale and contributor come first, so that rows are sorted by day, and changes are
//! compared without unpacking them. Equal rows of a month are packed into equal bytes.

use serde::{Deserialize, Serialize};

use crate::aggregate::MonthGroup;
use crate::attribution::Model;
use crate::label::{Channel, Label};
use crate::label_numbers::LabelNumbers;
use crate::record::Day;
use crate::release::{RowCredit, SaleRow};

/// The bytes of the day, the sale and the contributor, which begin a packed row.
const DAY: usize = 4;
const SALE: usize = DAY + 8;
const WHO: usize = SALE + 8;

/// A packed row.
#[derive(Clone, Copy)]
pub(super) struct PackedRow<'a>(pub(super) &'a [u8]);

/// The rest of a packed row.
#[derive(Serialize, Deserialize)]
struct Rest {
    is_person: bool,
    is_vouched: bool,
    store: u32,
    conversions: i64,
    value: i64,
    scans: u32,
    days: u32,
    /// The numbers of the channels, in the order of their first occurrence in the path, and then in the credits.
    channels: Vec<u32>,
    /// The path, as places in `channels`.
    path: Vec<u32>,
    credits: Credits,
}

/// The credits of a row.
#[derive(Serialize, Deserialize)]
enum Credits {
    /// One channel gets the same under each model: its place, the millionths and the value.
    Whole(u32, i64, i64),
    /// Any credits.
    Each(Vec<Share>),
}

/// A credit: its model and the place of its channel in one number, see [`share_of`].
#[derive(Serialize, Deserialize)]
enum Share {
    /// As much as the credit before it that says how much.
    Same(u32),
    /// Millionths and value.
    Part(u32, i64, i64),
}

/// The model and the place of a channel in one number.
fn share_of(model: Model, place: u32) -> u32 {
    place * Model::ALL.len() as u32 + model as u32
}

/// The place of a channel in a list, to which it is added if it is not there.
fn place(channels: &mut Vec<Channel>, channel: Channel) -> u32 {
    let at = channels.iter().position(|of| *of == channel);
    let at = at.unwrap_or_else(|| {
        channels.push(channel);
        channels.len() - 1
    });
    at as u32
}

/// The bytes that are before those of all rows of a day and of later ones, and behind those of all earlier rows.
pub(super) fn from_day(day: Day) -> [u8; DAY] {
    // Days before 1970 come first, too.
    (day as u32 ^ 1 << 31).to_be_bytes()
}

/// Packs a row, with one more use of its labels.
pub(super) fn pack(row: &SaleRow, numbers: &mut LabelNumbers) -> Vec<u8> {
    let mut channels = Vec::new();
    let path = row.path.iter();
    let path = path.map(|channel| place(&mut channels, *channel)).collect();
    let credits = match row.credits.first() {
        Some(first)
            if *SaleRow::credit_all(first.channel, first.millionths, first.value)
                == *row.credits =>
        {
            Credits::Whole(
                place(&mut channels, first.channel),
                first.millionths,
                first.value,
            )
        }
        _ => {
            let mut last = None;
            let credits = row.credits.iter().map(|credit| {
                let of = share_of(credit.model, place(&mut channels, credit.channel));
                let much = (credit.millionths, credit.value);
                match last == Some(much) {
                    true => Share::Same(of),
                    false => {
                        last = Some(much);
                        Share::Part(of, much.0, much.1)
                    }
                }
            });
            Credits::Each(credits.collect())
        }
    };
    let channels = channels.into_iter();
    let rest = Rest {
        is_person: row.is_person,
        is_vouched: row.is_vouched,
        store: numbers.use_label(row.store),
        conversions: row.conversions,
        value: row.value,
        scans: row.scans,
        days: row.days,
        channels: channels.map(|of| numbers.use_channel(of)).collect(),
        path,
        credits,
    };
    let mut bytes = Vec::with_capacity(128);
    bytes.extend(from_day(row.day));
    bytes.extend(row.sale.to_be_bytes());
    bytes.extend(row.who.to_be_bytes());
    let packed = postcard::to_extend(&rest, bytes);
    debug_assert!(packed.is_ok(), "every row can be packed");
    packed.unwrap_or_default()
}

/// Takes a use of the labels of a packed row back.
pub(super) fn release(row: PackedRow<'_>, numbers: &mut LabelNumbers) {
    if let Some(rest) = row.rest() {
        numbers.release_label(rest.store);
        for channel in rest.channels {
            numbers.release_channel(channel);
        }
    }
}

impl<'a> PackedRow<'a> {
    fn number(self, from: usize, to: usize) -> u64 {
        let bytes = self.0.get(from..to).unwrap_or_default();
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn rest(self) -> Option<Rest> {
        let rest = postcard::from_bytes(self.0.get(WHO..)?);
        debug_assert!(rest.is_ok(), "what was packed can be unpacked");
        rest.ok()
    }

    /// The day.
    pub(super) fn day(self) -> Day {
        (self.number(0, DAY) as u32 ^ 1 << 31) as Day
    }

    /// The sale.
    pub(super) fn sale(self) -> u64 {
        self.number(DAY, SALE)
    }

    /// The contributor.
    pub(super) fn who(self) -> u64 {
        self.number(SALE, WHO)
    }

    /// What the row says but for its contributor.
    pub(super) fn without_who(self) -> (&'a [u8], &'a [u8]) {
        let of = |range: Option<&'a [u8]>| range.unwrap_or_default();
        (of(self.0.get(..SALE)), of(self.0.get(WHO..)))
    }

    /// The conversions and the value.
    pub(super) fn sums(self) -> [i64; 2] {
        self.rest().map_or([0; 2], |of| [of.conversions, of.value])
    }

    /// The labels: the store, and those of the channels.
    pub(super) fn each_label(self, numbers: &LabelNumbers, each: &mut impl FnMut(Label)) {
        let Some(rest) = self.rest() else { return };
        each(numbers.label(rest.store));
        for channel in rest.channels {
            let labels = numbers.channel(channel).labels();
            labels.into_iter().for_each(&mut *each);
        }
    }

    /// The row, of the month that has it.
    pub(super) fn unpack(self, group: MonthGroup, numbers: &LabelNumbers) -> Option<SaleRow> {
        let rest = self.rest()?;
        let channel = |place: u32| {
            let number = rest.channels.get(place as usize);
            number.map_or_else(Channel::default, |number| numbers.channel(*number))
        };
        let mut last = (0, 0);
        let credits = match &rest.credits {
            Credits::Whole(place, millionths, value) => {
                SaleRow::credit_all(channel(*place), *millionths, *value)
            }
            Credits::Each(shares) => {
                let credits = shares.iter().filter_map(|share| {
                    let of = match share {
                        Share::Same(of) => *of,
                        Share::Part(of, millionths, value) => {
                            last = (*millionths, *value);
                            *of
                        }
                    };
                    let models = Model::ALL.len() as u32;
                    Some(RowCredit {
                        model: *Model::ALL.get((of % models) as usize)?,
                        channel: channel(of / models),
                        millionths: last.0,
                        value: last.1,
                    })
                });
                credits.collect()
            }
        };
        Some(SaleRow {
            group,
            sale: self.sale(),
            who: self.who(),
            is_person: rest.is_person,
            is_vouched: rest.is_vouched,
            store: numbers.label(rest.store),
            day: self.day(),
            conversions: rest.conversions,
            value: rest.value,
            scans: rest.scans,
            path: rest.path.iter().map(|place| channel(*place)).collect(),
            days: rest.days,
            credits,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BrandId, Currency, SaleKind};

    const GROUP: MonthGroup = MonthGroup {
        brand: BrandId(3),
        kind: SaleKind::Transaction,
        month: 24_300,
        currency: Currency(*b"EUR"),
    };

    /// Rows of everything that a row can be.
    fn rows() -> Vec<SaleRow> {
        let [a, b] = ["a", "b"].map(|source| Channel::of(source, "m", "c"));
        let credit = |model, channel, millionths, value| RowCredit {
            model,
            channel,
            millionths,
            value,
        };
        let row = SaleRow {
            group: GROUP,
            sale: u64::MAX,
            who: 1,
            is_person: true,
            is_vouched: true,
            store: Label::of("lyon"),
            day: 20_000,
            conversions: 1,
            value: i64::MIN,
            scans: u32::MAX,
            path: [a, b, a].into(),
            days: 30,
            credits: [
                credit(Model::First, a, 1_000_000, 100),
                credit(Model::Last, a, 1_000_000, 100),
                credit(Model::Linear, a, 666_667, 67),
                credit(Model::Linear, b, 333_333, 33),
                credit(Model::Shapley, b, 333_333, 33),
                credit(Model::Shapley, a, -1, i64::MAX),
            ]
            .into(),
        };
        let nobody = SaleRow {
            is_person: false,
            is_vouched: false,
            path: [].into(),
            day: -1,
            conversions: 0,
            credits: SaleRow::credit_all(Channel::unattributed(), 0, -5),
            ..row.clone()
        };
        let none = SaleRow {
            store: Label::ABSENT,
            day: Day::MIN,
            credits: [].into(),
            ..row.clone()
        };
        let last = SaleRow {
            day: Day::MAX,
            ..row.clone()
        };
        vec![row, nobody, none, last]
    }

    #[test]
    fn a_row_is_what_it_was() {
        let mut numbers = LabelNumbers::default();
        let rows = rows();
        let packed: Vec<_> = rows.iter().map(|row| pack(row, &mut numbers)).collect();
        for (row, bytes) in rows.iter().zip(&packed) {
            let packed = PackedRow(bytes);
            assert_eq!(packed.unpack(GROUP, &numbers).as_ref(), Some(row));
            let own = (packed.day(), packed.sale(), packed.who(), packed.sums());
            assert_eq!(
                own,
                (row.day, row.sale, row.who, [row.conversions, row.value])
            );
            let mut labels = Vec::new();
            packed.each_label(&numbers, &mut |label| labels.push(label));
            assert!(labels.contains(&row.store));
            for channel in row
                .path
                .iter()
                .chain(row.credits.iter().map(|of| &of.channel))
            {
                assert!(channel.labels().iter().all(|of| labels.contains(of)));
            }
            for other in &rows {
                let first = from_day(other.day);
                assert_eq!(first.as_slice() <= &bytes[..], other.day <= row.day);
            }
        }
        for (row, bytes) in rows.iter().zip(&packed) {
            assert_eq!(pack(row, &mut numbers), *bytes);
            for _ in 0..2 {
                release(PackedRow(bytes), &mut numbers);
            }
        }
        assert_eq!(numbers.len(), 0);
    }

    #[test]
    fn rows_differ_but_for_the_contributor_where_anything_differs() {
        let mut numbers = LabelNumbers::default();
        let [row, other, ..] = &rows()[..] else {
            panic!("there are rows");
        };
        let another = SaleRow {
            who: 2,
            ..row.clone()
        };
        let packed = [row, &another, other].map(|row| pack(row, &mut numbers));
        let [row, another, other] = packed.each_ref().map(|of| PackedRow(of).without_who());
        assert!(row == another && row != other);
    }
}

//! Packed sales: the sales of one name in as few bytes as they need.
//!
//! A sale is looked at again when a refund or a correction comes, which few have. Until then it is kept as one string of bytes,
//! whose order is that of [`Sale`]: what decides which of several sales counts comes first, and as it is, the rest behind it in the
//! encoding of the crate `postcard`. Only its key says what its identifiers are.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::sale::Sale;
use crate::engine::Diff;
use crate::label::Label;
use crate::label_numbers::LabelNumbers;
use crate::packed_multiset::PackedMultiset;
use crate::packed_time;
use crate::record::{Currency, Day};

/// The sales of one name, as a multiset: first the reports of an order, then the sales that only their source and id identify.
#[derive(Default)]
pub(super) struct PackedSales(PackedMultiset);

/// The mark of a sale that only its source and id identify.
const OWN: u8 = 2;
/// The mark of a sale of a source that anybody can write to.
const OPEN: u8 = 1;
/// What ends an id: less than any byte that continues one, because a zero within an id is written as [`ZERO`]. So the order of bytes
/// is that of ids.
const END: [u8; 2] = [0, 1];
/// A zero within an id.
const ZERO: [u8; 2] = [0, 0xff];

/// A sale as it is needed to say what remains of it.
pub(super) struct HeldSale {
    pub(super) ts: i64,
    pub(super) source: Label,
    pub(super) day: Day,
    pub(super) store: Label,
    pub(super) amount: i64,
    pub(super) currency: Currency,
    pub(super) set: u128,
    pub(super) joins: bool,
}

/// What does not decide which sale counts.
#[derive(Serialize, Deserialize)]
struct Rest {
    days_off: Day,
    store: u32,
    amount: i64,
    currency: Currency,
    joins: bool,
    set: [u8; 16],
}

/// Packs a sale, with one more use of its store.
fn pack(is_own: bool, sale: &Sale, numbers: &mut LabelNumbers) -> SmallVec<[u8; 96]> {
    let mut packed = SmallVec::new();
    let mark = |is: bool, mark| if is { mark } else { 0 };
    packed.push(mark(is_own, OWN) | mark(sale.is_open, OPEN));
    packed.extend_from_slice(&(sale.ts as u64 ^ (1 << 63)).to_be_bytes());
    for byte in sale.id.bytes() {
        match byte {
            0 => packed.extend_from_slice(&ZERO),
            byte => packed.push(byte),
        }
    }
    packed.extend_from_slice(&END);
    packed.extend_from_slice(&sale.source.0.to_be_bytes());
    let rest = Rest {
        days_off: packed_time::pack(sale.ts, sale.day).1,
        store: numbers.use_label(sale.store),
        amount: sale.amount,
        currency: sale.currency,
        joins: sale.joins,
        set: sale.set.to_le_bytes(),
    };
    let mut buffer = [0; 64];
    let rest = postcard::to_slice(&rest, &mut buffer);
    debug_assert!(rest.is_ok(), "the rest of a sale fits into the buffer");
    packed.extend_from_slice(rest.as_deref().unwrap_or_default());
    packed
}

/// Whether only its source and id identify a packed sale.
fn is_own(packed: &[u8]) -> bool {
    packed.first().is_some_and(|marks| marks & OWN != 0)
}

/// The time, the source, and the rest of a packed sale.
fn split(packed: &[u8]) -> Option<(i64, Label, Rest)> {
    let (_, packed) = packed.split_first()?;
    let (ts, packed) = packed.split_first_chunk::<8>()?;
    let end = packed.windows(END.len()).position(|two| *two == END)?;
    let packed = packed.get(end + END.len()..)?;
    let (source, rest) = packed.split_first_chunk::<8>()?;
    let ts = (u64::from_be_bytes(*ts) ^ (1 << 63)) as i64;
    let source = Label(u64::from_be_bytes(*source));
    Some((ts, source, postcard::from_bytes(rest).ok()?))
}

/// Unpacks a sale.
fn unpack(packed: &[u8], numbers: &LabelNumbers) -> Option<HeldSale> {
    let parts = split(packed);
    debug_assert!(parts.is_some(), "what was packed can be unpacked");
    let (ts, source, rest) = parts?;
    let (since, _) = packed_time::pack(ts, 0);
    Some(HeldSale {
        ts,
        source,
        day: packed_time::unpack((since, rest.days_off)).1,
        store: numbers.label(rest.store),
        amount: rest.amount,
        currency: rest.currency,
        set: u128::from_le_bytes(rest.set),
        joins: rest.joins,
    })
}

impl PackedSales {
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The estimated bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }

    /// The first report of the order, if there is one.
    pub(super) fn order(&self, numbers: &LabelNumbers) -> Option<HeldSale> {
        let (first, _) = self.0.iter().next().filter(|(of, _)| !is_own(of))?;
        unpack(first, numbers)
    }

    /// The sales that only their source and id identify, from last to first.
    pub(super) fn own_descending(&self, numbers: &LabelNumbers) -> impl Iterator<Item = HeldSale> {
        let all = self.0.before(&[u8::MAX]).map(|(sale, _)| sale);
        let own = all.take_while(|sale| is_own(sale));
        own.filter_map(|sale| unpack(sale, numbers))
    }

    /// Changes the number of times that a sale occurs by `diff`.
    pub(super) fn add(
        &mut self,
        is_own: bool,
        sale: &Sale,
        diff: Diff,
        numbers: &mut LabelNumbers,
    ) {
        let packed = pack(is_own, sale, numbers);
        let [held, now] = self.0.amend(&packed, diff);
        // An entry uses its store once, however often the sale occurs. It was used once more to find it.
        let uses = 1 + usize::from(held != 0) - usize::from(now != 0);
        if let Some((.., rest)) = split(&packed) {
            (0..uses).for_each(|_| numbers.release_label(rest.store));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale(is_open: bool, ts: i64, id: &str, source: u64) -> Sale {
        Sale {
            is_open,
            ts,
            id: id.into(),
            source: Label(source),
            day: 20_000,
            store: Label::of(id),
            amount: i64::MAX - ts.rem_euclid(7),
            currency: Currency(*b"EUR"),
            set: u128::MAX - ts.rem_euclid(11) as u128,
            joins: ts % 2 == 0,
        }
    }

    #[test]
    fn sales_are_in_their_order_and_what_they_were() {
        let mut all = Vec::new();
        for is_own in [false, true] {
            for is_open in [true, false] {
                for ts in [i64::MAX, 1_790_000_000_000, 0, -1, i64::MIN] {
                    for id in ["b", "a\0b", "a\0", "a", "", "ab", "a\u{1}"] {
                        for source in [u64::MAX, 1, 0] {
                            all.push((is_own, sale(is_open, ts, id, source)));
                        }
                    }
                }
            }
        }
        let (mut packed, mut numbers) = (PackedSales::default(), LabelNumbers::default());
        for (is_own, sale) in &all {
            packed.add(*is_own, sale, 2, &mut numbers);
            packed.add(*is_own, sale, -1, &mut numbers);
        }
        all.sort_unstable();
        let held: Vec<_> = packed.0.iter().map(|(sale, _)| sale.to_vec()).collect();
        for ((own, sale), bytes) in all.iter().zip(&held) {
            let one = unpack(bytes, &numbers).unwrap();
            assert_eq!(
                (is_own(bytes), one.ts, one.source),
                (*own, sale.ts, sale.source)
            );
            assert_eq!(
                (one.day, one.store, one.amount),
                (sale.day, sale.store, sale.amount)
            );
            assert_eq!(
                (one.currency, one.set, one.joins),
                (sale.currency, sale.set, sale.joins)
            );
        }
        assert_eq!(held.len(), all.len());
        let first = packed.order(&numbers).map(|of| (of.ts, of.source));
        assert_eq!(first, Some((i64::MIN, Label(0))));
        let own: Vec<_> = packed.own_descending(&numbers).collect();
        assert_eq!(own.len(), all.len() / 2);
        let last = own.first().map(|of| (of.ts, of.source));
        assert_eq!(last, Some((i64::MAX, Label(u64::MAX))));
        for (is_own, sale) in &all {
            packed.add(*is_own, sale, -1, &mut numbers);
        }
        assert!(packed.is_empty() && packed.order(&numbers).is_none() && numbers.len() == 0);
    }
}

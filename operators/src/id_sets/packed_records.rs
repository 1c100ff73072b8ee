//! Packed records: the content of a stored record in as few bytes as it needs.
//!
//! A record is a wide struct, because operators compute with it. Most records are stored for months and looked at once, when
//! they are retracted, so that they are kept packed: labels as numbers, times as differences, everything
//! in the encoding of the crate `postcard` (variable-length integers). What the records of a set have in common, their brand and
//! identifiers, is not part of them. A record takes about a tenth of the memory that way.

use serde::{Deserialize, Serialize};

use crate::allowed_uses::AllowedUses;
use crate::label_numbers::LabelNumbers;
use crate::packed_runs::Layout;
use crate::packed_time;
use crate::record::{
    Body, BoxAnswer, BrandId, ConsentString, Currency, Day, IdSet, NoticeBox, Record, RecordId,
    RecordKey, RefundAmount, Right, SaleKind, SaleName, SightingCookie, TouchKind, WalletPlatform,
    WalletType,
};

/// An entry of the records of a set: the key, then the packed record.
pub(crate) struct ByRecordKey;

impl Layout for ByRecordKey {
    fn key(entry: &[u8]) -> &[u8] {
        split(entry).0
    }
}

/// The key of an entry and its packed record.
fn split(entry: &[u8]) -> (&[u8], &[u8]) {
    entry
        .split_at_checked(size_of::<RecordKey>())
        .unwrap_or((entry, &[]))
}

/// The bytes of a key, in its order.
pub(crate) fn key_bytes(key: RecordKey) -> [u8; size_of::<RecordKey>()] {
    key.0.to_be_bytes()
}

/// The key of an entry.
pub(crate) fn key_of(entry: &[u8]) -> RecordKey {
    let key = split(entry).0.try_into().map(u128::from_be_bytes);
    RecordKey(key.unwrap_or_default())
}

/// A record, with numbers for labels.
#[derive(Serialize, Deserialize)]
struct Packed<'a> {
    source: u32,
    id: &'a str,
    /// See [`packed_time`].
    time: (i64, Day),
    body: PackedBody,
}

/// See [`Body`].
#[derive(Serialize, Deserialize)]
enum PackedBody {
    Contact(TouchKind, bool, u32),
    Identify,
    Sale(SaleKind, PackedName, u32, i64, Currency),
    Refund(SaleKind, PackedName, u32, RefundAmount),
    Restatement(SaleKind, PackedName, u32, RefundAmount),
    Adjustment(SaleKind, u32, i64, Currency),
    Spend(u32, u32, i64, Currency, u64, u64),
    Wallet(WalletType, WalletPlatform, u32, u32, u64),
    Sighting(u32, Day, i64, i64, SightingCookie),
    Exposure(TouchKind, u32),
    PartnerLink,
    SettledVisit(u32, i64, u32, u32, bool),
    PanelMember(bool),
    Consent(AllowedUses, Option<ConsentString>, Vec<PackedBox>),
    Right(Right, bool),
}

/// The labels of a [`NoticeBox`], in the order of [`NoticeBox::labels`], and its answer.
type PackedBox = ([u32; 5], BoxAnswer);

/// The name of a sale. Mostly it follows from the id.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum PackedName {
    /// [`SaleName::of`] the id.
    OfId,
    /// [`SaleName::of_record`] the id.
    OfRecord,
    Other(SaleName),
}

impl PackedName {
    fn pack(name: SaleName, id: &str) -> PackedName {
        match name {
            name if name == SaleName::of(id) => PackedName::OfId,
            name if name == SaleName::of_record(id) => PackedName::OfRecord,
            name => PackedName::Other(name),
        }
    }

    fn unpack(self, id: &str) -> SaleName {
        match self {
            PackedName::OfId => SaleName::of(id),
            PackedName::OfRecord => SaleName::of_record(id),
            PackedName::Other(name) => name,
        }
    }
}

/// The entry of a record, with one more use of its labels.
pub(crate) fn pack(key: RecordKey, record: &Record, numbers: &mut LabelNumbers) -> Vec<u8> {
    let name = |of: SaleName| PackedName::pack(of, &record.id);
    let source = numbers.use_label(record.source);
    let body = match record.body {
        Body::Contact {
            kind,
            channel: of,
            touch,
        } => PackedBody::Contact(kind, touch, numbers.use_channel(of)),
        Body::Identify => PackedBody::Identify,
        Body::Sale {
            kind,
            name: of,
            store,
            amount,
            currency,
        } => PackedBody::Sale(kind, name(of), numbers.use_label(store), amount, currency),
        Body::Refund {
            kind,
            name: of,
            store,
            amount,
        } => PackedBody::Refund(kind, name(of), numbers.use_label(store), amount),
        Body::Restatement {
            kind,
            name: of,
            store,
            amount,
        } => PackedBody::Restatement(kind, name(of), numbers.use_label(store), amount),
        Body::Adjustment {
            kind,
            store,
            amount,
            currency,
        } => PackedBody::Adjustment(kind, numbers.use_label(store), amount, currency),
        Body::Spend {
            platform,
            channel: of,
            cost,
            currency,
            impressions,
            clicks,
        } => PackedBody::Spend(
            numbers.use_label(platform),
            numbers.use_channel(of),
            cost,
            currency,
            impressions,
            clicks,
        ),
        Body::Wallet {
            kind,
            platform,
            store,
            channel: of,
            holder,
        } => PackedBody::Wallet(
            kind,
            platform,
            numbers.use_label(store),
            numbers.use_channel(of),
            holder,
        ),
        Body::Sighting {
            store,
            salt_day,
            until,
            blur,
            cookie,
        } => PackedBody::Sighting(numbers.use_label(store), salt_day, until, blur, cookie),
        Body::Exposure { kind, channel: of } => PackedBody::Exposure(kind, numbers.use_channel(of)),
        Body::PartnerLink => PackedBody::PartnerLink,
        Body::SettledVisit {
            store,
            until,
            candidates,
            weight,
            by_position,
        } => {
            let store = numbers.use_label(store);
            PackedBody::SettledVisit(store, until, candidates, weight, by_position)
        }
        Body::PanelMember { by_position } => PackedBody::PanelMember(by_position),
        Body::Consent {
            steps,
            string,
            ref boxes,
        } => {
            let boxes = boxes.iter().flat_map(|boxes| boxes.iter());
            let pack = |of: &NoticeBox| {
                let labels = of.labels().map(|label| numbers.use_label(label));
                (labels, of.answer)
            };
            PackedBody::Consent(steps, string, boxes.map(pack).collect())
        }
        Body::Right { right, stands } => PackedBody::Right(right, stands),
    };
    let packed = Packed {
        source,
        id: &record.id,
        time: packed_time::pack(record.ts, record.day),
        body,
    };
    let bytes = postcard::to_extend(&packed, key_bytes(key).to_vec());
    debug_assert!(bytes.is_ok(), "every record can be packed");
    bytes.unwrap_or_default()
}

/// How much of a record is unpacked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// All but its id, which needs an allocation. Enough to decide about it.
    WithoutId,
}

/// Unpacks the record of an entry. Its brand and identifier set are those of the map.
pub(crate) fn unpack(
    entry: &[u8],
    (brand, ids): (BrandId, &IdSet),
    part: Part,
    numbers: &LabelNumbers,
) -> Option<Record> {
    let packed: Result<Packed<'_>, _> = postcard::from_bytes(split(entry).1);
    debug_assert!(packed.is_ok(), "what was packed can be unpacked");
    let Packed {
        source,
        id,
        time,
        body,
    } = packed.ok()?;
    let (ts, day) = packed_time::unpack(time);
    let body = match body {
        PackedBody::Contact(kind, touch, channel) => Body::Contact {
            kind,
            channel: numbers.channel(channel),
            touch,
        },
        PackedBody::Identify => Body::Identify,
        PackedBody::Sale(kind, name, store, amount, currency) => Body::Sale {
            kind,
            name: name.unpack(id),
            store: numbers.label(store),
            amount,
            currency,
        },
        PackedBody::Refund(kind, name, store, amount) => Body::Refund {
            kind,
            name: name.unpack(id),
            store: numbers.label(store),
            amount,
        },
        PackedBody::Restatement(kind, name, store, amount) => Body::Restatement {
            kind,
            name: name.unpack(id),
            store: numbers.label(store),
            amount,
        },
        PackedBody::Adjustment(kind, store, amount, currency) => Body::Adjustment {
            kind,
            store: numbers.label(store),
            amount,
            currency,
        },
        PackedBody::Spend(platform, channel, cost, currency, impressions, clicks) => Body::Spend {
            platform: numbers.label(platform),
            channel: numbers.channel(channel),
            cost,
            currency,
            impressions,
            clicks,
        },
        PackedBody::Wallet(kind, platform, store, channel, holder) => Body::Wallet {
            kind,
            platform,
            store: numbers.label(store),
            channel: numbers.channel(channel),
            holder,
        },
        PackedBody::Sighting(store, salt_day, until, blur, cookie) => Body::Sighting {
            store: numbers.label(store),
            salt_day,
            until,
            blur,
            cookie,
        },
        PackedBody::Exposure(kind, channel) => Body::Exposure {
            kind,
            channel: numbers.channel(channel),
        },
        PackedBody::PartnerLink => Body::PartnerLink,
        PackedBody::SettledVisit(store, until, candidates, weight, by_position) => {
            Body::SettledVisit {
                store: numbers.label(store),
                until,
                candidates,
                weight,
                by_position,
            }
        }
        PackedBody::PanelMember(by_position) => Body::PanelMember { by_position },
        PackedBody::Consent(steps, string, boxes) => {
            let boxes = boxes.into_iter().map(|(labels, answer)| {
                let [name, notice, version, language, wording] =
                    labels.map(|number| numbers.label(number));
                NoticeBox {
                    name,
                    answer,
                    notice,
                    version,
                    language,
                    wording,
                }
            });
            let boxes: Vec<NoticeBox> = boxes.collect();
            Body::Consent {
                steps,
                string,
                boxes: (!boxes.is_empty()).then(|| boxes.into()),
            }
        }
        PackedBody::Right(right, stands) => Body::Right { right, stands },
    };
    Some(Record {
        brand,
        source: numbers.label(source),
        id: match part {
            Part::Whole => id.into(),
            Part::WithoutId => RecordId::default(),
        },
        ts,
        day,
        ids: ids.clone(),
        body,
    })
}

/// Takes a use of the labels of an entry's record back.
pub(crate) fn release(entry: &[u8], numbers: &mut LabelNumbers) {
    let Ok(packed) = postcard::from_bytes::<Packed<'_>>(split(entry).1) else {
        return;
    };
    numbers.release_label(packed.source);
    match packed.body {
        PackedBody::Contact(_, _, of) | PackedBody::Exposure(_, of) => {
            numbers.release_channel(of);
        }
        PackedBody::Sighting(store, ..) | PackedBody::SettledVisit(store, ..) => {
            numbers.release_label(store);
        }
        PackedBody::Sale(_, _, store, ..)
        | PackedBody::Refund(_, _, store, _)
        | PackedBody::Restatement(_, _, store, _)
        | PackedBody::Adjustment(_, store, ..) => numbers.release_label(store),
        PackedBody::Spend(platform, of, ..) => {
            numbers.release_label(platform);
            numbers.release_channel(of);
        }
        PackedBody::Wallet(_, _, store, of, _) => {
            numbers.release_label(store);
            numbers.release_channel(of);
        }
        PackedBody::Consent(_, _, boxes) => {
            let numbers_of = boxes.into_iter().flat_map(|(labels, _)| labels);
            numbers_of.for_each(|number| numbers.release_label(number));
        }
        PackedBody::Identify
        | PackedBody::PartnerLink
        | PackedBody::PanelMember(_)
        | PackedBody::Right(..) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::{Channel, Label};

    /// Bodies of every kind.
    fn bodies() -> Vec<Body> {
        let (kind, store) = (SaleKind::Transaction, Label::of("rivoli"));
        let (currency, channel) = (Currency(*b"EUR"), Channel::of("google", "cpc", "spring"));
        let name = SaleName::of("t-1");
        let some = RefundAmount::InCurrencyOfSale {
            digits: i64::MAX,
            decimals: 3,
        };
        let contact = |kind, touch| Body::Contact {
            kind,
            channel,
            touch,
        };
        let sale = |name, amount| Body::Sale {
            kind,
            name,
            store,
            amount,
            currency,
        };
        let refund = |amount| Body::Refund {
            kind,
            name,
            store,
            amount,
        };
        let notice_box = NoticeBox {
            name: Label::of("7"),
            answer: BoxAnswer::Preticked,
            notice: Label::of("terms"),
            version: Label::ABSENT,
            language: Label::of("fr"),
            wording: Label::of("I agree"),
        };
        let string = ConsentString {
            hash: u128::MAX,
            updated: -5,
        };
        vec![
            contact(TouchKind::Impression, true),
            contact(TouchKind::View, false),
            Body::Identify,
            sale(name, 0),
            sale(SaleName::of_record("t-1"), i64::MAX),
            sale(SaleName(u128::MAX), 1),
            refund(RefundAmount::All),
            refund(RefundAmount::Of(7, currency)),
            Body::Restatement {
                kind,
                name,
                store: Label::ABSENT,
                amount: some,
            },
            Body::Adjustment {
                kind,
                store,
                amount: i64::MIN,
                currency,
            },
            Body::Spend {
                platform: Label::of("ads"),
                channel,
                cost: -3,
                currency,
                impressions: u64::MAX,
                clicks: 0,
            },
            Body::Wallet {
                kind: WalletType::Redeem,
                platform: WalletPlatform::Samsung,
                store,
                channel,
                holder: u64::MAX,
            },
            Body::Consent {
                steps: AllowedUses::ALL,
                string: Some(string),
                boxes: None,
            },
            Body::Consent {
                steps: AllowedUses::NONE,
                string: None,
                boxes: Some([notice_box].into()),
            },
            Body::Right {
                right: Right::Restriction,
                stands: false,
            },
        ]
    }

    #[test]
    fn a_record_is_what_it_was() {
        let mut numbers = LabelNumbers::default();
        let mut all = Vec::new();
        for body in bodies() {
            for ts in [i64::MIN, -1, 0, 1_790_000_000_000, i64::MAX] {
                let record = Record {
                    brand: BrandId(7),
                    source: Label::of("shop"),
                    id: "t-1".into(),
                    ts,
                    day: 20_000,
                    ids: IdSet::empty(),
                    body: body.clone(),
                };
                let bytes = pack(RecordKey(9), &record, &mut numbers);
                let unpacked = |part| unpack(&bytes, (record.brand, &record.ids), part, &numbers);
                assert_eq!(unpacked(Part::Whole).as_ref(), Some(&record));
                let without = unpacked(Part::WithoutId).unwrap();
                assert_eq!((&*without.id, without.body), ("", record.body));
                all.push(bytes);
            }
        }
        assert!(numbers.len() > 4);
        for entry in &all {
            assert_eq!(key_of(entry), RecordKey(9));
            release(entry, &mut numbers);
        }
        assert_eq!(numbers.len(), 0);
    }
}

//! Any event that the types allow, of one of two brands.

use proptest::prelude::*;
use tributary_operators::allowed_uses::AllowedUses;
use tributary_operators::event::Event;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{
    Arrival, Body, BoxAnswer, BrandId, ClosedVisit, ClosedVisits, ConsentString, Currency, IdKind,
    IdSet, Identifier, NoticeBox, Ping, Record, RecordKey, RefundAmount, Right, SaleKind, SaleName,
    SettledDevices, SettledHour, Token, TokenizedPing, TouchKind, UnmatchedStays, WalletPlatform,
    WalletType,
};

use crate::common::{A, B, day};

/// An event and the brand that it belongs to.
pub fn any_event() -> impl Strategy<Value = (BrandId, Event)> {
    prop_oneof![Just(A), Just(B)].prop_flat_map(|brand| {
        let event = prop_oneof![
            10 => put(brand),
            2 => (key(), arrival()).prop_map(|(key, arrival)| Event::Drop { key, arrival }),
            5 => tokenized_ping(brand),
            1 => ping(brand),
            1 => settled(brand),
            2 => (key(), ids(), any::<i64>(), "\\PC{0,99}").prop_map(move |(key, ids, ts, text)| {
                Event::Evidence {
                    key,
                    brand,
                    ids,
                    ts,
                    text: text.into(),
                }
            }),
            2 => "[a-c]{0,2}|\\PC{0,9}".prop_map(move |word| Event::LabelName {
                brand,
                label: Label::of(&word),
                word: word.into(),
            }),
        ];
        event.prop_map(move |event| (brand, event))
    })
}

fn key() -> impl Strategy<Value = RecordKey> {
    prop_oneof![(0_u128..20), any::<u128>()].prop_map(RecordKey)
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let message = prop_oneof![0_u64..50, any::<u64>()];
    let line = prop_oneof![0_u32..5, any::<u32>()];
    (message, line).prop_map(|(message, line)| Arrival { message, line })
}

fn label() -> impl Strategy<Value = Label> {
    prop_oneof![3 => 0_u64..5, 1 => any::<u64>()].prop_map(Label)
}

fn channel() -> impl Strategy<Value = Channel> {
    (label(), label(), label()).prop_map(|(source, medium, campaign)| Channel {
        source,
        medium,
        campaign,
    })
}

fn currency() -> impl Strategy<Value = Currency> {
    any::<[u8; 3]>().prop_map(Currency)
}

fn sale() -> impl Strategy<Value = SaleKind> {
    prop::sample::select(vec![SaleKind::Order, SaleKind::Transaction])
}

fn ids() -> impl Strategy<Value = IdSet> {
    let kind = prop::sample::select(IdKind::ALL.to_vec());
    let id = (any::<u128>(), prop::option::of(any::<u128>()), kind);
    let id = id.prop_map(|(pseudonym, other, kind)| Identifier {
        pseudonym,
        value: other.unwrap_or(pseudonym),
        kind,
    });
    prop::collection::vec(id, 0..5).prop_map(IdSet::new)
}

fn refund_amount() -> impl Strategy<Value = RefundAmount> {
    prop_oneof![
        Just(RefundAmount::All),
        (any::<i64>(), currency()).prop_map(|(minor, currency)| RefundAmount::Of(minor, currency)),
        (any::<i64>(), any::<u8>())
            .prop_map(|(digits, decimals)| { RefundAmount::InCurrencyOfSale { digits, decimals } }),
    ]
}

fn notice_box() -> impl Strategy<Value = NoticeBox> {
    let answer = prop::sample::select(&BoxAnswer::ALL[..]);
    let labels = (label(), label(), label(), label(), label());
    (answer, labels).prop_map(
        |(answer, (name, notice, version, language, wording))| NoticeBox {
            name,
            answer,
            notice,
            version,
            language,
            wording,
        },
    )
}

fn body() -> impl Strategy<Value = Body> {
    let touch = prop::sample::select(vec![
        TouchKind::Impression,
        TouchKind::Click,
        TouchKind::View,
    ]);
    let name = || any::<u128>().prop_map(SaleName);
    prop_oneof![
        (touch, channel(), any::<bool>()).prop_map(|(kind, channel, touch)| Body::Contact {
            kind,
            channel,
            touch
        }),
        Just(Body::Identify),
        (
            prop::sample::select(&WalletType::ALL[..]),
            prop::sample::select(&WalletPlatform::ALL[..]),
            label(),
            channel(),
            prop_oneof![Just(0), any::<u64>()],
        )
            .prop_map(|(kind, platform, store, channel, holder)| Body::Wallet {
                kind,
                platform,
                store,
                channel,
                holder,
            }),
        (
            0_u8..64,
            prop::option::of((any::<u128>(), any::<i32>())),
            prop::option::of(prop::collection::vec(notice_box(), 1..4)),
        )
            .prop_map(|(bits, string, boxes)| Body::Consent {
                steps: AllowedUses::from_bits(bits).expect("six bits"),
                string: string.map(|(hash, updated)| ConsentString { hash, updated }),
                boxes: boxes.map(Into::into),
            }),
        (prop::sample::select(&Right::ALL[..]), any::<bool>())
            .prop_map(|(right, stands)| Body::Right { right, stands }),
        (sale(), name(), label(), any::<i64>(), currency()).prop_map(
            |(kind, name, store, amount, currency)| Body::Sale {
                kind,
                name,
                store,
                amount,
                currency
            }
        ),
        (sale(), name(), label(), refund_amount()).prop_map(|(kind, name, store, amount)| {
            Body::Refund {
                kind,
                name,
                store,
                amount,
            }
        }),
        (sale(), name(), label(), any::<i64>(), currency()).prop_map(
            |(kind, name, store, minor, currency)| Body::Restatement {
                kind,
                name,
                store,
                amount: RefundAmount::Of(minor, currency),
            }
        ),
        (sale(), label(), any::<i64>(), currency()).prop_map(|(kind, store, amount, currency)| {
            Body::Adjustment {
                kind,
                store,
                amount,
                currency,
            }
        }),
        (
            label(),
            channel(),
            any::<i64>(),
            currency(),
            any::<u64>(),
            any::<u64>()
        )
            .prop_map(|(platform, channel, cost, currency, impressions, clicks)| {
                Body::Spend {
                    platform,
                    channel,
                    cost,
                    currency,
                    impressions,
                    clicks,
                }
            }),
    ]
}

fn put(brand: BrandId) -> impl Strategy<Value = Event> {
    let version = prop_oneof![Just(0), any::<i64>()];
    let ts = prop_oneof![1_600_000_000_000_i64..1_800_000_000_000, any::<i64>()];
    let head = (key(), version, arrival(), label(), "\\PC{0,12}");
    (head, ts, any::<i32>(), ids(), body()).prop_map(
        move |((key, version, arrival, source, id), ts, date, ids, body)| Event::Put {
            key,
            version,
            arrival,
            record: Record {
                brand,
                source,
                id: id.into(),
                ts,
                day: match body {
                    Body::Spend { .. } => date,
                    _ => day(brand, ts),
                },
                ids,
                body,
            },
        },
    )
}

fn tokenized_ping(brand: BrandId) -> impl Strategy<Value = Event> {
    let numbers = (any::<i32>(), any::<i64>(), any::<i32>(), any::<i8>());
    (label(), any::<u128>(), any::<bool>(), numbers).prop_map(
        move |(store, token, random, (salt_day, second, utc_offset, rssi))| Event::TokenizedPing {
            ping: TokenizedPing {
                brand,
                store,
                token: Token(token),
                random,
                salt_day,
                second,
                utc_offset,
                rssi,
                offline_cookie: None,
            },
        },
    )
}

fn settled(brand: BrandId) -> impl Strategy<Value = Event> {
    let hour = (label(), any::<i64>(), any::<i32>(), any::<[i64; 5]>());
    let hours = prop::collection::vec(any::<(i64, i32)>(), 0..4);
    let devices = (label(), any::<i32>(), hours, any::<[i64; 2]>());
    prop_oneof![
        hour.prop_map(
            move |(store, hour, utc_offset, values)| Event::SettledHour {
                settled: SettledHour {
                    brand,
                    store,
                    hour,
                    utc_offset,
                    values,
                },
            }
        ),
        devices.prop_map(move |(store, salt_day, hours, [devices, random])| {
            Event::SettledDevices {
                settled: SettledDevices {
                    brand,
                    store,
                    salt_day,
                    hours,
                    devices,
                    random,
                },
            }
        }),
        closed_visits(brand),
        any::<i32>().prop_map(move |before| Event::SaltDaysClosed { brand, before }),
        any::<i32>().prop_map(move |before| Event::SightingsSettled { brand, before }),
        (label(), any::<i32>(), any::<i64>()).prop_map(move |(store, day, stays)| {
            Event::UnmatchedStays {
                unmatched: UnmatchedStays {
                    brand,
                    store,
                    day,
                    stays,
                },
            }
        }),
        any::<i64>().prop_map(move |at| Event::LinkTime { brand, at }),
    ]
}

fn closed_visits(brand: BrandId) -> impl Strategy<Value = Event> {
    let visit = (any::<i64>(), any::<i64>(), any::<u16>());
    let visit = visit.prop_map(|(first, last, cookie)| ClosedVisit {
        first,
        last,
        cookie,
    });
    let visits = proptest::collection::vec(visit, 0..5);
    (label(), any::<i32>(), 0..=16_u8, visits).prop_map(move |(store, salt_day, bits, visits)| {
        Event::ClosedVisits {
            visits: ClosedVisits {
                brand,
                store,
                salt_day,
                bits,
                visits,
            },
        }
    })
}

fn ping(brand: BrandId) -> impl Strategy<Value = Event> {
    (label(), any::<u128>()).prop_map(move |(store, device)| Event::Ping {
        ping: Ping {
            brand,
            store,
            device,
            random: false,
            salt_day: 0,
            second: 0,
            utc_offset: 0,
            rssi: 0,
            offline_cookie: None,
        },
    })
}

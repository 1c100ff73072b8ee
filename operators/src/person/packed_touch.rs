//! Packed touch: a touchpoint of a person in as few bytes as it needs.
//!
//! A touch is its key, and behind it what a path needs: the number of its channel, and how far its day is from that of its time
//! in UTC. The key is the time and the id, encoded so that the order of keys as strings of bytes is that of time and id. What
//! the touches of a class have in common, their source among it, is not part of them.

use std::cmp::Ordering;

use smallvec::SmallVec;

use crate::attribution::path::Touch;
use crate::facts::Contact;
use crate::label::{Channel, Label};
use crate::label_numbers::LabelNumbers;
use crate::packed_time;
use crate::record::{Day, TouchKind};

/// The properties that many touches of a person have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Class {
    /// The source, which is a part of the order of touches.
    source: Label,
    /// The kind, which determines the attribution window.
    pub(super) kind: TouchKind,
    /// Whether the touch may occur in the path of an in-store transaction.
    pub(super) joins: bool,
}

impl Class {
    /// The class of a touch.
    pub(super) fn of(touch: &Contact) -> Class {
        Class {
            source: touch.source,
            kind: touch.kind,
            joins: touch.joins,
        }
    }
}

/// A touch of a person, unpacked.
#[derive(Clone, Copy)]
pub(super) struct Held<'a> {
    key: &'a [u8],
    class: Class,
    /// Unix milliseconds.
    pub(super) ts: i64,
    pub(super) channel: Channel,
    /// The day in the brand's zone.
    pub(super) day: Day,
}

impl<'a> Held<'a> {
    /// A touch that need not be one of the person's, with its [`key`].
    pub(super) fn of(touch: &Contact, key: &'a [u8]) -> Held<'a> {
        Held {
            key,
            class: Class::of(touch),
            ts: touch.ts,
            channel: touch.channel,
            day: touch.day,
        }
    }

    /// The order of [`Contact`].
    pub(super) fn cmp(&self, other: &Held<'_>) -> Ordering {
        let rest = |of: &Held<'_>| {
            let Class {
                source,
                kind,
                joins,
            } = of.class;
            (source, of.channel, of.day, kind, joins)
        };
        let keys = self.key.cmp(other.key);
        keys.then_with(|| rest(self).cmp(&rest(other)))
    }

    /// The touch as the attribution models see it.
    pub(super) fn touch(&self) -> Touch {
        Touch {
            ts: self.ts,
            channel: self.channel,
        }
    }
}

/// The key of a touch: the time, and the id with an end that no id contains. The order of keys is that of `(ts, id)`, and the
/// key of an empty id is not behind any of its time.
pub(super) fn key(ts: i64, id: &str) -> SmallVec<[u8; 48]> {
    let mut key = SmallVec::new();
    key.extend_from_slice(&(ts as u64 ^ (1 << 63)).to_be_bytes());
    for byte in id.bytes() {
        match byte {
            0 | 1 => key.extend_from_slice(&[1, byte + 1]),
            byte => key.push(byte),
        }
    }
    key.push(0);
    key
}

/// Packs a touch, with one more use of its channel.
pub(super) fn pack(touch: &Contact, numbers: &mut LabelNumbers) -> SmallVec<[u8; 48]> {
    let mut packed = key(touch.ts, &touch.id);
    let (_, days_off) = packed_time::pack(touch.ts, touch.day);
    let rest = (numbers.use_channel(touch.channel), days_off);
    let mut buffer = [0; 16];
    let rest = postcard::to_slice(&rest, &mut buffer);
    debug_assert!(rest.is_ok(), "two numbers fit into 16 bytes");
    packed.extend_from_slice(rest.as_deref().unwrap_or_default());
    packed
}

/// The key of a packed touch, its time, the number of its channel, and how far its day is off.
fn split(packed: &[u8]) -> Option<(&[u8], i64, u32, Day)> {
    let (ts, rest) = packed.split_first_chunk::<8>()?;
    let end = 8 + rest.iter().position(|byte| *byte == 0)? + 1;
    let (key, rest) = packed.split_at_checked(end)?;
    let (channel, days_off) = postcard::from_bytes(rest).ok()?;
    let ts = (u64::from_be_bytes(*ts) ^ (1 << 63)) as i64;
    Some((key, ts, channel, days_off))
}

/// Unpacks a touch of a class.
pub(super) fn unpack<'a>(
    class: Class,
    packed: &'a [u8],
    numbers: &LabelNumbers,
) -> Option<Held<'a>> {
    let touch = split(packed);
    debug_assert!(touch.is_some(), "what was packed can be unpacked");
    let (key, ts, channel, days_off) = touch?;
    let (since, _) = packed_time::pack(ts, 0);
    Some(Held {
        key,
        class,
        ts,
        channel: numbers.channel(channel),
        day: packed_time::unpack((since, days_off)).1,
    })
}

/// Takes a use of the channel of a packed touch back.
pub(super) fn release(packed: &[u8], numbers: &mut LabelNumbers) {
    if let Some((_, _, channel, _)) = split(packed) {
        numbers.release_channel(channel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A touch for each time and id.
    fn touches() -> Vec<Contact> {
        let ids = [
            "", "\0", "\0\u{1}", "\u{1}", "\u{2}", "a", "a\0", "a\0b", "a\u{1}", "ab", "é",
        ];
        let times = [i64::MIN, -1, 0, 1_790_000_000_000, i64::MAX];
        let touches = times.into_iter().flat_map(|ts| {
            ids.map(|id| Contact {
                ts,
                id: id.into(),
                source: Label::of("web"),
                channel: Channel::of("google", "cpc", id),
                day: 20_000,
                kind: TouchKind::Click,
                touch: true,
                joins: false,
            })
        });
        touches.collect()
    }

    #[test]
    fn keys_are_in_the_order_of_touches() {
        let touches = touches();
        for a in &touches {
            for b in &touches {
                let (of_a, of_b) = (key(a.ts, &a.id), key(b.ts, &b.id));
                assert_eq!(of_a.cmp(&of_b), (a.ts, &a.id).cmp(&(b.ts, &b.id)));
                let order = Held::of(a, &of_a).cmp(&Held::of(b, &of_b));
                assert_eq!(order, a.cmp(b));
            }
        }
    }

    #[test]
    fn a_touch_is_what_it_was() {
        let mut numbers = LabelNumbers::default();
        let touches = touches();
        let packed: Vec<_> = touches.iter().map(|of| pack(of, &mut numbers)).collect();
        for (touch, packed) in touches.iter().zip(&packed) {
            let held = unpack(Class::of(touch), packed, &numbers).unwrap();
            assert_eq!(
                held.cmp(&Held::of(touch, &key(touch.ts, &touch.id))),
                Ordering::Equal
            );
            assert_eq!((held.ts, held.day), (touch.ts, touch.day));
        }
        for packed in &packed {
            release(packed, &mut numbers);
        }
        assert_eq!(numbers.len(), 0);
    }
}

//! Encoding of the body of a record: a tag with the kind and its flags, then
//! the fields (FORMAT.md, section *Entries*).

use std::sync::Arc;

use tributary_operators::allowed_uses::AllowedUses;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{
    Body, BoxAnswer, ConsentString, Currency, NoticeBox, RefundAmount, Right, SaleKind, SaleName,
    SightingCookie, TouchKind, WalletPlatform, WalletType,
};

use super::Encoder;
use super::decode::Decoder;
use crate::wire::{put_signed, put_varint};

/// Low four bits of the tag: the kind of the body.
const CONTACT: u8 = 0;
const IDENTIFY: u8 = 1;
const SALE: u8 = 2;
const REFUND: u8 = 3;
const ADJUSTMENT: u8 = 4;
const SPEND: u8 = 5;
const CONSENT: u8 = 6;
const RIGHT: u8 = 7;
const RESTATEMENT: u8 = 8;
const WALLET: u8 = 9;
const SIGHTING: u8 = 10;
const EXPOSURE: u8 = 11;
const PARTNER_LINK: u8 = 12;
const SETTLED_VISIT: u8 = 13;
const PANEL_MEMBER: u8 = 14;
/// Mask of the kind; the other bits are flags.
const KIND: u8 = 0x0f;

/// On a contact: mask of impression, click or view.
const TOUCH_KIND: u8 = 0x30;
/// On a contact: it is a touch.
const TOUCH: u8 = 0x40;
/// On a sale, a refund or an adjustment: it concerns a transaction in a store,
/// otherwise an order.
const TRANSACTION: u8 = 0x10;
/// On a refund: an amount and its currency follow.
const AMOUNT: u8 = 0x20;
/// On a refund: the digits of an amount and the number of its decimals follow,
/// without a currency.
const DIGITS: u8 = 0x40;
/// On a consent: the hash and the day of a consent string follow.
const STRING: u8 = 0x10;
/// On a consent: the boxes of a form follow.
const BOXES: u8 = 0x20;
/// On a right: it is in effect. The three bits above it are the right.
const STANDS: u8 = 0x10;

/// On a wallet record: its holder follows. The three bits below it are the
/// type.
const HOLDER: u8 = 0x80;

/// On a sighting: an offline cookie follows.
const BY_COOKIE: u8 = 0x10;
/// On a sighting: the keyed hash of a MAC address follows.
const BY_MAC: u8 = 0x20;
/// On what remains of sightings: none had a cookie.
const BY_POSITION: u8 = 0x10;

/// Flag of a kind of sale. No record is a visit.
fn sale_flag(kind: SaleKind) -> u8 {
    match kind {
        SaleKind::Order => 0,
        SaleKind::Transaction | SaleKind::Visit => TRANSACTION,
    }
}

impl Encoder {
    /// Appends a body.
    pub(super) fn body(&mut self, body: &Body) {
        match body {
            Body::Contact {
                kind,
                channel,
                touch,
            } => {
                let kind = match kind {
                    TouchKind::Impression => 0,
                    TouchKind::Click => 0x10,
                    TouchKind::View => 0x20,
                };
                let touch = if *touch { TOUCH } else { 0 };
                self.bytes.push(CONTACT | kind | touch);
                self.channel(channel);
            }
            Body::Identify => self.bytes.push(IDENTIFY),
            Body::Sale {
                kind,
                name,
                store,
                amount,
                currency,
            } => {
                self.bytes.push(SALE | sale_flag(*kind));
                self.bytes.extend_from_slice(&name.0.to_le_bytes());
                self.label(*store);
                self.money(*amount, *currency);
            }
            Body::Refund {
                kind,
                name,
                store,
                amount,
            }
            | Body::Restatement {
                kind,
                name,
                store,
                amount,
            } => {
                let tag = match body {
                    Body::Restatement { .. } => RESTATEMENT,
                    _ => REFUND,
                };
                let flag = match amount {
                    RefundAmount::All => 0,
                    RefundAmount::Of(..) => AMOUNT,
                    RefundAmount::InCurrencyOfSale { .. } => DIGITS,
                };
                self.bytes.push(tag | sale_flag(*kind) | flag);
                self.bytes.extend_from_slice(&name.0.to_le_bytes());
                self.label(*store);
                match *amount {
                    RefundAmount::All => {}
                    RefundAmount::Of(amount, currency) => self.money(amount, currency),
                    RefundAmount::InCurrencyOfSale { digits, decimals } => {
                        put_signed(&mut self.bytes, digits);
                        self.bytes.push(decimals);
                    }
                }
            }
            Body::Adjustment {
                kind,
                store,
                amount,
                currency,
            } => {
                self.bytes.push(ADJUSTMENT | sale_flag(*kind));
                self.label(*store);
                self.money(*amount, *currency);
            }
            Body::Spend {
                platform,
                channel,
                cost,
                currency,
                impressions,
                clicks,
            } => {
                self.bytes.push(SPEND);
                self.label(*platform);
                self.channel(channel);
                self.money(*cost, *currency);
                put_varint(&mut self.bytes, *impressions);
                put_varint(&mut self.bytes, *clicks);
            }
            Body::Wallet {
                kind,
                platform,
                store,
                channel,
                holder,
            } => {
                let some = if *holder != 0 { HOLDER } else { 0 };
                let tag = WALLET | (*kind as u8) << 4 | some;
                self.bytes.extend([tag, *platform as u8]);
                self.label(*store);
                self.channel(channel);
                if *holder != 0 {
                    self.bytes.extend_from_slice(&holder.to_le_bytes());
                }
            }
            Body::Sighting {
                store,
                salt_day,
                until,
                blur,
                cookie,
            } => {
                let flag = match cookie {
                    SightingCookie::None => 0,
                    SightingCookie::Cookie(_) => BY_COOKIE,
                    SightingCookie::Mac(_) => BY_MAC,
                };
                self.bytes.push(SIGHTING | flag);
                self.label(*store);
                self.day(*salt_day);
                put_signed(&mut self.bytes, *until);
                put_signed(&mut self.bytes, *blur);
                match cookie {
                    SightingCookie::None => {}
                    SightingCookie::Cookie(value) => {
                        self.bytes.extend_from_slice(&value.to_le_bytes());
                    }
                    SightingCookie::Mac(hash) => self.bytes.extend_from_slice(&hash.to_le_bytes()),
                }
            }
            Body::Exposure { kind, channel } => {
                let kind = match kind {
                    TouchKind::Impression => 0,
                    TouchKind::Click => 0x10,
                    TouchKind::View => 0x20,
                };
                self.bytes.push(EXPOSURE | kind);
                self.channel(channel);
            }
            Body::PartnerLink => self.bytes.push(PARTNER_LINK),
            Body::SettledVisit {
                store,
                until,
                candidates,
                weight,
                by_position,
            } => {
                let flag = if *by_position { BY_POSITION } else { 0 };
                self.bytes.push(SETTLED_VISIT | flag);
                self.label(*store);
                put_signed(&mut self.bytes, *until);
                put_varint(&mut self.bytes, (*candidates).into());
                put_varint(&mut self.bytes, (*weight).into());
            }
            Body::PanelMember { by_position } => {
                let flag = if *by_position { BY_POSITION } else { 0 };
                self.bytes.push(PANEL_MEMBER | flag);
            }
            Body::Consent {
                steps,
                string,
                boxes,
            } => {
                let some = if string.is_some() { STRING } else { 0 };
                let more = if boxes.is_some() { BOXES } else { 0 };
                self.bytes.extend([CONSENT | some | more, steps.bits()]);
                if let Some(ConsentString { hash, updated }) = string {
                    self.bytes.extend_from_slice(&hash.to_le_bytes());
                    put_signed(&mut self.bytes, i64::from(*updated));
                }
                if let Some(boxes) = boxes {
                    put_varint(&mut self.bytes, boxes.len() as u64);
                    boxes.iter().for_each(|of| self.notice_box(of));
                }
            }
            Body::Right { right, stands } => {
                let stands = if *stands { STANDS } else { 0 };
                self.bytes.push(RIGHT | stands | (*right as u8) << 5);
            }
        }
    }

    /// Appends a box of a statement.
    fn notice_box(&mut self, of: &NoticeBox) {
        self.bytes.push(of.answer as u8);
        of.labels().iter().for_each(|label| self.label(*label));
    }

    /// Appends source, medium and campaign.
    fn channel(&mut self, channel: &Channel) {
        self.label(channel.source);
        self.label(channel.medium);
        self.label(channel.campaign);
    }

    /// Appends an amount in minor units and its currency.
    fn money(&mut self, amount: i64, currency: Currency) {
        put_signed(&mut self.bytes, amount);
        self.bytes.extend_from_slice(&currency.0);
    }
}

impl Decoder<'_> {
    /// Reads a body; `None` for an unknown kind or flag.
    pub(super) fn body(&mut self) -> Option<Body> {
        let tag = self.input.byte()?;
        let sale = match tag & TRANSACTION {
            0 => SaleKind::Order,
            _ => SaleKind::Transaction,
        };
        let body = match (tag & KIND, tag & !KIND) {
            (CONTACT, flags) if flags & !(TOUCH_KIND | TOUCH) == 0 => Body::Contact {
                kind: match flags & TOUCH_KIND {
                    0 => TouchKind::Impression,
                    0x10 => TouchKind::Click,
                    0x20 => TouchKind::View,
                    _ => return None,
                },
                channel: self.channel()?,
                touch: flags & TOUCH != 0,
            },
            (IDENTIFY, 0) => Body::Identify,
            (SALE, flags) if flags & !TRANSACTION == 0 => {
                let name = SaleName(self.input.u128()?);
                let store = self.label()?;
                let (amount, currency) = self.money()?;
                Body::Sale {
                    kind: sale,
                    name,
                    store,
                    amount,
                    currency,
                }
            }
            (kind @ (REFUND | RESTATEMENT), flags)
                if flags & !(TRANSACTION | AMOUNT | DIGITS) == 0 =>
            {
                let name = SaleName(self.input.u128()?);
                let store = self.label()?;
                let amount = match flags & !TRANSACTION {
                    0 if kind == REFUND => RefundAmount::All,
                    AMOUNT => {
                        let (minor, currency) = self.money()?;
                        RefundAmount::Of(minor, currency)
                    }
                    DIGITS => RefundAmount::InCurrencyOfSale {
                        digits: self.input.signed()?,
                        decimals: self.input.byte()?,
                    },
                    _ => return None,
                };
                match kind {
                    REFUND => Body::Refund {
                        kind: sale,
                        name,
                        store,
                        amount,
                    },
                    _ => Body::Restatement {
                        kind: sale,
                        name,
                        store,
                        amount,
                    },
                }
            }
            (ADJUSTMENT, flags) if flags & !TRANSACTION == 0 => {
                let store = self.label()?;
                let (amount, currency) = self.money()?;
                Body::Adjustment {
                    kind: sale,
                    store,
                    amount,
                    currency,
                }
            }
            (SPEND, 0) => self.spend()?,
            (WALLET, flags) => Body::Wallet {
                kind: *WalletType::ALL.get(usize::from((flags & !HOLDER) >> 4))?,
                platform: *WalletPlatform::ALL.get(usize::from(self.input.byte()?))?,
                store: self.label()?,
                channel: self.channel()?,
                holder: match flags & HOLDER {
                    0 => 0,
                    _ => u64::from_le_bytes(self.input.array()?),
                },
            },
            (SIGHTING, flags) => Body::Sighting {
                store: self.label()?,
                salt_day: self.day()?,
                until: self.input.signed()?,
                blur: self.input.signed()?,
                cookie: match flags {
                    0 => SightingCookie::None,
                    BY_COOKIE => SightingCookie::Cookie(u32::from_le_bytes(self.input.array()?)),
                    BY_MAC => SightingCookie::Mac(self.input.u128()?),
                    _ => return None,
                },
            },
            (EXPOSURE, flags) => Body::Exposure {
                kind: match flags {
                    0 => TouchKind::Impression,
                    0x10 => TouchKind::Click,
                    _ => return None,
                },
                channel: self.channel()?,
            },
            (PARTNER_LINK, 0) => Body::PartnerLink,
            (SETTLED_VISIT, flags) if flags & !BY_POSITION == 0 => Body::SettledVisit {
                store: self.label()?,
                until: self.input.signed()?,
                candidates: u32::try_from(self.input.varint()?).ok()?,
                weight: u32::try_from(self.input.varint()?).ok()?,
                by_position: flags != 0,
            },
            (PANEL_MEMBER, flags) if flags & !BY_POSITION == 0 => Body::PanelMember {
                by_position: flags != 0,
            },
            (CONSENT, flags) if flags & !(STRING | BOXES) == 0 => Body::Consent {
                steps: AllowedUses::from_bits(self.input.byte()?)?,
                string: match flags & STRING {
                    0 => None,
                    _ => Some(ConsentString {
                        hash: self.input.u128()?,
                        updated: i32::try_from(self.input.signed()?).ok()?,
                    }),
                },
                boxes: match flags & BOXES {
                    0 => None,
                    _ => Some(self.notice_boxes()?),
                },
            },
            (RIGHT, flags) => Body::Right {
                right: *Right::ALL.get(usize::from(flags >> 5))?,
                stands: flags & STANDS != 0,
            },
            _ => return None,
        };
        Some(body)
    }

    /// Reads the boxes of a statement.
    fn notice_boxes(&mut self) -> Option<Arc<[NoticeBox]>> {
        let count = usize::try_from(self.input.varint()?).ok()?;
        // A box has 6 bytes or more.
        if count > self.input.remaining() / 6 {
            return None;
        }
        let boxes = (0..count).map(|_| {
            Some(NoticeBox {
                answer: *BoxAnswer::ALL.get(usize::from(self.input.byte()?))?,
                name: self.label()?,
                notice: self.label()?,
                version: self.label()?,
                language: self.label()?,
                wording: self.label()?,
            })
        });
        boxes.collect()
    }

    /// Reads the fields of spend.
    fn spend(&mut self) -> Option<Body> {
        let platform: Label = self.label()?;
        let channel = self.channel()?;
        let (cost, currency) = self.money()?;
        Some(Body::Spend {
            platform,
            channel,
            cost,
            currency,
            impressions: self.input.varint()?,
            clicks: self.input.varint()?,
        })
    }

    /// Reads source, medium and campaign.
    fn channel(&mut self) -> Option<Channel> {
        Some(Channel {
            source: self.label()?,
            medium: self.label()?,
            campaign: self.label()?,
        })
    }

    /// Reads an amount in minor units and its currency.
    fn money(&mut self) -> Option<(i64, Currency)> {
        Some((self.input.signed()?, Currency(self.input.array()?)))
    }
}

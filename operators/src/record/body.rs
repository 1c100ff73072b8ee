//! The content of a record: one variant for each kind of input, and the statements of data subjects.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::allowed_uses::{AllowedUses, Use};
use crate::label::{Channel, Label};
use crate::record::brand::Day;
use crate::record::notice::NoticeBox;
use crate::record::partner::SightingCookie;
use crate::record::sale::{Currency, RefundAmount, SaleKind, SaleName};
use crate::record::touch::TouchKind;
use crate::record::wallet::{WalletPlatform, WalletType};

/// The content of a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Body {
    /// A web record of type `impression`, `click` or `view`.
    Contact {
        /// Impression, click or view.
        kind: TouchKind,
        /// The channel; [`Channel::direct`] if nothing explains the contact.
        channel: Channel,
        /// Whether the contact is a touchpoint: every impression and click, and a view that has a channel or is a landing.
        /// Other views are only counted.
        touch: bool,
    },
    /// A web record of type `identify`: it links its identifiers and has no other effect.
    Identify,
    /// A sale: an order or a transaction whose amount is not negative.
    Sale {
        /// Order or transaction.
        kind: SaleKind,
        /// The name by which refunds refer to the sale. Two orders with one name are one order.
        name: SaleName,
        /// The store; absent for an order.
        store: Label,
        /// Minor units, not negative.
        amount: i64,
        /// The currency of the amount.
        currency: Currency,
    },
    /// A refund of a named sale.
    Refund {
        /// Whether the sale is an order or a transaction.
        kind: SaleKind,
        /// The name of that sale.
        name: SaleName,
        /// The store that refunded; absent for a refund online. The refund counts in the store of the sale.
        store: Label,
        /// The amount.
        amount: RefundAmount,
    },
    /// A new amount of a named sale, before its refunds. It makes no sale of its own, and may precede its sale.
    Restatement {
        /// Whether the sale is an order or a transaction.
        kind: SaleKind,
        /// The name of that sale.
        name: SaleName,
        /// The store that restates; absent online. The sale stays in its own store.
        store: Label,
        /// The amount; never [`RefundAmount::All`].
        amount: RefundAmount,
    },
    /// A negative amount that refers to no sale.
    Adjustment {
        /// Order (online) or transaction (in-store).
        kind: SaleKind,
        /// The store; absent for an order.
        store: Label,
        /// Minor units, negative.
        amount: i64,
        /// The currency of the amount.
        currency: Currency,
    },
    /// The advertising cost that a platform reports for a campaign and day.
    Spend {
        /// The advertising platform.
        platform: Label,
        /// The campaign; absent labels stay absent.
        channel: Channel,
        /// Minor units; may be negative.
        cost: i64,
        /// The currency of the cost.
        currency: Currency,
        /// Impressions that the platform reports.
        impressions: u64,
        /// Clicks that the platform reports.
        clicks: u64,
    },
    /// What happened to a wallet pass, which the record's identifier of kind [`IdKind::Wallet`](crate::record::IdKind::Wallet)
    /// names.
    Wallet {
        /// What happened.
        kind: WalletType,
        /// The platform of the pass.
        platform: WalletPlatform,
        /// The store of a scan or a redemption; otherwise absent or ignored.
        store: Label,
        /// The channel of a push or an open, and of the voucher of a redemption; absent labels stay absent.
        channel: Channel,
        /// A keyed hash of the device that registered the pass; 0 without one.
        holder: u64,
    },
    /// A partner saw the record's device in a store. `ts` is the beginning.
    Sighting {
        /// The store.
        store: Label,
        /// The store's salt day of `ts`.
        salt_day: Day,
        /// The end, Unix milliseconds, at least `ts`.
        until: i64,
        /// How far the partner blurs its times: the sighting reaches from `ts` - `blur` to `until` + `blur`, milliseconds.
        blur: i64,
        /// By what it is matched.
        cookie: SightingCookie,
    },
    /// A partner showed the record's device an advertisement, or saw it clicked.
    Exposure {
        /// Impression or click.
        kind: TouchKind,
        /// The channel; absent labels stay absent.
        channel: Channel,
    },
    /// A partner says that the identifiers belong together.
    PartnerLink,
    /// A stay of the record's device that was matched, of a salt day that is settled: the sightings that it came from are deleted.
    /// `ts` is its first second. Its weight no longer depends on others.
    SettledVisit {
        /// The store.
        store: Label,
        /// The last second, Unix milliseconds.
        until: i64,
        /// The number of visits that it may have been.
        candidates: u32,
        /// How much of a visit it is, in millionths.
        weight: u32,
        /// Whether it was matched by time and place alone, without a cookie.
        by_position: bool,
    },
    /// What remains of the sightings of a device on a salt day that is settled: that the device belongs to the panel of the month
    /// of `ts`, and that the identifiers belong together.
    PanelMember {
        /// Whether the sightings had the position alone, without a cookie.
        by_position: bool,
    },
    /// The uses that a data subject allows for all records with one of the identifiers. The newest consent about an
    /// identifier counts, in the order of `statement_order`; of several equally new ones, the uses that all of them allow.
    Consent {
        /// The allowed uses.
        steps: AllowedUses,
        /// The consent string, if the consent came as one that carries its own date.
        string: Option<ConsentString>,
        /// The boxes of a form with what was shown beside them; `None` if the statement has none or says nothing of it.
        boxes: Option<Arc<[NoticeBox]>>,
    },
    /// A right that a data subject exercised or withdrew, for all records with one of the identifiers. The newest statement
    /// about each right counts; of several at one time, an exercise.
    Right {
        /// The right.
        right: Right,
        /// Whether the right applies from here on: exercised (`true`) or withdrawn (`false`).
        stands: bool,
    },
}

impl Body {
    /// Whether the record comes from the web, not from a store: a contact, an identification, or a sale or adjustment of an
    /// online shop. A refund comes from where it was paid, whichever sale it refers to.
    pub fn is_web(&self) -> bool {
        match self {
            Body::Contact { .. } | Body::Identify => true,
            Body::Sale { kind, .. } | Body::Adjustment { kind, .. } => *kind == SaleKind::Order,
            Body::Refund { store, .. } | Body::Restatement { store, .. } => *store == Label::ABSENT,
            Body::Spend { .. }
            | Body::Wallet { .. }
            | Body::Sighting { .. }
            | Body::Exposure { .. }
            | Body::PartnerLink
            | Body::SettledVisit { .. }
            | Body::PanelMember { .. }
            | Body::Consent { .. }
            | Body::Right { .. } => false,
        }
    }

    /// Whether a partner reports it.
    pub fn is_of_partner(&self) -> bool {
        matches!(
            self,
            Body::Sighting { .. }
                | Body::Exposure { .. }
                | Body::PartnerLink
                | Body::SettledVisit { .. }
                | Body::PanelMember { .. }
        )
    }

    /// The uses without which the record does not count at all, beyond those that its source requires.
    pub fn required_uses(&self) -> &'static [Use] {
        match self {
            Body::Sighting {
                cookie: SightingCookie::None,
                ..
            }
            | Body::SettledVisit {
                by_position: true, ..
            }
            | Body::PanelMember { by_position: true } => {
                &[Use::Hold, Use::Join, Use::Link, Use::Share, Use::Position]
            }
            Body::Sighting { .. } | Body::SettledVisit { .. } | Body::PanelMember { .. } => {
                &[Use::Hold, Use::Join, Use::Link, Use::Share]
            }
            Body::Exposure { .. } => &[Use::Hold, Use::Share],
            Body::PartnerLink => &[Use::Link, Use::Share],
            _ => &[],
        }
    }

    /// The contact with a channel that the record is: its kind, its channel, and whether it is a touchpoint. Pushes and opens of
    /// wallet passes are contacts, as impressions and clicks, and so are the exposures that partners report.
    pub fn contact(&self) -> Option<(TouchKind, Channel, bool)> {
        match *self {
            Body::Contact {
                kind,
                channel,
                touch,
            } => Some((kind, channel, touch)),
            Body::Wallet { kind, channel, .. } => Some((kind.touch()?, channel, true)),
            Body::Exposure { kind, channel } => Some((kind, channel, true)),
            _ => None,
        }
    }
}

/// A consent string that carries the date of its last update, as far as the order of statements needs it: its identity and its
/// date, never its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConsentString {
    /// A 128-bit hash of the string.
    pub hash: u128,
    /// The UTC day of its `LastUpdated` field (IAB TC string): days since 1970-01-01.
    pub updated: i32,
}

/// A right of a data subject whose exercise is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Right {
    /// Restriction of processing (GDPR, Article 18): the record is stored but excluded from every cell.
    Restriction,
    /// No sharing with partners (CCPA, section 1798.120).
    DoNotSell,
    /// Erasure when notice of death is given. Changes no cell.
    ErasureAtDeath,
}

impl Right {
    /// Every right, in the order of their discriminants.
    pub const ALL: [Right; 3] = [Right::Restriction, Right::DoNotSell, Right::ErasureAtDeath];

    /// The name of the right in requests, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Right::Restriction => "restriction",
            Right::DoNotSell => "do_not_sell",
            Right::ErasureAtDeath => "erasure_at_death",
        }
    }
}

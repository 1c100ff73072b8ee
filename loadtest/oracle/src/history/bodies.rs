//! The contents of the records of a random world.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{
    Body, Currency, Day, RefundAmount, SaleKind, SaleName, SightingCookie, TouchKind,
    WalletPlatform, WalletType,
};

use super::pick::pick;
use super::vocabulary::{CHANNELS, SHARED_IDS, amount, channel, currency, store};

/// The IDs and the names of sales of one brand, and contents that use them.
pub(super) struct Bodies {
    /// The number of the last new ID.
    last_id: u32,
    /// The number of different names of orders.
    order_names: u32,
    /// All sales that were generated: kind, name, amount and currency.
    sales: Vec<(SaleKind, SaleName, i64, Currency)>,
}

impl Bodies {
    /// The contents of a brand with `size` steps.
    pub(super) fn new(size: usize) -> Bodies {
        Bodies {
            last_id: 0,
            order_names: 3 + size as u32 / 12,
            sales: Vec::new(),
        }
    }

    /// An ID that was not used before.
    pub(super) fn fresh_id(&mut self) -> String {
        self.last_id += 1;
        format!("r{}", self.last_id)
    }

    /// Any content that a web source reports under an ID.
    pub(super) fn web(&mut self, rng: &mut ChaCha8Rng, id: &str) -> Body {
        match rng.random_range(0..24) {
            0..=13 => contact(rng),
            14..=15 => Body::Identify,
            16..=20 => self.order(rng, id),
            21..=22 => self.refund_or_restatement(rng),
            _ => adjustment(rng, SaleKind::Order, Label::ABSENT),
        }
    }

    /// Any content that a till reports under an ID.
    pub(super) fn till(&mut self, rng: &mut ChaCha8Rng, id: &str) -> Body {
        match rng.random_range(0..20) {
            0..=12 => self.transaction(rng, id),
            13..=18 => self.refund_or_restatement(rng),
            _ => {
                let store = store(rng);
                adjustment(rng, SaleKind::Transaction, store)
            }
        }
    }

    /// An order under one of few names, or without a name.
    pub(super) fn order(&mut self, rng: &mut ChaCha8Rng, id: &str) -> Body {
        let name = match rng.random_bool(0.3) {
            true => SaleName::of_record(id),
            false => SaleName::of(&self.order_name(rng)),
        };
        self.sale(rng, SaleKind::Order, name)
    }

    /// The transaction with an ID.
    pub(super) fn transaction(&mut self, rng: &mut ChaCha8Rng, id: &str) -> Body {
        self.sale(rng, SaleKind::Transaction, SaleName::of(id))
    }

    /// A name of an order; some are also IDs of records.
    fn order_name(&self, rng: &mut ChaCha8Rng) -> String {
        // Some shops call an order what others call a record.
        match rng.random_range(0..6) {
            0 => pick(rng, SHARED_IDS).to_owned(),
            1 => format!("r{}", self.last_id),
            _ => format!("o{}", rng.random_range(0..self.order_names)),
        }
    }

    /// A sale of a random amount.
    pub(super) fn sale(&mut self, rng: &mut ChaCha8Rng, kind: SaleKind, name: SaleName) -> Body {
        let (amount, currency) = (amount(rng), currency(rng));
        let store = match kind {
            SaleKind::Order => Label::ABSENT,
            SaleKind::Transaction | SaleKind::Visit => store(rng),
        };
        self.sales.push((kind, name, amount, currency));
        Body::Sale {
            kind,
            name,
            store,
            amount,
            currency,
        }
    }

    /// A refund, or with its sale and amount a restatement.
    fn refund_or_restatement(&self, rng: &mut ChaCha8Rng) -> Body {
        match self.refund(rng) {
            Body::Refund {
                kind,
                name,
                store,
                amount,
            } if amount != RefundAmount::All && rng.random_bool(0.4) => Body::Restatement {
                kind,
                name,
                store,
                amount,
            },
            refund => refund,
        }
    }

    /// A refund of a known sale, or of one that may follow.
    ///
    /// Four of five refund a known sale: in full, by a part, by nothing, or by more than its
    /// amount; with its currency, another one, or none; with or without an amount. The others name
    /// a sale that does not exist yet, and perhaps never will.
    fn refund(&self, rng: &mut ChaCha8Rng) -> Body {
        let known = rng.random_range(0..self.sales.len().max(1));
        if let Some(sale) = self.sales.get(known).filter(|_| rng.random_bool(0.8)) {
            let (kind, name, amount, sale_currency) = *sale;
            let name = name.named();
            let part = pick(rng, [amount, amount / 2, amount / 3, 1, 0, amount + 1]);
            let currency = match rng.random_bool(0.8) {
                true => sale_currency,
                false => currency(rng),
            };
            let amount = match rng.random_range(0..8) {
                0..=1 => RefundAmount::All,
                2..=3 => RefundAmount::InCurrencyOfSale {
                    digits: pick(rng, [part, part / 10, part / 100]),
                    decimals: pick(rng, [0, 1, 2, 2, 3]),
                },
                _ => RefundAmount::Of(part, currency),
            };
            return Body::Refund {
                kind,
                name,
                store: of_refund(rng),
                amount,
            };
        }
        let soon = self.last_id + rng.random_range(1..6);
        let (kind, name) = match rng.random_range(0..3) {
            0 => (SaleKind::Transaction, pick(rng, SHARED_IDS).to_string()),
            1 => (SaleKind::Transaction, format!("r{soon}")),
            _ => (SaleKind::Order, self.order_name(rng)),
        };
        let amount = rng.random_bool(0.5).then(|| (amount(rng), currency(rng)));
        Body::Refund {
            kind,
            name: SaleName::of(&name),
            store: of_refund(rng),
            amount: amount.into(),
        }
    }
}

/// The store of a refund, or none for a refund on the web.
fn of_refund(rng: &mut ChaCha8Rng) -> Label {
    match rng.random_bool(0.5) {
        true => store(rng),
        false => Label::ABSENT,
    }
}

/// An impression, a click or a view; a direct view is a touchpoint only if it is a landing.
pub(super) fn contact(rng: &mut ChaCha8Rng) -> Body {
    let channel = channel(pick(rng, CHANNELS));
    let kinds = [TouchKind::Impression, TouchKind::Click, TouchKind::View];
    let kind = pick(rng, kinds);
    let landing = rng.random_bool(0.5);
    Body::Contact {
        kind,
        channel,
        touch: kind != TouchKind::View || channel != Channel::direct() || landing,
    }
}

/// What happens to a wallet pass, mostly at a till.
pub(super) fn wallet(rng: &mut ChaCha8Rng) -> Body {
    use WalletType::{Install, Issue, Open, Push, Redeem, Remove, Scan, Void};
    let kinds = [
        Scan, Scan, Scan, Scan, Redeem, Redeem, Push, Push, Open, Install, Install, Install,
        Remove, Remove, Issue, Void,
    ];
    let kind = pick(rng, kinds);
    let (apple, google) = (WalletPlatform::Apple, WalletPlatform::Google);
    Body::Wallet {
        kind,
        platform: pick(rng, [apple, apple, apple, google]),
        store: match kind {
            Scan | Redeem => store(rng),
            _ => Label::ABSENT,
        },
        channel: match kind {
            Push | Open | Redeem => channel(pick(rng, CHANNELS)),
            _ => Channel::default(),
        },
        holder: pick(rng, [0, 0, 1, 2]),
    }
}

/// What a partner reports at a time, Unix milliseconds: where it saw a device, what it has shown it, or a link.
pub(super) fn of_partner(rng: &mut ChaCha8Rng, ts: i64, salt_day: Day) -> Body {
    match rng.random_range(0..8) {
        0..=3 => sighting(rng, ts, salt_day),
        4..=6 => Body::Exposure {
            kind: pick(rng, [TouchKind::Impression, TouchKind::Click]),
            channel: channel(pick(rng, CHANNELS)),
        },
        _ => Body::PartnerLink,
    }
}

/// Where a partner saw a device: mostly at one time, without or with one of few cookies.
pub(super) fn sighting(rng: &mut ChaCha8Rng, ts: i64, salt_day: Day) -> Body {
    const MINUTE: i64 = 60_000;
    let lasts = [
        0,
        0,
        500,
        10 * MINUTE,
        40 * MINUTE,
        180 * MINUTE,
        1440 * MINUTE,
    ];
    Body::Sighting {
        store: store(rng),
        salt_day,
        until: ts + pick(rng, lasts),
        blur: pick(rng, [0, 0, 0, 10 * MINUTE]),
        cookie: match rng.random_bool(0.5) {
            true => SightingCookie::None,
            false => SightingCookie::Cookie(cookie(rng)),
        },
    }
}

/// One of few offline cookies, most of which differ in their lowest bits.
pub(super) fn cookie(rng: &mut ChaCha8Rng) -> u32 {
    pick(rng, [0, 1, 2, 3, 5, 0x8000, 0x1_0000, u32::MAX])
}

/// What a platform charged for a channel: positive, zero or negative.
pub(super) fn spend(rng: &mut ChaCha8Rng, platform: Label, channel: Channel) -> Body {
    Body::Spend {
        platform,
        channel,
        cost: pick(rng, [1, 1, -1, 0]) * amount(rng),
        currency: currency(rng),
        impressions: pick(rng, [0, 0, 7, 100_000]),
        clicks: pick(rng, [0, 0, 3, 1_000]),
    }
}

/// A negative amount that belongs to no sale.
fn adjustment(rng: &mut ChaCha8Rng, kind: SaleKind, store: Label) -> Body {
    Body::Adjustment {
        kind,
        store,
        amount: -amount(rng).max(1),
        currency: currency(rng),
    }
}

//! The contributions of a month: the sales of one brand, kind and currency, with what each is credited to.

use std::sync::Arc;

use crate::attribution::Model;
use crate::label::OWN_WORDS;
use crate::record::Day;

/// A name in the output: `None` is `null` and comes first.
pub type Word = Option<Arc<str>>;

/// What a conversion is counted in beside its credits. Each of them has cells of its own, which add up to it, and the credits
/// of a month add up to both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RevenueKind {
    /// The takings, or the visits of wallet passes.
    #[default]
    Sale,
    /// The stays that partners saw.
    Stay,
}

impl RevenueKind {
    /// All of them.
    pub const ALL: [RevenueKind; 2] = [RevenueKind::Sale, RevenueKind::Stay];
}

/// Where a conversion is counted on its day. Sales and stays in one store are two places.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// What it is counted in.
    pub kind: RevenueKind,
    /// The store; `None` for online orders.
    pub store: Word,
}

impl Place {
    /// The place of the sales of a store.
    pub fn of_sales(store: Word) -> Place {
        let kind = RevenueKind::Sale;
        Place { kind, store }
    }
}

/// A channel by name, ordered as the ladder compares channels: source, medium, campaign, by bytes, `null` first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName {
    /// Where the contact came from.
    pub source: Word,
    /// How it came.
    pub medium: Word,
    /// Under which campaign.
    pub campaign: Word,
}

impl ChannelName {
    /// A channel of up to three names; an empty name is absent.
    pub fn of(source: &str, medium: &str, campaign: &str) -> ChannelName {
        let word = |word: &str| (!word.is_empty()).then(|| word.into());
        ChannelName {
            source: word(source),
            medium: word(medium),
            campaign: word(campaign),
        }
    }

    /// Whether the channel collects conversions without touchpoints: `unattributed` or `unattributed`/`oversized`. Such
    /// a channel has no source or medium that could stand for it.
    pub fn is_nobody(&self) -> bool {
        let [_, _, unattributed, oversized, ..] = OWN_WORDS;
        self.source.as_deref() == Some(unattributed)
            && self.campaign.is_none()
            && self
                .medium
                .as_deref()
                .is_none_or(|medium| medium == oversized)
    }
}

/// What a channel gets of a sale under one model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Credit {
    /// The model.
    pub model: Model,
    /// The index of the channel in [`Table::channels`].
    pub channel: u32,
    /// Millionths of a conversion.
    pub millionths: i128,
    /// Minor units of the value.
    pub value: i128,
}

/// The sales of one contributor on one day in one store, with their credits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sale {
    /// The contributor: a person, or a record without identifier.
    pub who: u64,
    /// Whether a source that not everybody can write to vouches for the sale. Others are summed but not counted.
    pub is_vouched: bool,
    /// The index of the place in [`Table::places`].
    pub place: u32,
    /// The day.
    pub day: Day,
    /// The number of conversions.
    pub conversions: i128,
    /// The value, minor units.
    pub value: i128,
    /// The credits, under every model.
    pub credits: Vec<Credit>,
}

/// The sales of a month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The names of the channels, in any order.
    pub channels: Vec<ChannelName>,
    /// The places, in any order.
    pub places: Vec<Place>,
    /// The sales.
    pub sales: Vec<Sale>,
}

impl Table {
    /// The place of a sale.
    pub fn place(&self, sale: &Sale) -> Place {
        let place = self.places.get(sale.place as usize);
        place.cloned().unwrap_or_default()
    }

    /// The index of a channel, which is added if it is not there.
    pub fn channel(&mut self, name: &ChannelName) -> u32 {
        let at = self.channels.iter().position(|of| of == name);
        at.unwrap_or_else(|| {
            self.channels.push(name.clone());
            self.channels.len() - 1
        }) as u32
    }
}

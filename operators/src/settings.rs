//! What a brand may choose about the meaning of its numbers, as plain integers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::label::Label;
use crate::record::{BrandId, Day, IdKind, TouchKind};

/// The settings of every brand.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// One entry a brand. What belongs to no brand of these is dropped.
    pub brands: BTreeMap<BrandId, BrandSettings>,
}

impl Settings {
    /// The settings of these brands, each under the hash of its name.
    pub fn new(brands: impl IntoIterator<Item = BrandSettings>) -> Settings {
        let brands = brands.into_iter();
        Settings {
            brands: brands.map(|of| (BrandId::of(&of.name), of)).collect(),
        }
    }
}

/// Which grains the cells of conversions are published in, if a threshold hides anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ladder {
    /// Store, day and channel, and what is hidden of a day in a cell of its own.
    #[default]
    Finest,
    /// Months by channel, source and medium, and source; revenue by store and day. See [`crate::release`].
    Month,
}

/// The offsets of a time zone from UTC, as the times at which they begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UtcOffsets {
    /// The offset before all changes, seconds.
    pub first: i32,
    /// The time of each change, Unix seconds, ascending, and the offset from then on, seconds.
    pub changes: Arc<[(i64, i32)]>,
}

impl UtcOffsets {
    /// The civil day of a time, Unix milliseconds.
    pub fn day(&self, at: i64) -> Day {
        let second = at.div_euclid(1_000);
        let begun = self.changes.partition_point(|(from, _)| *from <= second);
        let offset = match begun.checked_sub(1).and_then(|at| self.changes.get(at)) {
            Some((_, offset)) => *offset,
            None => self.first,
        };
        let day = second.saturating_add(offset.into()).div_euclid(86_400);
        day.clamp(Day::MIN.into(), Day::MAX.into()) as Day
    }
}

/// The settings of one brand. The defaults are the specification's.
#[derive(Clone, Debug)]
pub struct BrandSettings {
    /// The brand's name in the output.
    pub name: Arc<str>,
    /// Hub guard: how many distinct other values an identifier may share records with, by
    /// [`IdKind`] in the order of [`IdKind::ALL`].
    pub max_degree: [u32; 7],
    /// How long a record links identifiers of a kind, milliseconds, by [`IdKind`] in the order of [`IdKind::ALL`]; for
    /// as long as it is held where there is none.
    pub link_ttl: [Option<i64>; 7],
    /// Size guard: how many identifiers a person may have.
    pub max_identifiers: u32,
    /// How long a click counts, milliseconds.
    pub click_window: i64,
    /// How long a view counts, milliseconds.
    pub view_window: i64,
    /// How long an impression counts, milliseconds.
    pub impression_window: i64,
    /// The newest touches that make a path.
    pub max_path: usize,
    /// The channels of a month that Markov's chain tells apart, positive; the smallest of more go up.
    pub max_channels: usize,
    /// The half-life of `time_decay`, milliseconds, positive.
    pub half_life: i64,
    /// The weights of `position`: first, middle, last.
    pub position: [u32; 3],
    /// The sources whose records rest on consent: without a statement about a record nothing is allowed with it.
    /// Where a source rests on another basis, everything is that no statement refuses.
    pub on_consent: BTreeSet<Label>,
    /// The weakest signal that is inside the store, dBm.
    pub min_rssi: i8,
    /// The shortest visit, seconds.
    pub min_dwell: i64,
    /// The longest presence in a store and day that is not staff or a fixture, seconds.
    pub max_presence: i64,
    /// How many devices of a store and day count, and how many random ones, positive.
    pub max_devices: usize,
    /// Contributors behind a released cell.
    pub k: u64,
    /// Contributors behind a released cell of pure traffic counts.
    pub k_traffic: u64,
    /// The grains of conversions.
    pub ladder: Ladder,
    /// The share of a cell that one contributor may hold, percent; 100 turns the check off.
    pub dominance: u64,
    /// The brand's time zone, which says when a day is finished.
    pub utc_offsets: UtcOffsets,
    /// Contributors whose change a released cell gathers before its value changes; the smaller of 10 and `k` where
    /// none is given. Up to 1, every release tells what changed.
    pub k_delta: Option<u64>,
    /// How often what could not gather enough changes leaves together with the others, milliseconds.
    pub max_hold: i64,
    /// The age from which a day is corrected in batches only, milliseconds.
    pub freeze_after: i64,
    /// How often such a batch leaves, milliseconds.
    pub freeze_batch: i64,
    /// Noise on what leaves; off where there is none.
    pub noise: Option<Noise>,
}

/// Noise on what leaves: its budget, and the most that one person is taken to move. What it promises stands in
/// `cells/noise.rs`. Debug output does not show the key.
#[derive(Clone)]
pub struct Noise {
    /// What the noise is drawn from, for good: another key is other noise.
    pub key: Zeroizing<[u8; 32]>,
    /// The budget of a day, thousandths, positive.
    pub epsilon: u64,
    /// The most that one person moves any count of a day, positive.
    pub count: u64,
    /// The most that one person moves any value of a day, minor units, positive.
    pub money: u64,
}

impl std::fmt::Debug for Noise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Noise")
            .field("epsilon", &self.epsilon)
            .field("count", &self.count)
            .field("money", &self.money)
            .finish_non_exhaustive()
    }
}

impl Default for BrandSettings {
    fn default() -> Self {
        const DAY: i64 = 86_400_000;
        BrandSettings {
            name: "".into(),
            max_degree: [20, 10, 10, 50, 10, 10, 10],
            link_ttl: [None; 7],
            max_identifiers: 100,
            click_window: 30 * DAY,
            view_window: 30 * DAY,
            impression_window: 7 * DAY,
            max_path: 200,
            max_channels: 500,
            half_life: 7 * DAY,
            position: [40, 20, 40],
            on_consent: BTreeSet::new(),
            min_rssi: -75,
            min_dwell: 60,
            max_presence: 8 * 3600,
            max_devices: 200_000,
            k: 50,
            k_traffic: 10,
            ladder: Ladder::default(),
            dominance: 80,
            utc_offsets: UtcOffsets::default(),
            k_delta: None,
            max_hold: DAY,
            freeze_after: 90 * DAY,
            freeze_batch: 7 * DAY,
            noise: None,
        }
    }
}

impl BrandSettings {
    /// Contributors whose change a released cell gathers before its value changes.
    pub fn k_delta(&self) -> u64 {
        self.k_delta.unwrap_or_else(|| self.k.min(10))
    }

    /// Whether months are released by the ladder. A gate that hides nothing has none, and noise goes by the finest grain.
    pub fn has_ladder(&self) -> bool {
        self.k > 1 && self.ladder == Ladder::Month && self.noise.is_none()
    }

    /// The hub guard of a kind.
    pub fn max_degree(&self, kind: IdKind) -> u32 {
        self.max_degree[kind as usize]
    }

    /// Whether records stop linking after a time.
    pub fn links_end(&self) -> bool {
        self.link_ttl.iter().any(Option::is_some)
    }

    /// Whether a record of a time still links identifiers of a kind when links are judged; both Unix milliseconds.
    pub fn links(&self, kind: IdKind, ts: i64, at: i64) -> bool {
        self.link_ttl[kind as usize].is_none_or(|ttl| ts >= at.saturating_sub(ttl))
    }

    /// How long a touch of a kind counts, milliseconds.
    pub fn window(&self, kind: TouchKind) -> i64 {
        match kind {
            TouchKind::Impression => self.impression_window,
            TouchKind::Click => self.click_window,
            TouchKind::View => self.view_window,
        }
    }
}

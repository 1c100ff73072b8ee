//! Settings: what a brand chooses about the meaning of its numbers, as plain integers.
//!
//! The settings are fixed for the life of a dataflow, and equal on all workers: every result is a function of them and of the
//! records. The configuration file is read and validated elsewhere; the values here are within the limits that the comments
//! state. Times are milliseconds and amounts minor units, unless stated otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::label::Label;
use crate::record::{BrandId, Day, IdKind, TouchKind};

/// The settings of every brand.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The settings by brand. Records of other brands are ignored.
    pub brands: BTreeMap<BrandId, BrandSettings>,
}

impl Settings {
    /// The settings of some brands, each under the hash of its name.
    pub fn new(brands: impl IntoIterator<Item = BrandSettings>) -> Settings {
        let brands = brands.into_iter();
        Settings {
            brands: brands.map(|of| (BrandId::of(&of.name), of)).collect(),
        }
    }

    /// The brand of a name.
    pub(crate) fn of_name(&self, name: &str) -> Option<(BrandId, &BrandSettings)> {
        let id = BrandId::of(name);
        let own = self.brands.get_key_value(&id);
        // Whoever builds the settings may number brands otherwise.
        let found = own.or_else(|| self.brands.iter().find(|(_, of)| *of.name == *name))?;
        Some((*found.0, found.1))
    }
}

/// The grains in which the cells of conversions are published, if a threshold hides anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ladder {
    /// Store, day and channel, and what is hidden of a day in a cell of its own.
    #[default]
    Finest,
    /// Months by channel, source and medium, and source; revenue by store and day. See [`crate::release`].
    Month,
}

/// The offsets of a time zone from UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UtcOffsets {
    /// The offset before all changes, seconds east of UTC.
    pub first: i32,
    /// The time of each change, Unix seconds, ascending, and the offset from then on, seconds east of UTC.
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

/// The settings of one brand. The defaults are those of the specification.
#[derive(Clone, Debug)]
pub struct BrandSettings {
    /// The name of the brand in the output.
    pub name: Arc<str>,
    /// Hub guard: the largest number of distinct other values that may occur with an identifier in its records, by [`IdKind`]
    /// in the order of [`IdKind::ALL`]. An identifier with more is a hub and links nothing.
    pub max_degree: [u32; 8],
    /// How long a record links identifiers of a kind, milliseconds, by [`IdKind`] in the order of [`IdKind::ALL`]; `None` for
    /// as long as the record is stored.
    pub link_ttl: [Option<i64>; 8],
    /// Whether [`IdKind::ClickId`] identifies a person. Otherwise it only carries statements: no record is linked by it, because
    /// whoever opens a shared address has the click of another.
    pub click_id: bool,
    /// Size guard: the largest number of identifiers of a person whose conversions are attributed.
    pub max_identifiers: u32,
    /// The attribution window of a click, milliseconds.
    pub click_window: i64,
    /// The attribution window of a page view, milliseconds.
    pub view_window: i64,
    /// The attribution window of an impression, milliseconds.
    pub impression_window: i64,
    /// The largest number of touches in a path, positive; the newest count.
    pub max_path: usize,
    /// The largest number of channels in the Markov chain of a month, positive. If there are more, the smallest are merged into
    /// larger ones.
    pub max_channels: usize,
    /// The half-life of the model `time_decay`, milliseconds, positive.
    pub half_life: i64,
    /// The weights of the model `position`: first, middle and last touch.
    pub position: [u32; 3],
    /// The sources whose records require consent: without a consent statement no use of a record is allowed. For other sources
    /// every use is allowed that no statement refuses.
    pub on_consent: BTreeSet<Label>,
    /// The sources that anybody can write to. Their conversions count in every number, but nobody is a contributor by them.
    pub open_sources: BTreeSet<Label>,
    /// The signal strength from which on a device is inside the store, dBm.
    pub min_rssi: i8,
    /// The shortest dwell of a visit, seconds.
    pub min_dwell: i64,
    /// The longest presence in a store and day, seconds. Devices with a longer one are staff or fixtures and do not count.
    pub max_presence: i64,
    /// The largest number of devices that count in a store and day, and of devices with random addresses, positive.
    pub max_devices: usize,
    /// The largest number of bits of an offline cookie by which sightings are matched, 0 to 16.
    pub cookie_bits: u32,
    /// The smallest number of devices of a store and day that share a value of the offline cookie, on average; positive.
    pub cookie_share: u64,
    /// Whether the brand has sources of partners, so that visits are kept without their tokens until they are settled.
    pub has_partners: bool,
    /// Whether the salts of tokens follow from the brand and the day, as in a replay that stores nothing, so that two replays match
    /// the same. Everywhere else salts are random.
    pub derives_salts: bool,
    /// How far the clocks of boxes and partners may differ, milliseconds.
    pub slack: i64,
    /// The time after the end of a salt day when its sightings are settled, milliseconds; at least 48 hours.
    pub settle_after: i64,
    /// The longest time between two scans of a wallet pass that belong to one visit, milliseconds.
    pub wallet_gap: i64,
    /// The smallest number of contributors of a released cell (k-anonymity threshold).
    pub k: u64,
    /// The smallest number of contributors of a released cell that counts traffic only.
    pub k_traffic: u64,
    /// The grains of conversions.
    pub ladder: Ladder,
    /// The largest share of a cell's value that one contributor may hold, percent; 100 turns the check off.
    pub dominance: u64,
    /// The brand's time zone, which says when a day is finished.
    pub utc_offsets: UtcOffsets,
    /// The smallest number of contributors that must change a released cell before its published value changes; `None` for the
    /// smaller of 10 and `k`. With 0 or 1, every release publishes every change.
    pub k_delta: Option<u64>,
    /// The interval of batches, in which changes with too few contributors are published together, milliseconds.
    pub max_hold: i64,
    /// The age from which on a day is changed only in batches, milliseconds.
    pub freeze_after: i64,
    /// The interval of batches of such days, milliseconds.
    pub freeze_batch: i64,
    /// The noise on published values, if any.
    pub noise: Option<Noise>,
}

/// The noise on published values: its privacy budget, and the assumed bounds on the contribution of one person. `cells/noise.rs`
/// states the guarantee. Debug output does not show the key.
#[derive(Clone)]
pub struct Noise {
    /// The keys of the pseudorandom function that draws the noise, oldest first. The noise is the sum of a draw under each; with
    /// another key all noise of that key is drawn anew.
    pub keys: Vec<Zeroizing<[u8; 32]>>,
    /// The privacy budget (epsilon) of a day, in thousandths, positive.
    pub epsilon: u64,
    /// The largest contribution of one person to any count of a day, positive.
    pub count: u64,
    /// The largest contribution of one person to any amount of a day, minor units, positive.
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
            max_degree: [20, 10, 10, 50, 10, 10, 10, 3],
            link_ttl: [None; 8],
            click_id: false,
            max_identifiers: 100,
            click_window: 30 * DAY,
            view_window: 30 * DAY,
            impression_window: 7 * DAY,
            max_path: 200,
            max_channels: 500,
            half_life: 7 * DAY,
            position: [40, 20, 40],
            on_consent: BTreeSet::new(),
            open_sources: BTreeSet::new(),
            min_rssi: -75,
            min_dwell: 60,
            max_presence: 8 * 3600,
            max_devices: 200_000,
            cookie_bits: 10,
            cookie_share: 3,
            has_partners: false,
            derives_salts: false,
            slack: 5 * 60_000,
            settle_after: 7 * DAY,
            wallet_gap: 30 * 60_000,
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
    /// The smallest number of contributors that must change a released cell before its published value changes: that of the
    /// settings, or the default.
    pub fn k_delta(&self) -> u64 {
        self.k_delta.unwrap_or_else(|| self.k.min(10))
    }

    /// Whether months are released by the ladder. A gate that hides nothing has none, and noise goes by the finest grain.
    pub fn has_ladder(&self) -> bool {
        self.k > 1 && self.ladder == Ladder::Month && self.noise.is_none()
    }

    /// Whether the brand's gate hides nothing: every change is published as it is.
    pub fn publishes_all(&self) -> bool {
        self.k <= 1 && self.k_delta() <= 1 && self.noise.is_none()
    }

    /// Whether a random MAC address is a contributor of the traffic of a store. One device sends under many of them, so that they
    /// would carry a single visitor over the gate.
    pub fn counts_random_addresses(&self) -> bool {
        self.k_traffic <= 1
    }

    /// Whether visits are counted and credited. A brand with noise holds them back, whose budget they would exceed.
    pub fn counts_visits(&self) -> bool {
        self.noise.is_none()
    }

    /// Whether wallet passes and redemptions are counted. Other numbers count the same acts, so that only a gate that hides nothing
    /// may publish them.
    pub fn counts_passes(&self) -> bool {
        self.publishes_all()
    }

    /// Whether sightings of partners are matched with visits, and the stays that follow are conversions. A gate that hides some
    /// cells needs a ladder for them.
    pub fn counts_stays(&self) -> bool {
        self.has_partners && (self.publishes_all() || self.has_ladder())
    }

    /// Whether stays count before their day is settled. Until then the weight of a stay follows the other stays that share its
    /// visits, so that the act of one person would change the rows of many, and a gate that hides cells could not count acts.
    pub fn counts_open_stays(&self) -> bool {
        self.has_partners && self.publishes_all()
    }

    /// Whether the visits of exposed and unexposed members of the panel are compared. Attribution counts the same visits, so that a
    /// gate that hides some cells needs a ladder to compare them beside it.
    pub fn compares_exposure(&self) -> bool {
        self.counts_stays()
    }

    /// The days after a day by which its sightings are settled, by a pass that runs once a day.
    pub fn settles_in(&self) -> Day {
        let days = self
            .settle_after
            .max(0)
            .div_euclid(86_400_000)
            .saturating_add(3);
        Day::try_from(days).unwrap_or(Day::MAX)
    }

    /// The days after a day from the end of which on a gate that hides cells counts its stays: by then a pass that runs once a day
    /// has settled them, unless it was late.
    pub fn counts_stays_in(&self) -> Day {
        let wait = self.settle_after.max(0);
        let days = wait.saturating_add(86_399_999).div_euclid(86_400_000);
        Day::try_from(days.saturating_add(1)).unwrap_or(Day::MAX)
    }

    /// Whether the conversions of a source are among the contributors of a cell: whether it is not open.
    pub fn is_verified(&self, source: Label) -> bool {
        !self.open_sources.contains(&source)
    }

    /// The limit of the hub guard for a kind of identifier.
    pub fn max_degree(&self, kind: IdKind) -> u32 {
        self.max_degree[kind as usize]
    }

    /// Whether records of the brand cease to link any kind of identifier after some time.
    pub fn links_end(&self) -> bool {
        self.link_ttl.iter().any(Option::is_some)
    }

    /// Whether a record of a certain time still links identifiers of a kind at the reference time of links; both in Unix
    /// milliseconds.
    pub fn links(&self, kind: IdKind, ts: i64, at: i64) -> bool {
        let ttl = self.link_ttl[kind as usize];
        self.identifies(kind) && ttl.is_none_or(|ttl| ts >= at.saturating_sub(ttl))
    }

    /// Whether identifiers of a kind can belong to a person.
    pub fn identifies(&self, kind: IdKind) -> bool {
        self.click_id || kind != IdKind::ClickId
    }

    /// The attribution window of a kind of touch, milliseconds.
    pub fn window(&self, kind: TouchKind) -> i64 {
        match kind {
            TouchKind::Impression => self.impression_window,
            TouchKind::Click => self.click_window,
            TouchKind::View => self.view_window,
        }
    }
}

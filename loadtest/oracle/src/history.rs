//! Random histories: small worlds in which records collide.
//!
//! A history is a list of batches of events, as a worker would receive them, computed from a seed
//! alone. Its world is small on purpose: a handful of channels, stores, households and IDs, and
//! times on a grid of hours around a change of month. So the rare cases of the specification are
//! common: ties in time and ID, touchpoints on the edge of a window, hubs and oversized persons,
//! orders of one name from two sources, refunds before and beyond their sale, corrections of every
//! version, exact duplicates, records that are dropped and inserted again, late records and pings,
//! and sessions that late pings merge.
//!
//! Two histories of three also contain consent and rights: statements that withdraw, renew, tie and
//! are themselves corrected and dropped, sources that require consent, persons that are erased, and
//! records past their retention. In these the clock also advances beyond the end of short retention
//! periods, while records arrive that have already expired.
//!
//! Every history satisfies:
//!
//! - Positions in the order of arrival ascend from batch to batch; within a batch events may be
//!   shuffled.
//! - The name of a label arrives in the batch that first uses it, or before.
//! - After every batch no ping was retracted more often than inserted.
//! - Pseudonyms and devices belong to one brand, whereas all brands share sources, IDs, names of
//!   sales, channels and stores.
//! - Whether a device has a random MAC address never changes.
//!
//! ```
//! use tributary_oracle::history::random;
//!
//! let (one, other) = (random(7, 100), random(7, 100));
//! assert_eq!(one.batches, other.batches);
//! ```

mod bodies;
mod choices;
mod pick;
mod pools;
mod records;
mod requests;
mod statements;
mod vocabulary;
mod writer;

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tributary_operators::event::Event;
use tributary_operators::record::{Arrival, BrandId};
use tributary_operators::settings::Settings;

use crate::retention::RetentionPeriods;
use pick::pick;

/// The settings of a random world and all of its events.
#[derive(Clone, Debug)]
pub struct History {
    /// The settings of its one or two brands.
    pub settings: Settings,
    /// Its events by batch; batches differ in size, and some are empty.
    pub batches: Vec<Vec<Event>>,
    /// When each batch arrives, Unix milliseconds, ascending.
    pub arrives: Vec<i64>,
    /// The retention periods of each brand.
    pub periods: BTreeMap<BrandId, RetentionPeriods>,
}

impl History {
    /// A position in the order of arrival after all events of the first batches, and before all
    /// others.
    ///
    /// Positions of a history leave room for this: consecutive events are two lines apart.
    pub fn behind(&self, batches: usize) -> Arrival {
        let events = self.batches.iter().take(batches).flatten();
        let places = events.filter_map(|event| match event {
            Event::Put { arrival, .. } | Event::Drop { arrival, .. } => Some(*arrival),
            _ => None,
        });
        let last = places.max().unwrap_or_default();
        Arrival {
            line: last.line + 1,
            ..last
        }
    }
}

/// The history of a seed; equal seeds and sizes have equal histories.
///
/// `size` is the number of steps. Most steps are one event, a journey or a burst of pings are
/// several, and the names of labels are added. The pools of the world grow with it.
pub fn random(seed: u64, size: usize) -> History {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut settings = choices::settings(&mut rng);
    let with_consent = !seed.is_multiple_of(3);
    if with_consent {
        choices::rest_on_consent(&mut rng, &mut settings);
    }
    choices::open_some(&mut ChaCha8Rng::seed_from_u64(!seed), &mut settings);
    let brands: Vec<BrandId> = settings.brands.keys().copied().collect();
    let events = writer::write_history(&mut rng, &brands, size, with_consent);
    let batches = batches(&mut rng, events);
    let periods = brands
        .iter()
        .map(|brand| (*brand, choices::periods(&mut rng)));
    let periods = periods.collect();
    let mut now = pools::random_pass_time(&mut rng);
    let arrives = batches.iter().map(|_| {
        let step = pick(&mut rng, [0, 0, 0, 0, 0, 1, 1, 2, 9]) * HOURS;
        now += if with_consent { step } else { 0 };
        now
    });
    let arrives = arrives.collect();
    History {
        settings,
        batches,
        arrives,
        periods,
    }
}

/// The events without drops of devices and the pings before them, so that the rest may arrive in
/// any order.
pub fn without_dropped_devices(events: impl IntoIterator<Item = Event>) -> Vec<Event> {
    let mut kept: Vec<Event> = Vec::new();
    for event in events {
        let Event::DropDevice { device } = event else {
            kept.push(event);
            continue;
        };
        kept.retain(|event| match event {
            Event::Ping { ping } => {
                let of = (ping.brand, ping.store, ping.salt_day, ping.device);
                of != (device.brand, device.store, device.salt_day, device.token.0)
            }
            _ => true,
        });
    }
    kept
}

/// Slightly more than half a day, so that most steps of the clock begin a day, and some do not.
const HOURS: i64 = 14 * 3_600_000;

/// Cuts events into batches of different sizes, and shuffles some of these.
fn batches(rng: &mut ChaCha8Rng, mut events: Vec<Event>) -> Vec<Vec<Event>> {
    let mut batches = Vec::new();
    // A large history has larger batches, so that their number stays in bounds.
    let scale = 1 + events.len() / 500;
    while !events.is_empty() {
        let length = pick(rng, [0, 1, 1, 2, 3, 5, 8, 20, 50]) * scale;
        let rest = events.split_off(length.min(events.len()));
        let mut batch = std::mem::replace(&mut events, rest);
        if rng.random_bool(0.3) {
            batch.shuffle(rng);
        }
        // A device is dropped before any ping of the same epoch.
        batch.sort_by_key(|event| !matches!(event, Event::DropDevice { .. }));
        batches.push(batch);
    }
    batches
}

//! Random histories: small worlds in which everything collides.
//!
//! A history is a list of batches of events, as a worker would be fed them, from a seed alone. Its world is
//! small on purpose (a handful of channels, stores, households and ids, times on a grid of hours
//! around a change of month), so that the rare cases of the specification are common here: ties in
//! time and id, touches on a window's very edge, hubs and oversized persons, orders of one name from
//! two sources, refunds before and beyond their sale, corrections of every version, exact duplicates, records
//! dropped and put anew, late records and pings, runs that late pings merge. Two histories of three also know consent
//! and rights: statements that withdraw, renew, tie and are themselves corrected and dropped, sources that rest on
//! consent, persons who are erased, records that are past their time.
//!
//! What holds in every history: places in the order of arrival ascend from batch to batch (within a
//! batch the events may be shuffled); the word of a label comes in the batch that first uses it, or
//! before; after every batch no ping was retracted more often than heard; pseudonyms and devices belong to
//! one brand, whereas sources, ids, names of sales, channels and stores are shared by all brands; a device is
//! random or not for good.

mod bodies;
mod choices;
mod pools;
mod records;
mod statements;
mod teller;
mod wishes;
mod words;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tributary_operators::event::Event;
use tributary_operators::settings::Settings;

/// A random world's settings and all that happens in it.
#[derive(Clone, Debug)]
pub struct History {
    /// The settings of its one or two brands.
    pub settings: Settings,
    /// Its events, batch by batch; batches are uneven, some are empty.
    pub batches: Vec<Vec<Event>>,
}

/// The history of a seed: always the same for the same seed and size.
///
/// `size` is the number of things that happen; most are one event, a journey or a burst of pings is
/// several, and the words of labels come on top. The world's pools grow with it.
pub fn random(seed: u64, size: usize) -> History {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut settings = choices::settings(&mut rng);
    let with_consent = !seed.is_multiple_of(3);
    if with_consent {
        choices::rest_on_consent(&mut rng, &mut settings);
    }
    let events = teller::tell(&mut rng, settings.brands.len(), size, with_consent);
    let batches = batches(&mut rng, events);
    History { settings, batches }
}

/// Cuts events into uneven batches and shuffles some of these.
fn batches(rng: &mut ChaCha8Rng, mut events: Vec<Event>) -> Vec<Vec<Event>> {
    let mut batches = Vec::new();
    // A large history has larger batches, so that their number stays in bounds.
    let scale = 1 + events.len() / 500;
    while !events.is_empty() {
        let length = choices::pick(rng, [0, 1, 1, 2, 3, 5, 8, 20, 50]) * scale;
        let rest = events.split_off(length.min(events.len()));
        let mut batch = std::mem::replace(&mut events, rest);
        if rng.random_bool(0.3) {
            batch.shuffle(rng);
        }
        batches.push(batch);
    }
    batches
}

//! How well sightings of partners are matched with visits, judged where the truth is known.
//!
//! The product never knows whose visit is whose: a sighting shares its weight among all visits that it can belong to. Here each
//! token and each sighting has its owner, so that two figures can be told: the share of the sightings of a real visit that have it
//! among their candidates, and the share of all weight that goes to visits of other devices. The rules are those of the
//! product, applied from scratch to one store and day. `MATCHING.md` says what is simulated.

mod judge;
mod probes;
mod simulated;
mod table;

pub use judge::{Device, Heard, Judged, Seen, StoreDay, number_of};
pub use probes::probes;
pub use simulated::simulated;
pub use table::{BITS, Column, markdown};

//! A made-up world: one brand's customers, campaigns, stores and tills, as a trace.
//!
//! The numbers of a measurement can only be believed where the traffic is believable: a few people
//! do most of what happens, they carry several cookies and devices, advertisements start journeys
//! that a search ends, a newsletter brings people into the shop, tills refund what was bought
//! online, and the delivery is as messy as real delivery (late, twice, corrected, malformed).
//! [`World`] is such a brand. It has no clock and no chance of its own: one seed gives one trace,
//! byte for byte, on every machine. Only draws of integers, sums, quotients and square roots
//! decide, which all machines compute alike.
//!
//! The world is simulated day by day. What a day makes waits in a queue until its time of arrival,
//! so that lines come out in the order of arrival, and memory is bounded by a day's volume and the
//! number of people, not by the length of the trace.

mod choices;
mod config;
mod delivery;
mod ending;
mod json;
mod line;
mod market;
mod online;
mod options;
mod pack;
mod people;
mod random;
mod shops;
mod spend;
mod tc_string;
mod world;

pub use config::{SecretFrom, config_toml};
pub use ending::ending_at;
pub use line::Line;
pub use options::{Mix, Options, OptionsError};
pub use world::World;

/// The lines of a world's trace, in order of arrival.
///
/// # Errors
/// Options that make no world, such as no store or a share above one.
pub fn lines(options: Options) -> Result<World, OptionsError> {
    World::new(options)
}

//! Simulated brands: their customers, campaigns, stores and tills, as a trace of messages.
//!
//! Measurements are credible only if the traffic is realistic. In this world a few people cause
//! most of the events, and they use several cookies and devices; advertisements start journeys that
//! a search ends; a newsletter brings people into the stores; tills refund what was bought online;
//! and delivery is as imperfect as in reality: late, repeated, corrected, malformed.
//!
//! [`World`] is such a brand. It reads no clock and uses no other source of randomness than its
//! seed: one seed yields one trace, byte for byte, on every machine. All decisions are based on
//! integer draws, sums, quotients and square roots, which every machine computes identically.
//!
//! The world is simulated day by day. The records of a day wait in a queue until their time of
//! arrival, so lines are produced in the order of arrival, and memory is bounded by the volume of a
//! day and the number of people, not by the length of the trace.
//!
//! ```
//! use tributary_simulate::{Options, lines};
//!
//! let options = Options { events: Some(500), ..Options::default() };
//! let trace: Vec<_> = lines(options)?.collect();
//! assert_eq!(trace.len(), 500);
//! assert!(trace.is_sorted_by_key(|line| line.at));
//! # Ok::<(), tributary_simulate::OptionsError>(())
//! ```

mod choices;
mod config;
mod delivery;
mod ending;
mod forms;
mod json;
mod line;
mod market;
mod merged;
mod online;
mod options;
mod pack;
mod partners;
mod people;
mod random;
mod shops;
mod spend;
mod story;
mod tc_string;
mod truth;
mod vendor;
mod wallet;
mod world;

pub use config::{SecretFrom, config_toml, configs_toml};
pub use ending::ending_at;
pub use line::Line;
pub use merged::{Merged, merged};
pub use options::{Mix, Options, OptionsError};
pub use story::{STORY_PERSON, Story, StoryPerson, StoryStep};
pub use truth::TrueVisit;
pub use vendor::{MERAKI_SECRET, Vendor};
pub use world::World;

/// The lines of a world's trace, in order of arrival.
///
/// # Errors
///
/// Options that do not define a world, such as no stores or a share above one half.
pub fn lines(options: Options) -> Result<World, OptionsError> {
    World::new(options)
}

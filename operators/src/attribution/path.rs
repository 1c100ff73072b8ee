//! Paths: the touchpoints that count for a conversion, oldest first.
//!
//! `person/touches.rs` decides which touchpoints count: those of the person within the window of
//! their kind, at most `max_path` of them. This file contains what the models and the path
//! statistics need to know about a path.

use crate::facts::Contact;
use crate::label::Channel;

/// The maximum number of steps in the `path` dimension of the `paths` family. Longer paths keep
/// their newest steps.
pub const STEPS: usize = 20;

/// A touchpoint as the attribution models see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The time of the contact, Unix milliseconds.
    pub ts: i64,
    /// The channel of the contact.
    pub channel: Channel,
}

impl Touch {
    /// The touchpoint of a contact.
    pub fn of(contact: &Contact) -> Touch {
        Touch {
            ts: contact.ts,
            channel: contact.channel,
        }
    }
}

/// The channels of a path, repeats in a row taken once, the last [`STEPS`] of them.
pub fn collapse(path: &[Channel]) -> Vec<Channel> {
    let mut steps = path.to_vec();
    steps.dedup();
    let surplus = steps.len().saturating_sub(STEPS);
    steps.drain(..surplus);
    steps
}

/// The channels of a path with consecutive repetitions merged, then limited to the newest
/// [`STEPS`]. The result is empty only for an empty path.
pub fn steps(path: &[Touch]) -> Vec<Channel> {
    let mut steps: Vec<Channel> = path.iter().map(|touch| touch.channel).collect();
    steps.dedup();
    let surplus = steps.len().saturating_sub(STEPS);
    steps.drain(..surplus);
    steps
}

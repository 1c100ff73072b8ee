//! Paths: the touches that count for a conversion, oldest first. Which do stands in `person/touches.rs`.

use crate::facts::Contact;
use crate::label::Channel;

/// How many steps of a path its statistics keep.
pub const STEPS: usize = 20;

/// What a path knows of a touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Unix milliseconds.
    pub ts: i64,
    /// Its channel.
    pub channel: Channel,
}

impl Touch {
    /// The same of a contact.
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

/// The channels of a path with repeats in a row taken once, the last [`STEPS`] of them.
pub fn steps(path: &[Touch]) -> Vec<Channel> {
    let mut steps: Vec<Channel> = path.iter().map(|touch| touch.channel).collect();
    steps.dedup();
    let surplus = steps.len().saturating_sub(STEPS);
    steps.drain(..surplus);
    steps
}

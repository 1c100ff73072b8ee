//! What remains of exposures that became counts. [`crate::policy_filter`] says of which, and the ledger stores it.
//!
//! Numbers of channels, days and months, and no device. Parts of different devices with the same content add up, so that
//! nothing says which numbers came from one device.

use serde::{Deserialize, Serialize};

use crate::cell::Month;
use crate::label::{Channel, Label};
use crate::record::{Day, RecordKey, TouchKind};

/// A part of what remains of exposures that became counts: those of devices that nothing else names. It belongs to nobody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SettledExposures {
    /// Exposures of a channel on a day.
    Contacts {
        /// The channel.
        channel: Channel,
        /// The day in the brand's time zone.
        day: Day,
        /// Impression or click.
        kind: TouchKind,
        /// Their number.
        contacts: i64,
    },
    /// Persons without a conversion whose touchpoints of a month led through the same channels.
    Persons {
        /// The month.
        month: Month,
        /// The channels of the touchpoints, oldest first, repeats in a row once.
        path: Vec<Channel>,
        /// The channels of exposures that were no touchpoints, ascending.
        reached: Vec<Channel>,
        /// Whether the persons belonged to the panel of the month.
        in_panel: bool,
        /// Their number.
        persons: i64,
    },
    /// The keys of the exposures of a day. A record with one of them is retracted, whether it arrived or will arrive, so that
    /// an exposure that is sent again does not count twice.
    Keys {
        /// The day in the brand's time zone.
        day: Day,
        /// The keys, ascending.
        keys: Vec<RecordKey>,
    },
}

impl SettledExposures {
    /// The labels that it uses.
    pub fn labels(&self) -> Vec<Label> {
        let of = |channels: &[Channel]| channels.iter().flat_map(|of| of.labels()).collect();
        let mut labels: Vec<Label> = match self {
            SettledExposures::Contacts { channel, .. } => of(&[*channel]),
            SettledExposures::Persons { path, reached, .. } => {
                of(&[&path[..], &reached[..]].concat())
            }
            SettledExposures::Keys { .. } => Vec::new(),
        };
        labels.sort_unstable();
        labels.dedup();
        labels
    }
}

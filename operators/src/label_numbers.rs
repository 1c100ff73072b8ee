//! Label numbers: small numbers for the labels and channels that the packed state of an operator uses.
//!
//! A label takes 8 bytes and a channel 24, and there are few of them, so that packed records and facts contain numbers of one
//! or two bytes instead. Each occurrence is a use, to be released when what contains it is removed.

use crate::engine::Interner;
use crate::label::{Channel, Label};

/// The labels and channels in use by one operator on one worker.
#[derive(Clone, Default)]
pub(crate) struct LabelNumbers {
    labels: Interner<Label>,
    channels: Interner<Channel>,
}

impl LabelNumbers {
    /// The number of labels and channels in use.
    pub(crate) fn len(&self) -> usize {
        self.labels.len() + self.channels.len()
    }

    /// The bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.labels.bytes(|_| 0) + self.channels.bytes(|_| 0)
    }

    /// The number of a label, with one more use.
    pub(crate) fn use_label(&mut self, label: Label) -> u32 {
        self.labels.intern(&label).0
    }

    /// The number of a channel, with one more use.
    pub(crate) fn use_channel(&mut self, channel: Channel) -> u32 {
        self.channels.intern(&channel).0
    }

    /// The label of a number.
    pub(crate) fn label(&self, number: u32) -> Label {
        self.labels.get(number).copied().unwrap_or_default()
    }

    /// The channel of a number.
    pub(crate) fn channel(&self, number: u32) -> Channel {
        self.channels.get(number).copied().unwrap_or_default()
    }

    /// Takes a use of a label back.
    pub(crate) fn release_label(&mut self, number: u32) {
        self.labels.release(number);
    }

    /// Takes a use of a channel back.
    pub(crate) fn release_channel(&mut self, number: u32) {
        self.channels.release(number);
    }
}

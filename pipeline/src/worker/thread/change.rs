//! A change of the configuration on a worker thread.
//!
//! A reload that adds a brand or a source, or makes a release gate stricter, keeps
//! the dataflow with all of its state. Each thread changes between two epochs: once
//! all workers have finished every epoch that was sent before the change, and before
//! it begins another. So an epoch has one configuration on all threads, and what
//! follows is a function of the order of epochs alone.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use tributary_connectors::decode::Decoder;
use tributary_operators::dataflow::Dataflow;
use tributary_operators::settings::Settings;

use super::opener::BlockOpener;

/// What a thread goes on with.
#[derive(Clone)]
pub struct Change {
    /// The settings of the dataflow.
    pub settings: Arc<Settings>,
    /// The decoder of the new configuration, which has announced nothing yet.
    pub decoder: Decoder,
    /// The keys, clocks and filters of the new configuration.
    pub opener: BlockOpener,
    /// Hears of it once the thread has changed.
    pub done: Sender<()>,
}

impl Change {
    /// Changes the parts of a thread, all of whose epochs are finished and reported.
    pub(super) fn apply(
        self,
        dataflow: &mut Dataflow,
        decoder: &mut Decoder,
        opener: &mut BlockOpener,
    ) {
        dataflow.change_settings(self.settings);
        *decoder = self.decoder.succeeding(decoder);
        *opener = self.opener;
        // Whoever waits may have ended.
        let _ = self.done.send(());
    }
}

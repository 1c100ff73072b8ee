//! A frame: the last computed model of a brand, encoded as an event that all
//! listeners share.

use std::time::Duration;

use axum::response::sse::Event;
use tokio::time::Instant;
use tributary_operators::record::Day;

/// The model of a brand as an event, and what it was computed from.
#[derive(Clone)]
pub(super) struct Frame {
    /// Stamp of the cells.
    pub stamp: u64,
    /// Current day of the brand.
    pub today: Day,
    /// When it was computed.
    pub computed: Instant,
    /// Duration of the computation.
    pub took: Duration,
    /// The encoded event.
    pub event: Event,
}

//! A frame: the last model of a brand that was computed, as an event that all listeners share.

use std::time::Duration;

use axum::response::sse::Event;
use tokio::time::Instant;
use tributary_operators::record::Day;

/// The model of a brand as an event, and what it was computed from.
#[derive(Clone)]
pub(super) struct Frame {
    pub stamp: u64,
    pub today: Day,
    pub computed: Instant,
    pub took: Duration,
    pub event: Event,
}

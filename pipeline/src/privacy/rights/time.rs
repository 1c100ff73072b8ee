//! The time of a step in a request.

/// The wall clock, Unix milliseconds.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

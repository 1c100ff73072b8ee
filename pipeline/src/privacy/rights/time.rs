//! Clock of the steps of a request.

/// The wall clock, Unix milliseconds.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

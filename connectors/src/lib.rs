//! The outside world turned into records and back: formats, traces, NATS

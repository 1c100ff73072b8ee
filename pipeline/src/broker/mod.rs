//! The broker: the first connection of a worker, and retries of requests.
//! Everything else about NATS is in `tributary_connectors::nats`.

pub mod connect;
pub mod retry;

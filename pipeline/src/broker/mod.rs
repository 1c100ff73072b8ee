//! The broker: the first connection of a worker, and retries of requests.

pub mod connect;
pub mod retry;

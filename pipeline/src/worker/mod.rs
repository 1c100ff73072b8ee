//! The worker: threads that run the dataflow, what feeds them, and where their output goes.

pub mod agreement;
pub mod feed;
pub mod output_watch;
pub mod publisher;
pub mod replay;
pub mod replay_retention;
pub mod restore;
pub mod router;
pub mod thread;
pub mod threads;

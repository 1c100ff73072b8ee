//! What a worker serves: HTTP, the live page, OpenDSR, and the NATS services.

pub mod http;
pub mod opendsr;
pub mod page;
mod response;
pub mod services;
pub mod state;

//! Reads the body of a request within limits: of its size as sent, of its size
//! decompressed, of the time that it takes, and of the memory that all bodies
//! take together.
//!
//! `tower-http` decompresses the body and cuts off what is longer than the limit
//! as sent; this module counts what comes out, so that a small body cannot
//! become a large one.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http_body_util::LengthLimitError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::reply::Rejection;

/// Maximum time for a body.
const WITHIN: Duration = Duration::from_secs(30);

/// Minimum memory for all bodies, bytes.
const MEMORY: usize = 256 << 20;

/// Bytes of one unit of memory.
const UNIT: usize = 1024;

/// Limits for bodies.
pub(super) struct Limits {
    /// Maximum size of a body, bytes.
    pub(super) max: usize,
    /// Memory for all bodies, in units.
    memory: Arc<Semaphore>,
}

/// A body, which occupies memory until it is dropped.
pub(super) struct Received {
    /// The decompressed bytes.
    pub(super) data: Bytes,
    /// Its memory.
    _memory: Option<OwnedSemaphorePermit>,
}

impl Limits {
    /// Limits with a maximum size of a body, bytes.
    pub(super) fn new(max: usize) -> Limits {
        let memory = MEMORY.max(max.saturating_mul(2)) / UNIT;
        Limits {
            max,
            memory: Arc::new(Semaphore::new(memory.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// 413 for a body beyond the limit.
    pub(super) fn too_large(&self) -> Rejection {
        Rejection::too_large(format!(
            "the body has more than {} bytes (http_ingest.max_body): send it in parts",
            self.max
        ))
    }

    /// Reads a body.
    ///
    /// # Errors
    /// 413 beyond the limit, 400 for a body that is cut off or damaged, 408 for
    /// one that takes too long, 429 without memory for it.
    pub(super) async fn read(&self, body: Body) -> Result<Received, Rejection> {
        match tokio::time::timeout(WITHIN, self.collect(body)).await {
            Ok(received) => received,
            Err(_) => Err(Rejection::new(
                axum::http::StatusCode::REQUEST_TIMEOUT,
                "timeout",
                format!("the body did not arrive within {} s", WITHIN.as_secs()),
            )),
        }
    }

    /// Reads a body without a limit of time.
    async fn collect(&self, body: Body) -> Result<Received, Rejection> {
        let mut parts = body.into_data_stream();
        let mut data = Vec::new();
        let mut memory: Option<OwnedSemaphorePermit> = None;
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| self.unreadable(&error))?;
            if data.len() + part.len() > self.max {
                return Err(self.too_large());
            }
            data.extend_from_slice(&part);
            let held = memory.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            let more = u32::try_from(data.len().div_ceil(UNIT).saturating_sub(held));
            let more = more.unwrap_or(u32::MAX);
            if more > 0 {
                let permit = self.memory.clone().try_acquire_many_owned(more);
                let permit = permit.map_err(|_| {
                    Rejection::busy("too many bodies are being received: send it again")
                })?;
                match &mut memory {
                    Some(memory) => memory.merge(permit),
                    None => memory = Some(permit),
                }
            }
        }
        Ok(Received {
            data: data.into(),
            _memory: memory,
        })
    }

    /// Why a body cannot be read.
    fn unreadable(&self, error: &axum::Error) -> Rejection {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if error.is::<LengthLimitError>() {
                return self.too_large();
            }
            cause = error.source();
        }
        Rejection::malformed("the body is cut off, or is not in the encoding that it states")
    }
}

//! The tasks of a process that are made for the brands of its configuration.
//!
//! Everything that answers for certain brands, or lists them, is made by
//! [`ProcessContext::open`](super::process_context::ProcessContext::open) from a
//! configuration, at the start and again at a reload that adds a brand
//! ([`super::reload`]). So a brand that is added while the process runs is served by the
//! very tasks that serve the others, and no list of brands can be forgotten.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::epochs::queries::WorkerStopped;
use crate::privacy::objections::Objections;

/// Maximum time for which a task may finish what it is at when it ends for a reload.
const FINISH: Duration = Duration::from_secs(10);

/// The running tasks of a configuration.
pub struct BrandTasks {
    /// Ends them when set to true.
    pub(super) end: watch::Sender<bool>,
    /// Has the feed pause when set to true.
    pub(super) pause: watch::Sender<bool>,
    /// The NATS services.
    pub(super) services: JoinHandle<anyhow::Result<()>>,
    /// The task that updates the gauges.
    pub(super) gauges: JoinHandle<()>,
    /// The task that answers rights requests; ends early only when it cannot go on.
    pub(super) rights: Option<JoinHandle<anyhow::Result<()>>>,
    /// The daily retention pass.
    pub(super) retention: JoinHandle<Result<(), WorkerStopped>>,
    /// The objection list, which the worker threads have as well.
    pub(super) objections: Arc<Objections>,
}

impl BrandTasks {
    /// Ends early only when rights requests can no longer be answered: the reason.
    pub async fn cannot_go_on(&mut self) -> anyhow::Error {
        let Some(rights) = &mut self.rights else {
            return std::future::pending().await;
        };
        match rights.await {
            Ok(Ok(())) => anyhow!("rights requests can no longer be answered"),
            Ok(Err(error)) => error.context("answering rights requests"),
            Err(error) => error.into(),
        }
    }

    /// Ends the tasks for a reload, while epochs go on: what rights requests and the
    /// retention pass are at is finished, because others open their files.
    pub(super) async fn finish(&mut self) {
        let _ = self.end.send(true);
        let until = Instant::now() + FINISH;
        if let Some(mut rights) = self.rights.take()
            && timeout_at(until, &mut rights).await.is_err()
        {
            // As a kill would leave it.
            rights.abort();
            let _ = rights.await;
        }
        if timeout_at(until, &mut self.retention).await.is_err() {
            self.retention.abort();
        }
        if timeout_at(until, &mut self.services).await.is_err() {
            self.services.abort();
        }
        self.gauges.abort();
        self.objections.close();
    }

    /// Ends the tasks that need the workers, which have ended.
    pub fn abort(&self) {
        self.gauges.abort();
        // What they were at goes on after the next start.
        self.rights.iter().for_each(JoinHandle::abort);
        self.retention.abort();
    }

    /// Ends the other tasks, and waits for the answers in progress until a time.
    pub async fn end(mut self, until: Instant) {
        let _ = self.end.send(true);
        if !self.services.is_finished() {
            let _ = timeout_at(until, &mut self.services).await;
        }
    }
}

//! Work on a batch of jobs: each right in its turn, then the receipts.
//!
//! The order within a batch is fixed: restrictions, rectifications, access,
//! erasure. A person who requests access and erasure together receives the data
//! first; a correction that arrives with an access request is visible in its
//! answer.
//!
//! All jobs of a batch share the expensive steps, which read the ledger, the
//! streams or the whole dataflow: their cost does not grow with the number of
//! requests. A failure of the broker in the middle leaves all messages in the
//! stream, and the whole batch is repeated. Every step is idempotent: a
//! retraction finds nothing left, an objection is already on the list, an entry
//! of the audit log exists, and of two answers to one request the last one
//! counts.
//!
//! Processes other than the registrar only do what it tells them
//! ([`starts`](super::starts)). They log nothing and publish nothing except the
//! confirmation of their part.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::MutexGuard;
use tributary_operators::record::BrandId;
use tributary_rights::Head;
use tributary_rights::audit::Event;
use tributary_rights::receipt::Receipt;
use tributary_rights::request::RequestBody;
use tributary_rights::status::Status;

use super::job::Job;
use super::starts::join;
use super::task::Rights;
use super::time::now;

impl Rights {
    /// Works on jobs that arrived together and closes them, while nothing settles
    /// ([`RightsContext::settling`](super::task::RightsContext::settling)).
    ///
    /// Every step may be repeated: a kill leaves the messages in the stream, and
    /// the next start begins again with the first step.
    ///
    /// # Errors
    ///
    /// A stopped worker, a disk that fails, or a broker that does not answer. The
    /// messages are then read again.
    pub(super) async fn work(
        &mut self,
        mut jobs: Vec<Job>,
        _nothing_settles: &MutexGuard<'_, ()>,
    ) -> anyhow::Result<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        let begun = std::time::Instant::now();
        self.reject_cancelled(&mut jobs).await?;
        let (cancelled, mut jobs): (Vec<Job>, Vec<Job>) =
            jobs.into_iter().partition(|job| job.rejected.is_some());
        self.close(cancelled).await?;
        for job in &jobs {
            let Some(brand_log) = self.brand_logs.get_mut(&job.brand) else {
                continue;
            };
            let pending = brand_log
                .standing(job.key)
                .is_some_and(|standing| standing.status == Status::Pending);
            if pending {
                let (at, right) = (now(), job.request.asked.right());
                brand_log.log(at, job.key, right, Event::Started)?;
                let name = brand_log.name.clone();
                let status = Status::InProgress;
                self.publish_status(&name, &job.request.id, Some(right), status, at, job.into())
                    .await?;
            }
        }
        let before = self.starts_before(&mut jobs).await?;
        self.settle_cluster(&mut jobs).await?;
        let mut persons = self.resolve(&mut jobs).await?;
        for (person, before) in persons.iter_mut().zip(before) {
            join(person, before);
        }
        // In the order in which they came, as far as one may see the effect of another: what is kept and corrected
        // comes before access, and access before erasure.
        self.restrict(&mut jobs, &persons).await?;
        self.rectify(&mut jobs, &persons).await?;
        self.answer(&mut jobs, &persons).await?;
        self.forget(&mut jobs, &persons).await?;
        let done = jobs.iter().filter(|job| job.rejected.is_none());
        let brands: BTreeSet<BrandId> = done.map(|job| job.brand).collect();
        self.bind(&brands, &BTreeMap::new()).await?;
        self.close(jobs).await?;
        self.publish_heads().await?;
        self.name_heads().await?;
        tracing::info!(
            seconds = begun.elapsed().as_secs_f64(),
            "answered rights requests"
        );
        Ok(())
    }

    /// Records the outcome of jobs in the audit log and then, when whoever may take
    /// over has these entries, and the backup what was restricted or corrected, publishes receipts and statuses and deletes the
    /// messages.
    ///
    /// The request is deleted last: nothing else finds the messages that belong to it.
    ///
    /// # Errors
    ///
    /// A file that cannot be written, or a broker that does not answer.
    async fn close(&mut self, jobs: Vec<Job>) -> anyhow::Result<()> {
        let mut concluded = Vec::with_capacity(jobs.len());
        // An erasure or objection has renewed the backup already; access changes nothing.
        let is_kept = jobs.iter().any(|job| {
            let asked = &job.request.asked;
            job.rejected.is_none()
                && matches!(
                    asked,
                    RequestBody::Restrict
                        | RequestBody::Unrestrict
                        | RequestBody::DoNotSell
                        | RequestBody::Rectify(_)
                        | RequestBody::Directive { notice: false, .. }
                )
        });
        for job in jobs {
            if let Some(concluding) = self.conclude(job)? {
                concluded.push(concluding);
            }
        }
        if !concluded.is_empty() {
            self.standbys.secure().await;
        }
        if is_kept {
            self.backup.follow().await;
        }
        for concluded in concluded {
            self.announce(concluded).await?;
        }
        Ok(())
    }

    /// Records the outcome of a job in the audit log, unless it is there.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    fn conclude(&mut self, job: Job) -> anyhow::Result<Option<Concluded>> {
        let Some(brand_log) = self.brand_logs.get_mut(&job.brand) else {
            return Ok(None);
        };
        let (at, right) = (now(), job.request.asked.right());
        let event = match job.rejected {
            Some(reason) => Event::Rejected { reason },
            None => Event::Completed {
                counts: job.counts,
                answer: job.answer,
            },
        };
        let is_new = brand_log
            .standing(job.key)
            .is_none_or(|standing| !standing.status.is_final());
        let mut head = None;
        if is_new {
            head = brand_log.log(at, job.key, right, event)?;
            if head.is_some() {
                let completed = job.rejected.is_none();
                let metrics = &self.telemetry.metrics;
                metrics.right_answered(&brand_log.name, Some(right), completed);
            }
        }
        let name = brand_log.name.clone();
        Ok(Some(Concluded {
            job,
            name,
            at,
            is_new,
            head,
        }))
    }

    /// Publishes receipt and status of a job, and deletes its messages.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    async fn announce(&mut self, concluded: Concluded) -> anyhow::Result<()> {
        let Concluded {
            job,
            name,
            at,
            is_new,
            head,
        } = concluded;
        if is_new {
            let right = job.request.asked.right();
            let status = match (job.rejected, head) {
                (Some(reason), _) => Some(Status::Rejected(reason)),
                (None, Some(_)) => Some(Status::Completed(job.counts)),
                (None, None) => None,
            };
            if let (None, Some(head)) = (job.rejected, head) {
                let receipt = Receipt {
                    request: job.request.id.clone(),
                    brand: name.clone(),
                    right,
                    received: job.received,
                    completed: at,
                    counts: job.counts,
                    audit: head,
                    answer: job.answer,
                };
                self.publish_receipt(job.brand, &receipt).await?;
            }
            if let Some(status) = status {
                let id = &job.request.id;
                self.publish_status(&name, id, Some(right), status, at, (&job).into())
                    .await?;
            }
        }
        for sequence in job.parts.into_iter().chain(job.sequences) {
            self.delete(sequence).await?;
        }
        Ok(())
    }
}

/// A job whose outcome is in the audit log.
struct Concluded {
    job: Job,
    /// The name of its brand.
    name: String,
    /// When it was concluded, Unix milliseconds.
    at: i64,
    /// Whether this attempt has concluded it.
    is_new: bool,
    /// The entry of the log.
    head: Option<Head>,
}

//! Receipt of requests: a message is validated, recorded in the audit log, and
//! becomes a job.
//!
//! | message | outcome |
//! |---|---|
//! | invalid content | rejected with a reason, message deleted |
//! | brand of another shard | left to that shard |
//! | unknown brand | rejected with a reason, message deleted; by the first shard |
//! | a new ID | a job; `received` is logged and `pending` published |
//! | a known ID, the same content, answered | the recorded status again, and the receipt if it is missing |
//! | a known ID, the same content, open | joins the job, or continues it after a restart |
//! | a known ID, other content | rejected, because the sender could not tell the answers apart |
//!
//! The entry in the audit log precedes every effect. A request whose message is
//! read again after a kill is therefore recognized by its ID, and its content
//! by a keyed hash: neither is stored in clear text.

use std::collections::BTreeMap;

use tributary_connectors::nats::InMessage;
use tributary_operators::record::BrandId;
use tributary_rights::audit::Event;
use tributary_rights::receipt::Receipt;
use tributary_rights::request::{Replay, replay};
use tributary_rights::status::Status;
use tributary_rights::{Counts, Reason, Refusal, Request, RequestId, RequestKey};

use super::callbacks::HEADER;
use super::job::Job;
use super::publish::StatusContext;
use super::task::Rights;
use super::time::now;

/// The callback URLs of a message.
fn callbacks(message: &InMessage) -> Vec<String> {
    let values = message.headers.iter().filter(|(name, _)| name == HEADER);
    values.map(|(_, url)| url.clone()).collect()
}

impl Rights {
    /// Validates messages and returns the jobs to work on, in the order in which
    /// their requests arrived. Each new request is in the audit log before its
    /// status is published.
    ///
    /// # Errors
    ///
    /// A file that cannot be written, or a broker that does not answer. The
    /// messages are then read again.
    pub(super) async fn receive(&mut self, messages: &[InMessage]) -> anyhow::Result<Vec<Job>> {
        let mut jobs: BTreeMap<(BrandId, RequestKey), Job> = BTreeMap::new();
        for message in messages {
            let token = message.subject.split('.').nth(2).unwrap_or_default();
            if self.config.is_of_other_shard(token) {
                continue;
            }
            let known = |name: &str| self.config.brands.iter().any(|brand| brand.name == name);
            let request = Request::parse(&message.payload, Some(token), &known);
            let brand = known(token).then(|| BrandId::of(token));
            let (request, brand) = match (request, brand) {
                (Ok(request), Some(brand)) => (request, brand),
                (Err(refusal), _) => {
                    let id = Request::read_id(&message.payload);
                    self.refuse(message, token, id, &refusal).await?;
                    continue;
                }
                (Ok(request), None) => {
                    let id = Some(request.id);
                    let detail = "`brand` names no brand of the configuration";
                    let refusal = Refusal::new(Reason::UnknownBrand, detail);
                    self.refuse(message, token, id, &refusal).await?;
                    continue;
                }
            };
            let Some(brand_log) = self.brand_logs.get_mut(&brand) else {
                continue;
            };
            let key = brand_log.keys.request(&request.id);
            let content = request.fingerprint(&brand_log.keys);
            if let Some(job) = jobs.get_mut(&(brand_log.brand, key)) {
                if job.request.fingerprint(&brand_log.keys) == content {
                    job.sequences.push(message.sequence);
                    for url in callbacks(message) {
                        if !job.callbacks.contains(&url) {
                            job.callbacks.push(url);
                        }
                    }
                } else {
                    let id = Some(request.id);
                    let detail = "`id` is that of another request: choose another one";
                    let refusal = Refusal::new(Reason::IdTaken, detail);
                    self.refuse(message, token, id, &refusal).await?;
                }
                continue;
            }
            let right = request.asked.right();
            let standing = brand_log.standing(key);
            let again = replay(standing.map(|standing| standing.content), content);
            let received = match (again, standing) {
                (Err(refusal), _) => {
                    let id = Some(request.id);
                    self.refuse(message, token, id, &refusal).await?;
                    continue;
                }
                (Ok(Replay::Again), Some(standing)) if standing.status.is_final() => {
                    let (status, at) = (standing.status, standing.at);
                    // A kill may have come between the log and the receipt.
                    if let (Status::Completed(counts), Some(audit)) =
                        (status, brand_log.unreceipted(&standing))
                    {
                        let receipt = Receipt {
                            request: request.id.clone(),
                            brand: token.to_owned(),
                            right,
                            received: standing.received_at,
                            completed: at,
                            counts,
                            audit,
                            answer: standing.answer,
                        };
                        self.publish_receipt(brand, &receipt).await?;
                    }
                    let context = StatusContext {
                        urls: &callbacks(message),
                        received: standing.received_at,
                        detail: None,
                    };
                    self.publish_status(token, &request.id, Some(right), status, at, context)
                        .await?;
                    self.delete(message.sequence).await?;
                    continue;
                }
                (Ok(Replay::Again), Some(standing)) => standing.received_at,
                (Ok(_), _) => {
                    let at = message.at_ms;
                    brand_log.log(at, key, right, Event::Received { content })?;
                    let status = Status::Pending;
                    let context = StatusContext {
                        urls: &callbacks(message),
                        received: at,
                        detail: None,
                    };
                    self.publish_status(token, &request.id, Some(right), status, at, context)
                        .await?;
                    at
                }
            };
            jobs.insert(
                (brand, key),
                Job {
                    brand,
                    request,
                    key,
                    sequences: vec![message.sequence],
                    parts: Vec::new(),
                    is_begun: false,
                    starts: Vec::new(),
                    awaited: Vec::new(),
                    callbacks: callbacks(message),
                    received,
                    counts: Counts::default(),
                    answer: None,
                    rejected: None,
                    detail: None,
                },
            );
        }
        let mut jobs: Vec<Job> = jobs.into_values().collect();
        jobs.sort_by_key(|job| job.sequences.first().copied());
        Ok(jobs)
    }

    /// Rejects a message that is not a valid request: publishes the reason and
    /// deletes the message. Only the registrar does so.
    ///
    /// Without a readable ID the status is published under the ID `unreadable`.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    async fn refuse(
        &self,
        message: &InMessage,
        brand: &str,
        id: Option<RequestId>,
        refusal: &Refusal,
    ) -> anyhow::Result<()> {
        if !self.is_registrar() {
            return Ok(());
        }
        if let Some(id) = id.or_else(|| RequestId::read("unreadable")) {
            let status = Status::Rejected(refusal.reason);
            let context = StatusContext {
                urls: &callbacks(message),
                received: message.at_ms,
                detail: Some(&refusal.detail),
            };
            self.publish_status(brand, &id, None, status, now(), context)
                .await?;
        }
        self.telemetry.metrics.right_answered(brand, None, false);
        self.delete(message.sequence).await
    }
}

//! Reads of the rights stream at a start: the newest message of a subject,
//! receipts, and waiting requests.
//!
//! Anyone who may publish on a receipt subject could add a message after the
//! last receipt. A message counts only if a key of the brand has signed it
//! ([`verify_receipt`]); any other is reported as damaged, and all messages are
//! read to find the last authentic one.

use std::collections::BTreeSet;
use std::time::Duration;

use tributary_connectors::nats::{
    self, Client, InMessage, NatsError, NatsErrorKind, Reader, subject as subjects,
};
use tributary_rights::audit::AuditLogContents;
use tributary_rights::receipt::verify_receipt;
use tributary_rights::{BrandKeys, Head, Request, RequestKey};

/// Maximum time of one read from the stream.
const LOOK: Duration = Duration::from_millis(500);

/// The newest message on a subject; `None` if there is none, or no stream.
///
/// # Errors
///
/// A broker that does not answer.
pub(super) async fn newest(
    client: &Client,
    stream: &str,
    subject: &str,
) -> Result<Option<InMessage>, NatsError> {
    let mut values = match nats::last_values(client, stream, subject).await {
        Ok(values) => values,
        Err(error) if error.kind() == NatsErrorKind::Stream => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(values.next_batch(1).await?.pop())
}

/// All messages on a subject, oldest first; none if there is no stream.
///
/// # Errors
///
/// A broker that does not answer.
async fn all(client: &Client, stream: &str, subject: &str) -> Result<Vec<InMessage>, NatsError> {
    let mut messages = Vec::new();
    match nats::has_messages(client, stream, subject).await {
        Ok(true) => {}
        Ok(false) => return Ok(messages),
        // There may be no stream, which opening it says.
        Err(_) => {}
    }
    let mut reader = match Reader::filtered(client, stream, subject, 1).await {
        Ok(reader) => reader,
        Err(error) if error.kind() == NatsErrorKind::Stream => return Ok(messages),
        Err(error) => return Err(error),
    };
    loop {
        messages.extend(reader.next_batch(1_000, LOOK).await?);
        if reader.caught_up() {
            return Ok(messages);
        }
    }
}

/// The receipts of a brand, summarized.
#[derive(Default)]
pub(super) struct Receipts {
    /// The last log entry that a receipt names.
    pub newest: Option<Head>,
    /// The highest entry that a receipt names and the log does not contain.
    pub unknown: Option<Head>,
    /// Sequence number of the newest message if it is not a valid receipt.
    pub damaged: Option<u64>,
}

/// Summarizes the receipts of a brand with this log.
///
/// One read is enough if the newest receipt belongs to the last completed
/// request. Otherwise all are read, because anyone who may publish on the
/// subject could have added a message after the last receipt.
///
/// # Errors
///
/// A broker that does not answer.
pub(super) async fn receipts(
    client: &Client,
    stream: &str,
    keys: &BrandKeys,
    log: Option<&AuditLogContents>,
) -> Result<Receipts, NatsError> {
    let subject = subjects::rights_receipt(keys.name());
    let head = |message: &InMessage| {
        let receipt = verify_receipt(&message.payload, keys.public_keys());
        let receipt = receipt.ok().filter(|receipt| receipt.brand == keys.name());
        receipt.map(|receipt| receipt.audit)
    };
    let is_known = |head: &Head| log.is_some_and(|log| log.entries.contains(head));
    let is_last = |head: &Head| {
        let after = |log: &AuditLogContents| log.completed_after(head.seq).next().is_some();
        is_known(head) && !log.is_some_and(after)
    };
    let mut found = Receipts::default();
    let Some(last) = newest(client, stream, &subject).await? else {
        return Ok(found);
    };
    match head(&last) {
        Some(head) if is_last(&head) => {
            found.newest = Some(head);
            return Ok(found);
        }
        Some(_) => {}
        None => found.damaged = Some(last.sequence),
    }
    for head in all(client, stream, &subject).await?.iter().filter_map(head) {
        let place = match is_known(&head) {
            true => &mut found.newest,
            false => &mut found.unknown,
        };
        if place.is_none_or(|before| before.seq < head.seq) {
            *place = Some(head);
        }
    }
    Ok(found)
}

/// Keyed IDs of the requests of a brand that wait at the broker.
///
/// # Errors
///
/// A broker that does not answer.
pub(super) async fn waiting(
    client: &Client,
    stream: &str,
    keys: &BrandKeys,
) -> Result<BTreeSet<RequestKey>, NatsError> {
    let subject = subjects::rights_requests(keys.name());
    let requests = all(client, stream, &subject).await?;
    let ids = requests
        .iter()
        .filter_map(|message| Request::read_id(&message.payload));
    Ok(ids.map(|id| keys.request(&id)).collect())
}

//! The newest status of each request of a brand, as far as the rights stream has
//! been read.
//!
//! A look-up reads only what was published since the one before. The number of
//! requests in memory is bounded: the oldest are forgotten, and a look-up of one of
//! them reads the stream from its beginning, as the first one does.

use std::collections::VecDeque;
use std::time::Duration;

use rustc_hash::FxHashMap;
use tributary_connectors::nats::{Client, NatsError, Reader, subject as subjects};
use tributary_rights::status::{PublishedStatus, Status};
use tributary_rights::{Request, RequestId};

/// Maximum time to read the status of a request, and to wait for a batch.
pub(super) const WITHIN: Duration = Duration::from_secs(10);

/// Maximum time to wait for the next waiting request.
const LOOK: Duration = Duration::from_secs(1);

/// Number of messages per read.
const BATCH: usize = 1_000;

/// Maximum number of requests in memory.
const MOST: usize = 100_000;

/// When the first message about a request arrived, Unix milliseconds, and its
/// newest status.
pub(super) type Known = (i64, Status);

/// The statuses of a brand.
#[derive(Default)]
pub(super) struct Statuses {
    /// Position of the stream that is read next; 0 for its beginning.
    next: u64,
    /// The statuses by the ID of the request.
    known: FxHashMap<Box<str>, Known>,
    /// The IDs in the order in which they came.
    order: VecDeque<Box<str>>,
    /// Whether a request was forgotten.
    is_partial: bool,
}

impl Statuses {
    /// The status of a request; `None` for an unknown ID.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    pub(super) async fn find(
        &mut self,
        client: &Client,
        stream: &str,
        brand: &str,
        id: &RequestId,
    ) -> Result<Option<Known>, NatsError> {
        self.read_on(client, stream, brand, None).await?;
        if let Some(known) = self.known.get(id.expose()) {
            return Ok(Some(*known));
        }
        let waiting = waiting(client, stream, brand, id).await?;
        // A request leaves only after its last status is published.
        self.read_on(client, stream, brand, None).await?;
        let mut found = self.known.get(id.expose()).copied();
        if found.is_none() && self.is_partial {
            let mut all = Statuses::default();
            found = all.read_on(client, stream, brand, Some(id)).await?;
        }
        Ok(found.or(waiting))
    }

    /// Reads what was published since the last time; with `only`, remembers nothing
    /// but this request and returns it.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    async fn read_on(
        &mut self,
        client: &Client,
        stream: &str,
        brand: &str,
        only: Option<&RequestId>,
    ) -> Result<Option<Known>, NatsError> {
        let statuses = subjects::rights_status(brand);
        let mut reader = Reader::filtered(client, stream, &statuses, self.next.max(1)).await?;
        while !reader.caught_up() {
            for message in reader.next_batch(BATCH, WITHIN).await? {
                let update = PublishedStatus::read(&message.payload);
                if let Some(update) = update.filter(|update| only.is_none_or(|id| update.id == *id))
                {
                    self.note(update.id.expose(), update.at, update.status);
                }
            }
        }
        self.next = reader.next_sequence();
        Ok(only.and_then(|id| self.known.get(id.expose()).copied()))
    }

    /// Notes a status.
    fn note(&mut self, id: &str, at: i64, status: Status) {
        if let Some((first, newest)) = self.known.get_mut(id) {
            (*first, *newest) = ((*first).min(at), status);
            return;
        }
        if self.known.len() >= MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
            self.is_partial = true;
        }
        self.known.insert(id.into(), (at, status));
        self.order.push_back(id.into());
    }
}

/// A request that waits at the broker and has no status yet.
///
/// # Errors
///
/// A broker that does not answer.
async fn waiting(
    client: &Client,
    stream: &str,
    brand: &str,
    id: &RequestId,
) -> Result<Option<Known>, NatsError> {
    let waiting = subjects::rights_requests(brand);
    let mut reader = Reader::filtered(client, stream, &waiting, 1).await?;
    while !reader.caught_up() {
        let messages = reader.next_batch(BATCH, LOOK).await?;
        if messages.is_empty() {
            // The last ones were answered and deleted meanwhile.
            break;
        }
        for message in messages {
            if Request::read_id(&message.payload).as_ref() == Some(id) {
                return Ok(Some((message.at_ms, Status::Pending)));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use tributary_rights::Counts;

    use super::*;

    #[test]
    fn the_newest_status_is_kept_and_the_oldest_requests_are_forgotten() {
        let mut statuses = Statuses::default();
        statuses.note("first", 5, Status::Pending);
        statuses.note("second", 6, Status::Pending);
        let completed = Status::Completed(Counts::default());
        statuses.note("first", 7, completed);
        assert_eq!(statuses.known.get("first"), Some(&(5, completed)));
        assert!(!statuses.is_partial);
        for at in 2..=MOST {
            statuses.note(&at.to_string(), 8, Status::Pending);
        }
        assert!(statuses.is_partial && statuses.known.len() == MOST);
        assert!(!statuses.known.contains_key("first") && statuses.known.contains_key("second"));
        assert_eq!(statuses.order.len(), MOST);
    }
}

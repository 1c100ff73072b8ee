//! The set of subjects under which a stream stores messages.
//!
//! The set stores hashes. Its only use is to find subjects that are missing in
//! comparison with an earlier set, and a hash collision hides the loss of one
//! subject at most.

use std::hash::{BuildHasher, RandomState};

use async_nats::Client;
use futures::TryStreamExt;
use rustc_hash::FxHashSet;

use super::error::{NatsError, NatsErrorKind};

/// A set of subjects, stored as hashes that are comparable between a set and
/// those that [`Self::empty`] and [`Self::read`] derive from it.
///
/// ```
/// use tributary_connectors::nats::SubjectSet;
///
/// let mut published = SubjectSet::default();
/// published.insert("tributary.out.acme.visits.00");
/// published.insert("tributary.out.acme.visits.01");
/// let mut stored = published.empty();
/// stored.insert("tributary.out.acme.visits.01");
/// assert_eq!(published.missing_in(&stored), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct SubjectSet {
    hashes: FxHashSet<u64>,
    /// The keys of the hashes.
    hasher: RandomState,
}

impl SubjectSet {
    /// Adds a subject.
    pub fn insert(&mut self, subject: &str) {
        self.hashes.insert(self.hasher.hash_one(subject));
    }

    /// The number of subjects of this set that `others` lacks.
    pub fn missing_in(&self, others: &SubjectSet) -> usize {
        self.hashes.difference(&others.hashes).count()
    }

    /// Adds all subjects of a set that is comparable with this one.
    pub fn extend(&mut self, others: SubjectSet) {
        self.hashes.extend(others.hashes);
    }

    /// The number of subjects.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// An empty set whose hashes are comparable with those of this one.
    pub fn empty(&self) -> SubjectSet {
        SubjectSet {
            hashes: FxHashSet::default(),
            hasher: self.hasher.clone(),
        }
    }

    /// The subjects under which a stream stores messages now, comparable with
    /// those of this set.
    ///
    /// # Errors
    /// [`NatsErrorKind::Unreachable`] if the server does not respond.
    pub async fn read(&self, client: &Client, stream: &str) -> Result<SubjectSet, NatsError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            let what = format!("reading the subjects of the stream {stream}");
            NatsError::caused(NatsErrorKind::Unreachable, what, error)
        };
        let mut read = self.empty();
        let mut subjects = async_nats::jetstream::new(client.clone())
            .get_stream_no_info(stream)
            .await
            .map_err(|error| failed(error.into()))?
            .info_with_subjects(">")
            .await
            .map_err(|error| failed(error.into()))?;
        let next = |error: async_nats::jetstream::context::RequestError| failed(error.into());
        while let Some((subject, _)) = subjects.try_next().await.map_err(next)? {
            read.insert(&subject);
        }
        Ok(read)
    }
}

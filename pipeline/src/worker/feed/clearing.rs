//! Clears the stream of pings, so that expired addresses leave the broker's
//! disk.
//!
//! A broker deletes expired messages from its index at once, and from its disk
//! with the block of the stream that holds them. It keeps a block for as long as
//! a message in it is not expired, and rewrites it only from a size of some
//! mebibytes on. Few pings without a pause, such as those of fixtures at night,
//! would therefore stand there for days. Once in each age of the stream, when
//! everything in it is durable, all of it is deleted, and its blocks with it.
//!
//! Only a process without others does so: it knows that nobody else has yet to
//! read a message.

use std::time::{Duration, Instant};

use async_nats::jetstream;
use tributary_connectors::nats::Client;

use crate::durability::standbys::Standbys;

/// When the stream was cleared, and is next.
pub(super) struct Clearing {
    /// The age at which the broker deletes messages.
    age: Duration,
    due: Instant,
}

impl Clearing {
    /// Clears a stream with this age, for the first time after it.
    pub(super) fn new(age: Duration) -> Clearing {
        Clearing {
            age,
            due: Instant::now() + age,
        }
    }

    /// Deletes the messages up to `durable`, the last one of the stream, if that
    /// is due, and no standby takes over with a ledger that would read them. Does not
    /// wait for the broker. Messages that arrive meanwhile stay.
    pub(super) fn clear(
        &mut self,
        client: &Client,
        stream: &str,
        durable: u64,
        standbys: &Standbys,
    ) {
        if Instant::now() < self.due {
            return;
        }
        self.due = Instant::now() + self.age;
        let (client, stream) = (client.clone(), stream.to_owned());
        let standbys = standbys.clone();
        tokio::spawn(async move {
            standbys.secure().await;
            if let Err(error) = delete_through(client, &stream, durable).await {
                tracing::warn!(stream, %error, "cannot delete the pings that were read; retrying later");
            }
        });
    }
}

/// Deletes the messages of a stream up to a sequence.
async fn delete_through(
    client: Client,
    stream: &str,
    sequence: u64,
) -> Result<(), async_nats::Error> {
    let stream = jetstream::new(client).get_stream_no_info(stream).await?;
    stream.purge().sequence(sequence + 1).await?;
    Ok(())
}

/// The age at which a stream deletes messages; zero if it keeps them.
///
/// # Errors
///
/// A broker that does not answer.
pub async fn age_of(client: &Client, stream: &str) -> Result<Duration, async_nats::Error> {
    let stream = jetstream::new(client.clone()).get_stream(stream).await?;
    Ok(stream.cached_info().config.max_age)
}

//! Overwrites the buffers of a connection, which hold the clear text of the last
//! messages until others take its place.
//!
//! The client reads into a buffer that it fills to the end before it begins a new
//! one or the same again, and writes small messages through another. Neither can
//! be reached from outside. So messages without content are sent through the
//! broker and back, more than the buffers can hold: whatever was in them is
//! overwritten, or in memory that was freed. The same bytes pass through the
//! buffers of TLS.

use std::time::Duration;

use async_nats::Client;
use bytes::Bytes;
use futures::StreamExt;

use super::error::{NatsError, NatsErrorKind};

/// Bytes of a message. The client copies messages of less than 4 KiB into its
/// buffer of small messages, and passes others on as they are.
const PIECE: usize = 2 << 10;

/// What the client reserves for reading, bytes. While it reads a longer message,
/// its buffer grows by doubling.
const BUFFER: usize = 64 << 10;

/// Messages that are under way at the same time.
const AT_ONCE: usize = 256;

/// Maximum time for them to be sent and to come back.
const PATIENCE: Duration = Duration::from_secs(10);

/// Overwrites what the buffers of a client's connection hold of earlier messages.
/// Sends about four times the broker's `max_payload` through the connection.
///
/// # Errors
/// [`NatsErrorKind::Unreachable`] if the messages do not come back: the connection
/// is lost, and its buffers with it, or the broker does not permit the client to
/// publish to its own inbox.
pub async fn overwrite_buffers(client: &Client) -> Result<(), NatsError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        let what = "overwriting the buffers of the connection";
        NatsError::caused(NatsErrorKind::Unreachable, what, error)
    };
    let inbox = client.new_inbox();
    let subscribed = client.subscribe(inbox.clone()).await;
    let mut echo = subscribed.map_err(|error| failed(error.into()))?;
    // The buffer is at most twice the longest message, and may have to be filled twice.
    let total = 4 * (client.server_info().max_payload + BUFFER);
    let empty = Bytes::from_static(&[0; PIECE]);
    let mut pieces = total.div_ceil(PIECE);
    while pieces > 0 {
        let count = pieces.min(AT_ONCE);
        let round = async {
            for _ in 0..count {
                client.publish(inbox.clone(), empty.clone()).await?;
            }
            Ok::<usize, async_nats::PublishError>(echo.by_ref().take(count).count().await)
        };
        let back = tokio::time::timeout(PATIENCE, round).await;
        let back = back.map_err(|error| failed(error.into()))?;
        if back.map_err(|error| failed(error.into()))? < count {
            return Err(failed("the subscription has ended".into()));
        }
        pieces -= count;
    }
    Ok(())
}

//! The broker's clock, as the broker states it in its responses.
//!
//! The rest of the program compares it with the machine's own clock before it
//! deletes or freezes anything.

use std::time::Instant;

use async_nats::Client;
use async_nats::jetstream;
use jiff::Timestamp;
use serde::Deserialize;
use tributary_config::model::Nats;

use super::error::{NatsError, NatsErrorKind};

/// The time at the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerTime {
    /// The broker's clock, Unix milliseconds.
    pub now: i64,
    /// When the response arrived.
    pub read: Instant,
    /// When the broker stored the newest message of the streams, Unix
    /// milliseconds; `None` if it never stored one.
    pub newest: Option<i64>,
}

/// The part of a `STREAM.INFO` response that is read.
#[derive(Deserialize)]
struct Answer {
    /// The time of the response, RFC 3339.
    ts: String,
    state: State,
}

/// The `state` object of the response.
#[derive(Deserialize)]
struct State {
    /// The time of the newest message, RFC 3339; year 1 before the first one.
    last_ts: String,
}

/// Requests the broker's time and that of the newest message of the input
/// stream, or of the stream of pings.
///
/// # Errors
/// As for one stream: [`NatsErrorKind::Unreachable`] and
/// [`NatsErrorKind::Stream`].
pub async fn broker_time(client: &Client, nats: &Nats) -> Result<BrokerTime, NatsError> {
    let mut time = time_of(client, &nats.input_stream).await?;
    if let Some(pings) = &nats.pings_stream {
        time.newest = time.newest.max(time_of(client, pings).await?.newest);
    }
    Ok(time)
}

/// Requests the broker's time and that of the newest message of a stream.
///
/// # Errors
/// [`NatsErrorKind::Unreachable`] if the broker does not respond,
/// [`NatsErrorKind::Stream`] if the stream does not exist or the response has
/// no time.
async fn time_of(client: &Client, stream: &str) -> Result<BrokerTime, NatsError> {
    let context = jetstream::new(client.clone());
    let what = || format!("asking for the time of the stream {stream}");
    let answer: jetstream::response::Response<Answer> = context
        .request(format!("STREAM.INFO.{stream}"), &())
        .await
        .map_err(|error| NatsError::caused(NatsErrorKind::Unreachable, what(), error))?;
    let read = Instant::now();
    let answer = match answer {
        jetstream::response::Response::Ok(answer) => answer,
        jetstream::response::Response::Err { error } => {
            return Err(NatsError::caused(NatsErrorKind::Stream, what(), error));
        }
    };
    let time = |text: &str| -> Result<i64, NatsError> {
        let time: Timestamp = text
            .parse()
            .map_err(|error| NatsError::caused(NatsErrorKind::Stream, what(), error))?;
        Ok(time.as_millisecond())
    };
    let newest = time(&answer.state.last_ts)?;
    Ok(BrokerTime {
        now: time(&answer.ts)?,
        read,
        // A stream that has had no message gives the beginning of the calendar.
        newest: (newest > 0).then_some(newest),
    })
}

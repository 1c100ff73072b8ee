//! The clock of the broker, as it says it in its answers.

use std::time::Instant;

use async_nats::Client;
use async_nats::jetstream;
use jiff::Timestamp;
use serde::Deserialize;

use super::error::{NatsError, NatsErrorKind};

/// What the broker says of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerTime {
    /// Its clock, Unix milliseconds.
    pub now: i64,
    /// When its answer came.
    pub read: Instant,
    /// When it stored the newest message of the stream, Unix milliseconds; none where there was never one.
    pub newest: Option<i64>,
}

/// What of an answer is read.
#[derive(Deserialize)]
struct Answer {
    ts: String,
    state: State,
}

#[derive(Deserialize)]
struct State {
    last_ts: String,
}

/// Asks the broker for its time and that of the newest message of a stream.
///
/// # Errors
/// [`NatsErrorKind::Unreachable`] where it does not answer, [`NatsErrorKind::Stream`] where there is no such stream, or
/// the answer has no time.
pub async fn broker_time(client: &Client, stream: &str) -> Result<BrokerTime, NatsError> {
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

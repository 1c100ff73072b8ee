//! Replay of a trace through the HTTP ingest server, as its clients send it: over connections that
//! stay open, one request at a time on each, and again after 429, 503 and a lost connection.
//!
//! Each message of the trace is one request with an `Idempotency-Key`, so that it counts once. Over
//! one connection messages keep their order; over several only those of one connection do, which
//! matters to records that are corrected without a version.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tributary_connectors::inputs::InputsError;
use tributary_connectors::nats::AT_HEADER;
use tributary_connectors::trace::TraceLine;

use super::pace::{Pace, Pacer};
use super::pack::{Clock, Packed, Packs};
use super::progress::Progress;
use crate::measure::Percentiles;

/// The pause before a request is sent again.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a request is sent again before the replay fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The largest request of several events, bytes.
const LARGEST: usize = 256 << 10;

/// The options of a replay over HTTP.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// The server as `host:port`.
    pub address: String,
    /// The token, if the server needs one.
    pub token: Option<String>,
    /// The number of connections, at least one.
    pub connections: usize,
    /// The speed.
    pub pace: Pace,
    /// The maximum number of events per request.
    pub pack: usize,
    /// Which time of arrival the requests state. It counts only for sources with `arrival_header`.
    pub clock: Clock,
    /// The time after which no more requests are sent.
    pub duration: Option<Duration>,
    /// Becomes true when no more requests are to be sent.
    pub stop: Option<watch::Receiver<bool>>,
    /// Where the replay records what it has sent. Its start is that of the schedule.
    pub progress: Progress,
}

/// The result of a replay over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HttpSummary {
    /// Events of accepted requests: each line of a request counts.
    pub events: u64,
    /// Accepted requests.
    pub requests: u64,
    /// Requests that the server refused because of their content, with 400 or 413.
    pub refused: u64,
    /// Times that a request was sent again.
    pub retries: u64,
    /// Bytes of the accepted bodies.
    pub bytes: u64,
    /// Seconds from the start to the last response.
    pub seconds: f64,
    /// Events per second.
    pub events_per_second: f64,
    /// From the intended time of a request to its response; from its sending where no time was
    /// intended.
    pub latency: Percentiles,
    /// From the intended time of a request to its sending.
    pub lateness: Percentiles,
    /// Why the figures are not those of the rate that was asked for.
    pub missed: Option<String>,
    /// Lines of the trace that were not messages.
    pub skipped: u64,
}

/// Why a replay over HTTP ended early.
#[derive(Debug, thiserror::Error)]
pub enum HttpReplayError {
    /// An input cannot be read.
    #[error(transparent)]
    Inputs(#[from] InputsError),
    /// The server refuses requests whatever they contain.
    #[error("{address} answers {status}: {body}")]
    Refused {
        /// The server.
        address: String,
        /// The status code.
        status: u16,
        /// What the server says.
        body: String,
    },
    /// The server cannot be reached, or stays busy.
    #[error("{address} has not accepted a request for {} s: {reason}", PATIENCE.as_secs())]
    Unreachable {
        /// The server.
        address: String,
        /// The last reason.
        reason: String,
    },
    /// A connection has ended because another one failed.
    #[error("a connection has ended")]
    Ended,
}

/// A request with its number.
struct Request {
    number: u64,
    /// The time at which it is to be sent.
    due: Option<Instant>,
    packed: Packed,
}

/// Sends messages over HTTP. `seen` is called after every message that is handed to a connection.
///
/// # Errors
///
/// The first input that cannot be read, and a server that refuses requests or cannot be reached.
pub async fn replay_http(
    lines: impl Iterator<Item = Result<TraceLine, InputsError>>,
    options: HttpOptions,
    mut seen: impl FnMut(u64),
) -> Result<HttpSummary, HttpReplayError> {
    let progress = options.progress.clone();
    let run: u64 = rand::random();
    let (duration, stop) = (options.duration, options.stop.clone());
    let end = duration.and_then(|duration| progress.begin().checked_add(duration));
    let connections = options.connections.max(1);
    let (mut queues, mut tasks) = (Vec::new(), Vec::new());
    for _ in 0..connections {
        let (queue, requests) = mpsc::channel(4);
        queues.push(queue);
        let connection = Connection {
            options: options.clone(),
            run,
            stream: None,
            summary: HttpSummary::default(),
        };
        tasks.push(tokio::spawn(connection.run(requests)));
    }
    let mut pacer = Pacer::new(options.pace, progress.begin());
    let mut packs = Packs::new(options.pack, LARGEST, options.clock);
    let (mut events, mut number) = (0, 0_u64);
    let mut send = async |packed: Packed, number: &mut u64| {
        let due = pacer.due(events, packed.at);
        let is_over = end.is_some_and(|end| due.unwrap_or_else(Instant::now) >= end);
        if is_over || stop.as_ref().is_some_and(|stop| *stop.borrow()) {
            return false;
        }
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        events += packed.events;
        let place = (*number % connections as u64) as usize;
        *number += 1;
        let request = Request {
            number: *number,
            due,
            packed,
        };
        match queues.get(place) {
            Some(queue) => queue.send(request).await.is_ok(),
            None => false,
        }
    };
    let mut is_open = true;
    'lines: for line in lines {
        for packed in packs.add(line?) {
            is_open = send(packed, &mut number).await;
            if !is_open {
                break 'lines;
            }
            seen(number);
        }
    }
    if is_open {
        for packed in packs.close() {
            send(packed, &mut number).await;
        }
    }
    drop(queues);
    let mut summary = HttpSummary::default();
    for task in tasks {
        let part = task.await.map_err(|_| HttpReplayError::Ended)??;
        summary.events += part.events;
        summary.requests += part.requests;
        summary.refused += part.refused;
        summary.retries += part.retries;
        summary.bytes += part.bytes;
    }
    let sent = progress.summary();
    (summary.latency, summary.lateness) = (sent.latency, sent.lateness);
    summary.missed = sent.missed;
    summary.seconds = progress.begin().elapsed().as_secs_f64();
    summary.events_per_second = summary.events as f64 / summary.seconds.max(1e-9);
    Ok(summary)
}

/// One connection, and what was sent over it.
struct Connection {
    options: HttpOptions,
    /// A random number that identifies the replay.
    run: u64,
    stream: Option<TcpStream>,
    summary: HttpSummary,
}

impl Connection {
    /// Sends requests until there are no more.
    async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
    ) -> Result<HttpSummary, HttpReplayError> {
        while let Some(request) = requests.recv().await {
            self.deliver(&request).await?;
        }
        Ok(self.summary)
    }

    /// Sends a request until the server has accepted or refused its content.
    async fn deliver(&mut self, request: &Request) -> Result<(), HttpReplayError> {
        let head = self.head(request);
        let begun = Instant::now();
        let (packed, progress) = (&request.packed, self.options.progress.clone());
        progress.sent(
            request.due,
            packed.events,
            packed.data.len() as u64,
            packed.at,
        );
        loop {
            let reason = match self.exchange(&head, &request.packed.data).await {
                Ok((200 | 202, _)) => {
                    progress.acknowledged(request.due.unwrap_or(begun));
                    self.summary.requests += 1;
                    self.summary.events += request.packed.events;
                    self.summary.bytes += request.packed.data.len() as u64;
                    return Ok(());
                }
                Ok((400 | 413, _)) => {
                    self.summary.refused += 1;
                    return Ok(());
                }
                Ok((429 | 503, body)) => body,
                Ok((status, body)) => {
                    return Err(HttpReplayError::Refused {
                        address: self.options.address.clone(),
                        status,
                        body,
                    });
                }
                Err(error) => {
                    self.stream = None;
                    error.to_string()
                }
            };
            if begun.elapsed() > PATIENCE {
                return Err(HttpReplayError::Unreachable {
                    address: self.options.address.clone(),
                    reason,
                });
            }
            self.summary.retries += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The head of a request. A partition in the subject is the server's affair.
    fn head(&self, request: &Request) -> String {
        let packed = &request.packed;
        let tokens: Vec<&str> = packed.subject.split('.').skip(2).take(3).collect();
        let mut head = format!(
            "POST /v1/in/{} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nIdempotency-Key: {:016x}-{}\r\n",
            tokens.join("/"),
            self.options.address,
            packed.data.len(),
            self.run,
            request.number,
        );
        if let Some(token) = &self.options.token {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        if self.options.clock != Clock::Stream {
            head += &format!("{AT_HEADER}: {}\r\n", packed.at);
        }
        let mut content_type = "application/x-ndjson";
        for (name, value) in &packed.headers {
            let is_clean = !value.contains(['\r', '\n']);
            if name.eq_ignore_ascii_case("content-type") && is_clean {
                content_type = value;
            } else if name
                .get(..3)
                .is_some_and(|ce| ce.eq_ignore_ascii_case("ce-"))
                && is_clean
            {
                head += &format!("{name}: {value}\r\n");
            }
        }
        head + &format!("Content-Type: {content_type}\r\n\r\n")
    }

    /// Sends a request and reads its response: the status and the body.
    async fn exchange(&mut self, head: &str, body: &[u8]) -> std::io::Result<(u16, String)> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(&self.options.address).await?;
                stream.set_nodelay(true)?;
                self.stream.insert(stream)
            }
        };
        let mut request = Vec::with_capacity(head.len() + body.len());
        request.extend_from_slice(head.as_bytes());
        request.extend_from_slice(body);
        stream.write_all(&request).await?;
        let mut answer = Vec::new();
        let mut part = [0; 4096];
        loop {
            if let Some((status, body, is_closed)) = complete(&answer) {
                if is_closed {
                    self.stream = None;
                }
                return Ok((status, body));
            }
            let read = stream.read(&mut part).await?;
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            answer.extend_from_slice(part.get(..read).unwrap_or_default());
        }
    }
}

/// The status and the body of a complete response with a `Content-Length`, and whether the server
/// closes the connection.
fn complete(answer: &[u8]) -> Option<(u16, String, bool)> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?)
        .ok()?
        .to_ascii_lowercase();
    let header = |name: &str| {
        let mut lines = head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
    };
    let length: usize = header("content-length")?.parse().ok()?;
    let body = answer.get(end + 4..end + 4 + length)?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = String::from_utf8_lossy(body).trim().to_owned();
    Some((status, body, header("connection") == Some("close")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_when_it_is_complete() {
        let whole = b"HTTP/1.1 202 Accepted\r\nContent-Length: 3\r\n\r\n{}\n";
        assert_eq!(complete(whole), Some((202, "{}".to_owned(), false)));
        assert_eq!(complete(&whole[..whole.len() - 1]), None);
        assert_eq!(complete(b"HTTP/1.1 202 Accepted\r\n"), None);
        let closing = b"HTTP/1.1 413 Too\r\nconnection: Close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(complete(closing), Some((413, String::new(), true)));
    }
}

//! One client of a replay: sends each message at its time, whatever became of those before it.
//!
//! Acknowledgments are taken while the next message is waited for. Only if as many messages as the
//! window allows are without one does the client wait for the oldest; the messages behind it are
//! then sent late, and [`Progress`] counts how late.

use std::collections::VecDeque;
use std::time::Instant;

use tokio::sync::mpsc;
use tributary_connectors::nats::{AT_HEADER, Client, OutgoingMessage, Publisher};

use super::options::{ReplayError, ReplayOptions};
use super::pack::{Clock, Packed};
use super::progress::Progress;

/// A message with the time at which it is to be sent.
pub(crate) struct Scheduled {
    /// The time; `None` for as soon as possible.
    pub(crate) due: Option<Instant>,
    /// Its number in the run, from 1.
    pub(crate) number: u64,
    /// The message.
    pub(crate) packed: Packed,
}

/// A client of a replay.
pub(crate) struct Sender {
    client: Client,
    /// The publisher with acknowledgments, if any.
    publisher: Option<Publisher>,
    /// When each message in flight was meant to be sent, in their order.
    in_flight: VecDeque<Instant>,
    window: usize,
    clock: Clock,
    /// A random number that identifies the run.
    run: u64,
    progress: Progress,
}

impl Sender {
    /// A client for the options of a replay.
    pub(crate) fn new(client: &Client, options: &ReplayOptions, run: u64) -> Sender {
        Sender {
            client: client.clone(),
            publisher: options.window.map(|window| Publisher::new(client, window)),
            in_flight: VecDeque::new(),
            window: options.window.unwrap_or_default().max(1),
            clock: options.clock,
            run,
            progress: options.progress.clone(),
        }
    }

    /// Sends messages until there are no more, and waits for all acknowledgments.
    ///
    /// # Errors
    ///
    /// The error of the broker or of the connection, with the number of messages so far.
    pub(crate) async fn run(
        mut self,
        mut messages: mpsc::Receiver<Scheduled>,
    ) -> Result<(), ReplayError> {
        loop {
            let next = tokio::select! {
                biased;
                next = messages.recv() => next,
                () = settled(&mut self.publisher) => {
                    self.settle().await?;
                    continue;
                }
            };
            let Some(next) = next else { break };
            self.wait_until_due(next.due).await?;
            self.send(next).await?;
        }
        while !self.in_flight.is_empty() {
            self.settle().await?;
        }
        let flushed = match self.publisher {
            Some(_) => Ok(()),
            None => self.client.flush().await,
        };
        flushed.map_err(|error| self.connection_error(&error))
    }

    /// Waits for a time, and takes the acknowledgments that arrive meanwhile.
    async fn wait_until_due(&mut self, due: Option<Instant>) -> Result<(), ReplayError> {
        if let Some(due) = due {
            while Instant::now() < due {
                tokio::select! {
                    () = tokio::time::sleep_until(due.into()) => {}
                    () = settled(&mut self.publisher) => self.settle().await?,
                }
            }
        }
        // One that does not wait takes them in passing.
        while self
            .publisher
            .as_mut()
            .is_some_and(Publisher::is_oldest_settled)
        {
            self.settle().await?;
        }
        Ok(())
    }

    /// Takes the oldest acknowledgment.
    async fn settle(&mut self) -> Result<(), ReplayError> {
        let Some(publisher) = &mut self.publisher else {
            return Ok(());
        };
        publisher
            .settle_oldest()
            .await
            .map_err(|error| ReplayError::Nats {
                messages: self.progress.messages(),
                error,
            })?;
        if let Some(from) = self.in_flight.pop_front() {
            self.progress.acknowledged(from);
        }
        Ok(())
    }

    /// Sends a message now.
    async fn send(&mut self, next: Scheduled) -> Result<(), ReplayError> {
        while self.in_flight.len() >= self.window {
            self.settle().await?;
        }
        let Scheduled {
            due,
            number,
            packed,
        } = next;
        let (events, bytes, at) = (packed.events, packed.data.len() as u64, packed.at);
        let stated = (self.clock != Clock::Stream).then(|| at.to_string());
        let headers = packed.headers.into_iter();
        let headers = headers.map(|(name, value)| (name.into(), value));
        let message = OutgoingMessage {
            subject: packed.subject,
            headers: headers
                .chain(stated.map(|at| (AT_HEADER.into(), at)))
                .collect(),
            payload: packed.data.into(),
            id: (self.publisher.is_some()).then(|| format!("{:016x}-{number}", self.run)),
        };
        match &mut self.publisher {
            Some(publisher) => {
                self.in_flight.push_back(due.unwrap_or_else(Instant::now));
                let sent = publisher.send(message).await;
                sent.map_err(|error| ReplayError::Nats {
                    messages: number,
                    error,
                })?;
            }
            None => {
                let headers = message.header_map();
                let published = self
                    .client
                    .publish_with_headers(message.subject, headers, message.payload)
                    .await;
                published.map_err(|error| self.connection_error(&error))?;
            }
        }
        self.progress.sent(due, events, bytes, at);
        Ok(())
    }

    /// The error of a connection.
    fn connection_error(&self, error: &dyn std::error::Error) -> ReplayError {
        ReplayError::Connection {
            messages: self.progress.messages(),
            reason: error.to_string(),
        }
    }
}

/// Waits until the oldest message of a publisher has its acknowledgment; for ever without one.
async fn settled(publisher: &mut Option<Publisher>) {
    match publisher {
        Some(publisher) => publisher.oldest_settled().await,
        None => std::future::pending().await,
    }
}

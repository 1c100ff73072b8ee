//! Replay of a trace into NATS: at its own speed or a multiple of it, at a rate, or as fast as the
//! broker accepts it.
//!
//! The schedule is open: each message has a time, which depends on the pace alone, and is sent then,
//! whether those before it are acknowledged or not. Latency counts from that time, so that whoever
//! waits for a stalled broker counts as waiting; how late messages were sent is measured of its own,
//! and a replay that could not keep its pace says so ([`Summary::missed`]).
//!
//! Several rules depend on when a record arrives, so replaying an old trace by the broker's clock
//! would change its results. Every message therefore carries the arrival time of the trace in the
//! header `Tributary-At`, and a worker whose sources have `arrival_header = true`, as generated
//! configurations do, computes exactly the cells that `tributary replay` writes.
//!
//! Packing several events into one message is more efficient. [`Clock::Exact`] packs only events
//! with the same arrival time; the other clocks trade exactness for throughput. Packs belong to one
//! subject, so the events of a subject keep their order, which is all that corrections depend on.
//! Over several clients only the messages of one client keep it.

mod http;
mod options;
mod pace;
pub(crate) mod pack;
mod passes;
mod progress;
mod rate;
pub(crate) mod sender;
mod shift;

use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tributary_connectors::inputs::InputsError;
use tributary_connectors::nats::Client;
use tributary_connectors::trace::TraceLine;

pub use http::{HttpOptions, HttpReplayError, HttpSummary, replay_http};
pub(crate) use options::stopped;
pub use options::{ReplayError, ReplayOptions};
pub use pace::Pace;
pub use pack::Clock;
use pack::Packs;
pub use passes::{Loop, Passes, Span, span};
pub use progress::{Progress, ReplayTimes, Summary};
pub use rate::{RateCurve, RateError, length_of};
use sender::{Scheduled, Sender};
pub use shift::Shift;

/// How many messages are read ahead for a client.
const AHEAD: usize = 64;

/// Publishes messages at their times, over one client or several in turn; a single one keeps the
/// order of all messages. `seen` is called after every message that is handed to a client.
///
/// Acknowledged messages carry a `Nats-Msg-Id` that is unique to this run, so the stream stores a
/// message only once if it is sent again after a lost connection.
///
/// # Errors
///
/// The first input that cannot be read, or a message that the broker rejects permanently.
pub async fn replay(
    clients: &[Client],
    lines: impl Iterator<Item = Result<TraceLine, InputsError>>,
    options: ReplayOptions,
    mut seen: impl FnMut(&Progress),
) -> Result<Summary, ReplayError> {
    let run: u64 = rand::random();
    let (mut queues, mut tasks) = (Vec::new(), Vec::new());
    for client in clients {
        let (queue, messages) = mpsc::channel(AHEAD);
        queues.push(queue);
        tasks.push(tokio::spawn(
            Sender::new(client, &options, run).run(messages),
        ));
    }
    // The header block needs some room too, and a pack of half the largest message is large enough.
    let largest = clients.first().map_or(0, Client::max_payload) / 2;
    let mut schedule = Schedule {
        pacer: pace::Pacer::new(options.pace.clone(), options.progress.begin()),
        end: options
            .duration
            .and_then(|end| options.progress.begin().checked_add(end)),
        stop: options.stop.clone(),
        queues,
        events: 0,
        number: 0,
    };
    let mut packs = Packs::new(options.pack, largest, options.clock);
    let mut is_open = true;
    'lines: for line in lines {
        for packed in packs.add(line?) {
            is_open = schedule.add(packed).await;
            if !is_open {
                break 'lines;
            }
            seen(&options.progress);
        }
    }
    if is_open {
        for packed in packs.close() {
            if !schedule.add(packed).await {
                break;
            }
        }
    }
    drop(schedule);
    for task in tasks {
        task.await.map_err(|_| ReplayError::Ended)??;
    }
    seen(&options.progress);
    Ok(options.progress.summary())
}

/// Gives each message its time and its client.
struct Schedule {
    /// When messages are due.
    pacer: pace::Pacer,
    /// The end of the run.
    end: Option<Instant>,
    /// Becomes true at an early end.
    stop: Option<watch::Receiver<bool>>,
    /// The queues of the clients.
    queues: Vec<mpsc::Sender<Scheduled>>,
    /// Events so far.
    events: u64,
    /// Messages so far.
    number: u64,
}

impl Schedule {
    /// Hands a message to its client. Returns false if it is the first that is not to be sent, or if
    /// a client has failed.
    async fn add(&mut self, packed: pack::Packed) -> bool {
        let due = self.pacer.due(self.events, packed.at);
        let time = due.unwrap_or_else(Instant::now);
        if self.end.is_some_and(|end| time >= end) {
            return false;
        }
        self.events += packed.events;
        let place = (self.number % self.queues.len().max(1) as u64) as usize;
        self.number += 1;
        let number = self.number;
        let Some(queue) = self.queues.get(place) else {
            return false;
        };
        let sent = queue.send(Scheduled {
            due,
            number,
            packed,
        });
        match &mut self.stop {
            None => sent.await.is_ok(),
            Some(stop) => tokio::select! {
                biased;
                () = stopped(stop) => false,
                sent = sent => sent.is_ok(),
            },
        }
    }
}

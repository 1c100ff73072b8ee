//! Markers: clicks of campaigns that exist for nothing else, by which a load test measures how long a
//! record takes to become a published number.
//!
//! Each marker is one click of a campaign of its own, so that the cell that names the campaign is the
//! answer to exactly that click. It takes the path of every other click: input stream, decoder, ledger,
//! policy, identity, aggregate and gate. Another campaign, whose clicks are counted, is looked for in
//! `/metrics`, where only as many channels are shown as `http.max_series` allows.
//!
//! Markers have a schedule of their own, independent of the load's, and all three times count from the
//! intended time of the click. A marker whose cell does not come counts with the time for which it was
//! waited for, so that what is lost never makes the figures better.

mod route;
mod shared;
mod watch;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tributary_connectors::nats::{Client, subject};
use tributary_operators::cell::Family;

pub use route::{MarkerError, Route};
use shared::{MEDIUM, MOST_WAITING, SOURCE, Shared, counted_campaign, lock};

use crate::measure::{Percentiles, TimesReport};
use crate::replay::pack::{Clock, Packed};
use crate::replay::sender::{Scheduled, Sender};
use crate::replay::{Progress, ReplayError, ReplayOptions};

/// The options of markers.
#[derive(Clone, Debug)]
pub struct MarkerOptions {
    /// Where they go.
    pub route: Route,
    /// Markers per second.
    pub rate: f64,
    /// The load beside which they are sent: its start is theirs, and without a `clock` of the stream
    /// they arrive when its newest message did.
    pub load: Progress,
    /// Which time of arrival they state.
    pub clock: Clock,
    /// The address of the worker's `/metrics` as `host:port`, if it is to be watched.
    pub metrics: Option<String>,
    /// The token for it.
    pub token: Option<String>,
}

/// The figures of markers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MarkerReport {
    /// Markers that were sent.
    pub sent: u64,
    /// Markers whose cell did not come.
    pub unseen: u64,
    /// From the intended time of a marker to the input stream's acknowledgment.
    pub to_acknowledgment: TimesReport,
    /// From the intended time of a marker to its cell on NATS.
    pub to_cell: TimesReport,
    /// From the intended time of a marker to its number in `/metrics`, to a tenth of a
    /// second; `None` if no number of a marker came there.
    pub to_metrics: Option<TimesReport>,
}

/// Markers that run beside a load.
pub struct Markers {
    shared: Arc<Mutex<Shared>>,
    /// What the sender of the markers has sent.
    progress: Progress,
    sending: JoinHandle<Result<(), ReplayError>>,
    generating: JoinHandle<()>,
    watching: Vec<JoinHandle<()>>,
}

impl Markers {
    /// Starts to send markers and to watch for their cells. `client` should be a connection of their own,
    /// on which no load waits before them.
    ///
    /// # Errors
    ///
    /// The broker does not let the cells be watched.
    pub async fn start(client: Client, options: MarkerOptions) -> Result<Markers, ReplayError> {
        let run = format!("{:08x}", rand::random::<u32>());
        let shared = Arc::new(Mutex::new(Shared {
            run: run.clone(),
            begin: Some(options.load.begin()),
            ..Shared::default()
        }));
        let cells = format!(
            "tributary.out.{}.{}.*",
            options.route.brand,
            Family::CampaignDay.name()
        );
        debug_assert!(subject::covers(subject::OUTPUT, &cells));
        let failed = |error: &dyn std::error::Error| ReplayError::Connection {
            messages: 0,
            reason: format!("watching for cells: {error}"),
        };
        let subscription = client.subscribe(cells).await;
        let subscription = subscription.map_err(|error| failed(&error))?;
        // The broker knows of the subscription before the first marker is sent.
        client.flush().await.map_err(|error| failed(&error))?;
        let mut watching = vec![tokio::spawn(watch::cells(subscription, shared.clone()))];
        if let Some(address) = options.metrics.clone() {
            let token = options.token.clone();
            watching.push(tokio::spawn(watch::metrics(address, token, shared.clone())));
        }
        // Its start is that of the load, so that their intervals are the same.
        let progress = options.load.sibling();
        let sender = ReplayOptions {
            clock: options.clock,
            window: Some(MOST_WAITING),
            progress: progress.clone(),
            ..ReplayOptions::default()
        };
        let (queue, messages) = mpsc::channel(1);
        let sender = Sender::new(&client, &sender, rand::random());
        Ok(Markers {
            sending: tokio::spawn(sender.run(messages)),
            generating: tokio::spawn(generate(options, queue, shared.clone())),
            shared,
            progress,
            watching,
        })
    }

    /// The figures so far; markers that are waited for do not count.
    pub fn report(&self) -> MarkerReport {
        let shared = lock(&self.shared);
        MarkerReport {
            sent: shared.sent,
            unseen: shared.unseen,
            to_acknowledgment: self.progress.times().latency,
            to_cell: shared.to_cell.report(),
            to_metrics: (shared.shown > 0).then(|| shared.to_metrics.report()),
        }
    }

    /// The times from markers to cells so far.
    pub fn to_cell(&self) -> Percentiles {
        lock(&self.shared).to_cell.percentiles()
    }

    /// Stops sending, waits for what is under way for at most `patience`, and returns the figures.
    ///
    /// # Errors
    ///
    /// A marker that the broker does not take.
    pub async fn finish(mut self, patience: Duration) -> Result<MarkerReport, ReplayError> {
        self.generating.abort();
        let _ = (&mut self.generating).await;
        let end = Instant::now() + patience;
        let sent = (&mut self.sending).await.map_err(|_| ReplayError::Ended)?;
        while sent.is_ok() && Instant::now() < end && !lock(&self.shared).is_complete() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for task in &self.watching {
            task.abort();
        }
        let mut shared = lock(&self.shared);
        let left: Vec<u64> = shared.waiting.keys().copied().collect();
        for number in left {
            shared.give_up(number);
        }
        if shared.shown > 0 {
            // What it did not show counts as shown now, with all the time that was waited.
            shared.shows(u64::MAX);
        }
        drop(shared);
        sent.map(|()| self.report())
    }
}

/// Sends markers at their times, for ever.
async fn generate(
    options: MarkerOptions,
    queue: mpsc::Sender<Scheduled>,
    shared: Arc<Mutex<Shared>>,
) {
    let begin = options.load.begin();
    let run = lock(&shared).run.clone();
    // Before the first message of a trace there is no time that a marker could state: one of the present
    // would move the clock of the brand past the whole trace.
    while options.clock != Clock::Stream && options.load.trace_time().is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Whoever starts late does not begin with all that was due before.
    let first = (begin.elapsed().as_secs_f64() * options.rate).ceil() as u64;
    let mut counted: Option<u64> = None;
    for number in first.. {
        let after = Duration::try_from_secs_f64(number as f64 / options.rate);
        let Some(due) = after.ok().and_then(|after| begin.checked_add(after)) else {
            return;
        };
        tokio::time::sleep_until(due.into()).await;
        let at = match options.clock {
            Clock::Stream => None,
            Clock::Exact | Clock::Last => options.load.trace_time(),
        };
        let at = at.unwrap_or_else(|| jiff::Timestamp::now().as_millisecond());
        let mut records = vec![record(
            &run,
            &number.to_string(),
            &format!("{run}-{number}"),
            at,
        )];
        // One of the counted campaign in each second.
        let second = due.saturating_duration_since(begin).as_secs();
        let is_counted = options.metrics.is_some() && counted != Some(second);
        if is_counted {
            counted = Some(second);
            records.push(record(
                &run,
                &format!("c{second}"),
                &counted_campaign(&run),
                at,
            ));
        }
        {
            let mut shared = lock(&shared);
            shared.sent += 1;
            shared.waiting.insert(number, due);
            if is_counted {
                shared.counted.push_back(due);
            }
            if shared.waiting.len() > MOST_WAITING
                && let Some(oldest) = shared.waiting.keys().next().copied()
            {
                shared.give_up(oldest);
            }
        }
        let scheduled = Scheduled {
            due: Some(due),
            number: number + 1,
            packed: Packed {
                subject: options.route.subject.clone(),
                at,
                headers: Vec::new(),
                events: records.len() as u64,
                data: records.join("\n").into_bytes(),
            },
        };
        if queue.send(scheduled).await.is_err() {
            return;
        }
    }
}

/// The record of a marker.
fn record(run: &str, number: &str, campaign: &str, at: i64) -> String {
    format!(
        r#"{{"id":"loadtest-{run}-{number}","ts":{at},"type":"click","cookie":"loadtest-{run}-{number}","source":"{SOURCE}","medium":"{MEDIUM}","campaign":"{campaign}"}}"#
    )
}

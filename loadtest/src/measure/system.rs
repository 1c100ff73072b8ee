//! The system under test, looked at once a second: what the worker tells in `/metrics`, and what the
//! kernel tells of the processes of worker and broker.
//!
//! Counters are kept as they are read, so that a report can compute a rate over any time, and a
//! sample that could not be taken leaves a gap and no zero. The number of samples is bounded: beyond
//! [`MOST`] every second one is dropped, and samples are taken half as often.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::process::{self, Process};
use super::prometheus;

/// The maximum number of samples.
const MOST: usize = 7_200;

/// What is to be looked at.
#[derive(Clone, Debug, Default)]
pub struct SystemOptions {
    /// The worker's `/metrics` as `host:port`.
    pub metrics: Option<String>,
    /// The token for it.
    pub token: Option<String>,
    /// The process of the broker, if it runs on this machine.
    pub broker: Option<u32>,
}

/// The system at one time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds from the start of the run.
    pub second: f64,
    /// What the worker reported; `None` if it did not answer.
    pub worker: Option<Worker>,
    /// The process of the broker; `None` without one on this machine.
    pub broker: Option<Process>,
    /// The process of the load test itself.
    pub loadtest: Option<Process>,
}

/// What a worker tells of itself. Totals are since its start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    /// The process.
    pub process: Process,
    /// Messages read from the input stream.
    pub messages: f64,
    /// Records and pings accepted.
    pub records: f64,
    /// Messages in the input stream that have not been read.
    pub pending: f64,
    /// How far closed epochs trail the input, seconds.
    pub lag_seconds: f64,
    /// How long messages are collected into an epoch, seconds.
    pub tick_seconds: f64,
    /// Epochs that were closed, and the seconds that they took together.
    pub epochs: (f64, f64),
    /// Commits of the ledger, and the seconds that they took together.
    pub commits: (f64, f64),
    /// Cells published to the broker.
    pub cells_published: f64,
    /// Cells whose newest value the broker has not acknowledged.
    #[serde(default)]
    pub cells_unacknowledged: f64,
    /// Updates that each operator received, and the seconds in which it worked, where the worker
    /// tells.
    pub operators: BTreeMap<String, (f64, f64)>,
}

impl Worker {
    /// Reads the text of `/metrics`; `None` if it is not that of a worker.
    pub fn read(text: &str) -> Option<Worker> {
        let mut worker = Worker::default();
        let mut is_worker = false;
        for sample in prometheus::samples(text) {
            let value = sample.value;
            let total = match sample.name.strip_prefix("tributary_").unwrap_or_default() {
                "input_messages_total" => {
                    is_worker = true;
                    &mut worker.messages
                }
                "records_accepted_total" => &mut worker.records,
                "input_pending_messages" => &mut worker.pending,
                "lag_seconds" => &mut worker.lag_seconds,
                "tick_seconds" => &mut worker.tick_seconds,
                "epoch_duration_seconds_count" => &mut worker.epochs.0,
                "epoch_duration_seconds_sum" => &mut worker.epochs.1,
                "ledger_commit_duration_seconds_count" => &mut worker.commits.0,
                "ledger_commit_duration_seconds_sum" => &mut worker.commits.1,
                "cells_published_total" => &mut worker.cells_published,
                "cells_unacknowledged" => &mut worker.cells_unacknowledged,
                "process_cpu_seconds_total" => &mut worker.process.cpu_seconds,
                "process_resident_memory_bytes" => {
                    worker.process.memory_bytes += value as u64;
                    continue;
                }
                "operator_updates_total" | "operator_busy_seconds_total" => {
                    let name = sample.label("operator").unwrap_or("other").to_owned();
                    let operator = worker.operators.entry(name).or_default();
                    match sample.name.ends_with("updates_total") {
                        true => &mut operator.0,
                        false => &mut operator.1,
                    }
                }
                _ => continue,
            };
            *total += value;
        }
        is_worker.then_some(worker)
    }
}

/// Samples the system until it is stopped.
pub struct System {
    samples: Arc<Mutex<Vec<Sample>>>,
    task: JoinHandle<()>,
}

impl System {
    /// Starts to sample; `begin` is the start of the run. Call it within a runtime.
    pub fn start(options: SystemOptions, begin: Instant) -> System {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(watch(options, begin, samples.clone()));
        System { samples, task }
    }

    /// The samples so far.
    pub fn samples(&self) -> Vec<Sample> {
        let samples = self.samples.lock();
        samples.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last sample in which the worker answered.
    pub fn worker(&self) -> Option<Worker> {
        let samples = self.samples.lock();
        let samples = samples.unwrap_or_else(PoisonError::into_inner);
        samples
            .iter()
            .rev()
            .find_map(|sample| sample.worker.clone())
    }

    /// Stops sampling, and returns the samples.
    pub fn finish(self) -> Vec<Sample> {
        self.task.abort();
        self.samples()
    }
}

/// Takes a sample every second.
async fn watch(options: SystemOptions, begin: Instant, samples: Arc<Mutex<Vec<Sample>>>) {
    let mut every = Duration::from_secs(1);
    loop {
        let taken = Instant::now();
        let worker = match &options.metrics {
            None => None,
            Some(address) => {
                let text = prometheus::get(address, "/metrics", options.token.as_deref()).await;
                text.ok().and_then(|text| Worker::read(&text))
            }
        };
        let sample = Sample {
            second: taken.saturating_duration_since(begin).as_secs_f64(),
            worker,
            broker: options.broker.and_then(process::of),
            loadtest: process::of(std::process::id()),
        };
        {
            let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
            samples.push(sample);
            if samples.len() >= MOST {
                let mut place = 0_usize;
                samples.retain(|_| {
                    place += 1;
                    place % 2 == 1
                });
                every *= 2;
            }
        }
        let next =
            begin + every * (begin.elapsed().as_secs_f64() / every.as_secs_f64()) as u32 + every;
        tokio::time::sleep_until(next.into()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_read_from_its_metrics() {
        let text = "tributary_input_messages_total 7\n\
                    tributary_records_accepted_total{brand=\"a\",kind=\"web\"} 3\n\
                    tributary_records_accepted_total{brand=\"a\",kind=\"ping\"} 4\n\
                    tributary_epoch_duration_seconds_sum 0.5\ntributary_epoch_duration_seconds_count 10\n\
                    tributary_process_resident_memory_bytes 1048576\n\
                    tributary_operator_updates_total{operator=\"Person\",thread=\"0\"} 5\n\
                    tributary_operator_updates_total{operator=\"Person\",thread=\"1\"} 6\n\
                    tributary_operator_busy_seconds_total{operator=\"Person\",thread=\"0\"} 0.25\n";
        let worker = Worker::read(text).unwrap();
        assert_eq!(
            (worker.messages, worker.records, worker.epochs),
            (7.0, 7.0, (10.0, 0.5))
        );
        assert_eq!(worker.process.memory_bytes, 1 << 20);
        assert_eq!(worker.operators["Person"], (11.0, 0.25));
        assert_eq!(Worker::read("go_goroutines 5\n"), None);
    }
}

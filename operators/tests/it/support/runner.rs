//! Runs the dataflow on a number of workers, each of which executes a script.
//!
//! All input, ends of epochs and restarts of a test go through a [`Runner`]; [`play`] runs a
//! history with its releases and restarts.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use timely::worker::Worker;
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::cells::Standing;
use tributary_operators::consent_counts::PublishedConsents;
use tributary_operators::dataflow::{Dataflow, Output, Tokenized, build};
use tributary_operators::engine::Epoch;
use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, Day, DeviceDay, Ping};
use tributary_operators::salt::Salt;
use tributary_operators::settings::Settings;
use tributary_operators::stats::Snapshot;

use super::announcer::{Announcer, Unused};

/// One worker of a run.
pub struct Runner<'a> {
    worker: &'a mut Worker,
    /// The dataflow of the worker.
    pub dataflow: Dataflow,
    /// The index of the worker.
    pub index: usize,
    /// The number of workers.
    pub peers: usize,
    /// The current epoch.
    epoch: Epoch,
    /// The outputs since the last call of [`Self::take_outputs`].
    outputs: Rc<RefCell<Vec<(Epoch, Output)>>>,
    /// The labels that the dataflow reported as unused.
    unused: Rc<RefCell<Unused>>,
    /// The announced label names.
    announcer: Announcer,
}

/// Runs the dataflow on a number of workers, and returns the result of the script of each.
pub fn on_workers<T: Send + 'static>(
    settings: &Settings,
    workers: usize,
    script: impl Fn(&mut Runner) -> T + Send + Sync + 'static,
) -> Vec<T> {
    let settings = Arc::new(settings.clone());
    let config = match workers {
        1 => timely::Config::thread(),
        n => timely::Config::process(n),
    };
    let guards = timely::execute(config, move |worker| {
        let (index, peers) = (worker.index(), worker.peers());
        let outputs = Rc::new(RefCell::new(Vec::new()));
        let unused = Rc::new(RefCell::new(Unused::new()));
        let (sink, words) = (outputs.clone(), unused.clone());
        let dataflow = build(
            worker,
            settings.clone(),
            move |epoch, output| match output {
                Output::Unused(brand, label) => {
                    words.borrow_mut().insert((brand, label), epoch);
                }
                output => sink.borrow_mut().push((epoch, output)),
            },
        );
        script(&mut Runner {
            worker,
            dataflow,
            index,
            peers,
            epoch: 0,
            outputs,
            unused,
            announcer: Announcer::default(),
        })
    });
    let results = guards.expect("the dataflow runs").join().into_iter();
    results
        .map(|result| result.expect("the worker ends"))
        .collect()
}

impl Runner<'_> {
    /// Restores the salts of all days with pings, those by which the oracle knows which devices
    /// count, and completes the restore.
    pub fn start<'e>(&mut self, events: impl Iterator<Item = &'e Event>) {
        let events: Vec<&Event> = events.collect();
        self.announcer = Announcer::new(events.iter().copied());
        let of = |event: &Event| match event {
            Event::Ping { ping } => Some((ping.brand, ping.salt_day)),
            Event::DropDevice { device } => Some((device.brand, device.salt_day)),
            _ => None,
        };
        let days: BTreeSet<(BrandId, Day)> = events.into_iter().filter_map(of).collect();
        for (brand, day) in days {
            let salt = Salt::from_bytes(tributary_oracle::device_limit::salt(brand, day));
            self.dataflow.restore_salt(brand, day, salt);
        }
        self.dataflow.finish_restore();
    }

    /// Withdraws unused label names, and applies this worker's share of some events.
    pub fn put(&mut self, events: &[Event]) {
        let unused = std::mem::take(&mut *self.unused.borrow_mut());
        self.announcer.withdraw(&mut self.dataflow, &unused);
        let share = events.iter().skip(self.index).step_by(self.peers);
        share.for_each(|event| self.put_in(event));
    }

    /// Applies an event; a ping once its salt is known, as a worker does.
    fn put_in(&mut self, event: &Event) {
        self.announcer
            .announce(&mut self.dataflow, event, self.epoch);
        match event {
            // It is announced where it is used.
            Event::LabelName { .. } => {}
            Event::Ping { ping } => {
                if let Some(ping) = self.tokenize(*ping) {
                    self.dataflow.apply(ping);
                }
            }
            // A history names a device by what it is hashed to, and a worker by its token.
            Event::DropDevice { device } => {
                let ping = Ping {
                    brand: device.brand,
                    store: device.store,
                    device: device.token.0,
                    random: false,
                    salt_day: device.salt_day,
                    second: 0,
                    utc_offset: 0,
                    rssi: 0,
                    offline_cookie: None,
                };
                if let Some(Event::TokenizedPing { ping }) = self.tokenize(ping) {
                    let device = DeviceDay {
                        token: ping.token,
                        ..*device
                    };
                    self.dataflow.apply(Event::DropDevice { device });
                }
            }
            _ => self.dataflow.apply(event.clone()),
        }
    }

    /// Replaces the device of a ping by its token, or returns `None` if the salt day is closed.
    fn tokenize(&mut self, ping: Ping) -> Option<Event> {
        loop {
            match self.dataflow.tokenize(ping) {
                Tokenized::Ping(ping) => return Some(Event::TokenizedPing { ping }),
                Tokenized::Closed => return None,
                Tokenized::Pending(_) => {
                    self.worker.step_or_park(Some(Duration::from_micros(200)));
                }
            }
        }
    }

    /// Ends a number of epochs, and waits until all workers have completed them. Returns the epoch
    /// that begins.
    pub fn end(&mut self, epochs: u64) -> Epoch {
        self.epoch += epochs;
        self.dataflow.advance_to(self.epoch);
        while !self.dataflow.is_done_before(self.epoch) {
            self.worker.step_or_park(Some(Duration::from_micros(200)));
        }
        self.epoch
    }

    /// The outputs of this worker since the last call, with their epochs.
    pub fn take_outputs(&mut self) -> Vec<(Epoch, Output)> {
        std::mem::take(&mut *self.outputs.borrow_mut())
    }
}

/// The events of each step, and the time of the release after them, Unix milliseconds.
pub type Steps = Vec<(Vec<Event>, i64)>;

/// The results of a history.
#[derive(Default)]
pub struct Played {
    /// The cells published in each step, sorted, each with whether it differs from the published
    /// state.
    pub published: Vec<Vec<(Cell, bool)>>,
    /// The messages of each step, closed cells included.
    pub messages: Vec<Vec<Message>>,
    /// The published numbers of identifiers that allow and refuse each use, after each step.
    pub consents: Vec<PublishedConsents>,
    /// The final counters of all workers.
    pub counts: Snapshot,
    /// The final number of entries of each operator, by worker.
    pub sizes: Vec<BTreeMap<&'static str, usize>>,
    /// The cells outside at the end, closed ones included.
    pub outside: Vec<Message>,
    /// The number of withdrawn label names.
    pub withdrawn: usize,
}

/// Runs events and releases. With restored messages, the first step is a restart.
pub fn play(
    settings: &Settings,
    workers: usize,
    restored: &[Message],
    steps: &[(Vec<Event>, i64)],
) -> Played {
    play_changing([settings, settings], 0, workers, restored, steps)
}

/// A cell of the output stream, the time of its release, Unix milliseconds, and how it was published, if that is known.
pub type Message = (Cell, i64, Option<Standing>);

/// Runs events and releases after a restart. If the second settings are others, they replace the first before the step `change`. If
/// that is the second step, the restored cells are reconciled in it, not in the first.
pub fn play_changing(
    [settings, then]: [&Settings; 2],
    change: usize,
    workers: usize,
    restored: &[Message],
    steps: &[(Vec<Event>, i64)],
) -> Played {
    let then = (!std::ptr::eq(settings, then)).then(|| Arc::new(then.clone()));
    let mut played = Played {
        published: vec![Vec::new(); steps.len()],
        messages: vec![Vec::new(); steps.len()],
        consents: vec![PublishedConsents::new(); steps.len()],
        ..Played::default()
    };
    let restored_outside = restored;
    let (restored, steps) = (restored.to_vec(), Arc::new(steps.to_vec()));
    let of_workers = on_workers(settings, workers, move |runner| {
        if runner.index == 0 {
            let restored = restored.iter().cloned();
            restored.for_each(|(cell, at, standing)| {
                runner.dataflow.restore_cell(cell, at, standing);
            });
        }
        runner.start(steps.iter().flat_map(|(events, _)| events));
        let mut consents = Vec::new();
        for (step, (events, now)) in steps.iter().enumerate() {
            if let Some(then) = then.clone().filter(|_| step == change) {
                runner.dataflow.change_settings(then);
            }
            runner.put(events);
            if runner.index == 0 {
                runner.dataflow.release(*now);
            }
            if step == usize::from(then.is_some() && change == 1) {
                runner.dataflow.reconcile_restored();
            }
            // A batch leaves in the epoch behind its release, which belongs to the same step.
            runner.end(2);
            consents.push(runner.dataflow.stats.published_consents());
        }
        let counts = runner.dataflow.stats.snapshot();
        let sizes = runner.dataflow.sizes.all();
        let withdrawn = runner.announcer.withdrawn;
        (runner.take_outputs(), consents, counts, sizes, withdrawn)
    });
    let outside = restored_outside.iter().cloned();
    let mut outside: BTreeMap<(Family, Vec<Dim>), Message> = outside
        .map(|message| ((message.0.family, message.0.dims.clone()), message))
        .collect();
    for (outputs, consents, counts, sizes, withdrawn) in of_workers {
        played.withdrawn += withdrawn;
        for (epoch, output) in outputs {
            if let Output::Cell {
                cell,
                is_new,
                released,
                standing,
            } = output
            {
                let step = epoch as usize / 2;
                if is_new {
                    let name = (cell.family, cell.dims.clone());
                    let message = (cell.clone(), released, Some(standing));
                    played.messages[step].push(message.clone());
                    outside.insert(name, message);
                }
                played.published[step].push((cell, is_new));
            }
        }
        // What the workers tell adds up.
        for (all, own) in played.consents.iter_mut().zip(consents) {
            for (step, [allow, refuse]) in own {
                let [allowed, refused] = all.entry(step).or_default();
                (*allowed, *refused) = (*allowed + allow, *refused + refuse);
            }
        }
        played.counts = played.counts + counts;
        played.sizes.push(sizes);
    }
    played.outside = outside.into_values().collect();
    played
        .published
        .iter_mut()
        .for_each(|published| published.sort_unstable());
    played
}

//! Profile: what each operator of a worker does and keeps.
//!
//! The time comes from Timely's own event stream: it reports when the worker starts and stops each operator. An operator
//! that contains others, as the dataflow itself does, has only the time outside of them. Operators without state, such as
//! exchanges and splits, are many and small; [`Profiler::profile`] adds them up as [`OTHER`], so that the names are a closed
//! set.
//!
//! Only the clock of the worker's log is read, and nothing here reaches an output, so that results do not depend on time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use timely::logging::{StartStop, TimelyEvent, TimelyEventBuilder};
use timely::worker::Worker;

use super::sizes::{OperatorProfile, Profile, StateSizes};

/// The name of all operators without state together.
pub const OTHER: &str = "other";

/// For how long a step counts as recent: at least this long, and at most twice as long.
const RECENT: Duration = Duration::from_secs(60);

/// Collects the times of a worker's operators.
#[derive(Clone, Default)]
pub struct Profiler(Rc<RefCell<Times>>);

impl Profiler {
    /// Listens to the events of a worker. Operators that exist already have no name, so this comes before any dataflow.
    pub fn attach(worker: &Worker) -> Profiler {
        let profiler = Profiler::default();
        if let Some(mut log) = worker.log_register() {
            let times = profiler.0.clone();
            log.insert::<TimelyEventBuilder, _>("timely", move |_, events| {
                for (at, event) in events.iter_mut().flat_map(|events| events.drain(..)) {
                    times.borrow_mut().receive(at, event);
                }
            });
        }
        profiler
    }

    /// The profile as of the last events that the worker has reported.
    pub fn profile(&self, sizes: &StateSizes) -> Profile {
        let mut profile = sizes.profile();
        for (name, step) in self.0.borrow().steps.values() {
            let known = profile.keys().find(|known| **known == name.as_str());
            let of = profile.entry(known.copied().unwrap_or(OTHER)).or_default();
            of.add(&OperatorProfile {
                busy: step.busy,
                longest: step.longest,
                recent: step.recent.max(step.before),
                ..OperatorProfile::default()
            });
        }
        profile
    }
}

/// The times of the operators of a worker.
#[derive(Default)]
struct Times {
    /// The name and the times of each operator, by its number.
    steps: BTreeMap<usize, (String, Step)>,
    /// The operators that run, the outer ones first: when each started, and the time of those within it.
    running: Vec<(usize, Duration, Duration)>,
    /// Since when steps are the most recent ones.
    since: Duration,
}

/// The times of one operator.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    busy: Duration,
    longest: Duration,
    /// The longest step since `since`.
    recent: Duration,
    /// The longest step of the interval before.
    before: Duration,
}

impl Times {
    /// Applies an event at a time since the start of the log.
    fn receive(&mut self, at: Duration, event: TimelyEvent) {
        match event {
            TimelyEvent::Operates(operator) => {
                let named = (operator.name, Step::default());
                self.steps.insert(operator.id, named);
            }
            TimelyEvent::Schedule(of) if of.start_stop == StartStop::Start => {
                self.running.push((of.id, at, Duration::ZERO));
            }
            TimelyEvent::Schedule(of) => self.stop(of.id, at),
            _ => {}
        }
    }

    /// Ends the step of an operator. The inner ones have ended.
    fn stop(&mut self, id: usize, at: Duration) {
        let Some((_, started, within)) = self.running.pop_if(|(running, ..)| *running == id) else {
            return;
        };
        if at >= self.since + RECENT {
            self.since = at;
            for (_, step) in self.steps.values_mut() {
                step.before = std::mem::take(&mut step.recent);
            }
        }
        let whole = at.saturating_sub(started);
        if let Some((_, _, inner)) = self.running.last_mut() {
            *inner += whole;
        }
        let own = whole.saturating_sub(within);
        if let Some((_, step)) = self.steps.get_mut(&id) {
            step.busy += own;
            step.longest = step.longest.max(own);
            step.recent = step.recent.max(own);
        }
    }
}

#[cfg(test)]
mod tests {
    use differential_dataflow::input::Input;
    use timely::logging::{OperatesEvent, ScheduleEvent};

    use super::super::{Diff, Epoch, KeyedOperator, keyed};
    use super::*;

    fn named(times: &mut Times, id: usize, name: &str) {
        let name = name.to_owned();
        let operator = OperatesEvent {
            id,
            addr: vec![id],
            name,
        };
        times.receive(Duration::ZERO, operator.into());
    }

    fn at(times: &mut Times, millis: u64, event: ScheduleEvent) {
        times.receive(Duration::from_millis(millis), event.into());
    }

    #[test]
    fn an_outer_operator_has_only_the_time_outside_of_the_inner_ones() {
        let mut times = Times::default();
        named(&mut times, 0, "Dataflow");
        named(&mut times, 1, "Inner");
        at(&mut times, 10, ScheduleEvent::start(0));
        at(&mut times, 12, ScheduleEvent::start(1));
        at(&mut times, 17, ScheduleEvent::stop(1));
        at(&mut times, 17, ScheduleEvent::start(1));
        at(&mut times, 20, ScheduleEvent::stop(1));
        at(&mut times, 21, ScheduleEvent::stop(0));
        let millis = |id: usize| {
            let step = times.steps[&id].1;
            (step.busy.as_millis(), step.longest.as_millis())
        };
        assert_eq!((millis(0), millis(1)), ((3, 3), (8, 5)));
    }

    #[test]
    fn a_long_step_is_recent_for_a_minute_or_two() {
        let mut times = Times::default();
        named(&mut times, 1, "One");
        let step = |times: &mut Times, from: u64, millis: u64| {
            at(times, from, ScheduleEvent::start(1));
            at(times, from + millis, ScheduleEvent::stop(1));
            let step = times.steps[&1].1;
            step.recent.max(step.before).as_millis()
        };
        assert_eq!(step(&mut times, 0, 500), 500);
        assert_eq!(step(&mut times, 59_000, 1), 500);
        assert_eq!(step(&mut times, 61_000, 2), 500);
        assert_eq!(step(&mut times, 122_000, 3), 3);
        assert_eq!(times.steps[&1].1.longest.as_millis(), 500);
    }

    /// Keeps every number.
    struct Keep(Vec<u64>);

    impl KeyedOperator for Keep {
        type In = u64;
        type Out = u64;
        const NAME: &'static str = "Keep";

        fn route(number: &u64) -> u64 {
            *number
        }

        fn entries(&self) -> usize {
            self.0.len()
        }

        fn bytes(&self) -> usize {
            super::super::vec_bytes(&self.0)
        }

        fn apply_epoch(&mut self, _: Epoch, new: Vec<(u64, Diff)>, _: &mut Vec<(u64, Diff)>) {
            self.0.extend(new.into_iter().map(|(number, _)| number));
        }
    }

    #[test]
    fn a_worker_reports_the_operators_by_name() {
        let profile = timely::execute_directly(|worker| {
            let profiler = Profiler::attach(worker);
            let sizes = StateSizes::default();
            let mut input = worker.dataflow(|scope| {
                let (input, numbers) = scope.new_collection();
                keyed(numbers, Keep(Vec::new()), &sizes);
                input
            });
            (0..1_000).for_each(|number| input.update(number, 1));
            drop(input);
            while worker.step() {}
            if let Some(mut log) = worker.log_register() {
                log.flush();
            }
            profiler.profile(&sizes)
        });
        assert_eq!(profile.keys().copied().collect::<Vec<_>>(), ["Keep", OTHER]);
        let keep = profile["Keep"];
        assert_eq!((keep.updates, keep.entries), (1_000, 1_000));
        assert!(keep.bytes >= 8_000 && keep.busy > Duration::ZERO);
        assert!(keep.longest <= keep.busy);
    }
}

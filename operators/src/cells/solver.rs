//! The solver: a thread beside a worker that looks at months and solves their Markov chains.
//!
//! Either may take some tenths of a second, and the worker thread also reads input. So the worker hands them to the
//! solver, keeps the epoch open, and is woken when one is done. The thread starts with the first task and ends with
//! the operator. If no thread can be started the worker does them itself.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use crate::aggregate::MonthGroup;
use crate::attribution::markov::{MonthChain, Solved};
use crate::cells::ladder::{Look, LookResult};
use crate::engine::WakeFn;

/// What there is to do for a month.
pub(super) enum Task {
    /// To solve its chain.
    Chain(MonthChain),
    /// To look at it.
    Look(Box<Look>),
}

/// What was done for a month.
pub(super) enum Answer {
    /// The solution of its chain.
    Chain(Solved),
    /// What a look at it has found.
    Look(Box<LookResult>),
}

impl Task {
    /// Does it. What the task shares with the worker is dropped, so that the worker owns it again.
    fn run(self) -> Answer {
        match self {
            Task::Chain(chain) => Answer::Chain(chain.solve()),
            Task::Look(look) => Answer::Look(Box::new(look.run())),
        }
    }
}

/// The connection to the thread, and the number of tasks in flight.
#[derive(Default)]
pub(super) struct Solver {
    /// The running thread, from the first task on.
    thread: Option<Thread>,
    /// The number of tasks in flight.
    away: usize,
    /// Whether no thread could be started.
    is_alone: bool,
}

/// The channels of a running thread.
struct Thread {
    /// Tasks.
    to: Sender<(MonthGroup, Task)>,
    /// Answers, in the order of the tasks.
    from: Receiver<(MonthGroup, Answer)>,
}

impl Solver {
    /// Hands a task for a month to the thread, which calls `wake` when it is done.
    ///
    /// Returns the answer at once if no thread can be started, or if it has ended.
    pub(super) fn hand_over(
        &mut self,
        group: MonthGroup,
        task: Task,
        wake: &WakeFn,
    ) -> Option<Answer> {
        if self.thread.is_none() && !self.is_alone {
            self.thread = Thread::start(wake.clone());
            self.is_alone = self.thread.is_none();
        }
        let sent = match &self.thread {
            Some(thread) => thread.to.send((group, task)).map_err(|back| back.0.1),
            None => Err(task),
        };
        match sent {
            Ok(()) => {
                self.away += 1;
                None
            }
            Err(task) => Some(task.run()),
        }
    }

    /// Takes the answers that have arrived since the last call, without blocking.
    pub(super) fn answers(&mut self) -> Vec<(MonthGroup, Answer)> {
        let Some(thread) = &self.thread else {
            return Vec::new();
        };
        let mut answers = Vec::new();
        loop {
            match thread.from.try_recv() {
                Ok(back) => answers.push(back),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    // The tasks in flight are lost, and the worker does them itself.
                    (self.thread, self.is_alone, self.away) = (None, true, 0);
                    return answers;
                }
            }
        }
        self.away -= answers.len();
        answers
    }

    /// Whether tasks are in flight, so that the epoch must stay open.
    pub(super) fn is_busy(&self) -> bool {
        self.away > 0
    }
}

impl Thread {
    /// Starts the thread, or returns `None` if the system refuses. The thread ends when its input
    /// channel is closed.
    fn start(wake: WakeFn) -> Option<Thread> {
        let (to, tasks) = channel::<(MonthGroup, Task)>();
        let (results, from) = channel();
        let work = move || {
            for (group, task) in tasks {
                if results.send((group, task.run())).is_err() {
                    return;
                }
                wake();
            }
        };
        let builder = std::thread::Builder::new().name("solver".into());
        builder.spawn(work).ok()?;
        Some(Thread { to, from })
    }
}

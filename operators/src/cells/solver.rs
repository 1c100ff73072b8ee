//! The solver: a thread beside a worker that solves the Markov chains of months.
//!
//! A chain takes up to some tenths of a second, and the worker thread also reads input. So the worker hands chains to the
//! solver, keeps the epoch open, and is woken when one has been solved. The thread starts with the first chain and ends with
//! the operator. If no thread can be started the worker solves chains itself.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use crate::aggregate::MonthGroup;
use crate::attribution::markov::{MonthChain, Solved};
use crate::engine::WakeFn;

/// The connection to the thread, and the number of chains in flight.
#[derive(Default)]
pub(super) struct Solver {
    /// The running thread, from the first chain on.
    thread: Option<Thread>,
    /// The number of chains in flight.
    away: usize,
    /// Whether no thread could be started.
    is_alone: bool,
}

/// The channels of a running thread.
struct Thread {
    /// Chains to solve.
    to: Sender<(MonthGroup, MonthChain)>,
    /// Solutions, in the order of the chains.
    from: Receiver<(MonthGroup, Solved)>,
}

impl Solver {
    /// Hands the chain of a group to the thread, which calls `wake` when it is solved.
    ///
    /// Returns the solution at once if no thread can be started, or if it has ended.
    pub(super) fn hand_over(
        &mut self,
        group: MonthGroup,
        chain: MonthChain,
        wake: &WakeFn,
    ) -> Option<Solved> {
        if self.thread.is_none() && !self.is_alone {
            self.thread = Thread::start(wake.clone());
            self.is_alone = self.thread.is_none();
        }
        let sent = match &self.thread {
            Some(thread) => thread.to.send((group, chain)).map_err(|back| back.0.1),
            None => Err(chain),
        };
        match sent {
            Ok(()) => {
                self.away += 1;
                None
            }
            Err(chain) => Some(chain.solve()),
        }
    }

    /// Takes the solutions that have arrived since the last call, without blocking.
    pub(super) fn solved(&mut self) -> Vec<(MonthGroup, Solved)> {
        let Some(thread) = &self.thread else {
            return Vec::new();
        };
        let mut solved = Vec::new();
        loop {
            match thread.from.try_recv() {
                Ok(back) => solved.push(back),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    // The chains in flight are lost, and the worker solves them again.
                    (self.thread, self.is_alone, self.away) = (None, true, 0);
                    return solved;
                }
            }
        }
        self.away -= solved.len();
        solved
    }

    /// Whether chains are in flight, so that the epoch must stay open.
    pub(super) fn is_busy(&self) -> bool {
        self.away > 0
    }
}

impl Thread {
    /// Starts the thread, or returns `None` if the system refuses. The thread ends when its input
    /// channel is closed.
    fn start(wake: WakeFn) -> Option<Thread> {
        let (to, chains) = channel::<(MonthGroup, MonthChain)>();
        let (results, from) = channel();
        let solve = move || {
            for (group, chain) in chains {
                let solved = chain.solve();
                // Release the shared aggregates first, so that the worker owns them again.
                drop(chain);
                if results.send((group, solved)).is_err() {
                    return;
                }
                wake();
            }
        };
        let builder = std::thread::Builder::new().name("solver".into());
        builder.spawn(solve).ok()?;
        Some(Thread { to, from })
    }
}

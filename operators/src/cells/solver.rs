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
    thread: Option<Thread>,
    /// The number of chains in flight.
    away: usize,
    /// Whether no thread could be started.
    is_alone: bool,
}

/// The channels of a running thread.
struct Thread {
    to: Sender<(MonthGroup, MonthChain)>,
    from: Receiver<(MonthGroup, Solved)>,
}

impl Solver {
    /// Hands a chain to the thread. Returns the solution if there is no thread.
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

    /// Takes the solved chains.
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

    /// Whether chains are in flight.
    pub(super) fn is_busy(&self) -> bool {
        self.away > 0
    }
}

impl Thread {
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

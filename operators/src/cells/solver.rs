//! The solver: a thread beside a worker that solves the chains of months.
//!
//! A chain takes up to some tenths of a second, and the thread that steps the dataflow also reads what comes in. So it
//! hands what is to be solved over, keeps the epoch open, and is woken when something has been solved. The thread starts
//! with the first chain and ends with the stage. Where none can be started the worker solves by itself.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use crate::aggregate::MonthGroup;
use crate::attribution::markov::{MonthChain, Solved};
use crate::engine::WakeFn;

/// The way to the thread, and how much is there.
#[derive(Default)]
pub(super) struct Solver {
    thread: Option<Thread>,
    /// How many chains are not back.
    away: usize,
    /// Whether there is no thread to be had.
    is_alone: bool,
}

/// Both ends of a running thread.
struct Thread {
    to: Sender<(MonthGroup, MonthChain)>,
    from: Receiver<(MonthGroup, Solved)>,
}

impl Solver {
    /// Hands a chain over. Gives what it comes to where there is no thread to solve it.
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

    /// What has come back.
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
                    // What was there is handed over republish, to nobody.
                    (self.thread, self.is_alone, self.away) = (None, true, 0);
                    return solved;
                }
            }
        }
        self.away -= solved.len();
        solved
    }

    /// Whether something is not back.
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
                // The sums are given back first, so that the worker has them to itself again.
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

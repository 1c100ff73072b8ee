//! Messages to workers: to all of them, or to a certain one.
//!
//! Most updates go to the owner of a key. What all workers must know (a release, a salt, the use of a label) is *broadcast*: one
//! message per worker, in the same epoch. What a certain worker must know (the answer to its question) is *delivered*.

use differential_dataflow::{AsCollection, ExchangeData};
use timely::dataflow::operators::Exchange;
use timely::dataflow::operators::vec::Broadcast;

use super::collection::Collection;

/// The messages for all of `peers` workers, made by a function of the receiving worker.
///
/// # Examples
///
/// ```
/// use tributary_operators::engine::broadcast;
///
/// let messages: Vec<_> = broadcast(3, |worker| (worker, "release")).collect();
/// assert_eq!(messages, [(0, "release"), (1, "release"), (2, "release")]);
/// ```
pub fn broadcast<M>(peers: u64, message: impl FnMut(u64) -> M) -> impl Iterator<Item = M> {
    (0..peers).map(message)
}

/// Sends every row to every worker.
pub fn broadcast_rows<D: ExchangeData>(rows: Collection<'_, D>) -> Collection<'_, D> {
    rows.inner.broadcast().as_collection()
}

/// Sends every row to the worker that `worker` returns for it.
pub fn deliver<D: ExchangeData>(
    rows: Collection<'_, D>,
    worker: impl Fn(&D) -> u64 + 'static,
) -> Collection<'_, D> {
    let rows = rows.inner.exchange(move |(row, _, _)| worker(row));
    rows.as_collection()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use differential_dataflow::input::Input;
    use timely::dataflow::operators::Inspect;

    use super::*;

    #[test]
    fn all_workers_receive_a_broadcast_and_one_a_delivery() {
        let (sent, received) = channel();
        let sent = Mutex::new(sent);
        let config = timely::Config::process(3);
        let workers = timely::execute(config, move |worker| {
            let (all, one) = {
                let sent = sent.lock().unwrap();
                (sent.clone(), sent.clone())
            };
            let index = worker.index();
            worker.dataflow::<u64, _, _>(|scope| {
                let (mut input, rows) = scope.new_collection();
                broadcast_rows(rows.clone())
                    .inner
                    .inspect(move |row| all.send(("all", index, row.0)).unwrap());
                deliver(rows, |row| *row)
                    .inner
                    .inspect(move |row| one.send(("one", index, row.0)).unwrap());
                if index == 0 {
                    input.update(2, 1);
                }
            });
        });
        drop(workers);
        let mut rows: Vec<_> = received.try_iter().collect();
        rows.sort_unstable();
        assert_eq!(
            rows,
            [("all", 0, 2), ("all", 1, 2), ("all", 2, 2), ("one", 2, 2)]
        );
    }
}

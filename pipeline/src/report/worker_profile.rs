//! What the operators of the worker threads do and keep, for metrics and for
//! `tributary replay --profile`.

use std::collections::BTreeMap;
use std::time::Duration;

use tributary_operators::engine::{OperatorProfile, Profile};

use crate::report::table::{Align, Table, fixed, thousands};

/// Name under which the work before the dataflow is listed: decoding messages
/// and feeding their records.
pub const DECODER: &str = "Decoder";

/// Profile of one worker thread since its start.
#[derive(Clone, Debug, Default)]
pub struct WorkerProfile {
    /// The decoder and the operators by name.
    pub operators: Profile,
    /// The longest time from the beginning of an epoch on this thread until the
    /// whole cluster had finished it.
    pub longest_epoch: Duration,
    /// The same of the last minute or two.
    pub recent_epoch: Duration,
}

/// Profiles of the threads of a process, by thread.
pub type WorkerProfiles = BTreeMap<usize, WorkerProfile>;

/// The sum over all threads, with the longest steps of any.
fn sums(profiles: &WorkerProfiles) -> Profile {
    let mut sums = Profile::new();
    for (name, of) in profiles.values().flat_map(|worker| &worker.operators) {
        sums.entry(name).or_default().add(of);
    }
    sums
}

/// A table of the operators, the busiest first, and the longest epoch. With
/// several threads, the time of each stands beside the sum.
pub fn table(profiles: &WorkerProfiles) -> String {
    let sums = sums(profiles);
    let mut rows: Vec<(&&str, &OperatorProfile)> = sums.iter().collect();
    rows.sort_by_key(|(name, of)| (std::cmp::Reverse(of.busy), **name));
    let has_several = profiles.len() > 1;
    let mut columns = vec![
        ("Operator", Align::Left),
        ("Updates", Align::Right),
        ("Entries", Align::Right),
        ("State, MB", Align::Right),
        ("Busy, s", Align::Right),
        ("Share, %", Align::Right),
        ("Longest step, ms", Align::Right),
    ];
    if has_several {
        columns.push(("Busy by thread, s", Align::Right));
    }
    let mut table = Table::new(&columns);
    let mut all = OperatorProfile::default();
    rows.iter().for_each(|(_, of)| all.add(of));
    let seconds = |time: Duration| fixed(time.as_millis() as i128 / 10, 2);
    let cells = |name: &str, of: &OperatorProfile, by_thread: String| {
        let share = of.busy.as_micros() * 1_000 / all.busy.as_micros().max(1);
        let mut cells = vec![
            name.to_owned(),
            thousands(of.updates.into()),
            thousands(of.entries.into()),
            fixed(i128::from(of.bytes) / 100_000, 1),
            seconds(of.busy),
            fixed(share as i128, 1),
            fixed(of.longest.as_micros() as i128 / 100, 1),
        ];
        if has_several {
            cells.push(by_thread);
        }
        cells
    };
    for (name, of) in rows {
        let by_thread = profiles.values().map(|worker| {
            let of = worker.operators.get(name);
            seconds(of.map_or(Duration::ZERO, |of| of.busy))
        });
        let by_thread: Vec<String> = by_thread.collect();
        table.row(cells(name, of, by_thread.join(" / ")));
    }
    table.sums(cells("All", &all, String::new()));
    let longest = profiles.values().map(|worker| worker.longest_epoch).max();
    let longest = longest.unwrap_or_default().as_micros() as i128 / 100;
    format!("{table}longest epoch: {} ms\n", fixed(longest, 1))
}

/// The profiles as JSON: for each thread its longest epoch, and updates, entries,
/// bytes and seconds of each operator.
pub fn json(profiles: &WorkerProfiles) -> serde_json::Value {
    let threads = profiles.iter().map(|(thread, worker)| {
        let operators = worker.operators.iter().map(|(name, of)| {
            let of = serde_json::json!({
                "updates": of.updates,
                "entries": of.entries,
                "bytes": of.bytes,
                "busy_seconds": of.busy.as_secs_f64(),
                "longest_step_seconds": of.longest.as_secs_f64(),
            });
            ((*name).to_owned(), of)
        });
        serde_json::json!({
            "thread": thread,
            "longest_epoch_seconds": worker.longest_epoch.as_secs_f64(),
            "operators": operators.collect::<serde_json::Map<_, _>>(),
        })
    });
    threads.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(busy: u64, longest: u64) -> WorkerProfile {
        let of = |busy| OperatorProfile {
            updates: 1_000,
            entries: 20,
            bytes: 4_000_000,
            busy: Duration::from_millis(busy),
            longest: Duration::from_millis(longest),
            recent: Duration::ZERO,
        };
        WorkerProfile {
            operators: [("Persons", of(busy)), ("Cells", of(busy / 3))].into(),
            longest_epoch: Duration::from_millis(longest * 2),
            recent_epoch: Duration::ZERO,
        }
    }

    #[test]
    fn the_busiest_operator_comes_first_and_the_sums_last() {
        let text = table(&[(0, worker(3_000, 12))].into());
        let lines: Vec<&str> = text.lines().collect();
        let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
        let names: Vec<_> = lines.iter().filter_map(|line| first(line)).collect();
        let at = |name: &str| names.iter().position(|one| one == name);
        assert!(
            at("Persons") < at("Cells") && at("Cells") < at("All"),
            "{text}"
        );
        assert!(text.contains("75.0") && text.contains("4.00"), "{text}");
        assert!(text.ends_with("longest epoch: 24.0 ms\n"), "{text}");
    }

    #[test]
    fn threads_are_added_and_listed() {
        let profiles = [(0, worker(3_000, 12)), (1, worker(600, 40))].into();
        let text = table(&profiles);
        assert!(
            text.contains("3.00 / 0.60") && text.contains("3.60"),
            "{text}"
        );
        assert!(text.contains("40.0") && text.contains("longest epoch: 80.0 ms"));
        let json = json(&profiles);
        assert_eq!(json[1]["operators"]["Persons"]["busy_seconds"], 0.6);
        assert_eq!(json[0]["operators"]["Cells"]["bytes"], 4_000_000);
    }
}

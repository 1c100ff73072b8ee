//! What the operating system says about this process: memory, processor time,
//! start. Linux only; elsewhere the metrics are not exported.
//!
//! The collector of the `prometheus` crate (feature `process`) does not replace this: it rounds
//! processor time and the start down to whole seconds, too coarse for the rate of a minute, its help
//! texts are not those of the table of metrics, and it adds four series and a dependency.

use std::fs::read_to_string;

/// The kernel tells times in hundredths of a second, whatever its own clock
/// (`USER_HZ`).
const TICKS: f64 = 100.0;

/// What was read; none where it cannot be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Resident memory, bytes.
    pub memory: Option<u64>,
    /// Processor time, seconds.
    pub cpu: Option<f64>,
    /// The start, seconds since 1970.
    pub start: Option<f64>,
}

impl Usage {
    /// Reads it now.
    pub fn read() -> Usage {
        let read = |path: &str| read_to_string(path).unwrap_or_default();
        Usage::of(
            &read("/proc/self/stat"),
            &read("/proc/self/status"),
            &read("/proc/stat"),
        )
    }

    fn of(stat: &str, status: &str, system: &str) -> Usage {
        // The second field is the program's name in parentheses and may hold anything.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest)
            .split_whitespace()
            .collect();
        // Counted as in proc(5), where the first one after the name is the third.
        let ticks = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let boot = value(system, "btime");
        Usage {
            memory: value(status, "VmRSS:").map(|kibibytes| kibibytes * 1024),
            cpu: ticks(14)
                .zip(ticks(15))
                .map(|(user, system)| (user + system) as f64 / TICKS),
            start: boot
                .zip(ticks(22))
                .map(|(boot, since)| boot as f64 + since as f64 / TICKS),
        }
    }
}

/// The resident memory of this process, bytes; `None` where the system does not
/// say.
pub fn resident_memory() -> Option<u64> {
    let status = read_to_string("/proc/self/status").ok()?;
    value(&status, "VmRSS:").map(|kibibytes| kibibytes * 1024)
}

/// The number behind the first word of a line.
fn value(text: &str, word: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_whitespace);
    let mut line = lines.find_map(|mut line| (line.next() == Some(word)).then_some(line))?;
    line.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let stat = "42 (a) 9 (b c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 3 0 12345 99999 777 18";
        let status = "Name:\ta\nVmHWM:\t 9 kB\nVmRSS:\t  2048 kB\n";
        let system = "cpu 1 2 3\nbtime 1700000000\nprocesses 5\n";
        let usage = Usage::of(stat, status, system);
        assert_eq!(usage.memory, Some(2 << 20));
        assert_eq!(usage.cpu, Some(3.0));
        assert_eq!(usage.start, Some(1_700_000_123.45));
    }

    #[test]
    fn what_is_not_there_is_none() {
        assert_eq!(Usage::of("", "", ""), Usage::default());
        assert_eq!(
            Usage::of("42 (a) S 1", "VmRSS:", "btime x"),
            Usage::default()
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory() {
        assert!(Usage::read().memory.is_some_and(|bytes| bytes > 100_000));
    }
}

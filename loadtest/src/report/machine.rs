//! The machine of a run, so that figures are compared with those of the same machine only.

use std::fs;

use serde::{Deserialize, Serialize};

/// A machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The operating system and the architecture.
    pub system: String,
    /// The model of the processor; empty if it is not known.
    pub processor: String,
    /// The number of processors that the load test may use.
    pub processors: u32,
    /// Physical memory, bytes; 0 if it is not known.
    pub memory_bytes: u64,
    /// The mean number of runnable tasks in the minute before the run, in hundredths: other work on the
    /// machine.
    pub load_hundredths: u32,
}

impl Machine {
    /// This machine, now.
    pub fn here() -> Machine {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).ok()?;
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.split_once(':'));
            line.map(|(_, value)| value.trim().to_owned())
        };
        let memory = field("/proc/meminfo", "MemTotal");
        let memory = memory.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        let load = fs::read_to_string("/proc/loadavg").ok();
        let load = load.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
        Machine {
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            processor: field("/proc/cpuinfo", "model name").unwrap_or_default(),
            processors: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
            memory_bytes: memory.unwrap_or(0).saturating_mul(1024),
            load_hundredths: load.map_or(0, |load| (load * 100.0) as u32),
        }
    }

    /// One line.
    pub fn line(&self) -> String {
        format!(
            "{}, {} processors{}{}, {:.1} GB of memory, load {:.2} before the run",
            self.system,
            self.processors,
            if self.processor.is_empty() { "" } else { " " },
            self.processor,
            self.memory_bytes as f64 / 1e9,
            f64::from(self.load_hundredths) / 100.0
        )
    }
}

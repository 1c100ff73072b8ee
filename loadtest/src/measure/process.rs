//! Processes of this machine, as the kernel shows them in `/proc`. Where there is no `/proc`, nothing
//! is known of them.

use std::fs;

use serde::{Deserialize, Serialize};

/// A process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// User and system time since its start, seconds.
    pub cpu_seconds: f64,
    /// Physical memory, bytes.
    pub memory_bytes: u64,
}

/// Clock ticks in a second, which Linux fixes at 100 for what it tells programs.
const TICKS: f64 = 100.0;

/// Bytes of a page in `statm`; the usual size.
const PAGE: u64 = 4_096;

/// The state of a process; `None` if it is not there.
pub fn of(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may contain anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let cpu = ticks()? + ticks()?;
    let memory = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = memory.split_whitespace().nth(1)?.parse().ok()?;
    Some(Process {
        cpu_seconds: cpu as f64 / TICKS,
        memory_bytes: pages * PAGE,
    })
}

/// The process of this machine and user that listens on a TCP port.
pub fn listening_on(port: u16) -> Option<u32> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let sockets: Vec<String> = tables
        .iter()
        .flatten()
        .flat_map(|table| table.lines().skip(1))
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (_, hex) = fields.get(1)?.rsplit_once(':')?;
            let listens = u16::from_str_radix(hex, 16).ok()? == port && *fields.get(3)? == "0A";
            listens.then(|| Some(format!("socket:[{}]", fields.get(9)?)))?
        })
        .collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let files = fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten();
        let mut names = files.filter_map(|file| fs::read_link(file.path()).ok());
        names.any(|name| {
            sockets
                .iter()
                .any(|socket| name.as_os_str() == socket.as_str())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_by_its_port() {
        if !std::path::Path::new("/proc/self/stat").exists() {
            return;
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listening_on(port), Some(std::process::id()));
        let here = of(std::process::id()).unwrap();
        assert!(here.memory_bytes > 1 << 20, "{here:?}");
        drop(listener);
        assert_eq!(listening_on(port), None);
        assert_eq!(of(u32::MAX), None);
    }
}

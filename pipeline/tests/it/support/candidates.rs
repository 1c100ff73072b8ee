//! Processes with `workers.standby`: candidates for one lease, each with a ledger directory of its own.

use std::path::{Path, PathBuf};

use super::story::until;
use super::{Worker, World};

/// Writes the configuration of candidate `number` of a world, which reaches the broker at `url`.
pub fn candidate(world: &World, number: usize, url: Option<&str>) -> PathBuf {
    let text = std::fs::read_to_string(world.path("tributary.toml")).unwrap();
    assert!(text.contains("[http]\n") && !text.contains("[workers]"));
    let mut text = text.replace(
        "[http]\n",
        &format!("[workers]\nstandby = true\n[ledger]\ndirectory = \"data-{number}\"\n[http]\n"),
    );
    if let Some(url) = url {
        let (before, rest) = text.split_once("url = \"").unwrap();
        let (_, behind) = rest.split_once('"').unwrap();
        text = format!("{before}url = \"{url}\"{behind}");
    }
    let file = world.path(&format!("candidate-{number}.toml"));
    std::fs::write(&file, text).unwrap();
    file
}

/// Starts a candidate.
pub fn start(config: &Path) -> Worker {
    Worker::start(config, &[])
}

/// Starts a candidate whose wall clock is off by so many seconds, by a library that it loads.
pub fn start_off(config: &Path, shim: &Path, seconds: i64) -> Worker {
    let (shim, seconds) = (shim.to_str().unwrap(), seconds.to_string());
    let variables = [("LD_PRELOAD", shim), ("TEST_CLOCK_OFFSET", &*seconds)];
    Worker::start_with(config, &[], &variables)
}

/// Whether a process leads.
pub fn leads(worker: &Worker) -> bool {
    let is_ready = worker
        .get("/readyz")
        .is_some_and(|(status, _)| status == 200);
    is_ready && worker.metric("tributary_lease_held") == Some(1.0)
}

/// Whether a process follows and can take over.
pub fn follows(worker: &Worker) -> bool {
    let ready = worker.get("/readyz");
    ready.is_some_and(|(status, text)| status == 200 && text.contains("standby: follows"))
}

/// Waits until a process leads.
pub fn until_it_leads(worker: &Worker) {
    until("it leads", || leads(worker));
}

/// Waits until a process follows and can take over.
pub fn until_it_follows(worker: &Worker) {
    until("it can take over", || follows(worker));
}

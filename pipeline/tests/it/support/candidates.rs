//! Processes with `workers.standby`: candidates for one lease, each with a ledger directory of its own. In a cluster there is a
//! lease for each of its processes.

use std::path::{Path, PathBuf};

use tributary_testkit::{Proxy, free_port};

use super::story::until;
use super::{Worker, World};

/// Writes the configuration of candidate `number` of a world, which reaches the broker at `url`.
pub fn candidate(world: &World, number: usize, url: Option<&str>) -> PathBuf {
    of_workers(world, number, url, "standby = true\n")
}

/// Writes the configuration of a process of a world with these settings of `[workers]`, and a ledger directory of its own.
pub fn of_workers(world: &World, number: usize, url: Option<&str>, workers: &str) -> PathBuf {
    let text = std::fs::read_to_string(world.path("tributary.toml")).unwrap();
    assert!(text.contains("[http]\n") && !text.contains("[workers]"));
    let mut text = text.replace(
        "[http]\n",
        &format!("[workers]\n{workers}[ledger]\ndirectory = \"data-{number}\"\n[http]\n"),
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

/// The settings of the processes of a cluster on this host, each with its number in the cluster: `processes` of them, and a
/// second one for each number of `with_standby`.
pub fn cluster(processes: usize, with_standby: &[usize]) -> Vec<(usize, String)> {
    let hosts: Vec<String> = (0..processes)
        .map(|_| format!("127.0.0.1:{}", free_port()))
        .collect();
    let of = |process: usize| {
        let is_standby = with_standby.contains(&process);
        format!("hosts = {hosts:?}\nprocess = {process}\nstandby = {is_standby}\n")
    };
    let first = (0..processes).map(|process| (process, of(process)));
    let second = with_standby.iter().map(|process| {
        let address = format!("address = \"127.0.0.1:{}\"\n", free_port());
        (*process, of(*process) + &address)
    });
    first.chain(second).collect()
}

/// Starts a candidate.
pub fn start(config: &Path) -> Worker {
    Worker::start(config, &[])
}

/// Starts a candidate whose wall clock is off by so many seconds, by a library that it loads.
fn start_off(config: &Path, shim: &Path, seconds: i64) -> Worker {
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

/// A candidate, and how it is started.
pub struct Candidate {
    pub config: PathBuf,
    /// Its number in the cluster; those with the same number are candidates for one lease.
    pub process: usize,
    /// Its network, if that can be cut.
    pub proxy: Option<Proxy>,
    /// How far its wall clock is off, by a library that it loads.
    pub clock: Option<(PathBuf, i64)>,
    /// What runs; it is started again when it ends, unless it is to stay down.
    pub worker: Option<Worker>,
    pub stays_down: bool,
}

impl Candidate {
    pub fn worker(&self) -> &Worker {
        self.worker.as_ref().expect("it runs")
    }

    pub fn leads(&self) -> bool {
        self.worker.as_ref().is_some_and(leads)
    }

    pub fn follows(&self) -> bool {
        self.worker.as_ref().is_some_and(follows)
    }

    pub fn start(&mut self) {
        self.worker = Some(match &self.clock {
            Some((shim, seconds)) => start_off(&self.config, shim, *seconds),
            None => start(&self.config),
        });
    }

    pub fn kill(&mut self) {
        self.worker.take().expect("it runs").kill();
    }
}

/// All candidates of a world, which are started again when they end, as a supervisor would.
pub struct Candidates {
    pub all: Vec<Candidate>,
}

impl Candidates {
    /// Starts whoever has ended.
    pub fn supervise(&mut self) {
        for candidate in self.all.iter_mut().filter(|one| !one.stays_down) {
            if !candidate.worker.as_mut().is_some_and(Worker::lives) {
                candidate.start();
            }
        }
    }

    /// Waits until something is so, and starts meanwhile whoever has ended.
    pub fn until(&mut self, what: &str, mut is: impl FnMut(&Candidates) -> bool) {
        until(what, || {
            self.supervise();
            is(self)
        });
    }

    /// Who leads of a process of the cluster, once there is one.
    pub fn leader(&mut self, process: usize) -> usize {
        let mut found = None;
        self.until("somebody leads", |candidates| {
            let mut all = candidates.all.iter();
            found = all.position(|one| one.process == process && one.leads());
            found.is_some()
        });
        found.unwrap()
    }

    /// Who leads now, of any process of the cluster.
    pub fn leaders(&self) -> Vec<&Worker> {
        let leaders = self.all.iter().filter(|one| one.leads());
        leaders.map(Candidate::worker).collect()
    }

    /// Waits until somebody else than `former`, who stays down meanwhile, leads.
    pub fn until_another_leads(&mut self, former: usize) {
        let process = self.all[former].process;
        self.all[former].stays_down = true;
        self.until("another one leads", |candidates| {
            let mut all = candidates.all.iter().enumerate();
            all.any(|(number, one)| number != former && one.process == process && one.leads())
        });
        self.all[former].stays_down = false;
    }

    /// Waits until one leads of each process of the cluster, and all others can take over.
    pub fn mend(&mut self) {
        self.until(
            "one leads of each process, and the others follow",
            |candidates| {
                let all = &candidates.all;
                let stands = |one: &Candidate| one.stays_down || one.follows() || one.leads();
                let has_leader = |of: &Candidate| {
                    let of_process = all.iter().filter(|one| one.process == of.process);
                    of_process.filter(|one| one.leads()).count() == 1
                };
                all.iter().all(stands) && all.iter().all(has_leader)
            },
        );
    }
}

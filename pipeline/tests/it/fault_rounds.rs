//! Rounds of faults: a leader and two standbys with clocks 20 seconds apart, each behind a network of its own. While a part of
//! the trace comes in, one of them is killed, suspended until another has taken over, cut off, or stopped, or the broker is
//! killed. After each round the output stream holds the cells of a replay, and no value has gone backwards.
//!
//! `TRIBUTARY_FAULT_ROUNDS` says how many rounds there are, and `TRIBUTARY_FAULT_SEED` where the choice of faults begins. The
//! suite runs one round of each fault that takes the lease from a leader at once, and a longer run takes all of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::support::candidates::{candidate, follows, leads, start_off};
use crate::support::person::rewrite;
use crate::support::story::{last, play, ready, until};
use crate::support::wall_clock::shim;
use crate::support::{PATIENCE, Worker, World, chosen, published};
use serde_json::Value;
use tributary_config::model::Nats;
use tributary_connectors::nats::{self, Reader};
use tributary_connectors::trace::TraceLine;
use tributary_simulate::Options;
use tributary_testkit::{NatsServer, Proxy};

/// Lines of the trace per round.
const LINES: usize = 120;

/// The wall clocks of the candidates, seconds off.
const CLOCKS: [i64; 3] = [0, 20, -20];

/// What happens in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The leader is killed.
    Kill,
    /// The leader is suspended until another one leads, and wakes.
    Suspend,
    /// The leader is cut off until another one leads.
    CutOff,
    /// The leader is cut off for less than the term of its lease.
    CutShortly,
    /// The leader's network is silent for less than the term of its lease.
    Stall,
    /// The broker is killed.
    Broker,
    /// The leader and the broker are killed.
    KillBoth,
    /// The leader is stopped in order.
    Stop,
    /// A standby is killed.
    KillStandby,
    /// A standby is suspended, and then the leader is killed.
    SuspendStandby,
    /// The leader is killed again and again while it starts.
    KillOften,
}

const FAULTS: [Fault; 11] = [
    Fault::Kill,
    Fault::Stop,
    Fault::Suspend,
    Fault::CutOff,
    Fault::Broker,
    Fault::SuspendStandby,
    Fault::CutShortly,
    Fault::KillBoth,
    Fault::Stall,
    Fault::KillStandby,
    Fault::KillOften,
];

/// What the output stream has shown: for each subject its last epoch and, where values can only grow, its value.
#[derive(Default)]
struct Shown {
    last: BTreeMap<String, (u64, f64)>,
    messages: u64,
    backwards: Vec<String>,
}

impl Shown {
    fn see(&mut self, subject: &str, sequence: u64, payload: &[u8]) {
        self.messages += 1;
        let cell: Value = serde_json::from_slice(payload).expect("a cell");
        let epoch = cell["epoch"].as_u64().expect("an epoch");
        // The meter's store only sells.
        let is_meter = cell["cell"]["store"] == "meter" && cell["value"].is_object();
        let sold = cell["value"]["transactions"].as_f64().filter(|_| is_meter);
        let (before, most) = self.last.get(subject).copied().unwrap_or_default();
        let sold = sold.unwrap_or(most);
        if epoch < before || sold < most {
            let what = format!(
                "{subject} at {sequence}: epoch {before} then {epoch}, value {most} then {sold}"
            );
            eprintln!("BACKWARDS {what}");
            self.backwards.push(what);
        }
        self.last
            .insert(subject.to_owned(), (epoch.max(before), sold.max(most)));
    }
}

/// Reads the output stream for as long as the test runs.
async fn watch(broker: Nats, shown: Arc<Mutex<Shown>>) {
    let client = nats::connect(&broker, "watch").await.unwrap();
    let mut next = 1;
    loop {
        let Ok(mut reader) = Reader::open(&client, &broker.output_stream, next).await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        while let Ok(messages) = reader.next_batch(1_000, Duration::from_millis(200)).await {
            let mut shown = shown.lock().unwrap();
            for message in messages {
                shown.see(message.subject.as_str(), message.sequence, &message.payload);
                next = message.sequence + 1;
            }
        }
    }
}

/// A candidate, and how it is started.
struct Candidate {
    config: PathBuf,
    proxy: Proxy,
    clock: i64,
    worker: Option<Worker>,
}

impl Candidate {
    fn worker(&self) -> &Worker {
        self.worker.as_ref().expect("it runs")
    }

    fn leads(&self) -> bool {
        self.worker.as_ref().is_some_and(leads)
    }

    fn start(&mut self, shim: &std::path::Path) {
        self.worker = Some(start_off(&self.config, shim, self.clock));
    }

    fn kill(&mut self) {
        self.worker.take().expect("it runs").kill();
    }
}

/// The candidates of a world.
struct Candidates {
    all: Vec<Candidate>,
    shim: PathBuf,
}

impl Candidates {
    fn start(world: &World, server: &NatsServer) -> Candidates {
        let shim = shim(world.directory.path());
        let all = CLOCKS.into_iter().enumerate().map(|(number, clock)| {
            let proxy = Proxy::start(server.address());
            let config = candidate(world, number, Some(&proxy.url()));
            let worker = Some(start_off(&config, &shim, clock));
            Candidate {
                config,
                proxy,
                clock,
                worker,
            }
        });
        let all = all.collect();
        Candidates { all, shim }
    }

    /// The leader, once there is one.
    fn leader(&self) -> usize {
        let mut found = None;
        until("somebody leads", || {
            found = self.all.iter().position(Candidate::leads);
            found.is_some()
        });
        found.unwrap()
    }

    /// Waits until somebody else than `former` leads.
    fn until_another_leads(&self, former: usize) {
        until("another one leads", || {
            let mut all = self.all.iter().enumerate();
            all.any(|(number, candidate)| number != former && candidate.leads())
        });
    }

    /// Starts whoever has ended, and waits until one leads and the others can take over.
    fn mend(&mut self) {
        for candidate in &mut self.all {
            let lives = candidate.worker.as_mut().is_some_and(Worker::lives);
            if !lives {
                candidate.start(&self.shim);
            }
        }
        until("one leads and the others follow", || {
            let ready = |candidate: &Candidate| follows(candidate.worker()) || candidate.leads();
            // A former leader that was cut off may end a moment later.
            for candidate in &mut self.all {
                if !candidate.worker.as_mut().is_some_and(Worker::lives) {
                    candidate.start(&self.shim);
                }
            }
            self.all.iter().all(ready) && self.all.iter().filter(|one| one.leads()).count() == 1
        });
    }

    fn cause(&mut self, fault: Fault, server: &mut NatsServer, random: &mut ChaCha8Rng) {
        let leader = self.leader();
        let standby = (leader + 1 + random.next_u32() as usize % 2) % 3;
        std::thread::sleep(Duration::from_millis(u64::from(random.next_u32() % 400)));
        let one = &mut self.all[leader];
        match fault {
            Fault::Kill => {
                one.kill();
                let killed = Instant::now();
                self.until_another_leads(leader);
                eprintln!("took over {:?} after the kill", killed.elapsed());
            }
            Fault::Suspend => {
                one.worker().signal_with("-STOP");
                self.until_another_leads(leader);
                std::thread::sleep(Duration::from_secs(chosen("TRIBUTARY_FAULT_PAUSE", 0)));
                self.all[leader].worker().signal_with("-CONT");
                let worker = self.all[leader].worker.as_mut().unwrap();
                assert!(!worker.ended().success(), "who was replaced ends");
                self.all[leader].worker = None;
            }
            Fault::CutOff => {
                one.proxy.refuse(true);
                one.proxy.cut();
                self.until_another_leads(leader);
                self.all[leader].proxy.refuse(false);
                let worker = self.all[leader].worker.as_mut().unwrap();
                assert!(!worker.ended().success(), "who was replaced ends");
                self.all[leader].worker = None;
            }
            Fault::CutShortly => {
                one.proxy.refuse(true);
                one.proxy.cut();
                std::thread::sleep(Duration::from_secs(2));
                one.proxy.refuse(false);
            }
            Fault::Stall => {
                one.proxy.stall(true);
                std::thread::sleep(Duration::from_secs(3));
                one.proxy.stall(false);
            }
            Fault::Broker => server.restart(),
            Fault::KillBoth => {
                one.kill();
                server.restart();
            }
            Fault::Stop => one.worker.take().unwrap().stop(),
            Fault::KillStandby => self.all[standby].kill(),
            Fault::SuspendStandby => {
                self.all[standby].worker().signal_with("-STOP");
                std::thread::sleep(Duration::from_secs(1));
                self.all[leader].kill();
                self.until_another_leads(leader);
                self.all[standby].worker().signal_with("-CONT");
            }
            Fault::KillOften => {
                for _ in 0..3 {
                    self.all[leader].kill();
                    self.all[leader].start(&self.shim);
                    std::thread::sleep(Duration::from_millis(u64::from(random.next_u32() % 700)));
                }
            }
        }
    }
}

/// Sales of a store where nothing is taken back, beside the lines of a world.
fn with_meter(lines: Vec<TraceLine>) -> Vec<TraceLine> {
    let mut all = Vec::with_capacity(lines.len() * 11 / 10);
    for (number, line) in lines.into_iter().enumerate() {
        let at = line.at;
        all.push(line);
        if number % 10 == 0 {
            let sale = serde_json::json!({
                "id": format!("meter-{number}"), "ts": at - 1_000, "store": "meter", "amount": "1.00",
            });
            all.push(TraceLine {
                subject: "tributary.in.orchard.transaction".to_owned(),
                at,
                headers: Vec::new(),
                data: sale.to_string().into_bytes(),
            });
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_change_no_number() {
    let rounds = chosen("TRIBUTARY_FAULT_ROUNDS", 4) as usize;
    let seed = chosen("TRIBUTARY_FAULT_SEED", 0);
    let Some(mut server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let options = Options {
        events: Some((rounds * LINES) as u64),
        k: 1,
        ..Options::default()
    };
    let world = World::of(options, Some(&broker), "");
    let lines = with_meter(world.trace().collect());
    let client = ready(&broker).await;
    let mut candidates = tokio::task::block_in_place(|| {
        let mut candidates = Candidates::start(&world, &server);
        candidates.mend();
        candidates
    });
    let shown = Arc::new(Mutex::new(Shown::default()));
    let watching = tokio::spawn(watch(broker.clone(), shown.clone()));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let begun = Instant::now();
    for round in 0..rounds {
        let fault = FAULTS[(round + seed as usize) % FAULTS.len()];
        let part = lines.len() / rounds;
        let (from, to) = (round * part, (round + 1) * part);
        eprintln!("ROUND {round} at {:?}: {fault:?}", begun.elapsed());
        // A broker that is killed takes nothing meanwhile.
        let is_broker = matches!(fault, Fault::Broker | Fault::KillBoth);
        let early = match is_broker {
            true => to,
            false => from + part / 3,
        };
        play(&client, &lines[from..early], None).await;
        let playing = {
            let (client, rest) = (client.clone(), lines[early..to].to_vec());
            tokio::spawn(async move { play(&client, &rest, Some(200.0)).await })
        };
        tokio::task::block_in_place(|| {
            candidates.cause(fault, &mut server, &mut random);
            candidates.mend();
        });
        playing.await.unwrap();
        let end = last(&client, &broker.input_stream).await;
        rewrite(&world, &lines[..to]);
        let expected = tokio::task::block_in_place(|| {
            let leader = candidates.leader();
            candidates.all[leader].worker().wait_until_read(end);
            world.replayed()
        });
        let since = Instant::now();
        loop {
            let actual = published(&broker).await;
            if actual == expected {
                break;
            }
            assert!(
                since.elapsed() < PATIENCE,
                "round {round}, {fault:?}: {} cells differ from the {} of a replay",
                actual.len(),
                expected.len()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let shown = shown.lock().unwrap();
        assert!(
            shown.backwards.is_empty(),
            "round {round}, {fault:?}: {:#?}",
            shown.backwards
        );
    }
    let shown = shown.lock().unwrap();
    eprintln!(
        "{rounds} rounds in {:?}: {} messages of {} subjects, none went backwards",
        begun.elapsed(),
        shown.messages,
        shown.last.len()
    );
    assert!(shown.messages > 0);
    watching.abort();
}

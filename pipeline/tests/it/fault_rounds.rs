//! Rounds of faults, in two layouts: a leader and two standbys, and a cluster of three processes of which one has a standby.
//! Their clocks are 20 seconds apart, and each is behind a network of its own. While a part of the trace comes in, one of them
//! is killed, suspended until another has taken over, cut off, or stopped, or the broker is killed. After each round the
//! output stream holds the cells of a replay, and no value has gone backwards.
//!
//! `TRIBUTARY_FAULT_ROUNDS` says how many rounds there are, and `TRIBUTARY_FAULT_SEED` where the choice of faults begins, and
//! which process of the cluster has a standby. `TRIBUTARY_FAULT_PAUSE` is how many seconds a suspended process sleeps after
//! another one has taken over. The suite runs a few rounds of faults that take the lease from a leader, and a longer run takes
//! all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::support::candidates::{Candidate, Candidates, cluster, of_workers};
use crate::support::person::rewrite;
use crate::support::story::{last, play, ready};
use crate::support::wall_clock::shim;
use crate::support::{PATIENCE, Worker, World, chosen, published};
use serde_json::Value;
use tributary_config::model::Nats;
use tributary_connectors::nats::{self, Reader, TERM};
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
    /// A process of a cluster that has no standby is killed.
    KillAnother,
    /// Such a process is suspended for longer than the term of its lease.
    SuspendAnother,
    /// All processes of a cluster are killed.
    KillAll,
}

/// Those of a leader and its standbys.
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

/// Those of a cluster.
const OF_CLUSTER: [Fault; 14] = [
    Fault::Kill,
    Fault::Suspend,
    Fault::CutOff,
    Fault::KillAnother,
    Fault::Broker,
    Fault::Stop,
    Fault::CutShortly,
    Fault::SuspendAnother,
    Fault::KillBoth,
    Fault::Stall,
    Fault::KillAll,
    Fault::SuspendStandby,
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

/// The processes of a layout, in worlds with networks and clocks of their own.
fn start(world: &World, server: &NatsServer, of: Vec<(usize, String)>) -> Candidates {
    let shim = shim(world.directory.path());
    let all = of
        .into_iter()
        .zip(CLOCKS.into_iter().cycle())
        .enumerate()
        .map(|(number, ((process, workers), clock))| {
            let proxy = Proxy::start(server.address());
            let config = of_workers(world, number, Some(&proxy.url()), &workers);
            Candidate {
                config,
                process,
                proxy: Some(proxy),
                clock: Some((shim.clone(), clock)),
                worker: None,
                stays_down: false,
            }
        });
    Candidates { all: all.collect() }
}

/// Causes a fault. `has_standby` is the process of the cluster that has standbys.
fn cause(
    candidates: &mut Candidates,
    fault: Fault,
    has_standby: usize,
    server: &mut NatsServer,
    random: &mut ChaCha8Rng,
) {
    let leader = candidates.leader(has_standby);
    let mut one_of = |is: &dyn Fn(usize, &Candidate) -> bool| {
        let all = candidates.all.iter().enumerate();
        let all: Vec<usize> = all
            .filter(|(number, one)| is(*number, one))
            .map(|(number, _)| number)
            .collect();
        all[random.next_u32() as usize % all.len()]
    };
    let standby = one_of(&|number, one| one.process == has_standby && number != leader);
    // Of a cluster, any process that computes.
    let any = one_of(&|number, one| number == leader || one.process != has_standby);
    let another = one_of(&|number, _| number != leader && number != standby);
    std::thread::sleep(Duration::from_millis(u64::from(random.next_u32() % 400)));
    let network = |candidates: &Candidates, number: usize, is_cut: bool| {
        let proxy = candidates.all[number].proxy.as_ref().unwrap();
        proxy.refuse(is_cut);
        if is_cut {
            proxy.cut();
        }
    };
    let until_it_ends = |candidates: &mut Candidates, number: usize| {
        let worker = candidates.all[number].worker.as_mut().unwrap();
        assert!(!worker.ended().success(), "who was replaced ends");
        candidates.all[number].worker = None;
    };
    match fault {
        Fault::Kill => {
            candidates.all[leader].kill();
            let killed = Instant::now();
            candidates.until_another_leads(leader);
            eprintln!("took over {:?} after the kill", killed.elapsed());
        }
        Fault::Suspend => {
            candidates.all[leader].worker().signal_with("-STOP");
            candidates.until_another_leads(leader);
            let until = Instant::now() + Duration::from_secs(chosen("TRIBUTARY_FAULT_PAUSE", 0));
            candidates.until("the pause is over", |_| Instant::now() > until);
            candidates.all[leader].worker().signal_with("-CONT");
            until_it_ends(candidates, leader);
        }
        Fault::CutOff => {
            network(candidates, leader, true);
            candidates.until_another_leads(leader);
            network(candidates, leader, false);
            until_it_ends(candidates, leader);
        }
        Fault::CutShortly => {
            network(candidates, any, true);
            std::thread::sleep(Duration::from_secs(2));
            network(candidates, any, false);
        }
        Fault::Stall => {
            let proxy = candidates.all[any].proxy.as_ref().unwrap();
            proxy.stall(true);
            std::thread::sleep(Duration::from_secs(3));
            proxy.stall(false);
        }
        Fault::Broker => server.restart(),
        Fault::KillBoth => {
            candidates.all[any].kill();
            server.restart();
        }
        Fault::Stop => {
            // The processes of a cluster stop together.
            let mut leaders: Vec<Worker> = candidates
                .all
                .iter_mut()
                .filter(|one| one.leads())
                .map(|one| one.worker.take().unwrap())
                .collect();
            leaders.iter().for_each(Worker::signal);
            leaders.iter_mut().for_each(Worker::end);
        }
        Fault::KillStandby => candidates.all[standby].kill(),
        Fault::SuspendStandby => {
            candidates.all[standby].worker().signal_with("-STOP");
            std::thread::sleep(Duration::from_secs(1));
            candidates.all[leader].kill();
            // Another standby takes over, or the leader returns.
            candidates.leader(has_standby);
            candidates.all[standby].worker().signal_with("-CONT");
        }
        Fault::KillOften => {
            for _ in 0..3 {
                candidates.all[any].kill();
                candidates.all[any].start();
                std::thread::sleep(Duration::from_millis(u64::from(random.next_u32() % 700)));
            }
        }
        Fault::KillAnother => candidates.all[another].kill(),
        Fault::SuspendAnother => {
            // The others wait for it, because nobody takes its place.
            candidates.all[another].worker().signal_with("-STOP");
            std::thread::sleep(TERM + Duration::from_secs(2));
            candidates.all[another].worker().signal_with("-CONT");
        }
        Fault::KillAll => {
            for candidate in &mut candidates.all {
                candidate.kill();
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
    let standby = "standby = true\n".to_owned();
    let of = vec![(0, standby.clone()), (0, standby.clone()), (0, standby)];
    rounds(of, 0, &FAULTS, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_in_a_cluster_change_no_number() {
    let has_standby = chosen("TRIBUTARY_FAULT_SEED", 1) as usize % 3;
    rounds(cluster(3, &[has_standby]), has_standby, &OF_CLUSTER, 3).await;
}

/// The first cells that one has and the other has not, with their values.
fn only_in(one: &[String], other: &[String]) -> Vec<String> {
    let other: BTreeSet<&String> = other.iter().collect();
    let only = one.iter().filter(|cell| !other.contains(cell));
    only.take(10).cloned().collect()
}

/// So many rounds, unless the environment says otherwise, with processes of which those with the number `has_standby` are
/// candidates for one lease.
async fn rounds(of: Vec<(usize, String)>, has_standby: usize, faults: &[Fault], rounds: u64) {
    let rounds = chosen("TRIBUTARY_FAULT_ROUNDS", rounds) as usize;
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
        let mut candidates = start(&world, &server, of);
        candidates.mend();
        candidates
    });
    let shown = Arc::new(Mutex::new(Shown::default()));
    let watching = tokio::spawn(watch(broker.clone(), shown.clone()));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let begun = Instant::now();
    for round in 0..rounds {
        let fault = faults[(round + seed as usize) % faults.len()];
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
            cause(
                &mut candidates,
                fault,
                has_standby,
                &mut server,
                &mut random,
            );
            candidates.mend();
        });
        playing.await.unwrap();
        let end = last(&client, &broker.input_stream).await;
        rewrite(&world, &lines[..to]);
        let expected = tokio::task::block_in_place(|| {
            candidates.mend();
            candidates
                .leaders()
                .iter()
                .for_each(|worker| worker.wait_until_read(end));
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
                "round {round}, {fault:?}: published {:#?}, right is {:#?}",
                only_in(&actual, &expected),
                only_in(&expected, &actual)
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

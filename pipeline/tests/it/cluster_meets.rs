//! Processes of a cluster wait for each other in whatever order they come, end and return: one is killed and started again
//! while the others wait, a host loses its power and its address answers nothing. They meet without anybody else being
//! started again, and say meanwhile whom they wait for.

use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};
use tributary_testkit::{NatsServer, free_port, skipped};

use crate::support::candidates::{Candidate, Candidates, cluster, of_workers};
use crate::support::certificates::{certificates, tls};
use crate::support::story::{assert_stands, last, play, ready, until};
use crate::support::{Worker, World};

/// Longer than a standby and its cluster need, and shorter than a connection to an address that answers nothing is tried
/// for without a limit.
const WITHOUT_POWER: Duration = Duration::from_secs(90);

/// Waits until a process waits for exactly these others.
fn until_it_waits_for(worker: &Worker, others: &str) {
    let expected = format!("waiting for {others} of the cluster");
    until(&expected, || {
        let answer = worker.get("/readyz");
        answer.is_some_and(|(status, text)| status == 503 && text.contains(&expected))
    });
}

/// Of three processes, `late` comes last, and `again` is killed and comes again before.
fn meet_around(config: &Path, (again, late): (usize, usize)) -> [Worker; 3] {
    let start = |process: usize| Worker::start(config, &["--process", &process.to_string()]);
    let waits = 3 - again - late;
    let (mut killed, waiting) = (start(again), start(waits));
    let for_late = format!("process {late}");
    until_it_waits_for(&killed, &for_late);
    until_it_waits_for(&waiting, &for_late);
    killed.kill();
    // That it has ended is noticed before it is back.
    let (first, second) = (again.min(late), again.max(late));
    until_it_waits_for(&waiting, &format!("processes {first} and {second}"));
    killed = start(again);
    until_it_waits_for(&killed, &for_late);
    until_it_waits_for(&waiting, &for_late);
    let mut all = [(again, killed), (waits, waiting), (late, start(late))];
    all.sort_unstable_by_key(|(process, _)| *process);
    all.map(|(_, worker)| worker)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_restarts_meanwhile_is_met() {
    met("", &[(0, 1), (2, 1), (1, 0), (0, 2)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_restarts_meanwhile_is_met_with_tls() {
    met(&tls("ca", "worker"), &[(0, 1), (2, 1)]).await;
}

async fn met(settings: &str, cases: &[(usize, usize)]) {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let hosts = [0, 1, 2].map(|_| format!("127.0.0.1:{}", free_port()));
    let workers = format!("[workers]\nhosts = {hosts:?}\n{settings}");
    let world = World::new(1_000, Some(&broker), &workers);
    if !settings.is_empty() && !certificates(world.directory.path()) {
        skipped("no openssl to make certificates with");
        return;
    }
    let expected = world.replayed();
    let client = ready(&broker).await;
    play(&client, &world.trace().collect::<Vec<_>>(), None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");
    for case in cases {
        eprintln!(
            "process {} restarts while process {} is late",
            case.0, case.1
        );
        tokio::task::block_in_place(|| {
            let mut all = meet_around(&config, *case);
            all.iter().for_each(|worker| worker.wait_until_read(end));
            assert!(all.iter_mut().all(Worker::lives), "one of them ended");
            all.iter().for_each(Worker::signal);
            all.iter_mut().for_each(Worker::end);
        });
    }
    assert_stands(&broker, &expected, &[]).await;
}

/// Takes an address, and answers nothing to whoever connects, as the address of a host without power. Returns what does it.
fn swallow(address: &str) -> (Socket, Vec<Socket>) {
    let address: SockAddr = address.parse::<std::net::SocketAddr>().unwrap().into();
    let new = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let listener = new();
    listener.set_reuse_address(true).unwrap();
    listener.bind(&address).unwrap();
    listener.listen(0).unwrap();
    // The queue of connections that nobody accepts is full, and what comes after is dropped.
    let fill = (0..4).map(|_| {
        let socket = new();
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&address);
        socket
    });
    let fill = fill.collect();
    let address = address.as_socket().unwrap();
    until("the address answers nothing", || {
        let wait = Duration::from_millis(500);
        let error = TcpStream::connect_timeout(&address, wait).err();
        error.is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut)
    });
    (listener, fill)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_answers_nothing_is_left_for_that_of_the_lease() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(1_000, Some(&broker), "");
    let expected = world.replayed();
    let client = ready(&broker).await;
    play(&client, &world.trace().collect::<Vec<_>>(), None).await;
    let end = last(&client, &broker.input_stream).await;
    let of = cluster(2, &[0]);
    let address = of[0].1.split('"').nth(1).unwrap().to_owned();
    let all = of.into_iter().enumerate().map(|(number, (process, of))| {
        let of = match process {
            0 => of.replace("standby = false", "standby = true"),
            _ => of,
        };
        Candidate {
            config: of_workers(&world, number, None, &of),
            process,
            proxy: None,
            clock: None,
            worker: None,
            stays_down: number == 2,
        }
    });
    let mut candidates = Candidates { all: all.collect() };
    tokio::task::block_in_place(|| {
        candidates.leader(0);
        candidates.leader(1);
        candidates.all[2].stays_down = false;
        candidates.mend();
        candidates.all[0].kill();
        candidates.all[0].stays_down = true;
        let swallowing = swallow(&address);
        let begun = Instant::now();
        candidates.until("the standby and process 1 are one cluster", |candidates| {
            candidates.all[1].leads() && candidates.all[2].leads()
        });
        eprintln!("the cluster met again after {:?}", begun.elapsed());
        assert!(begun.elapsed() < WITHOUT_POWER, "{:?}", begun.elapsed());
        drop(swallowing);
        let mut leaders: Vec<Worker> = [1, 2]
            .map(|number: usize| candidates.all[number].worker.take().unwrap())
            .into();
        leaders
            .iter()
            .for_each(|worker| worker.wait_until_read(end));
        leaders.iter().for_each(Worker::signal);
        leaders.iter_mut().for_each(Worker::end);
    });
    assert_stands(&broker, &expected, &[]).await;
}

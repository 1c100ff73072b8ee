//! How commands end: an error is one line that says its cause once, a reader that has closed its end is none, a broker that is not
//! there yet is waited for by a worker and not for long by anybody else, and a binary says what it was built from.

use std::collections::BTreeSet;
use std::io::Read;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::story::until;
use crate::support::{Worker, World, tributary};
use tributary::version::{COMMIT, TEXT, VERSION};
use tributary_testkit::{NatsServer, free_port};

/// Far less than a supervisor waits before it kills.
const SOON: Duration = Duration::from_secs(60);

/// What stands between the colons and semicolons of an error: each is a sentence, or what one is about.
fn repeated(said: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let parts = said
        .lines()
        .flat_map(|line| line.split([':', ';', '(', ')']));
    let parts = parts
        .map(str::trim)
        .filter(|part| part.len() > 12 && part.contains(' '));
    parts
        .filter(|part| !seen.insert(part.to_lowercase()))
        .map(str::to_owned)
        .collect()
}

fn run(world: &World, arguments: &str) -> Output {
    let mut command = tributary();
    command
        .current_dir(world.path("."))
        .args(arguments.split_whitespace());
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn an_error_says_its_cause_once() {
    assert_eq!(
        repeated("cannot read the file: no such thing: no such thing"),
        ["no such thing"]
    );
    let world = World::new(50, None, "");
    let at = |name: &str| world.path(name);
    std::fs::write(at("notes"), "my notes\n").unwrap();
    std::fs::write(at("bad.toml"), "[[brand]]\nnam = 1\n").unwrap();
    std::fs::write(at("none.json"), "{").unwrap();
    std::fs::write(at("cut.gz"), [0x1f, 0x8b, 8, 0, 0]).unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    let nobody = format!("[nats]\nurl = \"nats://127.0.0.1:{}\"\n", free_port());
    let text = std::fs::read_to_string(at("tributary.toml")).unwrap();
    std::fs::write(at("nobody.toml"), format!("{nobody}{text}")).unwrap();
    std::fs::write(
        at("login.toml"),
        format!("[nats]\ncredentials_file = \"absent.creds\"\n{text}"),
    )
    .unwrap();
    let of_nobody = "--config nobody.toml";
    for arguments in [
        "replay --config absent.toml --cells c trace.ndjson".to_owned(),
        "replay --config bad.toml --cells c trace.ndjson".to_owned(),
        "replay --config tributary.toml --cells c absent.ndjson".to_owned(),
        "replay --config tributary.toml --cells c folder".to_owned(),
        "replay --config tributary.toml --cells c cut.gz".to_owned(),
        "replay --config tributary.toml --cells c nothing=absent.csv".to_owned(),
        "replay --config tributary.toml --cells folder trace.ndjson".to_owned(),
        "replay --config tributary.toml --cells no/where trace.ndjson".to_owned(),
        "replay --config tributary.toml --cells notes trace.ndjson".to_owned(),
        "replay --config tributary.toml --cells c --dead-letters notes trace.ndjson".to_owned(),
        "replay --config tributary.toml --cells c --ledger notes trace.ndjson".to_owned(),
        "run --config absent.toml".to_owned(),
        "run --config login.toml --listen 127.0.0.1:0".to_owned(),
        "run --config tributary.toml --process 7".to_owned(),
        "run --config tributary.toml --hostfile absent".to_owned(),
        "config check absent.toml".to_owned(),
        "config print bad.toml".to_owned(),
        "keys new folder".to_owned(),
        "keys new no/where".to_owned(),
        "keys rotate folder --config tributary.toml".to_owned(),
        "ledger inspect absent".to_owned(),
        "ledger verify absent --config tributary.toml".to_owned(),
        "ledger inspect notes".to_owned(),
        "audit verify --config tributary.toml".to_owned(),
        "audit verify --config tributary.toml --brand orchard --head nothing".to_owned(),
        "consent nothing".to_owned(),
        "consent --vendor 7 --vendor-list none.json CQh-8AAQh-8AAEsABBFRBkFgAP_gAAAAAAqIF5wAQF5gAAAA".to_owned(),
        "consent --vendor 7 --vendor-list absent.json CQh-8AAQh-8AAEsABBFRBkFgAP_gAAAAAAqIF5wAQF5gAAAA".to_owned(),
        "rules --runbook-url nothing".to_owned(),
        format!("query {of_nobody} store_day"),
        format!("query {of_nobody} nothing"),
        format!("query {of_nobody} store_day --where x"),
        format!("explain person {of_nobody} cookie=a cookie=b"),
        format!("retention {of_nobody}"),
        format!("retention {of_nobody} --at never"),
        format!("rights erase {of_nobody} email=a@b.example --proof t"),
        format!("rights erase {of_nobody} --proof t --request absent.json"),
        format!("rights erase {of_nobody} --proof t --request none.json"),
        format!("rights erase {of_nobody} nothing --proof t"),
        format!("keys rotate {of_nobody}"),
    ] {
        let begun = Instant::now();
        let output = run(&world, &arguments);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!output.status.success(), "{arguments}: {said}");
        assert!(begun.elapsed() < SOON, "{arguments} took {:?}", begun.elapsed());
        assert!(!said.contains("panicked"), "{arguments}: {said}");
        let lines = said.lines().filter(|line| !line.contains("WARN"));
        let said = lines.collect::<Vec<_>>().join("\n");
        assert_eq!(repeated(&said), Vec::<String>::new(), "{arguments}: {said}");
    }
    let notes = std::fs::read_to_string(at("notes")).unwrap();
    assert_eq!(notes, "my notes\n");
}

#[test]
fn a_number_of_threads_that_no_machine_has_is_refused_by_every_command() {
    let world = World::new(50, None, "");
    for command in [
        "demo --once",
        "run --config tributary.toml",
        "replay --config tributary.toml --cells c trace.ndjson",
    ] {
        for workers in ["0", "1025", "5000"] {
            let output = run(&world, &format!("{command} --workers {workers}"));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                !output.status.success() && said.contains("--workers"),
                "{command}: {said}"
            );
        }
    }
}

/// Starts a command, reads a little of what it prints, and closes the pipe.
fn cut(world: &World, arguments: &str, bytes: usize) -> (Option<i32>, String) {
    let mut command = tributary();
    command
        .current_dir(world.path("."))
        .args(arguments.split_whitespace());
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut read = vec![0; bytes];
    let _ = out.read(&mut read);
    drop(out);
    let ended = child.wait_with_output().unwrap();
    (
        ended.status.code(),
        String::from_utf8_lossy(&ended.stderr).into_owned(),
    )
}

#[test]
fn a_reader_who_has_gone_ends_every_command_quietly() {
    let world = World::new(2_000, None, "");
    for arguments in [
        "demo --events 2000 --listen 127.0.0.1:0",
        "demo --events 2000 --listen 127.0.0.1:0 --still",
        "demo --events 2000 --once",
        "demo --events 2000 --once --json",
        "replay --quiet --config tributary.toml --cells - trace.ndjson",
        "replay --quiet --json --config tributary.toml --cells c trace.ndjson",
        "config example",
        "config schema",
        "config schema --markdown",
        "config print",
        "config check",
        "consent {\"7\":true}",
        "reference",
        "reference --data-protection",
        "reference --cells",
        "rules --runbook-url https://a.example/b",
        "keys new another.secret --print",
        "--help",
        "--version",
    ] {
        for bytes in [0, 1, 64] {
            if arguments.starts_with("keys") {
                let _ = std::fs::remove_file(world.path("another.secret"));
            }
            let (code, said) = cut(&world, arguments, bytes);
            assert_eq!(code, Some(0), "{arguments}: {said}");
            let bad = ["panicked", "Broken pipe", "tributary: "]
                .iter()
                .any(|bad| said.contains(bad));
            assert!(!bad, "{arguments}: {said}");
        }
    }
    // Whoever listens only to the end of the notes does not end it either.
    let (code, _) = cut(
        &world,
        "replay --config tributary.toml --cells - trace.ndjson",
        0,
    );
    assert_eq!(code, Some(0));
}

#[test]
fn a_status_that_is_the_answer_does_not_depend_on_who_reads() {
    let world = World::new(50, None, "");
    std::fs::write(world.path("bad.toml"), "[[brand]]\nnam = 1\n").unwrap();
    assert_eq!(cut(&world, "config check bad.toml", 0).0, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_waits_for_a_broker_that_is_not_there_yet() {
    let Some(mut server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(50, Some(&broker), "");
    server.kill();
    let config = world.path("tributary.toml");
    tokio::task::block_in_place(|| {
        let mut worker = Worker::start(&config, &[]);
        until("it waits", || {
            worker.log().matches("waiting for the broker").count() >= 2
        });
        let (status, _) = worker.get("/livez").unwrap();
        assert_eq!(status, 200);
        let (status, why) = worker.get("/readyz").unwrap();
        assert_eq!(status, 503);
        assert!(why.contains("waiting for the broker"), "{why}");
        // SIGTERM ends it at once, and SIGHUP does not.
        worker.signal_with("-HUP");
        until("it has received the signal", || {
            worker.said("the configuration was reloaded")
        });
        assert!(worker.lives());
        let asked = Instant::now();
        worker.signal();
        worker.end();
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
        let worker = Worker::start(&config, &[]);
        until("it waits", || worker.said("waiting for the broker"));
        server.restart();
        until("it is ready", || {
            worker
                .get("/readyz")
                .is_some_and(|(status, _)| status == 200)
        });
        // The commit that it was built from is the same everywhere.
        let (_, metrics) = worker.get("/metrics").unwrap();
        let info = format!("tributary_build_info{{commit=\"{COMMIT}\",version=\"{VERSION}\"}} 1");
        assert!(metrics.contains(&info), "{metrics}");
        assert!(worker.said(&format!("\"commit\":\"{COMMIT}\"")));
        let (_, page) = worker.get("/").unwrap();
        assert!(page.contains(TEXT));
        until("an epoch has closed", || {
            worker.metric("tributary_epoch_duration_seconds_count") > Some(0.0)
        });
        let took = worker
            .metric("tributary_epoch_duration_seconds_sum")
            .unwrap();
        assert!(took < 3600.0, "no epoch took {took} s");
        worker.stop();
    });
    let version = tributary().arg("--version").output().unwrap().stdout;
    assert_eq!(
        String::from_utf8(version).unwrap().trim(),
        format!("tributary {TEXT}")
    );
}

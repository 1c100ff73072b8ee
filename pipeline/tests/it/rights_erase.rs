//! A person is erased from a running worker, by the command an officer would use: the numbers are those of a world
//! without her records, byte for byte, and nothing of her is found any more, neither in the data directory nor in the
//! broker's store. After an objection, playing her old events in again changes nothing. `TRIBUTARY_ERASE_EVENTS` makes
//! the world larger.

use std::time::{Duration, Instant};

use crate::support::person::{apart, ask, found, receipt_of, rewrite, somebody};
use crate::support::secrets::{configure_secrets, draw};
use crate::support::story::{assert_stands, last, play, ready, until};
use crate::support::{Worker, World, chosen, succeed, tributary};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tributary_connectors::keys::BrandKey;
use tributary_connectors::trace::TraceLine;
use tributary_operators::record::IdKind;
use tributary_rights::sealed::KeyPair;
use tributary_testkit::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_erased_everywhere() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let events = chosen("TRIBUTARY_ERASE_EVENTS", 6_000);
    let world = World::new(events, Some(&broker), "[workers]\nthreads = 2");
    let mut lines: Vec<TraceLine> = world.trace().collect();
    let email = somebody(&world, &lines);
    // A line that is refused holds her, too.
    let at = lines.last().unwrap().at;
    lines.push(TraceLine {
        subject: "tributary.in.orchard.transaction".to_owned(),
        at,
        headers: Vec::new(),
        data: format!(r#"{{"id":"x","email":"{email}""#).into_bytes(),
    });
    let (hers, others) = apart(&world, &lines, &email);
    assert!(hers.len() > 3, "{} lines name her", hers.len());
    rewrite(&world, &others);
    let expected = world.replayed();
    let refused = world.refused();

    let client = ready(&broker).await;
    let config = world.path("tributary.toml");
    let worker = Worker::start(&config, &[]);
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let needles = {
        let config = world.config();
        let key = BrandKey::new(&config.brands[0]);
        let digest = Sha256::digest(email.as_bytes());
        let mut needles = vec![email.clone().into_bytes(), digest.to_ascii_lowercase()];
        needles.push(HEXLOWER.encode(&digest).into_bytes());
        for id in key.identify(IdKind::Email, &email) {
            needles.push(id.pseudonym.to_le_bytes().to_ascii_lowercase());
            needles.push(id.pseudonym.to_be_bytes().to_ascii_lowercase());
            needles.push(format!("{:032x}", id.pseudonym).into_bytes());
        }
        needles
    };
    let identifier = format!("email={email}");
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        assert!(
            !found(server.directory(), &needles).is_empty(),
            "she was there"
        );
        let answer = ask(&world, "access", &[&identifier]);
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let records = answer["records"].as_array().unwrap();
        assert!(!records.is_empty());
        for record in records {
            assert!(
                record["source"].is_string() && record["purposes"].is_array(),
                "{record}"
            );
            assert!(record["kept_until"].is_string(), "{record}");
        }
        let receipt = ask(&world, "erase", &[&identifier, "--id", "r-1"]);
        let receipt = receipt_of(&receipt);
        assert_eq!(receipt["request"], "r-1");
        let at = |what: &str| receipt[what].as_i64().unwrap();
        let took = at("completed") - at("received");
        eprintln!("of {events} events: {took} ms from the request to the receipt");
        let count = |what: &str| receipt["counts"][what].as_u64().unwrap();
        assert_eq!(count("records"), records.len() as u64);
        assert_eq!(count("raw_messages"), hers.len() as u64);
        assert!(
            count("ledger_entries") > 0 && count("dead_letters") > 0,
            "{receipt}"
        );
        // The request itself, which names her, is deleted once its last status is published.
        let deadline = Instant::now() + Duration::from_secs(10);
        for directory in [server.directory(), &world.path("tributary-data")] {
            while !found(directory, &needles).is_empty() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(50));
            }
            assert_eq!(found(directory, &needles), [""; 0]);
        }
        // The same again is the same request, and there is nobody left to find.
        ask(&world, "erase", &[&identifier, "--id", "r-1"]);
        let mut access = tributary();
        access.args(["rights", "access", &identifier, "--proof", "t", "--config"]);
        let output = succeed(access.arg(&config));
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["records"], serde_json::json!([]));
        // As it is sealed, it is no shorter than one with a few records.
        let pair = KeyPair::generate();
        let (file, key) = (world.path("answer.age"), pair.public().to_string());
        let mut access = tributary();
        access.args(["rights", "access", &identifier, "--proof", "t"]);
        access.args(["--reply-key", &key, "--out"]).arg(&file);
        succeed(access.arg("--config").arg(&config));
        let opened = pair.open(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!(opened.len(), 4_096);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("nothing was found"), "{said}");

        ask(&world, "object", &[&identifier]);
    });
    play(&client, &hers, None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        assert!(!worker.said(&email), "no log names her");
        worker.stop();
        // What she sent since lies where others put it, until the stream forgets it; nothing of ours has it.
        assert_eq!(found(&world.path("tributary-data"), &needles), [""; 0]);
    });
    assert_stands(&broker, &expected, &refused).await;

    // A restart changes nothing, and the log of what was done is whole.
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        worker.stop();
        let mut audit = tributary();
        let output = succeed(audit.args(["audit", "verify", "--config"]).arg(&config));
        assert!(String::from_utf8_lossy(&output.stdout).contains("orchard: 20 entries"));
    });
    assert_stands(&broker, &expected, &refused).await;
}

/// The first release after a restart waits for the requests from before it. A worker that stops earlier leaves it to the
/// next start.
fn wait_for_release(worker: &Worker) {
    let released = || worker.metric("tributary_cells_released").unwrap_or(0.0);
    until("cells are released", || released() > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_an_erasure_completes() {
    let Some(mut server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(6_000, Some(&broker), "");
    let lines: Vec<TraceLine> = world.trace().collect();
    let email = somebody(&world, &lines);
    let (_, others) = apart(&world, &lines, &email);
    rewrite(&world, &others);
    let expected = world.replayed();
    let refused = world.refused();
    let client = ready(&broker).await;
    let config = world.path("tributary.toml");
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let identifier = format!("email={email}");
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        ask(&world, "erase", &[&identifier, "--id", "r-1", "--no-wait"]);
        worker.kill();
        // Again and again, a little later each time.
        for round in 0..10 {
            let worker = Worker::start(&config, &[]);
            std::thread::sleep(Duration::from_millis(60 * round));
            worker.kill();
        }
        let worker = Worker::start(&config, &[]);
        // The same request once more waits for the answer.
        ask(&world, "erase", &[&identifier, "--id", "r-1"]);
        worker.wait_until_read(end);
        wait_for_release(&worker);
        worker.stop();
    });
    assert_stands(&broker, &expected, &refused).await;
    let needles = [email.into_bytes()];
    server.kill();
    assert_eq!(found(server.directory(), &needles), [""; 0]);
    assert_eq!(found(&world.path("tributary-data"), &needles), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_an_objection_forgets_the_whole_person() {
    killed_in_an_objection(&["secret"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn and_so_it_does_where_the_secret_is_exchanged_meanwhile() {
    killed_in_an_objection(&["secret", "second"]).await;
}

/// The worker is killed once the objection is on the list, and goes on with these secrets.
async fn killed_in_an_objection(secrets: &[&str]) {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(3_000, Some(&broker), "");
    let trace: Vec<TraceLine> = world.trace().collect();
    let expected = world.replayed();
    let refused = world.refused();
    let at = trace.last().unwrap().at;
    // Only the first names her address: it links the number, which the others name alone.
    let sales = (0..40).map(|n| {
        let email = if n == 0 { r#","email":"ada@shop.example""# } else { "" };
        TraceLine {
            subject: "tributary.in.orchard.transaction".to_owned(),
            at,
            headers: Vec::new(),
            data: format!(
                r#"{{"id":"ada-{n}","ts":{at},"store":"lyon","amount":1,"customer":"number of ada"{email}}}"#
            )
            .into_bytes(),
        }
    });
    let client = ready(&broker).await;
    let config = world.path("tributary.toml");
    play(&client, &trace, None).await;
    play(&client, &sales.collect::<Vec<_>>(), None).await;
    let end = last(&client, &broker.input_stream).await;
    draw(&world, "second");
    let request = ["email=ada@shop.example", "--whole-person", "--id", "r-1"];
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        worker.wait_until_read(end);
        ask(&world, "object", &[&request[..], &["--no-wait"]].concat());
        until("she is on the list", || {
            let list = world.path("tributary-data/rights-0/objections");
            std::fs::metadata(list).is_ok_and(|list| list.len() > 48)
        });
        worker.kill();
        configure_secrets(&world, secrets);
        for round in 0..4 {
            let worker = Worker::start(&config, &[]);
            std::thread::sleep(Duration::from_millis(80 * round));
            worker.kill();
        }
        let worker = Worker::start(&config, &[]);
        ask(&world, "object", &request);
        worker.wait_until_read(end);
        wait_for_release(&worker);
        worker.stop();
    });
    assert_stands(&broker, &expected, &refused).await;

    // It is the ledger that has forgotten her, and not the door alone that keeps her out.
    tokio::task::block_in_place(|| {
        std::fs::remove_file(world.path("tributary-data/rights-0/objections")).unwrap();
        let worker = Worker::start(&config, &["--accept-loss"]);
        worker.wait_until_read(end);
        worker.stop();
    });
    assert_stands(&broker, &expected, &refused).await;
}

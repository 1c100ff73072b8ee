//! Erasures in bad moments: process 0 of a cluster is killed once the other process has erased its part, the broker fails once
//! the cells have followed, and the person sends on meanwhile.

use std::time::Duration;

use futures::StreamExt;

use crate::support::person::{apart, ask, found, rewrite, somebody};
use crate::support::story::{
    assert_stands, last, play, ready, start_both, stop_both, two_processes, until,
};
use crate::support::{Worker, World, published};
use tributary_config::model::Nats;
use tributary_connectors::nats::{Client, subject};
use tributary_connectors::trace::TraceLine;
use tributary_testkit::NatsServer;

/// The cookie by which a person is known without her address.
const COOKIE: &str = "c0ffee00c0ffee01";

/// The address that names her.
const EMAIL: &str = "whole.person@example.org";

/// The number of messages under a subject of the rights stream.
async fn count(client: &Client, broker: &Nats, filter: &str) -> usize {
    let jetstream = async_nats::jetstream::new(client.clone());
    let stream = jetstream.get_stream(&broker.rights_stream).await.unwrap();
    let mut of = stream.info_with_subjects(filter).await.unwrap();
    let mut all = 0;
    while let Some(one) = of.next().await {
        all += one.unwrap().1;
    }
    all
}

/// Publishes a request.
async fn submit(client: &Client, request: &serde_json::Value) {
    let jetstream = async_nats::jetstream::new(client.clone());
    let requests = subject::rights_requests("orchard");
    let sent = jetstream.publish(requests, request.to_string().into());
    sent.await.unwrap().await.unwrap();
}

/// The stored payloads of the input stream.
async fn stored(client: &Client, broker: &Nats) -> Vec<Vec<u8>> {
    let jetstream = async_nats::jetstream::new(client.clone());
    let stream = jetstream.get_stream(&broker.input_stream).await.unwrap();
    let mut all = Vec::new();
    for sequence in 1..=last(client, &broker.input_stream).await {
        if let Ok(message) = stream.get_raw_message(sequence).await {
            all.push(message.payload.to_vec());
        }
    }
    all
}

/// A message of a web source.
fn web(data: serde_json::Value, at: i64) -> TraceLine {
    TraceLine {
        subject: "tributary.in.orchard.web".to_owned(),
        at,
        headers: Vec::new(),
        data: data.to_string().into_bytes(),
    }
}

/// Her clicks are read by process 0, the sequences of which are even, and the one message that links her cookie to her address
/// by process 1. Returns the lines with hers at the end.
fn with_her(mut lines: Vec<TraceLine>) -> Vec<TraceLine> {
    // The sequence of a line is its place, from 1.
    let mut others = lines.split_off((lines.len() - 40) | 1).into_iter();
    let at = lines.last().expect("a line").at;
    let click = |n: usize| {
        let id = format!("hers-{n}");
        let data = serde_json::json!({"id": id, "ts": at, "type": "click", "cookie": COOKIE, "source": "newsletter",
            "medium": "email", "campaign": "weekly"});
        web(data, at)
    };
    for n in 0..20 {
        lines.push(click(n));
        if n == 10 {
            let data = serde_json::json!({"id": "hers-link", "ts": at, "type": "identify", "cookie": COOKIE, "email": EMAIL});
            lines.push(web(data, at));
        } else {
            lines.extend(others.next());
        }
    }
    lines.extend(others);
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_person_is_erased_although_process_0_is_killed() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(1_500, Some(&broker), &two_processes());
    let lines: Vec<TraceLine> = world.trace().collect();
    let lines = with_her(lines);
    let is_hers = |line: &TraceLine| String::from_utf8_lossy(&line.data).contains(COOKIE);
    let places: Vec<usize> = (1..=lines.len())
        .filter(|n| is_hers(&lines[n - 1]))
        .collect();
    assert!(places.iter().filter(|n| *n % 2 == 0).count() > 10);
    assert_eq!(places.iter().filter(|n| *n % 2 == 1).count(), 1);
    let others: Vec<TraceLine> = lines
        .iter()
        .filter(|line| !is_hers(line))
        .cloned()
        .collect();
    rewrite(&world, &others);
    let expected = world.replayed();
    let refused = world.refused();
    let client = ready(&broker).await;
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");
    let both = tokio::task::block_in_place(|| {
        let both = start_both(&config);
        both.iter().for_each(|worker| worker.wait_until_read(end));
        both
    });
    let request = serde_json::json!({
        "id": "whole-1", "ts": "2025-11-20T09:00:00Z", "type": "erase", "proof": "ticket 118", "whole_person": true,
        "identifiers": [{"kind": "email", "value": EMAIL}],
    });
    submit(&client, &request).await;
    // Process 1 confirms that it has read everything, and then that it has erased her.
    let parts = subject::rights_part("orchard", 1);
    while count(&client, &broker, &parts).await < 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let receipts = subject::rights_receipt("orchard");
        if count(&client, &broker, &receipts).await > 0 {
            eprintln!("the erasure was faster than the kill");
            break;
        }
    }
    tokio::task::block_in_place(|| {
        let [zero, one] = both;
        zero.kill();
        drop(one);
        let both = start_both(&config);
        both.iter().for_each(|worker| worker.wait_until_read(end));
        let receipts = subject::rights_receipt("orchard");
        until("she is erased", || {
            let counted = count(&client, &broker, &receipts);
            tokio::runtime::Handle::current().block_on(counted) == 1
        });
        stop_both(both);
    });
    assert_stands(&broker, &expected, &refused).await;
    // What was between the processes is gone with the request.
    for filter in [subject::rights_starts("orchard"), parts] {
        assert_eq!(count(&client, &broker, &filter).await, 0, "{filter}");
    }
    assert!(
        !stored(&client, &broker)
            .await
            .iter()
            .any(|data| String::from_utf8_lossy(data).contains(COOKIE))
    );
    let needles = [COOKIE.as_bytes().to_vec(), EMAIL.as_bytes().to_vec()];
    let left = found(server.directory(), &needles);
    assert!(left.is_empty(), "{left:?}");
    // The ledgers have nothing of her either.
    tokio::task::block_in_place(|| {
        let both = start_both(&config);
        both.iter().for_each(|worker| worker.wait_until_read(end));
        stop_both(both);
    });
    assert_stands(&broker, &expected, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_of_death_is_carried_out_by_every_process() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(1_500, Some(&broker), &two_processes());
    let lines: Vec<TraceLine> = world.trace().collect();
    let email = somebody(&world, &lines);
    let (_, others) = apart(&world, &lines, &email);
    rewrite(&world, &others);
    let expected = world.replayed();
    let refused = world.refused();
    let client = ready(&broker).await;
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");
    let start = || {
        tokio::task::block_in_place(|| {
            let both = start_both(&config);
            both.iter().for_each(|worker| worker.wait_until_read(end));
            both
        })
    };
    let mut both = start();
    let receipts = subject::rights_receipt("orchard");
    // The notice erases the instruction that it meets, in whatever process that is stored.
    for (answered, notice) in [(1, false), (2, true)] {
        let request = serde_json::json!({
            "id": format!("death-{answered}"), "ts": "2025-11-20T09:00:00Z", "type": "directive", "proof": "ticket 119",
            "directive": {"action": "erase", "notice": notice},
            "identifiers": [{"kind": "email", "value": email}],
        });
        submit(&client, &request).await;
        tokio::task::block_in_place(|| {
            until("it is answered", || {
                let counted = count(&client, &broker, &receipts);
                tokio::runtime::Handle::current().block_on(counted) == answered
            });
        });
    }
    for _ in 0..2 {
        tokio::task::block_in_place(|| stop_both(both));
        assert_stands(&broker, &expected, &refused).await;
        both = start();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_sends_meanwhile_counts_or_is_erased_everywhere() {
    sends_meanwhile(&two_processes(), &["0", "1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_sends_meanwhile_counts_or_is_erased() {
    sends_meanwhile("", &["0"]).await;
}

/// A person buys while she is erased from some processes: cells, ledgers and the stream agree on what came later.
async fn sends_meanwhile(settings: &str, processes: &[&str]) {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(1_500, Some(&broker), settings);
    let lines: Vec<TraceLine> = world.trace().collect();
    let email = somebody(&world, &lines);
    let (hers, others) = apart(&world, &lines, &email);
    let client = ready(&broker).await;
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");
    let start_all = |end: u64| {
        tokio::task::block_in_place(|| {
            let all = processes.iter();
            let all: Vec<Worker> = all
                .map(|process| Worker::start(&config, &["--process", process]))
                .collect();
            all.iter().for_each(|worker| worker.wait_until_read(end));
            all
        })
    };
    let stop_all = |mut all: Vec<Worker>, end: u64| {
        tokio::task::block_in_place(|| {
            all.iter().for_each(|worker| worker.wait_until_read(end));
            all.iter().for_each(Worker::signal);
            all.iter_mut().for_each(Worker::end);
        });
    };
    let all = start_all(end);
    // She buys again and again, while she is erased three times.
    let template = hers
        .iter()
        .find(|line| line.subject.ends_with("transaction"));
    let template: serde_json::Value =
        serde_json::from_slice(&template.expect("a purchase").data).unwrap();
    let at = lines.last().expect("a line").at;
    let later = |n: usize| {
        let mut data = template.clone();
        data["id"] = format!("later-{n}").into();
        data["ts"] = at.into();
        TraceLine {
            subject: "tributary.in.orchard.transaction".to_owned(),
            data: data.to_string().into_bytes(),
            ..web(serde_json::Value::Null, at)
        }
    };
    let mut sent = 0;
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                for _ in 0..3 {
                    ask(&world, "erase", &[&format!("email={email}")]);
                }
            });
            tokio::runtime::Handle::current().block_on(async {
                while !asking.is_finished() {
                    play(&client, &[later(sent)], None).await;
                    sent += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        });
    });
    let end = last(&client, &broker.input_stream).await;
    stop_all(all, end);
    // What is still stored counts, and nothing else of her.
    let stored: Vec<String> = stored(&client, &broker)
        .await
        .into_iter()
        .map(|data| String::from_utf8_lossy(&data).into_owned())
        .collect();
    let mut expected_lines = others;
    let mut left = 0;
    for n in 0..sent {
        let line = later(n);
        let id = format!("\"later-{n}\"");
        if stored.iter().any(|data| data.contains(&id)) {
            expected_lines.push(line);
            left += 1;
        }
    }
    eprintln!("{left} of {sent} later purchases came after the last erasure");
    assert!(left < sent, "nothing of what she sent meanwhile was erased");
    rewrite(&world, &expected_lines);
    let expected = world.replayed();
    assert!(
        published(&broker).await == expected,
        "run and replay differ"
    );
    // A restart knows the ledgers only.
    stop_all(start_all(end), end);
    assert!(
        published(&broker).await == expected,
        "restart and replay differ"
    );
}

//! The input stream is not what it was. Where it has lost what was not read, or is another one, the worker refuses and
//! names the remedy; with the loss accepted, it continues, and what comes later counts as later. What was read may go at any time.

use std::fmt::Write;

use crate::support::story::{assert_stands, last, play, position, ready, refusal};
use crate::support::{Worker, World};
use async_nats::jetstream;
use tributary_config::model::Nats;
use tributary_connectors::nats::{self, Client};
use tributary_connectors::trace::TraceLine;
use tributary_simulate::Options;
use tributary_testkit::NatsServer;

/// A worker reads what there is, and stops.
async fn reads_all(world: &World, client: &Client, arguments: &[&str]) {
    let end = last(client, "TRIBUTARY_IN").await;
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&world.path("tributary.toml"), arguments);
        worker.wait_until_read(end);
        worker.stop();
    });
}

fn refuses(world: &World, words: &[&str]) {
    let refusal_text = tokio::task::block_in_place(|| refusal(world, &[]));
    for word in words {
        assert!(
            refusal_text.contains(word),
            "it does not say {word:?}: {refusal_text}"
        );
    }
}

/// The trace file has these lines and no others.
fn rewrite(world: &World, lines: &[TraceLine]) {
    let mut text = String::new();
    for line in lines {
        let data = std::str::from_utf8(&line.data).unwrap();
        let data: serde_json::Value = match serde_json::from_str(data) {
            Ok(data) => data,
            Err(_) => data.into(),
        };
        let line = serde_json::json!({ "subject": line.subject, "at": line.at, "data": data });
        writeln!(text, "{line}").unwrap();
    }
    std::fs::write(world.path("trace.ndjson"), text).unwrap();
}

fn calm(events: u64) -> Options {
    Options {
        events: Some(events),
        bad: 0.0,
        ..Options::default()
    }
}

async fn purge(client: &Client, up_to: u64) {
    let stream = jetstream::new(client.clone())
        .get_stream("TRIBUTARY_IN")
        .await
        .unwrap();
    stream.purge().sequence(up_to).await.unwrap();
}

/// A broker with an input stream, and a world whose worker has read all of it.
struct Deployment {
    broker: Nats,
    world: World,
    lines: Vec<TraceLine>,
    client: Client,
    _server: NatsServer,
}

impl Deployment {
    /// None without a server.
    async fn of_read_messages() -> Option<Deployment> {
        let server = NatsServer::start_or_skip("")?;
        let broker = server.nats();
        let world = World::of(calm(4_000), Some(&broker), "");
        let lines: Vec<_> = world.trace().collect();
        let client = ready(&broker).await;
        play(&client, &lines, None).await;
        reads_all(&world, &client, &[]).await;
        Some(Deployment {
            broker,
            world,
            lines,
            client,
            _server: server,
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_unread_is_refused_and_may_be_accepted() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::of(calm(6_000), Some(&broker), "");
    let lines: Vec<_> = world.trace().collect();
    let client = ready(&broker).await;
    let (read, lost) = (2_000, 3_000);
    play(&client, &lines[..read], None).await;
    reads_all(&world, &client, &[]).await;
    play(&client, &lines[read..], None).await;
    purge(&client, lost as u64 + 1).await;

    let words = [
        "TRIBUTARY_IN",
        "1000 sequences from 2001 to 3000",
        "--accept-loss",
    ];
    refuses(&world, &words);
    assert_eq!(position(&world.ledger(0)), read as u64);
    reads_all(&world, &client, &["--accept-loss"]).await;
    // It is accepted once and for all.
    reads_all(&world, &client, &[]).await;

    let mut left = lines[..read].to_vec();
    left.extend_from_slice(&lines[lost..]);
    rewrite(&world, &left);
    assert_stands(&broker, &world.replayed(), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_stream_is_refused_and_what_it_brings_is_later() {
    let Some(deployment) = Deployment::of_read_messages().await else {
        return;
    };
    let Deployment {
        broker,
        world,
        lines,
        client,
        _server,
    } = deployment;

    let jetstream = jetstream::new(client.clone());
    jetstream.delete_stream("TRIBUTARY_IN").await.unwrap();
    nats::ensure_input_stream(&client, &broker, &["orchard"])
        .await
        .unwrap();
    let words = ["TRIBUTARY_IN", "another one", "made anew", "--accept-loss"];
    refuses(&world, &words);
    // Accepted once, it is accepted, even before anything has come.
    reads_all(&world, &client, &["--accept-loss"]).await;
    reads_all(&world, &client, &[]).await;

    // Every fourth sale was of another amount: the new stream counts from 1, but what it says is later.
    let newest = lines.iter().map(|line| line.at).max().unwrap();
    let sales = lines
        .iter()
        .filter(|line| line.subject.ends_with(".transaction"));
    let corrections: Vec<_> = sales
        .step_by(4)
        .map(|line| {
            let mut sale: serde_json::Value = serde_json::from_slice(&line.data).unwrap();
            assert!(sale["id"].is_string(), "{sale}");
            sale["amount"] = 4321.into();
            TraceLine {
                at: newest + 1,
                data: sale.to_string().into_bytes(),
                ..line.clone()
            }
        })
        .collect();
    assert!(corrections.len() > 50);
    play(&client, &corrections, None).await;
    reads_all(&world, &client, &[]).await;

    let before = world.replayed();
    let mut all = lines.clone();
    all.extend(corrections);
    rewrite(&world, &all);
    let expected = world.replayed();
    assert!(expected != before, "the corrections tell");
    assert_stands(&broker, &expected, &[]).await;
    // Restored, they still are.
    reads_all(&world, &client, &[]).await;
    assert_stands(&broker, &expected, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_may_go() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(5_000, Some(&broker), "");
    let expected = world.replayed();
    let refused = world.refused();
    let lines: Vec<_> = world.trace().collect();
    let client = ready(&broker).await;
    let mut worker = Worker::start(&world.path("tributary.toml"), &[]);
    for part in lines.chunks(lines.len() / 4) {
        play(&client, part, None).await;
        let end = last(&client, &broker.input_stream).await;
        tokio::task::block_in_place(|| worker.wait_until_read(end));
        purge(&client, end + 1).await;
        assert!(worker.lives());
    }
    assert!(!worker.said("lost upstream"));
    tokio::task::block_in_place(|| worker.stop());
    // Nor does a start mind.
    reads_all(&world, &client, &[]).await;
    assert_stands(&broker, &expected, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_directory_beside_a_trimmed_input_and_published_cells_is_a_loss() {
    let Some(deployment) = Deployment::of_read_messages().await else {
        return;
    };
    let Deployment {
        broker,
        world,
        lines,
        client,
        _server,
    } = deployment;
    let published_before = crate::support::published(&broker).await;

    let lost = lines.len() - 400;
    purge(&client, lost as u64 + 1).await;
    std::fs::remove_dir_all(world.path("tributary-data")).unwrap();
    refuses(&world, &["holds no ledger", "--accept-loss"]);
    assert!(!world.path("tributary-data").exists(), "nothing is begun");
    assert!(crate::support::published(&broker).await == published_before);

    // Every cell that does not stand any more is closed under its own subject, though no message named its words again.
    reads_all(&world, &client, &["--accept-loss"]).await;
    rewrite(&world, &lines[lost..]);
    assert_stands(&broker, &world.replayed(), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_ledger_is_refused_although_the_input_is_whole_and_so_is_one_that_comes_back() {
    let Some(deployment) = Deployment::of_read_messages().await else {
        return;
    };
    let Deployment {
        broker,
        world,
        client,
        _server,
        ..
    } = deployment;
    let (data, aside) = (world.path("tributary-data"), world.path("aside"));
    std::fs::rename(&data, &aside).unwrap();
    refuses(&world, &["holds no ledger", "--accept-loss"]);
    assert!(!data.exists(), "nothing is begun");
    reads_all(&world, &client, &["--accept-loss"]).await;
    assert_stands(&broker, &world.replayed(), &[]).await;
    // The new ledger has the brand now.
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&aside, &data).unwrap();
    refuses(
        &world,
        &["was last served with the ledger", "--accept-loss"],
    );
    reads_all(&world, &client, &["--accept-loss"]).await;
    assert_stands(&broker, &world.replayed(), &[]).await;
}

//! A running worker takes a new brand and a new source at SIGHUP: their records count from the first on, the others go on
//! meanwhile, and what is published is what a replay of all messages under the new configuration gives. A kill right afterwards
//! changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tributary_config::model::Nats;
use tributary_connectors::nats::{self, Client};
use tributary_connectors::trace::TraceLine;
use tributary_simulate::Options;
use tributary_testkit::NatsServer;

use crate::reload::{DONE, REFUSED, ask_on_kept_connections, reload};
use crate::support::brands::{BRANDS, of_brands};
use crate::support::person::{ask, rewrite};
use crate::support::story::{assert_stands, last, play, until};
use crate::support::{Worker, World};

/// A configuration without the table of a brand.
fn without(text: &str, brand: &str) -> String {
    let mut tables = text.split("\n[[brand]]\n");
    let head = tables.next().unwrap().to_owned();
    let name = format!("name = \"{brand}\"\n");
    let others = tables.filter(|table| !table.starts_with(&name));
    others.fold(head, |text, table| format!("{text}\n[[brand]]\n{table}"))
}

/// Three brands of one process, and the lines of the first two and of the last one.
fn world(broker: &Nats) -> (World, [Vec<TraceLine>; 2]) {
    let (world, lines) = of_brands(1_500, broker, ["only"; 3]);
    let config = world.path("tributary.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let lines_of = text.lines().filter(|line| !line.starts_with("shard = "));
    let text: String = lines_of.map(|line| format!("{line}\n")).collect();
    std::fs::write(&config, text).unwrap();
    let of_late = format!("tributary.in.{}.", BRANDS[2]);
    let (late, first) = lines
        .into_iter()
        .partition(|line| line.subject.starts_with(&of_late));
    (world, [first, late])
}

/// Waits until a worker has read everything.
async fn wait(client: &Client, broker: &Nats, worker: &Worker) {
    let records = last(client, &broker.input_stream).await;
    tokio::task::block_in_place(|| worker.wait_until_read(records));
}

async fn connected(broker: &Nats) -> Client {
    let client = nats::connect(broker, "test").await.unwrap();
    nats::ensure_input_stream(&client, broker, &BRANDS)
        .await
        .unwrap();
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_brand_counts_from_its_first_record_on_while_the_others_go_on() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let (world, [first, late]) = world(&broker);
    let expected = world.replayed();
    let config = world.path("tributary.toml");
    let full = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, without(&full, BRANDS[2])).unwrap();
    let client = connected(&broker).await;
    let worker = tokio::task::block_in_place(|| {
        let worker = Worker::start(&config, &[]);
        until("it is ready", || {
            worker
                .get("/readyz")
                .is_some_and(|(status, _)| status == 200)
        });
        worker
    });
    let (before, after) = first.split_at(first.len() / 3);
    play(&client, before, None).await;
    // Nobody has this address, so that no number changes; the files of requests do.
    let object = |brand: &str, person: &str| {
        let email = format!("email={person}@nobody.example");
        tokio::task::block_in_place(|| ask(&world, "object", &["--brand", brand, &email]))
    };
    object(BRANDS[0], "before");
    // Records of the brands that are known arrive while the process changes, and those of the new brand at once.
    let others = {
        let (client, after) = (client.clone(), after.to_vec());
        tokio::spawn(async move { play(&client, &after, Some(2_000.0)).await })
    };
    let done = Arc::new(AtomicBool::new(false));
    let asked = ask_on_kept_connections(&worker, &done);
    tokio::task::block_in_place(|| reload(&worker, &config, &full, DONE));
    assert!(worker.said(&format!("brand.{} is new", BRANDS[2])));
    // The servers were made anew, and their clients told before a connection was closed.
    tokio::time::sleep(Duration::from_secs(2)).await;
    done.store(true, Ordering::Relaxed);
    assert_eq!(asked.join().unwrap(), 2);
    play(&client, &late, None).await;
    others.await.unwrap();
    for brand in [BRANDS[0], BRANDS[2]] {
        object(brand, "afterwards");
    }
    wait(&client, &broker, &worker).await;
    tokio::task::block_in_place(|| {
        let metrics = worker.get("/metrics").unwrap().1;
        let accepted = format!("tributary_records_accepted_total{{brand=\"{}\"", BRANDS[2]);
        assert!(metrics.contains(&accepted), "{metrics}");
        let shown = worker.get("/config").unwrap().1;
        assert!(shown.contains(&format!("name = \"{}\"", BRANDS[2])));
        worker.stop();
    });
    assert_stands(&broker, &expected, &world.refused()).await;
    // A restart has nothing else to publish.
    let published = last(&client, &broker.output_stream).await;
    let again = tokio::task::block_in_place(|| Worker::start(&config, &[]));
    wait(&client, &broker, &again).await;
    tokio::task::block_in_place(|| again.stop());
    assert_eq!(last(&client, &broker.output_stream).await, published);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_right_after_a_reload_loses_nothing_of_the_new_brand() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let (world, [first, late]) = world(&broker);
    let expected = world.replayed();
    let config = world.path("tributary.toml");
    let full = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, without(&full, BRANDS[2])).unwrap();
    let client = connected(&broker).await;
    let worker = tokio::task::block_in_place(|| Worker::start(&config, &[]));
    play(&client, &first, None).await;
    wait(&client, &broker, &worker).await;
    tokio::task::block_in_place(|| reload(&worker, &config, &full, DONE));
    let (some, others) = late.split_at(late.len() / 2);
    play(&client, some, None).await;
    tokio::task::block_in_place(|| worker.kill());
    let again = tokio::task::block_in_place(|| Worker::start(&config, &[]));
    play(&client, others, None).await;
    wait(&client, &broker, &again).await;
    tokio::task::block_in_place(|| again.stop());
    assert_stands(&broker, &expected, &world.refused()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_source_counts_from_its_first_record_on() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let options = Options {
        events: Some(1_500),
        k: 1,
        consent: true,
        ..Options::default()
    };
    let world = World::of(options, Some(&broker), "");
    let mut lines: Vec<TraceLine> = world.trace().collect();
    // Half of the web records come from an app from some time on.
    let half = lines.len() / 2;
    let web = lines[half..].iter_mut();
    let web = web.filter(|line| line.subject.ends_with(".web"));
    web.step_by(2)
        .for_each(|line| line.subject.push_str(".app"));
    rewrite(&world, &lines);
    let config = world.path("tributary.toml");
    let bare = std::fs::read_to_string(&config).unwrap();
    let app = "\n[[brand.source]]\nname = \"app\"\nkind = \"web\"\narrival_header = true\n";
    let full = format!("{bare}{app}");
    std::fs::write(&config, &full).unwrap();
    let expected = world.replayed();
    std::fs::write(&config, &bare).unwrap();
    let client = nats::connect(&broker, "test").await.unwrap();
    nats::ensure_input_stream(&client, &broker, &["orchard"])
        .await
        .unwrap();
    let worker = tokio::task::block_in_place(|| Worker::start(&config, &[]));
    play(&client, &lines[..half], None).await;
    tokio::task::block_in_place(|| reload(&worker, &config, &full, DONE));
    play(&client, &lines[half..], None).await;
    wait(&client, &broker, &worker).await;
    tokio::task::block_in_place(|| {
        // What cannot be taken is refused by name, and the process goes on as it is.
        let other = full.replace("name = \"app\"", "name = \"kiosk\"");
        reload(&worker, &config, &other, REFUSED);
        assert!(worker.said("brand.orchard.source.app was removed: needs a restart"));
        assert_eq!(worker.get("/readyz").unwrap().0, 200);
        worker.stop();
    });
    assert_stands(&broker, &expected, &world.refused()).await;
    // It is removed and comes back, but with another basis: its records would count as before.
    tokio::task::block_in_place(|| {
        std::fs::write(&config, &bare).unwrap();
        let worker = Worker::start(&config, &[]);
        until("it is ready", || {
            worker.get("/readyz").is_some_and(|of| of.0 == 200)
        });
        let back = format!("{bare}{app}basis = \"consent\"\n");
        reload(&worker, &config, &back, REFUSED);
        assert!(
            worker.said("brand.orchard.source.app is new, but there are records with this name")
        );
        let another = back.replace("name = \"app\"", "name = \"kiosk\"");
        reload(&worker, &config, &another, DONE);
        worker.stop();
    });
}

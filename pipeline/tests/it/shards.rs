//! Shards: processes with one configuration file share out its brands. Each reads, publishes and answers for its own
//! brands alone, and together they publish what one process would.

use crate::support::brands::{BRANDS, give, of_brands, refusal_of, shard, stop_all};
use crate::support::person::{apart, ask, rewrite, somebody};
use crate::support::published;
use crate::support::statuses::Statuses;
use crate::support::story::{assert_stands, play, refusal, until};
use tributary_config::model::Nats;
use tributary_connectors::nats::{self, Client};
use tributary_connectors::trace::TraceLine;
use tributary_testkit::NatsServer;

/// A connection to a broker that has the streams.
pub async fn ready(broker: &Nats) -> Client {
    let client = nats::connect(broker, "test").await.expect("a connection");
    let made = nats::ensure_input_stream(&client, broker, &BRANDS).await;
    made.expect("the input stream");
    let made = nats::ensure_rights_stream(&client, broker).await;
    made.expect("the rights stream");
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_publish_what_one_process_would() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let mut broker = server.nats();
    broker.pings_stream = Some("TRIBUTARY_PINGS".to_owned());
    let (world, mut lines) = of_brands(4_000, &broker, ["north", "north", "south"]);
    let email = somebody(&world, &lines);
    let stranger = TraceLine {
        subject: "tributary.in.nobody.web".to_owned(),
        ..lines[0].clone()
    };
    lines.insert(100, stranger.clone());
    let (hers, kept) = apart(&world, &lines, &email);
    assert!(hers.len() > 1);
    rewrite(&world, &kept);
    let expected = world.replayed();
    let of = |brand: &str| expected.iter().filter(|cell| cell.contains(brand)).count();
    assert!(BRANDS.iter().all(|brand| of(brand) > 50));

    let client = ready(&broker).await;
    let (before, after) = lines.split_at(lines.len() / 2);
    play(&client, before, None).await;
    let workers = vec![shard(&world, "north"), shard(&world, "south")];
    play(&client, after, None).await;
    tokio::task::block_in_place(|| {
        let answer = |place: usize, brand: &str| {
            let mut answer = (0, String::new());
            until("it answers", || {
                let path = format!("/v1/cells/store_day?brand={brand}");
                answer = workers[place].get(&path).unwrap_or_default();
                answer.0 != 503 && answer.0 != 0
            });
            answer
        };
        assert_eq!(answer(0, "acme").0, 200);
        let (status, text) = answer(1, "acme");
        assert!(
            status == 400 && text.contains("is served by the shard north"),
            "{text}"
        );
        let (_, metrics) = workers[1].get("/metrics").unwrap();
        assert!(!metrics.contains("brand=\"acme\"") && metrics.contains("brand=\"gamma\""));
    });
    // A request is answered by the shard of its brand, once.
    let records = crate::support::story::last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        workers
            .iter()
            .for_each(|worker| worker.wait_until_read(records));
        ask(
            &world,
            "erase",
            &["--brand", "acme", &format!("email={email}")],
        );
    });
    let mut statuses = Statuses::open(&client, &broker).await;
    let ids = statuses.ids().await;
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(statuses.end(&ids[0], 1).await, "completed");
    assert_eq!(
        statuses.words(&ids[0]),
        ["pending", "in_progress", "completed"]
    );
    stop_all(&client, &broker, workers).await;
    assert_stands(&broker, &expected, &[stranger]).await;

    // A second start finds everything where it was.
    let workers = vec![shard(&world, "south"), shard(&world, "north")];
    stop_all(&client, &broker, workers).await;
    assert!(published(&broker).await == expected, "a restart differs");

    tokio::task::block_in_place(|| {
        let text = refusal(&world, &[]);
        assert!(
            text.contains("set workers.shard or TRIBUTARY_WORKERS_SHARD to one of north, south")
        );
        let text = refusal_of(&world, "east");
        assert!(
            text.contains("no brand has the shard \"east\"")
                && text.contains("\"north\", \"south\"")
        );
        // The configuration says that a brand is another shard's, and its records were not moved. That its audit log is missing
        // as well is not what the operator has to know.
        give(&world, "acme", "south");
        let text = refusal_of(&world, "south");
        let is_claimed = text.contains("the brand acme belongs to the shard north")
            && text.contains("tributary ledger move --brand acme");
        assert!(is_claimed && !text.contains("is missing"), "{text}");
    });
    assert!(
        published(&broker).await == expected,
        "a refused start changes something"
    );
}

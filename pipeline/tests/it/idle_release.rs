//! A worker that nothing arrives at publishes what waits for a batch when `max_hold` has passed, and corrects it after an
//! erasure: no stranger's record is needed for either.

use serde_json::json;
use tributary_connectors::trace::TraceLine;
use tributary_testkit::NatsServer;

use crate::support::person::ask;
use crate::support::story::{configure, last, play, ready, until};
use crate::support::{Worker, World, tributary};

/// Sales of 20 people on each of two days that are over.
fn sales() -> Vec<TraceLine> {
    let day = 86_400_000;
    let at = 1_760_000_000_000_i64;
    let sale = |number: i64| {
        let ts = at - number % 2 * day;
        let data = json!({
            "id": format!("t{number}"), "ts": ts, "store": "Lyon", "amount": "10.00",
            "email": format!("p{number}@shop.example"),
        });
        TraceLine {
            subject: "tributary.in.orchard.transaction".to_owned(),
            at: at + day,
            headers: Vec::new(),
            data: data.to_string().into_bytes(),
        }
    };
    (0..40).map(sale).collect()
}

/// The days of sales that are published, as lines of JSON.
fn published(world: &World) -> String {
    let mut query = tributary();
    let query = query
        .args(["query", "store_day", "--json", "--config"])
        .arg(world.path("tributary.toml"));
    let output = query.output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_published_though_nothing_arrives() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(1, Some(&broker), "");
    configure(
        &world,
        "k = 1\ncadence = \"1s\"",
        "k = 2\ncadence = \"1s\"\nmax_hold = \"3s\"\nfreeze_after = \"3650d\"",
    );
    let client = ready(&broker).await;
    play(&client, &sales(), None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        let worker = Worker::start(&world.path("tributary.toml"), &[]);
        worker.wait_until_read(end);
        let days = |persons: u32| {
            let of = format!("\"persons\":{persons},");
            published(&world).matches(&of).count()
        };
        until("the sales of both days are published", || days(20) == 2);
        for person in ["email=p1@shop.example", "email=p2@shop.example"] {
            ask(&world, "erase", &[person]);
        }
        until("both days are without who was erased", || days(19) == 2);
        worker.stop();
    });
}

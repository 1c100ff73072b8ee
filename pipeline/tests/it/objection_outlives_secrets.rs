//! Who objected stays out however often the brand's secret is exchanged, at rest and in a running worker: by what the
//! request named, by what was linked to it, and by device. Others come in as before, and what was kept of their
//! rights is kept.

use crate::support::person::{ask, rewrite};
use crate::support::secrets::{configure_secrets, draw, rotated};
use crate::support::story::{assert_stands, last, play, ready};
use crate::support::{Worker, World, succeed, tributary};
use serde_json::{Value, json};
use tributary_connectors::trace::TraceLine;
use tributary_testkit::NatsServer;

fn line(kind: &str, at: i64, mut data: Value) -> TraceLine {
    data["ts"] = at.into();
    TraceLine {
        subject: format!("tributary.in.orchard.{kind}"),
        at,
        headers: Vec::new(),
        data: data.to_string().into_bytes(),
    }
}

/// What a person does: an order that links the cookie to the address, a purchase that links the customer number, and
/// then things that name one of them alone. `round` tells one time from another.
fn lines_of(name: &str, mac: &str, round: u32, at: i64) -> Vec<TraceLine> {
    let id = |what: &str| format!("{name}-{what}-{round}");
    let (email, cookie) = (format!("{name}@shop.example"), format!("cookie-of-{name}"));
    let customer = format!("customer-{name}");
    let phone = format!("+336123400{:02}", name.len());
    vec![
        line(
            "web",
            at,
            json!({"id": id("order"), "type": "order", "cookie": cookie, "email": email, "amount": "12.00"}),
        ),
        line(
            "transaction",
            at,
            json!({"id": id("both"), "store": "lyon", "amount": "30.00", "email": email, "customer": customer}),
        ),
        line(
            "transaction",
            at,
            json!({"id": id("customer"), "store": "lyon", "amount": "7.00", "customer": customer, "phone": phone}),
        ),
        line(
            "web",
            at,
            json!({"id": id("click"), "type": "click", "cookie": cookie, "source": "google", "medium": "cpc"}),
        ),
        line(
            "transaction",
            at,
            json!({"id": id("email"), "store": "lyon", "amount": "9.00", "email": email.to_uppercase()}),
        ),
        line(
            "ping",
            at,
            json!({"store": "lyon", "sensor": "s-1", "mac": mac, "rssi": -60}),
        ),
    ]
}

/// What is expected of the worker, and how it is asked.
struct Story {
    world: World,
    server: NatsServer,
    client: tributary_connectors::nats::Client,
}

impl Story {
    fn start(&self) -> Worker {
        Worker::start(&self.world.path("tributary.toml"), &[])
    }

    /// Plays lines in, and waits until they are read.
    async fn play(&self, worker: &Worker, lines: &[TraceLine]) {
        play(&self.client, lines, None).await;
        let end = last(&self.client, &self.server.nats().input_stream).await;
        tokio::task::block_in_place(|| worker.wait_until_read(end));
    }

    /// Plays lines in of which every one is refused at the door.
    async fn refuses(&self, worker: &Worker, lines: &[TraceLine]) {
        let count = || worker.metric("tributary_records_suppressed_total");
        let before = tokio::task::block_in_place(count).unwrap_or(0.0);
        self.play(worker, lines).await;
        tokio::task::block_in_place(|| {
            crate::support::story::until("the door refuses them all", || {
                count() == Some(before + lines.len() as f64)
            });
        });
    }

    /// Stops the worker; what stands outside is what a replay of these lines gives.
    async fn stands(&self, worker: Worker, lines: &[TraceLine]) {
        tokio::task::block_in_place(|| worker.stop());
        rewrite(&self.world, lines);
        let expected = self.world.replayed();
        assert_stands(&self.server.nats(), &expected, &self.world.refused()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_objector_stays_out_over_two_exchanges() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(3_000, Some(&broker), "[workers]\nthreads = 2");
    let client = ready(&broker).await;
    let story = Story {
        world,
        server,
        client,
    };
    let world = &story.world;
    let trace: Vec<TraceLine> = world.trace().collect();
    let at = trace.last().unwrap().at;
    let ada = |round| lines_of("ada", "00:1b:63:84:45:e6", round, at);
    let bob = |round| lines_of("bobby", "00:1b:63:84:45:e7", round, at);
    let carol = |round| lines_of("caroline", "00:1b:63:84:45:e9", round, at);
    let eve = |round| lines_of("evelyn", "00:1b:63:84:45:e8", round, at);
    let object = |name: &str, mac: &str| {
        let (email, device) = (
            format!("email={name}@shop.example"),
            format!("device={mac}"),
        );
        tokio::task::block_in_place(|| ask(world, "object", &[&email, &device, "--whole-person"]));
    };
    let all = |parts: &[&[TraceLine]]| [&trace[..], &parts.concat()].concat();

    let worker = story.start();
    story
        .play(&worker, &all(&[&ada(1), &bob(1), &carol(1), &eve(1)]))
        .await;
    object("ada", "00:1b:63:84:45:e6");
    tokio::task::block_in_place(|| ask(world, "restrict", &["email=evelyn@shop.example"]));
    story.refuses(&worker, &ada(1)).await;
    story.refuses(&worker, &ada(2)).await;
    tokio::task::block_in_place(|| worker.stop());

    // At rest.
    draw(world, "second");
    configure_secrets(world, &["secret", "second"]);
    let mut keys = tributary();
    let keys = keys.args(["keys", "rotate"]).arg(world.ledger(0));
    let keys = keys.arg("--config").arg(world.path("tributary.toml"));
    succeed(keys);
    let worker = story.start();
    story.refuses(&worker, &ada(1)).await;
    story.refuses(&worker, &ada(3)).await;
    story.play(&worker, &bob(2)).await;
    // One who objects now is entered under the second secret.
    object("bobby", "00:1b:63:84:45:e7");
    story.refuses(&worker, &bob(1)).await;

    // Running: the door goes on, and knows both after the next start.
    draw(world, "third");
    configure_secrets(world, &["secret", "second", "third"]);
    tokio::task::block_in_place(|| assert!(rotated(world)[0] > 0));
    story.refuses(&worker, &[ada(4), bob(4)].concat()).await;
    // The worker still knows persons as it did; its ledger has them under the third secret, and forgets them there.
    object("caroline", "00:1b:63:84:45:e9");
    story.refuses(&worker, &carol(4)).await;
    tokio::task::block_in_place(|| worker.stop());
    let worker = story.start();
    story
        .refuses(
            &worker,
            &[ada(1), bob(1), carol(1), ada(5), bob(5), carol(5)].concat(),
        )
        .await;
    // Others come in, and whose restriction was kept counts again when it ends.
    let lines = all(&[&eve(1), &eve(6)]);
    story.play(&worker, &eve(6)).await;
    tokio::task::block_in_place(|| ask(world, "unrestrict", &["email=evelyn@shop.example"]));
    story.stands(worker, &lines).await;
    let mut audit = tributary();
    let audit = audit.args(["audit", "verify", "--config"]);
    let output = succeed(audit.arg(world.path("tributary.toml")));
    assert!(String::from_utf8_lossy(&output.stdout).contains("orchard: 20 entries"));
}

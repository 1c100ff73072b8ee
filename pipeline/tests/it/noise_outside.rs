//! Noise on what leaves, with real processes: a replay writes the same bytes on any number of workers, and they are not
//! the exact ones; a worker that starts again tells nothing anew and shows what stands outside.

use crate::support::story::{configure, last, play, ready, until};
use crate::support::{Worker, World, succeed, tributary};
use tributary_simulate::Options;
use tributary_testkit::NatsServer;

/// A brand with a budget, and steps so long that none begins while the test runs.
const NOISE: &str =
    "[release]\nk = 1\ncadence = \"1s\"\nmax_hold = \"3650d\"\nfreeze_after = \"3650d\"";

fn with_noise(world: &World) {
    configure(world, "[release]\nk = 1\ncadence = \"1s\"", NOISE);
    let file = world.path("tributary.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let noise = "\n[brand.noise]\nepsilon = \"1\"\nmoney = 20000\n";
    std::fs::write(&file, text + noise).unwrap();
}

#[test]
fn a_replay_is_the_same_on_any_number_of_workers() {
    let world = World::new(5_000, None, "");
    let exact = world.replayed();
    with_noise(&world);
    let one = world.replayed();
    assert_ne!(one, exact);
    let is_spend = |line: &&String| line.contains(r#""family":"spend_day""#);
    let spend =
        |lines: &[String]| -> Vec<String> { lines.iter().filter(is_spend).cloned().collect() };
    assert_eq!(
        spend(&one),
        spend(&exact),
        "what platforms charged is nobody's"
    );
    for (workers, batch) in [("2", "100"), ("3", "7"), ("8", "1000")] {
        let mut command = tributary();
        command.args(["replay", "--quiet", "--workers", workers, "--batch", batch]);
        command.arg("--config").arg(world.path("tributary.toml"));
        command
            .args(["--cells", "-"])
            .arg(world.path("trace.ndjson"));
        let output = succeed(&mut command).stdout;
        let lines: Vec<_> = std::str::from_utf8(&output).unwrap().lines().collect();
        assert!(lines.iter().eq(one.iter()), "{workers} workers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_tells_nothing_anew() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    // The metrics are of the last weeks.
    let today = jiff::Zoned::now().date();
    let options = Options {
        events: Some(5_000),
        start: today.checked_sub(jiff::Span::new().days(27)).unwrap(),
        ..Options::default()
    };
    let world = World::of(options, Some(&broker), "");
    with_noise(&world);
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");
    let shown = |worker: &Worker| {
        let names = [
            "tributary_orders",
            "tributary_visits",
            "tributary_store_takings",
        ];
        names.map(|name| worker.metric(name))
    };

    let worker = Worker::start(&config, &[]);
    let before = tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        until("the metrics show orders", || {
            worker.metric("tributary_orders").is_some_and(|n| n > 0.0)
        });
        let (status, text) = worker.get("/config").unwrap();
        assert!(status == 200 && text.contains("epsilon = \"1\""), "{text}");
        let before = shown(&worker);
        worker.stop();
        before
    });
    let published = last(&client, &broker.output_stream).await;
    assert!(published > 100, "{published} cells");

    let worker = Worker::start(&config, &[]);
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        until("the metrics are as before", || shown(&worker) == before);
        worker.stop();
    });
    assert_eq!(last(&client, &broker.output_stream).await, published);
}

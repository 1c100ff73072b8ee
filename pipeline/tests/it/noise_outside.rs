//! Noise on what leaves, with real processes: a replay is refused, or draws noise of its own; a worker that starts again tells nothing anew and shows what stands outside.

use crate::support::story::{
    configure, last, play, ready, start_both, stop_both, two_processes, until,
};
use crate::support::{Worker, World, tributary};
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

/// The cells of a replay on two workers, with more arguments.
fn replayed(world: &World, more: &[&str]) -> std::process::Output {
    let mut command = tributary();
    command.args(["replay", "--quiet", "--workers", "2"]);
    command.args(more);
    command.arg("--config").arg(world.path("tributary.toml"));
    command
        .args(["--cells", "-"])
        .arg(world.path("trace.ndjson"));
    command.output().unwrap()
}

#[test]
fn every_replay_draws_its_own_noise_and_only_if_asked_to() {
    let world = World::new(5_000, None, "");
    let exact = world.replayed();
    with_noise(&world);
    let refused = replayed(&world, &[]);
    assert!(!refused.status.success() && refused.stdout.is_empty());
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(
        why.contains("brand.noise.epsilon") && why.contains("--redraw-noise"),
        "{why}"
    );
    let noisy = || {
        let output = replayed(&world, &["--redraw-noise"]);
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<String>>()
    };
    let (one, other) = (noisy(), noisy());
    assert_ne!(one, exact);
    assert_ne!(one, other);
    let is_spend = |line: &&String| line.contains(r#""family":"spend_day""#);
    let spend =
        |lines: &[String]| -> Vec<String> { lines.iter().filter(is_spend).cloned().collect() };
    assert_eq!(
        spend(&one),
        spend(&exact),
        "what platforms charged is nobody's"
    );
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

/// Process 1 draws by the ledger of process 0, which it learns before both connect.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_start_with_noise() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(500, Some(&broker), &two_processes());
    with_noise(&world);
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let config = world.path("tributary.toml");
    tokio::task::block_in_place(|| {
        // Again, when what an earlier run has published is there.
        for _ in 0..2 {
            let both = start_both(&config);
            both.iter().for_each(|worker| worker.wait_until_read(end));
            stop_both(both);
        }
    });
}
